//! What can be undone of a card, and how.

use super::recognise::{self, Care, Offer};
use super::{Session, texts};
use crate::desk::failure::{Failure, Status};
use crate::desk::{half_done, output, ways, which_card};
use crate::domain::CardState;
use crate::registry::CardRecord;

impl Session {
    /// Answers for the card that is named, or the one in the reader; and does it, if that is wanted.
    pub(super) async fn undo(&mut self, card: Option<&str>) -> Result<Status, Failure> {
        let argument = match card {
            Some(card) => card.to_owned(),
            None => self.card_in_reader().await?,
        };
        let record = which_card::find(&self.office, &argument).await?;
        let holder = match record.card.state().holder() {
            Some(id) => Some(self.office.registry.cardholder(id).await?),
            None => None,
        };
        let name = recognise::called(&record);
        let open = half_done::of(&self.office, &record, "LOCATOR").await?;
        output::line(&recognise::state(&record, holder.as_ref(), &name))?;
        output::line(&answer(&record))?;
        if let Some(open) = open {
            output::line(&open.sentence())?;
        }
        let mail = holder.as_ref().map(|holder| holder.mail.as_str());
        for offer in recognise::of_record(&record, mail, |way| way.undoes) {
            // A card that is taken back is no undoing of what was done with it.
            let is_end = offer.words.iter().take(2).eq(["stock", "return"]);
            let how = if is_end { "undo-instead" } else { "undo-how" };
            output::line(&texts::say(how, &[("command", &offer.command)]))?;
            // What is asked here is the whole question: it is not asked again.
            if offer.care == Care::LosesKeys {
                output::line(&texts::say("shell-loses-keys", &[]))?;
            }
            if self.confirmed(&texts::say("undo-do-it", &[]), Care::Final).await? {
                let place = self.place.clone();
                return self.take_up(Offer { care: Care::Light, ..offer }, &place).await;
            }
        }
        Ok(Status::Done)
    }
}

fn answer(record: &CardRecord) -> String {
    let state = record.card.state();
    let said = texts::say(&format!("undo-{}", texts::key_of(state.name())), &[]);
    let is_over = matches!(
        state,
        CardState::Lost { .. }
            | CardState::Damaged { .. }
            | CardState::Replaced { .. }
            | CardState::Revoked { .. }
            | CardState::Returned { .. }
    );
    if !is_over {
        return said;
    }
    let wiping = if ways::can_be_wiped(record) { "undo-can-be-wiped" } else { "undo-cannot-be-wiped" };
    format!("{said} {}", texts::say(wiping, &[]))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::desk::texts::{Language, Texts};
    use crate::domain::{CardFault, CardId, CardholderId, Loss, RevocationReason, Usability};

    /// The state after this one in the order of the domain; the last has none.
    fn after(state: &CardState) -> Option<CardState> {
        let (holder, since) = (CardholderId(1), Timestamp::UNIX_EPOCH);
        let issued = |usability| CardState::Issued { holder, since, usability };
        Some(match state {
            CardState::Unknown => CardState::InStock { since },
            CardState::InStock { .. } => CardState::Unusable { since, fault: CardFault::PukUnknown },
            CardState::Unusable { .. } => CardState::BeingPersonalised { holder, since },
            CardState::BeingPersonalised { .. } => issued(Usability::AwaitingActivation),
            CardState::Issued { usability: Usability::AwaitingActivation, .. } => issued(Usability::Active),
            CardState::Issued { usability: Usability::Active, .. } => issued(Usability::PinBlocked),
            CardState::Issued { usability: Usability::PinBlocked, .. } => {
                CardState::OnHold { holder, since, usability: Usability::Active }
            }
            CardState::OnHold { .. } => CardState::Lost { holder, since, loss: Loss::Lost },
            CardState::Lost { loss: Loss::Lost, .. } => CardState::Lost { holder, since, loss: Loss::Stolen },
            CardState::Lost { loss: Loss::Stolen, .. } => CardState::Damaged { holder, since },
            CardState::Damaged { .. } => CardState::Replaced { holder, since, by: CardId(2) },
            CardState::Replaced { .. } => {
                CardState::Revoked { holder, since, reason: RevocationReason::Superseded }
            }
            CardState::Revoked { .. } => CardState::Returned { holder, since },
            CardState::Returned { .. } => CardState::Destroyed { holder: None, since },
            CardState::Destroyed { .. } => return None,
        })
    }

    #[test]
    fn every_state_has_an_answer_in_every_language() {
        let states: Vec<_> = std::iter::successors(Some(CardState::Unknown), after).collect();
        assert_eq!(states.len(), 15);
        for language in Language::ALL {
            let texts = Texts::new(language);
            for state in &states {
                for family in ["state", "undo"] {
                    let key = format!("{family}-{}", texts::key_of(state.name()));
                    assert_ne!(texts.say(&key, &[]), key, "{language:?}");
                }
            }
        }
    }
}
