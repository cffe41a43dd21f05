//! Cards after they were issued: renewed, re-keyed, unblocked, replaced, wiped; what a card cannot do is refused by name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)] // a test may panic

mod desk_support;

use std::time::Duration;

use desk_support::{Desk, KEYS, begin_of, extract_certificates, guid_of, open, openssl_verify, pin};
use issuer::ca::Certificate;
use issuer::ca::possession::KeyManagementChallenge;
use middleware::remote_unblock::PendingUnblock;
use middleware::{CardError, DataObject, KeyReference, LastTry, Puk};
use rand_core::UnwrapErr;
use serde_json::Value;

/// The holder changes the transport PIN to this one.
const PIN: &str = "246802";

fn random() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

/// Issues a card to Alice, who changes its PIN; answers its locator.
fn issued(desk: &Desk, locator: &str, arguments: &[&str]) {
    let transport = desk.issue("alice@example.org", locator, arguments);
    let mut card = open(locator);
    card.transaction().unwrap().change_pin(&pin(&transport), &pin(PIN), LastTry::Refuse).unwrap();
    std::fs::write(desk.path("pin"), format!("{PIN}\n")).unwrap();
}

fn renew<'a>(locator: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["renew", "alice@example.org", "--card", locator, "--pin-file", "pin"], more].concat()
}

fn certificate(locator: &str, key: KeyReference) -> Certificate {
    Certificate::from_der(open(locator).certificate(key).unwrap().unwrap()).unwrap()
}

/// The state of a certificate as the desk has it.
fn state_of(desk: &Desk, certificate: &Certificate) -> String {
    let serial = certificate.serial_number().to_string();
    let shown = desk.json(&["show", "alice@example.org"]);
    let keys = shown["keys"].as_array().unwrap();
    let found =
        keys.iter().find(|key| key["serial"] == serial).unwrap_or_else(|| panic!("{serial}: {shown}"));
    found["state"].as_str().unwrap().to_owned()
}

/// Whether the private half of an encryption certificate's key answers at this reference.
fn reads_old_mail(locator: &str, certificate: &Certificate, at: KeyReference) -> bool {
    let mut card = open(locator);
    let mut transaction = card.transaction().unwrap();
    drop(transaction.verify_pin(&pin(PIN), LastTry::Refuse).unwrap());
    match KeyManagementChallenge::fresh(certificate.public_key(), &mut random()).unwrap() {
        KeyManagementChallenge::Agreement(challenge) => {
            let shared = transaction.agree(at, challenge.peer()).unwrap();
            challenge.verify(&shared).is_ok()
        }
        KeyManagementChallenge::Decryption(challenge) => {
            let value = transaction.decrypt(at, challenge.encryption(), challenge.ciphertext()).unwrap();
            challenge.verify(&value).is_ok()
        }
    }
}

fn retired(number: usize) -> KeyReference {
    KeyReference::retired().nth(number - 1).unwrap()
}

fn assert_published(desk: &Desk, locator: &str) {
    let public = desk.publish();
    let extracted = desk.path("extracted");
    extract_certificates(locator, &extracted);
    for (name, _) in KEYS {
        let (accepted, said) = openssl_verify(&public, &extracted.join(format!("{name}.pem")), &[]);
        assert!(accepted, "{name}: {said}");
    }
}

#[test]
fn certificates_are_renewed_for_the_same_keys_on_both_kinds_of_card() {
    for standard in [false, true] {
        let desk = Desk::new();
        let locator = if standard { desk.standard("alice.card") } else { desk.yubikey("alice.card", &[]) };
        issued(&desk, &locator, &[]);
        let before = KEYS.map(|(_, key)| certificate(&locator, key));
        let summary = desk.json(&renew(&locator, &[]));
        assert_eq!(summary["new_keys"], false);
        assert_eq!(summary["certificates"].as_array().unwrap().len(), 4);
        for ((_, key), before) in KEYS.iter().zip(&before) {
            let after = certificate(&locator, *key);
            assert_ne!(after.serial_number(), before.serial_number());
            assert_eq!(after.public_key(), before.public_key());
            assert_eq!(state_of(&desk, &after), "delivered");
        }
        assert_published(&desk, &locator);
        let object = open(&locator).transaction().unwrap().read_object(DataObject::KEY_HISTORY).unwrap();
        assert_eq!(object[..], [0xC1, 1, 0, 0xC2, 1, 0, 0xFE, 0]);
    }
}

