//! What was begun with a card and is not done: in words, and the command that goes on with it.

use middleware::KeyAlgorithm;
use serde::Serialize;

use super::failure::Failure;
use super::office::Office;
use super::{texts, ways, which_card};
use crate::domain::{CardKey, CardState, KeyChoice};
use crate::personalization::half_done::HalfDone;
use crate::personalization::plan::KeyOrigin;
use crate::personalization::renewal::RenewalOrder;
use crate::registry::{CardRecord, OperationKind};

/// An open operation.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HalfDoneView {
    /// What was begun.
    pub what: &'static str,
    /// When.
    pub since: String,
    /// Whether it is over with the card, which nobody uses any more: then `go_on` is what is left to do with the card.
    pub is_over: bool,
    /// The command that goes on with it; or two, one after the other.
    pub go_on: String,
    /// Each of them.
    #[serde(skip)]
    pub commands: Vec<String>,
    /// What kind it is.
    #[serde(skip)]
    pub kind: OperationKind,
}

impl HalfDoneView {
    /// In one line.
    pub(super) fn sentence(&self) -> String {
        let commands = self.commands.join(&texts::say("half-done-then", &[]));
        texts::say(self.key(), &[("since", &self.since), ("command", &commands)])
    }

    const fn key(&self) -> &'static str {
        match self.kind {
            OperationKind::Renewal if self.is_over => "half-done-renewal-over",
            OperationKind::Unblock if self.is_over => "half-done-unblock-over",
            OperationKind::Renewal => "half-done-renewal",
            OperationKind::Unblock => "half-done-unblock",
            OperationKind::Wipe => "half-done-wipe",
        }
    }
}

/// The open operation of a card that is at `locator`.
pub(super) async fn of(
    office: &Office,
    record: &CardRecord,
    locator: &str,
) -> Result<Option<HalfDoneView>, Failure> {
    let open = HalfDone::of(&office.registry, record).await?;
    Ok(open.map(|open| view(&open, record, locator)))
}

/// What was ordered of the renewal of a card that is open, if one is.
pub(super) async fn order_of(office: &Office, record: &CardRecord) -> Result<Option<RenewalOrder>, Failure> {
    Ok(HalfDone::of(&office.registry, record).await?.and_then(|open| open.order))
}

pub(super) fn view(open: &HalfDone, record: &CardRecord, locator: &str) -> HalfDoneView {
    let commands = go_on(open, record, locator);
    HalfDoneView {
        what: open.operation.kind.as_str(),
        since: open.operation.begun_at.to_string(),
        is_over: open.is_over(record),
        go_on: commands.join(", then "),
        commands,
        kind: open.operation.kind,
    }
}

fn go_on(open: &HalfDone, record: &CardRecord, locator: &str) -> Vec<String> {
    let card = which_card::argument(record);
    let finish = match (open.operation.kind, &open.order) {
        (OperationKind::Renewal, Some(order)) => Some(renew(order, record, locator)),
        (OperationKind::Unblock, _) => Some(format!("issuer unblock {card} --card {locator}")),
        _ => None,
    };
    match (record.card.state(), finish) {
        (CardState::Issued { .. }, Some(finish)) => vec![finish],
        (CardState::OnHold { .. }, Some(finish)) => vec![format!("issuer release {card}"), finish],
        // Nobody uses it any more: whatever was begun ends with what is on the card.
        _ if ways::can_be_wiped(record) => vec![format!("issuer stock return {card} --card {locator}")],
        (CardState::Lost { .. }, _) => {
            vec![format!("issuer stock return {card}"), format!("issuer mark {card} destroyed")]
        }
        _ => vec![format!("issuer mark {card} destroyed")],
    }
}

/// The command that gave this order.
fn renew(order: &RenewalOrder, record: &CardRecord, locator: &str) -> String {
    let mut words = vec![format!("issuer renew {}", which_card::argument(record))];
    if order.new_keys.is_some() {
        words.push("--new-keys".to_owned());
    }
    match (&order.profile, order.new_keys.and_then(|keys| keys.common())) {
        // The card's own need not be said.
        (Some(profile), _) if record.card.profile() == Some(profile.as_str()) => {}
        (Some(profile), _) => words.push(format!("--profile {profile}")),
        (None, Some(choice)) => words.extend(spelled_out(choice, record)),
        (None, None) => {}
    }
    if CardKey::ALL.iter().any(|key| !order.keys.contains(key)) {
        words.extend(order.keys.iter().map(|key| format!("--key {}", key.as_str())));
    }
    words.push(format!("--card {locator}"));
    words.join(" ")
}

/// Keys that are all alike, as `renew` is told; what goes without saying is not said.
fn spelled_out(choice: KeyChoice, record: &CardRecord) -> Vec<String> {
    let algorithm = match choice.algorithm {
        KeyAlgorithm::Rsa2048 => Some("--algorithm rsa2048"),
        _ => record.card.profile().map(|_| "--algorithm p256"),
    };
    let origin = (choice.origin == KeyOrigin::Injected).then_some("--inject");
    algorithm.into_iter().chain(origin).map(str::to_owned).collect()
}
