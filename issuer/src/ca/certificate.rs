//! Certificates before and after signing.
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{BitString, Int, OctetString};
use der::{AnyRef, Decode, Encode, Sequence};
use jiff::Timestamp;
use sha1::{Digest, Sha1};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::time::Time;
use x509_cert::{Version, der::pem};

use super::algorithm;
use super::error::CaError;
use super::mail_address::MailAddress;
use super::possession::verify_signature;
use super::serial_number::SerialNumber;

/// The DER of a `TBSCertificate` (RFC 5280 section 4.1.2): what is stored before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedCertificate {
    der: Vec<u8>,
    tbs: TbsCertificate,
}

impl UnsignedCertificate {
    /// Takes a stored one back.
    ///
    /// # Errors
    /// Not the DER of a `TBSCertificate`.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CaError> {
        let tbs = TbsCertificate::from_der(&der)
            .map_err(|error| CaError::malformed("certificate to be signed", error))?;
        Ok(Self { der, tbs })
    }

    /// DER of the `TBSCertificate`.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn from_tbs(tbs: &TbsCertificate) -> Result<Self, CaError> {
        Self::from_der(tbs.to_der().map_err(|error| CaError::malformed("certificate to be signed", error))?)
    }

    pub(crate) fn tbs(&self) -> &TbsCertificate {
        &self.tbs
    }
}

/// A signed certificate, parsed. Nothing about it has been verified, unless [`Certificate::verify_issuer`]
/// said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: TbsCertificate,
    serial_number: SerialNumber,
    mail_addresses: Vec<MailAddress>,
    subject_key_identifier: Vec<u8>,
    authority_key_identifier: Vec<u8>,
    is_authority: bool,
}

impl Certificate {
    /// # Errors
    /// Not the DER of a certificate.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CaError> {
        let malformed = |error: der::Error| CaError::malformed("certificate", error);
        let signed = SignedCertificate::from_der(&der).map_err(malformed)?;
        let tbs = TbsCertificate::from_der(&signed.tbs.to_der().map_err(malformed)?).map_err(malformed)?;
        Self::of(der, tbs)
    }

    fn of(der: Vec<u8>, tbs: TbsCertificate) -> Result<Self, CaError> {
        let subject_key_identifier =
            tbs.extension::<SubjectKeyIdentifier>()?.map(|(_, id)| id.0.as_bytes().to_vec());
        let authority_key_identifier = tbs
            .extension::<AuthorityKeyIdentifier>()?
            .and_then(|(_, id)| id.key_identifier)
            .map(|id| id.as_bytes().to_vec());
        Ok(Self {
            serial_number: tbs.serial_number()?,
            mail_addresses: tbs.mail_addresses()?,
            subject_key_identifier: subject_key_identifier.unwrap_or_default(),
            authority_key_identifier: authority_key_identifier.unwrap_or_default(),
            is_authority: tbs.extension::<BasicConstraints>()?.is_some_and(|(_, constraints)| constraints.ca),
            der,
            tbs,
        })
    }

    /// # Errors
    /// Not one `CERTIFICATE` PEM block, or not a certificate in it.
    pub fn from_pem(pem: &str) -> Result<Self, CaError> {
        Self::from_der(pem_contents("CERTIFICATE", pem.as_bytes()).ok_or_else(|| not_pem("certificate"))?)
    }

    /// DER of the certificate.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as a PEM block.
    pub fn to_pem(&self) -> String {
        to_pem("CERTIFICATE", &self.der)
    }

    /// Its serial number.
    pub fn serial_number(&self) -> &SerialNumber {
        &self.serial_number
    }

    /// Subject as a string, RFC 4514.
    pub fn subject(&self) -> String {
        self.tbs.subject.to_string()
    }

    /// Issuer as a string, RFC 4514.
    pub fn issuer(&self) -> String {
        self.tbs.issuer.to_string()
    }

    /// Begin of its validity.
    pub fn not_before(&self) -> Timestamp {
        timestamp(self.tbs.validity.not_before)
    }

    /// Last second of its validity.
    pub fn not_after(&self) -> Timestamp {
        timestamp(self.tbs.validity.not_after)
    }

    /// The certified key.
    pub fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.tbs.subject_public_key_info
    }

    /// subjectKeyIdentifier, empty where absent.
    pub fn subject_key_identifier(&self) -> &[u8] {
        &self.subject_key_identifier
    }

    /// keyIdentifier of the authorityKeyIdentifier, empty where absent.
    pub fn authority_key_identifier(&self) -> &[u8] {
        &self.authority_key_identifier
    }

    /// Whether basicConstraints say that it is a CA.
    pub fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// Whether subject and issuer are one name, as a root's are.
    pub fn is_self_issued(&self) -> bool {
        self.tbs.is_self_issued()
    }

    /// The rfc822Name and SmtpUTF8Mailbox values of its subjectAltName.
    pub fn mail_addresses(&self) -> &[MailAddress] {
        &self.mail_addresses
    }

    /// The commonName of its subject, if it has one.
    pub fn common_name(&self) -> Option<String> {
        self.tbs.subject.common_name().ok().flatten().map(|name| name.value().to_string())
    }

    /// Checks that `issuer` signed it: names and signature, nothing else.
    ///
    /// # Errors
    /// [`CaError::NotProven`] when it did not; unsupported algorithms by name.
    pub fn verify_issuer(&self, issuer: &Certificate) -> Result<(), CaError> {
        if issuer.tbs.subject != self.tbs.issuer {
            return Err(CaError::NotProven("the certificate names another issuer"));
        }
        verify_signed(&self.der, "certificate", issuer.public_key())
    }

    /// The certificate policies, in order.
    pub(crate) fn policies(&self) -> Vec<ObjectIdentifier> {
        let policies = self.tbs.extension::<CertificatePolicies>().ok().flatten();
        policies.map(|(_, all)| all.0.iter().map(|one| one.policy_identifier).collect()).unwrap_or_default()
    }

    pub(crate) fn tbs(&self) -> &TbsCertificate {
        &self.tbs
    }

    /// Puts a signature under what was to be signed.
    pub(crate) fn assemble(unsigned: &UnsignedCertificate, signature: &[u8]) -> Result<Self, CaError> {
        let malformed = |error: der::Error| CaError::malformed("certificate", error);
        let signed = SignedCertificate {
            tbs: AnyRef::from_der(unsigned.as_der()).map_err(malformed)?,
            signature_algorithm: unsigned.tbs.signature.clone(),
            signature: BitString::from_bytes(signature).map_err(malformed)?,
        };
        Self::of(signed.to_der().map_err(malformed)?, unsigned.tbs.clone())
    }
}

