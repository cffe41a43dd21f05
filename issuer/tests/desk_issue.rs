//! Cards from stock to their holders: the real program, emulated cards, OpenSSL as the judge.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/secrets.rs"]
mod secrets;

use desk_support::{Desk, KEYS, extract_certificates, guid_of, open, openssl, openssl_verify, pin};
use issuer::domain::CardKey;
use issuer::personalization::PersonalizationError;
use issuer::personalization::exercise::exercise;
use middleware::{CardError, DataObject, LastTry, ManagementKey, ManagementKeyAlgorithm, Puk};
use rand_core::UnwrapErr;
use secrets::{derived, forms, found, of_home, of_stock_file};

/// Every certificate of the card is accepted by OpenSSL against what is published, for its purpose.
fn assert_openssl_accepts(desk: &Desk, locator: &str, algorithm: &str) {
    let public = desk.publish();
    let extracted = desk.path("extracted");
    extract_certificates(locator, &extracted);
    for (name, _) in KEYS {
        let purpose: &[&str] = match (name, algorithm) {
            ("9C", _) => &["-purpose", "smimesign"],
            // OpenSSL 3.0 wants keyEncipherment for smimeencrypt, which an EC key cannot have.
            ("9D", "rsa2048") => &["-purpose", "smimeencrypt"],
            _ => &[],
        };
        let (accepted, said) = openssl_verify(&public, &extracted.join(format!("{name}.pem")), purpose);
        assert!(accepted, "{name}: {said}");
    }
    let mail = extracted.join("9C.pem");
    let (accepted, said) = openssl_verify(&public, &mail, &["-verify_email", "alice@example.org"]);
    assert!(accepted, "{said}");
    let (accepted, _) = openssl_verify(&public, &mail, &["-verify_email", "bob@example.org"]);
    assert!(!accepted, "the certificate is good for somebody else's address");
}

/// PIN, PUK and management key are the desk's; the factory's open nothing.
fn assert_no_factory_values(
    desk: &Desk,
    locator: &str,
    transport_pin: &str,
    algorithm: ManagementKeyAlgorithm,
) {
    let guid = guid_of(locator);
    let master_key = desk.master_key();
    let mut card = open(locator);
    let mut transaction = card.transaction().unwrap();
    assert!(matches!(
        transaction.verify_pin(&pin("123456"), LastTry::Refuse),
        Err(CardError::WrongPin { .. })
    ));
    drop(transaction.verify_pin(&pin(transport_pin), LastTry::Refuse).unwrap());
    let (factory, own) = (Puk::new(b"12345678").unwrap(), master_key.puk(guid, 1).unwrap());
    assert!(matches!(transaction.change_puk(&factory, &factory), Err(CardError::WrongPuk { .. })));
    transaction.change_puk(&own, &own).unwrap();
    if algorithm != ManagementKeyAlgorithm::Aes256 {
        let factory = ManagementKey::factory_default(algorithm);
        assert!(matches!(transaction.authenticate(&factory), Err(CardError::WrongManagementKey)));
        let own = master_key.management_key(guid, 1, algorithm).unwrap();
        assert!(transaction.authenticate(&own).is_ok());
    }
}

#[test]
fn a_yubikey_is_issued_with_keys_of_its_own() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &["--serial", "4711"]);
    let pin = desk.issue("alice@example.org", &locator, &[]);
    assert!(pin.len() == 8 && pin.bytes().all(|byte| byte.is_ascii_digit()), "{pin}");
    assert_openssl_accepts(&desk, &locator, "p256");
    assert_no_factory_values(&desk, &locator, &pin, ManagementKeyAlgorithm::Aes192);
    assert!(open(&locator).transaction().unwrap().read_object(DataObject::CARD_CAPABILITY_CONTAINER).is_ok());
    let listed = desk.json(&["stock", "list"]);
    assert_eq!(listed[0]["serial"], 4711);
    assert_eq!(listed[0]["state"], "awaiting activation");
    assert_eq!(listed[0]["holder"], "alice@example.org");
    assert_eq!(listed[0]["guid"], guid_of(&locator).to_string());
}

