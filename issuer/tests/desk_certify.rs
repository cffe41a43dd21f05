//! Certificates for the organisation's mail servers, requested with OpenSSL and judged by it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use desk_support::{Desk, openssl, openssl_verify};

fn request(desk: &Desk, name: &str, names: &str, key: &[&str]) -> String {
    let mut all = vec!["req", "-new", "-nodes", "-newkey"];
    all.extend(key);
    let (key_file, request) = (desk.text(&format!("{name}.key")), desk.text(&format!("{name}.csr")));
    let extension = format!("subjectAltName={names}");
    all.extend([
        "-keyout",
        &key_file,
        "-subj",
        "/CN=mail.example.org",
        "-addext",
        &extension,
        "-out",
        &request,
    ]);
    let made = openssl(&all);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    request
}

const EC: [&str; 3] = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[test]
fn a_mail_server_is_certified_and_openssl_accepts_it_for_its_names() {
    let desk = Desk::new();
    for (name, key) in [("ec", EC.as_slice()), ("rsa", &["rsa:2048"])] {
        let csr = request(&desk, name, "DNS:mail.example.org,DNS:smtp.example.org,IP:127.0.0.1", key);
        let out = desk.text(&format!("{name}.pem"));
        let done = desk.issuer(&["certify", &csr, "--profile", "mail-server", "--out", &out]);
        done.expect(0);
        let public = desk.publish();
        let certificate = desk.path(&format!("{name}.pem"));
        for arguments in [
            &["-purpose", "sslserver", "-verify_hostname", "mail.example.org"],
            &["-purpose", "sslserver", "-verify_ip", "127.0.0.1"],
        ] {
            let (accepted, said) = openssl_verify(&public, &certificate, arguments);
            assert!(accepted, "{said}");
        }
        assert!(!openssl_verify(&public, &certificate, &["-purpose", "smimesign"]).0);
        assert!(!openssl_verify(&public, &certificate, &["-verify_hostname", "imap.example.org"]).0);
        let chain = std::fs::read_to_string(&certificate).unwrap();
        assert_eq!(
            chain.matches("BEGIN CERTIFICATE").count(),
            2,
            "the server sends its authority's certificate too"
        );
    }
    assert_eq!(desk.json(&["find", "mail.example.org"])["certificates"].as_array().unwrap().len(), 2);
    assert!(!desk.path("public/certificates/by-email/mail.example.org").exists());
}

#[test]
fn the_same_request_again_gives_the_same_certificate() {
    let desk = Desk::new();
    let csr = request(&desk, "mail", "DNS:mail.example.org", &EC);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let lost = desk_support::run(desk.command(&["certify", &csr, "--profile", "mail-server"]).stdout(full));
    assert_eq!(lost.status, 1);
    let again = desk.issuer(&["certify", &csr, "--profile", "mail-server"]);
    assert!(again.expect(0).stderr.contains("nothing was signed"), "{}", again.stderr);
    let found = || desk.json(&["find", "mail.example.org"])["certificates"].clone();
    assert_eq!(found().as_array().unwrap().len(), 1);
    let serial = found()[0]["serial"].as_str().unwrap().to_owned();
    let summary = desk.json(&["certify", &csr, "--profile", "mail-server", "--out", "mail.pem"]);
    assert_eq!((&summary["serial"], &summary["issued_before"]), (&serial.clone().into(), &true.into()));
    assert_eq!(std::fs::read_to_string(desk.path("mail.pem")).unwrap().trim(), again.stdout.trim());

    // Another key, other names, or a revocation: a new one.
    let other_key = request(&desk, "other", "DNS:mail.example.org", &EC);
    desk.issuer(&["certify", &other_key, "--profile", "mail-server"]).expect(0);
    desk.issuer(&["revoke", &serial, "--reason", "superseded"]).expect(0);
    let renewed = desk.json(&["certify", &csr, "--profile", "mail-server", "--out", "new.pem"]);
    assert_eq!(renewed["issued_before"], false);
    assert_ne!(renewed["serial"], serial);
    assert_eq!(found().as_array().unwrap().len(), 3);
}

#[test]
fn a_server_certificate_is_revoked_by_its_serial_number() {
    let desk = Desk::new();
    let csr = request(&desk, "mail", "DNS:mail.example.org", &EC);
    let summary = desk.json(&["certify", &csr, "--profile", "mail-server", "--out", "mail.pem"]);
    desk.issuer(&["revoke", summary["serial"].as_str().unwrap(), "--reason", "superseded"]).expect(0);
    let public = desk.publish();
    let (accepted, said) = openssl_verify(&public, &desk.path("mail.pem"), &[]);
    assert!(!accepted && said.contains("revoked"), "{said}");
}

#[test]
fn names_that_are_not_the_organisations_are_refused() {
    let desk = Desk::new();
    for (names, word) in [
        ("DNS:mail.example.com", "mail.example.com"),
        ("DNS:example.org,DNS:evilexample.org", "evilexample.org"),
        ("IP:9.9.9.9", "9.9.9.9"),
    ] {
        let csr = request(&desk, "foreign", names, &EC);
        let refused = desk.issuer(&["certify", &csr, "--profile", "mail-server", "--out", "foreign.pem"]);
        refused.refuses(1, &[word, "nothing was signed"]);
    }
    assert!(!desk.path("foreign.pem").exists());
}

#[test]
fn what_is_not_a_request_is_refused() {
    let desk = Desk::new();
    let csr = request(&desk, "mail", "DNS:mail.example.org", &EC);
    let done = desk.issuer(&["certify", "staff.csv", "--profile", "mail-server"]);
    done.refuses(1, &["staff.csv"]);
    // A request whose signature is another key's proves nothing.
    let der = desk.text("mail.der");
    openssl(&["req", "-in", &csr, "-outform", "DER", "-out", &der]);
    let mut bytes = std::fs::read(&der).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&der, bytes).unwrap();
    desk.issuer(&["certify", &der, "--profile", "mail-server"]).expect(1);
    desk.issuer(&["certify", &csr]).expect(2);
    std::fs::write(desk.path("taken.pem"), "mine").unwrap();
    desk.issuer(&["certify", &csr, "--profile", "mail-server", "--out", "taken.pem"])
        .refuses(1, &["not overwritten"]);
}
