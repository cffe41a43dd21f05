//! A PIN that the holder of a card chooses at the desk: typed or given, judged, and kept nowhere.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/half_made.rs"]
mod half_made;
#[path = "desk_support/opened.rs"]
mod opened;
#[path = "desk_support/troubled.rs"]
mod troubled;

use std::process::Command;

use desk_support::{Desk, Run, files_below, open, pin, run};
use half_made::half_made;
use issuer::personalization::plan::Commission;
use middleware::LastTry;
use opened::keys;

fn verifies(locator: &str, digits: &str) -> bool {
    open(locator).transaction().unwrap().verify_pin(&pin(digits), LastTry::Refuse).map(drop).is_ok()
}

fn chosen(desk: &Desk, digits: &str) {
    std::fs::write(desk.path("chosen"), format!("{digits}\n")).unwrap();
}

#[test]
fn a_card_is_issued_with_the_pin_that_its_holder_chose_and_is_in_use_at_once() {
    for standard in [false, true] {
        let desk = Desk::new();
        let locator = if standard { desk.standard("alice.card") } else { desk.yubikey("alice.card", &[]) };
        let issue = ["issue", "1001", "--card", &locator, "--pin-by-holder", "--pin-file", "chosen"];
        for (digits, words) in [
            ("777777", "repeats itself"),
            ("12312312", "repeats itself"),
            ("234567", "counts up or down"),
            ("87654321", "counts up or down"),
            ("224466", "repeats itself"),
            ("456654", "repeats itself"),
            ("304050", "counts up or down"),
            ("258369", "counts up or down"),
            ("246803", "counts up or down"),
            ("13579", "6 to 8 digits"),
            ("13579a", "6 to 8 digits"),
        ] {
            chosen(&desk, digits);
            let refused = desk.issuer(&issue);
            refused.refuses(1, &[words, "nothing was changed"]);
            assert!(!refused.stderr.contains(digits), "{}", refused.stderr);
        }
        assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
        chosen(&desk, "27182818");
        let made = desk.json(&issue);
        assert_eq!(made["pin"], "chosen-by-holder");
        assert_eq!(desk.json(&["show", "1001"])["state"], "active");
        assert!(verifies(&locator, "27182818"));
        std::fs::remove_file(desk.path("chosen")).unwrap();
        let kept = files_below(&desk.home())
            .into_iter()
            .filter(|file| memchr::memmem::find(&std::fs::read(file).unwrap(), b"27182818").is_some());
        assert_eq!(kept.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
        // Whoever has a card is not asked for a PIN in vain: there is none to be read.
        let advice = ["issuer renew alice@example.org", "issuer replace alice@example.org"];
        desk.issuer(&issue).refuses(1, &advice);
    }
}

#[test]
fn a_card_in_anothers_place_gets_the_chosen_pin_and_a_new_one_is_judged_alike() {
    let desk = Desk::new();
    let old = desk.yubikey("old.card", &[]);
    desk.issue("alice@example.org", &old, &[]);
    let new = desk.yubikey("new.card", &[]);
    chosen(&desk, "271828");
    let replace = ["replace", "alice@example.org", "--because", "damaged", "--card", &new];
    let replaced = desk.json(&[&replace[..], &["--pin-by-holder", "--pin-file", "chosen"]].concat());
    assert_eq!((&replaced["pin"], &replaced["old_state"]), (&"chosen-by-holder".into(), &"replaced".into()));
    assert!(verifies(&new, "271828"));
    let unblock = ["unblock", "alice@example.org", "--card", &new, "--new-pin", "chosen"];
    chosen(&desk, "555555");
    desk.issuer(&unblock).refuses(1, &["repeats itself"]);
    assert!(verifies(&new, "271828"));
    chosen(&desk, "314159");
    desk.issuer(&unblock).expect(0);
    assert!(verifies(&new, "314159"));
    let both = ["--pin-by-holder", "--transport-pin-file", "x.pin"];
    desk.issuer(&[&replace[..], &both].concat()).expect(2);
    desk.issuer(&[&replace[..], &["--pin-file", "chosen"]].concat()).expect(2);
}

/// What was ordered of a card whose holder chose its PIN.
fn by_holder() -> Commission {
    Commission { chosen_pin: Some("27182818".to_owned().into()), ..keys().into() }
}

/// A command where nobody can be asked: in a session of its own, without a terminal.
fn unattended(desk: &Desk, words: &[&str]) -> Run {
    let issuer = desk.command(words);
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(issuer.get_program()).args(issuer.get_args());
    run(command.current_dir(desk.directory.path()).stdin(std::process::Stdio::null()))
}

#[tokio::test]
async fn a_card_begun_with_a_chosen_pin_is_not_finished_with_another_kind_unasked() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    half_made(&desk, "alice.card", "alice@example.org", by_holder).await;
    let issue = ["issue", "alice@example.org", "--card", &locator];
    // Nobody is there who could be asked: it is said why, and what can be said instead.
    let words = ["no terminal", "its holder chooses", "--pin-by-holder --pin-file", "--pin-by-holder=false"];
    unattended(&desk, &issue).refuses(1, &words);
    let to_file = [&issue[..], &["--transport-pin-file", "alice.pin"]].concat();
    let words = ["its holder chooses", "nothing was changed", "--pin-by-holder=false"];
    desk.issuer(&to_file).refuses(1, &words);
    assert!(!desk.path("alice.pin").exists());
    assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "being personalised");
    for contradiction in [
        &["--pin-by-holder", "--transport-pin-file", "alice.pin"][..],
        &["--pin-by-holder=false", "--pin-file", "chosen"],
    ] {
        desk.issuer(&[&issue[..], contradiction].concat()).refuses(2, &["cannot be used with"]);
    }

    chosen(&desk, "31415926");
    let made = desk.json(&[&issue[..], &["--pin-by-holder", "--pin-file", "chosen"]].concat());
    assert_eq!(made["pin"], "chosen-by-holder");
    assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "active");
    assert!(verifies(&locator, "31415926"));
}

#[tokio::test]
async fn a_card_begun_with_a_chosen_pin_gets_a_transport_pin_where_that_is_said() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    half_made(&desk, "alice.card", "alice@example.org", by_holder).await;
    let issue = ["issue", "alice@example.org", "--card", &locator, "--pin-by-holder=false"];
    let made = desk.json(&[&issue[..], &["--transport-pin-file", "alice.pin"]].concat());
    assert_eq!(made["pin"], "transport");
    assert!(verifies(&locator, std::fs::read_to_string(desk.path("alice.pin")).unwrap().trim()));
}

#[tokio::test]
async fn a_batch_leaves_a_card_whose_holder_chooses_the_pin_to_the_desk() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    half_made(&desk, "alice.card", "alice@example.org", by_holder).await;
    std::fs::write(desk.path("list.csv"), "person\nalice@example.org\n").unwrap();
    let done = desk.issuer(&["--json", "batch", "list.csv", "--pin-folder", "pins", "--card", &locator]);
    let rows: serde_json::Value = serde_json::from_str(&done.expect(1).stdout).unwrap();
    assert_eq!((&rows[0]["result"], &rows[0]["code"]), (&"refused".into(), &"pin-by-holder".into()));
    let why = rows[0]["message"].as_str().unwrap();
    assert!(why.contains("finish it where the holder is: issuer issue alice@example.org"), "{why}");
    assert_eq!(desk.json(&["show", "alice@example.org"])["state"], "being personalised");
    assert!(files_below(&desk.path("pins")).is_empty());
}
