//! Encrypted cards at the command line: made, looked at, run.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const PASSPHRASE: &str = "a long passphrase, ünd not a short one";

fn card_sim(folder: &Path, line: &str) -> Output {
    let mut command = Command::new("setsid");
    // A session without a terminal, so that nobody can be asked.
    command.arg("--wait").arg(env!("CARGO_BIN_EXE_card-sim")).args(line.split_whitespace());
    command.current_dir(folder).output().unwrap()
}

fn succeeds(folder: &Path, line: &str) -> String {
    let output = card_sim(folder, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The command fails with this exit code; returns what it said.
fn fails(folder: &Path, line: &str, code: i32) -> String {
    let output = card_sim(folder, line);
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(output.stdout.is_empty(), "{line}");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!message.contains(PASSPHRASE) && !message.contains("StoreError"), "{message}");
    message
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("passphrase"), format!("{PASSPHRASE}\nand another line\n")).unwrap();
    fs::write(folder.path().join("wrong"), "something else\n").unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    folder
}

#[test]
fn an_encrypted_card_is_made_and_looked_at_with_its_passphrase() {
    let folder = folder();
    let path = folder.path();
    succeeds(path, "new alice.card --serial 7654321 --encrypt --passphrase-file passphrase");
    let file = fs::read(path.join("alice.card")).unwrap();
    assert!(file.starts_with(b"CARDSEAL"));
    for plain in [&b"tries_left"[..], b"123456", PASSPHRASE.as_bytes()] {
        assert!(!file.windows(plain.len()).any(|at| at == plain));
    }
    let shown = succeeds(path, "inspect alice.card --json --passphrase-file passphrase");
    assert!(shown.contains("7654321"), "{shown}");
    let message = fails(path, "inspect alice.card --json --passphrase-file wrong", 1);
    assert!(message.contains("state-wrong-passphrase"), "{message}");
    assert!(fails(path, "inspect alice.card", 1).contains("give --passphrase-file"));
    assert!(fails(path, "inspect alice.card --passphrase-file empty", 1).contains("is empty"));
    assert!(fails(path, "inspect alice.card --passphrase-file missing", 1).contains("missing"));
    assert!(fails(path, "run alice.card --passphrase-file wrong", 1).contains("wrong passphrase"));
}

#[test]
fn a_card_is_not_encrypted_by_accident_or_without_a_passphrase() {
    let folder = folder();
    let path = folder.path();
    assert!(fails(path, "new a.card --passphrase-file passphrase", 2).contains("--encrypt"));
    assert!(fails(path, "new a.card --encrypt", 1).contains("--passphrase-file"));
    assert!(fails(path, "new a.card --encrypt --passphrase-file empty", 1).contains("is empty"));
    assert!(fails(path, "new a.card --encrypt --passphrase-file fd:many", 1).contains("fd:N"));
    assert!(!path.join("a.card").exists());
    // A card that is not encrypted is opened without asking.
    succeeds(path, "new plain.card --serial 1234567");
    assert!(succeeds(path, "inspect plain.card --passphrase-file passphrase").contains("1234567"));
}

#[test]
fn the_passphrase_may_come_through_a_descriptor() {
    let folder = folder();
    let line = "exec \"$0\" new alice.card --serial 7654321 --encrypt --passphrase-file fd:3 3<passphrase";
    let mut shell = Command::new("sh");
    let made = shell.args(["-c", line, env!("CARGO_BIN_EXE_card-sim")]).current_dir(folder.path());
    assert!(made.status().unwrap().success());
    let shown = succeeds(folder.path(), "inspect alice.card --passphrase-file passphrase");
    assert!(shown.contains("7654321"));
}

#[test]
fn an_encrypted_card_goes_into_a_reader() {
    let folder = folder();
    let path = folder.path();
    succeeds(path, "new alice.card --encrypt --passphrase-file passphrase");
    let reader = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reader.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_card-sim"));
    command.args(["run", "alice.card", "--vpcd", &address, "--passphrase-file", "passphrase"]);
    let mut running = command.current_dir(path).stderr(Stdio::null()).spawn().unwrap();
    let (mut card, _) = reader.accept().unwrap();
    // Power on; VERIFY with a wrong PIN, which changes the state.
    card.write_all(&[0, 1, 1]).unwrap();
    let verify = [&[0, 13, 0x00, 0x20, 0x00, 0x80, 0x08][..], b"999999\xFF\xFF"].concat();
    card.write_all(&verify).unwrap();
    let mut answer = [0; 4];
    card.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0, 2, 0x63, 0xC2]);
    running.kill().unwrap();
    running.wait().unwrap();
    let file = fs::read(path.join("alice.card")).unwrap();
    assert!(!file.windows(6).any(|at| at == b"999999"));
    let shown = succeeds(path, "inspect alice.card --json --passphrase-file passphrase");
    assert!(shown.contains("\"tries_left\": 2"), "{shown}");
}
