//! The answer: RFC 6960 section 4.2.1.
use const_oid::ObjectIdentifier;
use der::asn1::OctetStringRef;
use der::{Enumerated, Sequence};

/// ```text
/// OCSPResponseStatus ::= ENUMERATED {
///    successful            (0),  -- Response has valid confirmations
///    malformedRequest      (1),  -- Illegal confirmation request
///    internalError         (2),  -- Internal error in issuer
///    tryLater              (3),  -- Try again later
///                                -- (4) is not used
///    sigRequired           (5),  -- Must sign the request
///    unauthorized          (6)   -- Request unauthorized }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumerated)]
#[asn1(type = "ENUMERATED")]
#[repr(u8)]
pub enum ResponseStatus {
    /// There are answers in it.
    Successful = 0,
    /// It is not a request.
    MalformedRequest = 1,
    /// The responder failed.
    InternalError = 2,
    /// What is known is too old; there will be newer information.
    TryLater = 3,
    /// Requests must be signed; never answered here.
    SigRequired = 5,
    /// About this certificate nobody may be answered: another authority's, or RFC 5019 section 2.2.3.
    Unauthorized = 6,
}

impl ResponseStatus {
    /// The whole answer of an error: it is not signed.
    pub fn to_der(self) -> [u8; 5] {
        [0x30, 0x03, 0x0A, 0x01, self as u8]
    }
}

/// ```text
/// OCSPResponse ::= SEQUENCE {
///    responseStatus         OCSPResponseStatus,
///    responseBytes          [0] EXPLICIT ResponseBytes OPTIONAL }
/// ```
#[derive(Sequence)]
pub(crate) struct OcspResponse<'a> {
    pub(crate) response_status: ResponseStatus,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) response_bytes: Option<ResponseBytes<'a>>,
}

/// ```text
/// ResponseBytes ::=       SEQUENCE {
///    responseType   OBJECT IDENTIFIER,
///    response       OCTET STRING }
/// ```
#[derive(Sequence)]
pub(crate) struct ResponseBytes<'a> {
    pub(crate) response_type: ObjectIdentifier,
    pub(crate) response: &'a OctetStringRef,
}

/// id-pkix-ocsp-basic.
pub(crate) const ID_PKIX_OCSP_BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

#[cfg(test)]
mod tests {
    use super::*;
    use der::Encode;

    #[test]
    fn an_error_is_five_octets() {
        for status in [ResponseStatus::MalformedRequest, ResponseStatus::Unauthorized] {
            let response = OcspResponse { response_status: status, response_bytes: None };
            assert_eq!(response.to_der().unwrap(), status.to_der());
        }
    }
}
