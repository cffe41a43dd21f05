//! Through a pipe: the card in the reader leads from one question to the next.

use std::io::Write;
use std::process::Stdio;

use super::desk_support::{Desk, guid_of, open, pin};
use super::{piped, state_of, typed, with_alices_card};
use middleware::{LastTry, PinStatus};

#[test]
fn a_blank_card_is_led_to_its_holder() {
    let desk = Desk::new();
    let locator = desk.blank("blank.card", &[]);
    // Empty line: the card. 1: into stock. 1: somebody's, found by the beginning of a name. Then on hold, and nothing more.
    let led = piped(&desk, &locator, &[], "\n1\n1\nalice n\ny\nalice.pin\n\nundo\nn\nhold\nundo\ny\nquit\n");
    led.expect(0);
    for said in [
        "is blank and not in stock",
        "1 card taken into stock",
        "in stock since",
        "Alice Ng <alice@example.org>?",
        "awaiting activation since",
        "Issuing is not undone",
        "To take it back: issuer stock return",
        "is on hold now",
        "A hold is undone by a release",
        "is awaiting activation now",
    ] {
        assert!(led.stdout.contains(said), "{said:?} is not in {}", led.stdout);
    }
    assert_eq!(state_of(&desk, "alice@example.org"), "awaiting activation");
    let pin = std::fs::read_to_string(desk.path("alice.pin")).unwrap();
    assert_eq!(pin.trim().len(), 8);
    assert!(!led.stdout.contains(pin.trim()) && !led.stderr.contains(pin.trim()));
    assert_eq!(desk.json(&["show", "alice@example.org"])["card"], guid_of(&locator).to_string());
}

