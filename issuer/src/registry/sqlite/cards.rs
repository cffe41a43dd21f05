//! Cards in the registry: stock, life cycle, sealed secrets, journal of personalisation.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::certificates::revoke_certificates_of_card;
use super::{Registry, Subject, events, record};
use crate::domain::{
    Card, CardCommand, CardEvent, CardId, CardState, CardholderId, RevocationReason, StockIdentity,
};
use crate::registry::error::RegistryError;
use crate::registry::records::{CardRecord, JournalEntry, JournalPhase, NewStockCard, PresentedIdentity};
use crate::registry::rows::{self, damaged, time_text, whole_seconds};

/// The present version of the derivation of a card's secrets.
const SECRETS_VERSION: i64 = 1;

impl Registry {
    /// Takes a blank card into stock; one that was set aside as unusable is taken in again.
    ///
    /// # Errors
    /// [`RegistryError::CardTaken`].
    pub async fn add_card(&self, card: &NewStockCard, now: Timestamp) -> Result<CardId, RegistryError> {
        let mut transaction = self.begin().await?;
        let (serial, guid) = match &card.identity {
            StockIdentity::VendorSerial(serial) => (Some(i64::from(*serial)), None),
            StockIdentity::Guid(guid) => (None, Some(guid.as_bytes().as_slice())),
        };
        let taken = sqlx::query("SELECT id FROM cards WHERE vendor_serial = ? OR stock_guid = ? OR guid = ?")
            .bind(serial)
            .bind(guid)
            .bind(guid)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(row) = taken {
            let id = CardId(row.try_get("id")?);
            if !matches!(load(&mut transaction, id).await?.state(), CardState::Unusable { .. }) {
                return Err(RegistryError::CardTaken(card.identity));
            }
            sqlx::query("UPDATE cards SET sealed_secrets = ? WHERE id = ?")
                .bind(card.sealed_secrets.as_deref())
                .bind(id.0)
                .execute(&mut *transaction)
                .await?;
            execute(&mut transaction, id, CardCommand::Receive, now).await?;
            transaction.commit().await?;
            return Ok(id);
        }
        let inserted = sqlx::query(
            "INSERT INTO cards (vendor_serial, stock_guid, guid, holder, secrets_version, sealed_secrets) VALUES (?, ?, NULL, NULL, ?, ?)",
        )
        .bind(serial)
        .bind(guid)
        .bind(SECRETS_VERSION)
        .bind(card.sealed_secrets.as_deref())
        .execute(&mut *transaction)
        .await?;
        let id = CardId(inserted.last_insert_rowid());
        execute(&mut transaction, id, CardCommand::Receive, now).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Every card, in the order of arrival.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn cards(&self) -> Result<Vec<CardRecord>, RegistryError> {
        let rows =
            sqlx::query("SELECT id, vendor_serial, stock_guid, secrets_version FROM cards ORDER BY id")
                .fetch_all(&self.pool)
                .await?;
        let event_rows =
            sqlx::query("SELECT card, detail FROM events WHERE card IS NOT NULL ORDER BY card, id")
                .fetch_all(&self.pool)
                .await?;
        let mut by_card: HashMap<i64, Vec<SqliteRow>> = HashMap::new();
        for row in event_rows {
            by_card.entry(row.try_get("card")?).or_default().push(row);
        }
        rows.iter()
            .map(|row| {
                let id: i64 = row.try_get("id")?;
                let card = Card::replay(events::<CardEvent>(by_card.get(&id).map_or(&[], Vec::as_slice))?);
                card_record(row, card)
            })
            .collect()
    }

    /// The card with this number.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCard`].
    pub async fn card(&self, id: CardId) -> Result<CardRecord, RegistryError> {
        let row =
            sqlx::query("SELECT id, vendor_serial, stock_guid, secrets_version FROM cards WHERE id = ?")
                .bind(id.0)
                .fetch_optional(&self.pool)
                .await?
                .ok_or(RegistryError::UnknownCard(id))?;
        let mut transaction = self.pool.begin().await?;
        let card = load(&mut transaction, id).await?;
        card_record(&row, card)
    }

    /// The record of a card that shows itself: by its serial number, else by the GUID it came with or was given.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn card_presented(
        &self,
        identity: PresentedIdentity,
    ) -> Result<Option<CardRecord>, RegistryError> {
        let guid = identity.guid.as_ref().map(|guid| guid.as_bytes().as_slice());
        let row = match identity.vendor_serial {
            Some(serial) => {
                sqlx::query("SELECT id FROM cards WHERE vendor_serial = ?").bind(i64::from(serial))
            }
            None => sqlx::query(
                "SELECT id FROM cards WHERE vendor_serial IS NULL AND (stock_guid = ? OR guid = ?)",
            )
            .bind(guid)
            .bind(guid),
        }
        .fetch_optional(&self.pool)
        .await?;
        match row {
            Some(row) => Ok(Some(self.card(CardId(row.try_get("id")?)).await?)),
            None => Ok(None),
        }
    }

