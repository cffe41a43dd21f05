//! Submission (RFC 6409) over TLS: what was protected goes out byte for byte.
//!
//! STARTTLS is negotiated here and not by the SMTP library: answers are read byte by byte, so that whatever an attacker
//! appends to the clear-text answer ends up in the TLS handshake, which then fails, and is never taken for a later answer.
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::Address as ForwardPath;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials as SmtpCredentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::client::TlsStream;

use super::endpoint::{Endpoint, TlsStart};
use super::tls::{PATIENCE, TlsAnchors, connect};
use super::{Credentials, TransportError};
use crate::message::address::Address;

/// What the server said about one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientReply {
    /// The server took responsibility.
    Accepted,
    /// The server refused this recipient, or the message for it.
    Refused {
        /// The server's words.
        reply: String,
        /// Whether trying later may help.
        is_transient: bool,
    },
}

/// An open, authenticated connection to a submission server.
pub struct SmtpSession {
    runtime: Runtime,
    connection: AsyncSmtpConnection,
    server: String,
}

impl SmtpSession {
    /// Connects, makes the connection secure, logs in.
    ///
    /// # Errors
    /// See [`TransportError`]; nothing but EHLO and STARTTLS was sent before the connection was secure.
    pub fn open(
        endpoint: &Endpoint,
        anchors: &TlsAnchors,
        credentials: Option<&Credentials>,
    ) -> Result<Self, TransportError> {
        let runtime = runtime()?;
        let connection = runtime.block_on(open(endpoint, anchors, credentials))?;
        Ok(Self { runtime, connection, server: endpoint.to_string() })
    }

    /// Sends one message to some recipients; answers for each of them, in their order.
    ///
    /// # Errors
    /// The sender or the message as a whole was refused, or the connection broke.
    pub fn send(
        &mut self,
        sender: &Address,
        recipients: &[Address],
        message: &[u8],
    ) -> Result<Vec<RecipientReply>, TransportError> {
        self.runtime.block_on(send(&mut self.connection, &self.server, sender, recipients, message))
    }
}

impl Drop for SmtpSession {
    fn drop(&mut self) {
        // A farewell; the messages are already accepted or not, so its failure changes nothing.
        // The timer is made inside the runtime: outside there is none to make it in.
        let _ = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.connection.quit()).await });
    }
}

pub(super) fn runtime() -> Result<Runtime, TransportError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| TransportError::Storage(format!("the network runtime did not start: {error}")))
}

async fn open(
    endpoint: &Endpoint,
    anchors: &TlsAnchors,
    credentials: Option<&Credentials>,
) -> Result<AsyncSmtpConnection, TransportError> {
    let server = endpoint.to_string();
    let mut stream = connect(endpoint).await?;
    // RFC 5321 section 4.1.4: a client without a name gives its address.
    let hello = match stream.local_addr().map(|address| address.ip()) {
        Ok(std::net::IpAddr::V6(address)) => ClientId::Ipv6(address),
        Ok(std::net::IpAddr::V4(address)) => ClientId::Ipv4(address),
        Err(error) => return Err(TransportError::Unreachable { server, problem: error.to_string() }),
    };
    let greeting = match endpoint.tls {
        TlsStart::Upgrade => start_tls(&mut stream, &hello, &server).await?,
        TlsStart::Immediate => Vec::new(),
    };
    let peer = stream.peer_addr().map_err(|error| TransportError::Unreachable {
        server: server.clone(),
        problem: error.to_string(),
    })?;
    let stream = SecureStream { greeting, secured: anchors.secure(stream, endpoint).await?, peer };
    let mut connection =
        in_time(&server, "greeting", AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello))
            .await?;
    if let Some(credentials) = credentials {
        log_in(&mut connection, &server, credentials).await?;
    }
    Ok(connection)
}

/// Greeting, EHLO, STARTTLS (RFC 3207). Answers the greeting, which the SMTP library wants to see again.
async fn start_tls(
    stream: &mut TcpStream,
    hello: &ClientId,
    server: &str,
) -> Result<Vec<u8>, TransportError> {
    let greeting = clear_reply(stream, server).await?;
    expect_code(&greeting, "220", server)?;
    clear_command(stream, server, &format!("EHLO {hello}\r\n")).await?;
    let capabilities = clear_reply(stream, server).await?;
    expect_code(&capabilities, "250", server)?;
    let offers =
        |line: &str| line.get(4..).is_some_and(|keyword| keyword.trim().eq_ignore_ascii_case("STARTTLS"));
    if !capabilities.lines().skip(1).any(offers) {
        return Err(TransportError::NoStartTls { server: server.to_owned() });
    }
    clear_command(stream, server, "STARTTLS\r\n").await?;
    expect_code(&clear_reply(stream, server).await?, "220", server)?;
    Ok(greeting.into_bytes())
}

