//! A relay between a client and a server of LDAP that reads the client's requests and may do something about them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is done with a request.
pub enum Verdict {
    /// The server gets it.
    Pass,
    /// The client is told that it was done; the server never hears of it.
    Swallow,
    /// The connection ends.
    Cut,
}

/// The tag of a request's operation (RFC 4511 section 4.2 and on).
pub const MODIFY: u8 = 0x66;
pub const ADD: u8 = 0x68;
pub const SEARCH: u8 = 0x63;

type Judge = Box<dyn FnMut(u8) -> Verdict + Send>;

/// Listens on loopback, for as long as the test lives; answers the port.
pub fn between(server: u16, judge: impl FnMut(u8) -> Verdict + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let judge: Arc<Mutex<Judge>> = Arc::new(Mutex::new(Box::new(judge)));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server))) else {
                return;
            };
            let judge = Arc::clone(&judge);
            std::thread::spawn(move || converse(client, server, &judge));
        }
    });
    port
}

fn converse(mut client: TcpStream, mut server: TcpStream, judge: &Mutex<Judge>) {
    let (mut back, mut answers) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut answers);
        let _ = answers.shutdown(std::net::Shutdown::Both);
    });
    while let Some(message) = message(&mut client) {
        // A message number of one to four octets, then the operation.
        let header = if message[1] < 0x80 { 2 } else { 2 + usize::from(message[1] & 0x7F) };
        let number = &message[header..header + 2 + usize::from(message[header + 1])];
        let operation = message[header + number.len()];
        match (judge.lock().unwrap())(operation) {
            Verdict::Pass => server.write_all(&message).unwrap_or_default(),
            Verdict::Swallow => {
                let done = [&[operation + 1, 7][..], b"\x0A\x01\x00\x04\x00\x04\x00"].concat();
                let length = u8::try_from(number.len() + done.len()).unwrap();
                client.write_all(&[&[0x30, length], number, &done].concat()).unwrap_or_default();
            }
            Verdict::Cut => break,
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = server.shutdown(std::net::Shutdown::Both);
}

/// One `LDAPMessage`, whole.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = vec![0; 2];
    stream.read_exact(&mut message).ok()?;
    let mut length = usize::from(message[1]);
    if length >= 0x80 {
        let mut long = vec![0; length & 0x7F];
        stream.read_exact(&mut long).ok()?;
        length = long.iter().fold(0, |value, octet| value << 8 | usize::from(*octet));
        message.extend(long);
    }
    let mut contents = vec![0; length];
    stream.read_exact(&mut contents).ok()?;
    message.extend(contents);
    Some(message)
}
