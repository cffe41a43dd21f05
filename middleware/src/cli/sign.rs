//! `card sign`: a bare signature over a file.
use std::path::PathBuf;

use clap::Args;
use middleware::{Card, DigestAlgorithm, KeyAlgorithm, KeyReference, SignatureScheme, holder_state};

use super::Report;
use super::failure::ToolError;
use super::files::{self, Audience, OutputOption};
use super::options::PinOptions;
use super::signature::{digested, public_key, scheme, sign, usual_digest};

/// What `card sign` wants to know.
#[derive(Args)]
pub(super) struct Sign {
    /// Which key: 9A, 9C, 9D, 9E or 82 to 95
    key: KeyReference,
    /// What to sign; standard input if absent
    file: Option<PathBuf>,
    /// The hash: sha256, sha384 or sha512; absent, it goes with the key. Ed25519 signs the file itself
    #[arg(long, value_parser = hash)]
    hash: Option<DigestAlgorithm>,
    /// RSASSA-PSS instead of PKCS #1 v1.5, for RSA keys
    #[arg(long)]
    pss: bool,
    /// The key's public half, where the card does not tell it
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    #[command(flatten)]
    pin: PinOptions,
    #[command(flatten)]
    output: OutputOption,
}

impl Sign {
    pub(super) fn run(&self, card: &mut Card, as_json: bool) -> anyhow::Result<Report> {
        refuse_a_transport_pin(card)?;
        let public_key = public_key(card, self.key, self.public_key.as_deref())?;
        let algorithm = KeyAlgorithm::of(&public_key).ok_or(ToolError::UnknownAlgorithm(self.key))?;
        let digest_algorithm = self.hash.unwrap_or_else(|| usual_digest(algorithm));
        let (mut scheme, _) = scheme(algorithm, digest_algorithm)?;
        if self.pss {
            if !algorithm.is_rsa() {
                return Err(ToolError::PssWithoutRsa(algorithm).into());
            }
            scheme = SignatureScheme::RsaPss(digest_algorithm);
        }
        let digest = digested(scheme, files::open(self.file.as_deref())?.as_mut())?;
        let signature = sign(card, self.key, &public_key, &self.pin, scheme, &digest)?;
        self.output.bytes("Signature", &signature, Audience::Anybody, as_json)
    }
}

/// Others have seen the transport PIN: our tools sign only after the holder has changed it, or says so.
fn refuse_a_transport_pin(card: &mut Card) -> anyhow::Result<()> {
    match card.identity()?.guid {
        Some(guid) if !holder_state::is_activated(&guid) => Err(ToolError::TransportPin.into()),
        // A card without GUID was never issued: there was no transport.
        _ => Ok(()),
    }
}

fn hash(text: &str) -> Result<DigestAlgorithm, String> {
    match text.to_lowercase().replace('-', "").as_str() {
        "sha256" => Ok(DigestAlgorithm::Sha256),
        "sha384" => Ok(DigestAlgorithm::Sha384),
        "sha512" => Ok(DigestAlgorithm::Sha512),
        _ => Err("write sha256, sha384 or sha512".to_owned()),
    }
}
