//! What lies in the reader: a card of this registry in whatever state, a blank one, or somebody else's.

use middleware::{Card, CardIdentity, Locator, PinStatus};

use crate::desk::failure::Failure;
use crate::desk::half_done::{self, HalfDoneView};
use crate::desk::office::Office;
use crate::desk::ways;
use crate::desk::{texts, which_card};
use crate::domain::{CardAction, CardState, Cardholder, Guid, Usability};
use crate::personalization::blank;
use crate::personalization::renewal::can_retire;
use crate::registry::{CardRecord, EmulatedCards, OperationKind, PresentedIdentity};

/// A card in a reader.
pub(super) enum Seen {
    /// The registry knows it.
    Known {
        /// What the registry has.
        record: Box<CardRecord>,
        /// Whose it is or was.
        holder: Option<Cardholder>,
        /// The GUID that the card shows, if any, where the registry has another.
        other_guid: Option<String>,
        /// What was begun with it and is not done.
        half_done: Option<Box<HalfDoneView>>,
        /// Whether the card takes no PIN any more.
        pin_blocked: bool,
        /// Whether it can have a new key 9D and keep the old one.
        can_retire: bool,
    },
    /// Nobody's, and nothing is on it.
    Blank {
        /// The maker's number; a card without one comes with a stock file.
        serial: Option<u32>,
    },
    /// Not of this registry, and somebody's keys or certificates are on it.
    Foreign {
        /// Which.
        things: Vec<String>,
    },
    /// An emulated card, which this registry refuses.
    Emulated,
}

/// Something that can be done with a card.
pub(super) struct Offer {
    /// In words.
    pub what: String,
    /// As a command of the program; `LOCATOR`, `PERSON`, `REASON`, `FILE` stand for what is asked for.
    pub command: String,
    /// Its words, without the program.
    pub words: Vec<String>,
    /// Whether it is asked again.
    pub care: Care,
}

/// How easily something is done by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// It can be undone, or only begins something.
    Light,
    /// It cannot be undone.
    Final,
    /// Neither can it, and the keys on the card are lost with it: old mail that only they can read.
    LosesKeys,
}

/// Looks at a card; nothing on it is changed.
///
/// # Errors
/// No card, a card that answers nothing, or the registry.
pub(super) async fn look(office: &Office, locator: &Locator) -> Result<(String, Seen), Failure> {
    let mut card = Card::open(locator)?;
    let identity = card.identity()?;
    let name = name(&identity);
    if identity.emulated.is_some() && office.registry.emulated_cards().await? == EmulatedCards::Refused {
        return Ok((name, Seen::Emulated));
    }
    let guid = identity.guid.map(Guid::new);
    let presented = PresentedIdentity { vendor_serial: identity.serial, guid };
    let Some(record) = office.registry.card_presented(presented).await? else {
        let things = blank::foreign(&office.registry, None, &mut card).await?;
        let seen = match things.is_empty() {
            true => Seen::Blank { serial: identity.serial },
            false => Seen::Foreign { things },
        };
        return Ok((name, seen));
    };
    let holder = match record.card.state().holder() {
        Some(id) => Some(office.registry.cardholder(id).await?),
        None => None,
    };
    let is_issued = record.card.state().is_live() && record.card.state().name() != "being personalised";
    let shown = guid.map_or_else(|| "-".to_owned(), |guid| guid.to_string());
    let other_guid = (is_issued && record.card.guid() != guid).then_some(shown);
    let half_done = half_done::of(office, &record, "LOCATOR").await?.map(Box::new);
    let pin_blocked = is_issued && card.transaction()?.pin_status()? == PinStatus::Blocked;
    let can_retire = can_retire(&identity);
    Ok((
        name,
        Seen::Known { record: Box::new(record), holder, other_guid, half_done, pin_blocked, can_retire },
    ))
}

fn name(identity: &CardIdentity) -> String {
    match (identity.serial, identity.guid) {
        (Some(serial), _) => serial.to_string(),
        (None, Some(guid)) => Guid::new(guid).to_string(),
        (None, None) => "?".to_owned(),
    }
}

