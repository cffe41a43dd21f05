//! SMIMECapabilities: what we can read (RFC 8551 section 2.5.2), most wanted first.
//!
//! ```text
//! SMIMECapability ::= SEQUENCE { capabilityID OBJECT IDENTIFIER, parameters ANY DEFINED BY capabilityID OPTIONAL }
//! SMIMECapabilities ::= SEQUENCE OF SMIMECapability
//! ```
use super::content_info::algorithm;
use super::key_transport::oaep_sha256_parameters;
use super::object_identifiers::{
    AES_128_CBC, AES_128_GCM, AES_256_CBC, AES_256_GCM, AES_256_WRAP, RSAES_OAEP, STD_DH_SHA256_KDF,
};
use crate::certificate::tlv::{element, tag};

/// Our capabilities, as the value of the attribute.
pub(crate) fn ours() -> der::Result<Vec<u8>> {
    let capabilities = [
        algorithm(AES_256_GCM, &[])?,
        algorithm(AES_128_GCM, &[])?,
        algorithm(AES_256_CBC, &[])?,
        algorithm(AES_128_CBC, &[])?,
        algorithm(STD_DH_SHA256_KDF, &algorithm(AES_256_WRAP, &[])?)?,
        algorithm(RSAES_OAEP, &oaep_sha256_parameters()?)?,
    ];
    let parts: Vec<&[u8]> = capabilities.iter().map(Vec::as_slice).collect();
    Ok(element(tag::SEQUENCE, &parts))
}
