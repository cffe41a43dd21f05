//! The root's CRL where its key is not at the desk: signed there, carried, and taken in here.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::super::failure::Failure;
use super::super::office::Office;
use super::revocation_lists::{Extent, Signing};
use super::signing::{News, keep};
use crate::ca::certificate::verify_signed;
use crate::ca::crl::view::CrlView;
use crate::ca::{Certificate, SerialNumber};
use crate::domain::{self, AuthorityName, RevocationReason};
use crate::publication::crl_succession::{TrustedClock, check_succession};
use crate::registry::{AuthorityKey, Standing};

/// Signs the root's next CRL; it is kept as any other.
///
/// # Errors
/// The root's key is not here.
pub(in crate::desk) async fn root_list(office: &Office, now: Timestamp) -> Result<Vec<u8>, Failure> {
    let passphrase = office.passphrase()?;
    let root = current_root(office).await?;
    let mut news = News::of_registry(office, now).await?;
    let signing = Signing { office, passphrase: &passphrase, published: None, now };
    let new = signing.lists(&root, Extent::Complete, &mut news.warnings).await?;
    let mut new = new.ok_or_else(|| Failure::new("no-crl", "the root has no CRL to be made"))?;
    let key = Certificate::from_der(root.certificate.clone())?.subject_key_identifier().to_vec();
    keep(office, &root, &key, &mut new, &news, now).await?;
    let whole = new.crls.into_iter().next().map(|(_, crl)| crl);
    whole.ok_or_else(|| Failure::new("no-crl", "the root's CRL was not made"))
}

/// Takes in a CRL that the root signed elsewhere; answers its number. What it revokes is revoked here too; what is revoked
/// here must be in it.
///
/// # Errors
/// Not the root's, not newer than the one that is here, or without a revocation that is known here.
pub(in crate::desk) async fn install_root_list(
    office: &Office,
    crl: &[u8],
    now: Timestamp,
) -> Result<u64, Failure> {
    let name = AuthorityName::Root;
    let root = Certificate::from_der(current_root(office).await?.certificate)?;
    let view = CrlView::from_der(crl)?;
    if view.issuer != root.tbs().subject {
        return Err(Failure::new("not-ours", "the CRL is not this issuer's root's"));
    }
    verify_signed(crl, "CRL", root.public_key())?;
    let before = office.registry.newest_crl(name).await?;
    refuse_old(&view, before.as_ref().map(|before| before.crl.as_slice()), now)?;
    let ends = office.registry.certificate_ends(name, now).await?;
    let end_of = |serial: &SerialNumber| {
        ends.iter().find(|(known, _)| known.as_bytes() == serial.as_bytes()).map(|(_, end)| *end)
    };
    let accepted = office.registry.accepted_clock().await?.map(|(_, until)| until);
    let clock = TrustedClock { now, accepted };
    check_succession(before.as_ref().map(|before| before.crl.as_slice()), crl, clock, end_of)
        .map_err(|refusal| Failure::new("crl-refused", refusal.to_string()))?;
    compare(office, &view, now).await?;
    let number = view.number().unwrap_or_default();
    let number =
        number.iter().try_fold(0_u64, |value, octet| value.checked_mul(256)?.checked_add(u64::from(*octet)));
    let number = number.ok_or_else(|| Failure::new("crl-refused", "its number is too large"))?;
    let times = (view.made(), view.next().unwrap_or_else(|| view.made()));
    // What is known to be revoked is on it.
    let told = office.registry.crls_due().await?;
    let told = told.into_iter().rfind(|due| due.authority == name);
    office.registry.import_crl(name, number, times, crl, told.as_ref(), now).await?;
    Ok(number)
}

/// Refuses one that says nothing new: whoever carries it took the wrong file, and no clock is to blame.
fn refuse_old(crl: &CrlView<'_>, before: Option<&[u8]>, now: Timestamp) -> Result<(), Failure> {
    const REMEDY: &str =
        "make a new one where the root's key is, with: issuer ca crl --out root.crl, and carry that here";
    if let Some(end) = crl.next().filter(|end| *end <= now) {
        return Err(Failure::new("crl-refused", format!("it has expired, on {end}; {REMEDY}")));
    }
    let Some(before) = before.map(CrlView::from_der).transpose()? else { return Ok(()) };
    let number = |crl: &CrlView<'_>| {
        let number = crl.number().unwrap_or_default();
        (number.len(), number)
    };
    let ((_, offered), (_, known)) = (number(crl), number(&before));
    match number(crl).cmp(&number(&before)) {
        Ordering::Greater => Ok(()),
        Ordering::Equal if crl.made() == before.made() => {
            Err(Failure::new("exists", "this CRL is installed already"))
        }
        _ => {
            let message = format!(
                "it is older than the one that is here: number 0x{} of {}, and number 0x{} of {} is installed; {REMEDY}",
                hex::encode(offered),
                crl.made(),
                hex::encode(known),
                before.made()
            );
            Err(Failure::new("crl-refused", message))
        }
    }
}

/// Both sides know the same revocations afterwards, or the CRL is refused.
async fn compare(office: &Office, crl: &CrlView<'_>, now: Timestamp) -> Result<(), Failure> {
    let name = AuthorityName::Root;
    let known = office.registry.revoked_certificates(name).await?;
    let mut listed = Vec::new();
    for entry in crl.entries() {
        listed.push(entry?.revoked()?);
    }
    let is_listed = |serial: &[u8]| listed.iter().any(|entry| entry.serial_number.as_bytes() == serial);
    if let Some(missing) = known.iter().find(|entry| !is_listed(entry.serial.as_bytes())) {
        let message = format!(
            "it does not revoke {0}, which is revoked here; where the root's key is, first: issuer revoke {0} --reason {1}",
            missing.serial,
            missing.standing.as_str()
        );
        return Err(Failure::new("crl-refused", message));
    }
    for entry in listed {
        let Some(serial) = domain::SerialNumber::from_bytes(entry.serial_number.as_bytes()) else { continue };
        let is_new = !known.iter().any(|one| one.serial == serial);
        if is_new && office.registry.certificate(&serial).await?.is_some() {
            let reason = match Standing::parse(entry.reason.name()) {
                Some(Standing::Revoked(reason)) => reason,
                _ => RevocationReason::Unspecified,
            };
            office.registry.revoke_certificate(&serial, reason, entry.invalidity_date, now).await?;
        }
    }
    Ok(())
}

async fn current_root(office: &Office) -> Result<AuthorityKey, Failure> {
    let keys = office.registry.authority_keys().await?;
    let root = keys.into_iter().find(|key| key.name == AuthorityName::Root && key.is_current);
    root.ok_or_else(|| Failure::new("registry-damaged", "the registry has no certificate of the root"))
}
