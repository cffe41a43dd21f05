//! HTTP, RFC 3161 section 3.4.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use super::TimeStampError;
use super::peers::Peers;
use super::service::Service;
use crate::guarded_listener::GuardedListener;

/// Serves until `stop` completes, or no stamp can be given any more; answers under way are finished, for ten seconds at
/// most. The caller binds the listener (to loopback unless told otherwise) and prints its address.
///
/// # Errors
/// The listener fails, or the log can no longer be written.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let service = Arc::new(service);
    let peers = Peers::new(service.settings().stamps_per_second);
    let server =
        Arc::new(Server { service: Arc::clone(&service), peers, places: Semaphore::new(MOST_REQUESTS) });
    let app = Router::new().fallback(handle).with_state(server);
    let listener = GuardedListener::new(listener, MOST_CONNECTIONS, PATIENCE);
    let (stopping, stopped) = oneshot::channel();
    let (failing, failed) = oneshot::channel();
    let stop = async move {
        tokio::select! {
            () = stop => {}
            error = service.broken() => drop(failing.send(error)),
        }
        let _ = stopping.send(());
    };
    let last_call = async move {
        let _ = stopped.await;
        tokio::time::sleep(LAST_CALL).await;
    };
    let app = app.into_make_service_with_connect_info::<Peer>();
    tokio::select! {
        result = async { axum::serve(listener, app).with_graceful_shutdown(stop).await } => result?,
        () = last_call => {}
    }
    match failed.await {
        Ok(error) => Err(error.into()),
        Err(_) => Ok(()),
    }
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener failed.
    #[error("the server stopped: {0}")]
    Io(#[from] io::Error),
    /// No stamp can be given any more.
    #[error(transparent)]
    Service(#[from] TimeStampError),
}

struct Server {
    service: Arc<Service>,
    peers: Peers,
    places: Semaphore,
}

/// Who asks.
#[derive(Clone, Copy)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, GuardedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, GuardedListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

async fn handle(
    State(server): State<Arc<Server>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
) -> Response<Body> {
    if request.method() != Method::POST {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "a time-stamp service: POST a request to it");
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return answer;
    }
    if let Err(wait) = server.peers.admit(peer.ip(), Instant::now()) {
        return later(StatusCode::TOO_MANY_REQUESTS, "too many requests from one address", wait);
    }
    let Ok(_place) = server.places.try_acquire() else {
        return later(StatusCode::SERVICE_UNAVAILABLE, "too many requests at a time", Duration::ZERO);
    };
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(QUERY) {
        return plain(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the Content-Type must be application/timestamp-query",
        );
    }
    let query = match tokio::time::timeout(SLOWEST_BODY, to_bytes(request.into_body(), LONGEST_BODY)).await {
        Ok(Ok(query)) => query,
        Ok(Err(_)) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is longer than 16 KiB"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the request takes too long to arrive"),
    };
    match server.service.answer(&query).await {
        Ok(reply) => answer(StatusCode::OK, REPLY, reply),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer failed"),
    }
}

fn later(status: StatusCode, line: &str, wait: Duration) -> Response<Body> {
    let mut answer = plain(status, line);
    // Whole seconds, and at least one (RFC 9110 section 10.2.3).
    let seconds = HeaderValue::from(wait.as_secs() + 1);
    answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    answer
}

fn plain(status: StatusCode, line: &str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", format!("{line}\n").into_bytes())
}

fn answer(status: StatusCode, kind: &'static str, contents: Vec<u8>) -> Response<Body> {
    let mut answer = Response::new(Body::from(contents));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";
/// Longer requests are not read: a request is some hundred octets, and its nonce the only part without an end.
const LONGEST_BODY: usize = 16 * 1024;
/// How long a request may take to arrive.
const SLOWEST_BODY: Duration = Duration::from_secs(10);
/// How long a slow client may hold up the end.
const LAST_CALL: Duration = Duration::from_secs(10);
/// How long a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many connections are open at a time; others wait.
const MOST_CONNECTIONS: usize = 512;
/// How many requests are under way at a time; others come again.
const MOST_REQUESTS: usize = 400;
