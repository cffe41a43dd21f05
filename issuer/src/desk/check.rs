//! `issuer check`: whether card, registry and authority say the same of a card.

use clap::Args;
use middleware::secret_source::SecretSource;
use middleware::{Card, Locator, Pin};
use serde::Serialize;

use super::check_words::{sentence, way_out};
use super::failure::{Failure, Status};
use super::half_done::{self, HalfDoneView};
use super::office::Office;
use super::output::{self, Format};
use super::which_card;
use crate::clock::Clock;
use crate::domain::AuthorityName;
use crate::personalization::agreement::{Agreement, Comparison, Finding, Outcome};

/// What `check` is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The card: pcsc:, pcsc:READER, pcsc:serial=N or sim:FILE
    #[arg(long, value_name = "LOCATOR")]
    card: Locator,
    /// Where the card's PIN comes from, fd:N or a file: with it every key is exercised, also on cards that do not tell
    /// their public keys
    #[arg(long, value_name = "fd:N|PATH")]
    pin_file: Option<SecretSource>,
}

#[derive(Serialize)]
struct View {
    card: String,
    guid: Option<String>,
    serial: Option<u32>,
    state: &'static str,
    holder: Option<String>,
    agrees: bool,
    /// What was begun with the card and is not done, and how to go on.
    half_done: Option<HalfDoneView>,
    findings: Vec<FindingView>,
}

#[derive(Serialize)]
struct FindingView {
    what: String,
    /// `agrees`, `unproven`, `half-done` (what was begun and is not done explains it) or `differs`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    way_out: Option<String>,
}

/// Compares and says what differs; nothing is changed.
///
/// # Errors
/// The card is not the registry's, or one of them cannot be read.
pub async fn run(office: &mut Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    let pin = match &arguments.pin_file {
        Some(source) => {
            let digits = source
                .read("PIN of the card")
                .map_err(|error| Failure::new("pin", format!("the PIN cannot be read: {error}")))?;
            Some(Pin::new(digits.trim())?)
        }
        None => None,
    };
    let mut card = Card::open(&arguments.card)?;
    let passphrase = office.passphrase()?;
    let master_key = office.master_key(&passphrase).await?;
    drop(passphrase);
    let authority = office.authority_certificate(AuthorityName::People).await?;
    let comparison = Comparison {
        registry: &office.registry,
        master_key: &master_key,
        authority: &authority,
        pin: pin.as_ref(),
        now: office.clock.now(),
    };
    let agreement = comparison.of(&mut card, &mut office.random).await?;
    let holder = match agreement.record.card.state().holder() {
        Some(id) => Some(office.registry.cardholder(id).await?.mail.as_str().to_owned()),
        None => None,
    };
    show(&agreement, holder, &arguments.card.to_string(), format)?;
    Ok(if agreement.holds() { Status::Done } else { Status::NotTrusted })
}

fn show(agreement: &Agreement, holder: Option<String>, locator: &str, format: Format) -> Result<(), Failure> {
    let record = &agreement.record;
    let card = which_card::argument(record);
    let who = holder.as_deref().unwrap_or("PERSON");
    let is_explained =
        |finding: &Finding| agreement.half_done.as_ref().is_some_and(|open| open.explains(finding));
    let findings = agreement.findings.iter();
    let findings: Vec<_> = findings.map(|finding| view(finding, is_explained(finding), &card, who)).collect();
    let view = View {
        card: which_card::name(record),
        guid: agreement.identity.guid.map(hex::encode),
        serial: agreement.identity.serial,
        state: record.card.state().name(),
        agrees: agreement.holds(),
        half_done: agreement.half_done.as_ref().map(|open| half_done::view(open, record, locator)),
        findings,
        holder,
    };
    if format == Format::Json {
        return output::json(&view);
    }
    let whose = view.holder.as_deref().map(|mail| format!(" of {mail}")).unwrap_or_default();
    let about = format!("Card {}{whose} ({})", view.card, view.state);
    if let Some(open) = &view.half_done {
        output::line(&format!("{about}. {}", open.sentence()))?;
    }
    let rows = view.findings.iter().map(|finding| {
        vec![finding.what.clone(), finding.outcome.to_owned(), finding.why.clone().unwrap_or_default()]
    });
    output::table(&["WHAT", "", "WHY"], rows.collect(), "Nothing was compared.")?;
    if view.agrees {
        return output::line(&format!("{about}: card, registry and authority agree."));
    }
    match &view.half_done {
        Some(open) => output::line(&format!("{about}: the {} is to be finished first.", open.what))?,
        None => output::line(&format!("{about}: card, registry and authority do not agree."))?,
    }
    for finding in &view.findings {
        if let Some(way) = &finding.way_out {
            output::line(&format!("{}: {way}", finding.what))?;
        }
    }
    Ok(())
}

fn view(finding: &Finding, is_explained: bool, card: &str, who: &str) -> FindingView {
    let (outcome, way) = match &finding.outcome {
        Outcome::Agrees => ("agrees", None),
        Outcome::Unproven(_) => ("unproven", None),
        Outcome::Differs(_) if is_explained => ("half-done", None),
        Outcome::Differs(disagreement) => ("differs", Some(way_out(disagreement, card, who))),
    };
    FindingView { what: finding.subject.to_string(), outcome, why: sentence(&finding.outcome), way_out: way }
}
