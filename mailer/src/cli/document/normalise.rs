//! `mailer document normalise`: a damaged, unsigned PDF file written anew.
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::report::{Exit, Failure, print_text, shown};
use super::files;
use crate::documents::pdf::normalise;

/// Writes a damaged PDF file anew, so that it can be signed.
///
/// What is found is kept, the cross-reference is made again. A signed file is refused, for its signatures would be lost; an
/// encrypted one too. Look at the result before you sign it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer document normalise scan.pdf --output clean.pdf")]
pub(in super::super) struct Normalise {
    /// The PDF file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the result goes [default: FILE-normalised.pdf]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(in super::super) json: bool,
}

impl Normalise {
    pub(in super::super) fn run(self) -> Result<Exit, Failure> {
        let output = files::output(&self.file, self.output, files::beside(&self.file, "-normalised"))?;
        let content = files::read(&self.file)?;
        let clean = normalise(&content)
            .map_err(|error| Failure::new(error.code(), format!("{}: {error}", self.file.display())))?;
        files::write(&output, &clean)?;
        if self.json {
            let object =
                json!({ "command": "document normalise", "output": output.display().to_string(), "exit": 0 });
            print_text(&format!("{object}\n"))?;
        } else {
            print_text(&format!("{} was written anew as {}.\n", shown(&self.file), shown(&output)))?;
        }
        Ok(Exit::Done)
    }
}
