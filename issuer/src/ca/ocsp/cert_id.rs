//! Which certificate is asked about: RFC 6960 section 4.1.1.
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::{Int, Null, OctetString, Uint};
use der::{Any, Encode, Sequence};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use spki::AlgorithmIdentifierOwned;

use crate::ca::certificate::Certificate;
use crate::ca::error::CaError;
use crate::ca::serial_number::SerialNumber;

/// ```text
/// CertID ::= SEQUENCE {
///    hashAlgorithm           AlgorithmIdentifier {DIGEST-ALGORITHM, {...}},
///    issuerNameHash          OCTET STRING, -- Hash of issuer's DN
///    issuerKeyHash           OCTET STRING, -- Hash of issuer's public key
///    serialNumber            CertificateSerialNumber }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct CertId {
    pub(crate) hash_algorithm: AlgorithmIdentifierOwned,
    pub(crate) issuer_name_hash: OctetString,
    pub(crate) issuer_key_hash: OctetString,
    pub(crate) serial_number: Int,
}

impl CertId {
    /// The place of its hash in [`NAMED_BY`]; none where prepared answers do not use it.
    pub(crate) fn named_by(&self) -> Option<usize> {
        NAMED_BY.iter().position(|oid| *oid == self.hash_algorithm.oid)
    }

    /// Whether prepared answers write its hash like this: with NULL. Clients may leave that out (RFC 5754 section 2), and
    /// some of these find nothing in an answer that has it.
    pub(crate) fn is_as_prepared(&self) -> bool {
        self.hash_algorithm.parameters == Some(Any::from(Null))
    }

    /// The number that is asked about; none that a certificate of ours could have is `None`.
    pub fn serial_number(&self) -> Option<SerialNumber> {
        let octets = self.serial_number.as_bytes();
        let is_negative = octets.first().is_some_and(|octet| *octet >= 0x80);
        SerialNumber::from_bytes(octets).ok().filter(|_| !is_negative)
    }
}

/// An authority as requests name it: the hashes of its name and of its key by each algorithm.
#[derive(Clone, Debug)]
pub struct AuthorityIdentity(Vec<(ObjectIdentifier, [OctetString; 2])>);

impl AuthorityIdentity {
    /// The hashes of its name and key (the BIT STRING's octets without tag, length and unused bits).
    ///
    /// # Errors
    /// A certificate that cannot be encoded again.
    pub fn of(authority: &Certificate) -> Result<Self, CaError> {
        let malformed = |error: der::Error| CaError::malformed("CA certificate", error);
        let name = authority.tbs().subject.to_der().map_err(malformed)?;
        let key = authority.public_key().subject_public_key.raw_bytes();
        let hashes = |(oid, hash): (ObjectIdentifier, Hash)| {
            let hashed = |octets: &[u8]| OctetString::new(hash(octets)).map_err(malformed);
            Ok((oid, [hashed(&name)?, hashed(key)?]))
        };
        Ok(Self(HASHES.into_iter().map(hashes).collect::<Result<_, CaError>>()?))
    }

    /// Whether a request means a certificate of this authority, whichever of the algorithms it names it by.
    pub fn is_issuer_of(&self, certificate: &CertId) -> bool {
        let CertId { hash_algorithm, issuer_name_hash, issuer_key_hash, .. } = certificate;
        let mut hashes = self.0.iter();
        hashes.any(|(oid, [name, key])| {
            (oid, name, key) == (&hash_algorithm.oid, issuer_name_hash, issuer_key_hash)
        })
    }

    /// How prepared answers name a certificate, in the order of [`NAMED_BY`].
    pub(crate) fn cert_ids(&self, serial_number: &SerialNumber) -> Result<Vec<CertId>, CaError> {
        let prepared = NAMED_BY.iter().filter_map(|named| self.0.iter().find(|(oid, _)| oid == named));
        let id = |(oid, [name, key]): &(ObjectIdentifier, [OctetString; 2])| {
            Ok(CertId {
                hash_algorithm: AlgorithmIdentifierOwned { oid: *oid, parameters: Some(Any::from(Null)) },
                issuer_name_hash: name.clone(),
                issuer_key_hash: key.clone(),
                serial_number: Uint::new(serial_number.as_bytes())
                    .map(Int::from)
                    .map_err(|error| CaError::malformed("serial number", error))?,
            })
        };
        prepared.map(id).collect()
    }
}

/// By which hashes prepared answers name an authority: SHA-1, which RFC 5019 section 2.1.1 prescribes, and SHA-256. Each one
/// more would make another answer about every certificate, and hardly anybody asks for it.
pub(crate) const NAMED_BY: [ObjectIdentifier; 2] = [SHA_1, rfc5912::ID_SHA_256];
/// id-sha1: here it only names, nothing is trusted for it.
const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
/// The digest of these octets.
type Hash = fn(&[u8]) -> Vec<u8>;
/// By which algorithms requests may name an authority: RFC 6960 section 4.1.1 leaves that to them.
const HASHES: [(ObjectIdentifier, Hash); 5] = [
    (SHA_1, |octets| Sha1::digest(octets).to_vec()),
    (rfc5912::ID_SHA_224, |octets| Sha224::digest(octets).to_vec()),
    (rfc5912::ID_SHA_256, |octets| Sha256::digest(octets).to_vec()),
    (rfc5912::ID_SHA_384, |octets| Sha384::digest(octets).to_vec()),
    (rfc5912::ID_SHA_512, |octets| Sha512::digest(octets).to_vec()),
];
