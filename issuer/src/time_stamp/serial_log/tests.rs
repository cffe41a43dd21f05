#![allow(clippy::string_slice)] // the log is ASCII

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use const_oid::ObjectIdentifier;
use getrandom::SysRng;
use middleware::DigestAlgorithm;
use proptest::prelude::*;
use rand_core::UnwrapErr;
use tempfile::TempDir;

use super::line::Line;
use super::*;
use crate::ca::profile::{Organization, PivExtensions, PolicyArc, StatusServices, Validity};
use crate::ca::test_key::TestKey;
use crate::ca::{Authority, SerialNumber};

/// A log in a folder of its own; any certificate will do.
struct Place {
    folder: TempDir,
    certificate: Certificate,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: TempDir::new().unwrap(), certificate: certificate() };
        std::fs::write(place.path(), SerialLog::header(&place.certificate)).unwrap();
        place
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("serials.log")
    }

    fn open(&self) -> Result<SerialLog, TimeStampError> {
        SerialLog::open(&self.path(), &self.certificate)
    }

    fn check(&self) -> Result<Summary, TimeStampError> {
        SerialLog::check(&self.path(), &self.certificate)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    /// A log with one line to a batch.
    fn with_lines(count: u8) -> Self {
        let place = Self::new();
        let (mut text, mut before) = (place.text(), place.check().unwrap().chain);
        for number in 1..=count {
            let (line, chain) = line::write(number.into(), number.into(), &entry(number), &before);
            text += &line;
            before = chain;
        }
        std::fs::write(place.path(), text).unwrap();
        place
    }

    /// The line of a log that is refused; nothing of it was changed.
    #[track_caller]
    fn damaged_line(&self) -> u64 {
        let before = std::fs::read(self.path()).unwrap();
        let refused = self.open().map(|log| log.summary().clone());
        assert_eq!(std::fs::read(self.path()).unwrap(), before, "a damaged log was changed");
        match refused {
            Err(TimeStampError::DamagedLog { line, .. }) => line,
            other => panic!("{other:?}"),
        }
    }
}

fn certificate() -> Certificate {
    let organization = Organization {
        name: "Example Works".into(),
        identifier: None,
        base_url: "http://pki.example.org".into(),
        policies: PolicyArc::default(),
        piv_extensions: PivExtensions::Omitted,
        status_services: StatusServices::default(),
    };
    let validity = Validity::for_days("2030-01-01T00:00:00Z".parse().unwrap(), 100);
    let serial_number = SerialNumber::random(&mut UnwrapErr(SysRng));
    let root =
        Authority::create_root(&organization, Box::new(TestKey::p256()), serial_number, validity).unwrap();
    root.certificate().clone()
}

fn entry(number: u8) -> Entry {
    Entry {
        serial_number: SerialNumber::from_bytes(&[0x40, number]).unwrap(),
        time: Timestamp::from_millisecond(1_900_000_000_000 + i64::from(number)).unwrap(),
        algorithm: DigestAlgorithm::Sha256,
        imprint: vec![number; 32],
        policy: ObjectIdentifier::new_unwrap("1.2.3.4"),
    }
}

/// Adds an entry and waits for the disk.
fn add(log: &SerialLog, entry: Entry) -> bool {
    match log.append::<()>(|_| Ok(entry)) {
        Ok((_, durable)) => wait(durable),
        Err(_) => false,
    }
}

fn wait(durable: Durable) -> bool {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(durable.wait())
}

