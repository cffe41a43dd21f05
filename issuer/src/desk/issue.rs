//! `issuer issue`: a card in stock becomes somebody's.

pub mod cli;
pub mod order;
pub mod pin_place;

use middleware::Card;
use serde::Serialize;

pub use self::order::Order;
use self::order::{PinSource, Settled, as_ordered};
pub(super) use self::order::{Place, ordered};
pub(super) use self::pin_place::PinPlace;
use super::bench::{Bench, Participants};
use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::{holder_pin, texts};
use crate::domain::{
    CardFault, CardId, CardKey, CardRefusal, CardState, Cardholder, CardholderId, Guid, InitialPin,
    KeyChoices, KeyOrigin, SerialNumber,
};
use crate::personalization::PersonalizationError;
use crate::personalization::plan::{Commission, Step};
use crate::personalization::run::{Personalized, Progress};
use crate::registry::{PresentedIdentity, RegistryError};

#[derive(Serialize)]
pub(super) struct Summary {
    holder: String,
    holder_name: String,
    card_guid: String,
    /// The name of its profile.
    card_profile: Option<String>,
    not_after: String,
    /// `transport` or `chosen-by-holder`.
    pin: &'static str,
    certificates: Vec<CertificateSummary>,
}

#[derive(Serialize)]
struct CertificateSummary {
    key: &'static str,
    serial: String,
}

/// Makes the card.
///
/// # Errors
/// Refusals before the card was touched, and interruptions; the message says which, and what to do next.
pub async fn run(office: &mut Office, order: Order, format: Format) -> Result<Status, Failure> {
    let holder = office.cardholder(&order.person).await?;
    let made = make(office, &order, Place::Free, format).await?;
    match format {
        Format::Json => output::json(&summary(&holder, &made))?,
        Format::Text => output::line(&done(&holder, &made))?,
    }
    Ok(Status::Done)
}

/// Makes the card, in the place of another if so; what was done is still to be said.
///
/// # Errors
/// As [`run`].
pub(super) async fn make(
    office: &mut Office,
    order: &Order,
    replaces: Place,
    format: Format,
) -> Result<Personalized, Failure> {
    let holder = office.cardholder(&order.person).await?;
    let mut card = Card::open(&order.card)?;
    refuse_whoever_has_one(office, &holder, replaces, &mut card).await?;
    let (replaces, ends) = replaces.parts();
    let Settled { profile, pin } = order.settled(office, &holder, replaces).await?;
    let now = office.time_to_sign().await?;
    let mut pin_place = match (&pin, &order.pin.transport_file) {
        (PinSource::Holder { .. }, _) => None,
        (PinSource::Transport, Some(path)) if was_handed_over(office, &holder).await? => {
            Some(PinPlace::replacing(path)?)
        }
        (PinSource::Transport, path) => Some(PinPlace::new(path.as_deref(), format)?),
    };
    let mut bench = Bench::open(office, now).await?;
    let chosen_pin = match &pin {
        PinSource::Transport => None,
        PinSource::Holder { source, as_ordered: false } => Some(holder_pin::read(source, &holder)?),
        PinSource::Holder { source, as_ordered: true } => {
            Some(holder_pin::read(source, &holder).map_err(as_ordered)?)
        }
    };

    let mut hand_over_pin = |pin: &str| match &mut pin_place {
        Some(place) => place.deliver(pin),
        None => Ok(()),
    };
    let participants = Participants {
        progress: &mut watched(office, format, Some(profile.keys)),
        hand_over_pin: &mut hand_over_pin,
        stop: &|| false,
    };
    let mut desk = bench.desk(office, participants);
    let commission = Commission { profile, chosen_pin, replaces, ends };
    let made = desk.personalize(&mut card, &holder, commission).await;
    match made {
        Ok(made) => Ok(made),
        Err(error) => Err(explain(office, &holder, error).await),
    }
}

/// Who is told how far a card is, and which keys are made: the office's observer, and whoever reads the terminal.
pub(super) fn watched(
    office: &Office,
    format: Format,
    keys: Option<KeyChoices>,
) -> impl FnMut(Progress) + use<> {
    let observer = office.observer.clone();
    move |progress| {
        if format == Format::Text
            && let Some(sentence) = sentence(&progress, keys)
        {
            output::progress(&sentence);
        }
        observer.tell(&progress);
    }
}

