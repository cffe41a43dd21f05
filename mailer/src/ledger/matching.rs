//! A receipt that came: the case that it belongs to, and whether it counts (RFC 2634 section 2.6).
use jiff::Timestamp;

use super::{Case, Event, Given, LedgerError, RecipientState, journal};
use crate::certificate::mail_address;
use crate::smime::ess::ContentIdentifier;
use crate::smime::receipt_check::{ReceiptProblem, ReceivedReceipt};
use crate::trust::{Judge, Verdict, in_words};

/// Why a receipt does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotCounted {
    /// It does not belong to the message, or not to a recipient, or there is one already.
    #[error(transparent)]
    Receipt(#[from] ReceiptProblem),
    /// Its signer is not believed.
    #[error("{0}")]
    Untrusted(String),
    /// It came too late.
    #[error("it was given on {}, and receipts counted until {}", in_words(*.given), in_words(*.until))]
    Late {
        /// When it was given, as far as that can be told.
        given: Timestamp,
        /// Until when receipts counted.
        until: Timestamp,
    },
    /// The case was tampered with.
    #[error("what was kept of the message was changed")]
    Damaged,
}

impl NotCounted {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Receipt(problem) => problem.code(),
            Self::Untrusted(_) => "receipt-untrusted",
            Self::Late { .. } => "receipt-late",
            Self::Damaged => "ledger-damaged",
        }
    }
}

/// What became of a receipt.
#[derive(Debug)]
pub struct Matched {
    /// The case that it names.
    pub case: String,
    /// Whose it is: of a recipient if it counts, otherwise what its certificate says.
    pub from: String,
    /// Whether it counts.
    pub outcome: Result<Given, NotCounted>,
}

/// Puts a receipt that came (as `message`) where it belongs; `None` when no case asked for it. A receipt that does not count
/// is kept all the same.
///
/// # Errors
/// The ledger cannot be read or written.
pub fn take(
    cases: &[Case],
    received: &ReceivedReceipt,
    message: &[u8],
    judge: &mut Judge<'_>,
) -> Result<Option<Matched>, LedgerError> {
    let identifier = &received.receipt.signed_content_identifier;
    let Some(case) = cases.iter().find(|case| case.record().is_named_by(identifier)) else {
        return Ok(None);
    };
    let _lock = case.lock()?;
    let states = case.states()?;
    let already: Vec<String> =
        states.iter().filter(|state| state.receipt.is_some()).map(|state| state.address.clone()).collect();
    let stem = file_stem(received, message);
    let counted = count(case, received, &already, judge);
    let (from, outcome) = match counted {
        Ok((recipient, verdict)) => {
            let given = Given {
                file: case.keep(true, &stem, message)?,
                claimed: received.signature.signing_time,
                proven: verdict.proven_time(),
                signer: received.signature.certificate.subject(),
            };
            case.append(&journal::line(&recipient, Event::Receipt(given.clone()), judge.at))?;
            (recipient, Ok(given))
        }
        Err(problem) => {
            let certified = received.signature.certificate.mail_addresses();
            let is_own = |state: &&RecipientState| {
                certified.iter().any(|own| mail_address::same_mailbox(own, &state.address))
            };
            let from = states.iter().find(is_own).map(|state| state.address.clone());
            let from = from.unwrap_or_else(|| received.signature.certificate.mail_addresses_in_words());
            refuse(case, &from, &stem, message, &problem, judge.at)?;
            (from, Err(problem))
        }
    };
    Ok(Some(Matched { case: case.record().id.clone(), from, outcome }))
}

/// The recipient whose receipt it is, and the verdict about the signer.
fn count(
    case: &Case,
    received: &ReceivedReceipt,
    already: &[String],
    judge: &mut Judge<'_>,
) -> Result<(String, Verdict), NotCounted> {
    let sent = case.record().sent().ok_or(NotCounted::Damaged)?;
    let recipient = sent.check(received, already)?;
    let verdict = judge.signed_message(&received.message, std::slice::from_ref(&recipient));
    if !verdict.is_trusted() {
        return Err(NotCounted::Untrusted(verdict.to_string()));
    }
    if let Some(until) = case.record().receipts_until {
        let given = verdict.proven_time().unwrap_or(judge.at);
        if given > until {
            return Err(NotCounted::Late { given, until });
        }
    }
    Ok((recipient, verdict))
}

/// Keeps what came as a receipt and cannot even be read as one, such as one whose signature is broken, if it names a case;
/// `None` when it names none.
///
/// # Errors
/// The ledger cannot be read or written.
pub fn refuse_unreadable(
    cases: &[Case],
    named: &ContentIdentifier,
    message: &[u8],
    problem: ReceiptProblem,
    at: Timestamp,
) -> Result<Option<Matched>, LedgerError> {
    let Some(case) = cases.iter().find(|case| case.record().is_named_by(named)) else { return Ok(None) };
    let _lock = case.lock()?;
    let problem = NotCounted::Receipt(problem);
    refuse(case, "", &stem("unreadable", message), message, &problem, at)?;
    Ok(Some(Matched { case: case.record().id.clone(), from: String::new(), outcome: Err(problem) }))
}

/// Keeps it as it came, and writes down why it does not count; once.
fn refuse(
    case: &Case,
    from: &str,
    stem: &str,
    message: &[u8],
    problem: &NotCounted,
    at: Timestamp,
) -> Result<(), LedgerError> {
    let file = case.keep(false, stem, message)?;
    let states = case.states()?;
    let of_others = case.strangers_receipts()?;
    let mut kept = states.iter().flat_map(|state| &state.refused).map(|(kept, ..)| kept);
    if kept.any(|kept| *kept == file) || of_others.iter().any(|receipt| receipt.file == file) {
        return Ok(());
    }
    let (code, reason) = (problem.code().to_owned(), problem.to_string());
    case.append(&journal::line(from, Event::ReceiptRefused { file, code, reason }, at))
}

/// The same receipt always gets the same name.
fn file_stem(received: &ReceivedReceipt, message: &[u8]) -> String {
    let whose = received.signature.certificate.mail_addresses().into_iter().next().unwrap_or_default();
    let plain: String =
        whose
            .chars()
            .take(64)
            .map(|character| {
                if character.is_ascii_alphanumeric() || "@.-_+".contains(character) { character } else { '_' }
            })
            .collect();
    stem(plain.trim_start_matches('.'), message)
}

fn stem(whose: &str, message: &[u8]) -> String {
    let digest = crate::certificate::DigestAlgorithm::Sha256.digest(message);
    format!("{whose}-{}", hex::encode(digest.get(..8).unwrap_or_default()))
}
