//! Authorities that this home's root certified and whose keys are in another home, and what tells them from its own.
//!
//! They are kept with the root's key, as cross-certificates are: known, published, revoked by their serial numbers, and no
//! authority of this home's.

use super::super::authority_key::is_awaited;
use super::super::failure::Failure;
use super::super::office::Office;
use super::Which;
use crate::ca::Certificate;
use crate::ca::profile::Organization;
use crate::ca::request::generation_of;
use crate::domain::AuthorityName;
use crate::registry::AuthorityKey;

/// An authority of another home, below this home's root.
pub(super) struct Elsewhere {
    /// Which authority it is there.
    pub(super) name: AuthorityName,
    /// Which key of it, by its name.
    pub(super) generation: u32,
    pub(super) certificate: Certificate,
}

/// The authorities elsewhere that these certificates given by a root are of; certificates between roots and for partners are
/// others.
///
/// # Errors
/// A damaged certificate.
pub(super) fn among(organization: &Organization, given: &[Vec<u8>]) -> Result<Vec<Elsewhere>, Failure> {
    let mut found = Vec::new();
    for der in given {
        let certificate = Certificate::from_der(der.clone())?;
        for which in [Which::People, Which::Servers, Which::Documents] {
            if let Some(generation) = generation_of(organization, &which.profile(), &certificate.subject())? {
                found.push(Elsewhere { name: which.name(), generation, certificate: certificate.clone() });
            }
        }
    }
    Ok(found)
}

/// All that this home's roots certified.
///
/// # Errors
/// The registry.
pub(super) async fn all(office: &Office) -> Result<Vec<Elsewhere>, Failure> {
    let keys = office.registry.authority_keys().await?;
    let given: Vec<_> = keys.into_iter().flat_map(|key| key.given).collect();
    among(&office.config.organization, &given)
}

/// Whether a key that is written down as an authority's of this home is another home's: nothing of it is here, and it never
/// signed here. So it was written down where `issuer ca sign` took what it certified for its own.
///
/// # Errors
/// The registry.
pub(in crate::desk) async fn is_elsewhere(office: &Office, key: &AuthorityKey) -> Result<bool, Failure> {
    // The first key's file is not named by its key.
    if key.name == AuthorityName::Root || key.generation == 1 {
        return Ok(false);
    }
    let certificate = Certificate::from_der(key.certificate.clone())?;
    if is_awaited(&office.home, key.name, &certificate) {
        return Ok(false);
    }
    Ok(!office.registry.has_signed(key.name, key.generation).await?)
}

/// Lets an authority through whose key is this home's.
///
/// # Errors
/// `authority-elsewhere`.
pub(in crate::desk) async fn refuse_elsewhere(office: &Office, name: AuthorityName) -> Result<(), Failure> {
    for key in office.registry.authority_keys().await? {
        if key.name == name && key.is_current && is_elsewhere(office, &key).await? {
            return Err(Failure::new("authority-elsewhere", told(&key)?));
        }
    }
    Ok(())
}

/// What is said of it, and what to do.
///
/// # Errors
/// A damaged certificate.
pub(super) fn told(key: &AuthorityKey) -> Result<String, Failure> {
    let certificate = Certificate::from_der(key.certificate.clone())?;
    Ok(format!(
        "the newest key of the authority {0}, \"{1}\", is not here and signed nothing here: it was certified for another home. Give the authority of this home a new key: issuer ca rollover {0}; if nobody should have the other: issuer revoke {2} --reason key-compromise",
        key.name,
        certificate.subject(),
        certificate.serial_number()
    ))
}
