//! The passphrase of an encrypted state file: from `fd:N`, from a file, or from the terminal without echo.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use zeroize::Zeroizing;

use crate::store::file::FileStore;
use crate::{Card, StoreError};

/// A longer line is no passphrase.
const LONGEST: usize = 1024;

/// Where the passphrase comes from.
#[derive(Args)]
pub(super) struct PassphraseSource {
    /// Where the passphrase of encrypted state files is: fd:N or a file, its first line [default: ask at the terminal]
    #[arg(long, value_name = "fd:N|FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseSource {
    pub(super) fn is_given(&self) -> bool {
        self.passphrase_file.is_some()
    }

    /// The passphrase for a new card; at the terminal it is asked for twice.
    pub(super) fn read_new(&self, state: &Path) -> anyhow::Result<Zeroizing<String>> {
        let passphrase = self.read(&format!("New passphrase for {}: ", state.display()))?;
        if !self.is_given() && passphrase != self.read("The same again: ")? {
            bail!("the two passphrases differ; nothing was made");
        }
        Ok(passphrase)
    }

    /// Opens a card, with its passphrase if it is encrypted.
    pub(super) fn open(&self, state: &Path) -> anyhow::Result<Card> {
        Ok(match self.read_for(state)? {
            Some(passphrase) => Card::open_with_passphrase(state, passphrase.as_bytes())?,
            None => Card::open(state)?,
        })
    }

    /// Reads the image of a card that may be running, with its passphrase if it is encrypted.
    pub(super) fn peek(&self, state: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        Ok(match self.read_for(state)? {
            Some(passphrase) => FileStore::peek_with_passphrase(state, passphrase.as_bytes())?,
            None => FileStore::peek(state)?,
        })
    }

    fn read_for(&self, state: &Path) -> anyhow::Result<Option<Zeroizing<String>>> {
        match FileStore::is_encrypted(state) {
            Ok(true) => Ok(Some(self.read(&format!("Passphrase of {}: ", state.display()))?)),
            // Whoever opens the card says what is wrong with it.
            Ok(false) | Err(StoreError::NotFound { .. } | StoreError::Io { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
        let passphrase = match &self.passphrase_file {
            Some(source) => first_line(source)
                .with_context(|| format!("--passphrase-file {}: cannot read it", source.display()))?,
            None => rpassword::prompt_password(prompt)
                .map(Zeroizing::new)
                .context("cannot ask at a terminal for the passphrase; give --passphrase-file")?,
        };
        if passphrase.is_empty() {
            bail!("the passphrase is empty");
        }
        Ok(passphrase)
    }
}

/// Byte by byte, so that no buffer keeps a copy.
fn first_line(source: &Path) -> io::Result<Zeroizing<String>> {
    let descriptor = source.to_str().and_then(|name| name.strip_prefix("fd:"));
    let mut file = match descriptor {
        Some(number) if number.parse::<u32>().is_ok() => File::open(format!("/dev/fd/{number}"))?,
        Some(_) => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "write fd:N, N an open descriptor"));
        }
        None => File::open(source)?,
    };
    let mut line = Zeroizing::new(String::with_capacity(LONGEST));
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0; 1]);
    while bytes.len() < LONGEST && file.read(byte.as_mut_slice())? == 1 && *byte != *b"\n" {
        bytes.extend_from_slice(byte.as_slice());
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "its first line is not text"))?;
    line.push_str(text.strip_suffix('\r').unwrap_or(text));
    Ok(line)
}
