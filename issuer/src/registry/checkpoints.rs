//! Signed checkpoints of the log: made in the transaction of the events that they cover, and looked up again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::database::{Change, Registry, chain_end, chain_hash, stored};
use super::error::RegistryError;
use super::rows::{self, damaged, time_text};
use super::verification::topics::AUTHORITY;
use crate::domain::{
    AuditKeyId, Batch, ChainEnd, ChainHash, Checkpoint, CheckpointFault, Notary, RegistryEvent,
    SignedCheckpoint, Subject,
};

/// A public key that signs checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditKey {
    /// Its name.
    pub id: AuditKeyId,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// Since when it is known.
    pub since: Timestamp,
}

/// Whether a signature is that of a key: `(public key, text, signature)`.
pub type CheckpointVerifier<'a> = &'a dyn Fn(&[u8], &str, &[u8]) -> bool;

/// Signs where the log will end when this change is committed.
pub(super) async fn sign(
    change: &mut Change,
    notary: &dyn Notary,
    end: ChainEnd,
    at: Timestamp,
) -> Result<SignedCheckpoint, RegistryError> {
    let before = sqlx::query("SELECT size, document FROM checkpoints ORDER BY size DESC LIMIT 1")
        .fetch_optional(change.connection())
        .await?;
    let before = before.as_ref().map(document).transpose()?;
    if let Some(before) = &before {
        refuse_another_history(change, before.checkpoint.end).await?;
        refuse_unsigned_authority(change, before.checkpoint.end.sequence).await?;
    }
    let (size, previous) =
        before.map_or((0, ChainHash::START), |before| (before.checkpoint.end.sequence, before.digest()));
    let mut batch = Batch::default();
    for row in &sqlx::query("SELECT hash FROM events WHERE sequence > $1 ORDER BY sequence")
        .bind(stored(size)?)
        .fetch_all(change.connection())
        .await?
    {
        batch.push(&chain_hash(row, "hash")?);
    }
    let crls = sqlx::query(
        "SELECT name, (SELECT max(number) FROM crls WHERE authority = name) AS number FROM authorities ORDER BY name",
    )
    .fetch_all(change.connection())
    .await?;
    let checkpoint = Checkpoint {
        log: notary.log(),
        end,
        batch: batch.finish(),
        previous,
        at,
        crls: crl_numbers(&crls)?,
        key: AuditKeyId::of(&notary.public_key()),
    };
    let signature = notary.sign(&checkpoint.text()).map_err(RegistryError::Notary)?;
    let signed = SignedCheckpoint { checkpoint, signature };
    sqlx::query("INSERT INTO checkpoints (size, document) VALUES ($1, $2)")
        .bind(stored(end.sequence)?)
        .bind(signed.document())
        .execute(change.connection())
        .await?;
    Ok(signed)
}

/// A log that was written anew since it was signed is not signed again: that would make it the true one.
async fn refuse_another_history(change: &mut Change, signed: ChainEnd) -> Result<(), RegistryError> {
    let begin = change.begin();
    let found = if signed.sequence == begin.sequence {
        Some(begin.hash)
    } else {
        let row = sqlx::query("SELECT hash FROM events WHERE sequence = $1")
            .bind(stored(signed.sequence)?)
            .fetch_optional(change.connection())
            .await?;
        row.as_ref().map(|row| chain_hash(row, "hash")).transpose()?
    };
    if found == Some(signed.hash) {
        return Ok(());
    }
    Err(CheckpointFault::OtherHistory(signed.sequence).into())
}

/// What lets somebody in is signed in the change that records it, or never: signed with a later one, whoever holds the database
/// could have put it there.
async fn refuse_unsigned_authority(change: &mut Change, covered: u64) -> Result<(), RegistryError> {
    let begin = change.begin().sequence;
    if covered >= begin {
        return Ok(());
    }
    let statement = format!(
        "SELECT min(sequence) AS first FROM events WHERE sequence > $1 AND sequence <= $2 AND kind IN ({AUTHORITY})"
    );
    let found = sqlx::query(AssertSqlSafe(statement))
        .bind(stored(covered)?)
        .bind(stored(begin)?)
        .fetch_one(change.connection())
        .await?;
    match found.try_get::<Option<i64>, _>("first")? {
        None => Ok(()),
        Some(_) => Err(CheckpointFault::UnsignedAuthority(rows::number(&found, "first")?).into()),
    }
}

