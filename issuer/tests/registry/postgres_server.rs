//! A PostgreSQL server of its own: a socket in a temporary folder, no network.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

/// Debian's.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The user `nobody`: the server refuses to run as root.
const NOBODY: u32 = 65534;

/// A running server; it ends with the test.
pub(crate) struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let server = Self { folder };
        let socket = server.socket();
        std::fs::create_dir(&socket).unwrap();
        if is_root() {
            for owned in [server.folder.path(), socket.as_path()] {
                std::os::unix::fs::chown(owned, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let data = server.data();
        let data = data.to_str().unwrap();
        run(
            "initdb",
            &["-D", data, "-U", "desk", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
        );
        server.start_again();
        let maintenance = ["-h", socket.to_str().unwrap(), "-U", "desk", "issuer"];
        run("createdb", &maintenance);
        server
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start_again(&self) {
        let settings = format!(
            "-k {} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c shared_buffers=32MB",
            self.socket().display()
        );
        let log = self.folder.path().join("log");
        let (data, log) = (self.data(), log.to_str().unwrap().to_owned());
        run("pg_ctl", &["-D", data.to_str().unwrap(), "-l", &log, "-w", "-o", &settings, "start"]);
    }

    /// Stops it at once, as if its computer had gone.
    pub(crate) fn stop(&self) {
        let _ = output("pg_ctl", &["-D", self.data().to_str().unwrap(), "-m", "immediate", "-w", "stop"]);
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres:///issuer?host={}&user=desk", self.socket().display())
    }

    /// Where it keeps everything.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A copy of the database, as SQL.
    pub(crate) fn dump(&self) -> String {
        let socket = self.socket();
        let output = output("pg_dump", &["-h", socket.to_str().unwrap(), "-U", "desk", "issuer"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What psql answers.
    pub(crate) fn psql(&self, statement: &str) -> String {
        let socket = self.socket();
        let output = run(
            "psql",
            &[
                "-h",
                socket.to_str().unwrap(),
                "-U",
                "desk",
                "-At",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                statement,
                "issuer",
            ],
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// A psql that has done this, and keeps its connection open until it is told `\q`.
    pub(crate) fn hold(&self, statement: &str) -> (Child, ChildStdin) {
        let socket = self.socket();
        let arguments =
            ["-h", socket.to_str().unwrap(), "-U", "desk", "-At", "-v", "ON_ERROR_STOP=1", "issuer"];
        let mut command = prepared("psql", &arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "{statement};\n\\echo done").unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "done"), "psql ended");
        (child, input)
    }

    /// Forgets every table.
    pub(crate) fn empty(&self) {
        self.psql("SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn output(program: &str, arguments: &[&str]) -> Output {
    prepared(program, arguments).output().expect("postgresql must be installed")
}

fn prepared(program: &str, arguments: &[&str]) -> Command {
    let path = Path::new(PROGRAMS).join(program);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(&path);
        command
    } else {
        Command::new(&path)
    };
    command.args(arguments).current_dir("/");
    command
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) -> Output {
    let output = output(program, arguments);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
