//! PUKs that left the desk, and those that certainly are the cards': remote unblocks.

use jiff::Timestamp;
use sqlx::Row;

use super::cards::{load, record};
use super::database::{Change, Registry};
use super::error::RegistryError;
use super::records::CardRecord;
use super::rows::{self, time_text};
use crate::domain::{Card, CardCommand, CardId, CardState, Guid, Usability};

/// The identifier of a request: its nonce.
pub type RequestNonce = [u8; 16];

impl Registry {
    /// Records, before it is done, that the PUK and its successor are given to the holder's program in answer to a
    /// request; answers the versions that the card may have now, the likeliest first, and the one that takes their place.
    ///
    /// # Errors
    /// [`RegistryError::AnsweredBefore`]; [`RegistryError::CardRefused`].
    pub async fn reveal_puk(
        &self,
        card: CardId,
        nonce: &RequestNonce,
        identity_check: &str,
        now: Timestamp,
    ) -> Result<(Vec<u32>, u32), RegistryError> {
        self.change(async |change| {
            let before = load(change, card).await?;
            let event = before.decide_to_reveal_puk(identity_check, rows::whole_seconds(now))?;
            let (candidates, next) = (before.puk().candidates(), before.puk().next());
            let inserted = sqlx::query(
                "INSERT INTO remote_unblocks (nonce, card, puk_version, answered_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (nonce) DO NOTHING",
            )
            .bind(nonce.to_vec())
            .bind(card.0)
            .bind(i64::from(next))
            .bind(time_text(now))
            .execute(change.connection())
            .await?;
            if inserted.rows_affected() == 0 {
                return Err(RegistryError::AnsweredBefore);
            }
            record(change, card, before, event, now).await?;
            Ok((candidates, next))
        })
        .await
    }

    /// The card that was given this GUID.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn card_with_guid(&self, guid: Guid) -> Result<Option<CardRecord>, RegistryError> {
        let row = sqlx::query(
            "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards WHERE guid = $1",
        )
        .bind(guid.as_bytes().to_vec())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(rows::card).transpose()
    }

    /// The card and the PUK version of a request that was answered.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn answered_unblock(
        &self,
        nonce: &RequestNonce,
    ) -> Result<Option<(CardId, u32)>, RegistryError> {
        let row = sqlx::query("SELECT card, puk_version FROM remote_unblocks WHERE nonce = $1")
            .bind(nonce.to_vec())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok((CardId(row.try_get("card")?), rows::number(&row, "puk_version")?))).transpose()
    }

    /// Records the holder's confirmation: the card has the PUK of the answer, and a PIN that its holder chose.
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`]: a later PUK took that one's place, or the card came to an end.
    pub async fn confirm_unblock(&self, nonce: &RequestNonce, now: Timestamp) -> Result<Card, RegistryError> {
        let Some((card, version)) = self.answered_unblock(nonce).await? else {
            return Err(RegistryError::NotAnswered);
        };
        self.change(async |change| {
            sqlx::query(
                "UPDATE remote_unblocks SET confirmed_at = $1 WHERE nonce = $2 AND confirmed_at IS NULL",
            )
            .bind(time_text(now))
            .bind(nonce.to_vec())
            .execute(change.connection())
            .await?;
            let card_now = puk_is(change, card, version, now).await?;
            pin_is_set(change, card, card_now, now).await
        })
        .await
    }

    /// Records that the card certainly has the PUK of this version.
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`].
    pub async fn record_puk(
        &self,
        card: CardId,
        version: u32,
        now: Timestamp,
    ) -> Result<Card, RegistryError> {
        self.change(async |change| puk_is(change, card, version, now).await).await
    }
}

async fn puk_is(
    change: &mut Change,
    card: CardId,
    version: u32,
    now: Timestamp,
) -> Result<Card, RegistryError> {
    let before = load(change, card).await?;
    if before.puk().candidates() == [version] && before.puk().exposed_since().is_none() {
        return Ok(before);
    }
    let event = before.decide_puk_rotated(version, rows::whole_seconds(now))?;
    record(change, card, before, event, now).await
}

/// A card with a blocked PIN has one again that works.
async fn pin_is_set(
    change: &mut Change,
    id: CardId,
    card: Card,
    now: Timestamp,
) -> Result<Card, RegistryError> {
    match card.state() {
        CardState::Issued { usability: Usability::PinBlocked, .. } => {
            super::cards::execute(change, id, CardCommand::UnblockPin, None, now).await
        }
        CardState::Issued { usability: Usability::AwaitingActivation, .. } => {
            super::cards::execute(change, id, CardCommand::Activate, None, now).await
        }
        _ => Ok(card),
    }
}
