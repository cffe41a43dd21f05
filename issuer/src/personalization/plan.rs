//! The plan: which steps a card needs. Pure; [`super::run`] carries it out.

use std::fmt;

use middleware::KeyAlgorithm;

use crate::domain::CardKey;

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The card makes it, and nobody else ever has it.
    GeneratedOnCard,
    /// The issuer makes it in memory, writes it straight into the card and forgets it.
    Injected,
}

/// What the card can do beyond SP 800-73-5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandSet {
    /// SP 800-73-5 alone: no import, no other management key.
    Standard,
    /// The vendor commands too.
    YubiKey,
}

/// What somebody's card shall be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyChoice {
    /// Algorithm of all four keys.
    pub algorithm: KeyAlgorithm,
    /// Where the keys come from.
    pub origin: KeyOrigin,
}

/// One act on the card. Each is journalled as intended before and as confirmed after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The desk's management key in the place of the factory's.
    ManagementKey,
    /// The desk's PUK in the place of the manufacturer's.
    Puk,
    /// A random PIN, set with the PUK: whatever PIN there was does not matter.
    TransportPin,
    /// Card capability container and CHUID with the card's own GUID.
    Identity,
    /// A new key, which proves itself.
    MakeKey(CardKey),
    /// Its certificate: prepared, linted, stored, signed, written.
    WriteCertificate(CardKey),
    /// Certificate and key read back from the card and exercised.
    ReadBack(CardKey),
}

/// Why no plan can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// SP 800-73-5 has no command to import a key.
    #[error(
        "this card cannot import keys: it knows the commands of SP 800-73-5 only; leave --inject out and the card makes its keys itself"
    )]
    CannotImport,
}

/// The steps, in order: secrets first, so that a card that is left half-way is already in the desk's hands.
///
/// # Errors
/// [`PlanRefusal::CannotImport`].
pub fn plan(commands: CommandSet, choice: KeyChoice) -> Result<Vec<Step>, PlanRefusal> {
    if commands == CommandSet::Standard && choice.origin == KeyOrigin::Injected {
        return Err(PlanRefusal::CannotImport);
    }
    let mut steps = Vec::new();
    if commands == CommandSet::YubiKey {
        steps.push(Step::ManagementKey);
    }
    steps.extend([Step::Puk, Step::TransportPin, Step::Identity]);
    for key in CardKey::ALL {
        steps.extend([Step::MakeKey(key), Step::WriteCertificate(key)]);
    }
    steps.extend(CardKey::ALL.map(Step::ReadBack));
    Ok(steps)
}

impl fmt::Display for Step {
    /// The name in the journal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManagementKey => f.write_str("management key"),
            Self::Puk => f.write_str("PUK"),
            Self::TransportPin => f.write_str("transport PIN"),
            Self::Identity => f.write_str("CCC and CHUID"),
            Self::MakeKey(key) => write!(f, "{key} key"),
            Self::WriteCertificate(key) => write!(f, "{key} certificate"),
            Self::ReadBack(key) => write!(f, "{key} read-back"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(origin: KeyOrigin) -> KeyChoice {
        KeyChoice { algorithm: KeyAlgorithm::P256, origin }
    }

    #[test]
    fn a_key_is_made_before_it_is_certified_and_certified_before_it_is_read_back() {
        for commands in [CommandSet::Standard, CommandSet::YubiKey] {
            let steps = plan(commands, choice(KeyOrigin::GeneratedOnCard)).unwrap();
            let position = |step| steps.iter().position(|candidate| *candidate == step).unwrap();
            for key in CardKey::ALL {
                assert!(position(Step::TransportPin) < position(Step::MakeKey(key)));
                assert!(position(Step::MakeKey(key)) < position(Step::WriteCertificate(key)));
                assert!(position(Step::WriteCertificate(key)) < position(Step::ReadBack(key)));
            }
            assert!(position(Step::Puk) < position(Step::TransportPin), "the PIN is set with the new PUK");
        }
    }

    #[test]
    fn what_a_card_cannot_do_is_refused_by_name() {
        assert_eq!(plan(CommandSet::Standard, choice(KeyOrigin::Injected)), Err(PlanRefusal::CannotImport));
        let standard = plan(CommandSet::Standard, choice(KeyOrigin::GeneratedOnCard)).unwrap();
        assert!(!standard.contains(&Step::ManagementKey));
        assert!(
            plan(CommandSet::YubiKey, choice(KeyOrigin::Injected)).unwrap().contains(&Step::ManagementKey)
        );
    }
}