/// `Certificate`, `CertificateList` and `CertificationRequest` alike: something, and a signature under its very bytes.
///
/// ```text
/// SIGNED{ToBeSigned} ::= SEQUENCE {
///    toBeSigned           ToBeSigned,
///    algorithmIdentifier  AlgorithmIdentifier,
///    signature            BIT STRING }
/// ```
#[derive(Clone, Debug, Sequence)]
pub(crate) struct SignedCertificate<'a> {
    pub(crate) tbs: AnyRef<'a>,
    pub(crate) signature_algorithm: AlgorithmIdentifierOwned,
    pub(crate) signature: BitString,
}

/// Verifies the signature of anything that is [`SignedCertificate`] in shape.
pub(crate) fn verify_signed(
    der: &[u8],
    what: &'static str,
    key: &SubjectPublicKeyInfoOwned,
) -> Result<(), CaError> {
    let malformed = |error: der::Error| CaError::malformed(what, error);
    let signed = SignedCertificate::from_der(der).map_err(malformed)?;
    let scheme = algorithm::scheme(&signed.signature_algorithm).ok_or_else(|| {
        CaError::Unsupported(format!("the signature algorithm {}", signed.signature_algorithm.oid))
    })?;
    // A CRL may be long: header and contents are hashed where they stand.
    let mut digester = algorithm::Digester::new(algorithm::digest_of(scheme)?);
    digester.update(&signed.tbs.header().to_der().map_err(malformed)?);
    digester.update(signed.tbs.value());
    let digest = digester.finish();
    let signature =
        signed.signature.as_bytes().ok_or(CaError::NotProven("the signature is not whole octets"))?;
    verify_signature(key, scheme, &digest, signature)
}

/// ```text
/// TBSCertificate  ::=  SEQUENCE  {
///     version         [0]  EXPLICIT Version DEFAULT v1,
///     serialNumber         CertificateSerialNumber,
///     signature            AlgorithmIdentifier,
///     issuer               Name,
///     validity             Validity,
///     subject              Name,
///     subjectPublicKeyInfo SubjectPublicKeyInfo,
///     issuerUniqueID  [1]  IMPLICIT UniqueIdentifier OPTIONAL,
///     subjectUniqueID [2]  IMPLICIT UniqueIdentifier OPTIONAL,
///     extensions      [3]  EXPLICIT Extensions OPTIONAL }
/// ```
///
/// Unlike the type of `x509-cert` it takes any serial number and time encoding, so that the lint can speak about them.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct TbsCertificate {
    #[asn1(context_specific = "0", default = "Default::default")]
    pub(crate) version: Version,
    pub(crate) serial_number: Int,
    pub(crate) signature: AlgorithmIdentifierOwned,
    pub(crate) issuer: Name,
    pub(crate) validity: TbsValidity,
    pub(crate) subject: Name,
    pub(crate) subject_public_key_info: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) issuer_unique_id: Option<BitString>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) subject_unique_id: Option<BitString>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) extensions: Option<Vec<Extension>>,
}

/// ```text
/// Validity ::= SEQUENCE {
///      notBefore      Time,
///      notAfter       Time }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct TbsValidity {
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
}

