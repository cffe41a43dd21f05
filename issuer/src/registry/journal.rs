//! The journal of personalisation: the plan of each attempt at a card, and its steps, before and after.
//!
//! A plan is written once, when its attempt begins; whoever resumes reads it and the steps that were confirmed. Neither is
//! an event: the log tells what became of the card, the journal how. Whoever writes here writes for the present attempt: a
//! desk that was overtaken by another, or whose card was given up meanwhile, is told so before it touches the card again.
//!
//! A commit waits for the disk. So all that must be durable before the card is touched again is written in one: what is done,
//! what was made, and what comes next ([`AttemptProgress`]).

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use super::database::{Change, Registry};
use super::error::RegistryError;
use super::key_origins::{self, KeyOriginRecord, PublicKeyHash};
use super::records::{JournalEntry, JournalLine, JournalPhase, NewCertificate};
use super::rows::{self, time_text, whole_seconds};
use super::{cards, certificates};
use crate::domain::{
    Card, CardCommand, CardEvent, CardId, CardKey, CardRefusal, CardState, InitialPin, SerialNumber,
};

/// A step that is done, and what whoever resumes must know of it: never a secret.
pub type DoneStep = (String, Option<String>);

/// What an attempt at a card has come to since its last commit.
#[derive(Clone, Debug, Default)]
pub struct AttemptProgress {
    /// Steps that are done.
    pub confirmed: Vec<DoneStep>,
    /// Where its keys came from.
    pub key_origins: Vec<(PublicKeyHash, CardKey, KeyOriginRecord)>,
    /// Certificates of interrupted attempts that this one takes over.
    pub adopted: Vec<SerialNumber>,
    /// The exact bytes of certificates that will be signed.
    pub reserved: Vec<NewCertificate>,
    /// Certificates that were signed, DER.
    pub signed: Vec<(SerialNumber, Vec<u8>)>,
    /// What takes the place of the manufacturer's sealed secrets.
    pub sealed_secrets: Option<Vec<u8>>,
    /// Steps that come next.
    pub intended: Vec<String>,
}

/// How a card ends for which another one is made.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// Which.
    pub card: CardId,
    /// What becomes of it.
    pub command: CardCommand,
    /// Since when its keys were not their holder's alone, where known.
    pub invalid_since: Option<Timestamp>,
}

impl Registry {
    /// Opens an attempt at a card: the end of the card in whose place it comes, if that one is in use until now, the
    /// card's state, the name of the profile by which it is made, the plan, which `plan_of` makes for the attempt's number,
    /// and the first steps that it intends, as one act. Where the attempt cannot begin, the other card stays in use.
    ///
    /// # Errors
    /// As [`Registry::command_card`], for both cards.
    pub async fn begin_attempt(
        &self,
        (card, ends): (CardId, Option<Ending>),
        (command, profile): (CardCommand, Option<&str>),
        plan_of: impl FnOnce(u32) -> String,
        intended: &[String],
        now: Timestamp,
    ) -> Result<Card, RegistryError> {
        self.change(async |change| {
            if let Some(Ending { card: old, command, invalid_since }) = ends {
                cards::execute(change, old, command, invalid_since, now).await?;
            }
            let mut begun = cards::execute(change, card, command, None, now).await?;
            if begun.profile() != profile {
                let chosen = profile.map(str::to_owned);
                let event = CardEvent::ProfileChosen { at: whole_seconds(now), profile: chosen };
                begun = cards::record(change, card, begun, event, now).await?;
            }
            let attempt = begun.attempts();
            insert_plan(change, card, attempt, &plan_of(attempt)).await?;
            note_all(change, (card, attempt), &[], intended, now).await?;
            Ok(begun)
        })
        .await
    }

