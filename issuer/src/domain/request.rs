//! What somebody asks the desk to do, until it is done, refused or taken back.
//!
//! ```text
//! Open ──Approve──> Approved ──Fulfil──> Fulfilled
//!   │ └──────Fulfil────────────────────────^
//!   ├──Refuse──> Refused          Open, Approved ──Withdraw──> Withdrawn
//! ```

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::card::CardId;
use super::cardholder::CardholderId;

/// The registry's number for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub i64);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestKind {
    /// New certificates before the present ones expire, or because they name something that changed.
    Renewal,
    /// Another card in the place of a lost or damaged one.
    Replacement,
    /// The end of somebody's card: the person left.
    Revocation,
}

impl RequestKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Renewal, Self::Replacement, Self::Revocation];

    /// The word on the command line and in the registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Renewal => "renewal",
            Self::Replacement => "replacement",
            Self::Revocation => "revocation",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a request stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RequestState {
    /// Nobody asked.
    #[default]
    Unknown,
    /// Asked.
    Open {
        /// Since when.
        since: Timestamp,
    },
    /// Somebody agreed.
    Approved {
        /// Since when.
        since: Timestamp,
    },
    /// Done.
    Fulfilled {
        /// Since when.
        since: Timestamp,
        /// With which card, where it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        card: Option<CardId>,
    },
    /// Not to be done.
    Refused {
        /// Since when.
        since: Timestamp,
        /// Why.
        why: String,
    },
    /// No longer asked for.
    Withdrawn {
        /// Since when.
        since: Timestamp,
    },
}

impl RequestState {
    /// The state's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Open { .. } => "open",
            Self::Approved { .. } => "approved",
            Self::Fulfilled { .. } => "fulfilled",
            Self::Refused { .. } => "refused",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }

    /// Whether somebody still waits for it.
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Approved { .. })
    }

    /// Since when it is so.
    pub const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Unknown => None,
            Self::Open { since }
            | Self::Approved { since }
            | Self::Fulfilled { since, .. }
            | Self::Refused { since, .. }
            | Self::Withdrawn { since } => Some(*since),
        }
    }
}

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestCommand {
    /// Ask.
    Open {
        /// For what.
        kind: RequestKind,
        /// For whom.
        holder: CardholderId,
        /// About which card.
        card: Option<CardId>,
        /// Why, in words.
        why: String,
    },
    /// Agree.
    Approve,
    /// Refuse.
    Refuse {
        /// Why, in words.
        why: String,
    },
    /// Take back.
    Withdraw,
    /// Record that it was done.
    Fulfil {
        /// With which card.
        card: Option<CardId>,
    },
}

/// What happened to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RequestEvent {
    /// It was made.
    RequestOpened {
        /// When.
        at: Timestamp,
        /// For what.
        kind: RequestKind,
        /// For whom.
        holder: CardholderId,
        /// About which card.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        card: Option<CardId>,
        /// Why.
        why: String,
    },
    /// It was agreed to.
    RequestApproved {
        /// When.
        at: Timestamp,
    },
    /// It was refused.
    RequestRefused {
        /// When.
        at: Timestamp,
        /// Why.
        why: String,
    },
    /// It was taken back.
    RequestWithdrawn {
        /// When.
        at: Timestamp,
    },
    /// It was done.
    RequestFulfilled {
        /// When.
        at: Timestamp,
        /// With which card.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        card: Option<CardId>,
    },
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestRefusal {
    /// No such request.
    #[error("there is no such request")]
    Unknown,
    /// It is over, or was approved already.
    #[error("the request is {state} since {since}; nothing was changed")]
    NotNow {
        /// Where it stands.
        state: &'static str,
        /// Since when.
        since: Timestamp,
    },
}

/// A request as its events tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Request {
    state: RequestState,
}

impl Request {
    /// Where it stands.
    pub const fn state(&self) -> &RequestState {
        &self.state
    }

    /// The request after `events`, the oldest first.
    pub fn replay(events: impl IntoIterator<Item = RequestEvent>) -> Self {
        events.into_iter().fold(Self::default(), Self::apply)
    }

    /// Judges `command` at the time `now`.
    ///
    /// # Errors
    /// The command does not fit the state.
    pub fn decide(&self, command: RequestCommand, now: Timestamp) -> Result<RequestEvent, RequestRefusal> {
        let is_open = matches!(self.state, RequestState::Open { .. });
        match command {
            RequestCommand::Open { kind, holder, card, why } if self.state == RequestState::Unknown => {
                Ok(RequestEvent::RequestOpened { at: now, kind, holder, card, why })
            }
            RequestCommand::Approve if is_open => Ok(RequestEvent::RequestApproved { at: now }),
            RequestCommand::Refuse { why } if self.state.is_pending() => {
                Ok(RequestEvent::RequestRefused { at: now, why })
            }
            RequestCommand::Withdraw if self.state.is_pending() => {
                Ok(RequestEvent::RequestWithdrawn { at: now })
            }
            RequestCommand::Fulfil { card } if self.state.is_pending() => {
                Ok(RequestEvent::RequestFulfilled { at: now, card })
            }
            _ => Err(match self.state.since() {
                Some(since) => RequestRefusal::NotNow { state: self.state.name(), since },
                None => RequestRefusal::Unknown,
            }),
        }
    }

    /// The request after `event`.
    #[must_use]
    pub fn apply(self, event: RequestEvent) -> Self {
        let state = match event {
            RequestEvent::RequestOpened { at, .. } => RequestState::Open { since: at },
            RequestEvent::RequestApproved { at } => RequestState::Approved { since: at },
            RequestEvent::RequestRefused { at, why } => RequestState::Refused { since: at, why },
            RequestEvent::RequestWithdrawn { at } => RequestState::Withdrawn { since: at },
            RequestEvent::RequestFulfilled { at, card } => RequestState::Fulfilled { since: at, card },
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

    fn open() -> Request {
        let command = RequestCommand::Open {
            kind: RequestKind::Renewal,
            holder: CardholderId(1),
            card: None,
            why: "it ends".to_owned(),
        };
        let request = Request::default();
        let event = request.decide(command, at(1)).unwrap();
        request.apply(event)
    }

    #[test]
    fn a_request_is_answered_once() {
        let request = open();
        let event = request.decide(RequestCommand::Approve, at(2)).unwrap();
        let request = request.apply(event);
        assert!(request.state().is_pending());
        assert!(request.decide(RequestCommand::Approve, at(3)).is_err(), "approved twice");
        let event = request.decide(RequestCommand::Fulfil { card: Some(CardId(7)) }, at(4)).unwrap();
        let request = request.apply(event);
        for command in [
            RequestCommand::Approve,
            RequestCommand::Withdraw,
            RequestCommand::Refuse { why: String::new() },
            RequestCommand::Fulfil { card: None },
        ] {
            assert_eq!(
                request.decide(command, at(5)),
                Err(RequestRefusal::NotNow { state: "fulfilled", since: at(4) })
            );
        }
    }

    #[test]
    fn what_nobody_asked_is_not_answered() {
        assert_eq!(Request::default().decide(RequestCommand::Approve, at(1)), Err(RequestRefusal::Unknown));
    }
}
