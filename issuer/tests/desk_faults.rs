//! Bad luck and malice at the desk: each is named, nothing half-made leaves it, and there is a way on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)] // a test may panic

mod desk_support;
#[path = "desk_support/opened.rs"]
mod opened;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;
#[path = "desk_support/troubled.rs"]
mod troubled;

use desk_support::{Desk, KEYS, guid_of, open, run};
use issuer::clock::{Clock, SystemClock};
use issuer::domain::CardState;
use issuer::personalization::plan::Step;
use issuer::personalization::run::{Point, Progress};
use issuer::personalization::{PersonalizationError, stock_file};
use issuer::registry::RegistryError;
use middleware::piv::objects::{Chuid, SecurityObject, key_history_to_bytes};
use middleware::{Administration, Card, DataObject, KeyAlgorithm, KeyReference, ManagementKey};
use opened::{Opened, sqlite};
use postgres_server::Server;
use troubled::swapped_card;

/// Two cards of a kind; the second takes the first one's place before each transaction in turn.
async fn swapped_before_every_transaction(blank: impl Fn(&Desk, &str) -> String) {
    let desk = Desk::new();
    let (first, second) = (blank(&desk, "first.card"), blank(&desk, "second.card"));
    let state = |locator: &str| std::path::PathBuf::from(locator.trim_start_matches("sim:"));
    let mut opened = Opened::at(&desk.home(), &sqlite(&desk)).await;
    let mut noticed = 0;
    // The first transaction opens the card, the second asks who it is: until then nothing is known of it.
    for transactions in 2.. {
        let before = std::fs::read(state(&second)).unwrap();
        let swapped = swapped_card(&state(&first), transactions, &state(&second));
        let made =
            opened.issue_to(Card::over(Box::new(swapped)).unwrap(), "alice@example.org", &mut |_| {}).await;
        match made.map_err(innermost) {
            Err(PersonalizationError::CardSwapped { expected, found }) => {
                assert_ne!(expected, found);
                noticed += 1;
            }
            Ok(_) => break,
            Err(error) => panic!("swapped before transaction {transactions}: {error}"),
        }
        assert!(before == std::fs::read(state(&second)).unwrap(), "the wrong card was changed");
        let holder = opened.registry.cardholder_named("alice@example.org").await.unwrap().unwrap();
        let card = opened.registry.card_of(holder.id).await.unwrap().unwrap();
        assert!(matches!(card.card.state(), CardState::BeingPersonalised { .. }));
    }
    assert_eq!(noticed, 2, "the one in which everything is written, and the one in which it is read back");
    opened.agree(&first, 0).await;
}

fn innermost(error: PersonalizationError) -> PersonalizationError {
    match error {
        PersonalizationError::Interrupted { source, .. } => innermost(*source),
        error => error,
    }
}

#[tokio::test]
async fn a_yubikey_swapped_in_the_middle_is_noticed_by_its_serial_number() {
    swapped_before_every_transaction(|desk, name| desk.yubikey(name, &[])).await;
}

#[tokio::test]
async fn a_standard_card_swapped_in_the_middle_is_noticed_by_its_guid() {
    swapped_before_every_transaction(|desk, name| desk.standard(name)).await;
}

/// Does something to a card with the desk's own management key.
fn tamper(desk: &Desk, locator: &str, act: impl FnOnce(&mut Administration<'_, '_>)) {
    let guid = guid_of(locator);
    let mut card = open(locator);
    let mut transaction = card.transaction().unwrap();
    let algorithm = transaction.management_key_algorithm().unwrap();
    let key = desk.master_key().management_key(guid, 1, algorithm).unwrap();
    act(&mut transaction.authenticate(&key).unwrap());
}

