//! Which names and extensions make up the certificate of a profile.
use const_oid::ObjectIdentifier;
use der::asn1::{Int, OctetString, Uint};
use der::flagset::FlagSet;
use x509_cert::Version;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::KeyUsages;
use x509_cert::name::Name;

use super::extension::{self, Criticality};
use super::policy::policies;
use super::status_services::{OcspService, ocsp_url};
use super::{Assurance, Branch, CardUuid, Organization, PivExtensions, Profile, Validity, name};
use crate::ca::algorithm::{self, KeyKind};
use crate::ca::certificate::{TbsCertificate, TbsValidity, UnsignedCertificate, key_identifier, time};
use crate::ca::crl::name::CrlName;
use crate::ca::error::CaError;
use crate::ca::possession::ProvenKey;
use crate::ca::serial_number::SerialNumber;

/// What the issuer contributes.
pub(crate) struct Issuer<'a> {
    /// Its subject, byte for byte as in its own certificate; `None` makes a self-signed one.
    pub(crate) subject: Option<&'a Name>,
    /// Its key identifier.
    pub(crate) key_identifier: &'a OctetString,
    /// The kind of its key, which decides the signature algorithm.
    pub(crate) key: KeyKind,
}

/// Builds what is to be signed. The validity is taken as it is.
pub(crate) fn assemble(
    issuer: &Issuer<'_>,
    organization: &Organization,
    profile: &Profile,
    assurance: Assurance,
    key: &ProvenKey,
    serial_number: &SerialNumber,
    validity: Validity,
) -> Result<UnsignedCertificate, CaError> {
    let public_key = key.public_key();
    let subject = name::subject(organization, profile)?;
    let subject_key = key_identifier(public_key);
    let mut extensions = Vec::new();
    if issuer.subject.is_some() {
        extensions.push(extension::authority_key_identifier(issuer.key_identifier)?);
    }
    extensions.push(extension::subject_key_identifier(&subject_key)?);
    extensions.extend(of_profile(organization, profile, KeyKind::of(public_key)?)?);
    let policies = policies(organization, profile, assurance);
    if !policies.is_empty() {
        extensions.push(extension::certificate_policies(&policies)?);
    }
    if issuer.subject.is_some() {
        extensions.extend(whereabouts(organization, profile, issuer.key_identifier, serial_number)?);
    }
    let serial_number = Uint::new(serial_number.as_bytes()).map(Int::from);
    UnsignedCertificate::from_tbs(&TbsCertificate {
        version: Version::V3,
        serial_number: serial_number.map_err(|error| CaError::malformed("serial number", error))?,
        signature: algorithm::identifier(issuer.key.scheme())?,
        issuer: issuer.subject.unwrap_or(&subject).clone(),
        validity: TbsValidity {
            not_before: time(validity.not_before)?,
            not_after: time(validity.not_after)?,
        },
        subject,
        subject_public_key_info: public_key.clone(),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    })
}

/// Key usage, purposes, constraints and alternative names.
fn of_profile(
    organization: &Organization,
    profile: &Profile,
    key: KeyKind,
) -> Result<Vec<Extension>, CaError> {
    let signing: FlagSet<KeyUsages> = KeyUsages::DigitalSignature.into();
    let mut extensions = match profile {
        Profile::Root => vec![authority_key_usage()?, extension::basic_constraints(None)?],
        Profile::IssuingAuthority(branch) => vec![
            authority_key_usage()?,
            extension::basic_constraints(Some(0))?,
            extension::extended_key_usage(Criticality::No, purposes_below(*branch))?,
        ],
        Profile::PivAuthentication(_) => vec![
            extension::key_usage(signing)?,
            extension::extended_key_usage(
                Criticality::No,
                &[extension::CLIENT_AUTHENTICATION, extension::SMART_CARD_LOGON],
            )?,
        ],
        Profile::DigitalSignature(holder) => vec![
            extension::key_usage(signing | KeyUsages::NonRepudiation)?,
            extension::extended_key_usage(Criticality::No, &[extension::EMAIL_PROTECTION])?,
            extension::mail_alternative_name(holder)?,
        ],
        Profile::KeyManagement(holder) => vec![
            extension::key_usage(key_management(key))?,
            extension::extended_key_usage(Criticality::No, &[extension::EMAIL_PROTECTION])?,
            extension::mail_alternative_name(holder)?,
        ],
        Profile::CardAuthentication(_) => card_authentication()?,
        Profile::MailServer(server) => vec![
            // RFC 8446 signs; RSA key exchange of TLS 1.2 and before enciphers.
            extension::key_usage(if key == KeyKind::Rsa {
                signing | KeyUsages::KeyEncipherment
            } else {
                signing
            })?,
            extension::extended_key_usage(Criticality::No, &[extension::SERVER_AUTHENTICATION])?,
            extension::server_alternative_name(server)?,
        ],
        // RFC 3161 section 2.3: one purpose, critical.
        Profile::TimeStamping => vec![
            extension::key_usage(signing)?,
            extension::extended_key_usage(Criticality::Yes, &[extension::TIME_STAMPING])?,
        ],
        Profile::DocumentSigning => vec![
            extension::key_usage(signing)?,
            extension::extended_key_usage(Criticality::No, &[extension::DOCUMENT_SIGNING])?,
        ],
        // One purpose, critical, as the profiles of FIPS 201 have it.
        Profile::ContentSigning => vec![
            extension::key_usage(signing)?,
            extension::extended_key_usage(Criticality::Yes, &[extension::PIV_CONTENT_SIGNING])?,
        ],
        Profile::OcspResponder => vec![
            extension::key_usage(signing)?,
            extension::extended_key_usage(Criticality::No, &[extension::OCSP_SIGNING])?,
            extension::ocsp_no_check()?,
        ],
    };
    if organization.piv_extensions == PivExtensions::Included {
        extensions.extend(card_of(profile).map(extension::card_alternative_name).transpose()?);
    }
    Ok(extensions)
}

