//! `issuer tsa serve`: stamps over HTTP, with the service's folder alone.

use std::num::NonZero;
use std::thread::available_parallelism;

use getrandom::SysRng;
use rand_core::UnwrapErr;

use super::super::failure::{Failure, Status};
use super::super::office::{Surroundings, read_passphrase};
use super::super::output::{self, Format};
use super::super::serve::listen;
use super::{ServeArguments, secret};
use crate::clock::SystemClock;
use crate::time_stamp::{self, Service};

/// Serves until it is interrupted or terminated.
///
/// # Errors
/// No service in the folder, a wrong passphrase, a damaged log, or the address is taken.
pub(super) async fn run(
    surroundings: &Surroundings,
    arguments: ServeArguments,
    format: Format,
) -> Result<Status, Failure> {
    let folder = arguments.folder.resolve(surroundings)?;
    // Before anybody is asked for a passphrase.
    folder.settings()?;
    let prompt = format!("Passphrase of the time-stamp service in {}", folder.path().display());
    let passphrase = read_passphrase(&secret(arguments.service_passphrase_file), &prompt)?;
    let service = Service::open(
        &folder,
        passphrase.as_str(),
        available_parallelism().map_or(1, NonZero::get),
        Box::new(SystemClock),
        Box::new(UnwrapErr(SysRng)),
    )?;
    drop(passphrase);
    if let Some(kept) = &service.summary().kept {
        output::progress(&format!(
            "{}: a power cut had torn its end; the {} octets, of which no stamp had left, are kept in {}",
            folder.log_file().display(),
            service.summary().torn,
            kept.display()
        ));
    }
    let (listener, stop) = listen(arguments.listen, format).await?;
    time_stamp::serve(listener, service, stop).await?;
    Ok(Status::Done)
}
