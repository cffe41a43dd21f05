//! Block ciphers of the management key, one block at a time (SP 800-78-5 section 6.2).

use aes::{Aes128, Aes192, Aes256};
use cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::TdesEde3;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::SecretBytes;

/// A symmetric algorithm with its key size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SymmetricAlgorithm {
    /// Three-key Triple DES (SP 800-67).
    TripleDes,
    /// AES with 128-bit keys (FIPS 197).
    Aes128,
    /// AES with 192-bit keys.
    Aes192,
    /// AES with 256-bit keys.
    Aes256,
}

impl SymmetricAlgorithm {
    /// Bytes in a key.
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// Bytes in a block.
    #[must_use]
    pub fn block_length(self) -> usize {
        match self {
            Self::TripleDes => 8,
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
        }
    }

    /// Encrypts one block; `None` when key or block has the wrong length.
    #[must_use]
    pub fn encrypt_block(self, key: &SecretBytes, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::TripleDes => encrypt::<TdesEde3>(key, block),
            Self::Aes128 => encrypt::<Aes128>(key, block),
            Self::Aes192 => encrypt::<Aes192>(key, block),
            Self::Aes256 => encrypt::<Aes256>(key, block),
        }
    }

    /// Decrypts one block, as a host does with a witness; `None` when key or block has the wrong length.
    #[must_use]
    pub fn decrypt_block(self, key: &SecretBytes, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::TripleDes => decrypt::<TdesEde3>(key, block),
            Self::Aes128 => decrypt::<Aes128>(key, block),
            Self::Aes192 => decrypt::<Aes192>(key, block),
            Self::Aes256 => decrypt::<Aes256>(key, block),
        }
    }
}

fn encrypt<C: KeyInit + BlockCipherEncrypt>(key: &SecretBytes, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = C::new_from_slice(key.expose()).ok()?;
    let mut block = Block::<C>::try_from(block).ok()?;
    cipher.encrypt_block(&mut block);
    Some(Zeroizing::new(block.to_vec()))
}

fn decrypt<C: KeyInit + BlockCipherDecrypt>(key: &SecretBytes, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = C::new_from_slice(key.expose()).ok()?;
    let mut block = Block::<C>::try_from(block).ok()?;
    cipher.decrypt_block(&mut block);
    Some(Zeroizing::new(block.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197 appendix C and SP 800-67 appendix B.1: key, plaintext, ciphertext.
    const SAMPLES: [(SymmetricAlgorithm, &str, &str, &str); 4] = [
        (
            SymmetricAlgorithm::TripleDes,
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "5468652071756663",
            "a826fd8ce53b855f",
        ),
        (
            SymmetricAlgorithm::Aes128,
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "69c4e0d86a7b0430d8cdb78070b4c55a",
        ),
        (
            SymmetricAlgorithm::Aes192,
            "000102030405060708090a0b0c0d0e0f1011121314151617",
            "00112233445566778899aabbccddeeff",
            "dda97ca4864cdfe06eaf70a0ec0d7191",
        ),
        (
            SymmetricAlgorithm::Aes256,
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "00112233445566778899aabbccddeeff",
            "8ea2b7ca516745bfeafc49904b496089",
        ),
    ];

    #[test]
    fn the_published_samples_come_out() {
        for (algorithm, key, plaintext, ciphertext) in SAMPLES {
            let key = SecretBytes::new(hex::decode(key).unwrap());
            let (plaintext, ciphertext) = (hex::decode(plaintext).unwrap(), hex::decode(ciphertext).unwrap());
            assert_eq!(key.expose().len(), algorithm.key_length());
            assert_eq!(*algorithm.encrypt_block(&key, &plaintext).unwrap(), ciphertext, "{algorithm:?}");
            assert_eq!(*algorithm.decrypt_block(&key, &ciphertext).unwrap(), plaintext, "{algorithm:?}");
            assert!(algorithm.encrypt_block(&key, &plaintext[1..]).is_none());
            assert!(algorithm.decrypt_block(&key, &ciphertext[1..]).is_none());
        }
    }
}
