//! A server in namespaces of its own, all of whose processes end with it.

use std::path::Path;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};

use crate::privilege::Root;
use crate::process::{Run, Server, wait_until};

/// A program that is process 1 of a pid namespace: when it is killed the kernel ends everything it started.
#[derive(Debug)]
pub struct Enclosed {
    server: Server,
    inner: Pid,
}

impl Enclosed {
    /// Starts `program` by `unshare` with these further namespaces (`--mount`, `--net`).
    pub fn start(_: Root, namespaces: &[&str], program: &[&str], log: &Path) -> Result<Self> {
        let unshare = Run::new("unshare").args(namespaces).args(["--pid", "--fork", "--kill-child"]);
        let server = unshare.args(program).serve(log)?;
        let mut inner = None;
        wait_until("unshare has started its program", || {
            inner = child_of(server.pid())?;
            Ok(inner.is_some())
        })?;
        Ok(Self { server, inner: inner.context("the condition above held")? })
    }

    /// The program's process id outside its namespace.
    pub fn inner(&self) -> Pid {
        self.inner
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(rustix::process::kill_process(self.inner, signal)?)
    }

    /// Waits until `ready` says so.
    pub fn wait_until(&mut self, what: &str, ready: impl FnMut() -> Result<bool>) -> Result<()> {
        self.server.wait_until(what, ready)
    }
}

impl Drop for Enclosed {
    fn drop(&mut self) {
        // Not the pid of `unshare`: with --fork it ignores SIGTERM, and killed it would leave the rest to the kernel.
        let _ = rustix::process::kill_process(self.inner, Signal::KILL);
        let _ = wait_until("the namespace has ended", || Ok(self.server.alive().is_err()));
    }
}

fn child_of(parent: Pid) -> Result<Option<Pid>> {
    let number = parent.as_raw_nonzero();
    let children =
        std::fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap_or_default();
    let Some(first) = children.split_whitespace().next() else { return Ok(None) };
    Ok(Pid::from_raw(first.parse()?))
}
