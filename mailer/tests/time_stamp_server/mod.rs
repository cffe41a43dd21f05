//! Time-stamp servers on this computer: one around `openssl ts`, one of certomancer's, and ones that misbehave.
#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "each test program uses its part"
)]
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use url::Url;

use crate::openssl_pki::{Identity, Key, Pki, openssl};

/// Extensions of an authority's certificate.
pub(crate) const STAMPER: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

/// What a server does with a request.
pub(crate) enum Answer {
    /// A time-stamp reply.
    Reply(Vec<u8>),
    /// Status line and headers but for the length, and a body.
    Http(String, Vec<u8>),
    /// Octets without end.
    Endless,
    /// One octet, and no more while the connection lasts.
    Drip,
    /// The connection ends.
    HangUp,
}

/// The requests that a server got.
pub(crate) type Requests = Arc<Mutex<Vec<Vec<u8>>>>;

/// Answers every request; the thread ends with the test program.
pub(crate) fn serve(answer: impl FnMut(&[u8]) -> Answer + Send + 'static) -> (Url, Requests) {
    serve_with(None, answer)
}

/// The same over TLS, with the certificate of `identity`.
pub(crate) fn serve_tls(
    identity: &Identity,
    answer: impl FnMut(&[u8]) -> Answer + Send + 'static,
) -> (Url, Requests) {
    let read = |file: String| std::fs::read(identity.folder.join(file)).unwrap();
    let certificate = CertificateDer::from_pem_slice(&read(identity.pem())).unwrap();
    let issuer = CertificateDer::from_pem_slice(&read("People.pem".to_owned())).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&read(identity.key())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate, issuer], key)
        .unwrap();
    serve_with(Some(Arc::new(config)), answer)
}

fn serve_with(
    tls: Option<Arc<ServerConfig>>,
    mut answer: impl FnMut(&[u8]) -> Answer + Send + 'static,
) -> (Url, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}/tsa", listener.local_addr().unwrap()).parse().unwrap();
    let requests = Requests::default();
    let log = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            match tls.clone() {
                None => drop(converse(stream, &log, &mut answer)),
                Some(config) => {
                    let session = ServerConnection::new(config).unwrap();
                    drop(converse(StreamOwned::new(session, stream), &log, &mut answer));
                }
            }
        }
    });
    (url, requests)
}

/// One request and its answer. What the client ends early, ends.
fn converse(
    mut stream: impl Read + Write,
    log: &Requests,
    answer: &mut impl FnMut(&[u8]) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(&mut stream);
    let (mut length, mut head) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    assert!(head.starts_with("POST /tsa HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/timestamp-query\r\n"), "{head}");
    let mut request = vec![0; length];
    reader.read_exact(&mut request)?;
    drop(reader);
    log.lock().unwrap().push(request.clone());
    const REPLY: &str = "200 OK\r\nContent-Type: application/timestamp-reply";
    match answer(&request) {
        Answer::Reply(reply) => send(&mut stream, REPLY, &reply)?,
        Answer::Http(head, body) => send(&mut stream, &head, &body)?,
        Answer::Endless => {
            stream.write_all(format!("HTTP/1.1 {REPLY}\r\nConnection: close\r\n\r\n").as_bytes())?;
            loop {
                stream.write_all(&[0x30; 4096])?;
            }
        }
        Answer::Drip => {
            let head = format!("HTTP/1.1 {REPLY}\r\nContent-Length: 100\r\nConnection: close\r\n\r\n0");
            stream.write_all(head.as_bytes())?;
            stream.flush()?;
            // Until the client goes away.
            stream.read_exact(&mut [0])?;
        }
        Answer::HangUp => {}
    }
    Ok(())
}

fn send(stream: &mut impl Write, head: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())?;
    stream.flush()
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> Url {
    let address: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}/tsa").parse().unwrap()
}

/// A time-stamping authority that answers with `openssl ts`, in a folder of its own.
pub(crate) struct OpensslAuthority {
    pub(crate) pki: Pki,
    pub(crate) stamper: Identity,
}

impl OpensslAuthority {
    pub(crate) fn new() -> Self {
        Self::with(Key::P256)
    }

    pub(crate) fn with(key: Key) -> Self {
        let pki = Pki::new();
        let stamper = pki.people.issue("Stamper", key, STAMPER);
        Self { pki, stamper }
    }

    /// The response to a request; `digests` are those that it takes.
    pub(crate) fn reply(&self, request: &[u8], digests: &str) -> Vec<u8> {
        let (certificate, key) = (self.stamper.pem(), self.stamper.key());
        let config = format!(
            "[tsa]\ndefault_tsa=this\n[this]\nserial=stamps\ncrypto_device=builtin\nsigner_cert={certificate}\nsigner_key={key}\n\
             certs=People.pem\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\nother_policies=1.2.3.4.5\ndigests={digests}\n\
             accuracy=secs:1,millisecs:500\nordering=yes\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n"
        );
        self.pki.write("tsa.cnf", config.as_bytes());
        self.pki.write("request.tsq", request);
        let arguments =
            ["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "request.tsq", "-out", "response.tsr"];
        openssl(self.pki.path(), &arguments);
        self.pki.read("response.tsr")
    }

    /// Serves it.
    pub(crate) fn serve(self) -> (Url, Requests) {
        serve(move |request| Answer::Reply(self.reply(request, "sha256,sha384,sha512")))
    }
}

/// Certomancer's animator as its own process; it ends with this value.
pub(crate) struct Certomancer {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) url: Url,
    pub(crate) folder: tempfile::TempDir,
}

impl Certomancer {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["root", "tsa"] {
            let file = format!("{name}.key.pem");
            let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &file];
            openssl(folder.path(), &[&["genpkey"][..], &curve].concat());
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/time_stamp_server");
        std::fs::copy(here.join("certomancer.yml"), folder.path().join("certomancer.yml")).unwrap();
        let environment = std::env::var_os("SEALWRIGHT_VENV").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv"),
            |given| Path::new(&given).to_owned(),
        );
        let mut child = Command::new(environment.join("bin/python"))
            .arg("-B")
            .arg(here.join("certomancer_service.py"))
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .expect("scripts/setup makes the Python environment .venv");
        let input = child.stdin.take();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
        let port: u16 = port.trim().parse().unwrap_or_else(|_| {
            panic!("certomancer does not start (scripts/setup installs it into .venv): {}", log())
        });
        let url = format!("http://127.0.0.1:{port}/demo/tsa/tsa").parse().unwrap();
        Self { child, input, url, folder }
    }

    /// The certificate of its root in DER, as it publishes it.
    pub(crate) fn root(&self) -> Vec<u8> {
        let mut stream =
            TcpStream::connect((self.url.host_str().unwrap(), self.url.port().unwrap())).unwrap();
        stream.write_all(b"GET /demo/certs/root/ca.crt HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let at = answer.windows(4).position(|octets| octets == b"\r\n\r\n").unwrap();
        answer.split_off(at + 4)
    }
}

impl Drop for Certomancer {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
