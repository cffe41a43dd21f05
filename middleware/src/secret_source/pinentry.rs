//! Asking through the program pinentry, which shows a window or takes the terminal (Assuan protocol).
//!
//! A line is a command or an answer: `OK`, `ERR code text`, `D data` with `%XX` for what cannot stand in a line, `S`
//! and `#` lines to be passed over. pinentry is told where the terminal is; of the user's secrets it is told none.
use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read as _, Result, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use zeroize::Zeroizing;

/// An Assuan line has at most 1000 bytes; more is no pinentry.
const LONGEST_LINE: usize = 1002;
/// Libgpg-error's code for "operation cancelled", below the source of the error in the upper bytes.
const CANCELLED: u32 = 99;
const FULLY_CANCELLED: u32 = 198;

/// Asks for one secret.
///
/// # Errors
/// Names the program that cannot be started or breaks off; [`ErrorKind::Interrupted`] when the user chose to cancel.
pub(super) fn ask(program: &Path, prompt: &str) -> Result<Zeroizing<String>> {
    let named = |error: Error| Error::new(error.kind(), format!("{}: {error}", program.display()));
    let mut dialog = Dialog::start(program).map_err(named)?;
    dialog.expect_ok().map_err(named)?;
    for option in terminal_options() {
        // What an older or simpler pinentry does not know is not worth failing for.
        let _ = dialog.command(&format!("OPTION {option}")).map_err(named)?;
    }
    let commands = [
        "SETTITLE Sealwright".to_owned(),
        format!("SETDESC {}", escaped(prompt)),
        format!("SETPROMPT {}:", kind_of_secret(prompt)),
    ];
    for command in commands {
        dialog.command(&command).map_err(named)?.map_err(named)?;
    }
    let secret = dialog.secret("GETPIN").map_err(named)?;
    // It ends by itself when its input closes.
    let _ = dialog.send("BYE");
    Ok(secret)
}

/// The word before the field; what is asked for in full stands above it.
fn kind_of_secret(prompt: &str) -> &'static str {
    let kinds = ["PUK", "PIN", "Management key"];
    kinds.into_iter().find(|kind| prompt.contains(kind)).unwrap_or("Passphrase")
}

struct Dialog {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Dialog {
    fn start(program: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
        // Without a buffer beyond one line no copy of a secret stays behind in it.
        Ok(Self { child, input, output: BufReader::with_capacity(1, output) })
    }

    fn send(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().ok_or(ErrorKind::BrokenPipe)?;
        input.write_all(format!("{line}\n").as_bytes())?;
        input.flush()
    }

    /// The inner error is the program's own.
    fn command(&mut self, line: &str) -> Result<Result<()>> {
        self.send(line)?;
        match self.expect_ok() {
            Err(error) if error.kind() == ErrorKind::Other => Ok(Err(error)),
            result => result.map(Ok),
        }
    }

    fn expect_ok(&mut self) -> Result<()> {
        loop {
            let line = self.line()?;
            match line.split_once(' ').unwrap_or((line.as_str(), "")) {
                ("OK", _) => return Ok(()),
                ("ERR", rest) => return Err(refusal(rest)),
                _ => {}
            }
        }
    }

    fn secret(&mut self, command: &str) -> Result<Zeroizing<String>> {
        self.send(command)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * LONGEST_LINE));
        loop {
            let line = self.line()?;
            match line.split_once(' ').unwrap_or((line.as_str(), "")) {
                ("OK", _) => break,
                ("D", data) if bytes.len() + data.len() <= bytes.capacity() => {
                    append_unescaped(&mut bytes, data)?
                }
                ("D", _) => return Err(Error::new(ErrorKind::InvalidData, "a secret that does not end")),
                ("ERR", rest) => return Err(refusal(rest)),
                _ => {}
            }
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::new(ErrorKind::InvalidData, "a secret that is not UTF-8"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn line(&mut self) -> Result<Zeroizing<String>> {
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_LINE));
        self.output.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(Error::new(ErrorKind::UnexpectedEof, "it ended, or is no pinentry"));
        }
        let text = std::str::from_utf8(&line)
            .map_err(|_| Error::new(ErrorKind::InvalidData, "a line that is not UTF-8"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        drop(self.input.take());
        // A window that stays open after our error would take the next one's answer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `83886179 Operation cancelled <Pinentry>`.
fn refusal(rest: &str) -> Error {
    let (code, text) = rest.split_once(' ').unwrap_or((rest, "refused"));
    match code.parse::<u32>().map(|code| code & 0xFFFF) {
        Ok(CANCELLED | FULLY_CANCELLED) => Error::new(ErrorKind::Interrupted, "cancelled"),
        _ => Error::other(text.to_owned()),
    }
}

/// Where pinentry may draw, for those that use the terminal.
fn terminal_options() -> Vec<String> {
    let mut options = Vec::new();
    if let Some(name) = terminal_name() {
        options.push(format!("ttyname={name}"));
    }
    for (variable, option) in [("TERM", "ttytype"), ("LC_CTYPE", "lc-ctype"), ("LC_MESSAGES", "lc-messages")]
    {
        if let Ok(value) = std::env::var(variable) {
            options.push(format!("{option}={}", escaped(&value)));
        }
    }
    options
}

/// The name counts, not the descriptor: pinentry gets pipes for its own.
#[cfg(unix)]
fn terminal_name() -> Option<String> {
    fn name(descriptor: impl std::os::fd::AsFd) -> Option<String> {
        rustix::termios::ttyname(descriptor, Vec::new()).ok()?.into_string().ok()
    }
    std::env::var("GPG_TTY")
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| name(std::io::stdin()))
        .or_else(|| name(std::io::stdout()))
        .or_else(|| name(std::io::stderr()))
        .or_else(|| std::fs::File::open("/dev/tty").is_ok().then(|| "/dev/tty".to_owned()))
}

#[cfg(not(unix))]
fn terminal_name() -> Option<String> {
    None
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn append_unescaped(to: &mut Vec<u8>, data: &str) -> Result<()> {
    let mut bytes = data.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            to.push(byte);
            continue;
        }
        let mut digit = || {
            bytes
                .next()
                .and_then(|byte| char::from(byte).to_digit(16))
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(Error::new(ErrorKind::InvalidData, "a broken escape in its answer"));
        };
        to.push(high << 4 | low);
    }
    Ok(())
}
