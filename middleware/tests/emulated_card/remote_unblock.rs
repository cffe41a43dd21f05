//! `card unblock --request`: the desk's PUK is used once by the run that asked, and changed.
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use middleware::remote_unblock::{UnblockConfirmation, UnblockRequest, UnblockSecrets};
use middleware::{CardError, LastTry, Puk};
use rand_core::UnwrapErr;
use zeroize::Zeroizing;

use crate::card_tool::Tool;
use crate::support::{FACTORY_PIN, Kind, TestCard, verify};

const NEXT: &[u8] = b"24681357";

/// A run that waits for its answer.
struct Asking {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    request: UnblockRequest,
}

fn ask(card: &TestCard) -> Asking {
    std::fs::write(card.folder().join("new-pin"), "135790\n").unwrap();
    let mut child = Tool(card)
        .command(&["--json", "unblock", "--request", "--pin-file", "new-pin"])
        .current_dir(card.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&line).unwrap();
    let request: UnblockRequest = shown["request"].as_str().unwrap().parse().unwrap();
    assert_eq!(shown["check_digits"].as_str().unwrap(), request.check_digits());
    Asking { child, output, request }
}

impl Asking {
    /// Gives the answer; what is shown at the end, or the error.
    fn answer(mut self, answer: &str) -> Result<serde_json::Value, String> {
        let mut input = self.child.stdin.take().unwrap();
        writeln!(input, "{answer}").unwrap();
        drop(input);
        let mut shown = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut shown).unwrap();
        let ended = self.child.wait_with_output().unwrap();
        match ended.status.code() {
            Some(0) => Ok(serde_json::from_str(&shown).unwrap()),
            _ => Err(String::from_utf8(ended.stderr).unwrap()),
        }
    }
}

fn secrets(candidates: &[&[u8]]) -> UnblockSecrets {
    UnblockSecrets {
        candidates: candidates.iter().map(|puk| Puk::new(puk).unwrap()).collect(),
        next: Puk::new(NEXT).unwrap(),
        confirmation: Zeroizing::new([5; 16]),
    }
}

fn block(card: &TestCard) {
    let mut open = card.open();
    while !matches!(
        verify(&mut open, "000000", LastTry::Spend),
        Err(CardError::PinBlocked | CardError::WrongPin { tries_left: 0 })
    ) {}
}

#[test]
fn the_pin_is_set_and_the_puk_is_another_on_any_card() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let card = TestCard::new(kind);
        block(&card);
        let guid = card.open().identity().unwrap().guid;
        let asking = ask(&card);
        assert_eq!(Some(asking.request.guid()), guid);
        let nonce = asking.request.nonce();
        let answer = asking
            .request
            .seal(&secrets(&[b"99999999", card.puk.as_bytes()]), &mut UnwrapErr(getrandom::SysRng))
            .unwrap();
        let done = asking.answer(&answer).unwrap();
        let confirmation: UnblockConfirmation = done["confirmation"].as_str().unwrap().parse().unwrap();
        assert!(confirmation.is(&UnblockConfirmation::new(&nonce, &[5; 16])));
        let mut open = card.open();
        verify(&mut open, "135790", LastTry::Refuse).unwrap();
        let mut transaction = open.transaction().unwrap();
        let (given, next) = (card.puk(), Puk::new(NEXT).unwrap());
        assert!(matches!(transaction.change_puk(&given, &given), Err(CardError::WrongPuk { .. })));
        transaction.change_puk(&next, &next).unwrap();
    }
}

#[test]
fn an_answer_to_another_request_changes_nothing() {
    let card = TestCard::yubikey();
    let first = ask(&card);
    let answer =
        first.request.seal(&secrets(&[card.puk.as_bytes()]), &mut UnwrapErr(getrandom::SysRng)).unwrap();
    assert!(first.answer("unblock-answer:AAAA").unwrap_err().contains("malformed"));
    let second = ask(&card);
    assert!(second.answer(&answer).unwrap_err().contains("not-for-this-request"));
    let third = ask(&card);
    assert!(third.answer("").unwrap_err().contains("no answer came"));
    verify(&mut card.open(), FACTORY_PIN, LastTry::Refuse).unwrap();
}

#[test]
fn the_last_try_of_the_puk_is_not_spent() {
    let card = TestCard::yubikey();
    let wrong = Puk::new(b"00000000").unwrap();
    for _ in 0..2 {
        assert!(card.open().transaction().unwrap().change_puk(&wrong, &wrong).is_err());
    }
    let asking = ask(&card);
    let answer = asking.request.seal(&secrets(&[b"99999999"]), &mut UnwrapErr(getrandom::SysRng)).unwrap();
    assert!(asking.answer(&answer).unwrap_err().contains("last-puk-try"));
    let (puk, next) = (card.puk(), Puk::new(NEXT).unwrap());
    card.open().transaction().unwrap().change_puk(&puk, &next).unwrap();
}
