//! A card that came back becomes blank: everything on it is removed, and that is checked.
//!
//! Removing is one command of the card, which can be given again. Its secrets are the factory's then, and whoever gets the
//! card next gets another GUID, from which other secrets derive.

use middleware::{Card, CardError, CardIdentity, KeyReference, ManagementKey};

use super::error::PersonalizationError;
use super::run::{Point, Progress};
use crate::clock::Clock;
use crate::domain::{CardCommand, Guid, StockIdentity};
use crate::registry::{CardRecord, JournalPhase, OperationKind, Registry};

/// What is left on a card that should be blank: read, never written.
///
/// # Errors
/// The card's.
pub fn left_behind(
    card: &mut Card,
    record: &CardRecord,
) -> Result<Option<&'static str>, PersonalizationError> {
    let guid = card.transaction()?.identity_afresh()?.guid.map(Guid::new);
    if guid.is_some() && guid == record.card.guid() {
        return Ok(Some("the GUID of its last holder"));
    }
    if !card.certificates()?.is_empty() {
        return Ok(Some("certificates"));
    }
    let mut transaction = card.transaction()?;
    for key in KeyReference::PRIMARY.into_iter().chain(KeyReference::retired()) {
        if transaction.key_metadata(key)?.is_some() {
            return Ok(Some("keys"));
        }
    }
    let algorithm = transaction.management_key_algorithm()?;
    match transaction.authenticate(&ManagementKey::factory_default(algorithm)) {
        Ok(_) => Ok(None),
        Err(CardError::WrongManagementKey) => Ok(Some("the desk's management key")),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a card that cannot be wiped, or is another.
///
/// # Errors
/// [`PersonalizationError::CannotWipe`], [`PersonalizationError::AnotherCard`].
pub fn refuse(identity: &CardIdentity, record: &CardRecord) -> Result<(), PersonalizationError> {
    let StockIdentity::VendorSerial(serial) = record.identity else {
        return Err(PersonalizationError::CannotWipe);
    };
    match identity.serial {
        Some(found) if found == serial => Ok(()),
        found => Err(PersonalizationError::AnotherCard {
            expected: format!("serial {serial}"),
            found: found
                .map_or_else(|| "without serial number".to_owned(), |found| format!("serial {found}")),
        }),
    }
}

/// Wipes a card that came back, checks that nothing is left, and puts it into stock.
///
/// # Errors
/// [`PersonalizationError::CannotWipe`], [`PersonalizationError::AnotherCard`], [`PersonalizationError::NotWiped`]; the
/// registry's, where the card did not come back.
pub async fn wipe(
    registry: &Registry,
    clock: &dyn Clock,
    card: &mut Card,
    record: &CardRecord,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), PersonalizationError> {
    let mut reached = |point| progress(Progress::Operation(OperationKind::Wipe, point));
    refuse(&card.transaction()?.identity_afresh()?, record)?;
    // What was begun with the card before is over.
    if let Some(open) =
        registry.open_operation(record.id).await?.filter(|open| open.kind != OperationKind::Wipe)
    {
        let open = registry.begin_operation(record.id, open.kind, "", clock.now()).await?;
        registry.end_operation(&open, clock.now()).await?;
    }
    let operation = registry.begin_operation(record.id, OperationKind::Wipe, "{}", clock.now()).await?;
    registry.note_step(&operation, "reset", JournalPhase::Intended, None, clock.now()).await?;
    reached(Point::Intended);
    card.transaction()?.reset_application()?;
    reached(Point::Acted);
    registry.note_step(&operation, "reset", JournalPhase::Confirmed, None, clock.now()).await?;
    reached(Point::Confirmed);
    if let Some(left) = left_behind(card, record)? {
        return Err(PersonalizationError::NotWiped(left));
    }
    Ok(registry.end_operation_with(&operation, CardCommand::Restock, clock.now()).await?)
}
