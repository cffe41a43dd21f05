//! Dates in PDF files (ISO 32000-2 section 7.9.4).
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// `D:YYYYMMDDHHmmSSZ`, in UTC.
pub fn write(moment: Timestamp) -> String {
    moment.strftime("D:%Y%m%d%H%M%SZ").to_string()
}

/// `D:YYYYMMDDHHmmSSOHH'mm'`; what is left out from the right is the first month, day, hour... of its kind, and UTC.
/// `None` for anything else.
pub fn read(text: &str) -> Option<Timestamp> {
    let text = text.strip_prefix("D:").unwrap_or(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (date, zone) = text.split_at_checked(digits)?;
    if !(4..=14).contains(&digits) || digits % 2 != 0 {
        return None;
    }
    let part = |from: usize, to: usize, missing: i16| match date.get(from..to) {
        Some(part) => part.parse::<i16>().ok(),
        None => Some(missing),
    };
    let small = |from: usize, missing: i16| i8::try_from(part(from, from + 2, missing)?).ok();
    let civil = DateTime::new(
        part(0, 4, 0)?,
        small(4, 1)?,
        small(6, 1)?,
        small(8, 0)?,
        small(10, 0)?,
        small(12, 0)?.min(59),
        0,
    );
    offset(zone)?.to_timestamp(civil.ok()?).ok()
}

/// `Z`, `+HH'mm'` or `-HH'mm'`; the last apostrophe, the minutes or all may be absent.
fn offset(zone: &str) -> Option<Offset> {
    let (sign, rest) = match zone.split_at_checked(1) {
        None => return Some(Offset::UTC),
        Some(("Z", _)) => return Some(Offset::UTC),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) => return None,
    };
    let mut numbers = rest.split('\'').filter(|part| !part.is_empty()).map(str::parse::<i32>);
    let hours = numbers.next()?.ok()?;
    let minutes = numbers.next().transpose().ok()?.unwrap_or(0);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_may_be_written() {
        for (text, meant) in [
            ("D:20261130062054Z", "2026-11-30T06:20:54Z"),
            ("D:20261130072054+01'00'", "2026-11-30T06:20:54Z"),
            ("D:20261130012054-05'00", "2026-11-30T06:20:54Z"),
            ("20261130062054", "2026-11-30T06:20:54Z"),
            ("D:2026", "2026-01-01T00:00:00Z"),
            ("D:20261130062060Z", "2026-11-30T06:20:59Z"),
        ] {
            assert_eq!(read(text), Some(meant.parse().unwrap()), "{text}");
        }
        for text in
            ["", "D:", "D:20261", "D:20261399", "D:20261130062054X", "D:2026113006205499", "yesterday"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        let moment = "2026-11-30T06:20:54Z".parse().unwrap();
        assert_eq!((write(moment).as_str(), read(&write(moment))), ("D:20261130062054Z", Some(moment)));
    }
}
