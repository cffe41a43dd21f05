//! The content signer: the key that signs what is written on cards (CHUID, security object), made when it is first
//! needed, and its certificate of the authority for people.

use jiff::{SignedDuration, Timestamp};
use middleware::{FileKey, Signer};

use super::authority_key::algorithm_like;
use super::failure::Failure;
use super::init::{CertificateRequest, certify};
use super::key_file;
use super::office::{Office, Passphrase};
use crate::ca::profile::Assurance;
use crate::ca::signed_data::SignerIdentity;
use crate::ca::{Authority, Certificate, Profile, ProvenKey};
use crate::domain::AuthorityName;
use crate::personalization::objects::ContentSigner;

/// Whoever signs a card's objects must not end before the certificates on it (SP 800-73-5 Part 1 section 3.1.2.1).
const CARD_LIFE: SignedDuration = SignedDuration::from_hours(24 * 830);

/// Opens the content signer of a home; `authority` is the one for people.
///
/// # Errors
/// Wrong passphrase, or a file or registry that cannot be read or written.
pub(super) async fn open(
    office: &mut Office,
    authority: &mut Authority,
    passphrase: &Passphrase,
    now: Timestamp,
) -> Result<ContentSigner, Failure> {
    let (key, certificate) = open_parts(office, authority, passphrase, now).await?;
    signer(key, certificate)
}

/// The content signer with this key and certificate.
///
/// # Errors
/// The certificate is none that CMS can name.
pub(super) fn signer(key: FileKey, certificate: Certificate) -> Result<ContentSigner, Failure> {
    Ok(ContentSigner::new(Box::new(key), SignerIdentity::new(certificate, &[])?))
}

/// Its key and certificate, for several to sign with.
///
/// # Errors
/// As [`open`].
pub(super) async fn open_parts(
    office: &mut Office,
    authority: &mut Authority,
    passphrase: &Passphrase,
    now: Timestamp,
) -> Result<(FileKey, Certificate), Failure> {
    let mut key = key(office, authority, passphrase)?;
    let certificate = match certificate_of(office, authority, &key, now).await? {
        Some(certificate) => certificate,
        None => {
            let proven = ProvenKey::of_signer(&mut key, &mut office.random)?;
            let request = CertificateRequest {
                organization: &office.config.organization,
                profile: Profile::ContentSigning,
                assurance: Assurance::Production,
                key: &proven,
            };
            let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
            let signer = (AuthorityName::People, authority);
            certify(&office.registry, signer, request, now, &mut office.random).await?
        }
    };
    Ok((key, certificate))
}

fn key(office: &Office, authority: &Authority, passphrase: &Passphrase) -> Result<FileKey, Failure> {
    let algorithm = algorithm_like(authority.certificate().public_key());
    key_file::open_or_make(&office.home.content_signer_key_file(), algorithm, passphrase.as_str())
}

/// Its certificate, if it lasts as long as a card that is made now.
async fn certificate_of(
    office: &Office,
    authority: &Authority,
    key: &FileKey,
    now: Timestamp,
) -> Result<Option<Certificate>, Failure> {
    let subject = format!("{} ({})", office.config.organization.name, Profile::ContentSigning.name());
    let needed = now.saturating_add(CARD_LIFE).unwrap_or(now).min(authority.certificate().not_after());
    let records = office.registry.live_certificates(AuthorityName::People, &subject, now).await?;
    for der in records.into_iter().filter_map(|record| record.certificate) {
        let certificate = Certificate::from_der(der)?;
        let is_of_authority = certificate.verify_issuer(authority.certificate()).is_ok();
        if certificate.not_after() >= needed
            && is_of_authority
            && certificate.public_key() == Signer::public_key(key)
        {
            return Ok(Some(certificate));
        }
    }
    Ok(None)
}
