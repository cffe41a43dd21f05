//! What is done to a card after it was issued, step by journalled step: the plan, who goes on with it, what is done.
//!
//! A card has one open operation at most. Whoever runs the same command again goes on with it, and overtakes whoever
//! began it: what that one still wants to write down is refused.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::cards::{execute as execute_card, load as load_card, record as record_card, refuse_who_left};
use super::database::{Change, Registry};
use super::error::RegistryError;
use super::records::{JournalEntry, JournalPhase};
use super::rows::{self, damaged, time_text};
use crate::domain::{CardCommand, CardId, CardState, InitialPin, Usability};

/// What kind of operation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// New certificates, for the same keys or new ones.
    Renewal,
    /// A new PIN, set with the PUK.
    Unblock,
    /// Everything is removed.
    Wipe,
}

impl OperationKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Renewal, Self::Unblock, Self::Wipe];

    /// The name in the registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Renewal => "renewal",
            Self::Unblock => "unblock",
            Self::Wipe => "wipe",
        }
    }
}

/// An operation that is not done yet, in the hands of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    id: i64,
    run: u32,
    /// Which card.
    pub card: CardId,
    /// What kind.
    pub kind: OperationKind,
    /// What shall be done, as whoever began it wrote it down.
    pub plan: String,
    /// Since when.
    pub begun_at: Timestamp,
}

impl Operation {
    /// Whether a run before this one began it.
    pub const fn is_resumed(&self) -> bool {
        self.run > 1
    }

    /// 1 for the run that began it, 2 for the next...
    pub const fn run(&self) -> u32 {
        self.run
    }
}

impl Registry {
    /// Begins an operation, or goes on with the one of the same kind that is open: its plan counts then, not `plan`.
    ///
    /// # Errors
    /// [`RegistryError::OperationOpen`]: another kind of operation is not done yet.
    pub async fn begin_operation(
        &self,
        card: CardId,
        kind: OperationKind,
        plan: &str,
        now: Timestamp,
    ) -> Result<Operation, RegistryError> {
        self.change(async |change| {
            if let Some(open) = open_operation(change, card).await? {
                if open.kind != kind {
                    return Err(RegistryError::OperationOpen(open.kind));
                }
                return go_on(change, open).await;
            }
            if kind == OperationKind::Renewal
                && let Some(holder) = load_card(change, card).await?.state().holder()
            {
                refuse_who_left(change, holder).await?;
            }
            let row = sqlx::query(
                "INSERT INTO operations (card, kind, plan, run, begun_at) VALUES ($1, $2, $3, 1, $4) RETURNING id",
            )
            .bind(card.0)
            .bind(kind.as_str())
            .bind(plan.to_owned())
            .bind(time_text(now))
            .fetch_one(change.connection())
            .await?;
            let begun_at = rows::whole_seconds(now);
            Ok(Operation { id: row.try_get("id")?, run: 1, card, kind, plan: plan.to_owned(), begun_at })
        })
        .await
    }

