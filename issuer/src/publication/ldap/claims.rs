//! Whose a value says that it is, of however little there is of it: what was cut off or overwritten can be verified no more.
use der::{Encode, Header, Reader, SliceReader, Tag, TagNumber};
use x509_cert::name::Name;

/// The names at the beginning of a certificate, DER.
pub(super) struct CertificateClaim<'a> {
    pub(super) issuer: &'a [u8],
    /// None where it ends before.
    pub(super) subject: Option<&'a [u8]>,
}

/// Whether these octets are the encoding of a name.
pub(super) fn is_name(octets: &[u8], name: &Name) -> bool {
    name.to_der().is_ok_and(|der| der == octets)
}

/// ```text
/// CertificateList  ::=  SEQUENCE  {
///      tbsCertList          TBSCertList, ...
/// TBSCertList  ::=  SEQUENCE  {
///      version                 Version OPTIONAL,
///      signature               AlgorithmIdentifier,
///      issuer                  Name, ...                           RFC 5280 section 5.1
/// ```
pub(super) fn crl_issuer(value: &[u8]) -> Option<&[u8]> {
    let mut reader = begin(value)?;
    if Tag::peek(&reader).ok()? == Tag::Integer {
        reader.tlv_bytes().ok()?;
    }
    sequence(&mut reader)?;
    sequence(&mut reader)
}

/// ```text
/// Certificate  ::=  SEQUENCE  {
///      tbsCertificate       TBSCertificate, ...
/// TBSCertificate  ::=  SEQUENCE  {
///      version         [0]  EXPLICIT Version DEFAULT v1,
///      serialNumber         CertificateSerialNumber,
///      signature            AlgorithmIdentifier,
///      issuer               Name,
///      validity             Validity,
///      subject              Name, ...                              RFC 5280 section 4.1
/// ```
pub(super) fn certificate(value: &[u8]) -> Option<CertificateClaim<'_>> {
    let mut reader = begin(value)?;
    if Tag::peek(&reader).ok()? == (Tag::ContextSpecific { constructed: true, number: TagNumber(0) }) {
        reader.tlv_bytes().ok()?;
    }
    reader.tlv_bytes().ok()?;
    sequence(&mut reader)?;
    let issuer = sequence(&mut reader)?;
    let subject = sequence(&mut reader).and_then(|_| sequence(&mut reader));
    Some(CertificateClaim { issuer, subject })
}

/// Behind the headers of the two outer sequences, whatever they say of their lengths.
fn begin(value: &[u8]) -> Option<SliceReader<'_>> {
    let mut reader = SliceReader::new(value).ok()?;
    for _ in 0..2 {
        let header = reader.decode::<Header>().ok()?;
        (header.tag() == Tag::Sequence).then_some(())?;
    }
    Some(reader)
}

fn sequence<'a>(reader: &mut SliceReader<'a>) -> Option<&'a [u8]> {
    (Tag::peek(reader).ok()? == Tag::Sequence).then_some(())?;
    reader.tlv_bytes().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths are those of the whole; the octets end anywhere.
    #[test]
    fn the_beginning_is_enough_and_nothing_panics() {
        let name = [0x30, 3, 0x31, 1, 0x55];
        let list = [&[0x30, 0x40, 0x30, 0x30, 2, 1, 1, 0x30, 1, 6][..], &name].concat();
        assert_eq!(crl_issuer(&list), Some(&name[..]));
        assert_eq!(crl_issuer(&list[..list.len() - 1]), None);
        let begin = [&[0x30, 0x40, 0x30, 0x30, 0xA0, 1, 2, 2, 1, 9, 0x30, 1, 6][..], &name].concat();
        let claim = certificate(&begin).unwrap();
        assert_eq!((claim.issuer, claim.subject), (&name[..], None));
        let whole = [&begin[..], &[0x30, 0], &name].concat();
        assert_eq!(certificate(&whole).unwrap().subject, Some(&name[..]));
        for end in 0..list.len() {
            assert!(crl_issuer(&list[..end]).is_none() && certificate(&list[..end]).is_none());
        }
        assert!(crl_issuer(b"theirs").is_none() && certificate(b"").is_none());
    }
}
