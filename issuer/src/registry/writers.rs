//! Changes that are made at the same time share one commit.
//!
//! A commit waits for the disk, some milliseconds, and SQLite's writers take turns. So a change that has written does not
//! commit at once: it queues for its turn again, behind those that wait for their first. Each of these writes into the same
//! transaction, between a savepoint and its release (SQLite, SAVEPOINT); the first whose second turn comes commits for all,
//! and only then is anybody told that it is done. A change that is alone commits at once.
//!
//! All open registries of one file in this process share the queue. Of one PostgreSQL database too, but each commits its own
//! change: there the queue keeps all but one of a process from waiting at the server, which waits for nobody longer than ten
//! seconds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use sqlx::{Any, Executor, Transaction};
use tokio::sync::MutexGuard;

use super::error::RegistryError;

/// Those who write into one file, from this process.
#[derive(Default)]
pub(super) struct Writers {
    /// Fair: whoever asks first has the first turn.
    turn: tokio::sync::Mutex<Option<Open>>,
}

/// A transaction in which changes wait for their commit.
struct Open {
    transaction: Transaction<'static, Any>,
    outcome: Arc<Outcome>,
}

/// Whether the transaction was committed; nobody knows while it is open. The open transaction has it once, and each change in it.
type Outcome = OnceLock<bool>;

/// The turn of one change: nobody else writes meanwhile. Dropped in the middle, it takes back everything that is in the
/// transaction, and those who wait in it are told.
pub(super) struct Turn<'w> {
    writers: &'w Writers,
    place: MutexGuard<'w, Option<Open>>,
    outcome: Arc<Outcome>,
    is_over: bool,
}

/// The turn of a change that commits by itself.
pub(super) struct Alone<'w>(
    #[expect(dead_code, reason = "it is held, not read")] MutexGuard<'w, Option<Open>>,
);

static OF_FILES: Mutex<Option<HashMap<PathBuf, Weak<Writers>>>> = Mutex::new(None);

impl Writers {
    /// Those of this file, or of the database of this name.
    pub(super) fn of(file: &Path) -> Arc<Self> {
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let mut files = OF_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let files = files.get_or_insert_default();
        files.retain(|_, writers| writers.strong_count() > 0);
        if let Some(writers) = files.get(&file).and_then(Weak::upgrade) {
            return writers;
        }
        let writers = Arc::new(Self::default());
        files.insert(file, Arc::downgrade(&writers));
        writers
    }

    /// Waits for a turn in which nobody shares a commit.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    pub(super) async fn alone(&self) -> Alone<'_> {
        Alone(self.turn.lock().await)
    }

    /// Waits for a turn; answers it with the transaction to write in, which `begin` opens if none is.
    pub(super) async fn turn(
        &self,
        begin: impl AsyncFnOnce() -> Result<Transaction<'static, Any>, RegistryError>,
    ) -> Result<(Turn<'_>, Transaction<'static, Any>), RegistryError> {
        let mut place = self.turn.lock().await;
        let (mut transaction, outcome) = match place.take() {
            Some(open) => (open.transaction, open.outcome),
            None => (begin().await?, Arc::default()),
        };
        let turn = Turn { writers: self, place, outcome, is_over: false };
        transaction.execute("SAVEPOINT one_change").await?;
        Ok((turn, transaction))
    }
}

impl<'w> Turn<'w> {
    /// The change is written: others have their turn, and then it is committed. Answers when it is on the disk.
    pub(super) async fn keep(
        mut self,
        mut transaction: Transaction<'static, Any>,
    ) -> Result<(), RegistryError> {
        transaction.execute("RELEASE one_change").await?;
        let waiting = Waiting { writers: self.writers, outcome: Arc::clone(&self.outcome) };
        self.leave(transaction);
        // The turn is given up before the next is waited for.
        drop(self);
        waiting.committed().await
    }

    /// The change is taken back; what others wrote in the transaction stays.
    pub(super) async fn take_back(
        mut self,
        mut transaction: Transaction<'static, Any>,
    ) -> Result<(), RegistryError> {
        if Arc::strong_count(&self.outcome) == 1 {
            // Nobody else is in it: whoever comes next need not wait for a refusal.
            self.is_over = true;
            return Ok(transaction.rollback().await?);
        }
        transaction.execute("ROLLBACK TO one_change").await?;
        transaction.execute("RELEASE one_change").await?;
        self.leave(transaction);
        Ok(())
    }

    fn leave(&mut self, transaction: Transaction<'static, Any>) {
        self.is_over = true;
        *self.place = Some(Open { transaction, outcome: Arc::clone(&self.outcome) });
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.outcome.set(false);
        }
    }
}

/// A change that is written and not yet committed.
struct Waiting<'w> {
    writers: &'w Writers,
    outcome: Arc<Outcome>,
}

impl Waiting<'_> {
    async fn committed(&self) -> Result<(), RegistryError> {
        let mut place = self.writers.turn.lock().await;
        if self.outcome.get().is_none()
            && let Some(open) = place.take_if(|open| Arc::ptr_eq(&open.outcome, &self.outcome))
        {
            let committed = open.transaction.commit().await;
            let _ = self.outcome.set(committed.is_ok());
            return Ok(committed?);
        }
        match self.outcome.get() {
            Some(true) => Ok(()),
            _ => Err(RegistryError::NotCommitted),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Whoever asked for the change is gone, and nobody else is in the transaction: it must not stay open.
        let is_alone = self.outcome.get().is_none() && Arc::strong_count(&self.outcome) == 2;
        if is_alone && let Ok(mut place) = self.writers.turn.try_lock() {
            drop(place.take_if(|open| Arc::ptr_eq(&open.outcome, &self.outcome)));
        }
    }
}
