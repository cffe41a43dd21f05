//! What `issuer issue` is told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use middleware::secret_source::SecretSource;
use middleware::{KeyAlgorithm, Locator};

use super::order::{Order, WantedPin};
use crate::desk::card_profile::Wanted;
use crate::desk::failure::Failure;
use crate::domain::KeyOrigin;

/// For whom, which card, which keys.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Mail address or identifier of the person
    pub(in crate::desk) person: String,
    /// The card: pcsc:, pcsc:READER, pcsc:serial=N or sim:FILE
    #[arg(long, value_name = "LOCATOR")]
    card: Locator,
    /// A profile of config.toml: which keys, for how long. An interrupted run is gone on with as it was ordered, and another
    /// card takes the profile of the one it replaces, unless something is said here
    #[arg(long, value_name = "NAME", conflicts_with_all = ["algorithm", "inject"])]
    profile: Option<String>,
    /// Algorithm of the four keys; p256 where nothing is said. An interrupted run is gone on with as it was ordered; where
    /// others are asked for (by this, --inject or --profile), all four are made anew, and what that run had certified is
    /// revoked
    #[arg(long, value_enum)]
    algorithm: Option<CardKeyAlgorithm>,
    /// Make the keys here and write them into the card, instead of letting the card make them (--inject=false: let it,
    /// whatever an interrupted run did)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false", hide_possible_values = true)]
    inject: Option<bool>,
    /// A new file (mode 0600) for the transport PIN; otherwise it is shown once at the terminal
    #[arg(long, value_name = "PATH")]
    transport_pin_file: Option<PathBuf>,
    /// No transport PIN: the holder is here, chooses the PIN and types it twice; the card is in use at once. An interrupted
    /// run is gone on with as it was ordered (--pin-by-holder=false: with a transport PIN, whatever was ordered)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false", hide_possible_values = true)]
    pin_by_holder: Option<bool>,
    /// Where the PIN that the holder chose comes from: fd:N, a file or pinentry; otherwise it is typed
    #[arg(long, value_name = "fd:N|PATH", requires = "pin_by_holder")]
    pin_file: Option<SecretSource>,
    /// Where no operator who may do this has a good card any more: by the passphrase of the keys
    #[arg(long)]
    pub(in crate::desk) recover: bool,
}

/// Algorithms of a card's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::desk) enum CardKeyAlgorithm {
    P256,
    Rsa2048,
}

impl From<CardKeyAlgorithm> for KeyAlgorithm {
    fn from(algorithm: CardKeyAlgorithm) -> Self {
        match algorithm {
            CardKeyAlgorithm::P256 => Self::P256,
            CardKeyAlgorithm::Rsa2048 => Self::Rsa2048,
        }
    }
}

impl Arguments {
    /// As an order.
    ///
    /// # Errors
    /// What is said of the PIN contradicts itself.
    pub(in crate::desk) fn order(self) -> Result<Order, Failure> {
        let contradiction = match (self.pin_by_holder, &self.transport_pin_file, &self.pin_file) {
            (Some(true), Some(_), _) => Some(("--pin-by-holder", "--transport-pin-file")),
            (Some(false), _, Some(_)) => Some(("--pin-by-holder=false", "--pin-file")),
            _ => None,
        };
        if let Some((one, other)) = contradiction {
            return Err(Failure::usage(format!("{one} cannot be used with {other}")));
        }
        let origin =
            self.inject.map(|inject| if inject { KeyOrigin::Injected } else { KeyOrigin::GeneratedOnCard });
        Ok(Order {
            person: self.person,
            card: self.card,
            wanted: Wanted {
                profile: self.profile,
                algorithm: self.algorithm.map(KeyAlgorithm::from),
                origin,
            },
            pin: WantedPin {
                by_holder: self.pin_by_holder,
                source: self.pin_file,
                transport_file: self.transport_pin_file,
            },
        })
    }
}
