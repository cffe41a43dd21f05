//! New messages by UID (RFC 9051). The mailbox is only examined: nothing is deleted, no flag is changed.
//!
//! As for SMTP, STARTTLS answers are read byte by byte, so that nothing sent in the clear is taken for a later answer.
use async_imap::error::Error as ImapError;
use async_imap::types::Fetch;
use async_imap::{Client, Session};
use futures_util::TryStreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::endpoint::{Endpoint, TlsStart};
use super::metered::{Allowance, Metered};
use super::smtp::runtime;
use super::tls::{PATIENCE, TlsAnchors, connect};
use super::{Credentials, TransportError};
use crate::message::MAXIMUM_MESSAGE_BYTES;
use crate::message::terminal_text::safe_line;

/// How far a mailbox was read (RFC 9051 section 2.3.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// UIDs mean something only under the same validity.
    pub uid_validity: u32,
    /// The highest UID that was stored.
    pub last_uid: u32,
}

/// One message on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMessage {
    /// The mailbox's UIDVALIDITY.
    pub uid_validity: u32,
    /// The message's UID.
    pub uid: u32,
    /// The message.
    pub content: Vec<u8>,
    /// Where to go on when it is stored.
    pub position: Position,
}

/// What became of a mailbox visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Where to go on next time.
    pub position: Position,
    /// UIDs of messages too large to take.
    pub too_large: Vec<u32>,
    /// UIDs of messages that are there but were not handed out; the position stays before the first of them.
    pub unavailable: Vec<u32>,
}

/// Takes every message after `from` out of INBOX, in order of UID, and hands each to `store` before the next is asked for.
/// Messages of which `is_known` knows validity and UID are left out.
///
/// # Errors
/// See [`TransportError`]; an error of `store` ends the visit. What was stored before stays stored.
pub fn fetch_new(
    endpoint: &Endpoint,
    anchors: &TlsAnchors,
    credentials: &Credentials,
    from: Option<Position>,
    is_known: &dyn Fn(u32, u32) -> bool,
    store: &mut dyn FnMut(RemoteMessage) -> Result<(), TransportError>,
) -> Result<Visit, TransportError> {
    runtime()?.block_on(async {
        let server = Server { name: endpoint.to_string(), allowance: Allowance::new(LONGEST_ANSWER) };
        let mut session = log_in(endpoint, anchors, credentials, &server.allowance).await?;
        let visit = visit(&mut session, &server, from, is_known, store).await;
        // A farewell; everything wanted is already stored.
        let _ = tokio::time::timeout(PATIENCE, session.logout()).await;
        visit
    })
}

type SecureSession = Session<Metered<TlsStream<TcpStream>>>;

/// The most that a server may send as one answer, whatever size it announced.
const LONGEST_ANSWER: usize = MAXIMUM_MESSAGE_BYTES + 1024 * 1024;

/// The server's name for messages, and how much it may send.
struct Server {
    name: String,
    allowance: Allowance,
}

async fn log_in(
    endpoint: &Endpoint,
    anchors: &TlsAnchors,
    credentials: &Credentials,
    allowance: &Allowance,
) -> Result<SecureSession, TransportError> {
    let server = endpoint.to_string();
    let mut stream = connect(endpoint).await?;
    if endpoint.tls == TlsStart::Upgrade {
        start_tls(&mut stream, &server).await?;
    }
    let stream = anchors.secure(stream, endpoint).await?;
    let mut client = Client::new(Metered::new(stream, allowance.clone()));
    if endpoint.tls == TlsStart::Immediate {
        let greeting = tokio::time::timeout(PATIENCE, client.read_response()).await;
        match greeting {
            Err(_) => return Err(TransportError::Timeout { server, during: "greeting" }),
            Ok(Err(error)) => return Err(failure(&server, "the connection", &ImapError::Io(error))),
            Ok(Ok(None)) => return Err(failure(&server, "the connection", &ImapError::ConnectionLost)),
            Ok(Ok(Some(_))) => {}
        }
    }
    match tokio::time::timeout(PATIENCE, client.login(&credentials.user, credentials.password.as_str())).await
    {
        Err(_) => Err(TransportError::Timeout { server, during: "login" }),
        Ok(Ok(session)) => Ok(session),
        Ok(Err((ImapError::No(reply), _))) => Err(TransportError::AuthenticationRefused {
            server,
            user: credentials.user.clone(),
            reply: words_of(&reply),
        }),
        Ok(Err((ImapError::Validate(_), _))) => Err(TransportError::AuthenticationRefused {
            server,
            user: credentials.user.clone(),
            reply: "a user name or password with a line end in it cannot be sent".to_owned(),
        }),
        Ok(Err((error, _))) => Err(failure(&server, "the login", &error)),
    }
}

