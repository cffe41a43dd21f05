//! Name constraints (RFC 5280 section 4.2.1.10 and 6.1.3 (b), (c); RFC 9598 section 6 for SmtpUTF8Mailbox).
use const_oid::ObjectIdentifier;

use crate::certificate::extensions::NameConstraints;
use crate::certificate::general_name::GeneralName;
use crate::certificate::mail_address::{MailAddress, a_labels};
use crate::certificate::names::{self, CanonicalName, EMAIL_ADDRESS};
use crate::certificate::{Certificate, CertificateError, SMTP_UTF8_MAILBOX};

/// The most pairs of a name and a subtree that are compared for one certificate.
const MOST_COMPARISONS: usize = 1 << 20;

/// The kinds of names that a constraint tells apart. Each type of otherName is a kind of its own; both kinds of mail
/// addresses are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Mail,
    Dns,
    Uri,
    Ip,
    Directory,
    Other(ObjectIdentifier),
    X400Address,
    EdiParty,
    RegisteredId,
}

/// A name in a certificate.
struct FoundName {
    form: Form,
    value: Value,
    words: String,
}

/// A name, prepared for comparisons.
enum Value {
    Mail(MailAddress),
    /// The host of a dNSName or URI, in lower-case A-labels.
    Host(String),
    Ip(Vec<u8>),
    Directory(CanonicalName),
    /// No comparison is known, or the name is not what it should be.
    Opaque,
}

/// A subtree of names.
struct Subtree {
    form: Form,
    base: Base,
}

enum Base {
    /// One mailbox.
    Mailbox(MailAddress),
    /// Exactly this host.
    Host(String),
    /// Every host below this domain, but not the domain itself.
    Below(String),
    /// This host and every one below it.
    HostAndBelow(String),
    /// Every name of its form.
    Everything,
    /// Network and mask.
    Network(Vec<u8>, Vec<u8>),
    Directory(CanonicalName),
    /// No comparison is known.
    Opaque,
}

/// The constraints that the CAs of a path have gathered.
#[derive(Default)]
pub(super) struct PermittedNames {
    /// Each CA's permitted subtrees; a name must satisfy every CA that constrains its form.
    permitted: Vec<Vec<Subtree>>,
    excluded: Vec<Subtree>,
}

impl PermittedNames {
    /// Adds a CA's constraints.
    pub(super) fn constrain(&mut self, constraints: &NameConstraints) {
        self.permitted.push(constraints.permitted.iter().map(subtree).collect());
        self.excluded.extend(constraints.excluded.iter().map(subtree));
    }

    /// The first name of the certificate that is not permitted, in words.
    pub(super) fn offender(&self, certificate: &Certificate) -> Result<Option<String>, CertificateError> {
        let subtrees = self.excluded.len() + self.permitted.iter().map(Vec::len).sum::<usize>();
        if subtrees == 0 {
            return Ok(None);
        }
        let names = names_of(certificate)?;
        if names.len().saturating_mul(subtrees) > MOST_COMPARISONS {
            return Err(CertificateError(
                "it has more names than can be compared with the name constraints above it".to_owned(),
            ));
        }
        Ok(names.into_iter().find(|name| !self.permits(name)).map(|name| name.words))
    }

    /// A comparison that cannot be made excludes, and does not permit.
    fn permits(&self, name: &FoundName) -> bool {
        let relevant = |subtree: &&Subtree| subtree.form == name.form;
        let excluded = self.excluded.iter().filter(relevant).any(|found| covers(found, name) != Some(false));
        let permitted = self.permitted.iter().all(|subtrees| {
            let mut relevant = subtrees.iter().filter(relevant).peekable();
            relevant.peek().is_none() || relevant.any(|found| covers(found, name) == Some(true))
        });
        permitted && !excluded
    }
}

/// Every name that constraints can speak about: subject, its mail addresses (RFC 9598 section 6), and subjectAltName.
fn names_of(certificate: &Certificate) -> Result<Vec<FoundName>, CertificateError> {
    let subject = certificate.subject_name();
    let mut found = Vec::new();
    if !subject.is_empty() {
        found.push(FoundName {
            form: Form::Directory,
            value: Value::Directory(certificate.canonical_subject().clone()),
            words: names::printable(&format!("the name {subject}")),
        });
    }
    let addresses = names::attribute_texts(subject, EMAIL_ADDRESS);
    found.extend(addresses.iter().map(|address| mail_name(address)));
    let alternative = certificate.alternative_names()?.unwrap_or_default();
    found.extend(alternative.iter().map(found_name));
    Ok(found)
}

fn mail_name(address: &str) -> FoundName {
    let value = MailAddress::parse(address).map_or(Value::Opaque, Value::Mail);
    FoundName { form: Form::Mail, value, words: names::printable(address) }
}

