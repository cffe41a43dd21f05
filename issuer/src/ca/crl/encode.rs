//! A CRL of any length in constant memory.
//!
//! DER puts lengths first, and the signature covers all entries. So the entries go once through a temporary
//! file (in memory below a megabyte), which is then read twice: for the digest, and for the output.
use std::error::Error;
use std::io::{Read, Seek, SeekFrom, Write};

use const_oid::AssociatedOid;
use const_oid::db::rfc5280::{ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE};
use der::asn1::{GeneralizedTime, Int, OctetString, Uint};
use der::{Encode, Sequence};
use jiff::Timestamp;
use spki::AlgorithmIdentifierOwned;
use tempfile::SpooledTempFile;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlNumber};
use x509_cert::name::Name;
use x509_cert::time::Time;

use super::{CrlHeader, RevocationReason, RevokedCertificate};
use crate::ca::algorithm::Digester;
use crate::ca::certificate::time;
use crate::ca::error::CaError;
use crate::ca::serial_number::SerialNumber;

/// What the issuing authority contributes.
pub(crate) struct CrlIssuer<'a> {
    pub(crate) name: &'a Name,
    pub(crate) key_identifier: &'a OctetString,
    pub(crate) algorithm: AlgorithmIdentifierOwned,
}

/// A `TBSCertList` whose entries wait in a temporary file.
///
/// ```text
/// TBSCertList  ::=  SEQUENCE  {
///      version                 Version OPTIONAL,  -- v2
///      signature               AlgorithmIdentifier,
///      issuer                  Name,
///      thisUpdate              Time,
///      nextUpdate              Time OPTIONAL,
///      revokedCertificates     SEQUENCE OF SEQUENCE  { ... } OPTIONAL,
///      crlExtensions           [0]  EXPLICIT Extensions OPTIONAL }
/// ```
pub(crate) struct UnsignedCrl {
    /// Everything before the entries, the outer header included.
    head: Vec<u8>,
    entries: SpooledTempFile,
    /// Everything after the entries.
    tail: Vec<u8>,
    algorithm: Vec<u8>,
}

impl UnsignedCrl {
    pub(crate) fn collect<E: Into<Box<dyn Error + Send + Sync>>>(
        issuer: &CrlIssuer<'_>,
        header: CrlHeader,
        revoked: impl IntoIterator<Item = Result<RevokedCertificate, E>>,
    ) -> Result<Self, CaError> {
        let (entries, entries_length) = spool(revoked)?;
        let mut fields = Vec::new();
        append(&mut fields, &1_u8)?;
        append(&mut fields, &issuer.algorithm)?;
        append(&mut fields, issuer.name)?;
        append(&mut fields, &time(header.this_update)?)?;
        append(&mut fields, &time(header.next_update)?)?;
        // RFC 5280 section 5.1.2.6: absent, not empty, when nothing is revoked.
        let list_header = if entries_length == 0 { Vec::new() } else { der_header(SEQUENCE, entries_length) };
        let extensions = extensions(issuer.key_identifier, header.number)?;
        let mut tail = der_header(CONTEXT_0, length(&extensions)?);
        tail.extend_from_slice(&extensions);
        let body = length(&fields)? + length(&list_header)? + entries_length + length(&tail)?;
        let mut head = der_header(SEQUENCE, body);
        head.append(&mut fields);
        head.extend_from_slice(&list_header);
        Ok(Self { head, entries, tail, algorithm: issuer.algorithm.to_der().map_err(malformed)? })
    }

    /// Feeds the whole `TBSCertList` to a digest.
    pub(crate) fn digest(&mut self, digester: &mut Digester) -> Result<(), CaError> {
        self.for_each_part(|part| {
            digester.update(part);
            Ok(())
        })
    }

    /// Writes the `CertificateList`.
    pub(crate) fn write(mut self, signature: &[u8], out: &mut impl Write) -> Result<(), CaError> {
        let mut ending = std::mem::take(&mut self.algorithm);
        ending.extend(der_header(BIT_STRING, length(signature)? + 1));
        ending.push(0);
        ending.extend_from_slice(signature);
        let entries = self.entries.seek(SeekFrom::End(0))?;
        let tbs = length(&self.head)? + entries + length(&self.tail)?;
        out.write_all(&der_header(SEQUENCE, tbs + length(&ending)?))?;
        self.for_each_part(|part| out.write_all(part))?;
        out.write_all(&ending)?;
        Ok(out.flush()?)
    }

    fn for_each_part(&mut self, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<(), CaError> {
        take(&self.head)?;
        self.entries.rewind()?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = self.entries.read(&mut buffer)?;
            match buffer.get(..count) {
                Some([]) | None => break,
                Some(part) => take(part)?,
            }
        }
        Ok(take(&self.tail)?)
    }
}

