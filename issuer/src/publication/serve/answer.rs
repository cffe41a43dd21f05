//! What a request gets.
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use sha2::{Digest, Sha256};

use super::crl_files::{CrlFiles, FileState};
use super::index::{Index, Revision};
use super::search::{self, Collection, QueryError, Search};
use super::{range, static_file};
use crate::publication::layout;

/// A published directory, and an index of what it held when it was last looked at.
pub(super) struct Server {
    root: PathBuf,
    index: Mutex<Arc<Index>>,
    crls: Arc<CrlFiles>,
    max_age: Duration,
}

impl Server {
    pub(super) fn new(root: PathBuf, crls: Arc<CrlFiles>, max_age: Duration) -> Self {
        Self { root, index: Mutex::default(), crls, max_age }
    }

    pub(super) fn answer(&self, request: &Parts, now: Timestamp) -> Response<Vec<u8>> {
        if ![Method::GET, Method::HEAD].contains(&request.method) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let collection = match request.uri.path() {
            "/certificates/search.cgi" => Collection::Certificates,
            "/crls/search.cgi" => Collection::Crls,
            path => return self.file(path, request, now),
        };
        match search::parse(collection, request.uri.query().unwrap_or_default()) {
            Ok(search) => self.search(collection, &search),
            Err(QueryError(reason)) => plain(StatusCode::BAD_REQUEST, reason),
        }
    }

    fn file(&self, path: &str, request: &Parts, now: Timestamp) -> Response<Vec<u8>> {
        let headers = &request.headers;
        let Some(file) = static_file::resolve(path) else { return not_found() };
        let crl = self.crl(&file);
        if crl == Some(FileState::Damaged) {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "this CRL is damaged, and not served");
        }
        let full = self.root.join(&file);
        let Some((contents, modified)) = read(&full) else { return not_found() };
        let tag = entity_tag(&contents);
        // What is of the future by this clock was not modified then (RFC 9110 section 8.8.2.1).
        let modified = modified.and_then(whole_seconds).filter(|modified| *modified <= now);
        if !still_applies(headers, &tag, modified) {
            return plain(StatusCode::PRECONDITION_FAILED, "it is another than the request wants");
        }
        let is_unchanged = match headers.contains_key(header::IF_NONE_MATCH) {
            true => is_known(headers, &tag),
            false => modified.is_some_and(|modified| is_unmodified(headers, modified)),
        };
        let mut answer = if is_unchanged {
            response(StatusCode::NOT_MODIFIED, Vec::new())
        } else {
            let mut all = found(content_type(&file), contents);
            range::cut(&mut all, &request.method, headers, &tag, modified);
            all
        };
        let headers = answer.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        if let Some(modified) = modified.and_then(http_date) {
            headers.insert(header::LAST_MODIFIED, modified);
        }
        // That there is no such part is to be kept by nobody.
        if !headers.contains_key(header::CACHE_CONTROL)
            && let Some(FileState::Whole(Some(life)) | FileState::Older(Some(life))) = crl
        {
            keep_until(headers, life.next_update, now, self.max_age);
        }
        answer
    }

    /// What is to be said of a file, if it is a CRL or holds such.
    fn crl(&self, file: &Path) -> Option<FileState> {
        if file == Path::new(layout::CRLS) {
            return self.crls.judge_all_in_one();
        }
        let is_crl = file.parent() == Some(Path::new(layout::REVOCATIONS))
            && file.extension().is_some_and(|extension| extension == "crl");
        let name = file.file_name()?.to_str().filter(|_| is_crl)?;
        Some(self.crls.judge(name))
    }

    fn search(&self, collection: Collection, search: &Search) -> Response<Vec<u8>> {
        let (mut files, chained) = match search {
            Search::MailAddress(address) => (static_file::by_email(&self.root, address), Vec::new()),
            Search::Indexed(attribute, value) => {
                let index = self.index();
                let chained = match collection {
                    Collection::Certificates => index.find_chained(*attribute, value),
                    Collection::Crls => Vec::new(),
                };
                (index.find(collection, *attribute, value), chained)
            }
        };
        if let Collection::Crls = collection {
            files.retain(|file| self.crl(file) != Some(FileState::Damaged));
            // RFC 4387 section 2.2: of several, the one with the greatest thisUpdate.
            files.truncate(1);
        }
        let mut contents: Vec<Vec<u8>> =
            files.iter().filter_map(|file| Some(read(&self.root.join(file))?.0)).collect();
        contents.extend(chained);
        match <[Vec<u8>; 1]>::try_from(contents) {
            Ok([single]) => found(collection.content_type(), single),
            Err(several) if several.is_empty() => not_found(),
            Err(several) => multipart(collection.content_type(), &several),
        }
    }

    /// The index, made anew when something was published since.
    fn index(&self) -> Arc<Index> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = Revision::of(&self.root);
        if revision.is_none() || index.revision != revision {
            *index = Arc::new(Index::read(&self.root, revision, &index));
        }
        Arc::clone(&index)
    }
}

