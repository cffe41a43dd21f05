//! What can go wrong with a card, by what the caller does about it.
use super::{DataObject, KeyReference};
use crate::apdu::ber_tlv::MalformedTlv;
use crate::transport::TransportError;

/// What went wrong with a card. Messages say what happened and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// No reader holds a card.
    #[error("no card found; insert one, or name it with --card")]
    NoCard,
    /// More than one reader holds a card; the reader names.
    #[error("several cards are present ({}); name one: --card 'pcsc:READER NAME' or --card pcsc:serial=NUMBER", .0.join(", "))]
    SeveralCards(Vec<String>),
    /// The locator names a reader that is not there.
    #[error("there is no reader {name:?}; the readers are: {}", if readers.is_empty() { "none".to_owned() } else { readers.join(", ") })]
    NoSuchReader {
        /// The name asked for.
        name: String,
        /// The names that exist.
        readers: Vec<String>,
    },
    /// No present card has that serial number or GUID.
    #[error("no card with serial number or GUID {0} is present; see: card list")]
    NoSuchCard(String),
    /// The card in that reader does not know the PIV application.
    #[error("the card in {0} is not a PIV card")]
    NotPiv(String),
    /// The card or its reader went away, or stopped answering.
    #[error("the card was removed or no longer answers; insert it and repeat the command")]
    CardRemoved,
    /// Another program reset the card where the interrupted command could not be repeated safely.
    #[error("another program reset the card in the middle; repeat the command")]
    CardReset,
    /// The PIN was wrong and costs a try.
    #[error("wrong PIN, {tries_left} {} left", tries(*tries_left))]
    WrongPin {
        /// At least 1.
        tries_left: u8,
    },
    /// The PUK was wrong and costs a try.
    #[error("wrong PUK, {tries_left} {} left", tries(*tries_left))]
    WrongPuk {
        /// At least 1.
        tries_left: u8,
    },
    /// No PIN try is left.
    #[error("the PIN is blocked; unblock it with the PUK: card unblock")]
    PinBlocked,
    /// No PUK try is left.
    #[error("the PUK is blocked; the issuance desk must replace or reset the card")]
    PukBlocked,
    /// One PIN try is left and [`LastTry::Refuse`](super::LastTry::Refuse) was asked for; nothing was sent.
    #[error("this is the last PIN try; repeat with --last-try to spend it")]
    LastPinTry,
    /// Refused before the card is asked.
    #[error("a PIN is 6 to 8 digits")]
    MalformedPin,
    /// Refused before the card is asked.
    #[error("a PUK is 6 to 8 characters")]
    MalformedPuk,
    /// The card's own rules for PINs (vendor: 6985).
    #[error(
        "the card does not accept this new PIN or PUK (too simple?); choose another; the old one still holds"
    )]
    NewPinRefused,
    /// Never written, or deleted.
    #[error("data object {0} is not on the card")]
    ObjectNotFound(DataObject),
    /// The key does not exist, is of another algorithm than asked for, or does not do this (9D of a strict card does
    /// not sign with ECDSA); cards do not tell which.
    #[error(
        "the card has no key {0} for this use: it is missing, or of another algorithm than its certificate says"
    )]
    KeyNotFound(KeyReference),
    /// The card attests only what it generated itself.
    #[error("the card does not attest key {0}: it was imported, not generated on the card")]
    NotAttested(KeyReference),
    /// Moving a key there would destroy another.
    #[error("there is a key at {0} already; delete it first, or choose another key reference")]
    KeyInTheWay(KeyReference),
    /// An RSA block that is not below the key's modulus.
    #[error("the card refused the data: it is not below the key's modulus")]
    InputRejected,
    /// A signature of the key does not verify with the public key that was given for it.
    #[error(
        "key {0} on the card does not belong to its certificate; the issuance desk must issue the card again"
    )]
    KeyMismatch(KeyReference),
    /// The card, or this build, has no such function.
    #[error("the card cannot do this: {0}")]
    Unsupported(String),
    /// The management key (9B) is another one, or of another algorithm.
    #[error("management key refused")]
    WrongManagementKey,
    /// Refused before the card is asked: the key's length does not fit its algorithm.
    #[error("a management key of this algorithm has {expected} bytes, not {length}")]
    MalformedManagementKey {
        /// Bytes of a key of that algorithm.
        expected: usize,
        /// Bytes given.
        length: usize,
    },
    /// Needs a PIN that was not verified in this transaction (or a touch that did not come).
    #[error("the card wants the PIN first (or, if it has a button, a touch in time)")]
    PinRequired,
    /// The data object is larger than the room left on the card.
    #[error("the card has no room for data object {0}")]
    CardFull(DataObject),
    /// An emulated card in-process belongs to one process at a time, and another one has it: worth waiting for.
    #[error("{0}: the card is in use by another process; stop that one first")]
    InUse(String),
    /// The emulated card's state file.
    #[error("{0}")]
    StateFile(String),
    /// A status word without a meaning of its own here.
    #[error("the card answered {status:04X} to {command}")]
    Refused {
        /// The command's name in SP 800-73-5 Part 2.
        command: &'static str,
        /// SW1 SW2.
        status: u16,
    },
    /// The card's answer is not what the standard says.
    #[error("the card sent a malformed answer: {0}")]
    MalformedAnswer(String),
    /// What the user wrote is no locator.
    #[error("bad card locator: {0}")]
    BadLocator(String),
    /// Reader, PC/SC service or system.
    #[error("{0}")]
    Transport(String),
}

