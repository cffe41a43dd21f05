//! One connection to the configured server, and questions one after the other.
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::message::{self, Entry, Operation, Outcome, Search};
use super::url::{LdapUrl, Security};
use crate::message::terminal_text::safe_line;
use crate::readers::error::ReadersError;
use crate::transport::tls::handshake_in_words;

const CONNECT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);
/// The most octets that are read from one connection.
const MOST_OCTETS: u64 = 256 << 20;

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A connection that was bound.
pub struct Client {
    wire: Wire,
    last_id: u32,
}

/// Messages out and in.
struct Wire {
    stream: Box<dyn Stream>,
    server: String,
    left: u64,
}

impl Client {
    /// Connects, makes the connection secure where it leaves this computer, and binds anonymously.
    ///
    /// # Errors
    /// The server does not answer, is not ours, or refuses.
    pub fn connect(url: &LdapUrl, tls: &Arc<ClientConfig>) -> Result<Self, ReadersError> {
        let server = url.to_string();
        let unreachable = |problem: String| ReadersError::Unreachable { server: server.clone(), problem };
        let stream = connected(url).map_err(|problem| unreachable(problem.to_string()))?;
        let stream: Box<dyn Stream> = match url.security {
            Security::Loopback => Box::new(stream),
            Security::Immediate => Box::new(secured(url, tls, stream)?),
            Security::Upgrade => {
                let plain = stream.try_clone().map_err(|problem| unreachable(problem.to_string()))?;
                let mut plain = Wire { stream: Box::new(plain), server: server.clone(), left: MOST_OCTETS };
                plain.send(&message::start_tls(1))?;
                let outcome = plain.result(1)?;
                plain.success(&outcome)?;
                Box::new(secured(url, tls, stream)?)
            }
        };
        let mut client = Self { wire: Wire { stream, server, left: MOST_OCTETS }, last_id: 1 };
        let id = client.next_id();
        client.wire.send(&message::bind(id))?;
        let outcome = client.wire.result(id)?;
        client.wire.success(&outcome)?;
        Ok(client)
    }

    /// Everything that is found; `None` where the base does not exist.
    ///
    /// # Errors
    /// The server does not answer, or refuses, or answers more than was asked for.
    pub fn search(&mut self, search: &Search<'_>) -> Result<Option<Vec<Entry>>, ReadersError> {
        let id = self.next_id();
        self.wire.send(&message::search(id, search))?;
        let mut found = Vec::new();
        loop {
            match self.wire.answer(id)? {
                Operation::Entry(entry) if found.len() < search.most as usize => found.push(entry),
                Operation::Entry(_) => return Err(self.wire.bad("it has more entries than were asked for")),
                Operation::Reference => {}
                Operation::Result(Outcome { code: NO_SUCH_OBJECT, .. }) => return Ok(None),
                // With as many as were asked for there may be more, which is known then.
                Operation::Result(Outcome { code: SIZE_LIMIT_EXCEEDED, .. }) => return Ok(Some(found)),
                Operation::Result(outcome) => return self.wire.success(&outcome).map(|()| Some(found)),
            }
        }
    }

    fn next_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1) & 0x7FFF_FFFF;
        self.last_id
    }
}

impl Wire {
    fn send(&mut self, octets: &[u8]) -> Result<(), ReadersError> {
        let sent = self.stream.write_all(octets).and_then(|()| self.stream.flush());
        sent.map_err(|problem| self.broken(&problem))
    }

    fn result(&mut self, id: u32) -> Result<Outcome, ReadersError> {
        match self.answer(id)? {
            Operation::Result(outcome) => Ok(outcome),
            _ => Err(self.bad("it is no answer to what was asked")),
        }
    }

    fn answer(&mut self, id: u32) -> Result<Operation, ReadersError> {
        let mut octets = Vec::new();
        let length = loop {
            if let Some(length) = message::length(&octets).map_err(|problem| self.bad(problem))? {
                break length;
            }
            self.read_on(&mut octets, 1)?;
        };
        self.left = self
            .left
            .checked_sub(length as u64)
            .ok_or_else(|| self.bad("it sends more than is read in one go"))?;
        let missing = length.saturating_sub(octets.len());
        self.read_on(&mut octets, missing)?;
        let answer = message::read(&octets).map_err(|problem| self.bad(problem))?;
        // Message 0 says that the server will hang up (section 4.4.1).
        if answer.id != id {
            return Err(self.bad("it is no answer to what was asked"));
        }
        Ok(answer.operation)
    }

    fn read_on(&mut self, octets: &mut Vec<u8>, count: usize) -> Result<(), ReadersError> {
        let start = octets.len();
        octets.resize(start + count, 0);
        let rest = octets.get_mut(start..).unwrap_or_default();
        self.stream.read_exact(rest).map_err(|problem| self.broken(&problem))
    }

    fn success(&self, outcome: &Outcome) -> Result<(), ReadersError> {
        if outcome.code == 0 {
            return Ok(());
        }
        let message: String = safe_line(&outcome.diagnostic).chars().take(200).collect();
        let message = if message.is_empty() { "it does not say why".to_owned() } else { message };
        Err(ReadersError::Refused { server: self.server.clone(), code: outcome.code, message })
    }

    fn bad(&self, problem: &'static str) -> ReadersError {
        ReadersError::BadAnswer { server: self.server.clone(), problem }
    }

    fn broken(&self, problem: &io::Error) -> ReadersError {
        let problem = match problem.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("it did not answer within {} seconds", PATIENCE.as_secs())
            }
            io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => problem.to_string(),
        };
        ReadersError::Unreachable { server: self.server.clone(), problem }
    }
}

const SIZE_LIMIT_EXCEEDED: u32 = 4;
const NO_SUCH_OBJECT: u32 = 32;

impl Drop for Client {
    fn drop(&mut self) {
        let id = self.next_id();
        // The server sees the end of the connection in any case.
        let _ = self.wire.send(&message::unbind(id));
    }
}

/// TLS with the handshake finished, so that what is wrong with it is told as such.
fn secured(
    url: &LdapUrl,
    tls: &Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<StreamOwned<ClientConnection, TcpStream>, ReadersError> {
    let unreachable = |problem: String| ReadersError::Unreachable { server: url.to_string(), problem };
    let name = ServerName::try_from(url.host.clone())
        .map_err(|_| unreachable("its host is no name that a certificate can carry".to_owned()))?;
    let connection =
        ClientConnection::new(Arc::clone(tls), name).map_err(|problem| unreachable(problem.to_string()))?;
    let mut secured = StreamOwned::new(connection, stream);
    while secured.conn.is_handshaking() {
        secured
            .conn
            .complete_io(&mut secured.sock)
            .map_err(|problem| unreachable(handshake_in_words(&problem)))?;
    }
    Ok(secured)
}

/// The first address that takes the connection.
fn connected(url: &LdapUrl) -> io::Result<TcpStream> {
    let mut last = io::Error::other("its name has no address");
    for address in (url.host.as_str(), url.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(problem) => last = problem,
        }
    }
    Err(last)
}
