//! What receipts and labels share (RFC 2634): identifiers of content, names of people, and what can be wrong.
use jiff::Timestamp;

use super::attribute_plan::attribute;
use super::object_identifiers::CONTENT_IDENTIFIER;
use super::verify::{Signature, SignatureFault};
use crate::certificate::general_name::GeneralName;
use crate::certificate::mail_address;
use crate::certificate::tlv::{Element, Malformed, element, tag};
use crate::certificate::{SMTP_UTF8_MAILBOX, names};

/// The longest identifier of content that is read, in octets.
const LONGEST_IDENTIFIER: usize = 1024;
/// The most names of one person or office that are read.
const MOST_NAMES: usize = 32;

/// Why a request, a receipt or a label counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EssError {
    /// It breaks a rule of its syntax.
    #[error("the {what} is malformed: {problem}")]
    Malformed {
        /// What.
        what: &'static str,
        /// How.
        problem: String,
    },
    /// Signers of one message want or say different things.
    #[error("the signers of the message do not all have the same {0}")]
    Different(&'static str),
    /// A signed attribute stands there twice.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
}

impl EssError {
    pub(super) fn malformed(what: &'static str) -> impl Fn(Malformed) -> Self {
        move |problem| Self::Malformed { what, problem: problem.to_string() }
    }

    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "ess-attribute-malformed",
            Self::Different(_) => "ess-attributes-differ",
            Self::Signature(fault) => fault.code(),
        }
    }
}

/// Identifies signed content among all others in the world (RFC 2634 section 2.7).
///
/// `ContentIdentifier ::= OCTET STRING`
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentIdentifier(Vec<u8>);

impl ContentIdentifier {
    /// From octets that are an identifier already; `None` when there is none, or more than 1024.
    pub fn from_octets(octets: Vec<u8>) -> Option<Self> {
        (1..=LONGEST_IDENTIFIER).contains(&octets.len()).then_some(Self(octets))
    }

    /// A new one: who, when, and a random number. What is too long of `who` is left out.
    pub fn new(who: &str, at: Timestamp, random: [u8; 16]) -> Self {
        let who: String = who.chars().take(128).collect();
        let when = at.strftime("%Y%m%d%H%M%SZ");
        Self(format!("{who} {when} {}", hex::encode(random)).into_bytes())
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The signed attribute content-identifier (section 2.7).
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn to_attribute(&self) -> der::Result<Vec<u8>> {
        attribute(CONTENT_IDENTIFIER, &self.to_der())
    }

    /// The one that a signature names, if it names one.
    ///
    /// # Errors
    /// It is malformed.
    pub fn of(signature: &Signature) -> Result<Option<Self>, EssError> {
        let malformed = EssError::malformed("content identifier");
        let Some(value) = signature.signed_attribute(CONTENT_IDENTIFIER)? else { return Ok(None) };
        let read = Element::only(&value, tag::OCTET_STRING).and_then(|element| Self::read(&element));
        read.map(Some).map_err(malformed)
    }

    pub(super) fn to_der(&self) -> Vec<u8> {
        element(tag::OCTET_STRING, &[&self.0])
    }

    pub(super) fn read(element: &Element<'_>) -> Result<Self, Malformed> {
        if element.contents.is_empty() {
            return Err(Malformed::Empty);
        }
        Self::from_octets(element.contents.to_vec()).ok_or(Malformed::TooMuch)
    }
}

impl std::fmt::Debug for ContentIdentifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ContentIdentifier({})", hex::encode(&self.0))
    }
}

/// A person or an office, by mail addresses. Names of other kinds are passed over when they are read.
///
/// `GeneralNames ::= SEQUENCE SIZE (1..MAX) OF GeneralName`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// The mail addresses, letter by letter as they were written: not safe for a terminal.
    pub addresses: Vec<String>,
}

impl Entity {
    /// With one address.
    pub fn of(address: &str) -> Self {
        Self { addresses: vec![address.to_owned()] }
    }

