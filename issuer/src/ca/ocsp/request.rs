//! What is asked: RFC 6960 section 4.1.
use der::{AnyRef, Decode, Encode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;

use super::cert_id::CertId;
use super::nonce::{ID_PKIX_OCSP_NONCE, Nonce};
use super::response::ResponseStatus;

/// A request that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRequest {
    /// The certificates, one or more.
    pub certificates: Vec<CertId>,
    /// What the answer must repeat.
    pub nonce: Option<Nonce>,
}

impl StatusRequest {
    /// Reads a request. Who asks and whether he signed is not looked at: everybody gets the same answer.
    ///
    /// # Errors
    /// The error that is answered: `malformedRequest`.
    pub fn parse(octets: &[u8]) -> Result<Self, ResponseStatus> {
        if octets.len() > LONGEST {
            return Err(ResponseStatus::MalformedRequest);
        }
        let request = OcspRequest::from_der(octets).map_err(|_| ResponseStatus::MalformedRequest)?;
        let is_der = request.to_der().is_ok_and(|again| again == octets);
        let TbsRequest { version, request_list, request_extensions, .. } = request.tbs_request;
        let count = request_list.len();
        if !is_der || version != 0 || !(1..=MOST_CERTIFICATES).contains(&count) {
            return Err(ResponseStatus::MalformedRequest);
        }
        let nonce = nonce(request_extensions.as_deref().unwrap_or_default())?;
        for single in &request_list {
            if single.single_request_extensions.iter().flatten().any(|extension| extension.critical) {
                return Err(ResponseStatus::MalformedRequest);
            }
        }
        Ok(Self { certificates: request_list.into_iter().map(|single| single.request_cert).collect(), nonce })
    }
}

/// The nonce; section 4.4: other extensions are ignored unless critical.
fn nonce(extensions: &[Extension]) -> Result<Option<Nonce>, ResponseStatus> {
    let mut found = None;
    for extension in extensions {
        if extension.extn_id == ID_PKIX_OCSP_NONCE {
            let nonce = Nonce::of(extension).ok_or(ResponseStatus::MalformedRequest)?;
            if found.replace(nonce).is_some() {
                return Err(ResponseStatus::MalformedRequest);
            }
        } else if extension.critical {
            return Err(ResponseStatus::MalformedRequest);
        }
    }
    Ok(found)
}

/// ```text
/// OCSPRequest     ::=     SEQUENCE {
///    tbsRequest                  TBSRequest,
///    optionalSignature   [0]     EXPLICIT Signature OPTIONAL }
/// ```
#[derive(Sequence)]
struct OcspRequest<'a> {
    tbs_request: TbsRequest,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    optional_signature: Option<AnyRef<'a>>,
}

/// ```text
/// TBSRequest      ::=     SEQUENCE {
///    version             [0]     EXPLICIT Version DEFAULT v1,
///    requestorName       [1]     EXPLICIT GeneralName OPTIONAL,
///    requestList                 SEQUENCE OF Request,
///    requestExtensions   [2]     EXPLICIT Extensions OPTIONAL }
/// ```
#[derive(Sequence)]
struct TbsRequest {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    version: u8,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    requestor_name: Option<GeneralName>,
    request_list: Vec<Request>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    request_extensions: Option<Vec<Extension>>,
}

/// ```text
/// Request         ::=     SEQUENCE {
///    reqCert                     CertID,
///    singleRequestExtensions     [0] EXPLICIT Extensions OPTIONAL }
/// ```
#[derive(Sequence)]
struct Request {
    request_cert: CertId,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    single_request_extensions: Option<Vec<Extension>>,
}

/// A request about one certificate has some 100 octets.
pub(crate) const LONGEST: usize = 16 * 1024;
/// Certificates in one request.
const MOST_CERTIFICATES: usize = 32;
