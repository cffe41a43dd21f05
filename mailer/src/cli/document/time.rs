//! Time stamps from the configured servers: tried before the card is asked, and only of authorities that readers will believe.
use std::time::Duration;

use url::Url;

use super::super::context::Context;
use super::super::report::{Failure, plain_words, tell};
use super::super::signing::Desk;
use crate::certificate::{Certificate, DigestAlgorithm};
use crate::clock::SystemClock;
use crate::documents::sign::TimeStamper;
use crate::documents::validation_data::ValidationData;
use crate::time_stamping::{MessageImprint, NoTimeStamp, TimeStampClient, TimeStampServers};

const DIGEST: DigestAlgorithm = DigestAlgorithm::Sha256;

/// The configured servers.
pub(in super::super) struct Stamps {
    client: TimeStampClient<'static>,
    /// The authorities that were found good.
    believed: Vec<Certificate>,
}

/// What the servers gave for nothing, to know what they will give.
pub(in super::super) struct Rehearsed {
    /// The length of the longest time stamp.
    pub(in super::super) longest: usize,
    /// What proves the authorities.
    pub(in super::super) proof: ValidationData,
}

impl Stamps {
    /// The configured servers; `None` when there is none.
    pub(in super::super) fn configured(context: &Context) -> Result<Option<Self>, Failure> {
        let configured = &context.config.time_stamps;
        if configured.servers.is_empty() {
            return Ok(None);
        }
        let malformed = |what: &str| Failure::new("malformed-configuration", format!("time_stamps: {what}"));
        let urls = configured.servers.iter().map(|server| Url::parse(server).ok());
        let urls: Option<Vec<Url>> = urls.collect();
        let mut servers = TimeStampServers::new(urls.ok_or_else(|| malformed("a server is no address"))?);
        if let Some(policy) = &configured.policy {
            servers.policy =
                Some(policy.parse().map_err(|_| malformed("the policy is no object identifier"))?);
        }
        if let Some(seconds) = configured.seconds {
            servers.time_limit = Duration::from_secs(u64::from(seconds.max(1)));
        }
        let tls: Vec<Certificate> = match &context.config.tls_anchor {
            Some(pem) => Certificate::from_file_contents(pem.as_bytes()).unwrap_or_default(),
            None => context.anchors()?.0.into_iter().map(|anchor| anchor.certificate).collect(),
        };
        let client = TimeStampClient::new(servers, &tls, &SystemClock);
        Ok(Some(Self { client, believed: Vec::new() }))
    }

    /// Asks every server for a time stamp of nothing in particular, and checks its authority as a reader will.
    pub(in super::super) fn rehearse(&mut self, desk: &mut Desk<'_>) -> Result<Rehearsed, Failure> {
        let mut proof = ValidationData::default();
        let believed = &mut self.believed;
        let rehearsed = self.client.rehearse(DIGEST, &mut |stamp| {
            let authority = &stamp.token.authority;
            let proven = desk.proof_of_authority(authority, &stamp.token.certificates);
            proof.merge(proven.map_err(|failure| failure.message)?);
            believed.push(authority.clone());
            Ok(())
        });
        let rehearsed = rehearsed.map_err(failure)?;
        for failed in &rehearsed.failures {
            tell(&format!("mailer: note: {}", plain_words(&failed.to_string())));
        }
        Ok(Rehearsed { longest: rehearsed.longest_token, proof })
    }
}

fn failure(error: NoTimeStamp) -> Failure {
    Failure::new(error.code(), error.to_string())
}

impl TimeStamper for Stamps {
    fn stamp(&mut self, octets: &[u8]) -> Result<Vec<u8>, NoTimeStamp> {
        let believed = &self.believed;
        let imprint = MessageImprint::of(DIGEST, octets);
        let stamp = self.client.stamp(&imprint, None, &mut |stamp| {
            if believed.contains(&stamp.token.authority) {
                return Ok(());
            }
            Err("its authority is another than in the rehearsal".to_owned())
        })?;
        Ok(stamp.der)
    }
}
