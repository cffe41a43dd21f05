//! Ctrl-C and SIGTERM: the first stops a batch after the step in hand, and says so at once; the second ends the program. When
//! the batch is over they mean what they did before.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use middleware::secret_source::Minded;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use signal_hook::{SigId, flag};

use crate::desk::failure::Failure;

/// Whether somebody wants the batch to stop.
pub struct Stop {
    wanted: Arc<AtomicBool>,
    /// Has an octet for each signal.
    heard: UnixStream,
    registered: Vec<SigId>,
    /// A passphrase may have been typed, and then they would end the program at once.
    _minded: Minded,
}

const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

impl Stop {
    /// Watches for signals.
    ///
    /// # Errors
    /// They cannot be watched.
    pub fn on_signals() -> Result<Self, Failure> {
        Self::watch().map_err(|error| Failure::new("io", format!("signals cannot be watched: {error}")))
    }

    fn watch() -> io::Result<Self> {
        let wanted = Arc::new(AtomicBool::new(false));
        let (heard, told) = UnixStream::pair()?;
        let mut registered = Vec::new();
        let minded = Minded::new(&SIGNALS);
        for signal in SIGNALS {
            registered.push(flag::register_conditional_shutdown(signal, 130, Arc::clone(&wanted))?);
            registered.push(flag::register(signal, Arc::clone(&wanted))?);
            registered.push(pipe::register(signal, told.try_clone()?)?);
        }
        Ok(Self { wanted, heard, registered, _minded: minded })
    }

    /// Set by the first signal, for whoever works.
    pub fn flag(&self) -> &AtomicBool {
        &self.wanted
    }

    /// Whether somebody does.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Says something as soon as somebody does; nothing if nobody does before the batch has ended.
    ///
    /// # Errors
    /// Nobody can listen.
    pub fn then(&self, say: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
        let listening = self.heard.try_clone().and_then(|mut heard| {
            std::thread::Builder::new().spawn(move || {
                if matches!(heard.read(&mut [0]), Ok(1)) {
                    say();
                }
            })
        });
        let failed = |error| Failure::new("io", format!("signals cannot be watched: {error}"));
        listening.map(drop).map_err(failed)
    }
}

/// Whoever listens hears the end.
impl Drop for Stop {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            unregister(id);
        }
    }
}
