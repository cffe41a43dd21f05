//! Algorithm identifiers (SP 800-78-5 table 9).

use super::personality::{Firmware, Personality};
use crate::crypto::{AsymmetricAlgorithm, SymmetricAlgorithm};

/// The asymmetric algorithms of a card, in the order in which SELECT lists them.
///
/// Those of the standard, less RSA-1024, which it has left to retired keys alone (SP 800-78-5 table 10). A YubiKey has
/// got RSA-3072, RSA-4096 and Curve25519 with firmware 5.7; the latter three have no identifiers of the standard's.
#[must_use]
pub fn asymmetric_algorithms(personality: Personality) -> &'static [AsymmetricAlgorithm] {
    use AsymmetricAlgorithm::{Ed25519, P256, P384, Rsa2048, Rsa3072, Rsa4096, X25519};
    match personality {
        Personality::Standard => &[Rsa3072, Rsa2048, P256, P384],
        Personality::YubiKey5 { firmware: Firmware::V5_4, .. } => &[Rsa2048, P256, P384],
        Personality::YubiKey5 { firmware: Firmware::V5_7, .. } => {
            &[Rsa2048, Rsa3072, Rsa4096, P256, P384, Ed25519, X25519]
        }
    }
}

/// The asymmetric algorithm behind an identifier, if this card has it.
#[must_use]
pub fn asymmetric(personality: Personality, identifier: u8) -> Option<AsymmetricAlgorithm> {
    let algorithms = asymmetric_algorithms(personality).iter().copied();
    algorithms.into_iter().find(|algorithm| asymmetric_identifier(*algorithm) == identifier)
}

/// The identifier of an asymmetric algorithm.
#[must_use]
pub fn asymmetric_identifier(algorithm: AsymmetricAlgorithm) -> u8 {
    match algorithm {
        AsymmetricAlgorithm::Rsa2048 => 0x07,
        AsymmetricAlgorithm::Rsa3072 => 0x05,
        AsymmetricAlgorithm::Rsa4096 => 0x16,
        AsymmetricAlgorithm::P256 => 0x11,
        AsymmetricAlgorithm::P384 => 0x14,
        AsymmetricAlgorithm::Ed25519 => 0xE0,
        AsymmetricAlgorithm::X25519 => 0xE1,
    }
}

/// The symmetric algorithm behind an identifier; 00 is the old way of writing 03.
#[must_use]
pub fn symmetric(identifier: u8) -> Option<SymmetricAlgorithm> {
    match identifier {
        0x00 | 0x03 => Some(SymmetricAlgorithm::TripleDes),
        0x08 => Some(SymmetricAlgorithm::Aes128),
        0x0A => Some(SymmetricAlgorithm::Aes192),
        0x0C => Some(SymmetricAlgorithm::Aes256),
        _ => None,
    }
}

/// The identifier of a symmetric algorithm.
#[must_use]
pub fn symmetric_identifier(algorithm: SymmetricAlgorithm) -> u8 {
    match algorithm {
        SymmetricAlgorithm::TripleDes => 0x03,
        SymmetricAlgorithm::Aes128 => 0x08,
        SymmetricAlgorithm::Aes192 => 0x0A,
        SymmetricAlgorithm::Aes256 => 0x0C,
    }
}

/// The name people use for an asymmetric algorithm.
#[must_use]
pub fn asymmetric_name(algorithm: AsymmetricAlgorithm) -> &'static str {
    match algorithm {
        AsymmetricAlgorithm::Rsa2048 => "RSA-2048",
        AsymmetricAlgorithm::Rsa3072 => "RSA-3072",
        AsymmetricAlgorithm::Rsa4096 => "RSA-4096",
        AsymmetricAlgorithm::P256 => "P-256",
        AsymmetricAlgorithm::P384 => "P-384",
        AsymmetricAlgorithm::Ed25519 => "Ed25519",
        AsymmetricAlgorithm::X25519 => "X25519",
    }
}

/// The name people use for a symmetric algorithm.
#[must_use]
pub fn symmetric_name(algorithm: SymmetricAlgorithm) -> &'static str {
    match algorithm {
        SymmetricAlgorithm::TripleDes => "3DES",
        SymmetricAlgorithm::Aes128 => "AES-128",
        SymmetricAlgorithm::Aes192 => "AES-192",
        SymmetricAlgorithm::Aes256 => "AES-256",
    }
}
