//! A time-stamp service at work, and openssl and curl to ask it.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::desk_support::{Desk, openssl};

pub const SERVICE_PASSPHRASE: &str = "of the service alone";

/// A desk with a time-stamp service, published.
pub fn desk_with_service(arguments: &[&str]) -> Desk {
    let desk = Desk::new();
    init(&desk, arguments);
    desk.publish();
    desk
}

pub fn init(desk: &Desk, arguments: &[&str]) {
    write_passphrase(desk);
    let all = [&["tsa", "init", "--service-passphrase-file", "service-passphrase"], arguments].concat();
    desk.issuer(&all).expect(0);
}

pub fn write_passphrase(desk: &Desk) {
    std::fs::write(desk.path("service-passphrase"), format!("{SERVICE_PASSPHRASE}\n")).unwrap();
}

/// The program `issuer tsa`, without a home: it has the service's folder and its passphrase, nothing else.
pub fn program(desk: &Desk, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_issuer"));
    command.env_remove("ISSUER_HOME").current_dir(desk.directory.path()).stdin(Stdio::null());
    command.args(["tsa", "--service-passphrase-file", "service-passphrase", "--folder"]).arg(folder);
    command
}

pub struct Service {
    child: Child,
    pub url: String,
}

impl Service {
    pub fn start(desk: &Desk) -> Self {
        Self::of(&mut program(desk, &desk.home().join("tsa")))
    }

    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url:?}");
        Self { child, url }
    }

    /// SIGKILL: no farewell.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; it must end well.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder in which somebody asks for stamps.
pub struct Client<'a> {
    folder: tempfile::TempDir,
    desk: &'a Desk,
    pub url: String,
}

impl<'a> Client<'a> {
    pub fn new(desk: &'a Desk, url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data"), "The crane arrives on Tuesday.\n").unwrap();
        Self { folder, desk, url: url.to_owned() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), contents).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// `openssl ts -query` into `query`.
    pub fn query(&self, arguments: &[&str]) {
        let (data, query) = (self.text("data"), self.text("query"));
        let mut all = vec!["ts", "-query", "-data", &data, "-out", &query];
        all.extend(arguments);
        assert!(openssl(&all).status.success());
    }

    /// `curl` of `query` into `reply`; answers the HTTP status.
    pub fn post(&self) -> String {
        self.curl(&["-H", "Content-Type: application/timestamp-query"])
    }

    pub fn curl(&self, arguments: &[&str]) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--data-binary"])
            .arg(format!("@{}", self.text("query")))
            .arg("--output")
            .arg(self.path("reply"))
            .arg("--dump-header")
            .arg(self.path("head"))
            .args(["--write-out", "%{http_code}"])
            .args(arguments)
            .arg(&self.url)
            .output()
            .expect("curl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `openssl ts -reply -text` reads in `reply`.
    pub fn shown(&self) -> String {
        let output = openssl(&["ts", "-reply", "-text", "-in", &self.text("reply")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `openssl ts -verify` of `reply` against `query`, with the published chain and, unless the reply brings it, the
    /// service's certificate.
    pub fn verify(&self) -> (bool, String) {
        let certificate = self.desk.home().join("tsa/certificate.pem");
        self.write(
            "untrusted.pem",
            [
                std::fs::read(self.desk.path("public/ca-chain.pem")).unwrap(),
                std::fs::read(certificate).unwrap(),
            ]
            .concat(),
        );
        self.verify_with(&["-untrusted", &self.text("untrusted.pem")])
    }

    pub fn verify_with(&self, arguments: &[&str]) -> (bool, String) {
        let (query, reply) = (self.text("query"), self.text("reply"));
        let anchor = self.desk.path("public/anchor.pem").to_str().unwrap().to_owned();
        let mut all =
            vec!["ts", "-verify", "-queryfile", &query, "-in", &reply, "-CAfile", &anchor, "-x509_strict"];
        all.extend(arguments);
        let output = openssl(&all);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    /// Asks for a stamp, which must verify; answers what openssl shows of it.
    #[track_caller]
    pub fn stamp(&self, arguments: &[&str]) -> String {
        self.query(arguments);
        assert_eq!(self.post(), "200");
        let shown = self.shown();
        let (verified, said) = self.verify();
        assert!(verified, "{said}\n{shown}");
        shown
    }

    /// Sends what is in `query`, which must be refused so.
    #[track_caller]
    pub fn assert_refused(&self, failure: &str) {
        assert_eq!(self.post(), "200");
        let shown = self.shown();
        assert!(shown.contains("Status: Rejected."), "{shown}");
        assert!(shown.contains(&format!("Failure info: {failure}")), "{failure:?} is not in: {shown}");
        assert!(shown.contains("TST info:\nNot included."), "{shown}");
    }
}

/// What stands after `name: ` in a text of openssl's.
pub fn field<'a>(shown: &'a str, name: &str) -> &'a str {
    shown
        .lines()
        .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("{name} is not in: {shown}"))
}

/// Serial number as the log writes it.
pub fn serial(shown: &str) -> String {
    field(shown, "Serial number").trim_start_matches("0x").to_lowercase()
}
