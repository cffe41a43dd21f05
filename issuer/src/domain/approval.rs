//! What one operator alone must not do, where the desk says so: asked for by one, granted by another, done once.
//!
//! ```text
//! Asked ──Grant──> Granted ──Use──> Used
//!   └────Refuse───────┴──> Refused          Asked, Granted: nothing any more once it has expired
//! ```
//!
//! Whoever grants or refuses is another person with another card and key than whoever asked. An approval is for one act
//! word for word: its digest is the SHA-256 of `"issuer approval" LF act LF details LF`.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::audit::ChainHash;
use super::cardholder::CardholderId;
use super::operator::{Operator, OperatorId};

/// The registry's number for an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalId(pub i64);

/// What can be made to need two operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A certificate for a domain that is not the organisation's.
    OtherDomain,
    /// A certificate for an authority's key: it certifies whatever it is for. Needs two wherever another domain does.
    CertifyAuthority,
    /// The end of an authority.
    RevokeAuthority,
    /// What leaves the house: evidence, backups.
    Export,
    /// A clock that is behind what it signed.
    ClockAccept,
    /// An older registry in the place of what was there.
    Restore,
    /// What config.toml says of certificates: the organisation, its domains, what profiles say; and which witness counts.
    Configuration,
    /// Another witness file in the place of one that is gone.
    NewWitness,
    /// What needs two operators, and who is one. Always needs two while anything else does.
    DualControl,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::OtherDomain,
        Self::CertifyAuthority,
        Self::RevokeAuthority,
        Self::Export,
        Self::ClockAccept,
        Self::Restore,
        Self::Configuration,
        Self::NewWitness,
        Self::DualControl,
    ];

    /// The word on the command line and in the registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherDomain => "other-domain",
            Self::CertifyAuthority => "certify-authority",
            Self::RevokeAuthority => "revoke-authority",
            Self::Export => "export",
            Self::ClockAccept => "clock-accept",
            Self::Restore => "restore",
            Self::Configuration => "configuration",
            Self::NewWitness => "new-witness",
            Self::DualControl => "dual-control",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == text)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One act, word for word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedAct {
    act: Act,
    details: String,
}

impl GuardedAct {
    /// What is done, and to what exactly; line feeds become spaces.
    pub fn new(act: Act, details: &str) -> Self {
        let words: Vec<_> = details.split_whitespace().collect();
        Self { act, details: words.join(" ") }
    }

    /// Of which kind it is.
    pub const fn act(&self) -> Act {
        self.act
    }

    /// To what exactly.
    pub fn details(&self) -> &str {
        &self.details
    }

    /// What an approval is bound to.
    pub fn digest(&self) -> ChainHash {
        ChainHash::of(format!("issuer approval\n{}\n{}\n", self.act, self.details).as_bytes())
    }
}

/// An operator as one of two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Which operator.
    pub operator: OperatorId,
    /// Which person.
    pub person: CardholderId,
    /// Which certificate, and so which card; hex.
    pub certificate: String,
    /// Which key, SHA-256 in hex.
    pub key: String,
}

impl Party {
    /// This operator.
    pub fn of(operator: &Operator) -> Self {
        Self {
            operator: operator.id,
            person: operator.person,
            certificate: operator.serial.to_string(),
            key: operator.key.to_string(),
        }
    }

    fn is_another_than(&self, other: &Self) -> bool {
        self.operator != other.operator
            && self.person != other.person
            && self.certificate != other.certificate
            && self.key != other.key
    }
}

/// Where an approval stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ApprovalState {
    /// Nobody asked.
    #[default]
    Unknown,
    /// Asked for.
    Asked {
        /// By whom.
        by: Party,
        /// Until when it can be granted and used.
        expires_at: Timestamp,
    },
    /// Another operator agreed.
    Granted {
        /// Who asked.
        asked_by: Party,
        /// Who agreed.
        by: Party,
        /// Until when it can be used.
        expires_at: Timestamp,
    },
    /// It was done.
    Used {
        /// When.
        since: Timestamp,
    },
    /// It is not to be done.
    Refused {
        /// When.
        since: Timestamp,
        /// Why.
        why: String,
    },
}

impl ApprovalState {
    /// The state's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Asked { .. } => "asked",
            Self::Granted { .. } => "granted",
            Self::Used { .. } => "used",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether something can come of it yet, if it has not expired.
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Asked { .. } | Self::Granted { .. })
    }

    /// Until when something can come of it.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Asked { expires_at, .. } | Self::Granted { expires_at, .. } => Some(*expires_at),
            _ => None,
        }
    }
}

