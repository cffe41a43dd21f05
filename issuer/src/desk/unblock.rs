//! `issuer unblock`: a new PIN for a card at the desk; or, far away, the card's PUK sealed for one run of its holder's
//! program.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use middleware::remote_unblock::{UnblockConfirmation, UnblockRequest, UnblockSecrets};
use middleware::{Card, LastTry, Locator, Pin};
use serde::Serialize;

use super::failure::{Failure, Status};
use super::in_use::{self, Deed};
use super::office::Office;
use super::operator::PinStands;
use super::output::{self, Format};
use super::{holder_pin, issue, texts, which_card};
use crate::domain::{Cardholder, Guid, InitialPin};
use crate::personalization::PersonalizationError;
use crate::personalization::run::Progress;
use crate::personalization::transport_pin::transport_pin;
use crate::personalization::unblock::{self, Unblocking};
use crate::registry::CardRecord;

/// Which card, and where it is.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The card
    #[arg(
        value_name = "CARD", long_help = which_card::HELP, help = which_card::HELP, requires = "card",
        required_unless_present_any = ["remote", "confirm"], conflicts_with_all = ["remote", "confirm"]
    )]
    whose: Option<String>,
    /// Where it is: pcsc:, pcsc:READER, pcsc:serial=N or sim:FILE
    #[arg(long, value_name = "LOCATOR", requires = "whose")]
    card: Option<Locator>,
    /// Where the new PIN comes from, that the holder chose: fd:N, a file, or "terminal" to type it twice; otherwise a
    /// transport PIN is made
    #[arg(
        long,
        value_name = "fd:N|PATH|terminal",
        requires = "whose",
        conflicts_with = "transport_pin_file"
    )]
    new_pin: Option<String>,
    /// A new file (mode 0600) for the transport PIN; otherwise it is shown once at the terminal
    #[arg(long, value_name = "PATH", requires = "whose")]
    transport_pin_file: Option<PathBuf>,
    /// Spend the last try of the PUK, where the desk knows only that it is one of several
    #[arg(long, requires = "whose")]
    last_try: bool,
    /// Set a new PIN for an operator's card although its PIN is not blocked
    #[arg(long, requires = "whose")]
    not_blocked: bool,
    /// The request that the holder's card unblock --request shows: answer it
    #[arg(
        long,
        value_name = "REQUEST",
        requires = "check_digits",
        requires = "identity_check",
        conflicts_with = "confirm"
    )]
    remote: Option<UnblockRequest>,
    /// The check digits that the holder said, whom you know to be the holder
    #[arg(long, value_name = "DIGITS", requires = "remote")]
    check_digits: Option<String>,
    /// How you made sure that it is the holder; it is recorded
    #[arg(long, value_name = "TEXT", requires = "remote")]
    identity_check: Option<String>,
    /// The word that the holder's card unblock shows once it is done
    #[arg(long, value_name = "WORD")]
    confirm: Option<UnblockConfirmation>,
}

#[derive(Serialize)]
struct Summary {
    card: String,
    holder: String,
    unblocked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    puk_exposed_since: Option<String>,
}

/// No more is written of how an identity was checked.
const LONGEST_IDENTITY_CHECK: usize = 500;

