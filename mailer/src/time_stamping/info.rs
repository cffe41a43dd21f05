//! TSTInfo: what a time-stamping authority signs (RFC 3161 section 2.4.2).
use const_oid::ObjectIdentifier;
use jiff::{SignedDuration, Timestamp};

use super::error::TokenProblem;
use super::request::MessageImprint;
use crate::certificate::tlv::{Element, Elements, element, tag};
use crate::certificate::{DigestAlgorithm, time};

/// What a time stamp says.
///
/// ```text
/// TSTInfo ::= SEQUENCE { version INTEGER { v1(1) }, policy TSAPolicyId, messageImprint MessageImprint,
///     serialNumber INTEGER, genTime GeneralizedTime, accuracy Accuracy OPTIONAL, ordering BOOLEAN DEFAULT FALSE,
///     nonce INTEGER OPTIONAL, tsa [0] GeneralName OPTIONAL, extensions [1] IMPLICIT Extensions OPTIONAL }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStampInfo {
    /// The policy under which it was made.
    pub policy: ObjectIdentifier,
    /// What was stamped.
    pub imprint: MessageImprint,
    /// The authority's number of this stamp, in lower-case hexadecimal.
    pub serial_number: String,
    /// When it was made; fractions below a nanosecond are rounded up.
    pub made: Timestamp,
    /// By how much that may be wrong, if the authority says so.
    pub accuracy: Option<SignedDuration>,
    /// The requester's number: the contents octets of the INTEGER, without sign octets that say nothing.
    nonce: Option<Vec<u8>>,
}

impl TimeStampInfo {
    /// Reads a TSTInfo in DER.
    ///
    /// # Errors
    /// It is malformed, of another version, of a digest that is broken or not known, or has a critical extension.
    pub fn from_der(der: &[u8]) -> Result<Self, TokenProblem> {
        let mut fields = Element::only(der, tag::SEQUENCE)?.elements();
        if fields.expect(tag::INTEGER)?.contents != [1] {
            return Err(TokenProblem::Malformed("it is of an unknown version".to_owned()));
        }
        let policy = fields.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
        let imprint = fields.expect(tag::SEQUENCE)?;
        let serial_number = hex::encode(fields.expect(tag::INTEGER)?.contents);
        let made = moment(&fields.expect(tag::GENERALIZED_TIME)?)?;
        let accuracy = fields.optional(tag::SEQUENCE)?.map(|found| accuracy(found.elements())).transpose()?;
        fields.optional(tag::BOOLEAN)?;
        let nonce = fields.optional(tag::INTEGER)?.map(|found| shortest(found.contents).to_vec());
        fields.optional(tag::context_constructed(0))?;
        if let Some(extensions) = fields.optional(tag::context_constructed(1))? {
            refuse_critical(extensions.elements())?;
        }
        fields.finish()?;
        Ok(Self { policy, imprint: message_imprint(imprint)?, serial_number, made, accuracy, nonce })
    }

    /// The last moment at which it can have been made, in whole seconds: genTime and its accuracy, each rounded up.
    pub fn at_latest(&self) -> Timestamp {
        let made = whole_seconds_up(self.made);
        let accuracy = self.accuracy.unwrap_or_default();
        let fraction = i64::from(accuracy.subsec_nanos() > 0);
        made.saturating_add(SignedDuration::from_secs(accuracy.as_secs() + fraction)).unwrap_or(made)
    }

    /// Whether there is a number of the requester's in it.
    pub fn has_nonce(&self) -> bool {
        self.nonce.is_some()
    }

    /// Whether the number in it is this positive one, octets most significant first.
    pub fn has_nonce_of(&self, magnitude: &[u8]) -> bool {
        let number = [&[0], magnitude].concat();
        self.nonce.as_deref() == Some(shortest(&number))
    }
}

/// An INTEGER's contents without the leading octets that DER leaves away (X.690 section 8.3.2): numbers are compared.
fn shortest(mut octets: &[u8]) -> &[u8] {
    while let [0, 0..0x80, ..] | [0xFF, 0x80..=0xFF, ..] = octets {
        octets = octets.get(1..).unwrap_or_default();
    }
    octets
}

