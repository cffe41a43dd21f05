//! Public keys: their attributes, and what is done with them here, without the card.
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{BitString, OctetString, OctetStringRef, UintRef};
use der::{Decode, Encode, Reader, SliceReader};
use ed25519_dalek::VerifyingKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::DecodePublicKey;
use rsa::BoxedUint;
use rsa::traits::PublicKeyParts;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

use crate::attribute::{self, Attributes};
use crate::mechanism::{Encryption, Scheme};
use crate::object::key_type;
use crate::return_value::ReturnValue;
use middleware::keys::rsa_padding;

/// A public key of a kind that is computed with here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    Rsa(RsaNumbers),
    P256(p256::PublicKey),
    P384(p384::PublicKey),
    Ed25519(VerifyingKey),
    X25519([u8; 32]),
}

/// Modulus and exponent without leading zeros. What is computed from them takes time and is made when it is needed: a card
/// may have twenty-four keys, and a program that lists them uses one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RsaNumbers {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl RsaNumbers {
    fn new(modulus: &[u8], exponent: &[u8]) -> Self {
        let without_zeros = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        Self { modulus: without_zeros(modulus), exponent: without_zeros(exponent) }
    }

    /// RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } (RFC 8017 appendix A.1.1)
    fn from_der(bytes: &[u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(bytes)?;
        let numbers = reader.sequence(|sequence| {
            let (modulus, exponent) = (sequence.decode::<UintRef<'_>>()?, sequence.decode::<UintRef<'_>>()?);
            Ok::<_, der::Error>(Self::new(modulus.as_bytes(), exponent.as_bytes()))
        })?;
        reader.finish()?;
        Ok(numbers)
    }

    fn bits(&self) -> usize {
        let first = self.modulus.first().map_or(8, |byte| byte.leading_zeros());
        (self.modulus.len() * 8).saturating_sub(usize::try_from(first).unwrap_or_default())
    }

    /// The key to compute with.
    fn key(&self) -> Result<rsa::RsaPublicKey, ReturnValue> {
        let invalid = ReturnValue::ATTRIBUTE_VALUE_INVALID;
        let number = |bytes: &[u8]| -> Result<BoxedUint, ReturnValue> {
            // Longer than RSA-8192 is nobody's key.
            let bits = u32::try_from(bytes.len()).ok().filter(|&length| length <= 1024).ok_or(invalid)? * 8;
            BoxedUint::from_be_slice(bytes, bits).map_err(|_| invalid)
        };
        rsa::RsaPublicKey::new(number(&self.modulus)?, number(&self.exponent)?).map_err(|_| invalid)
    }
}

impl PublicKey {
    /// `None` for a key of a kind that PIV does not have.
    pub(crate) fn of(information: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        let raw = information.subject_public_key.raw_bytes();
        match information.algorithm.oid {
            rfc8410::ID_ED_25519 => VerifyingKey::from_bytes(&raw.try_into().ok()?).ok().map(Self::Ed25519),
            rfc8410::ID_X_25519 => raw.try_into().ok().map(Self::X25519),
            rfc5912::RSA_ENCRYPTION => RsaNumbers::from_der(raw).ok().map(Self::Rsa),
            _ => {
                let bytes = information.to_der().ok()?;
                p256::PublicKey::from_public_key_der(&bytes)
                    .map(Self::P256)
                    .or_else(|_| p384::PublicKey::from_public_key_der(&bytes).map(Self::P384))
                    .ok()
            }
        }
    }

