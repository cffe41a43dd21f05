//! Running a program to its end, keeping a server until it is dropped, waiting for a condition.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

/// Long enough for a loaded two-core machine; a condition that holds is seen at once.
pub const PATIENCE: Duration = Duration::from_secs(30);

const ASK_AGAIN: Duration = Duration::from_millis(10);

/// A command to run: a clean environment (PATH, LANG), arguments, standard input.
#[derive(Debug)]
pub struct Run {
    command: Command,
    shown: Vec<OsString>,
    input: Vec<u8>,
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The command as it was typed.
    pub shown: String,
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Run {
    /// A program by name or path, in an environment that holds PATH and LANG alone.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("PATH", path()).env("LANG", "C.UTF-8");
        Self { command, shown: vec![program.as_ref().to_owned()], input: Vec::new() }
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.shown.push(argument.as_ref().to_owned());
        self.command.arg(argument);
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// One environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// More environment variables.
    pub fn envs<'a>(self, variables: impl IntoIterator<Item = &'a (String, OsString)>) -> Self {
        variables.into_iter().fold(self, |run, (name, value)| run.env(name, value))
    }

    /// The working directory.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Standard input; empty otherwise.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Program and arguments.
    pub fn words(&self) -> &[OsString] {
        &self.shown
    }

    /// The command as one types it.
    pub fn shown(&self) -> String {
        shown(&self.shown)
    }

    /// The same command with standard error in standard output, in the order of writing.
    pub fn merged(self) -> Self {
        let mut merged = Self::new("sh").args(["-c", "exec \"$0\" \"$@\" 2>&1"]).args(&self.shown);
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                merged.command.env(name, value);
            }
        }
        if let Some(folder) = self.command.get_current_dir() {
            merged.command.current_dir(folder);
        }
        Self { shown: self.shown, input: self.input, ..merged }
    }

    /// Runs to the end, whatever it is.
    pub fn outcome(mut self) -> Result<Outcome> {
        let shown = self.shown();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().with_context(|| format!("starting {shown}"))?;
        let mut stdin = child.stdin.take().context("standard input is a pipe")?;
        let input = std::mem::take(&mut self.input);
        // A thread of its own: a program that answers before it has read everything would wait for us for ever. One
        // that stops reading early closes the pipe, and that is its right.
        let writer = thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().with_context(|| format!("waiting for {shown}"))?;
        let _ = writer.join();
        Ok(Outcome { shown, code: output.status.code(), stdout: output.stdout, stderr: output.stderr })
    }

    /// Runs to the end, which must be exit code 0.
    pub fn ok(self) -> Result<Outcome> {
        self.outcome()?.expect_code(0)
    }

    /// Runs to the end, which must be this exit code.
    pub fn fails_with(self, code: i32) -> Result<Outcome> {
        self.outcome()?.expect_code(code)
    }

    /// Starts a server that lives until it is dropped; its output goes to a file.
    ///
    /// The kernel kills it when the thread that called this ends, so that even a test that is killed leaves nothing.
    pub fn serve(self, log: &Path) -> Result<Server> {
        let shown = self.shown();
        let output =
            File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(&self.shown).env_clear();
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {shown}"))?;
        Ok(Server { child, shown, log: log.to_owned() })
    }
}

impl Outcome {
    /// This outcome, if it has the exit code; an error with both outputs otherwise.
    pub fn expect_code(self, code: i32) -> Result<Self> {
        if self.code == Some(code) {
            return Ok(self);
        }
        bail!("expected exit code {code}:\n{self}");
    }

    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Both outputs as text.
    pub fn text(&self) -> String {
        self.out() + &self.err()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or("ended by a signal".to_owned(), |code| format!("exit code {code}"));
        writeln!(f, "$ {}\n{}{}[{code}]", self.shown, self.out(), self.err())
    }
}

/// A program that runs until it is stopped, at the latest when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    shown: String,
    log: std::path::PathBuf,
}

impl Server {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// An error with the log if it has ended.
    pub fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.shown, self.log()),
        }
    }

    /// Waits until `ready` says so; an error with the log if the program ends first or time runs out.
    pub fn wait_until(&mut self, what: &str, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !ready()? {
            self.alive()?;
            if Instant::now() > end {
                bail!("{} is not ready: {what}:\n{}", self.shown, self.log());
            }
            thread::park_timeout(ASK_AGAIN);
        }
        Ok(())
    }

    /// Waits for its end by itself; an error with the log when it takes longer.
    pub fn end_within(&mut self, longest: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + longest;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > end {
                bail!("{} does not end:\n{}", self.shown, self.log());
            }
            thread::park_timeout(ASK_AGAIN);
        }
    }

    /// Sends a signal and waits for the end.
    pub fn stop(mut self, signal: Signal) -> Result<ExitStatus> {
        rustix::process::kill_process(self.pid(), signal)?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls a condition until it holds; an error that names it after [`PATIENCE`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !condition()? {
        if Instant::now() > end {
            bail!("waited {PATIENCE:?} in vain: {what}");
        }
        thread::park_timeout(ASK_AGAIN);
    }
    Ok(())
}

/// PATH with the folders of system programs, which an ordinary user's often lacks.
pub fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// A command as one types it: our own programs by name, odd arguments quoted.
fn shown(words: &[OsString]) -> String {
    let mut line = String::new();
    for (index, word) in words.iter().enumerate() {
        let text = word.to_string_lossy();
        let text = if index == 0 { text.rsplit('/').next().unwrap_or_default() } else { &text };
        if index > 0 {
            line.push(' ');
        }
        line.push_str(&quoted(text));
    }
    line
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
