//! Classes of readers: kept at the desk, published as one signed list.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::path::Path;

use desk_support::{Desk, openssl};
use serde_json::Value;

/// The list as openssl reads it, if its signature is good and its chain ends in the published anchor.
fn opened(public: &Path) -> Result<Value, String> {
    let file = |name: &str| public.join(name).to_str().unwrap().to_owned();
    let (list, anchor) = (file("classes.p7m"), file("anchor.pem"));
    let output = openssl(&[
        "cms",
        "-verify",
        "-cades",
        "-inform",
        "DER",
        "-in",
        &list,
        "-CAfile",
        &anchor,
        "-purpose",
        "any",
        "-binary",
        "-x509_strict",
    ]);
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn a_list_is_signed_and_says_who_is_in_which_class() {
    let desk = Desk::new();
    let public = desk.publish();
    desk.issuer(&[
        "class",
        "add",
        "board",
        "alice@example.org",
        "--clearance",
        "3",
        "--description",
        "Vorstand 董事会",
    ])
    .expect(0);
    desk.issuer(&["class", "add", "crane-crew", "1001", "bob@example.org", "--policy", "1.2.3.4"]).expect(0);
    let published = desk.json(&["class", "publish", "--to", "public", "--days", "10"]);
    assert_eq!((&published["number"], &published["members"]), (&1.into(), &3.into()));
    assert_eq!(published["new_authority"], true);
    // The list brings its own chain up to the root.
    let list = opened(&public).unwrap();
    assert_eq!((&list["version"], &list["number"]), (&1.into(), &1.into()));
    assert_eq!(list["organization"], "Example Org");
    let expected = serde_json::json!([
        { "name": "board", "description": "Vorstand 董事会", "policy": "1.3.6.1.4.1.32473.1.6",
          "members": [{ "address": "alice@example.org", "clearance": 3 }] },
        { "name": "crane-crew", "description": "", "policy": "1.2.3.4",
          "members": [{ "address": "alice@example.org", "clearance": 0 }, { "address": "bob@example.org", "clearance": 0 }] },
    ]);
    assert_eq!(list["classes"], expected);
    let time = |name: &str| list[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time("expires").as_second() - time("issued").as_second(), 10 * 86_400);

    // The verification itself works: what is planted is found.
    let path = public.join("classes.p7m");
    let mut changed = std::fs::read(&path).unwrap();
    let at = changed.windows(11).position(|window| window == b"\"clearance\"").unwrap() + 12;
    changed[at] ^= 1;
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, changed).unwrap();
    assert!(opened(&public).is_err());
    std::fs::write(&path, good).unwrap();
    assert!(opened(&public).is_ok());
}

