//! `mailer protect` and what it knows of its readers: remembered from their signed mail, obeyed, overridden.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod openssl_pki;

use accounts::{Office, Person};
use openssl_pki::{Authority, CA, Identity, Key, VALID, encryption, openssl, signing};
use serde_json::{Value, json};

const PLAIN: &[u8] = b"From: alice@example.test\nTo: bob@example.test\nSubject: memo\nContent-Type: text/plain; charset=utf-8\n\nline one\n";

fn office(bobs_key: Key) -> (Office, Person) {
    let office = Office::new();
    office.person("alice", Key::P256);
    let bob = office.person("bob", bobs_key);
    (office, bob)
}

/// The algorithms that alice's program uses.
fn algorithms(office: &Office, more: &[&str]) -> Value {
    let protected = office.run("alice", &[&["protect", "--json"][..], more].concat(), PLAIN).expect(0);
    let used = protected.json()["algorithms"].clone();
    let smime_type = match used["content_encryption"].as_str() {
        None => return used,
        Some("aes-256-cbc" | "aes-128-cbc") => "enveloped-data",
        Some(_) => "authEnveloped-data",
    };
    assert!(protected.text().contains(&format!("smime-type={smime_type}")), "{}", protected.text());
    used
}

/// A mail that openssl signs; its capabilities name AES-CBC and no AES-GCM.
fn signed_by_openssl(office: &Office, signer: &Identity, from: &str) -> Vec<u8> {
    office.pki.write("entity", b"Content-Type: text/plain\r\n\r\nhello\r\n");
    let (pem, key) = (signer.pem(), signer.key());
    let arguments = ["cms", "-sign", "-binary", "-in", "entity", "-signer", &pem, "-inkey", &key];
    let header = ["-certfile", "People.pem", "-from", from, "-to", "alice@example.test", "-subject", "hello"];
    openssl(office.pki.path(), &[&arguments[..], &header].concat())
}

fn used(content: &str, keys: &[&str]) -> Value {
    json!({ "signature": "ecdsa-sha256", "content_encryption": content, "key_encryption": keys })
}

#[test]
fn our_own_users_get_the_best() {
    for (key, name) in [(Key::P256, "ecdh-p256-sha256"), (Key::Rsa2048, "rsa-oaep-sha256")] {
        let (office, _) = office(key);
        let mut names = vec!["ecdh-p256-sha256", name];
        names.dedup();
        assert_eq!(algorithms(&office, &[]), used("aes-256-gcm", &names));
        // The same header and content, for a program that knows nothing newer.
        names = names
            .into_iter()
            .map(|name| name.replace("rsa-oaep-sha256", "rsa-pkcs1-v1.5").leak() as &str)
            .collect();
        assert_eq!(algorithms(&office, &["--cipher", "compatible"]), used("aes-256-cbc", &names));
        let chacha = algorithms(&office, &["--cipher", "chacha20-poly1305"]);
        assert_eq!(chacha["content_encryption"], "chacha20-poly1305");
        let signed_only = algorithms(&office, &["--no-encrypt"]);
        assert_eq!(signed_only["content_encryption"], Value::Null);
        let unsigned = algorithms(&office, &["--no-sign"]);
        assert_eq!(
            (&unsigned["signature"], &unsigned["content_encryption"]),
            (&Value::Null, &json!("aes-256-gcm"))
        );
    }
}

#[test]
fn what_a_trusted_signature_says_is_remembered_and_obeyed() {
    let (office, bob) = office(Key::Rsa2048);
    let memory = office.path("home-alice/correspondents.json");
    let mail = signed_by_openssl(&office, &bob.signer, "bob@example.test");
    office.run("alice", &["open"], &mail).expect(0);
    let old = used("aes-256-cbc", &["ecdh-p256-sha256", "rsa-pkcs1-v1.5"]);
    assert_eq!(
        algorithms(&office, &[]),
        used("aes-256-cbc", &["ecdh-p256-sha256", "rsa-pkcs1-v1.5"]),
        "alice herself reads OAEP, bob does not"
    );
    assert_eq!(algorithms(&office, &["--cipher", "authenticated"])["content_encryption"], "aes-256-gcm");

    // An older mail of bob's present program changes nothing; a newer one does.
    let present = office.run(
        "bob",
        &["protect", "--no-encrypt", "--from", "bob@example.test"],
        b"To: alice@example.test\nSubject: hello\n\nhello\n",
    );
    let present = present.expect(0).stdout;
    let text = std::fs::read_to_string(&memory).unwrap();
    let mut remembered: Value = serde_json::from_str(&text).unwrap();
    remembered["correspondents"]["bob@example.test"]["signing_time"] = json!("2040-01-01T00:00:00Z");
    std::fs::write(&memory, remembered.to_string()).unwrap();
    office.run("alice", &["open"], &present).expect(0);
    assert_eq!(algorithms(&office, &[]), old);
    remembered["correspondents"]["bob@example.test"]["signing_time"] = json!("2020-01-01T00:00:00Z");
    std::fs::write(&memory, remembered.to_string()).unwrap();
    office.run("alice", &["verify"], &present).expect(0);
    assert_eq!(algorithms(&office, &[]), used("aes-256-gcm", &["ecdh-p256-sha256", "rsa-oaep-sha256"]));
}

