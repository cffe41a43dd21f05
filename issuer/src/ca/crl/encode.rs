//! A CRL of any length in constant memory.
//!
//! DER puts lengths first, and the signature covers all entries. So the entries go once through a temporary
//! file (in memory below a megabyte), which is then read twice: for the digest, and for the output.
use std::borrow::Borrow;
use std::error::Error;
use std::io::{Read, Seek, SeekFrom, Write};

use der::Encode;
use der::asn1::OctetString;
use spki::AlgorithmIdentifierOwned;
use tempfile::SpooledTempFile;
use x509_cert::name::Name;

use super::entry::EntryEncoder;
use super::{CrlHeader, CrlScope, RevocationReason, RevokedCertificate, extensions};
use crate::ca::algorithm::Digester;
use crate::ca::certificate::time;
use crate::ca::error::CaError;

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
    pub(crate) fn collect<B: Borrow<RevokedCertificate>, E: Into<Box<dyn Error + Send + Sync>>>(
        issuer: &CrlIssuer<'_>,
        header: CrlHeader,
        scope: &CrlScope,
        revoked: impl IntoIterator<Item = Result<B, E>>,
    ) -> Result<Self, CaError> {
        let (entries, entries_length) = spool(revoked, scope)?;
        let mut fields = Vec::new();
        append(&mut fields, &1_u8)?;
        append(&mut fields, &issuer.algorithm)?;
        append(&mut fields, issuer.name)?;
        append(&mut fields, &time(header.this_update)?)?;
        append(&mut fields, &time(header.next_update)?)?;
        // RFC 5280 section 5.1.2.6: absent, not empty, when nothing is revoked.
        let list_header = if entries_length == 0 { Vec::new() } else { der_header(SEQUENCE, entries_length) };
        let extensions = extensions::encode(issuer.key_identifier, header.number, scope)?;
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
        let mut buffer = vec![0; BUFFER];
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
fn spool<B: Borrow<RevokedCertificate>, E: Into<Box<dyn Error + Send + Sync>>>(
    revoked: impl IntoIterator<Item = Result<B, E>>,
    scope: &CrlScope,
) -> Result<(SpooledTempFile, u64), CaError> {
    let mut file = std::io::BufWriter::with_capacity(BUFFER, SpooledTempFile::new(SPOOL_IN_MEMORY));
    let mut encoder = EntryEncoder::default();
    let mut total = 0;
    let mut previous: Vec<u8> = Vec::new();
    for certificate in revoked {
        let certificate = certificate.map_err(|error| CaError::Entries(error.into()))?;
        let certificate = certificate.borrow();
        let number = certificate.serial_number.as_bytes();
        if (previous.len(), previous.as_slice()) >= (number.len(), number) {
            return Err(CaError::RevokedTwice(certificate.serial_number.clone()));
        }
        if certificate.reason == RevocationReason::RemoveFromCrl && scope.base_number.is_none() {
            return Err(CaError::malformed("CRL entry", "only a delta CRL can remove an entry"));
        }
        let entry = encoder.encode(certificate)?;
        file.write_all(entry)?;
        total += length(entry)?;
        previous.clear();
        previous.extend_from_slice(number);
    }
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok((file, total))
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
const SPOOL_IN_MEMORY: usize = 1024 * 1024;
const BUFFER: usize = 64 * 1024;

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
