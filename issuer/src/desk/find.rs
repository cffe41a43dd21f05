//! `issuer find`: people, cards and certificates by a piece of text.

use std::collections::HashSet;

use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::views::{CardView, CertificateView, PersonView, newest_cards};
use super::{staff, stock, texts};
use crate::domain::unicode::composed;
use crate::domain::{CardholderId, StockIdentity};
use crate::registry::{SearchFor, SearchHits};

#[derive(Serialize)]
struct Found {
    people: Vec<PersonView>,
    cards: Vec<CardView>,
    certificates: Vec<CertificateView>,
    more: bool,
}

/// Shows what was found; nothing is exit 1.
///
/// # Errors
/// The registry cannot be read.
pub async fn run(office: &Office, text: &str, how: SearchFor, format: Format) -> Result<Status, Failure> {
    let text = composed(text.trim());
    let text = text.as_str();
    if text.is_empty() {
        return Err(Failure::usage("say what to find: a name, a mail address, a serial number"));
    }
    let hits = look(office, text, how).await?;
    let newest = newest_cards(&hits.cards);
    let holders = hits.cards.iter().filter_map(|card| card.card.state().holder());
    let of_certificates = hits.certificates.iter().filter_map(|certificate| certificate.holder);
    let people = office.registry.people_numbered(holders.chain(of_certificates)).await?;
    let person = |id: Option<CardholderId>| id.and_then(|id| people.get(&id));
    let texts = texts::of(format);
    let found = Found {
        people: hits
            .people
            .iter()
            .map(|person| PersonView::new(person, newest.get(&person.id).copied()))
            .collect(),
        cards: hits
            .cards
            .iter()
            .map(|card| CardView::new(card, person(card.card.state().holder()), texts))
            .collect(),
        certificates: hits
            .certificates
            .iter()
            .map(|certificate| CertificateView::new(certificate, person(certificate.holder)))
            .collect(),
        more: hits.more,
    };
    let is_empty = found.people.is_empty() && found.cards.is_empty() && found.certificates.is_empty();
    match format {
        Format::Json => output::json(&found)?,
        Format::Text if is_empty => output::progress(&texts::say("found-nothing", &[("text", text)])),
        Format::Text => show(&found)?,
    }
    Ok(if is_empty { Status::Failed } else { Status::Done })
}

/// What the text means: a state, something of a kind (`serial=`, `guid=`, `person=`), or the beginning of anything.
async fn look(office: &Office, text: &str, how: SearchFor) -> Result<SearchHits, Failure> {
    let registry = &office.registry;
    if let Some(state) = texts::state_named(text) {
        // A word of a state may be somebody's name, too.
        let mut hits = registry.search(text, how).await?;
        let page = registry.cards_page(0, Some(state)).await?;
        let known: HashSet<_> = hits.cards.iter().map(|card| card.id).collect();
        hits.cards.extend(page.rows.into_iter().filter(|card| !known.contains(&card.id)));
        hits.more |= hits.cards.len() > MOST_OF_A_STATE;
        hits.cards.truncate(MOST_OF_A_STATE);
        return Ok(hits);
    }
    let Some((kind, rest)) = text.split_once('=').filter(|(_, rest)| !rest.is_empty()) else {
        return Ok(registry.search(text, how).await?);
    };
    let mut hits = match kind {
        "serial" | "guid" | "person" => registry.search(rest, how).await?,
        _ => return Ok(registry.search(text, how).await?),
    };
    if kind == "person" {
        let people: HashSet<_> = hits.people.iter().map(|person| person.id).collect();
        let is_theirs = |holder: Option<CardholderId>| holder.is_some_and(|id| people.contains(&id));
        hits.cards.retain(|card| is_theirs(card.card.state().holder()));
        hits.certificates.retain(|certificate| is_theirs(certificate.holder));
        return Ok(hits);
    }
    let wanted = rest.replace(['-', ':'], "").to_ascii_lowercase();
    let begins = |text: String| text.starts_with(&wanted);
    hits.people.clear();
    hits.cards.retain(|card| match (kind, card.identity) {
        ("serial", StockIdentity::VendorSerial(serial)) => begins(serial.to_string()),
        ("serial", StockIdentity::Guid(_)) => false,
        (_, StockIdentity::Guid(guid)) if begins(guid.to_string()) => true,
        _ => card.card.guid().is_some_and(|guid| begins(guid.to_string())),
    });
    hits.certificates.retain(|certificate| kind == "serial" && begins(certificate.serial.to_string()));
    Ok(hits)
}

/// The columns of certificates.
const COLUMNS: [&str; 6] = [
    "found-column-serial",
    "found-column-key",
    "found-column-profile",
    "found-column-subject",
    "found-column-until",
    "found-column-state",
];
/// More cards of a state a report shows.
const MOST_OF_A_STATE: usize = 200;

/// How a certificate stands, as its state is named.
pub(super) fn state_key(state: &str) -> &'static str {
    match state {
        "to be signed" => "found-certificate-to-be-signed",
        "signed" => "found-certificate-signed",
        "delivered" => "found-certificate-delivered",
        "on hold" => "found-certificate-on-hold",
        "revoked" => "found-certificate-revoked",
        "expired" => "found-certificate-expired",
        _ => "state-unknown",
    }
}

fn show(found: &Found) -> Result<(), Failure> {
    if !found.people.is_empty() {
        staff::table(&found.people, "")?;
    }
    if !found.cards.is_empty() {
        if !found.people.is_empty() {
            output::line("")?;
        }
        stock::table(&found.cards, "")?;
    }
    if !found.certificates.is_empty() {
        if !found.people.is_empty() || !found.cards.is_empty() {
            output::line("")?;
        }
        let rows = found.certificates.iter().map(|certificate| {
            let state = match (&certificate.revoked_at, certificate.reason) {
                (Some(at), Some(reason)) => texts::say("found-revoked", &[("since", at), ("reason", reason)]),
                _ => texts::say(state_key(certificate.state), &[]),
            };
            vec![
                certificate.serial.clone(),
                certificate.key.unwrap_or_default().to_owned(),
                certificate.profile.clone(),
                certificate.subject.clone(),
                certificate.not_after.clone(),
                state,
            ]
        });
        output::table(&COLUMNS.map(|key| texts::say(key, &[])), rows.collect(), "")?;
    }
    if found.more {
        output::progress(&texts::say("found-more", &[]));
    }
    Ok(())
}