    /// Whether one of these addresses is one of its own.
    pub fn is_one_of(&self, addresses: &[String]) -> bool {
        self.addresses.iter().any(|own| addresses.iter().any(|other| mail_address::same_mailbox(own, other)))
    }

    pub(super) fn to_der(&self) -> der::Result<Vec<u8>> {
        let mut names = Vec::new();
        for address in &self.addresses {
            names.extend(general_name(address)?);
        }
        Ok(element(tag::SEQUENCE, &[&names]))
    }

    pub(super) fn read(general_names: &Element<'_>) -> Result<Self, Malformed> {
        let mut elements = Element::only(general_names.bytes, tag::SEQUENCE)?.elements();
        let (mut addresses, mut seen) = (Vec::new(), 0);
        while let Some(name) = elements.next()? {
            seen += 1;
            if seen > MOST_NAMES {
                return Err(Malformed::TooMuch);
            }
            match GeneralName::parse(&name)? {
                GeneralName::Rfc822(address) => addresses.push(address),
                GeneralName::Other(SMTP_UTF8_MAILBOX, value) => addresses.extend(names::utf8_string(&value)),
                _ => {}
            }
        }
        if seen == 0 { Err(Malformed::Empty) } else { Ok(Self { addresses }) }
    }
}

/// An rfc822Name, or a SmtpUTF8Mailbox where that cannot hold the address (RFC 9598 section 3).
fn general_name(address: &str) -> der::Result<Vec<u8>> {
    if address.is_ascii() {
        return Ok(element(tag::context(1), &[address.as_bytes()]));
    }
    let text = element(tag::UTF8_STRING, &[address.as_bytes()]);
    let value = element(tag::context_constructed(0), &[&text]);
    Ok(element(tag::context_constructed(0), &[&der::Encode::to_der(&SMTP_UTF8_MAILBOX)?, &value]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(der: &[u8]) -> Result<Entity, Malformed> {
        Entity::read(&Element::only(der, der[0]).unwrap())
    }

    #[test]
    fn people_are_written_and_read_by_address() {
        let entity =
            Entity { addresses: vec!["alice@example.test".to_owned(), "\u{674E}@example.test".to_owned()] };
        assert_eq!(read(&entity.to_der().unwrap()).unwrap(), entity);
        assert!(entity.is_one_of(&["Alice@EXAMPLE.test".to_owned()]));
        assert!(!entity.is_one_of(&["bob@example.test".to_owned()]) && !entity.is_one_of(&[]));
        // A directory name and an address.
        let mixed = [&b"\x30\x11\xA4\x02\x30\x00\x81\x0B"[..], b"bob@b.test\0"].concat();
        assert_eq!(read(&mixed).unwrap().addresses, ["bob@b.test\0"]);
        assert!(!read(&mixed).unwrap().is_one_of(&["bob@b.test".to_owned()]));
        for malformed in [&b"\x30\x00"[..], b"\x30\x03\x81\x01\xFF", b"\x30\x02\x05\x00", b"\x31\x00"] {
            assert!(read(malformed).is_err(), "{malformed:02X?}");
        }
        assert!(read(&element(tag::SEQUENCE, &[&b"\x81\x01a".repeat(33)])).is_err());
    }

    #[test]
    fn identifiers_are_neither_empty_nor_endless() {
        let identifier =
            ContentIdentifier::new(&"x".repeat(500), "2026-06-01T12:00:00Z".parse().unwrap(), [7; 16]);
        let text = String::from_utf8(identifier.octets().to_vec()).unwrap();
        assert!(text.ends_with("x 20260601120000Z 07070707070707070707070707070707"), "{text}");
        assert!(text.len() < 200);
        assert!(ContentIdentifier::from_octets(Vec::new()).is_none());
        assert!(ContentIdentifier::from_octets(vec![0; 1025]).is_none());
    }
}
