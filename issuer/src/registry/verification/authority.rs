//! Who may do what, and what needs two: compared with the log before somebody is let in.
//!
//! The rows of operators, settings and audit keys are few, and so are their events; all of them are read each time, and each
//! event is hashed; of approvals only those of which something can come. That the log holds these and no others its chain
//! tells, which is followed from where it was checked last ([`CheckedLog`], which the database does not keep); and that this
//! program wrote them, the checkpoint that covers them. So the cost does not grow with the log.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::super::audit::{EVENT, entry};
use super::super::backup::values;
use super::super::checkpoints::{AuditKey, audit_key, document};
use super::super::database::{Registry, chain_hash};
use super::super::error::RegistryError;
use super::super::rows::time_text;
use super::difference::Findings;
use super::topics::{AUTHORITY, Topics};
use super::{BackupValue, View, number, told_number};
use crate::domain::{
    ApprovalId, AuditRecord, ChainEnd, ChainHash, CheckedLog, CheckpointFault, SignedCheckpoint,
};

/// What was found whole, with what is still to be looked at: whether one of these keys signed the checkpoint.
#[derive(Debug)]
pub struct CheckedAuthority {
    /// How far the log was checked; or where it is broken, in events of whatever kind.
    pub log: Result<CheckedLog, RegistryError>,
    /// Whether the log is the one that was checked before, gone on with.
    pub is_continued: bool,
    /// The newest checkpoint; none where none was ever made.
    pub newest: Option<SignedCheckpoint>,
    /// The keys that sign checkpoints.
    pub keys: Vec<AuditKey>,
}

impl Registry {
    /// Compares who may do what, and what needs two, with the log, and the log with its hashes from where it was checked
    /// before; from its beginning, if that does not fit. Whether all other tables agree, [`Registry::verify_log`] tells.
    ///
    /// # Errors
    /// [`RegistryError::TablesDiffer`], [`RegistryError::LogBroken`] where an event that is relied on was changed,
    /// [`RegistryError::CheckpointBroken`], or the database.
    pub async fn verify_authority(
        &self,
        before: Option<&CheckedLog>,
        now: Timestamp,
    ) -> Result<CheckedAuthority, RegistryError> {
        let mut view = self.view().await?;
        let judged = view.judge_authority(before, now).await;
        view.transaction.rollback().await?;
        judged
    }
}

/// An event that says who may do what.
#[derive(Clone, Debug)]
pub struct AuthorityChange {
    /// The event.
    pub record: AuditRecord,
    /// Up to which event the checkpoint of its change goes; none where there is none.
    pub checkpoint: Option<u64>,
}

impl Registry {
    /// Every event that says who may do what, the oldest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn authority_changes(&self) -> Result<Vec<AuthorityChange>, RegistryError> {
        let statement = format!(
            "SELECT {EVENT}, (SELECT min(size) FROM checkpoints WHERE size >= sequence) AS covered \
             FROM events WHERE topic IS NOT NULL AND kind IN ({AUTHORITY}) ORDER BY sequence"
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        let change = |row: &AnyRow| {
            let checkpoint: Option<i64> = row.try_get("covered")?;
            let checkpoint = checkpoint.and_then(|size| u64::try_from(size).ok());
            Ok(AuthorityChange { record: entry(row)?.record, checkpoint })
        };
        rows.iter().map(change).collect()
    }
}

impl View {
    async fn judge_authority(
        &mut self,
        before: Option<&CheckedLog>,
        now: Timestamp,
    ) -> Result<CheckedAuthority, RegistryError> {
        let mut findings = Findings::default();
        let standing = Topics::read_authority(self).await?;
        standing.compare_authority(self, &mut findings).await?;
        let approvals = self.compare_approvals(now, &mut findings).await?;
        if !findings.differences.is_empty() {
            return Err(RegistryError::TablesDiffer {
                differences: findings.differences,
                more: findings.more,
            });
        }
        let known = match before {
            Some(before) => self.known(before, &standing.relied).await?,
            None => None,
        };
        let start = self.start(known, &approvals.relied).await?;
        let log = match self.verify_chain_after(start).await {
            Ok(end) => Ok(CheckedLog { end, relied: CheckedLog::relied(&standing.relied, end.sequence) }),
            Err(broken @ RegistryError::LogBroken(_)) => Err(broken),
            Err(error) => return Err(error),
        };
        let keys = self.fetch("SELECT public_key, since FROM audit_keys ORDER BY since, id", &[]).await?;
        let keys = keys.iter().map(audit_key).collect::<Result<Vec<_>, _>>()?;
        let last = standing.relied.iter().chain(&approvals.relied).map(|(sequence, _)| *sequence).max();
        let newest = self.covering(last, &keys).await?;
        Ok(CheckedAuthority { log, is_continued: before.is_none() || known.is_some(), newest, keys })
    }

