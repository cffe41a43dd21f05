//! `card-sim replay`: play a transcript again and report the first difference.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use zeroize::Zeroizing;

use super::Usage;
use super::passphrase::PassphraseSource;
use crate::Card;
use crate::store::memory::MemoryStore;
use crate::transcript::{
    self, Bench, Comparison, EmulatedCards, Numbered, Played, Player, SecretValues, TryGuard,
};

/// Play a transcript or trace against a card and report the first difference
///
/// Answers that no two cards have in common (keys, signatures, challenges, serial number, CHUID, certificates) need
/// only be alike; with --exact every byte counts, as for two cards of one seed.
#[derive(Args)]
#[command(after_help = "\
Lines of a transcript:
  # comment                              also behind a command or an answer
  @ power on | power off | reset | contact | contactless | authenticate
  @ card standard | yubikey5 5.7 | yubikey5 5.4      a fresh blank card (sim: only)
  > 00 20 00 80 08 [PIN]                 a command; [NAME] is a value from --values
  < 7C 12 81 10 challenge=16 90 00       its answer; NAME=N keeps N bytes
  > 00 87 0A 9B 14 7C 12 82 10 encrypt(challenge)
  < .. 90 00                             .. any bytes, ?? one byte, [N bytes hidden] N bytes

Lines of --values:
  PIN = 123456
  PUK = 12345678
  management key = 010203040506070801020304050607080102030405060708

A state file is played against as a copy in memory. A card in a reader is not copied: a transcript that changes it is
refused without --keep-changes, and a command that could spend the last try of a PIN or PUK without --last-try.

Examples:
  card-sim replay trace.apdu --against sim:alice.card --pin-file pin
  card-sim replay trace.apdu --against pcsc: --values values.txt
  card-sim replay verify.apdu --against sim:

Exit codes: 0 every answer as recorded, 1 a difference or a failure, 2 usage.")]
pub(super) struct Replay {
    /// The transcript
    file: PathBuf,
    /// The card: sim:STATE, sim: (blank cards, as the transcript says), pcsc:READER, pcsc: (the only card there is)
    #[arg(long, value_name = "CARD")]
    against: String,
    /// The value of `[PIN]`
    #[arg(long, value_name = "PATH|fd:N")]
    pin_file: Option<String>,
    /// Values of the names in brackets and of the management key
    #[arg(long, value_name = "PATH|fd:N")]
    values: Option<String>,
    /// Take a YubiKey's factory values for what is not given: PIN 123456, PUK 12345678, management key 0102..08
    #[arg(long)]
    factory_values: bool,
    /// Compare every byte
    #[arg(long)]
    exact: bool,
    /// Play against the card itself and keep what changes
    #[arg(long)]
    keep_changes: bool,
    /// Send commands that may spend the last try of a PIN or PUK
    #[arg(long)]
    last_try: bool,
    /// Which reader's card to play, where several cards share the trace
    #[arg(long, value_name = "NAME")]
    reader: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseSource,
    /// One JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
}

