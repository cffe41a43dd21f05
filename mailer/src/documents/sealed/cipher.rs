//! AES-256-CBC as PDF has it: a random initialization vector in front (ISO 32000-2 section 7.6.3, algorithm 1.A).
use std::io::{Read, Write};

use getrandom::SysRng;
use rand_core::TryRng;
use zeroize::Zeroizing;

use super::error::SealedError;
use super::file_key::FileKey;
use crate::content::{Content, Spool};
use crate::documents::pdf::{Dictionary, Object};
use crate::smime::{ContentEncryption, Opening, Sealing};

/// The length of the initialization vector.
pub(super) const VECTOR: usize = 16;
/// How much is encrypted or decrypted at once.
pub(super) const CHUNK: usize = 64 * 1024;
const AES: ContentEncryption = ContentEncryption::Aes256Cbc;
/// The longest string that is decrypted: names.
const LONGEST_STRING: usize = 64 * 1024;

/// Octets that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SealedError> {
    let mut octets = [0; N];
    SysRng.try_fill_bytes(&mut octets).map_err(|_| SealedError::Randomness)?;
    Ok(octets)
}

/// How long content becomes, the vector counted.
pub(super) fn encrypted_length(content: u64) -> u64 {
    AES.encrypted_length(content).saturating_add(VECTOR as u64)
}

/// An encryption that is fed piece by piece; the vector is written by the caller.
pub(super) fn sealing(key: &FileKey, vector: &[u8; VECTOR]) -> Result<Sealing, SealedError> {
    Sealing::new(AES, key.octets(), vector, &[]).ok_or(SealedError::Randomness)
}

/// Octets in memory, encrypted.
pub(super) fn encrypt(key: &FileKey, octets: &[u8]) -> Result<Vec<u8>, SealedError> {
    let vector = random()?;
    let mut sealing = sealing(key, &vector)?;
    let mut out = vector.to_vec();
    // CBC takes content of any length.
    let _ = sealing.update(octets, &mut out);
    sealing.finish(&mut out);
    Ok(out)
}

/// Every string in an object encrypted, as those of an encrypted file are (section 7.6.2).
pub(super) fn encrypt_strings(key: &FileKey, object: Object) -> Result<Object, SealedError> {
    Ok(match object {
        Object::String(octets) => Object::String(encrypt(key, &octets)?),
        Object::Array(elements) => Object::Array(
            elements.into_iter().map(|element| encrypt_strings(key, element)).collect::<Result<_, _>>()?,
        ),
        Object::Dictionary(dictionary) => {
            let mut encrypted = Dictionary::new();
            for (name, value) in dictionary.iter() {
                encrypted.insert_new(name.clone(), encrypt_strings(key, value.clone())?);
            }
            Object::Dictionary(encrypted)
        }
        other => other,
    })
}

/// The plaintext, spooled, if the padding is right: nothing else of it leaves this function.
pub(super) fn decrypt(key: &FileKey, encrypted: &Content) -> Result<Content, SealedError> {
    let vector = encrypted.head(VECTOR)?;
    let mut opening = Opening::new(AES, key.octets(), &vector, &[]).ok_or(SealedError::Damaged)?;
    let rest = encrypted.slice(VECTOR as u64..encrypted.len());
    let mut reader = rest.reader();
    let mut spool = Spool::new();
    let mut buffer = vec![0; CHUNK];
    let mut decrypted = Zeroizing::new(Vec::with_capacity(CHUNK + VECTOR));
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let octets = buffer.get(..read).unwrap_or_default();
        opening.update(octets, &mut decrypted).map_err(|_| SealedError::Damaged)?;
        spool.write_all(&decrypted)?;
        decrypted.clear();
    }
    opening.finish(&[], &mut decrypted).map_err(|_| SealedError::Damaged)?;
    spool.write_all(&decrypted)?;
    Ok(spool.finish()?)
}

/// A string of an encrypted file.
pub(super) fn decrypt_string(key: &FileKey, octets: &[u8]) -> Result<Vec<u8>, SealedError> {
    if octets.len() > LONGEST_STRING {
        return Err(SealedError::Malformed("a name is too long".to_owned()));
    }
    let plain = decrypt(key, &Content::from_vec(octets.to_vec()))?;
    Ok(plain.to_vec(LONGEST_STRING)?.map(|plain| plain.to_vec()).unwrap_or_default())
}
