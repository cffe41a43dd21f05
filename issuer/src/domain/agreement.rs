//! What holds for the registry as a whole, as the log tells it: what it was made for, which keys sign its checkpoints, what
//! the desk has agreed on, which classes of readers there are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::checkpoint::witness::LastSeen;

/// The acts that need two, in the settings.
pub const DUAL_CONTROL: &str = "dual-control";
/// The accepted clock, in the settings.
pub const CLOCK: &str = "clock";
/// The published checkpoint that a restored registry goes on behind, in the settings.
pub const ACCEPTED_CHECKPOINT: &str = "published-checkpoint";
/// The terms on which certificates are made ([`super::terms`]), in the settings.
pub const CONFIGURATION: &str = "configuration";

/// What happened to the registry as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RegistryEvent {
    /// It was made.
    RegistryCreated {
        /// Whether emulated cards are personalised: `allowed` or `refused`.
        emulated_cards: String,
    },
    /// It was restored from a backup.
    RegistryRestored {
        /// When that was taken.
        backup: Timestamp,
        /// How many events it held.
        events: u64,
        /// SHA-256 of the backup, hex.
        digest: String,
    },
    /// A key signs checkpoints from now on.
    AuditKeyAdded {
        /// SHA-256 of its SubjectPublicKeyInfo, hex.
        key: String,
    },
    /// Which acts need two operators was set.
    DualControlSet {
        /// Those.
        acts: Vec<String>,
    },
    /// The clock is right although what was recorded says otherwise.
    ClockAccepted {
        /// What spoke against it.
        newest: Timestamp,
        /// What it said.
        clock: Timestamp,
        /// Why.
        why: String,
    },
    /// The registry goes on behind a published checkpoint that it does not know.
    PublishedCheckpointAccepted {
        /// SHA-256 of that, hex.
        checkpoint: String,
    },
    /// Certificates are made on these terms from now on.
    ConfigurationRecorded {
        /// The terms, TOML.
        terms: String,
        /// The SHA-256 of the text, hex.
        digest: String,
        /// The same of those before, if there were any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
        /// Lines that begin with `+ ` or `- `.
        difference: Vec<String>,
    },
    /// A class of readers was made, or is described otherwise.
    ClassDescribed {
        /// Its name.
        class: String,
        /// What it is.
        description: String,
        /// Its security policy.
        policy: String,
    },
    /// A class of readers is no more.
    ClassRemoved {
        /// Its name.
        class: String,
    },
    /// Nothing is published at a place any more, and what was published there is forgotten.
    TargetForgotten {
        /// A directory or an LDAP URL.
        place: String,
    },
    /// A checkpoint of the log was put at a place where none was known before: from now on one is missed there.
    CheckpointPublished {
        /// A directory.
        place: String,
        /// Up to which event it goes.
        size: u64,
    },
    /// A witness file was begun anew in the place of one that is gone.
    WitnessBegun {
        /// The file.
        witness: String,
        /// The last that the one before had seen, as far as anybody remembered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<LastSeen>,
    },
    /// A number of the signed list of classes was taken.
    ClassListNumberTaken {
        /// The number.
        number: u64,
        /// Until when the list is good.
        expires_at: Timestamp,
    },
}

/// The registry as a whole, as its events tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// What it was made for, and when; the log of an earlier program does not say.
    pub created: Option<(String, Timestamp)>,
    /// Settings by name.
    pub settings: BTreeMap<&'static str, String>,
    /// Keys that sign checkpoints, and since when.
    pub audit_keys: BTreeMap<String, Timestamp>,
    /// Classes of readers: description and policy by name.
    pub classes: BTreeMap<String, (String, String)>,
    /// Numbers of lists of classes: when they were made, and until when they are good.
    pub class_lists: BTreeMap<u64, (Timestamp, Timestamp)>,
    /// Places with a published checkpoint, and up to which event the first one went.
    pub published: BTreeMap<String, u64>,
}

impl Agreement {
    /// The same after `event`, which was recorded as number `sequence` at `at`.
    #[must_use]
    pub fn apply(mut self, event: RegistryEvent, (sequence, at): (u64, Timestamp)) -> Self {
        match event {
            RegistryEvent::RegistryCreated { emulated_cards } => self.created = Some((emulated_cards, at)),
            RegistryEvent::RegistryRestored { .. } | RegistryEvent::WitnessBegun { .. } => {}
            RegistryEvent::TargetForgotten { place } => drop(self.published.remove(&place)),
            RegistryEvent::CheckpointPublished { place, size } => drop(self.published.insert(place, size)),
            RegistryEvent::AuditKeyAdded { key } => drop(self.audit_keys.insert(key, at)),
            RegistryEvent::DualControlSet { acts } => {
                self.settings.insert(DUAL_CONTROL, acts.join(" "));
            }
            RegistryEvent::ClockAccepted { newest, .. } => {
                let until = accepted_clock(sequence.saturating_sub(1), newest);
                self.settings.insert(CLOCK, until);
            }
            RegistryEvent::PublishedCheckpointAccepted { checkpoint } => {
                self.settings.insert(ACCEPTED_CHECKPOINT, checkpoint);
            }
            RegistryEvent::ConfigurationRecorded { terms, .. } => {
                self.settings.insert(CONFIGURATION, terms);
            }
            RegistryEvent::ClassDescribed { class, description, policy } => {
                self.classes.insert(class, (description, policy));
            }
            RegistryEvent::ClassRemoved { class } => drop(self.classes.remove(&class)),
            RegistryEvent::ClassListNumberTaken { number, expires_at } => {
                self.class_lists.insert(number, (at, expires_at));
            }
        }
        self
    }
}

/// The setting [`CLOCK`]: times of events up to `sequence`, and any up to `newest`, count no more.
pub fn accepted_clock(sequence: u64, newest: Timestamp) -> String {
    format!("{sequence} {newest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let describe = |text: &str| RegistryEvent::ClassDescribed {
            class: "board".to_owned(),
            description: text.to_owned(),
            policy: "1.2.3".to_owned(),
        };
        let events = [
            describe("first"),
            RegistryEvent::DualControlSet { acts: vec!["export".to_owned(), "restore".to_owned()] },
            describe("second"),
            RegistryEvent::ClockAccepted { newest: at(9), clock: at(5), why: "set".to_owned() },
        ];
        let agreement = (1..).zip(events).fold(Agreement::default(), |agreement, (sequence, event)| {
            agreement.apply(event, (sequence, at(1)))
        });
        assert_eq!(agreement.classes["board"].0, "second");
        assert_eq!(agreement.settings[DUAL_CONTROL], "export restore");
        assert_eq!(agreement.settings[CLOCK], "3 1970-01-01T00:00:09Z");
        assert_eq!(agreement.created, None);
        let removed = RegistryEvent::ClassRemoved { class: "board".to_owned() };
        assert!(agreement.apply(removed, (5, at(1))).classes.is_empty());
    }

    #[test]
    fn a_published_checkpoint_is_known_until_its_place_is_forgotten() {
        let place = || "/srv/pki".to_owned();
        let apply = |agreement: Agreement, event| agreement.apply(event, (1, Timestamp::UNIX_EPOCH));
        let published =
            apply(Agreement::default(), RegistryEvent::CheckpointPublished { place: place(), size: 12 });
        assert_eq!(published.published[&place()], 12);
        let forgotten = apply(published, RegistryEvent::TargetForgotten { place: place() });
        assert!(forgotten.published.is_empty());
    }
}
