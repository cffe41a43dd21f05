//! `card shell`: scripts with expectations, pipes, and a terminal of its own.
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use middleware::{KeyAlgorithm, KeyReference, PinStatus};
use serde_json::Value;

use crate::card_tool::{Tool, stderr, stdout};
use crate::support::{FACTORY_PIN, Kind, TestCard};

/// The lines as a script, with the PIN at hand.
fn script(test_card: &TestCard, lines: &str) -> Output {
    std::fs::write(test_card.folder().join("script"), lines).unwrap();
    std::fs::write(test_card.folder().join("pin"), format!("{FACTORY_PIN}\n")).unwrap();
    let arguments = ["shell", "--script", "script", "--pin-file", "pin"];
    Tool(test_card).command(&arguments).current_dir(test_card.folder()).output().unwrap()
}

fn piped(test_card: &TestCard, lines: &str, arguments: &[&str]) -> Output {
    let mut command = Tool(test_card).command(&[&["shell"], arguments].concat());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", stdout(output), stderr(output));
    stdout(output)
}

/// SP 800-73-5 Part 2: what both personalities answer alike.
#[test]
fn a_script_says_what_a_card_must_answer() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        test_card.issue(&mut test_card.open(), KeyReference::Authentication, KeyAlgorithm::P256);
        let output = script(
            &test_card,
            "# a wrong PIN is not tried here\n\
             > 00 A4 04 00 05 A0 00 00 03 08 00\n\
             < 61 .. 90 00\n\
             select\n\
             expect 79\n\
             > 00 20 00 80          # asking costs nothing\n\
             < 63 C3\n\
             > 00 CB 3F FF 05 5C 03 5F C1 02 00\n\
             < 53 3B 30 19 .. 34 10 .. 90 00\n\
             read chuid\n\
             expect '34 (16)'\n\
             read 5FC1FF\n\
             expect error\n\
             read printed-information\n\
             expect error pin-required\n\
             keys\n\
             expect 9A  P-256\n\
             > 00 20 00 80 08 [PIN]\n\
             < 90 00\n\
             pin\n\
             expect verified\n\
             @ reset\n\
             pin\n\
             expect not verified, 3 tries left\n\
             certificates 9A\n\
             expect alice@mail.test\n\
             certificates 9C\n\
             expect error no-certificate\n\
             quit\n\
             this is never reached\n",
        );
        done(&output);
    }
}

#[test]
fn a_script_stops_where_it_is_not_as_expected_and_says_where() {
    let test_card = TestCard::yubikey();
    for (lines, number, word) in [
        ("pin\nexpect blocked\nread chuid\n", 2, "expected blocked, got not verified, 3 tries left"),
        ("> 00 20 00 80\n< 90 00\n", 2, "expected 90 00, got 63 C3"),
        ("\n# x\nread 5FC1FF\nserial\n", 3, "data object"),
        ("serial\nexpect error\n", 2, "did not"),
        ("serial\n< 90 00\n", 2, "no answer"),
        ("> 00 2\n", 1, "not hex"),
        ("metadata 77\n", 1, "no key reference"),
        ("read nonsense\n", 1, "no data object"),
        ("nonsense\n", 1, "unrecognized subcommand"),
        ("request 9A --subject 'CN=A\n", 1, "quotes"),
        ("shell\n", 1, "does not run within the shell"),
        ("generate 9A --algorithm des\n", 1, "rsa2048"),
        ("read 5FC1FF\nexpect error pin-required\n", 2, "expected pin-required"),
    ] {
        let output = script(&test_card, lines);
        assert_eq!(output.status.code(), Some(1), "{lines}");
        let text = stderr(&output);
        assert!(text.contains(&format!("script, line {number}: ")) && text.contains(word), "{lines}{text}");
        assert!(text.lines().count() <= 2, "{text}");
    }
    let output = piped(&test_card, "pin\nexpect blocked\n", &["--json"]);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "not-as-expected");
    assert!(stderr(&script_missing(&test_card)).contains("missing"));
}

fn script_missing(test_card: &TestCard) -> Output {
    Tool(test_card).run(&["shell", "--script", "/nonexistent/missing"])
}

