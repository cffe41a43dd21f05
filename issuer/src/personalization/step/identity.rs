//! Who the card is: card capability container and CHUID (SP 800-73-5 Part 1 sections 3.1.1 and 3.1.2).

use jiff::Timestamp;
use middleware::piv::objects::{Chuid, capability_container};
use middleware::{Administration, Card, DataObject};

use super::super::attempt::Attempt;
use super::super::error::PersonalizationError;
use super::super::run::Desk;

/// Writes both; the same GUID in every attempt.
pub(super) fn write(
    desk: &mut Desk<'_>,
    administration: &mut Administration<'_, '_>,
    attempt: &Attempt<'_>,
) -> Result<(), PersonalizationError> {
    let mut card_identifier = [0; 14];
    desk.random.fill_bytes(&mut card_identifier);
    administration
        .write_object(DataObject::CARD_CAPABILITY_CONTAINER, &capability_container(&card_identifier))?;
    let chuid = Chuid { guid: *attempt.guid.as_bytes(), expiration: expiration(attempt.validity.not_after) };
    Ok(administration.write_object(DataObject::CHUID, &chuid.to_bytes())?)
}

/// The GUID read back.
pub(super) fn read_back(card: &mut Card, attempt: &Attempt<'_>) -> Result<(), PersonalizationError> {
    let chuid = card.transaction()?.read_object(DataObject::CHUID)?;
    if Chuid::from_bytes(&chuid)?.guid == *attempt.guid.as_bytes() {
        Ok(())
    } else {
        Err(PersonalizationError::ReadBackDiffers { what: "CHUID".to_owned() })
    }
}

/// The day after the certificates end, `YYYYMMDD`: no certificate outlives the CHUID.
fn expiration(not_after: Timestamp) -> [u8; 8] {
    let date = not_after.to_zoned(jiff::tz::TimeZone::UTC).date();
    let text = date.tomorrow().unwrap_or(date).strftime("%Y%m%d").to_string();
    <[u8; 8]>::try_from(text.as_bytes()).unwrap_or(*b"99991231")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chuid_outlives_the_certificates() {
        assert_eq!(&expiration("2028-02-28T23:59:59Z".parse().unwrap()), b"20280229");
        assert_eq!(&expiration("2027-12-31T00:00:00Z".parse().unwrap()), b"20280101");
    }
}
