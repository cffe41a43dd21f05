//! A certificate with the bytes it came in.
use std::sync::Arc;

use const_oid::{AssociatedOid, ObjectIdentifier};
use der::Decode;
use jiff::Timestamp;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::time::Time;

use super::fields::Fields;
use super::general_name::GeneralName;
use super::names::{self, CanonicalName};
use super::public_key::DSA;
use super::signature::{self, Acceptance, SignatureProblem, Signed};

/// otherName of RFC 9598 section 3: an address whose local part is not ASCII.
pub(crate) const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");

/// The longest mail address, in octets.
const LONGEST_ADDRESS: usize = 254;

/// The largest certificate that is read.
const LARGEST: usize = 64 * 1024;

/// An X.509 certificate, parsed, with its original bytes.
#[derive(Clone)]
pub struct Certificate(Arc<Contents>);

struct Contents {
    der: Vec<u8>,
    fields: Fields,
}

/// Why something is not a certificate (or CRL) that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CertificateError(pub String);

impl Certificate {
    /// Parses one DER certificate.
    ///
    /// # Errors
    /// [`CertificateError`] when it is not one, or is longer than 64 KiB.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > LARGEST {
            return Err(CertificateError(format!("the certificate is longer than {LARGEST} bytes")));
        }
        Ok(Self(Arc::new(Contents { fields: Fields::parse(der)?, der: der.to_vec() })))
    }

    /// Parses one DER certificate or any number of PEM certificates.
    ///
    /// # Errors
    /// [`CertificateError`] when there is none, or one is malformed.
    pub fn from_file_contents(bytes: &[u8]) -> Result<Vec<Self>, CertificateError> {
        if !bytes.windows(PEM_BEGIN.len()).any(|window| window == PEM_BEGIN.as_bytes()) {
            return Ok(vec![Self::from_der(bytes)?]);
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| CertificateError("the PEM file is not text".to_owned()))?;
        text.split(PEM_BEGIN).skip(1).map(Self::from_pem_body).collect()
    }

    fn from_pem_body(rest: &str) -> Result<Self, CertificateError> {
        let unfinished = || CertificateError("a PEM certificate has no end line".to_owned());
        let (body, _) = rest.split_once("-----END CERTIFICATE-----").ok_or_else(unfinished)?;
        let pem = format!("{PEM_BEGIN}{body}-----END CERTIFICATE-----\n");
        let (_, der) = der::pem::decode_vec(pem.as_bytes())
            .map_err(|problem| CertificateError(format!("the certificate is malformed: {problem}")))?;
        Self::from_der(&der)
    }

    /// The bytes it came in.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The subject in words: the common name, or else the whole name.
    pub fn subject(&self) -> String {
        names::in_words(self.subject_name())
    }

    /// The issuer in words.
    pub fn issuer(&self) -> String {
        names::in_words(self.issuer_name())
    }

    /// Every rfc822Name and SmtpUTF8Mailbox of the subjectAltName, letter by letter as certified: to be compared, and not
    /// safe for a terminal. Longer ones than mail allows (RFC 5321 section 4.5.3.1.3) are passed over; there is none when
    /// that extension cannot be read.
    pub fn mail_addresses(&self) -> Vec<String> {
        let mut addresses = self.mail_names();
        addresses.retain(|address| address.len() <= LONGEST_ADDRESS);
        addresses
    }

    /// The mail addresses in words, safe for a terminal.
    pub fn mail_addresses_in_words(&self) -> String {
        names::harmless(&self.mail_addresses().join(", "))
    }

    /// Every rfc822Name and SmtpUTF8Mailbox of the subjectAltName, however long.
    pub(crate) fn mail_names(&self) -> Vec<String> {
        let names = self.alternative_names().ok().flatten();
        names.unwrap_or_default().iter().filter_map(mail_name).collect()
    }

    /// The serial number in lower-case hexadecimal.
    pub fn serial_number(&self) -> String {
        hex::encode(self.serial_octets())
    }

    /// Start of validity.
    pub fn not_before(&self) -> Timestamp {
        self.0.fields.not_before
    }

    /// End of validity.
    pub fn not_after(&self) -> Timestamp {
        self.0.fields.not_after
    }

    /// The certified public key.
    pub fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.0.fields.public_key
    }

    /// The subject's distinguished name.
    pub fn subject_name(&self) -> &Name {
        &self.0.fields.subject
    }

    /// The issuer's distinguished name.
    pub fn issuer_name(&self) -> &Name {
        &self.0.fields.issuer
    }

    /// The subjectKeyIdentifier, if the certificate has one that can be read.
    pub fn subject_key_identifier(&self) -> Option<Vec<u8>> {
        self.extension::<SubjectKeyIdentifier>()
            .ok()
            .flatten()
            .map(|identifier| identifier.0.as_bytes().to_vec())
    }

    /// The issuer's key identifier, if the certificate has one that can be read.
    pub fn authority_key_identifier(&self) -> Option<Vec<u8>> {
        let identifier = self.extension::<AuthorityKeyIdentifier>().ok().flatten()?;
        Some(identifier.key_identifier?.as_bytes().to_vec())
    }

    /// The contents octets of the serial number.
    pub(crate) fn serial_octets(&self) -> &[u8] {
        &self.0.fields.serial_number
    }

    /// The issuer's name as it is encoded.
    pub(crate) fn issuer_der(&self) -> Result<Vec<u8>, der::Error> {
        Ok(self.0.fields.issuer_der.clone())
    }

    /// The subject's name as names are compared.
    pub(crate) fn canonical_subject(&self) -> &CanonicalName {
        &self.0.fields.canonical_subject
    }

    /// The issuer's name as names are compared.
    pub(crate) fn canonical_issuer(&self) -> &CanonicalName {
        &self.0.fields.canonical_issuer
    }

    /// Every extension.
    pub(crate) fn extensions(&self) -> &[Extension] {
        &self.0.fields.extensions
    }

    /// One extension; `None` when absent, an error when malformed.
    pub(crate) fn extension<'a, T: Decode<'a, Error = der::Error> + AssociatedOid>(
        &'a self,
    ) -> Result<Option<T>, CertificateError> {
        let found = self.extensions().iter().find(|extension| extension.extn_id == T::OID);
        let malformed =
            |_| CertificateError(format!("the extension {} of the certificate is malformed", T::OID));
        found.map(|extension| T::from_der(extension.extn_value.as_bytes())).transpose().map_err(malformed)
    }

    /// Whether subject and issuer are the same name.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.canonical_subject() == self.canonical_issuer()
    }

    /// Verifies the certificate's signature with its issuer's key.
    pub(crate) fn verify_signature(
        &self,
        issuer_key: &SubjectPublicKeyInfoOwned,
        acceptance: Acceptance,
    ) -> Result<(), SignatureProblem> {
        let signed = Signed::parse(self.der()).map_err(|_| SignatureProblem::Invalid)?;
        let algorithm = &self.0.fields.algorithm;
        let (to_be_signed, signature) = (signed.to_be_signed.bytes, signed.signature);
        signature::verify_signed(issuer_key, algorithm, to_be_signed, signature, acceptance)
    }

    /// The same certificate; its DSA key, if it has no parameters, with those of its issuer's (RFC 5280 section 6.1.4 (f)).
    pub(crate) fn with_inherited_parameters(&self, issuer_key: &SubjectPublicKeyInfoOwned) -> Self {
        let own = &self.public_key().algorithm;
        let lacks_them = own.parameters.as_ref().is_none_or(|parameters| parameters.is_null());
        if own.oid != DSA || issuer_key.algorithm.oid != DSA || !lacks_them {
            return self.clone();
        }
        let mut fields = self.0.fields.clone();
        fields.public_key.algorithm = issuer_key.algorithm.clone();
        Self(Arc::new(Contents { der: self.0.der.clone(), fields }))
    }
}

const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";

fn mail_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::Rfc822(address) => Some(address.clone()),
        GeneralName::Other(SMTP_UTF8_MAILBOX, value) => names::utf8_string(value),
        _ => None,
    }
}

/// An X.509 time as a timestamp.
pub(crate) fn timestamp(time: &Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Certificate({}, serial {})", self.subject(), self.serial_number())
    }
}
