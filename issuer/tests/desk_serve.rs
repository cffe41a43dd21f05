//! The server of published files needs neither keys nor registry.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/server.rs"]
mod server;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use desk_support::{Desk, files_below, run};
use server::Server;

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

    let server = Server::of(&public, &[]);
    let address = server.address();

    let crl = desk_support::files_below(&public.join("crl")).remove(0);
    let name = crl.file_name().unwrap().to_str().unwrap();
    let (head, body) = get(address, &format!("/crl/{name}"));
    assert!(
        head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("application/pkix-crl"),
        "{head}"
    );
    assert_eq!(body, std::fs::read(&crl).unwrap());
    let (head, _) = get(address, "/certificates/search.cgi?email=alice%40example.org");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, _) = get(address, "/certificates/search.cgi?email=bob%40example.org");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    for path in ["/", "/certificates/by-email/", "/../passphrase", "/%2e%2e/passphrase"] {
        let (head, _) = get(address, path);
        assert!(!head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    }

    let (head, body) = get(address, "/health");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let health: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&health["status"], health["crls"].as_array().unwrap().len()), (&"ok".into(), 3));

    // A proxy may keep a CRL for an hour without asking.
    let (head, _) = get(address, &format!("/crl/{name}"));
    let head = head.to_lowercase();
    assert!(head.contains("cache-control: max-age=3600, public") && head.contains("\r\nexpires: "), "{head}");

    // Damaged while it runs, put back, taken away: said at once, and what is damaged is not served.
    let whole = std::fs::read(&crl).unwrap();
    let mut other_signature = whole.clone();
    *other_signature.last_mut().unwrap() ^= 1;
    let said = |status: &str| {
        let (head, body) = get(address, "/health");
        let health: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
        assert_eq!((&health["status"], &health[status][0]), (&status.into(), &name.into()), "{health}");
    };
    for damaged in [&b"no CRL"[..], &whole[..whole.len() - 1], &other_signature, b""] {
        std::fs::write(&crl, damaged).unwrap();
        said("damaged");
        let (head, _) = get(address, &format!("/crl/{name}"));
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    }
    std::fs::write(&crl, &whole).unwrap();
    assert!(get(address, "/health").0.starts_with("HTTP/1.1 200"));
    std::fs::remove_file(&crl).unwrap();
    said("missing");
    said("missing");
    std::fs::write(&crl, &whole).unwrap();
    assert!(get(address, "/health").0.starts_with("HTTP/1.1 200"));
    all_in_one_is_checked(&public.join("crl.pem"), address);

    // Nothing of it is open for writing but what the program was started with.
    for entry in std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap() {
        let Ok(target) = std::fs::read_link(entry.unwrap().path()) else { continue };
        assert!(!target.starts_with(desk.directory.path()), "{} is open", target.display());
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("1"), "a core dump could hold secrets: {core}");
    server.terminate();
}

/// `crl.pem` is what most programs verify with: it is checked as the CRLs in it are.
fn all_in_one_is_checked(file: &Path, address: &str) {
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
    let server = Server::of(&public, &[]);
    let address = server.address();
    let (gone, said) = get(address, "/health");
    std::fs::write(&crl, &whole).unwrap();
    let (back, _) = get(address, "/health");
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
    let server = Server::of(&public, &["--rate", "1"]);
    let address = server.address();
    let refused =
        (0..1000).map(|_| get(address, "/anchor.pem").0).find(|head| !head.starts_with("HTTP/1.1 200"));
    let head = refused.expect("nobody is ever told to wait").to_lowercase();
    assert!(head.starts_with("http/1.1 429") && head.contains("retry-after: 1"), "{head}");
}

/// As `cp` and `rsync` do it, the files of a folder before those of its folders.
fn copy(from: &Path, to: &Path, is_wanted: &dyn Fn(&Path) -> bool) {
    fs::create_dir_all(to).unwrap();
    let mut entries: Vec<PathBuf> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort_by_key(|path| path.is_dir());
    for path in entries {
        let place = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &place, is_wanted),
            false if is_wanted(&path) => drop(fs::copy(&path, place).unwrap()),
            false => {}
        }
    }
}

/// Files that differ between two copies of the directory and that say what is revoked: their paths in it.
fn changed(old: &Path, new: &Path) -> Vec<PathBuf> {
    let files = ["crl", "ocsp"].into_iter().flat_map(|folder| files_below(&new.join(folder)));
    let paths =
        files.map(|file| file.strip_prefix(new).unwrap().to_owned()).chain([PathBuf::from("crl.pem")]);
    let mut paths: Vec<_> =
        paths.filter(|path| fs::read(old.join(path)).unwrap() != fs::read(new.join(path)).unwrap()).collect();
    paths.sort();
    paths
}

