//! A certificate store by HTTP (RFC 4387). Only the configured address is ever asked, and no redirect is followed.
use std::time::Duration;

use base64ct::{Base64Unpadded, Encoding};
use sha1::{Digest, Sha1};
use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;
use url::Url;

use super::multipart;
use super::targets::Targets;
use super::{CLASS_LIST, DirectoryError, LARGEST_CERTIFICATE, MOST_RESULTS};
use crate::certificate::Certificate;
use crate::web;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(30);

/// Asks one certificate store.
pub(super) struct HttpStore {
    base: Url,
    agent: Agent,
}

impl HttpStore {
    /// `tls_anchors` are the CAs that may vouch for an https server; for http they are not needed.
    ///
    /// # Errors
    /// https without an anchor.
    pub(super) fn new(base: &Url, tls_anchors: &[Certificate]) -> Result<Self, DirectoryError> {
        if base.scheme() == "https" && tls_anchors.is_empty() {
            return Err(DirectoryError::NoTlsAnchor { location: base.to_string() });
        }
        let agent = agent(tls_anchors, Targets::Any);
        Ok(Self { base: base.clone(), agent })
    }

    /// Every certificate published for an address.
    pub(super) fn certificates(&self, address: &str) -> Result<Vec<Vec<u8>>, DirectoryError> {
        self.search("certificates/search.cgi", "email", address, LARGEST_CERTIFICATE * MOST_RESULTS as u64)
    }

    /// The CA certificates with this subject key identifier.
    pub(super) fn ca_certificates(&self, key_identifier: &[u8]) -> Result<Vec<Vec<u8>>, DirectoryError> {
        self.search(
            "certificates/search.cgi",
            "sKIDHash",
            &search_key(key_identifier),
            LARGEST_CERTIFICATE * MOST_RESULTS as u64,
        )
    }

    /// Where the CRLs of the CA with this subject key identifier are.
    pub(super) fn revocation_lists(&self, key_identifier: &[u8]) -> Option<Url> {
        let mut url = self.base.join("crls/search.cgi").ok()?;
        url.query_pairs_mut().append_pair("sKIDHash", &search_key(key_identifier));
        Some(url)
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.agent
    }

    fn search(
        &self,
        path: &str,
        attribute: &str,
        value: &str,
        largest: u64,
    ) -> Result<Vec<Vec<u8>>, DirectoryError> {
        let mut url = self.base.join(path).map_err(|error| self.unreachable(&error.to_string()))?;
        url.query_pairs_mut().append_pair(attribute, value);
        let Some((content_type, body)) = self.get(&url, largest)? else { return Ok(Vec::new()) };
        match multipart::boundary(&content_type) {
            None => Ok(vec![body]),
            Some(boundary) => multipart::parts(&body, &boundary, MOST_RESULTS)
                .ok_or_else(|| self.unreachable("its answer is not a proper multipart one")),
        }
    }

    /// The signed list of classes of readers.
    pub(super) fn class_list(&self, largest: u64) -> Result<Option<Vec<u8>>, DirectoryError> {
        let url = self.base.join(CLASS_LIST).map_err(|error| self.unreachable(&error.to_string()))?;
        Ok(self.get(&url, largest)?.map(|(_, body)| body))
    }

    /// Content type and content; `None` for 404.
    fn get(&self, url: &Url, largest: u64) -> Result<Option<(String, Vec<u8>)>, DirectoryError> {
        let mut response =
            self.agent.get(url.as_str()).call().map_err(|error| self.unreachable(&error.to_string()))?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(self.unreachable(&format!("it answered with HTTP status {status}"))),
        }
        let content_type = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body =
            response.body_mut().with_config().limit(largest).read_to_vec().map_err(|error| match error {
                ureq::Error::BodyExceedsLimit(_) => {
                    DirectoryError::TooLarge { what: url.to_string(), largest }
                }
                error => self.unreachable(&error.to_string()),
            })?;
        Ok(Some((content_type, body)))
    }

    fn unreachable(&self, problem: &str) -> DirectoryError {
        DirectoryError::Unreachable {
            location: self.base.as_str().trim_end_matches('/').to_owned(),
            problem: problem.to_owned(),
        }
    }
}

/// Asks servers whom `tls_anchors` vouch for, at addresses that `targets` allow. No proxy, no redirect.
pub(super) fn agent(tls_anchors: &[Certificate], targets: Targets) -> Agent {
    let config =
        web::settings(tls_anchors).timeout_connect(Some(CONNECT)).timeout_global(Some(WHOLE)).build();
    Agent::with_parts(config, DefaultConnector::default(), targets)
}

/// RFC 4387 section 2.1: the SHA-1 hash in base64, without padding.
fn search_key(value: &[u8]) -> String {
    Base64Unpadded::encode_string(&Sha1::digest(value))
}