    /// Compares the approvals of which something can come: all others allow nothing.
    async fn compare_approvals(
        &mut self,
        now: Timestamp,
        findings: &mut Findings,
    ) -> Result<Topics, RegistryError> {
        let now = BackupValue::Text(time_text(now));
        let pending = "SELECT * FROM approvals WHERE pending = 1 AND expires_at >= $1";
        let mut rows = BTreeMap::new();
        for row in &self.fetch(pending, &[&now]).await? {
            let columns = values(row)?;
            rows.insert(number(&columns, "id")?, columns);
        }
        let told = Topics::read_approvals(self, rows.keys().copied().map(ApprovalId)).await?;
        rows.values().try_for_each(|row| told.compare_approval(row, findings))?;
        Ok(told)
    }

    /// Where the log was checked before, if it still is that log, as far as that can be seen without reading all of it.
    ///
    /// # Errors
    /// Until there others are let in now.
    async fn known(
        &mut self,
        before: &CheckedLog,
        relied: &[(u64, ChainHash)],
    ) -> Result<Option<ChainEnd>, RegistryError> {
        let sequence = before.end.sequence;
        if CheckedLog::relied(relied, sequence) != before.relied {
            // Where somebody was clumsy, it is told which event it is.
            self.verify_chain_after(ChainEnd::START).await?;
            return Err(CheckpointFault::OtherAuthority(sequence).into());
        }
        Ok((self.hash_of(sequence).await? == Some(before.end.hash)).then_some(before.end))
    }

    /// From where the chain is followed: what is known stands for all that leads to it, also for the approvals before it.
    async fn start(
        &mut self,
        known: Option<ChainEnd>,
        approvals: &[(u64, ChainHash)],
    ) -> Result<ChainEnd, RegistryError> {
        let known = known.unwrap_or(ChainEnd::START);
        match approvals.first() {
            Some((first, _)) if *first <= known.sequence => self.end_at(first.saturating_sub(1)).await,
            _ => Ok(known),
        }
    }

    /// The newest checkpoint, which covers the last event that is relied on.
    async fn covering(
        &mut self,
        last: Option<u64>,
        keys: &[AuditKey],
    ) -> Result<Option<SignedCheckpoint>, RegistryError> {
        let found =
            self.fetch("SELECT size, document FROM checkpoints ORDER BY size DESC LIMIT 1", &[]).await?;
        let newest = found.first().map(document).transpose()?;
        let covered = newest.as_ref().map_or(ChainEnd::START, |newest| newest.checkpoint.end);
        if newest.is_none() && keys.is_empty() {
            // A registry of a program that signed nothing.
            return Ok(None);
        }
        if covered.sequence > 0 && self.hash_of(covered.sequence).await? != Some(covered.hash) {
            return Err(CheckpointFault::OtherHistory(covered.sequence).into());
        }
        match last {
            Some(last) if last > covered.sequence => Err(CheckpointFault::UnsignedAuthority(last).into()),
            _ => Ok(newest),
        }
    }

    async fn hash_of(&mut self, sequence: u64) -> Result<Option<ChainHash>, RegistryError> {
        let number = BackupValue::Number(told_number(sequence)?);
        let found = self.fetch("SELECT hash FROM events WHERE sequence = $1", &[&number]).await?;
        found.first().filter(|row| !row.is_empty()).map(|row| chain_hash(row, "hash")).transpose()
    }
}