/// Nobody is asked for a PIN or a file in vain.
async fn refuse_whoever_has_one(
    office: &Office,
    holder: &Cardholder,
    place: Place,
    card: &mut Card,
) -> Result<(), Failure> {
    let Some(record) = office.registry.card_of(holder.id).await? else { return Ok(()) };
    match (record.card.state(), place) {
        (CardState::BeingPersonalised { .. }, _) => return Ok(()),
        (_, Place::InUse(ending)) if ending.card == record.id => return Ok(()),
        _ => {}
    }
    let identity = card.identity()?;
    let shown = PresentedIdentity { vendor_serial: identity.serial, guid: identity.guid.map(Guid::new) };
    let is_this = office.registry.card_presented(shown).await?.is_some_and(|here| here.id == record.id);
    match record.card.state() {
        CardState::Issued { holder: id, since, .. } if is_this => {
            let refusal = CardRefusal::AlreadyIssued { holder: *id, since: *since };
            Err(refused(office, &refusal).await?.and(&what_then(holder.mail.as_str())))
        }
        _ => Err(has_card(office, holder, record.id).await?),
    }
}

/// What is done for somebody who has a card.
fn what_then(mail: &str) -> String {
    format!(
        "give that one new certificates (issuer renew {mail} --card LOCATOR), or put another in its place: issuer replace {mail} --because superseded --card LOCATOR (or lost, stolen, damaged)"
    )
}

/// What was done, in one sentence.
pub(super) fn done(holder: &Cardholder, made: &Personalized) -> String {
    let (guid, until) = (made.guid.to_string(), made.not_after.strftime("%F").to_string());
    let values =
        [("name", holder.name.as_str()), ("mail", holder.mail.as_str()), ("card", &guid), ("until", &until)];
    let key = match made.pin {
        InitialPin::ChosenByHolder => "issue-done-by-holder",
        InitialPin::Transport => "issue-done",
    };
    texts::say(key, &values)
}

/// Whether an interrupted attempt at this person's card came so far that its PIN may lie in its place already.
async fn was_handed_over(office: &Office, holder: &Cardholder) -> Result<bool, Failure> {
    let Some(record) = office.registry.card_of(holder.id).await? else { return Ok(false) };
    let is_half_made = matches!(record.card.state(), CardState::BeingPersonalised { .. });
    let name = Step::HandOver.to_string();
    let journal = office.registry.journal(record.id).await?;
    Ok(is_half_made && journal.iter().any(|entry| entry.step == name))
}

/// What the desk is told of a step; nothing of those that only a program follows.
fn sentence(progress: &Progress, keys: Option<KeyChoices>) -> Option<String> {
    let of_key = |key: &CardKey, name| texts::say(name, &[("key", key.as_str())]);
    let of_certificate = |key: &CardKey, serial: &SerialNumber, name| {
        texts::say(name, &[("key", key.as_str()), ("serial", &serial.to_string())])
    };
    Some(match progress {
        Progress::Begun { guid, attempt, resumes, has_leftovers, .. } => {
            let name = match (has_leftovers, resumes) {
                (false, _) => return Some(texts::say("issue-begun", &[("card", &guid.to_string())])),
                (_, true) => "issue-resumed",
                (_, false) => "issue-begun-again",
            };
            texts::say(name, &[("card", &guid.to_string()), ("attempt", &attempt.to_string())])
        }
        Progress::SecretsSet => texts::say("issue-secrets", &[]),
        Progress::KeyMade(key) => match keys?.of(*key).origin {
            KeyOrigin::GeneratedOnCard => of_key(key, "issue-key-made"),
            KeyOrigin::Injected => of_key(key, "issue-key-injected"),
        },
        Progress::KeyKept(key) => of_key(key, "issue-key-kept"),
        Progress::CertificateKept(key, serial) => of_certificate(key, serial, "issue-certificate-kept"),
        Progress::Certified(key, serial) => of_certificate(key, serial, "issue-certified"),
        Progress::Verified(key) => of_key(key, "issue-verified"),
        Progress::RenewalBegun { resumed: false } => texts::say("renew-begun", &[]),
        Progress::RenewalBegun { resumed: true } => texts::say("renew-resumed", &[]),
        Progress::Retired(reference) => texts::say("renew-retired", &[("reference", &reference.to_string())]),
        Progress::Step { .. } | Progress::Operation(..) | Progress::Recorded(_) => return None,
    })
}

pub(super) fn summary(holder: &Cardholder, made: &Personalized) -> Summary {
    let keys = crate::domain::CardKey::ALL.iter().zip(&made.serials);
    Summary {
        holder: holder.mail.as_str().to_owned(),
        holder_name: holder.name.as_str().to_owned(),
        card_guid: made.guid.to_string(),
        card_profile: made.profile.clone(),
        not_after: made.not_after.to_string(),
        pin: match made.pin {
            InitialPin::ChosenByHolder => "chosen-by-holder",
            InitialPin::Transport => "transport",
        },
        certificates: keys
            .map(|(key, serial)| CertificateSummary { key: key.as_str(), serial: serial.to_string() })
            .collect(),
    }
}

