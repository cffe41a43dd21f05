//! A connection on which a server cannot send without end.
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes the server may still send.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    each: usize,
    left: Arc<AtomicUsize>,
}

impl Allowance {
    /// `each` bytes for every answer.
    pub(super) fn new(each: usize) -> Self {
        Self { each, left: Arc::new(AtomicUsize::new(each)) }
    }

    /// Begins a new answer.
    pub(super) fn renew(&self) {
        self.left.store(self.each, Ordering::Relaxed);
    }
}

/// A stream that fails once its allowance is used up.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    allowance: Allowance,
}

impl<S> Metered<S> {
    pub(super) fn new(stream: S, allowance: Allowance) -> Self {
        Self { stream, allowance }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.allowance.left.load(Ordering::Relaxed);
        if left == 0 {
            let problem = format!("its answer is longer than {} bytes", self.allowance.each);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, problem)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        self.allowance.left.store(left.saturating_sub(read), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn an_answer_without_end_is_cut_off_and_the_next_begins_anew() {
        let allowance = Allowance::new(1_000);
        let mut stream = Metered::new(tokio::io::repeat(b'x'), allowance.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut answer = vec![0; 900];
            for _ in 0..3 {
                allowance.renew();
                stream.read_exact(&mut answer).await.unwrap();
            }
            let problem = stream.read_to_end(&mut answer).await.unwrap_err();
            assert_eq!(problem.kind(), io::ErrorKind::FileTooLarge);
            assert!(answer.len() < 10_000);
        });
    }
}
