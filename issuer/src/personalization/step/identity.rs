//! Who the card is: card capability container, CHUID, key history, discovery object, security object (SP 800-73-5 Part 1
//! sections 3.1 and 3.3).

use middleware::piv::objects::{Chuid, capability_container, discovery_object, key_history_to_bytes};
use middleware::{Administration, CardError, DataObject, Transaction};

use super::super::attempt::Attempt;
use super::super::error::PersonalizationError;
use super::super::objects::{chuid, security_object};
use super::super::run::{Desk, end_of_day};

/// Writes them, with the same GUID in every attempt; the discovery object where the card takes one and has none.
pub(super) fn write(
    desk: &mut Desk<'_>,
    administration: &mut Administration<'_, '_>,
    attempt: &Attempt<'_>,
) -> Result<(), PersonalizationError> {
    let mut card_identifier = [0; 14];
    desk.random.fill_bytes(&mut card_identifier);
    administration
        .write_object(DataObject::CARD_CAPABILITY_CONTAINER, &capability_container(&card_identifier))?;
    let end = desk.authority.certificate().not_after();
    let latest = attempt.holder.employed_until.and_then(end_of_day).map_or(end, |day| day.min(end));
    let expiration = chuid::expiration(desk.clock.now(), attempt.validity.not_after, latest);
    let chuid = chuid::signed(desk.content_signer, attempt.guid, expiration)?;
    administration.write_object(DataObject::CHUID, &chuid)?;
    administration.write_object(DataObject::KEY_HISTORY, &key_history_to_bytes(0))?;
    if administration.transaction().read_if_present(DataObject::DISCOVERY)?.is_none() {
        match administration.write_object(DataObject::DISCOVERY, &discovery_object()) {
            // It is optional, and some cards keep that tag to themselves (section 3.3.2).
            Ok(()) | Err(CardError::Unsupported(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes the signed hashes of what is there.
pub(super) fn write_security_object(
    desk: &mut Desk<'_>,
    administration: &mut Administration<'_, '_>,
) -> Result<(), PersonalizationError> {
    let contents = security_object::over_card(desk.content_signer, administration.transaction())?;
    Ok(administration.write_object(DataObject::SECURITY_OBJECT, &contents)?)
}

/// The GUID read back, and that somebody signed it.
pub(super) fn read_back(
    transaction: &mut Transaction<'_>,
    attempt: &Attempt<'_>,
) -> Result<(), PersonalizationError> {
    let contents = transaction.read_object(DataObject::CHUID)?;
    let is_ours = Chuid::from_bytes(&contents)?.guid == *attempt.guid.as_bytes();
    if is_ours && Chuid::signature(&contents)?.is_some() {
        Ok(())
    } else {
        Err(PersonalizationError::ReadBackDiffers { what: "CHUID".to_owned() })
    }
}

/// The hashes read back, compared with what the card holds.
pub(super) fn read_back_security_object(
    transaction: &mut Transaction<'_>,
) -> Result<(), PersonalizationError> {
    if security_object::fits_card(transaction)? {
        Ok(())
    } else {
        Err(PersonalizationError::ReadBackDiffers { what: "security object".to_owned() })
    }
}
