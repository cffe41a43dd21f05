//! RSA keys made before they are asked for.
//!
//! A real card takes seconds for an RSA key, this one about a tenth of a second, and hosts wait. A pool hands each key
//! out once, so no two cards ever share one; what is left is wiped. Seeded cards take none: their keys must come from
//! their seed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{
    AsymmetricAlgorithm, CryptoError, CryptoProvider, LoadedKey, PrivateKey, PrivateKeyMaterial, Randomness,
    RustCrypto,
};

/// The algorithm that is worth waiting for beforehand.
const ALGORITHM: AsymmetricAlgorithm = AsymmetricAlgorithm::Rsa2048;

/// Ready RSA-2048 keys, and the thread that makes them. Dropping it ends the thread after the key it is at.
pub struct KeyPool(Arc<Shared>);

struct Shared {
    size: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    ready: Vec<PrivateKeyMaterial>,
    is_closed: bool,
}

impl KeyPool {
    /// Starts a thread that keeps this many keys ready.
    ///
    /// # Errors
    /// When the system gives no randomness or no thread.
    pub fn start(size: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { size, inner: Mutex::default(), changed: Condvar::new() });
        let randomness = Randomness::from_system()?;
        let filled = Arc::clone(&shared);
        thread::Builder::new().name("ready keys".to_owned()).spawn(move || filled.fill(randomness))?;
        Ok(Self(shared))
    }

    /// Waits until as many keys are ready as there is room for.
    pub fn wait_until_full(&self) {
        let is_filling = |inner: &mut Inner| inner.ready.len() < self.0.size && !inner.is_closed;
        drop(self.0.changed.wait_while(self.0.lock(), is_filling));
    }

    /// A key that nobody else gets, if one is ready.
    fn take(&self) -> Option<PrivateKeyMaterial> {
        let key = self.0.lock().ready.pop();
        self.0.changed.notify_all();
        key
    }
}

impl Drop for KeyPool {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.is_closed = true;
        inner.ready.clear();
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn fill(&self, mut randomness: Randomness) {
        loop {
            let is_full = |inner: &mut Inner| inner.ready.len() >= self.size && !inner.is_closed;
            let inner = self.changed.wait_while(self.lock(), is_full).unwrap_or_else(PoisonError::into_inner);
            if inner.is_closed {
                return;
            }
            drop(inner);
            let Ok(key) = RustCrypto.generate(ALGORITHM, &mut randomness) else {
                tracing::warn!("no key came out; none is made beforehand any more");
                self.lock().is_closed = true;
                self.changed.notify_all();
                return;
            };
            let mut inner = self.lock();
            if !inner.is_closed {
                inner.ready.push(key);
            }
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An implementation that takes ready keys while there are any.
pub(crate) struct Pooled {
    crypto: Box<dyn CryptoProvider>,
    pool: Arc<KeyPool>,
}

impl Pooled {
    pub(crate) fn new(crypto: Box<dyn CryptoProvider>, pool: Arc<KeyPool>) -> Self {
        Self { crypto, pool }
    }
}

impl CryptoProvider for Pooled {
    fn generate(
        &self,
        algorithm: AsymmetricAlgorithm,
        randomness: &mut Randomness,
    ) -> Result<PrivateKeyMaterial, CryptoError> {
        let ready = if algorithm == ALGORITHM { self.pool.take() } else { None };
        ready.map_or_else(|| self.crypto.generate(algorithm, randomness), Ok)
    }

    fn generate_loaded(
        &self,
        algorithm: AsymmetricAlgorithm,
        randomness: &mut Randomness,
    ) -> Result<LoadedKey, CryptoError> {
        let ready = if algorithm == ALGORITHM { self.pool.take() } else { None };
        let Some(material) = ready else { return self.crypto.generate_loaded(algorithm, randomness) };
        let loaded = self.load_proven(&material)?;
        Ok((material, loaded))
    }

    fn load(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError> {
        self.crypto.load(material)
    }

    fn load_proven(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError> {
        self.crypto.load_proven(material)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PublicKey;

    fn public(material: &PrivateKeyMaterial) -> PublicKey {
        RustCrypto.load(material).unwrap().public_key()
    }

    #[test]
    fn each_key_is_handed_out_once_and_the_pool_fills_again() {
        let pool = Arc::new(KeyPool::start(2).unwrap());
        let crypto = Pooled::new(Box::new(RustCrypto), Arc::clone(&pool));
        let mut randomness = Randomness::from_seed(b"not drawn on while keys are ready", 0);
        let mut keys = Vec::new();
        for _ in 0..2 {
            pool.wait_until_full();
            keys.push(crypto.generate(ALGORITHM, &mut randomness).unwrap());
            keys.push(crypto.generate(ALGORITHM, &mut randomness).unwrap());
        }
        let first_of_the_stream =
            Randomness::from_seed(b"not drawn on while keys are ready", 0).array::<16>();
        assert_eq!(randomness.array::<16>(), first_of_the_stream);
        for (number, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(number + 1).all(|other| public(other) != public(key)));
        }
    }

    #[test]
    fn an_empty_pool_and_other_algorithms_are_no_hindrance() {
        let pool = Arc::new(KeyPool::start(0).unwrap());
        let crypto = Pooled::new(Box::new(RustCrypto), pool);
        let mut randomness = Randomness::from_seed(b"pool", 0);
        for algorithm in [ALGORITHM, AsymmetricAlgorithm::P256] {
            assert_eq!(crypto.generate(algorithm, &mut randomness).unwrap().algorithm(), algorithm);
        }
    }
}
