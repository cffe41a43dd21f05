//! `card import`: a certificate, a private key, or both, from a PEM file.
use std::path::PathBuf;

use clap::Args;
use der::{Decode as _, Encode as _};
use middleware::secret_source::SecretSource;
use middleware::{Card, FileKey, KeyReference, Signer as _};
use serde_json::json;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Certificate;
use zeroize::Zeroizing;

use super::failure::ToolError;
use super::generate::refuse_to_destroy;
use super::options::{ManagementOptions, PolicyOptions};
use super::{Report, files};

/// What `card import` wants to know.
#[derive(Args)]
pub(super) struct Import {
    /// Where to: 9A, 9C, 9D, 9E or 82 to 95
    key: KeyReference,
    /// A PEM file with a certificate, a private key (PKCS#8, encrypted or not), or both
    file: PathBuf,
    #[command(flatten)]
    policies: PolicyOptions,
    /// Overwrite the private key that is there
    #[arg(long)]
    replace: bool,
    /// Read the passphrase of the private key from fd:N or a file, instead of asking
    #[arg(long, value_name = "fd:N|PATH|pinentry")]
    passphrase_file: Option<SecretSource>,
    #[command(flatten)]
    management: ManagementOptions,
}

/// What a file holds.
#[derive(Default)]
struct Found {
    certificate: Option<Vec<u8>>,
    private_key: Option<FileKey>,
}

impl Import {
    pub(super) fn run(&self, card: &mut Card) -> anyhow::Result<Report> {
        let found = self.read()?;
        let certified =
            found.certificate.as_deref().map(|certificate| self.subject_key(certificate)).transpose()?;
        match (&certified, &found.private_key) {
            (None, None) => return Err(ToolError::NothingToImport(self.file.display().to_string()).into()),
            (Some(certified), Some(private_key)) if private_key.public_key() != certified => {
                return Err(ToolError::KeyAndCertificateDiffer.into());
            }
            (Some(certified), None) => self.refuse_a_strangers_certificate(card, certified)?,
            _ => {}
        }
        if found.private_key.is_some() && !self.replace {
            refuse_to_destroy(card, self.key)?;
        }
        let management_key = self.management.key(card)?;
        let mut transaction = card.transaction()?;
        let mut administration = transaction.authenticate(&management_key)?;
        if let Some(private_key) = &found.private_key {
            administration.import_with(self.key, &private_key.to_private_key(), self.policies.policies())?;
        }
        if let Some(certificate) = &found.certificate {
            administration.write_certificate(self.key, certificate)?;
        }
        let what = match (&found.private_key, &found.certificate) {
            (Some(_), Some(_)) => "The private key and its certificate were",
            (Some(_), None) => "The private key was",
            _ => "The certificate was",
        };
        Ok(Report {
            text: format!("{what} written to {}.", self.key),
            json: json!({
                "key": self.key.to_string(),
                "private_key": found.private_key.is_some(),
                "certificate": found.certificate.is_some(),
            }),
        })
    }

    fn read(&self) -> anyhow::Result<Found> {
        let bytes = files::read(Some(&self.file))?;
        let name = || self.file.display().to_string();
        if bytes.first() == Some(&0x30) {
            // A DER certificate needs no PEM; a PKCS#12 file is DER too.
            return match Certificate::from_der(&bytes) {
                Ok(_) => Ok(Found { certificate: Some(bytes.to_vec()), private_key: None }),
                Err(_) => Err(ToolError::NotPem(name()).into()),
            };
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| ToolError::NotPem(name()))?;
        let mut found = Found::default();
        for block in pem_blocks(text) {
            let (label, der) =
                der::pem::decode_vec(block.as_bytes()).map_err(|_| ToolError::NotPem(name()))?;
            let der = Zeroizing::new(der);
            match label {
                // The first is the key's own; what follows are the authorities above it.
                "CERTIFICATE" if found.certificate.is_none() => found.certificate = Some(der.to_vec()),
                "PRIVATE KEY" => found.private_key = Some(FileKey::from_pkcs8_der(&der)?),
                "ENCRYPTED PRIVATE KEY" => {
                    let source = self.passphrase_file.clone().unwrap_or(SecretSource::Terminal);
                    let passphrase = source.read(&format!("Passphrase of {}", self.file.display()))?;
                    found.private_key = Some(FileKey::from_encrypted_pkcs8_pem(block, &passphrase)?);
                }
                label if label.ends_with("PRIVATE KEY") => {
                    return Err(ToolError::OldPrivateKey(label.to_owned()).into());
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn subject_key(&self, certificate: &[u8]) -> anyhow::Result<SubjectPublicKeyInfoOwned> {
        let not_one = |_| ToolError::NotPem(self.file.display().to_string());
        let certificate = Certificate::from_der(certificate).map_err(not_one)?;
        let public_key = certificate.tbs_certificate().subject_public_key_info().to_der().map_err(not_one)?;
        Ok(SubjectPublicKeyInfoOwned::from_der(&public_key).map_err(not_one)?)
    }

    /// Where the card tells which key it has, a certificate for another one is refused.
    fn refuse_a_strangers_certificate(
        &self,
        card: &mut Card,
        certified: &SubjectPublicKeyInfoOwned,
    ) -> anyhow::Result<()> {
        let metadata = card.transaction()?.key_metadata(self.key)?;
        match metadata.and_then(|metadata| metadata.public_key) {
            Some(own) if own != *certified => Err(ToolError::StrangersCertificate(self.key).into()),
            _ => Ok(()),
        }
    }
}

/// From each BEGIN to its END; what stands between them is remarks.
fn pem_blocks(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let block = rest.get(start..).unwrap_or_default();
        let Some(end) = block.find("-----END ") else { break };
        let after = block.get(end..).unwrap_or_default();
        let length = end + after.find('\n').unwrap_or(after.len());
        blocks.push(block.get(..length).unwrap_or_default().trim());
        rest = block.get(length..).unwrap_or_default();
    }
    blocks
}
