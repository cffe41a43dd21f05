//! The server of published files needs neither keys nor registry.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/server.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use desk_support::{Desk, files_below, run};
use serde_json::json;
use server::Server;

#[test]
fn published_files_are_served_with_the_home_gone() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    let public = desk.publish();
    fs::remove_dir_all(desk.home()).unwrap();

    let server = Server::of(&public, &[]);
    let crl = files_below(&public.join("crl")).remove(0);
    let name = crl.file_name().unwrap().to_str().unwrap();
    let path = format!("/crl/{name}");
    let served = server.ask(&path, &[]);
    served.is("application/pkix-crl", &fs::read(&crl).unwrap());
    // A proxy may keep it for an hour without asking.
    assert_eq!(
        served.header("cache-control").map(|said| said.starts_with("max-age=3600, public")),
        Some(true)
    );
    assert!(served.header("expires").is_some(), "{}", served.head);
    for (path, status) in [
        ("/certificates/search.cgi?email=alice%40example.org", 200),
        ("/certificates/search.cgi?email=bob%40example.org", 404),
        ("/", 404),
        ("/certificates/by-email/", 404),
        ("/../passphrase", 404),
        ("/%2e%2e/passphrase", 404),
    ] {
        assert_eq!(server.ask(path, &[]).status, status, "{path}");
    }
    assert_eq!(server.expect("ok")["crls"].as_array().unwrap().len(), 3);
    a_crl_is_checked(&server, &crl);
    all_in_one_is_checked(&server, &public.join("crl.pem"));

    // Nothing of it is open for writing but what the program was started with.
    for entry in fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap() {
        let Ok(target) = fs::read_link(entry.unwrap().path()) else { continue };
        assert!(!target.starts_with(desk.directory.path()), "{} is open", target.display());
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("1"), "a core dump could hold secrets: {core}");
    server.terminate();
}

/// Damaged while it runs, put back, taken away: said at once, and what is damaged is not served.
fn a_crl_is_checked(server: &Server, crl: &Path) {
    let name = crl.file_name().unwrap().to_str().unwrap();
    let whole = fs::read(crl).unwrap();
    let mut other_signature = whole.clone();
    *other_signature.last_mut().unwrap() ^= 1;
    for damaged in [&b"no CRL"[..], &whole[..whole.len() - 1], &other_signature, b""] {
        fs::write(crl, damaged).unwrap();
        assert_eq!(server.expect("damaged")["damaged"], json!([name]));
        assert_eq!(server.ask(&format!("/crl/{name}"), &[]).status, 503);
    }
    fs::write(crl, &whole).unwrap();
    server.expect("ok");
    fs::remove_file(crl).unwrap();
    for _ in 0..2 {
        assert_eq!(server.expect("missing")["missing"], json!([name]));
    }
    fs::write(crl, &whole).unwrap();
    server.expect("ok");
}

/// `crl.pem` is what most programs verify with: it is checked as the CRLs in it are.
fn all_in_one_is_checked(server: &Server, file: &Path) {
    let whole = fs::read_to_string(file).unwrap();
    let served = server.ask("/crl.pem", &[]);
    assert!(served.status == 200 && served.header("cache-control").is_some(), "{}", served.head);
    let second = whole.match_indices("-----BEGIN").nth(1).unwrap().0;
    let swapped = whole.replacen("MII", "MIJ", 1);
    for damaged in ["", "no CRL", &whole[..whole.len() - 9], &whole[..second], &format!("{whole}x"), &swapped]
    {
        fs::write(file, damaged).unwrap();
        assert_eq!(server.expect("damaged")["damaged"], json!(["crl.pem"]));
        assert_eq!(server.ask("/crl.pem", &[]).status, 503);
    }
    fs::remove_file(file).unwrap();
    assert_eq!(server.expect("missing")["missing"], json!(["crl.pem"]));
    fs::write(file, &whole).unwrap();
    server.expect("ok");
    assert!(server.ask("/crl.pem", &[]).body == whole.as_bytes());
}

/// What was gone before the server began is told, too: the publication says what it has.
#[test]
fn a_crl_that_is_gone_before_the_server_begins_is_told() {
    let desk = Desk::new();
    let public = desk.publish();
    let crl = files_below(&public.join("crl")).remove(1);
    let whole = fs::read(&crl).unwrap();
    fs::remove_file(&crl).unwrap();
    let server = Server::of(&public, &[]);
    let name = crl.file_name().unwrap().to_str().unwrap();
    assert_eq!(server.expect("missing")["missing"], json!([name]));
    fs::write(&crl, &whole).unwrap();
    server.expect("ok");
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
    fs::create_dir(desk.path("public")).unwrap();
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
    let server = Server::of(&desk.publish(), &["--rate", "1"]);
    let refused = (0..1000).map(|_| server.ask("/anchor.pem", &[])).find(|answer| answer.status != 200);
    let refused = refused.expect("nobody is ever told to wait");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
}

/// From its first file to its last a publication is never taken for something that somebody put there.
#[test]
fn a_publication_while_health_is_asked_is_no_difference() {
    let desk = Desk::with_ocsp();
    let server = Server::of(&desk.path("public"), &["--rate", "100000"]);
    let is_done = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !is_done.load(Ordering::Relaxed) {
                server.expect("ok");
                asked += 1;
            }
            asked
        });
        for _ in 0..5 {
            desk.issuer(&["publish"]).expect(0);
        }
        is_done.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    assert!(asked > 20, "only asked {asked} times");
}
