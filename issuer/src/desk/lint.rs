//! `issuer lint`: any certificate or CRL against the rules that ours pass before they are signed.

use std::path::Path;

use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::read_file;
use super::output::{self, Format};
use crate::ca::certificate::{PemBlock, pem_blocks, pem_contents};
use crate::ca::crl::view::CrlView;
use crate::ca::lint::{Finding, lint_certificate, lint_crl};
use crate::ca::{CaError, Certificate};

#[derive(Serialize)]
struct Report {
    file: String,
    /// All findings, each with its block.
    findings: Vec<FindingView>,
    blocks: Vec<Block>,
}

/// One certificate or CRL of the file: a PEM block, or the whole of a DER file.
#[derive(Serialize)]
struct Block {
    number: usize,
    kind: String,
    /// Subject of a certificate, issuer of a CRL.
    subject: Option<String>,
    findings: usize,
    /// Why it was not checked.
    error: Option<String>,
}

#[derive(Serialize)]
struct FindingView {
    block: usize,
    rule: &'static str,
    clause: &'static str,
    message: String,
}

/// Longer files are not read.
const LIMIT: u64 = 256 * 1024 * 1024;

/// Prints the findings of every block: exit 0 without any, 4 with some, 3 if a block is neither certificate nor CRL, 1
/// if all are.
///
/// # Errors
/// The file cannot be read, or nothing in it is a certificate or CRL.
pub fn run(file: &Path, format: Format) -> Result<Status, Failure> {
    let report = judge(file, &read_file(file, LIMIT)?);
    let unchecked = report.blocks.iter().filter(|block| block.error.is_some()).count();
    if unchecked == report.blocks.len() {
        let reasons = report.blocks.iter().map(|block| match &block.error {
            Some(error) if report.blocks.len() > 1 => format!("block {}: {error}", block.number),
            error => error.clone().unwrap_or_default(),
        });
        let message = format!(
            "{}: neither a certificate nor a CRL, DER or PEM: {}",
            report.file,
            reasons.collect::<Vec<_>>().join("; ")
        );
        return Err(Failure::new("malformed", message));
    }
    let status = match (report.findings.is_empty(), unchecked) {
        (false, _) => Status::NotTrusted,
        (true, 0) => Status::Done,
        (true, _) => Status::Partly,
    };
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => show(&report)?,
    }
    Ok(status)
}

fn show(report: &Report) -> Result<(), Failure> {
    for block in &report.blocks {
        let name = match (report.blocks.len(), &block.subject) {
            (1, _) => report.file.clone(),
            (_, Some(subject)) => format!("{}, block {} ({subject})", report.file, block.number),
            (_, None) => format!("{}, block {}", report.file, block.number),
        };
        match &block.error {
            Some(error) => output::progress(&format!("{name}: not checked: {error}")),
            None if block.findings == 0 => {
                output::line(&format!("{name}: {} without findings.", block.kind))?;
            }
            None => output::line(&format!("{name}: {} with findings:", block.kind))?,
        }
        for finding in report.findings.iter().filter(|finding| finding.block == block.number) {
            output::line(&format!("{}: {} ({})", finding.rule, finding.message, finding.clause))?;
        }
    }
    Ok(())
}

fn judge(file: &Path, bytes: &[u8]) -> Report {
    let mut report = Report { file: file.display().to_string(), findings: Vec::new(), blocks: Vec::new() };
    let blocks = pem_blocks(bytes);
    // A DER file may hold anything, the beginning of a PEM block too.
    let is_der = matches!(bytes, [0x30, 0x80..=0xFF, ..]);
    if is_der || blocks.is_empty() {
        report.add(der(bytes));
    } else {
        for block in &blocks {
            report.add(pem(block));
        }
    }
    report
}

impl Report {
    fn add(&mut self, judged: Judged) {
        let number = self.blocks.len() + 1;
        let Judged { kind, subject, outcome } = judged;
        let (findings, error) = match outcome {
            Ok(findings) => (findings, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        self.blocks.push(Block { number, kind, subject, findings: findings.len(), error });
        self.findings.extend(findings.into_iter().map(|Finding { rule, clause, message }| FindingView {
            block: number,
            rule,
            clause,
            message,
        }));
    }
}

struct Judged {
    kind: String,
    subject: Option<String>,
    outcome: Result<Vec<Finding>, String>,
}

fn pem(block: &PemBlock) -> Judged {
    let contents =
        || pem_contents(&block.label, block.text.as_bytes()).ok_or_else(|| "broken PEM".to_owned());
    match block.label.as_str() {
        "CERTIFICATE" => judged("certificate", contents(), lint_certificate),
        "X509 CRL" => judged("CRL", contents(), lint_crl),
        label => Judged {
            kind: label.to_owned(),
            subject: None,
            outcome: Err(format!("{label:?} is neither a certificate nor a CRL")),
        },
    }
}

fn der(bytes: &[u8]) -> Judged {
    match lint_crl(bytes) {
        Ok(_) => judged("CRL", Ok(bytes.to_vec()), lint_crl),
        Err(_) => judged("certificate", Ok(bytes.to_vec()), lint_certificate),
    }
}

fn judged(
    kind: &str,
    der: Result<Vec<u8>, String>,
    lint: fn(&[u8]) -> Result<Vec<Finding>, CaError>,
) -> Judged {
    let subject = der.as_ref().ok().and_then(|der| subject(der));
    let outcome = der.and_then(|der| lint(&der).map_err(|error| error.to_string()));
    Judged { kind: kind.to_owned(), subject, outcome }
}

fn subject(der: &[u8]) -> Option<String> {
    match Certificate::from_der(der.to_vec()) {
        Ok(certificate) => Some(certificate.subject()),
        Err(_) => CrlView::from_der(der).ok().map(|crl| crl.issuer.to_string()),
    }
}
