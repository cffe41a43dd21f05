//! The program `card`: what it prints, what it exits with, what it records.
use std::path::Path;
use std::process::{Command, Output};

use middleware::{Card, DataObject, KeyAlgorithm, KeyReference, LastTry};
use serde_json::Value;

use crate::openssl::openssl;
use crate::support::{FACTORY_PIN, FACTORY_PUK, TestCard, verify};

pub(crate) struct Tool<'a>(pub(crate) &'a TestCard);

impl Tool<'_> {
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_card"));
        command.args(arguments).arg("--card").arg(self.0.locator().to_string());
        command.env("XDG_STATE_HOME", self.0.folder().join("state")).env("HOME", self.0.folder());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// With the lines as `--pin-file`.
    pub(crate) fn run_with_secrets(&self, arguments: &[&str], lines: &str) -> Output {
        let file = self.0.folder().join("secrets");
        std::fs::write(&file, lines).unwrap();
        self.command(arguments).arg("--pin-file").arg(&file).output().unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn status_tells_identity_tries_and_keys() {
    let test_card = TestCard::yubikey();
    test_card.issue(&mut test_card.open(), KeyReference::DigitalSignature, KeyAlgorithm::P256);
    let tool = Tool(&test_card);
    let status = tool.json(&["status"]);
    assert_eq!(status["serial"], 12_345_678);
    assert_eq!(status["pin"], serde_json::json!({ "state": "not-verified", "tries_left": 3 }));
    assert_eq!(status["puk"]["tries_left"], 3);
    assert_eq!(status["transport_pin_changed"], false);
    assert_eq!(status["emulated"]["seeded"], false);
    assert_eq!(status["keys"][0]["key"], "9C");
    assert_eq!(status["keys"][0]["mail"][0], "alice@mail.test");
    let text = stdout(&tool.run(&["status"]));
    for word in ["12345678", "3 tries left", "9C  P-256", "CN=Alice", "card change-pin"] {
        assert!(text.contains(word), "{word} is not in:\n{text}");
    }
}

#[test]
fn certificates_are_described_and_printed() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    test_card.issue(&mut card, KeyReference::DigitalSignature, KeyAlgorithm::P256);
    test_card.issue(&mut card, KeyReference::KeyManagement, KeyAlgorithm::P256);
    drop(card);
    let tool = Tool(&test_card);
    let list = tool.json(&["certificates"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[1]["key"], "9D");
    assert_eq!(list[1]["purpose"], "key management");
    assert_eq!(list[1]["algorithm"], "P-256");
    assert_eq!(list[1]["issuer"], "CN=Test CA");
    let text = stdout(&tool.run(&["certificates"]));
    assert!(text.contains("9C  digital signature") && text.contains("alice@mail.test"), "{text}");

    let pem = tool.run(&["certificates", "9c", "--pem"]);
    std::fs::write(test_card.folder().join("9c.pem"), &pem.stdout).unwrap();
    let serial = openssl(test_card.folder(), &["x509", "-in", "9c.pem", "-noout", "-serial"]);
    let serial = String::from_utf8(serial).unwrap().trim().to_lowercase();
    assert_eq!(serial, format!("serial={}", list[0]["serial_number"].as_str().unwrap()));

    let missing = tool.run(&["certificates", "9A"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(stderr(&missing), "card: the card has no certificate for key 9A\n");
}

#[test]
fn changing_the_pin_is_recorded_for_this_card() {
    let test_card = TestCard::yubikey();
    let tool = Tool(&test_card);
    let output = tool.run_with_secrets(&["change-pin"], "123456\n654321\n");
    assert!(output.status.success(), "{}", stderr(&output));
    verify(&mut test_card.open(), "654321", LastTry::Refuse).unwrap();
    assert_eq!(tool.json(&["status"])["transport_pin_changed"], true);
    let guid = hex::encode(test_card.open().identity().unwrap().guid.unwrap());
    assert!(test_card.folder().join("state/sealwright/cards").join(guid).is_file());
}

#[test]
fn a_holders_word_is_recorded_without_touching_the_card() {
    let test_card = TestCard::yubikey();
    let tool = Tool(&test_card);
    let output = tool.run(&["change-pin", "--already-changed"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(tool.json(&["status"])["transport_pin_changed"], true);
    verify(&mut test_card.open(), FACTORY_PIN, LastTry::Refuse).unwrap();
}

#[test]
fn a_card_without_identity_is_not_recorded() {
    let test_card = TestCard::yubikey();
    test_card
        .administer(&mut test_card.open(), |administration| {
            administration.write_object(DataObject::CHUID, &[])
        })
        .unwrap();
    let output = Tool(&test_card).run(&["change-pin", "--already-changed"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("never issued"), "{}", stderr(&output));
}

#[test]
fn wrong_pins_cost_tries_until_last_try_is_needed() {
    let test_card = TestCard::yubikey();
    let tool = Tool(&test_card);
    let wrong = "999999\n654321\n";
    let output = tool.run_with_secrets(&["change-pin"], wrong);
    assert_eq!(
        (output.status.code(), stderr(&output).as_str()),
        (Some(1), "card: wrong PIN, 2 tries left\n")
    );
    let output = tool.run_with_secrets(&["change-pin", "--json"], wrong);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "wrong-pin");
    assert_eq!(error["error"]["message"], "wrong PIN, 1 try left");
    assert_eq!(error["error"]["tries_left"], 1);
    assert_eq!(stderr(&output).lines().count(), 1);
    let output = tool.run_with_secrets(&["change-pin"], "123456\n654321\n");
    assert!(stderr(&output).contains("--last-try"), "{}", stderr(&output));
    let output = tool.run_with_secrets(&["change-pin", "--last-try"], wrong);
    assert!(stderr(&output).contains("blocked"), "{}", stderr(&output));
    let output = tool.run_with_secrets(&["change-pin"], "123456\n654321\n");
    assert!(stderr(&output).contains("card unblock"), "{}", stderr(&output));

    let output = tool.run_with_secrets(&["unblock"], &format!("{FACTORY_PUK}\n246810\n"));
    assert!(output.status.success(), "{}", stderr(&output));
    verify(&mut test_card.open(), "246810", LastTry::Refuse).unwrap();
}

#[test]
fn a_wrong_puk_is_told_and_its_last_try_is_spared() {
    let test_card = TestCard::yubikey();
    let tool = Tool(&test_card);
    for left in ["2 tries left", "1 try left"] {
        let output = tool.run_with_secrets(&["unblock"], "00000009\n246810\n");
        assert_eq!(stderr(&output), format!("card: wrong PUK, {left}\n"));
    }
    let output = tool.run_with_secrets(&["unblock"], &format!("{FACTORY_PUK}\n246810\n"));
    assert!(stderr(&output).contains("last PUK try"), "{}", stderr(&output));
    let output = tool.run_with_secrets(&["unblock", "--last-try"], &format!("{FACTORY_PUK}\n246810\n"));
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn status_advises_no_puk_that_is_blocked_too() {
    let test_card = TestCard::yubikey();
    let tool = Tool(&test_card);
    for _ in 0..3 {
        tool.run_with_secrets(&["change-pin", "--last-try"], "999999\n654321\n");
    }
    assert!(stdout(&tool.run(&["status"])).contains("card unblock"));
    for _ in 0..3 {
        tool.run_with_secrets(&["unblock", "--last-try"], "00000009\n246810\n");
    }
    let text = stdout(&tool.run(&["status"]));
    assert!(!text.contains("card unblock") && text.contains("issuance desk"), "{text}");
}

#[test]
fn one_card_is_listed_by_its_locator() {
    let test_card = TestCard::yubikey();
    let tool = Tool(&test_card);
    let list = tool.json(&["list"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["locator"], test_card.locator().to_string());
    assert_eq!(list[0]["card"]["serial"], 12_345_678);
    assert!(stdout(&tool.run(&["list"])).contains("PIV (emulated)"));
}

/// Asked at a terminal of its own, and then `how`: a key that is typed or a signal that is sent. Answers what the
/// program said, how it ended, and whether the terminal shows what is typed.
fn ended_at_the_prompt(tool: &Tool<'_>, how: &str) -> (String, i32, bool) {
    let card = tool.command(&["change-pin"]);
    let output = Command::new("python3")
        .args(["-c", include_str!("at_terminal.py"), how])
        .arg(card.get_program())
        .args(card.get_args())
        .envs(card.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let end: Value = serde_json::from_slice(&output.stdout).unwrap();
    let said = end["said"].as_str().unwrap().to_owned();
    (said, end["ended"].as_i64().unwrap().try_into().unwrap(), end["echo"].as_bool().unwrap())
}

/// Python calls an end by signal N an exit code of -N.
#[test]
fn whatever_ends_a_question_the_terminal_shows_again_what_is_typed() {
    let test_card = TestCard::yubikey();
    let tool = Tool(&test_card);
    for (how, ended) in [("C", -2), ("INT", -2), ("TERM", -15), ("HUP", -1), ("QUIT", -3), ("D", 1)] {
        let (said, code, echo) = ended_at_the_prompt(&tool, how);
        assert_eq!((code, echo), (ended, true), "{how}: {said}");
        assert!(said.starts_with("Current PIN (3 tries left): "), "{how}: {said}");
        if how == "D" {
            assert!(said.contains("card: no answer was given to \"Current PIN (3 tries left)\""), "{said}");
        }
    }
    assert_eq!(tool.json(&["status"])["pin"]["tries_left"], 3);
}

#[test]
fn impossible_new_pins_cost_nothing() {
    let test_card = TestCard::yubikey();
    let tool = Tool(&test_card);
    for lines in ["123456\n12345\n", "123456\nabcdef\n", "123456\n123456\n", "123456\n", "12\n654321\n", ""] {
        let output = tool.run_with_secrets(&["change-pin"], lines);
        assert_eq!(output.status.code(), Some(1), "{lines:?}");
    }
    let output = tool.run(&["change-pin", "--pin-file", "/nonexistent/pins"]);
    assert!(stderr(&output).contains("/nonexistent/pins"), "{}", stderr(&output));
    assert_eq!(tool.json(&["status"])["pin"]["tries_left"], 3);
}

#[test]
fn usage_errors_exit_with_2_and_missing_cards_with_1() {
    let test_card = TestCard::yubikey();
    let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_card")).args(arguments).output().unwrap();
    assert_eq!(run(&["status", "--card", "usb:1"]).status.code(), Some(2));
    assert_eq!(run(&["nonsense"]).status.code(), Some(2));
    let missing = run(&["status", "--json", "--card", "sim:/nonexistent/card"]);
    assert_eq!(missing.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&missing.stderr).unwrap();
    assert_eq!(error["error"]["code"], "state-file");
    for arguments in [&["status", "--json", "--card", "usb:1"][..], &["nonsense", "--json"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        let error: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["error"]["code"], "usage");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(if arguments[0] == "status" { "usb:1" } else { "nonsense" }), "{message}");
        assert_eq!(stderr(&output).lines().count(), 1);
    }
    assert_eq!(run(&["--help", "--json"]).status.code(), Some(0));

    let held: Card = test_card.open();
    let output = Tool(&test_card).run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&held.reader_name().to_owned()), "{}", stderr(&output));
}

#[test]
fn without_a_pcsc_service_the_message_says_what_to_do() {
    for arguments in [&["list"][..], &["status"], &["status", "--card", "pcsc:serial=1"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_card"))
            .args(arguments)
            .env("PCSCLITE_CSOCK_NAME", "/nonexistent/pcscd.comm")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("pcscd"), "{}", stderr(&output));
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_card")).args(arguments).output().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&run(&["completions", shell])).contains("change-pin"), "{shell}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut completions = Command::new(env!("CARGO_BIN_EXE_card"));
    let output = completions.args(["completions", "bash"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("standard output cannot be written"), "{}", stderr(&output));
    assert!(run(&["man", &folder.path().display().to_string()]).status.success());
    let page = |name: &str| std::fs::read_to_string(Path::new(folder.path()).join(name)).unwrap();
    assert!(page("card.1").contains("PIV") && page("card-change-pin.1").contains("already"));
    let failed = run(&["man", "/nonexistent/man"]);
    assert!(!failed.status.success() && stderr(&failed).contains("/nonexistent/man"));
}
