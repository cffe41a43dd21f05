//! One card, from stock to its holder to its end.
//!
//! ```text
//! Unknown ──Receive──> InStock ──Begin──> BeingPersonalised ──Complete──> Issued ──Revoke──> Revoked
//!                         ^                 │       ^  │
//!                         └────Abandon──────┤       └──┘ Begin again, same holder (after a crash)
//!                         ^                 v Abandon, after a fault was found
//!                         └──Receive─── Unusable
//! ```
//!
//! Whether the holder has changed the transport PIN yet is known to the holder's own computer only; `Issued` covers
//! both "awaiting activation" and "active".

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cardholder::CardholderId;
use super::certificate::RevocationReason;

/// The registry's number for a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CardId(pub i64);

/// The card's globally unique identifier, CHUID tag 34 (SP 800-73-5 Part 1 section 3.1.2): 16 bytes, shown in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// Takes 16 bytes as they are.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A GUID of random bytes, marked as a version 4 UUID (RFC 9562 section 5.4), because certificates name it as `urn:uuid`.
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0F) | 0x40;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        Self(bytes)
    }

    /// Reads 32 hex digits; hyphens between them are ignored.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|character| *character != '-').collect();
        let mut bytes = [0; 16];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl Serialize for Guid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("a GUID is 32 hex digits"))
    }
}

/// What a blank card in stock is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StockIdentity {
    /// A vendor's serial number, which stays for the card's life.
    VendorSerial(u32),
    /// The GUID that the manufacturer wrote, until personalisation writes a new one.
    Guid(Guid),
}

impl fmt::Display for StockIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VendorSerial(serial) => write!(f, "serial {serial}"),
            Self::Guid(guid) => write!(f, "GUID {guid}"),
        }
    }
}

/// The four keys that a staff card gets, SP 800-73-5 Part 1 section 3.1 to 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CardKey {
    /// 9A: the PIN once.
    Authentication,
    /// 9C: the PIN for every signature.
    DigitalSignature,
    /// 9D: the PIN once.
    KeyManagement,
    /// 9E: no PIN.
    CardAuthentication,
}

impl CardKey {
    /// All four, in the order in which they are made.
    pub const ALL: [Self; 4] =
        [Self::Authentication, Self::DigitalSignature, Self::KeyManagement, Self::CardAuthentication];

    /// The key reference in hex.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "9A",
            Self::DigitalSignature => "9C",
            Self::KeyManagement => "9D",
            Self::CardAuthentication => "9E",
        }
    }

    /// Reads `9A`, `9C`, `9D` or `9E`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == text)
    }
}

impl fmt::Display for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a card cannot be personalised as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardFault {
    /// No PUK is accepted any more.
    PukBlocked,
    /// One more wrong PUK would block it.
    PukLastTry,
    /// Its PUK is neither the one it came with nor the desk's.
    PukUnknown,
    /// Its management key is neither the one it came with nor the desk's.
    ManagementKeyUnknown,
}

impl fmt::Display for CardFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PukBlocked => "its PUK is blocked",
            Self::PukLastTry => "its PUK has one try left",
            Self::PukUnknown => "its PUK is not known",
            Self::ManagementKeyUnknown => "its management key is not known",
        })
    }
}

/// Where a card stands; each state carries what is known in it and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CardState {
    /// Never received: no personalisation is allowed.
    #[default]
    Unknown,
    /// Blank, or abandoned half-way, and free for anybody.
    InStock {
        /// Since when.
        since: Timestamp,
    },
    /// Given up, because it cannot be personalised; received again, it is in stock again.
    Unusable {
        /// Since when.
        since: Timestamp,
        /// Why.
        fault: CardFault,
    },
    /// Some of its keys, secrets and certificates are new, others perhaps not; it must not leave the desk.
    BeingPersonalised {
        /// Whose card it will be.
        holder: CardholderId,
        /// When this attempt began.
        since: Timestamp,
    },
    /// Handed over: awaiting activation, or active.
    Issued {
        /// Whose card it is.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
    },
    /// Lost, replaced or otherwise ended; its certificates are revoked.
    Revoked {
        /// Whose card it was.
        holder: CardholderId,
        /// When that was recorded.
        since: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
}

