//! Whether the computer's clock can be believed, and `issuer clock accept`: what to do when it could not.
//!
//! A clock that is behind what was recorded would sign and record into the past, one that is far ahead into a future that
//! everything after it must wait for. Both stop what signs ([`Office::time_to_sign`]) and what is recorded and can wait
//! ([`Office::time_to_record`]). What takes trust away never waits ([`Office::time_to_revoke`]), and what is written down of a
//! refusal says nothing of the clock ([`Office::time_in_log`]). A rest that is long and can be true is only said.

use std::fmt;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::texts;
use crate::clock::Clock;
use crate::domain::{Act, AuthorityName, GuardedAct, Permission};

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
    wrong: Wrong,
    now: Timestamp,
    newest: Newest,
}

/// In which direction it may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Behind,
    Ahead,
}

/// The newest thing that the clock is judged by. Of several at the same time the last kind is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Newest {
    at: Timestamp,
    what: Known,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Event,
    Crl(AuthorityName),
    ClassList,
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
        self.believed_time("nothing is signed", "failed-clock-signs").await
    }

    /// The time of what is recorded, and can wait until the clock is right.
    ///
    /// # Errors
    /// As [`Office::time_to_sign`], but for the witness.
    pub async fn time_to_record(&self) -> Result<Timestamp, Failure> {
        self.believed_time("nothing is recorded", "failed-clock-records").await
    }

    /// The time of what takes trust away: a loss, a hold, a revocation. It never waits. Where the clock is doubted that is
    /// said, and it is the time of the newest thing that is known: what happens now is not older than that, and a revocation
    /// of a day far ahead would be none until then.
    ///
    /// # Errors
    /// The registry.
    pub async fn time_to_revoke(&self) -> Result<Timestamp, Failure> {
        let now = self.clock.now();
        let Some(doubt) = self.doubt(now).await? else { return Ok(now) };
        output::progress(&doubt.warning());
        Ok(doubt.newest.at)
    }

    /// The time of what is written down whatever the clock says: refusals, approvals, an edited configuration. A time that
    /// may be far ahead is not believed, for the next command would be judged by it; one that is behind is harmless there.
    ///
    /// # Errors
    /// The registry.
    pub async fn time_in_log(&self) -> Result<Timestamp, Failure> {
        let now = self.clock.now();
        let doubt = self.doubt(now).await?.filter(|doubt| doubt.wrong == Wrong::Ahead);
        Ok(doubt.map_or(now, |doubt| doubt.newest.at))
    }

    /// The time, or a refusal that says what is not done; and that in another language, by its key.
    async fn believed_time(&self, refused: &str, key: &'static str) -> Result<Timestamp, Failure> {
        let now = self.clock.now();
        let Some(newest) = self.newest_known().await? else { return Ok(now) };
        match judge(now, newest) {
            None => {
                if let Some(note) = long_rest(now, newest) {
                    output::progress(&format!("warning: {note}"));
                }
                Ok(now)
            }
            Some(doubt) => Err(doubt.refusal(refused, key)),
        }
    }

    async fn doubt(&self, now: Timestamp) -> Result<Option<Doubt>, Failure> {
        Ok(self.newest_known().await?.and_then(|newest| judge(now, newest)))
    }

    /// The newest thing that the clock is judged by; none where nothing counts.
    async fn newest_known(&self) -> Result<Option<Newest>, Failure> {
        let accepted = self.registry.accepted_clock().await?;
        let event = match accepted {
            Some((sequence, _)) => self.registry.newest_event_after(sequence).await?,
            None => self.registry.newest_event().await?,
        };
        let event = event.map(|at| Newest { at, what: Known::Event });
        let crl = self.registry.latest_crl().await?;
        let crl = crl.map(|(authority, at)| Newest { at, what: Known::Crl(authority) });
        let list = self.registry.latest_class_list().await?;
        let list = list.map(|at| Newest { at, what: Known::ClassList });
        // CRLs and lists up to an accepted time have events beside them, if they were made after it was accepted.
        let counts = |at: Timestamp| accepted.is_none_or(|(_, until)| at > until);
        let others = crl.into_iter().chain(list).filter(|newest| counts(newest.at));
        Ok(event.into_iter().chain(others).max())
    }
}

/// Judges a clock by the newest thing that is known.
fn judge(now: Timestamp, newest: Newest) -> Option<Doubt> {
    let wrong = if newest.at.duration_since(now) > TOLERANCE {
        Wrong::Behind
    } else if now.duration_since(newest.at) > LONGEST_REST {
        Wrong::Ahead
    } else {
        return None;
    };
    Some(Doubt { wrong, now, newest })
}

