//! Cards by profiles that `config.toml` names: issued, from a list, interrupted, renewed and replaced.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;
#[path = "desk_support/half_made.rs"]
mod half_made;
#[path = "desk_support/opened.rs"]
mod opened;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;
#[path = "desk_support/troubled.rs"]
mod troubled;

use std::collections::BTreeMap;

use desk_support::{Desk, open};
use half_made::half_made;
use issuer::config::Config;
use issuer::registry::JournalPhase;
use middleware::{Card, KeyReference};
use opened::{Opened, sqlite};
use postgres_server::Server;
use serde_json::Value;
use troubled::{Last, is_removed, pulled_card};

/// Mail is encrypted to RSA keys that are made here; the rest is P-256 by the card, and ends after a year.
const MAIL: &str =
    "\n[profiles.mail]\ndays = 365\n[profiles.mail.9D]\nalgorithm = \"rsa2048\"\nkeys = \"inject\"\n";

/// A desk with the profile.
fn desk(profiles: &str) -> Desk {
    let desk = Desk::new();
    configure(&desk, profiles);
    desk
}

fn configure(desk: &Desk, more: &str) {
    let config = desk.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let before = text.split("\n[profiles.").next().unwrap();
    std::fs::write(config, format!("{}\n{more}", before.trim_end())).unwrap();
}

/// Bits of the RSA keys on a card; none of the others.
fn algorithms(locator: &str) -> BTreeMap<&'static str, &'static str> {
    let mut card = open(locator);
    let references: [(&str, KeyReference); 4] = desk_support::KEYS;
    let algorithm = |der: Vec<u8>| {
        let certificate = issuer::ca::Certificate::from_der(der).unwrap();
        let is_rsa = certificate.public_key().algorithm.oid.to_string() == "1.2.840.113549.1.1.1";
        if is_rsa { "rsa2048" } else { "p256" }
    };
    references.map(|(name, key)| (name, algorithm(card.certificate(key).unwrap().unwrap()))).into()
}

fn of_mail() -> BTreeMap<&'static str, &'static str> {
    [("9A", "p256"), ("9C", "p256"), ("9D", "rsa2048"), ("9E", "p256")].into()
}

/// The profile of somebody's card, and where its key 9D came from.
fn shown(desk: &Desk, person: &str) -> (Value, Value) {
    let shown = desk.json(&["show", person]);
    let keys = shown["keys"].as_array().unwrap();
    let of_mail = keys.iter().rev().find(|key| key["key"] == "9D").unwrap();
    (shown["card_profile"].clone(), of_mail["origin"].clone())
}

/// For how many days the newest certificates of somebody's card are valid, counted from the day on which they were made.
fn days(locator: &str) -> i64 {
    let der = open(locator).certificate(KeyReference::DigitalSignature).unwrap().unwrap();
    let certificate = issuer::ca::Certificate::from_der(der).unwrap();
    let length = certificate.not_after().duration_since(certificate.not_before());
    (length.as_secs() + 1) / 86_400
}

#[test]
fn a_card_is_made_renewed_and_replaced_by_its_profile_on_both_databases() {
    story_of_a_card(&desk(MAIL));
    let server = Server::start();
    let shared = Desk::with_registry(&server.url());
    shared.import_staff("name,mail,id\nAlice Ng,alice@example.org,1001\n").expect(0);
    configure(&shared, MAIL);
    story_of_a_card(&shared);
}