#[test]
fn the_signers_certificate_is_for_documents_and_stays() {
    let desk = Desk::new();
    let public = desk.publish();
    let list = public.join("classes.p7m").to_str().unwrap().to_owned();
    let certificates = || {
        let output = openssl(&["pkcs7", "-inform", "DER", "-in", &list, "-print_certs", "-text", "-noout"]);
        String::from_utf8(output.stdout).unwrap().replace(" = ", "=")
    };
    desk.issuer(&["class", "publish", "--to", "public"]).expect(0);
    let first = certificates();
    assert!(first.contains("X509v3 Extended Key Usage: \n                1.3.6.1.5.5.7.3.36\n"), "{first}");
    assert!(first.contains("CN=Example Org Reader Classes") && first.contains("CN=Example Org Documents CA"));
    assert!(!first.contains("Subject: O=Example Org, CN=Example Org Root CA"));
    desk.issuer(&["class", "publish", "--to", "public"]).expect(0);
    assert_eq!(certificates(), first);
    let key = std::fs::read_to_string(desk.home().join("keys/reader-classes.pem")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    // The new authority and its CRL are published by the next issuer publish, which leaves the list alone.
    let before = std::fs::read(&list).unwrap();
    desk.publish();
    assert_eq!(std::fs::read(&list).unwrap(), before);
    let crl = std::fs::read_to_string(public.join("crl.pem")).unwrap();
    assert_eq!(crl.matches("BEGIN X509 CRL").count(), 4);
}

#[test]
fn members_come_and_go() {
    let desk = Desk::new();
    let public = desk.publish();
    desk.issuer(&["class", "add", "board", "alice@example.org", "bob@example.org", "--clearance", "4"])
        .expect(0);
    // Said anew: the clearance of one; the other keeps hers.
    desk.issuer(&["class", "add", "board", "bob@example.org", "--clearance", "2"]).expect(0);
    desk.issuer(&["class", "add", "board", "--description", "The board"]).expect(0);
    let board = desk.json(&["class", "list"])[0].clone();
    assert_eq!(board["description"], "The board");
    assert_eq!(board["members"][0]["clearance"], 4);
    assert_eq!(board["members"][1]["clearance"], 2);
    let table = desk.issuer(&["class", "list"]);
    assert!(table.expect(0).stdout.contains("Bob Ruiz <bob@example.org>"), "{}", table.stdout);
    desk.issuer(&["class", "publish", "--to", "public"]).expect(0);
    desk.issuer(&["class", "remove", "board", "bob@example.org"]).expect(0);
    desk.issuer(&["class", "publish", "--to", "public"]).expect(0);
    let list = opened(&public).unwrap();
    assert_eq!(list["number"], 2);
    assert_eq!(list["classes"][0]["members"].as_array().unwrap().len(), 1);
    let again = desk.issuer(&["class", "remove", "board", "bob@example.org"]);
    assert!(again.expect(0).stderr.contains("was not in class board"));
    desk.issuer(&["class", "remove", "board"]).expect(0);
    desk.issuer(&["class", "publish", "--to", "public"]).expect(0);
    assert_eq!(opened(&public).unwrap()["classes"], serde_json::json!([]));
    assert!(desk.issuer(&["class", "list"]).expect(0).stdout.contains("no classes yet"));
}

#[test]
fn what_is_not_known_is_refused_and_changes_nothing() {
    let desk = Desk::new();
    desk.issuer(&["class", "add", "board", "alice@example.org", "carol@example.org"])
        .refuses(1, &["carol@example.org", "staff import"]);
    desk.issuer(&["class", "add", "The Board", "alice@example.org"])
        .refuses(1, &["The Board", "name of a class"]);
    desk.issuer(&["class", "add", "board", "alice@example.org", "--clearance", "6"]).expect(2);
    desk.issuer(&["class", "remove", "board"]).refuses(1, &["no class board", "class list"]);
    assert_eq!(desk.json(&["class", "list"]), serde_json::json!([]));
    desk.issuer(&["class", "publish", "--to", "public"]).refuses(1, &["public", "issuer publish"]);
    desk.issuer(&["class", "publish", "--to", "home"]).refuses(1, &["own home"]);
}

/// A registry that was put back to an earlier day would publish an older list under a number that was used.
#[test]
fn an_older_list_does_not_replace_a_newer_one() {
    let desk = Desk::new();
    let public = desk.publish();
    desk.issuer(&["class", "add", "board", "alice@example.org"]).expect(0);
    desk.issuer(&["class", "publish", "--to", "public"]).expect(0);
    let registry = |name: &str| desk.home().join(name);
    let files = ["registry.db", "registry.db-wal", "registry.db-shm"];
    let earlier = files.map(|name| std::fs::read(registry(name)).ok());
    desk.issuer(&["class", "remove", "board", "alice@example.org"]).expect(0);
    desk.issuer(&["class", "publish", "--to", "public"]).expect(0);
    let newest = std::fs::read(public.join("classes.p7m")).unwrap();
    for (name, contents) in files.iter().zip(earlier) {
        match contents {
            Some(contents) => std::fs::write(registry(name), contents).unwrap(),
            None => drop(std::fs::remove_file(registry(name))),
        }
    }
    desk.issuer(&["class", "publish", "--to", "public"])
        .refuses(1, &["number 2 does not follow the published number 2", "backup"]);
    assert_eq!(std::fs::read(public.join("classes.p7m")).unwrap(), newest);
    // A file that is no list is not written over either.
    std::fs::write(public.join("classes.p7m"), "something").unwrap();
    desk.issuer(&["class", "publish", "--to", "public"]).refuses(1, &["list of classes cannot be read"]);
    assert_eq!(std::fs::read(public.join("classes.p7m")).unwrap(), b"something");
}

/// After a roll-over of their authority the list is signed under the new key, and that somebody has to see to it is said.
#[test]
fn a_new_key_of_the_authority_signs_the_next_list() {
    let desk = Desk::new();
    let public = desk.publish();
    desk.issuer(&["class", "add", "board", "alice@example.org"]).expect(0);
    desk.issuer(&["class", "publish", "--to", "public"]).expect(0);
    desk.publish();
    let rolled = desk.issuer(&["ca", "rollover", "documents"]);
    rolled.expect(0);
    for follows in ["issuer tsa init --folder NEW", "issuer class publish --to DIR"] {
        assert!(rolled.stdout.contains(follows), "{}", rolled.stdout);
    }
    desk.publish();
    // Who has the anchor alone still reads the old list, and then the new one.
    assert_eq!(opened(&public).unwrap()["number"], 1);
    desk.issuer(&["class", "publish", "--to", "public"]).expect(0);
    assert_eq!(opened(&public).unwrap()["number"], 2);
    let list = public.join("classes.p7m");
    let inside =
        openssl(&["pkcs7", "-inform", "DER", "-print_certs", "-noout", "-in", list.to_str().unwrap()]);
    let inside = String::from_utf8(inside.stdout).unwrap();
    let issuers: Vec<_> = inside.lines().filter(|line| line.starts_with("issuer=")).collect();
    assert!(issuers.iter().any(|line| line.ends_with("Documents CA G2")), "{inside}");
    assert!(!issuers.iter().any(|line| line.ends_with("Documents CA")), "{inside}");
    // Of another authority nothing follows.
    let other = desk.issuer(&["ca", "rollover", "people"]);
    other.expect(0);
    assert!(!other.stdout.contains("tsa init"), "{}", other.stdout);
}
