//! A mail server for one connection that follows a script, with real TLS.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "each test program uses its part"
)]
pub(crate) mod sink;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use mailer::transport::tls::TlsAnchors;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// When the server starts TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// At [`Step::Secure`].
    Upgrade,
    /// Before the first step.
    Immediate,
}

/// One step of the script; lines of the client are compared by their beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Says this.
    Say(&'static str),
    /// Waits for a line that begins like this, and answers.
    Expect(&'static str, &'static str),
    /// Takes everything up to a line with a lone dot, and answers.
    TakeMessage(&'static str),
    /// Starts TLS.
    Secure,
    /// Closes the connection.
    HangUp,
}

/// What the client sent.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Before TLS.
    pub(crate) clear: String,
    /// At [`Step::TakeMessage`], as it was on the wire.
    pub(crate) message: Vec<u8>,
}

pub(crate) struct ScriptedServer {
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    thread: JoinHandle<Seen>,
}

impl ScriptedServer {
    pub(crate) fn start(tls: Tls, steps: &[Step]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (steps, config) = (steps.to_vec(), authority().server_config());
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            // A client that waits where the script waits too must not hang the test.
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            serve(stream, tls, &steps, config)
        });
        Self { port, tls, thread }
    }

    /// Waits for the script's end, or the client's.
    pub(crate) fn finish(self) -> Seen {
        self.thread.join().unwrap()
    }
}

enum Connection {
    Clear(TcpStream),
    Secure(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Connection {
    fn secured(self, config: Arc<ServerConfig>) -> Self {
        match self {
            Self::Clear(stream) => {
                let session = ServerConnection::new(config).unwrap();
                Self::Secure(Box::new(StreamOwned::new(session, stream)))
            }
            already => already,
        }
    }

    fn say(&mut self, text: &str) -> std::io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(text.as_bytes()),
            Self::Secure(stream) => stream.write_all(text.as_bytes()).and_then(|()| stream.flush()),
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        let read = match self {
            Self::Clear(stream) => stream.read_exact(&mut byte),
            Self::Secure(stream) => stream.read_exact(&mut byte),
        };
        read.ok().map(|()| byte[0])
    }

    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.push(self.byte()?);
        }
        Some(bytes)
    }
}

fn serve(stream: TcpStream, tls: Tls, steps: &[Step], config: Arc<ServerConfig>) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Connection::Clear(stream);
    if tls == Tls::Immediate {
        connection = connection.secured(Arc::clone(&config));
    }
    for step in steps {
        let went_on = match step {
            Step::Say(text) => connection.say(text).ok(),
            Step::Secure => {
                connection = connection.secured(Arc::clone(&config));
                Some(())
            }
            Step::Expect(beginning, answer) => connection.until(b"\r\n").and_then(|line| {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let Connection::Clear(_) = connection {
                    seen.clear.push_str(&line);
                }
                assert!(line.starts_with(beginning), "the client said {line:?} instead of {beginning:?}");
                connection.say(answer).ok()
            }),
            Step::TakeMessage(answer) => connection.until(b"\r\n.\r\n").and_then(|message| {
                seen.message = message;
                connection.say(answer).ok()
            }),
            Step::HangUp => break,
        };
        if went_on.is_none() {
            break;
        }
    }
    if let Connection::Secure(stream) = &mut connection {
        // A handshake that nobody asked for yet still happens, so that the client's refusal is the client's.
        while stream.conn.is_handshaking() && stream.conn.complete_io(&mut stream.sock).is_ok() {}
        let _ = stream.sock.shutdown(Shutdown::Write);
    }
    seen
}

/// A CA and a server certificate for 127.0.0.1, by openssl.
pub(crate) struct Authority {
    anchor: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The CA whose servers are ours, made once for each test process.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(Authority::new)
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let root = [
            "req",
            "-x509",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=Mail CA",
            "-days",
            "30",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ];
        openssl(folder.path(), &[&root[..], &key].concat());
        openssl(
            folder.path(),
            &[&["req", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server"][..], &key]
                .concat(),
        );
        std::fs::write(
            folder.path().join("ext"),
            "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n",
        )
        .unwrap();
        openssl(
            folder.path(),
            &[
                "x509",
                "-req",
                "-in",
                "server.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-out",
                "server.pem",
                "-days",
                "30",
                "-extfile",
                "ext",
            ],
        );
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        Self { anchor: read("ca.pem"), certificate: read("server.pem"), key: read("server.key") }
    }

    pub(crate) fn anchors(&self) -> TlsAnchors {
        TlsAnchors::from_pem(&self.anchor).unwrap()
    }

    fn server_config(&self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_slice(&self.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&self.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config)
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl must be installed");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
