//! Requests in the registry.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::database::{Change, Registry};
use super::error::RegistryError;
use super::records::RequestRecord;
use super::rows::{self, damaged, time_text, whole_seconds};
use crate::domain::{
    CardId, CardholderId, Request, RequestCommand, RequestEvent, RequestId, RequestKind, Subject,
};

impl Registry {
    /// Opens a request; of a kind there is one at a time for a person.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyRequested`].
    pub async fn open_request(
        &self,
        command: RequestCommand,
        now: Timestamp,
    ) -> Result<RequestId, RegistryError> {
        self.change(async |change| match open(change, command, now).await? {
            Opened::New(id) => Ok(id),
            Opened::Before(id) => Err(RegistryError::AlreadyRequested(id)),
        })
        .await
    }

    /// Carries a command out, or refuses it.
    ///
    /// # Errors
    /// [`RegistryError::UnknownRequest`], [`RegistryError::RequestRefused`].
    pub async fn command_request(
        &self,
        id: RequestId,
        command: RequestCommand,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            execute(change, id, command, now).await?;
            Ok(())
        })
        .await
    }

    /// The requests that wait, the oldest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn pending_requests(&self) -> Result<Vec<RequestRecord>, RegistryError> {
        let rows = sqlx::query(
            "SELECT id, kind, holder, card, why, snapshot FROM requests WHERE pending = 1 ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(request).collect()
    }

    /// One request.
    ///
    /// # Errors
    /// [`RegistryError::UnknownRequest`].
    pub async fn request(&self, id: RequestId) -> Result<RequestRecord, RegistryError> {
        let row = sqlx::query("SELECT id, kind, holder, card, why, snapshot FROM requests WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await?;
        request(&row.ok_or(RegistryError::UnknownRequest(id))?)
    }
}

/// Whether a request was opened, or waits already.
pub(super) enum Opened {
    New(RequestId),
    Before(RequestId),
}

/// Opens a request within a change.
pub(super) async fn open(
    change: &mut Change,
    command: RequestCommand,
    now: Timestamp,
) -> Result<Opened, RegistryError> {
    let event = Request::default().decide(command, whole_seconds(now))?;
    let RequestEvent::RequestOpened { kind, holder, card, why, .. } = &event else {
        return Err(damaged("a request began with something else"));
    };
    if let Some(id) = pending(change, *holder, *kind).await? {
        return Ok(Opened::Before(id));
    }
    let state = Request::default().apply(event.clone());
    let row = sqlx::query(
        "INSERT INTO requests (kind, holder, card, why, state, since, pending, snapshot) \
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7) RETURNING id",
    )
    .bind(kind.as_str())
    .bind(holder.0)
    .bind(card.map(|card| card.0))
    .bind(why.clone())
    .bind(state.state().name())
    .bind(time_text(now))
    .bind(rows::snapshot_text(&state)?)
    .fetch_one(change.connection())
    .await?;
    let id = RequestId(row.try_get("id")?);
    change.record(Subject::Request(id), &event, now).await?;
    Ok(Opened::New(id))
}

async fn pending(
    change: &mut Change,
    holder: CardholderId,
    kind: RequestKind,
) -> Result<Option<RequestId>, RegistryError> {
    let row = sqlx::query("SELECT id FROM requests WHERE holder = $1 AND kind = $2 AND pending = 1")
        .bind(holder.0)
        .bind(kind.as_str())
        .fetch_optional(change.connection())
        .await?;
    row.map(|row| Ok(RequestId(row.try_get("id")?))).transpose()
}

/// Judges and records a command within a change.
async fn execute(
    change: &mut Change,
    id: RequestId,
    command: RequestCommand,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let row = sqlx::query("SELECT snapshot FROM requests WHERE id = $1")
        .bind(id.0)
        .fetch_optional(change.connection())
        .await?;
    let before: Request = rows::snapshot(&row.ok_or(RegistryError::UnknownRequest(id))?)?;
    let event = before.decide(command, whole_seconds(now))?;
    change.record(Subject::Request(id), &event, now).await?;
    let after = before.apply(event);
    sqlx::query("UPDATE requests SET state = $1, since = $2, pending = $3, snapshot = $4 WHERE id = $5")
        .bind(after.state().name())
        .bind(after.state().since().map(time_text).unwrap_or_default())
        .bind(i64::from(after.state().is_pending()))
        .bind(rows::snapshot_text(&after)?)
        .bind(id.0)
        .execute(change.connection())
        .await?;
    Ok(())
}

/// A card was handed over: what was asked for is done.
pub(super) async fn fulfil_for_card(
    change: &mut Change,
    holder: CardholderId,
    card: CardId,
    now: Timestamp,
) -> Result<(), RegistryError> {
    for kind in [RequestKind::Renewal, RequestKind::Replacement] {
        if let Some(id) = pending(change, holder, kind).await? {
            execute(change, id, RequestCommand::Fulfil { card: Some(card) }, now).await?;
        }
    }
    Ok(())
}

/// The certificates on a person's card are new.
pub(super) async fn fulfil_renewal(
    change: &mut Change,
    holder: CardholderId,
    card: CardId,
    now: Timestamp,
) -> Result<(), RegistryError> {
    match pending(change, holder, RequestKind::Renewal).await? {
        Some(id) => execute(change, id, RequestCommand::Fulfil { card: Some(card) }, now).await,
        None => Ok(()),
    }
}

/// Everything of a person is revoked: there is nothing to be renewed or revoked any more.
pub(super) async fn fulfil_revocation(
    change: &mut Change,
    holder: CardholderId,
    now: Timestamp,
) -> Result<(), RegistryError> {
    if let Some(id) = pending(change, holder, RequestKind::Revocation).await? {
        execute(change, id, RequestCommand::Fulfil { card: None }, now).await?;
    }
    if let Some(id) = pending(change, holder, RequestKind::Renewal).await? {
        execute(change, id, RequestCommand::Withdraw, now).await?;
    }
    Ok(())
}

/// The person came back.
pub(super) async fn withdraw_revocation(
    change: &mut Change,
    holder: CardholderId,
    now: Timestamp,
) -> Result<(), RegistryError> {
    match pending(change, holder, RequestKind::Revocation).await? {
        Some(id) => execute(change, id, RequestCommand::Withdraw, now).await,
        None => Ok(()),
    }
}

fn request(row: &AnyRow) -> Result<RequestRecord, RegistryError> {
    let kind: String = row.try_get("kind")?;
    Ok(RequestRecord {
        id: RequestId(row.try_get("id")?),
        kind: RequestKind::parse(&kind).ok_or_else(|| damaged(format!("unknown request {kind:?}")))?,
        holder: CardholderId(row.try_get("holder")?),
        card: row.try_get::<Option<i64>, _>("card")?.map(CardId),
        why: row.try_get("why")?,
        request: rows::snapshot(row)?,
    })
}
