//! The HTTP server of a published directory: its files, and searches after RFC 4387.
//!
//! - this file: the start and the end; connections are guarded by `guarded_listener`;
//! - `answer`: what a request gets; `static_file`: paths; `below`: the path of the base URL; `range`: a part of a file;
//! - `search`: queries; `index`: by what certificates are found; `ocsp`: OCSP;
//! - `rate`: how often one client may ask; `health`: whether what is served is still good; `crl_files`, `ocsp_files`: each
//!   file of it; `published_files`: whether they are those that were published last; [`memory`]: what was seen before.
//!
//! It reads the published directory and nothing else: no CA key, no registry. It lists nothing. At most it has the key of
//! an OCSP responder, and a file of its own in which it remembers the highest number of each CRL.
mod answer;
mod below;
mod crl_files;
mod health;
mod index;
pub mod memory;
mod ocsp;
mod ocsp_files;
mod published_files;
mod range;
mod rate;
mod search;
mod static_file;

use std::future::Future;
use std::net::IpAddr;
use std::path::{Component, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::ocsp_on_demand::OnDemand;
use crate::ca::ocsp::StatusRequest;
use crate::ca::ocsp::request::LONGEST;
use crate::clock::{Clock, SystemClock};
use crate::guarded_listener::GuardedListener;
use answer::Server;
pub use below::{Below, NoPath};
use crl_files::CrlFiles;
use index::Revision;
pub use memory::{Memory, MemoryError};
use ocsp::OcspResponder;
use ocsp_files::OcspFiles;
use published_files::PublishedFiles;
use rate::Buckets;
pub use rate::RateLimit;
use search::Collection;

/// What is served.
pub struct Service {
    /// The published directory.
    pub directory: PathBuf,
    /// The key and certificates of an OCSP responder that also answers what was not prepared.
    pub on_demand: Option<OnDemand>,
    /// How often one client may ask.
    pub rate: RateLimit,
    /// How long caches may keep a CRL or an OCSP answer without asking again, at most.
    pub max_age: Duration,
    /// Where the highest number of each CRL outlives the program.
    pub memory: Option<Memory>,
    /// The path of the base URL, where it has one and nobody between takes it away.
    pub below: Option<Below>,
    /// By which CRLs and prepared OCSP answers expire.
    pub clock: Box<dyn Clock + Send + Sync>,
}

impl Service {
    /// A published directory, and nothing that would have to be asked for.
    pub fn of(directory: PathBuf) -> Self {
        Self {
            directory,
            on_demand: None,
            rate: RateLimit::default(),
            max_age: MAX_AGE,
            memory: None,
            below: None,
            clock: Box::new(SystemClock),
        }
    }
}

/// Serves a published directory until `stop` completes; answers under way are finished, for ten seconds at
/// most. The caller binds the listener (to loopback unless told otherwise) and prints its address.
///
/// # Errors
/// The directory cannot be read, or the listener fails.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let Service { directory, on_demand, rate, max_age, memory, below, clock } = service;
    std::fs::read_dir(&directory)?;
    let crls = Arc::new(CrlFiles::new(directory.clone(), memory));
    // What is there when the server begins is missed when it goes.
    let first = Arc::clone(&crls);
    let _ = tokio::task::spawn_blocking(move || first.all()).await;
    let services = Services {
        files: Arc::new(Server::new(directory.clone(), Arc::clone(&crls), max_age)),
        ocsp: OcspResponder::new(directory.clone(), on_demand, max_age),
        crls,
        answers: OcspFiles::new(directory.clone()),
        published: PublishedFiles::new(directory.clone()),
        root: directory,
        buckets: Buckets::new(rate),
        begin: Instant::now(),
        below,
        clock,
    };
    let app = Router::new().fallback(handle).with_state(Arc::new(services));
    let app = app.into_make_service_with_connect_info::<Client>();
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

struct Services {
    files: Arc<Server>,
    ocsp: OcspResponder,
    crls: Arc<CrlFiles>,
    answers: OcspFiles,
    published: PublishedFiles,
    root: PathBuf,
    buckets: Buckets,
    begin: Instant,
    below: Option<Below>,
    clock: Box<dyn Clock + Send + Sync>,
}

/// Who asks.
#[derive(Clone, Copy)]
struct Client(IpAddr);

impl Connected<IncomingStream<'_, GuardedListener>> for Client {
    fn connect_info(stream: IncomingStream<'_, GuardedListener>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

async fn handle(
    ConnectInfo(Client(client)): ConnectInfo<Client>,
    State(services): State<Arc<Services>>,
    mut request: Request,
) -> Response<Body> {
    if !services.buckets.admits(client, services.begin.elapsed()) {
        let mut answer = answer::plain(StatusCode::TOO_MANY_REQUESTS, "too many requests; ask again later");
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return answer.map(Body::from);
    }
    if !names_its_host(&request) {
        let answer = answer::plain(StatusCode::BAD_REQUEST, "HTTP/1.1 wants one Host field");
        return answer.map(Body::from);
    }
    if let Some(seen) = services.below.as_ref().and_then(|below| below.strip(request.uri())) {
        *request.uri_mut() = seen;
    }
    let path = request.uri().path();
    if path == HEALTH && [Method::GET, Method::HEAD].contains(request.method()) {
        let answer = move || {
            let overdue = Revision::of(&services.root).map(|revision| revision.overdue()).unwrap_or_default();
            let Services { crls, answers, published: files, clock, .. } = services.as_ref();
            let responders = services.ocsp.responders();
            health::answer(health::Served { crls, answers, files, responders, overdue }, clock.now())
        };
        return answered(tokio::task::spawn_blocking(answer).await);
    }
    if path == OCSP || path.strip_prefix(OCSP).is_some_and(|rest| rest.starts_with('/')) {
        return handle_ocsp(&services, request).await.map(Body::from);
    }
    let (head, _) = request.into_parts();
    let (files, now) = (Arc::clone(&services.files), services.clock.now());
    answered(tokio::task::spawn_blocking(move || files.answer(&head, now)).await)
}

/// RFC 9112 section 3.2: a request of HTTP/1.1 without Host, or with two, is refused. Whose name it is does not matter.
fn names_its_host(request: &Request) -> bool {
    request.version() != Version::HTTP_11 || request.headers().get_all(header::HOST).iter().count() == 1
}

fn answered(answer: Result<Response<Vec<u8>>, tokio::task::JoinError>) -> Response<Body> {
    answer
        .unwrap_or_else(|_| answer::plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer failed"))
        .map(Body::from)
}

/// A prepared answer is found in microseconds: no thread is worth that.
async fn handle_ocsp(services: &Services, request: Request) -> Response<Vec<u8>> {
    let (head, body) = request.into_parts();
    match (head.method, head.uri.path().strip_prefix(OCSP).and_then(|rest| rest.strip_prefix('/'))) {
        (Method::GET | Method::HEAD, Some(rest)) => {
            services.ocsp.get(rest, &head.headers, services.clock.now())
        }
        (Method::POST, None | Some("")) => {
            if !is_ocsp_request(&head.headers) {
                let reason = "the Content-Type must be application/ocsp-request";
                return answer::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
            }
            match tokio::time::timeout(SLOWEST_BODY, to_bytes(body, LONGEST)).await {
                Ok(Ok(request)) => services.ocsp.post(&request, services.clock.now()),
                Ok(Err(_)) => {
                    answer::plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is longer than 16 KiB")
                }
                Err(_) => answer::plain(StatusCode::REQUEST_TIMEOUT, "the request takes too long to arrive"),
            }
        }
        _ => {
            let reason = "an OCSP responder: POST a request to it, or GET it with the request in the path";
            let mut answer = answer::plain(StatusCode::METHOD_NOT_ALLOWED, reason);
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
            answer
        }
    }
}

/// Whether path and query of a GET are of the form of something that could be found.
///
/// # Panics
/// A path that would lead out of the published directory.
pub(crate) fn names_something(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let Some(rest) = path.strip_prefix(OCSP).and_then(|rest| rest.strip_prefix('/')) {
        return ocsp::decode_path(rest).is_some_and(|request| StatusRequest::parse(&request).is_ok());
    }
    let collection = match path {
        "/certificates/search.cgi" => Collection::Certificates,
        "/crls/search.cgi" => Collection::Crls,
        path => {
            let file = static_file::resolve(path);
            let mut parts = file.iter().flat_map(|file| file.components());
            assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{path:?} leads out");
            return file.is_some();
        }
    };
    search::parse(collection, query).is_ok()
}

fn is_ocsp_request(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/ocsp-request")
}

/// Where OCSP is answered; certificates name it (`StatusServices`).
const OCSP: &str = "/ocsp";
/// Where monitors ask.
const HEALTH: &str = "/health";
/// How long a revocation that was published may stay hidden in caches, unless told otherwise.
pub const MAX_AGE: Duration = Duration::from_secs(3600);
/// How long a request may take to arrive.
const SLOWEST_BODY: Duration = Duration::from_secs(10);
/// How long a slow client may hold up the end.
const LAST_CALL: Duration = Duration::from_secs(10);
/// How long a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many connections are open at a time; others wait.
const MOST_CONNECTIONS: usize = 512;
