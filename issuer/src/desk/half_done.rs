//! What was begun with a card and is not done: in words, and the command that goes on with it.

use middleware::KeyAlgorithm;
use serde::Serialize;

use super::failure::Failure;
use super::office::Office;
use super::{texts, ways, which_card};
use crate::domain::{CardKey, CardState};
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
        (OperationKind::Renewal, Some(order)) => Some(renew(order, &card, locator)),
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
fn renew(order: &RenewalOrder, card: &str, locator: &str) -> String {
    let mut words = vec![format!("issuer renew {card}")];
    if let Some(choice) = order.new_keys {
        words.push("--new-keys".to_owned());
        if choice.algorithm == KeyAlgorithm::Rsa2048 {
            words.push("--algorithm rsa2048".to_owned());
        }
        if choice.origin == KeyOrigin::Injected {
            words.push("--inject".to_owned());
        }
    }
    if CardKey::ALL.iter().any(|key| !order.keys.contains(key)) {
        words.extend(order.keys.iter().map(|key| format!("--key {}", key.as_str())));
    }
    words.push(format!("--card {locator}"));
    words.join(" ")
}
