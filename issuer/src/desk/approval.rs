//! `issuer approval`: what one operator alone must not do, and the second one's answer.

use std::collections::BTreeSet;

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::operator::is_demanded;
use super::output::{self, Format};
use crate::clock::Clock;
use crate::domain::{
    Act, ApprovalCommand, ApprovalId, GuardedAct, Party, Permission, can_approve_each_other,
};
use crate::registry::{ApprovalRecord, RegistryError};

/// What is done with approvals.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Ask for an approval before it is needed; a command that needs one also asks by itself
    #[command(
        after_help = "Example:\n  issuer --home pki approval request revoke-authority '4f3a09... ca-compromise' --why 'the token is gone' --operator pcsc:"
    )]
    Request {
        /// What is to be done
        #[arg(value_parser = acts())]
        act: String,
        /// To what exactly, word for word as the command says it
        details: String,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        why: String,
    },
    /// List what was asked for and not done yet
    #[command(after_help = "Example:\n  issuer --home pki approval list --operator pcsc:")]
    List,
    /// Agree, as another operator than whoever asked
    #[command(after_help = "Example:\n  issuer --home pki approval grant 3 --operator pcsc:")]
    Grant(WhichApproval),
    /// Do not agree
    #[command(
        after_help = "Example:\n  issuer --home pki approval refuse 3 --why 'wrong certificate' --operator pcsc:"
    )]
    Refuse {
        /// Which one
        #[command(flatten)]
        which: WhichApproval,
        /// Why
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Say which acts need two operators from now on
    #[command(
        after_help = "Example:\n  issuer --home pki approval demand export clock-accept restore --operator pcsc:"
    )]
    Demand {
        /// The acts
        #[arg(required = true, value_parser = acts())]
        acts: Vec<String>,
    },
    /// Say which acts need two operators no longer
    #[command(after_help = "Example:\n  issuer --home pki approval waive export --operator pcsc:")]
    Waive {
        /// The acts
        #[arg(required = true, value_parser = acts())]
        acts: Vec<String>,
    },
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        match self {
            Self::Request { .. } => Permission::AskApproval,
            Self::List => Permission::Read,
            Self::Grant(_) | Self::Refuse { .. } => Permission::Approve,
            Self::Demand { .. } | Self::Waive { .. } => Permission::Operators,
        }
    }
}

/// Which approval.
#[derive(clap::Args, Debug)]
pub struct WhichApproval {
    /// Its number
    #[arg(value_name = "REQUEST")]
    number: i64,
}

fn acts() -> PossibleValuesParser {
    PossibleValuesParser::new(Act::ALL.map(Act::as_str))
}

#[derive(Serialize)]
struct Line {
    approval: i64,
    act: &'static str,
    details: String,
    why: String,
    asked_by: String,
    state: &'static str,
    expires_at: String,
}

/// Carries out what was asked.
///
/// # Errors
/// The wrong role, the same person twice, no such approval, or one that has expired.
pub async fn run(office: &Office, command: Command, format: Format) -> Result<Status, Failure> {
    match command {
        Command::Request { act, details, why } => request(office, &act, &details, &why, format).await,
        Command::List => list(office, format).await,
        Command::Grant(which) => grant(office, &which, format).await,
        Command::Refuse { which, why } => {
            let command = |by| ApprovalCommand::Refuse { by, why };
            answer(office, ApprovalId(which.number), command, "refused", format).await
        }
        Command::Demand { acts } => set(office, &acts, true, format).await,
        Command::Waive { acts } => set(office, &acts, false, format).await,
    }
}

/// `issuer approval grant` and `issuer approve`.
///
/// # Errors
/// As [`run`].
pub async fn grant(office: &Office, which: &WhichApproval, format: Format) -> Result<Status, Failure> {
    let command = |by| ApprovalCommand::Grant { by };
    answer(office, ApprovalId(which.number), command, "granted", format).await
}

async fn request(
    office: &Office,
    act: &str,
    details: &str,
    why: &str,
    format: Format,
) -> Result<Status, Failure> {
    let act = Act::parse(act).ok_or_else(|| Failure::usage(format!("unknown act {act:?}")))?;
    let act = GuardedAct::new(act, details);
    if !office.registry.has_operators().await? {
        return Err(no_operators());
    }
    let operator = office.operator(Permission::AskApproval).await?;
    let id =
        office.registry.ask_approval(&act, why, &Party::of(&operator), office.time_in_log().await?).await?;
    let record = office.registry.approval(id).await?;
    match format {
        Format::Json => output::json(&line(&record, office))?,
        Format::Text => output::line(&format!(
            "Approval {} is asked for until {}: {} ({}).",
            id.0,
            record.expires_at,
            act.act(),
            act.details()
        ))?,
    }
    Ok(Status::Done)
}

