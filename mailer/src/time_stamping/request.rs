//! TimeStampReq (RFC 3161 section 2.4.1).
use const_oid::ObjectIdentifier;
use der::Encode;

use super::error::NoTimeStamp;
use crate::certificate::DigestAlgorithm;
use crate::certificate::tlv::{element, tag};

/// The digest of what is stamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageImprint {
    pub(super) algorithm: DigestAlgorithm,
    pub(super) digest: Vec<u8>,
}

impl MessageImprint {
    /// Of these octets.
    pub fn of(algorithm: DigestAlgorithm, octets: &[u8]) -> Self {
        Self { algorithm, digest: algorithm.digest(octets) }
    }

    /// A digest that is known already; `None` when it is not as long as the algorithm's.
    pub fn from_digest(algorithm: DigestAlgorithm, digest: Vec<u8>) -> Option<Self> {
        (digest.len() == algorithm.length()).then_some(Self { algorithm, digest })
    }

    /// The digest algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The digest.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// `MessageImprint ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, hashedMessage OCTET STRING }`
    fn to_der(&self) -> der::Result<Vec<u8>> {
        // RFC 5754 section 2: parameters of the SHA-2 digests are absent.
        let algorithm = element(tag::SEQUENCE, &[&self.algorithm.identifier().to_der()?]);
        Ok(element(tag::SEQUENCE, &[&algorithm, &element(tag::OCTET_STRING, &[&self.digest])]))
    }
}

/// A number that is used once: who repeats it has seen the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce([u8; Self::OCTETS]);

impl Nonce {
    /// How many random octets it is made of.
    pub const OCTETS: usize = 8;

    /// From random octets. The number is positive and has neither a sign octet nor leading zeros, over which servers
    /// stumble: that costs two of the 64 bits.
    pub fn from_random(mut octets: [u8; Self::OCTETS]) -> Self {
        let [first, ..] = &mut octets;
        *first = (*first & 0x3F) | 0x40;
        Self(octets)
    }

    /// The octets of the number, most significant first; the first is not zero.
    pub fn magnitude(&self) -> &[u8] {
        &self.0
    }
}

/// A request for one time stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStampRequest {
    pub(super) imprint: MessageImprint,
    pub(super) policy: Option<ObjectIdentifier>,
    pub(super) nonce: Nonce,
}

impl TimeStampRequest {
    /// Asks for a stamp of this imprint, under a policy if one is wanted; the authority's certificate shall come along.
    ///
    /// # Errors
    /// [`NoTimeStamp::UnsupportedImprint`]: a digest that proves nothing for long.
    pub fn new(
        imprint: MessageImprint,
        policy: Option<ObjectIdentifier>,
        nonce: Nonce,
    ) -> Result<Self, NoTimeStamp> {
        match imprint.algorithm {
            DigestAlgorithm::Sha256 | DigestAlgorithm::Sha384 | DigestAlgorithm::Sha512 => {
                Ok(Self { imprint, policy, nonce })
            }
            weak => Err(NoTimeStamp::UnsupportedImprint(weak.to_string())),
        }
    }

    /// The request in DER.
    ///
    /// ```text
    /// TimeStampReq ::= SEQUENCE { version INTEGER { v1(1) }, messageImprint MessageImprint, reqPolicy TSAPolicyId OPTIONAL,
    ///     nonce INTEGER OPTIONAL, certReq BOOLEAN DEFAULT FALSE, extensions [0] IMPLICIT Extensions OPTIONAL }
    /// ```
    ///
    /// # Errors
    /// An object identifier cannot be encoded.
    pub fn to_der(&self) -> Result<Vec<u8>, NoTimeStamp> {
        self.encode().map_err(|error| NoTimeStamp::NotAsked(error.to_string()))
    }

    fn encode(&self) -> der::Result<Vec<u8>> {
        let policy = self.policy.map(|policy| policy.to_der()).transpose()?.unwrap_or_default();
        let parts: [&[u8]; 5] = [
            &[tag::INTEGER, 1, 1],
            &self.imprint.to_der()?,
            &policy,
            &element(tag::INTEGER, &[self.nonce.magnitude()]),
            &[tag::BOOLEAN, 1, 0xFF],
        ];
        Ok(element(tag::SEQUENCE, &parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_are_positive_and_eight_octets_long() {
        for octets in [[0; 8], [0xFF; 8], [0x80, 0, 0, 0, 0, 0, 0, 1]] {
            let nonce = Nonce::from_random(octets);
            assert!((0x40..0x80).contains(&nonce.magnitude()[0]), "{nonce:?}");
            assert_eq!(nonce.magnitude()[1..], octets[1..]);
        }
    }

    #[test]
    fn imprints_are_of_digests_that_last() {
        assert!(MessageImprint::from_digest(DigestAlgorithm::Sha256, vec![0; 31]).is_none());
        let request = |algorithm| {
            let imprint = MessageImprint::of(algorithm, b"x");
            TimeStampRequest::new(imprint, None, Nonce::from_random([0; 8]))
        };
        for weak in [DigestAlgorithm::Sha1, DigestAlgorithm::Sha224] {
            assert_eq!(request(weak).unwrap_err().code(), "time-stamp-unsupported");
        }
        let der = request(DigestAlgorithm::Sha384).unwrap().to_der().unwrap();
        assert_eq!(der[..5], [0x30, 0x51, 2, 1, 1]);
        assert!(der.ends_with(&[2, 8, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0xFF]));
    }
}
