//! CRLs and OCSP answers by HTTP: from the configured directory and responder, and, if that is allowed, from where a
//! certificate says. The callers ask only about certificates whose path ends in a configured anchor.
use base64ct::{Base64, Encoding};
use const_oid::ObjectIdentifier;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use ureq::Agent;
use url::Url;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, CrlDistributionPoints};

use super::cache::Kind;
use super::lists::{KeptLists, Validators};
use super::settings::{CertificateAddresses, Network, NoncePolicy};
use super::{Directory, DirectoryError, LARGEST_REVOCATION_LIST, MOST_RESULTS, Store, multipart};
use crate::certificate::Certificate;
use crate::trust::CertificateList;
use crate::trust::ocsp::{self, LARGEST_ANSWER, Nonce, OcspAnswer};

/// The most addresses of one certificate that are asked.
const MOST_ADDRESSES: usize = 4;
/// The longest request that goes by GET (RFC 5019 section 5).
const LONGEST_GET: usize = 255;
const NONCE_LENGTH: usize = 16;
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

impl Directory {
    /// CRLs of a CA: what the directory answers, and what was found genuine before.
    pub(super) fn lists_of_authority(&mut self, key_identifier: &[u8]) -> Vec<CertificateList> {
        let question = key_identifier.to_vec();
        if let Some(known) = self.lists.get(&question) {
            return known.clone();
        }
        let found = match &self.store {
            Store::File(store) => {
                store.revocation_lists(key_identifier, self.cache.root(), &mut self.problems)
            }
            Store::Http(store) => {
                let url = store.revocation_lists(key_identifier);
                let agent = store.agent().clone();
                let mut lists = self.older_form(key_identifier);
                lists.extend(url.map(|url| self.lists_at(&agent, &url, key_identifier)).unwrap_or_default());
                Ok(lists)
            }
        };
        let found = found.unwrap_or_else(|error| {
            self.problems.push(error);
            Vec::new()
        });
        self.lists.insert(question, found.clone());
        found
    }

    /// CRLs at the addresses that a certificate names.
    pub(super) fn lists_at_points(&mut self, certificate: &Certificate) -> Vec<CertificateList> {
        if self.settings.certificate_addresses == CertificateAddresses::Ignore {
            return Vec::new();
        }
        let mut found = Vec::new();
        for url in distribution_points(certificate).into_iter().take(MOST_ADDRESSES) {
            let question = url.as_str().as_bytes().to_vec();
            let known = self.lists.get(&question).cloned();
            let lists = known.unwrap_or_else(|| self.lists_at(&self.follower.clone(), &url, &question));
            self.lists.insert(question, lists.clone());
            found.extend(lists);
        }
        found
    }

    /// Asks one address; the genuine lists that are kept stand beside the answer.
    fn lists_at(&mut self, agent: &Agent, url: &Url, question: &[u8]) -> Vec<CertificateList> {
        let store = KeptLists::new(self.cache.root(), question);
        let kept = store.genuine();
        let mut lists = Vec::new();
        if self.settings.network == Network::Online {
            match self.fetch(agent, url, &store, &kept) {
                Ok(arrived) => lists = arrived,
                Err(error) => self.problems.push(error),
            }
        }
        let known: Vec<[u8; 32]> = lists.iter().map(CertificateList::hash).collect();
        lists.extend(kept.into_iter().map(|(list, _)| list).filter(|list| !known.contains(&list.hash())));
        lists
    }

