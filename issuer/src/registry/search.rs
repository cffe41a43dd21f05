//! Search in the registry: by beginnings, from an index; by a part, from another.
//!
//! A beginning of a name, of a later word of it, of a mail address, an identifier, a serial number or a GUID is looked up
//! as a range of an ordered index. Only when nothing begins so, or when that is asked for, a part in the middle is looked
//! for: three characters or more by trigrams, fewer by reading every name.

use std::collections::{HashMap, HashSet};

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::database::{Kind, Registry};
use super::error::RegistryError;
use super::records::{CardRecord, CertificateRecord, SearchHits};
use super::rows::{self, PERSON};
use crate::domain::unicode::search_key;
use crate::domain::{Cardholder, CardholderId};

/// The most rows of a kind that a search shows.
pub(super) const LIMIT: usize = 100;

/// How a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchFor {
    /// What begins so; what has it in the middle if nothing does.
    Beginnings,
    /// What has it anywhere.
    Parts,
}

impl Registry {
    /// Finds people by name, mail address or staff identifier, cards by serial number or GUID, certificates by serial
    /// number or, where they are nobody's, by a part of the subject; with people come their cards and certificates.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn search(&self, text: &str, how: SearchFor) -> Result<SearchHits, RegistryError> {
        let key = search_key(text);
        let mut hits = SearchHits {
            people: self.people_beginning(&key).await?,
            cards: self.cards_beginning(text).await?,
            certificates: self.certificates_beginning(text).await?,
            more: false,
        };
        let is_empty = hits.people.is_empty() && hits.cards.is_empty() && hits.certificates.is_empty();
        if is_empty || how == SearchFor::Parts {
            add(&mut hits.people, self.people_with_part(&key).await?, |person| person.id);
        }
        let nobodys = self.certificates_of_nobody(&key).await?;
        add(&mut hits.certificates, nobodys, |certificate| certificate.serial.clone());
        hits.more = hits.people.len() > LIMIT;
        hits.people.truncate(LIMIT);
        let ids: Vec<_> = hits.people.iter().map(|person| person.id).collect();
        add(&mut hits.cards, self.cards_of_all(&ids).await?, |card| card.id);
        let theirs = self.certificates_of_all(&ids).await?;
        add(&mut hits.certificates, theirs, |certificate| certificate.serial.clone());
        hits.more |= hits.cards.len() > 2 * LIMIT || hits.certificates.len() > 8 * LIMIT;
        hits.cards.truncate(2 * LIMIT);
        hits.cards.sort_by_key(|card| card.id);
        hits.certificates.truncate(8 * LIMIT);
        Ok(hits)
    }

    /// People by their numbers.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn people_numbered(
        &self,
        ids: impl IntoIterator<Item = CardholderId>,
    ) -> Result<HashMap<CardholderId, Cardholder>, RegistryError> {
        let Some(list) = list(ids) else { return Ok(HashMap::new()) };
        let statement = format!("SELECT {PERSON} FROM people WHERE id IN ({list})");
        let rows = sqlx::query(AssertSqlSafe(statement)).persistent(false).fetch_all(&self.pool).await?;
        rows.iter().map(|row| rows::cardholder(row).map(|person| (person.id, person))).collect()
    }

    /// Every card of these people, the live and the newest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn cards_of_all(&self, holders: &[CardholderId]) -> Result<Vec<CardRecord>, RegistryError> {
        let Some(list) = list(holders.iter().copied()) else { return Ok(Vec::new()) };
        let statement = format!(
            "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards WHERE holder IN ({list}) \
             ORDER BY live DESC, since DESC, id DESC"
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).persistent(false).fetch_all(&self.pool).await?;
        rows.iter().map(rows::card).collect()
    }

    async fn certificates_of_all(
        &self,
        holders: &[CardholderId],
    ) -> Result<Vec<CertificateRecord>, RegistryError> {
        let Some(list) = list(holders.iter().copied()) else { return Ok(Vec::new()) };
        let statement = format!(
            "SELECT {CERTIFICATE} FROM certificates WHERE holder IN ({list}) ORDER BY not_before DESC, holder, card_key LIMIT $1"
        );
        let query = sqlx::query(AssertSqlSafe(statement)).persistent(false).bind(limit(8 * LIMIT));
        query.fetch_all(&self.pool).await?.iter().map(rows::certificate).collect()
    }

    /// Four ranges of four indexes, one statement each.
    async fn people_beginning(&self, key: &str) -> Result<Vec<Cardholder>, RegistryError> {
        let mut people = Vec::new();
        let end = format!("{key}\u{10FFFF}");
        for (table, column) in [
            ("people", "mail_key"),
            ("people", "staff_id_key"),
            ("people", "name_key"),
            ("people_words JOIN people ON people.id = person", "word"),
        ] {
            let statement = format!(
                "SELECT {PERSON} FROM {table} WHERE {column} >= $1 AND {column} < $2 ORDER BY {column} LIMIT $3"
            );
            let rows = sqlx::query(AssertSqlSafe(statement))
                .bind(key.to_owned())
                .bind(end.clone())
                .bind(limit(LIMIT))
                .fetch_all(&self.pool)
                .await?;
            let found = rows.iter().map(rows::cardholder).collect::<Result<Vec<_>, _>>()?;
            add(&mut people, found, |person: &Cardholder| person.id);
        }
        Ok(people)
    }

    async fn people_with_part(&self, key: &str) -> Result<Vec<Cardholder>, RegistryError> {
        let is_indexed = key.chars().count() >= 3;
        let (from, value) = match self.kind() {
            Kind::Sqlite if is_indexed => (
                "people_text JOIN people ON people.id = people_text.rowid WHERE people_text MATCH $1",
                // One phrase, in which only the quotation mark means something (SQLite FTS5 section 3.1).
                format!("\"{}\"", key.replace('"', "\"\"")),
            ),
            Kind::Sqlite => (
                "people WHERE name_key LIKE $1 ESCAPE '\\' OR mail_key LIKE $1 ESCAPE '\\' OR staff_id_key LIKE $1 ESCAPE '\\'",
                format!("%{}%", escaped(key)),
            ),
            #[cfg(feature = "postgres")]
            Kind::Postgres => (
                "people_text JOIN people ON people.id = people_text.person WHERE people_text.text LIKE $1 ESCAPE '\\'",
                format!("%{}%", escaped(key)),
            ),
        };
        let statement = format!("SELECT {PERSON} FROM {from} LIMIT $2");
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(value)
            .bind(limit(LIMIT))
            .fetch_all(&self.pool)
            .await?;
        let mut people = rows.iter().map(rows::cardholder).collect::<Result<Vec<_>, _>>()?;
        people.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        Ok(people)
    }

    async fn cards_beginning(&self, text: &str) -> Result<Vec<CardRecord>, RegistryError> {
        let mut cards = Vec::new();
        for (low, high) in decimal_ranges(text) {
            let rows = sqlx::query(
                "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards \
                 WHERE vendor_serial BETWEEN $1 AND $2 ORDER BY vendor_serial LIMIT $3",
            )
            .bind(low)
            .bind(high)
            .bind(limit(LIMIT))
            .fetch_all(&self.pool)
            .await?;
            add_cards(&mut cards, &rows)?;
        }
        let Some((low, high)) = octet_range(text) else { return Ok(cards) };
        for column in ["guid", "stock_guid"] {
            let statement = format!(
                "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards \
                 WHERE {column} >= $1 AND {column} <= $2 ORDER BY {column} LIMIT $3"
            );
            let rows = sqlx::query(AssertSqlSafe(statement))
                .bind(low.clone())
                .bind(high.clone())
                .bind(limit(LIMIT))
                .fetch_all(&self.pool)
                .await?;
            add_cards(&mut cards, &rows)?;
        }
        Ok(cards)
    }

    async fn certificates_beginning(&self, text: &str) -> Result<Vec<CertificateRecord>, RegistryError> {
        let Some((low, high)) = octet_range(text) else { return Ok(Vec::new()) };
        let statement = format!(
            "SELECT {CERTIFICATE} FROM certificates WHERE serial >= $1 AND serial <= $2 ORDER BY serial LIMIT $3"
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(low).bind(high).bind(limit(LIMIT));
        query.fetch_all(&self.pool).await?.iter().map(rows::certificate).collect()
    }

    /// Those of servers and authorities: there are few.
    async fn certificates_of_nobody(&self, key: &str) -> Result<Vec<CertificateRecord>, RegistryError> {
        let statement = format!(
            "SELECT {CERTIFICATE} FROM certificates WHERE holder IS NULL AND (subject_key LIKE $1 ESCAPE '\\' OR mail LIKE $1 ESCAPE '\\') \
             ORDER BY not_before DESC LIMIT $2"
        );
        let query =
            sqlx::query(AssertSqlSafe(statement)).bind(format!("%{}%", escaped(key))).bind(limit(LIMIT));
        query.fetch_all(&self.pool).await?.iter().map(rows::certificate).collect()
    }
}

