//! `issuer check`: whether card, registry and authority say the same of a card.

use clap::Args;
use jiff::Timestamp;
use middleware::secret_source::SecretSource;
use middleware::{Card, Locator, Pin};
use serde::Serialize;

use super::check_words::{sentence, subject, way_out};
use super::failure::{Failure, Status};
use super::half_done::{self, HalfDoneView};
use super::office::Office;
use super::output::{self, Format};
use super::texts::{self, Texts};
use super::which_card;
use crate::clock::Clock;
use crate::domain::AuthorityName;
use crate::personalization::agreement::{Agreement, Comparison, Disagreement, Finding, Outcome};
use crate::registry::OperationKind;

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
    /// When the first of its certificates ended, if one has and nothing newer is there.
    ended: Option<String>,
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
    let now = office.clock.now();
    let due = office.registry.expiring_card(agreement.record.id, now).await?;
    let ended = due.filter(|due| !due.has_left);
    show(&agreement, holder, ended.map(|due| due.not_after), &arguments.card.to_string(), format)?;
    Ok(if agreement.holds() { Status::Done } else { Status::NotTrusted })
}

fn show(
    agreement: &Agreement,
    holder: Option<String>,
    ended: Option<Timestamp>,
    locator: &str,
    format: Format,
) -> Result<(), Failure> {
    let texts = texts::of(format);
    let record = &agreement.record;
    let card = which_card::argument(record);
    let who = holder.as_deref().unwrap_or("PERSON");
    let is_explained =
        |finding: &Finding| agreement.half_done.as_ref().is_some_and(|open| open.explains(finding));
    let is_other = |finding: &Finding| {
        matches!(finding.outcome, Outcome::Differs(Disagreement::OtherGuid { .. })) && !is_explained(finding)
    };
    let findings = agreement.findings.iter();
    let mut findings: Vec<_> =
        findings.map(|finding| view(finding, is_explained(finding), (&card, who), texts)).collect();
    // What else differs comes of that, and its own way out would not work.
    let other = agreement.findings.iter().position(is_other);
    if let Some(other) = other {
        for (_, finding) in findings.iter_mut().enumerate().filter(|(place, _)| *place != other) {
            finding.way_out = None;
        }
    }
    let view = View {
        card: which_card::name(record),
        guid: agreement.identity.guid.map(hex::encode),
        serial: agreement.identity.serial,
        state: record.card.state().name(),
        agrees: agreement.holds(),
        ended: ended.map(|ended| ended.to_string()),
        half_done: agreement
            .half_done
            .as_ref()
            .filter(|_| other.is_none())
            .map(|open| half_done::view(open, record, locator)),
        findings,
        holder,
    };
    match format {
        Format::Json => output::json(&view),
        Format::Text => say(&view, &format!("issuer renew {card} --card {locator}"), texts),
    }
}

/// For people; `renew` is the command that makes new certificates.
fn say(view: &View, renew: &str, texts: &Texts) -> Result<(), Failure> {
    let state = texts::state(view.state);
    let mut values = vec![("card", view.card.as_str()), ("state", &state)];
    values.extend(view.holder.as_deref().map(|mail| ("holder", mail)));
    let key = if view.holder.is_some() { "checked-about-of" } else { "checked-about" };
    let about = texts.say(key, &values);
    if let Some(open) = &view.half_done {
        let sentence = open.sentence();
        output::line(&texts.say("checked-half-done", &[("about", &about), ("open", &sentence)]))?;
    }
    let rows = view.findings.iter().map(|finding| {
        let outcome = texts.say(outcome_key(finding.outcome), &[]);
        vec![finding.what.clone(), outcome, finding.why.clone().unwrap_or_default()]
    });
    let header = [texts.say("checked-column-what", &[]), String::new(), texts.say("checked-column-why", &[])];
    output::table(&header, rows.collect(), &texts.say("checked-nothing", &[]))?;
    let is_over = view.half_done.as_ref().is_some_and(|open| open.is_over);
    if view.agrees {
        if is_over {
            output::line(&texts.say("checked-over", &[("about", &about)]))?;
        }
        output::line(&texts.say("checked-agrees", &[("about", &about)]))?;
        return view.ended.iter().try_for_each(|when| {
            output::line(&texts.say("checked-ended", &[("when", when), ("command", renew)]))
        });
    }
    let verdict = match view.half_done.as_ref().map(|open| open.kind) {
        _ if is_over => "checked-over",
        Some(OperationKind::Renewal) => "checked-finish-renewal",
        Some(OperationKind::Unblock) => "checked-finish-unblock",
        Some(OperationKind::Wipe) => "checked-finish-wipe",
        None => "checked-differs",
    };
    output::line(&texts.say(verdict, &[("about", &about)]))?;
    for finding in &view.findings {
        if let Some(way) = &finding.way_out {
            output::line(&texts.say("checked-way-out", &[("what", &finding.what), ("way", way)]))?;
        }
    }
    Ok(())
}

fn view(finding: &Finding, is_explained: bool, (card, who): (&str, &str), texts: &Texts) -> FindingView {
    let (outcome, way) = match &finding.outcome {
        Outcome::Agrees => ("agrees", None),
        Outcome::Unproven(_) => ("unproven", None),
        Outcome::Differs(_) if is_explained => ("half-done", None),
        Outcome::Differs(disagreement) => ("differs", Some(way_out(disagreement, card, who, texts))),
    };
    FindingView {
        what: subject(finding.subject, texts),
        outcome,
        why: sentence(&finding.outcome, texts),
        way_out: way,
    }
}

fn outcome_key(outcome: &str) -> &'static str {
    match outcome {
        "agrees" => "checked-outcome-agrees",
        "unproven" => "checked-outcome-unproven",
        "half-done" => "checked-outcome-half-done",
        _ => "checked-outcome-differs",
    }
}
