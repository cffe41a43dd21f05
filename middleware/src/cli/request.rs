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
    #[arg(long, value_name = "ADDRESS")]
    mail: Vec<String>,
    /// A host name that the certificate shall carry; may be given several times
    #[arg(long, value_name = "HOST")]
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
            let address = Ia5String::new(address).map_err(|_| ToolError::NotAscii(address.clone()))?;
            names.push(GeneralName::Rfc822Name(address));
        }
        for host in &self.dns {
            let host = Ia5String::new(host).map_err(|_| ToolError::NotAscii(host.clone()))?;
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

/// Only to say at compile time that a request reads back.
/// RFC 4514.
fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|_| "write a name as in 'CN=Alice Archer,O=Example,C=FI'".to_owned())
}

#[cfg(test)]
mod tests {
    use der::Decode as _;

    use super::*;

    #[test]
    fn subjects_are_written_as_people_write_them() {
        let name: Name = "CN=Alice Archer,O=Example,C=FI".parse().unwrap();
        assert_eq!(Name::from_der(&name.to_der().unwrap()).unwrap(), name);
        assert!("Alice".parse::<Name>().is_err());
    }
}
