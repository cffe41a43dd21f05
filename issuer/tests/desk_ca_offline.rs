//! A root whose key is elsewhere: what is carried between the desk and the machine that has it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod authority_support;
mod desk_support;

use std::path::PathBuf;
use std::process::Command;

use authority_support::{card, field, keys, partner, verifies};
use desk_support::{Desk, PASSPHRASE, files_below, openssl, openssl_verify, run};

/// The desk without the root's key, and the machine that has it.
struct Offline {
    desk: Desk,
    vault: PathBuf,
}

impl Offline {
    fn new() -> Self {
        let desk = Desk::new();
        let vault = desk.path("vault");
        let copied = Command::new("cp").arg("-r").arg(desk.home()).arg(&vault).status().unwrap();
        assert!(copied.success());
        std::fs::remove_file(desk.home().join("keys/root.pem")).unwrap();
        Self { desk, vault }
    }

    /// Runs the program where the root's key is.
    fn at_vault(&self, arguments: &[&str]) -> desk_support::Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_issuer"));
        command.env_remove("ISSUER_HOME").current_dir(self.desk.directory.path());
        command.arg("--home").arg(&self.vault).arg("--passphrase-file").arg(self.desk.path("passphrase"));
        run(command.args(arguments))
    }
}

#[test]
fn a_root_that_is_elsewhere_certifies_by_what_is_carried() {
    let offline = Offline::new();
    let desk = &offline.desk;
    assert!(!PASSPHRASE.is_empty());
    let first = desk.issuer(&["publish", "--to", "public"]);
    first.expect(0);
    assert!(first.stderr.contains("the root's key is not here, and no CRL of its is"), "{}", first.stderr);
    for command in ["rollover", "renew"] {
        desk.issuer(&["ca", command, "people"])
            .refuses(1, &["root's key is not here", "issuer ca request people"]);
    }
    desk.issuer(&["ca", "crl", "--out", "x"]).refuses(1, &["root's key is not here"]);

    // A CRL of the root.
    offline.at_vault(&["ca", "crl", "--out", "root-1.crl"]).expect(0);
    desk.issuer(&["ca", "install", "root-1.crl"]).expect(0);
    let public = desk.publish();
    let alice = card(desk, "alice@example.org", "alice");
    verifies(&public, &alice);

    // A new key of the authority for people.
    desk.issuer(&["ca", "request", "people", "--out", "people.csr"]).expect(0);
    offline.at_vault(&["ca", "sign", "people.csr", "--as", "people", "--out", "people.pem"]).expect(0);
    assert!(keys(desk).iter().all(|(_, number, _)| *number == 1), "nothing changes before it is installed");
    desk.issuer(&["ca", "install", "people.pem"]).expect(0);
    desk.issuer(&["ca", "install", "people.pem"]).refuses(1, &["installed already"]);
    let bob = card(desk, "bob@example.org", "bob");
    assert!(field(&bob, "-issuer").ends_with("People CA G2"));
    let public = desk.publish();
    verifies(&public, &alice);
    verifies(&public, &bob);

    // The authority before is revoked where the root's key is.
    let old = desk.json(&["ca", "list"])[1]["serial"].as_str().unwrap().to_owned();
    offline.at_vault(&["revoke", &old, "--reason", "superseded"]).expect(0);
    offline.at_vault(&["ca", "crl", "--out", "root-2.crl"]).expect(0);
    desk.issuer(&["ca", "install", "root-2.crl"]).expect(0);
    desk.issuer(&["ca", "install", "root-1.crl"]).refuses(1, &["before the published one"]);
    let public = desk.publish();
    let (accepted, said) = openssl_verify(&public, &alice, &[]);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");
    verifies(&public, &bob);
    // A revocation that only the desk knows must not be lost.
    let servers = desk.json(&["ca", "list"]);
    let servers = servers.as_array().unwrap().iter().find(|key| key["authority"] == "servers").unwrap();
    let serial = servers["serial"].as_str().unwrap();
    desk.issuer(&["revoke", serial, "--reason", "superseded"]).expect(0);
    offline.at_vault(&["ca", "crl", "--out", "root-3.crl"]).expect(0);
    desk.issuer(&["ca", "install", "root-3.crl"]).refuses(1, &["does not revoke", serial]);
}

#[test]
fn what_is_not_the_roots_is_not_taken_in() {
    let offline = Offline::new();
    let desk = &offline.desk;
    desk.issuer(&["ca", "request", "root", "--out", "x"]).refuses(2, &["a root asks nobody"]);
    std::fs::write(desk.path("words"), "words").unwrap();
    desk.issuer(&["ca", "install", "words"]).refuses(1, &["neither a certificate nor a CRL"]);
    partner(desk, "carol@partner.example", "carol.pem");
    desk.issuer(&["ca", "install", "partner.pem"]).refuses(1, &["not signed by this issuer's root"]);
    // The answer to somebody else's request.
    desk.issuer(&["ca", "request", "people", "--out", "people.csr"]).expect(0);
    offline.at_vault(&["ca", "sign", "people.csr", "--as", "people", "--out", "people.pem"]).expect(0);
    for entry in std::fs::read_dir(desk.home().join("keys")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("people-") {
            std::fs::remove_file(path).unwrap();
        }
    }
    desk.issuer(&["ca", "install", "people.pem"]).refuses(1, &["no key of this home belongs to it"]);
    let stranger = Desk::new();
    stranger.issuer(&["ca", "crl", "--out", "root.crl"]).expect(0);
    std::fs::copy(stranger.path("root.crl"), desk.path("strange.crl")).unwrap();
    desk.issuer(&["ca", "install", "strange.crl"]).expect(1);
}

