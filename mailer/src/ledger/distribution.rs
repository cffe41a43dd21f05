//! A case handed over, recipient by recipient, so that it can be stopped anywhere and goes on, and nobody gets it twice.
//!
//! Before a message is handed over, that is written down, here and in the outbox. If the program ends before the outcome is
//! written down too, nobody knows whether the server took it: such a recipient is *uncertain*, and is only tried again when
//! somebody says so. While a message is in the outbox, the outbox knows best: another program may have delivered it; it goes
//! away when the ledger knows.
use std::collections::HashMap;

use jiff::Timestamp;

use super::{Case, CaseLock, Delivery, Event, LedgerError, RecipientState};
use crate::message::address::Address;
use crate::transport::courier::Courier;
use crate::transport::outbox::{DeliveryState, Entry, Outbox, OutboxError, OutboxLock};

/// What to do about recipients of whom nobody knows whether they have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncertain {
    /// Leave them.
    Leave,
    /// Send again: they may get it twice.
    SendAgain,
}

/// Why a distribution stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The outbox cannot be written.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The message could not be encrypted to anybody.
    #[error("{0}")]
    Protect(String),
}

impl DistributionError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ledger(error) => error.code(),
            Self::Outbox(error) => error.code(),
            Self::Protect(_) => "not-protected",
        }
    }
}

/// The message for one recipient, or why there is none.
pub type Envelope<'e> = dyn FnMut(&Address) -> Result<Result<Vec<u8>, String>, DistributionError> + 'e;

/// Hands a case over.
pub struct Distribution<'d> {
    /// The case.
    pub case: &'d Case,
    /// Nobody else works on it.
    pub lock: &'d CaseLock,
    /// Where messages wait.
    pub outbox: &'d Outbox,
    /// Nobody else sends.
    pub outbox_lock: &'d OutboxLock,
    /// Who carries them away.
    pub courier: &'d mut dyn Courier,
    /// What time it is.
    pub now: Timestamp,
}

