//! `card change-pin`, `card change-puk` and `card unblock`.
use middleware::secret_source::SecretSource;
use middleware::{Card, CardError, LastTry, Pin, Puk, holder_state};
use serde_json::json;

use super::Report;
use super::failure::ToolError;
use super::options::pin_prompt;

/// Changes the PIN and records that the transport PIN is gone. Nothing is asked of the holder that the card would
/// refuse anyway.
pub(super) fn change(card: &mut Card, source: &SecretSource, last_try: LastTry) -> anyhow::Result<Report> {
    let identity = card.identity()?;
    let prompt = pin_prompt("Current PIN", card.transaction()?.pin_status()?, last_try)?;
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
    let prompt = puk_prompt("PUK", card.transaction()?.puk_tries_left()?, last_try)?;
    let (puk, new) = ask_old_and_new(source, &prompt, |text| Puk::new(text.as_bytes()))?;
    card.transaction()?.unblock(&puk, &new)?;
    Ok(Report {
        text: "The PIN is unblocked and has its new value.".to_owned(),
        json: json!({ "unblocked": true }),
    })
}

/// Changes the PUK.
pub(super) fn change_puk(
    card: &mut Card,
    source: &SecretSource,
    last_try: LastTry,
) -> anyhow::Result<Report> {
    let prompt = puk_prompt("Current PUK", card.transaction()?.puk_tries_left()?, last_try)?;
    let secrets = if source.is_terminal() {
        let old = source.read(&prompt)?;
        let new = source.read("New PUK (8 characters; some cards take 6 or 7)")?;
        Puk::new(new.as_bytes())?;
        if *source.read("New PUK again")? != *new {
            return Err(ToolError::NewPuksDiffer.into());
        }
        [old, new]
    } else {
        let mut lines = source.read_several(&[prompt.as_str(), "New PUK"])?.into_iter();
        [lines.next().unwrap_or_default(), lines.next().unwrap_or_default()]
    };
    let [old, new] = secrets;
    if *old == *new {
        return Err(ToolError::SamePuk.into());
    }
    card.transaction()?.change_puk(&Puk::new(old.as_bytes())?, &Puk::new(new.as_bytes())?)?;
    Ok(Report { text: "The PUK was changed.".to_owned(), json: json!({ "changed": true }) })
}

/// The question for the PUK with the tries that are left, where the card tells them.
fn puk_prompt(name: &str, tries_left: Option<u8>, last_try: LastTry) -> anyhow::Result<String> {
    match (tries_left, last_try) {
        (Some(0), _) => Err(CardError::PukBlocked.into()),
        (Some(1), LastTry::Refuse) => Err(ToolError::LastPukTry.into()),
        (Some(1), LastTry::Spend) => Ok(format!("{name} (last try)")),
        (Some(left), _) => Ok(format!("{name} ({left} tries left)")),
        (None, _) => Ok(name.to_owned()),
    }
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
