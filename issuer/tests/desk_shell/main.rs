//! The desk as a shell: led through card by card, at a terminal and through a pipe.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

#[path = "../desk_support/mod.rs"]
mod desk_support;
#[path = "../desk_support/half_made.rs"]
mod half_made;
#[path = "../desk_support/opened.rs"]
mod opened;
#[path = "../desk_support/troubled.rs"]
mod troubled;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use desk_support::{Desk, PASSPHRASE, Run, guid_of, open, pin};
use half_made::half_made;
use issuer::clock::SystemClock;
use issuer::domain::InitialPin;
use issuer::personalization::plan::Commission;
use issuer::personalization::unblock::Unblocking;
use issuer::personalization::{PersonalizationError, wipe};
use issuer::registry::CardRecord;
use middleware::{Card, LastTry, PinStatus};
use opened::{Opened, keys, sqlite};
use serde_json::Value;
use troubled::{Last, pulled_card};

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

/// The umask belongs to the whole process, and rustyline changes it while it writes the history.
#[test]
fn folders_that_a_typed_command_makes_can_be_entered() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let folders: Vec<_> = (0..8).map(|number| format!("published{number}")).collect();
    let lines: Vec<_> = folders.iter().map(|folder| format!("publish --to {folder}\\r")).collect();
    let mut talk: Vec<_> = lines.iter().map(|line| ("desk> ", line.as_str())).collect();
    talk.push(("desk> ", "quit\\r"));
    let passphrase = desk.text("passphrase");
    typed(&desk, "sim:none.card", &["--passphrase-file", &passphrase], &talk);
    for folder in folders {
        let mode = std::fs::metadata(desk.path(&folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o700, "{folder}: {mode:o}");
    }
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
        ("desk> ", "quit\\r"),
    ];
    let again = typed(&desk, &locator, &[], &talk);
    assert!(again.contains("It is undone with"), "{again}");
}

#[test]
fn a_destroyed_card_says_that_there_is_no_way_back() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
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
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
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

#[test]
fn a_blocked_pin_is_said_and_setting_a_new_one_is_offered_first() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
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

/// The holder types the PIN twice where nobody sees it; the two differ at first, and then it is one that anybody would guess.
#[test]
fn a_holder_chooses_the_pin_at_the_desk_and_it_is_shown_and_kept_nowhere() {
    let desk = Desk::new();
    let locator = desk.blank("blank.card", &[]);
    let shown = typed(
        &desk,
        &locator,
        &[],
        &[
            ("desk> ", "\\r"),
            ("Number", "1\\r"),
            ("Number", "1\\r"),
            ("For whom", "alice@example.org\\r"),
            ("the holder chooses it now", "*\\r"),
            ("Passphrase", &format!("{PASSPHRASE}\\r")),
            ("typed by Alice Ng", "860413\\r"),
            ("The same again", "860314\\r"),
            ("the two PINs differ", ""),
            ("typed by Alice Ng", "246803\\r"),
            ("counts up or down", ""),
            ("typed by Alice Ng", "12345\\r"),
            ("6 to 8 digits", ""),
            // Three times: then the desk asks what shall be done.
            ("Number", "1\\r"),
            ("For whom", "alice@example.org\\r"),
            ("the holder chooses it now", "*\\r"),
            ("typed by Alice Ng", "224466\\r"),
            ("repeats itself", ""),
            ("typed by Alice Ng", "271828\\r"),
            ("The same again", "271828\\r"),
            ("with the PIN that was chosen", ""),
            ("Number", "\\r"),
            ("desk> ", "quit\\r"),
        ],
    );
    for digits in ["860413", "860314", "246803", "224466", "271828"] {
        assert!(!shown.contains(digits), "{shown}");
    }
    assert_eq!(state_of(&desk, "alice@example.org"), "active");
    assert!(open(&locator).transaction().unwrap().verify_pin(&pin("271828"), LastTry::Refuse).is_ok());
    let history =
        std::fs::read_to_string(desk.path(".local/state/sealwright/desk-history")).unwrap_or_default();
    assert!(!history.contains("271828"), "{history}");
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
            ("desk> ", "quit\\r"),
        ],
    );
    assert!(!shown.contains("transport PIN (Enter") && !shown.contains("271828"), "{shown}");
    assert_eq!(state_of(&desk, "alice@example.org"), "active");
    assert!(open(&locator).transaction().unwrap().verify_pin(&pin("271828"), LastTry::Refuse).is_ok());
}

/// A passphrase was typed before, and Ctrl-C still means what it should: the batch stops after the step in hand, says so, and
/// the shell goes on.
#[test]
fn ctrl_c_stops_a_batch_after_the_step_in_hand_and_the_shell_goes_on() {
    let desk = Desk::new();
    let people: String = (1..=6).map(|number| format!("Person,p{number}@example.org\n")).collect();
    desk.import_staff(&format!("name,mail\n{people}")).expect(0);
    let cards: Vec<_> = (1..=6).map(|number| desk.yubikey(&format!("{number}.card"), &[])).collect();
    let rows: String = (1..=6).map(|number| format!("p{number}@example.org\n")).collect();
    std::fs::write(desk.path("list.csv"), format!("person\n{rows}")).unwrap();
    let batch = format!("batch list.csv --pin-folder pins --at-once 1 --card {}\\r", cards.join(" "));
    let shown = typed(
        &desk,
        &cards[0],
        &[],
        &[
            ("desk> ", &batch),
            ("Passphrase", &format!("{PASSPHRASE}\\r")),
            (" 1/6 ", "\\x03"),
            ("Stopping after the step in hand", ""),
            ("Go on with the same command", ""),
            ("desk> ", "stock list\\r"),
            ("in stock", ""),
            ("desk> ", "quit\\r"),
        ],
    );
    let states = desk.issuer(&["report", "states", "--csv"]).stdout;
    assert!(states.contains("in stock,"), "{states}{shown}");
    desk.issuer(&["audit", "verify"]).expect(0);
}
