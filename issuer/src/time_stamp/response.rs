//! Time-stamp responses, RFC 3161 section 2.4.2.
use std::borrow::Cow;

use der::asn1::{Any, BitString};
use der::{Decode, Encode, Sequence};

/// Why a stamp is refused, the bits of PKIFailureInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Unrecognised or unsupported algorithm identifier.
    BadAlg = 0,
    /// Transaction not permitted or supported.
    BadRequest = 2,
    /// The data submitted has the wrong format.
    BadDataFormat = 5,
    /// The service's time source is not available.
    TimeNotAvailable = 14,
    /// The requested policy is not supported.
    UnacceptedPolicy = 15,
    /// The requested extension is not supported.
    UnacceptedExtension = 16,
    /// The request cannot be handled due to a failure of the service.
    SystemFailure = 25,
}

/// A refusal: its code for programs, its reason for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no stamp: {reason}")]
pub struct Rejection {
    /// Which bit is set.
    pub failure: Failure,
    /// One sentence.
    pub reason: Cow<'static, str>,
}

impl Rejection {
    /// A refusal.
    pub fn new(failure: Failure, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { failure, reason: reason.into() }
    }

    /// The response that says so.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn to_der(&self) -> der::Result<Vec<u8>> {
        let number = self.failure as u8;
        let mut bits = vec![0; usize::from(number / 8) + 1];
        if let Some(last) = bits.last_mut() {
            *last = 0x80 >> (number % 8);
        }
        let status = PkiStatusInfo {
            status: REJECTION,
            status_string: Some(vec![self.reason.clone().into_owned()]),
            // A list of named bits ends with the last that is set (X.690 section 11.2.2).
            failure: Some(BitString::new(7 - number % 8, bits)?),
        };
        TimeStampResp { status, token: None }.to_der()
    }
}

/// The response that hands out a token.
///
/// # Errors
/// The token is no DER.
pub fn granted(token: &[u8]) -> der::Result<Vec<u8>> {
    let status = PkiStatusInfo { status: GRANTED, status_string: None, failure: None };
    TimeStampResp { status, token: Some(Any::from_der(token)?) }.to_der()
}

/// ```text
/// TimeStampResp ::= SEQUENCE  {
///    status                  PKIStatusInfo,
///    timeStampToken          TimeStampToken     OPTIONAL  }
/// ```
#[derive(Sequence)]
struct TimeStampResp {
    status: PkiStatusInfo,
    #[asn1(optional = "true")]
    token: Option<Any>,
}

/// ```text
/// PKIStatusInfo ::= SEQUENCE {
///    status        PKIStatus,
///    statusString  PKIFreeText     OPTIONAL,
///    failInfo      PKIFailureInfo  OPTIONAL  }
///
/// PKIFreeText ::= SEQUENCE SIZE (1..MAX) OF UTF8String
/// ```
#[derive(Sequence)]
struct PkiStatusInfo {
    status: u8,
    #[asn1(optional = "true")]
    status_string: Option<Vec<String>>,
    #[asn1(optional = "true")]
    failure: Option<BitString>,
}

const GRANTED: u8 = 0;
const REJECTION: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_its_bit_and_no_bit_follows() {
        for (failure, bits) in [
            (Failure::BadAlg, &[0x03, 0x02, 0x07, 0x80][..]),
            (Failure::BadRequest, &[0x03, 0x02, 0x05, 0x20]),
            (Failure::BadDataFormat, &[0x03, 0x02, 0x02, 0x04]),
            (Failure::TimeNotAvailable, &[0x03, 0x03, 0x01, 0x00, 0x02]),
            (Failure::UnacceptedPolicy, &[0x03, 0x03, 0x00, 0x00, 0x01]),
            (Failure::UnacceptedExtension, &[0x03, 0x04, 0x07, 0x00, 0x00, 0x80]),
            (Failure::SystemFailure, &[0x03, 0x05, 0x06, 0x00, 0x00, 0x00, 0x40]),
        ] {
            let response = Rejection::new(failure, "no").to_der().unwrap();
            assert!(response.ends_with(bits), "{failure:?}: {response:02x?}");
        }
    }
}