/// Unblocks.
///
/// # Errors
/// Refusals before anything changed, and interruptions.
pub async fn run(office: &mut Office, arguments: Arguments, format: Format) -> Result<Status, Failure> {
    let now = match arguments.remote {
        // What is sealed counts like a signature: not where the witness speaks against the registry.
        Some(_) => office.time_to_sign().await?,
        None => office.time_to_record().await?,
    };
    if let Some(confirmation) = &arguments.confirm {
        return confirm(office, confirmation, now, format).await;
    }
    if let Some(request) = arguments.remote {
        let digits = arguments.check_digits.unwrap_or_default();
        let identity_check = arguments.identity_check.unwrap_or_default();
        return remote(office, &request, (&digits, &identity_check), now, format).await;
    }
    let (Some(whose), Some(locator)) = (&arguments.whose, &arguments.card) else {
        return Err(Failure::usage("name the card, and where it is with --card"));
    };
    let record = which_card::find(office, whose).await?;
    let holder = holder_of(office, &record).await?;
    let mut place = match (&arguments.new_pin, &arguments.transport_pin_file) {
        (Some(_), _) => None,
        // The PIN of a run that was interrupted is no card's PIN any more.
        (None, Some(file)) if was_begun(office, &record).await? => Some(issue::PinPlace::replacing(file)?),
        (None, file) => Some(issue::PinPlace::new(file.as_deref(), format)?),
    };
    let mut card = Card::open(locator)?;
    let stands = PinStands::of(&mut card)?;
    refuse_unasked(office, &record, (stands, arguments.not_blocked)).await?;
    let passphrase = office.passphrase()?;
    let master_key = office.master_key(&passphrase).await?;
    drop(passphrase);
    let (digits, initial) = match &arguments.new_pin {
        Some(source) => {
            (holder_pin::read(&holder_pin::source(source)?, &holder)?, InitialPin::ChosenByHolder)
        }
        None => (transport_pin(&mut office.random), InitialPin::Transport),
    };
    let pin = Pin::new(&digits)?;
    office.admit_new_pin(&record, stands).await?;
    let mut unblocking = Unblocking {
        registry: &office.registry,
        master_key: &master_key,
        clock: &office.clock,
        last_try: if arguments.last_try { LastTry::Spend } else { LastTry::Refuse },
        progress: &mut |progress| office.observer.tell(&progress),
    };
    let hand_over = || match &mut place {
        Some(place) => place.deliver(&digits),
        None => Ok(()),
    };
    let unblocked = unblocking.unblock(&mut card, &record, (&pin, initial), hand_over).await;
    unblocked.map_err(|error| match error {
        error @ PersonalizationError::LastPukTry => {
            Failure::from(error).and("repeat with --last-try to spend it")
        }
        error => error.into(),
    })?;
    office.observer.tell(&Progress::Recorded(record.id));
    tell(office, &record, true, None, format).await
}

/// An operator's PIN that works is not replaced unless that is meant.
async fn refuse_unasked(
    office: &Office,
    record: &CardRecord,
    (stands, is_meant): (PinStands, bool),
) -> Result<(), Failure> {
    if stands == PinStands::Blocked || is_meant {
        return Ok(());
    }
    let Some(operator) = office.operator_with(record).await? else { return Ok(()) };
    let message = format!(
        "the card is that of operator {} {} ({}), and its PIN is not blocked; nothing was changed. Where its holder wants a new one all the same: --not-blocked",
        operator.id.0, operator.name, operator.roles
    );
    Err(Failure::new("pin-not-blocked", message))
}

/// Whether a run before this one may have put a PIN into its place, and did not come to its end.
async fn was_begun(office: &Office, record: &CardRecord) -> Result<bool, Failure> {
    let Some(open) = office.registry.open_operation(record.id).await? else { return Ok(false) };
    let steps = office.registry.steps(&open).await?;
    Ok(steps.iter().any(|entry| entry.step == unblock::PIN))
}

