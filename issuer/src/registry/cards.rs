//! Cards in the registry: stock, life cycle, sealed secrets.

use jiff::Timestamp;
use sqlx::Row;

use super::certificates::follow_card;
use super::database::{Change, Registry};
use super::error::RegistryError;
use super::outbox;
use super::records::{CardRecord, NewStockCard, PresentedIdentity};
use super::requests::fulfil_for_card;
use super::rows::{self, time_text, whole_seconds};
use crate::domain::{
    Card, CardCommand, CardEvent, CardId, CardState, CardholderId, PersonRefusal, ReceivedCard,
    StockIdentity, Subject,
};

/// The present version of the derivation of a card's secrets.
const SECRETS_VERSION: i64 = 1;

impl Registry {
    /// Takes a blank card into stock; one that was set aside as unusable is taken in again.
    ///
    /// # Errors
    /// [`RegistryError::CardTaken`].
    pub async fn add_card(&self, card: &NewStockCard, now: Timestamp) -> Result<CardId, RegistryError> {
        self.change(async |change| {
            let (serial, guid) = match &card.identity {
                StockIdentity::VendorSerial(serial) => (Some(i64::from(*serial)), None),
                StockIdentity::Guid(guid) => (None, Some(guid.as_bytes().to_vec())),
            };
            let taken =
                sqlx::query("SELECT id FROM cards WHERE vendor_serial = $1 OR stock_guid = $2 OR guid = $2")
                    .bind(serial)
                    .bind(guid.clone())
                    .fetch_optional(change.connection())
                    .await?;
            let id = match taken {
                Some(row) => {
                    let id = CardId(row.try_get("id")?);
                    if !matches!(load(change, id).await?.state(), CardState::Unusable { .. }) {
                        return Err(RegistryError::CardTaken(card.identity));
                    }
                    set_sealed_secrets(change, id, card.sealed_secrets.as_deref()).await?;
                    id
                }
                None => insert(change, serial, guid, card.sealed_secrets.as_deref()).await?,
            };
            execute(change, id, CardCommand::Receive, None, now).await?;
            Ok(id)
        })
        .await
    }

    /// Every card, in the order of arrival.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn cards(&self) -> Result<Vec<CardRecord>, RegistryError> {
        let rows = sqlx::query(
            "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(rows::card).collect()
    }

    /// The card with this number.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCard`].
    pub async fn card(&self, id: CardId) -> Result<CardRecord, RegistryError> {
        let row = sqlx::query(
            "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards WHERE id = $1",
        )
        .bind(id.0)
        .fetch_optional(&self.pool)
        .await?;
        rows::card(&row.ok_or(RegistryError::UnknownCard(id))?)
    }

