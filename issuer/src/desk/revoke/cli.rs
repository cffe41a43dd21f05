//! What `issuer revoke` is told.

use clap::Args;
use jiff::Timestamp;

use super::{LastOne, Order};
use crate::desk::cli::parse_time;
use crate::desk::failure::Failure;
use crate::domain::RevocationReason;

/// Whom or what, and why.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Mail address or identifier of a person, or the serial number of a certificate
    #[arg(value_name = "PERSON|SERIAL")]
    whom: String,
    /// Why
    #[arg(long, value_parser = reason_parser())]
    reason: String,
    /// Since when the key was not its holder's alone, where known: 2026-11-20 or 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    invalid_since: Option<Timestamp>,
    /// Also if it is the card of the only administrator: the next one is made with operator add --recover
    #[arg(long, conflicts_with = "last_approver")]
    last_administrator: bool,
    /// Also if nobody could approve then what needs two operators; by the passphrase of the keys: an administrator makes the next approver with operator add --recover
    #[arg(long)]
    last_approver: bool,
}

impl Arguments {
    /// As an order.
    ///
    /// # Errors
    /// A reason that is none.
    pub(in crate::desk) fn order(self) -> Result<Order, Failure> {
        let reason = RevocationReason::parse(&self.reason).ok_or_else(|| Failure::usage("unknown reason"))?;
        let last = match (self.last_administrator, self.last_approver) {
            (true, _) => LastOne::AdministratorMayGo,
            (false, true) => LastOne::ApproverMayGo,
            (false, false) => LastOne::Stays,
        };
        Ok(Order { whom: self.whom, reason, invalid_since: self.invalid_since, last })
    }
}

fn reason_parser() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(RevocationReason::ALL.map(RevocationReason::as_str))
}