#[test]
fn what_was_changed_on_a_card_past_the_desk_is_found_and_named() {
    let desk = Desk::new();
    let (alice, bob) = (desk.yubikey("alice.card", &[]), desk.yubikey("bob.card", &[]));
    desk.issue("alice@example.org", &alice, &[]);
    desk.issue("bob@example.org", &bob, &[]);
    let check = |words: &[&str]| {
        let checked = desk.issuer(&["check", "--card", &alice]);
        checked.expect(4);
        for word in words {
            assert!(checked.stdout.contains(word), "{word:?} is not in: {}", checked.stdout);
        }
        let json = desk.issuer(&["--json", "check", "--card", &alice]);
        json.expect(4);
        let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(json["agrees"], false);
    };
    desk.issuer(&["check", "--card", &alice]).expect(0);
    let own: Vec<_> = KEYS.map(|(_, key)| open(&alice).certificate(key).unwrap().unwrap()).into();
    let bobs = open(&bob).certificate(KeyReference::DigitalSignature).unwrap().unwrap();

    tamper(&desk, &alice, |card| card.write_certificate(KeyReference::DigitalSignature, &bobs).unwrap());
    check(&["9C certificate", "belongs to another card", "9C key", "the private key is not that of"]);
    let strange = strangers_certificate(&desk);
    tamper(&desk, &alice, |card| card.write_certificate(KeyReference::DigitalSignature, &strange).unwrap());
    check(&[
        "a stranger's certificate: \"CN=Mallory\"",
        "issuer revoke alice@example.org --reason key-compromise",
    ]);
    tamper(&desk, &alice, |card| {
        card.write_certificate(KeyReference::DigitalSignature, &own[0]).unwrap();
    });
    check(&["belongs to another key of this card"]);
    tamper(&desk, &alice, |card| {
        card.write_certificate(KeyReference::DigitalSignature, &own[1]).unwrap();
        card.write_certificate(KeyReference::retired().next().unwrap(), &strange).unwrap();
    });
    check(&["82 certificate", "a stranger's certificate"]);
    tamper(&desk, &alice, |card| {
        card.write_object(KeyReference::retired().next().unwrap().certificate_object(), &[]).unwrap();
        card.generate(KeyReference::KeyManagement, KeyAlgorithm::P256).unwrap();
    });
    check(&["9D key", "the private key is not that of the certificate beside it"]);
    let other = ManagementKey::new(middleware::ManagementKeyAlgorithm::Aes192, &[7; 24]).unwrap();
    tamper(&desk, &bob, |card| card.set_management_key(&other).unwrap());
    let checked = desk.issuer(&["check", "--card", &bob]);
    checked.expect(4);
    assert!(checked.stdout.contains("neither the desk's management key nor"), "{}", checked.stdout);
}

/// What a card has in a data object.
fn object(locator: &str, object: DataObject) -> Vec<u8> {
    open(locator).transaction().unwrap().read_object(object).unwrap().to_vec()
}

#[test]
fn what_is_signed_on_a_card_is_judged_and_each_fault_is_named() {
    let (desk, other) = (Desk::new(), Desk::new());
    let (alice, theirs) = (desk.yubikey("alice.card", &[]), other.yubikey("theirs.card", &[]));
    desk.issue("alice@example.org", &alice, &[]);
    other.issue("alice@example.org", &theirs, &[]);
    let agrees = || {
        desk.issuer(&["check", "--card", &alice]).expect(0);
    };
    let found = |what: &str, words: &str| {
        let json = desk.issuer(&["--json", "check", "--card", &alice]);
        json.expect(4);
        let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        let findings = json["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["what"] == what).unwrap();
        let why = finding["why"].as_str().unwrap_or_default();
        assert!(finding["outcome"] == "differs" && why.contains(words), "{words:?} is not in: {finding}");
        assert!(finding["way_out"].is_string());
    };
    let write = |object, contents: &[u8]| {
        tamper(&desk, &alice, |card| card.write_object(object, contents).unwrap());
    };
    agrees();
    let chuid = object(&alice, DataObject::CHUID);
    let parts = Chuid::from_bytes(&chuid).unwrap();
    let signature = Chuid::signature(&chuid).unwrap().unwrap().to_vec();

    // The card would be good for longer than was signed.
    write(DataObject::CHUID, &Chuid { expiration: *b"20991231", ..parts }.to_bytes_signed(&signature));
    found("CHUID", "the signature is not that of its content");
    found("security object", "other than what was signed: CHUID");
    write(DataObject::CHUID, &parts.to_bytes());
    found("CHUID", "nobody signed it");
    let stranger = object(&theirs, DataObject::CHUID);
    write(DataObject::CHUID, &parts.to_bytes_signed(Chuid::signature(&stranger).unwrap().unwrap()));
    found("CHUID", "no content signer of this registry");
    // Bytes behind what is signed.
    write(DataObject::CHUID, &[&chuid[..], &[0x3D, 0x01, 0x00]].concat());
    found("CHUID", "the signature is not that of its content");
    write(DataObject::CHUID, &chuid);
    agrees();

    let history = object(&alice, DataObject::KEY_HISTORY);
    write(DataObject::KEY_HISTORY, &key_history_to_bytes(1));
    found("key history", "the card counts 1 retired keys, and 0 were retired at this desk");
    found("security object", "other than what was signed: key history");
    write(DataObject::KEY_HISTORY, &history);

    let hashes = object(&alice, DataObject::SECURITY_OBJECT);
    let mut forged = SecurityObject::from_bytes(&hashes).unwrap();
    *forged.signed.last_mut().unwrap() ^= 1;
    write(DataObject::SECURITY_OBJECT, &forged.to_bytes());
    found("security object", "the signature is not that of its content");
    // Over what is on this card, and signed by somebody else.
    write(DataObject::SECURITY_OBJECT, &object(&theirs, DataObject::SECURITY_OBJECT));
    found("security object", "other than what was signed");
    write(DataObject::SECURITY_OBJECT, &[0xBA, 0x00, 0xBB, 0x01, 0x30, 0xFE, 0x00]);
    found("security object", "cannot be read as it");
    write(DataObject::SECURITY_OBJECT, &[]);
    found("security object", "it is not on the card");
    write(DataObject::SECURITY_OBJECT, &hashes);
    agrees();
}

/// Cards of before are good cards; a renewal signs with the key of now, and so does the content signer, whose certificate the
/// CHUID carries.
#[test]
fn cards_of_before_and_after_a_roll_over_agree() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let digits = desk.issue("alice@example.org", &locator, &[]);
    std::fs::write(desk.path("pin"), digits).unwrap();
    desk.issuer(&["ca", "rollover", "people"]).expect(0);
    desk.issuer(&["check", "--card", &locator, "--pin-file", "pin"]).expect(0);
    let before = object(&locator, DataObject::CHUID);
    let renew = ["renew", "alice@example.org", "--card", &locator, "--pin-file", "pin", "--key", "9A"];
    desk.issuer(&renew).expect(0);
    assert_ne!(
        object(&locator, DataObject::CHUID),
        before,
        "the CHUID names a signer who did not sign the hashes"
    );
    desk.issuer(&["check", "--card", &locator, "--pin-file", "pin"]).expect(0);
}