impl TbsCertificate {
    /// Extensions, none where the field is absent.
    pub(crate) fn extensions(&self) -> &[Extension] {
        self.extensions.as_deref().unwrap_or_default()
    }

    /// The first extension of a type, with its criticality.
    pub(crate) fn extension<'a, T>(&'a self) -> Result<Option<(bool, T)>, CaError>
    where
        T: AssociatedOid + Decode<'a>,
        <T as Decode<'a>>::Error: std::fmt::Display,
    {
        let Some(extension) = self.extensions().iter().find(|extension| extension.extn_id == T::OID) else {
            return Ok(None);
        };
        let value = T::from_der(extension.extn_value.as_bytes())
            .map_err(|error| CaError::malformed("certificate extension", format!("{}: {error}", T::OID)))?;
        Ok(Some((extension.critical, value)))
    }

    pub(crate) fn serial_number(&self) -> Result<SerialNumber, CaError> {
        if self.serial_number.as_bytes().first().is_some_and(|octet| *octet >= 0x80) {
            return Err(CaError::malformed("serial number", "it is negative"));
        }
        SerialNumber::from_bytes(self.serial_number.as_bytes())
    }

    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// rfc822Name and SmtpUTF8Mailbox values; what is no mail address is left out.
    pub(crate) fn mail_addresses(&self) -> Result<Vec<MailAddress>, CaError> {
        let names = self.extension::<SubjectAltName>()?.map(|(_, names)| names.0).unwrap_or_default();
        Ok(names.iter().filter_map(mail_text).filter_map(|text| text.parse().ok()).collect())
    }
}

/// The text of an rfc822Name or SmtpUTF8Mailbox.
pub(crate) fn mail_text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::Rfc822Name(address) => Some(address.to_string()),
        GeneralName::OtherName(other) if other.type_id == ID_ON_SMTP_UTF8_MAILBOX => {
            other.value.decode_as::<String>().ok()
        }
        _ => None,
    }
}

/// Method 1 of RFC 5280 section 4.2.1.2: SHA-1 of the key's BIT STRING, without tag, length and unused bits.
pub(crate) fn key_identifier(key: &SubjectPublicKeyInfoOwned) -> OctetString {
    let digest = Sha1::digest(key.subject_public_key.raw_bytes());
    OctetString::new(digest.to_vec()).expect("20 octets are an octet string")
}

pub(crate) fn timestamp(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// UTCTime through 2049, GeneralizedTime from 2050 on; whole seconds (RFC 5280 section 4.1.2.5).
pub(crate) fn time(timestamp: Timestamp) -> Result<Time, CaError> {
    let out_of_range = || CaError::Field {
        field: "time",
        value: timestamp.to_string(),
        reason: "it lies outside the years 1970 to 9999".into(),
    };
    let seconds = u64::try_from(timestamp.as_second()).map_err(|_| out_of_range())?;
    let date_time = der::DateTime::from_unix_duration(std::time::Duration::from_secs(seconds))
        .map_err(|_| out_of_range())?;
    Ok(Time::from(date_time))
}

/// Contents of a PEM block of this label, if the bytes are one; text before and after it is not looked at.
pub(crate) fn pem_contents(label: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let begin = text.find(&format!("-----BEGIN {label}-----"))?;
    let end_line = format!("-----END {label}-----");
    let end = begin + text.get(begin..)?.find(&end_line)? + end_line.len();
    let (_, contents) = pem::decode_vec(text.get(begin..end)?.as_bytes()).ok()?;
    Some(contents)
}

/// A PEM block (RFC 7468) of whatever kind.
pub(crate) struct PemBlock {
    /// What stands after `BEGIN`.
    pub(crate) label: String,
    /// From the line of `BEGIN` to the line of `END`.
    pub(crate) text: String,
}

/// Every PEM block, in order; what stands between them is not looked at. A block without its end is one all the same.
pub(crate) fn pem_blocks(bytes: &[u8]) -> Vec<PemBlock> {
    let text = String::from_utf8_lossy(bytes);
    let (mut rest, mut blocks) = (text.as_ref(), Vec::new());
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        rest = after;
        let Some((label, body)) = after.split_once("-----").filter(|(label, _)| !label.contains('\n')) else {
            continue;
        };
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let (text, next) = match body.split_once(end.as_str()) {
            Some((contents, next)) => (format!("{begin}{contents}{end}\n"), next),
            None => (format!("{begin}{body}"), ""),
        };
        blocks.push(PemBlock { label: label.to_owned(), text });
        rest = next;
    }
    blocks
}

pub(crate) fn to_pem(label: &str, der: &[u8]) -> String {
    pem::encode_string(label, pem::LineEnding::LF, der).expect("any octets have a PEM form")
}

pub(crate) fn not_pem(what: &'static str) -> CaError {
    CaError::malformed(what, "there is no such PEM block")
}

/// SmtpUTF8Mailbox, RFC 9598 section 3.
pub(crate) const ID_ON_SMTP_UTF8_MAILBOX: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");
