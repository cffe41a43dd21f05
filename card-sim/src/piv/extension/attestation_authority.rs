//! The attestation authority of one card, made with the card: a root, and below it the key F9 with its certificate.
//!
//! The root's private key signs once and is forgotten. Its certificate is what a relying party pins; its subject says
//! that nothing here is hardware.

use der::asn1::{OctetString, UtcTime};
use der::oid::AssociatedOid;
use der::{DateTime, Encode};
use sha2::{Digest as _, Sha256};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::time::{Time, Validity};

use super::attestation_certificate::{Extension, Statement, subject_public_key_info, unencodable};
use crate::crypto::{
    AsymmetricAlgorithm, CryptoError, CryptoProvider, PrivateKey, PrivateKeyMaterial, Randomness,
};

/// Bytes in a key identifier (RFC 7093 section 2 method 1).
const KEY_IDENTIFIER: usize = 20;

/// What a new card gets.
pub(in crate::piv) struct AttestationAuthority {
    /// The certificate of the root, DER.
    pub(in crate::piv) root: Vec<u8>,
    /// The key F9.
    pub(in crate::piv) key: PrivateKeyMaterial,
    /// Its certificate, DER.
    pub(in crate::piv) certificate: Vec<u8>,
}

impl AttestationAuthority {
    /// Makes one for the card of this serial number.
    ///
    /// # Errors
    /// [`CryptoError::Failed`] when a key could not be made or did not sign.
    pub(in crate::piv) fn make(
        serial: u32,
        is_seeded: bool,
        crypto: &dyn CryptoProvider,
        randomness: &mut Randomness,
    ) -> Result<Self, CryptoError> {
        let root_key = crypto.load(&crypto.generate(AsymmetricAlgorithm::P256, randomness)?)?;
        let key = crypto.generate(AsymmetricAlgorithm::P256, randomness)?;
        let loaded = crypto.load(&key)?;
        let mark = if is_seeded { ",OU=Emulated and seeded" } else { ",OU=Emulated" };
        let name = |what: &str| {
            let text = format!("CN=card-sim PIV attestation {what} {serial}{mark},O=card-sim");
            text.parse::<Name>().map_err(unencodable)
        };
        let (root_name, name) = (name("root of card")?, name("of card")?);
        let root = certify(root_name.clone(), &root_name, &*root_key, &*root_key, None, randomness)?;
        let certificate = certify(name, &root_name, &*loaded, &*root_key, Some(0), randomness)?;
        Ok(Self { root, key, certificate })
    }
}

/// A CA certificate for `key` under `issuer`.
fn certify(
    subject: Name,
    issuer: &Name,
    key: &dyn PrivateKey,
    issuer_key: &dyn PrivateKey,
    path_length: Option<u8>,
    randomness: &mut Randomness,
) -> Result<Vec<u8>, CryptoError> {
    let constraints = BasicConstraints { ca: true, path_len_constraint: path_length };
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(key_identifier(issuer_key)?),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    let extensions = vec![
        critical(&constraints)?,
        critical(&KeyUsage(KeyUsages::KeyCertSign.into()))?,
        Extension::new(
            SubjectKeyIdentifier::OID,
            SubjectKeyIdentifier(key_identifier(key)?).to_der().map_err(unencodable)?,
        )?,
        Extension::new(AuthorityKeyIdentifier::OID, authority.to_der().map_err(unencodable)?)?,
    ];
    let public_key = key.public_key();
    let statement =
        Statement { issuer: issuer.clone(), validity: validity()?, subject, public_key, extensions };
    statement.sign(issuer_key, randomness)
}

fn critical<T: Encode + AssociatedOid>(value: &T) -> Result<Extension, CryptoError> {
    let extension = Extension::new(T::OID, value.to_der().map_err(unencodable)?)?;
    Ok(Extension { critical: true, ..extension })
}

fn key_identifier(key: &dyn PrivateKey) -> Result<OctetString, CryptoError> {
    let info = subject_public_key_info(&key.public_key())?;
    let digest = Sha256::digest(info.subject_public_key.raw_bytes());
    OctetString::new(digest.get(..KEY_IDENTIFIER).unwrap_or_default()).map_err(unencodable)
}

/// From 2020 to the end of 2049: a card has no clock.
fn validity() -> Result<Validity, CryptoError> {
    let first = DateTime::new(2020, 1, 1, 0, 0, 0);
    let last = DateTime::new(2049, 12, 31, 23, 59, 59);
    let time = |moment: der::Result<DateTime>| {
        moment.and_then(UtcTime::from_date_time).map(Time::UtcTime).map_err(unencodable)
    };
    Ok(Validity::new(time(first)?, time(last)?))
}
