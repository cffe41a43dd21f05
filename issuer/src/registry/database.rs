//! An open registry: connections, transactions, and what the two databases differ in.
//!
//! Every statement is the same text on both. Everything that changes people, cards, certificates or requests holds the
//! end of the log from its first to its last statement: what it read is still true when it writes, on SQLite because
//! writers take turns (BEGIN IMMEDIATE), on PostgreSQL because the row of the log's end is locked. Two desks that want
//! the same card or person are so one after the other, and the second sees what the first did.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use sqlx::AnyPool;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Row, Transaction};

use super::approvals::Approved;
use super::error::RegistryError;
#[cfg(feature = "postgres")]
use super::postgres;
use super::records::EmulatedCards;
use super::rows::{self, damaged, time_text};
use super::url::RegistryUrl;
use super::writers::{Alone, Writers};
use super::{adoption, approvals, checkpoints, sqlite};
use crate::domain::{
    Actor, AuditRecord, ChainEnd, ChainHash, Notary, RegistryEvent, SignedCheckpoint, Subject,
};

/// An open registry.
pub struct Registry {
    pub(super) pool: AnyPool,
    kind: Kind,
    /// Those who change the same registry in this process.
    writers: Arc<Writers>,
    actor: Mutex<Option<Actor>>,
    notary: Option<Arc<dyn Notary>>,
    lets_last_administrator_go: AtomicBool,
    lets_last_approver_go: AtomicBool,
    /// How many CRLs are being stored, or were given up while they were: see `crls`.
    pub(super) storing_crls: AtomicUsize,
    /// What the next change spends, and when.
    to_spend: Mutex<Option<Arc<(Approved, Timestamp)>>>,
}

/// How many of a server's connections are taken: it lets in so many in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Those of a process.
    OfProcess,
    /// Those of one of several who work beside each other in a process.
    OfHand,
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

/// One change: everything in it is recorded, or nothing.
pub(super) struct Change {
    transaction: Transaction<'static, Any>,
    actor: Actor,
    /// Where the log ended before it.
    begin: ChainEnd,
    end: ChainEnd,
    kind: Kind,
    /// When the newest of its events happened, if there are any.
    recorded_at: Option<Timestamp>,
    pub(super) lets_last_administrator_go: bool,
    pub(super) lets_last_approver_go: bool,
}

impl Registry {
    /// Makes a new registry; `actor` is who does what is done with it.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyExists`], or it cannot be made.
    pub async fn create(
        url: &RegistryUrl,
        emulated: EmulatedCards,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Self, RegistryError> {
        let (pool, kind) = match url {
            RegistryUrl::Sqlite(path) => (sqlite::create(path).await?, Kind::Sqlite),
            #[cfg(feature = "postgres")]
            RegistryUrl::Postgres(url) => (postgres::create(url).await?, Kind::Postgres),
            #[cfg(not(feature = "postgres"))]
            RegistryUrl::Postgres(_) => return Err(RegistryError::NotBuiltIn),
        };
        let emulated = match emulated {
            EmulatedCards::Allowed => "allowed",
            EmulatedCards::Refused => "refused",
        };
        sqlx::query("INSERT INTO registry (only_row, emulated_cards, created_at) VALUES (1, $1, $2)")
            .bind(emulated)
            .bind(time_text(now))
            .execute(&pool)
            .await?;
        let registry = Self::opened(pool, kind, url, actor);
        registry.adopt().await?;
        let event = RegistryEvent::RegistryCreated { emulated_cards: emulated.to_owned() };
        registry.change(async |change| change.record(Subject::Registry, &event, now).await).await?;
        Ok(registry)
    }

    /// Opens a registry and brings its tables up to date. What is not a finished registry is left as it is.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], [`RegistryError::Unfinished`], [`RegistryError::Foreign`], [`RegistryError::Damaged`],
    /// [`RegistryError::Newer`], [`RegistryError::Unreachable`].
    pub async fn open(url: &RegistryUrl, actor: Actor) -> Result<Self, RegistryError> {
        Self::open_share(url, actor, Share::OfProcess).await
    }

    /// The same, with as many connections as somebody needs who works alone, or beside others of the process.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_share(url: &RegistryUrl, actor: Actor, share: Share) -> Result<Self, RegistryError> {
        let (pool, kind) = match url {
            RegistryUrl::Sqlite(path) => (sqlite::open(path).await?, Kind::Sqlite),
            #[cfg(feature = "postgres")]
            RegistryUrl::Postgres(url) => (postgres::open(url, share).await?, Kind::Postgres),
            #[cfg(not(feature = "postgres"))]
            RegistryUrl::Postgres(_) => {
                let _ = share;
                return Err(RegistryError::NotBuiltIn);
            }
        };
        let registry = Self::opened(pool, kind, url, actor);
        registry.adopt().await?;
        Ok(registry)
    }