impl Registry {
    /// Makes a key known that signs checkpoints, once.
    pub(super) async fn announce_audit_key(
        &self,
        public_key: &[u8],
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let id = AuditKeyId::of(public_key);
        let known = "SELECT id FROM audit_keys WHERE id = $1";
        let found = sqlx::query(known).bind(id.as_str().to_owned()).fetch_optional(&self.pool).await?;
        if found.is_some() {
            return Ok(());
        }
        if self.tells_of_audit_key(&id).await? {
            return Err(damaged(format!(
                "the log is signed by the key {}, and audit_keys does not have it any more; see: issuer audit verify",
                id.as_str()
            )));
        }
        self.change(async |change| {
            let found =
                sqlx::query(known).bind(id.as_str().to_owned()).fetch_optional(change.connection()).await?;
            if found.is_some() {
                return Ok(());
            }
            sqlx::query("INSERT INTO audit_keys (id, public_key, since) VALUES ($1, $2, $3)")
                .bind(id.as_str().to_owned())
                .bind(public_key.to_vec())
                .bind(time_text(now))
                .execute(change.connection())
                .await?;
            let event = RegistryEvent::AuditKeyAdded { key: id.as_str().to_owned() };
            change.record(Subject::Registry, &event, now).await
        })
        .await
    }

    /// Whether a key is known that signs checkpoints.
    pub(super) async fn knows_audit_key(&self, public_key: &[u8]) -> Result<bool, RegistryError> {
        let id = AuditKeyId::of(public_key);
        let known = sqlx::query("SELECT id FROM audit_keys WHERE id = $1").bind(id.as_str().to_owned());
        Ok(known.fetch_optional(&self.pool).await?.is_some())
    }

    /// Whether an event made this key known.
    async fn tells_of_audit_key(&self, id: &AuditKeyId) -> Result<bool, RegistryError> {
        let told = "SELECT 1 AS found FROM events WHERE topic = 'registry' AND kind = 'audit-key-added' AND detail LIKE $1";
        let found = sqlx::query(told).bind(format!("%{}%", id.as_str())).fetch_optional(&self.pool).await?;
        Ok(found.is_some())
    }

    /// The keys that sign checkpoints, the oldest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn audit_keys(&self) -> Result<Vec<AuditKey>, RegistryError> {
        let rows = sqlx::query("SELECT public_key, since FROM audit_keys ORDER BY since, id")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(audit_key).collect()
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn newest_checkpoint(&self) -> Result<Option<SignedCheckpoint>, RegistryError> {
        let row = sqlx::query("SELECT size, document FROM checkpoints ORDER BY size DESC LIMIT 1")
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(document).transpose()
    }

