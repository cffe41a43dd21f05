//! Master key and passphrase: whose they are, and how they are asked for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::process::Command;

use desk_support::{Desk, PASSPHRASE, run};

#[test]
fn another_issuers_master_key_is_refused_by_name() {
    let (desk, other) = (Desk::new(), Desk::new());
    let locator = desk.yubikey("alice.card", &[]);
    desk.blank("standard.card", &["--personality", "standard"]);
    let own = std::fs::read(desk.home().join("master.key")).unwrap();
    std::fs::copy(other.home().join("master.key"), desk.home().join("master.key")).unwrap();
    for arguments in [
        &["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "pin"][..],
        &["stock", "add", "--file", "standard.card.stock.toml"],
    ] {
        desk.issuer(arguments)
            .refuses(1, &["master.key", "another issuer", "put the file of this issuer back"]);
    }
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
    std::fs::write(desk.home().join("master.key"), own).unwrap();
    desk.issue("alice@example.org", &locator, &[]);
}

/// Runs a program at a terminal of its own, gives one line when it asks, and prints all that the terminal showed.
const AT_A_TERMINAL: &str = r#"
import os, pty, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    if shown.endswith(b": "):
        # The prompt is there a moment before the echo is off.
        deadline = time.monotonic() + 10
        while termios.tcgetattr(terminal)[3] & termios.ECHO and time.monotonic() < deadline:
            os.sched_yield()
        os.write(terminal, sys.argv[1].encode() + b"\n")
sys.stdout.buffer.write(shown)
"#;

#[test]
fn a_prompt_ends_with_one_colon() {
    let desk = Desk::new();
    let program = env!("CARGO_BIN_EXE_issuer");
    let done = run(Command::new("python3")
        .args(["-c", AT_A_TERMINAL, PASSPHRASE, program, "--home"])
        .arg(desk.home())
        .args(["publish", "--to"])
        .arg(desk.path("public")));
    let prompt = format!("Passphrase of {}: ", desk.home().display());
    assert!(done.stdout.starts_with(&prompt), "{}", done.stdout);
    assert!(!done.stdout.contains("::") && !done.stdout.contains(": :"), "{}", done.stdout);
    assert!(done.stdout.contains("Published in"), "{}", done.stdout);
    assert!(!done.stdout.contains(PASSPHRASE));
}
