//! `issuer lint`: any certificate or CRL against the rules that ours pass before they are signed.

use std::path::Path;

use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::read_file;
use super::output::{self, Format};
use crate::ca::lint::{Finding, lint_certificate, lint_crl};

#[derive(Serialize)]
struct Report {
    file: String,
    kind: &'static str,
    findings: Vec<FindingView>,
}

#[derive(Serialize)]
struct FindingView {
    rule: &'static str,
    clause: &'static str,
    message: String,
}

/// Longer files are not read.
const LIMIT: u64 = 256 * 1024 * 1024;

/// Prints the findings: exit 0 without any, 4 with some, 1 if the file is neither certificate nor CRL.
///
/// # Errors
/// The file cannot be read or understood.
pub fn run(file: &Path, format: Format) -> Result<Status, Failure> {
    let bytes = read_file(file, LIMIT)?;
    let (kind, findings) = findings(&bytes).map_err(|message| {
        Failure::new(
            "malformed",
            format!("{}: neither a certificate nor a CRL, DER or PEM: {message}", file.display()),
        )
    })?;
    let is_clean = findings.is_empty();
    match format {
        Format::Json => {
            let findings = findings.into_iter().map(|finding| {
                let Finding { rule, clause, message } = finding;
                FindingView { rule, clause, message }
            });
            output::json(&Report { file: file.display().to_string(), kind, findings: findings.collect() })?;
        }
        Format::Text if is_clean => output::line(&format!("{}: {kind} without findings.", file.display()))?,
        Format::Text => {
            for finding in &findings {
                output::line(&finding.to_string())?;
            }
        }
    }
    Ok(if is_clean { Status::Done } else { Status::NotTrusted })
}

fn findings(bytes: &[u8]) -> Result<(&'static str, Vec<Finding>), String> {
    let as_certificate = match lint_certificate(bytes) {
        Ok(findings) => return Ok(("certificate", findings)),
        Err(error) => error.to_string(),
    };
    lint_crl(bytes).map(|findings| ("CRL", findings)).map_err(|_| as_certificate)
}
