//! The directory by HTTP: what is asked, what is believed, what is kept. The server is a few lines of our own that answer
//! what each test prescribes.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64ct::{Base64Unpadded, Encoding};
use jiff::SignedDuration;
use mailer::directory::{Directory, DirectoryError, Location};
use mailer::trust::{Anchor, Anchors, Judge, Source, UnknownRevocation};
use openssl_pki::{Key, Pki, now};
use sha1::{Digest, Sha1};

/// Status line and headers, body.
type Answer = (String, Vec<u8>);

/// Answers each request by its path and query; remembers them. The thread ends with the test program.
fn serve(answer: impl Fn(&str) -> Answer + Send + 'static) -> (Location, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let target = lines.next().unwrap().unwrap().split(' ').nth(1).unwrap().to_owned();
            let mut condition = String::new();
            while let Some(line) = lines.next().map(Result::unwrap).filter(|line| !line.is_empty()) {
                if let Some(tag) = line.to_ascii_lowercase().strip_prefix("if-none-match:") {
                    condition = format!(" unless {}", tag.trim());
                }
            }
            log.lock().unwrap().push(format!("{target}{condition}"));
            let (head, body) = answer(&format!("{target}{condition}"));
            let head =
                format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.into_bytes(), body].concat());
        }
    });
    (location, asked)
}

fn certificate(der: &[u8]) -> Answer {
    ("200 OK\r\nContent-Type: application/pkix-cert".to_owned(), der.to_vec())
}

fn none() -> Answer {
    ("404 Not Found".to_owned(), Vec::new())
}

fn open(location: &Location, cache: &Path) -> Directory {
    Directory::open(location, cache, now()).unwrap()
}

