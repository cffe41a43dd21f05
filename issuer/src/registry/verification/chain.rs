//! The chain of the log, followed in pages.
//!
//! There may be millions of events, and sqlx hands each row of SQLite over from another thread: so a thousand are read as one text
//! and judged on another thread while the next ones are on their way. No more than two pages are in memory, however long
//! the log is.
//!
//! ```text
//! event = sequence SP previous SP hash SP length{5} at actor about kind detail        nothing between two of them
//! ```
//!
//! Hashes are hex, and each of the five lengths is that of one of the texts behind them, in octets, with a space after it: so
//! whatever stands in a text, none is taken for another. `about` begins with a letter for the column that it is from.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use super::super::database::{Kind, chain_end, stored};
use super::super::error::RegistryError;
use super::super::rows::{self, damaged};
use super::{AT_A_TIME, View};
use crate::domain::{
    CardId, CardholderId, ChainCheck, ChainEnd, ChainHash, LentRecord, RequestId, SerialNumber, Subject,
};

impl View {
    pub(super) async fn verify_chain(&mut self) -> Result<ChainEnd, RegistryError> {
        self.verify_chain_after(ChainEnd::START).await
    }

    /// The events behind what was checked before, up to the end that was written down.
    pub(super) async fn verify_chain_after(&mut self, before: ChainEnd) -> Result<ChainEnd, RegistryError> {
        let row = sqlx::query("SELECT sequence, hash FROM event_chain WHERE only_row = 1")
            .fetch_optional(&mut *self.transaction)
            .await?;
        let recorded = chain_end(&row.ok_or_else(|| damaged("the end of the log is missing"))?)?;
        let mut check = ChainCheck::after(before);
        let mut next = self.events_after(before.sequence).await?;
        while let Some(EventPage { events, last }) = next {
            let judging = tokio::task::spawn_blocking(move || follow(check, &events));
            next = self.events_after(last).await?;
            check = judging.await.map_err(|error| damaged(error.to_string()))??;
        }
        Ok(check.finish(recorded)?)
    }

    /// The events after one, a page of them; none after the last.
    async fn events_after(&mut self, after: u64) -> Result<Option<EventPage>, RegistryError> {
        let (previous, hash, serial) = (self.hex("previous"), self.hex("hash"), self.hex("serial"));
        let event = format!(
            "sequence || ' ' || {previous} || ' ' || {hash} || ' ' || octet_length(at) || ' ' || octet_length(actor) || ' ' || \
             octet_length(about) || ' ' || octet_length(kind) || ' ' || octet_length(detail) || ' ' || \
             at || actor || about || kind || detail"
        );
        let events = self.joined(&event, "", "sequence");
        let statement = format!(
            "SELECT {events} AS events, max(sequence) AS last FROM (SELECT sequence, previous, hash, at, actor, kind, detail, \
             CASE WHEN card IS NOT NULL THEN 'c' || card WHEN person IS NOT NULL THEN 'p' || person \
             WHEN request IS NOT NULL THEN 'r' || request WHEN topic IS NOT NULL THEN 't' || topic \
             ELSE 's' || {serial} END AS about FROM events WHERE sequence > $1 ORDER BY sequence LIMIT {AT_A_TIME}) AS page"
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(stored(after)?);
        let row = query.fetch_one(&mut *self.transaction).await?;
        match row.try_get::<Option<String>, _>("events")? {
            Some(events) => Ok(Some(EventPage { events, last: rows::number(&row, "last")? })),
            None => Ok(None),
        }
    }

    /// The hex digits of octets, in either case.
    pub(super) fn hex(&self, column: &str) -> String {
        match self.kind {
            Kind::Sqlite => format!("hex({column})"),
            #[cfg(feature = "postgres")]
            Kind::Postgres => format!("coalesce(encode({column}, 'hex'), '')"),
        }
    }

    /// The texts of several rows as one. SQLite takes them in the order of the subselect.
    pub(super) fn joined(&self, text: &str, between: &str, order: &str) -> String {
        match self.kind {
            Kind::Sqlite => {
                let _ = order;
                format!("group_concat({text}, '{between}')")
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres => format!("string_agg({text}, '{between}' ORDER BY {order})"),
        }
    }
}

/// Some events, one behind the other.
struct EventPage {
    events: String,
    /// The number of the last.
    last: u64,
}

/// Takes the events of a page.
fn follow(mut check: ChainCheck, events: &str) -> Result<ChainCheck, RegistryError> {
    let mut rest = Fields(events);
    while !rest.0.is_empty() {
        let event = rest.event().ok_or_else(|| damaged("an event cannot be read"))?;
        let (record, previous, hash) = event?;
        check.next(&record, &previous, &hash)?;
    }
    Ok(check)
}

/// An event with its two hashes.
type Link<'a> = (LentRecord<'a>, ChainHash, ChainHash);

/// What is left of a page.
pub(super) struct Fields<'a>(pub(super) &'a str);

