//! Mail of any length in little memory: the real program, measured from outside.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod openssl_pki;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::Command;

use accounts::{Office, PIN};
use openssl_pki::Key;

/// How long the long messages are. `scripts/bench` measures a gigabyte.
const MEGABYTES: usize = 8;
const MOST_MEMORY_KILOBYTES: u64 = 32 * 1024;
/// What a long message may take more than a short one: far less than its length.
const MOST_GROWTH_KILOBYTES: u64 = 5 * 1024;

/// Runs a command with stdin and stdout as files, and prints the most memory that it had, in kilobytes.
const MEASURE: &str = r#"
import os, resource, subprocess, sys
with open(sys.argv[1], "rb") as given, open(sys.argv[2], "wb") as taken:
    code = subprocess.run(sys.argv[3:], stdin=given, stdout=taken).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"#;

struct Measured {
    code: i32,
    kilobytes: u64,
    said: String,
}

fn measured(office: &Office, name: &str, arguments: &[&str], input: &str, output: &str) -> Measured {
    std::fs::write(office.path("pin"), format!("{PIN}\n")).unwrap();
    let mut command = Command::new("python3");
    command
        .current_dir(office.pki.path())
        .env("XDG_STATE_HOME", office.path("state"))
        .args(["-c", MEASURE, input, output, env!("CARGO_BIN_EXE_mailer"), "--home"])
        .arg(office.path(&format!("home-{name}")))
        .args(arguments)
        .args(["--pin-file", "pin"]);
    let said = accounts::run(&mut command, b"");
    let (said_before, kilobytes) =
        said.stderr.trim_end().rsplit_once('\n').unwrap_or(("", said.stderr.trim_end()));
    Measured { code: said.code, kilobytes: kilobytes.parse().unwrap(), said: said_before.to_owned() }
}

/// Runs the command with the long message and with a short one of the same kind.
fn check(office: &Office, name: &str, arguments: &[&str], input: &str, output: &str) {
    let (short_input, short_output) = (format!("short-{input}"), format!("short-{output}"));
    let short = measured(office, name, arguments, &short_input, &short_output);
    let long = measured(office, name, arguments, input, output);
    assert_eq!((short.code, long.code), (0, 0), "{arguments:?}: {} {}", short.said, long.said);
    check_memory(&short, &long, arguments);
}

fn check_memory(short: &Measured, long: &Measured, arguments: &[&str]) {
    let most = MOST_MEMORY_KILOBYTES.min(short.kilobytes + MOST_GROWTH_KILOBYTES);
    assert!(
        long.kilobytes <= most,
        "{arguments:?} of {MEGABYTES} MB took {} KB of memory, of a short message {} KB",
        long.kilobytes,
        short.kilobytes
    );
}

fn write_messages(office: &Office, content_type: &str, line: &[u8]) {
    write_message(office, "plain", content_type, line, MEGABYTES * 1_000_000);
    write_message(office, "short-plain", content_type, line, 1_000);
}

fn write_message(office: &Office, name: &str, content_type: &str, line: &[u8], length: usize) {
    let mut file = BufWriter::new(File::create(office.path(name)).unwrap());
    write!(file, "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: large\r\nContent-Type: {content_type}\r\n\r\n")
        .unwrap();
    for _ in 0..length / line.len() {
        file.write_all(line).unwrap();
    }
    file.flush().unwrap();
}

fn body_of(message: &[u8]) -> &[u8] {
    &message[message.windows(4).position(|window| window == b"\r\n\r\n").unwrap()..]
}

#[test]
fn mail_of_any_length_is_protected_opened_and_verified_in_little_memory() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    let line = b"The quick brown fox jumps over the lazy dog, and then sleeps until morning.\r\n";
    write_messages(&office, "text/plain", line);
    check(&office, "alice", &["protect"], "plain", "protected");
    check(&office, "bob", &["open"], "protected", "opened");
    let (plain, opened) = (office.pki.read("plain"), office.pki.read("opened"));
    assert!(body_of(&plain) == body_of(&opened), "the content came back changed");
    check(&office, "alice", &["protect", "--no-encrypt"], "plain", "signed");
    check(&office, "bob", &["verify"], "signed", "verdict");
    let short = measured(&office, "bob", &["open"], "short-signed", "short-opened");
    // One octet in the middle: nothing comes out, in as little memory.
    let mut signed = office.pki.read("signed");
    let middle = signed.len() / 2;
    signed[middle] ^= 1;
    office.pki.write("signed", &signed);
    let said = measured(&office, "bob", &["open"], "signed", "nothing");
    assert_eq!((said.code, office.pki.read("nothing").len()), (4, 0), "{}", said.said);
    check_memory(&short, &said, &["open"]);
}

#[test]
fn what_needs_more_than_one_pass_stays_in_little_memory_too() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    // Eight-bit text with lone line feeds: made canonical, signed inside an object, base64 twice.
    write_messages(&office, "text/plain; charset=utf-8", "Grüße aus dem Norden, und gute Nacht\n".as_bytes());
    check(&office, "alice", &["protect"], "plain", "protected");
    check(&office, "bob", &["open"], "protected", "opened");
    assert!(office.pki.read("opened").ends_with("gute Nacht\r\n".as_bytes()));
}
