//! What a host may ask for when it makes or brings a key: PIN and touch policies, and what F9 can be.

use crate::crypto::AsymmetricAlgorithm;
use crate::iso7816::StatusWord;
use crate::piv::key_reference::AsymmetricKeyReference;
use crate::piv::state::{PinPolicy, TouchPolicy};

/// Policies as requested; what is absent is the default.
#[derive(Default)]
pub struct RequestedPolicies {
    pin: Option<PinPolicy>,
    touch: Option<TouchPolicy>,
}

impl RequestedPolicies {
    /// Reads one part: `AA 01 pin-policy` or `AB 01 touch-policy`, 00 meaning the default.
    ///
    /// # Errors
    /// 6A80 for any other part or value; 4 and 5 are for cards with a fingerprint sensor.
    pub(in crate::piv) fn read_part(&mut self, tag: u32, value: &[u8]) -> Result<(), StatusWord> {
        match (tag, value) {
            (0xAA, [0]) => self.pin = None,
            (0xAA, [1]) => self.pin = Some(PinPolicy::Never),
            (0xAA, [2]) => self.pin = Some(PinPolicy::Once),
            (0xAA, [3]) => self.pin = Some(PinPolicy::Always),
            (0xAB, [0]) => self.touch = None,
            (0xAB, [1]) => self.touch = Some(TouchPolicy::Never),
            (0xAB, [2]) => self.touch = Some(TouchPolicy::Always),
            (0xAB, [3]) => self.touch = Some(TouchPolicy::Cached),
            _ => return Err(StatusWord::INCORRECT_DATA),
        }
        Ok(())
    }

    /// The PIN policy for a key reference.
    pub(in crate::piv) fn pin_for(&self, reference: AsymmetricKeyReference) -> PinPolicy {
        self.pin.unwrap_or_else(|| PinPolicy::default_for(reference))
    }

    /// The touch policy.
    pub(in crate::piv) fn touch(&self) -> TouchPolicy {
        self.touch.unwrap_or(TouchPolicy::Never)
    }
}

/// The attestation key signs certificates with a digest; what cannot do that is no attestation key.
///
/// # Errors
/// 6A86, as for every mechanism that a key reference does not allow.
pub(in crate::piv) fn require_suitable(
    reference: AsymmetricKeyReference,
    algorithm: AsymmetricAlgorithm,
) -> Result<(), StatusWord> {
    match (reference, algorithm) {
        (AsymmetricKeyReference::Attestation, AsymmetricAlgorithm::Ed25519 | AsymmetricAlgorithm::X25519) => {
            Err(StatusWord::INCORRECT_P1_P2)
        }
        _ => Ok(()),
    }
}

/// The number of a PIN policy in metadata.
#[must_use]
pub fn pin_number(policy: PinPolicy) -> u8 {
    match policy {
        PinPolicy::Never => 1,
        PinPolicy::Once => 2,
        PinPolicy::Always => 3,
    }
}

/// The number of a touch policy in metadata.
#[must_use]
pub fn touch_number(policy: TouchPolicy) -> u8 {
    match policy {
        TouchPolicy::Never => 1,
        TouchPolicy::Always => 2,
        TouchPolicy::Cached => 3,
    }
}
