//! The envelope of a backup: pieces of AES-256-GCM under a key that scrypt (RFC 7914) makes of the passphrase.
//!
//! ```text
//! "issuer backup 1" LF   log N, r, p: 3 octets   salt: 16 octets   pieces
//! piece = length of what follows: 4 octets, big-endian   ciphertext and tag
//! nonce of piece i = 7 zeros   i: 4 octets, big-endian   1 for the last piece, else 0
//! ```
//!
//! The header is authenticated with every piece; a piece that is missing, moved, changed or added is noticed, and so is an
//! end that was cut off, because only the last piece says that it is.

use std::io::Read;
use std::path::Path;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::super::failure::Failure;

const MAGIC: &[u8] = b"issuer backup 1\n";
const SALT: usize = 16;
const HEADER: usize = MAGIC.len() + 3 + SALT;
/// 2^15 blocks of 1 KiB: 32 MiB, as for the master key's file half of it and more than openssl's default.
const COST: [u8; 3] = [15, 8, 1];
const PIECE: usize = 1024 * 1024;

fn failed(what: &str) -> Failure {
    Failure::new("backup", what.to_owned())
}

/// Encrypts a backup.
///
/// # Errors
/// More than the format holds.
pub(super) fn seal(plain: &[u8], passphrase: &str, random: &mut dyn CryptoRng) -> Result<Vec<u8>, Failure> {
    let mut sealed = MAGIC.to_vec();
    sealed.extend(COST);
    let mut salt = [0; SALT];
    random.fill_bytes(&mut salt);
    sealed.extend(salt);
    let header = sealed.clone();
    let cipher = cipher(&header, passphrase)?;
    let pieces = plain.chunks(PIECE).collect::<Vec<_>>();
    let count = pieces.len().max(1);
    for number in 0..count {
        let piece = pieces.get(number).copied().unwrap_or_default();
        let nonce = nonce(number, number + 1 == count)?;
        let payload = Payload { msg: piece, aad: &header };
        let encrypted =
            cipher.encrypt(&nonce, payload).map_err(|_| failed("the backup cannot be encrypted"))?;
        let length = u32::try_from(encrypted.len()).map_err(|_| failed("a piece is too long"))?;
        sealed.extend(length.to_be_bytes());
        sealed.extend(encrypted);
    }
    Ok(sealed)
}

/// A registry of a million cards is some 12 GB.
const LARGEST: u64 = 64 * 1024 * 1024 * 1024;

/// Reads a sealed backup: what does not begin as one, or is no file with an end, is refused before it is read.
///
/// # Errors
/// It cannot be read, or is no backup.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: &std::io::Error| Failure::file(path, error);
    let refused = |what: &str| Failure::new("malformed", format!("{} {what}", path.display()));
    // Before it is opened: a pipe would wait for whoever writes into it.
    let about = std::fs::metadata(path).map_err(|error| failed(&error))?;
    if !about.is_file() {
        return Err(refused("is not a file; name the backup that issuer backup wrote"));
    }
    if about.len() > LARGEST {
        return Err(refused("is longer than any backup of an issuer"));
    }
    let mut file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut sealed = Vec::new();
    let header = u64::try_from(HEADER).unwrap_or(u64::MAX);
    (&mut file).take(header).read_to_end(&mut sealed).map_err(|error| failed(&error))?;
    if !sealed.starts_with(MAGIC) {
        return Err(refused("is not a backup of an issuer"));
    }
    file.take(LARGEST).read_to_end(&mut sealed).map_err(|error| failed(&error))?;
    Ok(sealed)
}

/// Decrypts a backup, whole or not at all.
///
/// # Errors
/// Another passphrase, or anything that was not written by [`seal`].
pub(super) fn open(sealed: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let Some((header, mut rest)) = sealed.split_at_checked(HEADER).filter(|_| sealed.starts_with(MAGIC))
    else {
        return Err(Failure::new("malformed", "this is not a backup of an issuer"));
    };
    let cipher = cipher(header, passphrase)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(rest.len()));
    let mut number = 0;
    loop {
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return Err(failed("the backup is not whole: its end is missing"));
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((piece, after)) = after.split_at_checked(length) else {
            return Err(failed("the backup is not whole: its end is missing"));
        };
        let is_last = after.is_empty();
        let payload = Payload { msg: piece, aad: header };
        let decrypted = cipher.decrypt(&nonce(number, is_last)?, payload).map_err(|_| match number {
            0 => Failure::new("wrong-passphrase", "wrong passphrase, or the backup is damaged"),
            _ => failed("the backup is damaged, or its end is missing"),
        })?;
        plain.extend_from_slice(&Zeroizing::new(decrypted));
        if is_last {
            return Ok(plain);
        }
        (rest, number) = (after, number + 1);
    }
}

fn nonce(number: usize, is_last: bool) -> Result<Nonce<aes_gcm::aead::consts::U12>, Failure> {
    let number = u32::try_from(number).map_err(|_| failed("the backup is too long"))?;
    let mut nonce = [0; 12];
    for (place, octet) in nonce.iter_mut().skip(7).zip(number.to_be_bytes()) {
        *place = octet;
    }
    nonce[11] = u8::from(is_last);
    Ok(nonce.into())
}

fn cipher(header: &[u8], passphrase: &str) -> Result<Aes256Gcm, Failure> {
    let (cost, salt) = header
        .split_at_checked(MAGIC.len())
        .map_or((&[][..], &[][..]), |(_, rest)| rest.split_at_checked(3).unwrap_or_default());
    // Somebody who can change the file must not make us take all memory.
    let [log_n @ 1..=20, r @ 1..=16, p @ 1..=8] = *cost else {
        return Err(Failure::new("malformed", "the backup's scrypt parameters are too large"));
    };
    let parameters = scrypt::Params::new(log_n, u32::from(r), u32::from(p))
        .map_err(|_| Failure::new("malformed", "the backup's scrypt parameters are not valid"))?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase.as_bytes(), salt, &parameters, key.as_mut_slice())
        .map_err(|_| failed("scrypt refused its output length"))?;
    Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| failed("the key has another length"))
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;

    #[test]
    fn what_was_sealed_opens_and_nothing_else_does() {
        let mut random = UnwrapErr(SysRng);
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
            let plain = vec![7; length];
            let sealed = seal(&plain, "correct horse", &mut random).unwrap();
            assert_eq!(*open(&sealed, "correct horse").unwrap(), plain);
            assert_eq!(open(&sealed, "wrong horse").unwrap_err().code, "wrong-passphrase");
        }
        let sealed = seal(&vec![7; PIECE + 10], "correct horse", &mut random).unwrap();
        let one = HEADER + 4 + PIECE + 16;
        for cut in [0, 5, HEADER, HEADER + 3, one, one + 2, sealed.len() - 1] {
            assert!(open(sealed.get(..cut).unwrap(), "correct horse").is_err(), "cut at {cut}");
        }
        for place in [0, HEADER - 1, HEADER + 10, one - 1, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(open(&changed, "correct horse").is_err(), "changed at {place}");
        }
        let mut greedy = sealed;
        greedy[MAGIC.len()] = 40;
        assert_eq!(open(&greedy, "correct horse").unwrap_err().code, "malformed");
    }
}