fn expect_code(reply: &str, code: &str, server: &str) -> Result<(), TransportError> {
    if reply.starts_with(code) {
        return Ok(());
    }
    Err(TransportError::Refused {
        server: server.to_owned(),
        command: "the connection",
        reply: one_line(reply),
        is_transient: reply.starts_with('4'),
    })
}

async fn clear_command(stream: &mut TcpStream, server: &str, command: &str) -> Result<(), TransportError> {
    stream.write_all(command.as_bytes()).await.map_err(|error| TransportError::Unreachable {
        server: server.to_owned(),
        problem: error.to_string(),
    })
}

/// One reply, perhaps of several lines (RFC 5321 section 4.2.1), and not a byte more.
async fn clear_reply(stream: &mut TcpStream, server: &str) -> Result<String, TransportError> {
    const LONGEST_REPLY: usize = 64 * 1024;
    let protocol = |problem: &str| TransportError::Protocol {
        server: server.to_owned(),
        protocol: "SMTP",
        problem: problem.to_owned(),
    };
    let mut reply = Vec::new();
    let mut line_start = 0;
    let reading = async {
        loop {
            let byte = stream.read_u8().await.map_err(|error| TransportError::Unreachable {
                server: server.to_owned(),
                problem: error.to_string(),
            })?;
            reply.push(byte);
            if reply.len() > LONGEST_REPLY {
                return Err(protocol("an endless reply"));
            }
            if byte == b'\n' {
                let is_last = reply.get(line_start + 3).is_none_or(|&separator| separator != b'-');
                line_start = reply.len();
                if is_last {
                    return Ok(());
                }
            }
        }
    };
    match tokio::time::timeout(PATIENCE, reading).await {
        Err(_) => Err(TransportError::Timeout { server: server.to_owned(), during: "greeting" }),
        Ok(read) => {
            read.and_then(|()| String::from_utf8(reply).map_err(|_| protocol("bytes that are not text")))
        }
    }
}

async fn log_in(
    connection: &mut AsyncSmtpConnection,
    server: &str,
    credentials: &Credentials,
) -> Result<(), TransportError> {
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    if connection.server_info().get_auth_mechanism(&mechanisms).is_none() {
        return Err(TransportError::NoAuthentication { server: server.to_owned() });
    }
    let secret = SmtpCredentials::new(credentials.user.clone(), credentials.password.to_string());
    match tokio::time::timeout(PATIENCE, connection.auth(&mechanisms, &secret)).await {
        Err(_) => Err(TransportError::Timeout { server: server.to_owned(), during: "login" }),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.is_permanent() => Err(TransportError::AuthenticationRefused {
            server: server.to_owned(),
            user: credentials.user.clone(),
            reply: reply_of(&error),
        }),
        Ok(Err(error)) => Err(failure(server, "the login", &error)),
    }
}

async fn send(
    connection: &mut AsyncSmtpConnection,
    server: &str,
    sender: &Address,
    recipients: &[Address],
    message: &[u8],
) -> Result<Vec<RecipientReply>, TransportError> {
    let needs_utf8 = [sender].into_iter().chain(recipients).any(|address| !address.local().is_ascii());
    let mut parameters = Vec::new();
    if needs_utf8 {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(TransportError::Refused {
                server: server.to_owned(),
                command: "an address beyond ASCII",
                reply: "the server does not offer SMTPUTF8 (RFC 6531)".to_owned(),
                is_transient: false,
            });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    command(connection, server, "MAIL FROM", Mail::new(Some(forward_path(sender)), parameters)).await?;
    let mut replies = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        match command(connection, server, "RCPT TO", Rcpt::new(forward_path(recipient), Vec::new())).await {
            Ok(()) => replies.push(RecipientReply::Accepted),
            Err(TransportError::Refused { reply, is_transient, .. }) => {
                replies.push(RecipientReply::Refused { reply, is_transient });
            }
            Err(broken) => return Err(broken),
        }
    }
    if !replies.contains(&RecipientReply::Accepted) {
        command(connection, server, "RSET", Rset).await?;
        return Ok(replies);
    }
    let accepted = match command(connection, server, "DATA", Data).await {
        Ok(()) => {
            let sent = in_time(server, "message", connection.message(without_last_line_end(message))).await;
            sent.map(drop).map_err(|error| unconfirmed(server, error))
        }
        Err(refused) => Err(refused),
    };
    match accepted {
        Ok(()) => Ok(replies),
        Err(TransportError::Refused { reply, is_transient, .. }) => {
            let refused = RecipientReply::Refused { reply, is_transient };
            Ok(replies
                .into_iter()
                .map(|reply| if reply == RecipientReply::Accepted { refused.clone() } else { reply })
                .collect())
        }
        Err(broken) => Err(broken),
    }
}