#[test]
fn a_rekeyed_card_still_reads_mail_to_its_old_certificates() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    issued(&desk, &locator, &[]);
    let first = certificate(&locator, KeyReference::KeyManagement);
    let signature = certificate(&locator, KeyReference::DigitalSignature);
    let summary = desk.json(&renew(&locator, &["--new-keys"]));
    assert_eq!(summary["retired"], "82");
    let second = certificate(&locator, KeyReference::KeyManagement);
    assert_ne!(second.public_key(), first.public_key());
    assert!(reads_old_mail(&locator, &first, retired(1)));
    assert!(reads_old_mail(&locator, &second, KeyReference::KeyManagement));
    assert_eq!(certificate(&locator, retired(1)).as_der(), first.as_der());
    assert_eq!(state_of(&desk, &first), "revoked", "nobody shall encrypt to the old key any more");
    assert_eq!(state_of(&desk, &signature), "delivered", "old signatures stay good");
    assert_eq!(
        open(&locator).certificates().unwrap().len(),
        5,
        "hosts find the retired key by the key history"
    );
    let shown = desk.json(&["show", "alice@example.org"]);
    let origins: Vec<_> = shown["keys"].as_array().unwrap().iter().map(|key| &key["origin"]).collect();
    assert!(origins.iter().all(|origin| *origin == "attested by an emulated card"), "{origins:?}");

    let text = desk.issuer(&renew(&locator, &["--new-keys", "--algorithm", "rsa2048", "--key", "9D"]));
    text.expect(0);
    assert!(text.stdout.contains("lies at 83"), "{}", text.stdout);
    assert!(reads_old_mail(&locator, &first, retired(1)) && reads_old_mail(&locator, &second, retired(2)));
    assert_published(&desk, &locator);
    desk.issuer(&["check", "--card", &locator, "--pin-file", "pin"]).expect(0);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn what_a_card_cannot_retire_is_refused_by_name_and_the_rest_is_rekeyed() {
    let desk = Desk::new();
    for (name, locator) in [
        ("standard", desk.standard("standard.card")),
        ("5.4", desk.yubikey("old.card", &["--firmware", "5.4"])),
    ] {
        issued(&desk, &locator, &[]);
        let before = certificate(&locator, KeyReference::KeyManagement);
        desk.issuer(&renew(&locator, &["--new-keys"])).refuses(1, &["cannot move", "old mail", "--key 9A"]);
        assert_eq!(certificate(&locator, KeyReference::KeyManagement).as_der(), before.as_der(), "{name}");
        let others = ["--new-keys", "--key", "9A", "--key", "9C", "--key", "9e"];
        desk.issuer(&renew(&locator, &others)).expect(0);
        assert!(reads_old_mail(&locator, &before, KeyReference::KeyManagement), "{name}");
        desk.issuer(&["revoke", "alice@example.org", "--reason", "superseded"]).expect(0);
        std::fs::remove_file(desk.path("alice-example.org.pin")).unwrap();
    }
    let locator = desk.standard("second.card");
    issued(&desk, &locator, &[]);
    desk.issuer(&renew(&locator, &["--new-keys", "--inject", "--key", "9A"])).refuses(1, &["import"]);
}

#[test]
fn a_wrong_pin_another_card_or_a_hold_change_nothing() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    issued(&desk, &locator, &[]);
    let before = certificate(&locator, KeyReference::Authentication);
    std::fs::write(desk.path("wrong"), "135791\n").unwrap();
    let wrong = ["renew", "alice@example.org", "--card", &locator, "--pin-file", "wrong", "--new-keys"];
    desk.issuer(&wrong).refuses(1, &["PIN", "2 tries left"]);
    let other = desk.yubikey("other.card", &[]);
    desk.issuer(&renew(&other, &[])).refuses(1, &["another", "nothing was changed"]);
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    desk.issuer(&renew(&locator, &[])).refuses(1, &["on hold"]);
    desk.issuer(&["release", "alice@example.org"]).expect(0);
    assert_eq!(certificate(&locator, KeyReference::Authentication).as_der(), before.as_der());
    let no_card = desk.issuer(&["renew", "bob@example.org", "--card", &locator, "--pin-file", "pin"]);
    no_card.refuses(1, &["bob@example.org", "no card"]);
    desk.issuer(&renew(&locator, &["--key", "9B"])).expect(2);
}

