//! Everything of a kind, a page at a time: a report of a million rows needs no more memory than one of ten.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::database::Registry;
use super::error::RegistryError;
use super::records::{CardRecord, CertificateRecord};
use super::rows::{self, PERSON};
use crate::domain::Cardholder;

/// Some rows, and where the next page begins.
#[derive(Clone, Debug)]
pub struct Page<T, K> {
    /// The rows.
    pub rows: Vec<T>,
    /// The last row's key; nothing follows an empty page.
    pub last: Option<K>,
}

/// The rows of a page.
const ROWS: i64 = 500;

impl Registry {
    /// Cards after the one numbered `after`, in one state or in all.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn cards_page(
        &self,
        after: i64,
        state: Option<&str>,
    ) -> Result<Page<CardRecord, i64>, RegistryError> {
        let filter = if state.is_some() { "state = $3 AND" } else { "" };
        let statement = format!(
            "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards WHERE {filter} id > $1 ORDER BY id LIMIT $2"
        );
        let mut query = sqlx::query(AssertSqlSafe(statement)).bind(after).bind(ROWS);
        if let Some(state) = state {
            query = query.bind(state.to_owned());
        }
        let rows = query.fetch_all(&self.pool).await?;
        page(&rows, rows::card, |card| card.id.0)
    }

    /// People after the one numbered `after`.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn people_page(&self, after: i64) -> Result<Page<Cardholder, i64>, RegistryError> {
        let statement = format!("SELECT {PERSON} FROM people WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(after).bind(ROWS).fetch_all(&self.pool).await?;
        page(&rows, rows::cardholder, |person| person.id.0)
    }

    /// Certificates after the one with the serial number `after`, in one state or in all.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn certificates_page(
        &self,
        after: &[u8],
        state: Option<&str>,
    ) -> Result<Page<CertificateRecord, Vec<u8>>, RegistryError> {
        let filter = if state.is_some() { "state = $3 AND" } else { "" };
        let statement = format!(
            "SELECT serial, authority, profile, subject, mail, holder, card, attempt, card_key, not_before, not_after, certificate, snapshot \
             FROM certificates WHERE {filter} serial > $1 ORDER BY serial LIMIT $2"
        );
        let mut query = sqlx::query(AssertSqlSafe(statement)).bind(after.to_vec()).bind(ROWS);
        if let Some(state) = state {
            query = query.bind(state.to_owned());
        }
        let rows = query.fetch_all(&self.pool).await?;
        page(&rows, rows::certificate, |certificate| certificate.serial.as_bytes().to_vec())
    }

    /// How many cards are in each state.
    ///
    /// # Errors
    /// The database.
    pub async fn card_counts(&self) -> Result<Vec<(String, u64)>, RegistryError> {
        let rows = sqlx::query("SELECT state, count(*) AS cards FROM cards GROUP BY state ORDER BY state")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((row.try_get("state")?, rows::number(row, "cards")?))).collect()
    }

    /// People who left, or whose last day is before `today`, and who still have a card.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn leavers_with_cards(
        &self,
        today: jiff::civil::Date,
    ) -> Result<Vec<Cardholder>, RegistryError> {
        let statement = format!(
            "SELECT {PERSON} FROM people WHERE (left_at IS NOT NULL OR employed_until < $1) AND ( \
             EXISTS (SELECT 1 FROM cards WHERE cards.holder = people.id AND cards.live > 0) OR \
             EXISTS (SELECT 1 FROM requests WHERE requests.holder = people.id AND requests.pending = 1 \
             AND requests.kind = 'revocation')) ORDER BY name, id"
        );
        let rows =
            sqlx::query(AssertSqlSafe(statement)).bind(today.to_string()).fetch_all(&self.pool).await?;
        rows.iter().map(rows::cardholder).collect()
    }
}

fn page<T, K>(
    rows: &[AnyRow],
    read: impl Fn(&AnyRow) -> Result<T, RegistryError>,
    key: impl Fn(&T) -> K,
) -> Result<Page<T, K>, RegistryError> {
    let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let last = rows.last().map(key);
    Ok(Page { rows, last })
}
