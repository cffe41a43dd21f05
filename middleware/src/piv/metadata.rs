//! What a vendor's card tells about a key (vendor command GET METADATA, firmware 5.3 and later).
use spki::SubjectPublicKeyInfoOwned;

use super::{CardError, KeyAlgorithm, KeyReference, Transaction};
use crate::apdu::ber_tlv;

/// When a key wants the PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinPolicy {
    /// Never.
    Never,
    /// Once in a session with the card.
    Once,
    /// Immediately before each use.
    Always,
    /// A fingerprint, once.
    MatchOnce,
    /// A fingerprint, immediately before each use.
    MatchAlways,
}

impl PinPolicy {
    /// What SP 800-73-5 Part 1 table 4 wants of a key, and vendors' cards too unless told otherwise.
    pub fn standard(key: KeyReference) -> Self {
        match key {
            KeyReference::DigitalSignature => Self::Always,
            KeyReference::CardAuthentication => Self::Never,
            _ => Self::Once,
        }
    }

    /// `None` for the vendor's byte 0, "as is usual for the key", and for bytes of the future.
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Never),
            2 => Some(Self::Once),
            3 => Some(Self::Always),
            4 => Some(Self::MatchOnce),
            5 => Some(Self::MatchAlways),
            _ => None,
        }
    }

    /// The byte in the vendor's GENERATE and IMPORT.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Once => 2,
            Self::Always => 3,
            Self::MatchOnce => 4,
            Self::MatchAlways => 5,
        }
    }
}

impl std::fmt::Display for PinPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Once => "once",
            Self::Always => "always",
            Self::MatchOnce => "match-once",
            Self::MatchAlways => "match-always",
        })
    }
}

/// When a key wants its card touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TouchPolicy {
    /// Never.
    Never,
    /// Before each use.
    Always,
    /// Before a use, unless one was touched for in the last 15 seconds.
    Cached,
}

impl TouchPolicy {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Never),
            2 => Some(Self::Always),
            3 => Some(Self::Cached),
            _ => None,
        }
    }

    /// The byte in the vendor's GENERATE and IMPORT.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Always => 2,
            Self::Cached => 3,
        }
    }
}

impl std::fmt::Display for TouchPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Always => "always",
            Self::Cached => "cached",
        })
    }
}

/// Where a private key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The card made it: nobody else has it.
    Generated,
    /// It was written into the card.
    Imported,
}

/// What a vendor's card tells about one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMetadata {
    /// `None` for an algorithm that is not known here.
    pub algorithm: Option<KeyAlgorithm>,
    /// When it wants the PIN.
    pub pin_policy: PinPolicy,
    /// When it wants a touch.
    pub touch_policy: TouchPolicy,
    /// Generated or imported, where the card says so.
    pub origin: Option<KeyOrigin>,
    /// The public half, where the card gives it.
    pub public_key: Option<SubjectPublicKeyInfoOwned>,
}

impl KeyMetadata {
    /// Tags 01 algorithm, 02 policies, 03 origin, 04 public key without its 7F49.
    fn from_bytes(key: KeyReference, bytes: &[u8]) -> Result<Self, CardError> {
        let first = |tag| Ok::<_, CardError>(ber_tlv::find(bytes, tag)?.and_then(<[u8]>::first).copied());
        let algorithm = first(0x01)?.and_then(KeyAlgorithm::from_byte);
        let policies = ber_tlv::find(bytes, 0x02)?.unwrap_or_default();
        let public_key = match (algorithm, ber_tlv::find(bytes, 0x04)?) {
            (Some(algorithm), Some(template)) => Some(algorithm.public_key_from_template(template)?),
            _ => None,
        };
        Ok(Self {
            algorithm,
            pin_policy: policies
                .first()
                .and_then(|&byte| PinPolicy::from_byte(byte))
                .unwrap_or_else(|| PinPolicy::standard(key)),
            touch_policy: policies
                .get(1)
                .and_then(|&byte| TouchPolicy::from_byte(byte))
                .unwrap_or(TouchPolicy::Never),
            origin: match first(0x03)? {
                Some(1) => Some(KeyOrigin::Generated),
                Some(2) => Some(KeyOrigin::Imported),
                _ => None,
            },
            public_key,
        })
    }
}

impl Transaction<'_> {
    /// What the card tells about a key; `None` where there is no such key, and on a card that tells nothing (SP 800-73-5
    /// has no command for it).
    ///
    /// # Errors
    /// [`CardError::MalformedAnswer`]; those of the line.
    pub fn key_metadata(&mut self, key: KeyReference) -> Result<Option<KeyMetadata>, CardError> {
        match self.metadata(key.to_byte())? {
            Some(bytes) if !bytes.is_empty() => KeyMetadata::from_bytes(key, &bytes).map(Some),
            // Some cards know the command and answer nothing.
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_told_and_the_usual_ones_resolved() {
        let bytes = [0x01, 1, 0x11, 0x02, 2, 0, 0, 0x03, 1, 1];
        let metadata = KeyMetadata::from_bytes(KeyReference::DigitalSignature, &bytes).unwrap();
        assert_eq!((metadata.pin_policy, metadata.touch_policy), (PinPolicy::Always, TouchPolicy::Never));
        assert_eq!(
            (metadata.algorithm, metadata.origin),
            (Some(KeyAlgorithm::P256), Some(KeyOrigin::Generated))
        );
        let bytes = [0x01, 1, 0x07, 0x02, 2, 1, 3, 0x03, 1, 2];
        let metadata = KeyMetadata::from_bytes(KeyReference::DigitalSignature, &bytes).unwrap();
        assert_eq!((metadata.pin_policy, metadata.touch_policy), (PinPolicy::Never, TouchPolicy::Cached));
        assert_eq!(metadata.origin, Some(KeyOrigin::Imported));
    }

    #[test]
    fn odd_metadata_is_read_as_far_as_it_goes_or_refused() {
        let metadata = KeyMetadata::from_bytes(KeyReference::CardAuthentication, &[0x01, 1, 0x77]).unwrap();
        assert_eq!((metadata.algorithm, metadata.pin_policy), (None, PinPolicy::Never));
        assert!(KeyMetadata::from_bytes(KeyReference::Authentication, &[0x01, 9, 1]).is_err());
        let off_curve = [&[0x01, 1, 0x11, 0x04, 67, 0x86, 65][..], &[0x04; 65]].concat();
        assert!(KeyMetadata::from_bytes(KeyReference::Authentication, &off_curve).is_err());
    }
}
