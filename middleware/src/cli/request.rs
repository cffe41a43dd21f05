//! `card request`: a certificate signing request (PKCS#10, RFC 2986) that the key on the card signs itself.
use std::path::PathBuf;

use clap::Args;
use der::Encode as _;
use der::asn1::{BitString, Ia5String};
use der::pem::LineEnding;
use middleware::{Card, KeyAlgorithm, KeyReference};
use serde_json::json;
use x509_cert::attr::Attributes;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};

use super::Report;
use super::failure::ToolError;
use super::files::OutputOption;
use super::options::PinOptions;
use super::signature::{public_key, scheme, sign, usual_digest};

/// What `card request` wants to know.
#[derive(Args)]
pub(super) struct Request {
    /// Which key: 9A, 9C, 9D, 9E or 82 to 95
    key: KeyReference,
    /// Whom the certificate is for, as in 'CN=Alice Archer,O=Example'
    #[arg(long, value_name = "NAME", value_parser = name)]
    subject: Name,
    /// A mail address that the certificate shall carry; may be given several times
    #[arg(long, value_name = "ADDRESS", value_parser = mail_address)]
    mail: Vec<String>,
    /// A host name that the certificate shall carry; may be given several times
    #[arg(long, value_name = "HOST", value_parser = host_name)]
    dns: Vec<String>,
    /// The key's public half, where the card does not tell it (`card generate` printed it)
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    #[command(flatten)]
    pin: PinOptions,
    #[command(flatten)]
    output: OutputOption,
}

impl Request {
    pub(super) fn run(&self, card: &mut Card) -> anyhow::Result<Report> {
        let public_key = public_key(card, self.key, self.public_key.as_deref())?;
        let algorithm = KeyAlgorithm::of(&public_key).ok_or(ToolError::UnknownAlgorithm(self.key))?;
        let (scheme, identifier) = scheme(algorithm, usual_digest(algorithm))?;
        let info = CertReqInfo {
            version: Version::V1,
            subject: self.subject.clone(),
            public_key: public_key.clone(),
            attributes: self.attributes()?,
        };
        let to_be_signed = info.to_der()?;
        let digest = super::signature::digested(scheme, &mut to_be_signed.as_slice())?;
        let signature = sign(card, self.key, &public_key, &self.pin, scheme, &digest)?;
        let request = CertReq { info, algorithm: identifier, signature: BitString::from_bytes(&signature)? };
        let pem = der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, &request.to_der()?)?;
        let json = json!({ "key": self.key.to_string(), "request": pem });
        self.output.text("The request", pem, json)
    }

    /// The names beside the subject ask for a subjectAltName (RFC 2985 section 5.4.2).
    fn attributes(&self) -> anyhow::Result<Attributes> {
        let mut names = Vec::new();
        for address in &self.mail {
            let address = Ia5String::new(address)?;
            names.push(GeneralName::Rfc822Name(address));
        }
        for host in &self.dns {
            let host = Ia5String::new(host)?;
            names.push(GeneralName::DnsName(host));
        }
        let mut attributes = Attributes::new();
        if !names.is_empty() {
            let extension: Extension = SubjectAltName(names).to_extension(&self.subject, &[])?;
            attributes.insert(ExtensionReq(vec![extension]).try_into()?)?;
        }
        Ok(attributes)
    }
}

/// RFC 4514. An attribute without value is none that X.520 has (RFC 5280 appendix A.1: sizes begin with 1).
fn name(text: &str) -> Result<Name, String> {
    let name: Option<Name> = text.parse().ok();
    name.filter(|name| name.iter().all(|attribute| !attribute.value.value().is_empty()))
        .ok_or_else(|| "write a name as in 'CN=Alice Archer,O=Example,C=FI'".to_owned())
}

/// RFC 5280 section 4.2.1.6: a `Mailbox` of RFC 2821, without name and angle brackets.
fn mail_address(text: &str) -> Result<String, String> {
    let fits = |local: &str, domain: &str| {
        let is_atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        let atoms = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext));
        atoms && local.len() <= 64 && is_host_name(domain)
    };
    match text.rsplit_once('@') {
        Some((local, domain)) if fits(local, domain) => Ok(text.to_owned()),
        _ => Err("write an address as in alice@example.org".to_owned()),
    }
}

/// RFC 5280 section 4.2.1.6: the preferred name syntax, and a `*` for the first label (RFC 9525 section 6.3).
fn host_name(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if is_host_name(name) {
        Ok(text.to_owned())
    } else {
        Err("write a host as in www.example.org".to_owned())
    }
}

/// RFC 1034 section 3.5, as RFC 1123 section 2.1 has it; an IPv4 address is no name.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let fits = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && fits && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_address = last.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 253 && text.split('.').all(is_label) && !is_address
}

#[cfg(test)]
mod tests {
    use der::Decode as _;

    use super::*;

    #[test]
    fn subjects_are_written_as_people_write_them() {
        let name: Name = "CN=Alice Archer,O=Example,C=FI".parse().unwrap();
        assert_eq!(Name::from_der(&name.to_der().unwrap()).unwrap(), name);
        for wrong in ["Alice", "CN=", "CN=Alice,O="] {
            assert!(super::name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_an_authority_could_certify_is_asked_for() {
        for right in ["alice@example.org", "a.b+c@mail", "x!#$%&'*+-/=?^_`{|}~@example.org"] {
            assert!(mail_address(right).is_ok(), "{right}");
        }
        let wrong = ["x y@example.org", "alice", "@example.org", "alice@", "a..b@example.org", "<a@b.c>"];
        for wrong in [&wrong[..], &["alice@-example.org", "a@b@c d", "\u{e4}@example.org"]].concat() {
            assert!(mail_address(wrong).is_err(), "{wrong}");
        }
        for right in ["www.example.org", "*.example.org", "localhost", "xn--4ca.example", "3.example"] {
            assert!(host_name(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "not a host",
            "*",
            "a..b",
            "a.",
            "www.*.org",
            "-a.org",
            "a_b.org",
            "https://a.org",
            "192.0.2.1",
        ] {
            assert!(host_name(wrong).is_err(), "{wrong}");
        }
    }
}