/// What is said of a clock that is let by, and may be ahead all the same.
fn long_rest(now: Timestamp, newest: Newest) -> Option<String> {
    let rest = now.duration_since(newest.at);
    (rest > NOTED_REST).then(|| {
        format!(
            "the clock says {now:.0}, {} days after {} of {}; if it is ahead, set it right before anything more is done: everything later would have to wait for that day, or for issuer clock accept",
            rest.as_hours() / 24,
            newest.what,
            newest.at
        )
    })
}

impl Doubt {
    const fn code(&self) -> &'static str {
        match self.wrong {
            Wrong::Behind => "clock-behind",
            Wrong::Ahead => "clock-ahead",
        }
    }

    /// What does not fit.
    fn message(&self) -> String {
        let (now, Newest { at, what }) = (self.now, self.newest);
        match self.wrong {
            Wrong::Behind => format!("the clock says {now:.0}, but {what} is of {at}"),
            Wrong::Ahead => {
                let days = now.duration_since(at).as_hours() / 24;
                format!("the clock says {now:.0}, {days} days after {what} of {at}: it may be far ahead")
            }
        }
    }

    fn refusal(&self, refused: &str, key: &'static str) -> Failure {
        let message = format!(
            "{}; {refused}: set the clock right and run the same command again, or if it is right: issuer clock accept --why TEXT",
            self.message()
        );
        let (now, newest) = (format!("{:.0}", self.now), self.newest.at.to_string());
        let values = [("now", now.as_str()), ("what", &self.newest.what.said()), ("newest", &newest)];
        Failure::new(self.code(), message).saying(key, &values)
    }

    /// What is said of something that is recorded all the same.
    fn warning(&self) -> String {
        let (now, newest) = (format!("{:.0}", self.now), self.newest.at.to_string());
        let key = match self.wrong {
            Wrong::Behind => "said-clock-behind",
            Wrong::Ahead => "said-clock-ahead",
        };
        let what = self.newest.what.said();
        texts::say(key, &[("now", &now), ("what", &what), ("newest", &newest)])
    }
}

impl Known {
    /// The same in the language of whoever works there.
    fn said(self) -> String {
        match self {
            Self::Event => texts::say("said-newest-event", &[]),
            Self::Crl(authority) => texts::say("said-newest-crl", &[("authority", authority.as_str())]),
            Self::ClassList => texts::say("said-newest-classes", &[]),
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event => f.write_str("the newest event"),
            Self::Crl(authority) => write!(f, "the newest CRL of the authority {authority}"),
            Self::ClassList => f.write_str("the newest list of classes"),
        }
    }
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
    let newest = doubt.newest.at;
    let act = GuardedAct::new(Act::ClockAccept, &format!("{} newest {newest}", doubt.code()));
    let approved = office.approve(&act).await?;
    let registry = &office.registry;
    registry.spending(approved, now, registry.accept_clock(newest, why.trim(), now)).await?;
    match format {
        Format::Json => output::json(&View { fits: true, clock: format!("{now:.0}"), problem: None })?,
        Format::Text => output::line(&format!(
            "The clock, {now:.0}, is accepted; what was recorded up to {newest} no longer speaks against it."
        ))?,
    }
    Ok(Status::Done)
}

fn show(now: Timestamp, doubt: Option<Doubt>, format: Format) -> Result<Status, Failure> {
    let status = if doubt.is_none() { Status::Done } else { Status::NotTrusted };
    let problem = doubt.map(|doubt| doubt.message());
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
        let newest = Newest { at: "2030-01-02T03:04:05Z".parse().unwrap(), what: Known::Event };
        let code = |seconds: i64| {
            let now = newest.at + SignedDuration::from_secs(seconds);
            judge(now, newest).map(|doubt| doubt.code())
        };
        let longest = LONGEST_REST.as_secs();
        assert_eq!(code(-61), Some("clock-behind"));
        assert_eq!((code(-60), code(0), code(longest)), (None, None, None));
        assert_eq!(code(longest + 1), Some("clock-ahead"));
        let note = |seconds: i64| long_rest(newest.at + SignedDuration::from_secs(seconds), newest);
        let noted = NOTED_REST.as_secs();
        assert_eq!((note(-1), note(noted)), (None, None));
        assert!(note(noted + 1).is_some_and(|note| note.contains("30 days after the newest event")));
    }
}