/// Signed, whole and good for days yet, and without what was revoked since.
#[test]
fn old_files_that_somebody_put_back_are_told_and_publishing_mends_them() {
    let desk = Desk::with_ocsp();
    let (public, old, new) = (desk.path("public"), desk.path("old"), desk.path("new"));
    copy(&public, &old, &|_| true);
    let server = Server::of(&public, &[]);
    server.expect("ok");
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.publish();
    server.expect("ok");
    copy(&public, &new, &|_| true);
    let files = changed(&old, &public);
    assert!(files.len() >= 3 && files.iter().any(|file| file.starts_with("ocsp")), "{files:?}");
    for file in &files {
        let name = file.strip_prefix("crl").unwrap_or(file).to_str().unwrap();
        fs::copy(old.join(file), public.join(file)).unwrap();
        // Whether or not the server saw what was there before.
        for server in [&server, &Server::of(&public, &[])] {
            let said = server.expect("differing");
            assert_eq!(said["differing"], serde_json::json!([name]), "{said}");
        }
        fs::copy(new.join(file), public.join(file)).unwrap();
        server.expect("ok");
    }
    // What needs no key is mended without one.
    for file in [PathBuf::from("anchor.pem"), files_below(&public.join("ca")).remove(0)] {
        let file = file.strip_prefix(&public).unwrap_or(&file);
        fs::write(public.join(file), "another").unwrap();
        let said = server.expect("differing");
        assert_eq!(said["differing"], serde_json::json!([file]), "{said}");
        desk.issuer(&["publish", "--pending"]).expect(0);
        server.expect("ok");
    }
    let crl = files.iter().find(|file| file.starts_with("crl")).unwrap();
    fs::copy(old.join(crl), public.join(crl)).unwrap();
    desk.issuer(&["publish", "--pending"]).expect(0);
    server.expect("ok");

    // The publication of then, whole: a server that knew better says so, and the publisher does.
    copy(&old, &public, &|_| true);
    let said = server.expect("differing");
    let crls = files.iter().filter_map(|file| file.strip_prefix("crl").ok()?.to_str());
    assert_eq!(said["differing"], serde_json::json!(crls.collect::<Vec<_>>()), "{said}");
    desk.issuer(&["publish", "--pending"]).expect(3);
    desk.issuer(&["publish"]).expect(0);
    server.expect("ok");
}

/// It agrees with its own `.revision`, and its CRLs are signed and good for days: only who saw the newer ones can tell.
#[test]
fn an_older_publication_put_back_while_no_server_ran_is_told_by_one_that_remembers() {
    let desk = Desk::with_ocsp();
    let (public, old, state) = (desk.path("public"), desk.path("old"), desk.text("serve.state"));
    copy(&public, &old, &|_| true);
    let start = || Server::of(&public, &["--state", &state]);
    let server = start();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.publish();
    let crls: Vec<_> = changed(&old, &public).into_iter().filter(|file| file.starts_with("crl")).collect();
    let names: Vec<_> = crls.iter().map(|crl| crl.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names.len(), 3);
    // One was fetched, and nobody asked how the server is.
    let (head, _) = get(server.address(), &format!("/crl/{}", names[0]));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    server.terminate();
    let put_back = |from: &Path| {
        fs::remove_dir_all(&public).unwrap();
        copy(from, &public, &|_| true);
    };
    let new = desk.path("new");
    copy(&public, &new, &|_| true);
    put_back(&old);
    assert_eq!(start().expect("differing")["differing"], serde_json::json!([names[0]]));
    // What it was told of later it remembers as well, also when it is killed.
    put_back(&new);
    start().expect("ok");
    put_back(&old);
    for _ in 0..2 {
        assert_eq!(start().expect("differing")["differing"], serde_json::json!(names));
    }
    // Whoever remembers nothing cannot know.
    Server::of(&public, &[]).expect("ok");
    let server = start();
    desk.issuer(&["publish"]).expect(0);
    server.expect("ok");

    // A state that cannot be kept is told, and kept when it can be.
    fs::rename(&state, desk.path("moved")).unwrap();
    fs::create_dir(&state).unwrap();
    desk.issuer(&["publish"]).expect(0);
    let said = server.expect("unremembered");
    assert!(said["unremembered"].as_str().is_some_and(|why| !why.is_empty()), "{said}");
    fs::remove_dir(&state).unwrap();
    server.expect("ok");
    let lines = fs::read_to_string(&state).unwrap();
    assert!(names.iter().all(|name| lines.contains(name)), "{lines}");
}

/// A file of something else is not overwritten, and one that would be put back with the publication is refused.
#[test]
fn a_state_that_is_none_or_lies_in_the_published_directory_is_refused() {
    let desk = Desk::new();
    desk.publish();
    let serve = |state: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_issuer"));
        command.current_dir(desk.directory.path()).args(["serve", "--from", "public", "--state", state]);
        run(&mut command)
    };
    fs::write(desk.path("other"), "a diary\n").unwrap();
    serve("other").refuses(1, &["other is no state of issuer serve", "line 1", "move it away"]);
    assert_eq!(fs::read(desk.path("other")).unwrap(), b"a diary\n");
    for inside in ["public/state", "public/crl/../state", "./public/crl/state"] {
        serve(inside).refuses(1, &["lies in the published directory", "--state"]);
    }
    serve("nowhere/state").refuses(1, &["nowhere/state"]);
    serve("public").refuses(1, &["public"]);
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
                let (head, body) = get(server.address(), "/health");
                assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{}", String::from_utf8_lossy(&body));
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

/// Another web server's copy, which brings `.revision` before the files that it speaks of.
#[test]
fn a_copy_that_is_on_its_way_is_no_difference_and_old_files_in_it_are() {
    let desk = Desk::with_ocsp();
    let (public, elsewhere) = (desk.path("public"), desk.path("elsewhere"));
    copy(&public, &elsewhere, &|_| true);
    let server = Server::of(&elsewhere, &[]);
    server.expect("ok");
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.publish();
    let files = changed(&elsewhere, &public);
    let old: Vec<_> = files.iter().map(|file| fs::read(elsewhere.join(file)).unwrap()).collect();
    copy(&public, &elsewhere, &|file| file.ends_with(".revision"));
    server.expect("ok");
    copy(&public, &elsewhere, &|file| !file.ends_with(".revision"));
    server.expect("ok");
    for (file, old) in files.iter().zip(old) {
        fs::write(elsewhere.join(file), old).unwrap();
        server.expect("differing");
        fs::copy(public.join(file), elsewhere.join(file)).unwrap();
    }
    // A copy without what begins with a dot cannot be compared, but numbers of CRLs only grow.
    fs::remove_file(elsewhere.join(".revision")).unwrap();
    server.expect("ok");
}
