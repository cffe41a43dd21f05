//! Which values of a directory are ours: what one of our authorities signed.
use std::collections::BTreeMap;

use crate::ca::Certificate;
use crate::ca::certificate::verify_signed;
use crate::ca::crl::view::CrlView;

/// Our authorities, by whose signatures our values are known.
pub struct Ours(BTreeMap<Vec<u8>, Certificate>);

impl Ours {
    /// Knows these authorities, those of earlier keys among them.
    pub fn new(authorities: impl IntoIterator<Item = Certificate>) -> Self {
        let keyed = |authority: Certificate| (authority.subject_key_identifier().to_vec(), authority);
        Self(authorities.into_iter().map(keyed).collect())
    }

    /// The certificate in a value, if one of our authorities issued it.
    pub fn certificate(&self, value: &[u8]) -> Option<Certificate> {
        let certificate = Certificate::from_der(value.to_vec()).ok()?;
        let key = match certificate.authority_key_identifier() {
            [] if certificate.is_self_issued() => certificate.subject_key_identifier(),
            key => key,
        };
        certificate.verify_issuer(self.0.get(key)?).ok()?;
        Some(certificate)
    }

    /// Whether a value is a certificate of ours that names this mail address. One of another address of the same entry
    /// is that address's affair.
    pub fn is_of_address(&self, value: &[u8], address: &str) -> bool {
        self.certificate(value).is_some_and(|certificate| {
            let mut addresses = certificate.mail_addresses().iter();
            addresses.any(|named| named.to_string().eq_ignore_ascii_case(address))
        })
    }

    /// Whether a value is a certificate of one of our authorities, by whomever of them.
    pub fn is_authority(&self, value: &[u8]) -> bool {
        self.certificate(value).is_some_and(|certificate| certificate.is_authority())
    }

    /// Whether a value is a CRL that the authority with this key signed.
    pub fn is_crl_of(&self, value: &[u8], subject_key_identifier: &[u8]) -> bool {
        let Some(authority) = self.0.get(subject_key_identifier) else { return false };
        CrlView::from_der(value).is_ok_and(|crl| crl.issuer == authority.tbs().subject)
            && verify_signed(value, "CRL", authority.public_key()).is_ok()
    }
}
