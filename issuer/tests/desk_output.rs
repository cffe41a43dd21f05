//! What is printed where, and that nobody who stops reading makes the program fall over.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::fs::OpenOptions;

use desk_support::{Desk, run};
use serde_json::Value;

const LISTINGS: [&[&str]; 8] = [
    &["completions", "bash"],
    &["completions", "zsh"],
    &["staff", "list"],
    &["stock", "list"],
    &["--json", "staff", "list"],
    &["find", "alice"],
    &["--help"],
    &["staff", "import", "staff.csv"],
];

#[test]
fn a_reader_that_went_away_is_no_error() {
    let desk = Desk::new();
    for arguments in LISTINGS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = run(desk.command(arguments).stdout(writer));
        assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let desk = Desk::new();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in LISTINGS {
        let done = run(desk.command(arguments).stdout(full()));
        assert_eq!(done.status, 1, "{arguments:?}");
        let is_said = done.stderr.contains("standard output cannot be written");
        assert!(is_said && !done.stderr.contains("panicked"), "{arguments:?}: {}", done.stderr);
    }
    // Whoever does not read the messages still gets the exit status.
    assert_eq!(run(desk.command(&["find", "nobody"]).stderr(full())).status, 1);
    assert_eq!(run(desk.command(&["staff", "list"]).stderr(full())).status, 0);
}

#[test]
fn a_usage_error_is_json_too_where_json_is_wanted() {
    let desk = Desk::empty();
    for arguments in [
        &["--json", "revoke", "alice@example.org", "--reason", "because"][..],
        &["stock", "add", "--json"],
        &["--json", "nonsense"],
        &["--json"],
    ] {
        let done = desk.issuer(arguments);
        let error: Value = serde_json::from_str(&done.expect(2).stderr).unwrap();
        assert_eq!(error["error"]["code"], "usage");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains('\n') && !message.contains("Usage:"), "{message}");
    }
    let plain = desk.issuer(&["nonsense"]);
    assert!(plain.expect(2).stderr.contains("Usage:"));
}

/// Who may not look into a home is not told to make another.
#[test]
fn a_home_that_cannot_be_looked_into_is_not_taken_for_none() {
    let desk = Desk::empty();
    std::os::unix::fs::symlink(desk.home(), desk.home()).unwrap();
    let refused = desk.issuer(&["find", "alice"]);
    refused.refuses(1, &["cannot be looked into"]);
    assert!(!refused.stderr.contains("issuer init"), "{}", refused.stderr);
}