/// Whatever was opened on the card is closed at the end, on failure too.
#[test]
fn the_shell_leaves_nothing_open() {
    let test_card = TestCard::new(Kind::Standard);
    for lines in [
        "verify\npin\nexpect verified\n",
        "verify\nread 5FC1FF\n",
        "> 00 20 00 80 08 [PIN]\n< 90 00\n",
        "verify\nstatus\nexpect 3 tries left\npin\nexpect not verified\n",
        "verify\nlogout\npin\nexpect not verified\n",
        "verify\nreconnect\npin\nexpect not verified\n",
        "verify\nnonsense\n",
    ] {
        script(&test_card, lines);
        let status = test_card.open().transaction().unwrap().pin_status().unwrap();
        assert_eq!(status, PinStatus::NotVerified { tries_left: 3 }, "{lines}");
    }
}

/// The window of "PIN always" stays open between two lines: nothing is sent in between.
#[test]
fn nothing_comes_between_two_lines() {
    let test_card = TestCard::new(Kind::Standard);
    test_card.issue(&mut test_card.open(), KeyReference::DigitalSignature, KeyAlgorithm::P256);
    let digest = "5A".repeat(32);
    let sign = format!("> 00 87 11 9C 26 7C 24 82 00 81 20 {digest} 00\n");
    let output =
        script(&test_card, &format!("> 00 20 00 80 08 [PIN]\n< 90 00\n{sign}< 7C .. 90 00\n{sign}< 69 82\n"));
    done(&output);
}

#[test]
fn the_tools_commands_and_long_commands_run_in_the_shell() {
    let test_card = TestCard::yubikey();
    std::fs::write(test_card.folder().join("key"), "\n").unwrap();
    let contents = "5A".repeat(600);
    let key = test_card.folder().join("key").display().to_string();
    let output = script(
        &test_card,
        &format!(
            "generate 9E --management-key-file {key}\n\
             expect BEGIN PUBLIC KEY\n\
             metadata 9E\n\
             expect generated on the card; PIN never\n\
             write security-object {contents}\n\
             < 69 82\n\
             reset\n\
             apdu 00 CB 3F FF 03 5C 01 7E\n\
             < 7E 12 .. 90 00\n\
             generate --help\n\
             expect Example\n\
             tlv 7F49028600\n\
             expect 86 (0)\n\
             version\n\
             expect 5.7\n"
        ),
    );
    done(&output);
}

/// What the management key opened stays open from line to line, and no longer than the shell.
#[test]
fn objects_are_written_after_authentication_and_the_card_is_closed_again() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        let key = test_card.folder().join("key");
        std::fs::write(&key, format!("{}\n", test_card.management_key_hex())).unwrap();
        let lines = "write security-object 0102\n< 69 82\nauthenticate\nexpect is right\n\
                     write security-object 5A5B5C\n< 90 00\nread security-object\nexpect 5A 5B 5C\n\
                     write security-object\n< 90 00\nread security-object\nexpect error object-not-found\n";
        done(&piped(&test_card, lines, &["--management-key-file", &key.display().to_string()]));
        let after = piped(&test_card, "> 00 DB 3F FF 08 5C 03 5F C1 06 53 01 00\n< 69 82\n", &[]);
        done(&after);
    }
}

