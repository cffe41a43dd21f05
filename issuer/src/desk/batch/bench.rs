//! What one who makes cards has in hand: the opened home and its keys.

use middleware::FileKey;

use crate::ca::{Authority, Certificate};
use crate::clock::Clock;
use crate::desk::failure::Failure;
use crate::desk::office::{Office, Passphrase, Surroundings};
use crate::desk::{attestation_roots, authority_key, content_signer};
use crate::domain::{Actor, AuthorityName};
use crate::personalization::attestation::AttestationRoots;
use crate::personalization::custody::MasterKey;
use crate::personalization::objects::ContentSigner;

/// The keys of a home, opened once for everybody: the passphrase makes each by scrypt, which takes a tenth of a second and up
/// to 64 MB.
pub struct Keys {
    master_key: MasterKey,
    authority: Certificate,
    /// `None`: it is no file, and everybody opens it for themselves.
    authority_key: Option<FileKey>,
    content_signer: (FileKey, Certificate),
    attestation_roots: AttestationRoots,
}

impl Keys {
    /// Opens them; a content signer that is not there yet is made.
    ///
    /// # Errors
    /// Wrong passphrase, or a file or registry that cannot be read or written.
    pub async fn open(office: &mut Office, passphrase: &Passphrase) -> Result<Self, Failure> {
        let now = office.clock.now();
        let authority = office.authority_certificate(AuthorityName::People).await?;
        let name = AuthorityName::People;
        let authority_key = authority_key::open_if_in_file(&office.home, name, &authority, passphrase)?;
        let mut signing = match &authority_key {
            Some(key) => office.authority_with(authority.clone(), Box::new(key.duplicate()?))?,
            None => office.authority(name, passphrase).await?,
        };
        Ok(Self {
            master_key: office.master_key(passphrase).await?,
            content_signer: content_signer::open_parts(office, &mut signing, passphrase, now).await?,
            attestation_roots: attestation_roots::read(office)?,
            authority,
            authority_key,
        })
    }
}

/// An opened home with the keys that making cards takes.
pub struct Bench<'k> {
    /// The home.
    pub office: Office,
    /// Who signs.
    pub authority: Authority,
    /// From which the secrets of cards derive.
    pub master_key: &'k MasterKey,
    /// Who signs what else is written on cards.
    pub content_signer: ContentSigner,
    /// Whose word on where keys were made is believed.
    pub attestation_roots: &'k AttestationRoots,
}

impl<'k> Bench<'k> {
    /// Opens the home once more, in the name of whoever began the batch: everybody has a connection and signing keys of their
    /// own.
    ///
    /// # Errors
    /// The registry cannot be opened, or an authority's key that is in no file.
    pub async fn open(
        surroundings: &Surroundings,
        actor: Option<Actor>,
        passphrase: &Passphrase,
        keys: &'k Keys,
    ) -> Result<Self, Failure> {
        let office = Office::open_beside(surroundings, actor).await?;
        let authority = match &keys.authority_key {
            Some(key) => office.authority_with(keys.authority.clone(), Box::new(key.duplicate()?))?,
            None => office.authority(AuthorityName::People, passphrase).await?,
        };
        let (key, certificate) = &keys.content_signer;
        let content_signer = content_signer::signer(key.duplicate()?, certificate.clone())?;
        let (master_key, attestation_roots) = (&keys.master_key, &keys.attestation_roots);
        Ok(Self { office, authority, master_key, content_signer, attestation_roots })
    }
}
