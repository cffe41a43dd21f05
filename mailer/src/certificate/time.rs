//! Dates of certificates and CRLs (RFC 5280 section 4.1.2.5).
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::tlv::{Element, Malformed, tag};

/// Reads a UTCTime (`YYMMDDHHMMSSZ`, 1950 to 2049) or a GeneralizedTime (`YYYYMMDDHHMMSSZ`).
///
/// Seconds are written, fractions and zones are not; a date that no calendar knows is malformed. What lies beyond the
/// last moment that [`Timestamp`] knows (`99991231235959Z`: no end, section 4.1.2.5) is that moment.
pub(crate) fn time(element: &Element<'_>) -> Result<Timestamp, Malformed> {
    let digits = element.contents.strip_suffix(b"Z").ok_or(Malformed::Time)?;
    let (year, rest) = match (element.tag, digits.len()) {
        (tag::UTC_TIME, 12) => {
            let (year, rest) = number(digits, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (tag::GENERALIZED_TIME, 14) => number(digits, 4)?,
        _ => return Err(Malformed::Time),
    };
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest, 2)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, _) = number(rest, 2)?;
    let small = |number: i16| i8::try_from(number).map_err(|_| Malformed::Time);
    let civil =
        DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0)
            .map_err(|_| Malformed::Time)?;
    Ok(civil.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp()))
}

/// A number of so many digits, and what follows it.
fn number(digits: &[u8], count: usize) -> Result<(i16, &[u8]), Malformed> {
    let (number, rest) = digits.split_at_checked(count).ok_or(Malformed::Time)?;
    let value = number.iter().try_fold(0_i16, |value, digit| match digit {
        b'0'..=b'9' => Some(value * 10 + i16::from(digit - b'0')),
        _ => None,
    });
    Ok((value.ok_or(Malformed::Time)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, text: &str) -> Option<String> {
        let element = Element { tag, contents: text.as_bytes(), bytes: &[] };
        time(&element).ok().map(|moment| moment.to_string())
    }

    #[test]
    fn two_digit_years_reach_from_1950_to_2049() {
        assert_eq!(read(tag::UTC_TIME, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(read(tag::UTC_TIME, "491231235959Z").as_deref(), Some("2049-12-31T23:59:59Z"));
        assert_eq!(read(tag::UTC_TIME, "690720201740Z").as_deref(), Some("1969-07-20T20:17:40Z"));
    }

    #[test]
    fn four_digit_years_reach_to_the_end_of_time() {
        assert_eq!(read(tag::GENERALIZED_TIME, "20500101000000Z").as_deref(), Some("2050-01-01T00:00:00Z"));
        assert_eq!(read(tag::GENERALIZED_TIME, "19470815000000Z").as_deref(), Some("1947-08-15T00:00:00Z"));
        assert_eq!(read(tag::GENERALIZED_TIME, "99991231235959Z"), Some(Timestamp::MAX.to_string()));
    }

    #[test]
    fn other_forms_are_refused() {
        let wrong = [
            "2601010000Z",
            "260101000000",
            "260101000000+0000",
            "260229000000Z",
            "261301000000Z",
            "260101240000Z",
            "260101000060Z",
            "26010100000 Z",
            "",
            "Z",
        ];
        for text in wrong {
            assert_eq!(read(tag::UTC_TIME, text), None, "{text}");
        }
        for text in ["20260101000000.5Z", "260101000000Z", "20260101000000+0100"] {
            assert_eq!(read(tag::GENERALIZED_TIME, text), None, "{text}");
        }
        assert_eq!(read(tag::OCTET_STRING, "260101000000Z"), None);
    }
}
