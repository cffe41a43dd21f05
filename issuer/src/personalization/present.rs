//! Whether the card in the reader is the one that is meant.

use middleware::CardIdentity;

use super::error::PersonalizationError;
use super::presented;
use crate::domain::{Guid, StockIdentity};
use crate::registry::CardRecord;

/// Refuses a card that is not the one of this record with this GUID.
///
/// # Errors
/// [`PersonalizationError::AnotherCard`].
pub(super) fn refuse_another(
    record: &CardRecord,
    guid: Guid,
    identity: &CardIdentity,
) -> Result<(), PersonalizationError> {
    let shown = presented(identity);
    let has_serial = match record.identity {
        StockIdentity::VendorSerial(serial) => shown.vendor_serial == Some(serial),
        StockIdentity::Guid(_) => true,
    };
    if has_serial && shown.guid == Some(guid) {
        return Ok(());
    }
    let found = match shown.guid {
        Some(guid) => format!("GUID {guid}"),
        None => super::describe(shown),
    };
    Err(PersonalizationError::AnotherCard { expected: format!("GUID {guid}"), found })
}