impl Seen {
    /// What it is, in a sentence or two.
    pub(super) fn described(&self, name: &str) -> Vec<String> {
        match self {
            Self::Known { record, holder, other_guid, half_done, pin_blocked, .. } => {
                let mut lines = vec![state(record, holder.as_ref(), name)];
                lines.extend(half_done.as_ref().map(|open| open.sentence()));
                lines.extend(pin_blocked.then(|| texts::say("shell-pin-blocked", &[])));
                if let Some(shown) = other_guid {
                    let recorded = record.card.guid().map(|guid| guid.to_string()).unwrap_or_default();
                    let values = [("shown", shown.clone()), ("recorded", recorded)];
                    let values = values.each_ref().map(|(key, value)| (*key, value.as_str()));
                    lines.push(texts::say("shell-differs", &values));
                }
                lines
            }
            Self::Blank { .. } => {
                vec![texts::say("shell-blank", &[("card", name)]), texts::say("shell-made-new", &[])]
            }
            Self::Foreign { things } => {
                let things = things.join("; ");
                vec![texts::say("shell-foreign", &[("card", name), ("things", &things)])]
            }
            Self::Emulated => vec![texts::say("shell-emulated", &[("card", name)])],
        }
    }

    /// What can be done with it.
    pub(super) fn offers(&self) -> Vec<Offer> {
        match self {
            Self::Known { record, holder, half_done, pin_blocked, can_retire, .. } => {
                let mail = holder.as_ref().map(|holder| holder.mail.as_str());
                let sets_pin = half_done.as_ref().is_some_and(|open| open.kind == OperationKind::Unblock);
                // A renewal wants the PIN, too.
                let unblocking = (*pin_blocked && !sets_pin).then(|| unblock(record)).flatten();
                let mut offers: Vec<_> = unblocking.into_iter().collect();
                offers.extend(half_done.iter().filter_map(|open| go_on(open)));
                offers.extend(harmless(record));
                // What replaces this card is another one.
                let of_state = of_record(record, mail, |way| match way.action {
                    CardAction::Replace => false,
                    // Nobody has used it with a PIN of their own if none is taken.
                    CardAction::Activate => !pin_blocked,
                    _ => true,
                });
                let more = match (mail, record.card.state()) {
                    (Some(mail), CardState::Issued { usability, .. }) => {
                        let takes_pin = *usability != Usability::PinBlocked && !pin_blocked;
                        of_issued(mail, (takes_pin, *can_retire), half_done.as_deref())
                    }
                    _ => Vec::new(),
                };
                for offer in of_state.into_iter().chain(more) {
                    if offers.iter().all(|known| known.words != offer.words) {
                        offers.push(offer);
                    }
                }
                offers
            }
            Self::Blank { serial: Some(_) } => {
                vec![Offer::new("way-stock-add", "stock add --card LOCATOR", Care::Light)]
            }
            Self::Blank { serial: None } => {
                vec![Offer::new("way-stock-file", "stock add --file FILE", Care::Light)]
            }
            Self::Foreign { .. } | Self::Emulated => Vec::new(),
        }
    }
}

impl Offer {
    fn new(key: &str, command: &str, care: Care) -> Self {
        let words = command.split(' ').map(str::to_owned).collect();
        Self { what: texts::say(key, &[]), command: format!("issuer {command}"), words, care }
    }
}

/// What is offered before a card is wiped that somebody had: it may hold the only key for old mail.
fn harmless(record: &CardRecord) -> Option<Offer> {
    match record.card.state() {
        CardState::Lost { .. }
        | CardState::Damaged { .. }
        | CardState::Replaced { .. }
        | CardState::Revoked { .. }
            if ways::can_be_wiped(record) =>
        {
            let command = format!("stock return {}", which_card::argument(record));
            Some(Offer::new("way-return-kept", &command, Care::Final))
        }
        CardState::Returned { .. } => Some(Offer::new("way-check", "check --card LOCATOR", Care::Light)),
        _ => None,
    }
}

/// A new PIN, for a card that takes none any more; one on hold is released first.
fn unblock(record: &CardRecord) -> Option<Offer> {
    let is_issued = matches!(record.card.state(), CardState::Issued { .. });
    let command = format!("unblock {} --card LOCATOR", which_card::argument(record));
    is_issued.then(|| Offer::new("way-unblock-pin", &command, Care::Light))
}

