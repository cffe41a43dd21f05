//! Operators in the registry, and what the desk has agreed on.

use der::{Decode, Encode};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::database::{Change, Registry, stored};
use super::error::RegistryError;
use super::rows::{self, damaged, time_text};
use crate::domain::agreement::{ACCEPTED_CHECKPOINT, CLOCK, DUAL_CONTROL, accepted_clock};
use crate::domain::{
    Actor, CardId, CardholderId, ChainHash, Operator, OperatorEvent, OperatorId, RegistryEvent, Role, Roles,
    SerialNumber, Subject, can_approve_each_other,
};

const OPERATOR: &str = "SELECT operators.id AS id, person, people.name AS name, operators.serial AS serial, key_hash, roles, \
    snapshot, not_before, not_after FROM operators JOIN people ON people.id = person \
    JOIN certificates ON certificates.serial = operators.serial WHERE removed_at IS NULL";

impl Registry {
    /// Whoever is an operator now, in the order in which they became one.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn operators(&self) -> Result<Vec<Operator>, RegistryError> {
        let statement = format!("{OPERATOR} ORDER BY operators.id");
        let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        rows.iter().map(operator).collect()
    }

    /// Whether anybody is an operator: from then on nothing is done without a card.
    ///
    /// # Errors
    /// The database.
    pub async fn has_operators(&self) -> Result<bool, RegistryError> {
        let row = sqlx::query("SELECT 1 AS found FROM operators WHERE removed_at IS NULL LIMIT 1")
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// The operator with this key.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn operator_of_key(&self, key: &ChainHash) -> Result<Option<Operator>, RegistryError> {
        let statement = format!("{OPERATOR} AND key_hash = $1");
        let query = sqlx::query(AssertSqlSafe(statement)).bind(key.as_bytes().to_vec());
        query.fetch_optional(&self.pool).await?.as_ref().map(operator).transpose()
    }

    /// Makes a person an operator, by one certificate and its key.
    ///
    /// # Errors
    /// [`RegistryError::OperatorTaken`].
    pub async fn add_operator(
        &self,
        person: CardholderId,
        (serial, key): (&SerialNumber, &ChainHash),
        roles: &Roles,
        now: Timestamp,
    ) -> Result<OperatorId, RegistryError> {
        self.change(async |change| {
            let taken = sqlx::query(
                "SELECT people.name AS name FROM operators JOIN people ON people.id = person \
                 WHERE removed_at IS NULL AND (person = $1 OR key_hash = $2)",
            )
            .bind(person.0)
            .bind(key.as_bytes().to_vec())
            .fetch_optional(change.connection())
            .await?;
            if let Some(row) = taken {
                return Err(RegistryError::OperatorTaken(row.try_get("name")?));
            }
            let row = sqlx::query(
                "INSERT INTO operators (person, serial, key_hash, roles, added_at) VALUES ($1, $2, $3, $4, $5) RETURNING id",
            )
            .bind(person.0)
            .bind(serial.as_bytes().to_vec())
            .bind(key.as_bytes().to_vec())
            .bind(roles.to_string())
            .bind(time_text(now))
            .fetch_one(change.connection())
            .await?;
            let id = OperatorId(row.try_get("id")?);
            let (certificate, key) = (serial.to_string(), key.to_string());
            let event = OperatorEvent::OperatorAdded { person, certificate, key, roles: roles.to_string() };
            change.record(Subject::Operator(id), &event, now).await?;
            Ok(id)
        })
        .await
    }

    /// Ends that somebody is an operator.
    ///
    /// # Errors
    /// [`RegistryError::UnknownOperator`].
    pub async fn remove_operator(
        &self,
        id: OperatorId,
        why: Option<String>,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            let updated =
                sqlx::query("UPDATE operators SET removed_at = $1 WHERE id = $2 AND removed_at IS NULL")
                    .bind(time_text(now))
                    .bind(id.0)
                    .execute(change.connection())
                    .await?;
            if updated.rows_affected() != 1 {
                return Err(RegistryError::UnknownOperator(format!("number {}", id.0)));
            }
            change.record(Subject::Operator(id), &OperatorEvent::OperatorRemoved { why }, now).await
        })
        .await
    }

    /// Writes down that an operator's card is about to get a new PIN.
    ///
    /// # Errors
    /// The database.
    pub async fn record_operator_pin(
        &self,
        operator: OperatorId,
        (card, stood): (String, &str),
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let event = OperatorEvent::OperatorPinSet { card, stood: stood.to_owned() };
        self.change(async |change| change.record(Subject::Operator(operator), &event, now).await).await
    }

    /// Writes down that somebody tried what was not allowed; `actor` is whoever it seemed to be.
    ///
    /// # Errors
    /// The database.
    pub async fn record_refusal(
        &self,
        operator: Option<OperatorId>,
        actor: Actor,
        (action, why): (&str, &str),
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let subject = operator.map_or(Subject::Registry, Subject::Operator);
        let event = OperatorEvent::OperatorRefused { action: action.to_owned(), why: why.to_owned() };
        self.change_as(actor, async |change| change.record(subject.clone(), &event, now).await).await
    }

    /// The newest good certificate of a person's key 9A, by the card that the person has.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn authentication_certificate(
        &self,
        person: CardholderId,
    ) -> Result<Option<(SerialNumber, Vec<u8>)>, RegistryError> {
        let row = sqlx::query(
            "SELECT serial, certificate FROM certificates WHERE holder = $1 AND card_key = '9A' AND state = 'delivered' \
             AND certificate IS NOT NULL ORDER BY not_before DESC, serial LIMIT 1",
        )
        .bind(person.0)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| Ok((rows::serial(&row)?, row.try_get("certificate")?))).transpose()
    }

    /// What the desk has agreed on under this name.
    ///
    /// # Errors
    /// The database.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, RegistryError> {
        let row = sqlx::query("SELECT value FROM settings WHERE name = $1")
            .bind(name.to_owned())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(row.try_get("value")?)).transpose()
    }
}

