//! Connections of strangers: not too many, not all of them one client's, and none that stands still.
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Accepts connections while there are fewer than a limit; the others wait. A client that has an eighth of them gets no more,
/// unless it is on this computer: a proxy there comes with everybody's requests.
pub(crate) struct GuardedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
    shares: Shares,
    patience: Duration,
    head: Duration,
}

impl GuardedListener {
    pub(crate) fn new(listener: TcpListener, limit: usize, patience: Duration) -> Self {
        let shares = Shares { most: limit.div_ceil(8), taken: Arc::default() };
        Self { listener, places: Arc::new(Semaphore::new(limit)), shares, patience, head: SLOWEST_HEAD }
    }
}

impl Listener for GuardedListener {
    type Io = GuardedConnection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let place =
                Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
            // The trait's own implementation goes on after errors of single connections.
            let (stream, address) = Listener::accept(&mut self.listener).await;
            let Some(share) = self.shares.take(address.ip()) else { continue };
            // RFC 4387 section 2.5.5: an answer must not wait for the acknowledgement of its head.
            let _ = stream.set_nodelay(true);
            let first = self.patience.min(self.head);
            let connection = GuardedConnection {
                stream,
                deadline: Box::pin(sleep(first)),
                patience: self.patience,
                head: Head::Arriving { until: Instant::now() + first, end: 0 },
                slowest_head: self.head,
                _place: place,
                _share: share,
            };
            return (connection, address);
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// How many connections each client has.
struct Shares {
    most: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection of a client; given back when it is dropped.
struct Share(Arc<Mutex<HashMap<IpAddr, usize>>>, IpAddr);

impl Shares {
    fn take(&self, client: IpAddr) -> Option<Share> {
        let client = whole_network(client);
        let mut taken = lock(&self.taken);
        let count = taken.entry(client).or_default();
        if *count >= self.most && !client.is_loopback() {
            return None;
        }
        *count += 1;
        Some(Share(Arc::clone(&self.taken), client))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = lock(&self.0);
        match taken.get_mut(&self.1) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.1)),
        }
    }
}

fn lock(taken: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who counts as one client: somebody with IPv6 has 2^64 addresses.
pub(crate) fn whole_network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into())
        }
        address => address,
    }
}

/// How long the head of a request may take to arrive, however it moves.
const SLOWEST_HEAD: Duration = Duration::from_secs(5);

/// Where a connection is between two answers.
#[derive(Clone, Copy)]
enum Head {
    /// Nothing of the next request is there.
    Awaited,
    /// Some of it; so many octets of the empty line at its end are there.
    Arriving { until: Instant, end: usize },
    /// All of it.
    Complete,
}

impl Head {
    fn read(self, octets: &[u8], slowest: Duration) -> Self {
        let (until, mut end) = match self {
            Self::Complete => return self,
            Self::Awaited => (Instant::now() + slowest, 0),
            Self::Arriving { until, end } => (until, end),
        };
        for octet in octets {
            end = match (octet, EMPTY_LINE.get(end)) {
                (octet, Some(expected)) if octet == expected => end + 1,
                (b'\r', _) => 1,
                _ => 0,
            };
            if end == EMPTY_LINE.len() {
                return Self::Complete;
            }
        }
        Self::Arriving { until, end }
    }
}

const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// A connection that ends when nothing has moved for a while, in either direction, or a request is too slow to begin.
pub(crate) struct GuardedConnection {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    patience: Duration,
    head: Head,
    slowest_head: Duration,
    _place: OwnedSemaphorePermit,
    _share: Share,
}

impl GuardedConnection {
    fn progress<T>(&mut self, context: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let patience = Instant::now() + self.patience;
            let deadline = match self.head {
                Head::Arriving { until, .. } => until.min(patience),
                Head::Awaited | Head::Complete => patience,
            };
            self.deadline.as_mut().reset(deadline);
            return moved;
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let moved = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(octets) = buffer.filled().get(before..).filter(|octets| !octets.is_empty()) {
            self.head = self.head.read(octets, self.slowest_head);
        }
        self.progress(context, moved)
    }
}

