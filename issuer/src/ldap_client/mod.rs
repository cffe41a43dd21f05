//! Asking an LDAP server (RFC 4511) that may be anybody.
//!
//! The crate `ldap3` speaks the protocol. Its decoder panics on malformed answers and sets no limit to their size, so
//! whoever it speaks to stands behind a wall: it runs in a thread of its own, whose panic is an answer like any other, and
//! its only connection is to a relay here, which ends after so many octets and so long a time, and which holds the TLS.

mod relay;
pub(crate) mod start_tls;

use std::sync::{Arc, Once};
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::UnixStream;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Where a server is, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// `ldap`, `ldaps` or `ldapi`.
    pub(crate) url: Url,
    /// How the connection is kept from others.
    pub(crate) protection: Protection,
}

/// How a connection is kept from others.
#[derive(Clone, Debug)]
pub(crate) enum Protection {
    /// Not at all.
    None,
    /// TLS from the first octet (`ldaps`).
    Tls(Arc<ClientConfig>),
    /// TLS once the server agreed (RFC 4511 section 4.14).
    StartTls(Arc<ClientConfig>),
}

/// Who asks.
pub(crate) struct Login {
    /// A distinguished name.
    pub(crate) name: String,
    /// Its password.
    pub(crate) password: Zeroizing<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LdapTrouble {
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// The name and password are not known there.
    #[error("the directory does not know this name and password")]
    UnknownLogin,
    /// A result code other than success.
    #[error("the directory refuses (result code {code}) {text}")]
    Refused {
        /// RFC 4511 section 4.1.9.
        code: u32,
        /// The server's diagnostic message, without what cannot be seen.
        text: String,
    },
    /// A filter that is none.
    #[error("the filter in the URL cannot be understood (RFC 4515)")]
    Filter,
    /// The answer is not LDAP.
    #[error("the directory's answer cannot be understood")]
    Unreadable,
    /// Too long.
    #[error("the directory did not come to an end within five minutes")]
    TooLong,
    /// Too large.
    #[error("the directory answers more than 256 MB")]
    TooMuch,
    /// The computer's own affair.
    #[error("{0}")]
    Here(String),
}

/// More than any organisation's staff.
const MOST_OCTETS: u64 = 256 * 1024 * 1024;
const LONGEST: Duration = Duration::from_secs(300);
const THREAD: &str = "ldap";

impl Server {
    /// Whether nobody in between can listen.
    pub(crate) fn is_private(&self) -> bool {
        match (&self.protection, self.url.scheme(), self.url.host()) {
            (Protection::None, "ldap", Some(Host::Ipv4(address))) => address.is_loopback(),
            (Protection::None, "ldap", Some(Host::Ipv6(address))) => address.is_loopback(),
            // The host of a scheme that the URL standard does not know is a text.
            (Protection::None, "ldap", Some(Host::Domain(name))) => {
                ["localhost", "127.0.0.1", "[::1]"].contains(&name)
            }
            (Protection::None, "ldap", None) => false,
            _ => true,
        }
    }

    /// Its name, for messages.
    pub(crate) fn name(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }
}

/// Those who may speak for servers, from PEM; `None` where there are no certificates.
pub(crate) fn trusting(pem: &[u8]) -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.ok()?).ok()?;
    }
    if roots.is_empty() {
        return None;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Connects, binds and does `work`, in a thread of its own; a panic there is an answer that could not be read.
///
/// # Errors
/// [`LdapTrouble`], that of `work` too.
pub(crate) fn ask<T: Send + 'static>(
    server: Server,
    login: Option<Login>,
    work: impl AsyncFnOnce(Ldap) -> Result<T, LdapTrouble> + Send + 'static,
) -> Result<T, LdapTrouble> {
    behind_the_wall(async move || {
        let (ours, theirs) = UnixStream::pair().map_err(here)?;
        let relay = relay::connect(&server, theirs).await?;
        let answer = converse(ours, login, work).await;
        match (answer, relay.is_finished()) {
            (Ok(done), _) => Ok(done),
            // Why the connection ended is known to the relay only.
            (Err(trouble), true) => Err(relay.await.ok().flatten().unwrap_or(trouble)),
            (Err(trouble), false) => {
                relay.abort();
                Err(trouble)
            }
        }
    })
}

/// Speaks with whoever is at the other end of a stream, which is nobody's in particular: for [`crate::fuzz`].
pub(crate) fn ask_stream<T: Send + 'static>(
    stream: std::os::unix::net::UnixStream,
    work: impl AsyncFnOnce(Ldap) -> Result<T, LdapTrouble> + Send + 'static,
) -> Result<T, LdapTrouble> {
    behind_the_wall(async move || {
        stream.set_nonblocking(true).map_err(here)?;
        converse(UnixStream::from_std(stream).map_err(here)?, None, work).await
    })
}

fn behind_the_wall<T: Send + 'static>(
    work: impl AsyncFnOnce() -> Result<T, LdapTrouble> + Send + 'static,
) -> Result<T, LdapTrouble> {
    keep_panics_silent();
    let asked = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(here)?;
        runtime.block_on(async {
            match tokio::time::timeout(LONGEST, work()).await {
                Ok(answer) => answer,
                Err(_) => Err(LdapTrouble::TooLong),
            }
        })
    });
    asked.map_err(here)?.join().map_err(|_| LdapTrouble::Unreadable)?
}

/// What the decoder says when it panics is for nobody's eyes.
fn keep_panics_silent() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(THREAD) {
                before(panic);
            }
        }));
    });
}

async fn converse<T>(
    stream: UnixStream,
    login: Option<Login>,
    work: impl AsyncFnOnce(Ldap) -> Result<T, LdapTrouble>,
) -> Result<T, LdapTrouble> {
    let stream = stream.into_std().map_err(here)?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
    let (connection, mut ldap) =
        LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(|error| said(&error))?;
    let driver = tokio::spawn(async move { connection.drive().await });
    let mut own = ldap.clone();
    let conversation = async {
        if let Some(login) = &login {
            let bound = ldap.simple_bind(&login.name, &login.password).await;
            bound.and_then(ldap3::LdapResult::success).map_err(|error| said(&error))?;
        }
        work(ldap).await
    };
    let answer = conversation.await;
    let _ = own.unbind().await;
    driver.abort();
    answer
}

/// What an error of the client means.
pub(crate) fn said(error: &LdapError) -> LdapTrouble {
    match error {
        LdapError::LdapResult { result } if result.rc == 49 => LdapTrouble::UnknownLogin,
        LdapError::LdapResult { result } => {
            let text = crate::domain::unicode::composed(&result.text);
            let text = text.chars().filter(|character| !character.is_control()).take(200).collect();
            LdapTrouble::Refused { code: result.rc, text }
        }
        LdapError::FilterParsing => LdapTrouble::Filter,
        _ => LdapTrouble::Unreadable,
    }
}

fn here(error: std::io::Error) -> LdapTrouble {
    LdapTrouble::Here(error.to_string())
}
