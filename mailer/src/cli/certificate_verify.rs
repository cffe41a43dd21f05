//! `mailer certificate verify`: a certificate judged offline, by what the command line names and nothing else.
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use const_oid::ObjectIdentifier;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::certificate_files::{self, Files};
use super::report::{Exit, Failure, print_text};
use crate::clock::{Clock, SystemClock};
use crate::message::terminal_text::{safe_line, safe_text};
use crate::trust::examination::{Examination, Finding};
use crate::trust::{
    ANY_POLICY, Acceptance, Anchor, Anchors, Certificate, CertificateProblem, Evidence, EvidenceKind,
    PolicyInputs, Purpose, in_words,
};

/// Verifies a certificate as RFC 5280 says: path, policies, revocation. Offline; no account is needed.
///
/// Files are DER or PEM; a PEM file may hold several. Where CRLs or OCSP answers are given, every certificate of the path
/// must be known not to be revoked; without any, revocation is not checked, and that is said. Algorithms that are no longer
/// believed (SHA-1, DSA) are warned of.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 valid, 1 a file cannot be read, 2 usage, 4 not trusted.

Example:
  mailer certificate verify alice.pem --anchor root.pem --intermediate people.pem --crl crls/ --purpose signing")]
pub(super) struct Verify {
    /// The certificate to judge; further ones in its file are taken for intermediates
    certificate: PathBuf,
    /// A CA that is trusted
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    anchor: Vec<PathBuf>,
    /// CA certificates that may stand between
    #[arg(long, value_name = "FILE", num_args = 1..)]
    intermediate: Vec<PathBuf>,
    /// CRLs; of a folder, every file that ends in .crl
    #[arg(long, value_name = "FILE|DIR", num_args = 1..)]
    crl: Vec<PathBuf>,
    /// OCSP answers
    #[arg(long, value_name = "FILE", num_args = 1..)]
    ocsp: Vec<PathBuf>,
    /// The moment to judge for, as 2026-06-01 or 2026-06-01T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// Certificate policies that are acceptable [default: any]
    #[arg(long, value_name = "OID", num_args = 1.., value_parser = policy)]
    policy: Vec<ObjectIdentifier>,
    /// The path must be valid for an acceptable policy
    #[arg(long)]
    explicit_policy: bool,
    /// anyPolicy counts for nothing
    #[arg(long)]
    inhibit_any_policy: bool,
    /// Policies are not mapped to others
    #[arg(long)]
    inhibit_mapping: bool,
    /// What the certificate shall be used for
    #[arg(long, value_enum, default_value_t = PurposeArgument::Any)]
    purpose: PurposeArgument,
    /// One JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PurposeArgument {
    /// Usages are not looked at
    Any,
    /// Signing mail
    Signing,
    /// Receiving encrypted mail
    Encryption,
}

