//! Batches: lines that arrive while the disk is busy are made durable together.
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::line::{self, Entry};
use super::recovery::Summary;
use super::{Chain, Medium};

/// Completes when a line is durable: `true`; or when it is known that it never will be: `false`.
pub struct Durable(oneshot::Receiver<bool>);

impl Durable {
    /// Waits for it.
    pub async fn wait(self) -> bool {
        self.0.await.unwrap_or(false)
    }
}

/// Why no line was added.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused<E> {
    /// What was to make it refused.
    Made(E),
    /// Nothing can be made durable any more.
    Broken,
}

/// The thread that writes, and what waits for it.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    broken: watch::Receiver<Option<String>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    last: Last,
    newest: Option<Timestamp>,
    /// Lines of the next batch.
    octets: Vec<u8>,
    waiting: Vec<oneshot::Sender<bool>>,
    is_broken: bool,
    is_closing: bool,
}

/// The last line of the log, or of what is to follow.
#[derive(Clone, Copy)]
struct Last {
    number: u64,
    chain: Chain,
}

impl Writer {
    pub(super) fn start(medium: impl Medium, summary: &Summary) -> io::Result<Self> {
        let last = Last { number: summary.stamps, chain: summary.chain };
        let state = State {
            last,
            newest: summary.newest,
            octets: Vec::new(),
            waiting: Vec::new(),
            is_broken: false,
            is_closing: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() });
        let (announce, broken) = watch::channel(None);
        let mut batches =
            Batches { shared: Arc::clone(&shared), medium, length: summary.length, last, announce };
        let thread = thread::Builder::new().name("serial log".into()).spawn(move || batches.run())?;
        Ok(Self { shared, thread: Some(thread), broken })
    }

    pub(super) fn append<E>(
        &self,
        make: impl FnOnce(Option<Timestamp>) -> Result<Entry, E>,
    ) -> Result<(Entry, Durable), Refused<E>> {
        let mut state = self.shared.lock();
        if state.is_broken {
            return Err(Refused::Broken);
        }
        let entry = make(state.newest).map_err(Refused::Made)?;
        let number = state.last.number + 1;
        let batch = number - u64::try_from(state.waiting.len()).unwrap_or_default();
        let (line, chain) = line::write(number, batch, &entry, &state.last.chain);
        state.last = Last { number, chain };
        state.newest = state.newest.max(Some(entry.time));
        state.octets.extend_from_slice(line.as_bytes());
        let (sender, receiver) = oneshot::channel();
        state.waiting.push(sender);
        drop(state);
        self.shared.wake.notify_one();
        Ok((entry, Durable(receiver)))
    }

    pub(super) async fn broken(&self) -> String {
        let mut broken = self.broken.clone();
        let reason = broken.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_else(|| "its writer ended".to_owned())
    }
}

/// What is waiting is written before the end.
impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A thread that panicked has changed nothing by halves: each change is one assignment after the other, without a
    /// failure between.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Batches<M> {
    shared: Arc<Shared>,
    medium: M,
    /// Length of what is durable, and its last line.
    length: u64,
    last: Last,
    announce: watch::Sender<Option<String>>,
}

impl<M: Medium> Batches<M> {
    fn run(&mut self) {
        while let Some((octets, waiting, last)) = self.next() {
            if let Err(error) = self.medium.append(&octets) {
                self.give_up(waiting, &error);
                continue;
            }
            if let Err(error) = self.medium.synchronise() {
                // What a failed synchronisation left on the disk is not known; a second one may say that all is well.
                self.end(waiting, &error.to_string());
                return;
            }
            self.length += u64::try_from(octets.len()).unwrap_or_default();
            self.last = last;
            tell(waiting, true);
        }
    }

    /// The next batch; `None` at the end.
    fn next(&self) -> Option<(Vec<u8>, Vec<oneshot::Sender<bool>>, Last)> {
        let state = self.shared.lock();
        let is_idle = |state: &mut State| state.waiting.is_empty() && !state.is_closing && !state.is_broken;
        let mut state = self.shared.wake.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            return None;
        }
        Some((std::mem::take(&mut state.octets), std::mem::take(&mut state.waiting), state.last))
    }

    /// A batch that could not be written, for want of space perhaps: it is taken off again with all that hangs on it, and
    /// the next one is tried as if it had not been.
    fn give_up(&mut self, waiting: Vec<oneshot::Sender<bool>>, error: &io::Error) {
        if let Err(second) = self.medium.cut(self.length) {
            return self.end(waiting, &format!("{error}; and then: {second}"));
        }
        let mut state = self.shared.lock();
        state.last = self.last;
        state.octets.clear();
        let late = std::mem::take(&mut state.waiting);
        drop(state);
        tell(waiting.into_iter().chain(late), false);
    }

    fn end(&mut self, waiting: Vec<oneshot::Sender<bool>>, reason: &str) {
        let mut state = self.shared.lock();
        state.is_broken = true;
        let late = std::mem::take(&mut state.waiting);
        drop(state);
        let _ = self.announce.send(Some(reason.to_owned()));
        tell(waiting.into_iter().chain(late), false);
    }
}

/// Whoever does not wait any more is not told.
fn tell(waiting: impl IntoIterator<Item = oneshot::Sender<bool>>, durable: bool) {
    for sender in waiting {
        let _ = sender.send(durable);
    }
}
