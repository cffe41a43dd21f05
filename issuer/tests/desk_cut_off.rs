//! What a kill in the middle leaves of evidence, of a backup and of a restore: nothing under its name, or all of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::path::Path;
use std::process::{Command, Stdio};

use desk_support::{Desk, files_below};

/// How many files there are in folders and files of these names that are still being made.
fn unfinished(directory: &Path, beginning: &str) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(beginning))
        .map(|entry| if entry.path().is_dir() { 1 + count(&entry.path()) } else { 1 })
        .sum()
}

/// Files below a folder that may vanish meanwhile.
fn count(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let entries = entries.filter_map(Result::ok);
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

/// Starts a command and kills it once so much of it is there, or it has ended; answers whether it had not.
fn cut_off(desk: &Desk, arguments: &[&str], beginning: &str, files: usize) -> bool {
    let before = unfinished(desk.directory.path(), beginning);
    let mut command: Command = desk.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && unfinished(desk.directory.path(), beginning) < before + files
    {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// What is left may be thrown away: its name says that it was never finished.
fn throw_away(desk: &Desk, beginning: &str) {
    for entry in std::fs::read_dir(desk.directory.path()).unwrap().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(beginning) {
            let path = entry.path();
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
        }
    }
}

#[test]
fn evidence_is_whole_or_not_there() {
    let desk = Desk::new();
    let card = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &card, &[]);
    desk.publish();
    let mut killed = 0;
    for files in [1, 2, 10, 30, 60, 75, 80] {
        throw_away(&desk, ".issuer-evidence-");
        let arguments = ["evidence", "alice@example.org", "--to", "evidence"];
        killed += usize::from(cut_off(&desk, &arguments, ".issuer-evidence-", files));
        let folder = desk.path("evidence");
        if folder.exists() {
            let checked = Command::new("sh")
                .args(["-c", "sha256sum --check --strict --quiet manifest.sha256 && test -s manifest.sig"])
                .current_dir(&folder)
                .status();
            assert!(checked.unwrap().success(), "killed at {files} files, the evidence is not whole");
            assert!(files_below(&folder).len() > 30);
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
    assert!(killed > 3, "{killed} of them were killed");
    // What the last one left, if it was killed in time, the next takes away.
    let was_left = unfinished(desk.directory.path(), ".issuer-evidence-") > 0;
    let last = desk.issuer(&["evidence", "alice@example.org", "--to", "evidence"]);
    last.expect(0);
    assert_eq!(last.stderr.contains("was left by a run that was killed"), was_left, "{}", last.stderr);
    assert_eq!(unfinished(desk.directory.path(), ".issuer-evidence-"), 0);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_backup_is_whole_or_not_there_and_so_is_what_is_restored() {
    let desk = Desk::new();
    let mut killed = 0;
    for files in [0, 1, 1, 1] {
        throw_away(&desk, ".issuer-backup-");
        killed += usize::from(cut_off(&desk, &["backup", "pki.backup"], ".issuer-backup-", files));
        if desk.path("pki.backup").exists() {
            let (home, lost) = (desk.home(), desk.path("elsewhere"));
            std::fs::rename(&home, &lost).unwrap();
            desk.issuer(&["restore", "pki.backup"]).expect(0);
            std::fs::remove_dir_all(&home).unwrap();
            std::fs::rename(lost, home).unwrap();
            std::fs::remove_file(desk.path("pki.backup")).unwrap();
        }
    }
    assert!(killed > 0);
    desk.issuer(&["backup", "pki.backup"]).expect(0);
    assert_eq!(unfinished(desk.directory.path(), ".issuer-backup-"), 0, "what was left is still there");
    std::fs::rename(desk.home(), desk.path("lost")).unwrap();
    killed = 0;
    for files in [1, 2, 4, 6, 8, 9, 10] {
        killed += usize::from(cut_off(&desk, &["restore", "pki.backup"], ".issuer-restore-", files));
        if desk.home().exists() {
            desk.issuer(&["audit", "verify"]).expect(0);
            desk.issuer(&["find", "Ng"]).expect(0);
            std::fs::remove_dir_all(desk.home()).unwrap();
        }
        throw_away(&desk, ".issuer-restore-");
    }
    assert!(killed > 3, "{killed} of them were killed");
    desk.issuer(&["restore", "pki.backup"]).expect(0);
    desk.issuer(&["audit", "verify"]).expect(0);
}
