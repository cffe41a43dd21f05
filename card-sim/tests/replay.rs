//! Traces: what `run --trace` writes, `replay` plays again; two cards of one seed write the same.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use card_sim::crypto::SymmetricAlgorithm;
use card_sim::secret::SecretBytes;
use support::desk::{Desk, PATIENCE};
use support::{PIN, WRONG_PIN, apdu, tlv};

/// What the desk of these tests does besides.
trait Traces {
    /// Puts a card in a reader with `card-sim run --trace`, drives it, and takes it out again.
    fn record(&self, options: &str, drive: impl FnOnce(&mut Inserted));

    fn trace(&self, name: &str) -> String;
}

impl Traces for Desk {
    fn record(&self, options: &str, drive: impl FnOnce(&mut Inserted)) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_card-sim"));
        command.args(["run", "--vpcd", &address.to_string()]).args(options.split_whitespace());
        let mut child = command.current_dir(self.0.path()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut card = Inserted { stream, key: SecretBytes::new([1, 2, 3, 4, 5, 6, 7, 8].repeat(3)) };
        card.power_on();
        drive(&mut card);
        let stopped = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(stopped.success());
        let mut said = String::new();
        while errors.read_line(&mut said).unwrap() > 0 {}
        assert!(child.wait().unwrap().success(), "{said}");
    }

