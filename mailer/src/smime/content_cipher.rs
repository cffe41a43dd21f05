//! Content encryption: AES-CBC (RFC 3565) and AES-GCM (RFC 5084).
use aes::cipher::consts::{U12, U13, U14, U15, U16};
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::KeyInit;
use aes_gcm::{AeadInOut, AesGcm, Nonce, Tag, TagSize};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use const_oid::ObjectIdentifier;
use zeroize::Zeroizing;

use super::object_identifiers::{
    AES_128_CBC, AES_128_GCM, AES_192_CBC, AES_192_GCM, AES_256_CBC, AES_256_GCM,
};
use crate::certificate::tlv::{Element, Malformed, element, tag};

/// The nonce length that RFC 5084 recommends, and the only one that is read.
pub(super) const NONCE_LENGTH: usize = 12;
/// The initialization vector of AES-CBC: one block.
pub(super) const IV_LENGTH: usize = 16;

/// The content did not decrypt: wrong key, or not the content that was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotDecrypted;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Cbc,
    Gcm,
}

/// Mode and key length in bytes of a content encryption algorithm.
pub(super) fn algorithm(identifier: ObjectIdentifier) -> Option<(Mode, usize)> {
    match identifier {
        AES_128_CBC => Some((Mode::Cbc, 16)),
        AES_192_CBC => Some((Mode::Cbc, 24)),
        AES_256_CBC => Some((Mode::Cbc, 32)),
        AES_128_GCM => Some((Mode::Gcm, 16)),
        AES_192_GCM => Some((Mode::Gcm, 24)),
        AES_256_GCM => Some((Mode::Gcm, 32)),
        _ => None,
    }
}

/// Encrypts with AES-256-CBC and PKCS #7 padding.
pub(super) fn encrypt_cbc(key: &[u8; 32], iv: &[u8; IV_LENGTH], content: &[u8]) -> Vec<u8> {
    cbc::Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_padded_vec::<Pkcs7>(content)
}

/// Decrypts AES-CBC with a key of 16, 24 or 32 bytes.
pub(super) fn decrypt_cbc(
    key: &[u8],
    iv: &[u8],
    encrypted: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotDecrypted> {
    let mut buffer = Zeroizing::new(encrypted.to_vec());
    let length = match key.len() {
        16 => cbc::Decryptor::<Aes128>::new_from_slices(key, iv)
            .map_err(|_| NotDecrypted)?
            .decrypt_padded::<Pkcs7>(&mut buffer)
            .map(<[u8]>::len),
        24 => cbc::Decryptor::<Aes192>::new_from_slices(key, iv)
            .map_err(|_| NotDecrypted)?
            .decrypt_padded::<Pkcs7>(&mut buffer)
            .map(<[u8]>::len),
        32 => cbc::Decryptor::<Aes256>::new_from_slices(key, iv)
            .map_err(|_| NotDecrypted)?
            .decrypt_padded::<Pkcs7>(&mut buffer)
            .map(<[u8]>::len),
        _ => return Err(NotDecrypted),
    };
    buffer.truncate(length.map_err(|_| NotDecrypted)?);
    Ok(buffer)
}

/// Encrypts with AES-256-GCM; answers ciphertext and 16-byte tag.
pub(super) fn encrypt_gcm(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LENGTH],
    content: &[u8],
) -> Option<(Vec<u8>, [u8; 16])> {
    let mut buffer = content.to_vec();
    let cipher = AesGcm::<Aes256, U12, U16>::new(key.into());
    let tag = cipher.encrypt_inout_detached(nonce.into(), &[], buffer.as_mut_slice().into()).ok()?;
    Some((buffer, tag.into()))
}

/// Decrypts AES-GCM with a key of 16, 24 or 32 bytes and a tag of 12 to 16. Nothing is handed out unless the tag is right.
pub(super) fn decrypt_gcm(
    key: &[u8],
    nonce: &[u8],
    associated_data: &[u8],
    encrypted: &[u8],
    tag: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotDecrypted> {
    let input = GcmInput { key, nonce, associated_data, encrypted, tag };
    match key.len() {
        16 => input.open::<Aes128>(),
        24 => input.open::<Aes192>(),
        32 => input.open::<Aes256>(),
        _ => Err(NotDecrypted),
    }
}

struct GcmInput<'a> {
    key: &'a [u8],
    nonce: &'a [u8],
    associated_data: &'a [u8],
    encrypted: &'a [u8],
    tag: &'a [u8],
}

impl GcmInput<'_> {
    fn open<Aes>(&self) -> Result<Zeroizing<Vec<u8>>, NotDecrypted>
    where
        Aes: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit,
    {
        match self.tag.len() {
            12 => self.open_with::<Aes, U12>(),
            13 => self.open_with::<Aes, U13>(),
            14 => self.open_with::<Aes, U14>(),
            15 => self.open_with::<Aes, U15>(),
            16 => self.open_with::<Aes, U16>(),
            _ => Err(NotDecrypted),
        }
    }

    fn open_with<Aes, Size: TagSize>(&self) -> Result<Zeroizing<Vec<u8>>, NotDecrypted>
    where
        Aes: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit,
    {
        let cipher = AesGcm::<Aes, U12, Size>::new_from_slice(self.key).map_err(|_| NotDecrypted)?;
        let nonce = Nonce::<U12>::try_from(self.nonce).map_err(|_| NotDecrypted)?;
        let tag = Tag::<Size>::try_from(self.tag).map_err(|_| NotDecrypted)?;
        let mut buffer = Zeroizing::new(self.encrypted.to_vec());
        cipher
            .decrypt_inout_detached(&nonce, self.associated_data, buffer.as_mut_slice().into(), &tag)
            .map_err(|_| NotDecrypted)?;
        Ok(buffer)
    }
}

/// `GCMParameters ::= SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen INTEGER DEFAULT 12 }`: nonce and tag length.
pub(super) fn read_gcm_parameters(parameters: &[u8]) -> Result<(&[u8], usize), Malformed> {
    let mut fields = Element::only(parameters, tag::SEQUENCE)?.elements();
    let nonce = fields.expect(tag::OCTET_STRING)?.contents;
    let length = match fields.optional(tag::INTEGER)?.map(|length| length.contents) {
        None => 12,
        Some([length]) => usize::from(*length),
        Some(_) => return Err(Malformed::Length),
    };
    fields.finish()?;
    Ok((nonce, length))
}

/// Parameters with a nonce and a tag of 16 bytes.
pub(super) fn gcm_parameters(nonce: &[u8; NONCE_LENGTH]) -> Vec<u8> {
    element(tag::SEQUENCE, &[&element(tag::OCTET_STRING, &[nonce]), &[tag::INTEGER, 1, 16]])
}
