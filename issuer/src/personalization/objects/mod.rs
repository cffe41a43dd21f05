//! What is written on a card beside keys and certificates (SP 800-73-5 Part 1 sections 3.1 and 3.3), signed by the
//! organisation's content signer.
//!
//! - [`chuid`]: who the card is, until when; signed.
//! - [`security_object`]: the hashes of the data objects that nobody else signs; signed.
//! - [`ContentSigner`]: who signs both.

pub mod chuid;
pub mod security_object;

use middleware::Signer;
use middleware::piv::objects::Chuid;

use crate::ca::signed_data::SignerIdentity;

/// Who signs what is written on cards: a key of its own, certified for nothing else.
pub struct ContentSigner {
    key: Box<dyn Signer>,
    identity: SignerIdentity,
}

impl ContentSigner {
    /// A key with its certificate.
    pub fn new(key: Box<dyn Signer>, identity: SignerIdentity) -> Self {
        Self { key, identity }
    }

    /// The certificate and who it is, as CMS needs it.
    pub const fn identity(&self) -> &SignerIdentity {
        &self.identity
    }

    /// Whether it signed the CHUID with these contents, and its certificate of now is in it.
    ///
    /// # Errors
    /// The contents are no CHUID's.
    pub fn has_signed_chuid(&self, contents: &[u8]) -> Result<bool, middleware::CardError> {
        let Some(signature) = Chuid::signature(contents)? else { return Ok(false) };
        Ok(chuid::verify(contents, signature, self.identity.certificate()).is_ok())
    }
}
