//! Cards with which something was begun and not done: said, offered first, and gone on with.

use super::desk_support::{Desk, PASSPHRASE, open, pin};
use super::half_made::half_made;
use super::opened::{Opened, keys, sqlite};
use super::troubled::{Last, pulled_card};
use super::{piped, state_of, typed, with_alices_card};
use issuer::clock::SystemClock;
use issuer::domain::InitialPin;
use issuer::personalization::plan::Commission;
use issuer::personalization::unblock::Unblocking;
use issuer::personalization::{PersonalizationError, wipe};
use issuer::registry::CardRecord;
use middleware::{Card, LastTry};

/// Pulls the only card of a desk further and further until something is begun with it and not done.
async fn half_done(
    desk: &Desk,
    mut run: impl AsyncFnMut(&Opened, &mut Card, &CardRecord) -> Result<(), PersonalizationError>,
) {
    let opened = Opened::at(&desk.home(), &sqlite(desk)).await;
    let record = opened.registry.cards().await.unwrap().swap_remove(0);
    let mut commands = 0;
    while opened.registry.open_operation(record.id).await.unwrap().is_none() {
        let pulled = pulled_card(&desk.path("alice.card"), commands, Last::CarriedOut);
        if let Ok(mut card) = Card::over(Box::new(pulled)) {
            run(&opened, &mut card, &record).await.unwrap_err();
        }
        commands += 1;
    }
}

#[tokio::test]
async fn what_is_half_done_is_said_offered_first_and_gone_on_with() {
    let (desk, locator) = with_alices_card();
    half_done(&desk, async |opened, card, record| {
        let mut unblocking = Unblocking {
            registry: &opened.registry,
            master_key: &opened.master_key,
            clock: &SystemClock,
            last_try: LastTry::Refuse,
            progress: &mut |_| {},
        };
        unblocking.unblock(card, record, (&pin("75310864"), InitialPin::Transport), || Ok(())).await
    })
    .await;
    let undo = piped(&desk, &locator, &[], "undo\nn\n");
    let said = ["Setting its PIN anew was begun at", "To take it back: issuer stock return", "with it alone"];
    assert!(said.iter().all(|said| undo.expect(0).stdout.contains(said)), "{}", undo.stdout);
    assert!(!undo.stdout.contains("It is undone with"), "{}", undo.stdout);
    let led = piped(&desk, &locator, &[], "\n1\nnew.pin\n\n");
    led.expect(0);
    for said in ["Setting its PIN anew was begun at", "  1  go on with setting its PIN anew", "has a new PIN"]
    {
        assert!(led.stdout.contains(said), "{said:?} is not in {}", led.stdout);
    }
    // Done: nothing of it is offered any more.
    let (_, after) = led.stdout.rsplit_once("has a new PIN").unwrap();
    assert!(!after.contains("go on with") && after.contains("new certificates"), "{after}");
    let digits = std::fs::read_to_string(desk.path("new.pin")).unwrap();
    assert!(open(&locator).transaction().unwrap().verify_pin(&pin(digits.trim()), LastTry::Refuse).is_ok());

    desk.issuer(&["stock", "return", "alice@example.org"]).expect(0);
    half_done(&desk, async |opened, card, record| {
        wipe::wipe(&opened.registry, &SystemClock, card, record, &mut |_| {}).await
    })
    .await;
    let led = piped(&desk, &locator, &[], "\n1\ny\n\n");
    led.expect(0);
    assert!(led.stdout.contains("  1  go on with wiping it"), "{}", led.stdout);
    assert_eq!(led.stdout.matches("put it into stock again").count(), 1, "{}", led.stdout);
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
}

/// Whoever goes on with a card that was begun so is not asked for a file: the holder is asked for the PIN again.
#[tokio::test]
async fn a_holder_is_asked_again_for_the_pin_of_a_card_that_was_begun_so() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let order = || Commission { chosen_pin: Some("860413".to_owned().into()), ..keys().into() };
    half_made(&desk, "alice.card", "alice@example.org", order).await;
    let shown = typed(
        &desk,
        &locator,
        &[],
        &[
            ("desk> ", "\\r"),
            ("Number", "1\\r"),
            ("Passphrase", &format!("{PASSPHRASE}\\r")),
            ("typed by Alice Ng", "271828\\r"),
            ("The same again", "271828\\r"),
            ("with the PIN that was chosen", ""),
            ("Number", "\\r"),
        ],
    );
    assert!(!shown.contains("transport PIN (Enter") && !shown.contains("271828"), "{shown}");
    assert_eq!(state_of(&desk, "alice@example.org"), "active");
    assert!(open(&locator).transaction().unwrap().verify_pin(&pin("271828"), LastTry::Refuse).is_ok());
}