#[test]
fn a_renewal_ends_what_was_expiring_and_asked_for() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    issued(&desk, &locator, &[]);
    let until = desk.json(&["show", "alice@example.org"])["keys"][0]["not_after"].clone();
    desk.issuer(&["expiring", "--days", "800", "--queue"]).expect(0);
    desk.json(&renew(&locator, &[]));
    let requests = desk.issuer(&["request", "list"]).stdout;
    assert!(!requests.contains("renewal"), "{requests} {until}");
}

#[test]
fn what_has_ended_is_due_and_said_to_have_ended() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    issued(&desk, &locator, &[]);
    let check = ["check", "--card", &locator];
    let today = desk.issuer(&check);
    assert!(!today.expect(0).stdout.contains("have ended"), "{}", today.stdout);
    let says = |arguments: &[&str], words: &[&str]| {
        let said = desk.on_another_day("+900d", arguments);
        let is_said = words.iter().all(|word| said.expect(0).stdout.contains(word));
        assert!(is_said, "{arguments:?}: {}", said.stdout);
    };
    says(&["expiring", "--days", "7"], &["alice@example.org", "ended"]);
    says(&check, &["agree", "certificates have ended", "issuer renew"]);
    says(&["show", "alice@example.org"], &["expired"]);
}

#[test]
fn nothing_is_renewed_for_who_left() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    issued(&desk, &locator, &[]);
    let before = certificate(&locator, KeyReference::Authentication);
    std::fs::write(desk.path("all.csv"), "name,mail,id\nBob Ruiz,bob@example.org,\n").unwrap();
    desk.issuer(&["staff", "import", "all.csv", "--apply"]).expect(0);
    desk.issuer(&renew(&locator, &[])).refuses(1, &["left"]);
    desk.issuer(&renew(&locator, &["--new-keys"])).refuses(1, &["left"]);
    assert_eq!(certificate(&locator, KeyReference::Authentication).as_der(), before.as_der());
    let due = desk.json(&["expiring", "--days", "900", "--queue"]);
    assert_eq!((&due["queued"], &due["cards"][0]["holder_left"]), (&0.into(), &true.into()), "{due}");
}

fn block(locator: &str) {
    let mut card = open(locator);
    loop {
        let wrong = card.transaction().unwrap().verify_pin(&pin("000000"), LastTry::Spend).map(drop);
        if matches!(wrong, Err(CardError::PinBlocked | CardError::WrongPin { tries_left: 0 })) {
            return;
        }
    }
}

fn verifies(locator: &str, digits: &str) -> bool {
    open(locator).transaction().unwrap().verify_pin(&pin(digits), LastTry::Refuse).map(drop).is_ok()
}

#[test]
fn a_blocked_pin_is_set_anew_at_the_desk_on_both_kinds_of_card() {
    for standard in [false, true] {
        let desk = Desk::new();
        let locator = if standard { desk.standard("alice.card") } else { desk.yubikey("alice.card", &[]) };
        issued(&desk, &locator, &[]);
        desk.issuer(&["mark", "alice@example.org", "active"]).expect(0);
        block(&locator);
        desk.issuer(&["mark", "alice@example.org", "pin-blocked"]).expect(0);
        let unblock = ["unblock", "alice@example.org", "--card", &locator];
        desk.issuer(&[&unblock[..], &["--transport-pin-file", "new.pin"]].concat()).expect(0);
        let transport = std::fs::read_to_string(desk.path("new.pin")).unwrap();
        assert!(verifies(&locator, transport.trim()));
        assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "active");
        std::fs::write(desk.path("chosen"), "314159\n").unwrap();
        desk.issuer(&[&unblock[..], &["--new-pin", "chosen"]].concat()).expect(0);
        assert!(verifies(&locator, "314159"));
        let other = desk.yubikey("other.card", &[]);
        let wrong = ["unblock", "alice@example.org", "--card", &other, "--new-pin", "chosen"];
        desk.issuer(&wrong).refuses(1, &["another"]);
        std::fs::write(desk.path("chosen"), "12\n").unwrap();
        desk.issuer(&[&unblock[..], &["--new-pin", "chosen"]].concat()).expect(1);
        assert!(verifies(&locator, "314159"));
    }
}

/// The desk's answer to a request, and what it says of the card then.
fn answer(desk: &Desk, pending: &PendingUnblock) -> (String, Value) {
    let (request, digits) = (pending.request().to_string(), pending.request().check_digits());
    let remote =
        ["unblock", "--remote", &request, "--check-digits", &digits, "--identity-check", "called back"];
    let summary = desk.json(&remote);
    let answer = summary["answer"].as_str().unwrap().to_owned();
    (answer, summary)
}

