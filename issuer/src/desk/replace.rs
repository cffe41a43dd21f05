//! `issuer replace`: another card in the place of one that is lost, stolen, damaged or worn out.
//!
//! A card that somebody else may have is ended first, whatever becomes of the new one: its certificates are revoked, and a
//! refusal afterwards says so. A damaged one, or one that still works, ends in the commit that begins the new card, after
//! everything that can be refused: nobody is left without any for want of a passphrase. Making the new card can be gone on
//! with by the same command (or by `issue`), and in the commit that makes it its holder's the old one counts as replaced.
//! What is possible for old mail is said in any case: the issuer keeps no copy of any key.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use middleware::Card;
use serde::Serialize;

use super::ca::standing::refuse_withdrawn;
use super::failure::{Failure, Status};
use super::invalidity_date::refuse_before_there_was_a_key;
use super::issue::Place;
use super::office::Office;
use super::output::{self, Format};
use super::texts::{self, Texts};
use super::{issue, which_card};
use crate::domain::{
    AuthorityName, CardCommand, CardState, Cardholder, CertificateState, Guid, Loss, RevocationReason,
};
use crate::personalization::blank;
use crate::personalization::run::Progress;
use crate::registry::{CardRecord, Ending, PresentedIdentity, RegistryError};

/// For whom, which card, and what became of the old one.
#[derive(Args, Debug)]
#[group(id = "replacement")]
pub struct Arguments {
    /// What became of the old card; needed unless that is recorded already
    #[arg(long, value_enum, value_name = "WHAT")]
    because: Option<Because>,
    /// Since when the old card's keys were not their holder's alone, where known: 2026-11-20 or 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::cli::parse_time, requires = "because")]
    invalid_since: Option<Timestamp>,
    #[command(flatten)]
    pub(super) issue: issue::cli::Arguments,
}

/// What became of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Because {
    /// Nobody knows where it is
    Lost,
    /// Somebody took it
    Stolen,
    /// It does not work any more
    Damaged,
    /// It works, and another takes its place
    Superseded,
}

#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    new: issue::Summary,
    old_card: String,
    old_state: &'static str,
    old_mail: String,
}

/// Replaces a card.
///
/// # Errors
/// Refusals before anything changed; later ones leave the old card ended, and perhaps the new one half-made.
pub async fn run(office: &mut Office, arguments: Arguments, format: Format) -> Result<Status, Failure> {
    let Arguments { because, invalid_since, issue } = arguments;
    let order = issue.order()?;
    let holder = office.cardholder(&order.person).await?;
    let old = match before_the_old_ends(office, &order, &holder).await {
        Ok(()) => old_card(office, &holder, because, invalid_since).await,
        Err(failure) => Err(failure),
    };
    let (old, place) = match old {
        Ok(old) => old,
        Err(failure) => return Err(still_valid(office, &holder, because, failure).await?),
    };
    let made = match issue::make(office, &order, place, format).await {
        Ok(made) => made,
        Err(failure) => return Err(only_the_new_is_missing(office, &holder, &order, &old, failure).await?),
    };
    let state = old.card.state().clone();
    let replaced = office.registry.card(old.id).await?;
    let summary = Summary {
        new: issue::summary(&holder, &made),
        old_card: which_card::name(&old),
        old_state: replaced.card.state().name(),
        old_mail: old_mail(&state, texts::of(Format::Json)),
    };
    match format {
        Format::Json => output::json(&summary)?,
        Format::Text => {
            output::line(&issue::done(&holder, &made))?;
            let replaced = texts::say("said-replaced", &[("card", &summary.old_card)]);
            output::line(&format!("{replaced} {}", texts::say("changed-publish", &[])))?;
            let old_mail = old_mail(&state, texts::of(format));
            output::line(&texts::say("said-old-mail", &[("text", &old_mail)]))?;
        }
    }
    Ok(Status::Done)
}

/// Everything that can be refused before the old card ends.
async fn before_the_old_ends(
    office: &Office,
    order: &issue::Order,
    holder: &Cardholder,
) -> Result<(), Failure> {
    refuse_what_is_not_blank(office, order, holder).await?;
    refuse_withdrawn(office, AuthorityName::People).await?;
    let cards = office.registry.cards_of(holder.id).await?;
    order.settled(office, holder, replaceable(&cards).map(|old| old.id)).await?;
    Ok(())
}

