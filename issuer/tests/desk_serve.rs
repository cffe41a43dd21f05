//! The server of published files needs neither keys nor registry.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use desk_support::{Desk, run};

fn get(address: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
}

#[test]
fn published_files_are_served_with_the_home_gone() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    let public = desk.publish();
    std::fs::remove_dir_all(desk.home()).unwrap();

    let mut server = Command::new(env!("CARGO_BIN_EXE_issuer"))
        .env_remove("ISSUER_HOME")
        .args(["serve", "--from"])
        .arg(&public)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let address = url
        .trim()
        .strip_prefix("http://127.0.0.1:")
        .map(|port| format!("127.0.0.1:{port}"))
        .expect("a loopback URL");

    let crl = desk_support::files_below(&public.join("crl")).remove(0);
    let name = crl.file_name().unwrap().to_str().unwrap();
    let (head, body) = get(&address, &format!("/crl/{name}"));
    assert!(
        head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("application/pkix-crl"),
        "{head}"
    );
    assert_eq!(body, std::fs::read(&crl).unwrap());
    let (head, _) = get(&address, "/certificates/search.cgi?email=alice%40example.org");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, _) = get(&address, "/certificates/search.cgi?email=bob%40example.org");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    for path in ["/", "/certificates/by-email/", "/../passphrase", "/%2e%2e/passphrase"] {
        let (head, _) = get(&address, path);
        assert!(!head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    }

    let (head, body) = get(&address, "/health");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let health: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&health["status"], health["crls"].as_array().unwrap().len()), (&"ok".into(), 3));

    // A proxy may keep a CRL for an hour without asking.
    let (head, _) = get(&address, &format!("/crl/{name}"));
    let head = head.to_lowercase();
    assert!(head.contains("cache-control: max-age=3600, public") && head.contains("\r\nexpires: "), "{head}");

    // Damaged while it runs, put back, taken away: said at once, and what is damaged is not served.
    let whole = std::fs::read(&crl).unwrap();
    let mut other_signature = whole.clone();
    *other_signature.last_mut().unwrap() ^= 1;
    let said = |status: &str| {
        let (head, body) = get(&address, "/health");
        let health: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
        assert_eq!((&health["status"], &health[status][0]), (&status.into(), &name.into()), "{health}");
    };
    for damaged in [&b"no CRL"[..], &whole[..whole.len() - 1], &other_signature, b""] {
        std::fs::write(&crl, damaged).unwrap();
        said("damaged");
        let (head, _) = get(&address, &format!("/crl/{name}"));
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    }
    std::fs::write(&crl, &whole).unwrap();
    assert!(get(&address, "/health").0.starts_with("HTTP/1.1 200"));
    std::fs::remove_file(&crl).unwrap();
    said("missing");
    said("missing");
    std::fs::write(&crl, &whole).unwrap();
    assert!(get(&address, "/health").0.starts_with("HTTP/1.1 200"));
    all_in_one_is_checked(&public.join("crl.pem"), &address);

    // Nothing of it is open for writing but what the program was started with.
    for entry in std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap() {
        let Ok(target) = std::fs::read_link(entry.unwrap().path()) else { continue };
        assert!(!target.starts_with(desk.directory.path()), "{} is open", target.display());
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("1"), "a core dump could hold secrets: {core}");
    let pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success(), "the server did not end well when told to");
}

/// `crl.pem` is what most programs verify with: it is checked as the CRLs in it are.
fn all_in_one_is_checked(file: &std::path::Path, address: &str) {
    let whole = std::fs::read_to_string(file).unwrap();
    let (head, _) = get(address, "/crl.pem");
    assert!(head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("max-age="), "{head}");
    let said = |status: &str| {
        let (head, body) = get(address, "/health");
        let health: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
        assert_eq!(health[status], serde_json::json!(["crl.pem"]), "{health}");
    };
    let second = whole.match_indices("-----BEGIN").nth(1).unwrap().0;
    let swapped = whole.replacen("MII", "MIJ", 1);
    for damaged in ["", "no CRL", &whole[..whole.len() - 9], &whole[..second], &format!("{whole}x"), &swapped]
    {
        std::fs::write(file, damaged).unwrap();
        said("damaged");
        let (head, _) = get(address, "/crl.pem");
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    }
    std::fs::remove_file(file).unwrap();
    said("missing");
    std::fs::write(file, &whole).unwrap();
    assert!(get(address, "/health").0.starts_with("HTTP/1.1 200"));
    assert_eq!(get(address, "/crl.pem").1, whole.as_bytes());
}

/// What was gone before the server began is told, too: the publication says what it has.
#[test]
fn a_crl_that_is_gone_before_the_server_begins_is_told() {
    let desk = Desk::new();
    let public = desk.publish();
    let crl = desk_support::files_below(&public.join("crl")).remove(1);
    let whole = std::fs::read(&crl).unwrap();
    std::fs::remove_file(&crl).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_issuer"))
        .args(["serve", "--from"])
        .arg(&public)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let address = url.trim().strip_prefix("http://").unwrap();
    let (gone, said) = get(address, "/health");
    std::fs::write(&crl, &whole).unwrap();
    let (back, _) = get(address, "/health");
    server.kill().unwrap();
    server.wait().unwrap();
    let name = crl.file_name().unwrap().to_str().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    assert!(gone.starts_with("HTTP/1.1 503"), "{gone}");
    assert_eq!(
        (&said["status"], &said["missing"]),
        (&"missing".into(), &serde_json::json!([name])),
        "{said}"
    );
    assert!(back.starts_with("HTTP/1.1 200"), "{back}");
}

#[test]
fn what_is_not_there_is_not_served() {
    let desk = Desk::empty();
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_issuer"));
        command.current_dir(desk.directory.path()).args(["serve", "--from"]);
        command
    };
    run(program().arg("nowhere")).refuses(1, &["nowhere", "publish"]);
    std::fs::create_dir(desk.path("public")).unwrap();
    run(program().arg("public")).refuses(1, &["nothing was published", "issuer publish --to public"]);
    let desk = Desk::new();
    desk.publish();
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_issuer"));
        command.current_dir(desk.directory.path()).args(["serve", "--from"]);
        command
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(program().args(["public", "--listen", &address])).refuses(1, &[&address, "--listen"]);
}

#[test]
fn who_asks_too_often_is_told_to_wait() {
    let desk = Desk::new();
    let public = desk.publish();
    let mut server = Command::new(env!("CARGO_BIN_EXE_issuer"))
        .args(["serve", "--rate", "1", "--from"])
        .arg(&public)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let address = url.trim().strip_prefix("http://").unwrap();
    let refused =
        (0..1000).map(|_| get(address, "/anchor.pem").0).find(|head| !head.starts_with("HTTP/1.1 200"));
    server.kill().unwrap();
    server.wait().unwrap();
    let head = refused.expect("nobody is ever told to wait").to_lowercase();
    assert!(head.starts_with("http/1.1 429") && head.contains("retry-after: 1"), "{head}");
}