    /// What SQLite's migrations leave to be taken over: in a new registry nothing, and it is done before there is something.
    async fn adopt(&self) -> Result<(), RegistryError> {
        match self.kind {
            Kind::Sqlite => adoption::adopt(self).await,
            #[cfg(feature = "postgres")]
            Kind::Postgres => Ok(()),
        }
    }

    /// Makes a registry for what a backup holds; until [`Self::load`] there is nothing in it, and until
    /// [`Self::restored`] it counts as unfinished. What an earlier restore left unfinished is taken away.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyExists`], or it cannot be made.
    pub async fn create_for_restore(url: &RegistryUrl, actor: Actor) -> Result<Self, RegistryError> {
        let (pool, kind) = match url {
            RegistryUrl::Sqlite(path) => (sqlite::create_for_restore(path).await?, Kind::Sqlite),
            #[cfg(feature = "postgres")]
            RegistryUrl::Postgres(url) => (postgres::create_for_restore(url).await?, Kind::Postgres),
            #[cfg(not(feature = "postgres"))]
            RegistryUrl::Postgres(_) => return Err(RegistryError::NotBuiltIn),
        };
        let registry = Self::opened(pool, kind, url, actor);
        registry.adopt().await?;
        Ok(registry)
    }

    /// Takes a registry away that was made for a restore, which was refused.
    ///
    /// # Errors
    /// It cannot be taken away.
    pub async fn discard(url: &RegistryUrl) -> Result<(), RegistryError> {
        match url {
            RegistryUrl::Sqlite(path) => sqlite::discard(path),
            #[cfg(feature = "postgres")]
            RegistryUrl::Postgres(url) => postgres::discard(url).await,
            #[cfg(not(feature = "postgres"))]
            RegistryUrl::Postgres(_) => Err(RegistryError::NotBuiltIn),
        }
    }

    /// Records that a restore is finished, its home being where it belongs. Once more is no harm.
    ///
    /// # Errors
    /// The database.
    pub async fn restored(&self) -> Result<(), RegistryError> {
        let known = match self.kind {
            Kind::Sqlite => {
                "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'restoring'"
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                "SELECT 1 AS found FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'restoring'"
            }
        };
        if sqlx::query(known).fetch_optional(&self.pool).await?.is_some() {
            sqlx::query("DROP TABLE IF EXISTS restoring").execute(&self.pool).await?;
        }
        Ok(())
    }

    fn opened(pool: AnyPool, kind: Kind, url: &RegistryUrl, actor: Actor) -> Self {
        let writers = match url {
            RegistryUrl::Sqlite(path) => Writers::of(path),
            // Without its password.
            RegistryUrl::Postgres(_) => Writers::of(Path::new(&url.to_string())),
        };
        let actor = Mutex::new(Some(actor));
        Self {
            pool,
            kind,
            writers,
            actor,
            notary: None,
            lets_last_administrator_go: AtomicBool::new(false),
            lets_last_approver_go: AtomicBool::new(false),
            storing_crls: AtomicUsize::new(0),
            to_spend: Mutex::new(None),
        }
    }

