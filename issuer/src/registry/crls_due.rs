//! What is revoked and on no CRL yet. A row is written in the transaction of the change, and taken out when CRLs are stored
//! that were made from what the registry held then.

use jiff::Timestamp;
use sqlx::Row;

use super::database::{Change, Registry};
use super::error::RegistryError;
use super::rows::{self, time_text};
use crate::domain::{AuthorityName, SerialNumber};

/// An authority whose newest CRLs do not say everything that the registry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlDue {
    /// The authority.
    pub authority: AuthorityName,
    /// Which of its keys, counted from 1.
    pub generation: u32,
    /// Since when.
    pub since: Timestamp,
    /// Grows with every change.
    revision: i64,
}

impl Registry {
    /// The authorities whose CRLs are due.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn crls_due(&self) -> Result<Vec<CrlDue>, RegistryError> {
        let rows = sqlx::query(
            "SELECT authority, generation, since, revision FROM crls_due ORDER BY authority, generation",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(CrlDue {
                    authority: rows::authority(row, "authority")?,
                    generation: rows::number(row, "generation")?,
                    since: rows::time(row, "since")?,
                    revision: row.try_get("revision")?,
                })
            })
            .collect()
    }
}

/// A certificate is revoked, on hold, or no longer so.
pub(super) async fn mark(
    change: &mut Change,
    serial: &SerialNumber,
    now: Timestamp,
) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO crls_due (authority, generation, since, revision) \
         SELECT authority, generation, $1, 1 FROM certificates WHERE serial = $2 \
         ON CONFLICT (authority, generation) DO UPDATE SET revision = crls_due.revision + 1",
    )
    .bind(time_text(now))
    .bind(serial.as_bytes().to_vec())
    .execute(change.connection())
    .await?;
    Ok(())
}

/// CRLs are stored that say what was known to be due.
pub(super) async fn settle(change: &mut Change, told: &CrlDue) -> Result<(), RegistryError> {
    sqlx::query("DELETE FROM crls_due WHERE authority = $1 AND generation = $2 AND revision <= $3")
        .bind(told.authority.as_str())
        .bind(i64::from(told.generation))
        .bind(told.revision)
        .execute(change.connection())
        .await?;
    Ok(())
}
