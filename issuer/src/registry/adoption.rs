//! What a registry of before is given when it is first opened: its events, one by one, into the log of hashes, and the
//! states and search keys that are now stored beside them. All of it in one transaction, or nothing.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::event;
use super::database::{Change, Registry};
use super::error::RegistryError;
use super::people::{described, index};
use super::rows::{self, damaged};
use super::{cards, certificates};
use crate::domain::unicode::search_key;
use crate::domain::{Actor, Card, CardId, CardholderId, Certificate, SerialNumber, Subject};

/// Takes over what `legacy_events` holds, if it is there.
pub(super) async fn adopt(registry: &Registry) -> Result<(), RegistryError> {
    if !is_there(registry).await? {
        return Ok(());
    }
    registry
        .change_as(Actor::unrecorded(), async |change| {
            if sqlx::query(LEGACY).fetch_optional(change.connection()).await?.is_none() {
                // Another process did it while this one waited.
                return Ok(());
            }
            take_events(change).await?;
            take_people(change).await?;
            take_cards(change).await?;
            take_certificates(change).await?;
            sqlx::query("DROP TABLE legacy_events").execute(change.connection()).await?;
            Ok(())
        })
        .await
}

const LEGACY: &str = "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'legacy_events'";

async fn is_there(registry: &Registry) -> Result<bool, RegistryError> {
    Ok(sqlx::query(LEGACY).fetch_optional(&registry.pool).await?.is_some())
}

async fn take_events(change: &mut Change) -> Result<(), RegistryError> {
    let rows = sqlx::query("SELECT at, card, serial, person, detail FROM legacy_events ORDER BY id")
        .fetch_all(change.connection())
        .await?;
    for row in &rows {
        let detail: String = row.try_get("detail")?;
        let value: serde_json::Value = event(&detail)?;
        let kind = value.get("event").and_then(serde_json::Value::as_str).unwrap_or("event").to_owned();
        let at: Timestamp = rows::time(row, "at")?;
        change.append(subject(row)?, kind, detail, at).await?;
    }
    Ok(())
}

fn subject(row: &AnyRow) -> Result<Subject, RegistryError> {
    let card: Option<i64> = row.try_get("card")?;
    let person: Option<i64> = row.try_get("person")?;
    match (card, person) {
        (Some(id), _) => Ok(Subject::Card(CardId(id))),
        (_, Some(id)) => Ok(Subject::Person(CardholderId(id))),
        _ => rows::serial(row).map(Subject::Certificate),
    }
}

async fn take_people(change: &mut Change) -> Result<(), RegistryError> {
    let rows =
        sqlx::query("SELECT id, name, mail, staff_id FROM people").fetch_all(change.connection()).await?;
    for row in &rows {
        let id = CardholderId(row.try_get("id")?);
        let (name, mail): (String, String) = (row.try_get("name")?, row.try_get("mail")?);
        let staff_id: Option<String> = row.try_get("staff_id")?;
        sqlx::query("UPDATE people SET name_key = $1, mail_key = $2, staff_id_key = $3 WHERE id = $4")
            .bind(search_key(&name))
            .bind(search_key(&mail))
            .bind(staff_id.as_deref().map(search_key))
            .bind(id.0)
            .execute(change.connection())
            .await?;
        let described = described(change, id).await?;
        index(change, id, &described).await?;
    }
    Ok(())
}

async fn take_cards(change: &mut Change) -> Result<(), RegistryError> {
    let rows = sqlx::query("SELECT id FROM cards ORDER BY id").fetch_all(change.connection()).await?;
    for row in &rows {
        let id: i64 = row.try_get("id")?;
        let events = sqlx::query("SELECT detail FROM events WHERE card = $1 ORDER BY sequence")
            .bind(id)
            .fetch_all(change.connection())
            .await?;
        let card = Card::replay(details(&events)?);
        cards::store(change, CardId(id), &card).await?;
    }
    Ok(())
}

async fn take_certificates(change: &mut Change) -> Result<(), RegistryError> {
    let rows = sqlx::query("SELECT serial, subject FROM certificates").fetch_all(change.connection()).await?;
    for row in &rows {
        let serial: SerialNumber = rows::serial(row)?;
        let events = sqlx::query("SELECT detail FROM events WHERE serial = $1 ORDER BY sequence")
            .bind(serial.as_bytes().to_vec())
            .fetch_all(change.connection())
            .await?;
        let certificate = Certificate::replay(details(&events)?);
        let subject: String = row.try_get("subject")?;
        sqlx::query("UPDATE certificates SET subject_key = $1 WHERE serial = $2")
            .bind(search_key(&subject))
            .bind(serial.as_bytes().to_vec())
            .execute(change.connection())
            .await?;
        // Rows of before that no event tells of keep what their revocation says.
        if !events.is_empty() {
            certificates::store(change, &serial, &certificate).await?;
        }
    }
    Ok(())
}

fn details<E: serde::de::DeserializeOwned>(rows: &[AnyRow]) -> Result<Vec<E>, RegistryError> {
    rows.iter()
        .map(|row| {
            let detail: String = row.try_get("detail").map_err(|_| damaged("an event is empty"))?;
            event(&detail)
        })
        .collect()
}