    fn trace(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

/// A card in a reader of ours.
struct Inserted {
    stream: TcpStream,
    key: SecretBytes,
}

impl Inserted {
    fn event(&mut self, event: u8) {
        self.stream.write_all(&[0, 1, event]).unwrap();
    }

    fn power_on(&mut self) {
        self.event(1);
    }

    fn exchange(&mut self, command: &[u8]) -> Vec<u8> {
        let length = u16::try_from(command.len()).unwrap().to_be_bytes();
        self.stream.write_all(&[&length[..], command].concat()).unwrap();
        let mut length = [0; 2];
        self.stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut answer).unwrap();
        answer
    }

    fn send(&mut self, ins: u8, p1: u8, p2: u8, data: &[u8]) -> Vec<u8> {
        self.exchange(&apdu(ins, p1, p2, data))
    }

    fn succeed(&mut self, ins: u8, p1: u8, p2: u8, data: &[u8]) -> Vec<u8> {
        let mut answer = self.send(ins, p1, p2, data);
        assert_eq!(answer.split_off(answer.len() - 2), [0x90, 0x00], "{ins:02X} {p1:02X} {p2:02X}");
        answer
    }

    fn authenticate(&mut self) {
        let challenge = self.succeed(0x87, 0x0A, 0x9B, &[0x7C, 2, 0x81, 0]);
        let response = SymmetricAlgorithm::Aes192.encrypt_block(&self.key, &challenge[4..]).unwrap();
        self.succeed(0x87, 0x0A, 0x9B, &[&[0x7C, 0x12, 0x82, 0x10][..], &response].concat());
    }

    fn authenticate_mutually(&mut self) {
        let witness = self.succeed(0x87, 0x0A, 0x9B, &[0x7C, 2, 0x80, 0]);
        let decrypted = SymmetricAlgorithm::Aes192.decrypt_block(&self.key, &witness[4..]).unwrap();
        let parts = [&tlv(0x80, &decrypted)[..], &tlv(0x81, &[7; 16]), &[0x82, 0]].concat();
        self.succeed(0x87, 0x0A, 0x9B, &tlv(0x7C, &parts));
    }
}

/// A session with all that is random, secret or fragmented in it.
fn long_session(card: &mut Inserted) {
    card.succeed(0xA4, 4, 0, &[0xA0, 0, 0, 3, 8]);
    card.succeed(0xF8, 0, 0, &[]);
    card.succeed(0xCB, 0x3F, 0xFF, &[0x5C, 3, 0x5F, 0xC1, 0x02]);
    assert_eq!(card.send(0x20, 0, 0x80, WRONG_PIN), [0x63, 0xC2]);
    card.authenticate_mutually();
    card.authenticate();
    let rsa = card.send(0x47, 0, 0x9A, &[0xAC, 3, 0x80, 1, 0x07]);
    assert!(rsa.ends_with(&[0x90, 0x00]) || rsa[rsa.len() - 2] == 0x61);
    if rsa[rsa.len() - 2] == 0x61 {
        card.exchange(&[0, 0xC0, 0, 0, rsa[rsa.len() - 1]]);
    }
    card.succeed(0x47, 0, 0x9C, &[0xAC, 3, 0x80, 1, 0x11]);
    card.succeed(0x47, 0, 0x82, &[0xAC, 3, 0x80, 1, 0x14]);
    card.succeed(0x47, 0, 0x9E, &[0xAC, 3, 0x80, 1, 0xE0]);
    card.succeed(0x87, 0xE0, 0x9E, &tlv(0x7C, &[&[0x82, 0][..], &tlv(0x81, b"a message")].concat()));
    let certificate = card.send(0xF9, 0x82, 0, &[]);
    assert_eq!(certificate[certificate.len() - 2], 0x61);
    card.exchange(&[0, 0xC0, 0, 0, certificate[certificate.len() - 1]]);
    card.succeed(0xDB, 0x3F, 0xFF, &[&tlv(0x5C, &[0x5F, 0xC1, 5])[..], &tlv(0x53, &[1; 100])].concat());
    card.succeed(0x20, 0, 0x80, PIN);
    card.succeed(0x87, 0x11, 0x9C, &tlv(0x7C, &[&[0x82, 0][..], &tlv(0x81, &[5; 32])].concat()));
    // An RSA block in two fragments.
    let block = tlv(0x7C, &[&[0x82, 0][..], &tlv(0x81, &[&[0, 1][..], &[0x42; 254]].concat())].concat());
    let first = [&[0x10, 0x87, 0x07, 0x9A, 0xC8][..], &block[..200]].concat();
    assert_eq!(card.exchange(&first), [0x90, 0x00]);
    let rest = &block[200..];
    let last = [&[0x00, 0x87, 0x07, 0x9A, u8::try_from(rest.len()).unwrap()][..], rest, &[0]].concat();
    let answer = card.exchange(&last);
    assert_eq!(answer[answer.len() - 2], 0x61);
    card.exchange(&[0, 0xC0, 0, 0, answer[answer.len() - 1]]);
    let change = [&PIN[..], b"654321\xFF\xFF"].concat();
    card.succeed(0x24, 0, 0x80, &change);
    card.event(2);
    card.authenticate();
    card.succeed(0xFF, 0xFF, 0xFF, &[&[0x0A, 0x9B, 24][..], &[9; 24]].concat());
    card.key = SecretBytes::new(vec![9; 24]);
    card.authenticate();
    card.succeed(0x20, 0, 0x80, b"654321\xFF\xFF");
    card.event(0);
    card.event(1);
    card.succeed(0xF7, 0, 0x80, &[]);
}

const VALUES: &str = "PIN = 999999\nPIN 2 = 123456\nPIN 3 = 654321\n\
    management key = 010203040506070801020304050607080102030405060708\n\
    management key 2 = 090909090909090909090909090909090909090909090909\n";

#[test]
fn a_trace_without_secrets_is_played_again_on_another_card() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    desk.succeed("new b.card");
    desk.record("a.card --trace a.apdu", long_session);
    let trace = desk.trace("a.apdu");
    for secret in ["31 32 33 34 35 36", "36 35 34 33", "39 39 39 39", "09 09 09 09", "01 02 03 04 05 06"] {
        assert!(!trace.contains(secret), "{secret}: {trace}");
    }
    desk.write("values", VALUES);
    let said = desk.succeed("replay a.apdu --against sim:b.card --values values");
    assert!(said.contains("every answer as recorded; of "), "{said}");
    // It was a copy: the card is as it was, and takes the same again.
    let again = desk.succeed("replay a.apdu --against sim:b.card --values values --json");
    let commands = trace.lines().filter(|line| line.starts_with('>')).count();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&again).unwrap()["commands"], commands);
    // The card that was recorded has another PIN and management key now.
    let told = desk.fail("replay a.apdu --against sim:a.card --values values", 1);
    assert!(told.contains("a.apdu: line "), "{told}");
}

