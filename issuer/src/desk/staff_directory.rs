//! People of an LDAP directory (RFC 4511), as a list of staff.
//!
//! The crate `ldap3` speaks the protocol. Its decoder panics on malformed answers and sets no limit to their size, so
//! whoever it speaks to stands behind a wall: it runs in a thread of its own, whose panic is an answer like any other, and
//! its only connection is to a relay here, which ends after so many octets and so long a time, and which holds the TLS.

use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, StdStream, get_url_params};
use middleware::secret_source::SecretSource;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::office::read_file;
use super::staff_file::{Fields, StaffList};
use crate::config::Config;

/// A directory, and what of it is read.
#[derive(Clone, Debug)]
pub struct Source {
    url: Url,
    base: String,
    scope: Scope,
    filter: String,
    /// The attributes of name, mail address and identifier.
    attributes: [String; 3],
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// Nobody, if absent.
    pub distinguished_name: Option<&'a str>,
    /// Where the password comes from; the terminal, if absent.
    pub password: Option<&'a SecretSource>,
}

/// An entry, as far as it is wanted.
struct Entry {
    distinguished_name: String,
    values: [Option<String>; 3],
}

/// Everything that is needed to ask, in the thread that asks.
struct Question {
    source: Source,
    login: Option<(String, Zeroizing<String>)>,
    tls: Option<Arc<ClientConfig>>,
}

/// More than any organisation's staff.
const MOST_OCTETS: u64 = 256 * 1024 * 1024;
const LONGEST: Duration = Duration::from_secs(300);
const LONGEST_CONNECT: Duration = Duration::from_secs(15);
const PAGE: i32 = 500;
const THREAD: &str = "ldap";

impl Source {
    /// Reads an LDAP URL (RFC 4516): its attributes are those of name, mail address and identifier, in this order; `cn`,
    /// `mail` and `employeeNumber` if it names none. `None` for what is no such URL.
    ///
    /// # Errors
    /// A URL that cannot be understood.
    pub fn parse(text: &str) -> Result<Option<Self>, Failure> {
        if !["ldap://", "ldaps://", "ldapi://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(None);
        }
        let wrong = |what: &str| Failure::usage(format!("{text:?}: {what}"));
        let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        if url.password().is_some() || !url.username().is_empty() {
            return Err(wrong("say who asks with --bind-dn and --bind-password-file, not in the URL"));
        }
        let (base, scope, filter, mut attributes) = {
            let parts = get_url_params(&url).map_err(|_| wrong("is no URL of a directory (RFC 4516)"))?;
            let attributes: Vec<_> = parts.attrs.iter().map(|name| (*name).to_owned()).collect();
            (parts.base.into_owned(), parts.scope, parts.filter.into_owned(), attributes)
        };
        if base.is_empty() {
            return Err(wrong(
                "name the entry below which people are: ldap://HOST/ou=people,dc=example,dc=org",
            ));
        }
        if attributes.is_empty() || attributes == ["*"] {
            attributes = ["cn", "mail", "employeeNumber"].map(str::to_owned).to_vec();
        }
        let attributes = <[String; 3]>::try_from(attributes).map_err(|_| {
            wrong("name three attributes, those of name, mail address and identifier, or none")
        })?;
        let is_default = filter.is_empty() || filter == "(objectClass=*)";
        let filter = if is_default { "(&(objectClass=person)(mail=*))".to_owned() } else { filter };
        Ok(Some(Self { url, base, scope, filter, attributes }))
    }

    /// Whether nobody in between can listen.
    fn is_private(&self) -> bool {
        match (self.url.scheme(), self.url.host()) {
            ("ldap", Some(Host::Ipv4(address))) => address.is_loopback(),
            ("ldap", Some(Host::Ipv6(address))) => address.is_loopback(),
            // The host of a scheme that the URL standard does not know is a text.
            ("ldap", Some(Host::Domain(name))) => ["localhost", "127.0.0.1"].contains(&name),
            ("ldap", None) => false,
            _ => true,
        }
    }
}

