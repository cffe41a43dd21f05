//! Cipher block chaining with PKCS #7 padding (RFC 5652 section 6.3), a piece at a time.
use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use des::TdesEde3;
use subtle::{Choice, ConstantTimeEq, ConstantTimeLess};
use zeroize::Zeroizing;

use super::{ContentEncryption, NotDecrypted};

/// A cipher in CBC mode that works on whole blocks in place; octets beyond the last whole block are left alone.
trait Blocks {
    fn apply(&mut self, blocks: &mut [u8]);
}

struct Forward<C>(C);
struct Backward<C>(C);

impl<C: BlockModeEncrypt> Blocks for Forward<C> {
    fn apply(&mut self, blocks: &mut [u8]) {
        self.0.encrypt_blocks(Array::slice_as_chunks_mut(blocks).0);
    }
}

impl<C: BlockModeDecrypt> Blocks for Backward<C> {
    fn apply(&mut self, blocks: &mut [u8]) {
        self.0.decrypt_blocks(Array::slice_as_chunks_mut(blocks).0);
    }
}

fn forward<C: BlockModeEncrypt + KeyIvInit + 'static>(key: &[u8], iv: &[u8]) -> Option<Box<dyn Blocks>> {
    C::new_from_slices(key, iv).ok().map(|cipher| Box::new(Forward(cipher)) as Box<dyn Blocks>)
}

fn backward<C: BlockModeDecrypt + KeyIvInit + 'static>(key: &[u8], iv: &[u8]) -> Option<Box<dyn Blocks>> {
    C::new_from_slices(key, iv).ok().map(|cipher| Box::new(Backward(cipher)) as Box<dyn Blocks>)
}

/// Encrypts; what does not fill a block waits for more.
pub(super) struct Encrypting {
    cipher: Box<dyn Blocks>,
    block: usize,
    waiting: Zeroizing<Vec<u8>>,
}

impl Encrypting {
    /// `None` for wrong lengths and for ciphers that are only read.
    pub(super) fn new(encryption: ContentEncryption, key: &[u8], iv: &[u8]) -> Option<Self> {
        let cipher = match encryption {
            ContentEncryption::Aes128Cbc => forward::<cbc::Encryptor<Aes128>>(key, iv),
            ContentEncryption::Aes192Cbc => forward::<cbc::Encryptor<Aes192>>(key, iv),
            ContentEncryption::Aes256Cbc => forward::<cbc::Encryptor<Aes256>>(key, iv),
            #[cfg(test)]
            ContentEncryption::TripleDesCbc => forward::<cbc::Encryptor<TdesEde3>>(key, iv),
            _ => None,
        }?;
        Some(Self { cipher, block: encryption.iv_length(), waiting: Zeroizing::new(Vec::with_capacity(16)) })
    }

    pub(super) fn update(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let whole = self.waiting.len() + content.len();
        let kept = whole % self.block;
        if kept == whole {
            return self.waiting.extend_from_slice(content);
        }
        let (now, later) = content.split_at_checked(content.len() - kept).unwrap_or((content, &[]));
        let start = out.len();
        out.extend_from_slice(&self.waiting);
        out.extend_from_slice(now);
        self.cipher.apply(out.get_mut(start..).unwrap_or_default());
        self.waiting.clear();
        self.waiting.extend_from_slice(later);
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        let padding = self.block - self.waiting.len() % self.block;
        let octet = u8::try_from(padding).unwrap_or_default();
        self.waiting.extend(std::iter::repeat_n(octet, padding));
        self.cipher.apply(&mut self.waiting);
        out.extend_from_slice(&self.waiting);
    }
}

/// Decrypts; the last block waits for the end, because it holds the padding.
pub(super) struct Decrypting {
    cipher: Box<dyn Blocks>,
    block: usize,
    waiting: Zeroizing<Vec<u8>>,
}

impl Decrypting {
    /// `None` for wrong lengths.
    pub(super) fn new(encryption: ContentEncryption, key: &[u8], iv: &[u8]) -> Option<Self> {
        let cipher = match encryption {
            ContentEncryption::Aes128Cbc => backward::<cbc::Decryptor<Aes128>>(key, iv),
            ContentEncryption::Aes192Cbc => backward::<cbc::Decryptor<Aes192>>(key, iv),
            ContentEncryption::Aes256Cbc => backward::<cbc::Decryptor<Aes256>>(key, iv),
            ContentEncryption::TripleDesCbc => backward::<cbc::Decryptor<TdesEde3>>(key, iv),
            _ => None,
        }?;
        Some(Self { cipher, block: encryption.iv_length(), waiting: Zeroizing::new(Vec::with_capacity(32)) })
    }

    pub(super) fn update(&mut self, encrypted: &[u8], out: &mut Vec<u8>) {
        let whole = self.waiting.len() + encrypted.len();
        if whole <= self.block {
            return self.waiting.extend_from_slice(encrypted);
        }
        // From one octet to a whole block stay behind.
        let kept = (whole - 1) % self.block + 1;
        let start = out.len();
        out.extend_from_slice(&self.waiting);
        out.extend_from_slice(encrypted);
        let end = out.len() - kept;
        self.waiting.clear();
        self.waiting.extend_from_slice(out.get(end..).unwrap_or_default());
        out.truncate(end);
        self.cipher.apply(out.get_mut(start..).unwrap_or_default());
    }

    /// Looks at every octet of the last block, whatever the padding is.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), NotDecrypted> {
        if self.waiting.len() != self.block {
            return Err(NotDecrypted);
        }
        self.cipher.apply(&mut self.waiting);
        let padding = self.waiting.last().copied().unwrap_or_default();
        let block = u8::try_from(self.block).unwrap_or_default();
        let mut right = !padding.ct_eq(&0) & !block.ct_lt(&padding);
        for (after, octet) in (1_u8..).zip(self.waiting.iter().rev()) {
            let is_content = padding.ct_lt(&after);
            right &= is_content | octet.ct_eq(&padding);
        }
        if !bool::from(right & Choice::from(1)) {
            return Err(NotDecrypted);
        }
        let content = self.block - usize::from(padding);
        out.extend_from_slice(self.waiting.get(..content).unwrap_or_default());
        Ok(())
    }
}
