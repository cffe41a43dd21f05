//! `issuer serve`: the published directory over HTTP, without the registry and without any key but an OCSP responder's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use middleware::secret_source::SecretSource;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{Failure, Status};
use super::ocsp::open_on_demand;
use super::output::{self, Format};
use crate::publication::{self, RateLimit, Service, layout};

#[derive(Serialize)]
struct Ready {
    url: String,
}

/// Serves until it is interrupted or terminated.
///
/// # Errors
/// The directory is not there, or the address is taken.
pub async fn run(
    directory: PathBuf,
    address: SocketAddr,
    responder: Option<(PathBuf, SecretSource)>,
    (rate, max_age): (RateLimit, Duration),
    format: Format,
) -> Result<Status, Failure> {
    if !directory.is_dir() {
        let message = format!(
            "{} is not a directory; publish into it first: issuer publish --to {0}",
            directory.display()
        );
        return Err(Failure::new("io", message));
    }
    if !layout::is_published(&directory) {
        let message = format!(
            "nothing was published in {} yet; publish into it first: issuer publish --to {0}",
            directory.display()
        );
        return Err(Failure::new("not-published", message));
    }
    let on_demand = responder.map(|(folder, source)| open_on_demand(&folder, &source)).transpose()?;
    let (listener, stop) = listen(address, format).await?;
    let service = Service { on_demand, rate, max_age, ..Service::of(directory) };
    publication::serve(listener, service, stop)
        .await
        .map_err(|error| Failure::new("serve", format!("the server stopped: {error}")))?;
    Ok(Status::Done)
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
