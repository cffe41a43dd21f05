//! Certificates in the registry, from the bytes to be signed to revocation. What is made known of them: `revocations`.

use jiff::Timestamp;
use sqlx::Row;

use super::authority_keys::generation_of;
use super::cards::execute as execute_card;
use super::database::{Change, Registry};
use super::error::RegistryError;
use super::journal::require_attempt;
use super::key_origins;
use super::operators::refuse_lock_out;
use super::records::{CertificateRecord, NewCertificate, RevokedForCardholder, Standing};
use super::requests::fulfil_revocation;
use super::revocations::revoked_certificate;
use super::rows::{self, time_text, whole_seconds};
use super::{crls_due, outbox};
use crate::domain::unicode::search_key;
use crate::domain::{
    CardCommand, CardId, CardRefusal, CardState, CardholderId, Certificate, CertificateCommand,
    CertificateEvent, CertificateRefusal, CertificateState, Consequence, OnCard, ReservedCertificate,
    RevocationReason, SerialNumber, Subject,
};

impl Registry {
    /// Stores the exact bytes to be signed; only then may they be signed.
    ///
    /// # Errors
    /// The serial number is taken, or the card is no longer in the attempt that wants it.
    pub async fn reserve_certificate(
        &self,
        new: &NewCertificate,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            if let Some((_, card, attempt, _)) = new.on_card {
                require_attempt(change, card, attempt).await?;
            }
            reserve(change, new, now).await
        })
        .await
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
        self.change(async |change| sign(change, serial, certificate, now).await).await
    }

    /// Records that the certificate is where it belongs.
    ///
    /// # Errors
    /// It is not signed, or is revoked.
    pub async fn confirm_delivery(&self, serial: &SerialNumber, now: Timestamp) -> Result<(), RegistryError> {
        self.change(async |change| confirm(change, serial, now).await).await
    }

    /// Puts a certificate on hold that is on no card that could be: a card's are held with it.
    ///
    /// # Errors
    /// It is neither signed nor delivered.
    pub async fn hold_certificate(&self, serial: &SerialNumber, now: Timestamp) -> Result<(), RegistryError> {
        self.change(async |change| execute(change, serial, CertificateCommand::Hold, now).await).await
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
            "SELECT serial, authority, profile, subject, mail, holder, card, attempt, card_key, not_before, not_after, certificate, snapshot \
             FROM certificates WHERE serial = $1",
        )
        .bind(serial.as_bytes().to_vec())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(rows::certificate).transpose()
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
        self.change(async |change| {
            if load(change, serial).await?.is_none() {
                return Err(RegistryError::UnknownCertificate(serial.clone()));
            }
            refuse_lock_out(change, serial, now).await?;
            revoke(change, serial, reason, invalid_since, now).await?;
            Ok(())
        })
        .await
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
        self.change(async |change| {
            let mut done = RevokedForCardholder::default();
            let serials = sqlx::query(
                "SELECT serial FROM certificates WHERE holder = $1 AND not_after >= $2 ORDER BY serial",
            )
            .bind(holder.0)
            .bind(time_text(now))
            .fetch_all(change.connection())
            .await?;
            for row in &serials {
                let serial = rows::serial(row)?;
                refuse_lock_out(change, &serial, now).await?;
                match revoke(change, &serial, reason, invalid_since, now).await {
                    Ok(Revocation::New) => done.certificates.push(serial),
                    Ok(Revocation::Explained) => done.explained.push(serial),
                    Err(RegistryError::CertificateRefused(CertificateRefusal::AlreadyRevoked { .. })) => {}
                    Err(error) => return Err(error),
                }
            }
            end_cards(change, holder, reason, now, &mut done).await?;
            fulfil_revocation(change, holder, now).await?;
            if done.changed_nothing() {
                done.earlier = newest_revocation(change, holder).await?;
            }
            Ok(done)
        })
        .await
    }
}

/// Records within a change that a certificate is where it belongs.
pub(super) async fn confirm(
    change: &mut Change,
    serial: &SerialNumber,
    now: Timestamp,
) -> Result<(), RegistryError> {
    execute(change, serial, CertificateCommand::ConfirmDelivery, now).await
}

