//! What was begun with a card and is not done: in words, and the command that goes on with it.

use middleware::KeyAlgorithm;
use serde::Serialize;

use super::failure::Failure;
use super::office::Office;
use super::which_card;
use crate::domain::{CardKey, CardState, StockIdentity};
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
    /// The command that goes on with it.
    pub go_on: String,
}

impl HalfDoneView {
    /// In one line.
    pub(super) fn sentence(&self) -> String {
        format!(
            "A {} of it was begun at {} and is half done; go on with: {}",
            self.what, self.since, self.go_on
        )
    }
}

/// The open operation of a card that is at `locator`.
pub(super) async fn of(
    office: &Office,
    record: &CardRecord,
    locator: &str,
) -> Result<Option<HalfDoneView>, Failure> {
    let open = HalfDone::of(&office.registry, record.id).await?;
    Ok(open.map(|open| view(&open, record, locator)))
}

pub(super) fn view(open: &HalfDone, record: &CardRecord, locator: &str) -> HalfDoneView {
    HalfDoneView {
        what: open.operation.kind.as_str(),
        since: open.operation.begun_at.to_string(),
        go_on: go_on(open, record, locator),
    }
}

fn go_on(open: &HalfDone, record: &CardRecord, locator: &str) -> String {
    let card = which_card::argument(record);
    match (record.card.state(), open.operation.kind, &open.order) {
        (CardState::Issued { .. }, OperationKind::Renewal, Some(order)) => renew(order, &card, locator),
        (CardState::OnHold { .. }, OperationKind::Renewal, Some(order)) => {
            format!("issuer release {card}, then {}", renew(order, &card, locator))
        }
        (CardState::Issued { .. }, OperationKind::Unblock, _) => {
            format!("issuer unblock {card} --card {locator}")
        }
        (CardState::OnHold { .. }, OperationKind::Unblock, _) => {
            format!("issuer release {card}, then issuer unblock {card} --card {locator}")
        }
        // Nobody uses it any more: whatever was begun ends with what is on the card.
        _ => match record.identity {
            StockIdentity::VendorSerial(_) => format!("issuer stock return {card} --card {locator}"),
            StockIdentity::Guid(_) => format!("issuer mark {card} destroyed"),
        },
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
