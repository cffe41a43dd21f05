//! How a command ends: an exit code, one clear sentence, and with `--json` a stable code.
use std::io::Write;
use std::os::fd::AsFd;

use serde_json::{Value, json};

use crate::config::ConfigError;
use crate::correspondents::CorrespondentsError;
use crate::directory::DirectoryError;
use crate::keys::KeysError;
use crate::ledger::LedgerError;
use crate::message::address::AddressError;
use crate::message::authors::AuthorProblem;
use crate::message::build::DraftError;
use crate::message::mime::MimeError;
use crate::message::terminal_text::{safe_line, safe_text};
use crate::protection::open::OpenError;
use crate::readers::ReadersError;
use crate::smime::{DecompressError, DecryptError, EncryptError, SignError};
use crate::transport::TransportError;
use crate::transport::outbox::OutboxError;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 1: refused or failed; nothing half done.
    Failed,
    /// 2: the command line makes no sense.
    Usage,
    /// 3: some of it was done.
    Partly,
    /// 4: a message or signer is not to be trusted.
    NotTrusted,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partly => 3,
            Self::NotTrusted => 4,
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// Stable code for JSON.
    pub code: &'static str,
    /// What happened, to what, what to do next.
    pub message: String,
    /// How the program ends.
    pub exit: Exit,
    /// Further facts for JSON, merged into the error object.
    pub details: Value,
    /// Further facts for JSON, beside the error object.
    pub beside: Value,
}

impl Failure {
    /// A failure with exit code 1.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), exit: Exit::Failed, details: Value::Null, beside: Value::Null }
    }

    /// A command line that makes no sense: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new("usage", message) }
    }

    /// A file that could not be read or written.
    pub fn file(path: &std::path::Path, problem: &std::io::Error) -> Self {
        Self::new("file", format!("{}: {problem}", path.display()))
    }

    /// With more facts for JSON.
    pub fn with_details(self, details: Value) -> Self {
        Self { details, ..self }
    }

    /// Tells the user: a sentence, or with `--json` one object on a line of its own. Both on stderr.
    pub fn print(&self, json: bool) {
        if json {
            let mut error = json!({ "code": self.code, "message": plain_words(&self.message) });
            if let (Some(error), Some(details)) = (error.as_object_mut(), self.details.as_object()) {
                error.extend(details.clone());
            }
            let mut object = json!({ "error": error, "exit": self.exit.code() });
            if let (Some(object), Some(beside)) = (object.as_object_mut(), self.beside.as_object()) {
                object.extend(beside.clone());
            }
            tell(&object.to_string());
        } else {
            tell(&format!("mailer: {}", plain_words(&self.message)));
        }
    }
}

macro_rules! failure_with_code {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.code(), error.to_string())
            }
        })+
    };
}
failure_with_code!(
    ConfigError,
    CorrespondentsError,
    DirectoryError,
    EncryptError,
    KeysError,
    LedgerError,
    OutboxError,
    ReadersError,
    SignError,
    TransportError
);

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self { exit: Exit::Usage, ..Self::new("bad-address", error.to_string()) }
    }
}

impl From<DraftError> for Failure {
    fn from(error: DraftError) -> Self {
        Self { exit: Exit::Usage, ..Self::new("bad-draft", error.to_string()) }
    }
}

impl From<AuthorProblem> for Failure {
    fn from(problem: AuthorProblem) -> Self {
        Self::new("author-unclear", format!("{problem}, so no reader could compare it with the signer"))
    }
}

impl From<MimeError> for Failure {
    fn from(error: MimeError) -> Self {
        match error {
            MimeError::Unreadable(_) => Self::new(error.code(), error.to_string()),
            _ => Self::new(error.code(), format!("the message is malformed: {error}")),
        }
    }
}

impl From<OpenError> for Failure {
    /// A message that was damaged on its way, or is not for this reader, is not to be trusted; a key that is not here is only a failure.
    fn from(error: OpenError) -> Self {
        let is_damage = match &error {
            OpenError::Decrypt(problem) => !matches!(
                problem,
                DecryptError::NotForUs
                    | DecryptError::Unsupported(_)
                    | DecryptError::Keys(_)
                    | DecryptError::Io(_)
            ),
            OpenError::Decompress(problem) => {
                !matches!(problem, DecompressError::Unsupported(_) | DecompressError::Io(_))
            }
            OpenError::TooManyLayers(_)
            | OpenError::Clearance(_)
            | OpenError::LabelsDiffer
            | OpenError::Label(_) => true,
            OpenError::Keys(_) | OpenError::Unsupported(_) | OpenError::Malformed(_) | OpenError::Io(_) => {
                false
            }
        };
        let failure = Self::new(error.code(), error.to_string());
        if !is_damage {
            return failure;
        }
        let verdict = json!({
            "code": error.code(), "trusted": false, "signed": false, "sentence": plain_words(&failure.message),
        });
        Self { exit: Exit::NotTrusted, beside: json!({ "verdict": verdict }), ..failure }
    }
}

/// A path as it can be shown.
pub(super) fn shown(path: &std::path::Path) -> String {
    safe_line(&path.display().to_string())
}

/// Safe for a terminal, and without the numbers that the operating system has for its errors.
pub(super) fn plain_words(text: &str) -> String {
    let mut words = safe_text(text);
    while let Some(start) = words.find(OS_ERROR) {
        let number = words.get(start + OS_ERROR.len()..).unwrap_or_default();
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        let is_number = digits > 0 && number.as_bytes().get(digits) == Some(&b')');
        if !is_number {
            break;
        }
        words.replace_range(start..=start + OS_ERROR.len() + digits, "");
    }
    words
}

const OS_ERROR: &str = " (os error ";

/// Writes a line to stderr. Nobody may be listening: what the command does and how it ends does not depend on that.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes to stdout at once; a reader that went away is a failure, not a panic.
///
/// # Errors
/// Stdout cannot be written.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|problem| Failure::new("output", format!("the output could not be written: {problem}")))
}

/// Writes to stdout what `write` gives, in large pieces; a reader that went away is a failure, not a panic.
///
/// # Errors
/// Stdout cannot be written, or what is to be written not be read.
pub fn write_out(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), Failure> {
    // Stdout's own writer looks for line ends in everything.
    let stdout = std::io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from);
    stdout
        .and_then(|stdout| {
            let mut buffered = std::io::BufWriter::with_capacity(64 * 1024, stdout);
            write(&mut buffered)?;
            buffered.flush()
        })
        .map_err(|problem| Failure::new("output", format!("the output could not be written: {problem}")))
}

/// Writes text to stdout; it must already be safe for a terminal.
///
/// # Errors
/// Stdout cannot be written.
pub fn print_text(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_system_are_left_out() {
        let problem = std::io::Error::from_raw_os_error(28);
        assert_eq!(
            plain_words(&format!("x: {problem}; y: {problem}.")),
            "x: No space left on device; y: No space left on device."
        );
        for text in ["", "x (os error", "x (os error )", "x (os error 5", "x (os error 5a)"] {
            assert_eq!(plain_words(text), text);
        }
    }
}
