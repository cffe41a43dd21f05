//! A case handed over, recipient by recipient, so that it can be stopped anywhere and goes on, and nobody gets it twice.
//!
//! Before a message is handed over, that is written down, here and in the outbox. If the program ends before the outcome is
//! written down too, nobody knows whether the server took it: such a recipient is *uncertain*, and is only tried again when
//! somebody says so. Messages are stored some at a time, but handed over one by one: no more than one recipient is ever
//! uncertain. While a message is in the outbox, the outbox knows best: another program may have delivered it; it goes away when
//! the ledger knows.
use std::collections::HashMap;

use jiff::Timestamp;

use super::{Case, CaseLock, Delivery, Event, LedgerError, RecipientState};
use crate::message::address::Address;
use crate::transport::courier::Courier;
use crate::transport::outbox::{DeliveryState, Entry, Outbox, OutboxError, OutboxLock, Protected};

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

/// Recipients for whose messages the disk is waited for together.
#[derive(Default)]
struct Batch {
    /// How many were looked at.
    recipients: usize,
    /// What is known about some without handing anything over.
    events: Vec<(Address, Event)>,
    /// What others delivered: the outbox may forget it.
    delivered: Vec<Entry>,
    /// Messages that wait in the outbox already.
    stored: Vec<(Address, Entry)>,
    /// New messages, by the names that they get there.
    messages: Vec<(String, Vec<Protected>)>,
    octets: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        const MOST_MESSAGES: usize = 64;
        const MOST_OCTETS: usize = 4 * 1024 * 1024;
        self.messages.len() >= MOST_MESSAGES || self.octets >= MOST_OCTETS
    }
}

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
        let mut batch = Batch::default();
        for (number, state) in self.case.states()?.into_iter().enumerate() {
            let entry = waiting.remove(&self.entry_name(number));
            let added = self.add(&mut batch, number, &state, entry, uncertain, envelope);
            if added.is_err() || batch.is_full() {
                self.hand_over(std::mem::take(&mut batch), &sender, progress)?;
            }
            added?;
        }
        self.hand_over(batch, &sender, progress)?;
        Ok(self.case.states()?)
    }

    /// What is to be done for one recipient.
    fn add(
        &self,
        batch: &mut Batch,
        number: usize,
        state: &RecipientState,
        entry: Option<Entry>,
        uncertain: Uncertain,
        envelope: &mut Envelope<'_>,
    ) -> Result<(), DistributionError> {
        let recipient = self.address(&state.address)?;
        batch.recipients += 1;
        let known = entry.as_ref().and_then(|entry| entry.recipients().next()).map(|known| &known.state);
        let is_uncertain = match known {
            Some(known) => *known == DeliveryState::Attempted,
            None => state.delivery == Delivery::Uncertain,
        };
        match (entry, &state.delivery) {
            (None, Delivery::Submitted(_)) => {}
            // Delivered by another program, or by one that ended before it was written down.
            (Some(entry), _) if entry.is_delivered() => {
                if !state.is_submitted() {
                    batch.events.push((recipient, Event::Submitted));
                }
                batch.delivered.push(entry);
            }
            (entry, delivery) if is_uncertain && uncertain == Uncertain::Leave => {
                if entry.is_some() && *delivery != Delivery::Uncertain {
                    batch.events.push((recipient, Event::Attempted));
                }
            }
            (Some(mut entry), _) => {
                entry.repeat_attempted();
                batch.stored.push((recipient, entry));
            }
            (None, _) => match envelope(&recipient)? {
                Err(reason) => batch.events.push((recipient, Event::NoCertificate { reason })),
                Ok(message) => {
                    batch.octets += message.len();
                    batch.messages.push((self.entry_name(number), vec![(vec![recipient], message)]));
                }
            },
        }
        Ok(())
    }

    /// Stores the new messages together, then hands over one after the other. That one is being handed over is on the disk
    /// before it is, in one write with what became of the one before, which the outbox then may forget.
    fn hand_over(
        &mut self,
        mut batch: Batch,
        sender: &Address,
        progress: &mut dyn FnMut(),
    ) -> Result<(), DistributionError> {
        let mut due = std::mem::take(&mut batch.stored);
        let id = &self.case.record().id;
        let entries = self.outbox.store_all_for_case(id, self.now, sender, &batch.messages)?;
        let addresses = batch.messages.into_iter().flat_map(|(_, messages)| messages).flat_map(|(to, _)| to);
        for (recipient, entry) in addresses.zip(entries) {
            batch.events.push((recipient.clone(), Event::Stored));
            due.push((recipient, entry));
        }
        self.case.note_all(batch.events, self.now)?;
        for entry in &batch.delivered {
            self.outbox.remove(entry)?;
        }
        (due.len()..batch.recipients).for_each(|_| progress());
        let mut last: Option<(Address, Entry)> = None;
        for (recipient, entry) in due {
            self.note_end(last.take(), Some((recipient.clone(), Event::Attempted)))?;
            let entry = self.outbox.deliver(entry, self.outbox_lock, self.courier);
            // Should the outbox fail, the ledger says that nobody knows.
            last = Some((recipient, entry?));
            progress();
        }
        self.note_end(last, None)
    }

    /// Writes down what became of a delivery, together with what follows.
    fn note_end(
        &self,
        delivery: Option<(Address, Entry)>,
        next: Option<(Address, Event)>,
    ) -> Result<(), DistributionError> {
        let (ended, entry) = delivery.unzip();
        let became = entry.as_ref().and_then(|entry| entry.recipients().next());
        let event = ended.zip(became.and_then(|recipient| outcome(&recipient.state)));
        self.case.note_all(event.into_iter().chain(next).collect(), self.now)?;
        match entry.filter(Entry::is_delivered) {
            Some(entry) => Ok(self.outbox.remove(&entry)?),
            None => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::ledger::{Ledger, Record};
    use crate::smime::ess::ContentIdentifier;
    use crate::smime::receipt_check::SentRecord;
    use crate::smime::receipt_request::ReceiptsFrom;
    use crate::transport::TransportError;
    use crate::transport::smtp::RecipientReply;

    /// More than one batch.
    const READERS: usize = 66;

    /// Looks what is on the disk while a message is handed over, and dies with one of them in its hands.
    struct Watching<'c> {
        case: &'c Case,
        delivered: Vec<String>,
        dies_with: Option<usize>,
        victim: Option<String>,
    }

    impl Courier for Watching<'_> {
        fn deliver(
            &mut self,
            _: &Address,
            recipients: &[Address],
            message: &[u8],
        ) -> Result<Vec<RecipientReply>, TransportError> {
            let recipient = recipients[0].to_string();
            assert_eq!(message, recipient.as_bytes());
            let states = self.case.states().unwrap();
            let uncertain: Vec<&str> = states
                .iter()
                .filter(|state| state.delivery == Delivery::Uncertain)
                .map(|state| state.address.as_str())
                .filter(|address| *address == recipient || self.victim.as_deref() != Some(*address))
                .collect();
            assert_eq!(uncertain, [recipient.as_str()]);
            let submitted = states.iter().filter(|state| state.is_submitted()).count();
            assert_eq!(submitted, self.delivered.len());
            let dies = self.dies_with == Some(self.delivered.len());
            self.delivered.push(recipient);
            assert!(!dies, "killed");
            Ok(vec![RecipientReply::Accepted])
        }
    }

    fn case(folder: &std::path::Path) -> Case {
        let sent = SentRecord {
            content_type: const_oid::ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1"),
            signed_content_identifier: ContentIdentifier::from_octets(b"one".to_vec()).unwrap(),
            signature_value: vec![1],
            message_signature_digest: vec![2],
            receipts_from: ReceiptsFrom::AllReceipts,
            recipients: (0..READERS).map(|number| format!("reader{number}@x.test")).collect(),
            signed: Timestamp::UNIX_EPOCH,
        };
        let about = ("alice@x.test".to_owned(), "subject".to_owned());
        let record = Record::new("case".to_owned(), about, None, &sent, None);
        Ledger::open(&folder.join("ledger")).unwrap().create(record, b"message").unwrap()
    }

    fn run(case: &Case, outbox: &Outbox, courier: &mut Watching<'_>, uncertain: Uncertain) -> usize {
        let (lock, outbox_lock) = (case.lock().unwrap(), outbox.lock().unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let distribution =
            Distribution { case, lock: &lock, outbox, outbox_lock: &outbox_lock, courier, now };
        let mut told = 0;
        let mut envelope = |recipient: &Address| Ok(Ok(recipient.to_string().into_bytes()));
        distribution.run(uncertain, &mut envelope, &mut || told += 1).unwrap();
        told
    }

    #[test]
    fn whoever_is_killed_leaves_one_recipient_uncertain_and_nobody_gets_it_twice() {
        for dies_with in [0, 63, 65] {
            let folder = tempfile::tempdir().unwrap();
            let case = case(folder.path());
            let outbox = Outbox::open(&folder.path().join("outbox")).unwrap();
            let mut courier =
                Watching { case: &case, delivered: Vec::new(), dies_with: Some(dies_with), victim: None };
            let killed =
                catch_unwind(AssertUnwindSafe(|| run(&case, &outbox, &mut courier, Uncertain::Leave)));
            assert!(killed.is_err());
            let victim = courier.delivered.pop().unwrap();
            (courier.dies_with, courier.victim) = (None, Some(victim.clone()));
            assert_eq!(run(&case, &outbox, &mut courier, Uncertain::Leave), READERS);
            assert!(!courier.delivered.contains(&victim));
            assert_eq!(run(&case, &outbox, &mut courier, Uncertain::SendAgain), READERS);
            assert_eq!(courier.delivered.last(), Some(&victim));
            let mut delivered = courier.delivered.clone();
            delivered.sort();
            delivered.dedup();
            assert_eq!((delivered.len(), courier.delivered.len()), (READERS, READERS));
            assert!(outbox.entries().unwrap().is_empty());
        }
    }
}