impl Registry {
    /// Up to which event times count no more, and up to which time: what was recorded while the clock was wrong.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn accepted_clock(&self) -> Result<Option<(u64, Timestamp)>, RegistryError> {
        let Some(text) = self.setting(CLOCK).await? else { return Ok(None) };
        let read = || {
            let (sequence, until) = text.split_once(' ')?;
            Some((sequence.parse().ok()?, until.parse().ok()?))
        };
        read().map(Some).ok_or_else(|| damaged(format!("the accepted clock is {text:?}")))
    }

    /// Records that the clock is right although what was recorded says otherwise: times up to `newest` count no more.
    ///
    /// # Errors
    /// The database.
    pub async fn accept_clock(
        &self,
        newest: Timestamp,
        why: &str,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let (newest, now) = (rows::whole_seconds(newest), rows::whole_seconds(now));
        let event = RegistryEvent::ClockAccepted { newest, clock: now, why: why.to_owned() };
        self.change(async |change| {
            let value = accepted_clock(change.end().sequence, newest);
            agree(change, (CLOCK, value), &event, now).await
        })
        .await
    }

    /// When the newest of the events after this one happened.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn newest_event_after(&self, sequence: u64) -> Result<Option<Timestamp>, RegistryError> {
        let row = sqlx::query("SELECT at FROM events WHERE sequence > $1 ORDER BY at DESC LIMIT 1")
            .bind(stored(sequence)?)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| rows::time(&row, "at")).transpose()
    }
}

impl Registry {
    /// Records that this registry goes on behind a published checkpoint that it does not know: it was restored.
    ///
    /// # Errors
    /// The database.
    pub async fn accept_published(
        &self,
        checkpoint: &ChainHash,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let digest = checkpoint.to_string();
        let event = RegistryEvent::PublishedCheckpointAccepted { checkpoint: digest.clone() };
        self.change(async |change| agree(change, (ACCEPTED_CHECKPOINT, digest.clone()), &event, now).await)
            .await
    }

    /// Whether this registry was restored behind this published checkpoint.
    ///
    /// # Errors
    /// The database.
    pub async fn has_accepted(&self, checkpoint: &ChainHash) -> Result<bool, RegistryError> {
        Ok(self.setting(ACCEPTED_CHECKPOINT).await? == Some(checkpoint.to_string()))
    }
}

