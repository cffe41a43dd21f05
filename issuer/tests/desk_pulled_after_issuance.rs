//! A card that is pulled out of the reader while its PIN is set anew, while it is wiped or while it takes another's place:
//! what is half done is named with the command that goes on, and a later run is the last.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/opened.rs"]
mod opened;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;
#[path = "desk_support/troubled.rs"]
mod troubled;

use std::cell::Cell;

use desk_support::{Desk, open, pin, run};
use issuer::clock::{Clock, SystemClock};
use issuer::domain::{CardCommand, CardState, InitialPin, Loss};
use issuer::personalization::plan::Commission;
use issuer::personalization::unblock::Unblocking;
use issuer::personalization::{PersonalizationError, wipe};
use issuer::registry::CardRecord;
use middleware::{Card, CardError, LastTry, Puk};
use opened::{Opened, keys, sqlite};
use postgres_server::Server;
use troubled::{Last, Troubled, is_removed, pulled_card};

/// A desk whose Alice uses her card.
async fn with_card(standard: bool) -> (Desk, String, Opened) {
    let desk = Desk::new();
    let locator = if standard { desk.standard("alice.card") } else { desk.yubikey("alice.card", &[]) };
    let mut opened = Opened::at(&desk.home(), &sqlite(&desk)).await;
    opened.issue("alice@example.org", &locator, &mut |_| {}).await.unwrap();
    (desk, locator, opened)
}

/// Likewise, with the registry in PostgreSQL; the server lives as long as it is held.
async fn with_card_on_postgres() -> (Server, Desk, String, Opened) {
    let server = Server::start();
    let desk = Desk::with_registry(&server.url());
    let locator = desk.blank("alice.card", &[]);
    let add = ["stock", "add", "--card", &locator];
    run(desk.command(&add).env("ISSUER_REGISTRY", server.url())).expect(0);
    let mut opened = Opened::at(&desk.home(), &server.url().parse().unwrap()).await;
    opened.add_person("alice@example.org").await;
    opened.issue("alice@example.org", &locator, &mut |_| {}).await.unwrap();
    (server, desk, locator, opened)
}

async fn record(opened: &Opened) -> CardRecord {
    opened.registry.cards().await.unwrap().swap_remove(0)
}

async fn command(opened: &Opened, command: CardCommand) {
    let card = record(opened).await.id;
    opened.registry.command_card(card, command, SystemClock.now()).await.unwrap();
}

/// Pulls at the first command of a run, at the second, and so on until one gets through, each once before the card had the
/// command and once before the desk had the answer; answers how often.
async fn pulled_until_through(
    desk: &Desk,
    mut run: impl AsyncFnMut(Troubled) -> Result<(), PersonalizationError>,
) -> usize {
    let state = desk.path("alice.card");
    for pulled in 0..2000 {
        let last = if pulled % 2 == 0 { Last::Lost } else { Last::CarriedOut };
        match run(pulled_card(&state, pulled / 2, last)).await {
            Ok(()) => return pulled,
            Err(error) => assert!(is_removed(&error), "pulled at command {pulled} / 2: {error}"),
        }
    }
    panic!("no run gets through");
}

async fn unblocking(
    opened: &Opened,
    card: Troubled,
    digits: &str,
    last_try: LastTry,
) -> Result<(), PersonalizationError> {
    let mut card = Card::over(Box::new(card))?;
    let record = record(opened).await;
    let mut unblocking = Unblocking {
        registry: &opened.registry,
        master_key: &opened.master_key,
        clock: &SystemClock,
        last_try,
        progress: &mut |_| {},
    };
    unblocking.unblock(&mut card, &record, (&pin(digits), InitialPin::Transport), || Ok(())).await
}

/// Its PIN is blocked, and its PUK left the desk: both are to be changed.
async fn blocked_and_exposed(opened: &Opened, locator: &str) {
    command(opened, CardCommand::Activate).await;
    while !matches!(
        open(locator).transaction().unwrap().verify_pin(&pin("000000"), LastTry::Spend).map(drop),
        Err(CardError::PinBlocked | CardError::WrongPin { tries_left: 0 })
    ) {}
    command(opened, CardCommand::BlockPin).await;
    let card = record(opened).await.id;
    opened.registry.reveal_puk(card, &[7; 16], "called back", SystemClock.now()).await.unwrap();
}