pub(super) const CERTIFICATE: &str = "serial, authority, profile, subject, mail, holder, card, attempt, card_key, not_before, not_after, certificate, snapshot";

/// Adds what is not there yet.
fn add<T, K: std::hash::Hash + Eq>(found: &mut Vec<T>, more: Vec<T>, key: impl Fn(&T) -> K) {
    let mut known: HashSet<K> = found.iter().map(&key).collect();
    found.extend(more.into_iter().filter(|item| known.insert(key(item))));
}

fn add_cards(cards: &mut Vec<CardRecord>, rows: &[AnyRow]) -> Result<(), RegistryError> {
    let found = rows.iter().map(rows::card).collect::<Result<Vec<_>, _>>()?;
    add(cards, found, |card| card.id);
    Ok(())
}

/// Numbers for `IN (...)`; they are numbers, so nothing else can get in.
fn list(ids: impl IntoIterator<Item = CardholderId>) -> Option<String> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0.to_string()).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

/// One more than is shown tells whether there is more.
fn limit(shown: usize) -> i64 {
    i64::try_from(shown).unwrap_or(i64::MAX).saturating_add(1)
}

/// The numbers of up to ten digits that begin with these digits.
fn decimal_ranges(text: &str) -> Vec<(i64, i64)> {
    let is_number = (1..=10).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0');
    let Some(number) = text.parse::<i64>().ok().filter(|_| is_number) else { return Vec::new() };
    let mut ranges = Vec::new();
    let mut width: i64 = 1;
    for _ in text.len()..=10 {
        let low = number.saturating_mul(width);
        ranges.push((low, low.saturating_add(width.saturating_sub(1))));
        width = width.saturating_mul(10);
    }
    ranges
}

