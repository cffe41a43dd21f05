//! The OCSP responder over HTTP, judged by OpenSSL, GnuTLS, curl and pkilint.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/server.rs"]
mod server;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use desk_support::{Desk, files_below, openssl};
use issuer::ca::Certificate;
use middleware::{FileKey, KeyAlgorithm};
use server::Server;

/// A desk with OCSP whose directory is published, and Alice's and Bob's cards.
fn desk() -> Desk {
    let desk = Desk::with_services(&["--ocsp"]);
    ["alice", "bob"].into_iter().for_each(|person| desk.issue_and_extract(person));
    desk.publish();
    std::fs::write(desk.path("service.pass"), "the responder's own passphrase\n").unwrap();
    desk
}

/// A server of what was published, with the folder of a responder where `options` name one.
fn start(desk: &Desk, options: &[&str]) -> Server {
    Server::of(&desk.path("public"), options)
}

fn with_responder(desk: &Desk) -> Server {
    let arguments = ["ocsp", "init", "--folder", "responder", "--service-passphrase-file", "service.pass"];
    desk.issuer(&arguments).expect(0);
    start(desk, &responder(desk).each_ref().map(String::as_str))
}

/// The options of a server with the responder's folder.
fn responder(desk: &Desk) -> [String; 4] {
    let [folder, passphrase] = ["responder", "service.pass"].map(|name| desk.text(name));
    ["--ocsp".to_owned(), folder, "--service-passphrase-file".to_owned(), passphrase]
}

/// The certificate of the authority that issued a certificate.
fn issuer_of(desk: &Desk, certificate: &Path) -> PathBuf {
    let certificate = Certificate::from_pem(&std::fs::read_to_string(certificate).unwrap()).unwrap();
    let name = hex::encode(certificate.authority_key_identifier());
    let der = std::fs::read(desk.path(&format!("public/ca/{name}.cer"))).unwrap();
    let pem = desk.path(&format!("{name}.pem"));
    std::fs::write(&pem, Certificate::from_der(der).unwrap().to_pem()).unwrap();
    pem
}

/// What `openssl ocsp` says; its own checks of signature and times are all on.
fn ask(desk: &Desk, server: &Server, certificate: &Path, options: &[&str]) -> (bool, String) {
    let issuer = issuer_of(desk, certificate);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (anchor, url) = (text(&desk.path("public/anchor.pem")), format!("{}/ocsp", server.url));
    let (issuer, certificate) = (text(&issuer), text(certificate));
    let mut all = vec!["ocsp", "-issuer", &issuer];
    all.extend(options);
    all.extend(["-cert", &certificate, "-url", &url, "-CAfile", &anchor, "-verify_other", &issuer]);
    let output = openssl(&all);
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// DER of a request that openssl makes.
fn request(desk: &Desk, certificate: &Path, options: &[&str]) -> Vec<u8> {
    let file = desk.text("request.der");
    let issuer = issuer_of(desk, certificate);
    let mut all = vec!["ocsp", "-issuer", issuer.to_str().unwrap()];
    all.extend(options);
    all.extend(["-cert", certificate.to_str().unwrap(), "-reqout", &file]);
    assert!(openssl(&all).status.success());
    std::fs::read(file).unwrap()
}

fn split(output: &Output) -> (String, Vec<u8>) {
    let end = output.stdout.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&output.stdout[..end]).to_lowercase(), output.stdout[end + 4..].to_vec())
}

