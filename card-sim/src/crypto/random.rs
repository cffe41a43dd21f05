//! The card's random source: fresh from the system, or repeatable for a seeded card.

use std::convert::Infallible;

use rand::rngs::ChaCha20Rng;
use rand_core::{SeedableRng, TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};

/// A ChaCha20 generator that was keyed once, when the card was opened or powered.
pub struct Randomness(ChaCha20Rng);

impl Randomness {
    /// Keys the generator from the operating system.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn from_system() -> Result<Self, getrandom::Error> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice())?;
        Ok(Self(ChaCha20Rng::from_seed(*key)))
    }

    /// The stream of a seeded card at one generation of its state. The same seed, state and
    /// commands give the same keys and challenges, whichever process runs the card.
    #[must_use]
    pub fn from_seed(seed: &[u8], generation: u64) -> Self {
        let key = Sha256::new()
            .chain_update(b"card-sim randomness")
            .chain_update(generation.to_be_bytes())
            .chain_update(seed)
            .finalize();
        Self(ChaCha20Rng::from_seed(key.into()))
    }

    /// Random bytes.
    #[must_use]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        rand_core::Rng::fill_bytes(&mut self.0, &mut bytes);
        bytes
    }

    /// An array of random bytes.
    #[must_use]
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        rand_core::Rng::fill_bytes(&mut self.0, &mut bytes);
        bytes
    }

    /// A random number below `limit`, or 0 when the limit is 0.
    #[must_use]
    pub fn below(&mut self, limit: u32) -> u32 {
        // 64 random bits make the bias of the remainder negligible.
        let wide = u64::from_be_bytes(self.array()).checked_rem(u64::from(limit)).unwrap_or(0);
        u32::try_from(wide).unwrap_or(0)
    }
}

impl TryRng for Randomness {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Randomness {}
