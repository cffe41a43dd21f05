//! What can be done with a card next, and what can be undone and how, in words and as commands.

use serde::Serialize;

use super::output::Format;
use super::texts::{self, Texts};
use super::which_card;
use crate::domain::{CardAction, CardFault, CardState, Direction, StockIdentity, Way};
use crate::registry::CardRecord;

/// One thing that can be done.
#[derive(Clone, Debug, Serialize)]
pub struct WayView {
    /// Whether it undoes something.
    pub undoes: bool,
    /// In words.
    pub what: &'static str,
    /// The command; none where it happens by itself in another.
    pub command: Option<String>,
    /// What kind of thing.
    #[serde(skip)]
    pub action: CardAction,
    /// Its words in the texts of the desk.
    #[serde(skip)]
    key: &'static str,
}

impl WayView {
    /// In the words of the language that was chosen.
    pub fn said(&self) -> String {
        texts::say(self.key, &[])
    }

    /// In the words of the language that was chosen, with the command.
    pub fn in_one_line(&self) -> String {
        self.in_words(texts::of(Format::Text))
    }

    /// With the command, in these words.
    pub fn in_words(&self, texts: &Texts) -> String {
        let what = texts.say(self.key, &[]);
        match &self.command {
            Some(command) => format!("{what}: {command}"),
            None => what,
        }
    }
}

/// Everything that can be done with a card now; `holder` is whose it is, as a command takes it.
pub fn of(record: &CardRecord, holder: Option<&str>) -> Vec<WayView> {
    let ways = record.card.state().ways();
    ways.iter().filter_map(|way| view(*way, record, holder)).collect()
}

/// What undoes the last step, in one line.
pub fn back(record: &CardRecord, holder: Option<&str>) -> Option<String> {
    let way = of(record, holder).into_iter().find(|way| way.undoes)?;
    Some(way.in_words(texts::of(Format::Json)))
}

fn view(way: Way, record: &CardRecord, holder: Option<&str>) -> Option<WayView> {
    let undoes = way.direction == Direction::Back;
    let card = which_card::argument(record);
    let who = holder.unwrap_or("PERSON");
    let (what, command) = match way.action {
        CardAction::Receive => match (record.identity, record.card.state()) {
            (StockIdentity::VendorSerial(_), _) => (
                "take it into stock again, once it is reset",
                Some("issuer stock add --card LOCATOR".to_owned()),
            ),
            // No command of SP 800-73-5 gives such a card another PUK without one that works.
            (
                StockIdentity::Guid(_),
                CardState::Unusable { fault: CardFault::PukBlocked | CardFault::PukLastTry, .. },
            ) => return None,
            (StockIdentity::Guid(_), _) => (
                "take it into stock again with its right stock file",
                Some("issuer stock add --file STOCK.toml".to_owned()),
            ),
        },
        CardAction::Personalise if undoes => return None,
        CardAction::Personalise => {
            ("make it somebody's, or go on making it", Some(format!("issuer issue {who} --card LOCATOR")))
        }
        CardAction::HandOver | CardAction::RecordFault => return None,
        CardAction::Abandon => (
            "give up the half-made card: what was certified is revoked, the card goes back to stock",
            Some(format!("issuer revoke {who} --reason cessation-of-operation")),
        ),
        CardAction::Activate => (
            "record that the holder has changed the transport PIN",
            Some(format!("issuer mark {card} active")),
        ),
        CardAction::BlockPin => {
            ("record that its PIN is blocked", Some(format!("issuer mark {card} pin-blocked")))
        }
        CardAction::UnblockPin => ("set its PIN anew", Some(format!("issuer unblock {card} --card LOCATOR"))),
        CardAction::Hold => ("put it on hold; that can be undone", Some(format!("issuer hold {card}"))),
        CardAction::Release => {
            ("release it from hold: everything is as before", Some(format!("issuer release {card}")))
        }
        CardAction::ReportLoss => (
            "report it lost or stolen; its certificates are revoked for good",
            Some(format!("issuer mark {card} lost")),
        ),
        CardAction::ReportDamage => (
            "report it damaged; its certificates are revoked for good",
            Some(format!("issuer mark {card} damaged")),
        ),
        CardAction::Replace => ("put another card in its place", Some(replace(record.card.state(), who))),
        CardAction::Revoke => ("revoke it for good", Some(format!("issuer revoke {who} --reason REASON"))),
        CardAction::Return if can_be_wiped(record) => (
            "take it back; its certificates stay or become revoked, and wiped it can be anybody's",
            Some(format!("issuer stock return {card} --card LOCATOR")),
        ),
        CardAction::Return => (
            "take it back; its certificates stay or become revoked; a card of this kind cannot be wiped",
            Some(format!("issuer stock return {card}")),
        ),
        CardAction::Restock if can_be_wiped(record) => (
            "wipe it and put it into stock again: that is verified",
            Some(format!("issuer stock return {card} --card LOCATOR")),
        ),
        CardAction::Restock => return None,
        CardAction::Destroy => (
            "record that it is destroyed; that cannot be undone",
            Some(format!("issuer mark {card} destroyed")),
        ),
    };
    let key = key(way.action, record);
    Some(WayView { undoes, what, command, action: way.action, key })
}

/// Whether everything can be removed from it: SP 800-73-5 has no command to remove a key.
pub(super) const fn can_be_wiped(record: &CardRecord) -> bool {
    matches!(record.identity, StockIdentity::VendorSerial(_))
}

/// What became of a card that has ended is recorded already.
fn replace(state: &CardState, who: &str) -> String {
    let because = if state.is_live() { " --because lost" } else { "" };
    format!("issuer replace {who}{because} --card LOCATOR")
}

const fn key(action: CardAction, record: &CardRecord) -> &'static str {
    match (action, record.card.state()) {
        (CardAction::Personalise, CardState::BeingPersonalised { .. }) => "way-personalise-again",
        (CardAction::Personalise | CardAction::HandOver | CardAction::RecordFault, _) => "way-personalise",
        (CardAction::Receive, _) if !can_be_wiped(record) => "way-receive-file",
        (CardAction::Receive, _) => "way-receive",
        (CardAction::Abandon, _) => "way-abandon",
        (CardAction::Activate, _) => "way-activate",
        (CardAction::BlockPin, _) => "way-block-pin",
        (CardAction::UnblockPin, _) => "way-unblock-pin",
        (CardAction::Hold, _) => "way-hold",
        (CardAction::Release, _) => "way-release",
        (CardAction::ReportLoss, _) => "way-report-loss",
        (CardAction::ReportDamage, _) => "way-report-damage",
        (CardAction::Replace, _) => "way-replace",
        (CardAction::Revoke, _) => "way-revoke",
        (CardAction::Return, _) if !can_be_wiped(record) => "way-return-for-good",
        (CardAction::Return, _) => "way-return",
        (CardAction::Restock, _) => "way-restock",
        (CardAction::Destroy, _) => "way-destroy",
    }
}
