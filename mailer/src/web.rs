//! What every client of HTTP here keeps to: no proxy, no redirect, and https only by the configured CAs.
use std::sync::Arc;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::typestate::AgentScope;

use crate::certificate::Certificate;

/// Settings of a client; `tls_anchors` are the CAs that may vouch for https servers.
pub(crate) fn settings(tls_anchors: &[Certificate]) -> ConfigBuilder<AgentScope> {
    let anchors =
        tls_anchors.iter().map(|anchor| ureq::tls::Certificate::from_der(anchor.der()).to_owned()).collect();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(anchors)))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
}
