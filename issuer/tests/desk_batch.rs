//! Many cards from one list: interrupted, gone on with, and every row with its result.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use desk_support::{Desk, PASSPHRASE, files_below, open, pin};
use rustix::process::{Pid, Signal, kill_process};

/// Cards in the story that is interrupted: 20, or 500 in the full run.
fn cards() -> usize {
    if std::env::var_os("SEALWRIGHT_FULL").is_some() { 500 } else { 20 }
}

/// People `p1` to `pN`, blank cards in stock, and the list.
fn prepared(count: usize) -> (Desk, Vec<String>) {
    let desk = Desk::new();
    let people: String = (1..=count).map(|number| format!("Person,p{number}@example.org\n")).collect();
    desk.import_staff(&format!("name,mail\n{people}")).expect(0);
    let serials: Vec<_> = (1..=count).map(|number| (70_000_000 + number).to_string()).collect();
    let locators = serials
        .iter()
        .enumerate()
        .map(|(number, serial)| desk.blank(&format!("{number}.card"), &["--serial", serial]))
        .collect();
    let mut add = vec!["stock", "add", "--serial"];
    add.extend(serials.iter().map(String::as_str));
    desk.issuer(&add).expect(0);
    let rows: String = (1..=count).map(|number| format!("p{number}@example.org\n")).collect();
    std::fs::write(desk.path("list.csv"), format!("person\n{rows}")).unwrap();
    (desk, locators)
}

/// Few cards are made by two hands, so that the others are not done before the interruption; many by as many as there are.
fn batch(locators: &[String]) -> Vec<&str> {
    let mut words = vec!["batch", "list.csv", "--pin-folder", "pins"];
    if locators.len() < 100 {
        words.extend(["--at-once", "2"]);
    }
    words.push("--card");
    words.extend(locators.iter().map(String::as_str));
    words
}

/// Starts the batch and answers it once so many cards are done.
fn interrupted_after(desk: &Desk, locators: &[String], done: usize, signal: Signal) -> (Child, String) {
    let mut child =
        desk.command(&batch(locators)).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut said, mut is_sent) = (String::new(), false);
    for line in lines {
        let line = line.unwrap();
        said.push_str(&line);
        said.push('\n');
        if line.starts_with(&format!("[{done}/")) && !is_sent {
            is_sent = true;
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            kill_process(pid, signal).unwrap();
        }
    }
    assert!(is_sent, "{said}");
    (child, said)
}

/// As at a desk: the passphrase is typed, and Ctrl-C is a key. The table is below nothing but what was said.
#[test]
fn ctrl_c_at_a_terminal_stops_after_the_step_in_hand_and_says_so() {
    let (desk, locators) = prepared(20);
    let words = batch(&locators).join(" ");
    let command = format!("exec {} --home {} {words}", env!("CARGO_BIN_EXE_issuer"), desk.home().display());
    let mut terminal = Command::new("script")
        .args(["-qefc", &command, "/dev/null"])
        .env_remove("ISSUER_HOME")
        .env("SHELL", "/bin/sh")
        .current_dir(desk.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keys, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let mut said = Vec::new();
    let mut wait_for = |is_there: &dyn Fn(&str) -> bool| {
        let mut drawn = [0; 4096];
        while !is_there(&String::from_utf8_lossy(&said)) {
            let length = screen.read(&mut drawn).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&said));
            said.extend(&drawn[..length]);
        }
    };
    wait_for(&|said| said.contains("Passphrase of"));
    writeln!(keys, "{PASSPHRASE}").unwrap();
    wait_for(&|said| (1..10).any(|done| said.contains(&format!(" {done}/20 cards"))));
    keys.write_all(b"\x03").unwrap();
    wait_for(&|said| said.contains("Go on with the same command"));
    drop(keys);
    screen.read_to_end(&mut said).unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(3));
    let said = String::from_utf8_lossy(&said);
    let (before, after) = said.split_once("Stopping after the step in hand").unwrap();
    assert!(!before.contains("^C"), "what is typed moves the bars: {before:?}");
    let (_, table) = after.split_once("PERSON").unwrap();
    assert!(!table.contains("time left"), "a bar below the table: {table:?}");
    let done = desk.command(&batch(&locators)).output().unwrap();
    assert_eq!(done.status.code(), Some(0));
}

