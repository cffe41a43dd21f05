//! Name constraints (RFC 5280 section 4.2.1.10 and 6.1.3 (b), (c); RFC 9598 section 6 for SmtpUTF8Mailbox).
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::constraints::name::{GeneralSubtree, NameConstraints};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use crate::certificate::mail_address::{MailAddress, a_labels};
use crate::certificate::names::{self, EMAIL_ADDRESS};
use crate::certificate::{Certificate, CertificateError};

/// A name in a certificate, in the form in which constraints apply to it.
enum ConstrainedName {
    Mail(String),
    Dns(String),
    Uri(String),
    Ip(Vec<u8>),
    Directory(Name),
    /// A kind for which no constraint can be evaluated.
    Other,
}

/// The constraints that the CAs of a path have gathered.
#[derive(Default)]
pub(crate) struct PermittedNames {
    /// Each CA's permitted subtrees; a name must satisfy every CA that constrains its kind.
    permitted: Vec<Vec<GeneralSubtree>>,
    excluded: Vec<GeneralSubtree>,
}

impl PermittedNames {
    /// Adds a CA's constraints. Distances other than "everything below" are not supported (RFC 5280 forbids them).
    pub(crate) fn constrain(&mut self, constraints: NameConstraints) -> Result<(), CertificateError> {
        let permitted = constraints.permitted_subtrees.unwrap_or_default();
        let excluded = constraints.excluded_subtrees.unwrap_or_default();
        if permitted.iter().chain(&excluded).any(|subtree| subtree.minimum != 0 || subtree.maximum.is_some())
        {
            return Err(CertificateError(
                "its name constraints have a minimum or maximum distance".to_owned(),
            ));
        }
        self.permitted.push(permitted);
        self.excluded.extend(excluded);
        Ok(())
    }

    /// The first name of the certificate that is not permitted, in words.
    pub(crate) fn offender(&self, certificate: &Certificate) -> Result<Option<String>, CertificateError> {
        if self.permitted.is_empty() && self.excluded.is_empty() {
            return Ok(None);
        }
        Ok(names_of(certificate)?.iter().find(|name| !self.permits(name)).map(describe))
    }

    fn permits(&self, name: &ConstrainedName) -> bool {
        let excluded = self
            .excluded
            .iter()
            .any(|subtree| matches(name, &subtree.base) != Some(false) && same_kind(name, &subtree.base));
        let permitted = self.permitted.iter().all(|subtrees| {
            let mut relevant = subtrees.iter().filter(|subtree| same_kind(name, &subtree.base)).peekable();
            relevant.peek().is_none() || relevant.any(|subtree| matches(name, &subtree.base) == Some(true))
        });
        permitted && !excluded
    }
}

/// Every name that constraints can speak about; mail addresses in the subject count when there is no subjectAltName.
fn names_of(certificate: &Certificate) -> Result<Vec<ConstrainedName>, CertificateError> {
    let mut found = Vec::new();
    let alternative = certificate.extension::<SubjectAltName>()?;
    if !certificate.subject_name().is_empty() {
        found.push(ConstrainedName::Directory(certificate.subject_name().clone()));
    }
    if alternative.is_none() {
        found.extend(
            names::attribute_texts(certificate.subject_name(), EMAIL_ADDRESS)
                .into_iter()
                .map(ConstrainedName::Mail),
        );
    }
    found.extend(certificate.mail_names().into_iter().map(ConstrainedName::Mail));
    for name in alternative.map(|names| names.0).unwrap_or_default() {
        found.push(match name {
            // Mail addresses of both forms were taken above.
            GeneralName::Rfc822Name(_) => continue,
            GeneralName::DnsName(name) => ConstrainedName::Dns(name.to_string()),
            GeneralName::UniformResourceIdentifier(uri) => ConstrainedName::Uri(uri.to_string()),
            GeneralName::IpAddress(address) => ConstrainedName::Ip(address.as_bytes().to_vec()),
            GeneralName::DirectoryName(name) => ConstrainedName::Directory(name),
            _ => ConstrainedName::Other,
        });
    }
    Ok(found)
}

fn describe(name: &ConstrainedName) -> String {
    names::printable(&match name {
        ConstrainedName::Mail(text) | ConstrainedName::Dns(text) | ConstrainedName::Uri(text) => text.clone(),
        ConstrainedName::Ip(octets) => format!("the IP address {}", hex::encode(octets)),
        ConstrainedName::Directory(name) => format!("the name {name}"),
        ConstrainedName::Other => "one of its names".to_owned(),
    })
}

fn same_kind(name: &ConstrainedName, base: &GeneralName) -> bool {
    matches!(
        (name, base),
        (ConstrainedName::Mail(_), GeneralName::Rfc822Name(_))
            | (ConstrainedName::Dns(_), GeneralName::DnsName(_))
            | (ConstrainedName::Uri(_), GeneralName::UniformResourceIdentifier(_))
            | (ConstrainedName::Ip(_), GeneralName::IpAddress(_))
            | (ConstrainedName::Directory(_), GeneralName::DirectoryName(_))
            | (
                ConstrainedName::Other,
                GeneralName::OtherName(_) | GeneralName::EdiPartyName(_) | GeneralName::RegisteredId(_)
            )
    )
}

/// Whether a name lies in a subtree; `None` when that cannot be decided.
fn matches(name: &ConstrainedName, base: &GeneralName) -> Option<bool> {
    match (name, base) {
        (ConstrainedName::Mail(address), GeneralName::Rfc822Name(base)) => {
            mail_matches(address, base.as_str())
        }
        (ConstrainedName::Dns(name), GeneralName::DnsName(base)) => {
            host_in(name, base.as_str().trim_start_matches('.'))
        }
        (ConstrainedName::Uri(uri), GeneralName::UniformResourceIdentifier(base)) => {
            let host = url::Url::parse(uri).ok()?.domain()?.to_owned();
            host_matches(&host, base.as_str())
        }
        (ConstrainedName::Ip(address), GeneralName::IpAddress(base)) => ip_matches(address, base.as_bytes()),
        (ConstrainedName::Directory(name), GeneralName::DirectoryName(base)) => {
            Some(names::starts_with(name, base))
        }
        _ => None,
    }
}

/// A mailbox, all mailboxes of a host, or (`.domain`) all mailboxes below a domain.
fn mail_matches(address: &str, base: &str) -> Option<bool> {
    let address = MailAddress::parse(address)?;
    if base.contains('@') {
        return Some(address.equals_exactly(&MailAddress::parse(base)?));
    }
    host_matches(address.domain(), base)
}

/// A host exactly, or (`.domain`) every host below a domain.
fn host_matches(host: &str, base: &str) -> Option<bool> {
    let host = a_labels(host)?;
    match base.strip_prefix('.') {
        Some(parent) => Some(host.ends_with(&format!(".{}", a_labels(parent)?))),
        None => Some(host == a_labels(base)?),
    }
}

/// A host, or any host made by adding labels to its left; an empty base matches every host.
fn host_in(host: &str, base: &str) -> Option<bool> {
    let host = host.to_ascii_lowercase();
    let base = base.to_ascii_lowercase();
    Some(base.is_empty() || host == base || host.ends_with(&format!(".{base}")))
}

/// Address and mask side by side: 8 octets for IPv4, 32 for IPv6.
fn ip_matches(address: &[u8], base: &[u8]) -> Option<bool> {
    if base.len() != address.len() * 2 {
        return Some(false);
    }
    let (network, mask) = base.split_at(address.len());
    Some(address.iter().zip(network).zip(mask).all(|((octet, network), mask)| octet & mask == network & mask))
}