/// A refusal says of a card that somebody else may have that it is still good, and how that ends without a new one.
async fn still_valid(
    office: &Office,
    holder: &Cardholder,
    because: Option<Because>,
    failure: Failure,
) -> Result<Failure, Failure> {
    let Some(because) = because.filter(|because| because.is_urgent()) else { return Ok(failure) };
    let cards = office.registry.cards_of(holder.id).await?;
    let Some(old) = replaceable(&cards).filter(|old| is_in_use(old)) else { return Ok(failure) };
    let (card, mail, what) = (which_card::name(old), holder.mail.as_str(), because.name());
    let argument = which_card::argument(old);
    let state = old.card.state().name();
    let more = format!(
        "card {card} of {mail} is {state} as before, and nothing of it was revoked; if it is {what}, revoke it now: issuer mark {argument} {what}"
    );
    let said = texts::state(state);
    let values =
        [("card", card.as_str()), ("mail", mail), ("state", &said), ("argument", &argument), ("what", &what)];
    Ok(failure.and_saying(&more, "failed-still-valid", &values))
}

/// The new card is looked at before the old one is ended: nobody shall be left without any.
async fn refuse_what_is_not_blank(
    office: &Office,
    order: &issue::Order,
    holder: &Cardholder,
) -> Result<(), Failure> {
    let mut card = Card::open(&order.card)?;
    let identity = card.identity()?;
    let shown = PresentedIdentity { vendor_serial: identity.serial, guid: identity.guid.map(Guid::new) };
    let Some(record) = office.registry.card_presented(shown).await? else {
        return Err(Failure::new(
            "unknown-card",
            "the new card is not in stock; take it in first: issuer stock add",
        ));
    };
    match record.card.state() {
        CardState::InStock { .. } => {
            Ok(blank::refuse_foreign(&office.registry, Some(&record), &mut card).await?)
        }
        CardState::BeingPersonalised { holder: begun_for, .. } if *begun_for == holder.id => Ok(()),
        state if state.holder() == Some(holder.id) && state.is_live() => {
            Err(is_theirs(office, &record, holder).await?)
        }
        state => Err(Failure::new(
            "card-state",
            format!("the new card is {}; take one that is in stock: issuer stock list", state.name()),
        )),
    }
}

/// The card in the reader is the one that this person has: another one was meant, or the replacement is done.
async fn is_theirs(office: &Office, record: &CardRecord, holder: &Cardholder) -> Result<Failure, Failure> {
    let cards = office.registry.cards_of(holder.id).await?;
    let replaced = cards
        .iter()
        .find(|card| matches!(card.card.state(), CardState::Replaced { by, .. } if *by == record.id));
    let (name, mail, state) = (which_card::name(record), holder.mail.as_str(), record.card.state().name());
    Ok(match replaced {
        Some(old) => Failure::new(
            "already-replaced",
            format!(
                "card {name} of {mail} has taken the place of card {} already and is {state}; nothing was changed. To replace this one, put another card into the reader",
                which_card::name(old)
            ),
        ),
        None => Failure::new(
            "card-state",
            format!(
                "card {name} is the one that {mail} has ({state}); put another card, one in stock, into the reader: issuer stock list"
            ),
        ),
    })
}

/// The card that another can take the place of: the one in use, else one that has ended.
fn replaceable(cards: &[CardRecord]) -> Option<&CardRecord> {
    let has_ended = |record: &&CardRecord| {
        matches!(
            record.card.state(),
            CardState::Lost { .. } | CardState::Damaged { .. } | CardState::Revoked { .. }
        )
    };
    cards.iter().find(|record| is_in_use(record)).or_else(|| cards.iter().find(has_ended))
}

const fn is_in_use(record: &CardRecord) -> bool {
    matches!(record.card.state(), CardState::Issued { .. } | CardState::OnHold { .. })
}

/// The card that is replaced, as it will have ended; one that somebody else may have ends here.
async fn old_card(
    office: &Office,
    holder: &Cardholder,
    because: Option<Because>,
    invalid_since: Option<Timestamp>,
) -> Result<(CardRecord, Place), Failure> {
    let cards = office.registry.cards_of(holder.id).await?;
    let record = replaceable(&cards).ok_or_else(|| {
        let mail = holder.mail.as_str();
        let message = format!(
            "{mail} has no card that could be replaced; issue one: issuer issue {mail} --card LOCATOR"
        );
        Failure::new("no-card", message)
    })?;
    if !is_in_use(record) {
        refuse_what_is_too_late(office, record, because, invalid_since).await?;
        return Ok((record.clone(), Place::Ended(record.id)));
    }
    let Some(because) = because else {
        return Err(Failure::usage(format!(
            "say what became of card {} of {}: --because lost, stolen, damaged or superseded",
            which_card::name(record),
            holder.mail.as_str()
        )));
    };
    let certificates = office.registry.certificates_of_card(record.id).await?;
    refuse_before_there_was_a_key(&certificates, invalid_since)?;
    let command = because.command();
    if because.is_urgent() {
        let now = office.time_to_revoke().await?;
        let card = office.registry.command_card_since(record.id, command, invalid_since, now).await?;
        office.observer.tell(&Progress::Recorded(record.id));
        return Ok((CardRecord { card, ..record.clone() }, Place::Ended(record.id)));
    }
    let now = office.time_to_sign().await?;
    let event = record.card.decide(command, now).map_err(RegistryError::from)?;
    let card = record.card.clone().apply(event);
    let place = Place::InUse(Ending { card: record.id, command, invalid_since });
    Ok((CardRecord { card, ..record.clone() }, place))
}

