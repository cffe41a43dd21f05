//! A clock that was put back signs nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use desk_support::{Desk, files_below, openssl};
use issuer::ca::Certificate;
use issuer::domain::AuthorityName;
use issuer::registry::{Registry, RegistryUrl};
use jiff::{SignedDuration, Timestamp};

/// A CRL as `publish` records it, at a time that the clock has not reached.
async fn record_crl(desk: &Desk, at: Timestamp) {
    let registry = Registry::open(
        &RegistryUrl::Sqlite(desk.home().join("registry.db")),
        issuer::domain::Actor::unrecorded(),
    )
    .await
    .unwrap();
    registry
        .reserve_crl_number(AuthorityName::People, at, at + SignedDuration::from_hours(24))
        .await
        .unwrap();
    registry.close().await;
}

#[tokio::test]
async fn nothing_is_signed_before_the_newest_crl() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let (key, request) = (desk.text("mail.key"), desk.text("mail.csr"));
    let made = openssl(&[
        "req",
        "-new",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-keyout",
        &key,
        "-out",
        &request,
        "-subj",
        "/CN=mail.example.org",
    ]);
    assert!(made.status.success());
    let ahead: Timestamp = "2999-01-02T03:04:05Z".parse().unwrap();
    record_crl(&desk, ahead).await;
    for arguments in [
        &["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "pin"][..],
        &["certify", &request, "--profile", "mail-server", "--out", "mail.pem"],
        &["publish", "--to", "public"],
    ] {
        let words = ["newest CRL of the authority people", "2999-01-02T03:04:05Z", "set the clock right"];
        desk.issuer(arguments).refuses(1, &words);
    }
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
    assert!(!desk.path("mail.pem").exists());
    // A revocation is not kept waiting for the clock: it only has nothing to revoke here.
    desk.issuer(&["revoke", "alice@example.org", "--reason", "superseded"]).refuses(1, &["no card"]);
}

#[tokio::test]
#[allow(clippy::disallowed_methods)] // the desk under test reads the real clock
async fn a_clock_that_is_seconds_behind_is_let_by() {
    let desk = Desk::new();
    record_crl(&desk, Timestamp::now() + SignedDuration::from_secs(20)).await;
    desk.issuer(&["publish", "--to", "public"]).expect(0);
}

#[tokio::test]
async fn a_clock_that_was_ahead_is_accepted_with_a_reason_and_only_so_far() {
    let desk = Desk::new();
    desk.issuer(&["clock", "show"]).expect(0);
    desk.issuer(&["clock", "accept", "--why", "x"]).refuses(1, &["nothing to accept"]);
    record_crl(&desk, "2999-01-02T03:04:05Z".parse().unwrap()).await;
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["issuer clock accept"]);
    let shown = desk.issuer(&["clock", "show"]);
    shown.expect(4);
    assert!(shown.stdout.contains("2999-01-02T03:04:05Z"), "{}", shown.stdout);
    desk.issuer(&["clock", "accept", "--why", " "]).refuses(2, &["--why"]);
    desk.issuer(&["clock", "accept", "--why", "the clock was set wrong"]).expect(0);
    desk.issuer(&["publish", "--to", "public"]).expect(0);
    let log = desk.issuer(&["--json", "report", "events"]);
    assert!(log.stdout.contains("clock-accepted") && log.stdout.contains("the clock was set wrong"));
    // What comes after it counts again, however far before the accepted time.
    record_crl(&desk, "2998-01-02T03:04:05Z".parse().unwrap()).await;
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["2998-01-02T03:04:05Z"]);
}

/// The number of the people's CRL that is published, and what it revokes.
fn published(desk: &Desk) -> (u64, usize) {
    let people = files_below(&desk.path("public/ca"))
        .into_iter()
        .map(|file| Certificate::from_der(std::fs::read(file).unwrap()).unwrap())
        .find(|authority| authority.subject().contains("People CA"))
        .unwrap();
    let crl = desk.text(&format!("public/crl/{}.crl", hex::encode(people.subject_key_identifier())));
    let shown = openssl(&["crl", "-inform", "DER", "-noout", "-text", "-in", &crl]);
    let text = String::from_utf8(shown.stdout).unwrap();
    let (_, number) = text.split_once("CRL Number:").unwrap();
    let number = number.trim_start().lines().next().unwrap().trim();
    let number = number.strip_prefix("0x").map_or_else(|| number.parse(), |hex| u64::from_str_radix(hex, 16));
    (number.unwrap(), text.matches("Serial Number:").count())
}

/// A revocation would else have to wait until the day that a clock once said (RFC 5280 section 5.2.3: the number grows).
#[test]
fn what_a_clock_that_was_ahead_published_is_followed_once_the_clock_is_accepted() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    let publish = ["publish", "--to", "public"];
    let ahead = desk.on_another_day("+70d", &publish);
    ahead.expect(0);
    assert!(ahead.stderr.contains("days after the newest event"), "{}", ahead.stderr);
    assert!(ahead.stderr.contains("if it is ahead, set it right"), "{}", ahead.stderr);
    let before = published(&desk);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.issuer(&publish).refuses(1, &["issuer clock accept"]);
    assert_eq!(published(&desk), before);
    desk.issuer(&["clock", "accept", "--why", "it was ahead"]).expect(0);
    let done = desk.issuer(&publish);
    done.expect(0);
    assert!(!done.stderr.contains("the clock"), "{}", done.stderr);
    let after = published(&desk);
    assert!(after.0 > before.0 && before.1 == 0 && after.1 > 0, "{before:?} {after:?}");
    desk.issuer(&publish).expect(0);
    desk.issuer(&["publish", "--to", "elsewhere"]).expect(0);
    desk.issuer(&["audit", "verify"]).expect(0);
}