/// Stores the bytes to be signed within a change.
pub(super) async fn reserve(
    change: &mut Change,
    new: &NewCertificate,
    now: Timestamp,
) -> Result<(), RegistryError> {
    if load(change, &new.serial).await?.is_some() {
        return Err(CertificateRefusal::SerialNumberTaken.into());
    }
    let generation = generation_of(change, new.authority, &new.to_be_signed).await?;
    let event = Certificate::default().decide(CertificateCommand::Reserve, whole_seconds(now))?;
    let told = told_of(new, rows::in_range("generation", generation)?);
    let key = match new.on_card {
        Some(_) => key_origins::told(change, &new.to_be_signed).await?,
        None => None,
    };
    let told = ReservedCertificate { key, ..told };
    let event = event.of_reserved(told);
    let state = Certificate::default().apply(event.clone());
    sqlx::query(
        "INSERT INTO certificates (serial, authority, profile, subject, mail, holder, card, attempt, card_key, \
         not_before, not_after, to_be_signed, certificate, state, snapshot, subject_key, \
         generation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, NULL, $13, $14, $15, $16)",
    )
    .bind(new.serial.as_bytes().to_vec())
    .bind(new.authority.as_str())
    .bind(new.profile.clone())
    .bind(new.subject.clone())
    .bind(new.mail.clone())
    .bind(new.on_card.map(|(holder, ..)| holder.0))
    .bind(new.on_card.map(|(_, card, ..)| card.0))
    .bind(new.on_card.map(|(_, _, attempt, _)| i64::from(attempt)))
    .bind(new.on_card.map(|(.., key)| key.as_str()))
    .bind(time_text(new.not_before))
    .bind(time_text(new.not_after))
    .bind(new.to_be_signed.clone())
    .bind(state.state().name())
    .bind(rows::snapshot_text(&state)?)
    .bind(search_key(&new.subject))
    .bind(generation)
    .execute(change.connection())
    .await?;
    change.record(Subject::Certificate(new.serial.clone()), &event, now).await
}

/// What the log keeps of it.
fn told_of(new: &NewCertificate, generation: u32) -> ReservedCertificate {
    let on_card = new.on_card.map(|(holder, card, attempt, key)| OnCard {
        holder,
        card,
        attempt,
        key: key.as_str().to_owned(),
    });
    ReservedCertificate {
        authority: new.authority.as_str().to_owned(),
        generation,
        profile: new.profile.clone(),
        subject: new.subject.clone(),
        mail: new.mail.clone(),
        on_card,
        not_before: whole_seconds(new.not_before),
        not_after: whole_seconds(new.not_after),
        to_be_signed: rows::digest(&new.to_be_signed),
        key: None,
    }
}

/// Stores the signed certificate within a change.
pub(super) async fn sign(
    change: &mut Change,
    serial: &SerialNumber,
    certificate: &[u8],
    now: Timestamp,
) -> Result<(), RegistryError> {
    let signed = |event: CertificateEvent| event.of_signed(rows::digest(certificate));
    execute_with(change, serial, CertificateCommand::RecordSignature, now, signed).await?;
    sqlx::query("UPDATE certificates SET certificate = $1 WHERE serial = $2")
        .bind(certificate.to_vec())
        .bind(serial.as_bytes().to_vec())
        .execute(change.connection())
        .await?;
    Ok(())
}

/// Takes a certificate of an interrupted attempt at a card over into the attempt that goes on.
pub(super) async fn adopt(
    change: &mut Change,
    serial: &SerialNumber,
    card: CardId,
    attempt: u32,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let adopted = sqlx::query("UPDATE certificates SET attempt = $1 WHERE serial = $2 AND card = $3")
        .bind(i64::from(attempt))
        .bind(serial.as_bytes().to_vec())
        .bind(card.0)
        .execute(change.connection())
        .await?;
    if adopted.rows_affected() != 1 {
        return Err(RegistryError::UnknownCertificate(serial.clone()));
    }
    let event = CertificateEvent::CertificateAdopted { at: whole_seconds(now), attempt };
    change.record(Subject::Certificate(serial.clone()), &event, now).await
}

