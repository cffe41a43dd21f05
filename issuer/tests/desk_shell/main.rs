//! The desk as a shell: led through card by card.
//!
//! `led`: through a pipe; `terminal`: at a terminal; `half_done`: cards with which something was begun.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

#[path = "../desk_support/mod.rs"]
mod desk_support;
mod half_done;
#[path = "../desk_support/half_made.rs"]
mod half_made;
mod led;
#[path = "../desk_support/opened.rs"]
mod opened;
mod terminal;
#[path = "../desk_support/troubled.rs"]
mod troubled;

use std::io::Write;
use std::process::{Command, Stdio};

use desk_support::{Desk, Run};
use serde_json::Value;

/// A desk whose card for Alice is issued, and the card's locator.
fn with_alices_card() -> (Desk, String) {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    (desk, locator)
}

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

/// Runs the shell at a terminal: waits for each first text and types each second, and quits at the end. Answers all that was
/// shown.
fn typed(desk: &Desk, locator: &str, more: &[&str], talk: &[(&str, &str)]) -> String {
    let mut command = Command::new("python3");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("TERM", "xterm")
        .env("LANG", "C.UTF-8");
    command.env("HOME", desk.directory.path()).current_dir(desk.directory.path());
    command.args(["-c", include_str!("at_terminal.py")]);
    command.args(talk.iter().chain([&("desk> ", "quit\\r")]).flat_map(|(shown, typed)| [*shown, *typed]));
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