/// Whether a request says that it knows the content of this tag (RFC 9110 section 13.1.2).
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known
        .flat_map(|value| value.split(','))
        .any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag)
}

/// Whether what a request wants to be there is (RFC 9110 sections 13.1.1, 13.1.4 and 13.2.2): by tag, or else by date.
fn still_applies(headers: &HeaderMap, tag: &str, modified: Option<Timestamp>) -> bool {
    if headers.contains_key(header::IF_MATCH) {
        let wanted = headers.get_all(header::IF_MATCH).iter().filter_map(|value| value.to_str().ok());
        return wanted
            .flat_map(|value| value.split(','))
            .any(|wanted| matches!(wanted.trim(), "*") || wanted.trim() == tag);
    }
    let since = date(headers, header::IF_UNMODIFIED_SINCE);
    modified.zip(since).is_none_or(|(modified, since)| modified <= since)
}

/// Whether a request has what was there then (RFC 9110 section 13.1.3). The publisher dates no two versions of a file alike.
fn is_unmodified(headers: &HeaderMap, modified: Timestamp) -> bool {
    date(headers, header::IF_MODIFIED_SINCE).is_some_and(|since| modified <= since)
}

/// The date that a field of a request says.
pub(super) fn date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    let text = headers.get(name).and_then(|value| value.to_str().ok())?;
    httpdate::parse_http_date(text).ok().and_then(whole_seconds)
}

/// An answer of one line.
pub(super) fn plain(status: StatusCode, line: &str) -> Response<Vec<u8>> {
    let mut answer = response(status, format!("{line}\n").into_bytes());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// How long everybody between may keep what is good until its nextUpdate (RFC 5019 section 6.2), but no longer than
/// `max_age` without asking: what takes its place may be published long before it ends.
pub(super) fn cache_control(next_update: Timestamp, now: Timestamp, max_age: Duration) -> String {
    let left = next_update.as_second().saturating_sub(now.as_second());
    let seconds = u64::try_from(left).unwrap_or_default().min(max_age.as_secs());
    format!("max-age={seconds}, public, no-transform, must-revalidate")
}

/// As for OCSP.
fn keep_until(headers: &mut HeaderMap, next_update: Timestamp, now: Timestamp, max_age: Duration) {
    if let Ok(control) = HeaderValue::from_str(&cache_control(next_update, now, max_age)) {
        headers.insert(header::CACHE_CONTROL, control);
    }
    let printer = DateTimePrinter::new();
    let expires = printer.timestamp_to_rfc9110_string(&next_update).ok();
    if let Some(expires) = expires.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::EXPIRES, expires);
    }
}

fn not_found() -> Response<Vec<u8>> {
    plain(StatusCode::NOT_FOUND, "there is nothing of that name")
}

fn found(content_type: &'static str, contents: Vec<u8>) -> Response<Vec<u8>> {
    let mut answer = response(StatusCode::OK, contents);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn response(status: StatusCode, contents: Vec<u8>) -> Response<Vec<u8>> {
    let mut answer = Response::new(contents);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// `multipart/mixed` (RFC 2046 section 5.1.3) of the things themselves, as RFC 4387 section 2 demands: not
/// encoded in any way.
fn multipart(content_type: &str, parts: &[Vec<u8>]) -> Response<Vec<u8>> {
    let boundary = boundary(parts);
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("--{boundary}\r\nContent-Type: {content_type}\r\n\r\n").as_bytes());
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let mut answer = response(StatusCode::OK, body);
    if let Ok(value) = HeaderValue::from_str(&format!("multipart/mixed; boundary={boundary}")) {
        answer.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    answer
}

/// A digest of the parts: no part can hold the digest of itself.
fn boundary(parts: &[Vec<u8>]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

fn read(path: &Path) -> Option<(Vec<u8>, Option<SystemTime>)> {
    let modified = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?.modified().ok();
    Some((fs::read(path).ok()?, modified))
}

fn entity_tag(contents: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Sha256::digest(contents)))
}

fn whole_seconds(time: SystemTime) -> Option<Timestamp> {
    Timestamp::from_second(Timestamp::try_from(time).ok()?.as_second()).ok()
}

fn http_date(time: Timestamp) -> Option<HeaderValue> {
    HeaderValue::from_str(&DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?).ok()
}

/// RFC 2585 section 4, RFC 8551 section 3.2.1 and RFC 8555 section 9.1.
fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("cer") => "application/pkix-cert",
        Some("crl") => "application/pkix-crl",
        // RFC 8551 section 3.2.1.
        Some("p7m") => "application/pkcs7-mime; smime-type=signed-data",
        Some("txt") => "text/plain; charset=utf-8",
        _ if [layout::CRLS, layout::AUDIT_KEYS].map(Path::new).contains(&file) => "application/x-pem-file",
        _ => "application/pem-certificate-chain",
    }
}
