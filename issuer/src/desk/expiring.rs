//! `issuer expiring`: what ends soon, and the queue of renewals.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use crate::clock::Clock;
use crate::domain::{Permission, RequestCommand, RequestKind};
use crate::registry::{Expiring, RegistryError};

/// What `expiring` was told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// How many days ahead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=36_500))]
    days: u32,
    /// Ask for the renewal of each of these cards: the queue is `issuer request list`
    #[arg(long)]
    queue: bool,
}

impl Arguments {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        if self.queue { Permission::Request } else { Permission::Read }
    }
}

#[derive(Serialize)]
struct Listed {
    cards: Vec<CardView>,
    certificates: Vec<CertificateView>,
    queued: usize,
}

#[derive(Serialize)]
struct CardView {
    person: String,
    mail: String,
    card: i64,
    not_after: String,
    days_left: i64,
    renewal: Option<i64>,
}

#[derive(Serialize)]
struct CertificateView {
    serial: String,
    authority: &'static str,
    subject: String,
    not_after: String,
    days_left: i64,
}

/// Lists cards and certificates of servers that end soon.
///
/// # Errors
/// The registry cannot be read.
pub async fn run(office: &Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    let now = office.clock.now();
    let ahead = SignedDuration::from_hours(24 * i64::from(arguments.days));
    let until = now.checked_add(ahead).unwrap_or(Timestamp::MAX);
    let mut cards = office.registry.expiring_cards(now, until).await?;
    let queued = if arguments.queue { ask(office, &mut cards, now).await? } else { 0 };
    let people = office.registry.people_numbered(cards.iter().map(|card| card.holder)).await?;
    let days_left = |end: Timestamp| end.duration_since(now).as_hours() / 24;
    let certificates = office.registry.expiring_certificates(now, until).await?;
    let listed = Listed {
        cards: cards
            .iter()
            .filter_map(|card| {
                let person = people.get(&card.holder)?;
                Some(CardView {
                    person: person.name.as_str().to_owned(),
                    mail: person.mail.as_str().to_owned(),
                    card: card.card.0,
                    not_after: card.not_after.to_string(),
                    days_left: days_left(card.not_after),
                    renewal: card.renewal.map(|id| id.0),
                })
            })
            .collect(),
        certificates: certificates
            .iter()
            .map(|certificate| CertificateView {
                serial: certificate.serial.to_string(),
                authority: certificate.authority.as_str(),
                subject: certificate.subject.clone(),
                not_after: certificate.not_after.to_string(),
                days_left: days_left(certificate.not_after),
            })
            .collect(),
        queued,
    };
    match format {
        Format::Json => output::json(&listed)?,
        Format::Text => show(&listed, arguments)?,
    }
    Ok(Status::Done)
}

/// Asks for each card's renewal once; answers how many are new.
async fn ask(office: &Office, cards: &mut [Expiring], now: Timestamp) -> Result<usize, Failure> {
    let mut queued: usize = 0;
    for card in cards.iter_mut().filter(|card| card.renewal.is_none()) {
        let command = RequestCommand::Open {
            kind: RequestKind::Renewal,
            holder: card.holder,
            card: Some(card.card),
            why: format!("its certificates end {}", card.not_after.strftime("%F")),
        };
        match office.registry.open_request(command, now).await {
            Ok(id) => {
                card.renewal = Some(id);
                queued = queued.saturating_add(1);
            }
            // Another desk asked meanwhile.
            Err(RegistryError::AlreadyRequested(id)) => card.renewal = Some(id),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(queued)
}

fn show(listed: &Listed, arguments: &Arguments) -> Result<(), Failure> {
    if listed.cards.is_empty() && listed.certificates.is_empty() {
        return output::line(&format!("Nothing ends within {} days.", arguments.days));
    }
    if !listed.cards.is_empty() {
        let rows = listed.cards.iter().map(|card| {
            let renewal = card.renewal.map(|id| format!("request {id}")).unwrap_or_default();
            vec![
                card.person.clone(),
                card.mail.clone(),
                card.not_after.clone(),
                card.days_left.to_string(),
                renewal,
            ]
        });
        output::table(&["NAME", "MAIL", "ENDS", "DAYS", "RENEWAL"], rows.collect(), "")?;
    }
    if !listed.certificates.is_empty() {
        output::line("")?;
        let rows = listed.certificates.iter().map(|certificate| {
            vec![
                certificate.serial.clone(),
                certificate.subject.clone(),
                certificate.not_after.clone(),
                certificate.days_left.to_string(),
            ]
        });
        output::table(&["SERIAL", "SUBJECT", "ENDS", "DAYS"], rows.collect(), "")?;
    }
    if arguments.queue {
        output::progress(&format!("{} renewals asked for; see: issuer request list", listed.queued));
    }
    Ok(())
}
