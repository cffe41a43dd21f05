//! `card attest`: the card's word that it generated a key itself.
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use der::pem::LineEnding;
use middleware::{Attestation, Card, KeyAlgorithm, KeyReference};
use serde_json::json;

use super::failure::ToolError;
use super::{Report, files};

/// What `card attest` wants to know.
#[derive(Args)]
pub(super) struct Attest {
    /// Which key: 9A, 9C, 9D, 9E or 82 to 95
    key: KeyReference,
    /// PEM file with the roots, and authorities below them, that the card's maker publishes; may be given several times
    #[arg(long, value_name = "FILE")]
    root: Vec<PathBuf>,
    /// Print only the certificates: the statement, the card's own, and the chain above it
    #[arg(long, conflicts_with = "json")]
    pem: bool,
}

impl Attest {
    pub(super) fn run(&self, card: &mut Card) -> anyhow::Result<Report> {
        let attestation = card.transaction()?.attest(self.key)?;
        attestation.verify()?;
        let mut trusted = Vec::new();
        for file in &self.root {
            trusted.extend(certificates(file)?);
        }
        let above = if self.root.is_empty() { None } else { Some(attestation.verify_to_root(&trusted)?) };
        let chain: Vec<&[u8]> = [attestation.certificate.as_slice(), &attestation.issuer_certificate]
            .into_iter()
            .chain(above.iter().flatten().map(Vec::as_slice))
            .collect();
        let mut pem = String::new();
        for certificate in &chain {
            pem.push_str(&der::pem::encode_string("CERTIFICATE", LineEnding::LF, certificate)?);
        }
        let text = if self.pem { pem.clone() } else { describe(&attestation, above.is_some())? + &pem };
        Ok(Report { text, json: object(&attestation, above.is_some(), &pem) })
    }
}

fn describe(attestation: &Attestation, is_rooted: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    let algorithm = KeyAlgorithm::of(&attestation.public_key);
    writeln!(
        text,
        "Key {} was generated on the card{}.",
        attestation.key,
        if is_rooted { "" } else { ", says the card" }
    )?;
    if let Some(algorithm) = algorithm {
        writeln!(text, "Algorithm  {algorithm}")?;
    }
    if let Some(serial) = attestation.serial {
        writeln!(text, "Serial     {serial}")?;
    }
    if let Some((major, minor, patch)) = attestation.firmware {
        writeln!(text, "Firmware   {major}.{minor}.{patch}")?;
    }
    if let Some(policy) = attestation.pin_policy {
        writeln!(text, "PIN        {policy}")?;
    }
    if let Some(policy) = attestation.touch_policy {
        writeln!(text, "Touch      {policy}")?;
    }
    let root = if is_rooted {
        "leads to a root that was given"
    } else {
        "not followed: anybody can make such a card; name the maker's root with --root FILE"
    };
    writeln!(text, "Chain      {root}")?;
    Ok(text)
}

fn object(attestation: &Attestation, is_rooted: bool, pem: &str) -> serde_json::Value {
    json!({
        "key": attestation.key.to_string(),
        "algorithm": KeyAlgorithm::of(&attestation.public_key).map(|algorithm| algorithm.to_string()),
        "serial": attestation.serial,
        "firmware": attestation.firmware.map(|(major, minor, patch)| format!("{major}.{minor}.{patch}")),
        "pin_policy": attestation.pin_policy.map(|policy| policy.to_string()),
        "touch_policy": attestation.touch_policy.map(|policy| policy.to_string()),
        "trusted_root": is_rooted,
        "chain": pem,
    })
}

fn certificates(file: &std::path::Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = files::read(Some(file))?;
    let malformed = |_| ToolError::NotCertificates(file.display().to_string());
    let certificates = x509_cert::Certificate::load_pem_chain(&bytes).map_err(malformed)?;
    Ok(certificates.iter().map(der::Encode::to_der).collect::<Result<_, _>>().map_err(malformed)?)
}
