//! A clock that was put back, or is far ahead, signs and records nothing that can wait.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod operator_support;

use desk_support::{Desk, Run, files_below, openssl};
use issuer::ca::Certificate;
use issuer::domain::AuthorityName;
use issuer::registry::{Registry, RegistryUrl};
use jiff::{SignedDuration, Timestamp};
use operator_support::Staffed;

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

/// The people's CRL that is published, as openssl shows it.
fn people_s_crl(desk: &Desk) -> String {
    let people = files_below(&desk.path("public/ca"))
        .into_iter()
        .map(|file| Certificate::from_der(std::fs::read(file).unwrap()).unwrap())
        .find(|authority| authority.subject().contains("People CA"))
        .unwrap();
    let crl = desk.text(&format!("public/crl/{}.crl", hex::encode(people.subject_key_identifier())));
    let shown = openssl(&["crl", "-inform", "DER", "-noout", "-text", "-in", &crl]);
    String::from_utf8(shown.stdout).unwrap()
}

/// The number of the people's CRL that is published, and what it revokes.
fn published(desk: &Desk) -> (u64, usize) {
    let text = people_s_crl(desk);
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
    // It does not wait, and is not earlier than what was recorded; what it says of that is taken back by a clock that is right.
    let revoked = desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]);
    warns(&revoked, "the clock says", newest(&desk));
    desk.issuer(&publish).refuses(1, &["issuer clock accept"]);
    assert_eq!(published(&desk), before);
    desk.issuer(&["clock", "accept", "--why", "it was ahead"]).expect(0);
    let done = desk.issuer(&publish);
    done.expect(0);
    assert!(!done.stderr.contains("the clock"), "{}", done.stderr);
    let after = published(&desk);
    assert!(after.0 > before.0 && before.1 == 0 && after.1 > 0, "{before:?} {after:?}");
    // A reader who compares it with a clock that is right does not believe the certificate, and the date stays.
    let dates = revocation_dates(&desk);
    let made = people_s_crl(&desk);
    assert!(dates.iter().all(|date| made.contains(&format!("Last Update: {date}"))), "{dates:?} {made}");
    desk.issuer(&["revoke", "bob@example.org", "--reason", "superseded"]).refuses(1, &["no card"]);
    let late = desk.on_another_day("+30d", &publish);
    late.expect(0);
    assert_eq!(revocation_dates(&desk), dates);
    let latest = desk.on_another_day("+100d", &publish);
    latest.expect(0);
    assert_eq!(revocation_dates(&desk), dates, "{}", latest.stderr);
    desk.issuer(&["clock", "accept", "--why", "that was a test of later days"]).expect(0);
    desk.issuer(&publish).expect(0);
    assert_eq!(revocation_dates(&desk), dates);
    desk.issuer(&["publish", "--to", "elsewhere"]).expect(0);
    desk.issuer(&["audit", "verify"]).expect(0);
}

/// When the newest event happened.
fn newest(desk: &Desk) -> Timestamp {
    let log = desk.issuer(&["--json", "report", "events"]);
    log.expect(0);
    let events = log.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    events.map(|event| event["at"].as_str().unwrap().parse().unwrap()).max().unwrap()
}

fn events(desk: &Desk) -> usize {
    desk.issuer(&["--json", "report", "events"]).stdout.lines().count()
}

/// As openssl writes it.
fn date(at: Timestamp) -> String {
    at.strftime("%b %e %H:%M:%S %Y GMT").to_string()
}

/// When the people's CRL that is published says that something was revoked.
fn revocation_dates(desk: &Desk) -> Vec<String> {
    let dates = people_s_crl(desk);
    let dates = dates.lines().filter_map(|line| line.trim().strip_prefix("Revocation Date: "));
    dates.map(str::to_owned).collect()
}

/// It was done, and something was said of the clock.
#[track_caller]
fn warns(run: &Run, words: &str, newest: Timestamp) {
    run.expect(0);
    let warned = run.stderr.lines().filter(|line| line.starts_with("warning: ")).collect::<Vec<_>>();
    let recorded = format!("recorded as of {newest}");
    assert!(
        warned.iter().any(|line| line.contains(words) && line.contains(&recorded)),
        "{words} and {recorded}: {}",
        run.stderr
    );
}

/// Two days back, and thirty years ahead: with what is said of each.
const WRONG: [(&str, &str); 2] = [("-2d", "but the newest event is of"), ("+11000d", "it may be far ahead")];