    /// The record of a card that shows itself: by its serial number, else by the GUID it came with or was given.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn card_presented(
        &self,
        identity: PresentedIdentity,
    ) -> Result<Option<CardRecord>, RegistryError> {
        let guid = identity.guid.map(|guid| guid.as_bytes().to_vec());
        let query = match identity.vendor_serial {
            Some(serial) => sqlx::query(
                "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards WHERE vendor_serial = $1",
            )
            .bind(i64::from(serial)),
            None => sqlx::query(
                "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards \
                 WHERE vendor_serial IS NULL AND (stock_guid = $1 OR guid = $1)",
            )
            .bind(guid),
        };
        query.fetch_optional(&self.pool).await?.as_ref().map(rows::card).transpose()
    }

    /// The card that a person is about to get, or else has.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn card_of(&self, holder: CardholderId) -> Result<Option<CardRecord>, RegistryError> {
        let row = sqlx::query(
            "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards \
             WHERE holder = $1 AND live > 0 ORDER BY live DESC",
        )
        .bind(holder.0)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(rows::card).transpose()
    }

    /// Every card that a person has or had, the newest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn cards_of(&self, holder: CardholderId) -> Result<Vec<CardRecord>, RegistryError> {
        let rows = sqlx::query(
            "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards \
             WHERE holder = $1 ORDER BY live DESC, since DESC, id DESC",
        )
        .bind(holder.0)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(rows::card).collect()
    }

    /// Carries a command out, or refuses it. What it means for the card's certificates and for requests is done in the
    /// same transaction.
    ///
    /// # Errors
    /// [`RegistryError::CardRefused`], [`RegistryError::HasCard`], [`RegistryError::PersonRefused`].
    pub async fn command_card(
        &self,
        id: CardId,
        command: CardCommand,
        now: Timestamp,
    ) -> Result<Card, RegistryError> {
        self.command_card_since(id, command, None, now).await
    }

    /// Likewise, where it is known since when the keys were not their holder's alone.
    ///
    /// # Errors
    /// As [`Self::command_card`], or an invalidity date in the future.
    pub async fn command_card_since(
        &self,
        id: CardId,
        command: CardCommand,
        invalid_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Card, RegistryError> {
        self.change(async |change| {
            let card = execute(change, id, command, invalid_since, now).await?;
            Ok(card)
        })
        .await
    }

    /// The manufacturer's secrets, sealed.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCard`].
    pub async fn sealed_secrets(&self, id: CardId) -> Result<Option<Vec<u8>>, RegistryError> {
        let row = sqlx::query("SELECT sealed_secrets FROM cards WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await?
            .ok_or(RegistryError::UnknownCard(id))?;
        Ok(row.try_get("sealed_secrets")?)
    }

    /// Puts other sealed secrets in the place of the manufacturer's, once those are no longer the card's.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCard`].
    pub async fn replace_sealed_secrets(
        &self,
        id: CardId,
        sealed: Option<&[u8]>,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            set_sealed_secrets(change, id, sealed).await?;
            Ok(())
        })
        .await
    }
}

async fn insert(
    change: &mut Change,
    serial: Option<i64>,
    guid: Option<Vec<u8>>,
    sealed: Option<&[u8]>,
) -> Result<CardId, RegistryError> {
    let row = sqlx::query(
        "INSERT INTO cards (vendor_serial, stock_guid, guid, holder, secrets_version, sealed_secrets, state, since, live, snapshot) \
         VALUES ($1, $2, NULL, NULL, $3, $4, 'unknown', '', 0, $5) RETURNING id",
    )
    .bind(serial)
    .bind(guid)
    .bind(SECRETS_VERSION)
    .bind(sealed.map(<[u8]>::to_vec))
    .bind(rows::snapshot_text(&Card::default())?)
    .fetch_one(change.connection())
    .await?;
    Ok(CardId(row.try_get("id")?))
}

pub(super) async fn set_sealed_secrets(
    change: &mut Change,
    id: CardId,
    sealed: Option<&[u8]>,
) -> Result<(), RegistryError> {
    let updated = sqlx::query("UPDATE cards SET sealed_secrets = $1 WHERE id = $2")
        .bind(sealed.map(<[u8]>::to_vec))
        .bind(id.0)
        .execute(change.connection())
        .await?;
    if updated.rows_affected() == 1 { Ok(()) } else { Err(RegistryError::UnknownCard(id)) }
}

