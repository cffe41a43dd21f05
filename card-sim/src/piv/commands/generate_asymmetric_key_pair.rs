//! GENERATE ASYMMETRIC KEY PAIR (SP 800-73-5 Part 2 section 3.3.2).

use crate::crypto::{AsymmetricAlgorithm, PublicKey, RSA_PUBLIC_EXPONENT};
use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::{Tlv, encode};
use crate::piv::access_rule;
use crate::piv::algorithm;
use crate::piv::applet::PivApplet;
use crate::piv::extension::policy::{self, RequestedPolicies};
use crate::piv::key_reference::AsymmetricKeyReference;
use crate::piv::personality::Personality;
use crate::piv::state::{Key, KeyOrigin};

/// A request for a new key.
pub struct GenerateAsymmetricKeyPair {
    reference: AsymmetricKeyReference,
    algorithm: AsymmetricAlgorithm,
    policies: RequestedPolicies,
}

impl GenerateAsymmetricKeyPair {
    /// Parses the control reference template `AC { 80 01 algorithm [81 L exponent] }`, on a YubiKey
    /// also `AA 01 pin-policy` and `AB 01 touch-policy` inside it.
    pub(in crate::piv) fn parse(p2: u8, data: &[u8], personality: Personality) -> Result<Self, StatusWord> {
        let reference = match AsymmetricKeyReference::from_byte(p2) {
            _ if personality.is_yubikey() => AsymmetricKeyReference::from_yubikey_byte(p2),
            // Part 2 generates no retired keys: they were current once.
            Some(AsymmetricKeyReference::RetiredKeyManagement(_)) => None,
            reference => reference,
        };
        let reference = reference.ok_or(StatusWord::INCORRECT_P1_P2)?;
        let template = Tlv::parse_only(data).map_err(|_| StatusWord::INCORRECT_DATA)?;
        if template.tag != 0xAC {
            return Err(StatusWord::INCORRECT_DATA);
        }
        let mut algorithm = None;
        let mut has_parameter = false;
        let mut policies = RequestedPolicies::default();
        for part in Tlv::parse_all(template.value).map_err(|_| StatusWord::INCORRECT_DATA)? {
            match (part.tag, part.value) {
                (0x80, [identifier]) if algorithm.is_none() => {
                    let named = algorithm::asymmetric(personality, *identifier);
                    algorithm = Some(named.ok_or(StatusWord::INCORRECT_DATA)?);
                }
                (0x81, exponent) if is_the_exponent(exponent) && !has_parameter => has_parameter = true,
                (tag, value) if personality.is_yubikey() => policies.read_part(tag, value)?,
                _ => return Err(StatusWord::INCORRECT_DATA),
            }
        }
        let algorithm = algorithm.ok_or(StatusWord::INCORRECT_DATA)?;
        // Part 1 table 6: only RSA has a parameter.
        if has_parameter && !algorithm.is_rsa() {
            return Err(StatusWord::INCORRECT_DATA);
        }
        policy::require_suitable(reference, algorithm)?;
        Ok(Self { reference, algorithm, policies })
    }

    /// Makes the key, replaces the one before it, and returns its public half.
    pub(in crate::piv) fn handle(self, applet: &mut PivApplet) -> Result<ResponseData, StatusWord> {
        access_rule::ADMINISTRATION.require(&applet.status)?;
        let (material, loaded) = applet
            .crypto
            .generate_loaded(self.algorithm, &mut applet.randomness)
            .map_err(|_| StatusWord::UNKNOWN)?;
        let key = Key {
            material,
            origin: KeyOrigin::Generated,
            pin_policy: self.policies.pin_for(self.reference),
            touch_policy: self.policies.touch(),
        };
        let public_key = loaded.public_key();
        applet.store_key(self.reference, key, loaded)?;
        Ok(encode(0x7F49, &public_key_parts(&public_key)))
    }
}

fn is_the_exponent(bytes: &[u8]) -> bool {
    let significant = bytes.iter().skip_while(|byte| **byte == 0);
    significant.eq(&RSA_PUBLIC_EXPONENT)
}

/// The data objects of a public key (Part 2 section 3.3.2, template 7F49): `81 modulus 82 exponent` or `86 point`.
pub(in crate::piv) fn public_key_parts(key: &PublicKey) -> ResponseData {
    match key {
        PublicKey::Rsa { modulus, exponent } => {
            let parts = [encode(0x81, modulus), encode(0x82, exponent)];
            ResponseData::new(parts.iter().flat_map(|part| part.iter().copied()).collect())
        }
        PublicKey::P256 { point }
        | PublicKey::P384 { point }
        | PublicKey::Ed25519 { point }
        | PublicKey::X25519 { point } => encode(0x86, point),
    }
}
