//! Path validation (RFC 5280 section 6.1), without the processing of certificate policies: a path on which a CA
//! demands explicit policies is refused, never passed.
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::Decode;
use jiff::Timestamp;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Version;
use x509_cert::ext::pkix::{
    BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, NameConstraints, PolicyConstraints,
    SubjectAltName,
};

use super::anchors::Anchor;
use super::name_constraints::PermittedNames;
use super::problem::{CertificateProblem, Whose};
use crate::certificate::public_key::{PublicKeyKind, public_key_kind};
use crate::certificate::signature::SignatureProblem;
use crate::certificate::{Certificate, CertificateError};

const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// Extensions that are processed, here or by the CRL check, or that have no bearing on validity: keyUsage,
/// subjectAltName, basicConstraints, nameConstraints, cRLDistributionPoints, certificatePolicies, policyMappings,
/// authorityKeyIdentifier, policyConstraints, extKeyUsage, inhibitAnyPolicy, subjectKeyIdentifier.
const PROCESSED: [ObjectIdentifier; 12] = [
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.30"),
    ObjectIdentifier::new_unwrap("2.5.29.31"),
    ObjectIdentifier::new_unwrap("2.5.29.32"),
    ObjectIdentifier::new_unwrap("2.5.29.33"),
    ObjectIdentifier::new_unwrap("2.5.29.35"),
    ObjectIdentifier::new_unwrap("2.5.29.36"),
    ObjectIdentifier::new_unwrap("2.5.29.37"),
    ObjectIdentifier::new_unwrap("2.5.29.54"),
    ObjectIdentifier::new_unwrap("2.5.29.14"),
];

/// What a certificate shall be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signing mail.
    Signing,
    /// Receiving encrypted mail.
    Encryption,
    /// Nothing in particular: usages are not looked at (RFC 5280 section 6.1).
    Any,
    /// Signing CRLs (RFC 5280 section 6.3.3 (f)); the certificate need not be a CA's.
    CrlSigning,
    /// Signing OCSP answers for a CA (RFC 6960 section 4.2.2.2).
    OcspSigning,
    /// Making time stamps (RFC 3161 section 2.3).
    TimeStamping,
}

impl Purpose {
    fn in_words(self) -> &'static str {
        match self {
            Self::Signing => "signing mail",
            Self::Encryption => "receiving encrypted mail",
            Self::Any => "anything",
            Self::CrlSigning => "signing CRLs",
            Self::OcspSigning => "signing OCSP answers",
            Self::TimeStamping => "making time stamps",
        }
    }
}

/// Proof that a path was validated; made by [`validate`] only. Revocation is judged separately.
#[derive(Clone, Debug)]
pub(crate) struct ValidPath {
    certificates: Vec<Certificate>,
    anchor: Anchor,
}

impl ValidPath {
    /// The CA certificates between the judged certificate and the anchor.
    pub(crate) fn intermediates(&self) -> &[Certificate] {
        self.certificates.get(1..).unwrap_or_default()
    }

    pub(crate) fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// Every certificate but the anchor, with its issuer.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Certificate, &Certificate)> {
        let issuers = self.certificates.iter().skip(1).chain([&self.anchor.certificate]);
        self.certificates.iter().zip(issuers)
    }
}

/// Validates a path: the judged certificate first, the one that the anchor issued last.
pub(crate) fn validate(
    path: &[Certificate],
    anchor: &Anchor,
    purpose: Purpose,
    at: Timestamp,
) -> Result<ValidPath, CertificateProblem> {
    let mut state = State {
        at,
        purpose,
        key: anchor.certificate.public_key().clone(),
        permitted: PermittedNames::default(),
        remaining_depth: usize::MAX,
    };
    let root = Whose::Authority(anchor.certificate.subject());
    check_validity(&anchor.certificate, &root, at)?;
    state.apply_constraints(&anchor.certificate, &root)?;
    for (position, certificate) in path.iter().enumerate().rev() {
        let whose = if position == 0 { Whose::EndEntity } else { Whose::Authority(certificate.subject()) };
        state.step(certificate, &whose, position == 0)?;
    }
    Ok(ValidPath { certificates: path.to_vec(), anchor: anchor.clone() })
}