#[test]
fn two_cards_of_one_seed_write_the_same_trace() {
    let desk = Desk::new();
    for (card, trace) in [("a.card", "a.apdu"), ("b.card", "b.apdu")] {
        desk.succeed(&format!("new {card} --seed 00112233 --serial 7"));
        // The second half in another process.
        desk.record(&format!("{card} --trace {trace} --trace-secrets"), long_session);
        desk.record(&format!("{card} --trace {trace} --trace-secrets"), |card| {
            card.succeed(0x20, 0, 0x80, b"654321\xFF\xFF");
            card.succeed(0x87, 0x11, 0x9C, &tlv(0x7C, &[&[0x82, 0][..], &tlv(0x81, &[6; 32])].concat()));
            card.succeed(0x87, 0x0A, 0x9B, &[0x7C, 2, 0x81, 0]);
            assert!(!card.send(0xF9, 0x9C, 0, &[]).is_empty());
        });
        let shown: serde_json::Value =
            serde_json::from_str(&desk.succeed(&format!("inspect {card} --json"))).unwrap();
        assert_eq!(shown["seeded"], true);
    }
    assert!(
        desk.trace("a.apdu") == desk.trace("b.apdu"),
        "{}\n{}",
        desk.trace("a.apdu"),
        desk.trace("b.apdu")
    );
    // Without another seed there is another trace.
    desk.succeed("new c.card --seed 00112234 --serial 7");
    desk.record("c.card --trace c.apdu --trace-secrets", long_session);
    assert!(!desk.trace("a.apdu").starts_with(&desk.trace("c.apdu")));
    // And what one card said, a third one of the seed says again, byte by byte.
    desk.succeed("new d.card --seed 00112233 --serial 7");
    let said = desk.succeed("replay a.apdu --against sim:d.card --exact");
    assert!(said.ends_with("every answer as recorded\n"), "{said}");
}

#[test]
fn a_trace_shows_secrets_only_where_that_is_asked_for_and_says_so() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    desk.record("a.card --trace hidden.apdu", |card| drop(card.succeed(0x20, 0, 0x80, PIN)));
    desk.record("a.card --trace shown.apdu --trace-secrets", |card| drop(card.succeed(0x20, 0, 0x80, PIN)));
    assert!(desk.trace("hidden.apdu").contains("> 00 20 00 80 08 [PIN] 00  # VERIFY, PIN\n"));
    let shown = desk.trace("shown.apdu");
    assert!(shown.contains("> 00 20 00 80 08 31 32 33 34 35 36 FF FF 00  # VERIFY, PIN\n"), "{shown}");
    assert!(shown.starts_with("# card-sim ") && shown.contains("WITH ALL SECRETS"), "{shown}");
    desk.fail("run a.card --trace-secrets", 2);
    desk.succeed("new b.card");
    desk.succeed("new c.card");
    let told = desk.fail("run a.card b.card c.card --trace x --trace y", 2);
    assert!(told.contains("once for all cards, or once for each"), "{told}");
}

