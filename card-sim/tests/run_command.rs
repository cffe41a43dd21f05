//! `card-sim run` as its users meet it: cards in readers, touch, traces, and who comes and goes meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

mod support;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::process::{Command, Stdio};
use std::time::Instant;

use card_sim::Card;
use card_sim::iso7816::atr;
use card_sim::piv::state::CardState;
use card_sim::store::image;
use support::desk::{Desk, PATIENCE, Reader, Running};
use support::{Hand, apdu};

/// A card whose key 9A needs no PIN and waits for touch each time.
fn card_that_waits_for_touch(desk: &Desk, name: &str) {
    desk.succeed(&format!("new {name}"));
    let path = desk.path(name);
    let state: CardState = image::decode(&fs::read(&path).unwrap(), &path).unwrap();
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &state);
    hand.authenticate();
    hand.succeed(0x47, 0x00, 0x9A, &[0xAC, 0x09, 0x80, 0x01, 0x11, 0xAA, 0x01, 0x01, 0xAB, 0x01, 0x02]);
}

/// Signs a short digest with 9A.
fn signature_request() -> Vec<u8> {
    apdu(0x87, 0x11, 0x9A, &[0x7C, 0x06, 0x82, 0x00, 0x81, 0x02, 0x01, 0x02])
}

#[test]
fn with_touch_ask_a_person_at_the_terminal_touches_by_enter() {
    let desk = Desk::new();
    card_that_waits_for_touch(&desk, "a.card");
    let (reader, address) = Reader::one();
    let mut command = desk.command(&format!("run a.card --vpcd {address} --touch ask"));
    let mut running = Running::start({
        command.stdin(Stdio::piped());
        command
    });
    let mut keyboard = running.child.stdin.take().unwrap();
    let mut card = reader.accept();
    card.atr();
    for _ in 0..2 {
        card.send(&signature_request());
        let question = running.wait_for("waits for touch");
        assert!(
            question.contains("a.card: key 9A") && question.contains("Enter within 15 seconds"),
            "{question}"
        );
        keyboard.write_all(b"\n").unwrap();
        assert!(card.receive().ends_with(&[0x90, 0x00]));
    }
    // Ctrl-C does not wait for the answer.
    card.send(&signature_request());
    running.wait_for("waits for touch");
    running.signal("INT");
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn with_touch_no_and_where_nobody_can_be_asked_the_card_refuses_at_once() {
    let desk = Desk::new();
    card_that_waits_for_touch(&desk, "a.card");
    for (touch, answer) in [("no", [0x69, 0x82]), ("ask", [0x69, 0x82]), ("yes", [0x90, 0x00])] {
        let (reader, address) = Reader::one();
        // Standard input is empty.
        let running = Running::start(desk.command(&format!("run a.card --vpcd {address} --touch {touch}")));
        let mut card = reader.accept();
        card.atr();
        assert!(card.exchange(&signature_request()).ends_with(&answer), "{touch}");
        running.signal("TERM");
        assert_eq!(running.exit_code(), Some(0));
    }
}

/// Without contact a card says so in its answer to reset, and keeps to what SP 800-73-5 allows there.
#[test]
fn a_card_can_be_run_without_contact() {
    let desk = Desk::new();
    for (kind, expected) in
        [("standard", &atr::STANDARD_CONTACTLESS[..]), ("yubikey5", &atr::YUBIKEY5_CONTACTLESS)]
    {
        desk.succeed(&format!("new {kind} --personality {kind}"));
        let (reader, address) = Reader::one();
        let line = format!("run {kind} --interface contactless --vpcd {address}");
        let _running = Running::start(desk.command(&line));
        let mut card = reader.accept();
        assert_eq!(card.atr(), expected);
        let chuid = card.exchange(&[0, 0xCB, 0x3F, 0xFF, 5, 0x5C, 3, 0x5F, 0xC1, 2, 0]);
        assert_eq!((chuid[0], &chuid[chuid.len() - 2..]), (0x53, &[0x90, 0x00][..]));
        assert_eq!(card.exchange(&[0, 0xCB, 0x3F, 0xFF, 5, 0x5C, 3, 0x5F, 0xC1, 7, 0]), [0x69, 0x82]);
        assert_eq!(card.exchange(&[0, 0x20, 0, 0x80]), [0x69, 0x82]);
        assert_eq!(card.exchange(&[0, 0xDB, 0x3F, 0xFF]), [0x6A, 0x81]);
    }
}

#[test]
fn a_card_is_inserted_announced_and_removed() {
    let desk = Desk::new();
    desk.succeed("new alice.card");
    let (reader, address) = Reader::one();
    let ready = desk.path("ready");
    fs::write(&ready, "").unwrap();
    // The shell opens descriptor 7 for it, as a harness would.
    let mut command = Command::new("sh");
    let script = format!("exec \"$0\" run alice.card --vpcd {address} --ready-fd 7 7>>ready");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_card-sim")]).current_dir(desk.0.path());
    let mut running = Running::start(command);
    let mut card = reader.accept();
    assert_eq!(card.atr(), atr::YUBIKEY5);
    running.wait_for("alice.card: in the reader at");
    assert_eq!(card.exchange(&apdu(0x20, 0, 0x80, &[])), [0x63, 0xC3]);
    assert_eq!(fs::read_to_string(&ready).unwrap(), format!("ready {address} alice.card\n"));
    running.signal("TERM");
    assert!(card.is_removed());
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn several_cards_sit_in_successive_readers() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    desk.succeed("new b.card --personality standard");
    let (readers, address) = Reader::successive(2);
    let running = Running::start(desk.command(&format!("run a.card b.card --vpcd {address}")));
    let [mut a, mut b] = [readers[0].accept(), readers[1].accept()];
    assert_eq!(a.atr(), atr::YUBIKEY5);
    assert_eq!(b.atr(), atr::STANDARD);
    assert_eq!(a.exchange(&apdu(0x20, 0, 0x80, support::WRONG_PIN)), [0x63, 0xC2]);
    assert_eq!(b.exchange(&apdu(0x20, 0, 0x80, &[])), [0x63, 0xC3], "the cards are independent");
    running.signal("INT");
    assert!(a.is_removed() && b.is_removed());
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_gets_the_card_back() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    let (reader, address) = Reader::one();
    let mut running = Running::start(desk.command(&format!("run a.card --vpcd {address}")));
    let mut card = reader.accept();
    card.atr();
    assert_eq!(card.exchange(&apdu(0x20, 0, 0x80, support::PIN)), [0x90, 0x00]);
    drop(card);
    running.wait_for("went away");
    let mut card = reader.accept();
    assert_eq!(card.atr(), atr::YUBIKEY5);
    assert_eq!(card.exchange(&apdu(0x20, 0, 0x80, &[])), [0x63, 0xC3], "it lost its power meanwhile");
    // Now the reader's whole service goes, and comes back at the same port.
    let port = reader.0.local_addr().unwrap().port();
    drop((card, reader));
    running.wait_for("no reader at");
    let reader = Reader(bind_again(port));
    assert_eq!(reader.accept().atr(), atr::YUBIKEY5);
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(0));
}

