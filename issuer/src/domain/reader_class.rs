//! Classes of readers: people who may read documents of a kind, each up to a classification.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cardholder::{Cardholder, MalformedField};
use super::unicode::{composed, hidden_character};

/// The name of a class: 1 to 64 lower-case letters, digits, `-` and `.`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassName(String);

impl ClassName {
    /// Takes a name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, MalformedField> {
        let is_plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
        let is_name = text.bytes().all(|octet| is_plain(octet) || b"-.".contains(&octet))
            && text.bytes().next().is_some_and(is_plain)
            && text.len() <= 64;
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        Err(MalformedField(format!(
            "{text:?} is not the name of a class: 1 to 64 of a-z, 0-9, '-' and '.', beginning with a letter or digit"
        )))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a class is, in words: up to 200 characters that can all be seen, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassDescription(String);

impl ClassDescription {
    /// Takes a description.
    ///
    /// # Errors
    /// It is too long, or hides something.
    pub fn new(text: &str) -> Result<Self, MalformedField> {
        let text = composed(text.trim());
        if text.chars().count() > 200 || hidden_character(&text).is_some() {
            let reason = "a description has at most 200 characters, and all of them can be seen";
            return Err(MalformedField(reason.to_owned()));
        }
        Ok(Self(text))
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Up to which classification somebody may read: 0 unmarked, 1 unclassified, 2 restricted, 3 confidential, 4 secret, 5 top
/// secret (RFC 2634 section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clearance(u8);

impl Clearance {
    /// Takes 0 to 5.
    pub const fn new(level: u8) -> Option<Self> {
        if level <= 5 { Some(Self(level)) } else { None }
    }

    /// The number.
    pub const fn level(self) -> u8 {
        self.0
    }
}

/// What happens to a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum MemberEvent {
    /// Is in a class, or may read up to another classification.
    ClassJoined {
        /// Which class.
        class: String,
        /// Up to which classification.
        clearance: u8,
    },
    /// Is in it no longer.
    ClassLeft {
        /// Which class.
        class: String,
    },
}

/// A class and who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderClass {
    /// Its name.
    pub name: ClassName,
    /// What it is.
    pub description: ClassDescription,
    /// The security policy that says what a classification means, an object identifier.
    pub policy: String,
    /// Members, by mail address.
    pub members: Vec<(Cardholder, Clearance)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for name in ["board", "crane-crew", "2nd.floor", &"a".repeat(64)] {
            assert!(ClassName::new(name).is_ok(), "{name}");
        }
        for name in ["", "Board", "-a", ".a", "a b", "a/b", "ä", &"a".repeat(65)] {
            assert!(ClassName::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn descriptions_hide_nothing() {
        assert_eq!(ClassDescription::new(" 起重机 crew ").unwrap().as_str(), "起重机 crew");
        assert!(ClassDescription::new("a\u{202E}b").is_err());
        assert!(ClassDescription::new(&"a".repeat(201)).is_err());
    }

    #[test]
    fn clearances_run_from_0_to_5() {
        assert_eq!(Clearance::new(5).map(Clearance::level), Some(5));
        assert_eq!(Clearance::new(6), None);
    }
}