#[test]
fn what_cannot_be_undone_is_asked_again_and_then_offered_a_way_back() {
    let (desk, locator) = with_alices_card();
    let offered = piped(&desk, &locator, &[], "\n\n");
    let numbered = |what: &str| {
        let line = offered.stdout.lines().find(|line| line.contains(what)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    let revoke = numbered("revoke it for good");
    let declined = piped(&desk, &locator, &[], &format!("\n{revoke}\nsuperseded\n\n\n"));
    assert!(declined.expect(0).stdout.contains("Nothing was changed."), "{}", declined.stdout);
    assert_eq!(state_of(&desk, "alice@example.org"), "awaiting activation");
    let done = piped(&desk, &locator, &[], &format!("\n{revoke}\nsuperseded\ny\n\nundo\ny\n"));
    assert!(done.expect(0).stdout.contains("A revocation cannot be undone."), "{}", done.stdout);
    // Taken back, wiped and looked through.
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
}

#[test]
fn strangers_cards_and_refused_ones_are_told_and_left_alone() {
    let desk = Desk::new();
    let other = Desk::new();
    let theirs = other.yubikey("theirs.card", &[]);
    other.issue("bob@example.org", &theirs, &[]);
    let before = std::fs::read(other.path("theirs.card")).unwrap();
    let seen = piped(&desk, &theirs, &[], "\nhold\n");
    seen.refuses(1, &["is not in the registry", "Bob Ruiz", "line 2"]);
    assert!(seen.stdout.contains("Nothing can be done with it now"), "{}", seen.stdout);
    assert_eq!(std::fs::read(other.path("theirs.card")).unwrap(), before);

    let swapped = desk.yubikey("swapped.card", &["--serial", "4711"]);
    desk.issue("alice@example.org", &swapped, &[]);
    std::fs::remove_file(desk.path("swapped.card")).unwrap();
    desk.blank("swapped.card", &["--serial", "4711"]);
    let seen = piped(&desk, &swapped, &[], "\n\n");
    assert!(seen.expect(0).stdout.contains("Do not hand it out"), "{}", seen.stdout);
}

#[test]
fn an_answer_to_another_question_is_no_file_name_and_no_decision() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    // A person that is named in full is not asked for again: the "y" that follows is one too many.
    let stray = piped(&desk, &locator, &[], "\n1\nalice@example.org\ny\n");
    stray.refuses(2, &["\"y\" is an answer to another question", "./y", "line 4"]);
    assert!(!desk.path("y").exists());
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
    desk.issue("alice@example.org", &locator, &[]);
    let unclear = piped(&desk, &locator, &[], "hold\nundo\nperhaps\n");
    unclear.refuses(2, &["\"perhaps\" is neither yes nor no", "line 3"]);
    assert_eq!(state_of(&desk, "alice@example.org"), "on hold");
    // At a terminal the question comes again.
    let talk = [
        ("desk> ", "undo\\r"),
        ("(y/N): ", "maybe\\r"),
        ("neither yes nor no", ""),
        ("(y/N): ", "y\\r"),
        ("awaiting activation now", ""),
    ];
    let again = typed(&desk, &locator, &[], &talk);
    assert!(again.contains("It is undone with"), "{again}");
}

#[test]
fn a_destroyed_card_says_that_there_is_no_way_back() {
    let (desk, locator) = with_alices_card();
    let card = format!("serial={}", desk.json(&["stock", "list"])[0]["serial"]);
    desk.issuer(&["stock", "return", &card]).expect(0);
    let no_way = ["There is no way back", "revoked for good", "issuer issue"];
    let said = desk.issuer(&["mark", &card, "destroyed"]);
    let shown = desk.issuer(&["show", &card]);
    let undone = piped(&desk, &locator, &[], &format!("undo {card}\n"));
    for run in [said, shown, undone] {
        assert!(no_way.iter().all(|words| run.expect(0).stdout.contains(words)), "{}", run.stdout);
    }
}

#[test]
fn a_pipe_ends_at_the_first_failure_and_says_where() {
    let desk = Desk::new();
    let locator = desk.blank("blank.card", &[]);
    let run = piped(
        &desk,
        &locator,
        &[],
        "# a remark\nfind alice\nfind nobody-at-all\nissue nobody@example.org\nfind bob\n",
    );
    run.refuses(1, &["line 4", "nobody@example.org"]);
    assert!(run.stdout.contains("Alice Ng") && !run.stdout.contains("Bob Ruiz"), "{}", run.stdout);
    piped(&desk, &locator, &[], "hold 'alice\n").refuses(2, &["quotation mark"]);
    piped(&desk, &locator, &[], "\n7\n").refuses(2, &["7 is none of the numbers"]);
    piped(&desk, &locator, &[], "\n").refuses(1, &["Nobody answers the question"]);
    piped(&desk, "sim:absent.card", &[], "\n").refuses(1, &["absent.card"]);
    piped(&desk, &locator, &["--json"], "report people\nquit\n").expect(0);
}

#[test]
fn the_desk_speaks_chinese_where_that_is_wanted() {
    let desk = Desk::new();
    let locator = desk.blank("blank.card", &[]);
    let led = piped(
        &desk,
        &locator,
        &["--language", "zh"],
        "\n1\n1\nalice\n是\nalice.pin\n\nundo\n\nhold nobody@example.org\n",
    );
    led.expect(1);
    for said in ["尚未入库", "1 张卡已入库", "在库", "为某人制作这张卡", "待启用", "发卡不能撤回"]
    {
        assert!(led.stdout.contains(said), "{said:?} is not in {}", led.stdout);
    }
    assert!(led.stderr.contains("没有这样的卡"), "{}", led.stderr);
    let mut command = desk.command(&["desk", "--card", &locator]);
    command.env("LC_ALL", "zh_CN.UTF-8").env_remove("ISSUER_LANGUAGE");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\n\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("待启用"));
}

#[test]
fn a_blocked_pin_is_said_and_setting_a_new_one_is_offered_first() {
    let (desk, locator) = with_alices_card();
    let mut card = open(&locator);
    while card.transaction().unwrap().pin_status().unwrap() != PinStatus::Blocked {
        let wrong = card.transaction().unwrap().verify_pin(&pin("000000"), LastTry::Spend).is_err();
        assert!(wrong);
    }
    drop(card);
    let led = piped(&desk, &locator, &[], "\n1\nnew.pin\n\n");
    led.expect(0);
    let (before, after) = led.stdout.split_once("has a new PIN").unwrap();
    assert!(before.contains("Its PIN is blocked") && before.contains("  1  set its PIN anew"), "{before}");
    assert!(!before.contains("types the PIN") && !before.contains("changed the transport PIN"), "{before}");
    assert!(!after.contains("blocked:") && !after.contains("set its PIN anew"), "{after}");
    let digits = std::fs::read_to_string(desk.path("new.pin")).unwrap();
    assert!(open(&locator).transaction().unwrap().verify_pin(&pin(digits.trim()), LastTry::Refuse).is_ok());
}
