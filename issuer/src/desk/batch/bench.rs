//! What one who makes cards has in hand: the opened home and its keys.

use crate::ca::Authority;
use crate::clock::Clock;
use crate::desk::failure::Failure;
use crate::desk::office::{Office, Passphrase, Surroundings};
use crate::desk::{attestation_roots, content_signer};
use crate::domain::{Actor, AuthorityName};
use crate::personalization::attestation::AttestationRoots;
use crate::personalization::custody::MasterKey;
use crate::personalization::objects::ContentSigner;

/// An opened home with the keys that making cards takes.
pub struct Bench {
    /// The home.
    pub office: Office,
    /// Who signs.
    pub authority: Authority,
    /// From which the secrets of cards derive.
    pub master_key: MasterKey,
    /// Who signs what else is written on cards.
    pub content_signer: ContentSigner,
    /// Whose word on where keys were made is believed.
    pub attestation_roots: AttestationRoots,
}

impl Bench {
    /// Opens the home once more, in the name of whoever began the batch: everybody has a connection and keys of their own.
    ///
    /// # Errors
    /// Wrong passphrase, or the registry cannot be opened.
    pub async fn open(
        surroundings: &Surroundings,
        actor: Option<Actor>,
        passphrase: &Passphrase,
    ) -> Result<Self, Failure> {
        let mut office = Office::open_beside(surroundings, actor).await?;
        let master_key = office.master_key(passphrase).await?;
        let mut authority = office.authority(AuthorityName::People, passphrase).await?;
        let now = office.clock.now();
        let content_signer = content_signer::open(&mut office, &mut authority, passphrase, now).await?;
        let attestation_roots = attestation_roots::read(&office)?;
        Ok(Self { office, authority, master_key, content_signer, attestation_roots })
    }
}
