//! How an error reads: one or two lines for people, one line `{"error":{"code","message"}}` for programs.
use middleware::CardError;
use serde_json::json;

/// What goes wrong in the tool itself, beyond the card's own errors.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    #[error("the two new PINs differ; nothing was changed")]
    NewPinsDiffer,
    #[error("the new PIN is the old one; choose another; nothing was changed")]
    SamePin,
    #[error(
        "this is the last PUK try, after which the issuance desk must replace the card; repeat with --last-try to spend it"
    )]
    LastPukTry,
    #[error("the card has no certificate for key {0}")]
    NoCertificate(middleware::KeyReference),
    #[error(
        "the card has no CHUID, so it was never issued and there is nothing to record; take it to the issuance desk"
    )]
    NotIssued,
    #[error(
        "the PIN was changed, but that could not be recorded: {0}\nRepeat: card change-pin --already-changed"
    )]
    ChangedButNotRecorded(std::io::Error),
}

impl ToolError {
    fn code(&self) -> &'static str {
        match self {
            Self::NewPinsDiffer => "new-pins-differ",
            Self::SamePin => "same-pin",
            Self::LastPukTry => "last-puk-try",
            Self::NoCertificate(_) => "no-certificate",
            Self::NotIssued => "not-issued",
            Self::ChangedButNotRecorded(_) => "changed-but-not-recorded",
        }
    }
}

/// The line for stderr.
pub(super) fn describe(error: &anyhow::Error, as_json: bool) -> String {
    if !as_json {
        return format!("card: {error}");
    }
    let mut object = json!({ "code": code(error), "message": error.to_string() });
    if let (Some(object), Some(details)) = (object.as_object_mut(), details(error)) {
        object.extend(details);
    }
    json!({ "error": object }).to_string()
}

/// The same for a command line that makes no sense: its first paragraph, which says what is wrong.
pub(super) fn describe_usage(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let problem = text.split("\n\n").next().unwrap_or_default();
    let problem = problem.strip_prefix("error: ").unwrap_or(problem);
    let message = problem.split_whitespace().collect::<Vec<_>>().join(" ");
    json!({ "error": { "code": "usage", "message": message } }).to_string()
}

fn code(error: &anyhow::Error) -> &'static str {
    if let Some(error) = error.downcast_ref::<CardError>() {
        error.code()
    } else if let Some(error) = error.downcast_ref::<ToolError>() {
        error.code()
    } else if error.is::<std::io::Error>() {
        "io"
    } else {
        "failed"
    }
}

fn details(error: &anyhow::Error) -> Option<serde_json::Map<String, serde_json::Value>> {
    let details = match error.downcast_ref::<CardError>()? {
        CardError::WrongPin { tries_left } | CardError::WrongPuk { tries_left } => {
            json!({ "tries_left": tries_left })
        }
        CardError::SeveralCards(readers) => json!({ "readers": readers }),
        CardError::Refused { command, status } => {
            json!({ "command": command, "status": format!("{status:04X}") })
        }
        _ => return None,
    };
    details.as_object().cloned()
}
