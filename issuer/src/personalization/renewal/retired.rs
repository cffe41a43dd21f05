//! The old key 9D goes to a retired reference before another takes its place (SP 800-73-5 Part 1 section 3.3.3).

use middleware::piv::objects::key_history_to_bytes;
use middleware::{Card, CardIdentity, DataObject, KeyReference, Transaction};

use super::order::RenewalOrder;
use super::{RETIRED, Run, confirmed, key::public_key_of};
use crate::domain::CardKey;
use crate::personalization::error::PersonalizationError;
use crate::personalization::run::{Desk, Progress};
use crate::personalization::secrets;
use crate::registry::{CardRecord, CertificateRecord, JournalPhase, Registry};

/// No card has more retired keys (SP 800-73-5 Part 1 section 3.3.3).
const MOST_RETIRED: u8 = 20;

impl Desk<'_> {
    /// The old key 9D goes to its retired reference, with its certificate, and the key history says so.
    pub(super) async fn retire(
        &mut self,
        card: &mut Card,
        run: &Run<'_>,
        before: &CertificateRecord,
    ) -> Result<(), PersonalizationError> {
        if confirmed(&run.steps, RETIRED).is_some() {
            return Ok(());
        }
        let Some(retired_before) = run.plan.retired_before else { return Ok(()) };
        let reference = retired_reference(retired_before)?;
        self.note(run, RETIRED, JournalPhase::Intended, None).await?;
        let old = public_key_of(before)?;
        let mut transaction = card.transaction()?;
        let opening = secrets::find_management_key(&mut transaction, run.stock.as_ref(), &run.own)?;
        let mut administration = transaction.authenticate(&opening)?;
        let mut lies_at = |reference| -> Result<bool, PersonalizationError> {
            let metadata = administration.transaction().key_metadata(reference)?;
            Ok(metadata.and_then(|metadata| metadata.public_key).as_ref() == Some(&old))
        };
        // A move whose answer was lost may have been carried out.
        if !lies_at(reference)? {
            if !lies_at(KeyReference::KeyManagement)? {
                return Err(PersonalizationError::OldKeyGone);
            }
            administration.move_key(KeyReference::KeyManagement, reference)?;
        }
        administration.write_certificate(reference, before.certificate.as_deref().unwrap_or_default())?;
        let history = key_history_to_bytes(retired_before.saturating_add(1));
        administration.write_object(DataObject::KEY_HISTORY, &history)?;
        (self.progress)(Progress::Retired(reference));
        drop(transaction);
        self.note(run, RETIRED, JournalPhase::Confirmed, Some(&reference.to_string())).await
    }
}

/// Whether the card has a command to move a key, so that a new key 9D does not destroy the old one.
pub fn can_retire(identity: &CardIdentity) -> bool {
    identity.version.is_some_and(|version| version >= (5, 7, 0))
}

/// How many retired keys the card has, where its key 9D shall become the next.
pub(super) fn retired_before(
    transaction: &mut Transaction<'_>,
    identity: &CardIdentity,
    order: &RenewalOrder,
) -> Result<Option<u8>, PersonalizationError> {
    if order.new_keys.is_none() || !order.keys.contains(&CardKey::KeyManagement) {
        return Ok(None);
    }
    if !can_retire(identity) {
        return Err(PersonalizationError::CannotRetire);
    }
    let count = transaction.retired_with_certificates()?;
    let reference = retired_reference(count)?;
    if transaction.key_metadata(reference)?.is_some() {
        return Err(PersonalizationError::RetiredInTheWay(reference));
    }
    Ok(Some(count))
}

fn retired_reference(before: u8) -> Result<KeyReference, PersonalizationError> {
    let next = KeyReference::retired().nth(usize::from(before)).filter(|_| before < MOST_RETIRED);
    next.ok_or(PersonalizationError::NoRoomForRetired)
}

/// How many keys 9D were retired on a card since it is its holder's, by the journals of its renewals.
///
/// # Errors
/// The registry cannot be read.
pub(in crate::personalization) async fn retired_in_journal(
    registry: &Registry,
    record: &CardRecord,
) -> Result<u8, PersonalizationError> {
    let certificates = registry.certificates_of_card(record.id).await?;
    let attempt = record.card.attempts();
    let of_now =
        certificates.iter().filter(|known| known.card.is_some_and(|(_, made_in)| made_in == attempt));
    // Its first certificates are valid since it was begun, and a renewal comes later.
    let Some(begun) = of_now.map(|certificate| certificate.not_before).min() else { return Ok(0) };
    let retired = registry.confirmed_steps(record.id, RETIRED).await?;
    let count = retired.into_iter().filter(|at| *at >= begun).count();
    Ok(u8::try_from(count).unwrap_or(u8::MAX))
}
