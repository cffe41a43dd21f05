//! What is refused of a replacement leaves the old card in use, unless somebody else may have it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use desk_support::{Desk, Run, run};
use issuer::domain::{Actor, AuthorityName};
use issuer::registry::{Registry, RegistryUrl};

const TRANSPORT: [&str; 2] = ["--transport-pin-file", "new.pin"];

/// Alice has a card, and another one is in stock; answers the locator of that one.
fn with_a_card(desk: &Desk) -> String {
    let old = desk.yubikey("old.card", &[]);
    desk.issue("alice@example.org", &old, &[]);
    std::fs::write(desk.path("trivial"), "123456\n").unwrap();
    desk.yubikey("new.card", &[])
}

fn replace(desk: &Desk, because: &str, new: &str, more: &[&str]) -> Run {
    let words = ["replace", "alice@example.org", "--because", because, "--card", new];
    desk.issuer(&[&words[..], more].concat())
}

fn with_wrong_passphrase(desk: &Desk, because: &str, new: &str) -> Run {
    std::fs::write(desk.path("wrong"), "wrong\n").unwrap();
    let words = ["replace", "alice@example.org", "--because", because, "--card", new];
    let mut command = desk.command(&[]);
    run(command.args(words).args(TRANSPORT).args(["--passphrase-file", "wrong"]))
}

/// The states of both cards, and of the certificates of the old one.
fn states(desk: &Desk) -> (Vec<String>, Vec<String>) {
    let of = |value: &serde_json::Value| value["state"].as_str().unwrap().to_owned();
    let listed = desk.json(&["stock", "list"]);
    let old = listed[0]["serial"].as_u64().unwrap().to_string();
    let shown = desk.json(&["show", &old]);
    (
        listed.as_array().unwrap().iter().map(of).collect(),
        shown["keys"].as_array().unwrap().iter().map(of).collect(),
    )
}

