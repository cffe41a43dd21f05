//! Key references and algorithms (SP 800-73-5 Part 1 tables 4 to 6; SP 800-78 table 6-2).
use const_oid::ObjectIdentifier;
use der::Encode;
use der::asn1::{AnyRef, BitString, UintRef};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::{CardError, DataObject};
use crate::apdu::ber_tlv;
use crate::keys::public_key::PublicKey;

/// A PIV key that the card holder's software uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyReference {
    /// 9A, PIV authentication: log-in, TLS.
    Authentication,
    /// 9C, digital signature; needs the PIN before each signature.
    DigitalSignature,
    /// 9D, key management: decryption and key agreement.
    KeyManagement,
    /// 9E, card authentication; needs no PIN.
    CardAuthentication,
    /// 82 to 95, retired key management keys 1 to 20.
    Retired(RetiredNumber),
}

/// The number of a retired key management key, 1 to 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RetiredNumber(u8);

impl RetiredNumber {
    /// `None` unless the number is 1 to 20.
    pub fn new(number: u8) -> Option<Self> {
        (1..=20).contains(&number).then_some(Self(number))
    }

    /// 1 to 20.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl KeyReference {
    /// The four keys with a purpose of their own, in the order the card tool lists them.
    pub const PRIMARY: [Self; 4] =
        [Self::Authentication, Self::DigitalSignature, Self::KeyManagement, Self::CardAuthentication];

    /// The twenty retired key management keys, 82 first.
    pub fn retired() -> impl DoubleEndedIterator<Item = Self> {
        (1..=20).filter_map(RetiredNumber::new).map(Self::Retired)
    }

    /// The P2 byte: 0x9A, 0x9C, 0x9D, 0x9E or 0x82..=0x95.
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Authentication => 0x9A,
            Self::DigitalSignature => 0x9C,
            Self::KeyManagement => 0x9D,
            Self::CardAuthentication => 0x9E,
            Self::Retired(number) => 0x81 + number.0,
        }
    }

    /// The inverse of [`Self::to_byte`]; `None` for any other byte (9B is no key of the holder's).
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x9A => Some(Self::Authentication),
            0x9C => Some(Self::DigitalSignature),
            0x9D => Some(Self::KeyManagement),
            0x9E => Some(Self::CardAuthentication),
            0x82..=0x95 => RetiredNumber::new(byte - 0x81).map(Self::Retired),
            _ => None,
        }
    }

    /// The data object that holds the certificate of this key (SP 800-73-5 Part 1 table 3).
    pub fn certificate_object(self) -> DataObject {
        DataObject::from_tag(match self {
            Self::Authentication => 0x5F_C105,
            Self::DigitalSignature => 0x5F_C10A,
            Self::KeyManagement => 0x5F_C10B,
            Self::CardAuthentication => 0x5F_C101,
            Self::Retired(number) => 0x5F_C10C + u32::from(number.0),
        })
    }

    /// What the key is for, in a card holder's words.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::DigitalSignature => "digital signature",
            Self::KeyManagement => "key management",
            Self::CardAuthentication => "card authentication",
            Self::Retired(_) => "retired key management",
        }
    }

    /// Whether the card wants the PIN for it (SP 800-73-5 Part 1 table 4).
    pub fn needs_pin(self) -> bool {
        self != Self::CardAuthentication
    }
}

impl std::fmt::Display for KeyReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02X}", self.to_byte())
    }
}

impl std::str::FromStr for KeyReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u8::from_str_radix(text, 16)
            .ok()
            .and_then(Self::from_byte)
            .ok_or_else(|| format!("{text:?} is no key reference; write 9A, 9C, 9D, 9E or 82 to 95"))
    }
}

/// What kind of key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// RSA with a 1024-bit modulus, in retired keys alone (SP 800-78-5 table 6-2): old mail is still decrypted and old
    /// signatures are verified with it; nothing new is made.
    Rsa1024,
    /// RSA with a 2048-bit modulus and exponent 65537.
    Rsa2048,
    /// RSA with a 3072-bit modulus and exponent 65537.
    Rsa3072,
    /// RSA with a 4096-bit modulus and exponent 65537: no NIST card, but vendor cards have it.
    Rsa4096,
    /// ECC on NIST P-256 (secp256r1).
    P256,
    /// ECC on NIST P-384 (secp384r1).
    P384,
    /// Signatures on Curve25519 (RFC 8032): vendor cards (YubiKey from 5.7).
    Ed25519,
    /// Key agreement on Curve25519 (RFC 7748): vendor cards (YubiKey from 5.7).
    X25519,
}

/// 1.2.840.113549.1.1.1 (RFC 8017 appendix C).
const RSA_ENCRYPTION: ObjectIdentifier = const_oid::db::rfc5912::RSA_ENCRYPTION;
/// 1.2.840.10045.2.1 (RFC 5480 section 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = const_oid::db::rfc5912::ID_EC_PUBLIC_KEY;

impl KeyAlgorithm {
    const ALL: [Self; 8] = [
        Self::Rsa1024,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::P256,
        Self::P384,
        Self::Ed25519,
        Self::X25519,
    ];

    /// The algorithm of a public key; `None` where PIV has none for it.
    pub fn of(public_key: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        PublicKey::try_from(public_key).ok()?.algorithm()
    }

