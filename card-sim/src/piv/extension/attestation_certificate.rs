//! X.509 certificates as the card makes them for attestation (RFC 5280 section 4.1).

use der::asn1::{BitString, Int, OctetString, UintRef};
use der::oid::ObjectIdentifier;
use der::{Any, Encode, Sequence};
use sha2::{Digest as _, Sha256};
use x509_cert::certificate::Version;
use x509_cert::name::Name;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::Validity;

use crate::crypto::{CryptoError, PrivateKey, PublicKey, Randomness};

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The DigestInfo of SHA-256 up to the digest itself (RFC 8017 section 9.2 note 1).
const SHA256_DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// What a certificate says, but for its serial number and the algorithm of its signature.
pub(super) struct Statement {
    pub(super) issuer: Name,
    pub(super) validity: Validity,
    pub(super) subject: Name,
    pub(super) public_key: PublicKey,
    pub(super) extensions: Vec<Extension>,
}

/// ```text
/// Extension ::= SEQUENCE {
///      extnID      OBJECT IDENTIFIER,
///      critical    BOOLEAN DEFAULT FALSE,
///      extnValue   OCTET STRING }
/// ```
#[derive(Clone, Sequence)]
pub(super) struct Extension {
    pub(super) extn_id: ObjectIdentifier,
    #[asn1(default = "Default::default")]
    pub(super) critical: bool,
    pub(super) extn_value: OctetString,
}

/// ```text
/// TBSCertificate ::= SEQUENCE {
///      version         [0]  EXPLICIT Version DEFAULT v1,
///      serialNumber         CertificateSerialNumber,
///      signature            AlgorithmIdentifier,
///      issuer               Name,
///      validity             Validity,
///      subject              Name,
///      subjectPublicKeyInfo SubjectPublicKeyInfo,
///      extensions      [3]  EXPLICIT Extensions OPTIONAL }
/// ```
#[derive(Sequence)]
struct TbsCertificate {
    #[asn1(context_specific = "0", default = "Default::default")]
    version: Version,
    serial_number: Int,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    subject_public_key_info: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// ```text
/// Certificate ::= SEQUENCE {
///      tbsCertificate       TBSCertificate,
///      signatureAlgorithm   AlgorithmIdentifier,
///      signature            BIT STRING }
/// ```
#[derive(Sequence)]
struct Certificate {
    tbs_certificate: TbsCertificate,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// ```text
/// RSAPublicKey ::= SEQUENCE {
///      modulus           INTEGER,
///      publicExponent    INTEGER }
/// ```
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

impl Extension {
    /// An extension that is not critical, with this value as it is.
    pub(super) fn new(extn_id: ObjectIdentifier, value: Vec<u8>) -> Result<Self, CryptoError> {
        Ok(Self { extn_id, critical: false, extn_value: OctetString::new(value).map_err(unencodable)? })
    }
}

impl Statement {
    /// The certificate in DER, under a random serial number.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] when the signing key is neither RSA nor on a NIST curve.
    pub(super) fn sign(
        self,
        key: &dyn PrivateKey,
        randomness: &mut Randomness,
    ) -> Result<Vec<u8>, CryptoError> {
        let algorithm = signature_algorithm(&key.public_key())?;
        let tbs_certificate = TbsCertificate {
            version: Version::V3,
            serial_number: serial_number(randomness)?,
            signature: algorithm.clone(),
            issuer: self.issuer,
            validity: self.validity,
            subject: self.subject,
            subject_public_key_info: subject_public_key_info(&self.public_key)?,
            extensions: self.extensions,
        };
        let digest = Sha256::digest(tbs_certificate.to_der().map_err(unencodable)?);
        let signature = match key.public_key() {
            PublicKey::Rsa { modulus, .. } => {
                key.rsa_private_operation(&padded(&digest, modulus.len()), randomness)?.to_vec()
            }
            _ => key.ecdsa_sign(&digest)?,
        };
        let signature = BitString::from_bytes(&signature).map_err(unencodable)?;
        let certificate = Certificate { tbs_certificate, signature_algorithm: algorithm, signature };
        certificate.to_der().map_err(unencodable)
    }
}

/// Sixteen random bytes, as a positive number that needs all of them.
fn serial_number(randomness: &mut Randomness) -> Result<Int, CryptoError> {
    let random = u128::from_be_bytes(randomness.array());
    let bytes = (random >> 1 | 1 << 126).to_be_bytes();
    Int::new(&bytes).map_err(unencodable)
}

fn signature_algorithm(key: &PublicKey) -> Result<AlgorithmIdentifierOwned, CryptoError> {
    match key {
        PublicKey::Rsa { .. } => {
            Ok(AlgorithmIdentifierOwned { oid: SHA256_WITH_RSA, parameters: Some(Any::null()) })
        }
        PublicKey::P256 { .. } | PublicKey::P384 { .. } => {
            Ok(AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None })
        }
        PublicKey::Ed25519 { .. } | PublicKey::X25519 { .. } => Err(CryptoError::InvalidKey),
    }
}

/// The padding of PKCS #1 version 1.5 (RFC 8017 section 9.2).
fn padded(digest: &[u8], length: usize) -> Vec<u8> {
    let fixed = 3 + SHA256_DIGEST_INFO.len() + digest.len();
    let mut block = vec![0x00, 0x01];
    block.resize(2 + length.saturating_sub(fixed), 0xFF);
    block.push(0x00);
    block.extend(SHA256_DIGEST_INFO);
    block.extend(digest);
    block
}

/// A public key as certificates carry it (RFC 3279 section 2.3, RFC 5480, RFC 8410).
pub(super) fn subject_public_key_info(key: &PublicKey) -> Result<SubjectPublicKeyInfoOwned, CryptoError> {
    let on_curve = |curve: ObjectIdentifier, point: &[u8]| {
        let algorithm = AlgorithmIdentifierOwned { oid: EC_PUBLIC_KEY, parameters: Some(Any::from(curve)) };
        (algorithm, point.to_vec())
    };
    let alone = |oid, point: &[u8]| (AlgorithmIdentifierOwned { oid, parameters: None }, point.to_vec());
    let (algorithm, bits) = match key {
        PublicKey::Rsa { modulus, exponent } => {
            let integer = |bytes| UintRef::new(bytes).map_err(unencodable);
            let numbers = RsaPublicKey { modulus: integer(modulus)?, public_exponent: integer(exponent)? };
            let algorithm = AlgorithmIdentifierOwned { oid: RSA_ENCRYPTION, parameters: Some(Any::null()) };
            (algorithm, numbers.to_der().map_err(unencodable)?)
        }
        PublicKey::P256 { point } => on_curve(P256, point),
        PublicKey::P384 { point } => on_curve(P384, point),
        PublicKey::Ed25519 { point } => alone(ED25519, point),
        PublicKey::X25519 { point } => alone(X25519, point),
    };
    let subject_public_key = BitString::from_bytes(&bits).map_err(unencodable)?;
    Ok(SubjectPublicKeyInfoOwned { algorithm, subject_public_key })
}

/// No certificate of this card is too long for DER, so it does not happen.
pub(super) fn unencodable(_: der::Error) -> CryptoError {
    CryptoError::Failed
}