#[test]
fn lines_are_there_when_they_are_durable_and_again_after_a_start() {
    let place = Place::with_lines(3);
    let summary = place.check().unwrap();
    assert_eq!((summary.stamps, summary.newest), (3, Some(entry(3).time)));
    let log = place.open().unwrap();
    assert_eq!(log.summary().stamps, 3);
    assert!(add(&log, entry(4)));
    let lines: Vec<Line> = place.text().lines().skip(1).map(|line| Line::parse(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(lines.iter().all(|line| line.entry == entry(u8::try_from(line.number).unwrap())));
    drop(log);
    assert_eq!(place.check().unwrap().stamps, 4);
}

#[test]
fn what_makes_the_line_is_told_the_newest_time_and_may_refuse() {
    let place = Place::with_lines(2);
    let log = place.open().unwrap();
    let refused = log.append(Err).map(|_| ());
    assert_eq!(refused, Err(Refused::Made(Some(entry(2).time))));
    // An older one does not put it back.
    assert!(add(&log, entry(1)));
    assert_eq!(log.append(Err).map(|_| ()), Err(Refused::Made(Some(entry(2).time))));
}

#[test]
fn a_log_is_open_once() {
    let place = Place::new();
    let first = place.open().unwrap();
    assert!(matches!(place.open(), Err(TimeStampError::InUse(_))));
    drop(first);
    assert!(place.open().is_ok());
}

#[test]
fn a_torn_last_line_is_taken_off_and_kept_beside() {
    let place = Place::with_lines(3);
    let whole = place.text();
    // Cut anywhere within the last line.
    let third = whole.trim_end().rfind('\n').unwrap() + 1;
    for cut in [third + 1, third + 30, whole.len() - 1] {
        std::fs::write(place.path(), &whole[..cut]).unwrap();
        let log = place.open().unwrap();
        let summary = log.summary().clone();
        assert_eq!((summary.stamps, summary.torn), (2, u64::try_from(cut - third).unwrap()));
        assert_eq!(std::fs::read_to_string(summary.kept.unwrap()).unwrap(), whole[third..cut]);
        assert!(add(&log, entry(9)));
        drop(log);
        assert_eq!(place.check().unwrap().stamps, 3);
    }
}

#[test]
fn blocks_that_never_reached_the_disk_are_taken_off() {
    let place = Place::with_lines(2);
    let whole = place.text();
    // A batch of three lines, the middle of which reads as zeros although its end is there.
    let (mut before, mut batch) = (place.check().unwrap().chain, String::new());
    for number in 3..6 {
        let (line, chain) = line::write(number, 3, &entry(u8::try_from(number).unwrap()), &before);
        batch += &line;
        before = chain;
    }
    let mut octets = batch.into_bytes();
    octets[100..300].fill(0);
    std::fs::write(place.path(), [whole.as_bytes(), &octets].concat()).unwrap();
    let log = place.open().unwrap();
    assert_eq!((log.summary().stamps, log.summary().torn), (2, u64::try_from(octets.len()).unwrap()));
    drop(log);
    assert_eq!(place.text(), whole);
    // The same zeros with a batch after them were not left by a power cut.
    let after = line::write(6, 6, &entry(6), &before).0;
    std::fs::write(place.path(), [whole.as_bytes(), &octets, after.as_bytes()].concat()).unwrap();
    assert_eq!(place.damaged_line(), 4);
}

#[test]
fn a_line_that_was_changed_is_found_wherever_it_is() {
    let place = Place::with_lines(4);
    let whole = place.text();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for number in 1..lines.len() {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        // Another time: the line is well-formed all the same.
        changed[number] = changed[number].replacen("2030-", "2029-", 1);
        std::fs::write(place.path(), changed.concat()).unwrap();
        assert_eq!(place.damaged_line(), u64::try_from(number).unwrap() + 1);
        assert!(matches!(place.check(), Err(TimeStampError::DamagedLog { .. })));
    }
}

#[test]
fn a_line_that_was_taken_out_added_or_moved_is_found() {
    let place = Place::with_lines(4);
    let whole = place.text();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let orders: [(&[usize], u64); 4] =
        [(&[0, 1, 3, 4], 3), (&[0, 1, 2, 2, 3, 4], 4), (&[0, 2, 1, 3, 4], 2), (&[0, 4], 2)];
    for (order, line) in orders {
        let text: String = order.iter().map(|number| lines[*number]).collect();
        std::fs::write(place.path(), text).unwrap();
        assert_eq!(place.damaged_line(), line, "{order:?}");
    }
    std::fs::write(place.path(), whole.replacen("time-stamp-log", "time-stamp-lag", 1)).unwrap();
    assert_eq!(place.damaged_line(), 1);
    // A torn middle is no torn end.
    let torn: String = [lines[0], &lines[1][..20], "\n", lines[2], lines[3]].concat();
    std::fs::write(place.path(), torn).unwrap();
    assert_eq!(place.damaged_line(), 2);
}

#[test]
fn the_log_of_another_service_is_refused() {
    let (place, other) = (Place::new(), Place::with_lines(1));
    std::fs::copy(other.path(), place.path()).unwrap();
    assert!(matches!(place.open(), Err(TimeStampError::Malformed { .. })));
}

/// A medium that fails when it is told to, and waits when it is told to.
#[derive(Clone, Default)]
struct Faulty(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    contents: Vec<u8>,
    synchronised: usize,
    fail_append: bool,
    fail_synchronise: bool,
    fail_cut: bool,
    /// Each synchronisation waits for one message.
    gate: Option<mpsc::Receiver<()>>,
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Medium for Faulty {
    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut plan = self.0.lock().unwrap();
        if plan.fail_append {
            // A part of it is written before the disk is full.
            plan.contents.write_all(&octets[..octets.len() / 2])?;
            return Err(full());
        }
        plan.contents.write_all(octets)
    }

    fn synchronise(&mut self) -> io::Result<()> {
        let gate = self.0.lock().unwrap().gate.take();
        if let Some(gate) = gate {
            gate.recv().unwrap();
            self.0.lock().unwrap().gate = Some(gate);
        }
        let mut plan = self.0.lock().unwrap();
        if plan.fail_synchronise {
            return Err(io::Error::other("the disk is gone"));
        }
        plan.synchronised += 1;
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let mut plan = self.0.lock().unwrap();
        if plan.fail_cut {
            return Err(io::Error::other("the disk is gone"));
        }
        let length = usize::try_from(length).unwrap();
        plan.contents.truncate(length);
        Ok(())
    }
}

/// A writer on a faulty medium that begins with the header.
fn faulty() -> (SerialLog, Faulty, Place) {
    let place = Place::new();
    let medium = Faulty::default();
    medium.0.lock().unwrap().contents = place.text().into_bytes();
    let summary = place.check().unwrap();
    let writer = writer::Writer::start(medium.clone(), &summary).unwrap();
    (SerialLog { writer, summary }, medium, place)
}

fn contents_are_whole(place: &Place, medium: &Faulty) -> u64 {
    std::fs::write(place.path(), &medium.0.lock().unwrap().contents).unwrap();
    let summary = place.check().unwrap();
    assert_eq!(summary.torn, 0);
    summary.stamps
}

#[test]
fn lines_that_arrive_while_the_disk_is_busy_go_to_it_together() {
    let (log, medium, place) = faulty();
    let (open, gate) = mpsc::channel();
    medium.0.lock().unwrap().gate = Some(gate);
    let mut waiting = Vec::new();
    for number in 1..=20 {
        waiting.push(log.append::<()>(|_| Ok(entry(number))).unwrap().1);
    }
    // The first batch, and at most one more beside it: the rest arrived while one of them was at the gate.
    for _ in 0..20 {
        open.send(()).unwrap();
    }
    assert!(waiting.into_iter().all(wait));
    drop(log);
    assert!(medium.0.lock().unwrap().synchronised <= 20);
    assert_eq!(contents_are_whole(&place, &medium), 20);
    let text = place.text();
    let lines = text.lines().skip(1).map(|line| Line::parse(line).unwrap());
    // Each line names the first of its batch, and the first line of a batch names itself.
    let mut first = 0;
    for line in lines {
        assert!(line.batch == first || line.batch == line.number, "{line:?}");
        first = line.batch;
    }
}

#[test]
fn a_full_disk_loses_nothing_and_is_tried_again() {
    let (log, medium, place) = faulty();
    assert!(add(&log, entry(1)));
    medium.0.lock().unwrap().fail_append = true;
    assert!(!add(&log, entry(2)));
    assert!(!add(&log, entry(3)));
    medium.0.lock().unwrap().fail_append = false;
    assert!(add(&log, entry(4)));
    drop(log);
    assert_eq!(contents_are_whole(&place, &medium), 2);
    assert!(place.text().ends_with('\n') && !place.text().contains(" 4002 "));
}

#[test]
fn after_a_failed_synchronisation_nothing_more_is_promised() {
    let (log, medium, _place) = faulty();
    assert!(add(&log, entry(1)));
    medium.0.lock().unwrap().fail_synchronise = true;
    assert!(!add(&log, entry(2)));
    medium.0.lock().unwrap().fail_synchronise = false;
    assert_eq!(log.append::<()>(|_| Ok(entry(3))).map(|_| ()), Err(Refused::Broken));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(log.broken()), "the disk is gone");
}

#[test]
fn a_torn_batch_that_cannot_be_taken_off_ends_the_log() {
    let (log, medium, _place) = faulty();
    {
        let mut plan = medium.0.lock().unwrap();
        (plan.fail_append, plan.fail_cut) = (true, true);
    }
    assert!(!add(&log, entry(1)));
    assert_eq!(log.append::<()>(|_| Ok(entry(2))).map(|_| ()), Err(Refused::Broken));
}

proptest! {
    /// What is written is read back.
    #[test]
    fn lines_read_back(
        number in 1..u64::MAX,
        batch in 1..u64::MAX,
        serial in proptest::collection::vec(any::<u8>(), 1..=19),
        milliseconds in 0..253_000_000_000_000_i64,
        digest in 0..3_usize,
        imprint in proptest::collection::vec(any::<u8>(), 64),
        before in any::<[u8; 32]>(),
    ) {
        let Ok(serial_number) = SerialNumber::from_bytes(&serial) else { return Ok(()) };
        let algorithm = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512][digest];
        let entry = Entry {
            serial_number,
            time: Timestamp::from_millisecond(milliseconds).unwrap(),
            algorithm,
            imprint: imprint[..algorithm.length()].to_vec(),
            policy: ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1.4"),
        };
        let batch = batch.min(number);
        let (text, chain) = line::write(number, batch, &entry, &before);
        prop_assert!(u64::try_from(text.len()).unwrap() < line::LONGEST);
        let text = text.trim_end();
        let line = Line::parse(text).unwrap();
        prop_assert!(Line::follows(text, &before));
        prop_assert_eq!(line, Line { number, batch, entry, chain });
    }

    /// A log of which the end was cut off anywhere opens, and one octet changed before its last line is always found.
    #[test]
    fn a_cut_heals_and_a_change_does_not(cut in 0.0..1.0_f64, at in 0.0..1.0_f64, octet in any::<u8>()) {
        let place = Place::with_lines(3);
        let whole = std::fs::read(place.path()).unwrap();
        let header = SerialLog::header(&place.certificate).len();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let within = |share: f64, from: usize, to: usize| from + (share * (to - from) as f64) as usize;
        let cut = within(cut, header, whole.len());
        std::fs::write(place.path(), &whole[..cut]).unwrap();
        prop_assert!(place.open().is_ok());
        let last = whole[..whole.len() - 1].iter().rposition(|octet| *octet == b'\n').unwrap();
        let at = within(at, 0, last);
        let mut changed = whole.clone();
        changed[at] = octet;
        std::fs::write(place.path(), &changed).unwrap();
        prop_assert_eq!(place.open().is_ok(), changed == whole);
    }
}
