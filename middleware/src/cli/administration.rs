//! `card move`, `delete`, `set-retries`, `change-management-key` and `reset`: what vendors' cards add for their owner.
use clap::Args;
use middleware::secret_source::SecretSource;
use middleware::{Card, KeyReference, ManagementKey, ManagementKeyAlgorithm, holder_state};
use serde_json::json;

use super::Report;
use super::failure::ToolError;
use super::options::{ManagementOptions, PinOptions};

/// What `card move` wants to know.
#[derive(Args)]
pub(super) struct Move {
    /// The key to move
    from: KeyReference,
    /// Where to; no key may be there
    to: KeyReference,
    #[command(flatten)]
    management: ManagementOptions,
}

impl Move {
    /// The key, and its certificate with it.
    pub(super) fn run(&self, card: &mut Card) -> anyhow::Result<Report> {
        let management_key = self.management.key(card)?;
        let mut transaction = card.transaction()?;
        let certificate = transaction.certificate(self.from)?;
        let mut administration = transaction.authenticate(&management_key)?;
        administration.move_key(self.from, self.to)?;
        if let Some(certificate) = &certificate {
            administration.write_certificate(self.to, certificate)?;
            administration.write_object(self.from.certificate_object(), &[])?;
        }
        let what = if certificate.is_some() { "key and its certificate are" } else { "key is" };
        Ok(Report {
            text: format!("The {what} now {}.", self.to),
            json: json!({ "from": self.from.to_string(), "to": self.to.to_string(), "certificate": certificate.is_some() }),
        })
    }
}

/// What `card delete` wants to know.
#[derive(Args)]
pub(super) struct Delete {
    /// Which key: 9A, 9C, 9D, 9E or 82 to 95
    key: KeyReference,
    /// Delete only the certificate; any card can do that
    #[arg(long)]
    certificate_only: bool,
    #[command(flatten)]
    management: ManagementOptions,
}

impl Delete {
    pub(super) fn run(&self, card: &mut Card) -> anyhow::Result<Report> {
        let management_key = self.management.key(card)?;
        let mut transaction = card.transaction()?;
        let mut administration = transaction.authenticate(&management_key)?;
        if !self.certificate_only {
            administration.delete_key(self.key)?;
        }
        administration.write_object(self.key.certificate_object(), &[])?;
        let what =
            if self.certificate_only { "The certificate is" } else { "The key and its certificate are" };
        Ok(Report {
            text: format!("{what} gone from {}.", self.key),
            json: json!({ "key": self.key.to_string(), "private_key": !self.certificate_only, "certificate": true }),
        })
    }
}

/// What `card set-retries` wants to know.
#[derive(Args)]
pub(super) struct SetRetries {
    /// How many tries the PIN has
    #[arg(value_name = "PIN_TRIES", value_parser = clap::value_parser!(u8).range(1..))]
    of_pin: u8,
    /// How many tries the PUK has
    #[arg(value_name = "PUK_TRIES", value_parser = clap::value_parser!(u8).range(1..))]
    of_puk: u8,
    #[command(flatten)]
    management: ManagementOptions,
    #[command(flatten)]
    pin: PinOptions,
}

impl SetRetries {
    pub(super) fn run(&self, card: &mut Card) -> anyhow::Result<Report> {
        let guid = card.identity()?.guid;
        let management_key = self.management.key(card)?;
        let pin = self.pin.pin(card)?;
        let mut transaction = card.transaction()?;
        let mut administration = transaction.authenticate(&management_key)?;
        administration.set_retries(&pin, self.pin.last_try(), self.of_pin, self.of_puk)?;
        forget_the_holders_pin(guid);
        Ok(Report {
            text: format!(
                "The PIN has {} tries and the PUK {}. The card has set both back to 123456 and 12345678:\n\
                 change them now with card change-pin and card change-puk.",
                self.of_pin, self.of_puk
            ),
            json: json!({ "pin_tries": self.of_pin, "puk_tries": self.of_puk, "factory_pin_and_puk": true }),
        })
    }
}