fn puk_is(desk: &Desk, locator: &str, version: u32) -> bool {
    let puk = desk.master_key().puk(guid_of(locator), version).unwrap();
    open(locator).transaction().unwrap().change_puk(&puk, &puk).is_ok()
}

#[test]
fn a_pin_is_unblocked_far_away_and_the_puk_is_another_then() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    issued(&desk, &locator, &[]);
    desk.issuer(&["mark", "alice@example.org", "active"]).expect(0);
    block(&locator);
    desk.issuer(&["mark", "alice@example.org", "pin-blocked"]).expect(0);
    let pending = PendingUnblock::begin(*guid_of(&locator).as_bytes(), &mut random());
    let request = pending.request().to_string();
    let misheard =
        ["unblock", "--remote", &request, "--check-digits", "0000 0000", "--identity-check", "called back"];
    desk.issuer(&misheard).refuses(1, &["check digits", "nothing was given out"]);
    desk.issuer(&["unblock", "--remote", &request, "--check-digits", "1"]).expect(2);

    let (answer, summary) = answer(&desk, &pending);
    assert!(summary["puk_exposed_since"].is_string(), "{summary}");
    let again = [
        "unblock",
        "--remote",
        &request,
        "--check-digits",
        &pending.request().check_digits(),
        "--identity-check",
        "x",
    ];
    desk.issuer(&again).refuses(1, &["answered before"]);
    let shown = desk.issuer(&["show", "alice@example.org"]).stdout;
    assert!(shown.contains("PUK is exposed since"), "{shown}");

    let secrets = pending.open(&answer, Duration::from_secs(1)).unwrap();
    secrets.carry_out(&mut open(&locator).transaction().unwrap(), &pin("112233")).unwrap();
    assert!(verifies(&locator, "112233") && !puk_is(&desk, &locator, 1) && puk_is(&desk, &locator, 2));
    let word = pending.confirmation(&secrets).to_string();
    let other = PendingUnblock::begin(*guid_of(&locator).as_bytes(), &mut random());
    let forged = other.confirmation(&secrets).to_string();
    desk.issuer(&["unblock", "--confirm", &forged]).refuses(1, &["no request"]);
    let confirmed = desk.json(&["unblock", "--confirm", &word]);
    assert!(confirmed["puk_exposed_since"].is_null());
    assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "active");

    // The desk knows which PUK the card has now.
    let unblock = ["unblock", "alice@example.org", "--card", &locator, "--transport-pin-file", "again.pin"];
    desk.issuer(&unblock).expect(0);
    let events = desk.issuer(&["--json", "report", "events"]).stdout;
    assert!(
        events.contains("puk-revealed") && events.contains("called back") && events.contains("puk-rotated")
    );
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_puk_that_nobody_confirmed_is_changed_when_the_card_is_at_the_desk() {
    for was_used in [true, false] {
        let desk = Desk::new();
        let locator = desk.standard("alice.card");
        issued(&desk, &locator, &[]);
        let pending = PendingUnblock::begin(*guid_of(&locator).as_bytes(), &mut random());
        let (answer, _) = answer(&desk, &pending);
        if was_used {
            let secrets = pending.open(&answer, Duration::from_secs(1)).unwrap();
            secrets.carry_out(&mut open(&locator).transaction().unwrap(), &pin("112233")).unwrap();
        }
        let unblock = ["unblock", "alice@example.org", "--card", &locator, "--transport-pin-file", "new.pin"];
        desk.issuer(&unblock).expect(0);
        let shown = desk.json(&["show", "alice@example.org"]);
        assert!(shown["puk_exposed_since"].is_null(), "{shown}");
        assert!(!puk_is(&desk, &locator, 1) && puk_is(&desk, &locator, 3));
    }
}