#[test]
fn a_batch_interrupted_three_times_is_finished_by_the_same_command() {
    let count = cards();
    let (desk, locators) = prepared(count);
    for (done, signal, code) in [
        (count / 5, Signal::INT, Some(3)),
        (count / 2, Signal::KILL, None),
        (count * 3 / 4, Signal::TERM, Some(3)),
    ] {
        let (child, said) = interrupted_after(&desk, &locators, done, signal);
        let output = child.wait_with_output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), code, "{said}{shown}");
        if code.is_some() {
            assert!(shown.contains("Go on with the same command: issuer batch list.csv --card"), "{shown}");
        } else {
            assert_eq!(output.status.signal(), Some(9));
        }
        let stray = files_below(&desk.path("pins"));
        assert!(stray.iter().all(|path| path.extension().is_some_and(|name| name == "pin")), "{stray:?}");
    }
    let last = desk.issuer(&batch(&locators));
    last.expect(0);
    assert!(last.stdout.contains(&format!("{count} of {count} cards are done")), "{}", last.stdout);
    let states = desk.issuer(&["report", "states", "--csv"]);
    assert_eq!(states.stdout, format!("state,cards\nawaiting activation,{count}\n"));
    desk.issuer(&["audit", "verify"]).expect(0);
    each_card_is_its_holders(&desk, &locators);
    // Once more: everything is done, and nothing is done twice; also when the PINs are letters by now.
    nothing_is_left_to_do(&desk, &locators);
    let pins: Vec<_> =
        files_below(&desk.path("pins")).iter().map(|path| path.display().to_string()).collect();
    let mut letters = vec!["pin-letter", "--to", "letters"];
    letters.extend(pins.iter().map(String::as_str));
    desk.issuer(&letters).expect(0);
    assert!(files_below(&desk.path("pins")).is_empty());
    nothing_is_left_to_do(&desk, &locators);
}

fn nothing_is_left_to_do(desk: &Desk, locators: &[String]) {
    let again = desk.issuer(&batch(locators));
    again.expect(0);
    assert!(
        again.stdout.contains("already issued") && again.stderr.is_empty(),
        "{}{}",
        again.stdout,
        again.stderr
    );
}

/// Every card opens with the PIN in its holder's file, and agrees with the registry; no two cards are alike.
fn each_card_is_its_holders(desk: &Desk, locators: &[String]) {
    let mut guids = BTreeSet::new();
    for (number, locator) in locators.iter().enumerate() {
        let guid = desk_support::guid_of(locator);
        let shown = desk.json(&["show", &guid.to_string()]);
        let holder = shown["holder"].as_str().unwrap().to_owned();
        let file = desk.path(&format!("pins/{holder}.pin"));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let digits = std::fs::read_to_string(&file).unwrap();
        let mut card = open(locator);
        drop(
            card.transaction().unwrap().verify_pin(&pin(digits.trim()), middleware::LastTry::Refuse).unwrap(),
        );
        drop(card);
        assert!(guids.insert(guid.to_string()), "two cards have one GUID");
        // Opening the home costs its time: the first cards, and those around each interruption.
        if number % 4 == 0 && number < 20 {
            desk.issuer(&["check", "--card", locator, "--pin-file", file.to_str().unwrap()]).expect(0);
        }
    }
    assert_eq!(files_below(&desk.path("pins")).len(), locators.len());
}

