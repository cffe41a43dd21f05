//! PIN, PUK and management key, as far as asking costs nothing.

use middleware::{Card, CardError, LastTry, ManagementKey, Pin, PinStatus};

use super::super::error::PersonalizationError;
use super::super::secrets::of_stock;
use super::{Comparison, Disagreement, Finding, Outcome, Subject, Unproven};
use crate::domain::{CardState, Usability};
use crate::registry::CardRecord;

pub(super) async fn compare(
    comparison: &Comparison<'_>,
    record: &CardRecord,
    card: &mut Card,
) -> Result<Vec<Finding>, PersonalizationError> {
    let mut findings = Vec::new();
    let candidates = management_keys(comparison, record, card).await?;
    let mut transaction = card.transaction()?;
    let mut is_ours = false;
    for candidate in &candidates {
        match transaction.authenticate(candidate) {
            Ok(_) => is_ours = true,
            Err(CardError::WrongManagementKey) => continue,
            Err(error) => return Err(error.into()),
        }
        break;
    }
    drop(transaction);
    findings.push(Finding {
        subject: Subject::ManagementKey,
        outcome: if is_ours { Outcome::Agrees } else { Outcome::Differs(Disagreement::OtherManagementKey) },
    });
    let mut transaction = card.transaction()?;
    if let CardState::Issued { usability, .. } = record.card.state() {
        let is_blocked = transaction.pin_status()? == PinStatus::Blocked;
        let outcome = match (is_blocked, *usability == Usability::PinBlocked) {
            (true, false) => Outcome::Differs(Disagreement::PinBlocked),
            (false, true) => Outcome::Differs(Disagreement::PinNotBlocked),
            _ => Outcome::Agrees,
        };
        findings.push(Finding { subject: Subject::Pin, outcome });
    }
    findings.push(Finding {
        subject: Subject::Puk,
        outcome: match transaction.puk_tries_left()? {
            Some(0) => Outcome::Differs(Disagreement::PukBlocked),
            _ => Outcome::Unproven(Unproven::CostsATry),
        },
    });
    Ok(findings)
}

/// Why the PIN cannot be used: tried once, so that a wrong one costs one try, and all else is compared without it.
pub(super) fn refused_pin(card: &mut Card, pin: &Pin) -> Result<Option<Outcome>, PersonalizationError> {
    match card.transaction()?.verify_pin(pin, LastTry::Refuse).map(drop) {
        Ok(()) => Ok(None),
        Err(CardError::WrongPin { tries_left }) => {
            Ok(Some(Outcome::Differs(Disagreement::WrongPin { tries_left })))
        }
        Err(CardError::LastPinTry) => Ok(Some(Outcome::Unproven(Unproven::LastPinTry))),
        Err(CardError::PinBlocked) => Ok(Some(Outcome::Unproven(Unproven::PinNotTried))),
        Err(error) => Err(error.into()),
    }
}

/// The desk's, if the card ever got it; and the one it came with, where it may still have that.
async fn management_keys(
    comparison: &Comparison<'_>,
    record: &CardRecord,
    card: &mut Card,
) -> Result<Vec<ManagementKey>, PersonalizationError> {
    let algorithm = card.transaction()?.management_key_algorithm()?;
    let stock = of_stock(comparison.registry, comparison.master_key, record).await?;
    let mut candidates = Vec::new();
    if let Some(guid) = record.card.guid() {
        let version = record.secrets_version;
        candidates.push(comparison.master_key.management_key(guid, version, algorithm)?);
    }
    match stock {
        Some(stock) => candidates.push(stock.management_key()?),
        None if !record.card.state().is_live() => candidates.push(ManagementKey::factory_default(algorithm)),
        None => {}
    }
    candidates.retain(|candidate| candidate.algorithm() == algorithm);
    Ok(candidates)
}
