//! What a key may be used for (RFC 5280 sections 4.2.1.3 and 4.2.1.12, RFC 8550 section 4.4).
use const_oid::ObjectIdentifier;

use super::problem::{CertificateProblem, Whose};
use super::validate::extension;
use crate::certificate::Certificate;
use crate::certificate::extensions::{KeyUsage, id};
use crate::certificate::public_key::{PublicKeyKind, public_key_kind};

const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
/// RFC 9336.
const DOCUMENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.36");
/// What stood in its place before: Adobe's and Microsoft's.
const AUTHENTIC_DOCUMENTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113583.1.1.5");
const MICROSOFT_DOCUMENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.3.12");

const FOR_MAIL: &[ObjectIdentifier] = &[EMAIL_PROTECTION, ANY_EXTENDED_KEY_USAGE];
const FOR_DOCUMENTS: &[ObjectIdentifier] = &[
    EMAIL_PROTECTION,
    ANY_EXTENDED_KEY_USAGE,
    DOCUMENT_SIGNING,
    AUTHENTIC_DOCUMENTS,
    MICROSOFT_DOCUMENT_SIGNING,
];

/// What a certificate shall be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signing mail.
    Signing,
    /// Signing documents.
    SigningDocuments,
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
    /// What it is, after "for".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Signing => "signing mail",
            Self::SigningDocuments => "signing documents",
            Self::Encryption => "receiving encrypted mail",
            Self::Any => "anything",
            Self::CrlSigning => "signing CRLs",
            Self::OcspSigning => "signing OCSP answers",
            Self::TimeStamping => "making time stamps",
        }
    }

    fn refused(self, whose: &Whose) -> CertificateProblem {
        CertificateProblem::WrongUsage { whose: whose.clone(), purpose: self.in_words() }
    }
}

/// Key usage and extended key usage of the judged certificate.
pub(super) fn check(
    certificate: &Certificate,
    whose: &Whose,
    purpose: Purpose,
) -> Result<(), CertificateProblem> {
    if purpose == Purpose::Any {
        return Ok(());
    }
    let kind = public_key_kind(certificate.public_key())
        .map_err(|what| CertificateProblem::Unsupported { whose: whose.clone(), what })?;
    let key_usage = extension(whose, certificate.key_usage())?;
    if !key_usage.is_none_or(|usage| key_usage_allows(usage, purpose, kind)) {
        return Err(purpose.refused(whose));
    }
    match purpose {
        Purpose::OcspSigning => lists_alone(certificate, whose, OCSP_SIGNING, false)?.then_some(()),
        Purpose::TimeStamping => lists_alone(certificate, whose, TIME_STAMPING, true)?.then_some(()),
        _ => return check_authority(certificate, whose, purpose),
    }
    .ok_or_else(|| purpose.refused(whose))
}

fn key_usage_allows(usage: KeyUsage, purpose: Purpose, kind: PublicKeyKind) -> bool {
    match (purpose, kind) {
        (Purpose::Encryption, PublicKeyKind::Rsa) => usage.key_encipherment(),
        (Purpose::Encryption, PublicKeyKind::P256 | PublicKeyKind::P384 | PublicKeyKind::X25519) => {
            usage.key_agreement()
        }
        (Purpose::Encryption, _) => false,
        (Purpose::CrlSigning, _) => usage.crl_sign(),
        _ => usage.digital_signature() || usage.non_repudiation(),
    }
}

/// Whether a usage is listed, and (`alone`) no other is, in an extension that is critical.
fn lists_alone(
    certificate: &Certificate,
    whose: &Whose,
    wanted: ObjectIdentifier,
    alone: bool,
) -> Result<bool, CertificateProblem> {
    let listed = extension(whose, certificate.extended_key_usages())?.unwrap_or_default();
    let is_critical = certificate
        .extensions()
        .iter()
        .any(|extension| extension.extn_id == id::EXTENDED_KEY_USAGE && extension.critical);
    Ok(listed.contains(&wanted) && (!alone || (is_critical && listed.len() == 1)))
}

/// For mail and documents: where extended key usages are listed, one that covers the purpose must be among them; on CA
/// certificates too (RFC 8550 section 4.4.4). Whoever may sign mail may sign documents.
pub(super) fn check_authority(
    certificate: &Certificate,
    whose: &Whose,
    purpose: Purpose,
) -> Result<(), CertificateProblem> {
    let covering = match purpose {
        Purpose::Signing | Purpose::Encryption => FOR_MAIL,
        Purpose::SigningDocuments => FOR_DOCUMENTS,
        _ => return Ok(()),
    };
    let usages = extension(whose, certificate.extended_key_usages())?;
    let is_covered = usages.is_none_or(|usages| usages.iter().any(|usage| covering.contains(usage)));
    if is_covered { Ok(()) } else { Err(purpose.refused(whose)) }
}