/// `MessageImprint ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, hashedMessage OCTET STRING }`
fn message_imprint(imprint: Element<'_>) -> Result<MessageImprint, TokenProblem> {
    let mut fields = imprint.elements();
    let algorithm = fields.expect(tag::SEQUENCE)?.elements().expect(tag::OBJECT_IDENTIFIER)?;
    let digest = fields.expect(tag::OCTET_STRING)?.contents.to_vec();
    fields.finish()?;
    let identifier = algorithm.object_identifier()?;
    let algorithm = match DigestAlgorithm::from_identifier(identifier) {
        Some(DigestAlgorithm::Sha1) => return Err(TokenProblem::Unsupported("SHA-1".to_owned())),
        Some(algorithm) => algorithm,
        None => return Err(TokenProblem::Unsupported(format!("the digest algorithm {identifier}"))),
    };
    MessageImprint::from_digest(algorithm, digest)
        .ok_or_else(|| TokenProblem::Malformed("its digest has a wrong length".to_owned()))
}

/// A GeneralizedTime that may have fractions of a second, without zeros at their end.
fn moment(time: &Element<'_>) -> Result<Timestamp, TokenProblem> {
    let malformed = || TokenProblem::Malformed("its time is malformed".to_owned());
    let text = time.contents.strip_suffix(b"Z").ok_or_else(malformed)?;
    let (whole, fraction) = match text.iter().position(|octet| *octet == b'.') {
        None => (text, None),
        Some(point) => {
            let (whole, fraction) = text.split_at(point);
            (whole, fraction.get(1..))
        }
    };
    let der = element(tag::GENERALIZED_TIME, &[whole, b"Z"]);
    let seconds = time::time(&Element::only(&der, tag::GENERALIZED_TIME)?).map_err(|_| malformed())?;
    let Some(fraction) = fraction else { return Ok(seconds) };
    let is_fraction =
        fraction.iter().all(u8::is_ascii_digit) && !matches!(fraction.last(), None | Some(b'0'));
    if !is_fraction {
        return Err(malformed());
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = digits.fold(0_i64, |sum, digit| 10 * sum + i64::from(digit - b'0'));
    let rounded = SignedDuration::from_nanos(nanoseconds + i64::from(fraction.len() > 9));
    Ok(seconds.saturating_add(rounded).unwrap_or(seconds))
}

fn whole_seconds_up(moment: Timestamp) -> Timestamp {
    let seconds = moment.as_second() + i64::from(moment.subsec_nanosecond() > 0);
    Timestamp::from_second(seconds).unwrap_or(moment)
}

/// `Accuracy ::= SEQUENCE { seconds INTEGER OPTIONAL, millis [0] INTEGER (1..999) OPTIONAL, micros [1] INTEGER (1..999)
/// OPTIONAL }`
fn accuracy(mut fields: Elements<'_>) -> Result<SignedDuration, TokenProblem> {
    let seconds = part(fields.optional(tag::INTEGER)?, i64::from(u32::MAX >> 9))?;
    let millis = part(fields.optional(tag::context(0))?, 999)?;
    let micros = part(fields.optional(tag::context(1))?, 999)?;
    fields.finish()?;
    Ok(SignedDuration::from_secs(seconds) + SignedDuration::from_micros(1_000 * millis + micros))
}

fn part(found: Option<Element<'_>>, most: i64) -> Result<i64, TokenProblem> {
    let number = match found.map(|found| found.contents) {
        None => 0,
        Some(octets @ ([0..0x80] | [0..0x80, _] | [0..0x80, _, _])) => {
            octets.iter().fold(0, |number, octet| (number << 8) | i64::from(*octet))
        }
        Some(_) => i64::MAX,
    };
    if number <= most {
        Ok(number)
    } else {
        Err(TokenProblem::Malformed("its accuracy makes no sense".to_owned()))
    }
}

fn refuse_critical(mut extensions: Elements<'_>) -> Result<(), TokenProblem> {
    while let Some(extension) = extensions.next()? {
        let mut fields = extension.elements();
        fields.expect(tag::OBJECT_IDENTIFIER)?;
        if fields.optional(tag::BOOLEAN)?.is_some_and(|critical| critical.contents != [0]) {
            return Err(TokenProblem::Unsupported("a critical extension".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(after_version: &[&[u8]]) -> Vec<u8> {
        element(tag::SEQUENCE, &[&[&[2, 1, 1][..]], after_version].concat())
    }

    const POLICY: [u8; 4] = [6, 2, 0x2A, 3];

    fn imprint(digest: usize) -> Vec<u8> {
        let algorithm = [0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
        element(tag::SEQUENCE, &[&algorithm, &element(tag::OCTET_STRING, &[&vec![7; digest]])])
    }

    fn with(time: &str, more: &[&[u8]]) -> Result<TimeStampInfo, TokenProblem> {
        let time = element(tag::GENERALIZED_TIME, &[time.as_bytes()]);
        let head: [&[u8]; 4] = [&POLICY, &imprint(32), &[2, 1, 9], &time];
        TimeStampInfo::from_der(&info(&[&head[..], more].concat()))
    }

    #[test]
    fn times_are_read_to_the_nanosecond_and_never_too_early() {
        for (time, made, at_latest) in [
            ("20260601120000Z", "2026-06-01T12:00:00Z", "2026-06-01T12:00:00Z"),
            ("20260601120000.25Z", "2026-06-01T12:00:00.25Z", "2026-06-01T12:00:01Z"),
            ("20260601120000.0000000001Z", "2026-06-01T12:00:00.000000001Z", "2026-06-01T12:00:01Z"),
            ("20260601120000.9999999999Z", "2026-06-01T12:00:01Z", "2026-06-01T12:00:01Z"),
        ] {
            let info = with(time, &[]).unwrap();
            assert_eq!((info.made.to_string().as_str(), info.accuracy), (made, None), "{time}");
            assert_eq!(info.at_latest().to_string(), at_latest, "{time}");
        }
        for time in [
            "20260601120000",
            "20260601120000.Z",
            "20260601120000.10Z",
            "20260601120000.1xZ",
            "20260601120000,1Z",
            "20260601120000+0000",
            "202606011200Z",
            "20260631120000Z",
            ".5Z",
        ] {
            assert!(with(time, &[]).is_err(), "{time}");
        }
    }

    #[test]
    fn accuracy_is_added_and_nonsense_refused() {
        let accurate = |der: &[u8]| with("20260601120000Z", &[der]).map(|info| info.at_latest().to_string());
        assert_eq!(accurate(&[0x30, 7, 2, 1, 1, 0x80, 2, 1, 0xF4]).unwrap(), "2026-06-01T12:00:02Z");
        assert_eq!(accurate(&[0x30, 3, 0x81, 1, 1]).unwrap(), "2026-06-01T12:00:01Z");
        assert_eq!(accurate(&[0x30, 0]).unwrap(), "2026-06-01T12:00:00Z");
        for nonsense in [
            &[0x30, 3, 2, 1, 0x80][..],
            &[0x30, 6, 2, 4, 0, 0x80, 0, 0],
            &[0x30, 4, 0x80, 2, 3, 0xE8],
            &[0x30, 3, 0x82, 1, 1],
            &[0x30, 2, 2, 0],
        ] {
            assert!(accurate(nonsense).is_err(), "{nonsense:02X?}");
        }
    }

    #[test]
    fn nonces_are_compared_as_numbers() {
        let nonce =
            |contents: &[u8]| with("20260601120000Z", &[&element(tag::INTEGER, &[contents])]).unwrap();
        assert!(nonce(&[0x40, 1]).has_nonce_of(&[0x40, 1]));
        assert!(nonce(&[0, 0x40, 1]).has_nonce_of(&[0x40, 1]), "a zero too many is the same number");
        assert!(nonce(&[0, 0x80, 1]).has_nonce_of(&[0x80, 1]));
        assert!(!nonce(&[0x80, 1]).has_nonce_of(&[0x80, 1]), "that one is negative");
        assert!(!nonce(&[0x40, 2]).has_nonce_of(&[0x40, 1]));
        assert!(!nonce(&[]).has_nonce_of(&[1]));
        let without = with("20260601120000Z", &[]).unwrap();
        assert!(!without.has_nonce() && !without.has_nonce_of(&[1]));
    }

    #[test]
    fn other_versions_digests_and_critical_extensions_are_refused() {
        let extension = |critical: u8| {
            let extension = element(tag::SEQUENCE, &[&POLICY, &[1, 1, critical], &[4, 0]]);
            with("20260601120000Z", &[&element(tag::context_constructed(1), &[&extension])])
        };
        assert!(extension(0).is_ok());
        assert_eq!(extension(0xFF).unwrap_err().code(), "time-stamp-unsupported");
        let time = element(tag::GENERALIZED_TIME, &[b"20260601120000Z"]);
        let short: [&[u8]; 4] = [&POLICY, &imprint(31), &[2, 1, 9], &time];
        assert_eq!(TimeStampInfo::from_der(&info(&short)).unwrap_err().code(), "time-stamp-malformed");
        let mut version_2 = info(&[&POLICY, &imprint(32), &[2, 1, 9], &time]);
        version_2[4] = 2;
        assert!(TimeStampInfo::from_der(&version_2).unwrap_err().to_string().contains("unknown version"));
        let ordered = with("20260601120000Z", &[&[1, 1, 0xFF], &[0xA0, 2, 0x82, 0]]);
        assert_eq!(ordered.unwrap().serial_number, "09");
        assert!(with("20260601120000Z", &[&[5, 0]]).is_err(), "something follows");
    }
}
