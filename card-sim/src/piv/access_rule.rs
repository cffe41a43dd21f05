//! Who may read, write and use what: the one table (SP 800-73-5 Part 1 tables 2, 4 and 5).

use super::data_object::{
    BIOMETRIC_GROUP, DISCOVERY, EMULATED_MARK, FACIAL_IMAGE, FINGERPRINTS, IRIS_IMAGES, PAIRING_CODE,
    PRINTED_INFORMATION, YUBIKEY_TAGS, is_standard,
};
use super::personality::Personality;
use super::security_status::SecurityStatus;
use super::state::PinPolicy;
use crate::iso7816::StatusWord;

/// A condition on the security status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessCondition {
    /// Anyone.
    Always,
    /// The PIN was verified.
    Pin,
    /// The PIN was verified by the command just before.
    FreshPin,
    /// The management key was proven.
    ManagementKey,
    /// Nobody.
    Never,
}

impl AccessCondition {
    /// Fails with 6982 unless the condition holds.
    ///
    /// # Errors
    /// 6982.
    pub fn require(self, status: &SecurityStatus) -> Result<(), StatusWord> {
        let holds = match self {
            Self::Always => true,
            Self::Pin => status.is_pin_verified(),
            Self::FreshPin => status.is_pin_fresh(),
            Self::ManagementKey => status.is_management_authenticated(),
            Self::Never => false,
        };
        if holds { Ok(()) } else { Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED) }
    }
}

/// The rules of one data object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectRule {
    /// Who may read it.
    pub read: AccessCondition,
    /// Who may replace it.
    pub write: AccessCondition,
}

/// The rule of a data object; `None` when the card has no object of this tag.
#[must_use]
pub fn object(personality: Personality, tag: u32) -> Option<ObjectRule> {
    use AccessCondition::{Always, ManagementKey, Never, Pin};
    let (read, write) = match tag {
        EMULATED_MARK => (Always, Never),
        DISCOVERY | BIOMETRIC_GROUP => (Always, ManagementKey),
        FINGERPRINTS | FACIAL_IMAGE | PRINTED_INFORMATION | IRIS_IMAGES => (Pin, ManagementKey),
        // A YubiKey shows the pairing code to everyone, as it would any object it does not know.
        PAIRING_CODE if !personality.is_yubikey() => (Pin, ManagementKey),
        tag if is_standard(tag) => (Always, ManagementKey),
        tag if personality.is_yubikey() && YUBIKEY_TAGS.contains(&tag) => (Always, ManagementKey),
        _ => return None,
    };
    Some(ObjectRule { read, write })
}

/// Who may use a private key with this PIN policy.
#[must_use]
pub fn key(policy: PinPolicy) -> AccessCondition {
    match policy {
        PinPolicy::Never => AccessCondition::Always,
        PinPolicy::Once => AccessCondition::Pin,
        PinPolicy::Always => AccessCondition::FreshPin,
    }
}

/// Who may generate or import keys and change the management key.
pub const ADMINISTRATION: AccessCondition = AccessCondition::ManagementKey;
