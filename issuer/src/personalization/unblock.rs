//! A new PIN for a card at the desk, set with the PUK that only the desk knows.
//!
//! A PUK that may have left the desk is changed first. Everything can be done again: whoever runs the command again sets
//! another PIN.

use middleware::{Card, CardError, LastTry, Pin, Transaction};

use super::custody::MasterKey;
use super::error::PersonalizationError;
use super::present::refuse_another;
use super::run::{Point, Progress};
use crate::clock::Clock;
use crate::domain::{CardRefusal, CardState, Guid, InitialPin, PukStanding};
use crate::registry::{CardRecord, JournalPhase, Operation, OperationKind, Registry, RegistryError};

/// What an unblock works with.
pub struct Unblocking<'a> {
    /// Where everything is recorded.
    pub registry: &'a Registry,
    /// From which the card's secrets derive.
    pub master_key: &'a MasterKey,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Whether the last try of a PUK that is not known for certain may be spent.
    pub last_try: LastTry,
    /// Who watches.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// The steps by their names in the journal.
const PUK: &str = "PUK";
pub(crate) const PIN: &str = "PIN";

impl Unblocking<'_> {
    /// Sets the PIN of a card that its holder has; `hand_over` gives it to its holder, and is called once the card has it.
    ///
    /// # Errors
    /// The card is another one, or not in use; [`PersonalizationError::PukUnknown`], [`PersonalizationError::LastPukTry`].
    pub async fn unblock(
        &mut self,
        card: &mut Card,
        record: &CardRecord,
        (pin, initial): (&Pin, InitialPin),
        hand_over: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<(), PersonalizationError> {
        let (CardState::Issued { .. }, Some(guid)) = (record.card.state(), record.card.guid()) else {
            return Err(RegistryError::from(CardRefusal::NotIssued(record.card.state().name())).into());
        };
        refuse_another(record, guid, &card.transaction()?.identity_afresh()?)?;
        // A renewal that waits for a PIN is not done yet: its journal has these steps then, and it stays open.
        let open = self.registry.open_operation(record.id).await?;
        let kind = open.map_or(OperationKind::Unblock, |open| open.kind);
        let operation = self.registry.begin_operation(record.id, kind, "{}", self.clock.now()).await?;
        let mut transaction = card.transaction()?;
        let puk = record.card.puk();
        let version = match (puk.candidates().as_slice(), puk.exposed_since()) {
            (&[only], None) => only,
            _ => {
                self.note(&operation, PUK, JournalPhase::Intended).await?;
                self.change_puk(&mut transaction, guid, &operation, &puk).await?;
                self.reached(Point::Acted);
                self.registry.record_puk(record.id, puk.next(), self.clock.now()).await?;
                self.note(&operation, PUK, JournalPhase::Confirmed).await?;
                puk.next()
            }
        };
        self.note(&operation, PIN, JournalPhase::Intended).await?;
        match transaction.unblock(&self.master_key.puk(guid, version)?, pin) {
            Ok(()) => {}
            Err(CardError::WrongPuk { tries_left }) => {
                return Err(PersonalizationError::PukUnknown { tries_left: Some(tries_left) });
            }
            Err(error) => return Err(error.into()),
        }
        drop(transaction);
        self.reached(Point::Acted);
        hand_over().map_err(PersonalizationError::TransportPin)?;
        self.note(&operation, PIN, JournalPhase::Confirmed).await?;
        Ok(self.registry.record_pin(&operation, initial, self.clock.now()).await?)
    }

    async fn note(
        &mut self,
        operation: &Operation,
        step: &str,
        phase: JournalPhase,
    ) -> Result<(), PersonalizationError> {
        self.registry.note_step(operation, step, phase, None, self.clock.now()).await?;
        self.reached(Point::of(phase));
        Ok(())
    }

    /// Tells whoever watches.
    fn reached(&mut self, point: Point) {
        (self.progress)(Progress::Operation(OperationKind::Unblock, point));
    }

    /// Puts the next PUK in the place of whichever the card has. The last try is spent on a guess only where that is wished,
    /// and a guess that was wrong before is made again last.
    async fn change_puk(
        &mut self,
        transaction: &mut Transaction<'_>,
        guid: Guid,
        operation: &Operation,
        puk: &PukStanding,
    ) -> Result<(), PersonalizationError> {
        let next = puk.next();
        let new = self.master_key.puk(guid, next)?;
        let steps = self.registry.steps(operation).await?;
        let is_refused = |version| steps.iter().any(|entry| entry.step == refused(version));
        let mut tries_left = transaction.puk_tries_left()?;
        // A change whose answer was lost may have been carried out: the next one is a candidate.
        let (wrong_before, likely): (Vec<_>, Vec<_>) =
            puk.candidates().into_iter().partition(|version| is_refused(*version));
        for version in likely.into_iter().chain([next]).chain(wrong_before) {
            match tries_left {
                Some(0) => return Err(CardError::PukBlocked.into()),
                Some(1) if self.last_try == LastTry::Refuse => return Err(PersonalizationError::LastPukTry),
                _ => {}
            }
            match transaction.change_puk(&self.master_key.puk(guid, version)?, &new) {
                Ok(()) => return Ok(()),
                Err(CardError::WrongPuk { tries_left: left }) => tries_left = Some(left),
                Err(error) => return Err(error.into()),
            }
            if version != next {
                self.note(operation, &refused(version), JournalPhase::Confirmed).await?;
            }
        }
        Err(PersonalizationError::PukUnknown { tries_left })
    }
}

/// The line of the journal that says which PUK the card does not have.
fn refused(version: u32) -> String {
    format!("PUK is not version {version}")
}