#[test]
fn what_can_wait_is_not_recorded_by_a_wrong_clock() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    let (other, blank) = (desk.yubikey("bob.card", &[]), desk.blank("new.card", &[]));
    desk.issuer(&["request", "open", "replacement", "alice@example.org"]).expect(0);
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    std::fs::write(desk.path("more.csv"), "name,mail\nNoa Gil,noa@example.org\n").unwrap();
    std::fs::write(desk.path("batch.csv"), "person\nbob@example.org\n").unwrap();
    let before = (events(&desk), newest(&desk));
    for (day, said) in WRONG {
        for arguments in [
            &["staff", "import", "more.csv"][..],
            &["staff", "import", "more.csv", "--apply"],
            &["stock", "add", "--card", &blank],
            &["stock", "add", "--serial", "4711"],
            &["stock", "return", "alice@example.org"],
            &["stock", "return", "alice@example.org", "--card", &locator],
            &["issue", "bob@example.org", "--card", &other, "--transport-pin-file", "bob.pin"],
            &["batch", "batch.csv", "--card", &other, "--pin-folder", "pins"],
            &["release", "alice@example.org"],
            &["mark", "alice@example.org", "active"],
            &["mark", "alice@example.org", "pin-blocked"],
            &["unblock", "alice@example.org", "--card", &locator],
            &["request", "open", "renewal", "alice@example.org"],
            &["request", "approve", "1"],
            &["request", "refuse", "1", "--why", "no"],
            &["request", "withdraw", "1"],
            &["expiring", "--days", "30", "--queue"],
            &["class", "add", "board", "alice@example.org"],
            &["operator", "add", "alice@example.org", "--role", "administrator", "--card", &locator],
        ] {
            let run = desk.on_another_day(day, arguments);
            run.refuses(1, &[said, "the clock says", "set the clock right", "issuer clock accept"]);
            assert_eq!((events(&desk), newest(&desk)), before, "{arguments:?}");
        }
        // What only looks goes on.
        desk.on_another_day(day, &["find", "alice"]).expect(0);
        desk.on_another_day(day, &["staff", "import", "more.csv", "--preview"]).expect(0);
        desk.on_another_day(day, &["check", "--card", &locator]).expect(0);
        desk.on_another_day(day, &["clock", "show"]).expect(4);
        desk.on_another_day(day, &["audit", "verify"]).expect(0);
        assert_eq!((events(&desk), newest(&desk)), before);
    }
    desk.issuer(&["release", "alice@example.org"]).expect(0);
    desk.issuer(&["mark", "alice@example.org", "active"]).expect(0);
    desk.issuer(&["staff", "import", "more.csv"]).expect(0);
}

#[test]
fn what_takes_trust_away_waits_for_no_clock_and_has_a_date_that_is_past() {
    for (day, said) in WRONG {
        let desk = Desk::new();
        for (person, card) in [("alice@example.org", "alice.card"), ("bob@example.org", "bob.card")] {
            let locator = desk.yubikey(card, &[]);
            desk.issue(person, &locator, &[]);
        }
        let at = newest(&desk);
        let revoke = ["revoke", "alice@example.org", "--reason", "key-compromise"];
        // The date that is given is compared with the same time.
        let tomorrow = (at + SignedDuration::from_hours(24)).to_string();
        let late = [&revoke[..], &["--invalid-since", &tomorrow]].concat();
        desk.on_another_day(day, &late).refuses(1, &["in the future", &at.to_string()]);
        warns(&desk.on_another_day(day, &revoke), "Set the clock right", at);
        let held = desk.on_another_day(day, &["--json", "hold", "bob@example.org"]);
        warns(&held, said, at);
        let summary: serde_json::Value = serde_json::from_str(&held.stdout).unwrap();
        assert_eq!(summary["since"], at.to_string());
        assert_eq!(newest(&desk), at, "the next command would be judged by it");
        desk.on_another_day(day, &["release", "bob@example.org"]).refuses(1, &["the clock says"]);
        desk.on_another_day(day, &["publish", "--to", "public"]).refuses(1, &["the clock says"]);
        // The clock is right again.
        desk.issuer(&["publish", "--to", "public"]).expect(0);
        let dates = revocation_dates(&desk);
        assert!(!dates.is_empty() && dates.iter().all(|one| *one == date(at)), "{dates:?}, not {at}");
        warns(
            &desk.on_another_day(day, &["mark", "bob@example.org", "stolen"]),
            "the clock says",
            newest(&desk),
        );
        assert_eq!(desk.json(&["find", "bob"])["cards"][0]["state"], "stolen");
        desk.issuer(&["audit", "verify"]).expect(0);
    }
}

