//! Whether what is served is still good: no published CRL has expired.
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;

use super::index::Revision;
use crate::ca::crl::view::CrlView;
use crate::publication::layout;

/// What was read of the CRLs, and when.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<(Revision, Vec<CrlHealth>)>>);

#[derive(Clone, Serialize)]
struct CrlHealth {
    file: String,
    /// Absent where the file is no CRL, or says none.
    next_update: Option<Timestamp>,
}

#[derive(Serialize)]
struct Answer<'a> {
    /// `ok`, `expired` or `unpublished`.
    status: &'static str,
    /// CRLs that readers must no longer use.
    expired: Vec<&'a str>,
    crls: &'a [CrlHealth],
}

impl Health {
    /// 200 when everything is good at `now`, 503 otherwise; both say what there is, JSON.
    pub(super) fn answer(&self, root: &Path, now: Timestamp) -> Response<Vec<u8>> {
        let crls = self.crls(root);
        let expired: Vec<_> = crls
            .iter()
            .filter(|crl| crl.next_update.is_none_or(|end| end <= now))
            .map(|crl| crl.file.as_str())
            .collect();
        let status = match (crls.is_empty(), expired.is_empty()) {
            (true, _) => "unpublished",
            (false, true) => "ok",
            (false, false) => "expired",
        };
        let body = serde_json::to_vec(&Answer { status, expired, crls: &crls }).unwrap_or_default();
        let mut answer = Response::new(body);
        if status != "ok" {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    /// The CRLs of the publication that lies there; read once.
    fn crls(&self, root: &Path) -> Vec<CrlHealth> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = Revision::of(root);
        match (&*known, &revision) {
            (Some((then, crls)), Some(revision)) if then == revision => crls.clone(),
            _ => {
                let crls = read(root);
                *known = revision.map(|revision| (revision, crls.clone()));
                crls
            }
        }
    }
}

fn read(root: &Path) -> Vec<CrlHealth> {
    let entries = fs::read_dir(root.join(layout::REVOCATIONS)).into_iter().flatten().flatten();
    let mut crls: Vec<_> = entries
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "crl"))
        .map(|entry| CrlHealth {
            file: entry.file_name().to_string_lossy().into_owned(),
            next_update: next_update(&entry.path()),
        })
        .collect();
    crls.sort_by(|left, right| left.file.cmp(&right.file));
    crls
}

fn next_update(file: &Path) -> Option<Timestamp> {
    let mut octets = Vec::new();
    File::open(file).ok()?.read_to_end(&mut octets).ok()?;
    CrlView::from_der(&octets).ok()?.next()
}
