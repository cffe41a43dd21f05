//! The journal of personalisation: the plan of each attempt at a card, and its steps, before and after.
//!
//! A plan is written once, when its attempt begins; whoever resumes reads it and the steps that were confirmed. Neither is
//! an event: the log tells what became of the card, the journal how. Whoever writes here writes for the present attempt: a
//! desk that was overtaken by another, or whose card was given up meanwhile, is told so before it touches the card again.

use jiff::Timestamp;
use sqlx::Row;

use super::database::{Change, Registry};
use super::error::RegistryError;
use super::records::{JournalEntry, JournalLine, JournalPhase};
use super::rows::{self, time_text};
use super::{cards, certificates};
use crate::domain::{
    Card, CardCommand, CardId, CardRefusal, CardState, CertificateEvent, InitialPin, SerialNumber, Subject,
};

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

    /// Writes lines of a card's journal, all or none; a line that is there already stays as it is.
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`]: another attempt began meanwhile, or the card is in nobody's hands any more.
    pub async fn write_journal(
        &self,
        lines: &[JournalLine<'_>],
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            for line in lines {
                require_attempt(change, line.card, line.attempt).await?;
                insert(change, line, now).await?;
            }
            Ok(())
        })
        .await
    }

    /// Takes a certificate of an interrupted attempt over into the attempt that goes on.
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`] where `attempt` is over.
    pub async fn adopt_certificate(
        &self,
        serial: &SerialNumber,
        card: CardId,
        attempt: u32,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            require_attempt(change, card, attempt).await?;
            let adopted = sqlx::query("UPDATE certificates SET attempt = $1 WHERE serial = $2 AND card = $3")
                .bind(i64::from(attempt))
                .bind(serial.as_bytes().to_vec())
                .bind(card.0)
                .execute(change.connection())
                .await?;
            if adopted.rows_affected() != 1 {
                return Err(RegistryError::UnknownCertificate(serial.clone()));
            }
            let event = CertificateEvent::CertificateAdopted { at: rows::whole_seconds(now), attempt };
            change.record(Subject::Certificate(serial.clone()), &event, now).await
        })
        .await
    }

    /// Ends a personalisation well, as one act: the card is its holder's, these certificates are delivered, whatever
    /// else was ever certified for the card is revoked, and the card in whose place it is counts as replaced (unless
    /// something else became of that one meanwhile).
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`] where `attempt` is over.
    pub async fn complete_personalisation(
        &self,
        (card, attempt): (CardId, u32),
        pin: InitialPin,
        replaces: Option<CardId>,
        delivered: &[SerialNumber],
        now: Timestamp,
    ) -> Result<Card, RegistryError> {
        self.change(async |change| {
            certificates::deliver(change, card, delivered, now).await?;
            let command = CardCommand::CompletePersonalisation { attempt, pin };
            let completed = cards::execute(change, card, command, None, now).await?;
            if let Some(old) = replaces {
                let command = CardCommand::Replace { by: card };
                if cards::load(change, old).await?.decide(command, now).is_ok() {
                    cards::execute(change, old, command, None, now).await?;
                }
            }
            Ok(completed)
        })
        .await
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

/// Refuses an attempt that another one has overtaken, or whose card was given up.
pub(super) async fn require_attempt(
    change: &mut Change,
    card: CardId,
    attempt: u32,
) -> Result<(), RegistryError> {
    let card = cards::load(change, card).await?;
    match card.state() {
        CardState::BeingPersonalised { .. } if card.attempts() == attempt => Ok(()),
        CardState::BeingPersonalised { .. } => {
            Err(CardRefusal::Overtaken { attempt, present: card.attempts() }.into())
        }
        state => Err(CardRefusal::NotBeingPersonalised(state.name()).into()),
    }
}

async fn insert(change: &mut Change, line: &JournalLine<'_>, now: Timestamp) -> Result<(), RegistryError> {
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
    .execute(change.connection())
    .await?;
    Ok(())
}
