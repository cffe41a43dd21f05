//! Several servers asked in turn: the first good answer counts, and every other one is told with its reason.
use std::time::Duration;

use const_oid::ObjectIdentifier;
use url::Url;

use super::check::{ClockTolerance, TimeStamp};
use super::error::{AnswerProblem, NoTimeStamp, ServerFailure, ServerProblem};
use super::http::Http;
use super::request::{MessageImprint, Nonce, TimeStampRequest};
use crate::certificate::{Certificate, DigestAlgorithm};
use crate::clock::Clock;

/// The servers as they are configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStampServers {
    /// Their addresses, http or https, in the order in which they are asked.
    pub urls: Vec<Url>,
    /// The policy under which stamps shall be made; any, if none is named.
    pub policy: Option<ObjectIdentifier>,
    /// How long one server may take in all.
    pub time_limit: Duration,
}

impl TimeStampServers {
    /// The time limit unless another is configured.
    pub const TIME_LIMIT: Duration = Duration::from_secs(10);

    /// These servers, any policy, the usual time limit.
    pub fn new(urls: Vec<Url>) -> Self {
        Self { urls, policy: None, time_limit: Self::TIME_LIMIT }
    }
}

/// Carries a request to a server and the response back.
pub trait Exchange {
    /// The response to one request, which came in time and is not too large.
    ///
    /// # Errors
    /// See [`ServerProblem`].
    fn exchange(&mut self, server: &Url, request: &[u8]) -> Result<Vec<u8>, ServerProblem>;
}

/// What a rehearsal found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// The length of the longest token that a server gave.
    pub longest_token: usize,
    /// The servers that gave none.
    pub failures: Vec<ServerFailure>,
}

/// Asks servers for time stamps.
pub struct TimeStampClient<'c> {
    servers: TimeStampServers,
    tolerance: ClockTolerance,
    clock: &'c dyn Clock,
    exchange: Box<dyn Exchange + 'c>,
    /// Where in the list of servers those stand that failed when they were last asked.
    failed: Vec<usize>,
}

/// What a caller thinks of a stamp whose form is right: whether its authority is trusted. The text says why not.
pub type Opinion<'o> = dyn FnMut(&TimeStamp) -> Result<(), String> + 'o;

impl<'c> TimeStampClient<'c> {
    /// Over HTTP. `tls_anchors` are the CAs that may vouch for https servers.
    pub fn new(servers: TimeStampServers, tls_anchors: &[Certificate], clock: &'c dyn Clock) -> Self {
        let http = Http::new(tls_anchors, servers.time_limit);
        Self::over(Box::new(http), servers, clock)
    }

    /// Over something else.
    pub fn over(exchange: Box<dyn Exchange + 'c>, servers: TimeStampServers, clock: &'c dyn Clock) -> Self {
        Self { servers, tolerance: ClockTolerance::default(), clock, exchange, failed: Vec::new() }
    }

    /// The same with another tolerance between the clocks.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: ClockTolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// A stamp of this imprint by the first server that gives a good one. `most_octets` is the room for the token, if it is
    /// limited; `opinion` is asked about each stamp that is good otherwise.
    ///
    /// # Errors
    /// [`NoTimeStamp::AllFailed`] tells of each server why it gave none.
    pub fn stamp(
        &mut self,
        imprint: &MessageImprint,
        most_octets: Option<usize>,
        opinion: &mut Opinion<'_>,
    ) -> Result<TimeStamp, NoTimeStamp> {
        // Who failed before is asked last.
        let (first, last): (Vec<usize>, Vec<usize>) =
            (0..self.servers.urls.len()).partition(|index| !self.failed.contains(index));
        let mut failures = Vec::new();
        for index in first.into_iter().chain(last) {
            match self.ask(index, imprint, most_octets, opinion)? {
                Ok(stamp) => return Ok(stamp),
                Err(failure) => failures.push(failure),
            }
        }
        Err(none(failures))
    }

    /// Asks every server for a stamp of random octets, so that a caller knows how much room a stamp needs before the card
    /// signs, and that one is to be had. Servers that fail now are asked last from now on.
    ///
    /// # Errors
    /// See [`Self::stamp`].
    pub fn rehearse(
        &mut self,
        algorithm: DigestAlgorithm,
        opinion: &mut Opinion<'_>,
    ) -> Result<Rehearsal, NoTimeStamp> {
        let imprint = MessageImprint::of(algorithm, &random::<32>()?);
        let (mut longest, mut failures) = (None, Vec::new());
        for index in 0..self.servers.urls.len() {
            match self.ask(index, &imprint, None, opinion)? {
                Ok(stamp) => longest = longest.max(Some(stamp.der.len())),
                Err(failure) => failures.push(failure),
            }
        }
        match longest {
            Some(longest_token) => Ok(Rehearsal { longest_token, failures }),
            None => Err(none(failures)),
        }
    }

    /// Asks one server, and remembers whether it failed.
    fn ask(
        &mut self,
        index: usize,
        imprint: &MessageImprint,
        most_octets: Option<usize>,
        opinion: &mut Opinion<'_>,
    ) -> Result<Result<TimeStamp, ServerFailure>, NoTimeStamp> {
        let Some(server) = self.servers.urls.get(index) else { return Err(NoTimeStamp::NoServer) };
        let nonce = Nonce::from_random(random()?);
        let request = TimeStampRequest::new(imprint.clone(), self.servers.policy, nonce)?;
        let answer = self.exchange.exchange(server, &request.to_der()?);
        let stamp = answer.and_then(|response| {
            let stamp = request.check(&response, self.clock.now(), self.tolerance)?;
            let octets = stamp.der.len();
            if let Some(most) = most_octets.filter(|most| octets > *most) {
                return Err(AnswerProblem::TooLong { octets, most }.into());
            }
            opinion(&stamp).map_err(AnswerProblem::NotBelieved)?;
            Ok(stamp)
        });
        self.failed.retain(|failed| *failed != index);
        let failure = |problem| ServerFailure { server: shown(server), problem };
        if stamp.is_err() {
            self.failed.push(index);
        }
        Ok(stamp.map_err(failure))
    }
}

fn none(failures: Vec<ServerFailure>) -> NoTimeStamp {
    if failures.is_empty() { NoTimeStamp::NoServer } else { NoTimeStamp::AllFailed(failures) }
}

/// An address without user name, password and what may be as secret: query and fragment.
fn shown(server: &Url) -> String {
    let mut shown = server.clone();
    // Addresses that cannot have these keep what they have: nothing.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

fn random<const OCTETS: usize>() -> Result<[u8; OCTETS], NoTimeStamp> {
    let mut octets = [0; OCTETS];
    getrandom::fill(&mut octets).map_err(|error| NoTimeStamp::NotAsked(error.to_string()))?;
    Ok(octets)
}