impl CardState {
    /// The state's name, as listings show it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::InStock { .. } => "in stock",
            Self::Unusable { .. } => "unusable",
            Self::BeingPersonalised { .. } => "being personalised",
            Self::Issued { .. } => "issued",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// Since when the card is in this state.
    pub const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Unknown => None,
            Self::InStock { since }
            | Self::Unusable { since, .. }
            | Self::BeingPersonalised { since, .. }
            | Self::Issued { since, .. }
            | Self::Revoked { since, .. } => Some(*since),
        }
    }

    /// Whose card it is or was or will be.
    pub const fn holder(&self) -> Option<CardholderId> {
        match self {
            Self::Unknown | Self::InStock { .. } | Self::Unusable { .. } => None,
            Self::BeingPersonalised { holder, .. }
            | Self::Issued { holder, .. }
            | Self::Revoked { holder, .. } => Some(*holder),
        }
    }
}

/// A card as its events tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    state: CardState,
    guid: Option<Guid>,
    attempts: u32,
    /// What the present attempt found.
    fault: Option<CardFault>,
}

/// What a desk wants to do with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardCommand {
    /// Take a blank card into stock; one that was unusable may have been reset meanwhile.
    Receive,
    /// Start to make it somebody's card, or start over.
    BeginPersonalisation {
        /// Whose card it will be.
        holder: CardholderId,
        /// The GUID to write, unless an earlier attempt has already chosen one.
        fresh_guid: Guid,
    },
    /// Every key was exercised against the certificate read back.
    CompletePersonalisation,
    /// Record why the card cannot be personalised.
    RecordFault {
        /// Why.
        fault: CardFault,
    },
    /// Give up a half-made card: it goes back to stock, or, if it has a fault, not.
    AbandonPersonalisation,
    /// End an issued card.
    Revoke {
        /// Why.
        reason: RevocationReason,
    },
}

/// What happened to a card, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum CardEvent {
    /// Taken into stock.
    CardReceived {
        /// When.
        at: Timestamp,
    },
    /// Personalisation began.
    PersonalisationBegun {
        /// When.
        at: Timestamp,
        /// Whose card it will be.
        holder: CardholderId,
        /// The GUID that the card gets; the same again when an attempt is repeated, because the card's secrets derive from it.
        guid: Guid,
        /// 1, 2, ...; the journal of steps is kept by attempt.
        attempt: u32,
    },
    /// Personalisation ended well.
    PersonalisationCompleted {
        /// When.
        at: Timestamp,
    },
    /// The card turned out not to be usable as it is.
    CardFaultFound {
        /// When.
        at: Timestamp,
        /// Why.
        fault: CardFault,
    },
    /// Personalisation was given up.
    PersonalisationAbandoned {
        /// When.
        at: Timestamp,
    },
    /// The card is over.
    CardRevoked {
        /// When.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
}

