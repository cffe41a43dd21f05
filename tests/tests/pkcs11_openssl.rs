//! OpenSSL's program uses a card through our PKCS#11 module, with the engine of the package libengine-pkcs11-openssl.

use std::fs;

use anyhow::Result;
use rustix::process::Signal;
use sealwright_tests::openssl;
use sealwright_tests::pkcs11::Clients;
use sealwright_tests::ports::free_port;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, wait_until};
use sealwright_tests::world::World;

#[test]
fn openssl_signs_decrypts_requests_and_logs_in_with_a_p256_card() -> Result<()> {
    signs_decrypts_requests_and_logs_in("p256")
}

#[test]
fn openssl_signs_decrypts_requests_and_logs_in_with_an_rsa_card() -> Result<()> {
    signs_decrypts_requests_and_logs_in("rsa2048")
}

fn signs_decrypts_requests_and_logs_in(algorithm: &str) -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", algorithm)?;
    let clients = Clients::new(&pcscd, world.folder())?;
    for id in ["01", "02", "03"] {
        let read = clients.pkcs11_tool().args(["--read-object", "--type", "cert", "--id", id]);
        let der = format!("{id}.der");
        read.args(["--output-file", &der]).ok()?;
        openssl::to_pem("x509", &clients.path(&der))?;
    }
    let key = |id: &str| format!("pkcs11:id=%{id};type=private;pin-value={}", alice.pin);
    // 9C asks for each signature, and OpenSSL its user each time: here by standard input, for there is no terminal.
    let without_terminal = |run: Run| run.input(format!("{}\n", alice.pin));

    fs::write(clients.path("message"), "Content-Type: text/plain\r\n\r\nhello\r\n")?;
    for id in ["01", "02"] {
        let certificate = format!("{id}.pem");
        let sign = clients.openssl(&[
            "cms",
            "-sign",
            "-keyform",
            "engine",
            "-inkey",
            &key(id),
            "-signer",
            &certificate,
        ]);
        without_terminal(sign.args(["-in", "message", "-out", "signed.eml"])).ok()?;
        let verify = clients.run("openssl").args(["cms", "-verify", "-noverify", "-in", "signed.eml"]);
        assert!(verify.ok()?.out().contains("hello"), "{id}");
        let request =
            clients.openssl(&["req", "-new", "-keyform", "engine", "-key", &key(id), "-subj", "/CN=Alice"]);
        without_terminal(request.args(["-out", "request.pem"])).ok()?;
        clients.run("openssl").args(["req", "-in", "request.pem", "-verify", "-noout"]).ok()?;
    }
    let encrypt = clients.run("openssl").args([
        "cms",
        "-encrypt",
        "-aes256",
        "-in",
        "message",
        "-out",
        "encrypted.eml",
    ]);
    encrypt.arg("03.pem").ok()?;
    let decrypt =
        clients.openssl(&["cms", "-decrypt", "-keyform", "engine", "-inkey", &key("03"), "-recip", "03.pem"]);
    assert!(decrypt.args(["-in", "encrypted.eml"]).ok()?.out().contains("hello"));
    logs_in_to_a_tls_server(&clients, &key("01"))
}

/// `s_server` demands a certificate; `s_client` shows the card's and signs with its key.
fn logs_in_to_a_tls_server(clients: &Clients<'_>, key: &str) -> Result<()> {
    let (server_key, server_certificate) =
        openssl::stranger_certificate(&clients.path(""), "server", "localhost")?;
    for version in ["-tls1_2", "-tls1_3"] {
        let port = free_port()?.to_string();
        let serve =
            clients.run("openssl").args(["s_server", "-accept", &port, "-www", "-Verify", "1", version]);
        let serve = serve.arg("-cert").arg(&server_certificate).arg("-key").arg(&server_key);
        let server = serve.serve(&clients.path("server.log"))?;
        wait_until("the TLS server listens", || {
            Ok(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok())
        })?;
        let connect = format!("127.0.0.1:{port}");
        let client = clients.openssl(&["s_client", "-connect", &connect, "-keyform", "engine", "-key", key]);
        let client = client.args(["-cert", "01.pem", "-quiet", "-ign_eof"]).input("GET / HTTP/1.0\r\n\r\n");
        let page = client.outcome()?;
        assert!(page.out().contains("Alice Archer"), "{version}: {page}");
        server.stop(Signal::TERM)?;
    }
    Ok(())
}
