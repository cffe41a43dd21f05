//! LDAP messages as octets (RFC 4511 sections 4 and 5.1): BER with definite lengths.
use crate::certificate::tlv::{element, tag};

/// The most octets of one answer.
pub const LARGEST_MESSAGE: usize = 4 << 20;
/// The most values of one attribute that are read.
pub const MOST_VALUES: usize = 20_000;

const ENUMERATED: u8 = 0x0A;
const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const UNBIND_REQUEST: u8 = 0x42;
const SEARCH_REQUEST: u8 = 0x63;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The entry itself.
    Base,
    /// Everything below, and itself.
    Subtree,
}

/// Which entries are wanted. Values are octets of their own and need no escaping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of these.
    And(Vec<Self>),
    /// One of these.
    Or(Vec<Self>),
    /// An attribute has this value.
    Equals(&'static str, String),
    /// An attribute is there.
    Present(&'static str),
}

impl Filter {
    fn to_ber(&self) -> Vec<u8> {
        let all = |filters: &[Self]| filters.iter().flat_map(Self::to_ber).collect::<Vec<u8>>();
        match self {
            Self::And(filters) => element(0xA0, &[&all(filters)]),
            Self::Or(filters) => element(0xA1, &[&all(filters)]),
            Self::Equals(attribute, value) => {
                element(0xA3, &[&octets(attribute.as_bytes()), &octets(value.as_bytes())])
            }
            Self::Present(attribute) => element(0x87, &[attribute.as_bytes()]),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search<'s> {
    /// Where it begins.
    pub base: &'s str,
    /// How far it goes.
    pub scope: Scope,
    /// The most entries.
    pub most: u32,
    /// Which entries.
    pub filter: Filter,
    /// Which attributes of them.
    pub attributes: &'s [&'s str],
}

/// Seconds that the server may search.
const TIME_LIMIT: u32 = 15;

/// `BindRequest`: nobody in particular (section 4.2).
pub fn bind(id: u32) -> Vec<u8> {
    message(id, &element(BIND_REQUEST, &[&number(tag::INTEGER, 3), &octets(b""), &element(0x80, &[])]))
}

/// `ExtendedRequest` for StartTLS (section 4.14.1).
pub fn start_tls(id: u32) -> Vec<u8> {
    message(id, &element(EXTENDED_REQUEST, &[&element(0x80, &[START_TLS])]))
}

/// `UnbindRequest` (section 4.3).
pub fn unbind(id: u32) -> Vec<u8> {
    message(id, &element(UNBIND_REQUEST, &[]))
}

/// `SearchRequest` (section 4.5.1); aliases are not followed.
pub fn search(id: u32, search: &Search<'_>) -> Vec<u8> {
    let scope = match search.scope {
        Scope::Base => 0,
        Scope::Subtree => 2,
    };
    let attributes: Vec<u8> = search.attributes.iter().flat_map(|name| octets(name.as_bytes())).collect();
    let fields: [&[u8]; 8] = [
        &octets(search.base.as_bytes()),
        &number(ENUMERATED, scope),
        &number(ENUMERATED, 0),
        &number(tag::INTEGER, search.most),
        &number(tag::INTEGER, TIME_LIMIT),
        &element(tag::BOOLEAN, &[&[0]]),
        &search.filter.to_ber(),
        &element(tag::SEQUENCE, &[&attributes]),
    ];
    message(id, &element(SEARCH_REQUEST, &fields))
}

fn message(id: u32, operation: &[u8]) -> Vec<u8> {
    element(tag::SEQUENCE, &[&number(tag::INTEGER, id), operation])
}

fn octets(value: &[u8]) -> Vec<u8> {
    element(tag::OCTET_STRING, &[value])
}

fn number(kind: u8, value: u32) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let zeros = octets.iter().take(3).take_while(|octet| **octet == 0).count();
    let significant = octets.get(zeros..).unwrap_or_default();
    let is_negative = significant.first().is_some_and(|first| *first >= 0x80);
    let sign: &[u8] = if is_negative { &[0] } else { &[] };
    element(kind, &[sign, significant])
}

/// One message of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of which question.
    pub id: u32,
    /// What it says.
    pub operation: Operation,
}

