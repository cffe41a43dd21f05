//! Connections of strangers: not too many, and none that stands still.
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Accepts connections while there are fewer than a limit; the others wait.
pub(crate) struct GuardedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl GuardedListener {
    pub(crate) fn new(listener: TcpListener, limit: usize, patience: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(limit)), patience }
    }
}

impl Listener for GuardedListener {
    type Io = GuardedConnection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        // The trait's own implementation goes on after errors of single connections.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // RFC 4387 section 2.5.5: an answer must not wait for the acknowledgement of its head.
        let _ = stream.set_nodelay(true);
        let deadline = Box::pin(sleep(self.patience));
        (GuardedConnection { stream, deadline, patience: self.patience, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when nothing has moved for a while, in either direction.
pub(crate) struct GuardedConnection {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    patience: Duration,
    _place: OwnedSemaphorePermit,
}

impl GuardedConnection {
    fn progress<T>(&mut self, context: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let deadline = Instant::now() + self.patience;
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
        let moved = Pin::new(&mut self.stream).poll_read(context, buffer);
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
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// A server that answers every request with `hello`, two connections at a time.
    fn serve(runtime: &tokio::runtime::Runtime, patience: Duration) -> SocketAddr {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(|| async { "hello" });
        let listener = GuardedListener::new(listener, 2, patience);
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