/// Why a command was refused; the caller knows the names behind the numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardRefusal {
    /// Not in stock.
    #[error("the card is not in stock")]
    Unknown,
    /// Received twice.
    #[error("the card is already in stock or in use ({0})")]
    AlreadyReceived(&'static str),
    /// Half-made for somebody else.
    #[error("the card is being personalised for somebody else since {since}")]
    BeingPersonalisedFor {
        /// For whom.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
    },
    /// Somebody has it.
    #[error("the card is already issued, since {since}")]
    AlreadyIssued {
        /// To whom.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
    },
    /// It cannot be personalised.
    #[error("the card was set aside as unusable at {since} ({fault})")]
    Unusable {
        /// Since when.
        since: Timestamp,
        /// Why.
        fault: CardFault,
    },
    /// Complete or abandon without a beginning.
    #[error("the card is not being personalised (it is {0})")]
    NotBeingPersonalised(&'static str),
    /// Revoked already.
    #[error("the card was revoked at {since} ({reason})")]
    Revoked {
        /// When.
        since: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
    /// Revoke what nobody has.
    #[error("the card is not issued (it is {0})")]
    NotIssued(&'static str),
}

impl Card {
    /// Where the card stands.
    pub const fn state(&self) -> &CardState {
        &self.state
    }

    /// The GUID that personalisation writes or wrote; none before the first attempt.
    pub const fn guid(&self) -> Option<Guid> {
        self.guid
    }

    /// How many personalisations were begun.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The card after `events`, the oldest first.
    pub fn replay(events: impl IntoIterator<Item = CardEvent>) -> Self {
        events.into_iter().fold(Self::default(), Self::apply)
    }

    /// Judges `command` at the time `now`.
    ///
    /// # Errors
    /// The command does not fit the state the card is in.
    pub fn decide(&self, command: CardCommand, now: Timestamp) -> Result<CardEvent, CardRefusal> {
        match command {
            CardCommand::Receive => match self.state {
                CardState::Unknown | CardState::Unusable { .. } => Ok(CardEvent::CardReceived { at: now }),
                _ => Err(CardRefusal::AlreadyReceived(self.state.name())),
            },
            CardCommand::BeginPersonalisation { holder, fresh_guid } => {
                self.decide_begin(holder, fresh_guid, now)
            }
            CardCommand::CompletePersonalisation => {
                self.require_being_personalised().map(|()| CardEvent::PersonalisationCompleted { at: now })
            }
            CardCommand::RecordFault { fault } => {
                self.require_being_personalised().map(|()| CardEvent::CardFaultFound { at: now, fault })
            }
            CardCommand::AbandonPersonalisation => {
                self.require_being_personalised().map(|()| CardEvent::PersonalisationAbandoned { at: now })
            }
            CardCommand::Revoke { reason } => match self.state {
                CardState::Issued { .. } => Ok(CardEvent::CardRevoked { at: now, reason }),
                CardState::Revoked { since, reason, .. } => Err(CardRefusal::Revoked { since, reason }),
                _ => Err(CardRefusal::NotIssued(self.state.name())),
            },
        }
    }

    /// The card after `event`.
    #[must_use]
    pub fn apply(self, event: CardEvent) -> Self {
        let holder = self.state.holder();
        match event {
            CardEvent::CardReceived { at } => {
                Self { state: CardState::InStock { since: at }, fault: None, ..self }
            }
            CardEvent::CardFaultFound { fault, .. } => Self { fault: Some(fault), ..self },
            CardEvent::PersonalisationBegun { at, holder, guid, attempt } => Self {
                state: CardState::BeingPersonalised { holder, since: at },
                guid: Some(guid),
                attempts: attempt,
                fault: None,
            },
            CardEvent::PersonalisationCompleted { at } => match holder {
                Some(holder) => Self { state: CardState::Issued { holder, since: at }, ..self },
                None => self,
            },
            CardEvent::PersonalisationAbandoned { at } => match self.fault {
                Some(fault) => Self { state: CardState::Unusable { since: at, fault }, ..self },
                None => Self { state: CardState::InStock { since: at }, ..self },
            },
            CardEvent::CardRevoked { at, reason } => match holder {
                Some(holder) => Self { state: CardState::Revoked { holder, since: at, reason }, ..self },
                None => self,
            },
        }
    }

    fn decide_begin(
        &self,
        holder: CardholderId,
        fresh_guid: Guid,
        now: Timestamp,
    ) -> Result<CardEvent, CardRefusal> {
        match self.state {
            CardState::Unknown => return Err(CardRefusal::Unknown),
            CardState::BeingPersonalised { holder: other, since } if other != holder => {
                return Err(CardRefusal::BeingPersonalisedFor { holder: other, since });
            }
            CardState::Issued { holder, since } => return Err(CardRefusal::AlreadyIssued { holder, since }),
            CardState::Revoked { since, reason, .. } => return Err(CardRefusal::Revoked { since, reason }),
            CardState::Unusable { since, fault } => return Err(CardRefusal::Unusable { since, fault }),
            CardState::InStock { .. } | CardState::BeingPersonalised { .. } => {}
        }
        let guid = self.guid.unwrap_or(fresh_guid);
        Ok(CardEvent::PersonalisationBegun {
            at: now,
            holder,
            guid,
            attempt: self.attempts.saturating_add(1),
        })
    }

    fn require_being_personalised(&self) -> Result<(), CardRefusal> {
        match self.state {
            CardState::BeingPersonalised { .. } => Ok(()),
            _ => Err(CardRefusal::NotBeingPersonalised(self.state.name())),
        }
    }
}

#[cfg(test)]
mod tests;