/// A refusal after the old card has ended says so, and what goes on; a half-made card says that of itself.
async fn only_the_new_is_missing(
    office: &Office,
    holder: &Cardholder,
    order: &issue::Order,
    old: &CardRecord,
    failure: Failure,
) -> Result<Failure, Failure> {
    let old = office.registry.card(old.id).await?;
    if old.card.state().is_live() || office.registry.card_of(holder.id).await?.is_some() {
        return Ok(failure);
    }
    let (mail, state) = (holder.mail.as_str(), old.card.state());
    let since = state.since().map(|since| since.to_string()).unwrap_or_default();
    Ok(failure.and(&format!(
        "card {} of {mail} is {} since {since}, and its certificates are revoked; only the new card is missing: issuer replace {mail} {}",
        which_card::name(&old),
        state.name(),
        order.options()
    )))
}

/// Nothing that was said of a card which has ended before is dropped silently: what is recorded already may be said again,
/// as a replacement that stopped is gone on with; anything else cannot be recorded any more.
async fn refuse_what_is_too_late(
    office: &Office,
    ended: &CardRecord,
    because: Option<Because>,
    invalid_since: Option<Timestamp>,
) -> Result<(), Failure> {
    let state = ended.card.state();
    let since = state.since().map(|since| since.to_string()).unwrap_or_default();
    let recorded = format!("card {} is {} since {since} already", which_card::name(ended), state.name());
    if let Some(because) = because.filter(|because| !because.is_recorded(state)) {
        let what = because.name();
        let message = format!(
            "{recorded}: that it is {what} cannot be recorded any more, and nothing was changed; replace it without --because"
        );
        return Err(Failure::new("card-state", message));
    }
    let Some(wanted) = invalid_since else { return Ok(()) };
    let certificates = office.registry.certificates_of_card(ended.id).await?;
    let is_recorded = certificates.iter().any(|certificate| {
        matches!(certificate.state.state(), CertificateState::Revoked { invalid_since: Some(known), .. }
            if known.as_second() == wanted.as_second())
    });
    if is_recorded {
        return Ok(());
    }
    let message = format!(
        "{recorded} and its certificates are revoked: since when its keys were not their holder's alone cannot be recorded any more, and nothing was changed; replace it without --invalid-since"
    );
    Err(Failure::new("already-revoked", message))
}

impl Because {
    /// What is recorded.
    const fn command(self) -> CardCommand {
        match self {
            Self::Lost => CardCommand::ReportLoss { loss: Loss::Lost },
            Self::Stolen => CardCommand::ReportLoss { loss: Loss::Stolen },
            Self::Damaged => CardCommand::ReportDamage,
            Self::Superseded => CardCommand::Revoke { reason: RevocationReason::Superseded },
        }
    }

    /// As it is written.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether somebody else may use it: then it is revoked before anything else.
    const fn is_urgent(self) -> bool {
        matches!(self, Self::Lost | Self::Stolen)
    }

    /// Whether a card in this state is known to have ended so.
    const fn is_recorded(self, state: &CardState) -> bool {
        match state {
            CardState::Lost { loss: Loss::Lost, .. } => matches!(self, Self::Lost),
            CardState::Lost { loss: Loss::Stolen, .. } => matches!(self, Self::Stolen),
            CardState::Damaged { .. } => matches!(self, Self::Damaged),
            CardState::Revoked { reason: RevocationReason::Superseded, .. } => {
                matches!(self, Self::Superseded)
            }
            _ => false,
        }
    }
}

/// What can be said of mail that was encrypted to the old card.
fn old_mail(state: &CardState, texts: &Texts) -> String {
    let key = match state {
        CardState::Lost { .. } => "said-old-mail-lost",
        CardState::Damaged { .. } => "said-old-mail-damaged",
        CardState::Revoked { reason: RevocationReason::Superseded, .. } => "said-old-mail-kept",
        // Why it was revoked does not say where it is.
        CardState::Revoked { .. } => "said-old-mail-revoked",
        _ => "said-old-mail-kept",
    };
    texts.say(key, &[])
}
