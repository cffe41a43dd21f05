//! The lint: rules that every certificate passes before it is signed, and every CRL before it is published.
//! One file per rule.
//!
//! The rules judge by content alone, so that they also speak about certificates that others made. They are
//! RFC 5280's, with the S/MIME Baseline Requirements as a quality profile for mail and FIPS 201's for cards.
mod authority_information_access;
mod basic_constraints;
mod certificate_policies;
mod constraints;
mod content_signing;
mod crl_delta;
mod crl_distribution_points;
mod crl_entries;
mod crl_expired_certificates;
mod crl_extensions;
mod crl_form;
mod crl_freshest;
mod crl_issuing_distribution_point;
mod crl_times;
mod document_signing;
mod extended_key_usage;
mod extensions;
pub mod external;
mod key_identifiers;
mod key_usage;
mod ocsp_signing;
mod public_key;
#[cfg(test)]
mod samples;
mod serial_number;
mod signature_algorithm;
mod subject;
mod subject_alternative_name;
mod time_stamping;
mod validity;
mod version;

use const_oid::{AssociatedOid, ObjectIdentifier};
use der::Decode;
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};

use super::certificate::timestamp;
use super::certificate::{SignedCertificate, TbsCertificate, UnsignedCertificate, pem_contents};
use super::crl::view::CrlView;
use super::error::CaError;
use super::profile::extension::{ID_PKIX_OCSP_NOCHECK, OCSP_SIGNING};

/// A certificate that passed the lint and may be signed once: only [`lint`] makes one.
#[derive(Debug)]
pub struct LintedCertificate(UnsignedCertificate);

impl LintedCertificate {
    /// DER of the `TBSCertificate`, to be stored before it is signed.
    pub fn as_der(&self) -> &[u8] {
        self.0.as_der()
    }

    /// When it begins and ends.
    pub fn validity(&self) -> (jiff::Timestamp, jiff::Timestamp) {
        let validity = self.0.tbs().validity;
        (timestamp(validity.not_before), timestamp(validity.not_after))
    }

    pub(crate) fn unsigned(&self) -> &UnsignedCertificate {
        &self.0
    }
}

/// One violated rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable name of the rule.
    pub rule: &'static str,
    /// Where it is written.
    pub clause: &'static str,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} ({})", self.rule, self.message, self.clause)
    }
}

/// Lints a certificate that is about to be signed.
///
/// # Errors
/// [`CaError::Lint`] with every finding.
pub fn lint(certificate: UnsignedCertificate) -> Result<LintedCertificate, CaError> {
    let findings = certificate_findings(&Sample { tbs: certificate.tbs(), outer_algorithm: None });
    if findings.is_empty() { Ok(LintedCertificate(certificate)) } else { Err(CaError::Lint(findings)) }
}

/// Lints any certificate, DER or PEM; an empty answer is a clean one.
///
/// # Errors
/// Not a certificate at all.
pub fn lint_certificate(certificate: &[u8]) -> Result<Vec<Finding>, CaError> {
    let malformed = |error: der::Error| CaError::malformed("certificate", error);
    let der = pem_contents("CERTIFICATE", certificate);
    let signed = SignedCertificate::from_der(der.as_deref().unwrap_or(certificate)).map_err(malformed)?;
    let tbs =
        der::Encode::to_der(&signed.tbs).and_then(|tbs| TbsCertificate::from_der(&tbs)).map_err(malformed)?;
    Ok(certificate_findings(&Sample { tbs: &tbs, outer_algorithm: Some(&signed.signature_algorithm) }))
}

/// Lints any CRL, DER or PEM; an empty answer is a clean one.
///
/// # Errors
/// Not a CRL at all.
pub fn lint_crl(crl: &[u8]) -> Result<Vec<Finding>, CaError> {
    let der = pem_contents("X509 CRL", crl);
    Ok(crl_findings(&CrlView::from_der(der.as_deref().unwrap_or(crl))?))
}

