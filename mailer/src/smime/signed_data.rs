//! SignedData as a stream (RFC 5652 section 5.1): the content passes by once and is hashed on its way.
use std::io::Write;

use const_oid::ObjectIdentifier;
use der::Decode;
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::ber_reader::{Reader, whole};
use super::content_digest::{CHUNK, Digesting};
use super::content_info;
use super::object_identifiers::ID_SIGNED_DATA;
use super::verify::{VerifyError, digest_algorithm};
use crate::certificate::Certificate;
use crate::certificate::tlv::tag;
use crate::content::{Content, Replay, Spool};

/// Limits on what a stranger can make us look at.
const MOST_SIGNERS: usize = 16;
const MOST_CERTIFICATES: usize = 64;
const MOST_REVOCATION_LISTS: usize = 16;
const MOST_DIGEST_ALGORITHMS: usize = 16;
const LONGEST_CERTIFICATE: usize = 256 * 1024;
const LONGEST_SIGNER_INFO: usize = 2 * 1024 * 1024;
/// A CRL that is longer is to be fetched, not to be sent along.
const LONGEST_REVOCATION_LISTS: usize = 8 * 1024 * 1024;
const LONGEST_SMALL_FIELD: usize = 16 * 1024;

/// ```text
/// SignedData ::= SEQUENCE { version CMSVersion, digestAlgorithms DigestAlgorithmIdentifiers,
///     encapContentInfo EncapsulatedContentInfo, certificates [0] IMPLICIT CertificateSet OPTIONAL,
///     crls [1] IMPLICIT RevocationInfoChoices OPTIONAL, signerInfos SignerInfos }
/// EncapsulatedContentInfo ::= SEQUENCE { eContentType ContentType, eContent [0] EXPLICIT OCTET STRING OPTIONAL }
/// ```
pub(super) struct SignedData {
    pub(super) digest_algorithms: Vec<ObjectIdentifier>,
    pub(super) content_type: ObjectIdentifier,
    /// The content inside, if there is one, hashed by every digest algorithm named that is supported.
    pub(super) content: Option<(Content, Digesting)>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) revocation_lists: Vec<Vec<u8>>,
    /// Each in DER.
    pub(super) signer_infos: Vec<Vec<u8>>,
}

impl SignedData {
    pub(super) fn read(cms: &dyn Replay) -> Result<Self, VerifyError> {
        let mut reader = Reader::new(cms);
        let found = content_info::enter(&mut reader)?;
        if found != ID_SIGNED_DATA {
            return Err(VerifyError::NotSignedData(found));
        }
        content_info::enter_content(&mut reader)?;
        reader.expect(tag::INTEGER, LONGEST_SMALL_FIELD)?;
        let digest_algorithms = digest_algorithms(&mut reader)?;
        reader.enter(tag::SEQUENCE)?;
        let content_type = content_info::read_object_identifier(&mut reader)?;
        let content = if reader.enter_optional(tag::context_constructed(0))? {
            let content = content(&mut reader, &digest_algorithms)?;
            reader.leave()?;
            Some(content)
        } else {
            None
        };
        reader.leave()?;
        let certificates = certificates(&mut reader)?;
        let revocation_lists = revocation_lists(&mut reader)?;
        reader.enter(tag::SET)?;
        let mut signer_infos = Vec::new();
        while reader.peek()?.is_some() {
            count(signer_infos.len(), MOST_SIGNERS, "signers")?;
            signer_infos.push(reader.take(LONGEST_SIGNER_INFO)?);
        }
        reader.leave()?;
        content_info::leave(&mut reader)?;
        Ok(Self { digest_algorithms, content_type, content, certificates, revocation_lists, signer_infos })
    }
}

fn digest_algorithms(reader: &mut Reader<'_>) -> Result<Vec<ObjectIdentifier>, VerifyError> {
    let set = reader.expect(tag::SET, LONGEST_SMALL_FIELD)?;
    let mut elements = whole(&set)?.elements();
    let mut found = Vec::new();
    while let Some(element) = elements.next()? {
        count(found.len(), MOST_DIGEST_ALGORITHMS, "digest algorithms")?;
        let malformed = |_| VerifyError::Malformed("a digest algorithm cannot be read".to_owned());
        found.push(AlgorithmIdentifierOwned::from_der(element.bytes).map_err(malformed)?.oid);
    }
    Ok(found)
}

fn content(
    reader: &mut Reader<'_>,
    digest_algorithms: &[ObjectIdentifier],
) -> Result<(Content, Digesting), VerifyError> {
    let known = digest_algorithms.iter().filter_map(|algorithm| digest_algorithm(*algorithm).ok());
    let mut digesting = Digesting::new(known);
    let mut spool = Spool::new();
    let mut octets = reader.octets(tag::OCTET_STRING)?;
    let mut buffer = Zeroizing::new(vec![0; CHUNK]);
    loop {
        let filled = octets.fill(&mut buffer)?;
        let chunk = buffer.get(..filled).unwrap_or_default();
        digesting.update(chunk);
        spool.write_all(chunk)?;
        if filled < CHUNK {
            return Ok((spool.finish()?, digesting));
        }
    }
}

/// X.509 certificates; attribute certificates and what cannot be read are passed over.
fn certificates(reader: &mut Reader<'_>) -> Result<Vec<Certificate>, VerifyError> {
    let mut certificates = Vec::new();
    if !reader.enter_optional(tag::context_constructed(0))? {
        return Ok(certificates);
    }
    let mut seen = 0;
    while let Some(found) = reader.peek()? {
        count(seen, MOST_CERTIFICATES, "certificates")?;
        seen += 1;
        if found == tag::SEQUENCE {
            certificates.extend(Certificate::from_der(&reader.take(LONGEST_CERTIFICATE)?).ok());
        } else {
            reader.skip()?;
        }
    }
    reader.leave()?;
    Ok(certificates)
}

/// CRLs; other revocation information (RFC 5652 section 10.2.1) is passed over.
fn revocation_lists(reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, VerifyError> {
    let mut lists = Vec::new();
    if !reader.enter_optional(tag::context_constructed(1))? {
        return Ok(lists);
    }
    let mut seen = 0;
    while let Some(found) = reader.peek()? {
        count(seen, MOST_REVOCATION_LISTS, "CRLs")?;
        seen += 1;
        if found == tag::SEQUENCE {
            lists.push(reader.take(LONGEST_REVOCATION_LISTS)?);
        } else {
            reader.skip()?;
        }
    }
    reader.leave()?;
    Ok(lists)
}

fn count(already: usize, most: usize, what: &'static str) -> Result<(), VerifyError> {
    if already < most { Ok(()) } else { Err(VerifyError::TooMany(what)) }
}
