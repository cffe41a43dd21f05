//! Whether what is served is still good: every published CRL is there, whole, and has not expired.
use axum::http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;

use super::crl_files::{CrlFiles, CrlState};
use crate::publication::layout;

#[derive(Serialize)]
struct CrlHealth {
    file: String,
    /// Absent where the file is no CRL, or says none.
    next_update: Option<Timestamp>,
}

#[derive(Serialize)]
struct Answer {
    /// `ok`, `missing`, `damaged`, `expired` or `unpublished`.
    status: &'static str,
    /// CRLs that the publication had and that are gone.
    missing: Vec<String>,
    /// Files that are no CRL, or not what was signed; they are not served.
    damaged: Vec<String>,
    /// CRLs that readers must no longer use.
    expired: Vec<String>,
    crls: Vec<CrlHealth>,
}

/// 200 when everything is good at `now`, 503 otherwise; both say what there is, JSON.
pub(super) fn answer(files: &CrlFiles, now: Timestamp) -> Response<Vec<u8>> {
    let said = judge(files, now);
    let is_good = said.status == "ok";
    let mut answer = Response::new(serde_json::to_vec(&said).unwrap_or_default());
    if !is_good {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn judge(files: &CrlFiles, now: Timestamp) -> Answer {
    let (mut missing, mut damaged, mut expired, mut crls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (file, state) in files.all() {
        let next_update = match state {
            CrlState::Whole(next_update) => next_update,
            CrlState::Damaged | CrlState::Missing => None,
        };
        match state {
            CrlState::Missing => missing.push(file.clone()),
            CrlState::Damaged => damaged.push(file.clone()),
            CrlState::Whole(end) if end.is_none_or(|end| end <= now) => expired.push(file.clone()),
            CrlState::Whole(_) => {}
        }
        crls.push(CrlHealth { file, next_update });
    }
    match files.judge_all_in_one() {
        Some(CrlState::Missing) => missing.push(layout::CRLS.to_owned()),
        Some(CrlState::Damaged) => damaged.push(layout::CRLS.to_owned()),
        // What is in it stands beside it.
        Some(CrlState::Whole(_)) | None => {}
    }
    let status = match (crls.is_empty(), missing.is_empty(), damaged.is_empty(), expired.is_empty()) {
        (true, ..) => "unpublished",
        (_, false, ..) => "missing",
        (_, _, false, _) => "damaged",
        (.., false) => "expired",
        _ => "ok",
    };
    Answer { status, missing, damaged, expired, crls }
}
