//! `publish` killed (SIGKILL) when it has just made something durable, again and again: what readers find is always whole,
//! and the next run completes it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::process::{Command, Stdio};

use desk_support::{Desk, extract_certificates, openssl_verify};

/// Runs `publish` until the `nth` of these calls of one of its threads, at which the kernel kills it; answers whether there
/// were as many.
fn killed_at(desk: &Desk, call: &str, nth: usize) -> bool {
    let issuer = desk.command(&["publish", "--to", "public"]);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={nth}")]);
    strace.arg(issuer.get_program()).args(issuer.get_args()).current_dir(desk.directory.path());
    let ended = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    !ended.expect("strace is installed").success()
}

/// Kills `publish` at every one of these calls, one after the other; `least` of them there must be.
fn kill_at_every(call: &str, least: usize) {
    let desk = Desk::new();
    for (name, person) in [("alice", "alice@example.org"), ("bob", "bob@example.org")] {
        let locator = desk.yubikey(&format!("{name}.card"), &[]);
        desk.issue(person, &locator, &[]);
        extract_certificates(&locator, &desk.path(name));
    }
    let public = desk.publish();
    let [alice, bob] = ["alice", "bob"].map(|name| desk.path(name).join("9C.pem"));
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let mut kills = 0;
    while killed_at(&desk, call, kills + 1) {
        kills += 1;
        // Old or new, never torn: Bob's certificate is good, and nothing verifies against half a CRL.
        let (accepted, said) = openssl_verify(&public, &bob, &[]);
        assert!(accepted, "killed at {call} {kills}: {said}");
        assert!(kills < 200, "the program never comes to its end");
    }
    assert!(kills >= least, "only {kills} times {call}");
    desk.publish();
    let (accepted, said) = openssl_verify(&public, &alice, &[]);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");
    assert_eq!(desk.json(&["target", "list"])[0]["waiting"], 0);
    let leftovers = desk_support::files_below(&public);
    assert!(!leftovers.iter().any(|file| file.to_string_lossy().contains(".unfinished-")), "{leftovers:?}");
    desk.issuer(&["audit", "verify"]).expect(0);
}

/// The registry's commits with the outbox and the numbers of CRLs, and every file and folder that is published.
#[test]
fn a_publication_that_is_killed_before_anything_is_durable_is_whole_before_and_after() {
    kill_at_every("fsync", 10);
}

/// Every file that takes the place of another: CRLs, certificates, the revision, the checkpoint of the log.
#[test]
fn a_publication_that_is_killed_before_anything_is_visible_is_whole_before_and_after() {
    kill_at_every("renameat", 6);
}

/// What is taken away: the revision while files change, and the registry's own log.
#[test]
fn a_publication_that_is_killed_before_anything_goes_is_whole_before_and_after() {
    kill_at_every("unlink", 2);
}
