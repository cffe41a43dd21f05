//! What a new CRL is made from, beside the log: a revocation that the log tells is in it, and it says nothing that the log does
//! not tell. What the predecessor said was compared when that was made; so whatever is otherwise now is told by an event
//! since then, or somebody changed the table.
//!
//! Later checks compare the CRL with the table that it was made from; here the table itself is judged.

use std::collections::HashSet;

use jiff::Timestamp;

use super::super::failure::Failure;
use super::super::office::Office;
use super::revocation_dates;
use super::revocation_lists::ca_entry;
use crate::ca::crl::RevokedCertificate;
use crate::ca::crl::difference::Difference;
use crate::ca::crl::entry::EntryEncoder;
use crate::ca::crl::view::CrlView;
use crate::domain::{ChainHash, SerialNumber};
use crate::registry::{AuthorityKey, CrlSource, ToldStanding};

/// Every revocation of a key that the registry holds, as a CRL that is made `now` says it, ascending by serial number.
/// `predecessor` is the newest complete CRL that was signed, DER.
///
/// # Errors
/// `crl-refused`: the registry holds something else than the log tells. `log-broken`: the log is not what was written.
pub(super) async fn revoked(
    office: &Office,
    key: &AuthorityKey,
    predecessor: Option<&[u8]>,
    now: Timestamp,
    warnings: &mut Vec<String>,
) -> Result<Vec<RevokedCertificate>, Failure> {
    let accepted = office.registry.accepted_clock().await?;
    let digest = predecessor.map(|crl| ChainHash::of(crl).to_string());
    let mut source = office.registry.crl_source((key.name, key.generation), digest.as_deref()).await?;
    let mut revoked = entries(&mut source, warnings)?;
    Rows { key, revoked: &revoked }.compare(&source.told)?;
    // Only an accepted clock leaves times behind that are still to come.
    revocation_dates::settle(&mut revoked, predecessor.filter(|_| accepted.is_some()), now)?;
    let unaccounted = unaccounted(predecessor, &revoked, &source.told)?;
    if !unaccounted.is_empty() {
        let mut again = None;
        if !source.tells_all() {
            source.tell_all().await?;
            let rows = again.insert(entries(&mut source, &mut Vec::new())?);
            Rows { key, revoked: rows }.compare(&source.told)?;
        }
        let rows = Rows { key, revoked: again.as_deref().unwrap_or(&revoked) };
        let told: HashSet<&[u8]> = source.told.iter().map(|told| told.serial.as_bytes()).collect();
        let untold: Vec<_> =
            unaccounted.into_iter().filter(|serial| !told.contains(serial.as_bytes())).collect();
        for serial in untold {
            if !source.is_untold(&serial).await? {
                return Err(rows.refuse_untold(&serial));
            }
        }
    }
    Ok(revoked)
}

fn entries(source: &mut CrlSource, warnings: &mut Vec<String>) -> Result<Vec<RevokedCertificate>, Failure> {
    std::mem::take(&mut source.revoked).into_iter().map(|entry| ca_entry(&entry, warnings)).collect()
}

/// Certificates of which the new CRL says something else than its predecessor, and of which nothing is told. A predecessor
/// that is damaged accounts for nothing, and is refused when the new CRL is compared with it.
fn unaccounted(
    predecessor: Option<&[u8]>,
    revoked: &[RevokedCertificate],
    told: &[ToldStanding],
) -> Result<Vec<SerialNumber>, Failure> {
    let told: HashSet<&[u8]> = told.iter().map(|told| told.serial.as_bytes()).collect();
    let mut unaccounted = Vec::new();
    let mut judge = |changed: &RevokedCertificate| {
        let serial = changed.serial_number.as_bytes();
        if !told.contains(serial) {
            unaccounted.extend(SerialNumber::from_bytes(serial));
        }
    };
    match predecessor.and_then(|crl| CrlView::from_der(crl).ok()) {
        Some(predecessor) => {
            for changed in Difference::new(&predecessor, revoked.iter()) {
                judge(&changed?);
            }
        }
        None => revoked.iter().for_each(judge),
    }
    Ok(unaccounted)
}

/// The rows of a key, to be judged.
struct Rows<'a> {
    key: &'a AuthorityKey,
    revoked: &'a [RevokedCertificate],
}

impl Rows<'_> {
    /// Whether they are what the log tells.
    ///
    /// # Errors
    /// `crl-refused`.
    fn compare(&self, told: &[ToldStanding]) -> Result<(), Failure> {
        told.iter().try_for_each(|told| self.compare_one(told))
    }

    fn compare_one(&self, told: &ToldStanding) -> Result<(), Failure> {
        let (serial, found) = (&told.serial, self.find(&told.serial));
        let told = told.revoked.as_ref().map(|entry| ca_entry(entry, &mut Vec::new())).transpose()?;
        let what = match (&told, found) {
            (None, None) => return Ok(()),
            (Some(told), Some(found)) if encoded(told)? == encoded(found)? => return Ok(()),
            (Some(told), Some(found)) => format!(
                "the log tells that {serial} was revoked {}, and the registry holds another revocation of it, {}",
                said(told),
                said(found)
            ),
            (Some(told), None) => format!(
                "the log tells that {serial} was revoked {}, and the registry holds no revocation of it",
                said(told)
            ),
            (None, Some(found)) => format!(
                "the log tells that {serial} was released, and the registry holds a revocation of it, {}",
                said(found)
            ),
        };
        Err(self.refusal(&what))
    }

    /// Of a certificate of which the log tells neither revocation nor release.
    fn refuse_untold(&self, serial: &SerialNumber) -> Failure {
        self.refusal(&match self.find(serial) {
            Some(found) => format!(
                "the registry holds a revocation of {serial}, {}, and the log tells of none",
                said(found)
            ),
            None => format!(
                "the revocation of {serial}, which was published, is gone, and the log tells of no release"
            ),
        })
    }

    fn refusal(&self, what: &str) -> Failure {
        let message = format!(
            "the CRL of {} is refused: {what}: somebody changed the registry past this program; nothing was published. Look with: issuer audit verify; and put the newest whole copy of the registry back",
            self.key.name
        );
        Failure::new("crl-refused", message)
    }

    fn find(&self, serial: &SerialNumber) -> Option<&RevokedCertificate> {
        let wanted = serial.as_bytes();
        let place = self.revoked.binary_search_by(|entry| {
            let found = entry.serial_number.as_bytes();
            (found.len(), found).cmp(&(wanted.len(), wanted))
        });
        self.revoked.get(place.ok()?)
    }
}

/// As it stands in a CRL: whatever that does not say is not compared.
fn encoded(entry: &RevokedCertificate) -> Result<Vec<u8>, Failure> {
    Ok(EntryEncoder::default().encode(entry)?.to_vec())
}

/// When and why, in words.
fn said(entry: &RevokedCertificate) -> String {
    let RevokedCertificate { revocation_date, reason, invalidity_date, .. } = entry;
    let since = invalidity_date.map(|since| format!(", invalid since {since}")).unwrap_or_default();
    format!("on {revocation_date} ({}{since})", reason.name())
}
