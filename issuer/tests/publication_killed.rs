//! `publish` killed (SIGKILL) when it has just made something durable, again and again: what readers find is always whole,
//! and the next run completes it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::process::{Command, Stdio};

use desk_support::{Desk, openssl_verify};

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
    let desk = Desk::with_ocsp();
    desk.issue_and_extract("bob");
    let public = desk.publish();
    let [alice, bob] = ["alice", "bob"].map(|name| desk.path(name).join("9C.pem"));
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let (mut kills, mut half_published) = (0, 0);
    while killed_at(&desk, call, kills + 1) {
        kills += 1;
        // Old or new, never torn: Bob's certificate is good, and nothing verifies against half a CRL.
        let (accepted, said) = openssl_verify(&public, &bob, &[]);
        assert!(accepted, "killed at {call} {kills}: {said}");
        half_published += usize::from(!is_whole_to_the_auditor(&desk));
        assert!(kills < 200, "the program never comes to its end");
    }
    assert!(kills >= least, "only {kills} times {call}");
    desk.publish();
    let (accepted, said) = openssl_verify(&public, &alice, &[]);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");
    assert_eq!(desk.json(&["target", "list"])[0]["waiting"], 0);
    let leftovers = desk_support::files_below(&public);
    assert!(!leftovers.iter().any(|file| file.to_string_lossy().contains(".unfinished-")), "{leftovers:?}");
    // CRLs take their places before the OCSP answers beside them.
    assert!(call != "renameat" || half_published > 0, "the auditor saw nothing half published");
    desk.issuer(&["audit", "verify", "--published", "public"]).expect(0);
}

/// Whether an auditor finds everything in its place; where a directory is half published he is told what completes it, and
/// that nothing is the matter with the log.
fn is_whole_to_the_auditor(desk: &Desk) -> bool {
    let verify = ["audit", "verify", "--published", "public"];
    let found = desk.issuer(&verify);
    if found.status == 0 {
        return true;
    }
    found.expect(4);
    for words in ["The log is whole", "cut off", "issuer publish"] {
        assert!(found.stdout.contains(words), "{words:?} is not in {}", found.stdout);
    }
    assert!(!found.stdout.contains("Keep the registry"), "{}", found.stdout);
    let said = desk.issuer(&[&["--json"][..], &verify].concat());
    let said: serde_json::Value = serde_json::from_str(&said.expect(4).stdout).unwrap();
    assert_eq!((&said["whole"], &said["log_whole"]), (&false.into(), &true.into()), "{said}");
    false
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