/// Of somebody who has nothing to do with this organisation, DER.
fn strangers_certificate(desk: &Desk) -> Vec<u8> {
    let out = desk.text("mallory.der");
    let made = desk_support::openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=Mallory",
        "-days",
        "30",
        "-keyout",
        "/dev/null",
        "-outform",
        "DER",
        "-out",
        &out,
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(out).unwrap()
}

#[test]
fn revoked_held_and_blocked_cards_are_told_apart_by_the_check() {
    let desk = Desk::new();
    let alice = desk.yubikey("alice.card", &[]);
    desk.issuer(&["check", "--card", &alice]).expect(0);
    let pin = desk.issue("alice@example.org", &alice, &[]);
    let agrees = |status: i32, words: &str| {
        let checked = desk.issuer(&["check", "--card", &alice]);
        checked.expect(status);
        assert!(checked.stdout.contains(words), "{words:?} is not in: {}", checked.stdout);
    };
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    agrees(0, "(on hold): card, registry and authority agree.");
    desk.issuer(&["release", "alice@example.org"]).expect(0);
    let wrong = if pin == "000000" { "111111" } else { "000000" };
    for _ in 0..3 {
        let mut card = open(&alice);
        let refused = card
            .transaction()
            .unwrap()
            .verify_pin(&desk_support::pin(wrong), middleware::LastTry::Spend)
            .is_err();
        assert!(refused);
    }
    agrees(4, "PIN: issuer unblock serial=");
    desk.issuer(&["mark", "alice@example.org", "pin-blocked"]).expect(0);
    agrees(0, "(PIN blocked)");
    let serial =
        desk.json(&["find", "alice@example.org"])["certificates"][0]["serial"].as_str().unwrap().to_owned();
    desk.issuer(&["revoke", &serial, "--reason", "superseded"]).expect(0);
    agrees(4, "is revoked since");
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    agrees(0, "revoked since the newest CRL; make it known with: issuer publish");
    desk.publish();
    let checked = desk.issuer(&["check", "--card", &alice]);
    assert!(!checked.expect(0).stdout.contains("newest CRL"), "{}", checked.stdout);
    let unknown = desk.blank("unknown.card", &[]);
    desk.issuer(&["check", "--card", &unknown]).refuses(1, &["is not in stock"]);
}