impl Verify {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let at = self.at.unwrap_or_else(|| SystemClock.now());
        let mut given = certificate_files::certificates(&self.certificate)?.into_iter();
        let unreadable = || Failure::new("certificate-malformed", "there is no certificate in the file");
        let certificate = given.next().ok_or_else(unreadable)?;
        let files = Files::read(given.collect(), &self.intermediate, &self.crl, &self.ocsp)?;
        let mut anchors = Anchors::default();
        for path in &self.anchor {
            let found = certificate_files::certificates(path)?.into_iter();
            anchors.0.extend(found.map(|certificate| Anchor { certificate, domains: Vec::new() }));
        }
        let examination = Examination {
            anchors: &anchors,
            intermediates: &files.intermediates,
            lists: &files.lists,
            responses: &files.responses,
            purpose: self.purpose(),
            at,
            acceptance: Acceptance::Historic,
            policies: self.policies(),
        };
        let finding = examination.of(&certificate);
        let exit = if finding.is_ok() { Exit::Done } else { Exit::NotTrusted };
        let text = match self.json {
            true => format!("{}\n", self.as_json(&certificate, at, &finding, exit)),
            false => self.as_text(&certificate, at, &finding),
        };
        print_text(&text)?;
        Ok(exit)
    }

    fn purpose(&self) -> Purpose {
        match self.purpose {
            PurposeArgument::Any => Purpose::Any,
            PurposeArgument::Signing => Purpose::Signing,
            PurposeArgument::Encryption => Purpose::Encryption,
        }
    }

    fn policies(&self) -> PolicyInputs {
        let acceptable: BTreeSet<ObjectIdentifier> = self.policy.iter().copied().collect();
        PolicyInputs {
            acceptable: Some(acceptable).filter(|policies| !policies.is_empty()),
            explicit: self.explicit_policy,
            inhibit_mapping: self.inhibit_mapping,
            inhibit_any: self.inhibit_any_policy,
        }
    }

    fn as_json(
        &self,
        certificate: &Certificate,
        at: Timestamp,
        finding: &Result<Finding, CertificateProblem>,
        exit: Exit,
    ) -> Value {
        let mut object = json!({
            "command": "certificate verify",
            "certificate": certificate_json(certificate),
            "at": at.to_string(),
            "purpose": self.purpose.to_possible_value().map(|value| value.get_name().to_owned()),
            "exit": exit.code(),
        });
        let more = match finding {
            Ok(finding) => json!({
                "trusted": true,
                "code": "trusted",
                "sentence": "The certificate is valid.",
                "chain": finding.chain.iter().map(certificate_json).collect::<Vec<_>>(),
                "anchor": certificate_json(&finding.anchor),
                "revocation": if finding.revocation.is_some() { "good" } else { "not-checked" },
                "revocation_by": finding.revocation.map(|evidence| match evidence.kind {
                    EvidenceKind::Crl => "crl",
                    EvidenceKind::Ocsp => "ocsp",
                }),
                "revocation_as_of": finding.revocation.map(|evidence| evidence.as_of.to_string()),
                "policies": finding.policies.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "warnings": finding.warnings.iter().map(|warning| safe_line(warning)).collect::<Vec<_>>(),
            }),
            Err(problem) => json!({
                "trusted": false,
                "code": problem.code(),
                "sentence": safe_line(&sentence(&problem.in_words("the certificate"))),
            }),
        };
        if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
            object.extend(more.clone());
        }
        object
    }

    fn as_text(
        &self,
        certificate: &Certificate,
        at: Timestamp,
        finding: &Result<Finding, CertificateProblem>,
    ) -> String {
        let finding = match finding {
            Ok(finding) => finding,
            Err(problem) => {
                let text = format!(
                    "Not trusted: {}\nThe certificate says that it is of {}, issued by {}.\n",
                    sentence(&problem.in_words("the certificate")),
                    in_one_line(certificate),
                    certificate.issuer(),
                );
                return safe_text(&text);
            }
        };
        let mut text = format!("Valid on {}, for {}.\n", in_words(at), self.purpose().in_words());
        for (position, certificate) in finding.chain.iter().enumerate() {
            let who = in_one_line(certificate);
            let until = in_words(certificate.not_after());
            let _ = writeln!(
                text,
                "{}. {who}, issued by {}, valid until {until}",
                position + 1,
                certificate.issuer()
            );
        }
        let _ = writeln!(text, "Trusted CA: {}", in_one_line(&finding.anchor));
        let unchecked = || "not checked: no CRL and no OCSP answer was given".to_owned();
        let revocation = finding.revocation.map_or_else(unchecked, revocation_in_words);
        let _ = writeln!(text, "Revocation: {revocation}");
        let _ = writeln!(text, "Policies: {}", policies_in_words(&finding.policies));
        for warning in &finding.warnings {
            let _ = writeln!(text, "Warning: {warning}");
        }
        safe_text(&text)
    }
}

fn certificate_json(certificate: &Certificate) -> Value {
    json!({
        "subject": safe_line(&certificate.subject()),
        "issuer": safe_line(&certificate.issuer()),
        "serial_number": certificate.serial_number(),
        "addresses": certificate.mail_addresses().iter().map(|address| safe_line(address)).collect::<Vec<_>>(),
        "not_before": certificate.not_before().to_string(),
        "not_after": certificate.not_after().to_string(),
        "sha256": hex::encode(Sha256::digest(certificate.der())),
    })
}

fn in_one_line(certificate: &Certificate) -> String {
    match certificate.mail_addresses_in_words() {
        addresses if addresses.is_empty() => certificate.subject(),
        addresses => format!("{} <{addresses}>", certificate.subject()),
    }
}

fn policies_in_words(policies: &BTreeSet<ObjectIdentifier>) -> String {
    let names = policies.iter().map(|policy| match *policy {
        ANY_POLICY => "any policy".to_owned(),
        other => other.to_string(),
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn revocation_in_words(evidence: Evidence) -> String {
    let by = match evidence.kind {
        EvidenceKind::Crl => "the CRL",
        EvidenceKind::Ocsp => "the OCSP answer",
    };
    format!("not revoked as of {by} of {}", in_words(evidence.as_of))
}

/// Ends with a full stop.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

fn policy(text: &str) -> Result<ObjectIdentifier, String> {
    text.parse().map_err(|_| {
        "a policy is named by its object identifier, such as 2.16.840.1.101.3.2.1.48.1".to_owned()
    })
}

fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let date: jiff::civil::Date =
        text.parse().map_err(|_| "a moment is written 2026-06-01 or 2026-06-01T12:00:00Z".to_owned())?;
    date.to_zoned(jiff::tz::TimeZone::UTC)
        .map(|zoned| zoned.timestamp())
        .map_err(|problem| problem.to_string())
}