impl Replay {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let lines = self.lines()?;
        let values = self.secret_values()?;
        let played = match self.against.split_once(':') {
            Some(("sim", "")) => self.play(&mut EmulatedCards::blank_ones(), values, &lines),
            Some(("sim", state)) => self.play_state(Path::new(state), values, &lines),
            Some(("pcsc", reader)) => self.play_reader(reader, values, &lines),
            _ => Err(Usage::of(format!(
                "--against {}: write sim:STATE, sim:, pcsc:READER or pcsc:",
                self.against
            ))),
        }
        .with_context(|| self.file.display().to_string())?;
        self.report(played)
    }

    fn lines(&self) -> anyhow::Result<Vec<Numbered>> {
        let named = || self.file.display().to_string();
        let text = Zeroizing::new(fs::read_to_string(&self.file).with_context(named)?);
        let lines = transcript::parse(&text).with_context(named)?;
        transcript::at_reader(lines, self.reader.as_deref()).map_err(|readers| match self.reader.as_deref() {
            _ if readers.is_empty() => anyhow!("{}: the trace names no readers; leave --reader out", named()),
            Some(_) => anyhow!("{}: no such --reader; the trace has: {}", named(), readers.join(", ")),
            None => anyhow!("{}: several cards; choose one with --reader: {}", named(), readers.join(", ")),
        })
    }

    fn secret_values(&self) -> anyhow::Result<SecretValues> {
        let mut values = if self.factory_values { SecretValues::factory() } else { SecretValues::default() };
        if let Some(source) = &self.values {
            values.read(&read_secret("--values", source)?).context("--values")?;
        }
        if let Some(source) = &self.pin_file {
            let text = read_secret("--pin-file", source)?;
            values.set("PIN", text.lines().next().unwrap_or_default()).context("--pin-file")?;
        }
        Ok(values)
    }

    fn play_state(&self, state: &Path, values: SecretValues, lines: &[Numbered]) -> anyhow::Result<Played> {
        if self.keep_changes {
            return self.play_itself(&mut EmulatedCards::one(self.passphrase.open(state)?), values, lines);
        }
        let copy = MemoryStore::new(self.passphrase.peek(state)?);
        let card = Card::with_store(Box::new(copy), state)?;
        self.play(&mut EmulatedCards::one(card), values, lines)
    }

    #[cfg(feature = "pcsc")]
    fn play_reader(&self, reader: &str, values: SecretValues, lines: &[Numbered]) -> anyhow::Result<Played> {
        if let (false, Some((line, command))) = (self.keep_changes, transcript::first_change(lines)) {
            bail!(
                "line {line}: {command} may change the card, and a card in a reader is not copied; play with \
                 --keep-changes if that is meant"
            );
        }
        self.play_itself(&mut crate::transcript::PcscCard::connect(reader)?, values, lines)
    }

    #[cfg(not(feature = "pcsc"))]
    fn play_reader(&self, _: &str, _: SecretValues, _: &[Numbered]) -> anyhow::Result<Played> {
        bail!(
            "this card-sim was built without PC/SC; install libpcsclite-dev and build it with \
             `cargo install --path card-sim --features pcsc`"
        )
    }

    fn play_itself(
        &self,
        bench: &mut dyn Bench,
        values: SecretValues,
        lines: &[Numbered],
    ) -> anyhow::Result<Played> {
        match self.last_try {
            true => self.play(bench, values, lines),
            false => self.play(&mut TryGuard::new(bench), values, lines),
        }
    }

    fn play(
        &self,
        bench: &mut dyn Bench,
        values: SecretValues,
        lines: &[Numbered],
    ) -> anyhow::Result<Played> {
        let comparison = if self.exact { Comparison::Exact } else { Comparison::Alike };
        Ok(Player::new(bench, values, comparison).play(lines)?)
    }

    fn report(&self, played: Played) -> anyhow::Result<()> {
        let Played { commands, alike } = played;
        let text = if self.json {
            format!("{}\n", serde_json::json!({ "commands": commands, "alike": alike }))
        } else {
            let alike = match alike {
                0 => String::new(),
                count => format!("; of {count} only status and kind, they are each card's own"),
            };
            format!("{}: {commands} commands, every answer as recorded{alike}\n", self.file.display())
        };
        super::print(text.as_bytes())
    }
}

/// A secret from a file, or from an open file descriptor.
fn read_secret(option: &str, source: &str) -> anyhow::Result<Zeroizing<String>> {
    let path = match source.strip_prefix("fd:") {
        Some(number) if number.bytes().all(|digit| digit.is_ascii_digit()) => format!("/dev/fd/{number}"),
        Some(_) => return Err(Usage::of(format!("{option} {source}: write fd:N with a number"))),
        None => source.to_owned(),
    };
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = fs::File::open(&path).and_then(|mut file| file.read_to_string(&mut text));
    read.with_context(|| format!("{option} {source}: cannot be read"))?;
    Ok(text)
}
