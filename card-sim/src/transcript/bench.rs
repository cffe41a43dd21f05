//! What a transcript is played against: a card, and the hand that powers it.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::finger::ScriptedFinger;
use super::management::ManagementKey;
use crate::Card;
use crate::crypto::Randomness;
use crate::iso7816::Interface;
use crate::piv::blank::{BlankCard, BlankKind, add_global_pin};
use crate::piv::personality::Firmware;
use crate::piv::state::CardState;
use crate::secret::SecretBytes;
use crate::store::image;
use crate::store::memory::MemoryStore;

/// Why a bench cannot do what a transcript says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// There is one card here, and it is as it is.
    #[error("a fresh card is asked for, and this is one card as it is: play the file against `sim:`")]
    NoFreshCard,
    /// The card stays in the reader in which it is.
    #[error("another reader is asked for, and this card stays where it is: play the file against `sim:`")]
    NoOtherReader,
    /// Nobody but the cardholder touches the card, and time goes its own way.
    #[error("a finger or a clock is asked for that does as it is told: play the file against `sim:`")]
    NoFinger,
    /// There is no card yet.
    #[error("there is no card yet: the file must begin with `@ card KIND`")]
    NoCard,
    /// The kind of card is unknown.
    #[error(
        "no such kind of card: {kind}; there are standard, yubikey5 5.7 and yubikey5 5.4, and behind them \
         `, Global PIN` and `, contactless`"
    )]
    NoSuchKind {
        /// The kind.
        kind: String,
    },
    /// A command might spend the last try.
    #[error("{what}")]
    LastTry {
        /// What was not sent, and what to do.
        what: String,
    },
    /// The card or its reader does not answer.
    #[error("{what}")]
    Unreachable {
        /// What happened.
        what: String,
    },
}

/// A card in a reader, as far as a transcript needs it.
pub trait Bench {
    /// Gives power.
    ///
    /// # Errors
    /// See [`BenchError`].
    fn power_on(&mut self) -> Result<(), BenchError>;

    /// Takes the power away.
    ///
    /// # Errors
    /// See [`BenchError`].
    fn power_off(&mut self) -> Result<(), BenchError>;

    /// Warm reset.
    ///
    /// # Errors
    /// See [`BenchError`].
    fn reset(&mut self) -> Result<(), BenchError>;

    /// Moves the card to a reader of this interface, which powers it.
    ///
    /// # Errors
    /// [`BenchError::NoOtherReader`] where that cannot be done.
    fn over(&mut self, interface: Interface) -> Result<(), BenchError>;

    /// Says whether the finger comes from now on when a key waits for it.
    ///
    /// # Errors
    /// [`BenchError::NoFinger`] where nobody can say.
    fn touch(&mut self, _comes: bool) -> Result<(), BenchError> {
        Err(BenchError::NoFinger)
    }

    /// Lets so many seconds pass for the card.
    ///
    /// # Errors
    /// [`BenchError::NoFinger`] where time cannot be told to.
    fn pass(&mut self, _seconds: u32) -> Result<(), BenchError> {
        Err(BenchError::NoFinger)
    }

    /// One command APDU in, one response APDU out.
    ///
    /// # Errors
    /// See [`BenchError`].
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, BenchError>;

    /// Puts a fresh blank card of a kind in, powers it and says its management key.
    ///
    /// # Errors
    /// [`BenchError::NoFreshCard`] where there is one card as it is.
    fn fresh_card(&mut self, kind: &str) -> Result<ManagementKey, BenchError>;
}

/// An emulated card in this process: one as it is, or whatever blank ones a transcript asks for.
///
/// Blank ones are in memory and seeded: the same run twice gives the same bytes.
pub struct EmulatedCards {
    card: Option<Card>,
    finger: ScriptedFinger,
    has_blank_ones: bool,
}

/// The seed of every card that a transcript asks for.
const SEED: &[u8] = b"test card";

/// The serial number of every yubikey5 card that a transcript asks for.
const SERIAL: u32 = 12_345_678;

impl EmulatedCards {
    /// This card, as it is.
    #[must_use]
    pub fn one(mut card: Card) -> Self {
        let finger = ScriptedFinger::default();
        card.set_finger(Box::new(finger.clone()));
        card.power_on();
        Self { card: Some(card), finger, has_blank_ones: false }
    }

    /// No card yet: the transcript says which ones.
    #[must_use]
    pub fn blank_ones() -> Self {
        Self { card: None, finger: ScriptedFinger::default(), has_blank_ones: true }
    }

    fn card(&mut self) -> Result<&mut Card, BenchError> {
        self.card.as_mut().ok_or(BenchError::NoCard)
    }

    fn power(&mut self, change: impl FnOnce(&mut Card)) -> Result<(), BenchError> {
        self.card().map(change)
    }
}

impl Bench for EmulatedCards {
    fn power_on(&mut self) -> Result<(), BenchError> {
        self.power(|card| drop(card.power_on()))
    }

    fn power_off(&mut self) -> Result<(), BenchError> {
        self.power(Card::power_off)
    }

    fn reset(&mut self) -> Result<(), BenchError> {
        self.power(Card::reset)
    }

    fn over(&mut self, interface: Interface) -> Result<(), BenchError> {
        let mut card = self.card.take().ok_or(BenchError::NoCard)?.over(interface);
        card.power_on();
        self.card = Some(card);
        Ok(())
    }

    fn touch(&mut self, comes: bool) -> Result<(), BenchError> {
        self.finger.come(comes);
        Ok(())
    }

    fn pass(&mut self, seconds: u32) -> Result<(), BenchError> {
        self.finger.pass(seconds);
        Ok(())
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, BenchError> {
        Ok(Zeroizing::new(self.card()?.transmit(command)))
    }

    fn fresh_card(&mut self, kind: &str) -> Result<ManagementKey, BenchError> {
        if !self.has_blank_ones {
            return Err(BenchError::NoFreshCard);
        }
        let (state, interface) = blank(kind)?;
        let path = Path::new("a card in memory");
        let made = image::encode(&state, path)
            .and_then(|image| Card::with_store(Box::new(MemoryStore::new(image)), path));
        let card = made.map_err(|error| BenchError::Unreachable { what: error.to_string() })?;
        let mut card = card.over(interface);
        self.finger = ScriptedFinger::default();
        card.set_finger(Box::new(self.finger.clone()));
        card.power_on();
        self.card = Some(card);
        Ok(ManagementKey(state.management_key.key))
    }
}

/// The state of a blank card of a kind, such as `standard, Global PIN, contactless`, and the reader it lies in.
fn blank(kind: &str) -> Result<(CardState, Interface), BenchError> {
    let no_such = || BenchError::NoSuchKind { kind: kind.to_owned() };
    let yubikey = |firmware| BlankKind::YubiKey5 { firmware, serial: Some(SERIAL) };
    let mut words = kind.split(", ");
    let kind = match words.next() {
        Some("standard") => BlankKind::Standard,
        Some("yubikey5 5.7") => yubikey(Firmware::V5_7),
        Some("yubikey5 5.4") => yubikey(Firmware::V5_4),
        _ => return Err(no_such()),
    };
    let blank = BlankCard { kind, keys: BTreeMap::new(), seed: Some(SecretBytes::from(SEED)) };
    let mut state = blank.manufacture(&mut Randomness::from_seed(SEED, u64::MAX)).0;
    let mut interface = Interface::Contact;
    for word in words {
        match word {
            "Global PIN" => add_global_pin(&mut state),
            "contactless" => interface = Interface::Contactless,
            _ => return Err(no_such()),
        }
    }
    Ok((state, interface))
}
