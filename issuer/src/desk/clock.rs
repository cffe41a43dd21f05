//! Whether the computer's clock can be believed, and `issuer clock accept`: what to do when it could not.
//!
//! A clock that is behind what was recorded would sign into the past, one that is far ahead into a future that
//! everything after it must wait for. Both stop what signs, and nothing else: a revocation never waits. A rest that is long
//! and can be true is only said.

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use crate::clock::Clock;
use crate::domain::{Act, GuardedAct, Permission};

/// What is done about the clock.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show whether the clock fits what was recorded
    #[command(after_help = "Exit status: 0 it fits, 4 not.\n\nExample:\n  issuer --home pki clock show")]
    Show,
    /// Say that the clock is right now, although what was recorded says otherwise; it goes into the log
    #[command(
        after_help = "Example:\n  issuer --home pki clock accept --why 'the clock was a day ahead until today' --operator pcsc:"
    )]
    Accept {
        /// Why it can be believed
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Where no operator who may do this has a good card any more: by the passphrase of the keys
        #[arg(long)]
        recover: bool,
    },
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        if matches!(self, Self::Show) { Permission::Read } else { Permission::Clock }
    }
}

/// How far the clock may lie behind the newest recorded event.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);
/// For how long a desk may rest before its clock is doubted.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(400 * 24);

/// For how long a desk may rest before somebody is asked to look at its clock: CRLs are made every week.
const NOTED_REST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Why the clock is doubted.
struct Doubt {
    code: &'static str,
    newest: Timestamp,
    message: String,
}

#[derive(Serialize)]
struct View {
    fits: bool,
    clock: String,
    problem: Option<String>,
}

impl Office {
    /// The time, if it fits what was recorded or signed before.
    ///
    /// # Errors
    /// The witness of `config.toml` speaks against the registry; or the clock is more than a minute behind the newest event or CRL, or more than 400 days ahead of it, and nobody has
    /// accepted that.
    pub async fn time_to_sign(&self) -> Result<Timestamp, Failure> {
        self.require_witness()?;
        let now = self.clock.now();
        let newest = self.newest_known().await?;
        let doubt = newest.as_ref().and_then(|(newest, what)| judge(now, *newest, what));
        match doubt {
            None => {
                if let Some(note) = newest.and_then(|(newest, what)| long_rest(now, newest, &what)) {
                    output::progress(&format!("warning: {note}"));
                }
                Ok(now)
            }
            Some(doubt) => Err(Failure::new(
                doubt.code,
                format!(
                    "{}; nothing is signed: set the clock right and run the same command again, or if it is right: issuer clock accept --why TEXT",
                    doubt.message
                ),
            )),
        }
    }

    async fn doubt(&self, now: Timestamp) -> Result<Option<Doubt>, Failure> {
        let newest = self.newest_known().await?;
        Ok(newest.and_then(|(newest, what)| judge(now, newest, &what)))
    }

    /// The newest thing that the clock is judged by, and what it is; none where nothing counts.
    async fn newest_known(&self) -> Result<Option<(Timestamp, String)>, Failure> {
        let accepted = self.registry.accepted_clock().await?;
        let event = match accepted {
            Some((sequence, _)) => self.registry.newest_event_after(sequence).await?,
            None => self.registry.newest_event().await?,
        };
        let event = event.map(|at| (at, 0, "the newest event".to_owned()));
        let crl = self.registry.latest_crl().await?;
        let crl = crl.map(|(authority, at)| (at, 1, format!("the newest CRL of the authority {authority}")));
        let list = self.registry.latest_class_list().await?;
        let list = list.map(|at| (at, 1, "the newest list of classes".to_owned()));
        // CRLs and lists up to an accepted time have events beside them, if they were made after it was accepted.
        let counts = |at: Timestamp| accepted.is_none_or(|(_, until)| at > until);
        let others = crl.into_iter().chain(list).filter(|(at, ..)| counts(*at));
        Ok(event.into_iter().chain(others).max().map(|(newest, _, what)| (newest, what)))
    }
}

