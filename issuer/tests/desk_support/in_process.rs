//! A command that is carried out in the process of the test, where each of its moments can be watched.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::PathBuf;

use clap::Parser;
use issuer::config::Home;
use issuer::desk::actions::Action;
use issuer::desk::failure::Failure;
use issuer::desk::observer::Observer;
use issuer::desk::office::Surroundings;
use issuer::desk::output::Format;

/// The words of a command.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Typed {
    #[command(subcommand)]
    action: Action,
}

/// A home without operators, whose registry is its own or another.
pub struct InProcess {
    pub home: PathBuf,
    pub registry: Option<String>,
    pub passphrase_file: String,
}

impl InProcess {
    /// Carries a command out; `observer` is told of each moment.
    pub async fn carry_out(&self, words: &[String], observer: Observer) -> Result<(), Failure> {
        let surroundings = Surroundings {
            home: Some(Home::new(self.home.clone())),
            registry: self.registry.as_ref().map(|registry| registry.parse().unwrap()),
            operator: None,
            operator_pin: None,
            second_operator: None,
            passphrase: self.passphrase_file.parse().unwrap(),
            key_pin: None,
            format: Format::Text,
            is_restored: false,
        };
        let action = Typed::parse_from(words).action;
        let mut office = surroundings.open_to_do(action.permission()).await.unwrap();
        office.observer = observer;
        action.carry_out(&mut office, Format::Text).await.map(|_| ())
    }
}