/// What is to be done with an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalCommand {
    /// Ask for it.
    Ask {
        /// For what.
        act: GuardedAct,
        /// Why.
        why: String,
        /// Who.
        by: Party,
    },
    /// Agree.
    Grant {
        /// Who.
        by: Party,
    },
    /// Do not agree.
    Refuse {
        /// Who.
        by: Party,
        /// Why.
        why: String,
    },
    /// Do it.
    Use {
        /// Who: whoever asked.
        by: Party,
    },
}

/// What happened to an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ApprovalEvent {
    /// Somebody asked.
    ApprovalAsked {
        /// When.
        at: Timestamp,
        /// For what.
        act: Act,
        /// To what exactly.
        details: String,
        /// The digest of both, hex.
        digest: String,
        /// Why.
        why: String,
        /// Who.
        by: Party,
        /// Until when.
        expires_at: Timestamp,
    },
    /// Somebody agreed.
    ApprovalGranted {
        /// When.
        at: Timestamp,
        /// Who.
        by: Party,
    },
    /// Somebody did not agree.
    ApprovalRefused {
        /// When.
        at: Timestamp,
        /// Who.
        by: Party,
        /// Why.
        why: String,
    },
    /// It was done.
    ApprovalUsed {
        /// When.
        at: Timestamp,
    },
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalRefusal {
    /// No such approval.
    #[error("there is no such approval")]
    Unknown,
    /// One person cannot be two.
    #[error("whoever asked for it cannot answer it: another operator with another card must")]
    SamePerson,
    /// Asked by somebody else.
    #[error("it was granted to the operator who asked for it, and to nobody else")]
    NotYours,
    /// Too late.
    #[error("it expired at {at}; ask again")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// The step does not follow the state.
    #[error("the approval is {0}; nothing was changed")]
    NotNow(&'static str),
}

/// For how long an approval can be granted and used after it was asked for.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// An approval as its events tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Approval {
    state: ApprovalState,
}

impl Approval {
    /// Where it stands.
    pub const fn state(&self) -> &ApprovalState {
        &self.state
    }

    /// The approval after `events`, the oldest first.
    pub fn replay(events: impl IntoIterator<Item = ApprovalEvent>) -> Self {
        events.into_iter().fold(Self::default(), Self::apply)
    }

    /// Judges `command` at the time `now`.
    ///
    /// # Errors
    /// The command does not fit the state, the time or the person.
    pub fn decide(&self, command: ApprovalCommand, now: Timestamp) -> Result<ApprovalEvent, ApprovalRefusal> {
        if let Some(at) = self.state.expires_at().filter(|at| now > *at) {
            return Err(ApprovalRefusal::Expired { at });
        }
        match (&self.state, command) {
            (ApprovalState::Unknown, ApprovalCommand::Ask { act, why, by }) => {
                Ok(ApprovalEvent::ApprovalAsked {
                    at: now,
                    act: act.act(),
                    details: act.details().to_owned(),
                    digest: act.digest().to_string(),
                    why,
                    by,
                    expires_at: now.saturating_add(LIFETIME).unwrap_or(now),
                })
            }
            (ApprovalState::Unknown, _) => Err(ApprovalRefusal::Unknown),
            (ApprovalState::Asked { by: asker, .. }, ApprovalCommand::Grant { by }) => {
                if !by.is_another_than(asker) {
                    return Err(ApprovalRefusal::SamePerson);
                }
                Ok(ApprovalEvent::ApprovalGranted { at: now, by })
            }
            (
                ApprovalState::Asked { by: asker, .. } | ApprovalState::Granted { asked_by: asker, .. },
                ApprovalCommand::Refuse { by, why },
            ) => {
                if !by.is_another_than(asker) {
                    return Err(ApprovalRefusal::SamePerson);
                }
                Ok(ApprovalEvent::ApprovalRefused { at: now, by, why })
            }
            (ApprovalState::Granted { asked_by, .. }, ApprovalCommand::Use { by }) => {
                if by != *asked_by {
                    return Err(ApprovalRefusal::NotYours);
                }
                Ok(ApprovalEvent::ApprovalUsed { at: now })
            }
            (state, _) => Err(ApprovalRefusal::NotNow(state.name())),
        }
    }

