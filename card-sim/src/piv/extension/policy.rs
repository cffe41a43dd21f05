//! What a host may ask for when it makes or brings a key: PIN and touch policies, and what F9 can be.

use crate::crypto::AsymmetricAlgorithm;
use crate::iso7816::StatusWord;
use crate::piv::key_reference::AsymmetricKeyReference;
use crate::piv::state::{PinPolicy, TouchPolicy};

/// Policies as requested; what is absent is the default.
#[derive(Default)]
pub struct RequestedPolicies {
    pin: Option<Requested<PinPolicy>>,
    touch: Option<Requested<TouchPolicy>>,
}

/// One policy as a host writes it.
#[derive(Clone, Copy)]
enum Requested<P> {
    Default,
    This(P),
}

impl<P: Copy> Requested<P> {
    /// The policy asked for, if one was and it is not the default.
    fn policy(request: Option<Self>) -> Option<P> {
        match request {
            Some(Self::This(policy)) => Some(policy),
            Some(Self::Default) | None => None,
        }
    }
}

impl RequestedPolicies {
    /// Reads one part: `AA 01 pin-policy` or `AB 01 touch-policy`, 00 meaning the default.
    ///
    /// # Errors
    /// 6A80 for any other part or value, and for a second one of the same; 4 and 5 are for cards with a fingerprint
    /// sensor.
    pub(in crate::piv) fn read_part(&mut self, tag: u32, value: &[u8]) -> Result<(), StatusWord> {
        match (tag, value) {
            (0xAA, [number]) if self.pin.is_none() => self.pin = Some(requested_pin(*number)?),
            (0xAB, [number]) if self.touch.is_none() => self.touch = Some(requested_touch(*number)?),
            _ => return Err(StatusWord::INCORRECT_DATA),
        }
        Ok(())
    }

    /// The PIN policy for a key reference.
    pub(in crate::piv) fn pin_for(&self, reference: AsymmetricKeyReference) -> PinPolicy {
        Requested::policy(self.pin).unwrap_or_else(|| PinPolicy::default_for(reference))
    }

    /// The touch policy.
    pub(in crate::piv) fn touch(&self) -> TouchPolicy {
        Requested::policy(self.touch).unwrap_or(TouchPolicy::Never)
    }
}

fn requested_pin(number: u8) -> Result<Requested<PinPolicy>, StatusWord> {
    Ok(match number {
        0 => Requested::Default,
        1 => Requested::This(PinPolicy::Never),
        2 => Requested::This(PinPolicy::Once),
        3 => Requested::This(PinPolicy::Always),
        _ => return Err(StatusWord::INCORRECT_DATA),
    })
}

fn requested_touch(number: u8) -> Result<Requested<TouchPolicy>, StatusWord> {
    Ok(match number {
        0 => Requested::Default,
        1 => Requested::This(TouchPolicy::Never),
        2 => Requested::This(TouchPolicy::Always),
        3 => Requested::This(TouchPolicy::Cached),
        _ => return Err(StatusWord::INCORRECT_DATA),
    })
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
