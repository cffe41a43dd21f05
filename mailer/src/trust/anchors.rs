//! Trust anchors, each scoped to mail domains.
use crate::certificate::Certificate;
use crate::certificate::mail_address::{MailAddress, a_labels};

/// A CA that may speak for some mail domains, and for no other.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// The CA's certificate.
    pub certificate: Certificate,
    /// The mail domains whose addresses it may certify; one that begins with a dot stands for everything below it, and `*`
    /// for every domain. With none it speaks for nobody's address, only for the time (of time-stamping authorities below it).
    pub domains: Vec<String>,
}

impl Anchor {
    /// Whether this anchor may speak for an address.
    pub fn covers(&self, address: &str) -> bool {
        let Some(address) = MailAddress::parse(address) else { return false };
        self.domains.iter().any(|domain| match domain.strip_prefix('.') {
            _ if domain == "*" => true,
            Some(parent) => a_labels(parent).is_some_and(|parent| is_below(address.domain(), &parent)),
            None => a_labels(domain).as_deref() == Some(address.domain()),
        })
    }
}

/// Whether `domain` is a proper subdomain of `parent`.
fn is_below(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|label| label.len() > 1 && label.ends_with('.'))
}

/// All configured anchors.
#[derive(Clone, Debug, Default)]
pub struct Anchors(pub Vec<Anchor>);
