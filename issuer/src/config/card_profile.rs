//! The kinds of cards that `config.toml` names.
//!
//! ```toml
//! [profiles.mail]
//! days = 365              # certificates end after so many days, 1 to 824; otherwise after 824
//! algorithm = "p256"      # of every key that says nothing else: p256, rsa2048
//! keys = "card"           # where keys come from: card, inject
//!
//! [profiles.mail.9D]      # 9A, 9C, 9D, 9E: what is different of one key
//! algorithm = "rsa2048"
//! keys = "inject"
//! ```

use std::collections::BTreeMap;

use middleware::KeyAlgorithm;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::domain::{CardKey, CardProfile, KeyChoice, KeyChoices, KeyOrigin};

/// Profiles as they are written.
pub(super) type ProfilesFile = BTreeMap<String, ProfileFile>;

/// A profile as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    algorithm: Option<Algorithm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<Origin>,
    #[serde(rename = "9A", default, skip_serializing_if = "Option::is_none")]
    authentication: Option<KeyFile>,
    #[serde(rename = "9C", default, skip_serializing_if = "Option::is_none")]
    digital_signature: Option<KeyFile>,
    #[serde(rename = "9D", default, skip_serializing_if = "Option::is_none")]
    key_management: Option<KeyFile>,
    #[serde(rename = "9E", default, skip_serializing_if = "Option::is_none")]
    card_authentication: Option<KeyFile>,
}

/// What is different of one key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    algorithm: Option<Algorithm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<Origin>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    P256,
    Rsa2048,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Origin {
    Card,
    Inject,
}

/// The longest that certificates on cards are valid (S/MIME Baseline Requirements section 6.3.2), days.
const MOST_DAYS: u32 = 824;
/// A longer name fits no table.
const LONGEST_NAME: usize = 32;

/// Checks what was written.
///
/// # Errors
/// [`ConfigError::Malformed`] naming the profile.
pub(super) fn checked(file: ProfilesFile) -> Result<BTreeMap<String, CardProfile>, ConfigError> {
    file.into_iter()
        .map(|(name, file)| {
            let malformed =
                |reason: String| ConfigError::Malformed { what: format!("profile {name:?}"), reason };
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(is_plain) {
                let shape = "a profile's name has 1 to 32 characters of a-z, 0-9 and '-'";
                return Err(malformed(shape.to_owned()));
            }
            if let Some(days) = file.days.filter(|days| !(1..=MOST_DAYS).contains(days)) {
                return Err(malformed(format!("days = {days} is not from 1 to {MOST_DAYS}")));
            }
            let keys = KeyChoices::new(|key| file.choice(key));
            Ok((name.clone(), CardProfile { name: Some(name), keys, days: file.days }))
        })
        .collect()
}

/// Profiles as they are written in one form: what is the same of all keys first, then what is different.
pub(super) fn written(profiles: &BTreeMap<String, CardProfile>) -> ProfilesFile {
    profiles.iter().map(|(name, profile)| (name.clone(), ProfileFile::of(profile))).collect()
}

impl ProfileFile {
    fn choice(&self, key: CardKey) -> KeyChoice {
        let of_key = match key {
            CardKey::Authentication => &self.authentication,
            CardKey::DigitalSignature => &self.digital_signature,
            CardKey::KeyManagement => &self.key_management,
            CardKey::CardAuthentication => &self.card_authentication,
        };
        let of_key = of_key.as_ref();
        let algorithm = of_key.and_then(|key| key.algorithm).or(self.algorithm);
        let origin = of_key.and_then(|key| key.keys).or(self.keys);
        KeyChoice {
            algorithm: match algorithm.unwrap_or(Algorithm::P256) {
                Algorithm::P256 => KeyAlgorithm::P256,
                Algorithm::Rsa2048 => KeyAlgorithm::Rsa2048,
            },
            origin: match origin.unwrap_or(Origin::Card) {
                Origin::Card => KeyOrigin::GeneratedOnCard,
                Origin::Inject => KeyOrigin::Injected,
            },
        }
    }

    fn of(profile: &CardProfile) -> Self {
        let (algorithm, keys) = KeyFile::words(profile.keys.of(CardKey::Authentication));
        let different = |key| {
            let choice = profile.keys.of(key);
            let common = profile.keys.of(CardKey::Authentication);
            let (algorithm, keys) = KeyFile::words(choice);
            let of_key = KeyFile {
                algorithm: (choice.algorithm != common.algorithm).then_some(algorithm),
                keys: (choice.origin != common.origin).then_some(keys),
            };
            (of_key.algorithm.is_some() || of_key.keys.is_some()).then_some(of_key)
        };
        Self {
            days: profile.days,
            algorithm: Some(algorithm),
            keys: Some(keys),
            authentication: None,
            digital_signature: different(CardKey::DigitalSignature),
            key_management: different(CardKey::KeyManagement),
            card_authentication: different(CardKey::CardAuthentication),
        }
    }
}

impl KeyFile {
    const fn words(choice: KeyChoice) -> (Algorithm, Origin) {
        // What can be written is what can be read.
        let algorithm = if matches!(choice.algorithm, KeyAlgorithm::Rsa2048) {
            Algorithm::Rsa2048
        } else {
            Algorithm::P256
        };
        let origin = match choice.origin {
            KeyOrigin::GeneratedOnCard => Origin::Card,
            KeyOrigin::Injected => Origin::Inject,
        };
        (algorithm, origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, CardProfile>, String> {
        let file: ProfilesFile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        checked(file).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_as_the_profile_says_unless_it_says_more_itself() {
        let text = "[mail]\ndays = 365\nalgorithm = \"rsa2048\"\n9A = { algorithm = \"p256\" }\n9D.keys = \"inject\"\n[door]\n";
        let profiles = read(text).unwrap();
        let mail = &profiles["mail"];
        assert_eq!((mail.name.as_deref(), mail.days), (Some("mail"), Some(365)));
        let said = mail.keys.said(|choice| choice.algorithm);
        assert_eq!(KeyChoices::said_of(&said, CardKey::Authentication), KeyAlgorithm::P256.to_string());
        let injected = |key| mail.keys.of(key).origin == KeyOrigin::Injected;
        assert_eq!(CardKey::ALL.map(injected), [false, false, true, false]);
        let plain = KeyChoice { algorithm: KeyAlgorithm::P256, origin: KeyOrigin::GeneratedOnCard };
        assert_eq!(profiles["door"].keys.common(), Some(plain));
        let again = toml::to_string(&written(&profiles)).unwrap();
        assert_eq!(read(&again).unwrap(), profiles, "{again}");
    }

    #[test]
    fn what_is_wrong_with_a_profile_is_named() {
        for (text, words) in [
            ("[Mail]\n", "\"Mail\""),
            ("[mail]\ndays = 825\n", "825 is not from 1 to 824"),
            ("[mail]\ndays = 0\n", "profile \"mail\""),
            ("[mail]\ncolour = 1\n", "colour"),
            ("[mail]\nalgorithm = \"dsa\"\n", "dsa"),
            ("[mail.9D]\nkeys = \"cloud\"\n", "cloud"),
            ("[mail.9F]\nkeys = \"card\"\n", "9F"),
            ("[\"\"]\n", "1 to 32"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(words), "{text:?}: {refused}");
        }
    }
}