async fn remote(
    office: &mut Office,
    request: &UnblockRequest,
    (digits, identity_check): (&str, &str),
    now: Timestamp,
    format: Format,
) -> Result<Status, Failure> {
    let only_digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    if only_digits(digits) != only_digits(&request.check_digits()) {
        return Err(Failure::new(
            "check-digits",
            "the check digits are not those of this request: it was exchanged on its way, or misheard; nothing was given out",
        ));
    }
    let identity_check = identity_check.trim();
    if identity_check.is_empty() || identity_check.chars().count() > LONGEST_IDENTITY_CHECK {
        return Err(Failure::usage(
            "say in up to 500 characters how you made sure that it is the holder: --identity-check TEXT",
        ));
    }
    let guid = Guid::new(request.guid());
    let record = office.registry.card_with_guid(guid).await?;
    let record = record.ok_or_else(|| {
        Failure::new("unknown-card", format!("no card of this registry has the GUID {guid}"))
    })?;
    holder_of(office, &record).await?;
    let passphrase = office.passphrase()?;
    let master_key = office.master_key(&passphrase).await?;
    drop(passphrase);
    office.admit_new_pin(&record, PinStands::Unknown).await?;
    // Recorded first: from here on the PUK counts as exposed.
    let (candidates, next) =
        office.registry.reveal_puk(record.id, &request.nonce(), identity_check, now).await?;
    let secrets = UnblockSecrets {
        candidates: candidates
            .into_iter()
            .map(|version| master_key.puk(guid, version))
            .collect::<Result<_, _>>()?,
        next: master_key.puk(guid, next)?,
        confirmation: master_key.unblock_confirmation(guid, &request.nonce())?,
    };
    let answer = request
        .seal(&secrets, &mut office.random)
        .map_err(|error| Failure::new("malformed", error.to_string()))?;
    let record = office.registry.card(record.id).await?;
    tell(office, &record, false, Some(answer), format).await
}

async fn confirm(
    office: &mut Office,
    confirmation: &UnblockConfirmation,
    now: Timestamp,
    format: Format,
) -> Result<Status, Failure> {
    let nonce = confirmation.nonce();
    let not_answered =
        || Failure::new("unknown-request", "this confirms no request that was ever answered here");
    let (card, _) = office.registry.answered_unblock(&nonce).await?.ok_or_else(not_answered)?;
    let record = office.registry.card(card).await?;
    let guid = record.card.guid().ok_or_else(not_answered)?;
    let passphrase = office.passphrase()?;
    let master_key = office.master_key(&passphrase).await?;
    drop(passphrase);
    let expected = UnblockConfirmation::new(&nonce, &*master_key.unblock_confirmation(guid, &nonce)?);
    if !confirmation.is(&expected) {
        return Err(Failure::new(
            "wrong-confirmation",
            "this is not what the holder's program shows once it is done; the PUK still counts as exposed",
        ));
    }
    office.registry.confirm_unblock(&nonce, now).await?;
    let record = office.registry.card(card).await?;
    tell(office, &record, true, None, format).await
}

/// Whose card it is, which uses it.
async fn holder_of(office: &Office, record: &CardRecord) -> Result<Cardholder, Failure> {
    in_use::holder(office, record, Deed::Unblock).await
}

async fn tell(
    office: &Office,
    record: &CardRecord,
    unblocked: bool,
    answer: Option<String>,
    format: Format,
) -> Result<Status, Failure> {
    let record = office.registry.card(record.id).await?;
    // Perhaps it was put on hold meanwhile.
    let holder = match record.card.state().holder() {
        Some(holder) => office.registry.cardholder(holder).await?.mail.as_str().to_owned(),
        None => String::new(),
    };
    let exposed = record.card.puk().exposed_since().map(|since| since.to_string());
    let summary =
        Summary { card: which_card::name(&record), holder, unblocked, answer, puk_exposed_since: exposed };
    if format == Format::Json {
        output::json(&summary)?;
        return Ok(Status::Done);
    }
    match &summary.answer {
        Some(answer) => {
            let sentence = texts::say("said-unblock-answer", &[("holder", &summary.holder)]);
            output::line(&format!("{sentence}\n{answer}"))?;
            output::line(&texts::say("said-unblock-exposed", &[]))?;
        }
        None => {
            let values = [("card", summary.card.as_str()), ("holder", &summary.holder)];
            output::line(&texts::say("said-unblocked", &values))?;
        }
    }
    Ok(Status::Done)
}
