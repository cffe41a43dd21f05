//! A submission server for any number of connections, one after the other, that keeps what it takes.
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Connection, authority};

/// What the server is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// Take mail for this address.
    Recipient(&'a str),
    /// Take a message for this address; the server has it.
    Message(&'a str),
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It agrees.
    Yes,
    /// It says this.
    Say(&'static str),
    /// It goes away without a word.
    HangUp,
}

/// The server; its thread ends with the test program.
pub(crate) struct Sink {
    pub(crate) port: u16,
    /// Address and message.
    taken: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    /// Asks `reply` each time; it may take its time.
    pub(crate) fn start(mut reply: impl FnMut(Asked<'_>) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::default();
        let list = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = converse(stream.unwrap(), &list, &mut reply);
            }
        });
        Self { port, taken }
    }

    /// The CA of its certificate, PEM.
    pub(crate) fn anchor() -> &'static [u8] {
        &authority().anchor
    }

    /// How often it has a message for this address.
    pub(crate) fn count(&self, address: &str) -> usize {
        self.taken.lock().unwrap().iter().filter(|taken| *taken == address).count()
    }
}

/// `None` when the client goes away, or we do.
fn converse(
    stream: TcpStream,
    taken: &Mutex<Vec<String>>,
    reply: &mut impl FnMut(Asked<'_>) -> Reply,
) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let mut connection = Connection::Clear(stream);
    connection.say("220 sink ESMTP\r\n").ok()?;
    let mut recipient = String::new();
    loop {
        let line = String::from_utf8_lossy(&connection.until(b"\r\n")?).into_owned();
        let is_secure = matches!(connection, Connection::Secure(_));
        let answer = match line.split([' ', '\r']).next()? {
            "EHLO" if is_secure => "250-sink\r\n250 AUTH PLAIN LOGIN\r\n",
            "EHLO" => "250-sink\r\n250 STARTTLS\r\n",
            "STARTTLS" => {
                connection.say("220 go ahead\r\n").ok()?;
                connection = connection.secured(authority().server_config());
                continue;
            }
            "AUTH" => "235 welcome\r\n",
            "RCPT" => {
                recipient = line.split(['<', '>']).nth(1)?.to_owned();
                said(reply(Asked::Recipient(&recipient)))?
            }
            "DATA" => {
                connection.say("354 go\r\n").ok()?;
                connection.until(b"\r\n.\r\n")?;
                taken.lock().unwrap().push(recipient.clone());
                said(reply(Asked::Message(&recipient)))?
            }
            "QUIT" => {
                connection.say("221 bye\r\n").ok()?;
                return Some(());
            }
            _ => "250 ok\r\n",
        };
        connection.say(answer).ok()?;
    }
}

fn said(reply: Reply) -> Option<&'static str> {
    match reply {
        Reply::Yes => Some("250 ok\r\n"),
        Reply::Say(words) => Some(words),
        Reply::HangUp => None,
    }
}
