//! What the card remembers without power.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::data_object::{self, DISCOVERY, EMULATED_MARK, KEY_HISTORY};
use super::key_reference::{AsymmetricKeyReference, PasswordReference, RETIRED};
use super::personality::Personality;
use super::pin_usage_policy::PinUsagePolicy;
use crate::crypto::{PrivateKeyMaterial, SymmetricAlgorithm};
use crate::secret::SecretBytes;

/// The whole non-volatile state of a card.
#[derive(Clone, Serialize, Deserialize)]
pub struct CardState {
    /// Grows by one with every change; the random stream of a seeded card depends on it.
    pub generation: u64,
    /// Which card this is.
    pub personality: Personality,
    /// The seed of a repeatable card; such a card is marked for good.
    pub seed: Option<SecretBytes>,
    /// Whether this state was copied from another card.
    pub cloned: bool,
    /// Reference 80.
    pub pin: Password,
    /// Reference 81.
    pub puk: Password,
    /// Reference 00, on a card whose platform has one. It counts only while the discovery object says so.
    #[serde(default)]
    pub global_pin: Option<Password>,
    /// Reference 9B.
    pub management_key: ManagementKey,
    /// Asymmetric keys by key reference.
    pub keys: BTreeMap<u8, Key>,
    /// Contents of data objects by tag. Not all are public: hosts keep a YubiKey's management key in 5FC109.
    pub objects: BTreeMap<u32, SecretBytes>,
    /// The certificate above a YubiKey's attestation certificate, DER: what trusts this card's attestations trusts it.
    #[serde(default)]
    pub attestation_root: Option<Vec<u8>>,
}

/// A PIN or PUK with its retry counter.
#[derive(Clone, Serialize, Deserialize)]
pub struct Password {
    /// Eight bytes, padding included.
    pub value: SecretBytes,
    /// Tries left before it is blocked.
    pub tries_left: u8,
    /// What the counter is set to after success.
    pub tries: u8,
}

/// The card application administration key.
#[derive(Clone, Serialize, Deserialize)]
pub struct ManagementKey {
    /// Its algorithm.
    pub algorithm: SymmetricAlgorithm,
    /// The key.
    pub key: SecretBytes,
    /// When proving it needs a touch. Images of version 1 say yes or no in `needs_touch`.
    #[serde(alias = "needs_touch", deserialize_with = "touch_policy_or_flag")]
    pub touch_policy: TouchPolicy,
}

/// An asymmetric key on the card.
#[derive(Clone, Serialize, Deserialize)]
pub struct Key {
    /// The private key.
    pub material: PrivateKeyMaterial,
    /// Where it came from.
    pub origin: KeyOrigin,
    /// When the PIN is needed.
    pub pin_policy: PinPolicy,
    /// When touch is needed.
    pub touch_policy: TouchPolicy,
}

/// Where a key came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum KeyOrigin {
    /// Made on the card.
    Generated,
    /// Brought from outside.
    Imported,
}

/// When using a key needs the PIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PinPolicy {
    /// Not at all.
    Never,
    /// Once since the card was powered.
    Once,
    /// Immediately before each use.
    Always,
}

impl PinPolicy {
    /// What the standard says for a key reference (Part 1 table 5); also the YubiKey's default.
    #[must_use]
    pub fn default_for(reference: AsymmetricKeyReference) -> Self {
        match reference {
            AsymmetricKeyReference::DigitalSignature => Self::Always,
            AsymmetricKeyReference::CardAuthentication => Self::Never,
            _ => Self::Once,
        }
    }
}

/// When using a key needs a touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TouchPolicy {
    /// Not at all.
    Never,
    /// Every time.
    Always,
    /// Unless touched within the last 15 seconds.
    Cached,
}

/// Reads a touch policy, or the flag that stood in its place.
fn touch_policy_or_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TouchPolicy, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum PolicyOrFlag {
        Flag(bool),
        Policy(TouchPolicy),
    }
    Ok(match PolicyOrFlag::deserialize(deserializer)? {
        PolicyOrFlag::Flag(false) => TouchPolicy::Never,
        PolicyOrFlag::Flag(true) => TouchPolicy::Always,
        PolicyOrFlag::Policy(policy) => policy,
    })
}

impl CardState {
    /// The key behind a reference, if one was made or brought.
    #[must_use]
    pub fn key(&self, reference: AsymmetricKeyReference) -> Option<&Key> {
        self.keys.get(&reference.byte())
    }