/// Puts a stranger's certificate on a card as it comes from its maker, with a key beside one that has none.
fn put_strangers_certificates(desk: &Desk, locator: &str) -> Vec<u8> {
    let strange = strangers_certificate(desk);
    let mut card = open(locator);
    let mut transaction = card.transaction().unwrap();
    let algorithm = transaction.management_key_algorithm().unwrap();
    let mut maker = transaction.authenticate(&ManagementKey::factory_default(algorithm)).unwrap();
    maker.generate(KeyReference::Authentication, KeyAlgorithm::P256).unwrap();
    maker.write_certificate(KeyReference::Authentication, &strange).unwrap();
    maker.write_certificate(KeyReference::retired().nth(3).unwrap(), &strange).unwrap();
    strange
}

#[test]
fn a_card_that_carries_a_strangers_certificates_is_no_blank_card() {
    let desk = Desk::new();
    let foreign = desk.blank("foreign.card", &["--serial", "13000013"]);
    let strange = put_strangers_certificates(&desk, &foreign);
    let words = ["not blank", "9A: CN=Mallory", "85: CN=Mallory", "nothing was changed", "card reset"];
    desk.issuer(&["stock", "add", "--card", &foreign]).refuses(1, &words);
    assert_eq!(desk.json(&["stock", "list"]), serde_json::json!([]));
    // A delivery note names cards that nobody has looked at: they are looked at before anything is written.
    desk.issuer(&["stock", "add", "--serial", "13000013"]).expect(0);
    let checked = desk.issuer(&["check", "--card", &foreign]);
    checked.expect(4);
    assert!(checked.stdout.contains("in stock, and carries a stranger's certificate"), "{}", checked.stdout);
    let issue = ["issue", "alice@example.org", "--card", &foreign, "--transport-pin-file", "pin"];
    desk.issuer(&issue).refuses(1, &words);
    desk.issue("bob@example.org", &desk.yubikey("bob.card", &[]), &[]);
    let replace = ["replace", "bob@example.org", "--because", "lost", "--card", &foreign];
    desk.issuer(&[&replace[..], &["--transport-pin-file", "pin"]].concat()).refuses(1, &words);
    assert_eq!(desk.json(&["show", "bob@example.org"])["state"], "awaiting activation");
    assert_eq!(desk.json(&["show", "serial=13000013"])["state"], "in stock");
    let kept = open(&foreign).certificate(KeyReference::Authentication).unwrap();
    assert_eq!(kept.as_deref(), Some(strange.as_slice()), "it was written over");
    open(&foreign).transaction().unwrap().reset_application().unwrap();
    desk.issuer(&["check", "--card", &foreign]).expect(0);
    desk.issuer(&issue).expect(0);
}

#[test]
fn a_card_with_a_strangers_key_or_signed_identity_is_no_blank_card() {
    let desk = Desk::new();
    let foreign = desk.blank("foreign.card", &["--serial", "13000013"]);
    let mut card = open(&foreign);
    let mut transaction = card.transaction().unwrap();
    let algorithm = transaction.management_key_algorithm().unwrap();
    let mut maker = transaction.authenticate(&ManagementKey::factory_default(algorithm)).unwrap();
    maker.generate(KeyReference::DigitalSignature, KeyAlgorithm::P256).unwrap();
    // A number that some tool gave the card is nobody's.
    let tools = Chuid { guid: [0x77; 16], expiration: *b"20301231" };
    maker.write_object(DataObject::CHUID, &tools.to_bytes()).unwrap();
    drop(transaction);
    drop(card);
    let words = ["not blank", "(9C: a key without certificate)", "nothing was changed", "card reset"];
    desk.issuer(&["stock", "add", "--card", &foreign]).refuses(1, &words);
    desk.issuer(&["stock", "add", "--serial", "13000013"]).expect(0);
    checked_as_not_blank(&desk, &foreign, &["9C key", "a key without certificate that was not made here"]);
    let issue = ["issue", "alice@example.org", "--card", &foreign, "--transport-pin-file", "pin"];
    desk.issuer(&issue).refuses(1, &words);
    assert!(
        open(&foreign).transaction().unwrap().key_metadata(KeyReference::DigitalSignature).unwrap().is_some()
    );
    open(&foreign).transaction().unwrap().reset_application().unwrap();
    desk.issuer(&["check", "--card", &foreign]).expect(0);
    desk.issuer(&issue).expect(0);

    // A card that does not tell its keys, and that somebody gave out: its CHUID is signed.
    let standard = desk.standard("standard.card");
    let text = std::fs::read_to_string(desk.path("standard.card.stock.toml")).unwrap();
    let secrets = stock_file::read(&text).unwrap().secrets;
    let signed = Chuid { guid: *guid_of(&standard).as_bytes(), ..tools }.to_bytes_signed(b"a signature");
    let mut card = open(&standard);
    let mut transaction = card.transaction().unwrap();
    let mut maker = transaction.authenticate(&secrets.management_key().unwrap()).unwrap();
    maker.write_object(DataObject::CHUID, &signed).unwrap();
    drop(transaction);
    drop(card);
    let issue = ["issue", "bob@example.org", "--card", &standard, "--transport-pin-file", "bob.pin"];
    desk.issuer(&issue).refuses(1, &["not blank", "a CHUID signed by somebody", "nothing was changed"]);
    checked_as_not_blank(&desk, &standard, &["its CHUID is signed by \"somebody\""]);
}