/// Connections of the old listener may keep the port for a moment.
fn bind_again(port: u16) -> TcpListener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

#[test]
fn a_card_waiting_for_a_reader_can_be_stopped() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    let (reader, address) = Reader::one();
    drop(reader);
    let mut running = Running::start(desk.command(&format!("run a.card --vpcd {address}")));
    running.wait_for("no reader at");
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn a_second_process_is_refused_and_the_first_goes_on() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    let (reader, address) = Reader::one();
    let mut running = Running::start(desk.command(&format!("run a.card --vpcd {address}")));
    let mut card = reader.accept();
    card.atr();
    running.wait_for("in the reader");
    let message = desk.fail(&format!("run a.card --vpcd {address}"), 1);
    assert_eq!(message, "card-sim: a.card: the card is in use by another process; stop that one first\n");
    assert_eq!(desk.inspect("a.card")["pin"]["tries_left"], 3, "looking is allowed");
    assert_eq!(card.exchange(&apdu(0x20, 0, 0x80, support::PIN)), [0x90, 0x00]);
}

#[test]
fn a_card_goes_into_one_reader_at_a_time() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    std::os::unix::fs::symlink("a.card", desk.path("b.card")).unwrap();
    for other in ["a.card", "./a.card", "b.card"] {
        let message = desk.fail(&format!("run a.card {other}"), 2);
        assert!(message.contains(&format!("{other}: the same card is named twice")), "{message}");
    }
}

