//! Authenticated encryption by a key stream and a universal hash: AES-GCM (SP 800-38D) and ChaCha20-Poly1305
//! (RFC 8439 section 2.8), a piece at a time.
use aes::{Aes128, Aes192, Aes256};
use chacha20::ChaCha20;
use cipher::{KeyIvInit, StreamCipher};
use ctr::Ctr32BE;
use ghash::GHash;
use ghash::universal_hash::{KeyInit, UniversalHash};
use poly1305::Poly1305;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{ContentEncryption, NONCE_LENGTH, NotDecrypted, SHORTEST_TAG, TAG_LENGTH};

/// Both hashes take blocks of 16 octets.
const BLOCK: usize = 16;
/// So much is enciphered and hashed in turn, so that it is still in the processor's cache.
const STRIDE: usize = 16 * 1024;
/// The most octets under one key and nonce: 2^36 - 32 for AES-GCM (SP 800-38D section 5.2.1.1).
const MOST_OCTETS: u64 = (1 << 36) - 32;

trait KeyStream {
    fn apply(&mut self, buffer: &mut [u8]) -> Result<(), NotDecrypted>;
}

impl<C: StreamCipher> KeyStream for C {
    fn apply(&mut self, buffer: &mut [u8]) -> Result<(), NotDecrypted> {
        self.try_apply_keystream(buffer).map_err(|_| NotDecrypted)
    }
}

enum Hash {
    Galois {
        hash: GHash,
        /// What the hash is combined with: the first block of the key stream.
        mask: Zeroizing<[u8; BLOCK]>,
    },
    Poly1305(Box<Poly1305>),
}

impl Hash {
    fn update(&mut self, blocks: &[u8]) {
        match self {
            Self::Galois { hash, .. } => hash.update_padded(blocks),
            Self::Poly1305(hash) => hash.update_padded(blocks),
        }
    }
}

/// The state of one encryption or decryption.
pub(super) struct Authenticated {
    key_stream: Box<dyn KeyStream>,
    hash: Hash,
    /// Encrypted octets that do not fill a block yet.
    partial: [u8; BLOCK],
    filled: usize,
    associated_length: u64,
    length: u64,
    shortest_tag: usize,
}

impl Authenticated {
    /// `None` for wrong lengths of key and nonce.
    pub(super) fn new(
        encryption: ContentEncryption,
        key: &[u8],
        nonce: &[u8],
        associated_data: &[u8],
    ) -> Option<Self> {
        let (key_stream, mut hash, shortest_tag) = match encryption {
            ContentEncryption::Aes128Gcm => galois::<Aes128>(key, nonce)?,
            ContentEncryption::Aes192Gcm => galois::<Aes192>(key, nonce)?,
            ContentEncryption::Aes256Gcm => galois::<Aes256>(key, nonce)?,
            ContentEncryption::ChaCha20Poly1305 => chacha20(key, nonce)?,
            _ => return None,
        };
        hash.update(associated_data);
        Some(Self {
            key_stream,
            hash,
            partial: [0; BLOCK],
            filled: 0,
            associated_length: associated_data.len() as u64,
            length: 0,
            shortest_tag,
        })
    }

    pub(super) fn seal(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), NotDecrypted> {
        self.count(content.len())?;
        for stride in content.chunks(STRIDE) {
            let start = out.len();
            out.extend_from_slice(stride);
            let sealed = out.get_mut(start..).unwrap_or_default();
            self.key_stream.apply(sealed)?;
            self.absorb(out.get(start..).unwrap_or_default());
        }
        Ok(())
    }

    pub(super) fn open(&mut self, encrypted: &[u8], out: &mut Vec<u8>) -> Result<(), NotDecrypted> {
        self.count(encrypted.len())?;
        for stride in encrypted.chunks(STRIDE) {
            self.absorb(stride);
            let start = out.len();
            out.extend_from_slice(stride);
            self.key_stream.apply(out.get_mut(start..).unwrap_or_default())?;
        }
        Ok(())
    }