#[test]
fn a_lost_card_is_replaced_and_what_becomes_of_old_mail_is_said() {
    let desk = Desk::new();
    let old = desk.yubikey("alice.card", &[]);
    issued(&desk, &old, &[]);
    let new = desk.yubikey("new.card", &[]);
    let replace = ["replace", "alice@example.org", "--card", &new, "--transport-pin-file", "new.pin"];
    desk.issuer(&replace).refuses(2, &["--because"]);
    let unknown = desk.blank("unknown.card", &[]);
    let wrong = [
        "replace",
        "alice@example.org",
        "--card",
        &unknown,
        "--because",
        "lost",
        "--transport-pin-file",
        "x.pin",
    ];
    desk.issuer(&wrong).refuses(1, &["not in stock"]);
    assert_eq!(
        desk.json(&["show", "alice@example.org"])["state"],
        "awaiting activation",
        "nobody is left without"
    );
    let summary =
        desk.json(&[&replace[..], &["--because", "lost", "--invalid-since", &begin_of(&old)]].concat());
    assert!(summary["old_mail"].as_str().unwrap().contains("by nobody"), "{summary}");
    assert_eq!(summary["old_state"], "replaced");
    let listed = desk.json(&["stock", "list"]);
    assert_eq!(
        (&listed[0]["state"], &listed[1]["state"]),
        (&"replaced".into(), &"awaiting activation".into())
    );
    let public = desk.publish();
    extract_certificates(&old, &desk.path("old"));
    let (accepted, said) = openssl_verify(&public, &desk.path("old/9C.pem"), &[]);
    assert!(!accepted && said.contains("revoked"), "{said}");
    assert_published(&desk, &new);
}

#[test]
fn a_replacement_that_stopped_is_gone_on_with() {
    let desk = Desk::new();
    let old = desk.yubikey("alice.card", &[]);
    issued(&desk, &old, &[]);
    desk.issuer(&["mark", "alice@example.org", "damaged"]).expect(0);
    let new = desk.yubikey("new.card", &[]);
    let replace = ["replace", "alice@example.org", "--card", &new, "--transport-pin-file", "new.pin"];
    let text = desk.issuer(&replace);
    text.expect(0);
    assert!(text.stdout.contains("Old mail:") && text.stdout.contains("damaged"), "{}", text.stdout);
    desk.issuer(&[
        "replace",
        "bob@example.org",
        "--card",
        &new,
        "--because",
        "lost",
        "--transport-pin-file",
        "b.pin",
    ])
    .refuses(1, &["awaiting activation"]);
}

#[test]
fn what_cannot_be_recorded_of_a_revoked_card_is_refused_by_name() {
    let desk = Desk::new();
    let old = desk.yubikey("alice.card", &[]);
    issued(&desk, &old, &[]);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let new = desk.yubikey("new.card", &[]);
    let replace = ["replace", "alice@example.org", "--card", &new, "--transport-pin-file", "new.pin"];
    let because = [&replace[..], &["--because", "lost"]].concat();
    let too_late = ["is revoked since", "that it is lost cannot be recorded any more", "without --because"];
    desk.issuer(&because).refuses(1, &too_late);
    assert_eq!(desk.json(&["stock", "list"])[1]["state"], "in stock", "nothing was changed");
    let made = desk.issuer(&replace);
    made.expect(0);
    assert!(made.stdout.contains("if its holder still has it") && made.stdout.contains("If it is lost"));
}

#[test]
fn since_when_keys_were_not_their_holders_is_said_once() {
    let desk = Desk::new();
    let old = desk.yubikey("alice.card", &[]);
    issued(&desk, &old, &[]);
    let begin = begin_of(&old);
    let since = ["--invalid-since", &begin];
    desk.issuer(&[&["mark", "alice@example.org", "lost"][..], &since].concat()).expect(0);
    let new = desk.yubikey("new.card", &[]);
    let replace = ["replace", "alice@example.org", "--because", "lost", "--card", &new];
    let replace = [&replace[..], &["--transport-pin-file", "new.pin", "--invalid-since"]].concat();
    let other = desk.issuer(&[&replace[..], &["2026-11-02"]].concat());
    other.refuses(1, &["is lost since", "cannot be recorded any more", "without --invalid-since"]);
    // What is recorded so may be said again.
    desk.issuer(&[&replace[..], &[&begin]].concat()).expect(0);
}

#[test]
fn a_returned_card_is_wiped_checked_and_anybodys_again() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    issued(&desk, &locator, &[]);
    desk.issuer(&renew(&locator, &["--new-keys"])).expect(0);
    let guid = guid_of(&locator);
    let other = desk.yubikey("other.card", &[]);
    desk.issuer(&["stock", "return", "alice@example.org", "--card", &other]).refuses(1, &["another"]);
    assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "awaiting activation");
    let wiped = desk.json(&["stock", "return", "alice@example.org", "--card", &locator]);
    assert_eq!((&wiped["state"], &wiped["wiped"]), (&"in stock".into(), &true.into()));
    assert!(open(&locator).certificates().unwrap().is_empty());
    let mut card = open(&locator);
    let mut transaction = card.transaction().unwrap();
    for key in KeyReference::PRIMARY.into_iter().chain(KeyReference::retired()) {
        assert!(transaction.key_metadata(key).unwrap().is_none(), "{key}");
    }
    let factory = Puk::new(b"12345678").unwrap();
    transaction.change_puk(&factory, &factory).unwrap();
    drop(transaction);
    drop(card);
    let made =
        desk.issuer(&["issue", "bob@example.org", "--card", &locator, "--transport-pin-file", "bob.pin"]);
    let said = &made.expect(0).stderr;
    assert!(!said.contains("left behind"), "nothing of before is on it: {said}");
    assert_ne!(guid_of(&locator), guid);
    assert_published(&desk, &locator);
}

