//! `card certificates`: what is certified for each key.
use std::fmt::Write as _;

use der::pem::LineEnding;
use der::{Decode, Encode};
use middleware::{Card, KeyAlgorithm, KeyEntry, KeyReference};
use serde_json::json;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::Report;
use super::failure::ToolError;

pub(super) fn run(card: &mut Card, key: Option<KeyReference>, pem: bool) -> anyhow::Result<Report> {
    let certificates = match key {
        None => card.certificates()?,
        Some(key) => vec![(key, card.certificate(key)?.ok_or(ToolError::NoCertificate(key))?)],
    };
    if pem {
        return in_pem(&certificates);
    }
    let summaries: Vec<_> =
        certificates.iter().map(|(key, certificate)| CertificateSummary::new(*key, certificate)).collect();
    let text = if summaries.is_empty() {
        "There is no certificate on the card.".to_owned()
    } else {
        summaries.iter().map(CertificateSummary::to_text).collect::<Result<Vec<_>, _>>()?.join("\n")
    };
    Ok(Report { text, json: json!(summaries.iter().map(CertificateSummary::to_json).collect::<Vec<_>>()) })
}

fn in_pem(certificates: &[(KeyReference, Vec<u8>)]) -> anyhow::Result<Report> {
    let mut text = String::new();
    for (_, certificate) in certificates {
        text.push_str(&der::pem::encode_string("CERTIFICATE", LineEnding::LF, certificate)?);
    }
    Ok(Report { json: json!(text), text })
}

/// What the holder wants to know of a certificate.
pub(super) struct CertificateSummary {
    key: KeyReference,
    content: Result<Content, String>,
}

#[derive(Default)]
struct Content {
    subject: String,
    mail: Vec<String>,
    issuer: String,
    not_before: String,
    not_after: String,
    serial_number: String,
    algorithm: Option<KeyAlgorithm>,
}

impl CertificateSummary {
    pub(super) fn new(key: KeyReference, certificate: &[u8]) -> Self {
        Self { key, content: Content::read(certificate).map_err(|error| error.to_string()) }
    }

    /// Of a key that may have no certificate, or one that cannot be read.
    pub(super) fn of_entry(entry: &KeyEntry) -> Self {
        match (&entry.certificate, &entry.problem) {
            (Some(certificate), _) => Self::new(entry.reference, certificate),
            (None, Some(problem)) => Self { key: entry.reference, content: Err(problem.clone()) },
            (None, None) => {
                let content = Content { algorithm: entry.algorithm, ..Content::default() };
                Self { key: entry.reference, content: Ok(content) }
            }
        }
    }

    pub(super) fn one_line(&self) -> String {
        match &self.content {
            Ok(content) => {
                let subject =
                    if content.serial_number.is_empty() { "no certificate" } else { &content.subject };
                format!("{}  {:<8}  {subject}", self.key, content.algorithm_name())
            }
            Err(problem) => format!("{}  unreadable certificate: {problem}", self.key),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let (reference, purpose) = (self.key.to_string(), self.key.purpose());
        match &self.content {
            Ok(content) if content.serial_number.is_empty() => json!({
                "key": reference,
                "purpose": purpose,
                "algorithm": content.algorithm.map(|algorithm| algorithm.to_string()),
                "subject": null,
            }),
            Ok(content) => json!({
                "key": reference,
                "purpose": purpose,
                "algorithm": content.algorithm.map(|algorithm| algorithm.to_string()),
                "subject": content.subject,
                "mail": content.mail,
                "issuer": content.issuer,
                "not_before": content.not_before,
                "not_after": content.not_after,
                "serial_number": content.serial_number,
            }),
            Err(problem) => json!({ "key": reference, "purpose": purpose, "problem": problem }),
        }
    }

    fn to_text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(text, "{}  {}", self.key, self.key.purpose())?;
        let content = match &self.content {
            Ok(content) => content,
            Err(problem) => {
                writeln!(text, "    unreadable certificate: {problem}")?;
                return Ok(text);
            }
        };
        writeln!(text, "    Subject  {}", content.subject)?;
        if !content.mail.is_empty() {
            writeln!(text, "    Mail     {}", content.mail.join(", "))?;
        }
        writeln!(text, "    Issuer   {}", content.issuer)?;
        writeln!(text, "    Valid    {} to {}", content.not_before, content.not_after)?;
        writeln!(text, "    Serial   {}", content.serial_number)?;
        writeln!(text, "    Key      {}", content.algorithm_name())?;
        Ok(text)
    }
}

impl Content {
    fn read(bytes: &[u8]) -> der::Result<Self> {
        let certificate = Certificate::from_der(bytes)?;
        let certificate = certificate.tbs_certificate();
        let public_key =
            SubjectPublicKeyInfoOwned::from_der(&certificate.subject_public_key_info().to_der()?)?;
        let names =
            certificate.get_extension::<SubjectAltName>()?.map(|(_, names)| names.0).unwrap_or_default();
        let mail = names.iter().filter_map(|name| match name {
            GeneralName::Rfc822Name(address) => Some(address.to_string()),
            _ => None,
        });
        Ok(Self {
            subject: certificate.subject().to_string(),
            mail: mail.collect(),
            issuer: certificate.issuer().to_string(),
            not_before: certificate.validity().not_before.to_string(),
            not_after: certificate.validity().not_after.to_string(),
            serial_number: serial_number(certificate.serial_number().as_bytes()),
            algorithm: KeyAlgorithm::of(&public_key),
        })
    }

    fn algorithm_name(&self) -> String {
        self.algorithm.map_or("other".to_owned(), |algorithm| algorithm.to_string())
    }
}

/// The number in hex, without the sign byte that DER puts before a high bit.
fn serial_number(bytes: &[u8]) -> String {
    hex::encode(match bytes {
        [0, magnitude @ ..] if !magnitude.is_empty() => magnitude,
        bytes => bytes,
    })
}
