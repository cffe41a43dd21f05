//! `mailer document stamp`: the time stamp that failed when the document was signed.
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::algorithms::AlgorithmOptions;
use super::super::context::{Context, PinOptions};
use super::super::report::{Exit, Failure, print_text};
use super::super::signing::Desk;
use super::files;
use super::time::Stamps;
use crate::documents::stamp::stamp_document;

/// Adds the time stamp that failed when the document was signed. The card signs nothing.
///
/// Only the newest signature of a PDF file can get one, and only while it has none.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer document stamp notice-signed.pdf")]
pub(in super::super) struct Stamp {
    /// The signed document, which is replaced
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    pub(in super::super) json: bool,
}

impl Stamp {
    pub(in super::super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let content = files::read(&self.file)?;
        let document = files::open(&self.file, &content)?;
        let Some(mut stamps) = Stamps::configured(&context)? else {
            return Err(super::sign::no_server());
        };
        let no_pin = PinOptions { pin_file: None, last_try: false };
        let mut desk = Desk::new(&context, context.card(&no_pin)?, AlgorithmOptions::signing(false))?;
        stamps.rehearse(&mut desk)?;
        let stamped = stamp_document(&document, &mut stamps)
            .map_err(|error| Failure::new(error.code(), format!("{}: {error}", self.file.display())))?;
        files::write(&self.file, &stamped)?;
        if self.json {
            let object =
                json!({ "command": "document stamp", "output": self.file.display().to_string(), "exit": 0 });
            print_text(&format!("{object}\n"))?;
        } else {
            print_text(&format!("{} has its time stamp now.\n", self.file.display()))?;
        }
        Ok(Exit::Done)
    }
}
