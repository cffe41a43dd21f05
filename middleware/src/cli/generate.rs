//! `card generate`: a key pair made on the card.
use clap::Args;
use der::Encode as _;
use der::pem::LineEnding;
use middleware::{Card, KeyAlgorithm, KeyReference};
use serde_json::json;

use super::Report;
use super::failure::ToolError;
use super::files::OutputOption;
use super::options::{ManagementOptions, PolicyOptions, algorithm};

/// What `card generate` wants to know.
#[derive(Args)]
pub(super) struct Generate {
    /// Which key: 9A, 9C, 9D, 9E; on vendors' cards 82 to 95 too
    key: KeyReference,
    /// rsa2048, rsa3072, rsa4096, p256, p384, ed25519 or x25519
    #[arg(long, value_parser = algorithm, default_value = "p256")]
    algorithm: KeyAlgorithm,
    #[command(flatten)]
    policies: PolicyOptions,
    /// Destroy the key that is there
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    management: ManagementOptions,
    #[command(flatten)]
    output: OutputOption,
}

impl Generate {
    pub(super) fn run(&self, card: &mut Card) -> anyhow::Result<Report> {
        if !self.replace {
            refuse_to_destroy(card, self.key)?;
        }
        // The public half cannot be had again from every card, and a key that was replaced is gone.
        self.output.check()?;
        let management_key = self.management.key(card)?;
        let mut transaction = card.transaction()?;
        let mut administration = transaction.authenticate(&management_key)?;
        let public_key = administration.generate_with(self.key, self.algorithm, self.policies.policies())?;
        let pem = der::pem::encode_string("PUBLIC KEY", LineEnding::LF, &public_key.to_der()?)?;
        let json = json!({
            "key": self.key.to_string(),
            "algorithm": self.algorithm.to_string(),
            "public_key": pem,
        });
        self.output.text("The public key", pem, json)
    }
}

/// A key with certificate, or one of which the card tells, is not overwritten unless asked for.
pub(super) fn refuse_to_destroy(card: &mut Card, key: KeyReference) -> anyhow::Result<()> {
    let mut transaction = card.transaction()?;
    let is_there = transaction.key_metadata(key)?.is_some() || transaction.certificate(key)?.is_some();
    if is_there { Err(ToolError::KeyIsThere(key).into()) } else { Ok(()) }
}
