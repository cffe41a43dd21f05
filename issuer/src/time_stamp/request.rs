//! Time-stamp requests, RFC 3161 section 2.4.1.
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::{Int, Null, OctetString};
use der::{Decode, Encode, Sequence};
use middleware::DigestAlgorithm;
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;

use super::response::{Failure, Rejection};

/// A request that can be answered with a stamp, whatever the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStampRequest {
    /// Digest algorithm of the imprint.
    pub algorithm: DigestAlgorithm,
    /// What is stamped, octet by octet as it came.
    pub(crate) message_imprint: MessageImprint,
    /// The policy asked for.
    pub policy: Option<ObjectIdentifier>,
    /// The nonce, octet by octet as it came.
    pub(crate) nonce: Option<Int>,
    /// Whether the answer shall hold the service's certificate.
    pub wants_certificate: bool,
}

impl TimeStampRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Rejection`]: what the answer says instead of a stamp.
    pub fn parse(octets: &[u8]) -> Result<Self, Rejection> {
        let malformed = |_| Rejection::new(Failure::BadDataFormat, "it is not the DER of a TimeStampReq");
        let request = TimeStampReq::from_der(octets).map_err(malformed)?;
        if request.to_der().map_err(malformed)? != octets {
            return Err(Rejection::new(Failure::BadDataFormat, "it is BER, not DER"));
        }
        if request.version != 1 {
            return Err(Rejection::new(Failure::BadRequest, "only version 1 is known"));
        }
        let algorithm = algorithm_of(&request.message_imprint.hash_algorithm)?;
        if request.message_imprint.hashed_message.as_bytes().len() != algorithm.length() {
            let reason = format!("the imprint must have the {} octets of {algorithm}", algorithm.length());
            return Err(Rejection::new(Failure::BadDataFormat, reason));
        }
        // Whether marked critical or not: what is not recognised must not be ignored.
        if request.extensions.is_some() {
            return Err(Rejection::new(Failure::UnacceptedExtension, "no extension is known"));
        }
        Ok(Self {
            algorithm,
            message_imprint: request.message_imprint,
            policy: request.policy,
            nonce: request.nonce,
            wants_certificate: request.certificate_wanted,
        })
    }

    /// The digest that is stamped.
    pub fn imprint(&self) -> &[u8] {
        self.message_imprint.hashed_message.as_bytes()
    }

    /// The magnitude of the nonce, big-endian two's complement, if there is one.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_ref().map(Int::as_bytes)
    }
}

/// SHA-2 of 256 bits and more; its parameters absent or NULL (RFC 5754 section 2).
fn algorithm_of(identifier: &AlgorithmIdentifierOwned) -> Result<DigestAlgorithm, Rejection> {
    let algorithm = match identifier.oid {
        rfc5912::ID_SHA_256 => DigestAlgorithm::Sha256,
        rfc5912::ID_SHA_384 => DigestAlgorithm::Sha384,
        rfc5912::ID_SHA_512 => DigestAlgorithm::Sha512,
        _ => {
            return Err(Rejection::new(Failure::BadAlg, "imprints are SHA-256, SHA-384 or SHA-512"));
        }
    };
    match &identifier.parameters {
        Some(parameters) if parameters.decode_as::<Null>().is_err() => {
            Err(Rejection::new(Failure::BadAlg, "the parameters of SHA-2 are absent or NULL"))
        }
        _ => Ok(algorithm),
    }
}

/// ```text
/// TimeStampReq ::= SEQUENCE  {
///    version                      INTEGER  { v1(1) },
///    messageImprint               MessageImprint,
///    reqPolicy             TSAPolicyId              OPTIONAL,
///    nonce                 INTEGER                  OPTIONAL,
///    certReq               BOOLEAN                  DEFAULT FALSE,
///    extensions            [0] IMPLICIT Extensions  OPTIONAL  }
/// ```
#[derive(Sequence)]
struct TimeStampReq {
    version: u8,
    message_imprint: MessageImprint,
    #[asn1(optional = "true")]
    policy: Option<ObjectIdentifier>,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
    #[asn1(default = "Default::default")]
    certificate_wanted: bool,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

/// ```text
/// MessageImprint ::= SEQUENCE  {
///      hashAlgorithm                AlgorithmIdentifier,
///      hashedMessage                OCTET STRING  }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct MessageImprint {
    hash_algorithm: AlgorithmIdentifierOwned,
    hashed_message: OctetString,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `version`, imprint of `length` octets under `algorithm`, then `rest`; DER.
    fn request(version: u8, algorithm: &str, length: usize, rest: &[u8]) -> Vec<u8> {
        let imprint = MessageImprint {
            hash_algorithm: AlgorithmIdentifierOwned {
                oid: ObjectIdentifier::new(algorithm).unwrap(),
                parameters: None,
            },
            hashed_message: OctetString::new(vec![0xAB; length]).unwrap(),
        };
        let contents = [&[2, 1, version][..], &imprint.to_der().unwrap(), rest].concat();
        let header = if contents.len() < 0x80 { vec![0x30] } else { vec![0x30, 0x81] };
        [header, vec![u8::try_from(contents.len()).unwrap()], contents].concat()
    }