impl AsyncWrite for GuardedConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, octets);
        if moved.is_ready() {
            self.head = Head::Awaited;
        }
        self.progress(context, moved)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::panic)] // a test may
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// A server that answers every request with `hello`, two connections at a time.
    fn serve(runtime: &tokio::runtime::Runtime, patience: Duration) -> SocketAddr {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(|| async { "hello" });
        let mut listener = GuardedListener::new(listener, 2, patience);
        listener.head = patience;
        runtime.spawn(async { axum::serve(listener, app).await });
        address
    }

    fn connect(address: SocketAddr) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    #[test]
    fn a_connection_that_stands_still_is_closed() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut stream = connect(serve(&runtime, Duration::from_millis(20)));
        stream.write_all(b"GET / HT").unwrap();
        let mut answer = Vec::new();
        // Closed, cleanly or not: either way this returns before the socket's own minute is over.
        let closed = stream.read_to_end(&mut answer).map_err(|error| error.kind());
        assert!(matches!(closed, Ok(_) | Err(io::ErrorKind::ConnectionReset)), "{closed:?}");
    }

    #[test]
    fn a_request_that_drips_in_is_closed() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let mut listener = GuardedListener::new(listener, 2, Duration::from_secs(60));
        listener.head = Duration::from_secs(2);
        let app = axum::Router::new().fallback(|| async { "hello" });
        runtime.spawn(async { axum::serve(listener, app).await });
        let mut stream = connect(address);
        // One after the other is answered; between them it may take its time.
        for _ in 0..2 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            assert!(stream.read(&mut [0; 512]).unwrap() > 0);
        }
        // An octet now and then: it moves, but nothing comes of it.
        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        stream.write_all(b"GET /").unwrap();
        loop {
            match stream.read(&mut [0; 512]).map_err(|error| error.kind()) {
                Ok(0) | Err(io::ErrorKind::ConnectionReset) => break,
                Err(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => drop(stream.write(b"a")),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_in_pieces() {
        let slowest = Duration::from_secs(1);
        let read = |pieces: &[&[u8]]| {
            let head = pieces.iter().fold(Head::Awaited, |head, piece| head.read(piece, slowest));
            matches!(head, Head::Complete)
        };
        assert!(read(&[b"GET / HTTP/1.1\r\n\r\n"]));
        assert!(read(&[b"GET / HTTP/1.1\r", b"\n\r", b"\n"]));
        assert!(read(&[b"x\r\r\n\r\n"]));
        assert!(!read(&[b"GET / HTTP/1.1\r\nHost: x\r\n"]));
        assert!(!read(&[b"\r\nx\r\n"]));
    }

    #[test]
    fn one_client_gets_a_share_and_a_proxy_on_this_computer_all() {
        let shares = Shares { most: 2, taken: Arc::default() };
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let greedy: Vec<_> = (0..9).map_while(|_| shares.take(address("192.0.2.1"))).collect();
        let network: Vec<_> =
            (0..9).map_while(|last| shares.take(address(&format!("2001:db8::{last}")))).collect();
        let proxies: Vec<_> = (0..9)
            .map_while(|_| Some((shares.take(address("127.0.0.1"))?, shares.take(address("::1"))?)))
            .collect();
        assert_eq!((greedy.len(), network.len(), proxies.len()), (2, 2, 9));
        assert!(shares.take(address("192.0.2.2")).is_some());
        drop(greedy);
        assert!(shares.take(address("192.0.2.1")).is_some());
        drop((network, proxies));
        assert!(lock(&shares.taken).is_empty());
    }

    #[test]
    fn one_connection_too_many_waits_for_a_place() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let address = serve(&runtime, Duration::from_secs(60));
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut idle = [connect(address), connect(address)];
        let mut third = connect(address);
        third.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        // The first two are answered, although they asked later; the third is not.
        for stream in &mut idle {
            stream.write_all(request).unwrap();
            assert!(stream.read(&mut [0; 512]).unwrap() > 0);
        }
        third.set_nonblocking(true).unwrap();
        let early = third.read(&mut [0; 64]).map_err(|error| error.kind());
        assert_eq!(early, Err(io::ErrorKind::WouldBlock));
        drop(idle);
        third.set_nonblocking(false).unwrap();
        let mut answer = String::new();
        third.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
    }
}