#[test]
fn a_standard_card_is_issued_with_its_stock_file_and_keeps_its_management_key() {
    let desk = Desk::new();
    let locator = desk.standard("alice.card");
    let before = guid_of(&locator);
    let pin = desk.issue("1001", &locator, &[]);
    assert_ne!(guid_of(&locator), before, "the card kept the GUID that others may know");
    assert_openssl_accepts(&desk, &locator, "p256");
    assert_no_factory_values(&desk, &locator, &pin, ManagementKeyAlgorithm::Aes256);
    let stock: toml::Table =
        std::fs::read_to_string(desk.path("alice.card.stock.toml")).unwrap().parse().unwrap();
    let key = hex::decode(stock["management_key"].as_str().unwrap()).unwrap();
    let mut card = open(&locator);
    let key = ManagementKey::new(ManagementKeyAlgorithm::Aes256, &key).unwrap();
    assert!(card.transaction().unwrap().authenticate(&key).is_ok());
}

#[test]
fn rsa_keys_are_issued_on_both_kinds_of_card() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &["--algorithm", "rsa2048"]);
    assert_openssl_accepts(&desk, &locator, "rsa2048");
    let locator = desk.standard("bob.card");
    desk.issue("bob@example.org", &locator, &["--algorithm", "rsa2048"]);
    extract_certificates(&locator, &desk.path("bob"));
    let text = openssl(&["x509", "-in", &desk.text("bob/9D.pem"), "-noout", "-text"]).stdout;
    assert!(String::from_utf8(text).unwrap().contains("2048 bit"));
}

#[test]
fn keys_are_injected_where_the_card_can_import_and_refused_by_name_where_not() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &["--firmware", "5.4"]);
    let pin = desk.issue("alice@example.org", &locator, &["--inject"]);
    assert_openssl_accepts(&desk, &locator, "p256");
    assert_no_factory_values(&desk, &locator, &pin, ManagementKeyAlgorithm::TripleDes);
    let rsa = desk.yubikey("bob.card", &[]);
    desk.issue("bob@example.org", &rsa, &["--inject", "--algorithm", "rsa2048"]);

    desk.import_staff("name,mail\nCarol Adams,carol@example.org\n").expect(0);
    let standard = desk.standard("carol.card");
    let refused = desk.issuer(&[
        "issue",
        "carol@example.org",
        "--card",
        &standard,
        "--inject",
        "--transport-pin-file",
        "carol.pin",
    ]);
    refused.refuses(1, &["cannot import", "--inject"]);
    assert!(!desk.path("carol.pin").exists());
    let listed = desk.json(&["stock", "list"]);
    assert_eq!(listed[2]["state"], "in stock", "a refusal changed the card's state");
}

#[test]
fn progress_is_shown_and_one_sentence_ends_it() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let done =
        desk.issuer(&["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "pin"]);
    done.expect(0);
    for key in ["9A", "9C", "9D", "9E"] {
        for act in ["generated on the card", "certified", "read back"] {
            assert!(
                done.stderr.lines().any(|line| line.starts_with(key) && line.contains(act)),
                "{key} {act}: {}",
                done.stderr
            );
        }
    }
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    assert!(done.stdout.contains("Alice Ng <alice@example.org> has card"), "{}", done.stdout);
    let pin = std::fs::read_to_string(desk.path("pin")).unwrap();
    assert!(!done.stdout.contains(pin.trim()) && !done.stderr.contains(pin.trim()));
    assert_mode(&desk.path("pin"), 0o600);
}

fn assert_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
}

#[test]
fn json_tells_the_certificates_but_never_the_pin() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let made = desk.json(&["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "pin"]);
    assert_eq!(made["card_guid"], guid_of(&locator).to_string());
    assert_eq!(made["certificates"].as_array().unwrap().len(), 4);
    let pin = std::fs::read_to_string(desk.path("pin")).unwrap();
    assert!(!made.to_string().contains(pin.trim()));
}

#[test]
fn what_cannot_be_issued_is_refused_before_the_card_is_touched() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let state = std::fs::read(desk.path("alice.card")).unwrap();
    let issue = |person: &str, card: &str, more: &[&str]| {
        let mut all = vec!["issue", person, "--card", card];
        all.extend(more);
        desk.issuer(&all)
    };
    let pin = ["--transport-pin-file", "pin"];
    issue("nobody@example.org", &locator, &pin).refuses(1, &["nobody@example.org", "staff import"]);
    issue("alice@example.org", &locator, &[]).refuses(2, &["--transport-pin-file"]);
    issue("alice@example.org", "sim:/nowhere/else.card", &pin).refuses(1, &["/nowhere/else.card"]);
    std::fs::write(desk.path("taken"), "mine").unwrap();
    issue("alice@example.org", &locator, &["--transport-pin-file", "taken"])
        .refuses(1, &["taken", "not overwritten"]);
    assert_eq!(std::fs::read_to_string(desk.path("taken")).unwrap(), "mine");
    let unknown = desk.blank("other.card", &["--serial", "99"]);
    issue("alice@example.org", &unknown, &pin).refuses(1, &["serial 99", "stock add"]);
    std::fs::write(desk.path("passphrase"), "not the passphrase\n").unwrap();
    issue("alice@example.org", &locator, &pin).refuses(1, &["wrong passphrase"]);
    assert!(!desk.path("pin").exists(), "a refused issue left a PIN file");
    assert_eq!(std::fs::read(desk.path("alice.card")).unwrap(), state, "a refused issue changed the card");
}

