//! Encryption of a state file under a passphrase: scrypt (RFC 7914), then XChaCha20-Poly1305 (RFC 8439, with the
//! nonces of 24 bytes that may be drawn at random).
//!
//! ```text
//! parameters = log2 N, r, p       one byte each
//!              salt              16 bytes
//!              check             16 bytes: what scrypt gives besides the key, to tell a wrong passphrase from damage
//! sealed     = nonce             24 bytes
//!              ciphertext and tag
//! ```

use std::path::Path;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::StoreError;

/// 2^16 blocks of 1 kB: 64 MB and a sixth of a second for each guess.
const LOG_N: u8 = 16;
const R: u8 = 8;
const P: u8 = 1;
/// The largest parameters that are computed for a file: 1 GB.
const LARGEST_LOG_N: u8 = 20;

const SALT: usize = 16;
const CHECK: usize = 16;
const NONCE: usize = 24;
const KEY: usize = 32;
/// Bytes of the parameters in front of what is sealed.
pub(super) const PARAMETERS: usize = 3 + SALT + CHECK;

/// A key made from a passphrase, with what makes it again.
pub(super) struct Seal {
    parameters: [u8; PARAMETERS],
    key: Zeroizing<[u8; KEY]>,
}

impl Seal {
    /// A key for a new file.
    pub(super) fn new(passphrase: &[u8], path: &Path) -> Result<Self, StoreError> {
        let mut salt = [0; SALT];
        fill(&mut salt, path)?;
        let (key, check) = derive(passphrase, [LOG_N, R, P], &salt).ok_or_else(|| unusable(path))?;
        let mut parameters = [0; PARAMETERS];
        for (place, byte) in parameters.iter_mut().zip([LOG_N, R, P].iter().chain(&salt).chain(check.iter()))
        {
            *place = *byte;
        }
        Ok(Self { parameters, key })
    }

    /// The key of a file that begins with these parameters.
    pub(super) fn open(parameters: &[u8], passphrase: &[u8], path: &Path) -> Result<Self, StoreError> {
        let parameters: [u8; PARAMETERS] = parameters.try_into().map_err(|_| unusable(path))?;
        let [log_n, r, p, ref rest @ ..] = parameters;
        let (salt, check) = rest.split_at(SALT);
        let (key, computed) = derive(passphrase, [log_n, r, p], salt).ok_or_else(|| unusable(path))?;
        if !bool::from(computed.ct_eq(check)) {
            return Err(StoreError::WrongPassphrase { path: path.to_owned() });
        }
        Ok(Self { parameters, key })
    }

    pub(super) fn parameters(&self) -> &[u8; PARAMETERS] {
        &self.parameters
    }

    /// Encrypts; `context` must be the same when it is opened.
    pub(super) fn seal(&self, content: &[u8], context: &[u8], path: &Path) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE];
        fill(&mut nonce, path)?;
        let payload = Payload { msg: content, aad: context };
        let cipher = XChaCha20Poly1305::new((&*self.key).into());
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| unusable(path))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts; `None` when anything differs.
    pub(super) fn unseal(&self, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: context };
        let cipher = XChaCha20Poly1305::new((&*self.key).into());
        cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }
}

/// What opens an encrypted file: a passphrase, and the key once it was made from it.
#[derive(Default)]
pub(super) struct Lock {
    passphrase: Option<Zeroizing<Vec<u8>>>,
    seal: Option<Seal>,
}

impl Lock {
    /// A lock that this passphrase opens.
    pub(super) fn with_passphrase(passphrase: &[u8]) -> Self {
        Self { passphrase: Some(Zeroizing::new(passphrase.to_vec())), seal: None }
    }

    /// The key of a file that begins with these parameters.
    pub(super) fn key(&mut self, parameters: &[u8], path: &Path) -> Result<&Seal, StoreError> {
        if self.seal.as_ref().is_none_or(|seal| seal.parameters != parameters) {
            let passphrase = self.passphrase.take();
            let needed = || StoreError::PassphraseNeeded { path: path.to_owned() };
            self.seal = Some(Seal::open(parameters, &passphrase.ok_or_else(needed)?, path)?);
        }
        self.seal.as_ref().ok_or_else(|| unusable(path))
    }

    /// The key, if the file is encrypted.
    pub(super) fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }
}

type KeyAndCheck = (Zeroizing<[u8; KEY]>, Zeroizing<[u8; CHECK]>);

fn derive(passphrase: &[u8], [log_n, r, p]: [u8; 3], salt: &[u8]) -> Option<KeyAndCheck> {
    if log_n > LARGEST_LOG_N || r != R || p != P {
        return None;
    }
    let parameters = scrypt::Params::new(log_n, r.into(), p.into()).ok()?;
    let mut output = Zeroizing::new([0; KEY + CHECK]);
    scrypt::scrypt(passphrase, salt, &parameters, output.as_mut_slice()).ok()?;
    let (key, check) = output.split_at(KEY);
    Some((Zeroizing::new(key.try_into().ok()?), Zeroizing::new(check.try_into().ok()?)))
}

fn fill(bytes: &mut [u8], path: &Path) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::Io {
        path: path.to_owned(),
        action: "get randomness for it",
        source: error.into(),
    })
}

fn unusable(path: &Path) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what: "its encryption has unknown parameters".to_owned() }
}