/// What a message of the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An entry that was found.
    Entry(Entry),
    /// Another server might know; it is not asked.
    Reference,
    /// The end of a question.
    Result(Outcome),
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its distinguished name.
    pub name: String,
    /// Attributes with their values.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// `LDAPResult` (section 4.1.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// 0 is success, 32 noSuchObject.
    pub code: u32,
    /// What the server says about it, as it came.
    pub diagnostic: String,
}

/// Why a message cannot be read.
pub type BadMessage = &'static str;

const MALFORMED: BadMessage = "it is no LDAP message";

/// How many octets the message has that begins so; `None` while too little of it is known.
///
/// # Errors
/// It is no message, or a larger one than is read.
pub fn length(start: &[u8]) -> Result<Option<usize>, BadMessage> {
    if start.first().is_some_and(|first| *first != tag::SEQUENCE) {
        return Err(MALFORMED);
    }
    let Some((header, contents)) = header(start)? else { return Ok(None) };
    match header.checked_add(contents).filter(|length| *length <= LARGEST_MESSAGE) {
        Some(length) => Ok(Some(length)),
        None => Err("a message is larger than is read"),
    }
}

/// Reads one message.
///
/// # Errors
/// What is wrong with it.
pub fn read(octets: &[u8]) -> Result<Answer, BadMessage> {
    let mut outside = Parts(octets);
    let mut parts = Parts(outside.expect(tag::SEQUENCE)?);
    outside.finish()?;
    let id = unsigned(parts.expect(tag::INTEGER)?)?;
    let (kind, contents) = parts.next()?.ok_or(MALFORMED)?;
    // Controls ([0]) say nothing that was asked for.
    let mut fields = Parts(contents);
    let operation = match kind {
        SEARCH_ENTRY => Operation::Entry(entry(&mut fields)?),
        SEARCH_REFERENCE => Operation::Reference,
        SEARCH_DONE | BIND_RESPONSE | EXTENDED_RESPONSE => {
            let code = unsigned(fields.expect(ENUMERATED)?)?;
            fields.expect(tag::OCTET_STRING)?;
            let diagnostic = String::from_utf8_lossy(fields.expect(tag::OCTET_STRING)?).into_owned();
            Operation::Result(Outcome { code, diagnostic })
        }
        _ => return Err("it is no answer to what was asked"),
    };
    Ok(Answer { id, operation })
}

/// `SearchResultEntry ::= [APPLICATION 4] SEQUENCE { objectName LDAPDN, attributes PartialAttributeList }`
fn entry(fields: &mut Parts<'_>) -> Result<Entry, BadMessage> {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).map_err(|_| "a name in it is not UTF-8");
    let name = text(fields.expect(tag::OCTET_STRING)?)?;
    let mut list = Parts(fields.expect(tag::SEQUENCE)?);
    fields.finish()?;
    let mut attributes = Vec::new();
    let mut count = 0;
    while let Some((kind, contents)) = list.next()? {
        if kind != tag::SEQUENCE {
            return Err(MALFORMED);
        }
        let mut parts = Parts(contents);
        let attribute = text(parts.expect(tag::OCTET_STRING)?)?;
        let mut set = Parts(parts.expect(tag::SET)?);
        parts.finish()?;
        let mut values = Vec::new();
        while let Some((kind, value)) = set.next()? {
            count += 1;
            if kind != tag::OCTET_STRING || count > MOST_VALUES {
                return Err("an entry has more values than are read");
            }
            values.push(value.to_vec());
        }
        attributes.push((attribute, values));
    }
    Ok(Entry { name, attributes })
}

impl Entry {
    /// The values of an attribute, whatever the case of its name; options after it (`;lang-en`) do not count as it.
    pub fn values(&self, attribute: &str) -> impl Iterator<Item = &[u8]> {
        let found = self.attributes.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(attribute));
        found.flat_map(|(_, values)| values.iter().map(Vec::as_slice))
    }
}

