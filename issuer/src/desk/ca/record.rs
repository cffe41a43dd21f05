//! A certificate that an authority gives another: stored before it is signed.

use jiff::Timestamp;

use super::super::failure::Failure;
use super::super::office::Office;
use crate::ca::lint::lint;
use crate::ca::{Authority, Certificate, SerialNumber, UnsignedCertificate};
use crate::clock::Clock;
use crate::domain::AuthorityName;
use crate::personalization::domain_serial;
use crate::registry::{Approved, CrossDirection, NewCertificate};

/// Stores what is to be signed, signs it, and stores that.
///
/// # Errors
/// The lint, the key, or the registry.
pub(super) async fn sign(
    office: &Office,
    (name, authority): (AuthorityName, &mut Authority),
    (profile, number): (&str, &SerialNumber),
    unsigned: UnsignedCertificate,
    now: Timestamp,
) -> Result<Certificate, Failure> {
    let approved = Approved::default();
    sign_approved(office, (name, authority), (profile, number), (unsigned, approved), now).await
}

/// The same of what another operator approved: that is spent with the signature.
///
/// # Errors
/// As [`sign`].
pub(super) async fn sign_approved(
    office: &Office,
    (name, authority): (AuthorityName, &mut Authority),
    (profile, number): (&str, &SerialNumber),
    (unsigned, approved): (UnsignedCertificate, Approved),
    now: Timestamp,
) -> Result<Certificate, Failure> {
    let linted = lint(unsigned)?;
    let serial = domain_serial(number)?;
    let (not_before, not_after) = linted.validity();
    let reserved = NewCertificate {
        serial: serial.clone(),
        authority: name,
        profile: profile.to_owned(),
        subject: format!("{} ({profile})", office.config.organization.name),
        mail: None,
        on_card: None,
        not_before,
        not_after,
        to_be_signed: linted.as_der().to_vec(),
    };
    office.registry.reserve_certificate(&reserved, now).await?;
    let certificate = authority.sign(linted)?;
    let registry = &office.registry;
    let recording = registry.record_signature(&serial, certificate.as_der(), now);
    registry.spending(approved, office.clock.now(), recording).await?;
    office.registry.confirm_delivery(&serial, now).await?;
    Ok(certificate)
}

/// Keeps what the root gave an authority that is not of this home, with the root's key.
///
/// # Errors
/// The registry.
pub(super) async fn keep_given(office: &Office, given: &Certificate, now: Timestamp) -> Result<(), Failure> {
    let name = AuthorityName::Root;
    let keys = office.registry.authority_keys().await?;
    let generation =
        keys.iter().find(|key| key.name == name && key.is_current).map_or(1, |key| key.generation);
    let registry = &office.registry;
    Ok(registry.add_cross_certificate(name, generation, CrossDirection::Given, given.as_der(), now).await?)
}
