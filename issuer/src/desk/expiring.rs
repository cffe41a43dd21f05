//! `issuer expiring`: what ends soon, and the queue of renewals.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::views::{CardView, CertificateView};
use super::{texts, which_card};
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
    cards: Vec<EndingCard>,
    certificates: Vec<EndingCertificate>,
    queued: usize,
}

#[derive(Serialize)]
struct EndingCard {
    #[serde(flatten)]
    card: CardView,
    not_after: String,
    /// Whole days; below nought once it has ended.
    days_left: i64,
    has_ended: bool,
    /// Nothing is renewed for who left.
    holder_left: bool,
    /// The number of the request that asks for its renewal.
    renewal: Option<i64>,
    /// As commands take it.
    #[serde(skip)]
    argument: String,
}

#[derive(Serialize)]
struct EndingCertificate {
    #[serde(flatten)]
    certificate: CertificateView,
    days_left: i64,
    has_ended: bool,
}

/// Lists cards and certificates of servers that end soon.
///
/// # Errors
/// The registry cannot be read.
pub async fn run(office: &Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    let now = if arguments.queue { office.time_to_record().await? } else { office.clock.now() };
    let ahead = SignedDuration::from_hours(24 * i64::from(arguments.days));
    let until = now.checked_add(ahead).unwrap_or(Timestamp::MAX);
    let mut cards = office.registry.expiring_cards(until).await?;
    let queued = if arguments.queue { ask(office, &mut cards, now).await? } else { 0 };
    let people = office.registry.people_numbered(cards.iter().map(|card| card.holder)).await?;
    let holders: Vec<_> = cards.iter().map(|card| card.holder).collect();
    let records = office.registry.cards_of_all(&holders).await?;
    let records: HashMap<_, _> = records.into_iter().map(|record| (record.id, record)).collect();
    let days_left = |end: Timestamp| end.duration_since(now).as_hours().div_euclid(24);
    let since = now.checked_sub(ahead).unwrap_or(Timestamp::MIN);
    let certificates = office.registry.expiring_certificates(since, now, until).await?;
    let listed = Listed {
        cards: cards
            .iter()
            .filter_map(|card| {
                let person = people.get(&card.holder)?;
                let record = records.get(&card.card)?;
                Some(EndingCard {
                    card: CardView::new(record, Some(person), texts::of(format)),
                    not_after: card.not_after.to_string(),
                    days_left: days_left(card.not_after),
                    has_ended: card.not_after < now,
                    holder_left: card.has_left,
                    renewal: card.renewal.map(|id| id.0),
                    argument: which_card::argument(record),
                })
            })
            .collect(),
        certificates: certificates
            .iter()
            .map(|certificate| EndingCertificate {
                days_left: days_left(certificate.not_after),
                has_ended: certificate.not_after < now,
                // Of servers: nobody holds them.
                certificate: CertificateView::new(certificate, None),
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

/// Asks for each card's renewal once, but not for who left; answers how many are new.
async fn ask(office: &Office, cards: &mut [Expiring], now: Timestamp) -> Result<usize, Failure> {
    let mut queued: usize = 0;
    for card in cards.iter_mut().filter(|card| card.renewal.is_none() && !card.has_left) {
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
        let days = arguments.days.to_string();
        return output::line(&texts::say("ending-nothing", &[("days", &days)]));
    }
    if !listed.cards.is_empty() {
        let columns = [
            "found-column-name",
            "found-column-mail",
            "found-column-card",
            "found-column-ends",
            "found-column-days",
            "found-column-renewal",
        ];
        let rows = listed.cards.iter().map(|card| {
            vec![
                card.card.holder_name.clone().unwrap_or_default(),
                card.card.holder.clone().unwrap_or_default(),
                card.argument.clone(),
                card.not_after.clone(),
                card.days_left.to_string(),
                card.renewal_said(),
            ]
        });
        output::table(&columns.map(|key| texts::say(key, &[])), rows.collect(), "")?;
    }
    if !listed.certificates.is_empty() {
        output::line("")?;
        let columns =
            ["found-column-serial", "found-column-subject", "found-column-ends", "found-column-days"];
        let rows = listed.certificates.iter().map(|EndingCertificate { certificate, days_left, .. }| {
            vec![
                certificate.serial.clone(),
                certificate.subject.clone(),
                certificate.not_after.clone(),
                days_left.to_string(),
            ]
        });
        output::table(&columns.map(|key| texts::say(key, &[])), rows.collect(), "")?;
    }
    if arguments.queue {
        output::progress(&texts::say("ending-queued", &[("count", &listed.queued.to_string())]));
    }
    Ok(())
}

impl EndingCard {
    /// What is asked for already; and what comes before a renewal.
    fn renewal_said(&self) -> String {
        let asked = self.renewal.map(|id| texts::say("ending-request", &[("number", &id.to_string())]));
        let held =
            (self.card.state == "on hold").then(|| texts::say("ending-held", &[("card", &self.argument)]));
        let ended = self.has_ended.then(|| texts::say("ending-over", &[]));
        let left = self.holder_left.then(|| texts::say("ending-left", &[("card", &self.argument)]));
        let said: Vec<_> = ended.into_iter().chain(left).chain(asked).chain(held).collect();
        said.join("; ")
    }
}
