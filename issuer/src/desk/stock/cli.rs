//! What `issuer stock` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use middleware::Locator;

use super::Delivery;
use crate::desk::return_card;

/// Blank cards.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Take blank cards into stock
    #[command(
        after_help = "Examples:\n  issuer --home pki stock add --card pcsc:\n  issuer --home pki stock add --serial 12345678 12345679\n  \
        issuer --home pki stock add --file *.stock.toml"
    )]
    Add(Arguments),
    /// Take a card back from its holder: what it can do ends; wiped, it can be anybody's
    #[command(
        after_help = "Examples:\n  issuer --home pki stock return alice@example.org --card pcsc:\n  issuer --home pki stock return serial=12345678"
    )]
    Return(return_card::Arguments),
    /// List every card and its state
    #[command(after_help = "Example:\n  issuer --home pki stock list")]
    List,
}

/// What is taken in, and by whom.
#[derive(Args, Debug)]
#[group(skip)]
pub struct Arguments {
    #[command(flatten)]
    what: What,
    /// Where no operator who may do this has a good card any more: by the passphrase of the keys
    #[arg(long)]
    pub(in crate::desk) recover: bool,
}

/// One of three kinds.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct What {
    /// The card there: pcsc:, pcsc:READER, pcsc:serial=N or sim:FILE
    #[arg(long, value_name = "LOCATOR")]
    card: Option<Locator>,
    /// Serial numbers of cards with factory values
    #[arg(long, value_name = "N", num_args = 1..)]
    serial: Vec<u32>,
    /// Stock files of cards with secrets of their own
    #[arg(long, value_name = "STOCK.toml", num_args = 1..)]
    file: Vec<PathBuf>,
}

impl Arguments {
    /// As one of three kinds.
    pub(in crate::desk) fn delivery(self) -> Delivery {
        let What { card, serial, file } = self.what;
        match card {
            Some(locator) => Delivery::Card(locator),
            None if file.is_empty() => Delivery::Serials(serial),
            None => Delivery::Files(file),
        }
    }
}
