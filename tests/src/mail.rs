//! A person of the organisation: a home of one's own, a card, and the programs `card` and `mailer`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::process::Run;
use crate::programs::program;
use crate::world::write_secret;

/// A cardholder.
#[derive(Debug)]
pub struct Person {
    /// Display name.
    pub name: String,
    /// Mail address.
    pub address: String,
    /// Where the card is: `sim:FILE` or `pcsc:READER`.
    pub locator: String,
    /// The PIN that the person chose.
    pub pin: String,
    home: PathBuf,
    environment: Vec<(String, OsString)>,
}

/// Where a person's mail goes and comes from, and who says so.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Arguments of `mailer setup` beyond address, name, card and PIN.
    pub arguments: Vec<OsString>,
}

impl Account {
    /// No server: a maildir per address below a folder; the directory as published.
    pub fn maildir(published: &Path, maildir: &Path, domain: &str) -> Self {
        Self::default().trusting(published, domain).with("--maildir", maildir)
    }

    /// Anchor, domain and directory of a published folder.
    pub fn trusting(self, published: &Path, domain: &str) -> Self {
        self.asking(published, domain, &format!("file:{}", published.display()))
    }

    /// Anchor and domain of a published folder; the directory somewhere else.
    pub fn asking(self, published: &Path, domain: &str, directory: &str) -> Self {
        let anchored = self.with("--anchor", published.join("anchor.pem"));
        anchored.with("--anchor-domain", domain).with("--directory", directory)
    }

    /// One more option with its value.
    pub fn with(mut self, option: &str, value: impl Into<OsString>) -> Self {
        self.arguments.extend([option.into(), value.into()]);
        self
    }
}

impl Person {
    /// A person with a home below `folder` and a card at `locator`; PIN not yet changed.
    pub fn new(folder: &Path, name: &str, address: &str, locator: &str) -> Result<Self> {
        let home = folder.join(address.split('@').next().unwrap_or(address));
        fs::create_dir_all(&home)?;
        let person = Self {
            name: name.to_owned(),
            address: address.to_owned(),
            locator: locator.to_owned(),
            pin: "271828".to_owned(),
            home,
            environment: Vec::new(),
        };
        write_secret(&person.pin_file(), &person.pin)?;
        Ok(person)
    }

    /// The variables by which the person's programs find the readers.
    pub fn use_readers(&mut self, environment: Vec<(String, OsString)>) {
        self.environment = environment;
    }

    /// A file with the PIN, 0600.
    pub fn pin_file(&self) -> PathBuf {
        self.home.join("pin")
    }

    /// The person's home: settings, mail store, outbox.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The card tool.
    pub fn card(&self, command: &str) -> Result<Run> {
        Ok(self.program("card")?.args([command, "--card", &self.locator]))
    }

    /// The mail program without arguments.
    pub fn mailer(&self) -> Result<Run> {
        Ok(self.program("mailer")?.arg("--home").arg(self.home.join("mail")))
    }

    /// A command of the mail program that uses the card.
    pub fn keyed(&self, command: &str) -> Result<Run> {
        Ok(self.mailer()?.arg(command).arg("--pin-file").arg(self.pin_file()))
    }

    /// A command of documents or receipts that uses the card, such as `document distribute`.
    pub fn keyed_words(&self, words: &[&str]) -> Result<Run> {
        Ok(self.mailer()?.args(words).arg("--pin-file").arg(self.pin_file()))
    }

    fn program(&self, name: &str) -> Result<Run> {
        Ok(Run::new(program(name)?).env("HOME", &self.home).envs(&self.environment))
    }

    /// Changes the transport PIN into one's own, as every cardholder must first.
    pub fn change_pin(&self, transport_pin: &Path) -> Result<Run> {
        let old = fs::read_to_string(transport_pin)?;
        self.change_pin_from(old.trim())
    }

    /// Changes a known PIN into one's own: old and new, a line each, in a file that only the person reads.
    pub fn change_pin_from(&self, old: &str) -> Result<Run> {
        let pins = self.home.join("old-and-new-pin");
        write_secret(&pins, &format!("{old}\n{}\n", self.pin))?;
        Ok(self.card("change-pin")?.arg("--pin-file").arg(&pins))
    }

    /// Sets the account up.
    pub fn set_up(&self, account: &Account) -> Result<Run> {
        let run = self.mailer()?.args(["setup", "--address", &self.address, "--name", &self.name]);
        Ok(run.args(["--card", &self.locator]).args(&account.arguments))
    }

    /// Sends a mail, signed and encrypted, its body from standard input.
    pub fn send(&self, to: &[&str], subject: &str, body: &str) -> Result<Run> {
        let mut run = self.keyed("send")?;
        for address in to {
            run = run.args(["--to", address]);
        }
        Ok(run.args(["--subject", subject, "--body", "-"]).input(body))
    }

    /// Fetches new mail.
    pub fn fetch(&self) -> Result<Run> {
        Ok(self.mailer()?.arg("fetch"))
    }

    /// Reads a message by its number in the list.
    pub fn read(&self, number: usize) -> Result<Run> {
        Ok(self.keyed("read")?.arg(number.to_string()))
    }

    /// The raw messages of the mail store, oldest first.
    pub fn stored(&self) -> Result<Vec<PathBuf>> {
        let mut files = crate::disk::files(&self.home.join("mail"))?;
        files.retain(|file| {
            fs::read(file).is_ok_and(|bytes| bytes.windows(14).any(|part| part == b"\nMIME-Version:"))
        });
        files.sort();
        Ok(files)
    }

    /// The only message of the mail store.
    pub fn only_stored(&self) -> Result<PathBuf> {
        let stored = self.stored()?;
        ensure!(stored.len() == 1, "expected one stored message, found {stored:?}");
        stored.into_iter().next().context("one was counted")
    }
}