    const SHA_256: &str = "2.16.840.1.101.3.4.2.1";

    #[track_caller]
    fn assert_rejected(octets: &[u8], failure: Failure) {
        assert_eq!(TimeStampRequest::parse(octets).map_err(|rejection| rejection.failure), Err(failure));
    }

    #[test]
    fn every_digest_of_the_list_is_taken() {
        for (oid, length, algorithm) in [
            (SHA_256, 32, DigestAlgorithm::Sha256),
            ("2.16.840.1.101.3.4.2.2", 48, DigestAlgorithm::Sha384),
            ("2.16.840.1.101.3.4.2.3", 64, DigestAlgorithm::Sha512),
        ] {
            let parsed = TimeStampRequest::parse(&request(1, oid, length, &[])).unwrap();
            assert_eq!((parsed.algorithm, parsed.imprint().len()), (algorithm, length));
            assert!(parsed.policy.is_none() && parsed.nonce().is_none() && !parsed.wants_certificate);
        }
    }

    #[test]
    fn all_fields_are_read() {
        let rest = [&[6, 3, 42, 3, 4][..], &[2, 2, 0, 0x80], &[1, 1, 0xFF]].concat();
        let parsed = TimeStampRequest::parse(&request(1, SHA_256, 32, &rest)).unwrap();
        assert_eq!(parsed.policy.unwrap().to_string(), "1.2.3.4");
        assert_eq!(parsed.nonce(), Some(&[0, 0x80][..]));
        assert!(parsed.wants_certificate);
    }

    #[test]
    fn nonces_are_as_long_as_they_like_and_may_be_negative() {
        let long = [&[2, 40, 0x7F][..], &[0xEE; 39]].concat();
        let parsed = TimeStampRequest::parse(&request(1, SHA_256, 32, &long)).unwrap();
        assert_eq!(parsed.nonce().unwrap().len(), 40);
        let parsed = TimeStampRequest::parse(&request(1, SHA_256, 32, &[2, 1, 0x80])).unwrap();
        assert_eq!(parsed.nonce(), Some(&[0x80][..]));
    }

    #[test]
    fn unknown_digests_are_bad_algorithms() {
        for oid in ["1.3.14.3.2.26", "1.2.840.113549.2.5", "2.16.840.1.101.3.4.2.4"] {
            assert_rejected(&request(1, oid, 20, &[]), Failure::BadAlg);
        }
        let with_parameters = request(1, SHA_256, 32, &[]);
        let position = with_parameters.windows(2).position(|pair| pair == [4, 32]).unwrap();
        // An INTEGER as parameter; the lengths around it grow by three.
        let mut octets = with_parameters;
        octets.splice(position..position, [2, 1, 1]);
        for length in [1, 6, 8] {
            octets[length] += 3;
        }
        assert_rejected(&octets, Failure::BadAlg);
    }

    #[test]
    fn wrong_lengths_and_other_bytes_are_bad_formats() {
        assert_rejected(&request(1, SHA_256, 31, &[]), Failure::BadDataFormat);
        assert_rejected(&request(1, SHA_256, 48, &[]), Failure::BadDataFormat);
        assert_rejected(b"", Failure::BadDataFormat);
        assert_rejected(b"GET", Failure::BadDataFormat);
        let good = request(1, SHA_256, 32, &[]);
        assert_rejected(&[&good[..], &[0]].concat(), Failure::BadDataFormat);
        assert_rejected(&good[..good.len() - 1], Failure::BadDataFormat);
        // certReq FALSE, which is the default and therefore absent in DER.
        assert_rejected(&request(1, SHA_256, 32, &[1, 1, 0]), Failure::BadDataFormat);
        // An INTEGER that is longer than it need be.
        assert_rejected(&request(1, SHA_256, 32, &[2, 2, 0, 1]), Failure::BadDataFormat);
        assert_rejected(&request(1, SHA_256, 32, &[2, 0]), Failure::BadDataFormat);
    }

    #[test]
    fn other_versions_are_bad_requests() {
        assert_rejected(&request(2, SHA_256, 32, &[]), Failure::BadRequest);
        assert_rejected(&request(0, SHA_256, 32, &[]), Failure::BadRequest);
    }

    #[test]
    fn no_extension_is_accepted_be_it_critical_or_not() {
        let extension = [0xA0, 0x0B, 0x30, 0x09, 0x06, 0x03, 0x2A, 0x03, 0x04, 0x04, 0x02, 0x05, 0x00];
        assert_rejected(&request(1, SHA_256, 32, &extension), Failure::UnacceptedExtension);
        let critical =
            [0xA0, 0x0E, 0x30, 0x0C, 0x06, 0x03, 0x2A, 0x03, 0x04, 1, 1, 0xFF, 0x04, 0x02, 0x05, 0x00];
        assert_rejected(&request(1, SHA_256, 32, &critical), Failure::UnacceptedExtension);
    }
}