/// The next command that goes on with what was begun; none where it is over with the card.
fn go_on(open: &HalfDoneView) -> Option<Offer> {
    let command = open.commands.first()?;
    let (key, care) = match open.kind {
        _ if open.is_over || open.commands.len() > 1 => return None,
        OperationKind::Renewal => ("way-go-on-renewal", Care::Light),
        OperationKind::Unblock => ("way-go-on-unblock", Care::Light),
        OperationKind::Wipe => ("way-go-on-wipe", Care::LosesKeys),
    };
    let words = shlex::split(command.strip_prefix("issuer ")?)?;
    Some(Offer { what: texts::say(key, &[]), command: command.clone(), words, care })
}

/// What an issued card can have done to it that leaves its state.
fn of_issued(
    mail: &str,
    (takes_pin, can_retire): (bool, bool),
    half_done: Option<&HalfDoneView>,
) -> Vec<Offer> {
    let check = Offer::new("way-check", "check --card LOCATOR", Care::Light);
    // What was begun is finished first.
    if !takes_pin || half_done.is_some() {
        return vec![check];
    }
    let renew = format!("renew {mail} --card LOCATOR");
    let mut offers = vec![Offer::new("way-renew", &renew, Care::Light)];
    if can_retire {
        offers.push(Offer::new("way-renew-keys", &format!("{renew} --new-keys"), Care::Light));
    }
    offers.push(check);
    offers
}

/// A known card and its state, in a sentence.
pub(super) fn state(record: &CardRecord, holder: Option<&Cardholder>, name: &str) -> String {
    let state = record.card.state();
    let said = texts::state(state.name());
    let since = state.since().map(|since| format!("{}", since.strftime("%F %H:%M UTC"))).unwrap_or_default();
    let holder = holder.map(|holder| format!("{} <{}>", holder.name.as_str(), holder.mail.as_str()));
    match (&holder, since.is_empty()) {
        (Some(holder), _) => {
            let values = [("card", name), ("state", &said), ("since", &since), ("holder", holder)];
            texts::say("shell-card-of", &values)
        }
        (None, false) => {
            texts::say("shell-card-since", &[("card", name), ("state", &said), ("since", &since)])
        }
        (None, true) => texts::say("shell-card", &[("card", name), ("state", &said)]),
    }
}

/// The ways of a known card that have a command and are wanted.
pub(super) fn of_record(
    record: &CardRecord,
    mail: Option<&str>,
    wanted: impl Fn(&ways::WayView) -> bool,
) -> Vec<Offer> {
    let views = ways::of(record, mail).into_iter().filter(wanted);
    let offers = views.filter_map(|view| {
        let command = view.command.clone()?;
        let words = shlex::split(command.strip_prefix("issuer ")?)?;
        Some(Offer { what: view.said(), command, words, care: care(view.action, record) })
    });
    offers.collect()
}

const fn care(action: CardAction, record: &CardRecord) -> Care {
    match action {
        CardAction::Return | CardAction::Restock if ways::can_be_wiped(record) => Care::LosesKeys,
        CardAction::Destroy if record.card.state().holder().is_some() => Care::LosesKeys,
        CardAction::Abandon
        | CardAction::ReportLoss
        | CardAction::ReportDamage
        | CardAction::Replace
        | CardAction::Revoke
        | CardAction::Return
        | CardAction::Restock
        | CardAction::Destroy => Care::Final,
        CardAction::Receive
        | CardAction::Personalise
        | CardAction::HandOver
        | CardAction::RecordFault
        | CardAction::Activate
        | CardAction::BlockPin
        | CardAction::UnblockPin
        | CardAction::Hold
        | CardAction::Release => Care::Light,
    }
}

/// What a known card is called in a sentence.
pub(super) fn called(record: &CardRecord) -> String {
    match record.identity {
        crate::domain::StockIdentity::VendorSerial(serial) => serial.to_string(),
        crate::domain::StockIdentity::Guid(_) => which_card::name(record),
    }
}
