//! Time-stamp tokens, RFC 3161 section 2.4.2 with RFC 5816.
use const_oid::ObjectIdentifier;
use der::asn1::{Any, Int, Uint};
use der::{Encode, Sequence, Tag};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use middleware::Signer;

use super::request::{MessageImprint, TimeStampRequest};
use crate::ca::SerialNumber;
use crate::ca::error::CaError;
use crate::ca::signed_data::{Certificates, SignerIdentity};

/// How far a stamp's time may lie from the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accuracy {
    milliseconds: u32,
}

impl Accuracy {
    /// An accuracy of 1 ms to one hour.
    pub fn from_milliseconds(milliseconds: u32) -> Option<Self> {
        (1..=3_600_000).contains(&milliseconds).then_some(Self { milliseconds })
    }

    /// As milliseconds.
    pub fn milliseconds(self) -> u32 {
        self.milliseconds
    }

    fn to_asn1(self) -> AccuracySequence {
        let some = |number: u32| (number > 0).then_some(number);
        AccuracySequence {
            seconds: some(self.milliseconds / 1000),
            millis: some(self.milliseconds % 1000).and_then(|number| u16::try_from(number).ok()),
        }
    }
}

/// What a service adds to a request to make it a stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Under which policy.
    pub policy: ObjectIdentifier,
    /// Never used before by this service.
    pub serial_number: SerialNumber,
    /// When, in whole milliseconds.
    pub time: Timestamp,
    /// How exactly.
    pub accuracy: Accuracy,
}

impl Stamp {
    /// The `TSTInfo` that answers a request.
    ///
    /// # Errors
    /// A time that ASN.1 cannot say.
    pub fn to_tst_info(&self, request: &TimeStampRequest) -> Result<Vec<u8>, CaError> {
        let encode = || -> der::Result<Vec<u8>> {
            TstInfo {
                version: 1,
                policy: self.policy,
                message_imprint: request.message_imprint.clone(),
                serial_number: Int::from(Uint::new(self.serial_number.as_bytes())?),
                time: Any::new(Tag::GeneralizedTime, generalized_time(self.time).into_bytes())?,
                accuracy: self.accuracy.to_asn1(),
                nonce: request.nonce.clone(),
            }
            .to_der()
        };
        encode().map_err(|error| CaError::malformed("time stamp", error))
    }

    /// The signed token: a `ContentInfo` in DER.
    ///
    /// # Errors
    /// The key's failure.
    pub fn sign(
        &self,
        request: &TimeStampRequest,
        identity: &SignerIdentity,
        signer: &mut dyn Signer,
    ) -> Result<Vec<u8>, CaError> {
        let certificates =
            if request.wants_certificate { Certificates::Included } else { Certificates::Omitted };
        identity.sign(signer, ID_CT_TST_INFO, &self.to_tst_info(request)?, self.time, certificates)
    }
}

/// `YYYYMMDDhhmmss[.s...]Z` without zeros at the end of the fraction, in milliseconds.
fn generalized_time(time: Timestamp) -> String {
    let whole = time.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%S").to_string();
    let fraction = format!("{:03}", time.subsec_millisecond());
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}Z"),
        digits => format!("{whole}.{digits}Z"),
    }
}

/// ```text
/// TSTInfo ::= SEQUENCE  {
///    version                      INTEGER  { v1(1) },
///    policy                       TSAPolicyId,
///    messageImprint               MessageImprint,
///    serialNumber                 INTEGER,
///    genTime                      GeneralizedTime,
///    accuracy                     Accuracy                 OPTIONAL,
///    ordering                     BOOLEAN             DEFAULT FALSE,
///    nonce                        INTEGER                  OPTIONAL,
///    tsa                          [0] GeneralName          OPTIONAL,
///    extensions                   [1] IMPLICIT Extensions   OPTIONAL  }
/// ```
///
/// No ordering: two stamps closer than their accuracies are of one time. No tsa: signingCertificateV2 names the service.
#[derive(Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    message_imprint: MessageImprint,
    serial_number: Int,
    time: Any,
    accuracy: AccuracySequence,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
}

/// ```text
/// Accuracy ::= SEQUENCE {
///       seconds        INTEGER              OPTIONAL,
///       millis     [0] INTEGER  (1..999)    OPTIONAL,
///       micros     [1] INTEGER  (1..999)    OPTIONAL  }
/// ```
#[derive(Sequence)]
struct AccuracySequence {
    #[asn1(optional = "true")]
    seconds: Option<u32>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    millis: Option<u16>,
}

/// id-ct-TSTInfo.
const ID_CT_TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_ends_with_its_last_digit_that_counts() {
        for (time, expected) in [
            ("1992-05-21T00:00:00Z", "19920521000000Z"),
            ("1992-06-22T12:34:21Z", "19920622123421Z"),
            ("1992-07-22T13:21:00.3Z", "19920722132100.3Z"),
            ("2026-11-30T06:28:00.120Z", "20261130062800.12Z"),
            ("2026-11-30T23:59:59.999Z", "20261130235959.999Z"),
            ("2026-11-30T06:28:00.001Z", "20261130062800.001Z"),
        ] {
            assert_eq!(generalized_time(time.parse().unwrap()), expected);
        }
    }

    #[test]
    fn accuracy_names_only_parts_that_are_not_zero() {
        let encoded =
            |milliseconds| Accuracy::from_milliseconds(milliseconds).unwrap().to_asn1().to_der().unwrap();
        assert_eq!(encoded(1000), [0x30, 3, 2, 1, 1]);
        assert_eq!(encoded(1500), [0x30, 7, 2, 1, 1, 0x80, 2, 1, 0xF4]);
        assert_eq!(encoded(20), [0x30, 3, 0x80, 1, 20]);
        assert_eq!(Accuracy::from_milliseconds(0), None);
    }
}