impl CardError {
    /// A stable word for programs, as `--json` prints it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCard => "no-card",
            Self::SeveralCards(_) => "several-cards",
            Self::NoSuchReader { .. } => "no-such-reader",
            Self::NoSuchCard(_) => "no-such-card",
            Self::NotPiv(_) => "not-piv",
            Self::CardRemoved => "card-removed",
            Self::CardReset => "card-reset",
            Self::WrongPin { .. } => "wrong-pin",
            Self::WrongPuk { .. } => "wrong-puk",
            Self::PinBlocked => "pin-blocked",
            Self::PukBlocked => "puk-blocked",
            Self::LastPinTry => "last-pin-try",
            Self::MalformedPin => "malformed-pin",
            Self::MalformedPuk => "malformed-puk",
            Self::NewPinRefused => "new-pin-refused",
            Self::ObjectNotFound(_) => "object-not-found",
            Self::KeyNotFound(_) => "key-not-found",
            Self::NotAttested(_) => "not-attested",
            Self::KeyInTheWay(_) => "key-in-the-way",
            Self::InputRejected => "input-rejected",
            Self::KeyMismatch(_) => "key-mismatch",
            Self::Unsupported(_) => "unsupported",
            Self::WrongManagementKey => "wrong-management-key",
            Self::MalformedManagementKey { .. } => "malformed-management-key",
            Self::PinRequired => "pin-required",
            Self::CardFull(_) => "card-full",
            Self::InUse(_) => "card-in-use",
            Self::StateFile(_) => "state-file",
            Self::Refused { .. } => "refused",
            Self::MalformedAnswer(_) => "malformed-answer",
            Self::BadLocator(_) => "bad-locator",
            Self::Transport(_) => "transport",
        }
    }
}

fn tries(left: u8) -> &'static str {
    if left == 1 { "try" } else { "tries" }
}

impl From<TransportError> for CardError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Reset => Self::CardReset,
            TransportError::Removed => Self::CardRemoved,
            TransportError::Malformed(what) => Self::MalformedAnswer(what),
            TransportError::Failed(what) => Self::Transport(what),
        }
    }
}

impl From<MalformedTlv> for CardError {
    fn from(error: MalformedTlv) -> Self {
        Self::MalformedAnswer(error.to_string())
    }
}