    /// Writes what an attempt has come to, all or nothing.
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`]: another attempt began meanwhile, or the card is in nobody's hands any more; a serial
    /// number that is taken, or a certificate that was not reserved.
    pub async fn record_progress(
        &self,
        card: CardId,
        attempt: u32,
        progress: &AttemptProgress,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            require_attempt(change, card, attempt).await?;
            for (hash, key, origin) in &progress.key_origins {
                key_origins::record(change, hash, (card, *key), origin, now).await?;
            }
            for serial in &progress.adopted {
                certificates::adopt(change, serial, card, attempt, now).await?;
            }
            for new in &progress.reserved {
                certificates::reserve(change, new, now).await?;
            }
            for (serial, certificate) in &progress.signed {
                certificates::sign(change, serial, certificate, now).await?;
            }
            if let Some(sealed) = &progress.sealed_secrets {
                cards::set_sealed_secrets(change, card, Some(sealed)).await?;
            }
            note_all(change, (card, attempt), &progress.confirmed, &progress.intended, now).await
        })
        .await
    }

    /// Refuses an attempt that is over, without writing anything.
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`].
    pub async fn require_present(&self, card: CardId, attempt: u32) -> Result<(), RegistryError> {
        judge_attempt(&self.card(card).await?.card, attempt)
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
            for JournalLine { card, attempt, step, phase, detail } in lines {
                require_attempt(change, *card, *attempt).await?;
                insert(change, (*card, *attempt), &[(step, *phase, *detail)], now).await?;
            }
            Ok(())
        })
        .await
    }

    /// Ends a personalisation well, as one act: the last step is done, the card is its holder's, these certificates are
    /// delivered, whatever else was ever certified for the card is revoked, and the card in whose place it is counts as
    /// replaced (unless something else became of that one meanwhile).
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`] where `attempt` is over.
    pub async fn complete_personalisation(
        &self,
        (card, attempt): (CardId, u32),
        (pin, last): (InitialPin, &DoneStep),
        replaces: Option<CardId>,
        delivered: &[SerialNumber],
        now: Timestamp,
    ) -> Result<Card, RegistryError> {
        self.change(async |change| {
            certificates::deliver(change, card, delivered, now).await?;
            note_all(change, (card, attempt), std::slice::from_ref(last), &[], now).await?;
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
    judge_attempt(&cards::load(change, card).await?, attempt)
}

fn judge_attempt(card: &Card, attempt: u32) -> Result<(), RegistryError> {
    match card.state() {
        CardState::BeingPersonalised { .. } if card.attempts() == attempt => Ok(()),
        CardState::BeingPersonalised { .. } => {
            Err(CardRefusal::Overtaken { attempt, present: card.attempts() }.into())
        }
        state => Err(CardRefusal::NotBeingPersonalised(state.name()).into()),
    }
}

/// A plan that is there already stays as it is.
async fn insert_plan(
    change: &mut Change,
    card: CardId,
    attempt: u32,
    plan: &str,
) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO plans (card, attempt, plan) VALUES ($1, $2, $3) ON CONFLICT (card, attempt) DO NOTHING",
    )
    .bind(card.0)
    .bind(i64::from(attempt))
    .bind(plan.to_owned())
    .execute(change.connection())
    .await?;
    Ok(())
}

async fn note_all(
    change: &mut Change,
    (card, attempt): (CardId, u32),
    confirmed: &[DoneStep],
    intended: &[String],
    now: Timestamp,
) -> Result<(), RegistryError> {
    let confirmed =
        confirmed.iter().map(|(step, detail)| (step.as_str(), JournalPhase::Confirmed, detail.as_deref()));
    let intended = intended.iter().map(|step| (step.as_str(), JournalPhase::Intended, None));
    insert(change, (card, attempt), &confirmed.chain(intended).collect::<Vec<_>>(), now).await
}

/// Writes lines of one attempt in one statement.
async fn insert(
    change: &mut Change,
    (card, attempt): (CardId, u32),
    lines: &[(&str, JournalPhase, Option<&str>)],
    now: Timestamp,
) -> Result<(), RegistryError> {
    if lines.is_empty() {
        return Ok(());
    }
    // $1 to $3 are the same in each line; three more are its own.
    let rows: Vec<_> = (0..lines.len())
        .map(|line| format!("($1, $2, ${}, ${}, $3, ${})", 3 * line + 4, 3 * line + 5, 3 * line + 6))
        .collect();
    let statement = format!(
        "INSERT INTO journal (card, attempt, step, phase, at, detail) VALUES {} \
         ON CONFLICT (card, attempt, step, phase) DO NOTHING",
        rows.join(", ")
    );
    // Nothing but numbers was put into it.
    let mut query =
        sqlx::query(AssertSqlSafe(statement)).bind(card.0).bind(i64::from(attempt)).bind(time_text(now));
    for (step, phase, detail) in lines {
        query = query.bind((*step).to_owned()).bind(phase.as_str()).bind(detail.map(str::to_owned));
    }
    query.execute(change.connection()).await?;
    Ok(())
}
