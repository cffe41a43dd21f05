//! Whether an authority may sign certificates: not with a key whose certificate is revoked or on hold. CRLs and OCSP
//! answers are still signed with it: somebody has to say so (RFC 5280 section 5).

use jiff::Timestamp;

use super::super::authority_key::is_at_hand;
use super::super::failure::Failure;
use super::super::office::Office;
use crate::ca::Certificate;
use crate::ca::crl::view::CrlView;
use crate::domain::{AuthorityName, CertificateState, RevocationReason, SerialNumber};
use crate::personalization::domain_serial;
use crate::registry::{AuthorityKey, Registry, Standing};

/// What became of a certificate of an authority's key.
pub(in crate::desk) struct Withdrawn {
    serial: SerialNumber,
    pub(super) since: Timestamp,
    standing: Standing,
}

impl Withdrawn {
    /// The word of RFC 5280 section 5.3.1.
    pub(super) const fn reason(&self) -> &'static str {
        self.standing.as_str()
    }
}

/// Lets an authority through that may sign certificates.
///
/// # Errors
/// `authority-revoked`: the certificate of its key is revoked or on hold.
pub(in crate::desk) async fn refuse_withdrawn(office: &Office, name: AuthorityName) -> Result<(), Failure> {
    for key in office.registry.authority_keys().await? {
        if key.name != name || !key.is_current {
            continue;
        }
        let Some(withdrawn) = withdrawn(&office.registry, &key).await? else { continue };
        let stands = match withdrawn.standing {
            Standing::OnHold => "on hold",
            Standing::Revoked(_) => "revoked",
        };
        let message = format!(
            "the authority {name} signs no certificates: its certificate {} is {stands} ({}) since {}. Give it a new key: issuer ca rollover {name}; where the root's key is elsewhere: issuer ca request {name}",
            withdrawn.serial,
            withdrawn.reason(),
            withdrawn.since.strftime("%F %H:%M:%SZ"),
        );
        return Err(Failure::new("authority-revoked", message));
    }
    Ok(())
}

/// Lets through who has the root's key here.
///
/// # Errors
/// `root-elsewhere`: the message says how it is done where it is not.
pub(in crate::desk) async fn refuse_absent_root(office: &Office, name: AuthorityName) -> Result<(), Failure> {
    let root = office.authority_certificate(AuthorityName::Root).await?;
    if is_at_hand(&office.home, AuthorityName::Root, &root)? {
        return Ok(());
    }
    let message = match name {
        AuthorityName::Root => "the root's key is not here; do it on the machine that has it, and carry what it makes here: issuer ca install FILE".to_owned(),
        name => format!(
            "the root's key is not here, and nothing else certifies authorities. Here: issuer ca request {name} --out {name}.csr; on the machine that has it: issuer ca sign {name}.csr --as {name} --out {name}.pem; then here: issuer ca install {name}.pem"
        ),
    };
    Err(Failure::new("root-elsewhere", message))
}

/// The certificate that speaks against a key: its newest, revoked or on hold; or one before that, unless it is merely
/// superseded, which says nothing of the key.
///
/// # Errors
/// The registry.
pub(super) async fn withdrawn(registry: &Registry, key: &AuthorityKey) -> Result<Option<Withdrawn>, Failure> {
    if let Some(newest) = of_certificate(registry, &key.certificate).await? {
        return Ok(Some(newest));
    }
    for earlier in &key.earlier {
        let found = of_certificate(registry, earlier).await?;
        if let Some(found) =
            found.filter(|found| found.standing != Standing::Revoked(RevocationReason::Superseded))
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The standing of one certificate; none where nothing speaks against it.
///
/// # Errors
/// The registry.
pub(super) async fn of_certificate(registry: &Registry, der: &[u8]) -> Result<Option<Withdrawn>, Failure> {
    let serial = domain_serial(Certificate::from_der(der.to_vec())?.serial_number())?;
    let Some(record) = registry.certificate(&serial).await? else {
        return listed_by_root(registry, serial).await;
    };
    Ok(match *record.state.state() {
        CertificateState::OnHold { since, .. } => {
            Some(Withdrawn { serial, since, standing: Standing::OnHold })
        }
        CertificateState::Revoked { since, reason, .. } => {
            Some(Withdrawn { serial, since, standing: Standing::Revoked(reason) })
        }
        _ => None,
    })
}

/// What was certified where the root's key is, the registry does not know; the root's CRL that was carried here does.
async fn listed_by_root(registry: &Registry, serial: SerialNumber) -> Result<Option<Withdrawn>, Failure> {
    let Some(newest) = registry.newest_crl(AuthorityName::Root).await? else { return Ok(None) };
    for entry in CrlView::from_der(&newest.crl)?.entries() {
        let entry = entry?.revoked()?;
        if entry.serial_number.as_bytes() == serial.as_bytes() {
            let reason = Standing::Revoked(RevocationReason::Unspecified);
            let standing = Standing::parse(entry.reason.name()).unwrap_or(reason);
            return Ok(Some(Withdrawn { serial, since: entry.revocation_date, standing }));
        }
    }
    Ok(None)
}
