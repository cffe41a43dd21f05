//! `mailer certificate verify` as a user runs it; no account, no network.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::process::{Command, Stdio};

use openssl_pki::{Key, Pki, openssl, signing, try_openssl};

/// Exit code, standard output, standard error.
fn run(pki: &Pki, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailer"));
    command.args(["certificate", "verify"]).args(arguments).current_dir(pki.path());
    command.env_remove("HOME").env_remove("MAILER_HOME").stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(pki: &Pki, arguments: &[&str]) -> (i32, serde_json::Value) {
    let (code, stdout, stderr) = run(pki, &[arguments, &["--json"]].concat());
    assert_eq!(stderr, "");
    (code, serde_json::from_str(&stdout).unwrap())
}

const AT: &str = "2026-06-01T12:00:00Z";

fn pki() -> Pki {
    let pki = Pki::new();
    pki.people.issue("alice", Key::P256, &signing("alice@example.test"));
    pki
}

const ALICE: [&str; 7] = ["alice.pem", "--anchor", "Root.pem", "--intermediate", "People.pem", "--at", AT];

#[test]
fn a_good_certificate_is_shown_with_its_chain() {
    let pki = pki();
    let (code, text, _) = run(&pki, &ALICE);
    assert_eq!(code, 0);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Valid on 2026-06-01 12:00 UTC, for anything.");
    assert!(
        lines[1].starts_with("1. alice <alice@example.test>, issued by People, valid until 2048"),
        "{text}"
    );
    assert!(lines[2].starts_with("2. People, issued by Root"), "{text}");
    assert_eq!(lines[3], "Trusted CA: Root");
    assert!(lines[4].starts_with("Revocation: not checked"), "{text}");
    assert_eq!(lines[5], "Policies: none");
    let (code, answer) = json(&pki, &[&ALICE[..], &["--purpose", "signing"]].concat());
    assert_eq!((code, &answer["code"], &answer["revocation"]), (0, &"trusted".into(), &"not-checked".into()));
    assert_eq!(answer["chain"].as_array().unwrap().len(), 2);
    assert_eq!(answer["anchor"]["subject"], "Root");
}

#[test]
fn a_refused_one_is_told_with_its_reason() {
    let pki = pki();
    let (code, text, _) = run(&pki, &[&ALICE[..], &["--purpose", "encryption"]].concat());
    assert_eq!(code, 4);
    assert!(text.starts_with("Not trusted: the certificate is not for receiving encrypted mail."), "{text}");
    let refused = |more: &[&str]| {
        let (code, answer) = json(&pki, &[&ALICE[..], more].concat());
        assert_eq!((code, &answer["trusted"]), (4, &false.into()), "{answer}");
        answer["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused(&["--explicit-policy"]), "policy-required");
    let (code, answer) = json(&pki, &["alice.pem", "--anchor", "Root.pem", "--at", AT]);
    assert_eq!((code, &answer["code"]), (4, &"unknown-issuer".into()));
    let (code, answer) = json(&pki, &[&ALICE[..5], &["--at", "2049-01-01"]].concat());
    assert_eq!((code, &answer["code"]), (4, &"expired".into()));
}

#[test]
fn lists_come_as_files_or_folders() {
    let pki = pki();
    pki.root.crl();
    pki.people.crl();
    std::fs::create_dir(pki.path().join("lists")).unwrap();
    for name in ["Root", "People"] {
        let (from, to) = (format!("{name}.crl"), format!("lists/{name}.crl"));
        openssl(pki.path(), &["crl", "-in", &from, "-outform", "DER", "-out", &to]);
    }
    for lists in [&["Root.crl", "People.crl"][..], &["lists"]] {
        let (code, answer) = json(&pki, &[&ALICE[..], &["--crl"], lists].concat());
        assert_eq!(
            (code, &answer["revocation"], &answer["revocation_by"]),
            (0, &"good".into(), &"crl".into())
        );
        assert_eq!(answer["revocation_as_of"], "2026-05-25T00:00:00Z");
    }
    // Half of the knowledge is none.
    let (code, answer) = json(&pki, &[&ALICE[..], &["--crl", "People.crl"]].concat());
    assert_eq!((code, &answer["code"]), (4, &"revocation-unknown".into()));
    pki.people.revoke("alice", &[]);
    pki.people.crl();
    let (code, text, _) = run(&pki, &[&ALICE[..], &["--crl", "Root.crl", "People.crl"]].concat());
    assert_eq!(code, 4);
    assert!(text.starts_with("Not trusted: the certificate was revoked on "), "{text}");
}

#[test]
fn answers_of_responders_count() {
    let pki = pki();
    pki.root.crl();
    let answer = |file: &str| {
        let issuer = ["-issuer", "People.pem", "-cert", "alice.pem"];
        let signer = ["-rsigner", "People.pem", "-rkey", "People.key", "-CA", "People.pem", "-ndays", "3650"];
        let arguments = ["ocsp", "-index", "People/index.txt", "-no_nonce", "-respout", file];
        let output = try_openssl(pki.path(), &[&arguments[..], &issuer, &signer].concat());
        assert!(pki.path().join(file).exists(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    answer("good.ocsp");
    // The answer is as old as this test.
    let now = ["alice.pem", "--anchor", "Root.pem", "--intermediate", "People.pem"];
    pki.root.crl_with("", ("20260525000000Z", "20480610000000Z"));
    let (code, found) = json(&pki, &[&now[..], &["--crl", "Root.crl", "--ocsp", "good.ocsp"]].concat());
    assert_eq!((code, &found["revocation_by"]), (0, &"ocsp".into()), "{found}");
    pki.people.revoke("alice", &["-crl_reason", "keyCompromise"]);
    answer("revoked.ocsp");
    let (code, found) = json(&pki, &[&now[..], &["--crl", "Root.crl", "--ocsp", "revoked.ocsp"]].concat());
    assert_eq!((code, &found["code"]), (4, &"revoked".into()), "{found}");
    assert!(found["sentence"].as_str().unwrap().contains("key compromise"), "{found}");
    // Of several answers the worst counts, in whatever order they come.
    for answers in [["good.ocsp", "revoked.ocsp"], ["revoked.ocsp", "good.ocsp"]] {
        let (code, found) = json(&pki, &[&now[..], &["--crl", "Root.crl", "--ocsp"], &answers[..]].concat());
        assert_eq!((code, &found["code"]), (4, &"revoked".into()), "{found}");
    }
}

#[test]
fn certificates_are_der_or_pem_one_or_several() {
    let pki = pki();
    openssl(pki.path(), &["x509", "-in", "alice.pem", "-outform", "DER", "-out", "alice.der"]);
    let (code, _) = json(&pki, &[&["alice.der"], &ALICE[1..]].concat());
    assert_eq!(code, 0);
    pki.write("both.pem", &[pki.read("alice.pem"), pki.read("People.pem")].concat());
    assert_eq!(json(&pki, &["both.pem", "--anchor", "Root.pem", "--at", AT]).0, 0);
}

#[test]
fn what_cannot_be_read_or_makes_no_sense_is_told_apart() {
    let pki = pki();
    pki.write("nonsense", b"nonsense");
    let failed = |arguments: &[&str], exit: i32| {
        let (code, stdout, stderr) = run(&pki, &[arguments, &["--json"]].concat());
        assert_eq!((code, stdout.as_str()), (exit, ""), "{stderr}");
        let error: serde_json::Value = serde_json::from_str(&stderr).unwrap();
        error["error"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(failed(&["nonsense", "--anchor", "Root.pem"], 1), "certificate-malformed");
    assert_eq!(failed(&["missing", "--anchor", "Root.pem"], 1), "file");
    assert_eq!(failed(&[&ALICE[..], &["--crl", "nonsense"]].concat(), 1), "crl-malformed");
    assert_eq!(failed(&[&ALICE[..], &["--crl", "alice.pem"]].concat(), 1), "pem-malformed");
    assert_eq!(failed(&["alice.pem"], 2), "usage");
    assert_eq!(failed(&[&ALICE[..5], &["--at", "yesterday"]].concat(), 2), "usage");
    assert_eq!(failed(&[&ALICE[..], &["--policy", "gold"]].concat(), 2), "usage");
}
