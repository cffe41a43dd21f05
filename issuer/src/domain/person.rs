//! A person's time in the organisation: joining, changing, leaving, coming back.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::cardholder::NewCardholder;

/// What a list of staff, or the desk, says of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonCommand {
    /// Somebody new.
    Add(NewCardholder),
    /// Another name, address, identifier or last day.
    Change {
        /// What was known when the change was proposed.
        from: NewCardholder,
        /// What is to be known.
        to: NewCardholder,
    },
    /// No longer there.
    Leave,
    /// There again.
    Rejoin,
}

/// What happened to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum PersonEvent {
    /// Came into the registry.
    PersonAdded(Details),
    /// Is described otherwise.
    PersonChanged(Details),
    /// Left.
    PersonLeft {
        /// When that was recorded.
        at: Timestamp,
    },
    /// Came back.
    PersonRejoined {
        /// When that was recorded.
        at: Timestamp,
    },
}

/// A person's description, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// As in certificates.
    pub name: String,
    /// The mail address.
    pub mail: String,
    /// The organisation's own number.
    pub staff_id: Option<String>,
    /// The last day of employment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employed_until: Option<Date>,
}

impl From<&NewCardholder> for Details {
    fn from(person: &NewCardholder) -> Self {
        Self {
            name: person.name.as_str().to_owned(),
            mail: person.mail.as_str().to_owned(),
            staff_id: person.staff_id.as_ref().map(|id| id.as_str().to_owned()),
            employed_until: person.employed_until,
        }
    }
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PersonRefusal {
    /// Nobody is there.
    #[error("there is no such person")]
    Unknown,
    /// Somebody is there already.
    #[error("the person is known already")]
    Known,
    /// The description is not the one that the change was proposed for.
    #[error("the person was changed meanwhile; look at the difference again")]
    ChangedMeanwhile,
    /// Left before.
    #[error("the person left at {0}")]
    HasLeft(Timestamp),
    /// Never left.
    #[error("the person has not left")]
    IsThere,
}

/// A person as the events tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    details: Option<Details>,
    left: Option<Timestamp>,
}

impl Person {
    /// As the registry has somebody.
    pub fn known(details: &NewCardholder, left: Option<Timestamp>) -> Self {
        Self { details: Some(details.into()), left }
    }

    /// The description.
    pub const fn details(&self) -> Option<&Details> {
        self.details.as_ref()
    }

    /// Since when the person is no longer there.
    pub const fn left(&self) -> Option<Timestamp> {
        self.left
    }

    /// The person after `events`, the oldest first.
    pub fn replay(events: impl IntoIterator<Item = PersonEvent>) -> Self {
        events.into_iter().fold(Self::default(), Self::apply)
    }

    /// Judges `command` at the time `now`.
    ///
    /// # Errors
    /// The command does not fit what is known.
    pub fn decide(&self, command: &PersonCommand, now: Timestamp) -> Result<PersonEvent, PersonRefusal> {
        match (command, &self.details, self.left) {
            (PersonCommand::Add(person), None, _) => Ok(PersonEvent::PersonAdded(person.into())),
            (PersonCommand::Add(_), Some(_), _) => Err(PersonRefusal::Known),
            (_, None, _) => Err(PersonRefusal::Unknown),
            (PersonCommand::Change { from, to }, Some(details), _) => {
                if Details::from(from) != *details {
                    return Err(PersonRefusal::ChangedMeanwhile);
                }
                Ok(PersonEvent::PersonChanged(to.into()))
            }
            (PersonCommand::Leave, _, None) => Ok(PersonEvent::PersonLeft { at: now }),
            (PersonCommand::Leave, _, Some(since)) => Err(PersonRefusal::HasLeft(since)),
            (PersonCommand::Rejoin, _, Some(_)) => Ok(PersonEvent::PersonRejoined { at: now }),
            (PersonCommand::Rejoin, _, None) => Err(PersonRefusal::IsThere),
        }
    }

    /// The person after `event`.
    #[must_use]
    pub fn apply(self, event: PersonEvent) -> Self {
        match event {
            PersonEvent::PersonAdded(details) => Self { details: Some(details), left: None },
            PersonEvent::PersonChanged(details) => Self { details: Some(details), ..self },
            PersonEvent::PersonLeft { at } => Self { left: Some(at), ..self },
            PersonEvent::PersonRejoined { .. } => Self { left: None, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MailAddress, Name};

    fn person(name: &str) -> NewCardholder {
        NewCardholder {
            name: Name::new(name).unwrap(),
            mail: MailAddress::new("alice@example.org").unwrap(),
            staff_id: None,
            employed_until: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_change_is_for_what_was_known_when_it_was_proposed() {
        let alice = Person::known(&person("Alice Ng"), None);
        let change = |from, to| PersonCommand::Change { from: person(from), to: person(to) };
        let event = alice.decide(&change("Alice Ng", "Alice Li"), at(1)).unwrap();
        let alice = alice.apply(event);
        assert_eq!(
            alice.decide(&change("Alice Ng", "Alice Wu"), at(2)),
            Err(PersonRefusal::ChangedMeanwhile)
        );
        assert_eq!(alice.details().unwrap().name, "Alice Li");
    }

    #[test]
    fn nobody_leaves_twice_or_comes_back_without_having_left() {
        let alice = Person::known(&person("Alice Ng"), None);
        assert_eq!(alice.decide(&PersonCommand::Rejoin, at(1)), Err(PersonRefusal::IsThere));
        let event = alice.decide(&PersonCommand::Leave, at(1)).unwrap();
        let alice = alice.apply(event);
        assert_eq!(alice.decide(&PersonCommand::Leave, at(2)), Err(PersonRefusal::HasLeft(at(1))));
        let event = alice.decide(&PersonCommand::Rejoin, at(2)).unwrap();
        assert_eq!(alice.apply(event).left(), None);
    }

    /// What earlier versions wrote reads back.
    #[test]
    fn an_event_of_before_reads_back() {
        let text = r#"{"event":"person-added","name":"Alice Ng","mail":"alice@example.org","staff_id":null}"#;
        let event: PersonEvent = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
}
