//! Foreign programs that judge a whole batch: started once, one command a line, one answer a line.
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::openssl_pki::Pki;

/// What a judge said about each command: its words after `ok`, or after `no`.
pub(crate) type Answers = Vec<Result<String, String>>;

/// BouncyCastle (Debian's libbcmail-java), compiled and run from its one source file.
pub(crate) fn bouncy_castle(pki: &Pki, commands: &[String]) -> Answers {
    let jars = ["bcprov", "bcpkix", "bcutil", "bcmail"].map(|jar| format!("/usr/share/java/{jar}.jar"));
    for jar in &jars {
        assert!(Path::new(jar).is_file(), "{jar} is missing: scripts/setup installs libbcmail-java");
    }
    let mut java = Command::new("java");
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &jars.join(":")]);
    java.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/Judge.java"));
    ask(java, "scripts/setup installs default-jre-headless", pki, commands)
}

/// Python's asn1crypto and cryptography, put together by `composed.py`.
pub(crate) fn composed(pki: &Pki, commands: &[String]) -> Answers {
    let environment = std::env::var_os("SEALWRIGHT_VENV").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv"),
        |given| Path::new(&given).to_owned(),
    );
    let mut python = Command::new(environment.join("bin/python"));
    python.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/composed.py"));
    ask(python, "scripts/setup makes the Python environment .venv", pki, commands)
}

fn ask(mut program: Command, remedy: &str, pki: &Pki, commands: &[String]) -> Answers {
    program.current_dir(pki.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}; {remedy}"));
    let mut input = child.stdin.take().unwrap();
    let lines = commands.join("\n") + "\n";
    let feeder = std::thread::spawn(move || drop(input.write_all(lines.as_bytes())));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Answers = said
        .lines()
        .map(|line| match line.split_once(' ') {
            Some(("ok", words)) => Ok(words.to_owned()),
            _ => Err(line.to_owned()),
        })
        .collect();
    assert_eq!(
        answers.len(),
        commands.len(),
        "{program:?} did not answer every command ({remedy}): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    answers
}

/// Runs a foreign program that must succeed; answers what it printed on stdout and stderr.
pub(crate) fn run(program: &mut Command, package: &str) -> (Vec<u8>, String) {
    let output = try_run(program, package);
    assert!(output.2, "{program:?}: {}", output.1);
    (output.0, output.1)
}

/// The same, saying whether it succeeded.
pub(crate) fn try_run(program: &mut Command, package: &str) -> (Vec<u8>, String, bool) {
    let output = program
        .output()
        .unwrap_or_else(|error| panic!("{program:?}: {error}; scripts/setup installs {package}"));
    (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned(), output.status.success())
}
