//! `card-sim run`: put cards into virtual readers and keep them there.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Usage;
use super::passphrase::PassphraseSource;
use super::touch::{Terminal, Touch};
use crate::crypto::KeyPool;
use crate::iso7816::Interface;
use crate::transcript::{Secrets, SharedTrace, Trace, TracedCard};
use crate::transport::{CardInReader, vpcd};

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Insert cards into virtual readers (vpcd) and keep them there
///
/// The first card goes to the reader at --vpcd, the next one to the port after it, and so on. A reader
/// that is not there yet, or goes away, is tried again. Ctrl-C or SIGTERM removes the cards.
#[derive(Args)]
#[command(after_help = "Examples:
  card-sim run alice.card
  card-sim run alice.card --touch ask
  card-sim run alice.card bob.card --vpcd 127.0.0.1:35963 --trace apdus.txt")]
pub(super) struct Run {
    /// The state files
    #[arg(required = true)]
    states: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseSource,
    /// The reader of the first card
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:35963")]
    vpcd: String,
    /// The interface the card is used over; contactless, only what SP 800-73-5 allows there works
    #[arg(long, value_enum, default_value = "contact")]
    interface: InterfaceName,
    /// What happens when a key waits for touch
    #[arg(long, value_enum, default_value = "yes")]
    touch: Touch,
    /// How many RSA-2048 keys are made beforehand, so that cards answer at once when they are asked for one
    #[arg(long, value_name = "N", default_value_t = 1)]
    ready_keys: usize,
    /// Write one line `ready HOST:PORT STATE` to this file descriptor for each card that its reader has seen
    #[arg(long, value_name = "N", value_parser = parse_descriptor)]
    ready_fd: Option<u32>,
    /// Append what passes between reader and card to a transcript for `replay`, secrets hidden; with several cards
    /// once for all of them or once for each
    #[arg(long, value_name = "FILE")]
    trace: Vec<PathBuf>,
    /// Write PINs, keys and decrypted data into the trace, too
    #[arg(long, requires = "trace")]
    trace_secrets: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum InterfaceName {
    Contact,
    Contactless,
}

impl From<InterfaceName> for Interface {
    fn from(name: InterfaceName) -> Self {
        match name {
            InterfaceName::Contact => Self::Contact,
            InterfaceName::Contactless => Self::Contactless,
        }
    }
}

fn parse_descriptor(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "a file descriptor is a number, such as 3".to_owned())
}

impl Run {
    pub(super) fn run(self) -> anyhow::Result<()> {
        require_different(&self.states)?;
        let addresses = addresses(&self.vpcd, self.states.len())?;
        let traces = self.open_traces()?;
        let ready = Arc::new(Ready::open(self.ready_fd)?);
        let cards =
            self.states.iter().map(|state| self.passphrase.open(state)).collect::<Result<Vec<_>, _>>()?;
        let pool = Arc::new(KeyPool::start(self.ready_keys).context("cannot make keys beforehand")?);
        let stop = Arc::new(Stop::default());
        let terminal = Terminal::new();
        stop_on_signals(Arc::clone(&stop), Arc::clone(&terminal))?;
        if self.touch == Touch::Ask {
            terminal.listen(io::stdin());
        }
        let mut threads = Vec::new();
        let is_shared = traces.len() < self.states.len();
        let mut traces = traces.iter().cycle();
        for ((card, address), state) in cards.into_iter().zip(addresses).zip(self.states) {
            let mut card = card.over(self.interface.into()).with_key_pool(Arc::clone(&pool));
            card.set_finger(self.touch.finger(&terminal, &state));
            let card: Box<dyn CardInReader + Send> = match traces.next() {
                Some(trace) => {
                    let reader = is_shared.then(|| address.to_string());
                    Box::new(TracedCard::new(card, reader, Arc::clone(trace)))
                }
                None => Box::new(card),
            };
            let (stop, ready) = (Arc::clone(&stop), Arc::clone(&ready));
            threads.push(thread::spawn(move || Slot { card, address, state, stop, ready }.keep_inserted()));
        }
        let ended = threads.into_iter().map(thread::JoinHandle::join).filter(Result::is_err).count();
        if ended > 0 { Err(anyhow!("{ended} cards ended by a fault of this program")) } else { Ok(()) }
    }

    /// No trace, one for all cards, or one for each.
    fn open_traces(&self) -> anyhow::Result<Vec<SharedTrace>> {
        if !matches!(self.trace.len(), 0 | 1) && self.trace.len() != self.states.len() {
            return Err(Usage::of("--trace: give it once for all cards, or once for each in their order"));
        }
        if self.trace_secrets {
            say(
                "WARNING: --trace-secrets writes PINs, keys and decrypted data into the trace; delete it after use",
            );
        }
        let secrets = if self.trace_secrets { Secrets::Shown } else { Secrets::Hidden };
        self.trace.iter().map(|path| open_trace(path, secrets)).collect()
    }
}

/// A card is in one reader at a time. Said here, for its own lock would blame another process.
fn require_different(states: &[PathBuf]) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    match states.iter().find(|state| state.canonicalize().is_ok_and(|file| !seen.insert(file))) {
        Some(twice) => Err(Usage::of(format!("{}: the same card is named twice", twice.display()))),
        None => Ok(()),
    }
}