#[test]
fn nobody_gets_two_cards_and_no_card_two_holders() {
    let desk = Desk::new();
    let first = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &first, &[]);
    let second = desk.yubikey("second.card", &[]);
    let again =
        desk.issuer(&["issue", "alice@example.org", "--card", &second, "--transport-pin-file", "pin2"]);
    again.refuses(
        1,
        &["alice@example.org has card", "issuer renew alice@example.org", "issuer replace alice@example.org"],
    );
    let other = desk.issuer(&["issue", "bob@example.org", "--card", &first, "--transport-pin-file", "pin3"]);
    other.refuses(1, &["issued to alice@example.org", "not issued twice"]);
    let same = desk.issuer(&["issue", "alice@example.org", "--card", &first, "--transport-pin-file", "pin4"]);
    same.refuses(1, &["issued to alice@example.org"]);
}

#[test]
fn an_emulated_card_is_refused_unless_the_registry_is_for_tests() {
    let desk = Desk::empty();
    desk.issuer(&[
        "init",
        "--organization",
        "Example Org",
        "--domain",
        "example.org",
        "--base-url",
        "http://pki.example.org",
    ])
    .expect(0);
    desk.import_staff("name,mail\nAlice Ng,alice@example.org\n").expect(0);
    let locator = desk.blank("alice.card", &["--serial", "7"]);
    desk.issuer(&["stock", "add", "--card", &locator]).refuses(1, &["emulated", "--allow-emulated"]);
    desk.issuer(&["stock", "add", "--serial", "7"]).expect(0);
    let refused =
        desk.issuer(&["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "pin"]);
    refused.refuses(1, &["emulated", "--allow-emulated"]);
    assert!(open(&locator).certificates().unwrap().is_empty());
}

#[test]
fn certificates_of_emulated_cards_carry_the_test_policy() {
    let desk = Desk::empty();
    let arc = "1.3.6.1.4.1.99999.1";
    desk.issuer(&[
        "init",
        "--allow-emulated",
        "--policy-arc",
        arc,
        "--organization",
        "Example Org",
        "--domain",
        "example.org",
        "--base-url",
        "http://pki.example.org",
    ])
    .expect(0);
    desk.import_staff("name,mail\nAlice Ng,alice@example.org\n").expect(0);
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    extract_certificates(&locator, &desk.path("extracted"));
    for (name, _) in KEYS {
        let output =
            openssl(&["x509", "-in", &desk.text(&format!("extracted/{name}.pem")), "-noout", "-text"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!("Policy: {arc}.3")), "{name}: {text}");
        assert!(!text.contains(&format!("Policy: {arc}.1\n")), "{name}: {text}");
    }
}

#[test]
fn a_certificate_that_does_not_match_its_key_is_detected() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let transport_pin = pin(&desk.issue("alice@example.org", &locator, &[]));
    let mut card = open(&locator);
    let mut random = UnwrapErr(getrandom::SysRng);
    let guid = guid_of_open(&mut card);
    let signature_certificate = card.certificate(KEYS[1].1).unwrap().unwrap();
    for key in CardKey::ALL {
        let reference = issuer::personalization::exercise::key_reference(key);
        let own = card.certificate(reference).unwrap().unwrap();
        exercise(&mut card, key, &own, &transport_pin, &mut random).unwrap();
    }
    let management_key = desk.master_key().management_key(guid, 1, ManagementKeyAlgorithm::Aes192).unwrap();
    card.transaction()
        .unwrap()
        .authenticate(&management_key)
        .unwrap()
        .write_certificate(KEYS[0].1, &signature_certificate)
        .unwrap();
    let stored = card.certificate(KEYS[0].1).unwrap().unwrap();
    for key in [CardKey::Authentication, CardKey::KeyManagement, CardKey::CardAuthentication] {
        let refused = exercise(&mut card, key, &stored, &transport_pin, &mut random);
        assert!(
            matches!(refused, Err(PersonalizationError::CertificateMismatch { key: named }) if named == key),
            "{key}: {:?}",
            refused.err()
        );
    }
}

fn guid_of_open(card: &mut middleware::Card) -> issuer::domain::Guid {
    issuer::domain::Guid::new(card.identity().unwrap().guid.unwrap())
}

#[test]
fn the_home_holds_no_secret_in_the_clear() {
    let desk = Desk::new();
    let yubikey = desk.yubikey("alice.card", &[]);
    let standard = desk.standard("bob.card");
    let pins = [
        desk.issue("alice@example.org", &yubikey, &[]),
        desk.issue("bob@example.org", &standard, &["--algorithm", "rsa2048"]),
    ];
    desk.issuer(&["revoke", "bob@example.org", "--reason", "superseded"]).expect(0);
    let public = desk.publish();

    let mut secrets = of_home(&desk);
    secrets.extend(pins.iter().map(|pin| ("transport PIN".to_owned(), pin.clone().into_bytes())));
    secrets.extend(of_stock_file(&desk, "bob.card.stock.toml"));
    for locator in [&yubikey, &standard] {
        secrets.extend(derived(&desk, locator));
    }
    assert_eq!(found(&desk.home(), &secrets), Vec::<String>::new());
    assert_eq!(found(&public, &secrets), Vec::<String>::new());

    // The search itself works: what is planted is found, in every form.
    for (number, form) in forms(&secrets[3].1).into_iter().enumerate() {
        std::fs::write(
            desk.home().join(format!("planted-{number}")),
            [b"xx".as_slice(), &form, b"yy"].concat(),
        )
        .unwrap();
    }
    assert_eq!(found(&desk.home(), &secrets).len(), forms(&secrets[3].1).len());
}

#[test]
fn files_of_the_home_are_closed_to_others() {
    let desk = Desk::new();
    for file in ["registry.db", "master.key", "keys/root.pem", "keys/people.pem", "keys/servers.pem"] {
        assert_mode(&desk.home().join(file), 0o600);
    }
    assert_mode(&desk.home(), 0o700);
}

#[test]
fn a_name_in_any_script_is_certified() {
    let desk = Desk::new();
    desk.import_staff("name,mail,id\n王小明,wang@example.org,W-7\nÉloïse d'Été,eloise@example.org,\n")
        .expect(0);
    for (person, name) in [("W-7", "王小明"), ("eloise@example.org", "Éloïse d'Été")] {
        let card = format!("{person}.card");
        let locator = desk.yubikey(&card, &[]);
        desk.issue(person, &locator, &[]);
        extract_certificates(&locator, &desk.path(person));
        let file = desk.text(&format!("{person}/9C.pem"));
        let subject =
            openssl(&["x509", "-in", &file, "-noout", "-subject", "-nameopt", "utf8,sep_comma_plus"]);
        let subject = String::from_utf8(subject.stdout).unwrap();
        assert!(subject.contains(&format!("CN={name}")), "{subject}");
        let (accepted, said) = openssl_verify(&desk.publish(), &desk.path(&format!("{person}/9C.pem")), &[]);
        assert!(accepted, "{said}");
    }
}

#[test]
fn nothing_is_signed_while_the_clock_is_behind_the_registry_but_revoking_goes_on() {
    use issuer::clock::{Clock, SystemClock};
    use issuer::domain::{MailAddress, Name, NewCardholder};
    let desk = Desk::new();
    let (first, second) = (desk.yubikey("alice.card", &[]), desk.yubikey("bob.card", &[]));
    desk.issue("alice@example.org", &first, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = issuer::config::Home::new(desk.home()).default_registry();
        let registry =
            issuer::registry::Registry::open(&url, issuer::domain::Actor::unrecorded()).await.unwrap();
        let (name, mail) = (Name::new("Zoe").unwrap(), MailAddress::new("zoe@example.org").unwrap());
        let tomorrow = SystemClock.now() + jiff::SignedDuration::from_hours(24);
        registry
            .add_cardholder(&NewCardholder { name, mail, staff_id: None, employed_until: None }, tomorrow)
            .await
            .unwrap();
        registry.close().await;
    });
    let refused =
        desk.issuer(&["issue", "bob@example.org", "--card", &second, "--transport-pin-file", "pin"]);
    refused.refuses(1, &["the clock says", "nothing is signed"]);
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["the clock says"]);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
}