/// RFC 5321 section 4.5.4.1: whoever gets no answer to the end of DATA cannot know whether the message was taken.
fn unconfirmed(server: &str, error: TransportError) -> TransportError {
    let problem = match error {
        TransportError::Refused { .. } => return error,
        TransportError::Unreachable { problem, .. } | TransportError::Protocol { problem, .. } => problem,
        other => other.to_string(),
    };
    TransportError::Unconfirmed { server: server.to_owned(), problem }
}

async fn command(
    connection: &mut AsyncSmtpConnection,
    server: &str,
    name: &'static str,
    command: impl std::fmt::Display,
) -> Result<(), TransportError> {
    in_time(server, name, connection.command(command)).await.map(|_| ())
}

async fn in_time<T>(
    server: &str,
    during: &'static str,
    answer: impl Future<Output = Result<T, SmtpError>>,
) -> Result<T, TransportError> {
    // RFC 5321 section 4.5.3.2: the end of DATA may take ten minutes.
    let patience = if during == "message" { PATIENCE * 10 } else { PATIENCE };
    match tokio::time::timeout(patience, answer).await {
        Err(_) => Err(TransportError::Timeout { server: server.to_owned(), during }),
        Ok(result) => result.map_err(|error| failure(server, during, &error)),
    }
}

fn failure(server: &str, command: &'static str, error: &SmtpError) -> TransportError {
    let server = server.to_owned();
    if error.status().is_some() {
        TransportError::Refused {
            server,
            command,
            reply: reply_of(error),
            is_transient: error.is_transient(),
        }
    } else if error.is_response() && !error.to_string().contains("incomplete") {
        TransportError::Protocol { server, protocol: "SMTP", problem: one_line(&error.to_string()) }
    } else {
        TransportError::Unreachable { server, problem: one_line(&error.to_string()) }
    }
}

/// The server's own words, with their code, on one line.
fn reply_of(error: &SmtpError) -> String {
    let code = error.status().map(|code| format!("{code} ")).unwrap_or_default();
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    one_line(&format!("{code}{words}"))
}

fn one_line(text: &str) -> String {
    crate::message::terminal_text::safe_line(&text.trim().replace("\r\n", " "))
}

/// The end of DATA brings a line end of its own (RFC 5321 section 4.1.1.4).
fn without_last_line_end(message: &[u8]) -> &[u8] {
    message.strip_suffix(b"\r\n").unwrap_or(message)
}

fn forward_path(address: &Address) -> ForwardPath {
    // Both halves were checked when the address was read; the quotes of a quoted local part belong to the path.
    let text = address.to_string();
    let local = text.rsplit_once('@').map_or(text.as_str(), |(local, _)| local);
    ForwardPath::new_dangerous(local, address.domain())
}

/// The secured connection, with the clear-text greeting in front of it where STARTTLS was used.
#[derive(Debug)]
struct SecureStream {
    greeting: Vec<u8>,
    secured: TlsStream<TcpStream>,
    peer: SocketAddr,
}

impl AsyncTokioStream for SecureStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for SecureStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.secured).poll_read(context, buffer);
        }
        let length = self.greeting.len().min(buffer.remaining());
        let start: Vec<u8> = self.greeting.drain(..length).collect();
        buffer.put_slice(&start);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SecureStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.secured).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.secured).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.secured).poll_shutdown(context)
    }
}
