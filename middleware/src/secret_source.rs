//! Where PINs and passphrases come from: `fd:N`, a file, the program pinentry, or the terminal without echo.
mod pinentry;
#[cfg(unix)]
mod terminal;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::settings::Settings;

#[cfg(unix)]
pub use terminal::Minded;

/// A longer line is no PIN and no passphrase.
const LONGEST_LINE: usize = 4096;

/// From `--pin-file` / `--passphrase-file`: `fd:N` or a path (first line, without its line end); absent: the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// `fd:N`, an open descriptor; each secret is one line of it.
    Descriptor(i32),
    /// A file; its first line (of several secrets asked for together, successive lines).
    File(PathBuf),
    /// The terminal, without echo; or the program that the user's [`Settings`] name for it.
    Terminal,
    /// `pinentry` or `pinentry:PROGRAM`, which shows a window or takes the terminal.
    Pinentry(PathBuf),
}

impl std::str::FromStr for SecretSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "pinentry" {
            return Ok(Self::Pinentry(PathBuf::from(text)));
        }
        if let Some(program) = text.strip_prefix("pinentry:").filter(|program| !program.is_empty()) {
            return Ok(Self::Pinentry(PathBuf::from(program)));
        }
        match text.strip_prefix("fd:") {
            Some(number) => match number.parse() {
                Ok(number) if number >= 0 => Ok(Self::Descriptor(number)),
                _ => Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("{text:?}: write fd:N with N an open descriptor"),
                )),
            },
            None if text.is_empty() => Err(Error::new(
                ErrorKind::InvalidInput,
                "the name of the file is empty; write fd:N or a path",
            )),
            None => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl SecretSource {
    /// Reads one secret. `prompt` is shown only at a terminal; a terminal that is not there is an error that says so.
    /// Reading `fd:N` twice reads successive lines.
    ///
    /// # Errors
    /// Names the descriptor or file that cannot be read or has no further line.
    pub fn read(&self, prompt: &str) -> std::io::Result<Zeroizing<String>> {
        let mut secrets = self.read_several(&[prompt])?;
        secrets.pop().ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))
    }

    /// Reads one secret for each prompt, in order: successive lines of a descriptor or a file, or one question each at
    /// the terminal.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_several(&self, prompts: &[&str]) -> std::io::Result<Vec<Zeroizing<String>>> {
        match self {
            Self::Descriptor(number) => {
                let mut open = DESCRIPTORS.lock().unwrap_or_else(PoisonError::into_inner);
                let table = open.get_or_insert_default();
                let name = format!("fd:{number}");
                if !table.contains_key(number) {
                    table.insert(*number, open_descriptor(*number).map_err(|error| named(&name, &error))?);
                }
                let file = table.get_mut(number).ok_or_else(|| Error::from(ErrorKind::NotFound))?;
                prompts.iter().map(|_| read_line(file, &name)).collect()
            }
            Self::File(path) => {
                let name = path.display().to_string();
                let mut file = File::open(path).map_err(|error| named(&name, &error))?;
                prompts.iter().map(|_| read_line(&mut file, &name)).collect()
            }
            Self::Terminal => match Settings::load()?.pinentry {
                Some(program) => Self::Pinentry(program).read_several(prompts),
                None => prompts.iter().map(|prompt| ask(prompt)).collect(),
            },
            Self::Pinentry(program) => prompts
                .iter()
                .map(|prompt| {
                    pinentry::ask(program, prompt).map_err(|error| match error.kind() {
                        ErrorKind::Interrupted => {
                            Error::new(error.kind(), format!("no answer was given to \"{prompt}\""))
                        }
                        _ => error,
                    })
                })
                .collect(),
        }
    }

    /// Whether somebody sits there who may mistype.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal | Self::Pinentry(_))
    }
}

/// Descriptors that were read before, each at its next line.
static DESCRIPTORS: Mutex<Option<HashMap<i32, File>>> = Mutex::new(None);

/// The system's own name for an open descriptor: safe, and the descriptor itself stays as it is.
fn open_descriptor(number: i32) -> std::io::Result<File> {
    File::open(format!("/dev/fd/{number}"))
}

/// Byte by byte, so that nothing beyond the line is taken from a pipe, and no buffer keeps a copy.
fn read_line(file: &mut File, name: &str) -> std::io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_LINE));
    let mut byte = Zeroizing::new([0]);
    let mut seen_anything = false;
    loop {
        match file.read(byte.as_mut_slice()) {
            Ok(0) if seen_anything => break,
            Ok(0) => return Err(Error::new(ErrorKind::UnexpectedEof, format!("{name} has no further line"))),
            Ok(_) if *byte == *b"\n" => break,
            Ok(_) if line.len() == LONGEST_LINE => {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    format!("{name} has a line of more than 4096 bytes"),
                ));
            }
            Ok(_) => {
                seen_anything = true;
                line.extend_from_slice(byte.as_slice());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(named(name, &error)),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    let text = std::str::from_utf8(&line)
        .map_err(|_| Error::new(ErrorKind::InvalidData, format!("{name} has a line that is not UTF-8")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What is asked for stands before a colon, whether the caller wrote one or not.
fn ask(prompt: &str) -> std::io::Result<Zeroizing<String>> {
    let prompt = prompt.trim_end().trim_end_matches(':');
    ask_at_terminal(&format!("{prompt}: ")).map(Zeroizing::new).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::Interrupted => {
            Error::new(error.kind(), format!("no answer was given to \"{prompt}\""))
        }
        kind => Error::new(
            kind,
            format!("{prompt}: there is no terminal to ask at; give it as fd:N or in a file"),
        ),
    })
}

#[cfg(unix)]
use terminal::ask as ask_at_terminal;

#[cfg(not(unix))]
use rpassword::prompt_password as ask_at_terminal;

fn named(name: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_descriptor_gives_successive_lines() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"123456\r\n654321\nlast").unwrap();
        drop(writer);
        let source: SecretSource = format!("fd:{}", reader.as_raw_fd()).parse().unwrap();
        assert_eq!(*source.read("PIN").unwrap(), "123456");
        let rest = source.read_several(&["PIN", "PIN"]).unwrap();
        assert_eq!((rest[0].as_str(), rest[1].as_str()), ("654321", "last"));
        assert_eq!(source.read("PIN").unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_file_gives_its_first_line_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\ntwo\n").unwrap();
        let source = SecretSource::File(file.path().to_owned());
        assert_eq!(*source.read("PIN").unwrap(), "one");
        assert_eq!(*source.read("PIN").unwrap(), "one");
        assert_eq!(source.read_several(&["old", "new"]).unwrap()[1].as_str(), "two");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let missing = SecretSource::File("/nonexistent/pin".into()).read("PIN").unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/pin"), "{missing}");
        let closed = "fd:987".parse::<SecretSource>().unwrap().read("PIN").unwrap_err();
        assert!(closed.to_string().contains("fd:987"), "{closed}");
        for text in ["", "fd:", "fd:-1", "fd:x"] {
            assert!(text.parse::<SecretSource>().is_err(), "{text:?}");
        }
    }
}