/// What issuing refuses, `check` has said.
fn checked_as_not_blank(desk: &Desk, locator: &str, words: &[&str]) {
    let checked = desk.issuer(&["check", "--card", locator]);
    checked.expect(4);
    for words in words.iter().chain(&["do not agree", "reset it (card reset"]) {
        assert!(checked.stdout.contains(words), "{words:?} is not in {}", checked.stdout);
    }
}

#[test]
fn a_hold_and_a_release_that_nobody_was_told_of_are_not_proven() {
    let desk = Desk::new();
    let alice = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &alice, &[]);
    let says = |words: &[&str], silent: &str| {
        let checked = desk.issuer(&["check", "--card", &alice]);
        checked.expect(0);
        assert!(words.iter().all(|word| checked.stdout.contains(word)), "{}", checked.stdout);
        assert!(!checked.stdout.contains(silent), "{silent:?}: {}", checked.stdout);
    };
    desk.publish();
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    says(&["put on hold since the newest CRL", "issuer publish"], "released");
    desk.publish();
    says(&["agree"], "CRL");
    desk.issuer(&["release", "alice@example.org"]).expect(0);
    says(&["the newest CRL still has it on hold", "issuer publish"], "put on hold since");
    desk.publish();
    says(&["agree"], "CRL");
}

#[test]
fn a_wrong_pin_costs_one_try_and_the_rest_is_compared() {
    let desk = Desk::new();
    let alice = desk.yubikey("alice.card", &[]);
    let pin = desk.issue("alice@example.org", &alice, &[]);
    std::fs::write(desk.path("wrong"), if pin == "000000" { "111111" } else { "000000" }).unwrap();
    let checked = desk.issuer(&["check", "--card", &alice, "--pin-file", "wrong"]);
    checked.expect(4);
    for words in ["9C certificate", "security object", "the PIN that was given is wrong; tries left: 2"] {
        assert!(checked.stdout.contains(words), "{words:?}: {}", checked.stdout);
    }
    desk.issuer(&["check", "--card", &alice, "--pin-file", "wrong"]).expect(4);
    let spared = desk.issuer(&["check", "--card", &alice, "--pin-file", "wrong"]);
    assert!(spared.expect(0).stdout.contains("the PIN was not tried: one try is left"), "{}", spared.stdout);
}

#[test]
fn a_destroyed_card_that_answers_does_not_agree() {
    let desk = Desk::new();
    let card = desk.yubikey("alice.card", &[]);
    let name = desk.json(&["stock", "list"])[0]["serial"].to_string();
    desk.issuer(&["mark", &format!("serial={name}"), "destroyed"]).expect(0);
    let checked = desk.issuer(&["check", "--card", &card]);
    checked.expect(4);
    for words in ["recorded as destroyed since", "and it answers", "destroy it now"] {
        assert!(checked.stdout.contains(words), "{words:?}: {}", checked.stdout);
    }
}

#[test]
fn a_changed_management_key_is_named_before_anything_is_done() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let mut card = open(&locator);
    let mut transaction = card.transaction().unwrap();
    let algorithm = transaction.management_key_algorithm().unwrap();
    let other = ManagementKey::new(algorithm, &[7; 24]).unwrap();
    let factory = ManagementKey::factory_default(algorithm);
    transaction.authenticate(&factory).unwrap().set_management_key(&other).unwrap();
    drop(transaction);
    drop(card);
    desk.issuer(&["check", "--card", &locator]).expect(4);
    let refused =
        desk.issuer(&["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "pin"]);
    refused.refuses(1, &["neither the management key it came with nor the desk's", "take another"]);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "cessation-of-operation"]).expect(0);
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "unusable");
}