#[test]
fn a_killed_process_loses_nothing_and_leaves_no_lock() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    let (reader, address) = Reader::one();
    let running = Running::start(desk.command(&format!("run a.card --vpcd {address}")));
    let mut card = reader.accept();
    card.atr();
    assert_eq!(card.exchange(&apdu(0x20, 0, 0x80, support::WRONG_PIN)), [0x63, 0xC2]);
    running.signal("KILL");
    assert_eq!(running.exit_code(), None);
    let _running = Running::start(desk.command(&format!("run a.card --vpcd {address}")));
    let mut card = reader.accept();
    card.atr();
    assert_eq!(card.exchange(&apdu(0x20, 0, 0x80, &[])), [0x63, 0xC2]);
}

#[test]
fn a_trace_shows_the_traffic_and_hides_the_pin() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    let (reader, address) = Reader::one();
    let running = Running::start(desk.command(&format!("run a.card --vpcd {address} --trace apdus.txt")));
    let mut card = reader.accept();
    card.atr();
    card.exchange(&apdu(0xA4, 4, 0, &[0xA0, 0, 0, 3, 8]));
    card.exchange(&apdu(0x20, 0, 0x80, support::PIN));
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(0));
    let trace = fs::read_to_string(desk.path("apdus.txt")).unwrap();
    assert!(trace.contains("> 00 A4 04 00 05 A0 00 00 03 08 00  # SELECT A000000308\n"), "{trace}");
    assert!(trace.contains("@ power on  # ATR 3B"), "{trace}");
    assert!(trace.contains("> 00 20 00 80 08 [PIN] 00  # VERIFY, PIN\n< 90 00  # success\n"), "{trace}");
    assert!(!trace.contains("31 32 33 34"), "{trace}");
}

#[test]
fn a_trace_goes_behind_another_trace_and_into_no_other_file() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    let card = fs::read(desk.path("a.card")).unwrap();
    fs::write(desk.path("letter"), "Dear Alice,\n").unwrap();
    for other in ["a.card", "letter"] {
        let before = fs::read(desk.path(other)).unwrap();
        let message = desk.fail(&format!("run a.card --trace {other}"), 1);
        assert!(
            message.contains(&format!("--trace {other}: cannot write it: the file is no tr")),
            "{message}"
        );
        assert_eq!(fs::read(desk.path(other)).unwrap(), before, "{other}");
    }
    assert_eq!(fs::read(desk.path("a.card")).unwrap(), card);
    for earlier in ["", "# mine\n", "@ power on\n"] {
        fs::write(desk.path("trace"), earlier).unwrap();
        let (reader, address) = Reader::one();
        let running = Running::start(desk.command(&format!("run a.card --vpcd {address} --trace trace")));
        reader.accept().atr();
        running.signal("TERM");
        assert_eq!(running.exit_code(), Some(0));
        let trace = fs::read_to_string(desk.path("trace")).unwrap();
        assert!(trace.starts_with(&format!("{earlier}# card-sim ")), "{trace}");
    }
}
