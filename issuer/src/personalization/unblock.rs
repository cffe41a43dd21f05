//! A new PIN for a card at the desk, set with the PUK that only the desk knows.
//!
//! A PUK that may have left the desk is changed first. Everything can be done again: whoever runs the command again sets
//! another PIN.

use middleware::{Card, CardError, Pin, Transaction};

use super::custody::MasterKey;
use super::error::PersonalizationError;
use super::present::refuse_another;
use crate::clock::Clock;
use crate::domain::{CardCommand, CardRefusal, CardState, Guid, InitialPin, Usability};
use crate::registry::{CardRecord, JournalPhase, OperationKind, Registry, RegistryError};

/// What an unblock works with.
pub struct Unblocking<'a> {
    /// Where everything is recorded.
    pub registry: &'a Registry,
    /// From which the card's secrets derive.
    pub master_key: &'a MasterKey,
    /// What time it is.
    pub clock: &'a dyn Clock,
}

/// The steps by their names in the journal.
const PUK: &str = "PUK";
const PIN: &str = "PIN";

impl Unblocking<'_> {
    /// Sets the PIN of a card that its holder has; `hand_over` gives it to its holder, and is called once the card has it.
    ///
    /// # Errors
    /// The card is another one, or not in use; [`PersonalizationError::PukUnknown`], [`PersonalizationError::LastPukTry`].
    pub async fn unblock(
        &self,
        card: &mut Card,
        record: &CardRecord,
        (pin, initial): (&Pin, InitialPin),
        hand_over: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<(), PersonalizationError> {
        let (CardState::Issued { usability, .. }, Some(guid)) = (record.card.state(), record.card.guid())
        else {
            return Err(RegistryError::from(CardRefusal::NotIssued(record.card.state().name())).into());
        };
        refuse_another(record, guid, &card.transaction()?.identity_afresh()?)?;
        // A renewal that waits for a PIN is not done yet: its journal has these steps then, and it stays open.
        let open = self.registry.open_operation(record.id).await?;
        let kind = open.map_or(OperationKind::Unblock, |open| open.kind);
        let operation = self.registry.begin_operation(record.id, kind, "{}", self.clock.now()).await?;
        let note = async |step: &str, phase| -> Result<(), PersonalizationError> {
            Ok(self.registry.note_step(&operation, step, phase, None, self.clock.now()).await?)
        };
        let mut transaction = card.transaction()?;
        let puk = record.card.puk();
        let version = match (puk.candidates().as_slice(), puk.exposed_since()) {
            (&[only], None) => only,
            _ => {
                note(PUK, JournalPhase::Intended).await?;
                self.change_puk(&mut transaction, guid, &puk.candidates(), puk.next())?;
                self.registry.record_puk(record.id, puk.next(), self.clock.now()).await?;
                note(PUK, JournalPhase::Confirmed).await?;
                puk.next()
            }
        };
        note(PIN, JournalPhase::Intended).await?;
        match transaction.unblock(&self.master_key.puk(guid, version)?, pin) {
            Ok(()) => {}
            Err(CardError::WrongPuk { tries_left }) => {
                return Err(PersonalizationError::PukUnknown { tries_left: Some(tries_left) });
            }
            Err(error) => return Err(error.into()),
        }
        drop(transaction);
        hand_over().map_err(PersonalizationError::TransportPin)?;
        note(PIN, JournalPhase::Confirmed).await?;
        let command = match (usability, initial) {
            (Usability::PinBlocked, _) => Some(CardCommand::UnblockPin),
            (Usability::AwaitingActivation, InitialPin::ChosenByHolder) => Some(CardCommand::Activate),
            _ => None,
        };
        let now = self.clock.now();
        match (kind, command) {
            (OperationKind::Unblock, command) => {
                self.registry.end_operation_with(&operation, command, now).await?;
            }
            (_, Some(command)) => {
                self.registry.command_card(record.id, command, now).await?;
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// Puts the next PUK in the place of whichever the card has. The last try is not spent on a guess.
    fn change_puk(
        &self,
        transaction: &mut Transaction<'_>,
        guid: Guid,
        candidates: &[u32],
        next: u32,
    ) -> Result<(), PersonalizationError> {
        let new = self.master_key.puk(guid, next)?;
        let mut tries_left = transaction.puk_tries_left()?;
        // A change whose answer was lost may have been carried out: the next one is a candidate, the last.
        for version in candidates.iter().copied().chain([next]) {
            match tries_left {
                Some(0) => return Err(CardError::PukBlocked.into()),
                Some(1) => return Err(PersonalizationError::LastPukTry),
                _ => {}
            }
            match transaction.change_puk(&self.master_key.puk(guid, version)?, &new) {
                Ok(()) => return Ok(()),
                Err(CardError::WrongPuk { tries_left: left }) => tries_left = Some(left),
                Err(error) => return Err(error.into()),
            }
        }
        Err(PersonalizationError::PukUnknown { tries_left })
    }
}
