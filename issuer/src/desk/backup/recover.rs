//! What a published directory knows that an older backup does not: CRL numbers, revocations, the checkpoint of the log.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::super::audit::published::find_checkpoint;
use super::super::failure::Failure;
use super::super::office::{Office, read_file};
use crate::ca::Certificate;
use crate::ca::certificate::verify_signed;
use crate::ca::crl::view::CrlView;
use crate::ca::crl::{RevocationReason as CrlReason, RevokedCertificate};
use crate::domain::{
    AuthorityName, CardCommand, CardState, CertificateState, RevocationReason, SerialNumber,
};
use crate::publication::layout;
use crate::registry::{CertificateRecord, NewCertificate, Registry};

/// What was learned.
#[derive(Default)]
pub(super) struct Learned {
    /// Revocations since the backup.
    pub(super) revoked: usize,
    /// Certificates since the backup that were revoked, and of which only the serial number is known.
    pub(super) unknown: usize,
    /// Certificates that were put on hold since the backup, and are again.
    pub(super) held: usize,
    published: usize,
}

impl Learned {
    pub(super) fn sentence(&self) -> String {
        match self.published {
            0 => "No published directory was compared: certificates and revocations since the backup are forgotten, and CRL numbers skip 1000. Is there a published directory, or a copy of one, nothing is to be forgotten: move this home away and restore again with --published DIR.".to_owned(),
            _ => format!(
                "{} revocations were taken from what is published, {} of them of certificates that the backup does not know; {} certificates are on hold as they are in public.",
                self.revoked, self.unknown, self.held
            ),
        }
    }
}

/// Numbers that may have been used since a backup of which nothing else is known.
const SKIPPED: u64 = 1000;
/// A CRL of a million entries is 50 MB.
const LARGEST_CRL: u64 = 1024 * 1024 * 1024;

/// Compares with published directories; without any, CRL numbers skip a thousand.
pub(super) async fn learn(
    office: &Office,
    published: &[PathBuf],
    now: Timestamp,
) -> Result<Learned, Failure> {
    let mut learned = Learned { published: published.len(), ..Learned::default() };
    if published.is_empty() {
        for (authority, number) in office.registry.highest_crl_numbers().await? {
            let Some(authority) = AuthorityName::parse(&authority) else { continue };
            office.registry.skip_crl_numbers(authority, number.saturating_add(SKIPPED), now).await?;
        }
    }
    for directory in published {
        // Of every key: also one that signs no certificates any more has revoked since.
        for own in office.registry.authority_keys().await? {
            let certificate = Certificate::from_der(own.certificate)?;
            let key = hex::encode(certificate.subject_key_identifier());
            let path = directory.join(layout::REVOCATIONS).join(format!("{key}.crl"));
            if path.exists() {
                learn_crl(office, (own.name, &certificate), &path, now, &mut learned).await?;
            }
        }
        if let Some(checkpoint) = find_checkpoint(directory)? {
            office.registry.accept_published(&checkpoint.digest(), now).await?;
        }
    }
    Ok(learned)
}

async fn learn_crl(
    office: &Office,
    (name, issuer): (AuthorityName, &Certificate),
    path: &Path,
    now: Timestamp,
    learned: &mut Learned,
) -> Result<(), Failure> {
    let der = read_file(path, LARGEST_CRL)?;
    verify_signed(&der, "CRL", issuer.public_key())?;
    let crl = CrlView::from_der(&der)?;
    let number = crl.number().unwrap_or_default();
    let number =
        number.iter().fold(0_u64, |value, octet| value.saturating_mul(256).saturating_add(u64::from(*octet)));
    let known = office.registry.highest_crl_numbers().await?.get(name.as_str()).copied().unwrap_or_default();
    if number > known {
        office.registry.skip_crl_numbers(name, number, now).await?;
    }
    for entry in crl.entries() {
        let entry = entry?.revoked()?;
        let serial = SerialNumber::from_bytes(entry.serial_number.as_bytes());
        let Some(serial) = serial else { continue };
        learn_entry(office, (name, issuer), &serial, &entry, learned).await?;
    }
    Ok(())
}

/// Puts a certificate on hold since then, with its card, so that the desk can release both; answers whether it is on hold now.
/// Of one that the backup knows only as begun nothing can be released: it is revoked.
async fn hold(registry: &Registry, known: &CertificateRecord, at: Timestamp) -> Result<bool, Failure> {
    match known.state.state() {
        CertificateState::OnHold { .. } => return Ok(true),
        CertificateState::Signed { .. } | CertificateState::Delivered { .. } => {}
        _ => return Ok(false),
    }
    if let Some((card, _)) = known.card
        && matches!(registry.card(card).await?.card.state(), CardState::Issued { .. })
    {
        registry.command_card(card, CardCommand::Hold, at).await?;
        return Ok(true);
    }
    registry.hold_certificate(&known.serial, at).await?;
    Ok(true)
}

/// Nothing is known of what was signed but by whom: that alone, as an authorityKeyIdentifier says it (RFC 5280 section
/// 4.2.1.1), because the entry belongs on the CRL of that key.
fn signer(issuer: &Certificate) -> Vec<u8> {
    let identifier = issuer.subject_key_identifier();
    let length = u8::try_from(identifier.len()).unwrap_or(0);
    [&[0x80, length], identifier].concat()
}

async fn learn_entry(
    office: &Office,
    (name, issuer): (AuthorityName, &Certificate),
    serial: &SerialNumber,
    entry: &RevokedCertificate,
    learned: &mut Learned,
) -> Result<(), Failure> {
    let registry = &office.registry;
    let known = registry.certificate(serial).await?;
    if known.as_ref().is_some_and(|known| matches!(known.state.state(), CertificateState::Revoked { .. })) {
        return Ok(());
    }
    let at = entry.revocation_date;
    if let (CrlReason::CertificateHold, Some(known)) = (entry.reason, &known)
        && hold(registry, known, at).await?
    {
        learned.held += 1;
        return Ok(());
    }
    if known.is_none() {
        let lost = NewCertificate {
            serial: serial.clone(),
            authority: name,
            profile: "unknown".to_owned(),
            subject: "issued after the backup".to_owned(),
            mail: None,
            on_card: None,
            not_before: issuer.not_before(),
            not_after: issuer.not_after(),
            to_be_signed: signer(issuer),
        };
        registry.reserve_certificate(&lost, at).await?;
        learned.unknown += 1;
    }
    let reason = RevocationReason::parse(entry.reason.name()).unwrap_or(RevocationReason::Unspecified);
    let since = entry.invalidity_date.filter(|since| *since <= at);
    registry.revoke_certificate(serial, reason, since, at).await?;
    learned.revoked += 1;
    Ok(())
}