/// Names the people behind the numbers, and says what state the card is in now.
pub(super) async fn explain(office: &Office, holder: &Cardholder, error: PersonalizationError) -> Failure {
    let fault = error.fault();
    let failure = match &error {
        PersonalizationError::Registry(RegistryError::HasCard { card }) => {
            return has_card(office, holder, *card).await.unwrap_or_else(|failure| failure);
        }
        PersonalizationError::Registry(RegistryError::CardRefused(refusal)) => {
            return refused(office, refusal).await.unwrap_or_else(|failure| failure);
        }
        _ => Failure::from(error),
    };
    let half_made = match office.registry.card_of(holder.id).await {
        Ok(Some(record)) => matches!(record.card.state(), CardState::BeingPersonalised { .. }),
        _ => false,
    };
    match (half_made, fault) {
        (false, _) => failure,
        (true, None) => {
            let more = "the card is not finished: keep it here and run the same command again";
            failure.and_saying(more, "failed-not-finished", &[])
        }
        (true, Some(fault)) => {
            let mail = holder.mail.as_str();
            let more = format!(
                "it cannot be personalised: give it up (issuer revoke {mail} --reason cessation-of-operation) and take another"
            );
            let failure = failure.and_saying(&more, "failed-cannot-be-made", &[("mail", mail)]);
            match fault {
                CardFault::PukUnknown | CardFault::ManagementKeyUnknown => failure.and(
                    "given up, a card whose stock file was wrong is taken in again with the right one: issuer stock add --file STOCK.toml",
                ),
                CardFault::PukBlocked | CardFault::PukLastTry => failure,
            }
        }
    }
}

async fn has_card(office: &Office, holder: &Cardholder, card: CardId) -> Result<Failure, Failure> {
    let record = office.registry.card(card).await?;
    let guid = record.card.guid().map(|guid| guid.to_string()).unwrap_or_default();
    let mail = holder.mail.as_str();
    Ok(match record.card.state() {
        CardState::BeingPersonalised { .. } => Failure::new(
            "has-card",
            format!(
                "another card ({}) is being made for {mail}; finish that one, or give it up with: issuer revoke {mail} --reason cessation-of-operation",
                record.identity
            ),
        )
        .saying("failed-has-card-half-made", &[("mail", mail), ("card", &record.identity.to_string())]),
        CardState::OnHold { .. } => Failure::new(
            "has-card",
            format!(
                "{mail} has card {guid} already, and it is on hold; end the hold (issuer release {mail}), or put another card in its place: issuer replace {mail} --because lost --card LOCATOR"
            ),
        )
        .saying("failed-has-card-on-hold", &[("mail", mail), ("card", &guid)]),
        _ => Failure::new(
            "has-card",
            format!("{mail} has card {guid} already; {}", what_then(mail)),
        )
        .saying("failed-has-card-already", &[("mail", mail), ("card", &guid)]),
    })
}

async fn refused(office: &Office, refusal: &CardRefusal) -> Result<Failure, Failure> {
    let plain = Failure::from(RegistryError::CardRefused(refusal.clone()));
    Ok(match refusal {
        CardRefusal::AlreadyIssued { holder, since } => {
            let mail = mail_of(office, *holder).await?;
            let message = format!("this card was issued to {mail} at {since}; it is not issued twice");
            let values = [("mail", mail.as_str()), ("since", &since.to_string())];
            Failure { message, ..plain }.saying("failed-issued-to", &values)
        }
        CardRefusal::BeingPersonalisedFor { holder, since } => {
            let mail = mail_of(office, *holder).await?;
            let message = format!(
                "this card is half-made for {mail} since {since}; finish it (issuer issue {mail}) or give it up (issuer revoke {mail} --reason cessation-of-operation)"
            );
            let values = [("mail", mail.as_str()), ("since", &since.to_string())];
            Failure { message, ..plain }.saying("failed-anothers-half-made-of", &values)
        }
        CardRefusal::Revoked { .. } | CardRefusal::NotNow { .. } => plain.and("take another card"),
        CardRefusal::Unusable { .. } => {
            plain.and("take another card; once this one is reset, take it in again with issuer stock add --card LOCATOR, or with its right stock file: issuer stock add --file STOCK.toml")
        }
        _ => plain,
    })
}

async fn mail_of(office: &Office, holder: CardholderId) -> Result<String, Failure> {
    Ok(office.registry.cardholder(holder).await?.mail.as_str().to_owned())
}
