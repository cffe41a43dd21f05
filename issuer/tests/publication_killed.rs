//! `publish` killed (SIGKILL) when it has just made something durable, again and again: what readers find is always whole,
//! and the next run completes it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::process::{Command, Stdio};

use desk_support::{Desk, extract_certificates, openssl_verify};

/// What makes something durable, or visible.
const STEPS: &str = "fsync,fdatasync,rename,unlink";

/// Runs `publish` until the `nth` of these calls, at which the kernel kills it; answers whether there were as many.
fn killed_at(desk: &Desk, call: &str, nth: usize) -> bool {
    let issuer = desk.command(&["publish", "--to", "public"]);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={STEPS}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={nth}")]);
    strace.arg(issuer.get_program()).args(issuer.get_args()).current_dir(desk.directory.path());
    let ended = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    !ended.expect("strace is installed").success()
}

#[test]
fn a_publication_that_is_killed_at_any_step_is_whole_before_and_after() {
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
    for call in STEPS.split(',') {
        // Each step once would take minutes; these are near the begin, where the CRL is made, and further on.
        for nth in [1, 2, 3, 5, 8, 13, 21, 34] {
            if !killed_at(&desk, call, nth) {
                break;
            }
            kills += 1;
            // Old or new, never torn: Bob's certificate is good, and nothing verifies against half a CRL.
            let (accepted, said) = openssl_verify(&public, &bob, &[]);
            assert!(accepted, "killed at {call} {nth}: {said}");
        }
    }
    assert!(kills > 8, "only {kills} steps");
    desk.publish();
    let (accepted, said) = openssl_verify(&public, &alice, &[]);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");
    assert_eq!(desk.json(&["target", "list"])[0]["waiting"], 0);
    let leftovers = desk_support::files_below(&public);
    assert!(!leftovers.iter().any(|file| file.to_string_lossy().contains(".unfinished-")), "{leftovers:?}");
    desk.issuer(&["audit", "verify"]).expect(0);
}