/// A rule about certificates; `check` adds a message for each violation.
struct CertificateRule {
    name: &'static str,
    clause: &'static str,
    check: fn(&Sample<'_>, &mut Vec<String>),
}

/// A rule about CRLs; `check` adds a message for each violation.
struct CrlRule {
    name: &'static str,
    clause: &'static str,
    check: fn(&CrlView<'_>, &mut Vec<String>),
}

/// A certificate under the lint.
struct Sample<'a> {
    tbs: &'a TbsCertificate,
    /// Absent before it is signed.
    outer_algorithm: Option<&'a AlgorithmIdentifierOwned>,
}

impl Sample<'_> {
    /// An extension and its criticality; one that cannot be decoded counts as absent, and `extensions`
    /// reports it.
    fn extension<'a, T>(&'a self) -> Option<(bool, T)>
    where
        T: AssociatedOid + Decode<'a>,
        <T as Decode<'a>>::Error: std::fmt::Display,
    {
        self.tbs.extension::<T>().ok().flatten()
    }

    /// An extension that must be there and not critical; what is wrong with that is said by its name.
    fn required_extension<'a, T>(&'a self, name: &str, messages: &mut Vec<String>) -> Option<T>
    where
        T: AssociatedOid + Decode<'a>,
        <T as Decode<'a>>::Error: std::fmt::Display,
    {
        let Some((critical, extension)) = self.extension::<T>() else {
            messages.push(format!("there is no {name}"));
            return None;
        };
        if critical {
            messages.push(format!("{name} is critical"));
        }
        Some(extension)
    }

    /// The same for one that a root, which nobody stands above, may leave out, and an OCSP responder, whose own
    /// certificate nobody checks.
    fn required_below_root<'a, T>(&'a self, name: &str, messages: &mut Vec<String>) -> Option<T>
    where
        T: AssociatedOid + Decode<'a>,
        <T as Decode<'a>>::Error: std::fmt::Display,
    {
        if (self.is_root() || self.is_unchecked_responder()) && self.extension::<T>().is_none() {
            return None;
        }
        self.required_extension(name, messages)
    }

    fn is_authority(&self) -> bool {
        self.extension::<BasicConstraints>().is_some_and(|(_, constraints)| constraints.ca)
    }

    /// A CA whose issuer is itself.
    fn is_root(&self) -> bool {
        self.is_authority() && self.tbs.is_self_issued()
    }

    /// An OCSP responder of which is said that it need not be checked.
    fn is_unchecked_responder(&self) -> bool {
        let says_so = |extension: &Extension| extension.extn_id == ID_PKIX_OCSP_NOCHECK;
        self.has_purpose(OCSP_SIGNING) && self.tbs.extensions().iter().any(says_so)
    }

    fn purposes(&self) -> Vec<ObjectIdentifier> {
        self.extension::<ExtendedKeyUsage>().map(|(_, purposes)| purposes.0).unwrap_or_default()
    }

    fn has_purpose(&self, purpose: ObjectIdentifier) -> bool {
        self.purposes().contains(&purpose)
    }

    /// Whether the extended key usage, if there is one, is critical and names one purpose.
    fn purpose_is_critical_and_alone(&self) -> bool {
        self.extension::<ExtendedKeyUsage>()
            .is_none_or(|(critical, ExtendedKeyUsage(purposes))| critical && purposes.len() == 1)
    }

    /// A key for digitalSignature or nonRepudiation and nothing else; so is one that does not say.
    fn only_signs(&self) -> bool {
        let signing = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation;
        self.extension::<KeyUsage>()
            .is_none_or(|(_, KeyUsage(usage))| (usage - signing).is_empty() && !(usage & signing).is_empty())
    }
}

fn certificate_findings(sample: &Sample<'_>) -> Vec<Finding> {
    let judge =
        |rule: &CertificateRule| findings(rule.name, rule.clause, |messages| (rule.check)(sample, messages));
    CERTIFICATE_RULES.iter().flat_map(judge).collect()
}

fn crl_findings(crl: &CrlView<'_>) -> Vec<Finding> {
    let judge = |rule: &CrlRule| findings(rule.name, rule.clause, |messages| (rule.check)(crl, messages));
    CRL_RULES.iter().flat_map(judge).collect()
}

fn findings(rule: &'static str, clause: &'static str, check: impl FnOnce(&mut Vec<String>)) -> Vec<Finding> {
    let mut messages = Vec::new();
    check(&mut messages);
    messages.into_iter().map(|message| Finding { rule, clause, message }).collect()
}

/// In the order of the fields of a certificate.
const CERTIFICATE_RULES: [CertificateRule; 20] = [
    version::RULE,
    serial_number::RULE,
    signature_algorithm::RULE,
    validity::RULE,
    subject::RULE,
    public_key::RULE,
    extensions::RULE,
    key_identifiers::RULE,
    key_usage::RULE,
    certificate_policies::RULE,
    subject_alternative_name::RULE,
    basic_constraints::RULE,
    constraints::RULE,
    extended_key_usage::RULE,
    time_stamping::RULE,
    document_signing::RULE,
    content_signing::RULE,
    ocsp_signing::RULE,
    crl_distribution_points::RULE,
    authority_information_access::RULE,
];

/// In the order of the fields of a CRL.
const CRL_RULES: [CrlRule; 8] = [
    crl_form::RULE,
    crl_times::RULE,
    crl_entries::RULE,
    crl_extensions::RULE,
    crl_issuing_distribution_point::RULE,
    crl_delta::RULE,
    crl_freshest::RULE,
    crl_expired_certificates::RULE,
];
