//! IMPORT ASYMMETRIC KEY, instruction FE.

use subtle::ConstantTimeEq as _;

use super::policy::RequestedPolicies;
use crate::crypto::{AsymmetricAlgorithm, PrivateKey, PrivateKeyMaterial};
use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::Tlv;
use crate::piv::access_rule;
use crate::piv::algorithm;
use crate::piv::applet::PivApplet;
use crate::piv::key_reference::AsymmetricKeyReference;
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
    p: Option<SecretBytes>,
    q: Option<SecretBytes>,
    scalar: Option<SecretBytes>,
    claimed: ClaimedValues,
    policies: RequestedPolicies,
}

impl ImportAsymmetricKey {
    /// Parses P1 algorithm, P2 key reference, and `01 p 02 q [03 dP 04 dQ 05 qInv]` or `06 scalar`,
    /// with `AA` and `AB` policies. Numbers may be shorter than half the modulus, or padded.
    pub(super) fn parse(p1: u8, p2: u8, data: &[u8]) -> Result<Self, StatusWord> {
        let algorithm = algorithm::asymmetric(p1).ok_or(StatusWord::INCORRECT_P1_P2)?;
        let reference = AsymmetricKeyReference::from_byte(p2).ok_or(StatusWord::INCORRECT_P1_P2)?;
        let Parts { p, q, scalar, claimed, policies } = Parts::parse(data)?;
        let length = algorithm.block_length();
        let material = match (algorithm, p, q, scalar) {
            (AsymmetricAlgorithm::Rsa2048, Some(p), Some(q), None) => {
                PrivateKeyMaterial::Rsa { p: padded(&p, length / 2)?, q: padded(&q, length / 2)? }
            }
            (AsymmetricAlgorithm::P256, None, None, Some(scalar)) => {
                PrivateKeyMaterial::P256 { scalar: padded(&scalar, length)? }
            }
            _ => return Err(StatusWord::INCORRECT_DATA),
        };
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
                0x01 => &mut parts.p,
                0x02 => &mut parts.q,
                0x03 => &mut parts.claimed.exponent1,
                0x04 => &mut parts.claimed.exponent2,
                0x05 => &mut parts.claimed.coefficient,
                0x06 => &mut parts.scalar,
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