/// Judges and records a command within a change.
pub(super) async fn execute(
    change: &mut Change,
    id: CardId,
    command: CardCommand,
    invalid_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Card, RegistryError> {
    let card = load(change, id).await?;
    let event = card.decide(command, whole_seconds(now))?;
    if let CardEvent::PersonalisationBegun { holder, .. } = &event {
        refuse_second_card(change, *holder, id).await?;
        refuse_who_left(change, *holder).await?;
    }
    let event = match event {
        event @ CardEvent::CardReceived { .. } => event.of_received(received(change, id).await?),
        event => event,
    };
    change.record(Subject::Card(id), &event, now).await?;
    if let Some(consequence) = event.consequence() {
        follow_card(change, id, consequence, invalid_since, now).await?;
    }
    let card = card.apply(event);
    store(change, id, &card).await?;
    outbox::mark_card(change, id).await?;
    if let (CardCommand::CompletePersonalisation { .. }, Some(holder)) = (command, card.state().holder()) {
        fulfil_for_card(change, holder, id, now).await?;
    }
    Ok(card)
}

/// Records what happened to a card that was judged already within the same change.
pub(super) async fn record(
    change: &mut Change,
    id: CardId,
    before: Card,
    event: CardEvent,
    now: Timestamp,
) -> Result<Card, RegistryError> {
    change.record(Subject::Card(id), &event, now).await?;
    let card = before.apply(event);
    store(change, id, &card).await?;
    Ok(card)
}

/// What the log keeps of a card that is taken into stock.
async fn received(change: &mut Change, id: CardId) -> Result<ReceivedCard, RegistryError> {
    let row = sqlx::query("SELECT vendor_serial, stock_guid, secrets_version FROM cards WHERE id = $1")
        .bind(id.0)
        .fetch_one(change.connection())
        .await?;
    let (vendor_serial, guid) = match rows::stock_identity(&row)? {
        StockIdentity::VendorSerial(serial) => (Some(serial), None),
        StockIdentity::Guid(guid) => (None, Some(guid)),
    };
    Ok(ReceivedCard { vendor_serial, guid, secrets_version: rows::number(&row, "secrets_version")? })
}

/// Writes a card's state and what it is found by.
pub(super) async fn store(change: &mut Change, id: CardId, card: &Card) -> Result<(), RegistryError> {
    let state = card.state();
    sqlx::query(
        "UPDATE cards SET guid = $1, holder = $2, state = $3, since = $4, live = $5, snapshot = $6 WHERE id = $7",
    )
    .bind(card.guid().map(|guid| guid.as_bytes().to_vec()))
    .bind(state.holder().map(|holder| holder.0))
    .bind(state.name())
    .bind(state.since().map(time_text).unwrap_or_default())
    .bind(live(state))
    .bind(rows::snapshot_text(card)?)
    .bind(id.0)
    .execute(change.connection())
    .await?;
    Ok(())
}

/// 1 while somebody has it, 2 while it is being made for somebody.
pub(super) fn live(state: &CardState) -> i64 {
    match state {
        CardState::BeingPersonalised { .. } => 2,
        state if state.is_live() => 1,
        _ => 0,
    }
}

async fn refuse_second_card(
    change: &mut Change,
    holder: CardholderId,
    but: CardId,
) -> Result<(), RegistryError> {
    let other = sqlx::query("SELECT id FROM cards WHERE holder = $1 AND live > 0 AND id <> $2")
        .bind(holder.0)
        .bind(but.0)
        .fetch_optional(change.connection())
        .await?;
    match other {
        Some(row) => Err(RegistryError::HasCard { card: CardId(row.try_get("id")?) }),
        None => Ok(()),
    }
}

/// Nothing new is made for who left.
pub(super) async fn refuse_who_left(change: &mut Change, holder: CardholderId) -> Result<(), RegistryError> {
    let row = sqlx::query("SELECT left_at FROM people WHERE id = $1")
        .bind(holder.0)
        .fetch_optional(change.connection())
        .await?
        .ok_or(RegistryError::UnknownPerson(holder))?;
    match rows::optional_time(&row, "left_at")? {
        Some(since) => Err(PersonRefusal::HasLeft(since).into()),
        None => Ok(()),
    }
}

pub(super) async fn load(change: &mut Change, id: CardId) -> Result<Card, RegistryError> {
    let row = sqlx::query("SELECT snapshot FROM cards WHERE id = $1")
        .bind(id.0)
        .fetch_optional(change.connection())
        .await?;
    rows::snapshot(&row.ok_or(RegistryError::UnknownCard(id))?)
}