#[test]
fn a_card_tells_what_was_done_to_it_and_its_holder_is_remembered_once_it_is_wiped() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issuer(&["show", "alice@example.org"]).refuses(1, &["has no card and had none"]);
    issued(&desk, &locator, &[]);
    desk.issuer(&renew(&locator, &["--new-keys"])).expect(0);
    let unblock = ["unblock", "alice@example.org", "--card", &locator, "--transport-pin-file", "again.pin"];
    desk.issuer(&unblock).expect(0);
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    desk.issuer(&["release", "alice@example.org"]).expect(0);
    let serial = desk.json(&["stock", "list"])[0]["serial"].as_u64().unwrap();
    let card = format!("serial={serial}");
    desk.issuer(&["stock", "return", &card, "--card", &locator]).expect(0);

    let shown = desk.issuer(&["show", &card]).stdout;
    let told = [
        "personalisation completed",
        "card renewed",
        "pin set",
        "card held",
        "card released",
        "card returned",
        "card restocked",
    ];
    let places: Vec<_> = told
        .iter()
        .map(|told| shown.find(told).unwrap_or_else(|| panic!("nothing of {told} in {shown}")))
        .collect();
    assert!(places.is_sorted(), "{shown}");

    // Nobody's card names her any more, and what was hers is found all the same.
    let way = format!("issuer show {card}");
    desk.issuer(&["show", "alice@example.org"])
        .refuses(1, &["has no card now", &format!("card serial {serial} was theirs from"), "in stock", &way]);
    desk.issue("bob@example.org", &locator, &[]);
    desk.issuer(&["show", "alice@example.org"]).refuses(1, &["wiped and another's", &way]);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_card_that_cannot_be_wiped_is_refused_by_name_and_stays_its_holders() {
    let desk = Desk::new();
    let locator = desk.standard("alice.card");
    issued(&desk, &locator, &[]);
    desk.issuer(&["stock", "return", "alice@example.org", "--card", &locator])
        .refuses(1, &["cannot be wiped", "destroy"]);
    assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "awaiting activation");
    let taken_back = desk.issuer(&["stock", "return", "alice@example.org"]);
    let destroyed = format!(
        "issuer mark guid={} destroyed",
        desk.json(&["stock", "list"])[0]["stock_guid"].as_str().unwrap()
    );
    assert!(taken_back.expect(0).stdout.contains(&destroyed), "{}", taken_back.stdout);
    let listed = desk.json(&["stock", "list"]);
    assert_eq!(listed[0]["state"], "returned");
    assert!(listed[0]["next"].as_str().unwrap().contains("cannot be wiped"), "{listed}");
    let shown = desk.json(&["show", "alice@example.org"]);
    let ways: Vec<_> =
        shown["ways"].as_array().unwrap().iter().map(|way| way["command"].as_str().unwrap()).collect();
    assert_eq!(ways, [destroyed.as_str()], "only what works is offered");
    desk.issuer(&destroyed.split(' ').skip(1).collect::<Vec<_>>()).expect(0);
}

#[test]
fn a_returned_card_is_wiped_by_the_command_that_is_offered() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    issued(&desk, &locator, &[]);
    desk.issuer(&["stock", "return", "alice@example.org"]).expect(0);
    let shown = desk.json(&["show", "alice@example.org"]);
    let back = shown["ways"].as_array().unwrap().iter().find(|way| way["undoes"] == true).unwrap();
    let command = back["command"].as_str().unwrap().replace("LOCATOR", &locator);
    desk.issuer(&command.split(' ').skip(1).collect::<Vec<_>>()).expect(0);
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
    desk.issuer(&["stock", "return", "alice@example.org", "--card", &locator]).refuses(1, &["no card"]);
    let serial = desk.json(&["stock", "list"])[0]["serial"].to_string();
    desk.issuer(&["stock", "return", &serial, "--card", &locator]).refuses(1, &["in stock since"]);
}