    /// The open operation of a card, to be looked at.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn open_operation(&self, card: CardId) -> Result<Option<Operation>, RegistryError> {
        let row = sqlx::query(
            "SELECT id, card, kind, plan, run, begun_at FROM operations WHERE card = $1 AND ended_at IS NULL",
        )
        .bind(card.0)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(operation).transpose()
    }

    /// Writes a line of an operation's journal; a line that is there already stays as it is.
    ///
    /// # Errors
    /// [`RegistryError::OperationOvertaken`].
    pub async fn note_step(
        &self,
        of: &Operation,
        step: &str,
        phase: JournalPhase,
        detail: Option<&str>,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            refuse_overtaken(change, of).await?;
            sqlx::query(
                "INSERT INTO operation_steps (operation, step, phase, at, detail) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (operation, step, phase) DO NOTHING",
            )
            .bind(of.id)
            .bind(step.to_owned())
            .bind(phase.as_str())
            .bind(time_text(now))
            .bind(detail.map(str::to_owned))
            .execute(change.connection())
            .await?;
            Ok(())
        })
        .await
    }

    /// The journal of an operation, the oldest line first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn steps(&self, of: &Operation) -> Result<Vec<JournalEntry>, RegistryError> {
        let rows =
            sqlx::query("SELECT step, phase, detail FROM operation_steps WHERE operation = $1 ORDER BY id")
                .bind(of.id)
                .fetch_all(&self.pool)
                .await?;
        rows.iter()
            .map(|row| {
                Ok(JournalEntry {
                    attempt: of.run,
                    step: row.try_get("step")?,
                    phase: JournalPhase::parse(&row.try_get::<String, _>("phase")?)?,
                    detail: row.try_get("detail")?,
                })
            })
            .collect()
    }

    /// When the operations were begun that confirmed this step with a card.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn confirmed_steps(&self, card: CardId, step: &str) -> Result<Vec<Timestamp>, RegistryError> {
        let rows = sqlx::query(
            "SELECT begun_at FROM operations JOIN operation_steps ON operation_steps.operation = operations.id \
             WHERE card = $1 AND step = $2 AND phase = 'confirmed' ORDER BY operations.id",
        )
        .bind(card.0)
        .bind(step.to_owned())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| rows::time(row, "begun_at")).collect()
    }

    /// Ends an operation together with what it means for the card.
    ///
    /// # Errors
    /// [`RegistryError::OperationOvertaken`], [`RegistryError::CardRefused`].
    pub async fn end_operation_with(
        &self,
        of: &Operation,
        command: CardCommand,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            refuse_overtaken(change, of).await?;
            execute_card(change, of.card, command, None, now).await?;
            end(change, of, now).await
        })
        .await
    }

    /// Records that the desk has set the PIN, and what that means for the card. An unblock is done with it; a renewal that
    /// waited for the PIN stays open.
    ///
    /// # Errors
    /// [`RegistryError::OperationOvertaken`], [`RegistryError::CardRefused`].
    pub async fn record_pin(
        &self,
        of: &Operation,
        pin: InitialPin,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            refuse_overtaken(change, of).await?;
            let card = load_card(change, of.card).await?;
            let usability = match card.state() {
                CardState::Issued { usability, .. } => Some(*usability),
                _ => None,
            };
            if usability == Some(Usability::PinBlocked) {
                execute_card(change, of.card, CardCommand::UnblockPin, None, now).await?;
            } else {
                let event = card.decide_pin_set(pin, rows::whole_seconds(now))?;
                record_card(change, of.card, card, event, now).await?;
            }
            if usability == Some(Usability::AwaitingActivation) && pin == InitialPin::ChosenByHolder {
                execute_card(change, of.card, CardCommand::Activate, None, now).await?;
            }
            if of.kind == OperationKind::Unblock {
                end(change, of, now).await?;
            }
            Ok(())
        })
        .await
    }

    /// Ends an operation: everything is done, or given up.
    ///
    /// # Errors
    /// [`RegistryError::OperationOvertaken`].
    pub async fn end_operation(&self, of: &Operation, now: Timestamp) -> Result<(), RegistryError> {
        self.change(async |change| {
            refuse_overtaken(change, of).await?;
            end(change, of, now).await
        })
        .await
    }
}

/// Ends an operation within a change.
pub(super) async fn end(change: &mut Change, of: &Operation, now: Timestamp) -> Result<(), RegistryError> {
    sqlx::query("UPDATE operations SET ended_at = $1 WHERE id = $2")
        .bind(time_text(now))
        .bind(of.id)
        .execute(change.connection())
        .await?;
    Ok(())
}

async fn go_on(change: &mut Change, open: Operation) -> Result<Operation, RegistryError> {
    let run = open.run.saturating_add(1);
    sqlx::query("UPDATE operations SET run = $1 WHERE id = $2")
        .bind(i64::from(run))
        .bind(open.id)
        .execute(change.connection())
        .await?;
    Ok(Operation { run, ..open })
}

/// Refuses what a run does that is no longer the one.
pub(super) async fn refuse_overtaken(change: &mut Change, of: &Operation) -> Result<(), RegistryError> {
    match open_operation(change, of.card).await? {
        Some(open) if open.id == of.id && open.run == of.run => Ok(()),
        _ => Err(RegistryError::OperationOvertaken(of.kind)),
    }
}

async fn open_operation(change: &mut Change, card: CardId) -> Result<Option<Operation>, RegistryError> {
    let row = sqlx::query(
        "SELECT id, card, kind, plan, run, begun_at FROM operations WHERE card = $1 AND ended_at IS NULL",
    )
    .bind(card.0)
    .fetch_optional(change.connection())
    .await?;
    row.as_ref().map(operation).transpose()
}

fn operation(row: &AnyRow) -> Result<Operation, RegistryError> {
    let kind: String = row.try_get("kind")?;
    Ok(Operation {
        id: row.try_get("id")?,
        run: rows::number(row, "run")?,
        card: CardId(row.try_get("card")?),
        kind: OperationKind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| damaged(format!("unknown kind of operation {kind:?}")))?,
        plan: row.try_get("plan")?,
        begun_at: rows::time(row, "begun_at")?,
    })
}
