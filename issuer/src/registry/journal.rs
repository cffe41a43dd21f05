//! The journal of personalisation: the plan of each attempt at a card, and its steps, before and after.
//!
//! A plan is written once, when its attempt begins; whoever resumes reads it and the steps that were confirmed. Neither is
//! an event: the log tells what became of the card, the journal how.

use jiff::Timestamp;
use sqlx::Row;

use super::database::Registry;
use super::error::RegistryError;
use super::records::{JournalEntry, JournalLine, JournalPhase};
use super::rows::{self, time_text};
use crate::domain::CardId;

impl Registry {
    /// Writes the plan of an attempt; one that is there already stays as it is.
    ///
    /// # Errors
    /// The database.
    pub async fn store_plan(&self, card: CardId, attempt: u32, plan: &str) -> Result<(), RegistryError> {
        sqlx::query(
            "INSERT INTO plans (card, attempt, plan) VALUES ($1, $2, $3) ON CONFLICT (card, attempt) DO NOTHING",
        )
        .bind(card.0)
        .bind(i64::from(attempt))
        .bind(plan.to_owned())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The plan of an attempt.
    ///
    /// # Errors
    /// The database.
    pub async fn plan(&self, card: CardId, attempt: u32) -> Result<Option<String>, RegistryError> {
        let row = sqlx::query("SELECT plan FROM plans WHERE card = $1 AND attempt = $2")
            .bind(card.0)
            .bind(i64::from(attempt))
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(row.try_get("plan")?)).transpose()
    }

    /// Writes a line of a card's journal; a line that is there already stays as it is.
    ///
    /// # Errors
    /// The database.
    pub async fn write_journal(&self, line: JournalLine<'_>, now: Timestamp) -> Result<(), RegistryError> {
        sqlx::query(
            "INSERT INTO journal (card, attempt, step, phase, at, detail) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (card, attempt, step, phase) DO NOTHING",
        )
        .bind(line.card.0)
        .bind(i64::from(line.attempt))
        .bind(line.step.to_owned())
        .bind(line.phase.as_str())
        .bind(time_text(now))
        .bind(line.detail.map(str::to_owned))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A card's journal, the oldest line first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn journal(&self, card: CardId) -> Result<Vec<JournalEntry>, RegistryError> {
        let rows = sqlx::query(
            "SELECT attempt, step, phase, detail FROM journal WHERE card = $1 ORDER BY attempt, id",
        )
        .bind(card.0)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let phase = JournalPhase::parse(&row.try_get::<String, _>("phase")?)?;
                Ok(JournalEntry {
                    attempt: rows::number(row, "attempt")?,
                    step: row.try_get("step")?,
                    phase,
                    detail: row.try_get("detail")?,
                })
            })
            .collect()
    }
}