/// What `card change-management-key` wants to know.
#[derive(Args)]
pub(super) struct ChangeManagementKey {
    /// The new key's cipher; absent, as it is now
    #[arg(long, value_parser = cipher, value_name = "3des|aes128|aes192|aes256")]
    algorithm: Option<ManagementKeyAlgorithm>,
    /// Read the new management key, in hex, from fd:N or a file, instead of asking for it
    #[arg(long, value_name = "fd:N|PATH|pinentry")]
    new_management_key_file: Option<SecretSource>,
    #[command(flatten)]
    management: ManagementOptions,
}

impl ChangeManagementKey {
    pub(super) fn run(&self, card: &mut Card) -> anyhow::Result<Report> {
        let now = card.transaction()?.management_key_algorithm()?;
        let algorithm = self.algorithm.unwrap_or(now);
        let old = self.management.key(card)?;
        let source = self.new_management_key_file.clone().unwrap_or(SecretSource::Terminal);
        let prompt = format!("New management key ({} hex digits)", 2 * algorithm.key_length());
        let text = source.read(&prompt)?;
        if source.is_terminal() && *source.read("New management key again")? != *text {
            return Err(ToolError::NewManagementKeysDiffer.into());
        }
        let bytes =
            zeroize::Zeroizing::new(hex::decode(text.trim()).map_err(|_| ToolError::ManagementKeyNotHex)?);
        let new = ManagementKey::new(algorithm, &bytes)?;
        card.transaction()?.authenticate(&old)?.set_management_key(&new)?;
        Ok(Report { text: "The management key was changed.".to_owned(), json: json!({ "changed": true }) })
    }
}

fn cipher(text: &str) -> Result<ManagementKeyAlgorithm, String> {
    match text {
        "3des" => Ok(ManagementKeyAlgorithm::TripleDes),
        "aes128" => Ok(ManagementKeyAlgorithm::Aes128),
        "aes192" => Ok(ManagementKeyAlgorithm::Aes192),
        "aes256" => Ok(ManagementKeyAlgorithm::Aes256),
        _ => Err("write 3des, aes128, aes192 or aes256".to_owned()),
    }
}

/// What `card reset` wants to know.
#[derive(Args)]
pub(super) struct Reset {
    /// Do not ask: destroy every key and certificate on the card
    #[arg(long)]
    yes: bool,
}

impl Reset {
    pub(super) fn run(&self, card: &mut Card) -> anyhow::Result<Report> {
        let identity = card.identity()?;
        let name = identity.serial.map(|serial| serial.to_string());
        let name =
            name.or_else(|| identity.guid.map(hex::encode)).unwrap_or_else(|| card.reader_name().to_owned());
        if !self.yes {
            confirm(&name)?;
        }
        card.transaction()?.reset_application()?;
        forget_the_holders_pin(identity.guid);
        Ok(Report {
            text: format!(
                "Card {name} is blank: PIN 123456, PUK 12345678, the factory's management key, no key, no certificate."
            ),
            json: json!({ "reset": true, "card": name }),
        })
    }
}

/// Answered only by somebody who reads the question.
fn confirm(name: &str) -> anyhow::Result<()> {
    use std::io::{BufRead as _, IsTerminal as _, Write as _};
    if !std::io::stdin().is_terminal() {
        return Err(ToolError::NotConfirmed.into());
    }
    let mut shown = std::io::stderr().lock();
    write!(
        shown,
        "This destroys every key and certificate on card {name}, for good. Type {name} to go on: "
    )?;
    shown.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == name { Ok(()) } else { Err(ToolError::NotConfirmed.into()) }
}

/// The PIN is the factory's again, which everybody knows.
fn forget_the_holders_pin(guid: Option<[u8; 16]>) {
    if let Some(guid) = guid
        && let Err(error) = holder_state::deactivate(&guid)
    {
        tracing::warn!(%error, "that the PIN is the factory's again could not be recorded");
    }
}