#[test]
fn a_request_is_certified_as_what_it_is_for_and_once() {
    let offline = Offline::new();
    let desk = &offline.desk;
    for authority in ["people", "servers"] {
        desk.issuer(&["ca", "request", authority, "--out", &format!("{authority}.csr")]).expect(0);
    }
    let sign = |request: &str, authority: &str, out: &str| {
        offline.at_vault(&["ca", "sign", request, "--as", authority, "--out", out])
    };
    sign("servers.csr", "people", "x")
        .refuses(1, &["Servers CA G2", "the authority servers", "not for people"]);
    // Anybody's request for something else.
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    let request = ["req", "-new", "-subj", "/CN=mx.example.org", "-out", &desk.text("mx.csr")];
    assert!(openssl(&[&request[..], &key].concat()).status.success());
    sign("mx.csr", "people", "x").refuses(1, &["mx.example.org", "no authority of Example Org"]);
    assert!(!desk.path("x").exists());

    sign("people.csr", "people", "people.pem").expect(0);
    // The stick was lost: the same answer, and nothing else.
    let again = sign("people.csr", "people", "again.pem");
    again.expect(0);
    assert!(again.stderr.contains("certified already"), "{}", again.stderr);
    let read = |name: &str| std::fs::read(desk.path(name)).unwrap();
    assert_eq!(read("people.pem"), read("again.pem"));
    let listed = offline.at_vault(&["--json", "ca", "list"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().iter().filter(|key| key["authority"] == "people").count(), 2);

    // At the desk the key is that of the authority for servers, says its file.
    for file in files_below(&desk.home().join("keys")) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(rest) = name.strip_prefix("people-") {
            std::fs::rename(&file, file.with_file_name(format!("servers-{rest}"))).unwrap();
        }
    }
    desk.issuer(&["ca", "install", "people.pem"]).refuses(1, &["People CA G2", "not for servers"]);
    let pem = std::fs::read_to_string(desk.path("people.pem")).unwrap();
    let id = hex::encode(issuer::ca::Certificate::from_pem(&pem).unwrap().subject_key_identifier());
    let key = |name: &str| desk.home().join(format!("keys/{name}-{id}.pem"));
    std::fs::rename(key("servers"), key("people")).unwrap();
    desk.issuer(&["ca", "install", "people.pem"]).expect(0);
    // A key that has its place is neither installed nor certified a second time.
    desk.issuer(&["ca", "install", "again.pem"]).refuses(1, &["installed already"]);
    sign("servers.csr", "servers", "servers.pem").expect(0);
    desk.issuer(&["ca", "install", "servers.pem"]).expect(0);
    offline.at_vault(&["ca", "rollover", "people"]).expect(0);
    sign("people.csr", "people", "x")
        .refuses(1, &["key 2 of the authority people", "issuer ca request people"]);
}

#[test]
fn a_certificate_that_was_renewed_where_the_root_is_takes_its_place() {
    let offline = Offline::new();
    let desk = &offline.desk;
    for authority in ["people", "root"] {
        offline.at_vault(&["ca", "renew", authority]).expect(0);
    }
    offline.at_vault(&["publish", "--to", "there"]).expect(0);
    for file in files_below(&desk.path("there/ca")) {
        let done = desk.issuer(&["ca", "install", file.to_str().unwrap()]);
        let is_servers = done.stderr.contains("installed already");
        assert!(done.status == i32::from(is_servers), "{done:?}");
    }
    let listed = desk.json(&["ca", "list"]);
    let counts: Vec<_> =
        listed.as_array().unwrap().iter().map(|key| key["certificates"].as_u64().unwrap()).collect();
    assert_eq!(counts, [2, 2, 1], "root and people were renewed: {listed}");
    offline.at_vault(&["ca", "crl", "--out", "root.crl"]).expect(0);
    desk.issuer(&["ca", "install", "root.crl"]).expect(0);
    verifies(&desk.publish(), &card(desk, "alice@example.org", "alice"));
}

#[test]
fn what_is_due_is_told_in_time() {
    let offline = Offline::new();
    let desk = &offline.desk;
    offline.at_vault(&["ca", "crl", "--out", "root.crl"]).expect(0);
    desk.issuer(&["ca", "install", "root.crl"]).expect(0);
    let list = |later: &str| {
        let done = desk.on_another_day(later, &["ca", "list"]);
        done.expect(0);
        done.stderr
    };
    assert_eq!(list("+70d"), "");
    assert!(
        list("+80d").contains("its CRL ends") && list("+80d").contains("issuer ca crl"),
        "{}",
        list("+80d")
    );
    assert!(list("+91d").contains("its CRL ended"), "{}", list("+91d"));
    let last_year = list("+3300d");
    assert!(last_year.contains("the certificate of the authority people ends"), "{last_year}");
    assert!(
        last_year.contains("issuer ca request people") && !last_year.contains("authority root"),
        "{last_year}"
    );
    assert!(list("+3700d").contains("the certificate of the authority people ended"));
}
