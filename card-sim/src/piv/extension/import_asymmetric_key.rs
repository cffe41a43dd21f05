//! IMPORT ASYMMETRIC KEY, instruction FE.

use subtle::ConstantTimeEq as _;

use super::policy::{self, RequestedPolicies};
use crate::crypto::{AsymmetricAlgorithm, PrivateKey, PrivateKeyMaterial};
use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::Tlv;
use crate::piv::access_rule;
use crate::piv::algorithm;
use crate::piv::applet::PivApplet;
use crate::piv::key_reference::AsymmetricKeyReference;
use crate::piv::personality::Personality;
use crate::piv::state::{Key, KeyOrigin};
use crate::secret::SecretBytes;

/// A private key from outside.
pub struct ImportAsymmetricKey {
    reference: AsymmetricKeyReference,
    material: PrivateKeyMaterial,
    claimed: ClaimedValues,
    policies: RequestedPolicies,
}

/// What the host computed from the primes. The card computes it again and compares.
#[derive(Default)]
struct ClaimedValues {
    exponent1: Option<SecretBytes>,
    exponent2: Option<SecretBytes>,
    coefficient: Option<SecretBytes>,
}

/// The data objects of the command, by tag.
#[derive(Default)]
struct Parts {
    numbers: Numbers,
    claimed: ClaimedValues,
    policies: RequestedPolicies,
}

/// The numbers that make a private key.
#[derive(Default)]
struct Numbers {
    p: Option<SecretBytes>,
    q: Option<SecretBytes>,
    scalar: Option<SecretBytes>,
    ed25519_seed: Option<SecretBytes>,
    x25519_scalar: Option<SecretBytes>,
}

impl ImportAsymmetricKey {
    /// Parses P1 algorithm, P2 key reference, and `01 p 02 q [03 dP 04 dQ 05 qInv]`, `06 scalar`, `07 Ed25519 seed`
    /// or `08 X25519 scalar`, with `AA` and `AB` policies. Numbers may come without leading zeros, or with more.
    pub(super) fn parse(p1: u8, p2: u8, data: &[u8], personality: Personality) -> Result<Self, StatusWord> {
        let algorithm = algorithm::asymmetric(personality, p1).ok_or(StatusWord::INCORRECT_P1_P2)?;
        let reference = AsymmetricKeyReference::from_yubikey_byte(p2).ok_or(StatusWord::INCORRECT_P1_P2)?;
        policy::require_suitable(reference, algorithm)?;
        let parts = Parts::parse(data)?;
        let (claimed, policies) = (parts.claimed, parts.policies);
        let material = parts.numbers.material(algorithm)?;
        Ok(Self { reference, material, claimed, policies })
    }

    /// Checks the key and puts it in its place.
    pub(super) fn handle(self, applet: &mut PivApplet) -> Result<ResponseData, StatusWord> {
        access_rule::ADMINISTRATION.require(&applet.status)?;
        let loaded = applet.crypto.load(&self.material).map_err(|_| StatusWord::INCORRECT_DATA)?;
        self.claimed.require_true(loaded.as_ref())?;
        let key = Key {
            material: self.material,
            origin: KeyOrigin::Imported,
            pin_policy: self.policies.pin_for(self.reference),
            touch_policy: self.policies.touch(),
        };
        applet.store_key(self.reference, key, loaded)?;
        Ok(ResponseData::default())
    }
}

impl Parts {
    fn parse(data: &[u8]) -> Result<Self, StatusWord> {
        let mut parts = Self::default();
        for part in Tlv::parse_all(data).map_err(|_| StatusWord::INCORRECT_DATA)? {
            let place = match part.tag {
                0x01 => &mut parts.numbers.p,
                0x02 => &mut parts.numbers.q,
                0x03 => &mut parts.claimed.exponent1,
                0x04 => &mut parts.claimed.exponent2,
                0x05 => &mut parts.claimed.coefficient,
                0x06 => &mut parts.numbers.scalar,
                0x07 => &mut parts.numbers.ed25519_seed,
                0x08 => &mut parts.numbers.x25519_scalar,
                _ => {
                    parts.policies.read_part(part.tag, part.value)?;
                    continue;
                }
            };
            if place.replace(SecretBytes::from(part.value)).is_some() {
                return Err(StatusWord::INCORRECT_DATA);
            }
        }
        Ok(parts)
    }
}

