//! Requests by HTTP POST (RFC 3161 section 3.4). Only configured addresses are asked, and no redirect is followed.
use std::time::Duration;

use ureq::Agent;
use url::Url;

use super::client::Exchange;
use super::error::ServerProblem;
use super::response::LARGEST_RESPONSE;
use crate::certificate::{Certificate, names};
use crate::web;

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";
const LONGEST_CONTENT_TYPE: usize = 80;

/// The edge to the network.
pub(super) struct Http {
    agent: Agent,
    has_tls_anchor: bool,
    time_limit: Duration,
}

impl Http {
    /// `tls_anchors` are the CAs that may vouch for https servers; `time_limit` is for one request and its whole response.
    pub(super) fn new(tls_anchors: &[Certificate], time_limit: Duration) -> Self {
        let config = web::settings(tls_anchors).timeout_global(Some(time_limit)).build();
        Self { agent: Agent::new_with_config(config), has_tls_anchor: !tls_anchors.is_empty(), time_limit }
    }

    fn problem(&self, error: ureq::Error) -> ServerProblem {
        match error {
            ureq::Error::Timeout(_) => ServerProblem::TooSlow(self.time_limit.as_secs()),
            ureq::Error::BodyExceedsLimit(_) => ServerProblem::TooLarge(LARGEST_RESPONSE),
            // What a timeout becomes inside a reader.
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                ServerProblem::TooSlow(self.time_limit.as_secs())
            }
            other => ServerProblem::Unreachable(names::harmless(&other.to_string())),
        }
    }
}

impl Exchange for Http {
    fn exchange(&mut self, server: &Url, request: &[u8]) -> Result<Vec<u8>, ServerProblem> {
        match server.scheme() {
            "http" => {}
            "https" if self.has_tls_anchor => {}
            "https" => return Err(ServerProblem::NoTlsAnchor),
            _ => return Err(ServerProblem::Scheme),
        }
        let asked = self.agent.post(server.as_str()).header("Content-Type", QUERY).header("Accept", REPLY);
        let mut response = asked.send(request).map_err(|error| self.problem(error))?;
        if response.status().as_u16() != 200 {
            return Err(ServerProblem::HttpStatus(response.status().as_u16()));
        }
        let content_type = response.headers().get("content-type").map(|value| value.as_bytes());
        let content_type = String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case(REPLY) {
            let told = names::harmless(media_type).chars().take(LONGEST_CONTENT_TYPE).collect();
            return Err(ServerProblem::ContentType(told));
        }
        let body = response.body_mut().with_config().limit(LARGEST_RESPONSE as u64);
        body.read_to_vec().map_err(|error| self.problem(error))
    }
}
