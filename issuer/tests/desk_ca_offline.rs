//! A root whose key is elsewhere: what is carried between the desk and the machine that has it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod authority_support;
mod desk_support;

use std::path::{Path, PathBuf};
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

    /// Certifies a request there; whoever made it said its SHA-256.
    fn sign(&self, request: &str, authority: &str, out: &str) -> desk_support::Run {
        let digest = sha256(&self.desk.path(request));
        self.at_vault(&["ca", "sign", request, "--as", authority, "--digest", &digest, "--out", out])
    }

    fn listed_at_vault(&self) -> serde_json::Value {
        serde_json::from_str(&self.at_vault(&["--json", "ca", "list"]).stdout).unwrap()
    }
}

/// As the ordinary tool tells it.
fn sha256(file: &Path) -> String {
    let said = Command::new("sha256sum").arg(file).output().unwrap().stdout;
    String::from_utf8(said).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// A request that somebody made alone, for an authority's name.
fn strange_request(desk: &Desk, name: &str, file: &str) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    let subject = format!("/O=Example Org/CN={name}");
    let request = ["req", "-new", "-subj", &subject, "-out", &desk.text(file)];
    assert!(openssl(&[&request[..], &key].concat()).status.success());
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
    offline.sign("people.csr", "people", "people.pem").expect(0);
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
    let old = desk.issuer(&["ca", "install", "root-1.crl"]);
    old.refuses(
        1,
        &["root-1.crl: it is older than the one that is here", "0x01", "0x02", "issuer ca crl --out"],
    );
    assert!(!old.stderr.contains("clock"), "{}", old.stderr);
    desk.issuer(&["ca", "install", "root-2.crl"]).refuses(1, &["installed already"]);
    let ended = desk.on_another_day("+91d", &["ca", "install", "root-2.crl"]);
    ended.refuses(1, &["it has expired, on ", "issuer ca crl --out root.crl"]);
    let refusal = ended.stderr.lines().find(|line| line.starts_with("issuer: ")).unwrap();
    assert!(!refusal.contains("clock"), "{refusal}");
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
    // Until then nobody is sent to a command that cannot help.
    for said in [desk.issuer(&["publish"]).stderr, desk.issuer(&["target", "list"]).stdout] {
        let due = said.lines().find(|line| line.contains("authority root do not say")).unwrap();
        assert!(due.ends_with("then here: issuer ca install root.crl"), "{due}");
    }
    offline.at_vault(&["revoke", serial, "--reason", "superseded"]).expect(0);
    offline.at_vault(&["ca", "crl", "--out", "root-4.crl"]).expect(0);
    desk.issuer(&["ca", "install", "root-4.crl"]).expect(0);
    desk.issuer(&["publish"]).expect(0);
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
    offline.sign("people.csr", "people", "people.pem").expect(0);
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
    let sign = |request: &str, authority: &str, out: &str| offline.sign(request, authority, out);
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
    let listed = offline.listed_at_vault();
    assert_eq!(listed.as_array().unwrap().iter().filter(|key| key["authority"] == "people").count(), 1);
    assert_eq!(listed[0]["elsewhere"].as_array().unwrap().len(), 1, "{listed}");

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
    // A key of the other home's own has a name of its own.
    offline.at_vault(&["ca", "rollover", "people"]).expect(0);
    assert!(offline.listed_at_vault().to_string().contains("People CA G3"));
    sign("people.csr", "people", "third.pem").expect(0);
    let serial = offline.listed_at_vault()[0]["elsewhere"][0]["serial"].as_str().unwrap().to_owned();
    offline.at_vault(&["revoke", &serial, "--reason", "key-compromise"]).expect(0);
    sign("people.csr", "people", "x").refuses(1, &["key-compromise", "issuer ca request people"]);
    assert!(!desk.path("x").exists());
}

