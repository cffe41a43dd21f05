use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::transport::TransportError;

/// Answers from a script, and remembers what it was given.
#[derive(Default)]
struct ScriptedCourier {
    answers: Vec<Result<Vec<RecipientReply>, TransportError>>,
    seen: Vec<(Vec<String>, Vec<u8>)>,
}

impl Courier for ScriptedCourier {
    fn deliver(
        &mut self,
        _sender: &Address,
        recipients: &[Address],
        message: &[u8],
    ) -> Result<Vec<RecipientReply>, TransportError> {
        self.seen.push((recipients.iter().map(ToString::to_string).collect(), message.to_vec()));
        self.answers.remove(0)
    }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn stored(outbox: &Outbox) -> Entry {
    let messages = [
        (vec![address("bob@mail.test"), address("carol@mail.test")], b"for both\r\n".to_vec()),
        (vec![address("hidden@mail.test")], b"for the hidden one\r\n".to_vec()),
    ];
    outbox.store("20300101-aa", Timestamp::UNIX_EPOCH, &address("alice@mail.test"), &messages).unwrap()
}

fn refused(is_transient: bool) -> RecipientReply {
    RecipientReply::Refused { reply: "550 no such user".to_owned(), is_transient }
}

fn outage() -> TransportError {
    TransportError::Unreachable {
        server: "mail.test:587".to_owned(),
        problem: "connection refused".to_owned(),
    }
}

#[test]
fn an_entry_is_private_and_reads_back_as_it_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&folder.path().join("outbox")).unwrap();
    let entry = stored(&outbox);
    assert_eq!(
        outbox.entries().unwrap().into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        std::slice::from_ref(&entry)
    );
    assert_eq!(outbox.entry(&entry.id).unwrap(), entry);
    for file in fs::read_dir(folder.path().join("outbox")).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn what_everybody_accepted_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    let accepted = RecipientReply::Accepted;
    let mut courier = ScriptedCourier {
        answers: vec![Ok(vec![accepted.clone(), accepted.clone()]), Ok(vec![accepted])],
        ..Default::default()
    };
    let entry = outbox.deliver(stored(&outbox), &outbox.lock().unwrap(), &mut courier).unwrap();
    assert!(entry.is_delivered());
    assert!(outbox.entries().unwrap().is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the lock file is left");
    assert_eq!(courier.seen[1], (vec!["hidden@mail.test".to_owned()], b"for the hidden one\r\n".to_vec()));
}

#[test]
fn an_outage_keeps_everything_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    let mut courier = ScriptedCourier { answers: vec![Err(outage()), Err(outage())], ..Default::default() };
    let before = stored(&outbox);
    outbox.deliver(before, &outbox.lock().unwrap(), &mut courier).unwrap();
    let kept = outbox.entry("20300101-aa").unwrap();
    for recipient in kept.recipients() {
        let DeliveryState::Waiting { reason: Some(reason) } = &recipient.state else {
            panic!("{recipient:?}")
        };
        assert!(reason.contains("connection refused"), "{reason}");
    }
}

#[test]
fn only_those_who_did_not_get_it_are_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    let mut courier = ScriptedCourier {
        answers: vec![
            Ok(vec![RecipientReply::Accepted, refused(false)]),
            Ok(vec![refused(true)]),
            Ok(vec![RecipientReply::Accepted]),
            Ok(vec![RecipientReply::Accepted]),
        ],
        ..Default::default()
    };
    let first = outbox.deliver(stored(&outbox), &outbox.lock().unwrap(), &mut courier).unwrap();
    let states: Vec<_> = first.recipients().map(|r| r.state.clone()).collect();
    let words = "550 no such user".to_owned();
    assert_eq!(
        states,
        [
            DeliveryState::Delivered,
            DeliveryState::Refused { reason: words.clone() },
            DeliveryState::Waiting { reason: Some(words) }
        ]
    );
    let second =
        outbox.deliver(outbox.entry("20300101-aa").unwrap(), &outbox.lock().unwrap(), &mut courier).unwrap();
    assert!(second.is_delivered() && outbox.entries().unwrap().is_empty());
    assert_eq!(courier.seen[2].0, ["carol@mail.test"]);
}

#[test]
fn a_send_that_was_killed_before_its_json_file_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    fs::write(folder.path().join("20300101-bb.0.eml"), b"complete message").unwrap();
    fs::write(folder.path().join(".new-x.json"), b"{half").unwrap();
    assert!(outbox.entries().unwrap().is_empty());
}

#[test]
fn a_send_that_was_killed_between_two_envelopes_goes_on_with_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    let accepted = RecipientReply::Accepted;
    // The first process got as far as recording the first envelope.
    let mut first = ScriptedCourier {
        answers: vec![Ok(vec![accepted.clone(), accepted.clone()]), Err(outage())],
        ..Default::default()
    };
    outbox.deliver(stored(&outbox), &outbox.lock().unwrap(), &mut first).unwrap();
    let mut second = ScriptedCourier { answers: vec![Ok(vec![accepted])], ..Default::default() };
    outbox.deliver(outbox.entry("20300101-aa").unwrap(), &outbox.lock().unwrap(), &mut second).unwrap();
    assert_eq!(second.seen.len(), 1);
    assert_eq!(second.seen[0].0, ["hidden@mail.test"]);
}

#[test]
fn a_damaged_entry_is_named_and_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    stored(&outbox);
    fs::write(folder.path().join("00.json"), b"{\"version\":1").unwrap();
    let evil = r#"{"version":1,"id":"01","created":"1970-01-01T00:00:00Z","sender":"a@b.test","envelopes":[{"message":"../secret","recipients":[]}]}"#;
    fs::write(folder.path().join("01.json"), evil).unwrap();
    let entries = outbox.entries().unwrap();
    assert!(matches!(&entries[0], Err(OutboxError::Damaged { path, .. }) if path.ends_with("00.json")));
    assert!(matches!(&entries[1], Err(OutboxError::Damaged { .. })));
    assert!(entries[2].is_ok());
}

#[test]
fn two_processes_do_not_send_the_same_entry() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    let lock = outbox.lock().unwrap();
    assert!(matches!(outbox.lock(), Err(OutboxError::InUse)));
    drop(lock);
    assert!(outbox.lock().is_ok());
}

#[test]
fn half_written_files_are_swept_and_messages_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    let entry = stored(&outbox);
    std::fs::write(folder.path().join(".new-x"), b"half").unwrap();
    std::fs::write(folder.path().join("20300101-bb.0.eml"), b"left of a damaged entry").unwrap();
    outbox.sweep(Timestamp::UNIX_EPOCH);
    assert!(folder.path().join(".new-x").exists());
    outbox.sweep(Timestamp::MAX);
    assert!(!folder.path().join(".new-x").exists());
    assert!(folder.path().join("20300101-bb.0.eml").exists());
    assert_eq!(outbox.first_message(&entry).unwrap(), b"for both\r\n");
}