#[test]
fn one_or_several_certificates_are_found_by_exact_address() {
    let pki = Pki::new();
    let (signs, reads) = (pki.signer("bob", Key::P256), pki.reader("bob", Key::P256));
    let other = pki.reader("eve", Key::P256);
    let parts = [signs.certificate(), reads.certificate(), other.certificate()];
    let mut body = Vec::new();
    for part in &parts {
        body.extend_from_slice(b"--=_x\r\nContent-Type: application/pkix-cert\r\n\r\n");
        body.extend_from_slice(part.der());
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--=_x--\r\n");
    let (location, asked) = serve(move |target| match target {
        "/certificates/search.cgi?email=bob%40example.test" => {
            ("200 OK\r\nContent-Type: multipart/mixed; boundary=\"=_x\"".to_owned(), body.clone())
        }
        _ => none(),
    });
    let mut directory = open(&location, &pki.path().join("cache"));
    // Eve's certificate is not for bob's address, whatever the server says.
    assert_eq!(directory.certificates_for("Bob@Example.test").unwrap(), parts[..2]);
    assert_eq!(directory.certificates_for("bob@example.test").unwrap().len(), 2);
    assert_eq!(asked.lock().unwrap().len(), 1, "nothing is asked twice in one run");
    assert!(directory.certificates_for("carol@example.test").unwrap().is_empty());
    assert!(directory.certificates_for("no address").unwrap().is_empty());
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[test]
fn authorities_and_crls_are_found_by_hash_and_authorities_kept() {
    let pki = Pki::new();
    let identifier = pki.people.certificate().subject_key_identifier().unwrap();
    let key =
        Base64Unpadded::encode_string(&Sha1::digest(&identifier)).replace('+', "%2B").replace('/', "%2F");
    let (ca, crl) = (pki.people.certificate(), pki.people.crl());
    let (ca_path, crl_path) =
        (format!("/certificates/search.cgi?sKIDHash={key}"), format!("/crls/search.cgi?sKIDHash={key}"));
    let (der, list) = (ca.der().to_vec(), crl.der().to_vec());
    let (location, asked) = serve(move |target| match target {
        target if target == ca_path => certificate(&der),
        target if target == crl_path => {
            ("200 OK\r\nContent-Type: application/pkix-crl".to_owned(), list.clone())
        }
        _ => none(),
    });
    let cache = pki.path().join("cache");
    assert!(open(&location, &cache).issuers_at_hand(&identifier).is_empty());
    assert!(asked.lock().unwrap().is_empty(), "what is at hand is asked of nobody");
    assert_eq!(open(&location, &cache).issuers(&identifier), std::slice::from_ref(&ca));
    assert_eq!(open(&location, &cache).issuers_at_hand(&identifier), [ca]);
    let mut directory = open(&location, &cache);
    assert_eq!(directory.revocation_lists(&identifier)[0].der(), crl.der());
    assert_eq!(directory.revocation_lists(b"another").len(), 0);
    assert!(directory.take_problems().is_empty());
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[test]
fn an_earlier_answer_serves_while_the_directory_is_away() {
    let pki = Pki::new();
    let bob = pki.reader("bob", Key::P256).certificate();
    let der = bob.der().to_vec();
    let (location, asked) = serve(move |_| certificate(&der));
    let cache = pki.path().join("cache");
    open(&location, &cache).certificates_for("bob@example.test").unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1);
    let away: Location = {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        format!("http://{port}").parse().unwrap()
    };
    let mut directory = open(&away, &cache);
    assert_eq!(directory.certificates_for("bob@example.test").unwrap(), [bob]);
    assert!(matches!(directory.take_problems().as_slice(), [DirectoryError::Unreachable { .. }]));
    let error = directory.certificates_for("carol@example.test").unwrap_err();
    assert_eq!(error.code(), "directory-unreachable");
    let much_later = now() + SignedDuration::from_hours(8 * 24);
    assert!(
        Directory::open(&away, &cache, much_later).unwrap().certificates_for("bob@example.test").is_err()
    );
}

#[test]
fn an_older_crl_does_not_come_back() {
    let pki = Pki::new();
    let bob = pki.reader("bob", Key::P256).certificate();
    let before = pki.people.crl_with("", ("20260520000000Z", "20260720000000Z"));
    pki.people.revoke("bob", &[]);
    let after = pki.people.crl_with("", ("20260525000000Z", "20260720000000Z"));
    let forged = Pki::new().people.crl_with("", ("20260530000000Z", "20260720000000Z"));
    let root_list = pki.root.crl_with("", ("20260520000000Z", "20260720000000Z"));
    let answers = [&before, &after, &forged].map(|list| certificate(list.der()));
    let [before, after, forged] = answers;
    let server_answers = Arc::new(Mutex::new(none()));
    let current = Arc::clone(&server_answers);
    let hash = |authority: &openssl_pki::Authority| {
        let identifier = authority.certificate().subject_key_identifier().unwrap();
        let key = Base64Unpadded::encode_string(&Sha1::digest(&identifier));
        key.replace('+', "%2B").replace('/', "%2F")
    };
    let (people_key, root_key) = (hash(&pki.people), hash(&pki.root));
    let people = pki.people.certificate().der().to_vec();
    let (location, _) = serve(move |target| match target {
        target if target.starts_with("/crls") && target.ends_with(&root_key) => certificate(root_list.der()),
        target if target.starts_with("/crls") => current.lock().unwrap().clone(),
        target if target.ends_with(&people_key) => certificate(&people),
        _ => none(),
    });
    let cache = pki.path().join("cache");
    let anchors = Anchors(vec![Anchor {
        certificate: pki.root.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let verdict = |answer: &Answer, days: i64| {
        *server_answers.lock().unwrap() = answer.clone();
        let at = now() + SignedDuration::from_hours(24 * days);
        let mut directory = Directory::open(&location, &cache, at).unwrap();
        let unknown_revocation = UnknownRevocation::Reject;
        let mut judge = Judge { anchors: &anchors, source: &mut directory, at, unknown_revocation };
        judge.check_recipient(&bob, "bob@example.test").map_or_else(|problem| problem.code(), |_| "good")
    };
    assert_eq!(verdict(&before, 0), "good");
    assert_eq!(verdict(&forged, 0), "good", "a forged list neither counts nor is kept");
    assert_eq!(verdict(&after, 0), "revoked");
    let broken = ("500 Internal Server Error".to_owned(), Vec::new());
    for answer in [&before, &forged, &none(), &broken, &before] {
        assert_eq!(verdict(answer, 0), "revoked", "{}", answer.0);
        assert_eq!(verdict(answer, 30), "revoked", "{}", answer.0);
    }
    assert_eq!(verdict(&before, 60), "revocation-unknown", "no list is good for ever");
}

#[test]
fn a_list_that_did_not_change_does_not_travel_again() {
    let pki = Pki::new();
    let identifier = pki.people.certificate().subject_key_identifier().unwrap();
    let bob = pki.reader("bob", Key::P256).certificate();
    let list = pki.people.crl().der().to_vec();
    let (location, asked) = serve(move |target| match target {
        target if target.ends_with(" unless \"v1\"") => {
            ("304 Not Modified\r\nETag: \"v1\"".to_owned(), Vec::new())
        }
        _ => ("200 OK\r\nETag: \"v1\"".to_owned(), list.clone()),
    });
    // The authority of people is the anchor here, so that one list is all there is.
    let anchors = Anchors(vec![Anchor {
        certificate: pki.people.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let cache = pki.path().join("cache");
    for round in 0..3 {
        let mut directory = open(&location, &cache);
        let unknown_revocation = UnknownRevocation::Reject;
        let mut judge = Judge { anchors: &anchors, source: &mut directory, at: now(), unknown_revocation };
        judge.check_recipient(&bob, "bob@example.test").unwrap();
        let asked = asked.lock().unwrap();
        let conditional = asked.iter().filter(|target| target.contains("unless")).count();
        assert_eq!((asked.len(), conditional), (round + 1, round), "{asked:?}");
    }
    // A kept list that was damaged is fetched anew, not vouched for by the server.
    let folder = std::fs::read_dir(cache.join("lists")).unwrap().next().unwrap().unwrap().path();
    let kept = std::fs::read_dir(folder).unwrap().flatten().map(|file| file.path());
    kept.filter(|file| file.extension().is_some_and(|kind| kind == "crl"))
        .for_each(|file| std::fs::write(file, b"damaged").unwrap());
    assert_eq!(open(&location, &cache).revocation_lists(&identifier).len(), 1);
    assert!(!asked.lock().unwrap().last().unwrap().contains("unless"));
}

#[test]
fn redirects_errors_and_floods_are_refused() {
    let pki = Pki::new();
    let (elsewhere, asked_elsewhere) = serve(|_| none());
    let answers: [(&str, Answer); 4] = [
        ("redirect", (format!("302 Found\r\nLocation: {elsewhere}/x"), Vec::new())),
        ("broken", ("500 Internal Server Error".to_owned(), Vec::new())),
        ("flood", ("200 OK\r\nContent-Type: application/pkix-cert".to_owned(), vec![0x30; 5_000_000])),
        (
            "multipart",
            ("200 OK\r\nContent-Type: multipart/mixed; boundary=x".to_owned(), b"not that".to_vec()),
        ),
    ];
    let (location, _) = serve(move |target| {
        answers.iter().find(|(name, _)| target.contains(name)).map_or_else(none, |(_, answer)| answer.clone())
    });
    let mut directory = open(&location, &pki.path().join("cache"));
    for (name, code) in [
        ("redirect", "directory-unreachable"),
        ("broken", "directory-unreachable"),
        ("flood", "directory-answer-too-large"),
        ("multipart", "directory-unreachable"),
    ] {
        let error = directory.certificates_for(&format!("{name}@example.test")).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    assert!(asked_elsewhere.lock().unwrap().is_empty(), "no redirect is followed");
}

#[test]
fn garbage_is_passed_over() {
    let pki = Pki::new();
    let (location, _) = serve(|_| certificate(b"garbage"));
    let mut directory = open(&location, &pki.path().join("cache"));
    assert!(directory.certificates_for("bob@example.test").unwrap().is_empty());
    assert!(directory.issuers(b"key").is_empty());
    assert!(directory.revocation_lists(b"key").is_empty());
}

#[test]
fn https_needs_an_anchor_for_the_server() {
    let pki = Pki::new();
    let location: Location = "https://127.0.0.1:1".parse().unwrap();
    assert_eq!(Directory::open(&location, pki.path(), now()).err().unwrap().code(), "no-tls-anchor");
    let anchors = [pki.root.certificate()];
    let mut directory = Directory::open_with_tls_anchors(&location, pki.path(), now(), &anchors).unwrap();
    assert_eq!(directory.certificates_for("bob@example.test").unwrap_err().code(), "directory-unreachable");
}

#[test]
fn the_list_of_classes_is_a_file_below_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let (location, asked) = serve(|target| match target {
        "/classes.p7m" => ("200 OK\r\nContent-Type: application/pkcs7-mime".to_owned(), b"list".to_vec()),
        _ => none(),
    });
    let directory = open(&location, folder.path());
    assert_eq!(directory.class_list(5), Ok(Some(b"list".to_vec())));
    assert!(matches!(directory.class_list(3), Err(DirectoryError::TooLarge { .. })));
    assert_eq!(*asked.lock().unwrap(), ["/classes.p7m", "/classes.p7m"]);
    let (location, _) = serve(|_| none());
    assert_eq!(open(&location, folder.path()).class_list(4), Ok(None));
    let (location, _) = serve(|_| ("503 Busy".to_owned(), Vec::new()));
    let refused = open(&location, folder.path()).class_list(4).unwrap_err();
    assert_eq!(refused.code(), "directory-unreachable");
}
