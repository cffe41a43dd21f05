//! A CRL and the registry: it says what the registry holds, all of it and nothing else.
use std::cmp::Ordering;
use std::iter::Peekable;

use super::crl_refusal::CrlRefusal;
use super::crl_succession::{ascending, serial_number};
use crate::ca::crl::RevokedCertificate;
use crate::ca::crl::entry::EntryEncoder;
use crate::ca::crl::entry_view::EntryView;
use crate::ca::crl::view::CrlView;

/// What the registry holds of an authority.
#[derive(Clone, Debug, Default)]
pub struct RegisteredRevocations {
    /// The number that was set aside for this publication's CRLs.
    pub number: u64,
    /// Every revocation, ascending by serial number.
    pub revoked: Vec<RevokedCertificate>,
}

/// Compares a CRL with the registry. A delta is compared together with its `base`: what both say is what counts.
///
/// # Errors
/// The refusal.
pub(super) fn check_contents<'a, 'b>(
    crl: &CrlView<'b>,
    base: Option<&CrlView<'b>>,
    number: u64,
    registered: impl Iterator<Item = &'a RevokedCertificate>,
) -> Result<(), CrlRefusal> {
    let expected: Vec<u8> = number.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
    let found = crl.number().unwrap_or_default();
    if found != expected {
        return Err(CrlRefusal::WrongNumber { expected: hex::encode(expected), found: hex::encode(found) });
    }
    let mut encoder = EntryEncoder::default();
    let mut said = Said {
        base: base.map(iter).into_iter().flatten().peekable(),
        own: iter(crl).peekable(),
        staying: None,
    };
    let mut entry = said.next()?;
    for expected in registered {
        match &entry {
            Some(found) => match found.cmp_serial_number(expected.serial_number.as_bytes()) {
                Ordering::Less => {
                    return Err(CrlRefusal::EntryUnknown { serial_number: serial_number(found)? });
                }
                Ordering::Greater => return Err(missing(expected)),
                Ordering::Equal if encoder.encode(expected)? != found.der => {
                    return Err(CrlRefusal::EntryDiffers { serial_number: expected.serial_number.clone() });
                }
                Ordering::Equal => {}
            },
            None => return Err(missing(expected)),
        }
        entry = said.next()?;
    }
    match entry {
        Some(found) => Err(CrlRefusal::EntryUnknown { serial_number: serial_number(&found)? }),
        None => Ok(()),
    }
}

fn missing(expected: &RevokedCertificate) -> CrlRefusal {
    CrlRefusal::EntryMissing { serial_number: expected.serial_number.clone() }
}

type Entries<'a> = Box<dyn Iterator<Item = Result<EntryView<'a>, CrlRefusal>> + 'a>;

fn iter<'a>(crl: &CrlView<'a>) -> Entries<'a> {
    Box::new(ascending(crl))
}

/// What a reader knows who has a base and its delta (RFC 5280 section 6.3.3 (c), (i), (j)): the delta wins.
struct Said<'a, B: Iterator<Item = Result<EntryView<'a>, CrlRefusal>>> {
    base: Peekable<B>,
    own: Peekable<Entries<'a>>,
    /// crlEntryExtensions of an entry that does not remove: those of one kind are the same, octet by octet.
    staying: Option<&'a [u8]>,
}

impl<'a, B: Iterator<Item = Result<EntryView<'a>, CrlRefusal>>> Said<'a, B> {
    fn next(&mut self) -> Result<Option<EntryView<'a>>, CrlRefusal> {
        loop {
            let order = match (self.base.peek(), self.own.peek()) {
                (None, _) | (_, Some(Err(_))) => Ordering::Greater,
                (Some(Err(_)), _) | (_, None) => Ordering::Less,
                (Some(Ok(base)), Some(Ok(own))) => base.cmp_serial_number(own.magnitude()),
            };
            if order == Ordering::Less {
                return self.base.next().transpose();
            }
            if order == Ordering::Equal {
                self.base.next().transpose()?;
            }
            let Some(own) = self.own.next().transpose()? else { return Ok(None) };
            let extensions = own.raw_extensions();
            if extensions == self.staying || !own.removes()? {
                self.staying = extensions;
                return Ok(Some(own));
            }
        }
    }
}
