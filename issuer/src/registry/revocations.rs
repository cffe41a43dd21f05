//! What is made known of certificates: which are revoked, which are published, which have expired.

use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};

use super::certificates::was_handed_over;
use super::database::Registry;
use super::error::RegistryError;
use super::records::{CertificateRecord, RevokedCertificate, Standing};
use super::rows::{self, damaged, time_text};
use crate::domain::{AuthorityName, Card, SerialNumber};

impl Registry {
    /// What a CRL of `authority` says, ascending by serial number. Entries stay after their certificates expired.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn revoked_certificates(
        &self,
        authority: AuthorityName,
    ) -> Result<Vec<RevokedCertificate>, RegistryError> {
        revoked_of(&self.pool, authority, None).await
    }

    /// Every certificate with a mail address that reached its holder and has not expired at `now`, DER. Those of an
    /// attempt that never ended are nobody's: no mail is to be encrypted to them.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn certificates_to_publish(&self, now: Timestamp) -> Result<Vec<Vec<u8>>, RegistryError> {
        let rows = sqlx::query(
            "SELECT certificates.certificate AS certificate, card, attempt, cards.snapshot AS snapshot \
             FROM certificates LEFT JOIN cards ON cards.id = certificates.card \
             WHERE certificates.mail IS NOT NULL AND certificates.certificate IS NOT NULL AND not_after >= $1 \
             AND (card IS NULL OR certificates.state <> 'signed') ORDER BY serial",
        )
        .bind(time_text(now))
        .fetch_all(&self.pool)
        .await?;
        let mut certificates = Vec::new();
        for row in &rows {
            let on_card: (Option<i64>, Option<i64>) = (row.try_get("card")?, row.try_get("attempt")?);
            let is_out = match on_card {
                (Some(_), Some(attempt)) => {
                    let card: Card = rows::snapshot(row)?;
                    was_handed_over(card.state(), attempt, card.attempts())
                }
                _ => true,
            };
            if is_out {
                certificates.push(row.try_get("certificate")?);
            }
        }
        Ok(certificates)
    }

    /// The certificates of an authority with exactly this subject that were signed, are not revoked and are valid until
    /// after `now`, the newest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn live_certificates(
        &self,
        authority: AuthorityName,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<CertificateRecord>, RegistryError> {
        let rows = sqlx::query(
            "SELECT serial, authority, profile, subject, mail, holder, card, attempt, card_key, not_before, not_after, certificate, snapshot \
             FROM certificates WHERE authority = $1 AND subject = $2 AND not_after > $3 AND certificate IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM revocations WHERE revocations.serial = certificates.serial) ORDER BY not_after DESC",
        )
        .bind(authority.as_str())
        .bind(subject.to_owned())
        .bind(time_text(now))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(rows::certificate).collect()
    }

    /// Serial numbers of the certificates that a key of an authority signed and that have not expired at `now`.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn unexpired_certificates(
        &self,
        authority: AuthorityName,
        generation: u32,
        now: Timestamp,
    ) -> Result<Vec<SerialNumber>, RegistryError> {
        let rows = sqlx::query(
            "SELECT serial FROM certificates WHERE authority = $1 AND generation = $2 AND not_after >= $3 \
             AND certificate IS NOT NULL",
        )
        .bind(authority.as_str())
        .bind(i64::from(generation))
        .bind(time_text(now))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(rows::serial).collect()
    }

    /// Serial number and end of every certificate of an authority that a CRL has named or names and that expired before
    /// `now`: only their entries may be left out.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn certificate_ends(
        &self,
        authority: AuthorityName,
        now: Timestamp,
    ) -> Result<Vec<(SerialNumber, Timestamp)>, RegistryError> {
        let rows = sqlx::query(
            "SELECT certificates.serial AS serial, not_after FROM revocations \
             JOIN certificates ON certificates.serial = revocations.serial WHERE revocations.authority = $1 \
             AND not_after < $2",
        )
        .bind(authority.as_str())
        .bind(time_text(now))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((rows::serial(row)?, rows::time(row, "not_after")?))).collect()
    }
}

/// What a CRL of an authority says, or of one of its keys, counted from 1; ascending by serial number.
pub(super) async fn revoked_of<'e>(
    executor: impl Executor<'e, Database = Any>,
    authority: AuthorityName,
    generation: Option<u32>,
) -> Result<Vec<RevokedCertificate>, RegistryError> {
    // Row by row: there may be a million of them.
    let mut rows = sqlx::query(
        "SELECT serial, revoked_at, reason, invalid_since FROM revocations \
         WHERE authority = $1 AND ($2 = 0 OR generation = $2)",
    )
    .bind(authority.as_str())
    .bind(generation.map_or(0, i64::from))
    .fetch(executor);
    let mut revoked = Vec::new();
    while let Some(row) = rows.try_next().await? {
        revoked.push(revoked_certificate(&row)?);
    }
    revoked.sort_by(|left, right| left.serial.cmp_as_number(&right.serial));
    Ok(revoked)
}

pub(super) fn revoked_certificate(row: &AnyRow) -> Result<RevokedCertificate, RegistryError> {
    let reason: String = row.try_get("reason")?;
    Ok(RevokedCertificate {
        serial: rows::serial(row)?,
        revoked_at: rows::time(row, "revoked_at")?,
        standing: Standing::parse(&reason).ok_or_else(|| damaged(format!("unknown reason {reason:?}")))?,
        invalid_since: rows::optional_time(row, "invalid_since")?,
    })
}
