//! What a card attests of its keys is believed only if it leads to a pinned root and speaks of this very card and key.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)] // a test may panic

mod desk_support;

use std::path::Path;

use der::Decode;
use desk_support::{Desk, open, openssl};
use issuer::ca::Certificate;
use issuer::personalization::attestation::{AttestationRefusal, AttestationRoots, judge};
use issuer::registry::KeyOriginRecord;
use middleware::{Attestation, AttestationError, CardIdentity, KeyReference, PinPolicy, TouchPolicy};
use spki::SubjectPublicKeyInfoOwned;

const FIRMWARE: (u8, u8, u8) = (5, 7, 2);
const SERIAL: u32 = 4711;

/// A maker's root, a card's F9 below it, and what that attests of a key; openssl makes them.
struct Maker {
    folder: tempfile::TempDir,
}

impl Maker {
    fn new() -> Self {
        let maker = Self { folder: tempfile::tempdir().unwrap() };
        maker.authority("root", None);
        maker.authority("f9", Some("root"));
        maker
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) {
        let output = openssl(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn key(&self, name: &str) {
        let file = self.file(&format!("{name}.key"));
        self.run(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &file]);
    }

    fn authority(&self, name: &str, above: Option<&str>) {
        self.certificate(name, above.unwrap_or(name), "basicConstraints=critical,CA:TRUE\n");
    }

    /// Signs a certificate for a new key `name`.
    fn certificate(&self, name: &str, above: &str, extensions: &str) {
        self.key(name);
        let (key, request, pem) =
            (self.file(&format!("{name}.key")), self.file("request"), self.file(&format!("{name}.pem")));
        let extension_file = self.file("extensions");
        std::fs::write(&extension_file, extensions).unwrap();
        self.run(&["req", "-new", "-key", &key, "-subj", &format!("/CN=Maker {name}"), "-out", &request]);
        let (above_key, above_pem) = (self.file(&format!("{above}.key")), self.file(&format!("{above}.pem")));
        let mut arguments = vec!["x509", "-req", "-in", &request, "-extfile", &extension_file, "-out", &pem];
        if above == name {
            arguments.extend(["-signkey", &key]);
        } else {
            arguments.extend(["-CA", &above_pem, "-CAkey", &above_key]);
        }
        self.run(&arguments);
    }

    fn der(&self, name: &str) -> Vec<u8> {
        let pem = std::fs::read_to_string(self.file(&format!("{name}.pem"))).unwrap();
        x509_cert::Certificate::load_pem_chain(pem.as_bytes())
            .map(|chain| der::Encode::to_der(&chain[0]).unwrap())
            .unwrap()
    }

    /// An attestation of a key of this serial number's card.
    fn attestation(&self, more: &str) -> Attestation {
        let extensions = format!(
            "1.3.6.1.4.1.41482.3.3=DER:050702\n1.3.6.1.4.1.41482.3.7=DER:02021267\n1.3.6.1.4.1.41482.3.8=DER:0301\n{more}"
        );
        self.certificate("9c", "f9", &extensions);
        let certificate = self.der("9c");
        Attestation {
            key: KeyReference::DigitalSignature,
            public_key: public_key(&certificate),
            certificate,
            issuer_certificate: self.der("f9"),
            firmware: Some(FIRMWARE),
            serial: Some(SERIAL),
            pin_policy: Some(PinPolicy::Always),
            touch_policy: Some(TouchPolicy::Never),
        }
    }
}

fn public_key(certificate: &[u8]) -> SubjectPublicKeyInfoOwned {
    let parsed = x509_cert::Certificate::from_der(certificate).unwrap();
    let key = parsed.tbs_certificate().subject_public_key_info();
    SubjectPublicKeyInfoOwned::from_der(&der::Encode::to_der(key).unwrap()).unwrap()
}

fn real_card() -> CardIdentity {
    CardIdentity { guid: None, serial: Some(SERIAL), version: Some(FIRMWARE), emulated: None }
}

#[test]
fn an_attestation_below_a_pinned_root_is_believed_and_any_other_refused_by_name() {
    let maker = Maker::new();
    let (other, attestation) = (Maker::new(), maker.attestation(""));
    let key = attestation.public_key.clone();
    let roots = AttestationRoots::new(vec![other.der("root"), maker.der("root")]);
    let judged =
        |attestation: &Attestation, roots: &AttestationRoots| judge(attestation, &key, &real_card(), roots);
    let Ok(KeyOriginRecord::Attested(record)) = judged(&attestation, &roots) else { panic!("not believed") };
    assert_eq!(record.root, Some(maker.der("root")));
    assert_eq!(record.statement, attestation.certificate);

    assert_eq!(judged(&attestation, &AttestationRoots::default()), Err(AttestationRefusal::NoRoots));
    let only_other = AttestationRoots::new(vec![other.der("root")]);
    assert!(matches!(
        judged(&attestation, &only_other),
        Err(AttestationRefusal::NotBelieved { error: AttestationError::NoPathToRoot(_), .. })
    ));
    // Another card's F9 vouches for nothing here, and a changed statement for nothing at all.
    let forged = Attestation { issuer_certificate: other.der("f9"), ..attestation.clone() };
    assert!(matches!(judged(&forged, &roots), Err(AttestationRefusal::NotBelieved { .. })));
    let mut changed = attestation.clone();
    *changed.certificate.last_mut().unwrap() ^= 1;
    assert!(matches!(judged(&changed, &roots), Err(AttestationRefusal::NotBelieved { .. })));
}

#[test]
fn an_attestation_about_something_else_is_refused_by_name() {
    let maker = Maker::new();
    let attestation = maker.attestation("");
    let key = attestation.public_key.clone();
    let roots = AttestationRoots::new(vec![maker.der("root")]);
    let refused = |attestation: &Attestation, key: &SubjectPublicKeyInfoOwned, card: &CardIdentity| {
        judge(attestation, key, card, &roots).unwrap_err().to_string()
    };
    let another_key = public_key(&maker.der("f9"));
    assert!(refused(&attestation, &another_key, &real_card()).contains("another key"));
    let another_card = CardIdentity { serial: Some(4712), ..real_card() };
    let text = refused(&attestation, &key, &another_card);
    assert!(text.contains("another card") && text.contains("4711") && text.contains("4712"), "{text}");
    let without_serial = Attestation { serial: None, ..attestation.clone() };
    assert!(refused(&without_serial, &key, &real_card()).contains("another card"));
    let another_firmware = CardIdentity { version: Some((5, 4, 3)), ..real_card() };
    assert!(refused(&attestation, &key, &another_firmware).contains("another firmware"));
    let once = Attestation { pin_policy: Some(PinPolicy::Once), ..attestation.clone() };
    assert!(refused(&once, &key, &real_card()).contains("wants the PIN once"));
    let emulated =
        maker.attestation("1.3.6.1.4.1.32473.2.1=DER:0C0863617264 2d73696d\n".replace(' ', "").as_str());
    let text = refused(&emulated, &emulated.public_key, &real_card());
    assert!(text.contains("emulated"), "{text}");
}

/// The desk's own record, as it shows it.
#[test]
fn where_a_key_was_made_is_kept_with_its_certificate() {
    let desk = Desk::new();
    let attested = desk.yubikey("alice.card", &["--serial", "4711"]);
    desk.issue("alice@example.org", &attested, &[]);
    let shown = desk.json(&["show", "alice@example.org"]);
    let keys: Vec<_> = shown["keys"].as_array().unwrap().iter().collect();
    assert_eq!(keys.len(), 4);
    for key in &keys {
        assert_eq!(key["origin"], "attested by an emulated card");
        let statement = hex::decode(key["attestation"]["statement"].as_str().unwrap()).unwrap();
        let issuer = hex::decode(key["attestation"]["issuer"].as_str().unwrap()).unwrap();
        assert_judged_by_openssl(&desk.path("judge"), &statement, &issuer);
        let card_key = match key["key"].as_str().unwrap() {
            "9A" => KeyReference::Authentication,
            "9C" => KeyReference::DigitalSignature,
            "9D" => KeyReference::KeyManagement,
            _ => KeyReference::CardAuthentication,
        };
        let on_card = open(&attested).certificate(card_key).unwrap().unwrap();
        let on_card = Certificate::from_der(on_card).unwrap();
        assert_eq!(&public_key(&statement), on_card.public_key());
    }
    let text = desk.issuer(&["show", "alice@example.org"]);
    assert!(text.stdout.contains("attested by an emulated card"), "{}", text.stdout);

    let injected = desk.yubikey("bob.card", &[]);
    desk.issue("bob@example.org", &injected, &["--inject"]);
    let shown = desk.json(&["show", "bob@example.org"]);
    assert!(shown["keys"].as_array().unwrap().iter().all(|key| key["origin"] == "injected"), "{shown}");

    desk.import_staff("name,mail\nCarol Adams,carol@example.org\n").expect(0);
    let standard = desk.standard("carol.card");
    desk.issue("carol@example.org", &standard, &[]);
    let shown = desk.json(&["show", "carol@example.org"]);
    assert!(shown["keys"].as_array().unwrap().iter().all(|key| key["origin"] == "generated"), "{shown}");
    assert!(shown["keys"][0]["attestation"].is_null());
}

/// Whoever edits the table makes no emulated card's key a real one's.
#[tokio::test]
async fn where_a_key_was_made_is_compared_with_the_log() {
    use sqlx::ConnectOptions;
    let desk = Desk::new();
    let attested = desk.yubikey("alice.card", &["--serial", "4711"]);
    desk.issue("alice@example.org", &attested, &[]);
    let injected = desk.yubikey("bob.card", &[]);
    desk.issue("bob@example.org", &injected, &["--inject"]);
    desk.issuer(&["audit", "verify"]).expect(0);
    let file = desk.home().join("registry.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut connection = options.connect().await.unwrap();
    let emulated = "attested by an emulated card";
    for (change, back) in [
        (
            "UPDATE key_origins SET origin = 'attested' WHERE origin LIKE 'attested%'".to_owned(),
            format!("UPDATE key_origins SET origin = '{emulated}' WHERE origin LIKE 'attested%'"),
        ),
        (
            "UPDATE key_origins SET origin = 'attested', root = issuer WHERE origin LIKE 'attested%'"
                .to_owned(),
            format!(
                "UPDATE key_origins SET origin = '{emulated}', root = NULL WHERE origin LIKE 'attested%'"
            ),
        ),
        (
            "UPDATE key_origins SET origin = 'generated' WHERE origin = 'injected'".to_owned(),
            "UPDATE key_origins SET origin = 'injected' WHERE origin = 'generated'".to_owned(),
        ),
    ] {
        let edit = sqlx::query(sqlx::AssertSqlSafe(change.clone())).execute(&mut connection).await.unwrap();
        assert!(edit.rows_affected() >= 4, "{change}");
        let verdict = desk.issuer(&["audit", "verify"]);
        verdict.expect(4);
        assert!(
            verdict.stdout.contains("key_origins") && verdict.stdout.contains("origin is"),
            "{verdict:?}"
        );
        sqlx::query(sqlx::AssertSqlSafe(back)).execute(&mut connection).await.unwrap();
        desk.issuer(&["audit", "verify"]).expect(0);
    }
    sqlx::query("DELETE FROM key_origins").execute(&mut connection).await.unwrap();
    desk.issuer(&["audit", "verify"]).expect(4);
}

fn assert_judged_by_openssl(folder: &Path, statement: &[u8], issuer: &[u8]) {
    std::fs::create_dir_all(folder).unwrap();
    let write = |name: &str, der: &[u8]| {
        let file = folder.join(name);
        let pem = pem_of(der);
        std::fs::write(&file, pem).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (statement, issuer) = (write("statement.pem", statement), write("issuer.pem", issuer));
    let output = openssl(&["verify", "-partial_chain", "-trusted", &issuer, &statement]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn pem_of(der: &[u8]) -> String {
    use der::EncodePem;
    x509_cert::Certificate::from_der(der).unwrap().to_pem(der::pem::LineEnding::LF).unwrap()
}

#[test]
fn a_folder_of_roots_with_something_else_in_it_stops_the_desk_before_the_card() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    std::fs::create_dir(desk.home().join("attestation-roots")).unwrap();
    std::fs::write(desk.home().join("attestation-roots/maker.pem"), "not a certificate").unwrap();
    std::fs::write(desk.home().join("attestation-roots/README"), "roots of makers").unwrap();
    let issue = ["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "pin"];
    desk.issuer(&issue).refuses(1, &["maker.pem", "no certificates"]);
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
    let maker = Maker::new();
    let roots =
        [maker.file("root.pem"), maker.file("f9.pem")].map(|file| std::fs::read_to_string(file).unwrap());
    std::fs::write(desk.home().join("attestation-roots/maker.pem"), roots.concat()).unwrap();
    desk.issuer(&issue).expect(0);
}