impl<'a> Fields<'a> {
    /// None where it is no event.
    fn event(&mut self) -> Option<Result<Link<'a>, RegistryError>> {
        let sequence: i64 = self.word()?.parse().ok()?;
        let (previous, hash) = (self.hash()?, self.hash()?);
        let [at, actor, about, kind, detail] = [(); 5].map(|()| self.length());
        let (at, actor, about) = (self.text(at?)?, self.text(actor?)?, self.text(about?)?);
        let (kind, detail) = (self.text(kind?)?, self.text(detail?)?);
        let record = || {
            let at: Timestamp = at.parse().map_err(|_| damaged(format!("at {at:?} is not a time")))?;
            let (sequence, subject) = (rows::in_range("sequence", sequence)?, subject(about)?);
            Ok(LentRecord { sequence, at, actor, subject, kind, detail })
        };
        Some(record().map(|record| (record, previous, hash)))
    }

    /// What stands before the next space.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(' ')?;
        self.0 = rest;
        Some(word)
    }

    /// So many octets.
    pub(super) fn text(&mut self, length: usize) -> Option<&'a str> {
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    pub(super) fn length(&mut self) -> Option<usize> {
        self.word()?.parse().ok()
    }

    fn hash(&mut self) -> Option<ChainHash> {
        let mut octets = [0; 32];
        hex::decode_to_slice(self.word()?, &mut octets).ok()?;
        Some(ChainHash::from_digest(octets))
    }
}

/// Whom or what an event is about.
fn subject(about: &str) -> Result<Subject, RegistryError> {
    let unknown = || damaged(format!("an event is about {about:?}"));
    let (column, value) = about.split_at_checked(1).ok_or_else(unknown)?;
    let number = || value.parse().map_err(|_| unknown());
    match column {
        "c" => Ok(Subject::Card(CardId(number()?))),
        "p" => Ok(Subject::Person(CardholderId(number()?))),
        "r" => Ok(Subject::Request(RequestId(number()?))),
        "t" => Subject::from_topic(value).ok_or_else(|| damaged(format!("unknown topic {value:?}"))),
        _ => serial_number(value).map(Subject::Certificate),
    }
}

/// A serial number as this program writes it into the log: one with a zero octet before it would be found under no certificate,
/// and give the same hash.
pub(super) fn serial_number(digits: &str) -> Result<SerialNumber, RegistryError> {
    let read = || {
        let mut octets = [0; 20];
        let octets = octets.get_mut(..digits.len() / 2)?;
        hex::decode_to_slice(digits, octets).ok()?;
        SerialNumber::from_bytes(octets).filter(|serial| serial.as_bytes() == octets)
    };
    read().ok_or_else(|| damaged(format!("{digits:?} in the log is no serial number of 1 to 20 octets")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(about: &str, detail: &str) -> String {
        let (at, actor, kind) = ("2027-01-15T08:00:00Z", "al ice\n", "card-received");
        let lengths = [at, actor, about, kind, detail].map(|text| text.len().to_string()).join(" ");
        let hashes = format!("{} {}", "0".repeat(64), "AB".repeat(32));
        format!("7 {hashes} {lengths} {at}{actor}{about}{kind}{detail}")
    }

    #[test]
    fn no_text_of_an_event_is_taken_for_another() {
        let (first, second) = (page("c5", "{} 8 é\n"), page("tregistry", ""));
        let both = format!("{first}{second}");
        let mut rest = Fields(&both);
        let (record, previous, hash) = rest.event().unwrap().unwrap();
        assert_eq!((record.sequence, record.actor, record.kind), (7, "al ice\n", "card-received"));
        assert_eq!((record.subject, record.detail), (Subject::Card(CardId(5)), "{} 8 é\n"));
        assert_eq!((previous, hash), (ChainHash::START, ChainHash::from_digest([0xAB; 32])));
        let (record, ..) = rest.event().unwrap().unwrap();
        assert_eq!((record.subject, record.detail, rest.0), (Subject::Registry, "", ""));
    }

    #[test]
    fn what_is_cut_off_or_of_no_subject_is_refused() {
        let whole = page("c5", "{}");
        for cut in 1..whole.len() {
            let found = follow(ChainCheck::default(), whole.get(..cut).unwrap());
            assert!(matches!(found, Err(RegistryError::Damaged(_))), "cut at {cut}");
        }
        for about in ["", "c", "cx", "tcard 5", "t", "s", "s00", "s0041", "s4", "x41é", "é"] {
            let found = follow(ChainCheck::default(), &page(about, "{}"));
            assert!(matches!(found, Err(RegistryError::Damaged(_))), "{about:?}");
        }
    }

    #[test]
    fn serial_numbers_are_read_in_either_case() {
        for digits in ["ab", "AB"] {
            assert_eq!(serial_number(digits).unwrap().as_bytes(), [0xAB]);
        }
        assert!(serial_number(&"11".repeat(20)).is_ok());
        assert!(serial_number(&"11".repeat(21)).is_err());
    }
}
