//! Whether what is served is still good: every published CRL and every file of OCSP answers is there, whole, has not
//! expired, and says what is revoked.
use std::collections::BTreeMap;

use axum::http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;

use super::crl_files::{CrlFiles, FileState};
use super::ocsp_files::OcspFiles;
use crate::publication::layout;

#[derive(Serialize)]
struct FileHealth {
    file: String,
    /// Absent where the file is damaged, or says none; of OCSP answers the first.
    next_update: Option<Timestamp>,
}

#[derive(Default, Serialize)]
struct Answer {
    /// `ok`, `missing`, `damaged`, `expired`, `overdue` or `unpublished`.
    status: &'static str,
    /// Files that the publication had and that are gone.
    missing: Vec<String>,
    /// Files that are nothing of the kind, or not what was signed; they are not served.
    damaged: Vec<String>,
    /// CRLs that readers must no longer use, and files of OCSP answers of which some have ended.
    expired: Vec<String>,
    /// CRLs that do not say everything that is revoked, and could not be signed anew.
    overdue: Vec<String>,
    crls: Vec<FileHealth>,
    ocsp: Vec<FileHealth>,
}

/// 200 when everything is good at `now`, 503 otherwise; both say what there is, JSON.
pub(super) fn answer(
    crls: &CrlFiles,
    answers: &OcspFiles,
    overdue: Vec<String>,
    now: Timestamp,
) -> Response<Vec<u8>> {
    let said = judge(crls, answers, overdue, now);
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

fn judge(crls: &CrlFiles, answers: &OcspFiles, overdue: Vec<String>, now: Timestamp) -> Answer {
    let mut said = Answer { overdue, ..Answer::default() };
    said.crls = said.look(crls.all(), |end| end.is_none_or(|end| end <= now));
    match crls.judge_all_in_one() {
        Some(FileState::Missing) => said.missing.push(layout::CRLS.to_owned()),
        Some(FileState::Damaged) => said.damaged.push(layout::CRLS.to_owned()),
        // What is in it stands beside it.
        Some(FileState::Whole(_)) | None => {}
    }
    // An authority without certificates has no answers, and they do not end.
    said.ocsp = said.look(answers.all(), |end| end.is_some_and(|end| end <= now));
    said.status = match &said {
        said if said.crls.is_empty() => "unpublished",
        said if !said.missing.is_empty() => "missing",
        said if !said.damaged.is_empty() => "damaged",
        said if !said.expired.is_empty() => "expired",
        said if !said.overdue.is_empty() => "overdue",
        _ => "ok",
    };
    said
}

impl Answer {
    /// Notes what is wrong with files; answers until when each is good.
    fn look(
        &mut self,
        files: BTreeMap<String, FileState>,
        is_over: impl Fn(Option<Timestamp>) -> bool,
    ) -> Vec<FileHealth> {
        let mut looked = Vec::new();
        for (file, state) in files {
            let mut next_update = None;
            match state {
                FileState::Missing => self.missing.push(file.clone()),
                FileState::Damaged => self.damaged.push(file.clone()),
                FileState::Whole(end) => {
                    next_update = end;
                    if is_over(end) {
                        self.expired.push(file.clone());
                    }
                }
            }
            looked.push(FileHealth { file, next_update });
        }
        looked
    }
}
