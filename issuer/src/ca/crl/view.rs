//! Reading a CRL without unpacking its entries.
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, SequenceRef};
use der::{Decode, Reader, SliceReader, Tag, TagNumber};
use jiff::Timestamp;
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BaseCrlNumber, CrlNumber};
use x509_cert::name::Name;
use x509_cert::time::Time;

use super::entry_view::EntryView;
use super::extensions::{self, DELTA_CRL_INDICATOR, ISSUING_DISTRIBUTION_POINT};
use crate::ca::certificate::{SignedCertificate, timestamp};
use crate::ca::error::CaError;

/// A parsed `CertificateList`; the entries stay where they are.
pub(crate) struct CrlView<'a> {
    /// `None` is version 1, `Some(1)` version 2.
    pub(crate) version: Option<u8>,
    pub(crate) signature: AlgorithmIdentifierOwned,
    pub(crate) issuer: Name,
    pub(crate) this_update: Time,
    pub(crate) next_update: Option<Time>,
    revoked: Option<&'a [u8]>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) outer_algorithm: AlgorithmIdentifierOwned,
}

impl<'a> CrlView<'a> {
    /// Reads the DER of a `CertificateList`.
    pub(crate) fn from_der(der: &'a [u8]) -> Result<Self, CaError> {
        let signed = SignedCertificate::from_der(der).map_err(malformed)?;
        if signed.tbs.header().tag() != Tag::Sequence {
            return Err(CaError::malformed("CRL", "there is no list in it"));
        }
        read_list(signed.tbs.value(), signed.signature_algorithm).map_err(malformed)
    }

    /// Whether revokedCertificates is there but empty, which it must not be.
    pub(crate) fn has_empty_list(&self) -> bool {
        self.revoked.is_some_and(<[u8]>::is_empty)
    }

    /// The entries, one at a time; after a broken one there are no more.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<EntryView<'a>, CaError>> + use<'a> {
        let mut rest = self.revoked.unwrap_or_default();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let entry = EntryView::split(rest);
            rest = entry.as_ref().map(|(_, rest)| *rest).unwrap_or_default();
            Some(entry.map(|(entry, _)| entry))
        })
    }

    pub(crate) fn extension(&self, oid: ObjectIdentifier) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.extn_id == oid)
    }

    /// cRLNumber, big-endian without leading zeros.
    pub(crate) fn number(&self) -> Option<Vec<u8>> {
        let extension = self.extension(<CrlNumber as const_oid::AssociatedOid>::OID)?;
        Some(CrlNumber::from_der(extension.extn_value.as_bytes()).ok()?.0.as_bytes().to_vec())
    }

    /// Whether it says that it is a delta CRL.
    pub(crate) fn is_delta(&self) -> bool {
        self.extension(DELTA_CRL_INDICATOR).is_some()
    }

    /// BaseCRLNumber, big-endian without leading zeros.
    pub(crate) fn base_number(&self) -> Option<Vec<u8>> {
        let extension = self.extension(DELTA_CRL_INDICATOR)?;
        Some(BaseCrlNumber::from_der(extension.extn_value.as_bytes()).ok()?.0.as_bytes().to_vec())
    }

    /// The URI of its issuingDistributionPoint, where it has exactly one.
    pub(crate) fn distribution_point(&self) -> Option<String> {
        self.extension(ISSUING_DISTRIBUTION_POINT).and_then(extensions::distribution_point)
    }

    /// keyIdentifier of the authorityKeyIdentifier.
    pub(crate) fn authority_key_identifier(&self) -> Option<Vec<u8>> {
        let extension = self.extension(<AuthorityKeyIdentifier as const_oid::AssociatedOid>::OID)?;
        let identifier = AuthorityKeyIdentifier::from_der(extension.extn_value.as_bytes()).ok()?;
        Some(identifier.key_identifier?.as_bytes().to_vec())
    }

    pub(crate) fn made(&self) -> Timestamp {
        timestamp(self.this_update)
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next_update.map(timestamp)
    }
}

fn read_list<'a>(list: &'a [u8], outer_algorithm: AlgorithmIdentifierOwned) -> der::Result<CrlView<'a>> {
    let mut reader = SliceReader::new(list)?;
    let version = if Tag::peek(&reader)? == Tag::Integer { Some(reader.decode()?) } else { None };
    let signature = reader.decode()?;
    let issuer = reader.decode()?;
    let this_update = reader.decode()?;
    let is_next = |tag| matches!(tag, Tag::UtcTime | Tag::GeneralizedTime);
    let next_update = if next_tag(&reader).is_some_and(is_next) { Some(reader.decode()?) } else { None };
    let revoked = match next_tag(&reader) {
        Some(Tag::Sequence) => Some(reader.decode::<&SequenceRef>()?.as_bytes()),
        _ => None,
    };
    let explicit = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
    let extensions = if next_tag(&reader) == Some(explicit) {
        Vec::<Extension>::from_der(reader.decode::<AnyRef<'_>>()?.value())?
    } else {
        Vec::new()
    };
    reader.finish()?;
    Ok(CrlView { version, signature, issuer, this_update, next_update, revoked, extensions, outer_algorithm })
}

fn next_tag<'a>(reader: &impl Reader<'a>) -> Option<Tag> {
    if reader.is_finished() { None } else { Tag::peek(reader).ok() }
}

fn malformed(error: der::Error) -> CaError {
    CaError::malformed("CRL", error)
}
