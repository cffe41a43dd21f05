//! What a check of the log found, and how it is told.

use serde::Serialize;

use super::super::failure::Failure;
use super::super::output::{self, Format};
use super::super::texts;
use super::new_witness::Anew;
use super::untold::Untold;
use crate::domain::SignedCheckpoint;
use crate::registry::Difference;

#[derive(Serialize)]
pub(super) struct Verdict {
    /// Nothing was found at all.
    pub(super) whole: bool,
    /// Nothing was found of the log and its tables, nor of those who saw it: what was found is of what is published.
    pub(super) log_whole: bool,
    pub(super) events: Option<u64>,
    pub(super) hash: Option<String>,
    /// Rows of its tables that agree with them.
    pub(super) rows: Option<u64>,
    /// Those among them of which an earlier program's log says less than all.
    pub(super) untold_rows: Option<u64>,
    pub(super) problem: Option<String>,
    pub(super) findings: Vec<Finding>,
    pub(super) witnessed: usize,
    pub(super) audit_key: Option<String>,
    /// Whether the newest checkpoint's key signed none of those that others saw.
    pub(super) new_key: bool,
    /// Witness files that begin with this check: nothing was compared with them.
    pub(super) witnesses_begun: Vec<String>,
    /// Witness files that end in the middle of a checkpoint: those before it were compared.
    pub(super) witnesses_torn: Vec<String>,
    /// Where the log tells that a witness was begun in the place of one that was gone.
    pub(super) witness_begun_anew: Vec<Anew>,
    /// Changes of who may do what of which the witness that counts was not told.
    pub(super) untold_changes: Vec<Untold>,
}

#[derive(Serialize)]
pub(super) struct Finding {
    code: &'static str,
    pub(super) message: String,
    /// What differs, where it is a value or a row of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<TableDifference>,
}

#[derive(Serialize)]
struct TableDifference {
    table: &'static str,
    row: String,
    column: Option<&'static str>,
    log: String,
    found: String,
}

impl Verdict {
    /// Takes what was found of what is published, beside a log that is whole.
    pub(super) fn add_published(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
        self.whole = self.findings.is_empty();
        self.problem = self.findings.first().map(|finding| finding.message.clone());
    }
}

impl Verdict {
    /// Whether this is the checkpoint of a change that the witness was not told of when it was made.
    pub(super) fn misses(&self, checkpoint: &SignedCheckpoint) -> bool {
        let sequence = checkpoint.checkpoint.end.sequence;
        self.untold_changes.iter().any(|untold| untold.checkpoint == sequence)
    }
}

impl Finding {
    pub(super) const fn new(code: &'static str, message: String) -> Self {
        Self { code, message, difference: None }
    }

    pub(super) fn of(difference: Difference) -> Self {
        let message = format!("somebody changed the registry past this program: {difference}");
        let Difference { table, row, column, log, found } = difference;
        let difference = Some(TableDifference { table, row, column, log, found });
        Self { code: "table-changed", message, difference }
    }
}

impl Verdict {
    /// Tells it.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn tell(&self, format: Format) -> Result<(), Failure> {
        if format == Format::Json {
            return output::json(self);
        }
        if self.new_key {
            let key = self.audit_key.as_deref().unwrap_or_default();
            output::progress(&texts::say("audited-new-key", &[("key", key)]));
        }
        if let Some(untold @ 1..) = self.untold_rows {
            output::progress(&texts::say("audited-untold", &[("rows", &untold.to_string())]));
        }
        for anew in &self.witness_begun_anew {
            output::progress(&texts::say("audited-anew", &[("what", &anew.to_string())]));
        }
        for untold in &self.untold_changes {
            output::progress(&format!("warning: {untold}"));
        }
        for path in &self.witnesses_torn {
            output::progress(&texts::say("audited-torn", &[("file", path)]));
        }
        for finding in &self.findings {
            let what = texts::explained(finding.code, &finding.message);
            output::line(&texts::say("audited-not-whole", &[("what", &what)]))?;
        }
        if !self.log_whole {
            return output::line(&texts::say("audited-keep", &[]));
        }
        if !self.whole {
            output::line(&self.whole_in_words())?;
            return output::line(&texts::say("audited-publish", &[]));
        }
        output::line(&self.whole_in_words())?;
        for path in &self.witnesses_begun {
            output::line(&texts::say("audited-begins", &[("file", path)]))?;
        }
        Ok(())
    }

    fn whole_in_words(&self) -> String {
        let (events, rows) =
            (self.events.unwrap_or_default().to_string(), self.rows.unwrap_or_default().to_string());
        let hash = self.hash.as_deref().unwrap_or_default();
        let whole = texts::say("audited-whole", &[("events", &events), ("rows", &rows), ("hash", hash)]);
        match self.witnessed {
            0 => whole,
            1 => format!("{whole} {}", texts::say("audited-seen-once", &[])),
            count => format!("{whole} {}", texts::say("audited-seen", &[("count", &count.to_string())])),
        }
    }
}
