//! A certificate with the bytes it came in.
use std::sync::Arc;

use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::Utf8StringRef;
use der::{Decode, Encode};
use jiff::Timestamp;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectAltName, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::time::Time;

use super::names;
use super::signature::{self, Acceptance, SignatureProblem, Signed};

/// otherName of RFC 9598 section 3: an address whose local part is not ASCII.
const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");

/// The longest mail address, in octets.
const LONGEST_ADDRESS: usize = 254;

/// The largest certificate that is read.
const LARGEST: usize = 64 * 1024;

/// An X.509 certificate, parsed, with its original bytes.
#[derive(Clone)]
pub struct Certificate(Arc<Contents>);

struct Contents {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
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
        let malformed =
            |problem: String| CertificateError(format!("the certificate is malformed: {problem}"));
        Signed::parse(der).map_err(|problem| malformed(problem.to_string()))?;
        let parsed =
            x509_cert::Certificate::from_der(der).map_err(|problem| malformed(problem.to_string()))?;
        if parsed.signature_algorithm() != parsed.tbs_certificate().signature() {
            return Err(malformed("it names two different signature algorithms".to_owned()));
        }
        Ok(Self(Arc::new(Contents { der: der.to_vec(), parsed })))
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
        let names = self.extension::<SubjectAltName>().ok().flatten().map(|names| names.0);
        names.unwrap_or_default().iter().filter_map(mail_name).collect()
    }

    /// The serial number in lower-case hexadecimal.
    pub fn serial_number(&self) -> String {
        hex::encode(self.serial_octets())
    }

    /// Start of validity.
    pub fn not_before(&self) -> Timestamp {
        timestamp(&self.0.parsed.tbs_certificate().validity().not_before)
    }

    /// End of validity.
    pub fn not_after(&self) -> Timestamp {
        timestamp(&self.0.parsed.tbs_certificate().validity().not_after)
    }

    /// The certified public key.
    pub fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        self.0.parsed.tbs_certificate().subject_public_key_info()
    }

    /// The subject's distinguished name.
    pub fn subject_name(&self) -> &Name {
        self.0.parsed.tbs_certificate().subject()
    }

    /// The issuer's distinguished name.
    pub fn issuer_name(&self) -> &Name {
        self.0.parsed.tbs_certificate().issuer()
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
        self.0.parsed.tbs_certificate().serial_number().as_bytes()
    }

    /// The issuer's name as it is encoded.
    pub(crate) fn issuer_der(&self) -> Result<Vec<u8>, der::Error> {
        self.issuer_name().to_der()
    }

    /// The version of the certificate's form.
    pub(crate) fn version(&self) -> x509_cert::Version {
        self.0.parsed.tbs_certificate().version()
    }

    /// Every extension.
    pub(crate) fn extensions(&self) -> &[Extension] {
        self.0.parsed.tbs_certificate().extensions().map(Vec::as_slice).unwrap_or_default()
    }

    /// One extension; `None` when absent, an error when malformed or there twice.
    pub(crate) fn extension<'a, T: Decode<'a, Error = der::Error> + AssociatedOid>(
        &'a self,
    ) -> Result<Option<T>, CertificateError> {
        let found = self.0.parsed.tbs_certificate().get_extension::<T>();
        let malformed =
            |_| CertificateError(format!("the extension {} of the certificate is malformed", T::OID));
        Ok(found.map_err(malformed)?.map(|(_, extension)| extension))
    }

    /// Whether subject and issuer are the same name.
    pub(crate) fn is_self_issued(&self) -> bool {
        names::same_name(self.subject_name(), self.issuer_name())
    }

    /// Verifies the certificate's signature with its issuer's key.
    pub(crate) fn verify_signature(
        &self,
        issuer_key: &SubjectPublicKeyInfoOwned,
    ) -> Result<(), SignatureProblem> {
        let signed = Signed::parse(self.der()).map_err(|_| SignatureProblem::Invalid)?;
        signature::verify_signed(
            issuer_key,
            self.0.parsed.signature_algorithm(),
            signed.to_be_signed.bytes,
            signed.signature,
            Acceptance::Current,
        )
    }
}

const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";

fn mail_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::Rfc822Name(address) => Some(address.as_str().to_owned()),
        GeneralName::OtherName(OtherName { type_id: SMTP_UTF8_MAILBOX, value }) => {
            Some(value.decode_as::<Utf8StringRef<'_>>().ok()?.as_str().to_owned())
        }
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
