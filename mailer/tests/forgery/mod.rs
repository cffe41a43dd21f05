//! CMS objects and messages written octet by octet, so that each can lie in exactly one place.
//!
//! Nothing of the engine's own writer is used: an error that reader and writer share would not be seen.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test program uses its part"
)]
use std::cell::RefCell;

use der::Encode;
use mailer::trust::Certificate;
use middleware::{DigestAlgorithm, FileKey, SignatureScheme, Signer};
use sha2::{Digest, Sha256};

use crate::openssl_pki::Identity;

pub(crate) const ID_DATA: &str = "1.2.840.113549.1.7.1";
pub(crate) const ID_SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
pub(crate) const ID_ENVELOPED_DATA: &str = "1.2.840.113549.1.7.3";
pub(crate) const ID_AUTH_ENVELOPED_DATA: &str = "1.2.840.113549.1.9.16.1.23";
pub(crate) const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
pub(crate) const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
pub(crate) const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
pub(crate) const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";
pub(crate) const ALGORITHM_PROTECTION: &str = "1.2.840.113549.1.9.52";
pub(crate) const SHA1: &str = "1.3.14.3.2.26";
pub(crate) const SHA256: &str = "2.16.840.1.101.3.4.2.1";
pub(crate) const SHA512: &str = "2.16.840.1.101.3.4.2.3";
pub(crate) const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";
pub(crate) const ECDSA_WITH_SHA512: &str = "1.2.840.10045.4.3.4";

/// One DER element.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let mut written = vec![tag];
    match contents.len() {
        short @ 0..=0x7F => written.push(u8::try_from(short).unwrap()),
        length => {
            let octets = length.to_be_bytes();
            let octets = &octets[octets.iter().position(|octet| *octet != 0).unwrap()..];
            written.push(0x80 | u8::try_from(octets.len()).unwrap());
            written.extend_from_slice(octets);
        }
    }
    written.extend_from_slice(&contents);
    written
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, parts)
}

pub(crate) fn octets(contents: &[u8]) -> Vec<u8> {
    element(0x04, &[contents])
}

pub(crate) fn object_identifier(dotted: &str) -> Vec<u8> {
    const_oid::ObjectIdentifier::new(dotted).unwrap().to_der().unwrap()
}

/// An AlgorithmIdentifier without parameters.
pub(crate) fn algorithm(dotted: &str) -> Vec<u8> {
    sequence(&[&object_identifier(dotted)])
}

