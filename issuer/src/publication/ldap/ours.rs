//! Which values of a directory are ours: what one of our authorities signed, and what says that it did and was damaged.
use std::collections::BTreeMap;

use super::{claims, spelling};
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
        self.certificate(value).is_some_and(|certificate| names(&certificate, address))
    }

    /// The addresses that a certificate of ours names, where it is in the entry of somebody who has none of them, in whatever
    /// spelling. One that names no address (for logging in, say) may be there for a reason, and of an entry with an address that
    /// cannot be read it cannot be told.
    pub fn strays(&self, value: &[u8], addresses: &[String]) -> Option<String> {
        let certificate = self.certificate(value)?;
        let named = certificate.mail_addresses();
        let is_stray = !named.is_empty() && spelling::are_others(addresses, named);
        is_stray.then(|| named.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    }

    /// Whether a value in the entry of this address says that one of our authorities issued it for that address, and none did
    /// so: it was cut off or overwritten.
    pub fn is_damaged_of_address(&self, value: &[u8], address: &str) -> bool {
        self.is_damaged(value, |_| true, |certificate| names(certificate, address))
    }

    /// The same of a certificate of an authority, in the entry of that authority.
    pub fn is_damaged_authority(&self, value: &[u8], authority: &Certificate) -> bool {
        let is_subject = |subject: &[u8]| claims::is_name(subject, &authority.tbs().subject);
        self.is_damaged(value, is_subject, |_| true)
    }

    fn is_damaged(
        &self,
        value: &[u8],
        is_subject: impl Fn(&[u8]) -> bool,
        is_meant: impl Fn(&Certificate) -> bool,
    ) -> bool {
        let Some(claim) = claims::certificate(value) else { return false };
        let is_issuer = |issuer: &Certificate| claims::is_name(claim.issuer, &issuer.tbs().subject);
        if !self.0.values().any(is_issuer) || !claim.subject.is_none_or(is_subject) {
            return false;
        }
        let Ok(certificate) = Certificate::from_der(value.to_vec()) else { return true };
        // Another authority of the same name has another key, and names it.
        let key = certificate.authority_key_identifier();
        (key.is_empty() || self.0.contains_key(key))
            && self.certificate(value).is_none()
            && is_meant(&certificate)
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

    /// Whether a value says that it is a CRL of the authority with this key, and is none that it signed.
    pub fn is_damaged_crl_of(&self, value: &[u8], subject_key_identifier: &[u8]) -> bool {
        let Some(authority) = self.0.get(subject_key_identifier) else { return false };
        let is_ours = |issuer: &[u8]| claims::is_name(issuer, &authority.tbs().subject);
        if !claims::crl_issuer(value).is_some_and(is_ours) || self.is_crl_of(value, subject_key_identifier) {
            return false;
        }
        let key = CrlView::from_der(value).ok().and_then(|crl| crl.authority_key_identifier());
        key.is_none_or(|key| key == subject_key_identifier)
    }
}

fn names(certificate: &Certificate, address: &str) -> bool {
    let address = spelling::key(address);
    certificate.mail_addresses().iter().any(|named| spelling::key(&named.to_string()) == address)
}
