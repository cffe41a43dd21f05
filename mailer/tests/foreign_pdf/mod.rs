//! Foreign programs that read and write PDF files: qpdf, poppler, and pyHanko with Python.
#![allow(dead_code, clippy::panic, clippy::unwrap_used, reason = "each test program uses its part")]
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a program that must succeed; answers what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; scripts/setup installs it"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

/// Commands for `sealed.py`, run in a folder; the words that follow `ok` in each answer, or those after `no`.
pub(crate) fn pyhanko(folder: &Path, commands: &[&[&str]]) -> Vec<Result<String, String>> {
    let environment = std::env::var_os("SEALWRIGHT_VENV").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv"),
        |given| Path::new(&given).to_owned(),
    );
    let mut python = Command::new(environment.join("bin/python"));
    python.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign_pdf/sealed.py"));
    python.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = python
        .spawn()
        .unwrap_or_else(|error| panic!("{error}; scripts/setup makes the Python environment .venv"));
    let lines: String = commands.iter().map(|command| command.join("\t") + "\n").collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Vec<_> = said
        .lines()
        .map(|line| match line.split_once(' ') {
            Some(("ok", words)) => Ok(words.to_owned()),
            _ => Err(line.to_owned()),
        })
        .collect();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert_eq!(answers.len(), commands.len(), "pyHanko did not answer every command: {problem}");
    answers
}
