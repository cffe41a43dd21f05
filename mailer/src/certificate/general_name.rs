//! Names of subjectAltName and name constraints (RFC 5280 sections 4.2.1.6 and 4.2.1.10).
use const_oid::ObjectIdentifier;
use der::Decode;
use x509_cert::name::Name;

use super::tlv::{Element, Malformed, tag};

/// A GeneralName.
///
/// ```text
/// GeneralName ::= CHOICE { otherName [0], rfc822Name [1] IA5String, dNSName [2] IA5String, x400Address [3],
///   directoryName [4] Name, ediPartyName [5], uniformResourceIdentifier [6] IA5String, iPAddress [7] OCTET STRING,
///   registeredID [8] OBJECT IDENTIFIER }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GeneralName {
    /// otherName: its type, and its value as it is encoded.
    Other(ObjectIdentifier, Vec<u8>),
    Rfc822(String),
    Dns(String),
    X400Address,
    Directory(Name),
    EdiParty,
    Uri(String),
    Ip(Vec<u8>),
    RegisteredId(ObjectIdentifier),
}

impl GeneralName {
    pub(crate) fn parse(element: &Element<'_>) -> Result<Self, Malformed> {
        const OTHER: u8 = tag::context_constructed(0);
        const RFC822: u8 = tag::context(1);
        const DNS: u8 = tag::context(2);
        const X400: u8 = tag::context_constructed(3);
        const DIRECTORY: u8 = tag::context_constructed(4);
        const EDI_PARTY: u8 = tag::context_constructed(5);
        const URI: u8 = tag::context(6);
        const IP: u8 = tag::context(7);
        const REGISTERED_ID: u8 = tag::context(8);
        Ok(match element.tag {
            OTHER => {
                let mut parts = element.elements();
                let kind = parts.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
                let value = parts.expect(tag::context_constructed(0))?;
                parts.finish()?;
                Self::Other(kind, value.contents.to_vec())
            }
            RFC822 => Self::Rfc822(ascii(element)?),
            DNS => Self::Dns(ascii(element)?),
            X400 => Self::X400Address,
            DIRECTORY => Self::Directory(Name::from_der(element.contents).map_err(|_| Malformed::Name)?),
            EDI_PARTY => Self::EdiParty,
            URI => Self::Uri(ascii(element)?),
            IP => Self::Ip(element.contents.to_vec()),
            REGISTERED_ID => Self::RegisteredId(element.object_identifier()?),
            _ => return Err(Malformed::Tag),
        })
    }
}

/// An IA5String.
fn ascii(element: &Element<'_>) -> Result<String, Malformed> {
    if !element.contents.is_ascii() {
        return Err(Malformed::Text);
    }
    String::from_utf8(element.contents.to_vec()).map_err(|_| Malformed::Text)
}
