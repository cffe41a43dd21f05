//! A PIN that the holder of a card chooses at the desk: typed or given, judged, and kept nowhere.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use desk_support::{Desk, files_below, open, pin};
use middleware::LastTry;

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
