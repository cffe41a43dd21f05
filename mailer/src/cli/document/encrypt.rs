//! `mailer document encrypt`: a document sealed to its readers.
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::algorithms::AlgorithmOptions;
use super::super::context::{Context, PinOptions};
use super::super::recipient_list;
use super::super::report::{Exit, Failure, print_text};
use super::super::signing::Desk;
use super::files;
use crate::documents::seal::font::system_folders;
use crate::documents::sealed::{Explanation, FileName, SealedError, seal};

/// Seals a PDF file to its readers: only they, with their cards, can open it.
///
/// The document stays inside, octet by octet, so its signatures stay good, and it can be sealed again to others. Around it is a
/// page that anybody can read and that says how to open it. You are always a reader too. Every reader's certificate is found
/// and checked first; if one is missing, expired, revoked or of an unknown CA, all of them are named and nothing is written.
/// Not hidden are the document's length, and issuer and serial number of every reader's certificate.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer document encrypt notice-signed.pdf --to 'bob@mail.test, carol@mail.test'\n  mailer document encrypt notice-signed.pdf --readers board"
)]
pub(in super::super) struct Encrypt {
    /// The document
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A file with an address a line, or a table with a column `mail`; class:NAME for a class of readers; or addresses. Repeat
    /// for several
    #[arg(long, value_name = "LIST", required_unless_present = "readers")]
    to: Vec<String>,
    /// Everybody of this class of readers; repeat for several
    #[arg(long, value_name = "CLASS")]
    readers: Vec<String>,
    /// The result [default: FILE-sealed.pdf]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(in super::super) json: bool,
}

impl Encrypt {
    pub(in super::super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let output = files::output(&self.file, self.output.clone(), files::beside(&self.file, "-sealed"))?;
        let document = files::read(&self.file)?;
        if !files::is_pdf(&document)? {
            let message = format!(
                "{} is no PDF file, and only those are sealed; send it encrypted instead: mailer send --attach FILE",
                self.file.display()
            );
            return Err(Failure::new("not-a-pdf", message));
        }
        let own = context.address()?.key();
        let mut readers = recipient_list::recipients_and_classes(&context, &self.to, &self.readers)?;
        readers.retain(|reader| reader.key() != own);
        let no_pin = PinOptions { pin_file: None, last_try: false };
        let mut desk = Desk::new(&context, context.card(&no_pin)?, AlgorithmOptions::signing(false))?;
        let recipients = desk.recipients_if(&readers, "sealed", &mut |_| Ok(()))?;
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let user = directories::BaseDirs::new().map(|folders| folders.home_dir().to_owned());
        let explanation = Explanation::standard(&system_folders(user.as_deref()));
        let failure = |error: SealedError| Failure::new(error.code(), error.to_string());
        let name = FileName::new(&name).map_err(failure)?;
        let sealed = seal(&document, &name, &recipients, &explanation).map_err(failure)?;
        files::write_by(&output, &mut |out| sealed.write_to(out))?;
        let readers: Vec<String> = readers.iter().map(ToString::to_string).collect();
        if self.json {
            let object = json!({
                "command": "document encrypt", "output": output.display().to_string(), "readers": readers,
                "oneself": context.config.address, "exit": Exit::Done.code(),
            });
            print_text(&format!("{object}\n"))?;
        } else {
            let count = match readers.as_slice() {
                [] => "you alone".to_owned(),
                [one] => format!("{one} and yourself"),
                many => format!("{} readers and yourself", many.len()),
            };
            print_text(&format!("{} was sealed to {count} as {}.\n", self.file.display(), output.display()))?;
        }
        Ok(Exit::Done)
    }
}