    /// The card that a person has or is about to get.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn card_of(&self, holder: CardholderId) -> Result<Option<CardRecord>, RegistryError> {
        let row = sqlx::query("SELECT id FROM cards WHERE holder = ?")
            .bind(holder.0)
            .fetch_optional(&self.pool)
            .await?;
        match row {
            Some(row) => Ok(Some(self.card(CardId(row.try_get("id")?)).await?)),
            None => Ok(None),
        }
    }

    /// Carries a command out, or refuses it. Beginning again, and abandoning, revokes the certificates of the attempt
    /// before, in the same transaction.
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`], [`RegistryError::HasCard`].
    pub async fn command_card(
        &self,
        id: CardId,
        command: CardCommand,
        now: Timestamp,
    ) -> Result<Card, RegistryError> {
        let mut transaction = self.begin().await?;
        let card = execute(&mut transaction, id, command, now).await?;
        transaction.commit().await?;
        Ok(card)
    }

    /// The manufacturer's secrets, sealed.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCard`].
    pub async fn sealed_secrets(&self, id: CardId) -> Result<Option<Vec<u8>>, RegistryError> {
        let row = sqlx::query("SELECT sealed_secrets FROM cards WHERE id = ?")
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await?
            .ok_or(RegistryError::UnknownCard(id))?;
        Ok(row.try_get("sealed_secrets")?)
    }

    /// Puts other sealed secrets in the place of the manufacturer's, once those are no longer the card's.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCard`].
    pub async fn replace_sealed_secrets(
        &self,
        id: CardId,
        sealed: Option<&[u8]>,
    ) -> Result<(), RegistryError> {
        let updated = sqlx::query("UPDATE cards SET sealed_secrets = ? WHERE id = ?")
            .bind(sealed)
            .bind(id.0)
            .execute(&self.pool)
            .await?;
        if updated.rows_affected() == 1 { Ok(()) } else { Err(RegistryError::UnknownCard(id)) }
    }

    /// Writes a line of a card's journal; a line that is there already stays as it is.
    ///
    /// # Errors
    /// The database.
    pub async fn write_journal(
        &self,
        card: CardId,
        attempt: u32,
        step: &str,
        phase: JournalPhase,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        sqlx::query("INSERT INTO journal (card, attempt, step, phase, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(card.0)
            .bind(attempt)
            .bind(step)
            .bind(phase.as_str())
            .bind(time_text(now))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// A card's journal, the oldest line first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn journal(&self, card: CardId) -> Result<Vec<JournalEntry>, RegistryError> {
        let rows =
            sqlx::query("SELECT attempt, step, phase FROM journal WHERE card = ? ORDER BY attempt, rowid")
                .bind(card.0)
                .fetch_all(&self.pool)
                .await?;
        rows.iter()
            .map(|row| {
                let phase = match row.try_get::<String, _>("phase")?.as_str() {
                    "intended" => JournalPhase::Intended,
                    "confirmed" => JournalPhase::Confirmed,
                    other => return Err(damaged(format!("unknown journal phase {other:?}"))),
                };
                Ok(JournalEntry { attempt: rows::number(row, "attempt")?, step: row.try_get("step")?, phase })
            })
            .collect()
    }
}

/// Judges and records a command within a transaction.
pub(super) async fn execute(
    transaction: &mut Transaction<'static, Sqlite>,
    id: CardId,
    command: CardCommand,
    now: Timestamp,
) -> Result<Card, RegistryError> {
    let card = load(transaction, id).await?;
    let event = card.decide(command, whole_seconds(now))?;
    if let CardEvent::PersonalisationBegun { holder, .. } = &event {
        refuse_second_card(transaction, *holder, id).await?;
    }
    record(transaction, Subject::Card(id), &event, now).await?;
    match &event {
        CardEvent::PersonalisationBegun { attempt: 2.., .. } => {
            revoke_certificates_of_card(transaction, id, RevocationReason::Superseded, now).await?;
        }
        CardEvent::PersonalisationAbandoned { .. } => {
            revoke_certificates_of_card(transaction, id, RevocationReason::CessationOfOperation, now).await?;
        }
        _ => {}
    }
    let card = card.apply(event);
    let holder = match card.state() {
        CardState::BeingPersonalised { holder, .. } | CardState::Issued { holder, .. } => Some(holder.0),
        CardState::Unknown
        | CardState::InStock { .. }
        | CardState::Unusable { .. }
        | CardState::Revoked { .. } => None,
    };
    let guid = card.guid();
    sqlx::query("UPDATE cards SET guid = ?, holder = ? WHERE id = ?")
        .bind(guid.as_ref().map(|guid| guid.as_bytes().as_slice()))
        .bind(holder)
        .bind(id.0)
        .execute(&mut **transaction)
        .await?;
    Ok(card)
}

async fn refuse_second_card(
    transaction: &mut Transaction<'static, Sqlite>,
    holder: CardholderId,
    but: CardId,
) -> Result<(), RegistryError> {
    let other = sqlx::query("SELECT id FROM cards WHERE holder = ? AND id <> ?")
        .bind(holder.0)
        .bind(but.0)
        .fetch_optional(&mut **transaction)
        .await?;
    match other {
        Some(row) => Err(RegistryError::HasCard { card: CardId(row.try_get("id")?) }),
        None => Ok(()),
    }
}

async fn load(transaction: &mut Transaction<'static, Sqlite>, id: CardId) -> Result<Card, RegistryError> {
    let rows = sqlx::query("SELECT detail FROM events WHERE card = ? ORDER BY id")
        .bind(id.0)
        .fetch_all(&mut **transaction)
        .await?;
    Ok(Card::replay(events::<CardEvent>(&rows)?))
}

fn card_record(row: &SqliteRow, card: Card) -> Result<CardRecord, RegistryError> {
    Ok(CardRecord {
        id: CardId(row.try_get("id")?),
        identity: rows::stock_identity(row)?,
        card,
        secrets_version: rows::number(row, "secrets_version")?,
    })
}
