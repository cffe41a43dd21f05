//! A card that somebody began before: it is finished as it was ordered then, whatever the list says of it, or its row is refused.

use super::reason::Reason;
use super::rows::Row;
use crate::desk::card_profile::{Before, Wanted};
use crate::desk::failure::Failure;
use crate::desk::issue;
use crate::desk::office::Office;
use crate::domain::{CardProfile, InitialPin, KeyChoices};
use crate::personalization::plan::Ordered;
use crate::registry::CardRecord;

/// What a half-made card becomes.
pub struct HalfMade {
    /// What it shall be like.
    pub profile: CardProfile,
    /// Said of the row, where the list would have made something else.
    pub as_ordered: Option<Reason>,
}

/// What the card of this row becomes, which is half-made; or why the row is refused: it says something else than was ordered,
/// or something was ordered that no batch does.
///
/// # Errors
/// The registry cannot be read.
pub async fn order(
    office: &Office,
    row: &Row,
    record: &CardRecord,
) -> Result<Result<HalfMade, Failure>, Failure> {
    let Some(ordered) = issue::ordered(office, record).await? else {
        return Ok(Ok(HalfMade { profile: row.profile.clone(), as_ordered: None }));
    };
    let mail = row.holder.mail.as_str();
    if ordered.pin == Some(InitialPin::ChosenByHolder) {
        return Ok(Err(wants_holder(mail)));
    }
    let before = Before::Ordered(&ordered);
    let goes_on = Wanted::default().profile(&office.config, before);
    let is_wanted = row.wanted.profile(&office.config, before).is_ok_and(|wanted| match &wanted.name {
        Some(name) => ordered.profile.as_ref() == Some(name),
        None => wanted.keys == ordered.keys,
    });
    Ok(match goes_on {
        Err(failure) => Err(failure),
        Ok(profile) if row.wanted.says_nothing() || is_wanted => {
            let as_ordered = (profile != row.profile).then(|| as_ordered(&ordered).into());
            Ok(HalfMade { profile, as_ordered })
        }
        Ok(_) => Err(contradicts(&ordered, row)),
    })
}

fn wants_holder(mail: &str) -> Failure {
    Failure::new(
        "pin-by-holder",
        format!(
            "is half-made with a PIN that its holder chooses; finish it where the holder is: issuer issue {mail} --card LOCATOR"
        ),
    )
    .saying("failed-row-wants-holder", &[("mail", mail)])
}

fn as_ordered(ordered: &Ordered) -> Failure {
    let order = words(ordered.profile.as_deref(), ordered.keys);
    Failure::new("as-ordered", format!("finished as it was ordered when it was begun: {order}"))
        .saying("failed-row-as-ordered", &[("order", &order)])
}

fn contradicts(ordered: &Ordered, row: &Row) -> Failure {
    let mail = row.holder.mail.as_str();
    let order = words(ordered.profile.as_deref(), ordered.keys);
    let listed = words(row.profile.name.as_deref(), row.profile.keys);
    Failure::new(
        "ordered-otherwise",
        format!(
            "is half-made as it was ordered when it was begun ({order}), and the list wants something else ({listed}); finish it as it was ordered (issuer issue {mail} --card LOCATOR), or give it up: issuer revoke {mail} --reason cessation-of-operation"
        ),
    )
    .saying("failed-row-ordered-otherwise", &[("order", &order), ("listed", &listed), ("mail", mail)])
}

/// An order in the words of the command.
fn words(profile: Option<&str>, keys: KeyChoices) -> String {
    match profile {
        Some(name) => format!("profile {name}"),
        None => {
            let algorithms = keys.said(|choice| choice.algorithm);
            format!("{algorithms}, {}", keys.said(|choice| choice.origin.as_str()))
        }
    }
}