#[test]
fn pipes_work_as_terminals_do_and_json_is_an_object_a_line() {
    let test_card = TestCard::yubikey();
    let text = done(&piped(&test_card, "serial\n\npin\n", &[]));
    assert!(text.contains("Serial 12345678") && text.ends_with("not verified, 3 tries left\n"), "{text}");
    let text = done(&piped(
        &test_card,
        "read 5FC1FF\n\n# told, and expected\nexpect error object-not-found\nserial",
        &[],
    ));
    assert!(text.contains("Serial 12345678"), "{text}");
    let stopped = piped(&test_card, "read 5FC1FF\nserial\n", &[]);
    assert_eq!((stopped.status.code(), stdout(&stopped).as_str()), (Some(1), ""));
    assert!(stderr(&stopped).starts_with("card: standard input, line 1: "), "{}", stderr(&stopped));
    let text = done(&piped(&test_card, "serial\n> 00 20 00 80\n", &["--json"]));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["serial"], 12_345_678);
    assert_eq!(lines[1], serde_json::json!({ "data": "", "status": "63C3" }));
    // Help and what sends nothing need no card.
    let mut command = Command::new(env!("CARGO_BIN_EXE_card"));
    let mut child = command
        .args(["shell", "--card", "sim:/nonexistent/card"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"help\ntlv 8100\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(stdout(&output).contains("81 (0)"));
}

/// The setting keeps a PIN that was right within one shell, but not for the signature key; without it, each use asks.
#[test]
fn a_pin_is_kept_only_if_the_user_has_set_so() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    test_card.issue(&mut card, KeyReference::Authentication, KeyAlgorithm::P256);
    test_card.issue(&mut card, KeyReference::DigitalSignature, KeyAlgorithm::P256);
    drop(card);
    std::fs::write(test_card.folder().join("text"), "what is signed").unwrap();
    let text = test_card.folder().join("text").display().to_string();
    let prompt = "card> \r\u{1b}[6C";
    let sign = |key: &str| format!("sign {key} {text} --output {text}.sig\\r");
    for (seconds, asks_again) in [("60", false), ("0", true)] {
        let (first, second, third) = (sign("9A"), sign("9A"), sign("9C"));
        let mut typed = vec![
            (prompt, "change-pin --already-changed\\r"),
            (prompt, first.as_str()),
            ("PIN (3 tries left): ", "123456\\r"),
            ("was written", ""),
            (prompt, second.as_str()),
        ];
        if asks_again {
            typed.push(("PIN (3 tries left): ", "123456\\r"));
        }
        typed.extend([
            ("was written", ""),
            (prompt, third.as_str()),
            ("PIN (3 tries left): ", "123456\\r"),
            ("was written", ""),
            (prompt, "\\x04"),
        ]);
        let end = at_terminal(&test_card, &typed, &[("SEALWRIGHT_PIN_CACHE_SECONDS", seconds)]);
        let asked = end["shown"].as_str().unwrap().matches("PIN (3 tries left)").count();
        assert_eq!(asked, if asks_again { 3 } else { 2 }, "{end}");
    }
}

/// Runs the shell at a terminal of its own: waits for each text, then types.
fn at_terminal(test_card: &TestCard, typed: &[(&str, &str)], variables: &[(&str, &str)]) -> Value {
    let card = Tool(test_card).command(&["shell"]);
    let output = Command::new("python3")
        .args(["-c", include_str!("typed.py")])
        .args(typed.iter().flat_map(|(wait, answer)| [*wait, *answer]))
        .arg("--")
        .arg(card.get_program())
        .args(card.get_args())
        .envs(card.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .envs(variables.iter().copied())
        .env("TERM", "xterm")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let end: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(end["ended"], 0, "{end}");
    end
}

/// With completion, a history, and a PIN that is not shown.
#[test]
fn a_terminal_completes_and_remembers_no_secret() {
    let test_card = TestCard::yubikey();
    // The prompt as it is drawn with nothing behind it: only then the terminal is the editor's.
    let prompt = "card> \r\u{1b}[6C";
    let typed = [
        (prompt, "ser\\t\\r"),
        ("Serial 12345678", ""),
        (prompt, "metadata 9\\t\\x03"),
        (prompt, "verify\\r"),
        ("PIN (3 tries left): ", "123456\\r"),
        (prompt, "pin\\r"),
        ("verified", ""),
        (prompt, "> 00 20 00 80 08 39 39 39 39 39 39 FF FF\\r"),
        ("wrong, 2 tries left", ""),
        (prompt, "nonsense\\r"),
        ("unrecognized", ""),
        (prompt, "status\\r"),
        ("2 tries left", ""),
        (prompt, "\\x04"),
    ];
    let end = at_terminal(&test_card, &typed, &[]);
    let shown = end["shown"].as_str().unwrap();
    assert!(!shown.contains("123456\r"), "{shown}");
    let history = std::fs::read_to_string(test_card.folder().join("state/sealwright/shell-history")).unwrap();
    assert!(
        history.contains("serial") && history.contains("verify") && history.contains("nonsense"),
        "{history}"
    );
    assert!(!history.contains("39 39") && !history.contains("123456"), "{history}");
}
