//! Where a card stands; each state carries what is known in it and nothing else.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::CardId;
use crate::domain::cardholder::CardholderId;
use crate::domain::certificate::RevocationReason;

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

/// How a card got out of its holder's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Nobody knows where it is.
    Lost,
    /// Somebody took it.
    Stolen,
}

impl Loss {
    /// The word, as listings show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Stolen => "stolen",
        }
    }
}

/// With which PIN a card leaves the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialPin {
    /// One that the holder has to change before the card is used.
    Transport,
    /// One that the holder chose at the desk.
    ChosenByHolder,
}

/// What an issued card can do for its holder; a hold ends where it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usability {
    /// The holder has not yet said that the transport PIN is changed.
    AwaitingActivation,
    /// In use.
    Active,
    /// Too many wrong PINs; the desk can unblock it.
    PinBlocked,
}

impl Usability {
    /// Its name, as listings show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingActivation => "awaiting activation",
            Self::Active => "active",
            Self::PinBlocked => "PIN blocked",
        }
    }
}

/// Where a card stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
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
    /// Handed over: awaiting activation, active, or with a blocked PIN.
    Issued {
        /// Whose card it is.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
        /// What the holder can do with it.
        usability: Usability,
    },
    /// Its certificates are on hold until it is released or ended.
    OnHold {
        /// Whose card it is.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
        /// What it goes back to.
        usability: Usability,
    },
    /// Out of its holder's hands; its certificates are revoked.
    Lost {
        /// Whose card it was.
        holder: CardholderId,
        /// When that was recorded.
        since: Timestamp,
        /// How.
        loss: Loss,
    },
    /// Broken; its certificates are revoked.
    Damaged {
        /// Whose card it was.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
    },
    /// Another card stands in its place; its certificates are revoked.
    Replaced {
        /// Whose card it was.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
        /// Which card.
        by: CardId,
    },
    /// Ended; its certificates are revoked.
    Revoked {
        /// Whose card it was.
        holder: CardholderId,
        /// When that was recorded.
        since: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
    /// Back at the desk, not yet wiped.
    Returned {
        /// Whose card it was.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
    },
    /// There is no such card any more.
    Destroyed {
        /// Whose card it was last, if anybody's.
        holder: Option<CardholderId>,
        /// When that was recorded.
        since: Timestamp,
    },
}

impl CardState {
    /// The names of all states, as listings show them and searches take them.
    pub const NAMES: [&'static str; 14] = [
        "in stock",
        "unusable",
        "being personalised",
        "awaiting activation",
        "active",
        "PIN blocked",
        "on hold",
        "lost",
        "stolen",
        "damaged",
        "replaced",
        "revoked",
        "returned",
        "destroyed",
    ];

    /// The state's name, as listings show it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::InStock { .. } => "in stock",
            Self::Unusable { .. } => "unusable",
            Self::BeingPersonalised { .. } => "being personalised",
            Self::Issued { usability, .. } => usability.as_str(),
            Self::OnHold { .. } => "on hold",
            Self::Lost { loss, .. } => loss.as_str(),
            Self::Damaged { .. } => "damaged",
            Self::Replaced { .. } => "replaced",
            Self::Revoked { .. } => "revoked",
            Self::Returned { .. } => "returned",
            Self::Destroyed { .. } => "destroyed",
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
            | Self::OnHold { since, .. }
            | Self::Lost { since, .. }
            | Self::Damaged { since, .. }
            | Self::Replaced { since, .. }
            | Self::Revoked { since, .. }
            | Self::Returned { since, .. }
            | Self::Destroyed { since, .. } => Some(*since),
        }
    }

    /// Whose card it is or was or will be.
    pub const fn holder(&self) -> Option<CardholderId> {
        match self {
            Self::Unknown | Self::InStock { .. } | Self::Unusable { .. } => None,
            Self::Destroyed { holder, .. } => *holder,
            Self::BeingPersonalised { holder, .. }
            | Self::Issued { holder, .. }
            | Self::OnHold { holder, .. }
            | Self::Lost { holder, .. }
            | Self::Damaged { holder, .. }
            | Self::Replaced { holder, .. }
            | Self::Revoked { holder, .. }
            | Self::Returned { holder, .. } => Some(*holder),
        }
    }

    /// Whether somebody has it or is about to get it: nobody has two of a kind.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::BeingPersonalised { .. } | Self::Issued { .. } | Self::OnHold { .. })
    }
}
