//! A state that lives as long as the process: for tests and throw-away cards.

use zeroize::Zeroizing;

use super::{Store, StoreError};

/// Keeps the image in memory.
pub struct MemoryStore(Zeroizing<Vec<u8>>);

impl MemoryStore {
    /// A store that begins with this image.
    #[must_use]
    pub fn new(image: Zeroizing<Vec<u8>>) -> Self {
        Self(image)
    }
}

impl Store for MemoryStore {
    fn read(&mut self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        Ok(self.0.clone())
    }

    fn replace(&mut self, image: &[u8]) -> Result<(), StoreError> {
        self.0 = Zeroizing::new(image.to_vec());
        Ok(())
    }

    fn make_durable(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