/// The machine that has the root's key goes on with its own authorities, whatever it certifies for others.
#[test]
fn what_is_certified_for_another_home_changes_nothing_of_this_one() {
    let offline = Offline::new();
    let desk = &offline.desk;
    let said = desk.issuer(&["ca", "request", "people", "--out", "people.csr"]);
    said.expect(0);
    let digest = sha256(&desk.path("people.csr"));
    assert!(said.stdout.contains(&format!("SHA-256 is {digest}")), "{}", said.stdout);

    // Somebody exchanged the request on its way, and nobody typed anything.
    strange_request(desk, "Example Org People CA", "strange.csr");
    let sign = ["ca", "sign", "strange.csr", "--as", "people", "--out", "x"];
    offline.at_vault(&sign).refuses(2, &["--digest"]);
    offline.at_vault(&[&sign[..], &["--digest", &digest]].concat()).refuses(1, &["Nothing was signed"]);
    assert!(!desk.path("x").exists());

    let done = offline.sign("people.csr", "people", "people.pem");
    done.expect(0);
    let listed = offline.listed_at_vault();
    let people = &listed[1];
    assert_eq!(
        (&people["authority"], &people["key"], &people["is_current"]),
        (&"people".into(), &1.into(), &true.into())
    );
    let other = &listed[0]["elsewhere"][0];
    assert!(other["subject"].as_str().unwrap().contains("People CA G2"), "{listed}");
    assert_eq!(listed[0]["cross_certificates"], 0);
    let published = || {
        let done = offline.at_vault(&["publish", "--to", "there"]);
        done.expect(0);
        done
    };
    published();
    let chain = std::fs::read_to_string(desk.path("there/ca-chain.pem")).unwrap();
    let certified = std::fs::read_to_string(desk.path("people.pem")).unwrap();
    assert_eq!(chain.matches(certified.trim()).count(), 1, "it is known, like a cross-certificate");

    // It is revoked as any other, and the root says so.
    let serial = other["serial"].as_str().unwrap();
    assert!(done.stdout.contains(serial), "{}", done.stdout);
    offline.at_vault(&["revoke", serial, "--reason", "key-compromise"]).expect(0);
    published();
    let there = desk.path("there");
    let judged = openssl(&[
        "verify",
        "-crl_check_all",
        "-CAfile",
        there.join("anchor.pem").to_str().unwrap(),
        "-CRLfile",
        there.join("crl.pem").to_str().unwrap(),
        &desk.text("people.pem"),
    ]);
    assert!(String::from_utf8_lossy(&judged.stderr).contains("certificate revoked"), "{judged:?}");
    assert_eq!(offline.listed_at_vault()[0]["elsewhere"][0]["reason"], "key-compromise");
    offline.at_vault(&["audit", "verify"]).expect(0);
}

/// As homes were left by what `ca sign` did before: the foreign key stands there as the authority's next.
#[tokio::test]
async fn a_home_that_took_a_foreign_key_for_its_own_finds_out() {
    let desk = Desk::new();
    let alice = card(&desk, "alice@example.org", "alice");
    verifies(&desk.publish(), &alice);
    strange_request(&desk, "Example Org People CA", "r.csr");
    let digest = sha256(&desk.path("r.csr"));
    let sign = ["ca", "sign", "r.csr", "--as", "people", "--digest", &digest, "--out", "r.pem"];
    desk.issuer(&sign).expect(0);
    let pem = std::fs::read_to_string(desk.path("r.pem")).unwrap();
    let foreign = issuer::ca::Certificate::from_pem(&pem).unwrap();
    let url = issuer::registry::RegistryUrl::Sqlite(desk.home().join("registry.db"));
    let registry = issuer::registry::Registry::open(&url, issuer::domain::Actor::unrecorded()).await.unwrap();
    let people = issuer::domain::AuthorityName::People;
    let keys = registry.authority_keys().await.unwrap();
    let own = keys.into_iter().find(|key| key.name == people).unwrap().certificate;
    let own = issuer::ca::Certificate::from_der(own).unwrap();
    let taken = issuer::registry::NewAuthorityKey {
        name: people,
        certificate: foreign.as_der(),
        key_identifier: foreign.subject_key_identifier(),
        predecessor: own.subject_key_identifier(),
    };
    registry.roll_over_authority(&taken, "2026-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    registry.close().await;

    // Publication goes on, and says what to do.
    let done = desk.issuer(&["publish", "--to", "public"]);
    done.expect(0);
    let serial = foreign.serial_number().to_string();
    for word in ["was certified for another home", "issuer ca rollover people", &serial] {
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
    }
    verifies(&desk.path("public"), &alice);
    let blank = desk.yubikey("bob.card", &[]);
    let issue = ["issue", "bob@example.org", "--card", &blank, "--transport-pin-file", "bob.pin"];
    desk.issuer(&issue).refuses(1, &["was certified for another home", "issuer ca rollover people"]);
    desk.issuer(&["ca", "renew", "people"]).refuses(1, &["was certified for another home"]);

    desk.issuer(&["revoke", &serial, "--reason", "key-compromise"]).expect(0);
    desk.issuer(&["publish", "--to", "public"]).expect(0);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.issuer(&["ca", "rollover", "people"]).expect(0);
    desk.issuer(&issue).expect(0);
    let public = desk.publish();
    let (accepted, said) = openssl_verify(&public, &alice, &[]);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");
    let (accepted, said) = openssl_verify(&public, &desk.path("r.pem"), &[]);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");
    desk_support::extract_certificates(&blank, &desk.path("bob"));
    verifies(&public, &desk.path("bob/9C.pem"));
    assert!(field(&desk.path("bob/9C.pem"), "-issuer").ends_with("People CA G3"));
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
