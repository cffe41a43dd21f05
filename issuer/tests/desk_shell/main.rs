//! The desk as a shell: led through card by card, at a terminal and through a pipe.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

#[path = "../desk_support/mod.rs"]
mod desk_support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use desk_support::{Desk, PASSPHRASE, Run, guid_of};
use serde_json::Value;

/// Runs the shell with these lines coming through a pipe.
fn piped(desk: &Desk, locator: &str, more: &[&str], lines: &str) -> Run {
    let mut arguments = vec!["desk", "--card", locator];
    arguments.extend(more);
    let mut command = desk.command(&arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the shell at a terminal: waits for each first text and types each second. Answers all that was shown.
fn typed(desk: &Desk, locator: &str, more: &[&str], talk: &[(&str, &str)]) -> String {
    let mut command = Command::new("python3");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("TERM", "xterm")
        .env("LANG", "C.UTF-8");
    command.env("HOME", desk.directory.path()).current_dir(desk.directory.path());
    command.args(["-c", include_str!("at_terminal.py")]);
    command.args(talk.iter().flat_map(|(shown, typed)| [*shown, *typed]));
    command.args(["--", env!("CARGO_BIN_EXE_issuer"), "--home"]).arg(desk.home());
    let output = command.args(["desk", "--card", locator]).args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let end: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(end["status"], 0, "{}", end["shown"]);
    end["shown"].as_str().unwrap().to_owned()
}

fn state_of(desk: &Desk, person: &str) -> String {
    desk.json(&["show", person])["state"].as_str().unwrap().to_owned()
}

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
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
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

/// The desk's passphrase is asked for once; what is typed in the wrong place stays out of the history.
#[test]
fn at_a_terminal_words_are_completed_and_secrets_are_not_remembered() {
    let desk = Desk::new();
    let locator = desk.blank("blank.card", &[]);
    let secret = "0000-typed-in-the-wrong-place";
    let shown = typed(
        &desk,
        &locator,
        &[],
        &[
            ("desk> ", "\\r"),
            ("Number", "1\\r"),
            ("Number", "\\r"),
            ("desk> ", &format!("{secret}\\r")),
            ("unrecognized", "iss\\tali\\t--transport-pin-file a.pin\\r"),
            ("Passphrase", &format!("{PASSPHRASE}\\r")),
            ("has card", "mark al\\tact\\t\\r"),
            ("is active now", "revoke alice@example.org --reason super\\t\\r"),
            ("is ended", "publish --to public\\r"),
            ("Published", "lock\\r"),
            ("forgotten", "quit\\r"),
        ],
    );
    assert_eq!(shown.matches("Passphrase of").count(), 1, "{shown}");
    assert!(!shown.contains(PASSPHRASE));
    let history = desk.path(".local/state/sealwright/desk-history");
    assert_eq!(history.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(history).unwrap();
    assert!(text.contains("issue alice@example.org --transport-pin-file a.pin"), "{text}");
    for kept_out in [secret, PASSPHRASE] {
        assert!(!text.contains(kept_out), "{text}");
    }
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
