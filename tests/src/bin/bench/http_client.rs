//! Requests over one connection that stays open.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Wall time for one answer when so many clients ask, each for its next when it has the last; each sends the requests by
/// turns.
pub(crate) fn by_many(
    address: &str,
    clients: usize,
    requests: &[Vec<u8>],
    times_each: usize,
) -> Result<Duration> {
    let start = Instant::now();
    thread::scope(|scope| {
        let asking: Vec<_> = (0..clients)
            .map(|client| {
                let mine = requests.iter().cycle().skip(client * 97).take(times_each);
                scope.spawn(move || Client::connect(address)?.ask_all(mine))
            })
            .collect();
        asking.into_iter().try_for_each(|client| client.join().ok().context("a client panicked")?)
    })?;
    Ok(start.elapsed() / u32::try_from(clients * times_each)?)
}

/// One answer's body.
pub(crate) fn once(address: &str, request: &[u8]) -> Result<Vec<u8>> {
    Client::connect(address)?.ask(request)
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    fn ask_all<'a>(&mut self, requests: impl Iterator<Item = &'a Vec<u8>>) -> Result<()> {
        for request in requests {
            self.ask(request)?;
        }
        Ok(())
    }

    fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0; 8192];
        loop {
            let length = self.stream.read(&mut chunk)?;
            ensure!(length > 0, "the service closed the connection");
            self.buffer
                .extend_from_slice(chunk.get(..length).context("a read is no longer than its buffer")?);
            let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let (head, body) = self.buffer.split_at(end + 4);
            let head = std::str::from_utf8(head)?.to_lowercase();
            ensure!(head.starts_with("http/1.1 200"), "the service answered {head}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.context("no content-length")?.parse::<usize>()? {
                return Ok(body.to_vec());
            }
        }
    }
}
