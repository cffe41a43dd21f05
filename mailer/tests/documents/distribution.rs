//! A distribution that is killed, refused, held up, or helped by others: nobody gets the document twice, and everybody does.
use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::accounts::{Office, PIN, Said};
use crate::openssl_pki::Key;
use crate::scripted_server::sink::{Asked, Reply, Sink};

const NAMES: [&str; 5] = ["bob", "carol", "dave", "erin", "fred"];

fn address(name: &str) -> String {
    format!("{name}@example.test")
}

/// Alice with a card, and people who can be written to.
struct Chancery {
    office: Office,
}

impl Chancery {
    fn new() -> Self {
        let office = Office::new();
        office.person("alice", Key::P256);
        for name in NAMES {
            office.publish(&office.issue(name, Key::P256));
        }
        office.pki.write("notice.txt", b"The fee is 100.\n");
        Self { office }
    }

    fn behind(self, sink: &Sink) -> Self {
        self.office.pki.write("mail-ca.pem", Sink::anchor());
        self.office.pki.write("password", b"secret\n");
        let url = format!("smtp://127.0.0.1:{}", sink.port);
        let account = ["--user", "alice", "--password-file", "password", "--tls-anchor", "mail-ca.pem"];
        self.office.setup("alice", &[&["--smtp", &url][..], &account].concat()).expect(0);
        self
    }