#[test]
fn each_row_that_cannot_be_is_named_and_the_others_go_on() {
    let (desk, locators) = prepared(2);
    desk.issue("bob@example.org", &desk.yubikey("bob.card", &[]), &[]);
    let list = "person,algorithm,keys\n\
        p1@example.org,,inject\n\
        nobody@example.org,,\n\
        p2@example.org,dsa,\n\
        P1@EXAMPLE.ORG,,\n\
        ,,\n\
        bob@example.org,rsa2048,\n\
        1001,rsa2048,card\n";
    std::fs::write(desk.path("list.csv"), list).unwrap();
    let done = desk.issuer(&batch(&locators));
    done.expect(3);
    for words in [
        "person: nobody has the mail address or identifier \"nobody@example.org\"",
        "algorithm: \"dsa\" is none of p256, rsa2048",
        "person: P1@EXAMPLE.ORG is in line 2 already",
        "person: is empty",
        "with other keys or another profile than the list wants",
        "2 of 7 cards are done, 0 half-made, 0 not begun, 5 refused",
    ] {
        assert!(done.stdout.contains(words), "{words:?} is not in: {}", done.stdout);
    }
    let rows = desk.issuer(&[&["--json"], &batch(&locators)[..]].concat());
    rows.expect(3);
    let rows: serde_json::Value = serde_json::from_str(&rows.stdout).unwrap();
    let of_line = |line: usize| rows.as_array().unwrap().iter().find(|row| row["line"] == line).unwrap();
    assert_eq!(
        (of_line(2)["result"].as_str(), of_line(8)["result"].as_str()),
        (Some("already-issued"), Some("already-issued"))
    );
    assert_eq!(
        (of_line(7)["code"].as_str(), of_line(3)["code"].as_str()),
        (Some("has-card"), Some("malformed"))
    );
    for (list, words) in [
        ("name\nAlice\n", "no column \"name\""),
        ("person,person\n", "there twice"),
        ("", "no column \"person\""),
    ] {
        std::fs::write(desk.path("list.csv"), list).unwrap();
        desk.issuer(&batch(&locators)).refuses(1, &["list.csv", words]);
    }
}

#[test]
fn a_list_of_before_makes_no_card_for_who_lost_it_or_left() {
    let (desk, locators) = prepared(4);
    desk.issuer(&batch(&locators[..2])).expect(3);
    desk.issuer(&["revoke", "p1@example.org", "--reason", "key-compromise"]).expect(0);
    let people = "name,mail\nPerson,p1@example.org\nPerson,p3@example.org\nPerson,p4@example.org\n";
    std::fs::write(desk.path("staff.csv"), people).unwrap();
    desk.issuer(&["staff", "import", "staff.csv", "--apply", "--leavers-at-most", "9"]).expect(0);
    let again = desk.issuer(&batch(&locators));
    again.expect(3);
    for words in [
        "is revoked since",
        "issuer replace p1@example.org --card LOCATOR",
        "has left and gets no card",
        "2 of 4 cards are done, 0 half-made, 0 not begun, 2 refused",
    ] {
        assert!(again.stdout.contains(words), "{words:?} is not in: {}", again.stdout);
    }
}

#[test]
fn a_row_too_long_and_a_quote_never_closed_are_named_with_their_lines() {
    let (desk, locators) = prepared(2);
    std::fs::write(desk.path("list.csv"), "person,keys\np1@example.org,,inject\n\"p2@example.org\n").unwrap();
    let done = desk.issuer(&batch(&locators));
    done.expect(1);
    for words in [" 2     p1@example.org  refused  has 3 fields, and the header has 2", "never closed"] {
        assert!(done.stdout.contains(words), "{words:?} is not in: {}", done.stdout);
    }
}

#[test]
fn a_stock_that_is_used_up_and_cards_that_are_not_in_it_are_said() {
    let (desk, locators) = prepared(3);
    let stranger = desk.blank("stranger.card", &["--serial", "99999999"]);
    let there = [stranger, locators[0].clone(), locators[1].clone()];
    let done = desk.issuer(&batch(&there));
    done.expect(3);
    assert!(done.stderr.contains("(serial 99999999) is not in stock"), "{}", done.stderr);
    assert!(done.stdout.contains("2 of 3 cards are done, 0 half-made, 1 not begun"), "{}", done.stdout);
    // Without any card nothing is done; a new one goes on.
    let none = desk.issuer(&batch(&there));
    none.expect(3);
    desk.issuer(&["stock", "add", "--card", &there[0]]).expect(0);
    desk.issuer(&batch(&there)).expect(0);
}

