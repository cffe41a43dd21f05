//! `issuer ocsp`: a responder that answers what was not prepared, made at the desk and run without it.
mod folder;
mod init;
pub(super) mod prepared;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use middleware::secret_source::SecretSource;

use super::failure::{Failure, Status};
use super::office::Surroundings;
use super::output::Format;
pub(super) use folder::open_on_demand;

/// Arguments of `issuer ocsp`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make the folder of a responder: its key, and a certificate of each authority
    ///
    /// The folder is all that `issuer serve --ocsp DIR` needs to answer requests with a nonce, about several certificates,
    /// about serial numbers that were never issued, or that name certificates by SHA-224, SHA-384 or SHA-512 (prepared answers
    /// do by SHA-1 and SHA-256); it may go to another computer. Prepared answers need no folder.
    #[command(
        after_help = "Example:\n  issuer --home pki ocsp init --folder /srv/ocsp --service-passphrase-file ocsp.pass"
    )]
    Init(FolderArguments),
    /// Certify the key of a responder anew, before its certificates end
    #[command(
        after_help = "Example:\n  issuer --home pki ocsp renew --folder /srv/ocsp --service-passphrase-file ocsp.pass"
    )]
    Renew(FolderArguments),
}

#[derive(Args, Debug)]
struct FolderArguments {
    /// The responder's folder
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Where the passphrase of the responder's key comes from: fd:N or a file; otherwise it is asked for
    #[arg(long, value_name = "fd:N|PATH")]
    service_passphrase_file: Option<SecretSource>,
}

/// Carries out `issuer ocsp`.
///
/// # Errors
/// As the command at hand.
pub async fn run(
    surroundings: &Surroundings,
    arguments: Arguments,
    format: Format,
) -> Result<Status, Failure> {
    match arguments.command {
        Command::Init(arguments) => init::init(surroundings, arguments, format).await,
        Command::Renew(arguments) => init::renew(surroundings, arguments, format).await,
    }
}