#[test]
fn the_first_difference_is_told() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    desk.write(
        "t.apdu",
        "# tries\n> 00 20 00 80\n< 63 C3\n> 00 CB 3F FF 05 5C 03 5F C1 05 00\n< 53 00 90 00\n",
    );
    let told = desk.fail("replay t.apdu --against sim:a.card", 1);
    assert_eq!(
        told,
        "card-sim: t.apdu: line 5: GET DATA 5FC105, certificate 9A\n  expected: 53 00 90 00  (success)\n  \
         got:      6A 82  (not found)\n"
    );
    let told = desk.fail("replay t.apdu --against sim:a.card --json", 1);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap()["error"]["code"], "differs");
    // A key is each card's own, its status word is not.
    desk.write("key.apdu", "> 00 47 00 9A 05 AC 03 80 01 11 00\n< 7F 49 02 86 00 90 00\n");
    let told = desk.fail("replay key.apdu --against sim:a.card", 1);
    assert!(told.contains("got:      69 82  (security status not satisfied)"), "{told}");
    // What a card decrypted is told to nobody.
    desk.write(
        "secret.apdu",
        "@ authenticate\n> 00 47 00 9D 05 AC 03 80 01 11 00\n< 7F .. 86 41 point=65 90 00\n\
         > 00 20 00 80 08 [PIN]\n< 90 00\n> 00 87 11 9D 47 7C 45 82 00 85 41 point 00\n< 69 82\n",
    );
    let told = desk.fail("replay secret.apdu --against sim:a.card --factory-values", 1);
    assert!(told.contains("got:      [36 bytes hidden] 90 00"), "{told}");
}

#[test]
fn what_cannot_be_played_is_told_before_anything_is_sent() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    let spends = "> 00 20 00 80 08 39 39 39 39 39 39 FF FF\n< 63 C2\n";
    desk.write("pin.apdu", &format!("{spends}> 00 20 00 80 08 [PIN 2]\n< 90 00\n"));
    desk.write("hidden.apdu", &format!("{spends}> 00 FE 07 9A [12 bytes hidden]\n< 90 00\n"));
    desk.write("key.apdu", &format!("{spends}@ authenticate\n"));
    desk.write("words.apdu", "> 00 20 00 80\n< 63 C3\n> 00 something else\n< 90 00\n");
    for (file, expected) in [
        ("pin.apdu", "line 3: the value of [PIN 2] is needed"),
        ("hidden.apdu", "line 3: 12 bytes of this command are hidden"),
        ("key.apdu", "line 3: the value of [management key] is needed"),
        ("missing.apdu", "missing.apdu"),
    ] {
        let told = desk.fail(&format!("replay {file} --against sim:a.card --keep-changes"), 1);
        assert!(told.contains(expected), "{told}");
        desk.write("three.apdu", "> 00 20 00 80\n< 63 C3\n");
        desk.succeed("replay three.apdu --against sim:a.card");
    }
    let told = desk.fail("replay words.apdu --against sim:a.card", 1);
    assert!(told.contains("line 3: no bytes were kept as something"), "{told}");
    desk.write("bad.apdu", "> 00 2\n< 90 00\n");
    let told = desk.fail("replay bad.apdu --against sim:a.card", 1);
    assert!(told.contains("bad.apdu: line 1: 2 is neither bytes nor a name"), "{told}");
    assert!(desk.fail("replay pin.apdu --against a.card", 2).contains("write sim:STATE"));
    desk.fail("replay pin.apdu", 2);
    assert!(desk.fail("replay three.apdu --against sim:none.card", 1).contains("no such card"));
    assert!(desk.fail("replay pin.apdu --against sim:a.card --pin-file none", 1).contains("cannot be read"));
}

