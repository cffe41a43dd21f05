//! Approvals in the registry, and which acts need one.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::database::{Change, Registry};
use super::error::RegistryError;
use super::operators::agree;
use super::rows::{self, damaged, time_text, whole_seconds};
use crate::domain::agreement::DUAL_CONTROL;
use crate::domain::{
    Act, Approval, ApprovalCommand, ApprovalEvent, ApprovalId, GuardedAct, OperatorId, Party, RegistryEvent,
    Subject,
};

/// An approval as the registry knows it.
#[derive(Clone, Debug)]
pub struct ApprovalRecord {
    /// The registry's number.
    pub id: ApprovalId,
    /// What is to be done.
    pub act: GuardedAct,
    /// Why.
    pub why: String,
    /// Who asked.
    pub requester: OperatorId,
    /// The name of whoever asked.
    pub requester_name: String,
    /// Where it stands.
    pub approval: Approval,
    /// Until when something can come of it.
    pub expires_at: Timestamp,
}

/// What may be done because another operator granted it, or because nothing needs two: to be given to whatever does it.
#[derive(Debug, Default)]
#[must_use]
pub struct Approved(Vec<(ApprovalId, Party)>);

impl Approved {
    /// The first of what was granted, for messages.
    pub fn id(&self) -> Option<ApprovalId> {
        self.0.first().map(|(id, _)| *id)
    }

    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

const APPROVAL: &str = "SELECT approvals.id AS id, act, details, why, requester, people.name AS name, approvals.snapshot AS snapshot, \
    expires_at FROM approvals JOIN operators ON operators.id = requester JOIN people ON people.id = operators.person";

impl Registry {
    /// The acts that need two operators.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn dual_control(&self) -> Result<BTreeSet<Act>, RegistryError> {
        let text = self.setting(DUAL_CONTROL).await?.unwrap_or_default();
        let unknown = |word: &str| damaged(format!("unknown act {word:?}"));
        text.split_whitespace().map(|word| Act::parse(word).ok_or_else(|| unknown(word))).collect()
    }

    /// Sets which acts need two operators.
    ///
    /// # Errors
    /// The database.
    pub async fn set_dual_control(&self, acts: &BTreeSet<Act>, now: Timestamp) -> Result<(), RegistryError> {
        let words: Vec<_> = acts.iter().map(|act| act.as_str().to_owned()).collect();
        let value = words.join(" ");
        let event = RegistryEvent::DualControlSet { acts: words };
        self.change(async |change| agree(change, (DUAL_CONTROL, value.clone()), &event, now).await).await
    }

    /// Asks for an approval; what the same operator asked for already, word for word, is answered instead.
    ///
    /// # Errors
    /// The database.
    pub async fn ask_approval(
        &self,
        act: &GuardedAct,
        why: &str,
        by: &Party,
        now: Timestamp,
    ) -> Result<ApprovalId, RegistryError> {
        self.change(async |change| {
            if let Some(record) = pending(change.connection(), act, by.operator, now).await? {
                return Ok(record.id);
            }
            let command =
                ApprovalCommand::Ask { act: act.clone(), why: why.to_owned(), by: by.clone() };
            let event = Approval::default().decide(command, whole_seconds(now))?;
            let state = Approval::default().apply(event.clone());
            let expires_at = state.state().expires_at().unwrap_or(now);
            let row = sqlx::query(
                "INSERT INTO approvals (act, details, digest, why, requester, state, expires_at, pending, snapshot) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8) RETURNING id",
            )
            .bind(act.act().as_str())
            .bind(act.details().to_owned())
            .bind(act.digest().as_bytes().to_vec())
            .bind(why.to_owned())
            .bind(by.operator.0)
            .bind(state.state().name())
            .bind(time_text(expires_at))
            .bind(rows::snapshot_text(&state)?)
            .fetch_one(change.connection())
            .await?;
            let id = ApprovalId(row.try_get("id")?);
            change.record(Subject::Approval(id), &event, now).await?;
            Ok(id)
        })
        .await
    }

