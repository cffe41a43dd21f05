//! What the registry holds of one person's cards, for a third party: the events that are about them and nobody else, with
//! what proves that they are part of the log.

use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::audit::{EVENT, entry};
use super::database::{Registry, chain_hash, stored};
use super::error::RegistryError;
use super::rows;
use super::search::CERTIFICATE;
use crate::domain::{CardholderId, ChainHash, Subject};
use crate::registry::{CertificateRecord, LogEntry};

/// An event, and the hash of the one before it.
#[derive(Clone, Debug)]
pub struct ProvenEvent {
    /// The event and its hash.
    pub entry: LogEntry,
    /// The hash before.
    pub previous: ChainHash,
}

impl Registry {
    /// Everything that happened to a person, to the person's requests and certificates, and to cards while they were the
    /// person's; the oldest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn events_about(&self, person: CardholderId) -> Result<Vec<ProvenEvent>, RegistryError> {
        let statement = format!(
            "SELECT {EVENT} FROM events WHERE person = $1 \
             OR request IN (SELECT id FROM requests WHERE holder = $1) \
             OR serial IN (SELECT serial FROM certificates WHERE holder = $1) \
             OR card IN (SELECT card FROM certificates WHERE holder = $1) OR card IN (SELECT id FROM cards WHERE holder = $1) \
             ORDER BY sequence"
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(person.0).fetch_all(&self.pool).await?;
        let mut events = Vec::new();
        let mut theirs = std::collections::BTreeMap::new();
        for row in &rows {
            let entry = entry(row)?;
            if let Subject::Card(card) = entry.record.subject {
                let holder = holder_of(&entry.record.detail);
                let is_theirs = theirs.entry(card).or_insert(false);
                if let Some(holder) = holder {
                    *is_theirs = holder == person.0;
                }
                if !*is_theirs {
                    continue;
                }
            }
            events.push(ProvenEvent { previous: chain_hash(row, "previous")?, entry });
        }
        Ok(events)
    }

    /// The certificates of a person that were signed, the oldest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn certificates_of(
        &self,
        person: CardholderId,
    ) -> Result<Vec<CertificateRecord>, RegistryError> {
        let statement = format!(
            "SELECT {CERTIFICATE} FROM certificates WHERE holder = $1 AND certificate IS NOT NULL ORDER BY not_before, serial"
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(person.0).fetch_all(&self.pool).await?;
        rows.iter().map(rows::certificate).collect()
    }

    /// The length of the log at the last checkpoint that does not reach `sequence`; 0 where it is before the first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn checkpoint_before(&self, sequence: u64) -> Result<u64, RegistryError> {
        let row = sqlx::query("SELECT coalesce(max(size), 0) AS size FROM checkpoints WHERE size < $1")
            .bind(stored(sequence)?)
            .fetch_one(&self.pool)
            .await?;
        rows::number(&row, "size")
    }
}

/// For whom the making of a card is begun.
fn holder_of(detail: &str) -> Option<i64> {
    let value: Value = serde_json::from_str(detail).ok()?;
    let is_begun = value.get("event").and_then(Value::as_str) == Some("personalisation-begun");
    is_begun.then(|| value.get("holder").and_then(Value::as_i64)).flatten()
}
