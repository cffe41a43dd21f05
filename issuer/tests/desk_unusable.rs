//! A card that cannot be personalised is given up for good, not offered again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use desk_support::{Desk, open};

fn block_puk(locator: &str) {
    let puk = |text: &str| middleware::Puk::new(text.as_bytes()).unwrap();
    let mut card = open(locator);
    while card.transaction().unwrap().puk_tries_left().unwrap() != Some(0) {
        let refused = card.transaction().unwrap().change_puk(&puk("00000000"), &puk("11111111"));
        assert!(refused.is_err());
    }
}

#[test]
fn a_card_with_a_blocked_puk_is_set_aside_until_it_is_reset() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &["--serial", "77"]);
    block_puk(&locator);
    let issue = |person| desk.issuer(&["issue", person, "--card", &locator, "--transport-pin-file", "pin"]);
    let refused = issue("alice@example.org");
    refused.refuses(1, &["blocked", "cannot be personalised", "issuer revoke alice@example.org"]);
    assert!(!refused.stderr.contains("the same command again"), "{}", refused.stderr);

    let revoke = ["revoke", "alice@example.org", "--reason", "cessation-of-operation"];
    let done = desk.issuer(&revoke);
    let said = &done.expect(0).stdout;
    assert!(said.contains("set aside as unusable") && !said.contains("Make it known"), "{said}");
    assert!(!said.contains("0 certificates"), "{said}");
    let listed = desk.json(&["stock", "list"]);
    assert_eq!(listed[0]["state"], "unusable");
    assert!(listed[0]["next"].as_str().unwrap().contains("PUK is blocked"), "{listed}");
    issue("bob@example.org").refuses(1, &["unusable", "PUK is blocked", "another card"]);
    desk.issuer(&revoke).refuses(1, &["nothing was changed"]);

    // As after a reset by its vendor's tool: blank again, with the same serial number.
    std::fs::remove_file(desk.path("alice.card")).unwrap();
    let locator = desk.yubikey("alice.card", &["--serial", "77"]);
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
    desk.issue("bob@example.org", &locator, &[]);
}

#[test]
fn a_wrong_stock_file_is_corrected_by_taking_the_card_in_again() {
    let desk = Desk::new();
    let locator = desk.blank("alice.card", &["--personality", "standard"]);
    let stock = desk.path("alice.card.stock.toml");
    let right = std::fs::read_to_string(&stock).unwrap();
    let key = right.parse::<toml::Table>().unwrap()["management_key"].as_str().unwrap().to_owned();
    std::fs::write(&stock, right.replace(&key, &"ab".repeat(key.len() / 2))).unwrap();
    let add = || desk.issuer(&["stock", "add", "--file", "alice.card.stock.toml"]);
    add().expect(0);
    desk.issuer(&["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "pin"])
        .refuses(1, &["management key", "cannot be personalised", "issuer revoke alice@example.org"]);
    std::fs::write(&stock, right).unwrap();
    add().expect(1);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "cessation-of-operation"]).expect(0);
    add().expect(0);
    desk.issue("alice@example.org", &locator, &[]);
}