impl Distribution<'_> {
    /// Goes on where the case stands; `envelope` makes the message for a recipient, `progress` is told after each. Answers how
    /// it stands then.
    ///
    /// # Errors
    /// See [`DistributionError`]: what was done is written down.
    pub fn run(
        mut self,
        uncertain: Uncertain,
        envelope: &mut Envelope<'_>,
        progress: &mut dyn FnMut(),
    ) -> Result<Vec<RecipientState>, DistributionError> {
        let sender: Address = self.address(&self.case.record().sender)?;
        let id = &self.case.record().id;
        let entries = self.outbox.entries()?.into_iter().flatten();
        let mut waiting: HashMap<String, Entry> = entries
            .filter(|entry| entry.case.as_ref() == Some(id))
            .map(|entry| (entry.id.clone(), entry))
            .collect();
        // One message to all of them: a letter.
        if let Some(mut letter) = waiting.remove(id) {
            if uncertain == Uncertain::SendAgain {
                letter.repeat_attempted();
            }
            let letter = self.outbox.deliver(letter, self.outbox_lock, self.courier)?;
            settle(self.case, self.outbox, &letter, self.now)?;
            return Ok(self.case.states()?);
        }
        for (number, state) in self.case.states()?.into_iter().enumerate() {
            let entry = waiting.remove(&self.entry_name(number));
            self.one(number, &state, entry, uncertain, &sender, envelope)?;
            progress();
        }
        Ok(self.case.states()?)
    }

    fn one(
        &mut self,
        number: usize,
        state: &RecipientState,
        entry: Option<Entry>,
        uncertain: Uncertain,
        sender: &Address,
        envelope: &mut Envelope<'_>,
    ) -> Result<(), DistributionError> {
        let recipient = self.address(&state.address)?;
        let known = entry.as_ref().and_then(|entry| entry.recipients().next()).map(|known| &known.state);
        let is_uncertain = match known {
            Some(known) => *known == DeliveryState::Attempted,
            None => state.delivery == Delivery::Uncertain,
        };
        let entry = match (entry, &state.delivery) {
            (None, Delivery::Submitted(_)) => return Ok(()),
            // Delivered by another program, or by one that ended before it was written down.
            (Some(entry), _) if entry.is_delivered() => return self.close(&recipient, state, &entry),
            (entry, delivery) if is_uncertain && uncertain == Uncertain::Leave => {
                if entry.is_some() && *delivery != Delivery::Uncertain {
                    self.case.note(&recipient, Event::Attempted, self.now)?;
                }
                return Ok(());
            }
            (Some(mut entry), _) => {
                entry.repeat_attempted();
                entry
            }
            (None, _) => {
                let message = match envelope(&recipient)? {
                    Ok(message) => message,
                    Err(reason) => {
                        return Ok(self.case.note(&recipient, Event::NoCertificate { reason }, self.now)?);
                    }
                };
                let name = self.entry_name(number);
                let messages = [(vec![recipient.clone()], message)];
                let id = &self.case.record().id;
                let entry = self.outbox.store_for_case(&name, id, self.now, sender, &messages)?;
                self.case.note(&recipient, Event::Stored, self.now)?;
                entry
            }
        };
        self.case.note(&recipient, Event::Attempted, self.now)?;
        let entry = self.outbox.deliver(entry, self.outbox_lock, self.courier)?;
        if entry.is_delivered() {
            return self.close(&recipient, state, &entry);
        }
        let outcome = entry.recipients().next().and_then(|recipient| outcome(&recipient.state));
        outcome.map_or(Ok(()), |outcome| Ok(self.case.note(&recipient, outcome, self.now)?))
    }

    /// The ledger knows that it was delivered; the outbox may forget it.
    fn close(
        &self,
        recipient: &Address,
        state: &RecipientState,
        entry: &Entry,
    ) -> Result<(), DistributionError> {
        if !state.is_submitted() {
            self.case.note(recipient, Event::Submitted, self.now)?;
        }
        Ok(self.outbox.remove(entry)?)
    }

    /// The outbox's name for the message to one recipient.
    fn entry_name(&self, number: usize) -> String {
        format!("{}-{:05}", self.case.record().id, number + 1)
    }

    fn address(&self, text: &str) -> Result<Address, DistributionError> {
        let path = std::path::Path::new(&self.case.record().id);
        text.parse().map_err(|_| LedgerError::damaged(path, "an address cannot be read").into())
    }
}

/// What became of a delivery; `None` where nobody knows, or nothing happened yet.
fn outcome(state: &DeliveryState) -> Option<Event> {
    match state {
        DeliveryState::Attempted | DeliveryState::Waiting { reason: None } => None,
        DeliveryState::Delivered => Some(Event::Submitted),
        DeliveryState::Waiting { reason: Some(reason) } => {
            Some(Event::NotTaken { reason: reason.clone(), is_final: false })
        }
        DeliveryState::Refused { reason } => Some(Event::NotTaken { reason: reason.clone(), is_final: true }),
    }
}

/// Writes down what became of an entry that somebody else than a distribution delivered; once everybody has it, the outbox
/// forgets it. The outbox must be locked.
///
/// # Errors
/// The ledger or the outbox cannot be written, or the case is in use.
pub fn settle(case: &Case, outbox: &Outbox, entry: &Entry, now: Timestamp) -> Result<(), DistributionError> {
    let states = case.states()?;
    for recipient in entry.recipients() {
        let Ok(address) = recipient.address.parse::<Address>() else { continue };
        let is_it = |state: &&RecipientState| {
            state.address.parse::<Address>().is_ok_and(|known| known.key() == address.key())
        };
        // Hidden recipients were not asked, and are not written down.
        let Some(state) = states.iter().find(is_it).filter(|state| !state.is_submitted()) else { continue };
        let event = match (&recipient.state, &state.delivery) {
            (DeliveryState::Attempted, Delivery::Uncertain) => None,
            (DeliveryState::Attempted, _) => Some(Event::Attempted),
            (DeliveryState::Waiting { reason: None }, Delivery::Pending) => Some(Event::Stored),
            (known, _) => outcome(known),
        };
        if let Some(event) = event {
            case.note(&address, event, now)?;
        }
    }
    if entry.is_delivered() {
        outbox.remove(entry)?;
    }
    Ok(())
}