/// The card that the certificates of 9A and 9E stand for.
fn card_of(profile: &Profile) -> Option<CardUuid> {
    match profile {
        Profile::PivAuthentication(holder) => Some(holder.card),
        Profile::CardAuthentication(card) => Some(*card),
        _ => None,
    }
}

fn authority_key_usage() -> Result<Extension, CaError> {
    extension::key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)
}

/// An RSA key enciphers content keys (RFC 3370 section 4.2.1), an elliptic-curve key agrees on them (RFC
/// 5753 section 2).
fn key_management(key: KeyKind) -> KeyUsages {
    match key {
        KeyKind::Rsa => KeyUsages::KeyEncipherment,
        KeyKind::P256 | KeyKind::P384 => KeyUsages::KeyAgreement,
    }
}

/// The purpose of the key without PIN is critical and alone, so that it is good for nothing else (FIPS 201-3
/// section 4.2.2.2).
fn card_authentication() -> Result<Vec<Extension>, CaError> {
    Ok(vec![
        extension::key_usage(KeyUsages::DigitalSignature)?,
        extension::extended_key_usage(Criticality::Yes, &[extension::PIV_CARD_AUTHENTICATION])?,
    ])
}

/// An authority certifies nothing beyond these purposes.
fn purposes_below(branch: Branch) -> &'static [ObjectIdentifier] {
    match branch {
        Branch::People => &[
            extension::EMAIL_PROTECTION,
            extension::CLIENT_AUTHENTICATION,
            extension::SMART_CARD_LOGON,
            extension::PIV_CARD_AUTHENTICATION,
            extension::PIV_CONTENT_SIGNING,
        ],
        Branch::Servers => &[extension::SERVER_AUTHENTICATION],
        Branch::Documents => &[extension::TIME_STAMPING, extension::DOCUMENT_SIGNING],
    }
}

/// Where the issuer's CRL and certificate are published, and where its OCSP responder answers.
fn whereabouts(
    organization: &Organization,
    profile: &Profile,
    issuer: &OctetString,
    serial_number: &SerialNumber,
) -> Result<Vec<Extension>, CaError> {
    let base_url = checked_base_url(&organization.base_url)?;
    let services = organization.status_services;
    // RFC 6960 section 4.2.2.2.1: a responder's own certificate says that it need not be checked.
    if let Profile::OcspResponder = profile {
        let certificate = format!("{base_url}/ca/{}.cer", hex::encode(issuer.as_bytes()));
        return Ok(vec![extension::authority_information_access(&certificate, None)?]);
    }
    let partition = services.partitions.filter(|_| is_of_people(profile)).map(|all| all.of(serial_number));
    let list = CrlName::complete(issuer.as_bytes(), partition).url(base_url);
    let ocsp = (services.ocsp == OcspService::Offered).then(|| ocsp_url(base_url));
    let certificate = format!("{base_url}/ca/{}.cer", hex::encode(issuer.as_bytes()));
    Ok(vec![
        extension::crl_distribution_points(&list)?,
        extension::authority_information_access(&certificate, ocsp.as_deref())?,
    ])
}

/// What the authority for people certifies: as many as there are cards.
fn is_of_people(profile: &Profile) -> bool {
    matches!(
        profile,
        Profile::PivAuthentication(_)
            | Profile::DigitalSignature(_)
            | Profile::KeyManagement(_)
            | Profile::CardAuthentication(_)
    )
}

/// S/MIME Baseline Requirements 7.1.2.3: http only. (What lies there is signed, and https would need itself
/// to be checked.)
fn checked_base_url(base_url: &str) -> Result<&str, CaError> {
    let refuse = |reason: &str| CaError::Field {
        field: "base URL",
        value: base_url.to_owned(),
        reason: reason.to_owned(),
    };
    let rest = base_url.strip_prefix("http://").ok_or_else(|| refuse("it does not begin with http://"))?;
    if rest.is_empty() || rest.starts_with(['/', ':']) {
        return Err(refuse("it names no host"));
    }
    if rest.ends_with('/') {
        return Err(refuse("it ends with a slash"));
    }
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&octet);
    if rest.bytes().all(plain) {
        Ok(base_url)
    } else {
        Err(refuse("it holds a character that a plain URL cannot have"))
    }
}
