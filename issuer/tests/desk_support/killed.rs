//! A run in a process of its own that ends itself with SIGKILL at the moment it was told.
//!
//! Such a run is a test that does nothing without an order. Whoever orders it begins with the first moment and goes on to
//! the second and so on, until the run gets through.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// The moment, then what the run works on, a line each.
const ORDER: &str = "SEALWRIGHT_TEST_RUN_TO_KILL";

/// What a run was told.
pub struct Order {
    pub words: Vec<String>,
    moment: usize,
    passed: AtomicUsize,
}

impl Order {
    /// What this process was told, if it is such a run.
    pub fn received() -> Option<Self> {
        let order = std::env::var(ORDER).ok()?;
        let mut lines = order.split('\n').map(str::to_owned);
        let moment = lines.next().unwrap().parse().unwrap();
        Some(Self { words: lines.collect(), moment, passed: AtomicUsize::new(0) })
    }

    /// A moment has come: it is the last if it is the one that was ordered.
    pub fn pass(&self) {
        if self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.moment {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    }
}

/// Starts the run with the name of its test; answers whether it got to its end before the moment.
pub fn gets_through(run: &str, moment: usize, words: &[&str]) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", run, "--nocapture"])
        .env(ORDER, format!("{moment}\n{}", words.join("\n")))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    match (output.status.signal(), output.status.success()) {
        (Some(9), _) => false,
        (None, true) => true,
        _ => panic!(
            "moment {moment}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