    /// The P1 byte (SP 800-78 table 6-2; the vendor's own for 4096 bits and Curve25519).
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Rsa1024 => 0x06,
            Self::Rsa2048 => 0x07,
            Self::Rsa3072 => 0x05,
            Self::P256 => 0x11,
            Self::P384 => 0x14,
            Self::Rsa4096 => 0x16,
            Self::Ed25519 => 0xE0,
            Self::X25519 => 0xE1,
        }
    }

    /// The inverse of [`Self::to_byte`].
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.to_byte() == byte)
    }

    /// Bytes of the modulus, or of a coordinate.
    pub fn length(self) -> usize {
        match self {
            Self::Rsa1024 => 128,
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
            Self::P256 | Self::Ed25519 | Self::X25519 => 32,
            Self::P384 => 48,
        }
    }

    /// Whether it is RSA, of whatever size.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa1024 | Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// Whether it is a curve on which ECDSA signs.
    pub fn is_weierstrass(self) -> bool {
        matches!(self, Self::P256 | Self::P384)
    }

    /// Algorithm and parameters in a SubjectPublicKeyInfo (RFC 3279, RFC 5480, RFC 8410).
    fn identifier(self) -> AlgorithmIdentifierOwned {
        let (oid, parameters) = match self {
            Self::Rsa1024 | Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                (RSA_ENCRYPTION, Some(AnyRef::NULL.into()))
            }
            Self::P256 => (EC_PUBLIC_KEY, Some((&const_oid::db::rfc5912::SECP_256_R_1).into())),
            Self::P384 => (EC_PUBLIC_KEY, Some((&const_oid::db::rfc5912::SECP_384_R_1).into())),
            Self::X25519 => (const_oid::db::rfc8410::ID_X_25519, None),
            Self::Ed25519 => (const_oid::db::rfc8410::ID_ED_25519, None),
        };
        AlgorithmIdentifierOwned { oid, parameters }
    }

    /// Reads the public key template of GENERATE ASYMMETRIC KEY PAIR: `81 n 82 e`, or `86 point`
    /// (SP 800-73-5 Part 2 section 3.3.2, without its `7F49`).
    pub(crate) fn public_key_from_template(
        self,
        template: &[u8],
    ) -> Result<SubjectPublicKeyInfoOwned, CardError> {
        let missing = || CardError::MalformedAnswer(format!("no {self} public key in the template"));
        let public_key = if self.is_rsa() {
            let modulus = ber_tlv::find(template, 0x81)?.ok_or_else(missing)?;
            let exponent = ber_tlv::find(template, 0x82)?.ok_or_else(missing)?;
            self.public_key_of_rsa(modulus, exponent)
        } else {
            self.public_key_of_point(ber_tlv::find(template, 0x86)?.ok_or_else(missing)?)
        };
        public_key.ok_or_else(missing)
    }

    /// `None` unless the modulus has this algorithm's size.
    pub(crate) fn public_key_of_rsa(
        self,
        modulus: &[u8],
        exponent: &[u8],
    ) -> Option<SubjectPublicKeyInfoOwned> {
        self.public_key(&rsa_public_key(modulus, exponent).ok()?)
    }

    /// `None` unless the point lies on this algorithm's curve.
    pub(crate) fn public_key_of_point(self, point: &[u8]) -> Option<SubjectPublicKeyInfoOwned> {
        self.public_key(point)
    }

    fn public_key(self, key: &[u8]) -> Option<SubjectPublicKeyInfoOwned> {
        let subject_public_key = BitString::from_bytes(key).ok()?;
        let public_key = SubjectPublicKeyInfoOwned { algorithm: self.identifier(), subject_public_key };
        (Self::of(&public_key) == Some(self)).then_some(public_key)
    }
}

/// RSAPublicKey (RFC 8017 appendix A.1.1).
fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> der::Result<Vec<u8>> {
    let mut contents = UintRef::new(modulus)?.to_der()?;
    contents.extend(UintRef::new(exponent)?.to_der()?);
    Ok(ber_tlv::encode(0x30, &contents))
}

impl std::fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rsa1024 => "RSA-1024",
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa4096 => "RSA-4096",
            Self::Ed25519 => "Ed25519",
            Self::X25519 => "X25519",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_references_read_back_from_their_byte() {
        let all: Vec<_> = KeyReference::PRIMARY.into_iter().chain(KeyReference::retired()).collect();
        assert_eq!(all.len(), 24);
        for key in all {
            assert_eq!(KeyReference::from_byte(key.to_byte()), Some(key));
            assert_eq!(key.to_string().to_lowercase().parse::<KeyReference>().unwrap(), key);
        }
        for byte in [0x00, 0x80, 0x81, 0x96, 0x9B, 0xF9] {
            assert_eq!(KeyReference::from_byte(byte), None, "{byte:02X}");
        }
    }

    /// SP 800-73-5 Part 1 table 3.
    #[test]
    fn certificates_lie_where_table_3_says() {
        let first = KeyReference::from_byte(0x82).unwrap();
        let last = KeyReference::from_byte(0x95).unwrap();
        assert_eq!(KeyReference::Authentication.certificate_object().tag(), 0x5F_C105);
        assert_eq!(KeyReference::DigitalSignature.certificate_object().tag(), 0x5F_C10A);
        assert_eq!(KeyReference::KeyManagement.certificate_object().tag(), 0x5F_C10B);
        assert_eq!(KeyReference::CardAuthentication.certificate_object().tag(), 0x5F_C101);
        assert_eq!(first.certificate_object().tag(), 0x5F_C10D);
        assert_eq!(last.certificate_object().tag(), 0x5F_C120);
    }

    #[test]
    fn a_point_off_the_curve_is_no_public_key() {
        let mut template = ber_tlv::encode(0x86, &[0x04; 65]);
        assert!(KeyAlgorithm::P256.public_key_from_template(&template).is_err());
        template.truncate(20);
        assert!(KeyAlgorithm::P256.public_key_from_template(&template).is_err());
        assert!(KeyAlgorithm::Rsa2048.public_key_from_template(&[]).is_err());
    }
}
