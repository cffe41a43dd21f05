//! OCSP over HTTP: RFC 6960 appendix A, RFC 5019 sections 5 and 6.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use base64ct::{Base64, Base64Unpadded, Encoding};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::answer::cache_control;
use super::crl_files::FileState;
use super::index::Revision;
use crate::ca::Certificate;
use crate::ca::ocsp::request::LONGEST;
use crate::ca::ocsp::{AuthorityIdentity, ResponseStatus, StatusRequest};
use crate::publication::layout;
use crate::publication::life::Life;
use crate::publication::ocsp_answers::{self, Prepared, PublishedAnswers};
use crate::publication::ocsp_on_demand::OnDemand;

/// Answers about the certificates of every authority whose answers are published.
pub(super) struct OcspResponder {
    root: PathBuf,
    known: Mutex<Arc<Known>>,
    on_demand: Option<OnDemand>,
    max_age: Duration,
}

/// What was published when it was last looked at.
#[derive(Default)]
struct Known {
    revision: Option<Revision>,
    authorities: Vec<(AuthorityIdentity, Vec<u8>, PublishedAnswers)>,
}

impl OcspResponder {
    pub(super) fn new(root: PathBuf, on_demand: Option<OnDemand>, max_age: Duration) -> Self {
        Self { root, known: Mutex::default(), on_demand, max_age }
    }

    /// The certificates with which answers are signed when they are asked for: as files of answers, each with its life.
    pub(super) fn responders(&self) -> BTreeMap<String, FileState> {
        let lives = self.on_demand.iter().flat_map(OnDemand::lives);
        lives
            .map(|(authority, life)| (format!("responder/{authority}"), FileState::Whole(Some(life))))
            .collect()
    }

    /// The answer to a GET: the request is the rest of the path, base64, percent-encoded.
    pub(super) fn get(&self, path: &str, headers: &HeaderMap, now: Timestamp) -> Response<Vec<u8>> {
        let request = decode_path(path).ok_or(ResponseStatus::MalformedRequest);
        let mut answer = match request.and_then(|request| self.answer(&request, now)) {
            Ok(Answer::Prepared(answer)) => cacheable(answer, headers, now, self.max_age),
            Ok(Answer::Fresh(response)) => found(response),
            Err(status) => error(status),
        };
        answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        answer
    }

    /// The answer to a POST.
    pub(super) fn post(&self, request: &[u8], now: Timestamp) -> Response<Vec<u8>> {
        match self.answer(request, now) {
            Ok(Answer::Prepared(PreparedAnswer { response, .. }) | Answer::Fresh(response)) => {
                found(response)
            }
            Err(status) => error(status),
        }
    }

    fn answer(&self, request: &[u8], now: Timestamp) -> Result<Answer, ResponseStatus> {
        let request = StatusRequest::parse(request)?;
        let known = self.known();
        let first = request.certificates.first().ok_or(ResponseStatus::MalformedRequest)?;
        let authority = known.authorities.iter().find(|(identity, ..)| identity.is_issuer_of(first));
        let Some((identity, key, answers)) = authority else { return Err(ResponseStatus::Unauthorized) };
        // One answer has one signer, and a signer speaks for one authority.
        if !request.certificates.iter().all(|certificate| identity.is_issuer_of(certificate)) {
            return Err(ResponseStatus::Unauthorized);
        }
        let is_prepared = request.certificates.len() == 1 && first.named_by().is_some();
        if let Some(on_demand) = self.on_demand.as_ref().filter(|on_demand| on_demand.speaks_for(key, now)) {
            let is_simple = request.nonce.is_none() && is_prepared && first.is_as_prepared();
            if !is_simple || find(answers, first)?.is_none_or(|prepared| prepared.next_update <= now) {
                return on_demand.answer(key, answers, &request, now).map(Answer::Fresh);
            }
        } else if !is_prepared {
            // RFC 5019 section 2.2.3: answers are prepared one by one, and name certificates as its section 2.1.1 does.
            return Err(ResponseStatus::Unauthorized);
        }
        // RFC 9654 section 2.1, RFC 5019 section 4: a prepared answer has no nonce, and the client knows that.
        match find(answers, first)? {
            None => Err(ResponseStatus::Unauthorized),
            Some(prepared) if prepared.next_update <= now => Err(ResponseStatus::TryLater),
            Some(prepared) => Ok(Answer::Prepared(PreparedAnswer {
                life: Life { this_update: prepared.this_update, next_update: prepared.next_update },
                response: prepared.to(first).to_vec(),
            })),
        }
    }

