//! What is made known of certificates: which are revoked, which are published, which have expired.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::certificates::was_handed_over;
use super::database::{Kind, Registry};
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
        // One moment's view, also of several pages.
        let mut transaction = self.pool.begin().await?;
        let revoked = revoked_of(&mut transaction, self.kind(), authority, None).await;
        transaction.rollback().await?;
        revoked
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
             AND (card IS NULL OR certificates.state <> 'signed') ORDER BY lower(certificates.mail), serial",
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
        // SQLite begins with what stands first: fewer have expired than were revoked.
        let rows = sqlx::query(
            "SELECT certificates.serial AS serial, not_after FROM certificates CROSS JOIN revocations \
             WHERE revocations.serial = certificates.serial AND revocations.authority = $1 AND not_after < $2",
        )
        .bind(authority.as_str())
        .bind(time_text(now))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((rows::serial(row)?, rows::time(row, "not_after")?))).collect()
    }
}

/// What a CRL of an authority says, or of one of its keys, counted from 1; ascending by serial number.
pub(super) async fn revoked_of(
    connection: &mut AnyConnection,
    kind: Kind,
    authority: AuthorityName,
    generation: Option<u32>,
) -> Result<Vec<RevokedCertificate>, RegistryError> {
    let generation = generation.map_or(0, i64::from);
    let mut revoked = match kind {
        Kind::Sqlite => in_pages(connection, authority, generation).await?,
        #[cfg(feature = "postgres")]
        Kind::Postgres => row_by_row(connection, authority, generation).await?,
    };
    revoked.sort_unstable_by(|left, right| left.serial.cmp_as_number(&right.serial));
    Ok(revoked)
}

/// There may be a million of them.
#[cfg(feature = "postgres")]
async fn row_by_row(
    connection: &mut AnyConnection,
    authority: AuthorityName,
    generation: i64,
) -> Result<Vec<RevokedCertificate>, RegistryError> {
    use futures_util::TryStreamExt;
    let mut rows = sqlx::query(
        "SELECT serial, revoked_at, reason, invalid_since FROM revocations \
         WHERE authority = $1 AND ($2 = 0 OR generation = $2)",
    )
    .bind(authority.as_str())
    .bind(generation)
    .fetch(connection);
    let mut revoked = Vec::new();
    while let Some(row) = rows.try_next().await? {
        revoked.push(revoked_certificate(&row)?);
    }
    Ok(revoked)
}

/// In SQLite each row is handed over from another thread: so thousands are handed over at once, in the order in which they lie
/// in the file (an index would lead to every one of its pages many times).
async fn in_pages(
    connection: &mut AnyConnection,
    authority: AuthorityName,
    generation: i64,
) -> Result<Vec<RevokedCertificate>, RegistryError> {
    let (mut revoked, mut after) = (Vec::new(), i64::MIN);
    let mut page = tokio::task::spawn_blocking(|| Ok(Vec::new()));
    loop {
        let row = sqlx::query(
            "SELECT group_concat(line, char(10)) AS lines, max(place) AS last FROM (SELECT rowid AS place, \
             hex(serial) || ' ' || revoked_at || ' ' || reason || ' ' || coalesce(invalid_since, '-') AS line FROM revocations \
             WHERE rowid > $1 AND +authority = $2 AND ($3 = 0 OR generation = $3) ORDER BY rowid LIMIT 5000)",
        )
        .bind(after)
        .bind(authority.as_str())
        .bind(generation)
        .fetch_one(&mut *connection)
        .await?;
        // It was read while this one was on its way; its memory is used again for the next.
        revoked.extend(page.await.map_err(|error| damaged(error.to_string()))??);
        let Some(lines) = row.try_get::<Option<String>, _>("lines")? else { return Ok(revoked) };
        page = tokio::task::spawn_blocking(move || revoked_lines(&lines));
        after = row.try_get("last")?;
    }
}

/// A page of [`in_pages`].
fn revoked_lines(lines: &str) -> Result<Vec<RevokedCertificate>, RegistryError> {
    let read =
        |line| revoked_line(line).ok_or_else(|| damaged(format!("{line:?} in revocations is no revocation")));
    lines.split('\n').map(read).collect()
}

/// A line of such a page.
fn revoked_line(line: &str) -> Option<RevokedCertificate> {
    let mut words = line.split(' ');
    let read = RevokedCertificate {
        serial: serial_of(words.next()?)?,
        revoked_at: words.next()?.parse().ok()?,
        standing: Standing::parse(words.next()?)?,
        invalid_since: match words.next()? {
            "-" => None,
            since => Some(since.parse().ok()?),
        },
    };
    words.next().is_none().then_some(read)
}

fn serial_of(digits: &str) -> Option<SerialNumber> {
    let mut octets = [0; 20];
    let octets = octets.get_mut(..digits.len() / 2)?;
    hex::decode_to_slice(digits, octets).ok()?;
    SerialNumber::from_bytes(octets)
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