    /// Carries a command out, or refuses it.
    ///
    /// # Errors
    /// [`RegistryError::UnknownApproval`], [`RegistryError::ApprovalRefused`].
    pub async fn command_approval(
        &self,
        id: ApprovalId,
        command: ApprovalCommand,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| execute(change, id, command.clone(), now).await).await
    }

    /// What was granted to this operator for this act, word for word. None is an answer.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn granted(
        &self,
        act: &GuardedAct,
        by: &Party,
        now: Timestamp,
    ) -> Result<Option<Approved>, RegistryError> {
        let mut connection = self.pool.acquire().await?;
        let found = pending(&mut connection, act, by.operator, now).await?;
        let granted = found.filter(|record| record.approval.state().name() == "granted");
        Ok(granted.map(|record| Approved(vec![(record.id, by.clone())])))
    }

    /// Does something that was approved: the approval is spent in the first change that is made, and with it. If that is
    /// refused, or never made, it stays granted.
    pub async fn spending<T>(&self, approved: Approved, now: Timestamp, work: impl Future<Output = T>) -> T {
        *self.to_spend() = Some(Arc::new((approved, now)));
        let done = work.await;
        *self.to_spend() = None;
        done
    }

    /// Spends an approval of something that changes no row.
    ///
    /// # Errors
    /// [`RegistryError::ApprovalRefused`]: it was spent or expired meanwhile; or the database.
    pub async fn spend(&self, approved: &Approved, now: Timestamp) -> Result<(), RegistryError> {
        if approved.0.is_empty() {
            return Ok(());
        }
        self.change(async |change| spend(change, approved, now).await).await
    }

    /// What something can come of yet, the oldest first; also what has expired meanwhile.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn pending_approvals(&self) -> Result<Vec<ApprovalRecord>, RegistryError> {
        let statement = format!("{APPROVAL} WHERE pending = 1 ORDER BY approvals.id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        rows.iter().map(approval).collect()
    }

    /// One approval.
    ///
    /// # Errors
    /// [`RegistryError::UnknownApproval`].
    pub async fn approval(&self, id: ApprovalId) -> Result<ApprovalRecord, RegistryError> {
        let statement = format!("{APPROVAL} WHERE approvals.id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id.0).fetch_optional(&self.pool).await?;
        approval(&row.ok_or(RegistryError::UnknownApproval(id))?)
    }
}

/// Spends approvals within a change.
pub(super) async fn spend(
    change: &mut Change,
    approved: &Approved,
    now: Timestamp,
) -> Result<(), RegistryError> {
    for (id, by) in &approved.0 {
        execute(change, *id, ApprovalCommand::Use { by: by.clone() }, now).await?;
    }
    Ok(())
}

/// What this operator asked for, if something can come of it yet.
async fn pending(
    connection: &mut AnyConnection,
    act: &GuardedAct,
    requester: OperatorId,
    now: Timestamp,
) -> Result<Option<ApprovalRecord>, RegistryError> {
    let statement = format!(
        "{APPROVAL} WHERE digest = $1 AND pending = 1 AND requester = $2 AND expires_at >= $3 ORDER BY approvals.id DESC LIMIT 1"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(act.digest().as_bytes().to_vec())
        .bind(requester.0)
        .bind(time_text(now))
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(approval).transpose()
}

async fn execute(
    change: &mut Change,
    id: ApprovalId,
    command: ApprovalCommand,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let row = sqlx::query("SELECT snapshot FROM approvals WHERE id = $1")
        .bind(id.0)
        .fetch_optional(change.connection())
        .await?;
    let before: Approval = rows::snapshot(&row.ok_or(RegistryError::UnknownApproval(id))?)?;
    let event: ApprovalEvent = before.decide(command, whole_seconds(now))?;
    change.record(Subject::Approval(id), &event, now).await?;
    let after = before.apply(event);
    sqlx::query("UPDATE approvals SET state = $1, pending = $2, snapshot = $3 WHERE id = $4")
        .bind(after.state().name())
        .bind(i64::from(after.state().is_pending()))
        .bind(rows::snapshot_text(&after)?)
        .bind(id.0)
        .execute(change.connection())
        .await?;
    Ok(())
}

fn approval(row: &AnyRow) -> Result<ApprovalRecord, RegistryError> {
    let (act, details): (String, String) = (row.try_get("act")?, row.try_get("details")?);
    let act = Act::parse(&act).ok_or_else(|| damaged(format!("unknown act {act:?}")))?;
    Ok(ApprovalRecord {
        id: ApprovalId(row.try_get("id")?),
        act: GuardedAct::new(act, &details),
        why: row.try_get("why")?,
        requester: OperatorId(row.try_get("requester")?),
        requester_name: row.try_get("name")?,
        approval: rows::snapshot(row)?,
        expires_at: rows::time(row, "expires_at")?,
    })
}
