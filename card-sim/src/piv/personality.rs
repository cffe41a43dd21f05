//! The two kinds of card that one applet plays.

use serde::{Deserialize, Serialize};

use crate::crypto::SymmetricAlgorithm;
use crate::iso7816::{Interface, atr};

/// Which card this is to the outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Personality {
    /// A neutral SP 800-73-5 card without any vendor instruction.
    Standard,
    /// A YubiKey 5, as Yubico's tools expect it.
    YubiKey5 {
        /// The firmware it reports.
        firmware: Firmware,
        /// Its serial number.
        serial: u32,
    },
}

/// A YubiKey firmware line; the later one is the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Firmware {
    /// 5.4: the management key is 3DES.
    V5_4,
    /// 5.7: the management key is AES-192.
    V5_7,
}

impl Firmware {
    /// Major, minor and patch version.
    #[must_use]
    pub fn version(self) -> [u8; 3] {
        match self {
            Self::V5_4 => [5, 4, 3],
            Self::V5_7 => [5, 7, 2],
        }
    }

    /// The algorithm of the factory management key.
    #[must_use]
    pub fn factory_management_algorithm(self) -> SymmetricAlgorithm {
        match self {
            Self::V5_4 => SymmetricAlgorithm::TripleDes,
            Self::V5_7 => SymmetricAlgorithm::Aes192,
        }
    }
}

impl Personality {
    /// The name on the command line and in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::YubiKey5 { .. } => "yubikey5",
        }
    }

    /// Whether this is the YubiKey.
    #[must_use]
    pub fn is_yubikey(self) -> bool {
        matches!(self, Self::YubiKey5 { .. })
    }

    /// The answer to reset over an interface.
    #[must_use]
    pub fn answer_to_reset(self, interface: Interface) -> &'static [u8] {
        match (self, interface) {
            (Self::Standard, Interface::Contact) => &atr::STANDARD,
            (Self::Standard, Interface::Contactless) => &atr::STANDARD_CONTACTLESS,
            (Self::YubiKey5 { .. }, Interface::Contact) => &atr::YUBIKEY5,
            (Self::YubiKey5 { .. }, Interface::Contactless) => &atr::YUBIKEY5_CONTACTLESS,
        }
    }

    /// What a data object may hold. A YubiKey keeps each in a buffer of 3072 bytes; the standard
    /// card has room for the largest object of Part 1 table 8.
    #[must_use]
    pub fn object_capacity(self) -> usize {
        match self {
            Self::Standard => 13_000,
            Self::YubiKey5 { .. } => 3063,
        }
    }

    /// What all data objects together may hold. A standard card has a few dozen, each with room of its own; a YubiKey
    /// takes 65,536 tags and has one memory for all, of some 50 KB. Here it is a little more, so that every container
    /// of Part 1 table 8 that fits alone fits beside the others.
    #[must_use]
    pub fn total_object_capacity(self) -> usize {
        match self {
            Self::Standard => usize::MAX,
            Self::YubiKey5 { .. } => 0x1_0000,
        }
    }
}
