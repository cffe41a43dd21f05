//! `issuer serve`: the published directory over HTTP, without the registry and without any key but an OCSP
//! responder's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use middleware::secret_source::SecretSource;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{Failure, Status};
use super::ocsp::open_on_demand;
use super::output::{self, Format};
use crate::publication::{self, Below, MAX_AGE, Memory, MemoryError, RateLimit, Service, layout};

/// Arguments of `issuer serve`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The published directory
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Where to listen; port 0 takes a free one. The URL is printed when the server is ready
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Folder of an OCSP responder (issuer ocsp init) that also answers what was not prepared
    #[arg(long, value_name = "DIR")]
    ocsp: Option<PathBuf>,
    /// Where the passphrase of the responder's key comes from: fd:N or a file; otherwise it is asked for
    #[arg(long, value_name = "fd:N|PATH", requires = "ocsp")]
    service_passphrase_file: Option<SecretSource>,
    /// A file of this server's own, outside the published directory, in which it remembers the highest number that each CRL
    /// had, so that /health also tells of an older publication that was put back while it did not run. It is made when it is
    /// not there
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The path of the base URL, where it has one (`init --base-url http://HOST/PATH`): certificates name what lies below
    /// it. Not needed behind a proxy that takes the path away
    #[arg(long, value_name = "PATH")]
    below: Option<Below>,
    /// How many requests a second one client may make, clients on this computer too; 0 for as many as they like.
    /// Otherwise 200, and as many as they like from this computer
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// How many seconds caches may keep a CRL or an OCSP answer without asking again; never beyond its nextUpdate.
    /// A revocation is hidden in them that long after it was published
    #[arg(long, value_name = "SECONDS", default_value_t = MAX_AGE.as_secs())]
    max_age: u64,
}

#[derive(Serialize)]
struct Ready {
    url: String,
}

/// Serves until it is interrupted or terminated.
///
/// # Errors
/// The directory is not there, the address is taken, or the state is none.
pub async fn run(arguments: Arguments, format: Format) -> Result<Status, Failure> {
    let Arguments { from, listen: address, ocsp, service_passphrase_file, state, below, rate, max_age } =
        arguments;
    require_published(&from)?;
    let source = service_passphrase_file.unwrap_or(SecretSource::Terminal);
    let on_demand = ocsp.map(|folder| open_on_demand(&folder, &source)).transpose()?;
    let memory = state.map(|state| open_memory(&state, &from)).transpose()?;
    let rate = match rate {
        None => RateLimit::default(),
        Some(0) => RateLimit::None,
        Some(rate) => RateLimit::Everybody(rate),
    };
    let (listener, stop) = listen(address, format).await?;
    let max_age = Duration::from_secs(max_age);
    let service = Service { on_demand, rate, max_age, memory, below, ..Service::of(from) };
    publication::serve(listener, service, stop)
        .await
        .map_err(|error| Failure::new("serve", format!("the server stopped: {error}")))?;
    Ok(Status::Done)
}

fn require_published(directory: &Path) -> Result<(), Failure> {
    let place = directory.display();
    if !directory.is_dir() {
        let message =
            format!("{place} is not a directory; publish into it first: issuer publish --to {place}");
        return Err(Failure::new("io", message));
    }
    if !layout::is_published(directory) {
        let message = format!(
            "nothing was published in {place} yet; publish into it first: issuer publish --to {place}"
        );
        return Err(Failure::new("not-published", message));
    }
    Ok(())
}

fn open_memory(path: &Path, published: &Path) -> Result<Memory, Failure> {
    let place = path.display();
    Memory::open(path, published).map_err(|error| match error {
        MemoryError::Io(error) => Failure::file(path, &error),
        MemoryError::InsidePublication => Failure::new(
            "memory-published",
            format!(
                "{place} lies in the published directory: whoever puts an older publication back would put it back too; name a file elsewhere with --state"
            ),
        ),
        error => Failure::new(
            "memory-damaged",
            format!(
                "{place} is no state of issuer serve ({error}); if it was one, find out who changed it, move it away, and start again: a new one is begun with what is published now"
            ),
        ),
    })
}

/// Listens, and says where; with it, what ends when the program is interrupted or terminated.
///
/// # Errors
/// The address is taken.
pub(super) async fn listen(
    address: SocketAddr,
    format: Format,
) -> Result<(TcpListener, impl Future<Output = ()> + Send + 'static), Failure> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::new(
            "listen",
            format!("cannot listen on {address}: {error}; name another address with --listen"),
        )
    })?;
    let local = listener.local_addr().map_err(|error| Failure::new("listen", error.to_string()))?;
    let no_signal = |error: std::io::Error| Failure::new("signal", error.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signal)?;
    let url = format!("http://{local}");
    match format {
        Format::Json => output::json(&Ready { url })?,
        Format::Text => output::line(&url)?,
    }
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok((listener, stop))
}
