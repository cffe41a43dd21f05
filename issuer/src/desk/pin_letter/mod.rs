//! `issuer pin-letter`: a transport PIN that lies in a file becomes a letter (PDF), and the file goes.
//!
//! The file is removed only once the letter is durable; a run that is killed in between leaves both, and says so when it is
//! repeated. Letters have mode 0600; whoever has printed them deletes them.

mod page;

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use middleware::{Pin, secret_source::SecretSource};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::{texts, which_card};
use crate::clock::Clock;
use crate::config::write_new;
use crate::domain::CardState;
use page::Page;

/// Which files, and where the letters go.
#[derive(Args, Debug)]
#[group(id = "letters")]
pub struct Arguments {
    /// Files with a transport PIN each, named after their holders: alice@example.org.pin
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Whose PIN it is, where the file is not named so
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,
    /// The folder of the letters; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

#[derive(Default, Serialize)]
struct Summary {
    letters: Vec<String>,
    errors: Vec<ItemError>,
}

#[derive(Serialize)]
struct ItemError {
    file: String,
    code: &'static str,
    message: String,
}

/// Writes a letter for each file; each stands for itself.
///
/// # Errors
/// The folder cannot be made. What is wrong with one file is told, and the others go on.
pub async fn run(office: &Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    if arguments.person.is_some() && arguments.files.len() > 1 {
        return Err(Failure::usage("--person is for one file; name several files after their holders"));
    }
    make_folder(&arguments.to)?;
    let mut summary = Summary::default();
    for file in &arguments.files {
        match letter(office, file, arguments).await {
            Ok(letter) => summary.letters.push(letter.display().to_string()),
            Err(failure) => summary.errors.push(ItemError {
                file: file.display().to_string(),
                code: failure.code,
                message: failure.message,
            }),
        }
    }
    match format {
        Format::Json => output::json(&summary)?,
        Format::Text => {
            for error in &summary.errors {
                let why = texts::explained(error.code, &error.message);
                output::progress(&format!("{}: {why}", error.file));
            }
            output::line(&match summary.letters.as_slice() {
                [] => texts::say("letter-none", &[]),
                [one] => texts::say("letter-one", &[("file", one)]),
                many => texts::say("letter-several", &[("count", &many.len().to_string())]),
            })?;
        }
    }
    Ok(match (summary.errors.is_empty(), summary.letters.is_empty()) {
        (true, _) => Status::Done,
        (false, true) => Status::Failed,
        (false, false) => Status::Partly,
    })
}

async fn letter(office: &Office, file: &Path, arguments: &Arguments) -> Result<PathBuf, Failure> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    // As issuer batch names them.
    let stem = percent_decode_str(stem).decode_utf8_lossy();
    let named = arguments.person.as_deref();
    let holder = office.cardholder(named.unwrap_or(&stem)).await.map_err(|failure| match named {
        None if failure.code == "unknown-person" => failure.and(
            "the file is named after nobody: say whose PIN it is with --person, or name the file after its holder (alice@example.org.pin)",
        ),
        _ => failure,
    })?;
    let record = office.registry.card_of(holder.id).await?;
    let record =
        record.filter(|record| matches!(record.card.state(), CardState::Issued { .. })).ok_or_else(|| {
            Failure::new(
                "no-card",
                format!("{} has no issued card that this PIN could open", holder.mail.as_str()),
            )
        })?;
    let pin = SecretSource::File(file.to_owned())
        .read("")
        .map_err(|error| Failure::new("io", error.to_string()))?;
    Pin::new(&pin).map_err(|_| Failure::new("malformed", "there is no PIN in it"))?;
    let target = arguments.to.join(format!("{}.pdf", safe_name(holder.mail.as_str())));
    let day = office.clock.now().strftime("%F").to_string();
    let card = match &record.identity {
        crate::domain::StockIdentity::VendorSerial(serial) => format!("serial number {serial}"),
        crate::domain::StockIdentity::Guid(_) => format!("GUID {}", which_card::name(&record)),
    };
    let page = Page {
        organization: &office.config.organization.name,
        name: holder.name.as_str(),
        mail: holder.mail.as_str(),
        card: &card,
        day: &day,
    };
    write_new(&target, 0o600, &page.to_pdf(&pin)).map_err(|error| unwritten(&target, &error))?;
    let durable = File::open(&arguments.to).and_then(|folder| folder.sync_all());
    durable.map_err(|error| Failure::file(&arguments.to, &error))?;
    std::fs::remove_file(file).map_err(|error| {
        Failure::file(file, &error).and("the letter is written; remove the file with the PIN yourself")
    })?;
    Ok(target)
}

/// A letter that is there already may be of another card, and have been printed or not: nobody overwrites it unasked.
fn unwritten(letter: &Path, error: &std::io::Error) -> Failure {
    if error.kind() != std::io::ErrorKind::AlreadyExists {
        return Failure::file(letter, error);
    }
    Failure::new(
        "exists",
        format!(
            "there is a letter already ({}), and it was left as it is: print or delete it and run the same command again, or name another folder with --to",
            letter.display()
        ),
    )
}

/// A file name of an address: what is no letter, digit, dot, hyphen, underscore or at sign becomes an underscore.
fn safe_name(mail: &str) -> String {
    let safe = |character: char| {
        let is_plain = character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '@');
        if is_plain { character } else { '_' }
    };
    mail.chars().map(safe).collect()
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(Failure::folder(folder, &error)),
        Ok(()) => Ok(()),
    }
}
