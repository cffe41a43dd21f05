//! The wire-tapper: a TCP relay on a free loopback port that passes everything on and keeps a copy.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::Result;

/// Listens on [`Relay::port`] until it is dropped.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
    closing: Arc<AtomicBool>,
}

impl Relay {
    /// Passes connections on to a server on this loopback port.
    pub fn to(server: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let relay =
            Self { port: listener.local_addr()?.port(), seen: Arc::default(), closing: Arc::default() };
        let (seen, closing) = (Arc::clone(&relay.seen), Arc::clone(&relay.closing));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if closing.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
                    // A connection that breaks is the two ends' matter; the copy holds what passed.
                    let _ = pass_both_ways(client, server, &seen);
                }
            }
        });
        Ok(relay)
    }

    /// The port to connect to instead of the server's.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every byte that passed so far, in both directions.
    pub fn seen(&self) -> Vec<u8> {
        self.seen.lock().expect("no holder of the lock panics").clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        // Wakes the listener, so that its thread sees the flag.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn pass_both_ways(client: TcpStream, server: TcpStream, seen: &Arc<Mutex<Vec<u8>>>) -> Result<()> {
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        let seen = Arc::clone(seen);
        thread::spawn(move || {
            let mut buffer = vec![0; 0x4000];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let bytes = buffer.get(..length).unwrap_or_default();
                // Kept before it is passed on: whoever has the answer finds it in the copy.
                seen.lock().expect("no holder of the lock panics").extend_from_slice(bytes);
                if to.write_all(bytes).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
