//! What `issuer issue` is told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use middleware::secret_source::SecretSource;
use middleware::{KeyAlgorithm, Locator};

use super::Order;
use crate::personalization::plan::{KeyChoice, KeyOrigin};

/// For whom, which card, which keys.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Mail address or identifier of the person
    person: String,
    /// The card: pcsc:, pcsc:READER, pcsc:serial=N or sim:FILE
    #[arg(long, value_name = "LOCATOR")]
    card: Locator,
    /// Algorithm of the four keys. Where an interrupted run made others (by this or --inject), all four are made anew, and
    /// what that run had certified is revoked
    #[arg(long, value_enum, default_value = "p256")]
    algorithm: CardKeyAlgorithm,
    /// Make the keys here and write them into the card, instead of letting the card make them
    #[arg(long)]
    inject: bool,
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
        let algorithm = match self.algorithm {
            CardKeyAlgorithm::P256 => KeyAlgorithm::P256,
            CardKeyAlgorithm::Rsa2048 => KeyAlgorithm::Rsa2048,
        };
        let origin = if self.inject { KeyOrigin::Injected } else { KeyOrigin::GeneratedOnCard };
        Order {
            person: self.person,
            card: self.card,
            keys: KeyChoice { algorithm, origin },
            transport_pin_file: self.transport_pin_file,
            pin_by_holder: self.pin_by_holder.then(|| self.pin_file.unwrap_or(SecretSource::Terminal)),
        }
    }
}