/// The role of an operator whose card was renewed goes on with the newest certificate of its 9A that reached the card, and
/// with that one's key.
pub(super) async fn follow_renewal(
    change: &mut Change,
    card: CardId,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let found = sqlx::query(
        "SELECT operators.id AS id, operators.serial AS serial FROM operators \
         JOIN certificates ON certificates.serial = operators.serial WHERE removed_at IS NULL AND card = $1",
    )
    .bind(card.0)
    .fetch_optional(change.connection())
    .await?;
    let Some(found) = found else { return Ok(()) };
    let (id, before) = (OperatorId(found.try_get("id")?), rows::serial(&found)?);
    let newest = sqlx::query(
        "SELECT serial, certificate FROM certificates WHERE card = $1 AND card_key = '9A' AND state = 'delivered' \
         AND certificate IS NOT NULL ORDER BY not_before DESC, serial LIMIT 1",
    )
    .bind(card.0)
    .fetch_optional(change.connection())
    .await?;
    let Some(newest) = newest else { return Ok(()) };
    let serial = rows::serial(&newest)?;
    if serial == before {
        return Ok(());
    }
    let key = key_of(&newest.try_get::<Vec<u8>, _>("certificate")?)?;
    sqlx::query("UPDATE operators SET serial = $1, key_hash = $2 WHERE id = $3")
        .bind(serial.as_bytes().to_vec())
        .bind(key.as_bytes().to_vec())
        .bind(id.0)
        .execute(change.connection())
        .await?;
    let event = OperatorEvent::OperatorRenewed { certificate: serial.to_string(), key: key.to_string() };
    change.record(Subject::Operator(id), &event, now).await
}

/// The SHA-256 of a certificate's SubjectPublicKeyInfo.
fn key_of(certificate: &[u8]) -> Result<ChainHash, RegistryError> {
    let unreadable = |error: der::Error| damaged(format!("a certificate cannot be read: {error}"));
    let certificate = x509_cert::Certificate::from_der(certificate).map_err(unreadable)?;
    let key = certificate.tbs_certificate().subject_public_key_info().to_der().map_err(unreadable)?;
    Ok(ChainHash::of(&key))
}

/// Refuses what takes the last good card of an administrator from a desk that has operators, for nobody could give it another;
/// and what leaves nobody who could approve where something needs two operators, for that could not be changed either.
pub(super) async fn refuse_lock_out(
    change: &mut Change,
    serial: &SerialNumber,
    now: Timestamp,
) -> Result<(), RegistryError> {
    if change.lets_last_administrator_go {
        return Ok(());
    }
    let statement = format!("{OPERATOR} ORDER BY operators.id");
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(change.connection()).await?;
    let operators = rows.iter().map(operator).collect::<Result<Vec<_>, _>>()?;
    let Some(losing) = operators.iter().find(|operator| operator.serial == *serial) else { return Ok(()) };
    let mut administrators = operators.iter().filter(|operator| {
        operator.roles.has(Role::Administrator) && operator.judge_certificate(now).is_ok()
    });
    if let (Some(last), None) = (administrators.next(), administrators.next())
        && last.id == losing.id
    {
        return Err(RegistryError::LastAdministrator(last.name.clone()));
    }
    if change.lets_last_approver_go || !needs_two(change).await? {
        return Ok(());
    }
    let others = operators.iter().filter(|operator| operator.id != losing.id);
    if can_approve_each_other(operators.iter(), now) && !can_approve_each_other(others, now) {
        return Err(RegistryError::LastApprover(losing.name.clone()));
    }
    Ok(())
}

/// Whether anything needs two operators.
async fn needs_two(change: &mut Change) -> Result<bool, RegistryError> {
    let row = sqlx::query("SELECT 1 AS found FROM settings WHERE name = $1 AND value <> ''")
        .bind(DUAL_CONTROL)
        .fetch_optional(change.connection())
        .await?;
    Ok(row.is_some())
}

/// Writes down what the desk has agreed on, with its event.
pub(super) async fn agree<E: serde::Serialize>(
    change: &mut Change,
    (name, value): (&str, String),
    event: &E,
    now: Timestamp,
) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2",
    )
    .bind(name.to_owned())
    .bind(value)
    .execute(change.connection())
    .await?;
    change.record(Subject::Registry, event, now).await
}

fn operator(row: &AnyRow) -> Result<Operator, RegistryError> {
    let (key, roles): (Vec<u8>, String) = (row.try_get("key_hash")?, row.try_get("roles")?);
    Ok(Operator {
        id: OperatorId(row.try_get("id")?),
        person: CardholderId(row.try_get("person")?),
        name: row.try_get("name")?,
        serial: rows::serial(row)?,
        key: ChainHash::from_bytes(&key).ok_or_else(|| damaged("an operator's key is not 32 octets"))?,
        roles: roles.parse().map_err(|error: String| damaged(error))?,
        certificate: rows::snapshot(row)?,
        not_before: rows::time(row, "not_before")?,
        not_after: rows::time(row, "not_after")?,
    })
}