    fn arguments<'a>(more: &'a [&'a str]) -> Vec<&'a str> {
        let to = "bob@example.test,carol@example.test,dave@example.test,erin@example.test,fred@example.test";
        let arguments =
            ["document", "distribute", "notice.txt", "--as-it-is", "--to", to, "--subject", "Fees"];
        [&arguments[..], more].concat()
    }

    fn distribute(&self, more: &[&str]) -> Said {
        self.office.run("alice", &Self::arguments(more), b"")
    }

    fn spawn(&self, more: &[&str]) -> Child {
        let mut command = self.office.command("alice", PIN, &Self::arguments(more));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn resume(&self, case: &str, more: &[&str]) -> Said {
        self.office.run("alice", &[&["document", "distribute", "--resume", case][..], more].concat(), b"")
    }

    fn cases(&self) -> Vec<String> {
        let ledger = self.office.path("home-alice/ledger");
        let folders = fs::read_dir(ledger).into_iter().flatten().flatten();
        let names = folders.map(|folder| folder.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    fn only_case(&self) -> String {
        let cases = self.cases();
        assert_eq!(cases.len(), 1);
        cases[0].clone()
    }

    /// How it stands with everybody, by the ledger.
    fn states(&self, case: &str) -> BTreeMap<String, String> {
        let said = self.office.run("alice", &["document", "status", case, "--json"], b"").expect(0);
        let status: Value = serde_json::from_slice(&said.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let recipients = status["recipients"].as_array().unwrap().iter();
        recipients.map(|recipient| (text(&recipient["address"]), text(&recipient["delivery"]))).collect()
    }

    fn outbox(&self) -> usize {
        let said = self.office.run("alice", &["outbox", "list", "--json"], b"").expect(0);
        let list: Value = serde_json::from_slice(&said.stdout).unwrap();
        list["entries"].as_array().unwrap().len()
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The server's thread waits here until the test has done something.
struct Gate {
    reached: Receiver<()>,
    open: Sender<()>,
}

/// A server that stops at the n-th of these, once, until the gate is opened; then it does that.
fn gated(at: usize, is_it: impl Fn(&Asked<'_>) -> bool + Send + 'static, then: Reply) -> (Sink, Gate) {
    let (reached_here, reached) = channel();
    let (open, opened) = channel();
    let count = AtomicUsize::new(0);
    let sink = Sink::start(move |asked| {
        if is_it(&asked) && count.fetch_add(1, Ordering::Relaxed) == at {
            reached_here.send(()).unwrap();
            let _ = opened.recv();
            return then;
        }
        Reply::Yes
    });
    (sink, Gate { reached, open })
}

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn killed_while_the_server_has_the_message_nobody_gets_it_twice_unless_told() {
    for at in [0, 2, 4] {
        let (sink, gate) = gated(at, |asked| matches!(asked, Asked::Message(_)), Reply::HangUp);
        let chancery = Chancery::new().behind(&sink);
        let child = chancery.spawn(&[]);
        gate.reached.recv_timeout(PATIENCE).unwrap();
        kill(child);
        gate.open.send(()).unwrap();
        let case = chancery.only_case();
        // Neither the outbox nor the ledger sends it again by itself.
        let others_wait = at + 1 < NAMES.len();
        chancery.office.run("alice", &["outbox", "flush"], b"").expect(if others_wait { 3 } else { 1 });
        let said = chancery.resume(&case, &[]).expect(3);
        let held = address(NAMES[at]);
        assert!(said.stderr.contains(&held) && said.stderr.contains("uncertain"), "{}", said.stderr);
        for (who, state) in chancery.states(&case) {
            assert_eq!((sink.count(&who), state == "uncertain"), (1, who == held), "{who}");
        }
        chancery.resume(&case, &["--uncertain-again"]).expect(0);
        for name in NAMES {
            assert_eq!(sink.count(&address(name)), if address(name) == held { 2 } else { 1 }, "{name}");
        }
        assert_eq!(chancery.outbox(), 0);
    }
}

#[test]
fn killed_before_the_server_has_the_message_everybody_gets_it_once() {
    for at in [0, 3] {
        let (sink, gate) = gated(at, |asked| matches!(asked, Asked::Recipient(_)), Reply::HangUp);
        let chancery = Chancery::new().behind(&sink);
        let child = chancery.spawn(&[]);
        gate.reached.recv_timeout(PATIENCE).unwrap();
        kill(child);
        gate.open.send(()).unwrap();
        let case = chancery.only_case();
        chancery.resume(&case, &[]).expect(3);
        chancery.resume(&case, &["--uncertain-again"]).expect(0);
        for name in NAMES {
            assert_eq!(sink.count(&address(name)), 1, "{name}");
        }
    }
}

#[test]
fn killed_at_any_line_of_the_journal_it_goes_on() {
    let chancery = Chancery::new();
    let mut stopped = 0;
    for lines in 0..15 {
        let (spool, before) = (format!("spool{lines}"), chancery.cases());
        let mut child = chancery.spawn(&["--maildir", &spool]);
        let started = Instant::now();
        let case = loop {
            let has_ended = child.try_wait().unwrap().is_some();
            let case = chancery.cases().into_iter().find(|case| !before.contains(case));
            let journal = case.as_ref().map(|case| {
                let path = chancery.office.path(&format!("home-alice/ledger/{case}/journal"));
                fs::read_to_string(path).unwrap_or_default().lines().count()
            });
            if journal.is_some_and(|count| count >= lines) || has_ended {
                break case.unwrap();
            }
            assert!(started.elapsed() < PATIENCE);
            std::thread::yield_now();
        };
        kill(child);
        let count = |name: &str| {
            let folder = chancery.office.path(&format!("{spool}/{}/new", address(name)));
            fs::read_dir(folder).map_or(0, Iterator::count)
        };
        let killed = chancery.states(&case);
        stopped += usize::from(killed.values().any(|state| state != "submitted"));
        chancery.resume(&case, &["--maildir", &spool]);
        let resumed = chancery.states(&case);
        for name in NAMES {
            let state = resumed[&address(name)].as_str();
            match state {
                "submitted" => assert_eq!(count(name), 1, "{lines}: {name}"),
                "uncertain" => assert!(count(name) <= 1, "{lines}: {name}"),
                _ => panic!("{lines}: {name} is {state}"),
            }
        }
        chancery.resume(&case, &["--maildir", &spool, "--uncertain-again"]).expect(0);
        for name in NAMES {
            let most = if resumed[&address(name)] == "uncertain" { 2 } else { 1 };
            assert!((1..=most).contains(&count(name)), "{lines}: {name} has it {} times", count(name));
        }
        assert_eq!(chancery.outbox(), 0, "{lines}");
    }
    assert!(stopped > 0, "no kill came in time: nothing was tested");
}

#[test]
fn a_connection_that_breaks_leaves_one_uncertain_and_the_others_get_it() {
    let (sink, gate) = gated(1, |asked| matches!(asked, Asked::Message(_)), Reply::HangUp);
    gate.open.send(()).unwrap();
    let chancery = Chancery::new().behind(&sink);
    let said = chancery.distribute(&[]).expect(3);
    assert!(said.stderr.contains("carol@example.test: uncertain"), "{}", said.stderr);
    for name in NAMES {
        assert_eq!(sink.count(&address(name)), 1, "{name}");
    }
    let case = chancery.only_case();
    assert_eq!(chancery.states(&case)["carol@example.test"], "uncertain");
    chancery.resume(&case, &[]).expect(3);
    assert_eq!(sink.count("carol@example.test"), 1);
}

#[test]
fn whoever_is_refused_or_has_no_certificate_is_told_of_and_gets_it_later() {
    let refusal = Arc::new(Mutex::new("550 5.1.1 no such user\r\n"));
    let words = Arc::clone(&refusal);
    let sink = Sink::start(move |asked| match asked {
        Asked::Recipient("carol@example.test") => match *words.lock().unwrap() {
            "" => Reply::Yes,
            words => Reply::Say(words),
        },
        _ => Reply::Yes,
    });
    let chancery = Chancery::new().behind(&sink);
    chancery.office.unpublish("dave");
    let said = chancery.distribute(&[]).expect(3);
    assert!(said.text().contains("3 of 5 have it"), "{}", said.text());
    for words in ["carol@example.test: refused: 550 5.1.1 no such user", "dave@example.test: not sent: "] {
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
    let case = chancery.only_case();
    *refusal.lock().unwrap() = "";
    chancery.office.publish(&chancery.office.issue("dave", Key::P256));
    chancery.resume(&case, &[]).expect(0);
    for name in NAMES {
        assert_eq!(sink.count(&address(name)), 1, "{name}");
    }
    chancery.resume(&case, &[]).expect(0);
    assert_eq!(sink.count("carol@example.test"), 1);
}

#[test]
fn what_another_program_flushes_is_in_the_ledger_and_not_sent_again() {
    let busy = Arc::new(AtomicUsize::new(1));
    let is_busy = Arc::clone(&busy);
    let sink = Sink::start(move |_| match is_busy.load(Ordering::Relaxed) {
        0 => Reply::Yes,
        _ => Reply::Say("450 later\r\n"),
    });
    let chancery = Chancery::new().behind(&sink);
    chancery.distribute(&[]).expect(1);
    let case = chancery.only_case();
    assert!(chancery.states(&case).values().all(|state| state == "not-sent"));
    assert_eq!(chancery.outbox(), 5);
    busy.store(0, Ordering::Relaxed);
    chancery.office.run("alice", &["outbox", "flush"], b"").expect(0);
    assert!(chancery.states(&case).values().all(|state| state == "submitted"));
    assert_eq!(chancery.outbox(), 0);
    chancery.resume(&case, &[]).expect(0);
    for name in NAMES {
        assert_eq!(sink.count(&address(name)), 1, "{name}");
    }
    let sent = chancery.office.run("alice", &["list", "--sent", "--json"], b"").expect(0);
    let sent: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(sent["messages"].as_array().unwrap().len(), 0, "copies that nobody here can read");
}

#[test]
fn two_distributions_do_not_run_at_once() {
    let (sink, gate) = gated(0, |asked| matches!(asked, Asked::Message(_)), Reply::Yes);
    let chancery = Chancery::new().behind(&sink);
    let mut first = chancery.spawn(&[]);
    gate.reached.recv_timeout(PATIENCE).unwrap();
    let case = chancery.only_case();
    for said in [chancery.distribute(&["--json"]), chancery.resume(&case, &["--json"])] {
        assert_eq!(said.expect(1).json()["error"]["code"], "outbox-in-use");
    }
    chancery.office.run("alice", &["outbox", "flush"], b"").expect(1);
    gate.open.send(()).unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(chancery.cases().len(), 1, "the second one opened no case");
    for name in NAMES {
        assert_eq!(sink.count(&address(name)), 1, "{name}");
    }
}