/// Two desks want to make a card for the same person at the same moment: one gets through.
#[test]
fn of_two_desks_that_want_the_same_person_one_is_refused_by_name() {
    let desk = Desk::new();
    let cards = ["one.card", "two.card"].map(|name| desk.yubikey(name, &[]));
    let mut runs = std::thread::scope(|scope| {
        let runs = [0, 1].map(|number| {
            let (desk, card) = (&desk, &cards[number]);
            scope.spawn(move || {
                let pin = format!("{number}.pin");
                desk.issuer(&["issue", "alice@example.org", "--card", card, "--transport-pin-file", &pin])
            })
        });
        runs.map(|run| run.join().unwrap())
    });
    runs.sort_by_key(|run| run.status);
    runs[0].expect(0);
    runs[1].refuses(1, &["alice@example.org"]);
    let states = desk.issuer(&["report", "states", "--csv"]).stdout;
    assert!(states.contains("in stock,1") && states.contains("awaiting activation,1"), "{states}");
}

#[tokio::test]
async fn a_database_that_goes_away_at_any_step_and_comes_back_loses_nothing() {
    let server = Server::start();
    let desk = Desk::empty();
    let init = ["init", "--allow-emulated", "--organization", "Example Org", "--domain", "example.org"];
    let base = ["--base-url", "http://pki.example.org"];
    run(desk.command(&[&init[..], &base].concat()).env("ISSUER_REGISTRY", server.url())).expect(0);
    let url = server.url().parse().unwrap();
    for (number, stop_at) in
        [Step::Puk, Step::MakeKey(issuer::domain::CardKey::DigitalSignature), Step::HandOver]
            .into_iter()
            .enumerate()
    {
        let locator = desk.blank(&format!("{number}.card"), &[]);
        run(desk.command(&["stock", "add", "--card", &locator]).env("ISSUER_REGISTRY", server.url()))
            .expect(0);
        let mail = format!("p{number}@example.org");
        let mut opened = Opened::at(&desk.home(), &url).await;
        opened.add_person(&mail).await;
        let mut watch = |progress| {
            if progress == (Progress::Step { step: stop_at, point: Point::Acted }) {
                server.stop();
            }
        };
        let gone = opened.issue(&mail, &locator, &mut watch).await.map_err(innermost);
        let Err(PersonalizationError::Registry(error)) = gone else { panic!("{gone:?}") };
        assert!(matches!(error, RegistryError::Unreachable(_)), "{error}");
        server.start_again();
        let mut opened = Opened::at(&desk.home(), &url).await;
        opened.issue(&mail, &locator, &mut |_| {}).await.unwrap();
        opened.agree(&locator, number).await;
    }
    let opened = Opened::at(&desk.home(), &url).await;
    opened.registry.verify_log().await.unwrap();
    assert!(opened.registry.newest_event().await.unwrap().unwrap() <= SystemClock.now());
}

/// Whatever else differs comes of the reset: there is one way out, and it works.
#[test]
fn a_card_that_was_reset_past_the_desk_has_one_way_out_and_it_works() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    open(&locator).transaction().unwrap().reset_application().unwrap();
    let checked = desk.issuer(&["--json", "check", "--card", &locator]);
    let checked: serde_json::Value = serde_json::from_str(&checked.expect(4).stdout).unwrap();
    let findings = checked["findings"].as_array().unwrap();
    assert!(findings.iter().filter(|finding| finding["outcome"] == "differs").count() > 1, "{checked}");
    let ways: Vec<_> = findings.iter().filter_map(|finding| finding["way_out"].as_str()).collect();
    let [way] = ways[..] else { panic!("{ways:?}") };
    let said = |command: &str| {
        let (_, rest) = way.split_once(command).unwrap();
        let named = rest.split_once(')').unwrap().0.replace("LOCATOR", &locator);
        format!("{command}{named}")
    };
    let run = |command: &str, more: &[&str]| {
        let words: Vec<_> = command.split(' ').skip(1).chain(more.iter().copied()).collect();
        desk.issuer(&words).expect(0);
    };
    run(&said("issuer stock return"), &[]);
    run(&said("issuer issue"), &["--transport-pin-file", "new.pin"]);
    desk.issuer(&["check", "--card", &locator]).expect(0);
}
