//! Whether what is served is still good: every published CRL and every file of OCSP answers is there, whole, the one that was
//! published last, has not expired, says what is revoked, and is followed by the next in time.
use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderValue, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::crl_files::{CrlFiles, FileState};
use super::ocsp_files::OcspFiles;
use super::published_files::{Difference, PublishedFiles};
use crate::publication::layout;
use crate::publication::life::Life;

#[derive(Serialize)]
struct FileHealth {
    file: String,
    /// Absent where the file is damaged, or says none; of OCSP answers the first.
    next_update: Option<Timestamp>,
    /// From when on it is overdue, because the next one should be there; likewise.
    overdue_at: Option<Timestamp>,
}

#[derive(Default, Serialize)]
struct Answer {
    /// `ok`, `missing`, `damaged`, `differing`, `unfinished`, `expired`, `early`, `overdue`, `unpublished` or `unremembered`.
    status: &'static str,
    /// Files that the publication had and that are gone.
    missing: BTreeSet<String>,
    /// Files that are nothing of the kind, or not what was signed; they are not served.
    damaged: BTreeSet<String>,
    /// Files that are others than were published last: somebody put older ones back, or they were not copied here. With them
    /// CRLs that agree with the publication and are `older`.
    differing: BTreeSet<String>,
    /// CRLs whose numbers are lower than ones that this server has seen before.
    older: BTreeSet<String>,
    /// CRLs that readers must no longer use, files of OCSP answers of which some have ended, and certificates of the responder.
    expired: BTreeSet<String>,
    /// CRLs and files of OCSP answers that readers must not use yet: the publisher's clock is ahead, or this one behind.
    early: BTreeSet<String>,
    /// CRLs that do not say everything that is revoked, and could not be signed anew; CRLs and files of OCSP answers that
    /// end before long, and whose successors are not there.
    overdue: BTreeSet<String>,
    /// Why the server's own state could not be written: after its next start it would not know what it has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    unremembered: Option<String>,
    crls: Vec<FileHealth>,
    ocsp: Vec<FileHealth>,
}

/// What is looked at.
pub(super) struct Served<'a> {
    pub(super) crls: &'a CrlFiles,
    pub(super) answers: &'a OcspFiles,
    pub(super) files: &'a PublishedFiles,
    /// The responder's certificates, if there is one.
    pub(super) responders: BTreeMap<String, FileState>,
    /// CRLs of which the publication says that they do not say everything.
    pub(super) overdue: Vec<String>,
}

/// 200 when everything is good at `now`, 503 otherwise; both say what there is, JSON.
pub(super) fn answer(served: Served<'_>, now: Timestamp) -> Response<Vec<u8>> {
    let said = judge(served, now);
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

fn judge(served: Served<'_>, now: Timestamp) -> Answer {
    let Served { crls, answers, files, responders, overdue } = served;
    let mut said = Answer { overdue: overdue.into_iter().collect(), ..Answer::default() };
    // Before the files themselves: what is published in between is newer than what is compared.
    let differences = files.differences(now);
    let is_unfinished = files.is_unfinished(now);
    let is_past = |file: &str| crls.is_of_the_past(file.rsplit('/').next().unwrap_or(file), now);
    said.crls = said.look(crls.all(), |life| life.is_none_or(|life| life.next_update <= now), &is_past, now);
    match crls.judge_all_in_one() {
        Some(FileState::Missing) => drop(said.missing.insert(layout::CRLS.to_owned())),
        Some(FileState::Damaged) => drop(said.damaged.insert(layout::CRLS.to_owned())),
        // What is in it stands beside it.
        Some(FileState::Whole(_) | FileState::Older(_)) | None => {}
    }
    // An authority without certificates has no answers, and they do not end.
    let has_ended = |life: Option<Life>| life.is_some_and(|life| life.next_update <= now);
    said.ocsp = said.look(answers.all(), has_ended, &is_past, now);
    let responders = said.look(responders, has_ended, &is_past, now);
    said.ocsp.extend(responders);
    said.compare(differences);
    said.unremembered = crls.memory_failure();
    said.status = match &said {
        said if said.crls.is_empty() => "unpublished",
        said if !said.missing.is_empty() => "missing",
        said if !said.damaged.is_empty() => "damaged",
        said if !said.differing.is_empty() => "differing",
        _ if is_unfinished => "unfinished",
        said if !said.expired.is_empty() => "expired",
        said if !said.early.is_empty() => "early",
        said if !said.overdue.is_empty() => "overdue",
        said if said.unremembered.is_some() => "unremembered",
        _ => "ok",
    };
    said
}

impl Answer {
    /// Notes what is wrong with files; answers until when each is good.
    fn look(
        &mut self,
        files: BTreeMap<String, FileState>,
        is_over: impl Fn(Option<Life>) -> bool,
        is_past: &impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Vec<FileHealth> {
        let mut looked = Vec::new();
        for (file, state) in files {
            let life = match state {
                FileState::Missing => {
                    self.missing.insert(file.clone());
                    None
                }
                FileState::Damaged => {
                    self.damaged.insert(file.clone());
                    None
                }
                FileState::Older(life) => {
                    self.differing.insert(file.clone());
                    self.older.insert(file.clone());
                    life
                }
                FileState::Whole(life) => life,
            };
            if life.is_some_and(|life| life.this_update.duration_since(now) > CLOCKS_DIFFER) {
                self.early.insert(file.clone());
            }
            let is_whole = matches!(state, FileState::Whole(_) | FileState::Older(_));
            let is_late = life.is_some_and(|life| life.successor_is_overdue_at() <= now);
            if is_whole && (is_over(life) || is_late) && !is_past(&file) {
                let list = if is_over(life) { &mut self.expired } else { &mut self.overdue };
                list.insert(file.clone());
            }
            let next_update = life.map(|life| life.next_update);
            looked.push(FileHealth {
                file,
                next_update,
                overdue_at: life.map(Life::successor_is_overdue_at),
            });
        }
        looked
    }

    /// Notes what is not as it was published, and is not named yet.
    fn compare(&mut self, differences: BTreeMap<String, Difference>) {
        for (path, difference) in differences {
            // CRLs are called by their names alone.
            let crl = path.strip_prefix(layout::REVOCATIONS).and_then(|rest| rest.strip_prefix('/'));
            let file = crl.unwrap_or(&path).to_owned();
            match difference {
                Difference::Missing => drop(self.missing.insert(file)),
                Difference::Other if self.damaged.contains(&file) => {}
                Difference::Other => drop(self.differing.insert(file)),
            }
        }
    }
}

/// By how much the clocks of two computers may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);
