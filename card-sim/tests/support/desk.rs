//! The program in a folder of its own, and the readers that its cards go into.
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Long enough for a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder in which the program works.
pub(crate) struct Desk(pub(crate) TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_card-sim"));
        command.args(line.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs it, and it must succeed; returns what it printed.
    pub(crate) fn succeed(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs it, and it must fail with this exit code; returns its message.
    pub(crate) fn fail(&self, line: &str, code: i32) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{line}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn inspect(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.succeed(&format!("inspect {name} --json"))).unwrap()
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running `card-sim run`, ended when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    errors: BufReader<std::process::ChildStderr>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self { child, errors }
    }

    /// Reads messages until one contains these words.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(self.errors.read_line(&mut line).unwrap(), 0, "ended before saying {words:?}");
        }
        line
    }

    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn exit_code(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A virtual reader: listens, and talks to the card that comes.
pub(crate) struct Reader(pub(crate) TcpListener);

impl Reader {
    /// Readers at successive free ports, and the address of the first.
    pub(crate) fn successive(count: u16) -> (Vec<Self>, String) {
        let bind = |port| TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        loop {
            let first = bind(0).unwrap();
            let port = first.local_addr().unwrap().port();
            let others =
                (1..count).map(|offset| bind(port.checked_add(offset).ok_or(std::io::ErrorKind::Other)?));
            if let Ok(others) = others.collect::<Result<Vec<_>, std::io::Error>>() {
                let readers = std::iter::once(first).chain(others).map(Self).collect();
                return (readers, format!("127.0.0.1:{port}"));
            }
        }
    }

    pub(crate) fn one() -> (Self, String) {
        let (mut readers, address) = Self::successive(1);
        (readers.remove(0), address)
    }

    pub(crate) fn accept(&self) -> Inserted {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Inserted(stream)
    }
}

/// A card in the reader.
pub(crate) struct Inserted(pub(crate) TcpStream);

impl Inserted {
    pub(crate) fn send(&mut self, payload: &[u8]) {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&length[..], payload].concat()).unwrap();
    }

    pub(crate) fn exchange(&mut self, payload: &[u8]) -> Vec<u8> {
        self.send(payload);
        self.receive()
    }

    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut answer).unwrap();
        answer
    }

    /// The first thing a reader does.
    pub(crate) fn atr(&mut self) -> Vec<u8> {
        let atr = self.exchange(&[4]);
        self.send(&[1]);
        atr
    }

    pub(crate) fn is_removed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0))
    }
}