/// Elements one after another; lengths need not be minimal (section 5.1 forbids only the indefinite form).
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, BadMessage> {
        let Some(kind) = self.0.first().copied() else { return Ok(None) };
        let (start, length) = header(self.0)?.ok_or(MALFORMED)?;
        let end = start.checked_add(length).ok_or(MALFORMED)?;
        let contents = self.0.get(start..end).ok_or(MALFORMED)?;
        self.0 = self.0.get(end..).unwrap_or_default();
        Ok(Some((kind, contents)))
    }

    fn expect(&mut self, wanted: u8) -> Result<&'a [u8], BadMessage> {
        match self.next()? {
            Some((kind, contents)) if kind == wanted => Ok(contents),
            _ => Err(MALFORMED),
        }
    }

    fn finish(&self) -> Result<(), BadMessage> {
        if self.0.is_empty() { Ok(()) } else { Err(MALFORMED) }
    }
}

/// The sizes of an element's header and contents; `None` while the header is not complete.
fn header(octets: &[u8]) -> Result<Option<(usize, usize)>, BadMessage> {
    let Some(kind) = octets.first() else { return Ok(None) };
    if kind & 0x1F == 0x1F {
        return Err(MALFORMED);
    }
    let Some(first) = octets.get(1) else { return Ok(None) };
    if *first < 0x80 {
        return Ok(Some((2, usize::from(*first))));
    }
    let count = usize::from(first & 0x7F);
    if count == 0 || count > 4 {
        return Err(MALFORMED);
    }
    let Some(length) = octets.get(2..2 + count) else { return Ok(None) };
    let length = length.iter().fold(0_usize, |length, octet| (length << 8) | usize::from(*octet));
    Ok(Some((2 + count, length)))
}

fn unsigned(octets: &[u8]) -> Result<u32, BadMessage> {
    match octets {
        [] | [0x80..=0xFF, ..] => Err(MALFORMED),
        _ if octets.len() > 5 => Err(MALFORMED),
        _ => {
            let value = octets.iter().fold(0_u64, |value, octet| (value << 8) | u64::from(*octet));
            u32::try_from(value).map_err(|_| MALFORMED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_written_as_the_standard_has_them() {
        assert_eq!(hex::encode(bind(1)), "300c020101600702010304008000");
        assert_eq!(hex::encode(unbind(200)), "3006020200c84200");
        let question = Search {
            base: "dc=x",
            scope: Scope::Base,
            most: 2,
            filter: Filter::And(vec![Filter::Present("objectClass"), Filter::Equals("cn", "a*(".to_owned())]),
            attributes: &["mail"],
        };
        let written = search(3, &question);
        // The value stands there as it is: neither a wildcard nor a parenthesis means anything.
        assert!(memchr::memmem::find(&written, b"\xA3\x09\x04\x02cn\x04\x03a*(").is_some());
        assert_eq!(length(&written), Ok(Some(written.len())));
    }

    #[test]
    fn answers_are_read_with_long_lengths_too() {
        let entry = element(
            SEARCH_ENTRY,
            &[
                &octets(b"cn=board"),
                &element(
                    tag::SEQUENCE,
                    &[&element(
                        tag::SEQUENCE,
                        &[&octets(b"Member"), &element(tag::SET, &[&octets(b"uid=a"), &octets(b"uid=b")])],
                    )],
                ),
            ],
        );
        let mut long = vec![0x30, 0x84, 0, 0, 0, u8::try_from(entry.len()).unwrap() + 3, 2, 1, 7];
        long.extend(&entry);
        let answer = read(&long).unwrap();
        let Operation::Entry(found) = answer.operation else { panic!("an entry was wanted") };
        assert_eq!((answer.id, found.values("member").count()), (7, 2));
        assert_eq!(length(&long), Ok(Some(long.len())));
        let done = message(7, &element(SEARCH_DONE, &[&[10, 1, 32], &octets(b""), &octets(b"gone")]));
        let outcome = Outcome { code: 32, diagnostic: "gone".to_owned() };
        assert_eq!(read(&done), Ok(Answer { id: 7, operation: Operation::Result(outcome) }));
        for cut in 0..long.len() {
            assert!(read(&long[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn lengths_are_limited_before_anything_is_kept() {
        assert_eq!(length(&[]), Ok(None));
        assert_eq!(length(&[0x30, 0x82, 1]), Ok(None));
        for start in
            [&[0x31][..], &[0x30, 0x80], &[0x30, 0x85, 0, 0, 0, 0, 1], &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]]
        {
            assert!(length(start).is_err(), "{start:02X?}");
        }
    }
}