fn base64(octets: &[u8]) -> String {
    let mut process =
        Command::new("base64").arg("-w0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(octets).unwrap();
    String::from_utf8(process.wait_with_output().unwrap().stdout).unwrap()
}

fn certificates(desk: &Desk) -> [PathBuf; 2] {
    [desk.path("alice/9C.pem"), desk.path("bob/9D.pem")]
}

#[test]
fn prepared_answers_are_good_revoked_and_never_good_for_what_was_not_issued() {
    let desk = desk();
    let server = start(&desk, &[]);
    let [alice, bob] = certificates(&desk);
    for options in [&["-no_nonce"][..], &["-sha256", "-no_nonce"], &[]] {
        for certificate in [&alice, &bob] {
            let (done, said) = ask(&desk, &server, certificate, options);
            assert!(done && said.contains("Response verify OK") && said.contains(": good"), "{said}");
        }
    }
    let shown = openssl(&["x509", "-noout", "-ocsp_uri", "-in", alice.to_str().unwrap()]);
    assert_eq!(String::from_utf8(shown.stdout).unwrap().trim(), "http://pki.example.org/ocsp");

    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.publish();
    let (_, said) = ask(&desk, &server, &alice, &["-no_nonce"]);
    assert!(said.contains("Response verify OK") && said.contains(": revoked"), "{said}");
    assert!(said.contains("Reason: keyCompromise"), "{said}");
    let (_, said) = ask(&desk, &server, &bob, &["-no_nonce"]);
    assert!(said.contains(": good"), "{said}");
    // A serial number that was never issued, and an authority of which nobody here knows.
    let issuer = issuer_of(&desk, &bob);
    let url = format!("{}/ocsp", server.url);
    let by_serial = |issuer: &str| {
        let output = openssl(&[
            "ocsp",
            "-issuer",
            issuer,
            "-serial",
            "0x4142",
            "-url",
            &url,
            "-no_nonce",
            "-noverify",
        ]);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert!(by_serial(issuer.to_str().unwrap()).contains("unauthorized"));
    let stranger = Desk::new();
    stranger.publish();
    let foreign = files_below(&stranger.path("public/ca")).remove(0);
    let foreign_pem = desk.path("foreign.pem");
    let pem = Certificate::from_der(std::fs::read(foreign).unwrap()).unwrap().to_pem();
    std::fs::write(&foreign_pem, pem).unwrap();
    assert!(by_serial(foreign_pem.to_str().unwrap()).contains("unauthorized"));
}

#[test]
fn a_responder_with_a_key_repeats_the_nonce_and_knows_the_unknown() {
    let desk = desk();
    let server = with_responder(&desk);
    let [alice, bob] = certificates(&desk);
    let (done, said) = ask(&desk, &server, &alice, &["-nonce"]);
    assert!(done && said.contains("Response verify OK") && said.contains(": good"), "{said}");
    assert!(!said.contains("no nonce in response"), "{said}");
    // Two certificates of one authority at once.
    let (done, said) = ask(&desk, &server, &alice, &["-cert", bob.to_str().unwrap()]);
    assert!(done && said.matches(": good").count() == 2, "{said}");
    let issuer = issuer_of(&desk, &bob);
    let (anchor, url) = (desk.text("public/anchor.pem"), format!("{}/ocsp", server.url));
    let issuer = issuer.to_str().unwrap();
    let output = openssl(&[
        "ocsp",
        "-issuer",
        issuer,
        "-serial",
        "0x4142",
        "-url",
        &url,
        "-CAfile",
        &anchor,
        "-verify_other",
        issuer,
    ]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("Response verify OK") && said.contains("0x4142: unknown"), "{said}");
    desk.issuer(&["revoke", "bob@example.org", "--reason", "superseded"]).expect(0);
    desk.publish();
    let (_, said) = ask(&desk, &server, &bob, &["-nonce"]);
    assert!(said.contains(": revoked") && said.contains("Reason: superseded"), "{said}");
    // A new certificate for the same key, without the old one's end.
    let arguments = ["ocsp", "renew", "--folder", "responder", "--service-passphrase-file", "service.pass"];
    desk.issuer(&arguments).expect(0);
}

/// RFC 6960 section 4.1.1 lets whoever asks choose the algorithm; RFC 5019 section 2.1.1 prepares answers for SHA-1.
#[test]
fn certificates_may_be_named_by_any_hash_where_answers_are_signed_on_demand() {
    let desk = desk();
    let prepared = start(&desk, &[]);
    let server = with_responder(&desk);
    let [alice, bob] = certificates(&desk);
    desk.issuer(&["revoke", "bob@example.org", "--reason", "superseded"]).expect(0);
    desk.publish();
    for (hash, is_prepared) in
        [("-sha1", true), ("-sha256", true), ("-sha224", false), ("-sha384", false), ("-sha512", false)]
    {
        for options in [&[hash, "-no_nonce"][..], &[hash, "-nonce"]] {
            for (certificate, state) in [(&alice, ": good"), (&bob, ": revoked")] {
                let (_, said) = ask(&desk, &server, certificate, options);
                assert!(said.contains("Response verify OK") && said.contains(state), "{options:?}: {said}");
            }
        }
        // RFC 5019 section 2.2.3: without a key nothing can be said under that name.
        let (_, said) = ask(&desk, &prepared, &alice, &[hash, "-no_nonce"]);
        let expected = if is_prepared { ": good" } else { "unauthorized" };
        assert!(said.contains(expected), "{hash}: {said}");
    }
    // Two in one request, each by its own hash; and one that nobody here computes.
    let (_, said) = ask(&desk, &server, &alice, &["-sha384", "-cert", bob.to_str().unwrap(), "-sha512"]);
    assert!(said.contains(": good") && said.contains(": revoked"), "{said}");
    let (_, said) = ask(&desk, &server, &alice, &["-md5"]);
    assert!(said.contains("unauthorized"), "{said}");
}

/// Thirty days after, nonces are no longer repeated and nothing is known of what was never issued: monitors hear of it before.
#[test]
fn health_tells_when_the_responder_is_to_be_certified_anew() {
    let desk = desk();
    let server = with_responder(&desk);
    let said = server.expect("ok");
    let of_responder = |list: &serde_json::Value| {
        let names =
            list.as_array().unwrap().iter().map(|one| one.get("file").unwrap_or(one).as_str().unwrap());
        names.filter(|name| name.starts_with("responder/")).count()
    };
    assert_eq!(of_responder(&said["ocsp"]), 3, "{said}");
    let options = responder(&desk);
    for (later, expired, overdue) in [("+22d", 0, 0), ("+24d", 0, 3), ("+31d", 3, 0)] {
        let options = options.each_ref().map(String::as_str);
        let (_, said) = Server::on_another_day(later, &desk.path("public"), &options).health();
        let found = (of_responder(&said["expired"]), of_responder(&said["overdue"]));
        assert_eq!(found, (expired, overdue), "{later}: {said}");
    }
}

#[test]
fn gnutls_agrees() {
    let desk = desk();
    let server = start(&desk, &[]);
    let [alice, _] = certificates(&desk);
    let file = desk.path("answer.der");
    let body = request(&desk, &alice, &["-no_nonce"]);
    std::fs::write(desk.path("body.der"), body).unwrap();
    let at = format!("@{}", desk.text("body.der"));
    let (_, answer) =
        split(&server.curl("/ocsp", &["-H", "Content-Type: application/ocsp-request", "--data-binary", &at]));
    std::fs::write(&file, answer).unwrap();
    let issuer = issuer_of(&desk, &alice);
    let judged = Command::new("ocsptool")
        .args(["--response-info", "--verify-response", "--load-response"])
        .arg(&file)
        .arg("--load-trust")
        .arg(&issuer)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[judged.stdout, judged.stderr].concat()).into_owned();
    assert!(said.contains("Success") && said.contains("Certificate Status: good"), "{said}");
}

#[test]
fn answers_to_get_may_be_kept_for_an_hour_or_as_long_as_is_said() {
    let desk = desk();
    let server = start(&desk, &[]);
    let [alice, _] = certificates(&desk);
    let request = request(&desk, &alice, &["-no_nonce"]);
    let path = base64(&request).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let (head, answer) = split(&server.curl(&format!("/ocsp/{path}"), &[]));
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-type: application/ocsp-response"),
        "{head}"
    );
    for field in [
        "cache-control: max-age=3600, public",
        "no-transform, must-revalidate",
        "expires: ",
        "last-modified: ",
        "etag: \"",
        "date: ",
    ] {
        assert!(head.contains(field), "{field} is not in {head}");
    }
    let brief = start(&desk, &["--max-age", "60"]);
    let (head, _) = split(&brief.curl(&format!("/ocsp/{path}"), &[]));
    assert!(head.contains("cache-control: max-age=60, public"), "{head}");
    // Never beyond its nextUpdate.
    let week = start(&desk, &["--max-age", "100000000"]);
    let (head, _) = split(&week.curl(&format!("/ocsp/{path}"), &[]));
    let seconds = head.split("max-age=").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert!(seconds.parse::<u64>().unwrap() <= 7 * 24 * 3600, "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let (again, nothing) =
        split(&server.curl(&format!("/ocsp/{path}"), &["-H", &format!("If-None-Match: {tag}")]));
    assert!(again.starts_with("http/1.1 304") && nothing.is_empty(), "{again}");
    // What some clients send: base64 as it is.
    let (plain, same) = split(&server.curl(&format!("/ocsp/{}", base64(&request)), &["--path-as-is"]));
    assert!(plain.starts_with("http/1.1 200"), "{plain}");
    assert_eq!(same, answer);
    // A slash more, behind a URL that ends with one; and what is no request at all nobody keeps.
    assert_eq!(split(&server.curl(&format!("/ocsp//{path}"), &["--path-as-is"])).1, answer);
    for nothing in ["", "/", "not!base64"] {
        let (head, _) = split(&server.curl(&format!("/ocsp/{nothing}"), &["--path-as-is"]));
        assert!(head.contains("cache-control: no-store"), "{nothing}: {head}");
    }

    let file = desk.path("answer.der");
    std::fs::write(&file, &answer).unwrap();
    let lint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/lint_ocsp_response");
    let judged = Command::new(lint).args(["lint", "-s", "WARNING"]).arg(&file).output().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}

#[test]
fn what_is_no_request_is_answered_and_named() {
    let desk = desk();
    let server = start(&desk, &[]);
    let [alice, _] = certificates(&desk);
    let good = request(&desk, &alice, &["-no_nonce"]);
    let post = |body: &[u8]| {
        let file = desk.path("body.der");
        std::fs::write(&file, body).unwrap();
        let at = format!("@{}", file.display());
        split(&server.curl("/ocsp", &["-H", "Content-Type: application/ocsp-request", "--data-binary", &at]))
    };
    let (head, answer) = post(&good);
    assert!(head.starts_with("http/1.1 200") && answer.len() > 500, "{head}");
    let malformed = [0x30, 0x03, 0x0A, 0x01, 0x01];
    let mut trailing = good.clone();
    trailing.push(0);
    for bad in [&b"hello"[..], &good[..good.len() - 1], &trailing, &[0x30, 0x00], &[0x30, 0x80]] {
        assert_eq!(post(bad).1, malformed, "{bad:02X?}");
    }
    let (head, _) = post(&vec![0x30; 20_000]);
    assert!(head.starts_with("http/1.1 413"), "{head}");
    let (head, answer) = split(&server.curl("/ocsp/not!base64", &[]));
    assert!(head.starts_with("http/1.1 200") && answer == malformed, "{head}");
    let (head, _) = split(&server.curl("/ocsp", &[]));
    assert!(head.starts_with("http/1.1 405") && head.contains("allow: get, head, post"), "{head}");
    let (head, _) = split(&server.curl("/ocsp", &["--data-binary", "x"]));
    assert!(head.starts_with("http/1.1 415"), "{head}");
}

/// BouncyCastle's SHA-256 has no parameters (RFC 5754 section 2), and it looks for the CertID octet by octet.
#[test]
fn a_responder_with_a_key_names_a_certificate_as_it_was_named() {
    let desk = desk();
    let server = with_responder(&desk);
    let [alice, _] = certificates(&desk);
    for hash in ["-sha1", "-sha256"] {
        let with_null = request(&desk, &alice, &[hash, "-no_nonce"]);
        // OCSPRequest, TBSRequest, requestList, Request, CertID and hashAlgorithm: each is the first of the one around it.
        let mut without = with_null.clone();
        let null = 12 + 2 + usize::from(with_null[13]);
        assert_eq!(without.drain(null..null + 2).as_slice(), [0x05, 0x00]);
        for length in [1, 3, 5, 7, 9, 11] {
            without[length] -= 2;
        }
        for request in [with_null, without] {
            let certificate_id = &request[8..10 + usize::from(request[9])];
            std::fs::write(desk.path("request.der"), &request).unwrap();
            let body = format!("@{}", desk.text("request.der"));
            let kind = "Content-Type: application/ocsp-request";
            let (_, answer) = split(&server.curl("/ocsp", &["-H", kind, "--data-binary", &body]));
            let found = answer.windows(certificate_id.len()).filter(|window| *window == certificate_id);
            assert_eq!(found.count(), 1, "{hash}: {}", hex::encode(&answer));
        }
    }
}

#[test]
fn answers_that_still_hold_are_published_again_as_they_are() {
    let desk = desk();
    let answers = |desk: &Desk| {
        let mut all: Vec<Vec<u8>> =
            files_below(&desk.path("public/ocsp")).iter().map(|file| std::fs::read(file).unwrap()).collect();
        all.sort();
        all
    };
    let before = answers(&desk);
    assert_eq!(before.len(), 3);
    let done = desk.json(&["publish", "--to", "public"]);
    // Eight certificates, two authorities, three responders, and the content signer.
    assert_eq!(done["ocsp_answers"], 14, "{done}");
    let again = answers(&desk);
    assert_eq!(before.iter().filter(|one| again.contains(one)).count(), 3);
}

#[test]
fn a_folder_that_is_none_and_a_wrong_passphrase_are_told() {
    let desk = desk();
    let mut serve = desk.command(&["serve", "--from", "public", "--ocsp", "nowhere"]);
    desk_support::run(&mut serve).refuses(1, &["nowhere", "ocsp init"]);
    let same = ["ocsp", "init", "--folder", "responder", "--service-passphrase-file", "passphrase"];
    desk.issuer(&same).refuses(1, &["another one"]);
    let init = ["ocsp", "init", "--folder", "responder", "--service-passphrase-file", "service.pass"];
    desk.issuer(&init).expect(0);
    desk.issuer(&init).refuses(1, &["not empty"]);
    let wrong =
        ["serve", "--from", "public", "--ocsp", "responder", "--service-passphrase-file", "passphrase"];
    desk.issuer(&wrong).refuses(1, &["key.pem"]);
}

/// RFC 6960 section 4.4.7.2.2. A folder that was made while no authority had an RSA key, and one that was made since.
#[test]
fn whose_key_clients_of_an_rsa_authority_cannot_verify_is_told_to_make_another_folder() {
    let desk = Desk::empty();
    std::fs::write(desk.path("service.pass"), "the responder's own passphrase\n").unwrap();
    let init = ["init", "--allow-emulated", "--key-algorithm", "rsa2048", "--organization", "Example Org"];
    let services = ["--domain", "example.org", "--base-url", "http://pki.example.org", "--ocsp"];
    desk.issuer(&[&init[..], &services].concat()).expect(0);
    let ocsp = |command: &str, folder: &str| {
        let passphrase = ["--service-passphrase-file", "service.pass"];
        desk.issuer(&[&["--json", "ocsp", command, "--folder", folder][..], &passphrase].concat())
    };
    ocsp("init", "of-rsa").expect(0);
    ocsp("init", "of-p256").expect(0);
    let key = FileKey::generate(KeyAlgorithm::P256).unwrap();
    let pem = key.to_encrypted_pkcs8_pem("the responder's own passphrase").unwrap();
    std::fs::write(desk.path("of-p256/key.pem"), pem.as_bytes()).unwrap();

    let renewed = ocsp("renew", "of-p256");
    renewed.expect(0);
    let warnings: Vec<_> = renewed.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 1, "{}", renewed.stderr);
    assert!(["of-p256", "RSA", "ocsp init"].iter().all(|word| warnings[0].contains(word)), "{warnings:?}");
    // Whoever reads it as a program does so undisturbed.
    let told: serde_json::Value = serde_json::from_str(&renewed.stdout).unwrap();
    assert_eq!(told["authorities"], 3, "{told}");
    let renewed = ocsp("renew", "of-rsa");
    renewed.expect(0);
    assert!(!renewed.stderr.contains("warning: "), "{}", renewed.stderr);
}
