//! Database rows as records.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::error::RegistryError;
use super::records::{CardRecord, CertificateRecord};
use crate::domain::{
    AuthorityName, CardId, CardKey, Cardholder, CardholderId, ChainHash, Guid, MailAddress, Name,
    SerialNumber, StaffId, StockIdentity,
};

/// The columns of a person, a card and a certificate, as the functions below read them.
pub(super) const PERSON: &str = "people.id AS id, people.name AS name, people.mail AS mail, people.staff_id AS staff_id, \
    people.employed_until AS employed_until, people.left_at AS left_at";

pub(super) fn damaged(what: impl Into<String>) -> RegistryError {
    RegistryError::Damaged(what.into())
}

/// Times are stored with whole seconds, so that their texts sort as they do.
pub(super) fn time_text(time: Timestamp) -> String {
    whole_seconds(time).to_string()
}

/// What the log names octets by: their SHA-256, hex.
pub(super) fn digest(octets: &[u8]) -> String {
    ChainHash::of(octets).to_string()
}

/// Without the fraction of the second, as certificates and CRLs have it too.
pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

pub(super) fn time(row: &AnyRow, column: &str) -> Result<Timestamp, RegistryError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| damaged(format!("{column} {text:?} is not a time")))
}

pub(super) fn optional_time(row: &AnyRow, column: &str) -> Result<Option<Timestamp>, RegistryError> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|_| damaged(format!("{column} {text:?} is not a time")))).transpose()
}

pub(super) fn serial(row: &AnyRow) -> Result<SerialNumber, RegistryError> {
    let bytes: Vec<u8> = row.try_get("serial")?;
    SerialNumber::from_bytes(&bytes).ok_or_else(|| damaged("a serial number is not 1 to 20 octets"))
}

pub(super) fn authority(row: &AnyRow, column: &str) -> Result<AuthorityName, RegistryError> {
    let text: String = row.try_get(column)?;
    AuthorityName::parse(&text).ok_or_else(|| damaged(format!("unknown authority {text:?}")))
}

pub(super) fn number<T: TryFrom<i64>>(row: &AnyRow, column: &str) -> Result<T, RegistryError> {
    in_range(column, row.try_get(column)?)
}

pub(super) fn in_range<T: TryFrom<i64>>(what: &str, value: i64) -> Result<T, RegistryError> {
    T::try_from(value).map_err(|_| damaged(format!("{what} {value} is out of range")))
}

pub(super) fn cardholder(row: &AnyRow) -> Result<Cardholder, RegistryError> {
    let (name, mail): (String, String) = (row.try_get("name")?, row.try_get("mail")?);
    let staff_id: Option<String> = row.try_get("staff_id")?;
    let employed_until: Option<String> = row.try_get("employed_until")?;
    Ok(Cardholder {
        id: CardholderId(row.try_get("id")?),
        name: Name::recorded(name),
        mail: MailAddress::recorded(mail),
        staff_id: staff_id
            .map(|text| {
                StaffId::new(&text).map_err(|error| damaged(format!("staff identifier {text:?} {error}")))
            })
            .transpose()?,
        employed_until: employed_until
            .map(|text| text.parse().map_err(|_| damaged(format!("{text:?} is not a day"))))
            .transpose()?,
        left: optional_time(row, "left_at")?,
    })
}

pub(super) fn card(row: &AnyRow) -> Result<CardRecord, RegistryError> {
    Ok(CardRecord {
        id: CardId(row.try_get("id")?),
        identity: stock_identity(row)?,
        card: snapshot(row)?,
        secrets_version: number(row, "secrets_version")?,
    })
}

/// A state as it was stored beside its events.
pub(super) fn snapshot<S: serde::de::DeserializeOwned>(row: &AnyRow) -> Result<S, RegistryError> {
    let text: String = row.try_get("snapshot")?;
    serde_json::from_str(&text).map_err(|error| damaged(format!("state {text:?}: {error}")))
}

/// A state as it is stored.
pub(super) fn snapshot_text<S: serde::Serialize>(state: &S) -> Result<String, RegistryError> {
    serde_json::to_string(state).map_err(|error| damaged(format!("a state cannot be written: {error}")))
}

pub(super) fn stock_identity(row: &AnyRow) -> Result<StockIdentity, RegistryError> {
    if let Some(serial) = row.try_get::<Option<i64>, _>("vendor_serial")? {
        let serial = u32::try_from(serial)
            .map_err(|_| damaged(format!("card serial number {serial} is out of range")))?;
        return Ok(StockIdentity::VendorSerial(serial));
    }
    let guid: Vec<u8> = row.try_get("stock_guid")?;
    let guid = <[u8; 16]>::try_from(guid).map_err(|_| damaged("a GUID is not 16 octets"))?;
    Ok(StockIdentity::Guid(Guid::new(guid)))
}

pub(super) fn certificate(row: &AnyRow) -> Result<CertificateRecord, RegistryError> {
    let card_key: Option<String> = row.try_get("card_key")?;
    Ok(CertificateRecord {
        serial: serial(row)?,
        authority: authority(row, "authority")?,
        profile: row.try_get("profile")?,
        subject: row.try_get("subject")?,
        mail: row.try_get("mail")?,
        card_key: card_key
            .map(|text| CardKey::parse(&text).ok_or_else(|| damaged(format!("unknown key {text:?}"))))
            .transpose()?,
        holder: row.try_get::<Option<i64>, _>("holder")?.map(CardholderId),
        card: match row.try_get::<Option<i64>, _>("card")? {
            Some(card) => Some((CardId(card), number(row, "attempt")?)),
            None => None,
        },
        not_before: time(row, "not_before")?,
        not_after: time(row, "not_after")?,
        certificate: row.try_get("certificate")?,
        state: snapshot(row)?,
    })
}