/// The state variables of RFC 5280 section 6.1.2 that matter without policies.
struct State {
    at: Timestamp,
    purpose: Purpose,
    key: SubjectPublicKeyInfoOwned,
    permitted: PermittedNames,
    remaining_depth: usize,
}

impl State {
    fn step(
        &mut self,
        certificate: &Certificate,
        whose: &Whose,
        last: bool,
    ) -> Result<(), CertificateProblem> {
        certificate.verify_signature(&self.key).map_err(|problem| match problem {
            SignatureProblem::Invalid => CertificateProblem::BadSignature { whose: whose.clone() },
            SignatureProblem::Unsupported(what) => {
                CertificateProblem::Unsupported { whose: whose.clone(), what }
            }
        })?;
        check_validity(certificate, whose, self.at)?;
        check_extensions(certificate, whose)?;
        if (last || !certificate.is_self_issued())
            && let Some(name) = self.permitted.offender(certificate).map_err(malformed(whose))?
        {
            return Err(CertificateProblem::NameNotPermitted { name });
        }
        if last {
            return check_purpose(certificate, whose, self.purpose);
        }
        self.prepare_next(certificate, whose)
    }

    /// RFC 5280 section 6.1.4: what a CA certificate must be, and what it passes on.
    fn prepare_next(&mut self, certificate: &Certificate, whose: &Whose) -> Result<(), CertificateProblem> {
        let refuse = |problem| CertificateProblem::NotAnAuthority { whose: whose.clone(), problem };
        let constraints = extension::<BasicConstraints>(certificate, whose)?;
        if !constraints.is_some_and(|constraints| constraints.ca) {
            return Err(refuse("may not issue certificates"));
        }
        if !extension::<KeyUsage>(certificate, whose)?.is_none_or(|usage| usage.key_cert_sign()) {
            return Err(refuse("may not sign certificates"));
        }
        check_mail_extended_key_usage(certificate, whose, self.purpose)?;
        if !certificate.is_self_issued() {
            self.remaining_depth = self
                .remaining_depth
                .checked_sub(1)
                .ok_or_else(|| refuse("stands deeper than the CA above it allows"))?;
        }
        self.apply_constraints(certificate, whose)?;
        self.key = certificate.public_key().clone();
        Ok(())
    }

    /// Takes over path length and name constraints of a CA certificate or anchor.
    fn apply_constraints(
        &mut self,
        certificate: &Certificate,
        whose: &Whose,
    ) -> Result<(), CertificateProblem> {
        if let Some(constraints) = extension::<NameConstraints>(certificate, whose)? {
            self.permitted.constrain(constraints).map_err(malformed(whose))?;
        }
        let constraints = extension::<BasicConstraints>(certificate, whose)?;
        if let Some(length) = constraints.and_then(|constraints| constraints.path_len_constraint) {
            self.remaining_depth = self.remaining_depth.min(usize::from(length));
        }
        Ok(())
    }
}

/// One extension of a certificate, if it is there.
fn extension<'a, T: Decode<'a, Error = der::Error> + AssociatedOid>(
    certificate: &'a Certificate,
    whose: &Whose,
) -> Result<Option<T>, CertificateProblem> {
    certificate.extension().map_err(malformed(whose))
}

fn malformed(whose: &Whose) -> impl FnOnce(CertificateError) -> CertificateProblem {
    |error| CertificateProblem::Malformed { whose: whose.clone(), problem: error.0 }
}

fn check_validity(certificate: &Certificate, whose: &Whose, at: Timestamp) -> Result<(), CertificateProblem> {
    let whose = whose.clone();
    if at < certificate.not_before() {
        return Err(CertificateProblem::NotYetValid { whose, not_before: certificate.not_before() });
    }
    if at > certificate.not_after() {
        return Err(CertificateProblem::Expired { whose, not_after: certificate.not_after() });
    }
    Ok(())
}

