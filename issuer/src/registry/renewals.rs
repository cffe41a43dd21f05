//! Certificates that take the place of others on a card that somebody has.

use jiff::Timestamp;

use super::cards::{load as load_card, record as record_card};
use super::certificates::{confirm, reserve, revoke_if_not};
use super::database::{Change, Registry};
use super::error::RegistryError;
use super::operations::{Operation, end, refuse_overtaken};
use super::operators::follow_renewal;
use super::records::{CertificateRecord, NewCertificate};
use super::requests::fulfil_renewal;
use super::rows;
use crate::domain::{
    CardEvent, CardId, CardRefusal, CardState, CardholderId, RevocationReason, SerialNumber,
};

impl Registry {
    /// Stores the exact bytes to be signed for a card that its holder has; only then may they be signed.
    ///
    /// # Errors
    /// The serial number is taken, the renewal is in other hands, or the card is no longer in use.
    pub async fn reserve_renewal(
        &self,
        of: &Operation,
        new: &NewCertificate,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            refuse_out_of_use(change, of).await?;
            reserve(change, new, now).await
        })
        .await
    }

    /// Records that such a certificate is on its card, as long as the card is in use.
    ///
    /// # Errors
    /// The renewal is in other hands, or the card is no longer in use.
    pub async fn deliver_renewal(
        &self,
        of: &Operation,
        serial: &SerialNumber,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            refuse_out_of_use(change, of).await?;
            confirm(change, serial, now).await
        })
        .await
    }

    /// Revokes, as superseded, what a renewal certified that never reached the card.
    ///
    /// # Errors
    /// [`RegistryError::OperationOvertaken`].
    pub async fn revoke_undelivered(
        &self,
        of: &Operation,
        now: Timestamp,
    ) -> Result<Vec<SerialNumber>, RegistryError> {
        self.change(async |change| {
            refuse_overtaken(change, of).await?;
            let rows = sqlx::query(
                "SELECT serial FROM certificates WHERE card = $1 AND state IN ('to be signed', 'signed') ORDER BY serial",
            )
            .bind(of.card.0)
            .fetch_all(change.connection())
            .await?;
            let serials = rows.iter().map(rows::serial).collect::<Result<Vec<_>, _>>()?;
            for serial in &serials {
                revoke_if_not(change, serial, RevocationReason::Superseded, now).await?;
            }
            Ok(serials)
        })
        .await
    }

    /// Revokes one certificate unless it is revoked already. Whose role it carried has it by the new one.
    ///
    /// # Errors
    /// [`RegistryError::OperationOvertaken`].
    pub async fn supersede(
        &self,
        of: &Operation,
        serial: &SerialNumber,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            refuse_overtaken(change, of).await?;
            follow_renewal(change, of.card, now).await?;
            revoke_if_not(change, serial, RevocationReason::Superseded, now).await
        })
        .await
    }

    /// Ends a renewal, of the keys too or not, and the request for it; `profile` is the name of the one by which it was, which
    /// counts for the card from then on.
    ///
    /// # Errors
    /// [`RegistryError::OperationOvertaken`].
    pub async fn end_renewal(
        &self,
        of: &Operation,
        holder: CardholderId,
        (new_keys, profile): (bool, Option<&str>),
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            refuse_overtaken(change, of).await?;
            follow_renewal(change, of.card, now).await?;
            end(change, of, now).await?;
            let card = load_card(change, of.card).await?;
            // Of a card that came to an end meanwhile nothing more is told.
            if let Ok(event) = card.decide_renewed(new_keys, rows::whole_seconds(now)) {
                let card = record_card(change, of.card, card, event, now).await?;
                if profile.is_some() && card.profile() != profile {
                    let at = rows::whole_seconds(now);
                    let event = CardEvent::ProfileChosen { at, profile: profile.map(str::to_owned) };
                    record_card(change, of.card, card, event, now).await?;
                }
            }
            fulfil_renewal(change, holder, of.card, now).await
        })
        .await
    }

    /// Every certificate that was signed for a card, the oldest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn certificates_of_card(&self, card: CardId) -> Result<Vec<CertificateRecord>, RegistryError> {
        let rows = sqlx::query(
            "SELECT serial, authority, profile, subject, mail, holder, card, attempt, card_key, not_before, not_after, certificate, snapshot \
             FROM certificates WHERE card = $1 AND certificate IS NOT NULL ORDER BY not_before, card_key, serial",
        )
        .bind(card.0)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(rows::certificate).collect()
    }
}

async fn refuse_out_of_use(change: &mut Change, of: &Operation) -> Result<(), RegistryError> {
    refuse_overtaken(change, of).await?;
    let card = load_card(change, of.card).await?;
    match card.state() {
        CardState::Issued { .. } => Ok(()),
        state => Err(CardRefusal::NotIssued(state.name()).into()),
    }
}