/// The readers for `count` cards: successive ports.
fn addresses(first: &str, count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let port = first.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let port = port.ok_or_else(|| Usage::of(format!("--vpcd {first}: write it as HOST:PORT")))?;
    let host = first
        .to_socket_addrs()
        .with_context(|| format!("--vpcd {first}: cannot find the host"))?
        // vpcd listens on IPv4 only.
        .find(SocketAddr::is_ipv4)
        .with_context(|| format!("--vpcd {first}: the host has no IPv4 address"))?
        .ip();
    let ports: Vec<u16> = (port..=u16::MAX).take(count).collect();
    if ports.len() < count {
        return Err(Usage::of(format!("--vpcd {first}: not enough ports after it for {count} cards")));
    }
    Ok(ports.into_iter().map(|port| SocketAddr::new(host, port)).collect())
}

fn open_trace(path: &Path, secrets: Secrets) -> anyhow::Result<SharedTrace> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let unwritable = || format!("--trace {}: cannot write it", path.display());
    require_transcript(path).with_context(unwritable)?;
    let file = options.open(path).with_context(unwritable)?;
    Ok(Trace::new(Box::new(file), secrets))
}

/// Nothing is appended to a file that is something else, least of all to a card.
fn require_transcript(path: &Path) -> anyhow::Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let mut beginning = Vec::new();
    File::open(path)?.take(1).read_to_end(&mut beginning)?;
    match beginning.as_slice() {
        [] | [b'#' | b'@' | b'>' | b'<' | b'\r' | b'\n'] => Ok(()),
        _ => Err(anyhow!("the file is no transcript and was left as it is")),
    }
}

/// Lets the signals that end a program remove the cards first.
fn stop_on_signals(stop: Arc<Stop>, terminal: Arc<Terminal>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot watch for signals")?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            terminal.close();
            stop.request();
        }
    });
    Ok(())
}

/// One card and its reader.
struct Slot {
    card: Box<dyn CardInReader + Send>,
    address: SocketAddr,
    state: PathBuf,
    stop: Arc<Stop>,
    ready: Arc<Ready>,
}

impl Slot {
    /// Connects, serves, and connects again after a growing delay, until told to stop.
    fn keep_inserted(mut self) {
        let mut delay = FIRST_DELAY;
        let mut has_said_waiting = false;
        loop {
            match TcpStream::connect_timeout(&self.address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    if self.serve(&stream) {
                        delay = FIRST_DELAY;
                        has_said_waiting = false;
                    }
                }
                Err(error) if !has_said_waiting => {
                    say(&format!(
                        "{}: no reader at {} yet ({error}); waiting",
                        self.state.display(),
                        self.address
                    ));
                    has_said_waiting = true;
                }
                Err(_) => {}
            }
            if self.stop.wait(delay) {
                return;
            }
            delay = (delay * 2).min(LONGEST_DELAY);
        }
    }

    /// Serves one connection; says whether the reader saw the card in it.
    fn serve(&mut self, stream: &TcpStream) -> bool {
        if !self.stop.watch(stream) {
            return false;
        }
        let mut was_seen = false;
        let (address, state, ready) = (self.address, &self.state, &self.ready);
        let result = vpcd::serve(stream, &mut *self.card, || {
            if !was_seen {
                was_seen = true;
                say(&format!("{}: in the reader at {address}", state.display()));
                ready.announce(address, state);
            }
        });
        self.stop.forget(stream);
        if self.stop.is_requested() {
            say(&format!("{}: removed from the reader at {address}", state.display()));
        } else if was_seen {
            let reason = result.err().map(|error| format!(" ({error})")).unwrap_or_default();
            say(&format!("{}: the reader at {address} went away{reason}; trying again", state.display()));
        }
        was_seen
    }
}

/// Progress for people. A closed terminal is no reason to take a card out.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "card-sim: {text}");
}

/// Where readiness is announced.
struct Ready(Option<Mutex<File>>);

impl Ready {
    fn open(descriptor: Option<u32>) -> anyhow::Result<Self> {
        let Some(number) = descriptor else { return Ok(Self(None)) };
        let file = OpenOptions::new().append(true).open(format!("/dev/fd/{number}"));
        let file =
            file.with_context(|| format!("--ready-fd {number}: cannot write to this file descriptor"))?;
        Ok(Self(Some(Mutex::new(file))))
    }

    fn announce(&self, address: SocketAddr, state: &Path) {
        if let Some(file) = &self.0 {
            let line = format!("ready {address} {}\n", state.display());
            let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        }
    }
}

/// The request to stop, and the connections it must close.
#[derive(Default)]
struct Stop {
    inner: Mutex<StopInner>,
    requested: Condvar,
}

#[derive(Default)]
struct StopInner {
    is_requested: bool,
    connections: Vec<TcpStream>,
}

impl Stop {
    fn request(&self) {
        let mut inner = self.lock();
        inner.is_requested = true;
        for connection in inner.connections.drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        self.requested.notify_all();
    }

    fn is_requested(&self) -> bool {
        self.lock().is_requested
    }

    /// Closes this connection when the request comes; `false` when it came already.
    fn watch(&self, connection: &TcpStream) -> bool {
        let Ok(copy) = connection.try_clone() else { return false };
        let mut inner = self.lock();
        if !inner.is_requested {
            inner.connections.push(copy);
        }
        !inner.is_requested
    }

    fn forget(&self, connection: &TcpStream) {
        let address = connection.local_addr().ok();
        self.lock().connections.retain(|other| other.local_addr().ok() != address);
    }

    /// Waits for the request, at most this long; says whether it came.
    fn wait(&self, delay: Duration) -> bool {
        let result = self.requested.wait_timeout_while(self.lock(), delay, |inner| !inner.is_requested);
        result.unwrap_or_else(PoisonError::into_inner).0.is_requested
    }

    fn lock(&self) -> MutexGuard<'_, StopInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