/// Revokes a certificate within a change; one that is revoked stays as it is.
pub(super) async fn revoke_if_not(
    change: &mut Change,
    serial: &SerialNumber,
    reason: RevocationReason,
    now: Timestamp,
) -> Result<(), RegistryError> {
    match revoke(change, serial, reason, None, now).await {
        Ok(_) | Err(RegistryError::CertificateRefused(CertificateRefusal::AlreadyRevoked { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the certificates of an attempt reached their holder.
pub(super) fn was_handed_over(state: &CardState, attempt: i64, attempts: u32) -> bool {
    match state {
        CardState::Unknown | CardState::BeingPersonalised { .. } => false,
        // Back in stock: whether it was ever handed over is the certificate's own affair, and it is revoked.
        CardState::InStock { .. } | CardState::Unusable { .. } => false,
        _ => attempt == i64::from(attempts),
    }
}

/// The certificates of a card that are on it and were exercised are delivered; all others of it are revoked.
pub(super) async fn deliver(
    change: &mut Change,
    card: CardId,
    delivered: &[SerialNumber],
    now: Timestamp,
) -> Result<(), RegistryError> {
    let rows = sqlx::query("SELECT serial, snapshot FROM certificates WHERE card = $1 ORDER BY serial")
        .bind(card.0)
        .fetch_all(change.connection())
        .await?;
    for row in &rows {
        let serial = rows::serial(row)?;
        let state: Certificate = rows::snapshot(row)?;
        match (delivered.contains(&serial), state.state()) {
            (true, CertificateState::Delivered { .. }) | (false, CertificateState::Revoked { .. }) => {}
            (true, _) => execute(change, &serial, CertificateCommand::ConfirmDelivery, now).await?,
            (false, _) => {
                revoke(change, &serial, RevocationReason::Superseded, None, now).await?;
            }
        }
    }
    Ok(())
}

async fn end_cards(
    change: &mut Change,
    holder: CardholderId,
    reason: RevocationReason,
    now: Timestamp,
    done: &mut RevokedForCardholder,
) -> Result<(), RegistryError> {
    let cards = sqlx::query("SELECT id FROM cards WHERE holder = $1 AND live > 0 ORDER BY id")
        .bind(holder.0)
        .fetch_all(change.connection())
        .await?;
    for row in &cards {
        let card = CardId(row.try_get("id")?);
        match execute_card(change, card, CardCommand::Revoke { reason }, None, now).await {
            Ok(_) => done.cards.push(card),
            Err(RegistryError::CardRefused(CardRefusal::NotIssued(_))) => {
                let abandon = CardCommand::AbandonPersonalisation;
                let abandoned = execute_card(change, card, abandon, None, now).await?;
                match abandoned.state() {
                    CardState::Unusable { .. } => done.set_aside.push(card),
                    _ => done.abandoned.push(card),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Does to a card's certificates what an event of the card means for them.
pub(super) async fn follow_card(
    change: &mut Change,
    card: CardId,
    consequence: Consequence,
    invalid_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let rows = sqlx::query("SELECT serial, snapshot FROM certificates WHERE card = $1 ORDER BY serial")
        .bind(card.0)
        .fetch_all(change.connection())
        .await?;
    for row in &rows {
        let serial = rows::serial(row)?;
        let state: Certificate = rows::snapshot(row)?;
        if consequence != Consequence::Release {
            refuse_lock_out(change, &serial, now).await?;
        }
        match (consequence, state.state()) {
            (_, CertificateState::Revoked { .. }) => {}
            (Consequence::Revoke(reason), _) => {
                revoke(change, &serial, reason, invalid_since, now).await?;
            }
            (Consequence::Hold, CertificateState::Signed { .. } | CertificateState::Delivered { .. }) => {
                execute(change, &serial, CertificateCommand::Hold, now).await?;
            }
            (Consequence::Release, CertificateState::OnHold { .. }) => {
                execute(change, &serial, CertificateCommand::Release, now).await?;
            }
            (Consequence::Hold | Consequence::Release, _) => {}
        }
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
    change: &mut Change,
    serial: &SerialNumber,
    reason: RevocationReason,
    invalid_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Revocation, RegistryError> {
    let was_revoked =
        load(change, serial).await?.is_some_and(|it| matches!(it.state(), CertificateState::Revoked { .. }));
    execute(change, serial, CertificateCommand::Revoke { reason, invalid_since }, now).await?;
    Ok(if was_revoked { Revocation::Explained } else { Revocation::New })
}

/// Judges and records a command within a change.
async fn execute(
    change: &mut Change,
    serial: &SerialNumber,
    command: CertificateCommand,
    now: Timestamp,
) -> Result<(), RegistryError> {
    execute_with(change, serial, command, now, |event| event).await
}

/// The same; `told` says in the event what is stored beside it.
async fn execute_with(
    change: &mut Change,
    serial: &SerialNumber,
    command: CertificateCommand,
    now: Timestamp,
    told: impl FnOnce(CertificateEvent) -> CertificateEvent,
) -> Result<(), RegistryError> {
    let before = load(change, serial).await?.unwrap_or_default();
    let is_told_by_crls = matches!(
        command,
        CertificateCommand::Hold | CertificateCommand::Release | CertificateCommand::Revoke { .. }
    );
    let event = told(before.decide(command, whole_seconds(now))?);
    change.record(Subject::Certificate(serial.clone()), &event, now).await?;
    store(change, serial, &before.apply(event)).await?;
    if is_told_by_crls {
        crls_due::mark(change, serial, now).await?;
    }
    outbox::mark_certificate(change, serial).await
}

/// Writes a certificate's state, and what a CRL says of it.
pub(super) async fn store(
    change: &mut Change,
    serial: &SerialNumber,
    certificate: &Certificate,
) -> Result<(), RegistryError> {
    sqlx::query("UPDATE certificates SET state = $1, snapshot = $2 WHERE serial = $3")
        .bind(certificate.state().name())
        .bind(rows::snapshot_text(certificate)?)
        .bind(serial.as_bytes().to_vec())
        .execute(change.connection())
        .await?;
    let (since, standing, invalid_since) = match certificate.state() {
        CertificateState::Revoked { since, reason, invalid_since } => {
            (*since, Standing::Revoked(*reason), *invalid_since)
        }
        CertificateState::OnHold { since, .. } => (*since, Standing::OnHold, None),
        _ => {
            sqlx::query("DELETE FROM revocations WHERE serial = $1")
                .bind(serial.as_bytes().to_vec())
                .execute(change.connection())
                .await?;
            return Ok(());
        }
    };
    sqlx::query(
        "INSERT INTO revocations (serial, authority, generation, revoked_at, reason, invalid_since) \
         SELECT serial, authority, generation, $1, $2, $3 FROM certificates WHERE serial = $4 \
         ON CONFLICT (serial) DO UPDATE SET reason = excluded.reason, invalid_since = excluded.invalid_since",
    )
    .bind(time_text(since))
    .bind(standing.as_str())
    .bind(invalid_since.map(time_text))
    .bind(serial.as_bytes().to_vec())
    .execute(change.connection())
    .await?;
    Ok(())
}

async fn load(change: &mut Change, serial: &SerialNumber) -> Result<Option<Certificate>, RegistryError> {
    let row = sqlx::query("SELECT snapshot FROM certificates WHERE serial = $1")
        .bind(serial.as_bytes().to_vec())
        .fetch_optional(change.connection())
        .await?;
    row.as_ref().map(rows::snapshot).transpose()
}

async fn newest_revocation(
    change: &mut Change,
    holder: CardholderId,
) -> Result<Option<(Timestamp, RevocationReason)>, RegistryError> {
    let row = sqlx::query(
        "SELECT revocations.serial AS serial, revoked_at, reason, invalid_since FROM revocations \
         JOIN certificates ON certificates.serial = revocations.serial WHERE holder = $1 ORDER BY revoked_at DESC LIMIT 1",
    )
    .bind(holder.0)
    .fetch_optional(change.connection())
    .await?;
    let revoked = row.as_ref().map(revoked_certificate).transpose()?;
    Ok(revoked.and_then(|revoked| match revoked.standing {
        Standing::Revoked(reason) => Some((revoked.revoked_at, reason)),
        Standing::OnHold => None,
    }))
}
