//! A bench: what making or renewing cards takes beside an opened home, its keys above all.

use std::sync::Arc;

use jiff::Timestamp;
use middleware::FileKey;

use super::failure::Failure;
use super::office::{Office, Passphrase};
use super::{attestation_roots, authority_key, content_signer};
use crate::ca::{Authority, Certificate};
use crate::clock::Clock;
use crate::domain::AuthorityName;
use crate::personalization::attestation::AttestationRoots;
use crate::personalization::custody::MasterKey;
use crate::personalization::objects::ContentSigner;
use crate::personalization::run::{Desk, Progress};

/// The opened keys of whoever makes cards.
pub struct Bench {
    /// Who signs.
    authority: Authority,
    /// From which the secrets of cards derive.
    master_key: Arc<MasterKey>,
    /// Who signs what else is written on cards.
    content_signer: ContentSigner,
    /// Whose word on where keys were made is believed.
    attestation_roots: Arc<AttestationRoots>,
}

/// Who takes part while a card is made.
pub struct Participants<'a> {
    /// Is told of every moment.
    pub progress: &'a mut dyn FnMut(Progress),
    /// Hands the transport PIN over.
    pub hand_over_pin: &'a mut dyn FnMut(&str) -> std::io::Result<()>,
    /// Is asked before each step whether to stop there.
    pub stop: &'a dyn Fn() -> bool,
}

impl Bench {
    /// Opens the keys of a home, whose passphrase is asked for; a content signer that is not there yet is made.
    ///
    /// # Errors
    /// Wrong passphrase, or a file or registry that cannot be read or written.
    pub async fn open(office: &mut Office, now: Timestamp) -> Result<Self, Failure> {
        let attestation_roots = Arc::new(attestation_roots::read(office)?);
        let passphrase = office.passphrase()?;
        let master_key = Arc::new(office.master_key(&passphrase).await?);
        let mut authority = office.authority(AuthorityName::People, &passphrase).await?;
        let content_signer = content_signer::open(office, &mut authority, &passphrase, now).await?;
        Ok(Self { authority, master_key, content_signer, attestation_roots })
    }

    /// Everything that a run at a card works with.
    pub fn desk<'a>(&'a mut self, office: &'a mut Office, participants: Participants<'a>) -> Desk<'a> {
        let Participants { progress, hand_over_pin, stop } = participants;
        Desk {
            registry: &office.registry,
            authority: &mut self.authority,
            organization: &office.config.organization,
            content_signer: &mut self.content_signer,
            attestation_roots: &self.attestation_roots,
            master_key: &self.master_key,
            clock: &office.clock,
            random: &mut office.random,
            progress,
            hand_over_pin,
            stop,
        }
    }
}

/// The keys of a home, opened once for everybody: the passphrase makes each by scrypt, which takes a tenth of a second and up
/// to 64 MB.
pub struct Keys {
    master_key: Arc<MasterKey>,
    authority: Certificate,
    /// `None`: it is no file, and everybody opens it for themselves.
    authority_key: Option<FileKey>,
    content_signer: (FileKey, Certificate),
    attestation_roots: Arc<AttestationRoots>,
}

impl Keys {
    /// Opens them; a content signer that is not there yet is made.
    ///
    /// # Errors
    /// As [`Bench::open`].
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
            master_key: Arc::new(office.master_key(passphrase).await?),
            content_signer: content_signer::open_parts(office, &mut signing, passphrase, now).await?,
            attestation_roots: Arc::new(attestation_roots::read(office)?),
            authority,
            authority_key,
        })
    }

    /// One of several benches; each has signing keys of its own.
    ///
    /// # Errors
    /// An authority's key that is in no file cannot be opened.
    pub async fn bench(&self, office: &Office, passphrase: &Passphrase) -> Result<Bench, Failure> {
        let authority = match &self.authority_key {
            Some(key) => office.authority_with(self.authority.clone(), Box::new(key.duplicate()?))?,
            None => office.authority(AuthorityName::People, passphrase).await?,
        };
        let (key, certificate) = &self.content_signer;
        Ok(Bench {
            authority,
            master_key: Arc::clone(&self.master_key),
            content_signer: content_signer::signer(key.duplicate()?, certificate.clone())?,
            attestation_roots: Arc::clone(&self.attestation_roots),
        })
    }
}