/// Greeting and STARTTLS (RFC 9051 section 6.2.1), not a byte more than the answers.
async fn start_tls(stream: &mut TcpStream, server: &str) -> Result<(), TransportError> {
    let unreachable = |error: std::io::Error| TransportError::Unreachable {
        server: server.to_owned(),
        problem: error.to_string(),
    };
    let greeting = clear_line(stream, server).await?;
    if !greeting.to_ascii_uppercase().starts_with("* OK") {
        return Err(TransportError::Refused {
            server: server.to_owned(),
            command: "the connection",
            reply: safe_line(&greeting),
            is_transient: true,
        });
    }
    stream.write_all(b"tls STARTTLS\r\n").await.map_err(unreachable)?;
    loop {
        let line = clear_line(stream, server).await?;
        let Some(answer) = line.strip_prefix("tls ") else { continue };
        if answer.to_ascii_uppercase().starts_with("OK") {
            return Ok(());
        }
        return Err(TransportError::NoStartTls { server: server.to_owned() });
    }
}

async fn clear_line(stream: &mut TcpStream, server: &str) -> Result<String, TransportError> {
    const LONGEST_LINE: usize = 8 * 1024;
    let reading = async {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") && line.len() < LONGEST_LINE {
            line.push(stream.read_u8().await?);
        }
        Ok::<_, std::io::Error>(line)
    };
    match tokio::time::timeout(PATIENCE, reading).await {
        Err(_) => Err(TransportError::Timeout { server: server.to_owned(), during: "greeting" }),
        Ok(Err(error)) => {
            Err(TransportError::Unreachable { server: server.to_owned(), problem: error.to_string() })
        }
        Ok(Ok(line)) => Ok(String::from_utf8_lossy(&line).into_owned()),
    }
}

async fn visit(
    session: &mut SecureSession,
    server: &Server,
    from: Option<Position>,
    is_known: &dyn Fn(u32, u32) -> bool,
    store: &mut dyn FnMut(RemoteMessage) -> Result<(), TransportError>,
) -> Result<Visit, TransportError> {
    let mailbox = in_time(server, "opening INBOX", session.examine("INBOX")).await?;
    let uid_validity = mailbox.uid_validity.ok_or_else(|| TransportError::Protocol {
        server: server.name.clone(),
        protocol: "IMAP",
        problem: "it keeps no UIDVALIDITY for INBOX".to_owned(),
    })?;
    let last_uid = from.filter(|known| known.uid_validity == uid_validity).map_or(0, |known| known.last_uid);
    let mut visit = Visit { position: Position { uid_validity, last_uid }, ..Visit::default() };
    if mailbox.exists == 0 {
        return Ok(visit);
    }
    for (uid, size) in sizes_after(session, server, last_uid).await? {
        let outcome = if size > MAXIMUM_MESSAGE_BYTES {
            visit.too_large.push(uid);
            Content::Gone
        } else if is_known(uid_validity, uid) {
            Content::Gone
        } else {
            content(session, server, uid).await?
        };
        if matches!(outcome, Content::Unavailable) {
            visit.unavailable.push(uid);
        }
        if visit.unavailable.is_empty() {
            visit.position.last_uid = uid;
        }
        if let Content::Here(content) = outcome {
            store(RemoteMessage { uid_validity, uid, content, position: visit.position })?;
        }
    }
    Ok(visit)
}