/// Asks the directory for everybody.
///
/// # Errors
/// It cannot be reached, refuses, answers too much or what cannot be understood; nothing is half read.
pub async fn read(
    source: &Source,
    login: Login<'_>,
    ca_file: Option<&Path>,
    config: &Config,
) -> Result<StaffList, Failure> {
    let login = match login.distinguished_name {
        None => None,
        Some(_) if !source.is_private() => {
            return Err(Failure::usage(
                "a password is not sent where others can listen: use ldaps://, or ldap:// on this computer",
            ));
        }
        Some(name) => {
            let password = login.password.unwrap_or(&SecretSource::Terminal);
            let password = password
                .read(&format!("Password of {name}"))
                .map_err(|error| Failure::new("password", format!("the password cannot be read: {error}")))?;
            // An empty one would bind as nobody, and the answer would be short (RFC 4513 section 5.1.2).
            if password.is_empty() {
                return Err(Failure::new("password", "the password is empty"));
            }
            Some((name.to_owned(), password))
        }
    };
    let tls = match (source.url.scheme(), ca_file) {
        ("ldaps", Some(file)) => Some(trusting(file)?),
        ("ldaps", None) => {
            return Err(Failure::usage(
                "ldaps:// needs --ca-file FILE: the certificates, PEM, of those who may speak for the server",
            ));
        }
        _ => None,
    };
    let question = Question { source: source.clone(), login, tls };
    let entries = behind_the_wall(question)?;
    let mut list = StaffList::default();
    for entry in &entries {
        let [name, mail, id] = &entry.values;
        let fields = Fields { name: name.as_deref(), mail: mail.as_deref(), id: id.as_deref(), until: None };
        list.add(entry.distinguished_name.clone(), fields, config);
    }
    Ok(list)
}

fn trusting(file: &Path) -> Result<Arc<ClientConfig>, Failure> {
    let pem = read_file(file, 1024 * 1024)?;
    let unusable = || Failure::new("ca-file", format!("{}: holds no certificates, PEM", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| unusable())?;
        roots.add(certificate).map_err(|_| unusable())?;
    }
    if roots.is_empty() {
        return Err(unusable());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Failure::new("tls", error.to_string()))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Runs the client in a thread of its own; its panic is an answer that could not be read.
fn behind_the_wall(question: Question) -> Result<Vec<Entry>, Failure> {
    keep_panics_silent();
    let place = question.source.url.host_str().unwrap_or_default().to_owned();
    let unreadable = || {
        Failure::new(
            "ldap",
            format!("{place}: the directory's answer cannot be understood; nothing was changed"),
        )
    };
    let asked = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new("io", error.to_string()))?;
        runtime.block_on(async {
            match tokio::time::timeout(LONGEST, ask(&question)).await {
                Ok(answer) => answer,
                Err(_) => {
                    Err(Failure::new("ldap", "the directory did not come to an end within five minutes"))
                }
            }
        })
    });
    let asked = asked.map_err(|error| Failure::new("io", error.to_string()))?;
    asked.join().map_err(|_| unreadable())?.map_err(|failure| Failure {
        message: match failure.message.contains(&place) {
            true => failure.message,
            false => format!("{place}: {}", failure.message),
        },
        ..failure
    })
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

async fn ask(question: &Question) -> Result<Vec<Entry>, Failure> {
    let source = &question.source;
    let (ours, theirs) = UnixStream::pair().map_err(|error| Failure::new("io", error.to_string()))?;
    let relay = relay_to(source, question.tls.clone(), theirs).await?;
    let stream = ours.into_std().map_err(|error| Failure::new("io", error.to_string()))?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
    let (connection, mut ldap) =
        LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(|error| said(&error))?;
    let driver = tokio::spawn(async move { connection.drive().await });
    let asked = async {
        if let Some((name, password)) = &question.login {
            let bound = ldap.simple_bind(name, password).await;
            bound.and_then(ldap3::LdapResult::success).map_err(|error| said(&error))?;
        }
        search(&mut ldap, source).await
    };
    let answer = asked.await;
    let _ = ldap.unbind().await;
    driver.abort();
    match (answer, relay.is_finished()) {
        (Ok(entries), _) => Ok(entries),
        // Why the connection ended is known to the relay only.
        (Err(failure), true) => Err(relay.await.ok().flatten().unwrap_or(failure)),
        (Err(failure), false) => {
            relay.abort();
            Err(failure)
        }
    }
}

async fn search(ldap: &mut ldap3::Ldap, source: &Source) -> Result<Vec<Entry>, Failure> {
    let attributes: Vec<&str> = source.attributes.iter().map(String::as_str).collect();
    let adapters: Vec<Box<dyn Adapter<_, _>>> =
        vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE))];
    let searched =
        ldap.streaming_search_with(adapters, &source.base, source.scope, &source.filter, attributes).await;
    let mut stream = searched.map_err(|error| said(&error))?;
    let mut entries = Vec::new();
    while let Some(entry) = stream.next().await.map_err(|error| said(&error))? {
        let entry = SearchEntry::construct(entry);
        let value = |attribute: &String| {
            let mut found = entry.attrs.iter().filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
            found.next().and_then(|(_, values)| values.first()).map(|value| value.trim().to_owned())
        };
        let values = source.attributes.each_ref().map(value);
        entries.push(Entry { distinguished_name: entry.dn.clone(), values });
    }
    stream.finish().await.success().map_err(|error| said(&error))?;
    Ok(entries)
}