fn story_of_a_card(desk: &Desk) {
    let card = desk.yubikey("alice.card", &[]);
    let pin = desk.issue("alice@example.org", &card, &["--profile", "mail"]);
    assert_eq!((algorithms(&card), days(&card)), (of_mail(), 365));
    assert_eq!(shown(desk, "alice@example.org"), ("mail".into(), "injected".into()));
    let told = desk.issuer(&["show", "alice@example.org"]).stdout;
    assert!(told.contains("Made by the profile mail.") && told.contains("profile chosen"), "{told}");

    std::fs::write(desk.path("pin"), pin).unwrap();
    let renew = ["renew", "alice@example.org", "--card", &card, "--pin-file", "pin"];
    let renewed = |more: &[&str]| desk.issuer(&[&renew[..], more].concat());
    renewed(&["--new-keys"]).expect(0);
    assert_eq!((algorithms(&card), days(&card)), (of_mail(), 365));

    let other = desk.yubikey("other.card", &[]);
    let replace = ["replace", "alice@example.org", "--because", "damaged", "--card", &other];
    let replaced = [&replace[..], &["--transport-pin-file", "new.pin"]].concat();
    desk.issuer(&replaced).expect(0);
    assert_eq!((algorithms(&other), days(&other)), (of_mail(), 365));
    assert_eq!(shown(desk, "alice@example.org").0, "mail");
    desk.issuer(&["check", "--card", &other, "--pin-file", "new.pin"]).expect(0);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_renewal_takes_another_profile_where_that_is_said_and_keeps_it() {
    let desk = desk(&format!("{MAIL}[profiles.short]\ndays = 30\n"));
    let card = desk.yubikey("alice.card", &[]);
    let pin = desk.issue("alice@example.org", &card, &["--profile", "mail"]);
    std::fs::write(desk.path("pin"), pin).unwrap();
    let renew = ["renew", "alice@example.org", "--card", &card, "--pin-file", "pin"];
    let renewed = |more: &[&str]| desk.issuer(&[&renew[..], more].concat());
    renewed(&["--profile", "gone"]).refuses(1, &["no profile \"gone\"", "it has: mail, short"]);
    renewed(&["--profile", "mail", "--new-keys", "--inject"]).expect(2);
    renewed(&["--new-keys", "--profile", "short"]).expect(0);
    assert!(algorithms(&card).values().all(|algorithm| *algorithm == "p256"));
    assert_eq!((shown(&desk, "alice@example.org").0, days(&card)), ("short".into(), 30));
    // Keys that are spelled out last as long as its others.
    renewed(&["--new-keys", "--algorithm", "rsa2048", "--key", "9C"]).expect(0);
    assert_eq!((algorithms(&card)["9C"], days(&card)), ("rsa2048", 30));
    assert_eq!(shown(&desk, "alice@example.org").0, "short");
    // It is taken out of config.toml: that is said with what to do, and nothing is done.
    configure(&desk, MAIL);
    renewed(&[]).refuses(1, &["no profile \"short\"", "put [profiles.short] back", "--profile NAME"]);
    renewed(&["--profile", "mail"]).expect(0);
    assert_eq!((shown(&desk, "alice@example.org").0, days(&card)), ("mail".into(), 365));
    desk.issuer(&["check", "--card", &card, "--pin-file", "pin"]).expect(0);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_list_names_profiles_row_by_row_and_wrong_ones_are_named() {
    let desk = desk(MAIL);
    let cards = [desk.yubikey("1.card", &[]), desk.yubikey("2.card", &[])];
    let rows = "alice@example.org,mail,\nbob@example.org,,rsa2048\nalice@example.org,door,\nbob@example.org,mail,p256\n";
    std::fs::write(desk.path("list.csv"), format!("person,profile,algorithm\n{rows}")).unwrap();
    let batch = ["--json", "batch", "list.csv", "--pin-folder", "pins", "--at-once", "1", "--card"];
    let words = [&batch[..], &[&cards[0], &cards[1]]].concat();
    let done = desk.issuer(&words);
    done.expect(3);
    for said in ["no profile \\\"door\\\"", "profile: says the keys already"] {
        assert!(done.stdout.contains(said), "{said} is not in {}", done.stdout);
    }
    assert_eq!(algorithms(&cards[0]), of_mail());
    assert!(algorithms(&cards[1]).values().all(|algorithm| *algorithm == "rsa2048"));
    assert_eq!(shown(&desk, "alice@example.org").0, "mail");
    assert_eq!(shown(&desk, "bob@example.org").0, Value::Null);
    // The same list again finds both done; with another profile it does not.
    desk.issuer(&words).expect(3);
    std::fs::write(desk.path("list.csv"), "person\nalice@example.org\n").unwrap();
    let again = desk.issuer(&words);
    again.expect(1);
    assert!(again.stdout.contains("another profile"), "{}", again.stdout);
}

#[test]
fn a_profile_that_is_not_there_or_says_nonsense_is_refused_before_anything_changes() {
    let desk = desk(MAIL);
    let card = desk.yubikey("alice.card", &[]);
    let issue = ["issue", "alice@example.org", "--card", &card, "--transport-pin-file", "a.pin"];
    let with = |more: &[&'static str]| desk.issuer(&[&issue[..], more].concat());
    with(&["--profile", "door"]).refuses(1, &["no profile \"door\"", "it has: mail"]);
    with(&["--profile", "mail", "--algorithm", "p256"]).expect(2);
    configure(&desk, "[profiles.mail]\ndays = 9000\n");
    with(&["--profile", "mail"]).refuses(1, &["profile \"mail\"", "9000 is not from 1 to 824"]);
    configure(&desk, "[profiles.mail]\ncolour = \"red\"\n");
    with(&["--profile", "mail"]).refuses(1, &["colour"]);
    // A card that cannot import keys.
    configure(&desk, MAIL);
    let plain = desk.standard("plain.card");
    desk.issuer(&[
        "issue",
        "bob@example.org",
        "--card",
        &plain,
        "--transport-pin-file",
        "b.pin",
        "--profile",
        "mail",
    ])
    .refuses(1, &["cannot import keys"]);
    assert_eq!(desk.json(&["find", "alice"])["people"][0]["card_state"], Value::Null);
    // One that has gone since: neither the old card nor the new one is touched.
    desk.issue("alice@example.org", &card, &["--profile", "mail"]);
    configure(&desk, "");
    let other = desk.yubikey("other.card", &[]);
    let replace = ["replace", "alice@example.org", "--because", "lost", "--card", &other];
    desk.issuer(&[&replace[..], &["--transport-pin-file", "c.pin"]].concat())
        .refuses(1, &["no profile \"mail\"", "no profile at all", "put [profiles.mail] back"]);
    assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "awaiting activation");
}

/// What an interrupted run began by a profile, the next one goes on with, also if it is not told which.
#[tokio::test]
async fn an_interrupted_card_keeps_its_profile() {
    let desk = desk(MAIL);
    let card = desk.yubikey("alice.card", &[]);
    let mut opened = Opened::at(&desk.home(), &sqlite(&desk)).await;
    let holder = opened.registry.cardholder_named("alice@example.org").await.unwrap().unwrap();
    let profile = opened.config.profiles["mail"].clone();
    // Pulled later and later, until a key of the profile's own kind is on the card. Once it is begun a run is shorter: nobody
    // looks any more whether the card is blank.
    let (mut commands, mut is_begun) = (20, false);
    loop {
        let pulled = pulled_card(&desk.path("alice.card"), commands, Last::Lost);
        let mut in_hand = Card::over(Box::new(pulled)).unwrap();
        let made = opened.personalize(&mut in_hand, &holder, profile.clone(), &mut |_| {}).await;
        let pulled = made.map(|_| "it got through").unwrap_err();
        assert!(is_removed(&pulled), "{pulled}");
        commands += 3;
        let Some(record) = opened.registry.card_of(holder.id).await.unwrap() else { continue };
        let journal = opened.registry.journal(record.id).await.unwrap();
        if journal.iter().any(|line| line.step == "9D key" && line.phase == JournalPhase::Confirmed) {
            break;
        }
        if !is_begun {
            (commands, is_begun) = (8, true);
        }
    }
    assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "being personalised");
    desk.issue("alice@example.org", &card, &[]);
    assert_eq!(algorithms(&card), of_mail());
    assert_eq!(shown(&desk, "alice@example.org").0, "mail");
    let history = desk.issuer(&["show", "alice@example.org"]).stdout;
    assert_eq!(history.matches("profile chosen").count(), 1, "{history}");
    assert!(history.contains("personalisation resumed"), "{history}");
}

/// A half-made card whose profile has gone since is not finished as something else.
#[tokio::test]
async fn a_card_begun_by_a_profile_that_is_gone_waits_for_a_decision() {
    let desk = desk(MAIL);
    let card = desk.yubikey("alice.card", &[]);
    let mail = Config::read(&desk.home().join("config.toml")).unwrap().profiles["mail"].clone();
    half_made(&desk, "alice.card", "alice@example.org", || mail.clone().into()).await;
    configure(&desk, "");
    let issue = ["issue", "alice@example.org", "--card", &card, "--transport-pin-file", "a.pin"];
    let words = ["no profile \"mail\"", "the card was begun by that profile", "put [profiles.mail] back"];
    desk.issuer(&issue).refuses(1, &words);
    assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "being personalised");
    // What is spelled out is no profile any more, and what is not spelled out is as it was begun.
    desk.issuer(&[&issue[..], &["--algorithm", "p256"]].concat()).expect(0);
    assert!(algorithms(&card).values().all(|algorithm| *algorithm == "p256"));
    assert_eq!(shown(&desk, "alice@example.org"), (Value::Null, "injected".into()));
}