impl Numbers {
    /// The key of this algorithm; 6A80 unless its numbers and no others are there.
    fn material(self, algorithm: AsymmetricAlgorithm) -> Result<PrivateKeyMaterial, StatusWord> {
        let length = algorithm.block_length();
        Ok(match (algorithm, self) {
            (
                AsymmetricAlgorithm::Rsa2048 | AsymmetricAlgorithm::Rsa3072 | AsymmetricAlgorithm::Rsa4096,
                Self { p: Some(p), q: Some(q), scalar: None, ed25519_seed: None, x25519_scalar: None },
            ) => PrivateKeyMaterial::Rsa { p: padded(&p, length / 2)?, q: padded(&q, length / 2)? },
            (
                AsymmetricAlgorithm::P256,
                Self { p: None, q: None, scalar: Some(scalar), ed25519_seed: None, x25519_scalar: None },
            ) => PrivateKeyMaterial::P256 { scalar: padded(&scalar, length)? },
            (
                AsymmetricAlgorithm::P384,
                Self { p: None, q: None, scalar: Some(scalar), ed25519_seed: None, x25519_scalar: None },
            ) => PrivateKeyMaterial::P384 { scalar: padded(&scalar, length)? },
            (
                AsymmetricAlgorithm::Ed25519,
                Self { p: None, q: None, scalar: None, ed25519_seed: Some(seed), x25519_scalar: None },
            ) => PrivateKeyMaterial::Ed25519 { seed: of_length(seed, length)? },
            (
                AsymmetricAlgorithm::X25519,
                Self { p: None, q: None, scalar: None, ed25519_seed: None, x25519_scalar: Some(scalar) },
            ) => PrivateKeyMaterial::X25519 { scalar: of_length(scalar, length)? },
            _ => return Err(StatusWord::INCORRECT_DATA),
        })
    }
}

/// The keys of Curve25519 are strings of bytes, not numbers.
fn of_length(bytes: SecretBytes, length: usize) -> Result<SecretBytes, StatusWord> {
    if bytes.expose().len() == length { Ok(bytes) } else { Err(StatusWord::INCORRECT_DATA) }
}

impl ClaimedValues {
    fn require_true(&self, key: &dyn PrivateKey) -> Result<(), StatusWord> {
        let claims = [&self.exponent1, &self.exponent2, &self.coefficient];
        let Some(derived) = key.rsa_derived_values() else {
            let are_absent = claims.iter().all(|claim| claim.is_none());
            return if are_absent { Ok(()) } else { Err(StatusWord::INCORRECT_DATA) };
        };
        for (claim, value) in
            claims.into_iter().zip([&derived.exponent1, &derived.exponent2, &derived.coefficient])
        {
            let Some(claim) = claim else { continue };
            let claim = padded(claim, value.len())?;
            if !bool::from(claim.expose().ct_eq(value)) {
                return Err(StatusWord::INCORRECT_DATA);
            }
        }
        Ok(())
    }
}

/// A big-endian number in exactly `length` bytes.
fn padded(number: &SecretBytes, length: usize) -> Result<SecretBytes, StatusWord> {
    let bytes = number.expose();
    if let Some(missing) = length.checked_sub(bytes.len()) {
        let mut padded = vec![0; missing];
        padded.extend_from_slice(bytes);
        return Ok(SecretBytes::new(padded));
    }
    match bytes.split_at_checked(bytes.len() - length) {
        Some((zeros, rest)) if zeros.iter().all(|byte| *byte == 0) => Ok(SecretBytes::from(rest)),
        _ => Err(StatusWord::INCORRECT_DATA),
    }
}