/// The least and the greatest octets whose hex digits begin so; hyphens and colons are ignored.
fn octet_range(text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let digits: String = text.chars().filter(|character| !"-:".contains(*character)).collect();
    let is_hex = (1..=40).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let padded = |digit: &str| {
        let odd = if digits.len().is_multiple_of(2) { "" } else { digit };
        hex::decode(format!("{digits}{odd}")).ok()
    };
    let (low, mut high) = (padded("0").filter(|_| is_hex)?, padded("F")?);
    high.resize(high.len().max(20).saturating_add(1), 0xFF);
    Some((low, high))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_numbers_are_ranges() {
        assert_eq!(decimal_ranges("4294967295"), [(4_294_967_295, 4_294_967_295)]);
        let ranges = decimal_ranges("77");
        assert_eq!((ranges.len(), ranges[0], ranges[1]), (9, (77, 77), (770, 779)));
        for text in ["", "077", "7a", "12345678901"] {
            assert_eq!(decimal_ranges(text), [], "{text}");
        }
        let (low, high) = octet_range("4F:a").unwrap();
        assert_eq!((low, &high[..3], high.len()), (vec![0x4F, 0xA0], [0x4F, 0xAF, 0xFF].as_slice(), 21));
        assert!(octet_range("xy").is_none() && octet_range("").is_none());
    }
}
