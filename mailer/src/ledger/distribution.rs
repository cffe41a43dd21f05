//! A case handed over, recipient by recipient, so that it can be stopped anywhere and goes on, and nobody gets it twice.
//!
//! Before a message is handed over, that is written down. If the program ends before the outcome is written down too, nobody
//! knows whether the server took it: such a recipient is *uncertain*, and is only tried again when somebody says so.
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
        let mut waiting: HashMap<String, Entry> =
            self.outbox.entries()?.into_iter().flatten().map(|entry| (entry.id.clone(), entry)).collect();
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
        let entry = match (&state.delivery, entry) {
            (Delivery::Submitted(_), _) => return Ok(()),
            (Delivery::Uncertain, _) if uncertain == Uncertain::Leave => return Ok(()),
            // An entry goes away only when it was delivered: another program flushed the outbox.
            (Delivery::Stored, None) => {
                return Ok(self.case.note(&recipient, Event::Submitted, self.now)?);
            }
            (_, Some(entry)) => entry,
            (_, None) => {
                let message = match envelope(&recipient)? {
                    Ok(message) => message,
                    Err(reason) => {
                        return Ok(self.case.note(&recipient, Event::NoCertificate { reason }, self.now)?);
                    }
                };
                let name = self.entry_name(number);
                let messages = [(vec![recipient.clone()], message)];
                let entry = self.outbox.store(&name, self.now, sender, &messages)?;
                self.case.note(&recipient, Event::Stored, self.now)?;
                entry
            }
        };
        self.case.note(&recipient, Event::Attempted, self.now)?;
        let entry = self.outbox.deliver(entry, self.outbox_lock, self.courier)?;
        let outcome = match entry.recipients().next().map(|recipient| &recipient.state) {
            None | Some(DeliveryState::Delivered) => Event::Submitted,
            Some(DeliveryState::Waiting { reason }) => {
                Event::NotTaken { reason: reason.clone().unwrap_or_default(), is_final: false }
            }
            Some(DeliveryState::Refused { reason }) => {
                Event::NotTaken { reason: reason.clone(), is_final: true }
            }
        };
        Ok(self.case.note(&recipient, outcome, self.now)?)
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