/// Unknown critical extensions and demands for policies are refused; what is known must be well-formed.
fn check_extensions(certificate: &Certificate, whose: &Whose) -> Result<(), CertificateProblem> {
    if certificate.version() != Version::V3 && !certificate.extensions().is_empty() {
        let problem = CertificateError("it has extensions but is not of version 3".to_owned());
        return Err(malformed(whose)(problem));
    }
    for extension in certificate.extensions().iter().filter(|extension| extension.critical) {
        if !PROCESSED.contains(&extension.extn_id) {
            return Err(CertificateProblem::UnknownCriticalExtension {
                whose: whose.clone(),
                extension: extension.extn_id.to_string(),
            });
        }
    }
    extension::<SubjectAltName>(certificate, whose)?;
    extension::<CertificatePolicies>(certificate, whose)?;
    let policy = extension::<PolicyConstraints>(certificate, whose)?;
    match policy {
        Some(policy) if policy.require_explicit_policy.is_some() => {
            Err(CertificateProblem::PolicyRequired { whose: whose.clone() })
        }
        _ => Ok(()),
    }
}

/// Key usage (RFC 8550 section 4.4.2) and extended key usage (section 4.4.4) for mail.
fn check_purpose(
    certificate: &Certificate,
    whose: &Whose,
    purpose: Purpose,
) -> Result<(), CertificateProblem> {
    if purpose == Purpose::Any {
        return Ok(());
    }
    let kind = public_key_kind(certificate.public_key())
        .map_err(|what| CertificateProblem::Unsupported { whose: whose.clone(), what })?;
    let allowed = extension::<KeyUsage>(certificate, whose)?.is_none_or(|usage| match (purpose, kind) {
        (Purpose::Encryption, PublicKeyKind::Rsa) => usage.key_encipherment(),
        (Purpose::Encryption, PublicKeyKind::P256 | PublicKeyKind::P384 | PublicKeyKind::X25519) => {
            usage.key_agreement()
        }
        (Purpose::Encryption, _) => false,
        (Purpose::CrlSigning, _) => usage.crl_sign(),
        _ => usage.digital_signature() || usage.non_repudiation(),
    });
    let wrong = || CertificateProblem::WrongUsage { whose: whose.clone(), purpose: purpose.in_words() };
    if !allowed {
        return Err(wrong());
    }
    match purpose {
        Purpose::OcspSigning => {
            only_extended_key_usage(certificate, whose, OCSP_SIGNING, false)?.then_some(())
        }
        Purpose::TimeStamping => {
            only_extended_key_usage(certificate, whose, TIME_STAMPING, true)?.then_some(())
        }
        _ => return check_mail_extended_key_usage(certificate, whose, purpose),
    }
    .ok_or_else(wrong)
}

/// Whether a usage is listed, and (`alone`) no other is, in an extension that is critical.
fn only_extended_key_usage(
    certificate: &Certificate,
    whose: &Whose,
    wanted: ObjectIdentifier,
    alone: bool,
) -> Result<bool, CertificateProblem> {
    let listed =
        extension::<ExtendedKeyUsage>(certificate, whose)?.map(|usages| usages.0).unwrap_or_default();
    let critical = certificate
        .extensions()
        .iter()
        .any(|extension| extension.extn_id == ExtendedKeyUsage::OID && extension.critical);
    Ok(listed.contains(&wanted) && (!alone || (critical && listed.len() == 1)))
}

/// Where extended key usages are listed, emailProtection must be among them; on CA certificates too.
fn check_mail_extended_key_usage(
    certificate: &Certificate,
    whose: &Whose,
    purpose: Purpose,
) -> Result<(), CertificateProblem> {
    if !matches!(purpose, Purpose::Signing | Purpose::Encryption) {
        return Ok(());
    }
    let usages = extension::<ExtendedKeyUsage>(certificate, whose)?;
    let for_mail = usages.is_none_or(|usages| {
        usages.0.iter().any(|usage| [EMAIL_PROTECTION, ANY_EXTENDED_KEY_USAGE].contains(usage))
    });
    if for_mail {
        return Ok(());
    }
    Err(CertificateProblem::WrongUsage { whose: whose.clone(), purpose: purpose.in_words() })
}
