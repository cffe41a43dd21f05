//! `card unblock --request`: a new PIN by a PUK that the desk seals for this run alone.
use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::Context;
use getrandom::SysRng;
use middleware::remote_unblock::{PendingUnblock, RemoteUnblockError};
use middleware::secret_source::SecretSource;
use middleware::{Card, Pin, holder_state};
use rand_core::UnwrapErr;
use serde_json::json;

use super::Report;
use super::failure::ToolError;

/// An answer has a hundred and some letters.
const LONGEST_ANSWER: u64 = 4096;

/// Asks for the new PIN, shows the request, waits for the answer on standard input, and carries it out. The private half
/// of the request never leaves this process.
pub(super) fn run(card: &mut Card, source: &SecretSource, as_json: bool) -> anyhow::Result<Report> {
    let guid = card.identity()?.guid.ok_or(ToolError::NotIssued)?;
    let new_pin = new_pin(source)?;
    let begun = Instant::now();
    let pending = PendingUnblock::begin(guid, &mut UnwrapErr(SysRng));
    show(&pending, as_json)?;
    let answer = answer()?;
    let secrets = pending.open(&answer, begun.elapsed())?;
    {
        let mut transaction = card.transaction()?;
        if transaction.identity_afresh()?.guid != Some(guid) {
            return Err(RemoteUnblockError::AnotherCard.into());
        }
        secrets.carry_out(&mut transaction, &new_pin)?;
    }
    let recorded = holder_state::activate(&guid).is_ok();
    let done = pending.confirmation(&secrets).to_string();
    Ok(Report {
        text: format!(
            "The PIN is unblocked and has its new value; the PUK that the desk gave was changed at once.\nTell the desk that it is done, with this word:\n{done}"
        ),
        json: json!({ "unblocked": true, "recorded": recorded, "confirmation": done }),
    })
}

fn new_pin(source: &SecretSource) -> anyhow::Result<Pin> {
    let text = source.read("New PIN (6 to 8 digits)")?;
    let pin = Pin::new(&text)?;
    if source.is_terminal() && *source.read("New PIN again")? != *text {
        return Err(ToolError::NewPinsDiffer.into());
    }
    Ok(pin)
}

fn show(pending: &PendingUnblock, as_json: bool) -> anyhow::Result<()> {
    let (request, digits) = (pending.request().to_string(), pending.request().check_digits());
    let text = if as_json {
        json!({ "request": request, "check_digits": digits }).to_string()
    } else {
        format!(
            "Send this to the desk within ten minutes, and leave this program running:\n{request}\nWhen the desk asks, say the check digits: {digits}\nThe desk's answer (paste it, then Enter):"
        )
    };
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}").and_then(|()| output.flush()).context("standard output cannot be written")
}

fn answer() -> anyhow::Result<String> {
    let mut line = String::new();
    let mut input = std::io::Read::take(std::io::stdin().lock(), LONGEST_ANSWER);
    while line.trim().is_empty() {
        line.clear();
        if input.read_line(&mut line).context("standard input cannot be read")? == 0 {
            return Err(ToolError::Usage("no answer came; nothing was changed".to_owned()).into());
        }
    }
    Ok(line)
}
