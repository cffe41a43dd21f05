//! What `issuer publish` says.

use jiff::Timestamp;
use serde::Serialize;

use super::super::ca::due::way_to_new_lists;
use super::super::failure::{Failure, Status};
use super::super::office::Office;
use super::super::output::{self, Format};
use super::super::texts;
use super::revocation_lists::CrlSummary;
use super::signing::{News, Unsigned};
use super::targets::Target;
use crate::registry::CrlDue;

#[derive(Serialize)]
pub(super) struct Summary<'a> {
    crls: &'a [CrlSummary],
    ocsp_answers: usize,
    warnings: &'a [String],
    /// What could not be signed.
    unsigned: &'a [Unsigned],
    /// Authorities of which something is revoked that is on no CRL yet.
    crls_due: Vec<DueReport>,
    pub(super) targets: Vec<TargetReport>,
}

/// An authority whose CRLs do not say everything that is revoked.
#[derive(Clone, Serialize)]
pub(super) struct DueReport {
    authority: &'static str,
    since: String,
    #[serde(skip)]
    remedy: &'static str,
}

impl DueReport {
    /// What is to be said of each.
    ///
    /// # Errors
    /// The registry.
    pub(super) async fn of(office: &Office, due: &[CrlDue]) -> Result<Vec<Self>, Failure> {
        let mut reports = Vec::new();
        for due in due {
            let (authority, since) = (due.authority.as_str(), due.since.to_string());
            let remedy = way_to_new_lists(office, due.authority).await?;
            reports.push(Self { authority, since, remedy });
        }
        Ok(reports)
    }

    pub(super) fn sentence(&self) -> String {
        let values = [("authority", self.authority), ("since", &self.since), ("remedy", self.remedy)];
        texts::say("published-due", &values)
    }
}

/// How one target stands.
#[derive(Serialize)]
pub(super) struct TargetReport {
    pub(super) target: String,
    /// `done`, `partly`, `failed` or `later`.
    pub(super) state: &'static str,
    /// Files or entries.
    pub(super) written: usize,
    /// Of a directory of files: how many certificates for mail it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificates: Option<usize>,
    pub(super) unchanged: usize,
    pub(super) removed: usize,
    /// What could not be done, and why; of a target that is done, what was found damaged and is replaced.
    pub(super) troubles: Vec<String>,
    /// The trouble of a target that failed, for whoever works there.
    #[serde(skip)]
    pub(super) said: Option<String>,
    #[serde(skip)]
    pub(super) unit: &'static str,
}

impl TargetReport {
    pub(super) fn failed(target: &Target, failure: &Failure) -> Self {
        Self {
            state: "failed",
            troubles: vec![failure.message.clone()],
            said: Some(texts::explained_failure(failure)),
            ..Self::empty(target)
        }
    }

    pub(super) fn later(target: &Target, retry_at: Timestamp) -> Self {
        let trouble = target.record.trouble.as_deref().unwrap_or_default();
        let values = [("at", retry_at.to_string()), ("why", trouble.to_owned())];
        let said =
            texts::say("published-later", &values.each_ref().map(|(key, value)| (*key, value.as_str())));
        let trouble = format!("tried again after {retry_at}: {trouble}");
        Self { state: "later", troubles: vec![trouble], said: Some(said), ..Self::empty(target) }
    }

    pub(super) fn empty(target: &Target) -> Self {
        Self {
            target: target.record.place.clone(),
            state: "done",
            certificates: None,
            written: 0,
            unchanged: 0,
            removed: 0,
            troubles: Vec::new(),
            said: None,
            unit: "published-files",
        }
    }
}

impl<'a> Summary<'a> {
    pub(super) fn new(news: &'a News, crls_due: Vec<DueReport>) -> Self {
        Self {
            crls: &news.summaries,
            ocsp_answers: news.answers.values().map(crate::publication::NewAnswers::len).sum(),
            warnings: &news.warnings,
            unsigned: &news.unsigned,
            crls_due,
            targets: Vec::new(),
        }
    }

    /// Prints it; the status says whether everything was done.
    pub(super) fn tell(&self, format: Format) -> Result<Status, Failure> {
        if format == Format::Json {
            output::json(self)?;
            return Ok(self.status());
        }
        for warning in self.warnings {
            output::progress(&texts::say("published-warning", &[("warning", warning)]));
        }
        for unsigned in self.unsigned {
            output::progress(&unsigned.sentence());
        }
        for due in &self.crls_due {
            output::progress(&due.sentence());
        }
        let revoked: usize = self.crls.iter().map(|crl| crl.revoked).sum();
        for report in &self.targets {
            let troubles = report.said.as_slice().iter().chain(match report.said {
                Some(_) => &[][..],
                None => &report.troubles,
            });
            for trouble in troubles {
                output::progress(&format!("{}: {trouble}", report.target));
            }
            if !matches!(report.state, "failed" | "later") {
                output::line(&self.of_target(report, revoked))?;
            }
        }
        Ok(self.status())
    }

    fn of_target(&self, report: &TargetReport, revoked: usize) -> String {
        let unit = texts::say(report.unit, &[]);
        let (written, unchanged, removed) =
            (report.written.to_string(), report.unchanged.to_string(), report.removed.to_string());
        let files = [
            ("written", written.as_str()),
            ("unit", &unit),
            ("unchanged", &unchanged),
            ("removed", &removed),
        ];
        let files = texts::say("published-files-changed", &files);
        let values = [("target", report.target.as_str()), ("files", &files)];
        if self.crls.is_empty() {
            return texts::say("published-waiting", &values);
        }
        let (authorities, revoked) = (self.crls.len().to_string(), revoked.to_string());
        let crls = [("authorities", authorities.as_str()), ("revoked", &revoked)];
        match report.certificates {
            None => texts::say("published-crls", &[&values[..], &crls].concat()),
            Some(count) => {
                let count = count.to_string();
                let certificates = [("certificates", count.as_str())];
                texts::say("published-certificates", &[&values[..], &crls, &certificates].concat())
            }
        }
    }

    fn status(&self) -> Status {
        let is = |state: &str| self.targets.iter().filter(|report| report.state == state).count();
        // A target whose time has not come yet is behind.
        let is_signed = self.unsigned.is_empty() && self.crls_due.is_empty();
        match (is("done"), is("failed"), is("partly") + is("later")) {
            (_, 0, 0) if is_signed => Status::Done,
            (0, _, 0) => Status::Failed,
            _ => Status::Partly,
        }
    }
}