async fn sizes_after(
    session: &mut SecureSession,
    server: &Server,
    last_uid: u32,
) -> Result<Vec<(u32, usize)>, TransportError> {
    let range = format!("{}:*", last_uid.saturating_add(1));
    let listing = async {
        let answers = session.uid_fetch(range, "(UID RFC822.SIZE)").await?;
        answers.try_collect::<Vec<_>>().await
    };
    let answers = in_time(server, "listing INBOX", listing).await?;
    // The library ends a list in silence when the connection breaks: ask whether it still stands.
    in_time(server, "NOOP", session.noop()).await?;
    let mut sizes: Vec<(u32, usize)> = answers
        .iter()
        .filter_map(|answer| Some((answer.uid?, usize::try_from(answer.size?).ok()?)))
        // "n:*" always names the last message, even one below n (RFC 9051 section 6.4.9).
        .filter(|&(uid, _)| uid > last_uid)
        .collect();
    sizes.sort_unstable();
    sizes.dedup_by_key(|&mut (uid, _)| uid);
    Ok(sizes)
}

/// What became of one message.
enum Content {
    Here(Vec<u8>),
    /// Nothing to take, or removed meanwhile; never because the server or the connection failed.
    Gone,
    /// Still there, but not handed out.
    Unavailable,
}

async fn content(session: &mut SecureSession, server: &Server, uid: u32) -> Result<Content, TransportError> {
    let answers = in_time(server, "message", fetch_one(session, uid, "(UID BODY.PEEK[])")).await?;
    let message = answers.iter().find(|answer| answer.uid == Some(uid)).and_then(|answer| answer.body());
    if let Some(message) = message {
        return Ok(Content::Here(message.to_vec()));
    }
    in_time(server, "NOOP", session.noop()).await?;
    let still_there = in_time(server, "FETCH", fetch_one(session, uid, "(UID)")).await?;
    if still_there.iter().any(|answer| answer.uid == Some(uid)) {
        return Ok(Content::Unavailable);
    }
    in_time(server, "NOOP", session.noop()).await?;
    Ok(Content::Gone)
}

async fn fetch_one(session: &mut SecureSession, uid: u32, items: &str) -> Result<Vec<Fetch>, ImapError> {
    let answers = session.uid_fetch(uid.to_string(), items).await?;
    answers.try_collect().await
}

async fn in_time<T>(
    server: &Server,
    during: &'static str,
    answer: impl Future<Output = Result<T, ImapError>>,
) -> Result<T, TransportError> {
    server.allowance.renew();
    let patience = if during == "message" { PATIENCE * 10 } else { PATIENCE };
    match tokio::time::timeout(patience, answer).await {
        Err(_) => Err(TransportError::Timeout { server: server.name.clone(), during }),
        Ok(result) => result.map_err(|error| failure(&server.name, during, &error)),
    }
}

fn failure(server: &str, command: &'static str, error: &ImapError) -> TransportError {
    let server = server.to_owned();
    match error {
        ImapError::No(reply) | ImapError::Bad(reply) => {
            TransportError::Refused { server, command, reply: words_of(reply), is_transient: true }
        }
        ImapError::Io(problem) if problem.kind() == std::io::ErrorKind::FileTooLarge => {
            TransportError::Protocol { server, protocol: "IMAP", problem: safe_line(&problem.to_string()) }
        }
        // The library's parser fails this way, with its whole input in its words.
        ImapError::Io(problem) if !is_of_the_connection(problem) => not_understood(server),
        ImapError::Io(problem) => {
            TransportError::Unreachable { server, problem: safe_line(&problem.to_string()) }
        }
        ImapError::ConnectionLost => {
            TransportError::Unreachable { server, problem: "the connection was lost".to_owned() }
        }
        _ => not_understood(server),
    }
}

fn not_understood(server: String) -> TransportError {
    TransportError::Protocol { server, protocol: "IMAP", problem: "it cannot be understood".to_owned() }
}

fn is_of_the_connection(problem: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    let kind = problem.kind();
    problem.raw_os_error().is_some()
        || !matches!(kind, ErrorKind::Other | ErrorKind::InvalidData | ErrorKind::InvalidInput)
}

/// The human words in `code: ..., info: Some("words")`, which is how the IMAP library hands them over.
fn words_of(reply: &str) -> String {
    let words = reply
        .split_once("info: Some(\"")
        .and_then(|(_, rest)| rest.rsplit_once("\")"))
        .map(|(words, _)| words);
    safe_line(words.unwrap_or(reply))
}
