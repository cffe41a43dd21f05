//! What the desk writes on a card beside keys and certificates; OpenSSL judges the signatures, Python's hashlib the hashes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use desk_support::{Desk, open, openssl};
use middleware::DataObject;
use middleware::piv::objects::{Chuid, SecurityObject};

/// A card's objects in files, and who signed them.
struct Judge<'a> {
    desk: &'a Desk,
    folder: PathBuf,
    public: PathBuf,
}

impl<'a> Judge<'a> {
    fn new(desk: &'a Desk) -> Self {
        let folder = desk.path("judge");
        std::fs::create_dir_all(&folder).unwrap();
        Self { desk, folder, public: desk.publish() }
    }

    fn write(&self, name: &str, contents: &[u8]) -> String {
        let file = self.folder.join(name);
        std::fs::write(&file, contents).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn public(&self, name: &str) -> String {
        self.public.join(name).to_str().unwrap().to_owned()
    }

    /// What `openssl cms -verify` gives out of a signature, with the signer's certificate checked up to the anchor.
    fn verified(&self, signature: &[u8], more: &[&str]) -> Result<Vec<u8>, String> {
        let signature = self.write("signature.der", signature);
        // openssl cms builds no chain from -certfile: the authorities stand beside their anchor.
        let authorities: Vec<u8> = ["anchor.pem", "ca-chain.pem"]
            .iter()
            .flat_map(|name| std::fs::read(self.public(name)).unwrap())
            .collect();
        let authorities = self.write("authorities.pem", &authorities);
        let out = self.folder.join("content").to_str().unwrap().to_owned();
        let mut arguments =
            vec!["cms", "-verify", "-binary", "-inform", "DER", "-in", &signature, "-CAfile", &authorities];
        arguments.extend(["-purpose", "any", "-out", &out]);
        arguments.extend(more);
        let output = openssl(&arguments);
        match output.status.success() {
            true => Ok(std::fs::read(&out).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn asn1(&self, der: &[u8]) -> String {
        let file = self.write("parse.der", der);
        let output = openssl(&["asn1parse", "-inform", "DER", "-i", "-in", &file]);
        String::from_utf8(output.stdout).unwrap()
    }
}

fn read(locator: &str, object: DataObject) -> Vec<u8> {
    open(locator).transaction().unwrap().read_object(object).unwrap().to_vec()
}

fn judge_card(desk: &Desk, locator: &str) {
    let judge = Judge::new(desk);
    let contents = read(locator, DataObject::CHUID);
    let chuid = Chuid::from_bytes(&contents).unwrap();
    let signature = Chuid::signature(&contents).unwrap().expect("the CHUID is signed");
    let signed = judge.write("signed", &chuid.to_be_signed());
    let given = judge.verified(signature, &["-content", &signed]).unwrap();
    assert_eq!(given, chuid.to_be_signed());
    let other = Chuid { guid: [9; 16], ..chuid };
    let forged = judge.write("signed", &other.to_be_signed());
    assert!(judge.verified(signature, &["-content", &forged]).is_err(), "another card's CHUID was verified");
    // SP 800-73-5 Part 1 section 3.1.2.1: content type, no content inside, pivSigner-DN, one certificate for it alone.
    let parsed = judge.asn1(signature);
    for oid in ["2.16.840.1.101.3.6.1", "2.16.840.1.101.3.6.5"] {
        assert!(parsed.contains(oid), "{oid} is not in: {parsed}");
    }

    let contents = read(locator, DataObject::SECURITY_OBJECT);
    let object = SecurityObject::from_bytes(&contents).unwrap();
    let signer = signer_of(&judge, signature);
    let text = openssl(&["x509", "-in", &signer, "-noout", "-ext", "extendedKeyUsage,keyUsage"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("Extended Key Usage: critical\n    2.16.840.1.101.3.6.7\n"), "{text}");
    assert!(text.contains("Digital Signature\n"), "{text}");
    assert!(judge.verified(&object.signed, &[]).is_err(), "the certificate is in the CHUID alone");
    let list = judge.verified(&object.signed, &["-certfile", &signer]).unwrap();
    let parsed = judge.asn1(&list);
    for (number, (group, container)) in object.containers.iter().enumerate() {
        assert_eq!(usize::from(*group), number + 1);
        let covered = [
            DataObject::CARD_CAPABILITY_CONTAINER,
            DataObject::CHUID,
            DataObject::KEY_HISTORY,
            DataObject::DISCOVERY,
        ];
        let object = covered.into_iter().find(|object| object.container() == Some(*container)).unwrap();
        let hash = sha256(&judge.write("object", &read(locator, object)));
        assert!(parsed.contains(&hash.to_uppercase()), "{object}: {hash} is not in {parsed}");
    }
    assert!(object.containers.len() >= 3, "{:?}", object.containers);
    assert_eq!(read(locator, DataObject::KEY_HISTORY), [0xC1, 1, 0, 0xC2, 1, 0, 0xFE, 0]);
    assert_expiration(&judge, chuid.expiration);
}

/// The signer's certificate, PEM.
fn signer_of(judge: &Judge<'_>, chuid_signature: &[u8]) -> String {
    let file = judge.write("chuid.der", chuid_signature);
    let output = openssl(&["pkcs7", "-inform", "DER", "-in", &file, "-print_certs"]);
    judge.write("signer.pem", &output.stdout)
}

fn sha256(file: &str) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// No certificate outlives the card, nor the card who signed it.
fn assert_expiration(judge: &Judge<'_>, expiration: [u8; 8]) {
    let text = String::from_utf8(expiration.to_vec()).unwrap();
    for key in judge.desk.json(&["show", "alice@example.org"])["keys"].as_array().unwrap() {
        let end: String = key["not_after"].as_str().unwrap()[..10].split('-').collect();
        assert!(end < text, "{end} {text}");
    }
}

#[test]
fn a_yubikeys_objects_are_signed_by_the_content_signer() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    judge_card(&desk, &locator);
}

#[test]
fn a_standard_cards_objects_are_signed_too_and_its_discovery_object_is_covered() {
    let desk = Desk::new();
    let locator = desk.standard("alice.card");
    desk.issue("alice@example.org", &locator, &["--algorithm", "rsa2048"]);
    judge_card(&desk, &locator);
    let object = SecurityObject::from_bytes(&read(&locator, DataObject::SECURITY_OBJECT)).unwrap();
    assert!(object.containers.iter().any(|(_, container)| *container == 0x6050));
}

/// SP 800-78-5 section 3.2.2: an RSA signature on a card is named rsaEncryption.
#[test]
fn an_rsa_content_signer_is_named_as_the_standard_wants_it() {
    let desk = Desk::empty();
    let init = ["init", "--allow-emulated", "--key-algorithm", "rsa2048", "--organization", "Example Org"];
    desk.issuer(
        &[init.as_slice(), &["--domain", "example.org", "--base-url", "http://pki.example.org"]].concat(),
    )
    .expect(0);
    desk.import_staff("name,mail\nAlice Ng,alice@example.org\n").expect(0);
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    judge_card(&desk, &locator);
    let judge = Judge::new(&desk);
    let contents = read(&locator, DataObject::CHUID);
    let parsed = judge.asn1(Chuid::signature(&contents).unwrap().unwrap());
    let after_attributes = parsed.rsplit(":2.16.840.1.101.3.6.5").next().unwrap();
    assert!(after_attributes.contains(":rsaEncryption"), "{parsed}");
}

#[test]
fn one_content_signer_serves_every_card_and_its_key_is_in_no_clear_file() {
    let desk = Desk::new();
    for (person, card) in [("alice@example.org", "alice.card"), ("bob@example.org", "bob.card")] {
        let locator = desk.yubikey(card, &[]);
        desk.issue(person, &locator, &[]);
    }
    let all = desk.issuer(&["--json", "report", "certificates"]).stdout;
    let count = all.lines().filter(|line| line.contains("content-signing")).count();
    assert_eq!(count, 1, "{all}");
    let key = std::fs::read_to_string(desk.home().join("keys/content-signer.pem")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert_mode(&desk.home().join("keys/content-signer.pem"));
}

fn assert_mode(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