/// Cards that know the commands of SP 800-73-5 only: made from a list like others; what they cannot do is refused by name.
#[test]
fn standard_cards_are_made_and_what_they_cannot_do_is_refused_by_name() {
    let desk = Desk::new();
    let people: String = (1..=4).map(|number| format!("Person,p{number}@example.org\n")).collect();
    desk.import_staff(&format!("name,mail\n{people}")).expect(0);
    let locators: Vec<_> = (1..=4).map(|number| desk.standard(&format!("{number}.card"))).collect();
    let rows: Vec<_> = locators
        .iter()
        .enumerate()
        .map(|(number, locator)| {
            let keys = if number == 2 { "inject" } else { "" };
            format!("p{}@example.org,{keys},{locator}\n", number + 1)
        })
        .collect();
    std::fs::write(desk.path("list.csv"), format!("person,keys,reader\n{}", rows.concat())).unwrap();
    let made = desk.issuer(&["batch", "list.csv", "--pin-folder", "pins"]);
    made.expect(3);
    assert!(
        made.stdout.contains("3 of 4 cards are done, 0 half-made, 0 not begun, 1 refused"),
        "{}",
        made.stdout
    );
    assert!(made.stdout.contains("this card cannot import keys"), "{}", made.stdout);
    for (person, locator) in [(1, &locators[0]), (2, &locators[1]), (4, &locators[3])] {
        let pin = desk.text(&format!("pins/p{person}@example.org.pin"));
        desk.issuer(&["check", "--card", locator, "--pin-file", &pin]).expect(0);
    }
    // The card is as it was: the same list without the wish makes it.
    std::fs::write(
        desk.path("list.csv"),
        format!("person,keys,reader\n{}", rows.concat().replace("inject", "card")),
    )
    .unwrap();
    desk.issuer(&["batch", "list.csv", "--pin-folder", "pins"]).expect(0);
}

#[test]
fn a_row_that_names_its_card_gets_that_one() {
    let (desk, locators) = prepared(2);
    let list = format!("person,reader\np1@example.org,{}\np2@example.org,{}\n", locators[1], locators[0]);
    std::fs::write(desk.path("list.csv"), list).unwrap();
    desk.issuer(&["batch", "list.csv", "--pin-folder", "pins"]).expect(0);
    let guid = desk_support::guid_of(&locators[1]).to_string();
    assert_eq!(desk.json(&["show", &guid])["holder"], "p1@example.org");
    std::fs::write(desk.path("list.csv"), "person\np1@example.org\n").unwrap();
    desk.issuer(&["batch", "list.csv", "--pin-folder", "pins"]).refuses(2, &["name a reader or card"]);
}

/// Both desks take the rows in the order of the list, so they meet at every one.
#[test]
fn two_batches_of_one_list_tell_of_each_others_cards_and_end_none() {
    let (desk, locators) = prepared(12);
    let (first, second) = locators.split_at(6);
    let rows: String = (1..=6).map(|number| format!("p{number}@example.org\n")).collect();
    std::fs::write(desk.path("list.csv"), format!("person\n{rows}")).unwrap();
    let start = |cards: &[String]| {
        let words = [&["--json"], &batch(cards)[..]].concat();
        desk.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let runs = [first, second].map(start).map(|child| child.wait_with_output().unwrap());
    for output in &runs {
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!stdout.contains("issuer revoke") && !stderr.contains("issuer revoke"), "{stdout}{stderr}");
        let rows: serde_json::Value =
            serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
        for row in rows.as_array().unwrap() {
            let is_known = row["result"] == "done" || row["result"] == "already-issued";
            // Only what the other desk has in hand at this moment is not decided yet.
            assert!(is_known || row["code"] == "being-made", "{row}: {stderr}");
        }
    }
    let again = desk.json(&batch(first));
    assert!(again.as_array().unwrap().iter().all(|row| row["result"] == "already-issued"), "{again}");
    let states = desk.json(&["stock", "list"]);
    let issued = states.as_array().unwrap().iter().filter(|card| card["state"] == "awaiting activation");
    assert_eq!(issued.count(), 6, "{states}");
}
