//! The HTTP server of a published directory: its files, and searches after RFC 4387.
//!
//! - this file: the start and the end; connections are guarded by `guarded_listener`;
//! - `answer`: what a request gets; `static_file`: paths;
//! - `search`: queries; `index`: by what certificates are found.
//!
//! It reads the published directory and nothing else: no CA key, no registry. It lists nothing.
mod answer;
mod index;
mod search;
mod static_file;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::guarded_listener::GuardedListener;
use answer::Server;

/// Serves a published directory until `stop` completes; answers under way are finished, for ten seconds at
/// most. The caller binds the listener (to loopback unless told otherwise) and prints its address.
///
/// # Errors
/// The directory cannot be read, or the listener fails.
pub async fn serve(
    listener: TcpListener,
    directory: PathBuf,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    std::fs::read_dir(&directory)?;
    let app = Router::new().fallback(handle).with_state(Arc::new(Server::new(directory)));
    let listener = GuardedListener::new(listener, MOST_CONNECTIONS, PATIENCE);
    let (stopping, stopped) = oneshot::channel();
    let stop = async move {
        stop.await;
        let _ = stopping.send(());
    };
    let last_call = async move {
        let _ = stopped.await;
        tokio::time::sleep(LAST_CALL).await;
    };
    tokio::select! {
        result = async { axum::serve(listener, app).with_graceful_shutdown(stop).await } => result,
        () = last_call => Ok(()),
    }
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let (head, _) = request.into_parts();
    let answer = tokio::task::spawn_blocking(move || server.answer(&head)).await;
    answer
        .unwrap_or_else(|_| answer::plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer failed"))
        .map(Body::from)
}

/// How long a slow client may hold up the end.
const LAST_CALL: Duration = Duration::from_secs(10);
/// How long a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many connections are open at a time; others wait.
const MOST_CONNECTIONS: usize = 512;
