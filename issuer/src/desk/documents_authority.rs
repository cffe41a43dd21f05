//! The authority for services around documents: made when the first of them is.

use jiff::Timestamp;

use super::authority_key::algorithm_like;
use super::failure::Failure;
use super::init::{CertificateRequest, certify, store};
use super::key_file;
use super::office::{Office, Passphrase};
use crate::ca::profile::{Assurance, Branch};
use crate::ca::{Authority, Profile, ProvenKey};
use crate::domain::AuthorityName;

/// Whether the authority was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was.
    Known,
    /// It has just been made, and is not published yet.
    New,
}

/// Opens the authority; a registry that has none gets one, certified by its root. What a run that was killed had begun is
/// completed.
///
/// # Errors
/// Wrong passphrase, or a file or registry that cannot be written.
pub(super) async fn documents_authority(
    office: &mut Office,
    passphrase: &Passphrase,
    now: Timestamp,
) -> Result<(Authority, Origin), Failure> {
    let name = AuthorityName::Documents;
    if office.registry.authorities().await?.iter().any(|authority| authority.name == name) {
        return Ok((office.authority(name, passphrase).await?, Origin::Known));
    }
    let mut root = office.authority(AuthorityName::Root, passphrase).await?;
    let algorithm = algorithm_like(root.certificate().public_key());
    let mut key = key_file::open_or_make(&office.home.key_file(name), algorithm, passphrase.as_str())?;
    let proven = ProvenKey::of_signer(&mut key, &mut office.random)?;
    let request = CertificateRequest {
        organization: &office.config.organization,
        profile: Profile::IssuingAuthority(Branch::Documents),
        assurance: Assurance::Production,
        key: &proven,
    };
    let certificate =
        certify(&office.registry, (AuthorityName::Root, &mut root), request, now, &mut office.random).await?;
    store(&office.registry, name, &certificate, now).await?;
    Ok((Authority::open(certificate, Box::new(key))?, Origin::New))
}
