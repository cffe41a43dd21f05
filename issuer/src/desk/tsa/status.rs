//! `issuer tsa status`: the log of a service, checked.

use serde::Serialize;

use super::super::failure::{Failure, Status};
use super::super::output::{self, Format};
use crate::time_stamp::serial_log::SerialLog;
use crate::time_stamp::{Folder, TimeStampError};

#[derive(Serialize)]
struct Report {
    folder: String,
    policy: String,
    not_after: String,
    stamps: u64,
    newest: Option<String>,
    /// Chain value of the last line: it stands for the whole log.
    chain: String,
    /// Octets at the end that are being written, or that a power cut tore.
    unfinished: u64,
}

/// Prints what the log holds; needs no key, and may run beside the service.
///
/// # Errors
/// No service in the folder, or a log that was changed: exit status 4.
pub(super) fn run(folder: &Folder, format: Format) -> Result<Status, Failure> {
    let (settings, certificate) = (folder.settings()?, folder.certificate()?);
    let summary = SerialLog::check(&folder.log_file(), &certificate).map_err(|error| {
        let status = match error {
            TimeStampError::DamagedLog { .. } => Status::NotTrusted,
            _ => Status::Failed,
        };
        Failure { status, ..Failure::from(error) }
    })?;
    let report = Report {
        folder: folder.path().display().to_string(),
        policy: settings.policy.to_string(),
        not_after: certificate.not_after().to_string(),
        stamps: summary.stamps,
        newest: summary.newest.map(|newest| newest.to_string()),
        chain: summary.chain(),
        unfinished: summary.torn,
    };
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => {
            let newest = report.newest.map(|newest| format!(", the newest of {newest}")).unwrap_or_default();
            output::line(&format!(
                "{}: {} stamps{newest}; the log is whole, its last chain value is {}. Certificate until {}, policy {}.",
                report.folder,
                report.stamps,
                report.chain,
                certificate.not_after().strftime("%F"),
                report.policy
            ))?;
            if report.unfinished > 0 {
                output::progress("its last octets are being written, or were torn by a power cut");
            }
        }
    }
    Ok(Status::Done)
}
