//! The directory over TLS: `openssl s_server` answers from files; only a server that the anchor vouches for is believed.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mailer::directory::{Directory, Location};
use openssl_pki::{Identity, Key, Pki, now};

struct Server {
    child: Child,
    location: Location,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the files below the folder, each a complete HTTP answer.
fn serve(pki: &Pki, identity: &Identity) -> Server {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let child = Command::new("openssl")
        .args([
            "s_server",
            "-HTTP",
            "-quiet",
            "-accept",
            &address,
            "-cert",
            &identity.pem(),
            "-key",
            &identity.key(),
        ])
        .args(["-cert_chain", "People.pem"])
        .current_dir(pki.path())
        .env("OPENSSL_CONF", "/dev/null")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server { child, location: format!("https://{address}").parse().unwrap() };
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(&address).is_err() {
        assert!(Instant::now() < deadline, "openssl s_server does not listen");
        std::thread::yield_now();
    }
    server
}

#[test]
fn only_a_server_of_the_anchor_is_asked() {
    let pki = Pki::new();
    let bob = pki.reader("bob", Key::P256).certificate();
    let extensions = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\nauthorityKeyIdentifier=keyid";
    let identity = pki.people.issue("server", Key::P256, extensions);
    std::fs::create_dir_all(pki.path().join("certificates")).unwrap();
    let head = format!(
        "HTTP/1.0 200 OK\r\nContent-Type: application/pkix-cert\r\nContent-Length: {}\r\n\r\n",
        bob.der().len()
    );
    pki.write("certificates/search.cgi?email=bob%40example.test", &[head.as_bytes(), bob.der()].concat());

    let server = serve(&pki, &identity);
    let open = |anchor| {
        let cache = tempfile::tempdir().unwrap();
        let directory = Directory::open_with_tls_anchors(&server.location, cache.path(), now(), &[anchor]);
        directory.unwrap().certificates_for("bob@example.test")
    };
    assert_eq!(open(pki.root.certificate()).unwrap(), [bob]);
    let error = open(Pki::new().root.certificate()).unwrap_err();
    assert_eq!(error.code(), "directory-unreachable", "{error}");
}