async fn answer(
    office: &Office,
    id: ApprovalId,
    command: impl FnOnce(Party) -> ApprovalCommand,
    done: &str,
    format: Format,
) -> Result<Status, Failure> {
    if !office.registry.has_operators().await? {
        return Err(no_operators());
    }
    let operator = office.operator(Permission::Approve).await?;
    let record = office.registry.approval(id).await?;
    let command = command(Party::of(&operator));
    let answered = office.registry.command_approval(id, command, office.time_in_log().await?).await;
    if let Err(RegistryError::ApprovalRefused(refusal)) = &answered {
        let action = format!("answer approval {}", id.0);
        return Err(office.refused(Some(&operator), &action, "approval-refused", refusal).await);
    }
    answered?;
    let record = ApprovalRecord { approval: office.registry.approval(id).await?.approval, ..record };
    match format {
        Format::Json => output::json(&line(&record, office))?,
        Format::Text => output::line(&format!(
            "Approval {} is {done}: {} ({}), asked for by {}.",
            id.0,
            record.act.act(),
            record.act.details(),
            record.requester_name
        ))?,
    }
    Ok(Status::Done)
}

async fn list(office: &Office, format: Format) -> Result<Status, Failure> {
    let lines: Vec<Line> =
        office.registry.pending_approvals().await?.iter().map(|record| line(record, office)).collect();
    if format == Format::Json {
        output::json(&lines)?;
        return Ok(Status::Done);
    }
    let rows = lines
        .into_iter()
        .map(|line| {
            let number = line.approval.to_string();
            vec![
                number,
                line.state.to_owned(),
                line.act.to_owned(),
                line.details,
                line.asked_by,
                line.expires_at,
                line.why,
            ]
        })
        .collect();
    output::table(
        &["approval", "state", "act", "details", "asked by", "until", "why"],
        rows,
        "Nothing waits for an approval.",
    )?;
    Ok(Status::Done)
}

fn line(record: &ApprovalRecord, office: &Office) -> Line {
    let state = record.approval.state();
    let is_over = state.is_pending() && office.clock.now() > record.expires_at;
    Line {
        approval: record.id.0,
        act: record.act.act().as_str(),
        details: record.act.details().to_owned(),
        why: record.why.clone(),
        asked_by: record.requester_name.clone(),
        state: if is_over { "expired" } else { state.name() },
        expires_at: record.expires_at.to_string(),
    }
}

async fn set(office: &Office, acts: &[String], demand: bool, format: Format) -> Result<Status, Failure> {
    let now = office.time_to_record().await?;
    let before = office.registry.dual_control().await?;
    let named: BTreeSet<Act> = acts.iter().filter_map(|act| Act::parse(act)).collect();
    let after: BTreeSet<Act> = if demand {
        before.union(&named).copied().collect()
    } else {
        before.difference(&named).copied().collect()
    };
    let operators = office.registry.operators().await?;
    if demand && !can_approve_each_other(operators.iter(), now) {
        return Err(Failure::new(
            "no-approver",
            "two operators are needed first, an administrator and somebody else who is an approver, with good cards: issuer operator add; nothing was changed",
        ));
    }
    let words: Vec<_> = after.iter().map(|act| act.as_str()).collect();
    let words = words.join(", ");
    let act = GuardedAct::new(Act::DualControl, &format!("two operators for: {words}"));
    let approved = office.approve(&act).await?;
    let registry = &office.registry;
    registry.spending(approved, now, registry.set_dual_control(&after, now)).await?;
    let demanded: Vec<_> =
        Act::ALL.into_iter().filter(|act| is_demanded(&after, *act)).map(Act::as_str).collect();
    match format {
        Format::Json => output::json(&demanded)?,
        Format::Text if demanded.is_empty() => output::line("Nothing needs two operators.")?,
        Format::Text => output::line(&format!("Two operators are needed for: {}.", demanded.join(", ")))?,
    }
    Ok(Status::Done)
}

fn no_operators() -> Failure {
    Failure::new(
        "operator-needed",
        "this desk has no operators, so nobody approves anything; add them with: issuer operator add",
    )
}
