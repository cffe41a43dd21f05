//! What others keep of the log, as the log itself tells it: witness files that were begun anew, and checkpoints that were
//! published. Whoever takes the one away, or what is remembered of the other, does not take the event.

use jiff::Timestamp;

use super::audit::{EVENT, LogEntry, entry, event};
use super::database::{Registry, stored};
use super::error::RegistryError;
use super::outbox::PublicationTarget;
use crate::domain::checkpoint::witness::LastSeen;
use crate::domain::{Agreement, AuditRecord, RegistryEvent, Subject};

/// A witness file that was begun in the place of one that was gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessChange {
    /// The number of the event.
    pub event: u64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// The file.
    pub witness: String,
    /// What the one before had seen last, as far as anybody remembered.
    pub before: Option<LastSeen>,
}

impl Registry {
    /// Records that a witness file is begun in the place of one that is gone.
    ///
    /// # Errors
    /// The database.
    pub async fn begin_witness(
        &self,
        witness: &str,
        before: Option<&LastSeen>,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let event = RegistryEvent::WitnessBegun { witness: witness.to_owned(), before: before.cloned() };
        self.change(async |change| change.record(Subject::Registry, &event, now).await).await
    }

    /// Every time that was done, the first first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn witnesses_begun(&self) -> Result<Vec<WitnessChange>, RegistryError> {
        let mut changes = Vec::new();
        for record in self.registry_events("kind = 'witness-begun'").await? {
            if let RegistryEvent::WitnessBegun { witness, before } = event(&record.detail)? {
                let AuditRecord { sequence, at, actor, .. } = record;
                changes.push(WitnessChange { event: sequence, at, by: actor, witness, before });
            }
        }
        Ok(changes)
    }

    /// Remembers up to which event the checkpoint goes that was put at a target. The first one there goes into the log, so that
    /// it is missed also when nobody remembers it any more.
    ///
    /// # Errors
    /// The database.
    pub async fn target_has_checkpoint(
        &self,
        target: &PublicationTarget,
        size: u64,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        const REMEMBER: &str = "UPDATE publication_targets SET checkpoint = $1 WHERE id = $2 AND (checkpoint IS NULL OR checkpoint < $1)";
        let number = stored(size)?;
        if self.published_checkpoint(&target.place).await?.is_some() {
            sqlx::query(REMEMBER).bind(number).bind(target.id).execute(&self.pool).await?;
            return Ok(());
        }
        let event = RegistryEvent::CheckpointPublished { place: target.place.clone(), size };
        self.change(async |change| {
            sqlx::query(REMEMBER).bind(number).bind(target.id).execute(change.connection()).await?;
            change.record(Subject::Registry, &event, now).await
        })
        .await
    }

    /// Up to which event the first checkpoint goes that the log tells of at a place; none where it tells of none, or the place
    /// was forgotten since.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn published_checkpoint(&self, place: &str) -> Result<Option<u64>, RegistryError> {
        let mut agreement = Agreement::default();
        for record in self.registry_events("kind IN ('checkpoint-published', 'target-forgotten')").await? {
            agreement = agreement.apply(event(&record.detail)?, (record.sequence, record.at));
        }
        Ok(agreement.published.get(place).copied())
    }

    async fn registry_events(&self, which: &'static str) -> Result<Vec<AuditRecord>, RegistryError> {
        let statement =
            format!("SELECT {EVENT} FROM events WHERE topic = 'registry' AND {which} ORDER BY sequence");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| entry(row).map(|LogEntry { record, .. }| record)).collect()
    }
}