    /// The whole tag.
    pub(super) fn tag(mut self) -> [u8; TAG_LENGTH] {
        let partial = self.partial;
        self.hash.update(partial.get(..self.filled).unwrap_or_default());
        match self.hash {
            Hash::Galois { mut hash, mask } => {
                let bits = |octets: u64| octets.wrapping_mul(8).to_be_bytes();
                let lengths = [bits(self.associated_length), bits(self.length)].concat();
                hash.update_padded(&lengths);
                let mut tag: [u8; TAG_LENGTH] = hash.finalize().into();
                tag.iter_mut().zip(mask.iter()).for_each(|(octet, mask)| *octet ^= mask);
                tag
            }
            Hash::Poly1305(mut hash) => {
                let lengths = [self.associated_length.to_le_bytes(), self.length.to_le_bytes()].concat();
                hash.update_padded(&lengths);
                hash.finalize().into()
            }
        }
    }

    /// Compares the tag in constant time.
    pub(super) fn check(self, tag: &[u8]) -> Result<(), NotDecrypted> {
        if tag.len() < self.shortest_tag {
            return Err(NotDecrypted);
        }
        let expected = self.tag();
        let expected = expected.get(..tag.len()).ok_or(NotDecrypted)?;
        if bool::from(expected.ct_eq(tag)) { Ok(()) } else { Err(NotDecrypted) }
    }

    fn count(&mut self, more: usize) -> Result<(), NotDecrypted> {
        self.length = self.length.checked_add(more as u64).ok_or(NotDecrypted)?;
        if self.length > MOST_OCTETS { Err(NotDecrypted) } else { Ok(()) }
    }

    /// Hashes encrypted octets; what does not fill a block waits.
    fn absorb(&mut self, mut encrypted: &[u8]) {
        if self.filled > 0 {
            let (now, later) = encrypted.split_at(encrypted.len().min(BLOCK - self.filled));
            self.fill(now);
            encrypted = later;
            if self.filled < BLOCK {
                return;
            }
            self.filled = 0;
            let block = self.partial;
            self.hash.update(&block);
        }
        let (blocks, rest) = encrypted.split_at(encrypted.len() / BLOCK * BLOCK);
        self.hash.update(blocks);
        self.fill(rest);
    }

    fn fill(&mut self, octets: &[u8]) {
        let places = self.partial.iter_mut().skip(self.filled);
        places.zip(octets).for_each(|(place, octet)| *place = *octet);
        self.filled += octets.len();
    }
}

type Parts = (Box<dyn KeyStream>, Hash, usize);

/// SP 800-38D section 7.1, for nonces of 96 bits.
fn galois<Aes>(key: &[u8], nonce: &[u8]) -> Option<Parts>
where
    Aes:
        cipher::BlockCipherEncrypt + cipher::BlockSizeUser<BlockSize = cipher::consts::U16> + cipher::KeyInit,
    Ctr32BE<Aes>: StreamCipher + KeyIvInit + 'static,
{
    if nonce.len() != NONCE_LENGTH {
        return None;
    }
    let mut hash_key = cipher::Block::<Aes>::default();
    Aes::new_from_slice(key).ok()?.encrypt_block(&mut hash_key);
    let hash = GHash::new(&hash_key);
    hash_key.zeroize();
    let counter = [nonce, &[0, 0, 0, 1]].concat();
    let mut key_stream = Ctr32BE::<Aes>::new_from_slices(key, &counter).ok()?;
    let mut mask = Zeroizing::new([0; BLOCK]);
    key_stream.apply_keystream(mask.as_mut_slice());
    Some((Box::new(key_stream), Hash::Galois { hash, mask }, SHORTEST_TAG))
}

/// RFC 8439 section 2.6: the first block of the key stream holds the one-time key of Poly1305.
fn chacha20(key: &[u8], nonce: &[u8]) -> Option<Parts> {
    let mut key_stream = ChaCha20::new_from_slices(key, nonce).ok()?;
    let mut first = Zeroizing::new([0; 64]);
    key_stream.apply_keystream(first.as_mut_slice());
    let hash = Poly1305::new_from_slice(first.get(..32)?).ok()?;
    Some((Box::new(key_stream), Hash::Poly1305(Box::new(hash)), TAG_LENGTH))
}