async fn unblocked_in_the_end((desk, locator, mut opened): (Desk, String, Opened)) {
    blocked_and_exposed(&opened, &locator).await;
    let runs = Cell::new(0_u32);
    let pulled = pulled_until_through(&desk, async |card| {
        runs.set(runs.get() + 1);
        unblocking(&opened, card, &format!("{:08}", 75_310_000 + runs.get()), LastTry::Spend).await
    })
    .await;
    assert!(pulled > 10, "only {pulled} / 2 commands were needed: does the test count?");
    let record = record(&opened).await;
    assert_eq!(opened.registry.open_operation(record.id).await.unwrap(), None);
    assert!(record.card.puk().exposed_since().is_none());
    assert_eq!(record.card.state().name(), "active");
    let digits = format!("{:08}", 75_310_000 + runs.get());
    drop(open(&locator).transaction().unwrap().verify_pin(&pin(&digits), LastTry::Refuse).unwrap());
    opened.agree(&locator, pulled).await;
}

/// The answer to a wrong guess at the PUK is lost twice: whether the last try is spent is for somebody to say.
#[tokio::test]
async fn the_last_try_of_a_puk_is_spent_only_where_that_is_said() {
    let (desk, locator, opened) = with_card(false).await;
    blocked_and_exposed(&opened, &locator).await;
    let other = Puk::new(b"00000000").unwrap();
    for _ in 0..2 {
        assert!(open(&locator).transaction().unwrap().change_puk(&other, &other).is_err());
    }
    let unblock = ["unblock", "alice@example.org", "--card", &locator, "--transport-pin-file", "new.pin"];
    desk.issuer(&unblock).refuses(1, &["one try left", "--last-try"]);
    // The holder's program had done it: the likeliest is right.
    let (one, two) = (puk(&desk, &locator, 1), puk(&desk, &locator, 2));
    open(&locator).transaction().unwrap().change_puk(&one, &two).unwrap();
    for _ in 0..2 {
        assert!(open(&locator).transaction().unwrap().change_puk(&other, &other).is_err());
    }
    desk.issuer(&[&unblock[..], &["--last-try"]].concat()).expect(0);
    desk.issuer(&["check", "--card", &locator, "--pin-file", "new.pin"]).expect(0);
}

fn puk(desk: &Desk, locator: &str, version: u32) -> Puk {
    desk.master_key().puk(desk_support::guid_of(locator), version).unwrap()
}

#[tokio::test]
async fn a_yubikey_pulled_at_every_command_gets_its_new_pin_in_the_end() {
    unblocked_in_the_end(with_card(false).await).await;
}

#[tokio::test]
async fn a_standard_card_pulled_at_every_command_gets_its_new_pin_in_the_end() {
    unblocked_in_the_end(with_card(true).await).await;
}

#[tokio::test]
async fn a_yubikey_pulled_at_every_command_gets_its_new_pin_in_the_end_on_postgres() {
    let (_server, desk, locator, opened) = with_card_on_postgres().await;
    unblocked_in_the_end((desk, locator, opened)).await;
}

/// Pulls a run further and further until something is open and not done.
async fn until_half_done(
    desk: &Desk,
    opened: &Opened,
    mut run: impl AsyncFnMut(Troubled) -> Result<(), PersonalizationError>,
) {
    let card = record(opened).await.id;
    for commands in 0..2000 {
        let error = run(pulled_card(&desk.path("alice.card"), commands, Last::CarriedOut)).await.unwrap_err();
        assert!(is_removed(&error), "{error}");
        if opened.registry.open_operation(card).await.unwrap().is_some() {
            return;
        }
    }
    panic!("nothing is begun");
}

/// What `check` and `show` say of half-done work, and the command that they name.
fn named(desk: &Desk, locator: &str, what: &str) -> String {
    let checked = desk.issuer(&["check", "--card", locator]);
    checked.expect(4);
    let first = checked.stdout.lines().next().unwrap().to_owned();
    assert!(first.contains(what) && first.contains("half done; go on with: "), "{}", checked.stdout);
    assert!(
        !checked.stdout.contains("key-compromise") && !checked.stdout.contains("agree."),
        "{}",
        checked.stdout
    );
    let shown = desk.issuer(&["show", &serial(desk)]);
    assert!(shown.expect(0).stdout.contains("half done; go on with: issuer "), "{}", shown.stdout);
    first.split("go on with: ").last().unwrap().to_owned()
}

fn serial(desk: &Desk) -> String {
    format!("serial={}", desk.json(&["stock", "list"])[0]["serial"])
}

/// Runs what was said, as it was said, with `more` behind.
fn go_on(desk: &Desk, said: &str, more: &[&str]) {
    for command in said.split(", then ") {
        let mut words: Vec<_> = command.split(' ').skip(1).collect();
        if words[0] != "release" {
            words.extend(more);
        }
        desk.issuer(&words).expect(0);
    }
}

