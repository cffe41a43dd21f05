//! `issuer serve` over a published directory, asked by curl.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub struct Server {
    process: Child,
    pub url: String,
}

impl Server {
    /// Serves this directory; it ends with the test.
    pub fn of(directory: &Path, arguments: &[&str]) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_issuer")), directory, arguments)
    }

    /// The same on another day, as `Desk::on_another_day`; the program itself is the process that ends.
    pub fn on_another_day(later: &str, directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_issuer"));
        command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1");
        command.env("FAKETIME", later).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Self::run(command, directory, arguments)
    }

    fn run(mut command: Command, directory: &Path, arguments: &[&str]) -> Self {
        let mut process = command
            .env_remove("ISSUER_HOME")
            .arg("serve")
            .args(arguments)
            .arg("--from")
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "no loopback URL: {url}");
        Self { process, url }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What curl says, with the head of the answer.
    pub fn curl(&self, path: &str, options: &[&str]) -> Output {
        let url = format!("{}{path}", self.url);
        Command::new("curl").args(["--noproxy", "*", "-sS", "-i"]).args(options).arg(url).output().unwrap()
    }

    /// What curl gets, head and body apart; the path goes out as it is written.
    pub fn ask(&self, path: &str, options: &[&str]) -> Answer {
        Answer::of(&format!("{}{path}", self.url), options)
    }

    /// The status code of `/health`, and what it says.
    pub fn health(&self) -> (String, Value) {
        let url = format!("{}/health", self.url);
        let curl = ["--noproxy", "*", "-sS", "-w", "\n%{http_code}", &url];
        let said = String::from_utf8(Command::new("curl").args(curl).output().unwrap().stdout).unwrap();
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.to_owned(), serde_json::from_str(body).unwrap())
    }

    /// What `/health` says; its status must be this, with the status code that goes with it.
    #[track_caller]
    pub fn expect(&self, status: &str) -> Value {
        let (code, said) = self.health();
        let expected = if status == "ok" { "200" } else { "503" };
        assert_eq!((code.as_str(), said["status"].as_str()), (expected, Some(status)), "{said}");
        said
    }

    /// Tells it to end; it must do so well.
    pub fn terminate(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success(), "the server did not end well when told to");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer over HTTP.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn of(url: &str, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (head, body) = (directory.path().join("head"), directory.path().join("body"));
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--path-as-is", "--noproxy", "*", "--max-time", "60"])
            .args(["--write-out", "%{http_code}", "--dump-header"])
            .arg(&head)
            .arg("--output")
            .arg(&body)
            .args(options)
            .arg(url)
            .output()
            .expect("curl is installed");
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        Self {
            status: String::from_utf8(output.stdout).unwrap().parse().unwrap(),
            head: std::fs::read_to_string(head).unwrap(),
            body: std::fs::read(body).unwrap_or_default(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let is_it = |line: &&str| line.to_ascii_lowercase().starts_with(&format!("{name}: "));
        let line = self.head.lines().find(is_it)?;
        line.split_once(": ").map(|(_, value)| value.trim_end())
    }

    /// One thing of this type.
    #[track_caller]
    pub fn is(&self, content_type: &str, body: &[u8]) {
        assert_eq!((self.status, self.header("content-type")), (200, Some(content_type)));
        assert_eq!(self.header("content-length"), Some(body.len().to_string().as_str()));
        assert!(self.body == body, "{}", self.head);
    }
}