    /// What is published, looked at anew when something was published since.
    fn known(&self) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = Revision::of(&self.root);
        if revision.is_none() || known.revision != revision {
            *known = Arc::new(Known::read(&self.root, revision));
        }
        Arc::clone(&known)
    }
}

enum Answer {
    /// The same for everybody, until its nextUpdate.
    Prepared(PreparedAnswer),
    /// For this request alone.
    Fresh(Vec<u8>),
}

struct PreparedAnswer {
    life: Life,
    response: Vec<u8>,
}

impl Known {
    fn read(root: &Path, revision: Option<Revision>) -> Self {
        let mut known = Self { revision, authorities: Vec::new() };
        let Ok(entries) = fs::read_dir(root.join(layout::AUTHORITIES)) else { return known };
        for entry in entries.flatten() {
            let certificate = fs::read(entry.path()).ok().and_then(|der| Certificate::from_der(der).ok());
            let Some(certificate) = certificate else { continue };
            let key = certificate.subject_key_identifier();
            let answers = PublishedAnswers::open(&root.join(ocsp_answers::path(key)));
            if let (Ok(identity), Ok(answers)) = (AuthorityIdentity::of(&certificate), answers) {
                known.authorities.push((identity, key.to_vec(), answers));
            }
        }
        known
    }
}

fn find(
    answers: &PublishedAnswers,
    certificate: &crate::ca::ocsp::CertId,
) -> Result<Option<Prepared>, ResponseStatus> {
    match certificate.serial_number() {
        Some(serial_number) => answers.find(&serial_number).map_err(|_| ResponseStatus::InternalError),
        None => Ok(None),
    }
}

/// RFC 6960 appendix A.1.1; clients differ in what they percent-encode, in the padding, and in whether they write a slash
/// behind a URL that ends with one. No request begins with a slash: the first character of a SEQUENCE is `M`.
pub(super) fn decode_path(path: &str) -> Option<Vec<u8>> {
    if path.len() > 2 * LONGEST {
        return None;
    }
    let text = percent_decode_str(path).decode_utf8().ok()?;
    let text = text.trim_start_matches('/');
    Base64::decode_vec(text).or_else(|_| Base64Unpadded::decode_vec(text)).ok()
}

/// RFC 5019 section 6.2: everybody between may keep it for a while.
fn cacheable(
    answer: PreparedAnswer,
    headers: &HeaderMap,
    now: Timestamp,
    max_age: Duration,
) -> Response<Vec<u8>> {
    let PreparedAnswer { life: Life { this_update, next_update }, response } = answer;
    let tag = format!("\"{}\"", hex::encode(Sha256::digest(&response)));
    let mut answer = if super::answer::is_known(headers, &tag) {
        let mut unchanged = Response::new(Vec::new());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        found(response)
    };
    let printer = DateTimePrinter::new();
    let date = |time: Timestamp| printer.timestamp_to_rfc9110_string(&time).ok();
    for (name, value) in [
        (header::CACHE_CONTROL, Some(cache_control(next_update, now, max_age))),
        (header::ETAG, Some(tag)),
        (header::LAST_MODIFIED, date(this_update)),
        (header::EXPIRES, date(next_update)),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// Errors of the protocol are answers too: their HTTP status is 200.
fn error(status: ResponseStatus) -> Response<Vec<u8>> {
    found(status.to_der().to_vec())
}

fn found(response: Vec<u8>) -> Response<Vec<u8>> {
    let mut answer = Response::new(response);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/ocsp-response"));
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
