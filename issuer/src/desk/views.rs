//! What `--json` says of people, cards, certificates and events: the same names in every output.
//!
//! A thing's own fields have plain names (`name`, `serial`, `state`...). What belongs to another thing is named after it:
//! `holder` is the mail address of whose it is, `holder_name` the name; `card` is what a card is called, `card_number`,
//! `card_guid` and `card_state` are fields of it. Times end in `_at` (what happened then), `since` (in which state it is
//! since then), `not_before` and `not_after`; they are UTC. Numbers are numbers. What there is none of is null.

use std::collections::HashMap;

use serde::Serialize;

use super::texts::Texts;
use super::{ways, which_card};
use crate::domain::{
    CardAction, CardKey, CardState, Cardholder, CardholderId, CertificateState, StockIdentity,
};
use crate::registry::{CardRecord, CertificateRecord, LogEntry};

/// A person.
#[derive(Serialize)]
pub(super) struct PersonView {
    pub(super) name: String,
    pub(super) mail: String,
    pub(super) id: Option<String>,
    pub(super) employed_until: Option<String>,
    pub(super) left_at: Option<String>,
    /// Of the card that the person has, or else had last.
    pub(super) card_state: Option<&'static str>,
    pub(super) card_guid: Option<String>,
}

impl PersonView {
    /// The names, in order.
    pub(super) const FIELDS: &[&str] =
        &["name", "mail", "id", "employed_until", "left_at", "card_state", "card_guid"];

    pub(super) fn new(person: &Cardholder, card: Option<&CardRecord>) -> Self {
        Self {
            name: person.name.as_str().to_owned(),
            mail: person.mail.as_str().to_owned(),
            id: person.staff_id.as_ref().map(|id| id.as_str().to_owned()),
            employed_until: person.employed_until.map(|day| day.to_string()),
            left_at: person.left.map(|at| at.to_string()),
            card_state: card.map(|card| card.card.state().name()),
            card_guid: card.and_then(|card| card.card.guid()).map(|guid| guid.to_string()),
        }
    }
}

/// Each person's live card, or else the newest.
pub(super) fn newest_cards(cards: &[CardRecord]) -> HashMap<CardholderId, &CardRecord> {
    let mut newest = HashMap::new();
    for card in cards {
        let Some(holder) = card.card.state().holder() else { continue };
        let rank = |card: &CardRecord| (card.card.state().is_live(), card.card.state().since(), card.id);
        let known = newest.entry(holder).or_insert(card);
        if rank(card) > rank(known) {
            *known = card;
        }
    }
    newest
}

/// A card.
#[derive(Serialize)]
pub(super) struct CardView {
    pub(super) number: i64,
    pub(super) serial: Option<u32>,
    pub(super) stock_guid: Option<String>,
    pub(super) guid: Option<String>,
    pub(super) state: &'static str,
    pub(super) since: Option<String>,
    pub(super) holder: Option<String>,
    pub(super) holder_name: Option<String>,
    pub(super) next: Option<String>,
}

impl CardView {
    /// The names, in order.
    pub(super) const FIELDS: &[&str] =
        &["number", "serial", "stock_guid", "guid", "state", "since", "holder", "holder_name", "next"];

    pub(super) fn new(record: &CardRecord, holder: Option<&Cardholder>, texts: &Texts) -> Self {
        let state = record.card.state();
        let (serial, stock_guid) = match record.identity {
            StockIdentity::VendorSerial(serial) => (Some(serial), None),
            StockIdentity::Guid(guid) => (None, Some(guid.to_string())),
        };
        Self {
            number: record.id.0,
            serial,
            stock_guid,
            guid: record.card.guid().map(|guid| guid.to_string()),
            state: state.name(),
            since: state.since().map(|since| since.to_string()),
            holder: holder.map(|holder| holder.mail.as_str().to_owned()),
            holder_name: holder.map(|holder| holder.name.as_str().to_owned()),
            next: next(record, texts),
        }
    }
}

/// What a card that waits at the desk waits for.
fn next(record: &CardRecord, texts: &Texts) -> Option<String> {
    let card = which_card::argument(record);
    let said = |key| texts.say(key, &[("card", &card)]);
    Some(match record.card.state() {
        CardState::BeingPersonalised { .. } => texts.say("found-half-made", &[]),
        CardState::Unusable { fault, .. } => {
            match ways::of(record, None).into_iter().find(|way| way.action == CardAction::Receive) {
                Some(way) => format!("{fault}; {}", way.in_words(texts)),
                None => format!("{fault}; {}", said("found-destroy")),
            }
        }
        CardState::Returned { .. } if ways::can_be_wiped(record) => said("found-wipe"),
        CardState::Returned { .. } => said("found-not-wiped"),
        _ => return None,
    })
}

/// A certificate.
#[derive(Serialize)]
pub(super) struct CertificateView {
    pub(super) serial: String,
    pub(super) authority: &'static str,
    pub(super) profile: String,
    pub(super) key: Option<&'static str>,
    pub(super) subject: String,
    pub(super) mail: Option<String>,
    pub(super) not_before: String,
    pub(super) not_after: String,
    pub(super) state: &'static str,
    pub(super) revoked_at: Option<String>,
    pub(super) reason: Option<&'static str>,
    pub(super) invalid_since: Option<String>,
    pub(super) card_number: Option<i64>,
    pub(super) holder: Option<String>,
}

impl CertificateView {
    /// The names, in order.
    pub(super) const FIELDS: &[&str] = &[
        "serial",
        "authority",
        "profile",
        "key",
        "subject",
        "mail",
        "not_before",
        "not_after",
        "state",
        "revoked_at",
        "reason",
        "invalid_since",
        "card_number",
        "holder",
    ];

    pub(super) fn new(record: &CertificateRecord, holder: Option<&Cardholder>) -> Self {
        let (revoked_at, reason, invalid_since) = match record.state.state() {
            CertificateState::Revoked { since, reason, invalid_since } => {
                (Some(since.to_string()), Some(reason.as_str()), invalid_since.map(|since| since.to_string()))
            }
            _ => (None, None, None),
        };
        Self {
            serial: record.serial.to_string(),
            authority: record.authority.as_str(),
            profile: record.profile.clone(),
            key: record.card_key.map(CardKey::as_str),
            subject: record.subject.clone(),
            mail: record.mail.clone(),
            not_before: record.not_before.to_string(),
            not_after: record.not_after.to_string(),
            state: record.state.state().name(),
            revoked_at,
            reason,
            invalid_since,
            card_number: record.card.map(|(card, _)| card.0),
            holder: holder.map(|holder| holder.mail.as_str().to_owned()),
        }
    }
}

/// An event of the log.
#[derive(Serialize)]
pub(super) struct EventView {
    pub(super) event: u64,
    pub(super) at: String,
    pub(super) actor: String,
    pub(super) subject: String,
    pub(super) kind: String,
    /// JSON as it was hashed, octet by octet.
    pub(super) detail: String,
    pub(super) hash: String,
}

impl EventView {
    /// The names, in order.
    pub(super) const FIELDS: &[&str] = &["event", "at", "actor", "subject", "kind", "detail", "hash"];

    pub(super) fn new(entry: LogEntry) -> Self {
        let LogEntry { record, hash } = entry;
        Self {
            event: record.sequence,
            at: record.at.to_string(),
            actor: record.actor,
            subject: record.subject.to_string(),
            kind: record.kind,
            detail: record.detail,
            hash: hash.to_string(),
        }
    }
}
