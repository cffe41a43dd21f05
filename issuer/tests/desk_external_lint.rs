//! A linter of somebody else's sees every certificate before it is signed, and its refusal is named.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::io::Write;
use std::path::Path;

use desk_support::{Desk, openssl};

fn configure(desk: &Desk, command: &str) {
    let path = desk.home().join("config.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    let kept: String = before
        .lines()
        .filter(|line| !line.starts_with("external_lint"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&path, format!("external_lint = {command}\n{kept}")).unwrap();
}

fn request(desk: &Desk) -> String {
    let (key, csr) = (desk.text("mail.key"), desk.text("mail.csr"));
    let made = openssl(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        &key,
        "-out",
        &csr,
        "-subj",
        "/CN=mail.example.org",
        "-addext",
        "subjectAltName=DNS:mail.example.org",
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    csr
}

/// A linter that keeps what it saw and judges by what it finds in it.
fn linter(desk: &Desk, verdict: &str) -> String {
    let path = desk.path("linter");
    let mut file = std::fs::File::create(&path).unwrap();
    write!(file, "#!/bin/sh\nopenssl x509 -in \"$2\" -noout -text > seen || exit 9\n{verdict}\n").unwrap();
    drop(file);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    format!("[{:?}, \"--strict\", \"{{}}\"]", path.display().to_string())
}

#[test]
fn only_what_the_linter_passes_is_signed() {
    let desk = Desk::new();
    let csr = request(&desk);
    let certify = || desk.issuer(&["certify", &csr, "--profile", "mail-server", "--out", "mail.pem"]);

    configure(&desk, &linter(&desk, "echo 'E: validity is too long'; exit 1"));
    certify().refuses(1, &["external lint refused it", "E: validity is too long"]);
    assert!(!desk.path("mail.pem").exists());
    let found = desk.json(&["find", "mail.example.org"]);
    assert_eq!(found["certificates"][0]["state"], "to be signed", "{found}");

    configure(&desk, "[\"/nowhere/linter\"]");
    certify().refuses(1, &["/nowhere/linter (external_lint in config.toml) cannot be asked"]);

    configure(&desk, &linter(&desk, "grep -q 'TLS Web Server Authentication' seen"));
    certify().expect(0);
    assert!(Path::new(&desk.text("mail.pem")).exists());
    let seen = std::fs::read_to_string(desk.path("seen")).unwrap();
    let signed = openssl(&["x509", "-in", &desk.text("mail.pem"), "-noout", "-text"]);
    let serial = |text: &str| {
        text.split("Serial Number:").nth(1).unwrap().trim_start().lines().next().unwrap().to_owned()
    };
    assert_eq!(serial(&seen), serial(&String::from_utf8(signed.stdout).unwrap()));
}

/// A program of the virtual environment that scripts/setup makes.
fn of_environment(program: &str) -> String {
    let folder = std::env::var_os("SEALWRIGHT_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv"), Into::into);
    let path = folder.join("bin").join(program);
    assert!(path.exists(), "{} is not there: scripts/setup installs pkilint", path.display());
    path.display().to_string()
}

#[test]
fn pkilint_is_asked_and_its_findings_are_the_refusal() {
    let desk = Desk::new();
    let csr = request(&desk);
    let certify = || desk.issuer(&["certify", &csr, "--profile", "mail-server", "--out", "mail.pem"]);
    let pkilint = |linter: &str, options: &str| {
        configure(
            &desk,
            &format!("[{:?}, \"lint\", {options}\"-s\", \"WARNING\", \"{{}}\"]", of_environment(linter)),
        );
    };
    // What is right for people's mail is wrong for a server.
    pkilint("lint_cabf_smime_cert", "\"-t\", \"SPONSORED-STRICT\", ");
    certify().refuses(1, &["external lint refused it", "lint_cabf_smime_cert", "ERROR"]);
    assert!(!desk.path("mail.pem").exists());
    pkilint("lint_pkix_cert", "");
    certify().expect(0);
    // Everything that goes on a card, and who signs its objects.
    let alice = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &alice, &[]);
}
