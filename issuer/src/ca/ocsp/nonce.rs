//! What ties an answer to its request: RFC 6960 section 4.4.1, RFC 9654.
use const_oid::ObjectIdentifier;
use der::asn1::OctetString;
use der::{Decode, Encode};
use x509_cert::ext::Extension;

/// A nonce of 1 to 128 octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(OctetString);

impl Nonce {
    /// Reads the extension's value.
    ///
    /// ```text
    /// Nonce ::= OCTET STRING(SIZE(1..128))
    /// ```
    ///
    /// RFC 9654 section 2.1: a responder rejects other lengths.
    pub(crate) fn of(extension: &Extension) -> Option<Self> {
        let nonce = OctetString::from_der(extension.extn_value.as_bytes()).ok()?;
        (1..=128).contains(&nonce.as_bytes().len()).then_some(Self(nonce))
    }

    pub(crate) fn extension(&self) -> der::Result<Extension> {
        let extn_value = self.0.to_der().and_then(OctetString::new)?;
        Ok(Extension { extn_id: ID_PKIX_OCSP_NONCE, critical: false, extn_value })
    }
}

/// id-pkix-ocsp-nonce.
pub(crate) const ID_PKIX_OCSP_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
