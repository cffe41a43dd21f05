//! Certificates and CRLs made to order with P-256 keys, field by field, right or wrong.
use const_oid::ObjectIdentifier;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};

/// One DER element.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let mut bytes = vec![tag];
    match contents.len() {
        length @ 0..0x80 => bytes.push(u8::try_from(length).unwrap()),
        length @ 0x80..0x100 => bytes.extend([0x81, u8::try_from(length).unwrap()]),
        length => bytes.extend([&[0x82][..], &u16::try_from(length).unwrap().to_be_bytes()].concat()),
    }
    [bytes, contents].concat()
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

pub(crate) fn oid(text: &str) -> Vec<u8> {
    tlv(0x06, &[ObjectIdentifier::new_unwrap(text).as_bytes()])
}

pub(crate) fn utc_time(text: &str) -> Vec<u8> {
    tlv(0x17, &[text.as_bytes()])
}

/// An attribute of a name: UTF8String, or IA5String for a mail address.
pub(crate) fn attribute(kind: &str, text: &str) -> Vec<u8> {
    let tag = if kind == EMAIL { 0x16 } else { 0x0C };
    tlv(0x31, &[&sequence(&[&oid(kind), &tlv(tag, &[text.as_bytes()])])])
}

pub(crate) const EMAIL: &str = "1.2.840.113549.1.9.1";
pub(crate) const COMMON_NAME: &str = "2.5.4.3";
pub(crate) const ORGANISATION: &str = "2.5.4.10";

/// `O=Rules, CN=...`.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    sequence(&[&attribute(ORGANISATION, "Rules"), &attribute(COMMON_NAME, common_name)])
}

pub(crate) fn ecdsa_with_sha256() -> Vec<u8> {
    sequence(&[&oid("1.2.840.10045.4.3.2")])
}

pub(crate) fn new_key() -> SigningKey {
    let mut bytes = [0; 32];
    loop {
        getrandom::fill(&mut bytes).unwrap();
        if let Ok(key) = SigningKey::from_slice(&bytes) {
            return key;
        }
    }
}

/// SubjectPublicKeyInfo of a key.
pub(crate) fn public_key(key: &SigningKey) -> Vec<u8> {
    let point = key.verifying_key().to_sec1_point(false);
    let algorithm = sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.2.840.10045.3.1.7")]);
    sequence(&[&algorithm, &tlv(0x03, &[&[0], point.as_bytes()])])
}

/// A key identifier: the first octets of the point are as good as a digest.
pub(crate) fn key_identifier(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_sec1_point(true).as_bytes()[..20].to_vec()
}

/// What is signed around: `to_be_signed`, algorithm, signature.
pub(crate) fn signed(to_be_signed: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    sequence(&[to_be_signed, algorithm, &tlv(0x03, &[&[0], signature])])
}

pub(crate) fn signature(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let signature: DerSignature = key.sign(message);
    signature.as_bytes().to_vec()
}

/// An extension.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) kind: &'static str,
    /// The element of the criticality, or nothing.
    pub(crate) critical: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl Extension {
    pub(crate) fn new(kind: &'static str, critical: bool, value: Vec<u8>) -> Self {
        Self { kind, critical: if critical { vec![1, 1, 0xFF] } else { Vec::new() }, value }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        sequence(&[&oid(self.kind), &self.critical, &tlv(0x04, &[&self.value])])
    }
}

/// A certificate before it is signed: each field as its element, to be changed at will.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) version: Vec<u8>,
    pub(crate) serial_number: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) outer_algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) not_before: Vec<u8>,
    pub(crate) not_after: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) unique_identifiers: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
    /// The element of the extensions, where it is not made of them.
    pub(crate) extensions_der: Option<Vec<u8>>,
    pub(crate) change: Change,
}

/// What happens to a certificate after it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    /// The last octet of the signature is another.
    Signature,
    /// The signature's bits are said not to fill its last octet.
    UnusedBits,
    /// Something follows.
    Trailing,
}

impl Draft {
    /// A good one, without extensions.
    pub(crate) fn new(serial: u8, issuer: &str, subject: &str, key: &SigningKey) -> Self {
        Self {
            version: tlv(0xA0, &[&[2, 1, 2]]),
            serial_number: vec![2, 1, serial],
            algorithm: ecdsa_with_sha256(),
            outer_algorithm: ecdsa_with_sha256(),
            issuer: name(issuer),
            not_before: utc_time("250101000000Z"),
            not_after: utc_time("350101000000Z"),
            subject: name(subject),
            public_key: public_key(key),
            unique_identifiers: Vec::new(),
            extensions: Vec::new(),
            extensions_der: None,
            change: Change::Nothing,
        }
    }