    /// Reads the key of a template (CKO_PUBLIC_KEY).
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCOMPLETE`, `CKR_ATTRIBUTE_VALUE_INVALID`.
    pub(crate) fn of_template(template: &Attributes) -> Result<Self, ReturnValue> {
        let kind = template.number(attribute::KEY_TYPE)?.ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?;
        let value = |kind| template.get(kind).ok_or(ReturnValue::TEMPLATE_INCOMPLETE);
        if kind == key_type::RSA {
            return Self::rsa(value(attribute::MODULUS)?, value(attribute::PUBLIC_EXPONENT)?);
        }
        let curve = Curve::of_parameters(value(attribute::EC_PARAMS)?);
        let point = unwrapped_point(value(attribute::EC_POINT)?);
        let key = match (kind, curve) {
            (key_type::EC, Some(Curve::P256)) => p256::PublicKey::from_sec1_bytes(point).ok().map(Self::P256),
            (key_type::EC, Some(Curve::P384)) => p384::PublicKey::from_sec1_bytes(point).ok().map(Self::P384),
            (key_type::EC_EDWARDS, Some(Curve::Ed25519)) => point
                .try_into()
                .ok()
                .and_then(|bytes| VerifyingKey::from_bytes(bytes).ok())
                .map(Self::Ed25519),
            (key_type::EC_MONTGOMERY, Some(Curve::X25519)) => point.try_into().ok().map(Self::X25519),
            _ => None,
        };
        key.ok_or(ReturnValue::ATTRIBUTE_VALUE_INVALID)
    }

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, ReturnValue> {
        let numbers = RsaNumbers::new(modulus, exponent);
        // Refused now rather than when it is used.
        numbers.key()?;
        Ok(Self::Rsa(numbers))
    }

    /// CKA_KEY_TYPE.
    pub(crate) fn key_type(&self) -> std::ffi::c_ulong {
        match self {
            Self::Rsa(_) => key_type::RSA,
            Self::P256(_) | Self::P384(_) => key_type::EC,
            Self::Ed25519(_) => key_type::EC_EDWARDS,
            Self::X25519(_) => key_type::EC_MONTGOMERY,
        }
    }

    fn curve(&self) -> Option<Curve> {
        match self {
            Self::Rsa(_) => None,
            Self::P256(_) => Some(Curve::P256),
            Self::P384(_) => Some(Curve::P384),
            Self::Ed25519(_) => Some(Curve::Ed25519),
            Self::X25519(_) => Some(Curve::X25519),
        }
    }

    /// Key type and numbers, as a public key has them and a private key may (Current Mechanisms 3.0 sections 2.1
    /// and 2.3).
    pub(crate) fn describe(&self, attributes: &mut Attributes) {
        attributes.set_number(attribute::KEY_TYPE, self.key_type());
        if let Self::Rsa(key) = self {
            attributes.set(attribute::MODULUS, &key.modulus);
            attributes.set(attribute::PUBLIC_EXPONENT, &key.exponent);
        }
        if let Some(curve) = self.curve() {
            attributes.set(attribute::EC_PARAMS, &curve.parameters());
            let point = OctetString::new(self.raw()).and_then(|point| point.to_der());
            attributes.set(attribute::EC_POINT, &point.unwrap_or_default());
        }
        if let Ok(information) = self.information().and_then(|information| information.to_der()) {
            attributes.set(attribute::PUBLIC_KEY_INFO, &information);
        }
    }

    /// The point, or the bytes of a key on Curve25519.
    fn raw(&self) -> Vec<u8> {
        match self {
            Self::Rsa(_) => Vec::new(),
            Self::P256(key) => key.to_sec1_bytes().to_vec(),
            Self::P384(key) => key.to_sec1_bytes().to_vec(),
            Self::Ed25519(key) => key.to_bytes().to_vec(),
            Self::X25519(key) => key.to_vec(),
        }
    }

    fn information(&self) -> der::Result<SubjectPublicKeyInfoOwned> {
        let (algorithm, key) = match (self, self.curve()) {
            (Self::Rsa(key), _) => {
                let mut numbers = UintRef::new(&key.modulus)?.to_der()?;
                numbers.extend(UintRef::new(&key.exponent)?.to_der()?);
                let null = Some(der::asn1::AnyRef::NULL.into());
                let algorithm = AlgorithmIdentifierOwned { oid: rfc5912::RSA_ENCRYPTION, parameters: null };
                (algorithm, der::Any::new(der::Tag::Sequence, numbers)?.to_der()?)
            }
            (_, Some(curve)) => (curve.algorithm(), self.raw()),
            (_, None) => return Err(der::ErrorKind::Failed.into()),
        };
        Ok(SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(&key)? })
    }

    /// Bits of the modulus or of the field.
    pub(crate) fn bits(&self) -> usize {
        match self {
            Self::Rsa(key) => key.bits(),
            Self::P256(_) => 256,
            Self::P384(_) => 384,
            Self::Ed25519(_) | Self::X25519(_) => 255,
        }
    }

    /// Bytes of the modulus or of a coordinate.
    pub(crate) fn length(&self) -> usize {
        self.bits().div_ceil(8)
    }

    /// Whether keys of this kind sign by that scheme.
    pub(crate) fn fits(&self, scheme: Scheme) -> bool {
        match scheme {
            Scheme::Ecdsa => matches!(self, Self::P256(_) | Self::P384(_)),
            Scheme::Eddsa => matches!(self, Self::Ed25519(_)),
            _ => matches!(self, Self::Rsa(_)),
        }
    }

    /// Bytes of a signature.
    pub(crate) fn signature_length(&self) -> usize {
        if matches!(self, Self::Rsa(_)) { self.length() } else { 2 * self.length() }
    }

    /// Checks a signature over what is left after hashing.
    ///
    /// # Errors
    /// `CKR_SIGNATURE_LEN_RANGE`, `CKR_SIGNATURE_INVALID`, `CKR_DATA_LEN_RANGE`.
    pub(crate) fn verify(&self, scheme: Scheme, data: &[u8], signature: &[u8]) -> Result<(), ReturnValue> {
        if signature.len() != self.signature_length() {
            return Err(ReturnValue::SIGNATURE_LEN_RANGE);
        }
        let is_good = match (self, scheme) {
            (Self::Rsa(_), _) => self.is_rsa_signature(scheme, data, signature)?,
            (Self::P256(key), Scheme::Ecdsa) => {
                p256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
                    p256::ecdsa::VerifyingKey::from(key).verify_prehash(&filled(data, 32), &signature).is_ok()
                })
            }
            (Self::P384(key), Scheme::Ecdsa) => {
                p384::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
                    p384::ecdsa::VerifyingKey::from(key).verify_prehash(&filled(data, 48), &signature).is_ok()
                })
            }
            (Self::Ed25519(key), Scheme::Eddsa) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(data, &signature).is_ok()),
            _ => return Err(ReturnValue::KEY_TYPE_INCONSISTENT),
        };
        if is_good { Ok(()) } else { Err(ReturnValue::SIGNATURE_INVALID) }
    }

    fn is_rsa_signature(&self, scheme: Scheme, data: &[u8], signature: &[u8]) -> Result<bool, ReturnValue> {
        let Ok(block) = self.raise(signature) else { return Ok(false) };
        Ok(match scheme {
            Scheme::RsaPkcs => *block == *rsa_padding::pkcs1_signature_block(data, self.length())?,
            Scheme::RsaPkcsDigest(hash) => {
                *block == *rsa_padding::pkcs1_signature_block(&hash.digest_info(data), self.length())?
            }
            Scheme::RsaX509 => *block == filled(data, self.length()),
            Scheme::RsaPss(pss) => {
                let length = (self.bits() - 1).div_ceil(8);
                let (zeros, encoded) = block.split_at(block.len() - length);
                zeros.iter().all(|byte| *byte == 0)
                    && rsa_padding::is_pss_block(pss, data, encoded, self.bits())
            }
            Scheme::Ecdsa | Scheme::Eddsa => return Err(ReturnValue::KEY_TYPE_INCONSISTENT),
        })
    }

    /// Encrypts to an RSA key.
    ///
    /// # Errors
    /// `CKR_DATA_LEN_RANGE`, `CKR_DATA_INVALID`, `CKR_KEY_TYPE_INCONSISTENT`.
    pub(crate) fn encrypt(
        &self,
        encryption: &Encryption,
        message: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
        let length = self.length();
        let block = match encryption {
            Encryption::RsaPkcs => rsa_padding::pkcs1_encryption_block(message, length)?,
            Encryption::RsaOaep(oaep) => rsa_padding::oaep_block(oaep, message, length)?,
            Encryption::RsaX509 if message.len() > length => return Err(ReturnValue::DATA_LEN_RANGE),
            Encryption::RsaX509 => Zeroizing::new(filled(message, length)),
        };
        self.raise(&block)
    }

    /// Raises a block to the public exponent.
    fn raise(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
        let Self::Rsa(numbers) = self else { return Err(ReturnValue::KEY_TYPE_INCONSISTENT) };
        let key = &numbers.key().map_err(|_| ReturnValue::KEY_SIZE_RANGE)?;
        let invalid = ReturnValue::DATA_INVALID;
        let number = BoxedUint::from_be_slice(block, key.n().bits_precision()).map_err(|_| invalid)?;
        if number >= **key.n() {
            return Err(invalid);
        }
        let raised = rsa::hazmat::rsa_encrypt(key, &number).map_err(|_| invalid)?;
        let bytes = raised.to_be_bytes();
        let excess = bytes.len().saturating_sub(self.length());
        Ok(Zeroizing::new(filled(bytes.get(excess..).unwrap_or_default(), self.length())))
    }
}

/// As long as that: cut on the right, or filled with zeros on the left.
pub(crate) fn filled(bytes: &[u8], length: usize) -> Vec<u8> {
    let cut = bytes.get(..length).unwrap_or(bytes);
    let mut filled = vec![0; length - cut.len()];
    filled.extend_from_slice(cut);
    filled
}

/// What the curves were called before RFC 8410, and OpenSC still calls them.
const EARLIER_EDWARDS_25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.15.1");
const EARLIER_CURVE_25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3029.1.5.1");

/// A curve of PIV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    Ed25519,
    X25519,
}

impl Curve {
    const ALL: [Self; 4] = [Self::P256, Self::P384, Self::Ed25519, Self::X25519];

    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::P256 => rfc5912::SECP_256_R_1,
            Self::P384 => rfc5912::SECP_384_R_1,
            Self::Ed25519 => rfc8410::ID_ED_25519,
            Self::X25519 => rfc8410::ID_X_25519,
        }
    }

    /// CKA_EC_PARAMS: the curve by its object identifier.
    fn parameters(self) -> Vec<u8> {
        self.oid().to_der().unwrap_or_default()
    }

    /// Reads CKA_EC_PARAMS: an object identifier, or a name in a PrintableString (Current Mechanisms 3.0 section 2.3.3).
    pub(crate) fn of_parameters(parameters: &[u8]) -> Option<Self> {
        if let Ok(oid) = ObjectIdentifier::from_der(parameters) {
            return match oid {
                EARLIER_EDWARDS_25519 => Some(Self::Ed25519),
                EARLIER_CURVE_25519 => Some(Self::X25519),
                oid => Self::ALL.into_iter().find(|curve| curve.oid() == oid),
            };
        }
        // OpenSC 0.23 gives one of these names a wrong length.
        match parameters {
            [0x13, _, name @ ..] => match name {
                b"secp256r1" | b"prime256v1" => Some(Self::P256),
                b"secp384r1" => Some(Self::P384),
                b"edwards25519" => Some(Self::Ed25519),
                b"curve25519" => Some(Self::X25519),
                _ => None,
            },
            _ => None,
        }
    }

    fn algorithm(self) -> AlgorithmIdentifierOwned {
        match self {
            Self::P256 | Self::P384 => AlgorithmIdentifierOwned {
                oid: rfc5912::ID_EC_PUBLIC_KEY,
                parameters: Some((&self.oid()).into()),
            },
            Self::Ed25519 | Self::X25519 => AlgorithmIdentifierOwned { oid: self.oid(), parameters: None },
        }
    }
}

/// A point as it is, or in the OCTET STRING that CKA_EC_POINT has around it; applications give either. What the string
/// holds must be as long as a point: an uncompressed point may begin like a string.
pub(crate) fn unwrapped_point(bytes: &[u8]) -> &[u8] {
    let inner = <&OctetStringRef>::from_der(bytes).ok().map(OctetStringRef::as_bytes);
    inner.filter(|point| matches!(point.len(), 32 | 65 | 97)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_found_with_and_without_its_string() {
        let mut point = vec![0x04, 0x3F];
        point.resize(65, 7);
        assert_eq!(unwrapped_point(&point), point);
        let wrapped = OctetString::new(&*point).unwrap().to_der().unwrap();
        assert_eq!(unwrapped_point(&wrapped), point);
        assert_eq!(unwrapped_point(&[4, 0x20]), [4, 0x20]);
        assert_eq!(unwrapped_point(&[]), [0; 0]);
    }

    #[test]
    fn curves_are_known_by_number_and_by_name() {
        for curve in Curve::ALL {
            assert_eq!(Curve::of_parameters(&curve.parameters()), Some(curve));
        }
        assert_eq!(Curve::of_parameters(b"\x13\x0Cedwards25519"), Some(Curve::Ed25519));
        assert_eq!(Curve::of_parameters(b"\x06\x03\x2A\x03\x04"), None);
        assert_eq!(Curve::of_parameters(&[]), None);
    }

    #[test]
    fn what_is_described_is_read_back() {
        let point = p256::PublicKey::from_sec1_bytes(
            &hex::decode(concat!(
                "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
                "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
            ))
            .unwrap(),
        );
        let rsa = PublicKey::rsa(&[0xC5; 256], &[1, 0, 1]).unwrap();
        for key in [PublicKey::P256(point.unwrap()), PublicKey::X25519([9; 32]), rsa] {
            let mut attributes = Attributes::default();
            key.describe(&mut attributes);
            assert_eq!(PublicKey::of_template(&attributes), Ok(key.clone()));
            let information = attributes.get(attribute::PUBLIC_KEY_INFO).unwrap();
            let information = SubjectPublicKeyInfoOwned::from_der(information).unwrap();
            assert_eq!(PublicKey::of(&information), Some(key));
        }
    }

    #[test]
    fn absurd_numbers_are_no_rsa_key() {
        for (modulus, exponent) in
            [(&[][..], &[][..]), (&[1; 2000], &[3]), (&[0; 256], &[3]), (&[0xC5; 256], &[0])]
        {
            assert!(PublicKey::rsa(modulus, exponent).is_err());
        }
    }
}
