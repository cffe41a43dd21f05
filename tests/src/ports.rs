//! Free loopback ports.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex};

use anyhow::{Context, Result};

static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A loopback port that was free a moment ago and that this process has not handed out before.
///
/// Another process may still take it: a server whose start fails is started again with new ports.
pub fn free_port() -> Result<u16> {
    let mut given = GIVEN.lock().expect("no holder of the lock panics");
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a loopback port")?;
        let port = listener.local_addr()?.port();
        if given.insert(port) {
            return Ok(port);
        }
    }
}
