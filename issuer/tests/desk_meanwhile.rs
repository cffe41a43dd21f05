//! A card that is taken out of use while its certificates are renewed: it is said what happened, and nothing disagrees.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/in_process.rs"]
mod in_process;

use std::sync::Mutex;

use desk_support::{Desk, guid_of, run};
use in_process::InProcess;
use issuer::desk::failure::Failure;
use issuer::desk::observer::Observer;
use issuer::domain::CardKey;
use issuer::personalization::run::Progress;

/// A desk where Alice has a card, and its locator.
fn issued() -> (Desk, String) {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let digits = desk.issue("alice@example.org", &locator, &[]);
    std::fs::write(desk.path("pin"), digits).unwrap();
    (desk, locator)
}

fn renewal(desk: &Desk, locator: &str) -> Vec<String> {
    let pin = desk.text("pin");
    let words = ["renew", "alice@example.org", "--card", locator, "--pin-file", &pin, "--new-keys"];
    words.map(str::to_owned).to_vec()
}

/// Renews Alice's keys; at this moment another desk gives this command.
async fn renewed_while(
    desk: &Desk,
    locator: &str,
    is_moment: impl Fn(&Progress) -> bool + Send + Sync + 'static,
    meanwhile: &[&str],
) -> Result<(), Failure> {
    let here = InProcess { home: desk.home(), registry: None, passphrase_file: desk.text("passphrase") };
    let other = Mutex::new(Some(desk.command(meanwhile)));
    let observer = Observer::new(move |progress| {
        if is_moment(progress)
            && let Some(mut other) = other.lock().unwrap().take()
        {
            run(&mut other).expect(0);
        }
    });
    here.carry_out(&renewal(desk, locator), observer).await
}

#[tokio::test]
async fn a_hold_during_a_renewal_is_named_and_the_renewal_goes_on_after_the_release() {
    let key_made = |progress: &Progress| *progress == Progress::KeyMade(CardKey::Authentication);
    let written = |progress: &Progress| matches!(progress, Progress::Certified(CardKey::KeyManagement, _));
    for at_key in [true, false] {
        let (desk, locator) = issued();
        let is_moment =
            move |progress: &Progress| if at_key { key_made(progress) } else { written(progress) };
        let hold = ["hold", "alice@example.org"];
        let failure = renewed_while(&desk, &locator, is_moment, &hold).await.unwrap_err();
        for words in ["the card was put on hold meanwhile, at 20", "issuer release", "--new-keys"] {
            assert!(failure.message.contains(words), "{words}: {}", failure.message);
        }
        let shown = desk.json(&["show", "alice@example.org"]);
        let good = |key: &serde_json::Value| key["state"] == "delivered" || key["state"] == "signed";
        assert!(!shown["keys"].as_array().unwrap().iter().any(good), "a card on hold is good for nothing");
        desk.issuer(&["release", "alice@example.org"]).expect(0);
        let again = renewal(&desk, &locator);
        desk.issuer(&again.iter().map(String::as_str).collect::<Vec<_>>()).expect(0);
        desk.issuer(&["check", "--card", &locator, "--pin-file", "pin"]).expect(0);
    }
}

#[tokio::test]
async fn a_revocation_during_a_renewal_is_named_and_leaves_nothing_to_finish() {
    let (desk, locator) = issued();
    let new = desk.yubikey("new.card", &[]);
    let is_moment = |progress: &Progress| matches!(progress, Progress::Verified(CardKey::Authentication));
    let revoke = ["revoke", "alice@example.org", "--reason", "key-compromise"];
    let failure = renewed_while(&desk, &locator, is_moment, &revoke).await.unwrap_err();
    for words in ["the card was revoked meanwhile, at 20", "is over with the card"] {
        assert!(failure.message.contains(words), "{words}: {}", failure.message);
    }
    let checked = desk.issuer(&["check", "--card", &locator]);
    let said = &checked.expect(0).stdout;
    assert!(said.contains("there is nothing to finish") && said.contains("agree"), "{said}");
    let replace = ["replace", "alice@example.org", "--card", &new, "--transport-pin-file", "new.pin"];
    desk.issuer(&replace).expect(0);
    desk.issuer(&["check", "--card", &locator]).expect(0);
}

#[tokio::test]
async fn a_replacement_during_a_renewal_is_named() {
    let (desk, locator) = issued();
    let new = desk.yubikey("new.card", &[]);
    let guid = guid_of(&locator).to_string();
    let is_moment =
        |progress: &Progress| matches!(progress, Progress::Certified(CardKey::CardAuthentication, _));
    let words = ["replace", "alice@example.org", "--because", "superseded", "--card", &new];
    let replace = [&words[..], &["--transport-pin-file", "new.pin"]].concat();
    let failure = renewed_while(&desk, &locator, is_moment, &replace).await.unwrap_err();
    assert!(failure.message.contains("the card was replaced meanwhile, at 20"), "{}", failure.message);
    let shown = desk.json(&["show", &guid]);
    assert!(shown["keys"].as_array().unwrap().iter().all(|key| key["state"] == "revoked"), "{shown}");
    desk.issuer(&["audit", "verify"]).expect(0);
}
