//! What ends soon.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::database::Registry;
use super::error::RegistryError;
use super::records::CertificateRecord;
use super::rows::{self, time_text};
use crate::domain::{CardId, CardholderId, RequestId};

/// A card whose certificates end soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// Whose card.
    pub holder: CardholderId,
    /// Which.
    pub card: CardId,
    /// When the first of its certificates ends.
    pub not_after: Timestamp,
    /// The renewal that is asked for already.
    pub renewal: Option<RequestId>,
    /// Whether the holder left: nothing is renewed, the card is to be ended.
    pub has_left: bool,
}

impl Registry {
    /// Cards in use with a certificate that ends by `until` or has ended, and no newer one of that key, the first to end first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn expiring_cards(&self, until: Timestamp) -> Result<Vec<Expiring>, RegistryError> {
        let statement =
            format!("{EXPIRING} GROUP BY certificates.holder, cards.id ORDER BY min(not_after), cards.id");
        let query = sqlx::query(AssertSqlSafe(statement)).bind(time_text(until));
        query.fetch_all(&self.pool).await?.iter().map(expiring).collect()
    }

    /// The same of one card, whatever else the registry holds; `None` where nothing of it ends by then.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn expiring_card(
        &self,
        card: CardId,
        until: Timestamp,
    ) -> Result<Option<Expiring>, RegistryError> {
        let statement =
            format!("{EXPIRING} AND certificates.card = $2 GROUP BY certificates.holder, cards.id");
        let query = sqlx::query(AssertSqlSafe(statement)).bind(time_text(until)).bind(card.0);
        query.fetch_optional(&self.pool).await?.as_ref().map(expiring).transpose()
    }

    /// Certificates of servers, services and authorities that end between two times; of those that ended before `now` the
    /// ones that nothing newer of the same name and purpose took the place of.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn expiring_certificates(
        &self,
        since: Timestamp,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<CertificateRecord>, RegistryError> {
        let rows = sqlx::query(
            "SELECT serial, authority, profile, subject, mail, holder, card, attempt, card_key, not_before, not_after, certificate, snapshot \
             FROM certificates WHERE holder IS NULL AND not_after >= $1 AND not_after <= $3 AND state IN ('signed', 'delivered') \
             AND (not_after >= $2 OR NOT EXISTS (SELECT 1 FROM certificates newer WHERE newer.authority = certificates.authority \
                 AND newer.profile = certificates.profile AND newer.subject = certificates.subject \
                 AND newer.not_after > certificates.not_after AND newer.state IN ('signed', 'delivered'))) \
             ORDER BY not_after, serial",
        )
        .bind(time_text(since))
        .bind(time_text(now))
        .bind(time_text(until))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(rows::certificate).collect()
    }
}

/// Certificates of cards in use that end by `$1` and have no newer one.
const EXPIRING: &str = "SELECT certificates.holder AS holder, cards.id AS card, min(not_after) AS not_after, min(requests.id) AS renewal, \
    max(people.left_at) AS left_at \
    FROM certificates JOIN cards ON cards.id = certificates.card AND cards.live = 1 \
    JOIN people ON people.id = certificates.holder \
    LEFT JOIN requests ON requests.holder = certificates.holder AND requests.pending = 1 AND requests.kind = 'renewal' \
    WHERE not_after <= $1 AND certificates.state IN ('signed', 'delivered', 'on hold') \
    AND NOT EXISTS (SELECT 1 FROM certificates newer WHERE newer.card = certificates.card \
        AND newer.card_key = certificates.card_key AND newer.attempt = certificates.attempt \
        AND newer.not_after > certificates.not_after AND newer.state IN ('delivered', 'on hold'))";

fn expiring(row: &AnyRow) -> Result<Expiring, RegistryError> {
    Ok(Expiring {
        has_left: row.try_get::<Option<String>, _>("left_at")?.is_some(),
        holder: CardholderId(row.try_get("holder")?),
        card: CardId(row.try_get("card")?),
        not_after: rows::time(row, "not_after")?,
        renewal: row.try_get::<Option<i64>, _>("renewal")?.map(RequestId),
    })
}