    /// Puts an extension in, in place of one of its kind.
    pub(crate) fn put(&mut self, kind: &'static str, critical: bool, value: Vec<u8>) -> &mut Self {
        self.remove(kind).extensions.push(Extension::new(kind, critical, value));
        self
    }

    pub(crate) fn remove(&mut self, kind: &str) -> &mut Self {
        self.extensions.retain(|extension| extension.kind != kind);
        self
    }

    pub(crate) fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let extensions = self.extensions_der.clone().unwrap_or_else(|| match self.extensions.as_slice() {
            [] => Vec::new(),
            some => {
                let list: Vec<Vec<u8>> = some.iter().map(Extension::der).collect();
                tlv(0xA3, &[&sequence(&list.iter().map(Vec::as_slice).collect::<Vec<_>>())])
            }
        });
        let to_be_signed = sequence(&[
            &self.version,
            &self.serial_number,
            &self.algorithm,
            &self.issuer,
            &sequence(&[&self.not_before, &self.not_after]),
            &self.subject,
            &self.public_key,
            &self.unique_identifiers,
            &extensions,
        ]);
        let mut signature = signature(key, &to_be_signed);
        if self.change == Change::Signature {
            *signature.last_mut().unwrap() ^= 1;
        }
        let unused = u8::from(self.change == Change::UnusedBits);
        if unused == 1 {
            *signature.last_mut().unwrap() &= 0xFE;
        }
        let mut der = sequence(&[&to_be_signed, &self.outer_algorithm, &tlv(0x03, &[&[unused], &signature])]);
        if self.change == Change::Trailing {
            der.push(0);
        }
        der
    }
}

/// A CRL before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct ListDraft {
    pub(crate) issuer: Vec<u8>,
    pub(crate) this_update: Vec<u8>,
    pub(crate) next_update: Vec<u8>,
    /// The elements of revoked certificates.
    pub(crate) revoked: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) change: Change,
}

impl ListDraft {
    pub(crate) fn new(issuer: &str, key: &SigningKey, number: u8) -> Self {
        let identifier = sequence(&[&tlv(0x80, &[&key_identifier(key)])]);
        Self {
            issuer: name(issuer),
            this_update: utc_time("260520000000Z"),
            next_update: utc_time("260701000000Z"),
            revoked: Vec::new(),
            extensions: vec![
                Extension::new("2.5.29.35", false, identifier),
                Extension::new("2.5.29.20", false, vec![2, 1, number]),
            ],
            change: Change::Nothing,
        }
    }

    /// Lists a serial number; `extensions` of the entry.
    pub(crate) fn revoke(&mut self, serial: u8, extensions: &[Extension]) -> &mut Self {
        let list: Vec<Vec<u8>> = extensions.iter().map(Extension::der).collect();
        let list = match list.as_slice() {
            [] => Vec::new(),
            some => sequence(&some.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        };
        self.revoked.push(sequence(&[&[2, 1, serial], &utc_time("260501000000Z"), &list]));
        self
    }

    pub(crate) fn put(&mut self, kind: &'static str, critical: bool, value: Vec<u8>) -> &mut Self {
        self.extensions.retain(|extension| extension.kind != kind);
        self.extensions.push(Extension::new(kind, critical, value));
        self
    }

    pub(crate) fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let revoked = match self.revoked.as_slice() {
            [] => Vec::new(),
            some => sequence(&some.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        };
        let list: Vec<Vec<u8>> = self.extensions.iter().map(Extension::der).collect();
        let extensions = tlv(0xA0, &[&sequence(&list.iter().map(Vec::as_slice).collect::<Vec<_>>())]);
        let to_be_signed = sequence(&[
            &[2, 1, 1],
            &ecdsa_with_sha256(),
            &self.issuer,
            &self.this_update,
            &self.next_update,
            &revoked,
            &extensions,
        ]);
        let mut signature = signature(key, &to_be_signed);
        if self.change == Change::Signature {
            *signature.last_mut().unwrap() ^= 1;
        }
        signed(&to_be_signed, &ecdsa_with_sha256(), &signature)
    }
}