fn found_name(name: &GeneralName) -> FoundName {
    let host = |host: Option<String>| host.map_or(Value::Opaque, Value::Host);
    let (value, words) = match name {
        GeneralName::Rfc822(address) => return mail_name(address),
        GeneralName::Other(SMTP_UTF8_MAILBOX, value) => {
            return mail_name(&names::utf8_string(value).unwrap_or_default());
        }
        GeneralName::Dns(name) => (host(dns_host(name)), name.clone()),
        GeneralName::Uri(uri) => (host(uri_host(uri)), uri.clone()),
        GeneralName::Ip(octets) => {
            (Value::Ip(octets.clone()), format!("the IP address {}", hex::encode(octets)))
        }
        GeneralName::Directory(name) => {
            (Value::Directory(CanonicalName::of(name)), format!("the name {name}"))
        }
        _ => (Value::Opaque, "one of its names".to_owned()),
    };
    FoundName { form: form(name), value, words: names::printable(&words) }
}

fn form(name: &GeneralName) -> Form {
    match name {
        GeneralName::Rfc822(_) | GeneralName::Other(SMTP_UTF8_MAILBOX, _) => Form::Mail,
        GeneralName::Other(kind, _) => Form::Other(*kind),
        GeneralName::Dns(_) => Form::Dns,
        GeneralName::X400Address => Form::X400Address,
        GeneralName::Directory(_) => Form::Directory,
        GeneralName::EdiParty => Form::EdiParty,
        GeneralName::Uri(_) => Form::Uri,
        GeneralName::Ip(_) => Form::Ip,
        GeneralName::RegisteredId(_) => Form::RegisteredId,
    }
}

/// The base of a subtree, prepared for comparisons.
fn subtree(name: &GeneralName) -> Subtree {
    let base = match name {
        GeneralName::Rfc822(address) if address.contains('@') => {
            MailAddress::parse(address).map(Base::Mailbox)
        }
        GeneralName::Rfc822(domain) | GeneralName::Uri(domain) => match domain.strip_prefix('.') {
            Some(parent) => a_labels(parent).map(Base::Below),
            None => a_labels(domain).map(Base::Host),
        },
        GeneralName::Dns(domain) if domain.is_empty() => Some(Base::Everything),
        GeneralName::Dns(domain) => match domain.strip_prefix('.') {
            Some(parent) => dns_host(parent).map(Base::Below),
            None => dns_host(domain).map(Base::HostAndBelow),
        },
        GeneralName::Ip(octets) => network(octets),
        GeneralName::Directory(name) => Some(Base::Directory(CanonicalName::of(name))),
        _ => None,
    };
    Subtree { form: form(name), base: base.unwrap_or(Base::Opaque) }
}

/// Address and mask side by side, 4 octets each for IPv4 and 16 for IPv6; the mask is ones, then zeros (RFC 4632).
fn network(octets: &[u8]) -> Option<Base> {
    if !matches!(octets.len(), 8 | 32) {
        return None;
    }
    let (network, mask) = octets.split_at(octets.len() / 2);
    let ones = mask.iter().take_while(|octet| **octet == 0xFF).count();
    let mut rest = mask.iter().skip(ones);
    let last = *rest.next().unwrap_or(&0);
    let is_prefix = last.leading_ones() + last.trailing_zeros() == u8::BITS && rest.all(|octet| *octet == 0);
    is_prefix.then(|| Base::Network(network.to_vec(), mask.to_vec()))
}

/// A DNS name; internationalised ones are already A-labels (RFC 5280 section 7.2), and a wildcard may stand first.
fn dns_host(name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*');
    let labels = name.split('.').all(|label| !label.is_empty() && label.bytes().all(plain));
    labels.then(|| name.to_ascii_lowercase())
}

/// The host of a URI that has one in the form of a domain name.
fn uri_host(uri: &str) -> Option<String> {
    a_labels(url::Url::parse(uri).ok()?.domain()?)
}

/// Whether a name lies in a subtree of its form; `None` when that cannot be decided.
fn covers(subtree: &Subtree, name: &FoundName) -> Option<bool> {
    match (&subtree.base, &name.value) {
        (Base::Mailbox(mailbox), Value::Mail(address)) => Some(address.equals_exactly(mailbox)),
        (base, Value::Mail(address)) => host_in(address.domain(), base),
        (base, Value::Host(host)) => host_in(host, base),
        (Base::Network(network, mask), Value::Ip(address)) => {
            let inside = address.iter().zip(network).zip(mask).all(|((a, n), m)| a & m == n & m);
            Some(address.len() == network.len() && inside)
        }
        (Base::Directory(base), Value::Directory(name)) => Some(name.is_below(base)),
        _ => None,
    }
}

fn host_in(host: &str, base: &Base) -> Option<bool> {
    let is_below =
        |parent: &str| host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
    match base {
        Base::Host(wanted) => Some(host == wanted),
        Base::Below(parent) => Some(is_below(parent)),
        Base::HostAndBelow(wanted) => Some(host == wanted || is_below(wanted)),
        Base::Everything => Some(true),
        _ => None,
    }
}