/// Judges a clock by the newest thing that is known.
fn judge(now: Timestamp, newest: Timestamp, what: &str) -> Option<Doubt> {
    if newest.duration_since(now) > TOLERANCE {
        let message = format!("the clock says {now:.0}, but {what} is of {newest}");
        return Some(Doubt { code: "clock-behind", newest, message });
    }
    if now.duration_since(newest) > LONGEST_REST {
        let days = now.duration_since(newest).as_hours() / 24;
        let message =
            format!("the clock says {now:.0}, {days} days after {what} of {newest}: it may be far ahead");
        return Some(Doubt { code: "clock-ahead", newest, message });
    }
    None
}

/// What is said of a clock that is let by, and may be ahead all the same.
fn long_rest(now: Timestamp, newest: Timestamp, what: &str) -> Option<String> {
    let rest = now.duration_since(newest);
    (rest > NOTED_REST).then(|| {
        format!(
            "the clock says {now:.0}, {} days after {what} of {newest}; if it is ahead, set it right before anything more is signed: everything later would have to wait for that day, or for issuer clock accept",
            rest.as_hours() / 24
        )
    })
}

/// Shows, or accepts.
///
/// # Errors
/// There is nothing to accept, or a second operator is needed.
pub async fn run(office: &Office, command: &Command, format: Format) -> Result<Status, Failure> {
    let now = office.clock.now();
    let doubt = office.doubt(now).await?;
    let Command::Accept { why, .. } = command else { return show(now, doubt, format) };
    let Some(doubt) = doubt else {
        return Err(Failure::new(
            "clock-right",
            "the clock fits what was recorded; there is nothing to accept",
        ));
    };
    if why.trim().is_empty() {
        return Err(Failure::usage("say why the clock can be believed: --why TEXT"));
    }
    let act = GuardedAct::new(Act::ClockAccept, &format!("{} newest {}", doubt.code, doubt.newest));
    let approved = office.approve(&act).await?;
    let registry = &office.registry;
    registry.spending(approved, now, registry.accept_clock(doubt.newest, why.trim(), now)).await?;
    match format {
        Format::Json => output::json(&View { fits: true, clock: format!("{now:.0}"), problem: None })?,
        Format::Text => output::line(&format!(
            "The clock, {now:.0}, is accepted; what was recorded up to {} no longer speaks against it.",
            doubt.newest
        ))?,
    }
    Ok(Status::Done)
}

fn show(now: Timestamp, doubt: Option<Doubt>, format: Format) -> Result<Status, Failure> {
    let status = if doubt.is_none() { Status::Done } else { Status::NotTrusted };
    let problem = doubt.map(|doubt| doubt.message);
    match (format, &problem) {
        (Format::Json, _) => {
            output::json(&View { fits: problem.is_none(), clock: format!("{now:.0}"), problem })?;
        }
        (Format::Text, None) => output::line(&format!("The clock, {now:.0}, fits what was recorded."))?,
        (Format::Text, Some(problem)) => output::line(&format!("The clock does not fit: {problem}."))?,
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_doubted_in_both_directions() {
        let newest: Timestamp = "2030-01-02T03:04:05Z".parse().unwrap();
        let code = |seconds: i64| {
            let now = newest + SignedDuration::from_secs(seconds);
            judge(now, newest, "the newest event").map(|doubt| doubt.code)
        };
        let longest = LONGEST_REST.as_secs();
        assert_eq!(code(-61), Some("clock-behind"));
        assert_eq!((code(-60), code(0), code(longest)), (None, None, None));
        assert_eq!(code(longest + 1), Some("clock-ahead"));
        let note =
            |seconds: i64| long_rest(newest + SignedDuration::from_secs(seconds), newest, "the newest event");
        let noted = NOTED_REST.as_secs();
        assert_eq!((note(-1), note(noted)), (None, None));
        assert!(note(noted + 1).is_some_and(|note| note.contains("30 days after the newest event")));
    }
}
