//! Certificates in the registry, from the bytes to be signed to revocation.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::cards::execute as execute_card;
use super::{Registry, Subject, events, record};
use crate::domain::{
    AuthorityName, CardCommand, CardId, CardRefusal, CardState, CardholderId, Certificate,
    CertificateCommand, CertificateEvent, CertificateRefusal, RevocationReason, SerialNumber,
};
use crate::registry::error::RegistryError;
use crate::registry::records::{
    Authority, CertificateRecord, NewCertificate, RevokedCertificate, RevokedForCardholder,
};
use crate::registry::rows::{self, damaged, time_text, whole_seconds};

impl Registry {
    /// Stores the certificate of an authority.
    ///
    /// # Errors
    /// The database.
    pub async fn add_authority(&self, authority: &Authority) -> Result<(), RegistryError> {
        sqlx::query("INSERT INTO authorities (name, certificate) VALUES (?, ?)")
            .bind(authority.name.as_str())
            .bind(&authority.certificate)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The certificates of the authorities.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn authorities(&self) -> Result<Vec<Authority>, RegistryError> {
        let rows = sqlx::query("SELECT name, certificate FROM authorities ORDER BY rowid")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Authority {
                    name: rows::authority(row, "name")?,
                    certificate: row.try_get("certificate")?,
                })
            })
            .collect()
    }

    /// Stores the exact bytes to be signed; only then may they be signed.
    ///
    /// # Errors
    /// The serial number is taken.
    pub async fn reserve_certificate(
        &self,
        new: &NewCertificate,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let mut transaction = self.begin().await?;
        if exists(&mut transaction, &new.serial).await? {
            return Err(CertificateRefusal::SerialNumberTaken.into());
        }
        let event = Certificate::default().decide(CertificateCommand::Reserve, whole_seconds(now))?;
        sqlx::query(
            "INSERT INTO certificates (serial, authority, profile, subject, mail, holder, card, attempt, card_key, \
             not_before, not_after, to_be_signed, certificate) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        )
        .bind(new.serial.as_bytes())
        .bind(new.authority.as_str())
        .bind(&new.profile)
        .bind(&new.subject)
        .bind(new.mail.as_deref())
        .bind(new.on_card.map(|(holder, ..)| holder.0))
        .bind(new.on_card.map(|(_, card, ..)| card.0))
        .bind(new.on_card.map(|(_, _, attempt, _)| attempt))
        .bind(new.on_card.map(|(.., key)| key.as_str()))
        .bind(time_text(new.not_before))
        .bind(time_text(new.not_after))
        .bind(&new.to_be_signed)
        .execute(&mut *transaction)
        .await?;
        record(&mut transaction, Subject::Certificate(&new.serial), &event, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Stores the signed certificate.
    ///
    /// # Errors
    /// It was not reserved, or was signed before.
    pub async fn record_signature(
        &self,
        serial: &SerialNumber,
        certificate: &[u8],
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let mut transaction = self.begin().await?;
        execute(&mut transaction, serial, CertificateCommand::RecordSignature, now).await?;
        sqlx::query("UPDATE certificates SET certificate = ? WHERE serial = ?")
            .bind(certificate)
            .bind(serial.as_bytes())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Records that the certificate is where it belongs.
    ///
    /// # Errors
    /// It is not signed, or is revoked.
    pub async fn confirm_delivery(&self, serial: &SerialNumber, now: Timestamp) -> Result<(), RegistryError> {
        let mut transaction = self.begin().await?;
        execute(&mut transaction, serial, CertificateCommand::ConfirmDelivery, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The certificate with this serial number.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn certificate(
        &self,
        serial: &SerialNumber,
    ) -> Result<Option<CertificateRecord>, RegistryError> {
        let row = sqlx::query(
            "SELECT serial, authority, profile, subject, mail, holder, card_key, not_before, not_after, certificate \
             FROM certificates WHERE serial = ?",
        )
        .bind(serial.as_bytes())
        .fetch_optional(&self.pool)
        .await?;
        let mut transaction = self.pool.begin().await?;
        match row {
            Some(row) => Ok(Some(rows::certificate(&row, load(&mut transaction, serial).await?)?)),
            None => Ok(None),
        }
    }

    /// Revokes one certificate, or gives the reason of a revocation that had none.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCertificate`], or it was revoked before with a reason: that one stands.
    pub async fn revoke_certificate(
        &self,
        serial: &SerialNumber,
        reason: RevocationReason,
        invalid_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let mut transaction = self.begin().await?;
        if !exists(&mut transaction, serial).await? {
            return Err(RegistryError::UnknownCertificate(serial.clone()));
        }
        revoke(&mut transaction, serial, reason, invalid_since, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Ends a person's card and revokes every certificate of hers that has not expired, in one transaction; a half-made
    /// card goes back to stock.
    ///
    /// # Errors
    /// The database, or an invalidity date in the future. Nothing to revoke is not an error: the answer says so.
    pub async fn revoke_cardholder(
        &self,
        holder: CardholderId,
        reason: RevocationReason,
        invalid_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<RevokedForCardholder, RegistryError> {
        let mut transaction = self.begin().await?;
        let mut done = RevokedForCardholder::default();
        let serials = sqlx::query(
            "SELECT serial FROM certificates WHERE holder = ? AND not_after >= ? ORDER BY serial",
        )
        .bind(holder.0)
        .bind(time_text(now))
        .fetch_all(&mut *transaction)
        .await?;
        for row in &serials {
            let serial = rows::serial(row)?;
            match revoke(&mut transaction, &serial, reason, invalid_since, now).await {
                Ok(Revocation::New) => done.certificates.push(serial),
                Ok(Revocation::Explained) => done.explained.push(serial),
                Err(RegistryError::CertificateRefused(CertificateRefusal::AlreadyRevoked { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        let cards = sqlx::query("SELECT id FROM cards WHERE holder = ?")
            .bind(holder.0)
            .fetch_all(&mut *transaction)
            .await?;
        for row in &cards {
            let card = CardId(row.try_get("id")?);
            match execute_card(&mut transaction, card, CardCommand::Revoke { reason }, now).await {
                Ok(_) => done.cards.push(card),
                Err(RegistryError::CardRefused(CardRefusal::NotIssued(_))) => {
                    let abandon = CardCommand::AbandonPersonalisation;
                    let abandoned = execute_card(&mut transaction, card, abandon, now).await?;
                    match abandoned.state() {
                        CardState::Unusable { .. } => done.set_aside.push(card),
                        _ => done.abandoned.push(card),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if done.changed_nothing() {
            done.earlier = newest_revocation(&mut transaction, holder).await?;
        }
        transaction.commit().await?;
        Ok(done)
    }

    /// What a CRL of `authority` says, ascending by serial number. Entries stay after their certificates expired.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn revoked_certificates(
        &self,
        authority: AuthorityName,
    ) -> Result<Vec<RevokedCertificate>, RegistryError> {
        let rows = sqlx::query(
            "SELECT serial, revoked_at, reason, invalid_since FROM revocations WHERE authority = ?",
        )
        .bind(authority.as_str())
        .fetch_all(&self.pool)
        .await?;
        let mut revoked = rows.iter().map(revoked_certificate).collect::<Result<Vec<_>, _>>()?;
        revoked.sort_by(|left, right| left.serial.cmp_as_number(&right.serial));
        Ok(revoked)
    }

    /// Every certificate with a mail address that reached its holder and has not expired at `now`, DER. Those of an
    /// attempt that never ended are nobody's: no mail is to be encrypted to them.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn certificates_to_publish(&self, now: Timestamp) -> Result<Vec<Vec<u8>>, RegistryError> {
        let rows = sqlx::query(
            "SELECT certificate, card, attempt FROM certificates WHERE mail IS NOT NULL AND certificate IS NOT NULL AND not_after >= ? ORDER BY serial",
        )
        .bind(time_text(now))
        .fetch_all(&self.pool)
        .await?;
        let cards = self.cards().await?;
        let handed_over: HashSet<(i64, i64)> = cards
            .iter()
            .filter(|record| {
                matches!(record.card.state(), CardState::Issued { .. } | CardState::Revoked { .. })
            })
            .map(|record| (record.id.0, i64::from(record.card.attempts())))
            .collect();
        let mut certificates = Vec::new();
        for row in &rows {
            let on_card: (Option<i64>, Option<i64>) = (row.try_get("card")?, row.try_get("attempt")?);
            if !matches!(on_card, (Some(card), Some(attempt)) if !handed_over.contains(&(card, attempt))) {
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
            "SELECT serial, authority, profile, subject, mail, holder, card_key, not_before, not_after, certificate \
             FROM certificates WHERE authority = ? AND subject = ? AND not_after > ? AND certificate IS NOT NULL \
             AND serial NOT IN (SELECT serial FROM revocations) ORDER BY not_after DESC",
        )
        .bind(authority.as_str())
        .bind(subject)
        .bind(time_text(now))
        .fetch_all(&self.pool)
        .await?;
        let mut transaction = self.pool.begin().await?;
        let mut records = Vec::new();
        for row in &rows {
            let state = load(&mut transaction, &rows::serial(row)?).await?;
            records.push(rows::certificate(row, state)?);
        }
        Ok(records)
    }

    /// Serial numbers of the certificates of an authority that were signed and have not expired at `now`.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn unexpired_certificates(
        &self,
        authority: AuthorityName,
        now: Timestamp,
    ) -> Result<Vec<SerialNumber>, RegistryError> {
        let rows = sqlx::query(
            "SELECT serial FROM certificates WHERE authority = ? AND not_after >= ? AND certificate IS NOT NULL",
        )
        .bind(authority.as_str())
        .bind(time_text(now))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(rows::serial).collect()
    }

    /// Serial number and end of every certificate that an authority reserved.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn certificate_ends(
        &self,
        authority: AuthorityName,
    ) -> Result<Vec<(SerialNumber, Timestamp)>, RegistryError> {
        let rows = sqlx::query("SELECT serial, not_after FROM certificates WHERE authority = ? AND serial IN (SELECT serial FROM revocations)")
            .bind(authority.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((rows::serial(row)?, rows::time(row, "not_after")?))).collect()
    }
}

/// Revokes what an attempt of personalisation left behind.
pub(super) async fn revoke_certificates_of_card(
    transaction: &mut Transaction<'static, Sqlite>,
    card: CardId,
    reason: RevocationReason,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let rows = sqlx::query(
        "SELECT serial FROM certificates WHERE card = ? AND serial NOT IN (SELECT serial FROM revocations)",
    )
    .bind(card.0)
    .fetch_all(&mut **transaction)
    .await?;
    for row in &rows {
        revoke(transaction, &rows::serial(row)?, reason, None, now).await?;
    }
    Ok(())
}

/// What a revocation was.
enum Revocation {
    New,
    /// There was one without a reason.
    Explained,
}

async fn revoke(
    transaction: &mut Transaction<'static, Sqlite>,
    serial: &SerialNumber,
    reason: RevocationReason,
    invalid_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Revocation, RegistryError> {
    let command = CertificateCommand::Revoke { reason, invalid_since };
    let event = execute(transaction, serial, command, now).await?;
    let (done, invalid_since) = match event {
        CertificateEvent::RevocationExplained { invalid_since, .. } => (Revocation::Explained, invalid_since),
        _ => (Revocation::New, invalid_since),
    };
    // The revocation date stays the first one.
    sqlx::query(
        "INSERT INTO revocations (serial, authority, revoked_at, reason, invalid_since) \
         SELECT serial, authority, ?, ?, ? FROM certificates WHERE serial = ? \
         ON CONFLICT (serial) DO UPDATE SET reason = excluded.reason, invalid_since = excluded.invalid_since",
    )
    .bind(time_text(now))
    .bind(reason.as_str())
    .bind(invalid_since.map(time_text))
    .bind(serial.as_bytes())
    .execute(&mut **transaction)
    .await?;
    Ok(done)
}

/// Judges and records a command within a transaction.
async fn execute(
    transaction: &mut Transaction<'static, Sqlite>,
    serial: &SerialNumber,
    command: CertificateCommand,
    now: Timestamp,
) -> Result<CertificateEvent, RegistryError> {
    let event = load(transaction, serial).await?.decide(command, whole_seconds(now))?;
    record(transaction, Subject::Certificate(serial), &event, now).await?;
    Ok(event)
}

pub(super) async fn load(
    transaction: &mut Transaction<'static, Sqlite>,
    serial: &SerialNumber,
) -> Result<Certificate, RegistryError> {
    let rows = sqlx::query("SELECT detail FROM events WHERE serial = ? ORDER BY id")
        .bind(serial.as_bytes())
        .fetch_all(&mut **transaction)
        .await?;
    Ok(Certificate::replay(events::<CertificateEvent>(&rows)?))
}

async fn exists(
    transaction: &mut Transaction<'static, Sqlite>,
    serial: &SerialNumber,
) -> Result<bool, RegistryError> {
    let row = sqlx::query("SELECT serial FROM certificates WHERE serial = ?")
        .bind(serial.as_bytes())
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(row.is_some())
}

async fn newest_revocation(
    transaction: &mut Transaction<'static, Sqlite>,
    holder: CardholderId,
) -> Result<Option<(Timestamp, RevocationReason)>, RegistryError> {
    let row = sqlx::query(
        "SELECT revocations.serial, revoked_at, reason, invalid_since FROM revocations \
         JOIN certificates ON certificates.serial = revocations.serial WHERE holder = ? ORDER BY revoked_at DESC LIMIT 1",
    )
    .bind(holder.0)
    .fetch_optional(&mut **transaction)
    .await?;
    let revoked = row.as_ref().map(revoked_certificate).transpose()?;
    Ok(revoked.map(|revoked| (revoked.revoked_at, revoked.reason)))
}

fn revoked_certificate(row: &SqliteRow) -> Result<RevokedCertificate, RegistryError> {
    let reason: String = row.try_get("reason")?;
    Ok(RevokedCertificate {
        serial: rows::serial(row)?,
        revoked_at: rows::time(row, "revoked_at")?,
        reason: RevocationReason::parse(&reason)
            .ok_or_else(|| damaged(format!("unknown reason {reason:?}")))?,
        invalid_since: rows::optional_time(row, "invalid_since")?,
    })
}
