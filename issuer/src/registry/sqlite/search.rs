//! Search in the registry.

use sqlx::Row;

use super::Registry;
use super::certificates::load;
use crate::domain::{CardId, Guid, SerialNumber};
use crate::registry::error::RegistryError;
use crate::registry::records::{CardRecord, CertificateRecord, SearchHits};
use crate::registry::rows;

/// The most rows of a kind that a search shows.
const LIMIT: usize = 200;

impl Registry {
    /// Finds people by a part of their name, mail address or staff identifier, cards by serial number or GUID, and
    /// certificates by serial number (the beginning is enough) or a part of the subject; with people come their cards and
    /// certificates.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn search(&self, text: &str) -> Result<SearchHits, RegistryError> {
        let mut hits = SearchHits::default();
        let contains = format!("%{}%", escaped(text));
        let people = sqlx::query(
            "SELECT id, name, mail, staff_id FROM people \
             WHERE name LIKE ?1 ESCAPE '\\' OR mail LIKE ?1 ESCAPE '\\' OR staff_id LIKE ?1 ESCAPE '\\' ORDER BY name, id LIMIT ?2",
        )
        .bind(&contains)
        .bind(limit())
        .fetch_all(&self.pool)
        .await?;
        hits.people = people.iter().map(rows::cardholder).collect::<Result<_, _>>()?;
        hits.cards = self.search_cards(text, &contains).await?;
        self.add_ended_cards(&mut hits).await?;
        hits.certificates = self.search_certificates(text, &contains).await?;
        for length in [hits.people.len(), hits.cards.len(), hits.certificates.len()] {
            hits.more |= length > LIMIT;
        }
        hits.people.truncate(LIMIT);
        hits.cards.truncate(LIMIT);
        hits.certificates.truncate(LIMIT);
        Ok(hits)
    }

    async fn search_cards(&self, text: &str, contains: &str) -> Result<Vec<CardRecord>, RegistryError> {
        let guid = Guid::from_hex(text);
        let guid = guid.as_ref().map(|guid| guid.as_bytes().as_slice());
        let rows = sqlx::query(
            "SELECT cards.id AS id FROM cards LEFT JOIN people ON people.id = cards.holder \
             WHERE vendor_serial = ?1 OR stock_guid = ?2 OR guid = ?2 \
             OR name LIKE ?3 ESCAPE '\\' OR mail LIKE ?3 ESCAPE '\\' OR staff_id LIKE ?3 ESCAPE '\\' ORDER BY cards.id LIMIT ?4",
        )
        .bind(text.parse::<u32>().ok())
        .bind(guid)
        .bind(contains)
        .bind(limit())
        .fetch_all(&self.pool)
        .await?;
        let mut cards = Vec::new();
        for row in rows {
            cards.push(self.card(CardId(row.try_get("id")?)).await?);
        }
        Ok(cards)
    }

    /// The cards that the people found once had: their rows name nobody any more, their events do.
    async fn add_ended_cards(&self, hits: &mut SearchHits) -> Result<(), RegistryError> {
        if hits.people.is_empty() {
            return Ok(());
        }
        for record in self.cards().await? {
            let holder = record.card.state().holder();
            let is_theirs = hits.people.iter().any(|person| Some(person.id) == holder);
            if is_theirs && !hits.cards.iter().any(|card| card.id == record.id) {
                hits.cards.push(record);
            }
        }
        hits.cards.sort_by_key(|card| card.id);
        Ok(())
    }

    async fn search_certificates(
        &self,
        text: &str,
        contains: &str,
    ) -> Result<Vec<CertificateRecord>, RegistryError> {
        let digits: String = text.chars().filter(|character| *character != ':').collect();
        let is_serial = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let begins = is_serial.then(|| format!("{}%", digits.to_ascii_uppercase()));
        let found = sqlx::query(
            "SELECT serial, authority, profile, subject, certificates.mail AS mail, holder, card_key, not_before, not_after, certificate \
             FROM certificates LEFT JOIN people ON people.id = certificates.holder \
             WHERE hex(serial) LIKE ?1 OR subject LIKE ?2 ESCAPE '\\' OR name LIKE ?2 ESCAPE '\\' OR people.mail LIKE ?2 ESCAPE '\\' OR certificates.mail LIKE ?2 ESCAPE '\\' \
             OR staff_id LIKE ?2 ESCAPE '\\' ORDER BY not_before DESC, holder, card_key LIMIT ?3",
        )
        .bind(begins)
        .bind(contains)
        .bind(limit())
        .fetch_all(&self.pool)
        .await?;
        let mut certificates = Vec::new();
        let mut transaction = self.pool.begin().await?;
        for row in found {
            let serial: SerialNumber = rows::serial(&row)?;
            let state = load(&mut transaction, &serial).await?;
            certificates.push(rows::certificate(&row, state)?);
        }
        Ok(certificates)
    }
}

fn limit() -> i64 {
    i64::try_from(LIMIT).unwrap_or(i64::MAX).saturating_add(1)
}

/// A text that LIKE takes literally.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
