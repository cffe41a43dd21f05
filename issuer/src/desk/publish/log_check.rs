//! What a new CRL is made from, beside the log: a revocation that the log tells is in it, and one that was published is
//! left out only where the log tells that it ended.
//!
//! Later checks compare the CRL with the table that it was made from; here the table itself is judged.

use std::cmp::Ordering;

use super::super::failure::Failure;
use super::super::office::Office;
use crate::ca::crl::view::CrlView;
use crate::domain::{ChainHash, SerialNumber};
use crate::registry::{AuthorityKey, RevokedCertificate, ToldStanding};

/// Every revocation of a key that the registry holds, ascending by serial number. `predecessor` is the newest complete CRL
/// that was signed, DER.
///
/// # Errors
/// `crl-refused`: the registry holds something else than the log tells. `log-broken`: the log is not what was written.
pub(super) async fn revoked(
    office: &Office,
    key: &AuthorityKey,
    predecessor: Option<&[u8]>,
) -> Result<Vec<RevokedCertificate>, Failure> {
    let digest = predecessor.map(|crl| ChainHash::of(crl).to_string());
    let mut source = office.registry.crl_source((key.name, key.generation), digest.as_deref()).await?;
    for told in &source.told {
        compare(key, told, find(&source.revoked, &told.serial))?;
    }
    for serial in vanished(predecessor, &source.revoked)? {
        match source.standing(&serial).await? {
            Some(told) => compare(key, &told, None)?,
            None => {
                let what = format!(
                    "the revocation of {serial}, which was published, is gone, and the log tells of no release"
                );
                return Err(refusal(key, &what));
            }
        }
    }
    Ok(source.revoked)
}

/// Whether a row is what the log tells.
fn compare(
    key: &AuthorityKey,
    told: &ToldStanding,
    found: Option<&RevokedCertificate>,
) -> Result<(), Failure> {
    let serial = &told.serial;
    let what = match (&told.revoked, found) {
        (None, None) => return Ok(()),
        (Some(told), Some(found)) if says_the_same(told, found) => return Ok(()),
        (Some(told), found) => format!(
            "the log tells that {serial} was revoked on {} ({}), and the registry holds {} of it",
            told.revoked_at,
            told.standing.as_str(),
            if found.is_some() { "another revocation" } else { "no revocation" }
        ),
        (None, Some(_)) => {
            format!("the log tells that {serial} was released, and the registry holds a revocation of it")
        }
    };
    Err(refusal(key, &what))
}

fn says_the_same(one: &RevokedCertificate, other: &RevokedCertificate) -> bool {
    // Tables and CRLs have whole seconds.
    let seconds = |entry: &RevokedCertificate| {
        (entry.revoked_at.as_second(), entry.invalid_since.map(|since| since.as_second()))
    };
    seconds(one) == seconds(other) && one.standing == other.standing
}

fn refusal(key: &AuthorityKey, what: &str) -> Failure {
    let message = format!(
        "the CRL of {} is refused: {what}: somebody changed the registry past this program; nothing was published. Look with: issuer audit verify; and put the newest whole copy of the registry back",
        key.name
    );
    Failure::new("crl-refused", message)
}

fn find<'a>(revoked: &'a [RevokedCertificate], serial: &SerialNumber) -> Option<&'a RevokedCertificate> {
    let place = revoked.binary_search_by(|entry| entry.serial.cmp_as_number(serial)).ok()?;
    revoked.get(place)
}

/// What the predecessor revokes and the registry does not. A predecessor that is damaged is refused when the new CRL is
/// compared with it.
fn vanished(
    predecessor: Option<&[u8]>,
    revoked: &[RevokedCertificate],
) -> Result<Vec<SerialNumber>, Failure> {
    let Some(Ok(predecessor)) = predecessor.map(CrlView::from_der) else { return Ok(Vec::new()) };
    let mut kept = revoked.iter().peekable();
    let mut vanished = Vec::new();
    for entry in predecessor.entries() {
        let entry = entry?;
        while kept
            .peek()
            .is_some_and(|kept| entry.cmp_serial_number(kept.serial.as_bytes()) == Ordering::Greater)
        {
            kept.next();
        }
        if !kept.peek().is_some_and(|kept| entry.cmp_serial_number(kept.serial.as_bytes()).is_eq()) {
            vanished.extend(SerialNumber::from_bytes(entry.magnitude()));
        }
    }
    Ok(vanished)
}
