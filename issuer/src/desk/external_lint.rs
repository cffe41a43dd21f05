//! The external lint of `config.toml`: a command that sees every certificate before it is signed.
//!
//! ```toml
//! external_lint = ["lint_cabf_smime_cert", "lint", "-s", "WARNING", "{}"]
//! ```
//! `{}` is the file with the certificate, PEM; it is the last argument if nothing else says where it goes. Exit status 0
//! lets the certificate be signed; with any other, what the command said is the refusal.
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::ca::Certificate;
use crate::ca::lint::external::ExternalLint;

/// The command with its arguments.
pub(super) struct CommandLint(pub(super) Vec<String>);

/// A linter that starts an interpreter needs seconds.
const LONGEST: Duration = Duration::from_secs(60);
/// What of its words is shown.
const MOST_WORDS: usize = 600;

impl ExternalLint for CommandLint {
    fn judge(&self, certificate: &[u8]) -> Result<(), String> {
        let Some((program, arguments)) = self.0.split_first() else { return Ok(()) };
        let cannot = |error: &dyn std::fmt::Display| {
            format!("{program} (external_lint in config.toml) cannot be asked: {error}")
        };
        let pem = Certificate::from_der(certificate.to_vec()).map_err(|error| cannot(&error))?.to_pem();
        let mut file = tempfile::NamedTempFile::with_suffix(".pem").map_err(|error| cannot(&error))?;
        file.write_all(pem.as_bytes()).map_err(|error| cannot(&error))?;
        let path = file.path().display().to_string();
        let mut command = Command::new(program);
        if arguments.iter().any(|argument| argument.contains("{}")) {
            command.args(arguments.iter().map(|argument| argument.replace("{}", &path)));
        } else {
            command.args(arguments).arg(&path);
        }
        let (passed, said) = run(&mut command).map_err(|error| cannot(&error))?;
        if passed { Ok(()) } else { Err(format!("{program}: {said}")) }
    }
}

/// Whether it ended well, and what it said.
fn run(command: &mut Command) -> std::io::Result<(bool, String)> {
    let mut output = tempfile::tempfile()?;
    let mut child =
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?).spawn()?;
    let process = rustix::process::Pid::from_child(&child);
    let (ended, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait()));
    let Ok(status) = wait.recv_timeout(LONGEST) else {
        rustix::process::kill_process(process, rustix::process::Signal::KILL)?;
        let _ = wait.recv();
        return Ok((false, format!("it did not come to an end within {} seconds", LONGEST.as_secs())));
    };
    let status = status?;
    std::io::Seek::rewind(&mut output)?;
    let mut said = Vec::new();
    output.take(64 * 1024).read_to_end(&mut said)?;
    let said = String::from_utf8_lossy(&said);
    let words: Vec<_> = said.split_whitespace().collect();
    let shown =
        words.join(" ").chars().filter(|character| !character.is_control()).take(MOST_WORDS).collect();
    Ok((status.success(), shown))
}
