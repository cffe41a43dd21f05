//! What a card shall be like: which keys it gets, where they come from, how long its certificates last.

use std::fmt;

use middleware::KeyAlgorithm;

use super::card::CardKey;

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The card makes it, and nobody else ever has it.
    GeneratedOnCard,
    /// The issuer makes it in memory, writes it straight into the card and forgets it.
    Injected,
}

impl KeyOrigin {
    /// Both.
    pub const ALL: [Self; 2] = [Self::GeneratedOnCard, Self::Injected];

    /// As a stored plan says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GeneratedOnCard => "generated on the card",
            Self::Injected => "injected",
        }
    }
}

/// What one key shall be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyChoice {
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Where it comes from.
    pub origin: KeyOrigin,
}

/// What each of a card's four keys shall be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyChoices {
    authentication: KeyChoice,
    digital_signature: KeyChoice,
    key_management: KeyChoice,
    card_authentication: KeyChoice,
}

impl KeyChoices {
    /// What `choice` says of each.
    pub fn new(choice: impl Fn(CardKey) -> KeyChoice) -> Self {
        Self {
            authentication: choice(CardKey::Authentication),
            digital_signature: choice(CardKey::DigitalSignature),
            key_management: choice(CardKey::KeyManagement),
            card_authentication: choice(CardKey::CardAuthentication),
        }
    }

    /// What was [`said`](Self::said) of algorithms and of origins, whose words are these; nothing where one is unknown.
    pub fn read(algorithms: &str, origins: &str, word: impl Fn(KeyOrigin) -> &'static str) -> Option<Self> {
        let choice = |key| {
            let (algorithm, origin) = (Self::said_of(algorithms, key), Self::said_of(origins, key));
            let known = [KeyAlgorithm::P256, KeyAlgorithm::Rsa2048];
            Some(KeyChoice {
                algorithm: known.into_iter().find(|known| known.to_string() == algorithm)?,
                origin: KeyOrigin::ALL.into_iter().find(|known| word(*known) == origin)?,
            })
        };
        Some(Self {
            authentication: choice(CardKey::Authentication)?,
            digital_signature: choice(CardKey::DigitalSignature)?,
            key_management: choice(CardKey::KeyManagement)?,
            card_authentication: choice(CardKey::CardAuthentication)?,
        })
    }

    /// What this key shall be like.
    pub const fn of(&self, key: CardKey) -> KeyChoice {
        match key {
            CardKey::Authentication => self.authentication,
            CardKey::DigitalSignature => self.digital_signature,
            CardKey::KeyManagement => self.key_management,
            CardKey::CardAuthentication => self.card_authentication,
        }
    }

    /// What all of them are like, if they are alike.
    pub fn common(&self) -> Option<KeyChoice> {
        let first = self.authentication;
        CardKey::ALL.into_iter().all(|key| self.of(key) == first).then_some(first)
    }

    /// Something of each key, said once where it is the same of all: `P-256`, or `9A P-256, 9C RSA-2048, ...`.
    pub fn said<T: fmt::Display>(&self, what: impl Fn(KeyChoice) -> T) -> String {
        let each = CardKey::ALL.map(|key| (key, what(self.of(key)).to_string()));
        match each.first() {
            Some((_, first)) if each.iter().all(|(_, said)| said == first) => first.clone(),
            _ => each.map(|(key, said)| format!("{key} {said}")).join(", "),
        }
    }

    /// What was [`said`](Self::said) of a key.
    pub fn said_of(text: &str, key: CardKey) -> &str {
        let of_key = text.split(", ").find_map(|part| part.strip_prefix(key.as_str())?.strip_prefix(' '));
        of_key.unwrap_or(text)
    }
}

impl From<KeyChoice> for KeyChoices {
    fn from(choice: KeyChoice) -> Self {
        Self::new(|_| choice)
    }
}

/// What a card shall be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardProfile {
    /// Its name; none where it was spelled out.
    pub name: Option<String>,
    /// The keys.
    pub keys: KeyChoices,
    /// For how many days its certificates are valid at most, where that is less than they could be.
    pub days: Option<u32>,
}

impl From<KeyChoices> for CardProfile {
    fn from(keys: KeyChoices) -> Self {
        Self { name: None, keys, days: None }
    }
}

impl From<KeyChoice> for CardProfile {
    fn from(choice: KeyChoice) -> Self {
        KeyChoices::from(choice).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_said_of_each_key() {
        let choice = |algorithm| KeyChoice { algorithm, origin: KeyOrigin::GeneratedOnCard };
        let alike = KeyChoices::from(choice(KeyAlgorithm::P256));
        assert_eq!(alike.common(), Some(choice(KeyAlgorithm::P256)));
        let one = alike.said(|choice| choice.algorithm);
        assert_eq!(KeyChoices::said_of(&one, CardKey::KeyManagement), one);
        let differing = KeyChoices::new(|key| {
            let is_for_mail = key == CardKey::KeyManagement;
            choice(if is_for_mail { KeyAlgorithm::Rsa2048 } else { KeyAlgorithm::P256 })
        });
        assert_eq!(differing.common(), None);
        assert_eq!(differing.said(|choice| choice.origin.as_str()), "generated on the card");
        let each = differing.said(|choice| choice.algorithm);
        for key in CardKey::ALL {
            let algorithm = differing.of(key).algorithm.to_string();
            assert_eq!(KeyChoices::said_of(&each, key), algorithm, "{key} in {each}");
        }
        let origins = differing.said(|choice| choice.origin.as_str());
        assert_eq!(KeyChoices::read(&each, &origins, KeyOrigin::as_str), Some(differing));
        assert_eq!(KeyChoices::read("DSA", &origins, KeyOrigin::as_str), None);
        assert_eq!(KeyChoices::read(&each, "bought", KeyOrigin::as_str), None);
    }
}