/// A SET OF in DER order.
pub(crate) fn set(tag: u8, elements: &[Vec<u8>]) -> Vec<u8> {
    let mut sorted = elements.to_vec();
    sorted.sort();
    element(tag, &sorted.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// An attribute with these values.
pub(crate) fn attribute(kind: &str, values: &[Vec<u8>]) -> Vec<u8> {
    sequence(&[&object_identifier(kind), &set(0x31, values)])
}

pub(crate) fn content_info(kind: &str, content: &[u8]) -> Vec<u8> {
    sequence(&[&object_identifier(kind), &element(0xA0, &[content])])
}

pub(crate) fn issuer_and_serial(certificate: &Certificate) -> Vec<u8> {
    let serial = hex::decode(certificate.serial_number()).unwrap();
    sequence(&[&certificate.issuer_name().to_der().unwrap(), &element(0x02, &[&serial])])
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// One SignerInfo, part by part; made honest by [`Shape::new`].
pub(crate) struct Shape {
    pub(crate) version: u8,
    pub(crate) identifier: Vec<u8>,
    pub(crate) digest_algorithm: Vec<u8>,
    /// The signed attributes in the order in which they are written; none at all when empty.
    pub(crate) attributes: Vec<Vec<u8>>,
    pub(crate) sorted: bool,
    /// What is signed, if not the DER of the attributes (or the content, without attributes).
    pub(crate) signed: Option<Vec<u8>>,
    pub(crate) signature_algorithm: Vec<u8>,
    pub(crate) unsigned: Vec<Vec<u8>>,
    content: Vec<u8>,
}

impl Shape {
    /// What an honest program writes: content-type and message-digest, named by issuer and serial number.
    pub(crate) fn new(signer: &Certificate, content: &[u8]) -> Self {
        Self {
            version: 1,
            identifier: issuer_and_serial(signer),
            digest_algorithm: algorithm(SHA256),
            attributes: vec![
                attribute(CONTENT_TYPE, &[object_identifier(ID_DATA)]),
                attribute(MESSAGE_DIGEST, &[octets(&sha256(content))]),
            ],
            sorted: true,
            signed: None,
            signature_algorithm: algorithm(ECDSA_WITH_SHA256),
            unsigned: Vec::new(),
            content: content.to_vec(),
        }
    }

    /// Puts another attribute in the place of the one of this kind.
    pub(crate) fn replace(&mut self, kind: &str, attribute: Vec<u8>) {
        let identifier = object_identifier(kind);
        let is_kind = |found: &Vec<u8>| found.windows(identifier.len()).any(|window| window == identifier);
        self.attributes.retain(|found| !is_kind(found));
        self.attributes.push(attribute);
    }

    /// Signs and encodes.
    pub(crate) fn sign(&self, key: &Hand) -> Vec<u8> {
        let in_order = set(0x31, &self.attributes);
        let signed = match (&self.signed, self.attributes.is_empty()) {
            (Some(signed), _) => signed,
            (None, true) => &self.content,
            (None, false) => &in_order,
        };
        let references: Vec<&[u8]> = self.attributes.iter().map(Vec::as_slice).collect();
        let attributes = match (self.attributes.is_empty(), self.sorted) {
            (true, _) => Vec::new(),
            (false, true) => set(0xA0, &self.attributes),
            (false, false) => element(0xA0, &references),
        };
        let unsigned = if self.unsigned.is_empty() { Vec::new() } else { set(0xA1, &self.unsigned) };
        sequence(&[
            &element(0x02, &[&[self.version]]),
            &self.identifier,
            &self.digest_algorithm,
            &attributes,
            &self.signature_algorithm,
            &octets(&key.sign(signed)),
            &unsigned,
        ])
    }
}

/// A private key (P-256) that signs whatever it is told to, with SHA-256.
pub(crate) struct Hand {
    key: RefCell<FileKey>,
    pub(crate) certificate: Certificate,
}

impl Hand {
    pub(crate) fn of(identity: &Identity) -> Self {
        let key = RefCell::new(FileKey::from_pkcs8_der(&identity.pkcs8()).unwrap());
        Self { key, certificate: identity.certificate() }
    }

    pub(crate) fn sign(&self, signed: &[u8]) -> Vec<u8> {
        let scheme = SignatureScheme::Ecdsa(DigestAlgorithm::Sha256);
        Signer::sign(&mut *self.key.borrow_mut(), scheme, &sha256(signed)).unwrap()
    }

    /// An honest SignerInfo.
    pub(crate) fn signer_info(&self, content: &[u8]) -> Vec<u8> {
        Shape::new(&self.certificate, content).sign(self)
    }
}

/// A SignedData, part by part.
pub(crate) struct SignedData<'a> {
    pub(crate) content_type: &'a str,
    pub(crate) content: Option<&'a [u8]>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) revocation_lists: Vec<Vec<u8>>,
    pub(crate) signer_infos: Vec<Vec<u8>>,
}

impl<'a> SignedData<'a> {
    pub(crate) fn new(
        content: Option<&'a [u8]>,
        certificates: &[&Certificate],
        signer_infos: &[Vec<u8>],
    ) -> Self {
        Self {
            content_type: ID_DATA,
            content,
            certificates: certificates.iter().map(|&certificate| certificate.clone()).collect(),
            revocation_lists: Vec::new(),
            signer_infos: signer_infos.to_vec(),
        }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let inside = self.content.map(|content| element(0xA0, &[&octets(content)])).unwrap_or_default();
        let certificates: Vec<Vec<u8>> =
            self.certificates.iter().map(|certificate| certificate.der().to_vec()).collect();
        let lists = match self.revocation_lists.is_empty() {
            true => Vec::new(),
            false => set(0xA1, &self.revocation_lists),
        };
        let signed_data = sequence(&[
            &element(0x02, &[&[1]]),
            &set(0x31, &[algorithm(SHA256)]),
            &sequence(&[&object_identifier(self.content_type), &inside]),
            &set(0xA0, &certificates),
            &lists,
            &set(0x31, &self.signer_infos),
        ]);
        content_info(ID_SIGNED_DATA, &signed_data)
    }
}

/// Base64 in lines, as MIME wants it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let encoded = String::from_utf8(mailer::message::transfer_encoding::encode_base64(bytes)).unwrap();
    encoded.trim_end().replace("\r\n", "\n").replace('\n', "\r\n")
}

/// An entity `application/pkcs7-mime`, beginning with its header.
pub(crate) fn pkcs7_mime(der: &[u8]) -> String {
    format!(
        "Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        base64(der)
    )
}

/// An entity `multipart/signed`, beginning with its header.
pub(crate) fn multipart_signed(content: &str, der: &[u8]) -> String {
    format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"sb\"\r\n\r\n\
         --sb\r\n{content}\r\n--sb\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--sb--\r\n",
        base64(der)
    )
}

/// A message of an entity under these header fields (each with its line end).
pub(crate) fn message(fields: &str, entity: &str) -> String {
    format!("{fields}MIME-Version: 1.0\r\n{entity}")
}

/// The elements inside a constructed one, each whole.
pub(crate) fn elements(der: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = contents(der);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (header, length) = header(rest);
        found.push(rest[..header + length].to_vec());
        rest = &rest[header + length..];
    }
    found
}

/// The contents octets of an element.
pub(crate) fn contents(der: &[u8]) -> &[u8] {
    let (header, length) = header(der);
    &der[header..header + length]
}

fn header(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ 0..=0x7F => (2, usize::from(short)),
        long => {
            let octets = usize::from(long & 0x7F);
            (2 + octets, der[2..2 + octets].iter().fold(0, |length, octet| length << 8 | usize::from(*octet)))
        }
    }
}