#[tokio::test]
async fn a_new_pin_that_is_half_set_is_named_also_on_hold_and_set_by_the_command_that_is_said() {
    let (desk, locator, opened) = with_card(false).await;
    blocked_and_exposed(&opened, &locator).await;
    until_half_done(&desk, &opened, async |card| {
        unblocking(&opened, card, "75310864", LastTry::Refuse).await
    })
    .await;
    let said = named(&desk, &locator, "Setting its PIN anew was begun at");
    assert_eq!(said, format!("issuer unblock {} --card {locator}", serial(&desk)));
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    let held = named(&desk, &locator, "Setting its PIN anew was begun at");
    assert_eq!(held, format!("issuer release {}, then {said}", serial(&desk)));
    go_on(&desk, &held, &["--transport-pin-file", "new.pin"]);
    let digits = std::fs::read_to_string(desk.path("new.pin")).unwrap();
    desk.issuer(&["check", "--card", &locator, "--pin-file", "new.pin"]).expect(0);
    assert_eq!(digits.trim().len(), 8);
    assert!(desk.json(&["show", "alice@example.org"])["half_done"].is_null());
}

async fn wiping(opened: &Opened, card: Troubled) -> Result<(), PersonalizationError> {
    let mut card = Card::over(Box::new(card))?;
    let record = record(opened).await;
    wipe::wipe(&opened.registry, &SystemClock, &mut card, &record, &mut |_| {}).await
}

#[tokio::test]
async fn a_card_pulled_at_every_command_of_its_wipe_is_blank_in_the_end() {
    blank_in_the_end(with_card(false).await).await;
}

#[tokio::test]
async fn a_card_pulled_at_every_command_of_its_wipe_is_blank_in_the_end_on_postgres() {
    let (_server, desk, locator, opened) = with_card_on_postgres().await;
    blank_in_the_end((desk, locator, opened)).await;
}

async fn blank_in_the_end((desk, locator, mut opened): (Desk, String, Opened)) {
    command(&opened, CardCommand::Return).await;
    let pulled = pulled_until_through(&desk, async |card| wiping(&opened, card).await).await;
    assert!(pulled > 6, "only {pulled} / 2 commands were needed: does the test count?");
    let record = record(&opened).await;
    assert!(matches!(record.card.state(), CardState::InStock { .. }));
    assert_eq!(wipe::left_behind(&mut open(&locator), &record).unwrap(), None);
    opened.agree(&locator, pulled).await;
}

#[tokio::test]
async fn a_wipe_that_is_half_done_is_named_and_finished_by_the_command_that_is_said() {
    let (desk, locator, opened) = with_card(false).await;
    command(&opened, CardCommand::Return).await;
    until_half_done(&desk, &opened, async |card| wiping(&opened, card).await).await;
    let said = named(&desk, &locator, "Wiping it was begun at");
    assert_eq!(said, format!("issuer stock return {} --card {locator}", serial(&desk)));
    // Reset past the desk it shows another GUID, and is nobody's: that is what a wipe leaves.
    open(&locator).transaction().unwrap().reset_application().unwrap();
    assert_eq!(named(&desk, &locator, "Wiping it was begun at"), said);
    go_on(&desk, &said, &[]);
    desk.issuer(&["check", "--card", &locator]).expect(0);
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
}

/// The card that takes a lost one's place is pulled again and again; the old one counts as replaced in the end.
#[tokio::test]
async fn a_card_that_takes_anothers_place_and_is_pulled_at_every_command_does_so_in_the_end() {
    let desk = Desk::new();
    let old = desk.yubikey("old.card", &[]);
    let mut opened = Opened::at(&desk.home(), &sqlite(&desk)).await;
    opened.issue("alice@example.org", &old, &mut |_| {}).await.unwrap();
    let old_card = record(&opened).await.id;
    command(&opened, CardCommand::ReportLoss { loss: Loss::Lost }).await;
    let locator = desk.yubikey("alice.card", &[]);
    let holder = opened.registry.cardholder_named("alice@example.org").await.unwrap().unwrap();
    let pulled = pulled_until_through(&desk, async |card| {
        let mut card = Card::over(Box::new(card))?;
        let commission = Commission { replaces: Some(old_card), ..keys().into() };
        opened.personalize(&mut card, &holder, commission, &mut |_| {}).await.map(drop)
    })
    .await;
    assert!(pulled > 100, "only {pulled} / 2 commands were needed: does the test count?");
    let replaced = opened.registry.card(old_card).await.unwrap();
    assert!(matches!(replaced.card.state(), CardState::Replaced { .. }), "{:?}", replaced.card.state());
    opened.agree(&locator, pulled).await;
}
