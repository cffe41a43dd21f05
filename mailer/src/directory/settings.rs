//! Who may be asked about revocation, and how.
use url::Url;

use crate::certificate::Certificate;
use crate::trust::ocsp::CertificateHash;

/// Who may be asked.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The CAs that may vouch for https servers.
    pub tls_anchors: Vec<Certificate>,
    /// Whether any network is used.
    pub network: Network,
    /// The OCSP responder that is asked about every certificate.
    pub responder: Option<Url>,
    /// Whether OCSP answers must be fresh ones.
    pub nonce: NoncePolicy,
    /// By which hash questions name the issuer.
    pub hash: CertificateHash,
    /// Whether servers that certificates name are asked.
    pub certificate_addresses: CertificateAddresses,
}

/// Whether any network is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// What is configured is asked.
    #[default]
    Online,
    /// What was answered before must do.
    Offline,
}

/// Whether OCSP answers must repeat what we sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoncePolicy {
    /// A nonce is sent; an answer without one, made beforehand, counts too (RFC 5019).
    #[default]
    Send,
    /// A nonce is sent, and must come back.
    Require,
    /// None is sent.
    Omit,
}

/// Whether servers that certificates name (cRLDistributionPoints, authorityInfoAccess) are asked. Only certificates whose
/// path ends in a configured anchor count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CertificateAddresses {
    /// Never.
    #[default]
    Ignore,
    /// By http and https, at public addresses.
    Follow {
        /// Hosts that may be asked although they are here or in a private network.
        private_hosts: Vec<String>,
    },
}
