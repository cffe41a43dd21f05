//! Which card somebody means: by whose it is, by its serial number or by its GUID.

use super::failure::Failure;
use super::office::Office;
use crate::domain::{CardState, Cardholder, Guid, StockIdentity, Tenure};
use crate::registry::{CardRecord, FormerCard, PresentedIdentity};

/// The help of every argument that names a card.
pub(super) const HELP: &str = "Mail address or identifier of its holder, serial number, or GUID; serial=N, guid=HEX or person=WHO where that is not clear";

/// The card that `text` names: a person's live card, or else the newest of theirs.
///
/// # Errors
/// There is none, or more than one could be meant.
pub async fn find(office: &Office, text: &str) -> Result<CardRecord, Failure> {
    let registry = &office.registry;
    let (by_person, by_number) = match text.split_once('=') {
        Some(("person", rest)) => (Some(rest), None),
        Some(("serial" | "guid", rest)) => (None, Some(rest)),
        _ => (Some(text), Some(text)),
    };
    let mut found = Vec::new();
    let mut known = None;
    if let Some(person) = by_person
        && let Some(person) = registry.cardholder_named(person).await?
    {
        found.extend(registry.cards_of(person.id).await?.into_iter().next());
        known = Some(person);
    }
    let by_serial = by_number.and_then(|text| text.parse().ok());
    let by_serial = by_serial.map(|serial| PresentedIdentity { vendor_serial: Some(serial), guid: None });
    let cards = [
        match by_serial {
            Some(identity) => registry.card_presented(identity).await?,
            None => None,
        },
        match by_number.and_then(Guid::from_hex) {
            Some(guid) => match registry.card_with_guid(guid).await? {
                Some(card) => Some(card),
                // A blank card of a manufacturer with stock files.
                None => {
                    let shown = PresentedIdentity { vendor_serial: None, guid: Some(guid) };
                    registry.card_presented(shown).await?
                }
            },
            None => None,
        },
    ];
    for card in cards.into_iter().flatten() {
        if found.iter().all(|known: &CardRecord| known.id != card.id) {
            found.push(card);
        }
    }
    match (found.as_slice(), known) {
        ([_], _) => found.pop().ok_or_else(|| unknown(text)),
        ([], Some(person)) => Err(without_card(office, text, &person).await?),
        ([], None) => Err(unknown(text)),
        _ => Err(Failure::new(
            "ambiguous",
            format!(
                "{text:?} is a person's identifier and another card's number; say person={text} or serial={text}"
            ),
        )),
    }
}

/// Somebody without a card may have had some: they were wiped since, and are in stock or somebody else's.
async fn without_card(office: &Office, text: &str, person: &Cardholder) -> Result<Failure, Failure> {
    let former = office.registry.former_cards_of(person.id).await?;
    if former.is_empty() {
        return Ok(Failure::new("no-card", format!("{text} has no card and had none"))
            .saying("failed-had-no-card", &[("text", text)]));
    }
    let commands = former.iter().map(|former| format!("issuer show {}", argument(&former.card)));
    let commands = commands.collect::<Vec<_>>().join("; ");
    let cards = former.iter().map(|FormerCard { card, tenure }| {
        let now = match card.card.state() {
            CardState::InStock { .. } => "wiped and in stock",
            CardState::Destroyed { .. } => "wiped and destroyed",
            _ => "wiped and another's",
        };
        let Tenure { from, until } = tenure;
        format!(
            "card {} was theirs from {from} until {until} and is {now}: issuer show {}",
            card.identity,
            argument(card)
        )
    });
    let cards = cards.collect::<Vec<_>>().join("; ");
    Ok(Failure::new("no-card", format!("{text} has no card now; {cards}"))
        .saying("failed-has-card-no-more", &[("text", text), ("cards", &commands)]))
}

/// Refuses what is not done to a card on hold, and names the way to it.
///
/// # Errors
/// The card is on hold.
pub(super) fn refuse_held(record: &CardRecord) -> Result<(), Failure> {
    let CardState::OnHold { since, .. } = record.card.state() else { return Ok(()) };
    let (card, argument, since) = (name(record), argument(record), since.to_string());
    let message = format!(
        "card {card} is on hold since {since}: nothing on it is changed before the hold ends; end it with issuer release {argument}, then run this command again"
    );
    let values = [("card", card.as_str()), ("since", &since), ("argument", &argument)];
    Err(Failure::new("card-state", message).saying("failed-on-hold", &values))
}

fn unknown(text: &str) -> Failure {
    Failure::new(
        "unknown-card",
        format!(
            "no card is {text:?}, and nobody of that mail address or identifier has one; look with: issuer find {text}"
        ),
    )
    .saying("failed-card-unknown", &[("text", text)])
}

/// What a card is called in a sentence.
pub(super) fn name(record: &CardRecord) -> String {
    match (record.card.guid(), record.identity) {
        (Some(guid), _) => guid.to_string(),
        (None, StockIdentity::VendorSerial(serial)) => format!("serial {serial}"),
        (None, StockIdentity::Guid(guid)) => guid.to_string(),
    }
}

/// What a command takes to name exactly this card.
pub(super) fn argument(record: &CardRecord) -> String {
    match record.identity {
        StockIdentity::VendorSerial(serial) => format!("serial={serial}"),
        StockIdentity::Guid(guid) => format!("guid={guid}"),
    }
}
