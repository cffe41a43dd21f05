//! `issuer find`: people, cards and certificates by a piece of text.

use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::{staff, stock};
use crate::domain::CertificateState;
use crate::domain::unicode::composed;
use crate::registry::{CardRecord, CertificateRecord, SearchFor};

#[derive(Serialize)]
struct Found {
    people: Vec<staff::PersonView>,
    cards: Vec<stock::CardView>,
    certificates: Vec<CertificateView>,
    more: bool,
}

#[derive(Serialize)]
struct CertificateView {
    serial: String,
    authority: &'static str,
    profile: String,
    key: Option<&'static str>,
    subject: String,
    mail: Option<String>,
    not_before: String,
    not_after: String,
    state: &'static str,
    revoked_at: Option<String>,
    reason: Option<&'static str>,
    invalid_since: Option<String>,
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
    let hits = office.registry.search(text, how).await?;
    let newest = staff::newest_cards(&hits.cards);
    let holders = hits.cards.iter().filter_map(|card| card.card.state().holder());
    let people = office.registry.people_numbered(holders).await?;
    let holder = |card: &CardRecord| card.card.state().holder().and_then(|id| people.get(&id));
    let found = Found {
        people: hits
            .people
            .iter()
            .map(|person| staff::view(person, newest.get(&person.id).copied()))
            .collect(),
        cards: hits.cards.iter().map(|card| stock::view(card, holder(card))).collect(),
        certificates: hits.certificates.iter().map(view).collect(),
        more: hits.more,
    };
    let is_empty = found.people.is_empty() && found.cards.is_empty() && found.certificates.is_empty();
    match format {
        Format::Json => output::json(&found)?,
        Format::Text if is_empty => output::progress(&format!("Nothing was found for {text:?}.")),
        Format::Text => show(&found)?,
    }
    Ok(if is_empty { Status::Failed } else { Status::Done })
}

fn show(found: &Found) -> Result<(), Failure> {
    if !found.people.is_empty() {
        staff::table(&found.people, "")?;
    }
    if !found.cards.is_empty() {
        output::line("")?;
        stock::table(&found.cards, "")?;
    }
    if !found.certificates.is_empty() {
        output::line("")?;
        let rows = found.certificates.iter().map(|certificate| {
            let state = match (&certificate.revoked_at, certificate.reason) {
                (Some(at), Some(reason)) => format!("revoked {at} ({reason})"),
                _ => certificate.state.to_owned(),
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
        output::table(&["SERIAL", "KEY", "PROFILE", "SUBJECT", "UNTIL", "STATE"], rows.collect(), "")?;
    }
    if found.more {
        output::progress("There is more; say more of it.");
    }
    Ok(())
}

fn view(record: &CertificateRecord) -> CertificateView {
    let (revoked_at, reason, invalid_since) = match record.state.state() {
        CertificateState::Revoked { since, reason, invalid_since } => {
            (Some(since.to_string()), Some(reason.as_str()), invalid_since.map(|since| since.to_string()))
        }
        _ => (None, None, None),
    };
    CertificateView {
        serial: record.serial.to_string(),
        authority: record.authority.as_str(),
        profile: record.profile.clone(),
        key: record.card_key.map(crate::domain::CardKey::as_str),
        subject: record.subject.clone(),
        mail: record.mail.clone(),
        not_before: record.not_before.to_string(),
        not_after: record.not_after.to_string(),
        state: record.state.state().name(),
        revoked_at,
        reason,
        invalid_since,
    }
}