    /// The approval after `event`.
    #[must_use]
    pub fn apply(self, event: ApprovalEvent) -> Self {
        let state = match (self.state, event) {
            (_, ApprovalEvent::ApprovalAsked { by, expires_at, .. }) => {
                ApprovalState::Asked { by, expires_at }
            }
            (
                ApprovalState::Asked { by: asked_by, expires_at },
                ApprovalEvent::ApprovalGranted { by, .. },
            ) => ApprovalState::Granted { asked_by, by, expires_at },
            (_, ApprovalEvent::ApprovalRefused { at, why, .. }) => ApprovalState::Refused { since: at, why },
            (_, ApprovalEvent::ApprovalUsed { at }) => ApprovalState::Used { since: at },
            // What `decide` never answers.
            (state, ApprovalEvent::ApprovalGranted { .. }) => state,
        };
        Self { state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn party(number: i64) -> Party {
        Party {
            operator: OperatorId(number),
            person: CardholderId(number),
            certificate: format!("0{number}"),
            key: format!("{number}").repeat(64),
        }
    }

    fn asked() -> Approval {
        let act = GuardedAct::new(Act::RevokeAuthority, "people\nca-compromise");
        let command = ApprovalCommand::Ask { act, why: "stolen".to_owned(), by: party(1) };
        after(Approval::default(), command, 10).unwrap()
    }

    fn after(approval: Approval, command: ApprovalCommand, second: i64) -> Result<Approval, ApprovalRefusal> {
        let event = approval.decide(command, at(second))?;
        Ok(approval.apply(event))
    }

    #[test]
    fn two_people_with_two_cards_do_it_once() {
        let granted = after(asked(), ApprovalCommand::Grant { by: party(2) }, 11).unwrap();
        let other = ApprovalCommand::Use { by: party(3) };
        assert_eq!(after(granted.clone(), other, 12), Err(ApprovalRefusal::NotYours));
        let used = after(granted, ApprovalCommand::Use { by: party(1) }, 12).unwrap();
        for command in [
            ApprovalCommand::Use { by: party(1) },
            ApprovalCommand::Grant { by: party(2) },
            ApprovalCommand::Refuse { by: party(2), why: String::new() },
        ] {
            assert_eq!(after(used.clone(), command, 13), Err(ApprovalRefusal::NotNow("used")));
        }
    }

    #[test]
    fn one_person_is_never_two() {
        let mut same = Vec::new();
        for field in 0..4 {
            let (mut other, own) = (party(2), party(1));
            match field {
                0 => other.operator = own.operator,
                1 => other.person = own.person,
                2 => other.certificate = own.certificate,
                _ => other.key = own.key,
            }
            same.push(other);
        }
        for by in same {
            let grant = ApprovalCommand::Grant { by: by.clone() };
            assert_eq!(after(asked(), grant, 11), Err(ApprovalRefusal::SamePerson));
            let refuse = ApprovalCommand::Refuse { by, why: String::new() };
            assert_eq!(after(asked(), refuse, 11), Err(ApprovalRefusal::SamePerson));
        }
    }

    #[test]
    fn what_nobody_granted_or_what_expired_is_not_done() {
        let early = ApprovalCommand::Use { by: party(1) };
        assert_eq!(after(asked(), early.clone(), 11), Err(ApprovalRefusal::NotNow("asked")));
        assert_eq!(after(Approval::default(), early.clone(), 11), Err(ApprovalRefusal::Unknown));
        let end = 10 + LIFETIME.as_secs();
        let granted = after(asked(), ApprovalCommand::Grant { by: party(2) }, end).unwrap();
        assert!(after(granted.clone(), early.clone(), end).is_ok());
        assert_eq!(
            after(granted.clone(), early.clone(), end + 1),
            Err(ApprovalRefusal::Expired { at: at(end) })
        );
        let refused =
            after(granted, ApprovalCommand::Refuse { by: party(2), why: "no".to_owned() }, end).unwrap();
        assert_eq!(after(refused, early, end), Err(ApprovalRefusal::NotNow("refused")));
    }

    /// Computed with `printf 'issuer approval\nrevoke-authority\npeople ca-compromise\n' | sha256sum`.
    #[test]
    fn an_approval_is_for_one_act_word_for_word() {
        let act = GuardedAct::new(Act::RevokeAuthority, "people\nca-compromise");
        assert_eq!(
            act.digest().to_string(),
            "395c9f2ef2969b3935c915416cef5124b5fc41fd7d0e712bd33bd256317319d4"
        );
        assert_ne!(GuardedAct::new(Act::RevokeAuthority, "root ca-compromise").digest(), act.digest());
        assert_ne!(GuardedAct::new(Act::Export, "people ca-compromise").digest(), act.digest());
    }
}