    /// The checkpoints of logs longer than `size`, some at a time, the oldest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn checkpoints_after(&self, size: u64) -> Result<Vec<SignedCheckpoint>, RegistryError> {
        let rows =
            sqlx::query("SELECT size, document FROM checkpoints WHERE size > $1 ORDER BY size LIMIT 1000")
                .bind(stored(size)?)
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(document).collect()
    }

    /// Checks every checkpoint against the log and the one before, and the signatures of the newest and of each after which
    /// another key signs: the links between them stand for the others. Changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::CheckpointBroken`].
    pub async fn verify_checkpoints(
        &self,
        is_signed: CheckpointVerifier<'_>,
    ) -> Result<Option<SignedCheckpoint>, RegistryError> {
        let end = self.log_end().await?.sequence;
        let keys = self.audit_keys().await?;
        let verify = |signed: &SignedCheckpoint| {
            let SignedCheckpoint { checkpoint, signature } = signed;
            let key = keys.iter().find(|key| key.id == checkpoint.key);
            let is_good = key.is_some_and(|key| is_signed(&key.public_key, &checkpoint.text(), signature));
            if is_good { Ok(()) } else { Err(CheckpointFault::NotSigned(checkpoint.end.sequence)) }
        };
        let mut last: Option<SignedCheckpoint> = None;
        'all: loop {
            let covered = last.as_ref().map_or(0, |last| last.checkpoint.end.sequence);
            let page = self.checkpoints_after(covered).await?;
            if page.is_empty() {
                break;
            }
            for next in page {
                // What another desk has written meanwhile is for the next check.
                if next.checkpoint.end.sequence > end {
                    break 'all;
                }
                self.verify_checkpoint(last.as_ref(), &next).await?;
                if let Some(last) = last.as_ref().filter(|last| last.checkpoint.key != next.checkpoint.key) {
                    verify(last)?;
                }
                last = Some(next);
            }
        }
        if let Some(last) = &last {
            verify(last)?;
        }
        let covered = last.as_ref().map_or(0, |last| last.checkpoint.end.sequence);
        if covered < end {
            return Err(CheckpointFault::Uncovered { covered, end }.into());
        }
        Ok(last)
    }

    async fn verify_checkpoint(
        &self,
        before: Option<&SignedCheckpoint>,
        next: &SignedCheckpoint,
    ) -> Result<(), RegistryError> {
        let Checkpoint { end, batch, previous, .. } = &next.checkpoint;
        let (covered, expected) =
            before.map_or((0, ChainHash::START), |before| (before.checkpoint.end.sequence, before.digest()));
        if *previous != expected {
            return Err(CheckpointFault::NotLinked(end.sequence).into());
        }
        let events = self.covered(covered, end.sequence).await?;
        let mut found = Batch::default();
        events.iter().for_each(|event| found.push(&event.hash));
        if events.last().is_none_or(|last| last.hash != end.hash) || found.finish() != *batch {
            return Err(CheckpointFault::OtherHistory(end.sequence).into());
        }
        // The first one is also about what an earlier program recorded, which signed nothing.
        match taken_out(&events).filter(|_| before.is_some()) {
            Some((first, last)) => {
                Err(CheckpointFault::TakenOut { first, last, covers: end.sequence }.into())
            }
            None => Ok(()),
        }
    }

    async fn covered(&self, after: u64, until: u64) -> Result<Vec<Covered>, RegistryError> {
        let rows = sqlx::query(
            "SELECT sequence, at, actor, kind, hash FROM events WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence",
        )
        .bind(stored(after)?)
        .bind(stored(until)?)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Covered {
                    sequence: rows::number(row, "sequence")?,
                    change: (row.try_get("at")?, row.try_get("actor")?),
                    kind: row.try_get("kind")?,
                    hash: chain_hash(row, "hash")?,
                })
            })
            .collect()
    }

    /// The hashes of the events after one and up to another.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn hashes_between(&self, after: u64, until: u64) -> Result<Vec<ChainHash>, RegistryError> {
        let rows =
            sqlx::query("SELECT hash FROM events WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence")
                .bind(stored(after)?)
                .bind(stored(until)?)
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(|row| chain_hash(row, "hash")).collect()
    }

    /// The last event that is there, and when it happened, whatever was written down about the end.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn last_event(&self) -> Result<(ChainEnd, Option<Timestamp>), RegistryError> {
        let row = sqlx::query("SELECT sequence, hash, at FROM events ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(&self.pool)
            .await?;
        match row {
            Some(row) => Ok((chain_end(&row)?, Some(rows::time(&row, "at")?))),
            None => Ok((ChainEnd::START, None)),
        }
    }

    /// The hash of an event; none where the log ends before.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn event_hash(&self, sequence: u64) -> Result<Option<ChainHash>, RegistryError> {
        if sequence == 0 {
            return Ok(Some(ChainHash::START));
        }
        let row = sqlx::query("SELECT hash FROM events WHERE sequence = $1")
            .bind(stored(sequence)?)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(|row| chain_hash(row, "hash")).transpose()
    }

    /// The highest CRL number of each authority that has taken any.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn highest_crl_numbers(&self) -> Result<BTreeMap<String, u64>, RegistryError> {
        let rows =
            sqlx::query("SELECT authority AS name, max(number) AS number FROM crls GROUP BY authority")
                .fetch_all(&self.pool)
                .await?;
        crl_numbers(&rows)
    }
}

/// An event that a checkpoint is about.
struct Covered {
    sequence: u64,
    /// When, and by whom: what is done in one change is done by one hand in one second.
    change: (String, String),
    kind: String,
    hash: ChainHash,
}

/// The first and the last of these events whose checkpoints were taken out: every change gets its own when it is committed, but
/// for a restore, which has no key yet. Changes of one second by one hand are not told apart.
fn taken_out(events: &[Covered]) -> Option<(u64, u64)> {
    // An approval is spent with what it allows, at a moment of its own.
    let tells = |event: &&Covered| !["registry-restored", "approval-used"].contains(&event.kind.as_str());
    let mut told = events.iter().filter(tells);
    let last = told.next_back()?;
    let mut others = told.filter(|event| event.change != last.change);
    let first = others.next()?;
    Some((first.sequence, others.next_back().unwrap_or(first).sequence))
}

fn crl_numbers(rows: &[AnyRow]) -> Result<BTreeMap<String, u64>, RegistryError> {
    let mut numbers = BTreeMap::new();
    for row in rows {
        if row.try_get::<Option<i64>, _>("number")?.is_some() {
            numbers.insert(row.try_get("name")?, rows::number(row, "number")?);
        }
    }
    Ok(numbers)
}

pub(super) fn audit_key(row: &AnyRow) -> Result<AuditKey, RegistryError> {
    let public_key: Vec<u8> = row.try_get("public_key")?;
    Ok(AuditKey { id: AuditKeyId::of(&public_key), public_key, since: rows::time(row, "since")? })
}

/// A checkpoint must stand where its own text says; nobody else can put it elsewhere.
pub(super) fn document(row: &AnyRow) -> Result<SignedCheckpoint, RegistryError> {
    let (size, text): (u64, String) = (rows::number(row, "size")?, row.try_get("document")?);
    let found = SignedCheckpoint::parse(&text);
    found
        .ok()
        .filter(|found| found.checkpoint.end.sequence == size)
        .ok_or_else(|| damaged(format!("the checkpoint of event {size} is something else")))
}
