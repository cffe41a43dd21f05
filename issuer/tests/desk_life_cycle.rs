//! What a desk does after a card was issued: hold, release, lose, take back, look, report.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use desk_support::{Desk, begin_of, extract_certificates, openssl_verify};

/// A desk whose Alice has a card; the certificates are beside it as `KEY.pem` in `extracted`.
fn with_card() -> (Desk, String) {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    extract_certificates(&locator, &desk.path("extracted"));
    (desk, locator)
}

fn judged(desk: &Desk) -> (bool, String) {
    let public = desk.publish();
    openssl_verify(&public, &desk.path("extracted/9C.pem"), &[])
}

#[test]
fn a_hold_is_visible_to_readers_and_ends_on_release() {
    let (desk, _) = with_card();
    assert!(judged(&desk).0);
    let held = desk.issuer(&["hold", "alice@example.org"]);
    held.expect(0);
    assert!(held.stdout.contains("issuer release"), "{}", held.stdout);
    let (accepted, said) = judged(&desk);
    assert!(!accepted && said.contains("revoked"), "{said}");
    let crl = desk.path("public/crl.pem");
    let text = desk_support::openssl(&["crl", "-in", crl.to_str().unwrap(), "-noout", "-text"]);
    assert!(text.status.success());
    let people = desk.json(&["report", "states"]);
    assert_eq!((&people["state"], &people["cards"]), (&"on hold".into(), &1.into()));
    desk.issuer(&["hold", "alice@example.org"]).refuses(1, &["on hold since", "cannot be put on hold"]);

    desk.issuer(&["release", "alice@example.org"]).expect(0);
    let (accepted, said) = judged(&desk);
    assert!(accepted, "{said}");
    desk.issuer(&["release", "alice@example.org"]).refuses(1, &["cannot be released"]);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_lost_card_is_revoked_and_a_found_one_goes_back_to_stock_wiped() {
    let (desk, locator) = with_card();
    desk.issuer(&["mark", "alice@example.org", "damaged", "--invalid-since", "2026-01-01"])
        .refuses(2, &["lost or stolen"]);
    let begin = begin_of(&locator);
    let since = ["mark", "alice@example.org", "stolen", "--invalid-since"];
    desk.issuer(&[&since[..], &["2020-01-01"]].concat()).refuses(1, &["there was a key", &begin]);
    let lost = desk.issuer(&[&since[..], &[&begin]].concat());
    lost.expect(0);
    assert!(lost.stdout.contains("issuer stock return"), "{}", lost.stdout);
    let (accepted, said) = judged(&desk);
    assert!(!accepted && said.contains("revoked"), "{said}");
    let found = desk.json(&["find", "alice"]);
    let certificate = &found["certificates"][0];
    assert_eq!(
        (&certificate["state"], &certificate["reason"]),
        (&"revoked".into(), &"key-compromise".into())
    );
    assert_eq!(certificate["invalid_since"], begin);

    let serial = found["cards"][0]["serial"].as_u64().unwrap().to_string();
    let back = desk.issuer(&["stock", "return", &format!("serial={serial}")]);
    let wiping = format!("issuer stock return serial={serial} --card");
    assert!(back.expect(0).stdout.contains(&wiping), "{}", back.stdout);
    desk.issuer(&["stock", "return", &format!("serial={serial}")])
        .refuses(1, &["came back at", &wiping, "destroyed"]);
    desk.issuer(&["stock", "add", "--card", &locator]).refuses(1, &["still has", &wiping, &locator]);
    // The same card as its factory made it.
    std::fs::remove_file(desk.path("alice.card")).unwrap();
    desk.blank("alice.card", &["--serial", &serial]);
    desk.issuer(&["stock", "add", "--card", &locator]).expect(0);
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
    desk.issue("bob@example.org", &locator, &[]);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_card_says_what_happened_what_comes_next_and_what_goes_back() {
    let (desk, _) = with_card();
    desk.issuer(&["--operator", "Carol Wu", "mark", "1001", "active"]).expect(0);
    let shown = desk.json(&["show", "alice@example.org"]);
    let last = shown["history"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["kind"], &last["actor"]), (&"card-activated".into(), &"Carol Wu".into()));
    let commands: Vec<_> = shown["ways"]
        .as_array()
        .unwrap()
        .iter()
        .map(|way| (way["undoes"].as_bool().unwrap(), way["command"].as_str().unwrap().to_owned()))
        .collect();
    assert!(commands.iter().any(|(undoes, command)| !undoes && command.starts_with("issuer hold serial=")));
    assert!(commands.iter().any(|(undoes, command)| *undoes && command.starts_with("issuer stock return")));
    // Each command that is shown is one that works as it stands.
    let hold = commands.iter().find(|(_, command)| command.starts_with("issuer hold")).unwrap();
    desk.issuer(&hold.1.split(' ').skip(1).collect::<Vec<_>>()).expect(0);
    let text = desk.issuer(&["show", "alice@example.org"]);
    assert!(
        text.stdout.contains("What goes back:") && text.stdout.contains("issuer release"),
        "{}",
        text.stdout
    );
}

#[test]
fn a_card_that_is_not_meant_clearly_is_not_touched() {
    let (desk, _) = with_card();
    let serial = desk.json(&["stock", "list"])[0]["serial"].as_u64().unwrap();
    desk.import_staff(&format!("name,mail,id\nEve Roy,eve@example.org,{serial}\n")).expect(0);
    let spare = desk.yubikey("eve.card", &[]);
    desk.issue("eve@example.org", &spare, &[]);
    desk.issuer(&["hold", &serial.to_string()]).refuses(1, &["person=", "serial="]);
    desk.issuer(&["hold", &format!("person={serial}")]).expect(0);
    desk.issuer(&["hold", "nobody@example.org"]).refuses(1, &["issuer find"]);
    desk.issuer(&["hold", "bob@example.org"]).refuses(1, &["has no card"]);
    let states: Vec<_> =
        desk.json(&["stock", "list"]).as_array().unwrap().iter().map(|card| card["state"].clone()).collect();
    assert_eq!(states, ["awaiting activation", "on hold"]);
}

#[test]
fn what_ends_soon_is_queued_once() {
    let (desk, _) = with_card();
    assert_eq!(desk.json(&["expiring", "--days", "30"])["cards"].as_array().unwrap().len(), 0);
    let soon = desk.json(&["expiring", "--days", "1000", "--queue"]);
    assert_eq!((&soon["queued"], soon["cards"].as_array().unwrap().len()), (&1.into(), 1));
    assert_eq!(desk.json(&["expiring", "--days", "1000", "--queue"])["queued"], 0);
    let waiting = desk.json(&["request", "list"]);
    assert_eq!(
        (&waiting[0]["kind"], &waiting[0]["holder"]),
        (&"renewal".into(), &"alice@example.org".into())
    );
    let number = waiting[0]["number"].as_i64().unwrap().to_string();
    desk.issuer(&["request", "refuse", &number, "--why", "leaves next week"]).expect(0);
    desk.issuer(&["request", "approve", &number]).refuses(1, &["refused since"]);
    desk.issuer(&["request", "approve", "99"]).refuses(1, &["no request number 99"]);
}

#[test]
fn reports_are_tables_sheets_and_objects() {
    let (desk, _) = with_card();
    desk.import_staff("name,mail,id\n=cmd|' /C calc'!A0,eve@example.org,E\n").expect(0);
    let sheet = desk.issuer(&["report", "people", "--csv"]);
    sheet.expect(0);
    let mut lines = sheet.stdout.lines();
    assert_eq!(lines.next(), Some("name,mail,id,employed_until,left_at,card_state,card_guid"));
    assert!(lines.next().unwrap().starts_with("Alice Ng,alice@example.org,1001,,,awaiting activation,"));
    assert!(sheet.stdout.contains("\n'=cmd|"), "a name is a formula: {}", sheet.stdout);
    let cards = desk.issuer(&["--json", "report", "cards", "--state", "awaiting-activation"]);
    let card: serde_json::Value = serde_json::from_str(cards.stdout.trim()).unwrap();
    assert_eq!(card["holder"], "alice@example.org");
    desk.issuer(&["report", "cards", "--state", "lost"]).expect(0);
    desk.issuer(&["report", "cards", "--state", "gone"]).refuses(2, &["there are: in stock"]);
    let table = desk.issuer(&["report", "certificates", "--state", "delivered"]);
    assert!(table.stdout.contains("CARD NUMBER") && table.stdout.lines().count() > 4, "{}", table.stdout);
    let events = desk.issuer(&["--json", "report", "events"]);
    let event: serde_json::Value = serde_json::from_str(events.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(event["event"], 1);
}

/// The lines of a report.
fn report(desk: &Desk, kind: &str) -> Vec<serde_json::Value> {
    let lines = desk.issuer(&["--json", "report", kind]);
    lines.expect(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_output_says_the_same_of_the_same_thing() {
    let (desk, locator) = with_card();
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    let found = desk.json(&["find", "alice"]);
    let people = report(&desk, "people");
    assert_eq!(found["people"][0], people[0]);
    assert_eq!(found["people"][0], desk.json(&["staff", "list"])[0]);
    assert_eq!(
        (&people[0]["card_state"], &people[0]["left_at"]),
        (&"on hold".into(), &serde_json::Value::Null)
    );

    let guid = desk_support::guid_of(&locator).to_string();
    let card = &report(&desk, "cards")[0];
    assert_eq!(desk.json(&["find", &guid])["cards"][0], *card);
    assert_eq!(desk.json(&["stock", "list"])[0], *card);
    assert!(
        card["serial"].is_u64() && card["number"].is_u64() && card["holder"] == "alice@example.org",
        "{card}"
    );
    let shown = desk.json(&["show", "alice@example.org"]);
    let ending = desk.json(&["expiring", "--days", "1000"])["cards"][0].clone();
    for (name, value) in card.as_object().unwrap() {
        assert_eq!(shown.get(name), Some(value), "{name} of show");
        assert_eq!(ending.get(name), Some(value), "{name} of expiring");
    }
    assert_eq!(shown["card"], guid);

    let certificates = report(&desk, "certificates");
    let of_card = certificates.iter().find(|certificate| certificate["key"] == "9C").unwrap();
    let serial = of_card["serial"].as_str().unwrap();
    assert_eq!(desk.json(&["find", serial])["certificates"][0], *of_card);
    assert_eq!(of_card["card_number"], card["number"]);

    let last = report(&desk, "events").into_iter().rfind(|event| event["kind"] == "card-held").unwrap();
    assert_eq!(shown["history"].as_array().unwrap().last(), Some(&last));

    // Sheets have the same names.
    for (kind, object) in
        [("people", &people[0]), ("cards", card), ("certificates", of_card), ("events", &last)]
    {
        let sheet = desk.issuer(&["report", kind, "--csv"]).stdout;
        let mut names: Vec<_> = sheet.lines().next().unwrap().split(',').collect();
        names.sort_unstable();
        let mut fields: Vec<_> = object.as_object().unwrap().keys().collect();
        fields.sort_unstable();
        assert_eq!(names, fields, "{kind}");
    }
}