#[test]
fn a_card_that_works_or_is_broken_stays_in_use_until_the_new_one_can_be_begun() {
    let desk = Desk::new();
    let new = with_a_card(&desk);
    let before = states(&desk);
    assert_eq!(before.0, ["awaiting activation", "in stock"]);
    for because in ["superseded", "damaged"] {
        let existing = ["--transport-pin-file", "trivial"];
        let trivial = ["--pin-by-holder", "--pin-file", "trivial"];
        replace(&desk, because, &new, &existing).refuses(1, &["exists already"]);
        replace(&desk, because, &new, &["--transport-pin-file", "nowhere/new.pin"]).refuses(1, &["nowhere"]);
        replace(&desk, because, &new, &[]).refuses(2, &["--transport-pin-file"]);
        replace(&desk, because, &new, &trivial).refuses(1, &["nothing was changed"]);
        with_wrong_passphrase(&desk, because, &new).refuses(1, &["passphrase"]);
        let future = [&TRANSPORT[..], &["--invalid-since", "2999-01-01"]].concat();
        replace(&desk, because, &new, &future).refuses(1, &["2999"]);
        let early = [&TRANSPORT[..], &["--invalid-since", "1999-01-01"]].concat();
        replace(&desk, because, &new, &early).refuses(1, &["before there was a key"]);
        assert_eq!(states(&desk), before, "{because}");
    }
    let import = ["staff", "import", "staff.csv", "--apply", "--leavers-at-most", "9"];
    std::fs::write(desk.path("staff.csv"), "name,mail\nBob Ruiz,bob@example.org\n").unwrap();
    desk.issuer(&import).expect(0);
    replace(&desk, "superseded", &new, &TRANSPORT).refuses(1, &["left"]);
    assert_eq!(states(&desk), before, "of somebody who left");
    let alice = "name,mail,id\nBob Ruiz,bob@example.org,\nAlice Ng,alice@example.org,1001\n";
    std::fs::write(desk.path("staff.csv"), alice).unwrap();
    desk.issuer(&import).expect(0);

    replace(&desk, "superseded", &new, &TRANSPORT).expect(0);
    let (cards, certificates) = states(&desk);
    assert_eq!(cards, ["replaced", "awaiting activation"]);
    assert_eq!(certificates, ["revoked"; 4]);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[tokio::test]
async fn a_clock_that_went_back_leaves_the_old_card_in_use() {
    let desk = Desk::new();
    let new = with_a_card(&desk);
    let before = states(&desk);
    let url = RegistryUrl::Sqlite(desk.home().join("registry.db"));
    let registry = Registry::open(&url, Actor::unrecorded()).await.unwrap();
    let (at, next) = ("2999-01-02T03:04:05Z".parse().unwrap(), "2999-01-03T03:04:05Z".parse().unwrap());
    registry.reserve_crl_number(AuthorityName::People, at, next).await.unwrap();
    registry.close().await;
    for because in ["superseded", "damaged"] {
        replace(&desk, because, &new, &TRANSPORT).refuses(1, &["set the clock right"]);
        assert_eq!(states(&desk), before, "{because}");
    }
}

#[test]
fn a_lost_card_is_revoked_whatever_becomes_of_the_new_one_and_a_refusal_says_so() {
    for because in ["lost", "stolen"] {
        let desk = Desk::new();
        let new = with_a_card(&desk);
        let on = format!("issuer replace alice@example.org --card {new} --algorithm rsa2048");
        let words = ["only the new card is missing", because, "are revoked", &on];
        let existing = ["--algorithm", "rsa2048", "--transport-pin-file", "trivial"];
        replace(&desk, because, &new, &existing).refuses(1, &[&words[..], &["exists already"]].concat());
        let (cards, certificates) = states(&desk);
        assert_eq!((cards[0].as_str(), cards[1].as_str()), (because, "in stock"));
        assert_eq!(certificates, ["revoked"; 4]);
        // As often as it is refused, and by the command that was named it goes on.
        with_wrong_passphrase(&desk, because, &new).refuses(1, &words[..3]);
        let on = shlex::split(&on).unwrap();
        let on: Vec<_> = on.iter().skip(1).map(String::as_str).chain(TRANSPORT).collect();
        desk.issuer(&on).expect(0);
        assert_eq!(states(&desk).0, ["replaced", "awaiting activation"]);
    }
}

#[test]
fn whoever_has_a_card_is_told_so_before_the_file_for_the_pin() {
    let desk = Desk::new();
    let new = with_a_card(&desk);
    let old = format!("sim:{}", desk.text("old.card"));
    let existing = ["--transport-pin-file", "trivial"];
    for (card, word) in [(&new, "alice@example.org has card"), (&old, "not issued twice")] {
        let again = [&["issue", "alice@example.org", "--card", card], &existing[..]].concat();
        desk.issuer(&again).refuses(1, &[word, "issuer renew alice@example.org", "issuer replace"]);
    }
}

#[test]
fn a_refusal_before_a_lost_card_is_revoked_says_that_it_is_still_good() {
    for because in ["lost", "stolen"] {
        let desk = Desk::new();
        let new = with_a_card(&desk);
        let old = format!("sim:{}", desk.text("old.card"));
        let unknown = desk.blank("unknown.card", &[]);
        let before = states(&desk);
        let good = "is awaiting activation as before, and nothing of it was revoked";
        let gone = ["--profile", "gone"];
        for (card, more, words) in [
            (&old, &TRANSPORT, "put another card"),
            (&unknown, &TRANSPORT, "is not in stock"),
            (&new, &gone, "no profile \"gone\""),
        ] {
            let refused = replace(&desk, because, card, more);
            refused.refuses(1, &[words, good, "revoke it now: issuer mark "]);
            assert_eq!(states(&desk), before);
        }
        // The command that was named does it.
        let refused = replace(&desk, because, &old, &TRANSPORT).stderr;
        let (_, command) = refused.trim().rsplit_once("revoke it now: issuer ").unwrap();
        desk.issuer(&command.split(' ').collect::<Vec<_>>()).expect(0);
        assert_eq!(states(&desk).0[0], because);
        // One that is at hand is not said to be revoked.
        let refused = replace(&desk, "superseded", &old, &TRANSPORT);
        assert!(!refused.stderr.contains("as before"), "{}", refused.stderr);
    }
}