    fn fetch(
        &mut self,
        agent: &Agent,
        url: &Url,
        store: &KeptLists,
        kept: &[(CertificateList, Validators)],
    ) -> Result<Vec<CertificateList>, DirectoryError> {
        let unreachable =
            |problem: String| DirectoryError::Unreachable { location: url.to_string(), problem };
        let mut request = agent.get(url.as_str());
        // A kept list from a server that can say "not modified" need not travel again.
        if let [(_, validators)] = kept {
            if let Some(etag) = &validators.etag {
                request = request.header("If-None-Match", etag);
            }
            if let Some(date) = &validators.last_modified {
                request = request.header("If-Modified-Since", date);
            }
        }
        let mut response = request.call().map_err(|error| unreachable(error.to_string()))?;
        match response.status().as_u16() {
            200 => {}
            304 | 404 => return Ok(Vec::new()),
            status => return Err(unreachable(format!("it answered with HTTP status {status}"))),
        }
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let validators = Validators { etag: header("etag"), last_modified: header("last-modified") };
        let content_type = header("content-type").unwrap_or_default();
        let too_large =
            || DirectoryError::TooLarge { what: url.to_string(), largest: LARGEST_REVOCATION_LIST };
        let stored = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::FileTooLarge => too_large(),
            _ => unreachable(error.to_string()),
        };
        let mut body = response.body_mut().with_config().limit(LARGEST_REVOCATION_LIST + 1).reader();
        let mut lists = Vec::new();
        match multipart::boundary(&content_type) {
            None => lists.extend(store.arrive(&mut body).map_err(stored)?),
            Some(boundary) => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut body, &mut bytes).map_err(stored)?;
                let parts = multipart::parts(&bytes, &boundary, MOST_RESULTS);
                let malformed = || unreachable("its answer is not a proper multipart one".to_owned());
                for part in parts.ok_or_else(malformed)? {
                    lists.extend(CertificateList::from_der(&part));
                }
            }
        }
        for list in &lists {
            self.arrived.insert(list.hash(), validators.clone());
        }
        Ok(lists)
    }

    /// Keeps a list that was found genuine.
    pub(super) fn keep_list(&mut self, key_identifier: &[u8], list: &CertificateList) {
        let is_of = |question: &&Vec<u8>| {
            self.lists
                .get(*question)
                .is_some_and(|lists| lists.iter().any(|known| known.hash() == list.hash()))
        };
        let question = self.lists.keys().find(is_of).cloned();
        if matches!(self.store, Store::File(_)) && question.as_deref() == Some(key_identifier) {
            return;
        }
        let Some(question) = question else { return };
        let validators = self.arrived.get(&list.hash()).cloned();
        let store = KeptLists::new(self.cache.root(), &question);
        if let Some(validators) = validators
            && let Err(error) = store.keep(list, &validators)
        {
            tracing::debug!(%error, "a CRL was not kept");
        }
    }

    /// Lists that an older version of this program kept.
    fn older_form(&self, key_identifier: &[u8]) -> Vec<CertificateList> {
        let kept = self.cache.find(Kind::RevocationList, key_identifier).unwrap_or_default();
        kept.iter().filter_map(|der| CertificateList::from_der(der).ok()).collect()
    }

    /// OCSP answers: a kept one while it is good, else a new one; a kept one also when nobody can be asked.
    pub(super) fn answers_about(
        &mut self,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Vec<OcspAnswer> {
        let question = question_about(certificate, issuer);
        let kept = self.cache.find(Kind::OcspAnswer, &question).and_then(|mut kept| kept.pop());
        let kept = kept.map(|der| OcspAnswer { der, nonce: Nonce::NotSent });
        let is_good =
            |answer: &OcspAnswer| ocsp::good_until(&answer.der).is_some_and(|until| until > self.cache.now());
        let may_be_kept = self.settings.nonce != NoncePolicy::Require;
        if self.settings.network == Network::Offline || may_be_kept && kept.as_ref().is_some_and(is_good) {
            return kept.into_iter().collect();
        }
        let mut answers = Vec::new();
        for (agent, url) in self.responders(certificate) {
            match self.ask_responder(&agent, &url, certificate, issuer) {
                Ok(answer) => {
                    answers.push(answer);
                    break;
                }
                Err(error) => self.problems.push(error),
            }
        }
        answers.extend(kept.filter(|_| may_be_kept));
        answers
    }

    fn responders(&self, certificate: &Certificate) -> Vec<(Agent, Url)> {
        if let Some(url) = &self.settings.responder {
            return vec![(self.configured.clone(), url.clone())];
        }
        if self.settings.certificate_addresses == CertificateAddresses::Ignore {
            return Vec::new();
        }
        let found = responder_addresses(certificate).into_iter().take(MOST_ADDRESSES);
        found.map(|url| (self.follower.clone(), url)).collect()
    }

    fn ask_responder(
        &self,
        agent: &Agent,
        url: &Url,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<OcspAnswer, DirectoryError> {
        let unreachable =
            |problem: String| DirectoryError::Unreachable { location: url.to_string(), problem };
        let nonce = match self.settings.nonce {
            NoncePolicy::Omit => None,
            NoncePolicy::Send | NoncePolicy::Require => {
                let mut nonce = vec![0; NONCE_LENGTH];
                getrandom::fill(&mut nonce).map_err(|error| unreachable(error.to_string()))?;
                Some(nonce)
            }
        };
        let request = ocsp::request(certificate, issuer, self.settings.hash, nonce.as_deref())
            .map_err(|error| unreachable(error.to_string()))?;
        // RFC 5019 section 5: a short question without nonce goes by GET, so that answers can be cached on the way.
        let response = match get_address(url, &request).filter(|_| nonce.is_none()) {
            Some(address) => agent.get(address).header("Accept", "application/ocsp-response").call(),
            None => agent
                .post(url.as_str())
                .header("Content-Type", "application/ocsp-request")
                .header("Accept", "application/ocsp-response")
                .send(&request),
        };
        let mut response = response.map_err(|error| unreachable(error.to_string()))?;
        if response.status().as_u16() != 200 {
            return Err(unreachable(format!("it answered with HTTP status {}", response.status().as_u16())));
        }
        let limit = LARGEST_ANSWER as u64;
        let der =
            response.body_mut().with_config().limit(limit).read_to_vec().map_err(|error| match error {
                ureq::Error::BodyExceedsLimit(_) => {
                    DirectoryError::TooLarge { what: url.to_string(), largest: limit }
                }
                error => unreachable(error.to_string()),
            })?;
        let nonce = match (nonce, self.settings.nonce) {
            (Some(nonce), NoncePolicy::Require) => Nonce::Required(nonce),
            (Some(nonce), _) => Nonce::IfPresent(nonce),
            (None, _) => Nonce::NotSent,
        };
        Ok(OcspAnswer { der, nonce })
    }

    /// Keeps an answer that was found genuine, unless one that is good for longer is kept.
    pub(super) fn keep_answer(&self, certificate: &Certificate, issuer: &Certificate, answer: &OcspAnswer) {
        let question = question_about(certificate, issuer);
        let Some(until) = ocsp::good_until(&answer.der) else { return };
        let kept = self.cache.find(Kind::OcspAnswer, &question).and_then(|mut kept| kept.pop());
        let is_newer = kept.is_none_or(|kept| ocsp::good_until(&kept).is_none_or(|kept| kept < until));
        if is_newer {
            self.cache.keep(Kind::OcspAnswer, &question, std::slice::from_ref(&answer.der));
        }
    }
}

fn question_about(certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let hash = Sha256::new().chain_update(issuer.der()).chain_update(certificate.der());
    hash.finalize().to_vec()
}

/// The address for a short request (RFC 6960 appendix A.1).
fn get_address(url: &Url, request: &[u8]) -> Option<String> {
    let encoded = Base64::encode_string(request);
    let escaped = utf8_percent_encode(&encoded, NON_ALPHANUMERIC).to_string();
    let base = url.as_str().trim_end_matches('/');
    (encoded.len() <= LONGEST_GET && url.query().is_none()).then(|| format!("{base}/{escaped}"))
}

/// The http and https addresses of a certificate's CRLs.
fn distribution_points(certificate: &Certificate) -> Vec<Url> {
    let points = certificate.extension::<CrlDistributionPoints>().ok().flatten();
    let names = points.into_iter().flat_map(|points| points.0).filter_map(|point| point.distribution_point);
    let names = names.filter_map(|name| match name {
        DistributionPointName::FullName(names) => Some(names),
        DistributionPointName::NameRelativeToCRLIssuer(_) => None,
    });
    names.flatten().filter_map(|name| web_address(&name)).collect()
}

/// The http and https addresses of a certificate's OCSP responders.
fn responder_addresses(certificate: &Certificate) -> Vec<Url> {
    let access = certificate.extension::<AuthorityInfoAccessSyntax>().ok().flatten();
    let descriptions = access.map(|access| access.0).unwrap_or_default();
    let responders = descriptions.iter().filter(|found| found.access_method == OCSP);
    responders.filter_map(|found| web_address(&found.access_location)).collect()
}

fn web_address(name: &GeneralName) -> Option<Url> {
    let GeneralName::UniformResourceIdentifier(address) = name else { return None };
    let url = Url::parse(address.as_str()).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.host().is_some();
    (plain && matches!(url.scheme(), "http" | "https")).then_some(url)
}