/// Connects, and passes octets on in both directions until there were too many; answers why it ended, if not by itself.
async fn relay_to(
    source: &Source,
    tls: Option<Arc<ClientConfig>>,
    inside: UnixStream,
) -> Result<tokio::task::JoinHandle<Option<Failure>>, Failure> {
    let unreachable = |error: &dyn std::fmt::Display| {
        Failure::new("ldap-unreachable", format!("the directory cannot be reached: {error}"))
    };
    if source.url.scheme() == "ldapi" {
        let path = percent_encoding::percent_decode_str(source.url.host_str().unwrap_or_default());
        let path = path.decode_utf8_lossy().into_owned();
        let outside = UnixStream::connect(&path).await.map_err(|error| unreachable(&error))?;
        return Ok(tokio::spawn(relay(inside, outside)));
    }
    let host = source.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = source.url.port().unwrap_or(if tls.is_some() { 636 } else { 389 });
    let connecting = tokio::time::timeout(LONGEST_CONNECT, TcpStream::connect((host.as_str(), port)));
    let outside = match connecting.await {
        Ok(connected) => connected.map_err(|error| unreachable(&error))?,
        Err(_) => return Err(unreachable(&"it does not answer")),
    };
    let Some(config) = tls else { return Ok(tokio::spawn(relay(inside, outside))) };
    let name = ServerName::try_from(host).map_err(|error| unreachable(&error))?;
    let connector = tokio_rustls::TlsConnector::from(config);
    let secured = tokio::time::timeout(LONGEST_CONNECT, connector.connect(name, outside)).await;
    let outside = match secured {
        Ok(secured) => secured.map_err(|error| unreachable(&error))?,
        Err(_) => return Err(unreachable(&"it does not answer")),
    };
    Ok(tokio::spawn(relay(inside, outside)))
}

async fn relay(inside: UnixStream, outside: impl AsyncRead + AsyncWrite) -> Option<Failure> {
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
            Ok(_) if is_full => Some(Failure::new("ldap", "the directory answers more than 256 MB")),
            Ok(_) => Some(Failure::new("ldap-unreachable", "the directory ended the connection")),
            Err(error) => Some(Failure::new("ldap-unreachable", format!("the connection broke: {error}"))),
        }
    };
    tokio::select! { ended = back => ended, ended = out => ended }
}

fn said(error: &LdapError) -> Failure {
    match error {
        LdapError::LdapResult { result } if result.rc == 49 => {
            Failure::new("ldap-refused", "the directory does not know this name and password")
        }
        LdapError::LdapResult { result } => {
            let text = crate::domain::unicode::composed(&result.text);
            let text: String = text.chars().filter(|character| !character.is_control()).take(200).collect();
            Failure::new("ldap-refused", format!("the directory refuses (result code {}) {text}", result.rc))
        }
        LdapError::FilterParsing => Failure::usage("the filter in the URL cannot be understood (RFC 4515)"),
        _ => Failure::new("ldap", "the directory's answer cannot be understood; nothing was changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_is_read() {
        let parse = |text: &str| Source::parse(text);
        assert!(parse("staff.csv").unwrap().is_none());
        let plain = parse("ldap://127.0.0.1:3389/ou=people,dc=example,dc=org").unwrap().unwrap();
        assert_eq!(plain.attributes, ["cn", "mail", "employeeNumber"]);
        assert_eq!((plain.filter.as_str(), plain.is_private()), ("(&(objectClass=person)(mail=*))", true));
        let full = parse("ldap://ldap.example.org/dc=x?displayName,mail,employeeID?one?(department=7)");
        let full = full.unwrap().unwrap();
        assert_eq!(full.attributes, ["displayName", "mail", "employeeID"]);
        assert_eq!(
            (full.scope, full.filter.as_str(), full.is_private()),
            (Scope::OneLevel, "(department=7)", false)
        );
        for wrong in [
            "ldap://127.0.0.1",
            "ldap://127.0.0.1/dc=x?mail",
            "ldap://a:b@127.0.0.1/dc=x",
            "ldap://127.0.0.1/dc=x??deep",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
