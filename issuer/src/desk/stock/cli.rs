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

/// What is taken in.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Arguments {
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
        match self.card {
            Some(locator) => Delivery::Card(locator),
            None if self.file.is_empty() => Delivery::Serials(self.serial),
            None => Delivery::Files(self.file),
        }
    }
}