    /// Who does what is done now.
    pub fn acts_as(&self) -> Option<Actor> {
        self.actor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on everything is done by this one; without one nothing can be changed.
    pub fn act_as(&self, actor: Option<Actor>) {
        *self.actor.lock().unwrap_or_else(PoisonError::into_inner) = actor;
    }

    /// From now on every change that is recorded gets a signed checkpoint in its own transaction.
    ///
    /// # Errors
    /// The key is new to the registry, and that cannot be recorded.
    pub async fn set_notary(&mut self, notary: Arc<dyn Notary>, now: Timestamp) -> Result<(), RegistryError> {
        self.notary = Some(Arc::clone(&notary));
        self.announce_audit_key(&notary.public_key(), now).await
    }

    /// The same, by a key that the registry knows already; another one signs nothing, and nothing is recorded.
    ///
    /// # Errors
    /// The database.
    pub async fn set_known_notary(&mut self, notary: Arc<dyn Notary>) -> Result<(), RegistryError> {
        if self.knows_audit_key(&notary.public_key()).await? {
            self.notary = Some(notary);
        }
        Ok(())
    }

    /// Does something to which also the card of the only administrator may fall a prey: somebody said so.
    pub async fn letting_last_administrator_go<T>(&self, work: impl Future<Output = T>) -> T {
        self.lets_last_administrator_go.store(true, Ordering::Relaxed);
        let done = work.await;
        self.lets_last_administrator_go.store(false, Ordering::Relaxed);
        done
    }

    /// The same of the card without which nobody could approve what needs two operators.
    pub async fn letting_last_approver_go<T>(&self, work: impl Future<Output = T>) -> T {
        self.lets_last_approver_go.store(true, Ordering::Relaxed);
        let done = work.await;
        self.lets_last_approver_go.store(false, Ordering::Relaxed);
        done
    }

    /// The approvals that the next change spends.
    pub(super) fn to_spend(&self) -> MutexGuard<'_, Option<Arc<(Approved, Timestamp)>>> {
        self.to_spend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes everything into its place and lets go of it.
    pub async fn close(self) {
        self.pool.close().await;
    }

    /// Whether emulated cards are personalised.
    ///
    /// # Errors
    /// [`RegistryError::Damaged`].
    pub async fn emulated_cards(&self) -> Result<EmulatedCards, RegistryError> {
        let row = sqlx::query("SELECT emulated_cards FROM registry WHERE only_row = 1")
            .fetch_optional(&self.pool)
            .await?;
        let row = row.ok_or_else(|| damaged("it was never finished; run init again, elsewhere"))?;
        match row.try_get::<String, _>("emulated_cards")?.as_str() {
            "allowed" => Ok(EmulatedCards::Allowed),
            "refused" => Ok(EmulatedCards::Refused),
            other => Err(damaged(format!("emulated cards are neither allowed nor refused but {other:?}"))),
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Makes a change, as whoever opened the registry.
    pub(super) async fn change<T>(
        &self,
        work: impl AsyncFnOnce(&mut Change) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.change_as(self.acts_as().ok_or(RegistryError::NobodyActs)?, work).await
    }

    /// Makes a change: what `work` does is recorded as a whole when it answers, and taken back at once when it refuses, so
    /// that nobody waits for a refusal.
    pub(super) async fn change_as<T>(
        &self,
        actor: Actor,
        work: impl AsyncFnOnce(&mut Change) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let (turn, _alone, transaction): (_, Option<Alone<'_>>, _) = match self.kind {
            Kind::Sqlite => {
                let (turn, transaction) = self.writers.turn(async || self.begin().await).await?;
                (Some(turn), None, transaction)
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                let alone = self.writers.alone().await;
                (None, Some(alone), self.begin().await?)
            }
        };
        let mut change = self.change_in(transaction, actor).await?;
        let to_spend = self.to_spend().clone();
        let spent = match to_spend.as_deref() {
            Some((approved, now)) => approvals::spend(&mut change, approved, *now).await,
            None => Ok(()),
        };
        let worked = match spent {
            Ok(()) => work(&mut change).await,
            Err(refusal) => Err(refusal),
        };
        let finished = match worked {
            Ok(done) => change.finish(self.notary.as_deref()).await.map(|checkpoint| (done, checkpoint)),
            Err(refusal) => Err(refusal),
        };
        let transaction = change.transaction;
        let (done, checkpoint) = match (finished, turn) {
            (Ok(finished), Some(turn)) => {
                turn.keep(transaction).await?;
                finished
            }
            (Ok(finished), None) => {
                transaction.commit().await?;
                finished
            }
            // If not even this can be said, the connection is gone, and the change with it.
            (Err(refusal), Some(turn)) => {
                let _ = turn.take_back(transaction).await;
                return Err(refusal);
            }
            (Err(refusal), None) => {
                let _ = transaction.rollback().await;
                return Err(refusal);
            }
        };
        if to_spend.is_some() {
            *self.to_spend() = None;
        }
        if let Some((notary, checkpoint)) = self.notary.as_ref().zip(checkpoint) {
            notary.committed(&checkpoint);
        }
        Ok(done)
    }

    async fn begin(&self) -> Result<Transaction<'static, Any>, RegistryError> {
        let statement = match self.kind {
            // The write lock at once.
            Kind::Sqlite => "BEGIN IMMEDIATE",
            #[cfg(feature = "postgres")]
            // Each statement sees what was committed before it, so that the first after the lock sees the latest.
            Kind::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        let mut transaction = self.pool.begin_with(statement).await?;
        // Whoever gave up in between left a connection that does not overwrite what it deletes.
        if self.kind == Kind::Sqlite && self.storing_crls.load(Ordering::Relaxed) > 0 {
            sqlite::overwrite_deleted(&mut transaction, true).await?;
        }
        Ok(transaction)
    }

    /// A change in a transaction, which sees what was done in it before.
    async fn change_in(
        &self,
        mut transaction: Transaction<'static, Any>,
        actor: Actor,
    ) -> Result<Change, RegistryError> {
        let end = match self.kind {
            Kind::Sqlite => sqlx::query("SELECT sequence, hash FROM event_chain WHERE only_row = 1"),
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                sqlx::query("SELECT sequence, hash FROM event_chain WHERE only_row = 1 FOR UPDATE")
            }
        };
        let row = end.fetch_optional(&mut *transaction).await?;
        let end = chain_end(&row.ok_or_else(|| damaged("the end of the log is missing"))?)?;
        let lets_last_administrator_go = self.lets_last_administrator_go.load(Ordering::Relaxed);
        Ok(Change {
            transaction,
            actor,
            begin: end,
            end,
            kind: self.kind,
            recorded_at: None,
            lets_last_administrator_go,
            lets_last_approver_go: self.lets_last_approver_go.load(Ordering::Relaxed),
        })
    }
}

impl Change {
    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads again where the log ends: somebody's rows were put into it.
    pub(super) async fn read_end(&mut self) -> Result<(), RegistryError> {
        let row = sqlx::query("SELECT sequence, hash FROM event_chain WHERE only_row = 1")
            .fetch_optional(self.connection())
            .await?;
        self.end = chain_end(&row.ok_or_else(|| damaged("the end of the log is missing"))?)?;
        Ok(())
    }

    /// Where the log ended before this change.
    pub(super) const fn begin(&self) -> ChainEnd {
        self.begin
    }

    /// Where the log ends within this change.
    pub(super) const fn end(&self) -> ChainEnd {
        self.end
    }

    /// Adds an event to the log.
    pub(super) async fn record<E: serde::Serialize>(
        &mut self,
        subject: Subject,
        event: &E,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let unwritable = |error| damaged(format!("an event cannot be written: {error}"));
        let value = serde_json::to_value(event).map_err(unwritable)?;
        let kind = value.get("event").and_then(serde_json::Value::as_str).unwrap_or("event").to_owned();
        let detail = serde_json::to_string(event).map_err(unwritable)?;
        self.append(subject, kind, detail, rows::whole_seconds(now)).await
    }

    pub(super) async fn append(
        &mut self,
        subject: Subject,
        kind: String,
        detail: String,
        at: Timestamp,
    ) -> Result<(), RegistryError> {
        let (previous, sequence) = (self.end.hash, self.end.sequence.saturating_add(1));
        let actor = self.actor.as_str().to_owned();
        let record = AuditRecord { sequence, at, actor, subject, kind, detail };
        let hash = record.hash(&previous);
        let (mut card, mut serial, mut person, mut request, mut topic) = (None, None, None, None, None);
        match &record.subject {
            Subject::Card(id) => card = Some(id.0),
            Subject::Certificate(number) => serial = Some(number.as_bytes().to_vec()),
            Subject::Person(id) => person = Some(id.0),
            Subject::Request(id) => request = Some(id.0),
            other => topic = Some(other.to_string()),
        }
        sqlx::query(
            "INSERT INTO events (sequence, at, actor, card, serial, person, request, topic, kind, detail, previous, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(stored(sequence)?)
        .bind(time_text(at))
        .bind(record.actor)
        .bind(card)
        .bind(serial)
        .bind(person)
        .bind(request)
        .bind(topic)
        .bind(record.kind)
        .bind(record.detail)
        .bind(previous.as_bytes().to_vec())
        .bind(hash.as_bytes().to_vec())
        .execute(self.connection())
        .await?;
        self.end = ChainEnd { sequence, hash };
        self.recorded_at = self.recorded_at.max(Some(at));
        Ok(())
    }

    /// Writes the new end of the log, with a signed checkpoint of what was recorded.
    async fn finish(
        &mut self,
        notary: Option<&dyn Notary>,
    ) -> Result<Option<SignedCheckpoint>, RegistryError> {
        let mut signed = None;
        if let Some(at) = self.recorded_at {
            let end = self.end;
            sqlx::query("UPDATE event_chain SET sequence = $1, hash = $2 WHERE only_row = 1")
                .bind(stored(end.sequence)?)
                .bind(end.hash.as_bytes().to_vec())
                .execute(self.connection())
                .await?;
            if let Some(notary) = notary {
                signed = Some(checkpoints::sign(self, notary, end, at).await?);
            }
        }
        Ok(signed)
    }
}

pub(super) fn chain_end(row: &AnyRow) -> Result<ChainEnd, RegistryError> {
    Ok(ChainEnd { sequence: rows::number(row, "sequence")?, hash: chain_hash(row, "hash")? })
}

pub(super) fn chain_hash(row: &AnyRow, column: &str) -> Result<ChainHash, RegistryError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    ChainHash::from_bytes(&bytes).ok_or_else(|| damaged(format!("{column} is not 32 octets")))
}

/// A number as the databases have it.
pub(super) fn stored(number: u64) -> Result<i64, RegistryError> {
    i64::try_from(number).map_err(|_| damaged(format!("{number} is out of range")))
}