#[test]
fn what_is_not_trusted_is_not_remembered() {
    let (office, bob) = office(Key::P256);
    let mallory = office.pki.people.issue("mallory", Key::P256, &signing("mallory@example.test"));
    let forged = signed_by_openssl(&office, &mallory, "bob@example.test");
    office.run("alice", &["open", "--show-untrusted"], &forged).expect(4);
    let genuine = signed_by_openssl(&office, &bob.signer, "bob@example.test");
    let changed = String::from_utf8(genuine).unwrap().replace("hello\r\n", "hallo\r\n");
    office.run("alice", &["open", "--show-untrusted"], changed.as_bytes()).expect(4);
    assert!(!office.path("home-alice/correspondents.json").exists());
    assert_eq!(algorithms(&office, &[])["content_encryption"], "aes-256-gcm");
}

#[test]
fn partners_and_certificates_with_capabilities_get_what_they_can_read() {
    let (office, _) = office(Key::P256);
    let partner = Authority::root(office.pki.path(), "Partner", CA);
    partner.crl_with("", VALID);
    let list = openssl(office.pki.path(), &["crl", "-in", "Partner.crl", "-outform", "DER"]);
    let identifier = hex::encode(partner.certificate().subject_key_identifier().unwrap());
    std::fs::write(office.path(&format!("published/crl/{identifier}.crl")), list).unwrap();
    let publish = |name: &str, capabilities: &str| {
        let address = format!("{name}@partner.test");
        let extensions = format!("{}{capabilities}", encryption(&address, Key::Rsa2048));
        let identity = partner.issue(name, Key::Rsa2048, &extensions);
        let folder = office.path("published/certificates/by-email").join(address);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("1.cer"), identity.certificate().der()).unwrap();
    };
    publish("carol", "");
    // AES-128-GCM and RSAES-OAEP with SHA-256, as the German energy market has it.
    let list = concat!(
        "300b0609608648016503040106",
        "303c06092a864886f70d010107302fa00f300d06096086480165030402010500",
        "a11c301a06092a864886f70d010108300d06096086480165030402010500"
    );
    let length = list.len() / 2;
    publish("dave", &format!("\n1.2.840.113549.1.9.15=DER:30{length:02x}{list}"));
    // A second anchor, for the partner's domain.
    let config = office.path("home-alice/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let certificate = std::fs::read_to_string(office.path("Partner.pem")).unwrap();
    let anchor =
        format!("[[anchors]]\ndomains = [\"partner.test\"]\ncertificate = \"\"\"\n{certificate}\"\"\"\n");
    std::fs::write(&config, format!("{text}\n{anchor}")).unwrap();

    let to = |name: &str| {
        let address = format!("{name}@partner.test");
        algorithms(&office, &["--to", &address])
    };
    assert_eq!(to("carol"), used("aes-256-cbc", &["ecdh-p256-sha256", "rsa-pkcs1-v1.5"]));
    assert_eq!(to("dave"), used("aes-128-gcm", &["ecdh-p256-sha256", "rsa-oaep-sha256"]));
    let both = algorithms(&office, &["--to", "carol@partner.test,dave@partner.test"]);
    assert_eq!(both["content_encryption"], "aes-256-cbc");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (office, _) = office(Key::P256);
    let error =
        office.run("alice", &["protect", "--json", "--no-sign", "--cipher", "compatible"], PLAIN).expect(2);
    assert!(error.stdout.is_empty());
    assert_eq!(error.json()["error"]["code"], "usage");
    let memory = office.path("home-alice/correspondents.json");
    std::fs::write(&memory, "damaged").unwrap();
    let error = office.run("alice", &["protect", "--json"], PLAIN).expect(1);
    assert_eq!(error.json()["error"]["code"], "correspondents-malformed");
    let mail =
        office.run("bob", &["protect", "--from", "bob@example.test"], b"To: alice@example.test\n\nhello\n");
    let opened = office.run("alice", &["open", "--json"], &mail.expect(0).stdout).expect(0);
    assert!(opened.json()["notes"].to_string().contains("correspondents.json"), "{}", opened.stderr);
}
