//! Which profile a card is made by: one that `config.toml` names, or keys as they are spelled out.

use middleware::KeyAlgorithm;

use super::failure::Failure;
use crate::config::Config;
use crate::domain::{CardProfile, KeyChoice, KeyChoices, KeyOrigin};
use crate::personalization::plan::Ordered;

/// What somebody said of what a card shall be like; nothing of it need be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A profile's name.
    pub profile: Option<String>,
    /// The algorithm of all keys.
    pub algorithm: Option<KeyAlgorithm>,
    /// Where all keys come from.
    pub origin: Option<KeyOrigin>,
}

/// What was recorded of a card before anybody said anything.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before<'a> {
    /// An interrupted attempt at it was ordered so.
    Ordered(&'a Ordered),
    /// It was made by the profile of this name, or the card in whose place it comes; none where keys were spelled out.
    MadeBy(Option<&'a str>),
}

impl Wanted {
    /// The profile: the one that was named; else keys as they are spelled out, and what is not said of them as it was ordered;
    /// else what was recorded before; else P-256 keys that the card makes.
    ///
    /// # Errors
    /// The configuration has no profile of that name.
    pub(super) fn profile(&self, config: &Config, before: Before<'_>) -> Result<CardProfile, Failure> {
        let (recorded, keys) = match before {
            Before::Ordered(ordered) => (ordered.profile.as_deref(), Some(ordered.keys)),
            Before::MadeBy(name) => (name, None),
        };
        match (&self.profile, recorded.filter(|_| self.says_nothing())) {
            (Some(name), _) => named(config, name),
            (None, Some(name)) => named(config, name).map_err(|failure| gone(failure, name, before)),
            (None, None) => Ok(self.completed(keys).into()),
        }
    }

    /// Whether nothing is said.
    pub(super) const fn says_nothing(&self) -> bool {
        self.profile.is_none() && self.algorithm.is_none() && self.origin.is_none()
    }

    /// The keys, of which what is not said is as before.
    fn completed(&self, before: Option<KeyChoices>) -> KeyChoices {
        let usual = KeyChoice { algorithm: KeyAlgorithm::P256, origin: KeyOrigin::GeneratedOnCard };
        let before = before.unwrap_or_else(|| usual.into());
        KeyChoices::new(|key| KeyChoice {
            algorithm: self.algorithm.unwrap_or(before.of(key).algorithm),
            origin: self.origin.unwrap_or(before.of(key).origin),
        })
    }
}

/// The profile of this name, as the configuration that counts has it.
fn named(config: &Config, name: &str) -> Result<CardProfile, Failure> {
    config.profiles.get(name).cloned().ok_or_else(|| {
        let known: Vec<_> = config.profiles.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "no profile at all".to_owned() } else { known.join(", ") };
        Failure::new("unknown-profile", format!("config.toml has no profile {name:?}; it has: {known}"))
    })
}

/// Nobody named the profile just now: it is said where it comes from, and what can be done.
fn gone(failure: Failure, name: &str, before: Before<'_>) -> Failure {
    let whence = match before {
        Before::Ordered(_) => "the card was begun by that profile",
        Before::MadeBy(_) => "the card of before was made by that profile",
    };
    failure.and(&format!(
        "{whence}: put [profiles.{name}] back into config.toml, or say what counts instead with --profile NAME or --algorithm; nothing was changed"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::profile::PivExtensions;
    use crate::domain::CardKey;

    fn config() -> Config {
        let domains = ["example.org".to_owned()];
        let mut config =
            Config::new("Example", None, &domains, "http://a", None, PivExtensions::Omitted).unwrap();
        for (name, algorithm) in [("mail", KeyAlgorithm::Rsa2048), ("door", KeyAlgorithm::P256)] {
            let keys = KeyChoice { algorithm, origin: KeyOrigin::Injected }.into();
            let profile = CardProfile { name: Some(name.to_owned()), keys, days: None };
            config.profiles.insert(name.to_owned(), profile);
        }
        config
    }

    fn rsa() -> Wanted {
        Wanted { algorithm: Some(KeyAlgorithm::Rsa2048), ..Wanted::default() }
    }

    #[test]
    fn what_is_said_counts_before_what_was() {
        let (config, nothing) = (config(), Wanted::default());
        assert_eq!(nothing.profile(&config, Before::MadeBy(None)).unwrap().name, None);
        assert_eq!(nothing.profile(&config, Before::MadeBy(Some("mail"))).unwrap(), config.profiles["mail"]);
        let door = Wanted { profile: Some("door".to_owned()), ..Wanted::default() };
        assert_eq!(door.profile(&config, Before::MadeBy(Some("mail"))).unwrap(), config.profiles["door"]);
        let spelled_out = rsa().profile(&config, Before::MadeBy(Some("mail"))).unwrap();
        let expected = KeyChoice { algorithm: KeyAlgorithm::Rsa2048, origin: KeyOrigin::GeneratedOnCard };
        assert_eq!((spelled_out.name, spelled_out.keys.common()), (None, Some(expected)));
    }

    #[test]
    fn what_was_ordered_stays_of_which_nothing_is_said() {
        let config = config();
        let keys = KeyChoices::new(|key| KeyChoice {
            algorithm: KeyAlgorithm::P256,
            origin: if key == CardKey::KeyManagement {
                KeyOrigin::Injected
            } else {
                KeyOrigin::GeneratedOnCard
            },
        });
        let ordered = |name: Option<&str>| Ordered { profile: name.map(str::to_owned), keys, pin: None };
        let goes_on = Wanted::default().profile(&config, Before::Ordered(&ordered(None))).unwrap();
        assert_eq!(goes_on, keys.into());
        let named = ordered(Some("mail"));
        let by_name = Wanted::default().profile(&config, Before::Ordered(&named)).unwrap();
        assert_eq!(by_name, config.profiles["mail"]);
        let spelled_out = rsa().profile(&config, Before::Ordered(&named)).unwrap();
        assert_eq!(spelled_out.name, None);
        for key in CardKey::ALL {
            let made = spelled_out.keys.of(key);
            assert_eq!((made.algorithm, made.origin), (KeyAlgorithm::Rsa2048, keys.of(key).origin), "{key}");
        }
    }

    #[test]
    fn a_profile_that_is_gone_is_named_with_what_to_do() {
        let config = config();
        let unknown = Wanted { profile: Some("gone".to_owned()), ..Wanted::default() };
        let failure = unknown.profile(&config, Before::MadeBy(None)).unwrap_err();
        assert_eq!(failure.message, "config.toml has no profile \"gone\"; it has: door, mail");
        let failure = Wanted::default().profile(&config, Before::MadeBy(Some("gone"))).unwrap_err();
        let advice =
            "put [profiles.gone] back into config.toml, or say what counts instead with --profile NAME";
        assert!(failure.message.contains(advice), "{}", failure.message);
        assert!(rsa().profile(&config, Before::MadeBy(Some("gone"))).is_ok());
    }
}
