//! What is done with a card that its holder uses, and with no other: for every other state it is said why not, and what
//! comes instead.

use super::failure::Failure;
use super::office::Office;
use super::{texts, ways, which_card};
use crate::domain::{CardState, Cardholder};
use crate::registry::CardRecord;

/// What somebody wants to do with a card in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// New certificates.
    Renew,
    /// A new PIN.
    Unblock,
}

/// Whose card it is.
///
/// # Errors
/// `card-state`: it is in nobody's use.
pub(super) async fn holder(office: &Office, record: &CardRecord, deed: Deed) -> Result<Cardholder, Failure> {
    let holder = match record.card.state().holder() {
        Some(id) => Some(office.registry.cardholder(id).await?),
        None => None,
    };
    require(record, holder.as_ref(), deed)?;
    holder.ok_or_else(|| Failure::new("card-state", "nobody has this card"))
}

/// Refuses a card that is not in its holder's use; `holder` is whose it is or was.
///
/// # Errors
/// `card-state`.
fn require(record: &CardRecord, holder: Option<&Cardholder>, deed: Deed) -> Result<(), Failure> {
    let state = record.card.state();
    let (card, argument) = (which_card::name(record), which_card::argument(record));
    let who = holder.map_or("PERSON", |holder| holder.mail.as_str());
    let (key, why) = match (state, deed) {
        (CardState::Issued { .. }, _) => return Ok(()),
        (CardState::OnHold { .. }, _) => return which_card::refuse_held(record),
        (CardState::Unknown | CardState::InStock { .. } | CardState::Unusable { .. }, Deed::Unblock) => {
            ("failed-nobodys-pin", "nobody has it, and there is no PIN to set")
        }
        (CardState::Unknown | CardState::InStock { .. } | CardState::Unusable { .. }, Deed::Renew) => {
            ("failed-nobodys-certificates", "nobody has it, and there is nothing to renew")
        }
        (CardState::BeingPersonalised { .. }, _) => ("failed-half-made", "it is half-made"),
        (_, Deed::Unblock) => {
            ("failed-ended-pin", "its certificates are revoked for good, and a new PIN would open nothing")
        }
        (_, Deed::Renew) => {
            ("failed-ended-certificates", "its certificates are revoked for good, and it gets no others")
        }
    };
    let way = match state {
        CardState::BeingPersonalised { .. } => format!("issuer issue {who} --card LOCATOR"),
        CardState::Lost { .. } | CardState::Damaged { .. } | CardState::Revoked { .. } => {
            format!("issuer replace {who} --card LOCATOR")
        }
        CardState::Replaced { .. } => format!("issuer show person={who}"),
        CardState::Returned { .. } if ways::can_be_wiped(record) => {
            format!("issuer stock return {argument} --card LOCATOR")
        }
        CardState::Returned { .. } => format!("issuer mark {argument} destroyed"),
        _ => format!("issuer issue {who} --card LOCATOR"),
    };
    let (name, since) = (state.name(), state.since().map(|since| since.to_string()).unwrap_or_default());
    let instead = match state {
        CardState::Replaced { .. } => "see the card that took its place",
        CardState::Returned { .. } if ways::can_be_wiped(record) => "wiped, it can be anybody's again",
        CardState::Returned { .. } => "it cannot be wiped; destroy it, and record that",
        CardState::BeingPersonalised { .. } => "go on with it",
        CardState::Lost { .. } | CardState::Damaged { .. } | CardState::Revoked { .. } => {
            "put another card in its place"
        }
        _ => "give out a card",
    };
    let message = format!("card {card} is {name} since {since}: {why}; {instead}: {way}");
    let values =
        [("card", card.as_str()), ("state", &texts::state(name)), ("since", &since), ("command", &way)];
    Err(Failure::new("card-state", message).saying(key, &values))
}