#[tokio::test]
async fn a_batch_finishes_what_was_begun_as_it_was_ordered_or_names_the_contradiction() {
    let desk = desk(MAIL);
    let cards = ["alice.card", "bob.card"].map(|name| desk.yubikey(name, &[]));
    let mail = Config::read(&desk.home().join("config.toml")).unwrap().profiles["mail"].clone();
    for (state, person) in [("alice.card", "alice@example.org"), ("bob.card", "bob@example.org")] {
        half_made(&desk, state, person, || mail.clone().into()).await;
    }
    let list = |text: &str| std::fs::write(desk.path("list.csv"), text).unwrap();
    let batch = || {
        let words = ["--json", "batch", "list.csv", "--pin-folder", "pins", "--card"];
        desk.issuer(&[&words[..], &[&cards[0], &cards[1]]].concat())
    };
    list("person,algorithm\nalice@example.org,\nbob@example.org,rsa2048\n");
    let rows: Value = serde_json::from_str(&batch().expect(3).stdout).unwrap();
    assert_eq!((&rows[0]["result"], &rows[0]["code"]), (&"done".into(), &"as-ordered".into()));
    assert!(rows[0]["message"].as_str().unwrap().ends_with("profile mail"), "{rows}");
    assert_eq!((algorithms(&cards[0]), shown(&desk, "alice@example.org").0), (of_mail(), "mail".into()));
    assert_eq!((&rows[1]["result"], &rows[1]["code"]), (&"refused".into(), &"ordered-otherwise".into()));
    let why = rows[1]["message"].as_str().unwrap();
    for words in ["(profile mail)", "RSA", "issuer issue bob@example.org --card LOCATOR"] {
        assert!(why.contains(words), "{words:?} is not in {why}");
    }
    assert_eq!(desk.json(&["show", "bob@example.org"])["state"], "being personalised");
    // What the list says is what was ordered.
    list("person,profile\nbob@example.org,mail\n");
    let rows: Value = serde_json::from_str(&batch().expect(0).stdout).unwrap();
    assert_eq!((&rows[0]["result"], &rows[0]["code"]), (&"done".into(), &Value::Null));
    assert_eq!(algorithms(&cards[1]), of_mail());
}
