//! `issuer tsa`: the time-stamp service, made at the desk and run without it.
mod init;
mod serve;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use const_oid::ObjectIdentifier;
use middleware::secret_source::SecretSource;

use super::failure::{Failure, Status};
use super::office::Surroundings;
use super::output::Format;
use crate::time_stamp::Folder;

/// Arguments of `issuer tsa`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a time-stamp service: a folder with its key, certificate and log
    ///
    /// The folder is all that the service needs: it may go to another computer. The first service of an issuer also makes
    /// an authority for it; publish it with issuer publish. Make a new service in another folder when the key has served
    /// long enough: stamps can be checked as long as the certificate that signed them is valid.
    #[command(after_help = "Examples:\n  issuer --home pki tsa init\n  \
        issuer --home pki tsa init --folder /srv/tsa --key rsa3072 --passphrase-file desk.pass --service-passphrase-file tsa.pass")]
    Init(InitArguments),
    /// Give time stamps over HTTP (RFC 3161), until interrupted; what issuer tsa does by itself
    #[command(after_help = "Examples:\n  issuer --home pki tsa serve --listen 127.0.0.1:8318\n  \
        issuer tsa serve --folder /srv/tsa --service-passphrase-file tsa.pass")]
    Serve(ServeArguments),
    /// Check the log of a service from its first line to its last
    #[command(
        after_help = "Exit status: 0 whole, 4 changed after it was written.\n\nExample:\n  issuer --home pki tsa status --json"
    )]
    Status(FolderArgument),
}

#[derive(Args, Debug)]
struct FolderArgument {
    /// The service's folder; otherwise `tsa` in the issuer's home
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct ServeArguments {
    #[command(flatten)]
    folder: FolderArgument,
    /// Where to listen; port 0 takes a free one. The URL is printed when the service is ready
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the passphrase of the service's key comes from: fd:N or a file; otherwise it is asked for
    #[arg(long, value_name = "fd:N|PATH")]
    service_passphrase_file: Option<SecretSource>,
}

#[derive(Args, Debug)]
struct InitArguments {
    #[command(flatten)]
    folder: FolderArgument,
    /// Policy of the stamps; otherwise the fourth below the issuer's arc
    #[arg(long, value_name = "OID")]
    policy: Option<ObjectIdentifier>,
    /// Algorithm of the key
    #[arg(long, value_enum, default_value = "p256")]
    key: ServiceKeyAlgorithm,
    /// How far the clock may be from the true time, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=3_600_000))]
    accuracy: u32,
    /// Stamps that one address gets in a second
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Where the new passphrase of the service's key comes from: fd:N or a file; otherwise it is asked for
    #[arg(long, value_name = "fd:N|PATH")]
    service_passphrase_file: Option<SecretSource>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ServiceKeyAlgorithm {
    P256,
    Rsa3072,
}

/// Carries out `issuer tsa`.
///
/// # Errors
/// As the command at hand.
pub async fn run(
    surroundings: &Surroundings,
    arguments: Arguments,
    format: Format,
) -> Result<Status, Failure> {
    match arguments.command {
        Some(Command::Init(arguments)) => init::run(surroundings, arguments, format).await,
        Some(Command::Serve(arguments)) => serve::run(surroundings, arguments, format).await,
        Some(Command::Status(folder)) => status::run(&folder.resolve(surroundings)?, format),
        None => serve::run(surroundings, arguments.serve, format).await,
    }
}

impl FolderArgument {
    fn resolve(self, surroundings: &Surroundings) -> Result<Folder, Failure> {
        let default = || surroundings.home.as_ref().map(crate::config::Home::time_stamp_folder);
        self.folder.or_else(default).map(Folder::new).ok_or_else(|| {
            Failure::usage(
                "name the service's folder with --folder DIR, or the issuer's home with --home DIR",
            )
        })
    }
}

fn secret(source: Option<SecretSource>) -> SecretSource {
    source.unwrap_or(SecretSource::Terminal)
}
