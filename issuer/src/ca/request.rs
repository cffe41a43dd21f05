//! Certificate requests, PKCS#10 (RFC 2986).
use std::net::IpAddr;

use der::asn1::Any;
use der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::request::{CertReq, ExtensionReq};

use const_oid::AssociatedOid;

use super::certificate::{pem_contents, verify_signed};
use super::error::CaError;
use super::possession::ProvenKey;
use super::profile::MailServer;

/// A request whose signature has been verified.
#[derive(Clone, Debug)]
pub struct CertificationRequest {
    /// The key, proven by the request's own signature.
    pub key: ProvenKey,
    /// The subject, in the form of RFC 4514.
    pub subject: String,
    /// The names it asks for: dNSName and iPAddress of a requested subjectAltName; without one, the common
    /// name.
    pub server: MailServer,
}

impl CertificationRequest {
    /// Reads a request, DER or PEM, and checks its proof of possession (RFC 2986 section 4.2).
    ///
    /// # Errors
    /// Not a request, a signature that does not verify, a requested name that is no server's, or a key or
    /// algorithm that is not supported.
    pub fn parse(request: &[u8]) -> Result<Self, CaError> {
        let der = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]
            .iter()
            .find_map(|label| pem_contents(label, request));
        let der = der.as_deref().unwrap_or(request);
        let parsed =
            CertReq::from_der(der).map_err(|error| CaError::malformed("certificate request", error))?;
        verify_signed(der, "certificate request", &parsed.info.public_key)?;
        let server = match requested_names(&parsed)? {
            Some(names) => server(&names)?,
            None => {
                MailServer { dns_names: common_name(&parsed).into_iter().collect(), ip_addresses: Vec::new() }
            }
        };
        let subject = parsed.info.subject.to_string();
        Ok(Self { key: ProvenKey::of_self_signed(parsed.info.public_key), subject, server })
    }
}

/// Which key of the authority with this profile has this name, counted from 1; none where the name is another's.
///
/// # Errors
/// A profile that is not an authority's.
pub fn generation_of(
    organization: &super::profile::Organization,
    profile: &super::Profile,
    subject: &str,
) -> Result<Option<u32>, CaError> {
    for generation in 1..=MOST_GENERATIONS {
        if super::profile::name::of_generation(organization, profile, generation)?.to_string() == subject {
            return Ok(Some(generation));
        }
    }
    Ok(None)
}

/// No authority has had so many keys.
const MOST_GENERATIONS: u32 = 200;

/// A request for an authority's certificate, PEM: the key proves itself, the name is the issuer's affair.
///
/// # Errors
/// The key's failure.
pub fn authority_request(
    organization: &super::profile::Organization,
    profile: &super::Profile,
    generation: u32,
    signer: &mut dyn middleware::Signer,
) -> Result<String, CaError> {
    let malformed = |error: der::Error| CaError::malformed("certificate request", error);
    let info = x509_cert::request::CertReqInfo {
        version: x509_cert::request::Version::V1,
        subject: super::profile::name::of_generation(organization, profile, generation)?,
        public_key: signer.public_key().clone(),
        attributes: der::asn1::SetOfVec::new(),
    };
    let der = info.to_der().map_err(malformed)?;
    let scheme = super::algorithm::KeyKind::of(signer.public_key())?.scheme();
    let digest = super::algorithm::Digester::digest(super::algorithm::digest_of(scheme)?, &der);
    let signature = super::authority::checked_signature(signer, scheme, &digest)?;
    let request = CertReq {
        info,
        algorithm: super::algorithm::identifier(scheme)?,
        signature: der::asn1::BitString::from_bytes(&signature).map_err(malformed)?,
    };
    Ok(super::certificate::to_pem("CERTIFICATE REQUEST", &request.to_der().map_err(malformed)?))
}

fn requested_names(request: &CertReq) -> Result<Option<SubjectAltName>, CaError> {
    let malformed = |error: der::Error| CaError::malformed("certificate request", error);
    let attribute = request.info.attributes.iter().find(|attribute| attribute.oid == ExtensionReq::OID);
    let Some(value) = attribute.and_then(|attribute| attribute.values.get(0)) else { return Ok(None) };
    let extensions = Any::decode_as::<ExtensionReq>(value).map_err(malformed)?.0;
    let Some(names) = extensions.iter().find(|extension| extension.extn_id == SubjectAltName::OID) else {
        return Ok(None);
    };
    SubjectAltName::from_der(names.extn_value.as_bytes()).map(Some).map_err(malformed)
}

fn server(names: &SubjectAltName) -> Result<MailServer, CaError> {
    let mut server = MailServer::default();
    for name in &names.0 {
        match name {
            GeneralName::DnsName(dns_name) => server.dns_names.push(dns_name.to_string()),
            GeneralName::IpAddress(octets) => server.ip_addresses.push(ip_address(octets.as_bytes())?),
            _ => {
                return Err(CaError::malformed(
                    "server's certificate request",
                    "it asks for a name that is no server's",
                ));
            }
        }
    }
    Ok(server)
}

fn ip_address(octets: &[u8]) -> Result<IpAddr, CaError> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .map_err(|_| CaError::malformed("certificate request", "an IP address has 4 or 16 octets"))
}

fn common_name(request: &CertReq) -> Option<String> {
    request.info.subject.common_name().ok().flatten().map(|name| name.value().to_string())
}
