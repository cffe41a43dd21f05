//! `card change-pin` and `card unblock`.
use middleware::secret_source::SecretSource;
use middleware::{Card, CardError, LastTry, Pin, PinStatus, Puk, holder_state};
use serde_json::json;

use super::Report;
use super::failure::ToolError;

/// Changes the PIN and records that the transport PIN is gone. Nothing is asked of the holder that the card would
/// refuse anyway.
pub(super) fn change(card: &mut Card, source: &SecretSource, last_try: LastTry) -> anyhow::Result<Report> {
    let identity = card.identity()?;
    let prompt = match (card.transaction()?.pin_status()?, last_try) {
        (PinStatus::Blocked, _) => return Err(CardError::PinBlocked.into()),
        (PinStatus::NotVerified { tries_left: 1 }, LastTry::Refuse) => {
            return Err(CardError::LastPinTry.into());
        }
        (PinStatus::NotVerified { tries_left: 1 }, LastTry::Spend) => "Current PIN (last try)".to_owned(),
        (PinStatus::NotVerified { tries_left }, _) => format!("Current PIN ({tries_left} tries left)"),
        (PinStatus::Verified, _) => "Current PIN".to_owned(),
    };
    let (old, new) = ask_old_and_new(source, &prompt, Pin::new)?;
    if old.is_same_as(&new) {
        return Err(ToolError::SamePin.into());
    }
    card.transaction()?.change_pin(&old, &new, last_try)?;
    let Some(guid) = identity.guid else {
        return Ok(Report {
            text: "The PIN was changed. The card has no GUID, so this is not recorded: it was never issued."
                .to_owned(),
            json: json!({ "changed": true, "recorded": false }),
        });
    };
    holder_state::activate(&guid).map_err(ToolError::ChangedButNotRecorded)?;
    Ok(Report {
        text: "The PIN was changed; the card may now be used to sign.".to_owned(),
        json: json!({ "changed": true, "recorded": true, "guid": hex::encode(guid) }),
    })
}

/// Records the holder's word that the PIN was changed elsewhere.
pub(super) fn record_change(card: &mut Card) -> anyhow::Result<Report> {
    let guid = card.identity()?.guid.ok_or(ToolError::NotIssued)?;
    holder_state::activate(&guid)?;
    Ok(Report {
        text: "Recorded: the transport PIN of this card was changed; it may now be used to sign.".to_owned(),
        json: json!({ "changed": false, "recorded": true, "guid": hex::encode(guid) }),
    })
}

/// Sets a new PIN with the PUK.
pub(super) fn unblock(card: &mut Card, source: &SecretSource, last_try: LastTry) -> anyhow::Result<Report> {
    let prompt = match (card.transaction()?.puk_tries_left()?, last_try) {
        (Some(0), _) => return Err(CardError::PukBlocked.into()),
        (Some(1), LastTry::Refuse) => return Err(ToolError::LastPukTry.into()),
        (Some(1), LastTry::Spend) => "PUK (last try)".to_owned(),
        (Some(left), _) => format!("PUK ({left} tries left)"),
        (None, _) => "PUK".to_owned(),
    };
    let (puk, new) = ask_old_and_new(source, &prompt, |text| Puk::new(text.as_bytes()))?;
    card.transaction()?.unblock(&puk, &new)?;
    Ok(Report {
        text: "The PIN is unblocked and has its new value.".to_owned(),
        json: json!({ "unblocked": true }),
    })
}

/// The old secret, and the new PIN: typed twice at a terminal, where nobody sees what is typed.
fn ask_old_and_new<Old>(
    source: &SecretSource,
    prompt: &str,
    parse: impl FnOnce(&str) -> Result<Old, CardError>,
) -> anyhow::Result<(Old, Pin)> {
    let secrets = if source.is_terminal() {
        let old = source.read(prompt)?;
        let new = source.read("New PIN (6 to 8 digits)")?;
        // Before the second time: a PIN that cannot be is not worth repeating.
        Pin::new(&new)?;
        if *source.read("New PIN again")? != *new {
            return Err(ToolError::NewPinsDiffer.into());
        }
        [old, new]
    } else {
        let mut lines = source.read_several(&[prompt, "New PIN"])?.into_iter();
        [lines.next().unwrap_or_default(), lines.next().unwrap_or_default()]
    };
    let [old, new] = secrets;
    Ok((parse(&old)?, Pin::new(&new)?))
}
