//! What stands between the client and the server: a limit to octets, and the TLS.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

use super::{LdapTrouble, MOST_OCTETS, Protection, Server, start_tls};

const LONGEST_CONNECT: Duration = Duration::from_secs(15);

/// Connects, and passes octets on in both directions until there were too many; answers why it ended, if not by itself.
pub(super) async fn connect(
    server: &Server,
    inside: UnixStream,
) -> Result<JoinHandle<Option<LdapTrouble>>, LdapTrouble> {
    if server.url.scheme() == "ldapi" {
        let path = percent_encoding::percent_decode_str(server.url.host_str().unwrap_or_default());
        let path = path.decode_utf8_lossy().into_owned();
        let outside = UnixStream::connect(&path).await.map_err(|error| unreachable(&error))?;
        return Ok(tokio::spawn(relay(inside, outside)));
    }
    let host = server.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let usual = if matches!(server.protection, Protection::Tls(_)) { 636 } else { 389 };
    let port = server.url.port().unwrap_or(usual);
    let mut outside =
        in_time(TcpStream::connect((host.as_str(), port))).await?.map_err(|error| unreachable(&error))?;
    // Requests are small and each is waited for.
    let _ = outside.set_nodelay(true);
    match &server.protection {
        Protection::None => Ok(tokio::spawn(relay(inside, outside))),
        Protection::Tls(config) => Ok(tokio::spawn(relay(inside, secured(config, host, outside).await?))),
        Protection::StartTls(config) => {
            in_time(agree(&mut outside)).await??;
            Ok(tokio::spawn(relay(inside, secured(config, host, outside).await?)))
        }
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, LdapTrouble> {
    tokio::time::timeout(LONGEST_CONNECT, work).await.map_err(|_| unreachable(&"it does not answer"))
}

async fn secured(
    config: &Arc<ClientConfig>,
    host: String,
    outside: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, LdapTrouble> {
    let name = ServerName::try_from(host).map_err(|error| unreachable(&error))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    in_time(connector.connect(name, outside)).await?.map_err(|error| unreachable(&error))
}

/// Asks for TLS. The answer is read to its last octet and no further: what a stranger adds in the clear is taken for TLS,
/// and is none.
async fn agree(outside: &mut TcpStream) -> Result<(), LdapTrouble> {
    outside.write_all(start_tls::REQUEST).await.map_err(|error| unreachable(&error))?;
    let mut answer = Vec::new();
    loop {
        answer.push(outside.read_u8().await.map_err(|error| unreachable(&error))?);
        if let Some(judged) = start_tls::read_answer(&answer) {
            return judged;
        }
    }
}

fn unreachable(error: &dyn std::fmt::Display) -> LdapTrouble {
    LdapTrouble::Unreachable(format!("the directory cannot be reached: {error}"))
}

async fn relay(inside: UnixStream, outside: impl AsyncRead + AsyncWrite) -> Option<LdapTrouble> {
    let (mut from_inside, mut to_inside) = inside.into_split();
    let (mut from_outside, mut to_outside) = tokio::io::split(outside);
    let out = async {
        let _ = tokio::io::copy(&mut from_inside, &mut to_outside).await;
        let _ = to_outside.shutdown().await;
        None
    };
    let back = async {
        let mut limited = (&mut from_outside).take(MOST_OCTETS);
        let copied = tokio::io::copy(&mut limited, &mut to_inside).await;
        let is_full = limited.limit() == 0;
        let _ = to_inside.shutdown().await;
        match copied {
            Ok(_) if is_full => Some(LdapTrouble::TooMuch),
            Ok(_) => Some(LdapTrouble::Unreachable("the directory ended the connection".to_owned())),
            Err(error) => Some(LdapTrouble::Unreachable(format!("the connection broke: {error}"))),
        }
    };
    tokio::select! { ended = back => ended, ended = out => ended }
}