/// Encodes the entries into a temporary file; answers how many octets they are.
fn spool<E: Into<Box<dyn Error + Send + Sync>>>(
    revoked: impl IntoIterator<Item = Result<RevokedCertificate, E>>,
) -> Result<(SpooledTempFile, u64), CaError> {
    let mut file = std::io::BufWriter::new(SpooledTempFile::new(SPOOL_IN_MEMORY));
    let mut total = 0;
    let mut previous: Option<SerialNumber> = None;
    for certificate in revoked {
        let certificate = certificate.map_err(|error| CaError::Entries(error.into()))?;
        if previous.is_some_and(|previous| previous >= certificate.serial_number) {
            return Err(CaError::RevokedTwice(certificate.serial_number));
        }
        let entry = encode_entry(&certificate)?;
        file.write_all(&entry)?;
        total += length(&entry)?;
        previous = Some(certificate.serial_number);
    }
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok((file, total))
}

#[derive(Sequence)]
struct Entry {
    user_certificate: Int,
    revocation_date: Time,
    #[asn1(optional = "true")]
    crl_entry_extensions: Option<Vec<Extension>>,
}

fn encode_entry(certificate: &RevokedCertificate) -> Result<Vec<u8>, CaError> {
    let mut extensions = Vec::new();
    // RFC 5280 section 5.3.1: unspecified (0) is said by leaving the extension out.
    if certificate.reason != RevocationReason::Unspecified {
        let reason = OctetString::new(vec![ENUMERATED, 1, certificate.reason.code()]).map_err(malformed)?;
        extensions.push(Extension { extn_id: ID_CE_CRL_REASONS, critical: false, extn_value: reason });
    }
    if let Some(since) = certificate.invalidity_date {
        // Section 5.3.2: GeneralizedTime whatever the year.
        let since = generalized_time(since)?.to_der().and_then(OctetString::new).map_err(malformed)?;
        extensions.push(Extension { extn_id: ID_CE_INVALIDITY_DATE, critical: false, extn_value: since });
    }
    let entry = Entry {
        user_certificate: Uint::new(certificate.serial_number.as_bytes())
            .map(Int::from)
            .map_err(malformed)?,
        revocation_date: time(certificate.revocation_date)?,
        crl_entry_extensions: (!extensions.is_empty()).then_some(extensions),
    };
    entry.to_der().map_err(malformed)
}

fn generalized_time(timestamp: Timestamp) -> Result<GeneralizedTime, CaError> {
    Ok(match time(timestamp)? {
        Time::UtcTime(time) => GeneralizedTime::from_date_time(time.to_date_time()),
        Time::GeneralTime(time) => time,
    })
}

/// The two that section 5.2 makes mandatory: authorityKeyIdentifier and cRLNumber, neither critical.
fn extensions(key_identifier: &OctetString, number: u64) -> Result<Vec<u8>, CaError> {
    let authority =
        AuthorityKeyIdentifier { key_identifier: Some(key_identifier.clone()), ..Default::default() };
    let number = CrlNumber(Uint::new(&number.to_be_bytes()).map_err(malformed)?);
    let extension = |extn_id, der: der::Result<Vec<u8>>| {
        let extn_value = der.and_then(OctetString::new).map_err(malformed)?;
        Ok::<_, CaError>(Extension { extn_id, critical: false, extn_value })
    };
    let extensions = vec![
        extension(AuthorityKeyIdentifier::OID, authority.to_der())?,
        extension(CrlNumber::OID, number.to_der())?,
    ];
    extensions.to_der().map_err(malformed)
}

fn append(fields: &mut Vec<u8>, value: &impl Encode) -> Result<(), CaError> {
    value.encode_to_vec(fields).map(drop).map_err(malformed)
}

/// Identifier and definite length, ITU-T X.690 sections 8.1.3 and 10.1.
fn der_header(tag: u8, length: u64) -> Vec<u8> {
    let octets = length.to_be_bytes();
    let significant: Vec<u8> = octets.into_iter().skip_while(|octet| *octet == 0).collect();
    let mut header = vec![tag];
    match significant.as_slice() {
        [] => header.push(0),
        [short @ 0..=0x7F] => header.push(*short),
        long => {
            header.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            header.extend_from_slice(long);
        }
    }
    header
}

fn length(octets: &[u8]) -> Result<u64, CaError> {
    u64::try_from(octets.len()).map_err(|error| CaError::malformed("CRL", error))
}

fn malformed(error: der::Error) -> CaError {
    CaError::malformed("CRL entry", error)
}

const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xA0;
const BIT_STRING: u8 = 0x03;
const ENUMERATED: u8 = 0x0A;
const SPOOL_IN_MEMORY: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::der_header;

    #[test]
    fn lengths_take_the_fewest_octets() {
        assert_eq!(der_header(0x30, 0), [0x30, 0x00]);
        assert_eq!(der_header(0x30, 127), [0x30, 0x7F]);
        assert_eq!(der_header(0x30, 128), [0x30, 0x81, 0x80]);
        assert_eq!(der_header(0x30, 256), [0x30, 0x82, 0x01, 0x00]);
        assert_eq!(der_header(0x30, 0x1_0000), [0x30, 0x83, 0x01, 0x00, 0x00]);
        assert_eq!(der_header(0x30, 0x1_0000_0000), [0x30, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00]);
    }
}
