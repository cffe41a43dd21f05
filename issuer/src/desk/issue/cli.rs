//! What `issuer issue` is told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use middleware::secret_source::SecretSource;
use middleware::{KeyAlgorithm, Locator};

use super::{KeyWish, Order};
use crate::personalization::plan::KeyOrigin;

/// For whom, which card, which keys.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Mail address or identifier of the person
    person: String,
    /// The card: pcsc:, pcsc:READER, pcsc:serial=N or sim:FILE
    #[arg(long, value_name = "LOCATOR")]
    card: Locator,
    /// Algorithm of the four keys; p256 where nothing is said. An interrupted run is gone on with as it was ordered; where
    /// others are asked for (by this or --inject), all four are made anew, and what that run had certified is revoked
    #[arg(long, value_enum)]
    algorithm: Option<CardKeyAlgorithm>,
    /// Make the keys here and write them into the card, instead of letting the card make them (--inject=false: let it,
    /// whatever an interrupted run did)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false", hide_possible_values = true)]
    inject: Option<bool>,
    /// A new file (mode 0600) for the transport PIN; otherwise it is shown once at the terminal
    #[arg(long, value_name = "PATH")]
    transport_pin_file: Option<PathBuf>,
    /// No transport PIN: the holder is here, chooses the PIN and types it twice; the card is in use at once
    #[arg(long, conflicts_with = "transport_pin_file")]
    pin_by_holder: bool,
    /// Where the PIN that the holder chose comes from: fd:N, a file or pinentry; otherwise it is typed
    #[arg(long, value_name = "fd:N|PATH", requires = "pin_by_holder")]
    pin_file: Option<SecretSource>,
    /// Where no operator who may do this has a good card any more: by the passphrase of the keys
    #[arg(long)]
    pub(in crate::desk) recover: bool,
}

/// Algorithms of a card's keys.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum CardKeyAlgorithm {
    P256,
    Rsa2048,
}

impl Arguments {
    /// As an order.
    pub(in crate::desk) fn order(self) -> Order {
        let algorithm = self.algorithm.map(|algorithm| match algorithm {
            CardKeyAlgorithm::P256 => KeyAlgorithm::P256,
            CardKeyAlgorithm::Rsa2048 => KeyAlgorithm::Rsa2048,
        });
        let origin =
            self.inject.map(|inject| if inject { KeyOrigin::Injected } else { KeyOrigin::GeneratedOnCard });
        Order {
            person: self.person,
            card: self.card,
            keys: KeyWish { algorithm, origin },
            transport_pin_file: self.transport_pin_file,
            pin_by_holder: self.pin_by_holder.then(|| self.pin_file.unwrap_or(SecretSource::Terminal)),
        }
    }
}