#[test]
fn the_last_try_of_a_card_itself_is_spent_only_when_that_is_meant() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    desk.succeed("new s.card --personality standard");
    let wrong = "> 00 20 00 80 08 39 39 39 39 39 39 FF FF\n";
    desk.write("three.apdu", &format!("{wrong}< 63 C2\n{wrong}< 63 C1\n{wrong}< 63 C0\n"));
    // A copy may lose all its tries.
    desk.succeed("replay three.apdu --against sim:a.card");
    for card in ["a.card", "s.card"] {
        let told = desk.fail(&format!("replay three.apdu --against sim:{card} --keep-changes"), 1);
        assert!(
            told.contains("line 5: VERIFY, PIN was not sent: it might spend the last try of the PIN"),
            "{told}"
        );
        let shown: serde_json::Value =
            serde_json::from_str(&desk.succeed(&format!("inspect {card} --json"))).unwrap();
        assert_eq!(shown["pin"]["tries_left"], 1);
    }
    desk.write("last.apdu", &format!("{wrong}< 63 C0\n"));
    desk.succeed("replay last.apdu --against sim:a.card --keep-changes --last-try");
    // Nothing is left to lose; and no card of the standard tells the PUK's tries.
    desk.write("blocked.apdu", &format!("{wrong}< 69 83\n"));
    desk.succeed("replay blocked.apdu --against sim:a.card --keep-changes");
    desk.write("puk.apdu", "> 00 2C 00 80 10 39 39 39 39 39 39 39 39 31 32 33 34 35 36 FF FF\n< 63 C2\n");
    desk.succeed("replay puk.apdu --against sim:a.card --keep-changes");
    let told = desk.fail("replay puk.apdu --against sim:s.card --keep-changes", 1);
    assert!(told.contains("does not say how many tries of the PUK are left"), "{told}");
}

#[test]
fn an_encrypted_card_is_opened_with_its_passphrase() {
    let desk = Desk::new();
    desk.write("passphrase", "a long passphrase\n");
    desk.succeed("new a.card --encrypt --passphrase-file passphrase");
    desk.write("t.apdu", "> 00 20 00 80\n< 63 C3\n");
    desk.succeed("replay t.apdu --against sim:a.card --passphrase-file passphrase");
    desk.succeed("replay t.apdu --against sim:a.card --passphrase-file passphrase --keep-changes");
    desk.write("passphrase", "another one\n");
    desk.fail("replay t.apdu --against sim:a.card --passphrase-file passphrase", 1);
}

#[test]
fn of_a_shared_trace_one_card_is_chosen() {
    let desk = Desk::new();
    desk.succeed("new a.card");
    desk.write(
        "t.apdu",
        "@ reader one\n> 00 20 00 80\n< 63 C3\n@ reader two\n> 00 20 00 80\n< 63 C1\n@ reader one\n> 00 20 FF 80\n< 90 00\n",
    );
    let told = desk.fail("replay t.apdu --against sim:a.card", 1);
    assert!(told.contains("several cards; choose one with --reader: one, two"), "{told}");
    let said = desk.succeed("replay t.apdu --against sim:a.card --reader one");
    assert!(said.contains("2 commands"), "{said}");
    assert!(desk.fail("replay t.apdu --against sim:a.card --reader two", 1).contains("line 6"));
    assert!(
        desk.fail("replay t.apdu --against sim:a.card --reader x", 1).contains("the trace has: one, two")
    );
}

#[test]
fn every_transcript_of_the_card_plays_against_blank_cards() {
    let desk = Desk::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        desk.succeed(&format!("replay {} --against sim:", path.display()));
        count += 1;
    }
    assert!(count > 20, "{count} transcripts");
    let pin = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/verify.apdu");
    desk.succeed("new a.card");
    let told = desk.fail(&format!("replay {} --against sim:a.card", pin.display()), 1);
    assert!(told.contains("a fresh card is asked for"), "{told}");
}

#[cfg(not(feature = "pcsc"))]
#[test]
fn without_pcsc_a_card_in_a_reader_is_refused_by_name() {
    let desk = Desk::new();
    desk.write("t.apdu", "> 00 20 00 80\n< 63 C3\n");
    let told = desk.fail("replay t.apdu --against pcsc:", 1);
    assert!(told.contains("built without PC/SC") && told.contains("--features pcsc"), "{told}");
}