    /// The PIN or PUK; `None` for a Global PIN that the card does not have, or that does not count.
    #[must_use]
    pub fn password(&self, reference: PasswordReference) -> Option<&Password> {
        match reference {
            PasswordReference::GlobalPin if self.pin_usage_policy()?.has_global_pin() => {
                self.global_pin.as_ref()
            }
            PasswordReference::GlobalPin => None,
            PasswordReference::Pin => Some(&self.pin),
            PasswordReference::Puk => Some(&self.puk),
        }
    }

    /// The PIN or PUK, to change it.
    pub fn password_mut(&mut self, reference: PasswordReference) -> Option<&mut Password> {
        self.password(reference)?;
        match reference {
            PasswordReference::GlobalPin => self.global_pin.as_mut(),
            PasswordReference::Pin => Some(&mut self.pin),
            PasswordReference::Puk => Some(&mut self.puk),
        }
    }

    /// What the discovery object says; `None` when its issuer removed it.
    #[must_use]
    pub fn pin_usage_policy(&self) -> Option<PinUsagePolicy> {
        match self.objects.get(&DISCOVERY) {
            Some(written) => PinUsagePolicy::of_discovery(written.expose()),
            None => Some(PinUsagePolicy::APPLICATION_PIN),
        }
    }

    /// The pairing code, where the discovery object enables it and its container holds one.
    #[must_use]
    pub fn pairing_code(&self) -> Option<SecretBytes> {
        let policy = self.pin_usage_policy()?;
        let container = self.objects.get(&data_object::PAIRING_CODE)?;
        let code = data_object::pairing_code(container.expose()).map(SecretBytes::from);
        code.filter(|_| policy.has_virtual_contact_interface())
    }

    /// The contents of a data object as the card shows them, written or made up by the card.
    #[must_use]
    pub fn object(&self, tag: u32) -> Option<SecretBytes> {
        if tag == EMULATED_MARK {
            return Some(SecretBytes::new(data_object::emulated_mark(self.emulated_flags())));
        }
        match (self.objects.get(&tag), tag) {
            // A discovery object that was removed leaves nothing behind: without it hosts know no PIN but 80.
            (Some(written), _) => Some(written.clone()).filter(|written| !written.expose().is_empty()),
            (None, DISCOVERY) => Some(SecretBytes::new(PinUsagePolicy::APPLICATION_PIN.discovery())),
            (None, KEY_HISTORY) => self.synthetic_key_history(),
            (None, _) => None,
        }
    }

    /// Bit 0: seeded, so its keys can be computed by others. Bit 1: a copy of another card.
    #[must_use]
    pub fn emulated_flags(&self) -> u8 {
        u8::from(self.seed.is_some()) | u8::from(self.cloned) << 1
    }

    /// The GUID in the CHUID: how hosts tell cards apart.
    #[must_use]
    pub fn guid(&self) -> Option<[u8; 16]> {
        let chuid = self.objects.get(&data_object::CHUID)?;
        let parts = crate::iso7816::ber_tlv::Tlv::parse_all(chuid.expose()).ok()?;
        parts.iter().find(|part| part.tag == 0x34).and_then(|part| part.value.try_into().ok())
    }

    /// The key history of a card whose issuer has written none (Part 1 section 3.3.3). There must be one where there are
    /// retired keys, and hosts see them only through it: C1 counts from 82 upward.
    fn synthetic_key_history(&self) -> Option<SecretBytes> {
        let has_key = |byte: u8| self.keys.contains_key(&byte);
        let has_certificate = |byte: u8| {
            let tag = AsymmetricKeyReference::from_byte(byte).map(AsymmetricKeyReference::certificate_tag);
            tag.is_some_and(|tag| self.objects.contains_key(&tag))
        };
        let on_card = if self.personality.is_yubikey() {
            // Its hosts fill references in any order, and certificates may come later.
            RETIRED.rev().find(|byte| has_key(*byte) || has_certificate(*byte)).map_or(0, |byte| byte - 0x81)
        } else {
            let with_both = RETIRED.take_while(|byte| has_key(*byte) && has_certificate(*byte));
            u8::try_from(with_both.count()).unwrap_or(0)
        };
        (on_card > 0).then(|| SecretBytes::new(data_object::key_history(on_card)))
    }
}