#[test]
fn a_card_that_is_lost_is_revoked_by_any_clock_and_its_replacement_waits() {
    for (day, _) in WRONG {
        let desk = Desk::new();
        let locator = desk.yubikey("alice.card", &[]);
        desk.issue("alice@example.org", &locator, &[]);
        let new = desk.yubikey("new.card", &[]);
        let at = newest(&desk);
        let replace = |because: &str| {
            let all = ["replace", "alice@example.org", "--because", because, "--card", &new];
            desk.on_another_day(day, &[&all[..], &["--transport-pin-file", "new.pin"]].concat())
        };
        replace("superseded").refuses(1, &["the clock says", "nothing is signed"]);
        assert_eq!(desk.json(&["find", "alice"])["cards"][0]["state"], "awaiting activation");
        let lost = replace("lost");
        lost.refuses(1, &["only the new card is missing", &format!("recorded as of {at}")]);
        assert_eq!(desk.json(&["find", "alice"])["cards"][0]["state"], "lost");
        desk.issuer(&["replace", "alice@example.org", "--card", &new, "--transport-pin-file", "new.pin"])
            .expect(0);
    }
}

#[test]
fn who_left_is_revoked_by_any_clock_and_nobody_else_is() {
    let desk = Desk::new();
    std::fs::write(
        desk.path("staff.csv"),
        "name,mail,id,until\nAlice Ng,alice@example.org,1001,2046-01-01\nBob Ruiz,bob@example.org,,\n",
    )
    .unwrap();
    desk.issuer(&["staff", "import", "staff.csv", "--apply"]).expect(0);
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    let ahead = desk.on_another_day("+11000d", &["--json", "staff", "leavers", "--revoke"]);
    warns(&ahead, "it may be far ahead", newest(&desk));
    assert_eq!(ahead.stdout.trim(), "[]");
    std::fs::write(desk.path("staff.csv"), "name,mail,id\nBob Ruiz,bob@example.org,\n").unwrap();
    desk.issuer(&["staff", "import", "staff.csv", "--apply"]).expect(0);
    let at = newest(&desk);
    warns(&desk.on_another_day("-2d", &["staff", "leavers", "--revoke"]), "the newest event", at);
    assert_eq!(newest(&desk), at);
    desk.issuer(&["publish", "--to", "public"]).expect(0);
    assert!(revocation_dates(&desk).iter().all(|one| *one == date(at)));
}

#[test]
fn what_is_written_down_by_a_clock_that_is_ahead_does_not_make_it_right() {
    let desk = Staffed::new();
    let ahead = |person: &str, arguments: &[&str]| {
        let (card, pin) = (desk.card(person), desk.pin_file(person));
        let who = ["--operator", &card, "--operator-pin-file", &pin];
        desk.desk.on_another_day("+11000d", &[&who[..], arguments].concat())
    };
    let (log, newest) = (
        || desk.log(),
        |log: &[serde_json::Value]| {
            log.iter().map(|event| event["at"].as_str().unwrap().parse::<Timestamp>().unwrap()).max().unwrap()
        },
    );
    let before = log();
    // By that clock every card has expired.
    ahead("rita", &["find", "zoe"]).refuses(1, &["expired since"]);
    ahead("otto", &["hold", "zoe@example.org"]).refuses(1, &["may not"]);
    ahead("rita", &["stock", "add", "--serial", "4711"]).refuses(1, &["expired since"]);
    let refused = log();
    assert!(refused.len() > before.len(), "refusals are in the log");
    assert_eq!(newest(&refused), newest(&before));
    // An edited configuration is asked about, and the clock stays doubted.
    ahead("rita", &["release", "zoe@example.org"]).refuses(1, &["the clock says"]);
    // Nobody waits to be rid of a card, and whoever may does it.
    let revoked = ahead("rita", &["revoke", "zoe@example.org", "--reason", "key-compromise"]);
    warns(&revoked, "it may be far ahead", newest(&before));
    warns(&ahead("rita", &["hold", "vera@example.org"]), "it may be far ahead", newest(&before));
    warns(&ahead("adam", &["operator", "remove", "otto@example.org"]), "far ahead", newest(&before));
    let log = desk.as_operator("adam", &["--json", "report", "events"]);
    let events: Vec<_> = log.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(newest(&events), newest(&before));
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn an_edited_configuration_does_not_make_a_clock_right() {
    let desk = Desk::new();
    let file = desk.home().join("config.toml");
    let edited = std::fs::read_to_string(&file).unwrap().replace("Example Org", "Other Org");
    std::fs::write(&file, edited).unwrap();
    let at = newest(&desk);
    for _ in 0..2 {
        desk.on_another_day("+11000d", &["stock", "add", "--serial", "4711"])
            .refuses(1, &["it may be far ahead"]);
    }
    assert_eq!(newest(&desk), at);
}
