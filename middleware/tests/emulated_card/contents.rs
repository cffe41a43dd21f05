//! What a card shows to anybody is read once, and read again as soon as somebody else may have changed it.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use middleware::transport::{Connection, Ending, Exclusive, TransportError};
use middleware::{Card, DataObject, KeyAlgorithm, KeyReference, LastTry, SignatureScheme};

use crate::support::{Kind, TestCard, certificate_for, pin, sha256};

/// An emulated card in a reader that several programs share, and how many commands it was sent.
#[derive(Clone)]
pub(crate) struct SharedReader {
    card: Arc<Mutex<card_sim::Card>>,
    commands: Arc<AtomicUsize>,
    atr: Vec<u8>,
    /// Whether it passes extended length on.
    longest_command: Option<usize>,
}

impl SharedReader {
    pub(crate) fn new(test_card: &TestCard) -> Self {
        let mut card = card_sim::Card::open(&test_card.path()).unwrap();
        let atr = card.power_on();
        let card = Arc::new(Mutex::new(card));
        Self { card, commands: Arc::default(), atr, longest_command: Some(65_535) }
    }

    /// A reader that passes short commands only.
    fn short(test_card: &TestCard) -> Self {
        Self { longest_command: None, ..Self::new(test_card) }
    }

    /// Another program connects.
    pub(crate) fn connect(&self) -> Card {
        Card::over(Box::new(self.clone())).unwrap()
    }

    /// How many commands an act costs.
    pub(crate) fn count<T>(&self, act: impl FnOnce() -> T) -> (usize, T) {
        let before = self.commands.load(Ordering::Relaxed);
        let result = act();
        (self.commands.load(Ordering::Relaxed) - before, result)
    }

    /// What a foreign program sends, which knows nothing of our library.
    fn foreign(&self, command: &str) -> Vec<u8> {
        self.card.lock().unwrap().transmit(&hex::decode(command.replace(' ', "")).unwrap())
    }
}

impl Connection for SharedReader {
    fn reader_name(&self) -> &str {
        "shared reader"
    }

    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn longest_command(&self) -> Option<usize> {
        self.longest_command
    }

    fn begin(&mut self) -> Result<Box<dyn Exclusive + '_>, TransportError> {
        Ok(Box::new(Line(self)))
    }
}

struct Line<'a>(&'a SharedReader);

impl Exclusive for Line<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.0.commands.fetch_add(1, Ordering::Relaxed);
        Ok(self.0.card.lock().unwrap().transmit(command))
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn end(self: Box<Self>, ending: Ending) -> Result<(), TransportError> {
        if ending == Ending::Reset {
            self.0.card.lock().unwrap().reset();
        }
        Ok(())
    }
}

fn issued(kind: Kind) -> TestCard {
    let test_card = TestCard::new(kind);
    let mut card = test_card.open();
    for key in KeyReference::PRIMARY {
        test_card.issue(&mut card, key, KeyAlgorithm::P256);
    }
    test_card
}

/// All twenty-four certificates, without keys for the retired ones.
fn full() -> TestCard {
    let test_card = issued(Kind::YubiKey57);
    let mut card = test_card.open();
    let certificate = card.certificate(KeyReference::KeyManagement).unwrap().unwrap();
    test_card.administer(&mut card, |administration| {
        for key in KeyReference::retired() {
            administration.write_certificate(key, &certificate).unwrap();
        }
    });
    test_card
}

#[test]
fn everything_is_read_at_once_and_in_order() {
    let test_card = full();
    let contents = test_card.open().contents().unwrap();
    assert_eq!(contents.identity.serial, Some(12_345_678));
    let keys: Vec<KeyReference> = contents.keys.iter().map(|key| key.reference).collect();
    assert_eq!(keys, KeyReference::PRIMARY.into_iter().chain(KeyReference::retired()).collect::<Vec<_>>());
    for key in &contents.keys {
        assert_eq!(key.algorithm, Some(KeyAlgorithm::P256));
        assert!(key.certificate.is_some() && key.problem.is_none());
    }
    assert!(contents.key(KeyReference::KeyManagement).is_some());
}

/// The bare commands: SELECT, and GET DATA for each certificate. The bound is 1.3 times as many.
#[test]
fn a_full_card_is_read_with_hardly_more_commands_than_it_has_certificates() {
    let test_card = full();
    let reader = SharedReader::new(&test_card);
    let (opening, mut card) = reader.count(|| reader.connect());
    let (reading, contents) = reader.count(|| card.contents().unwrap());
    assert_eq!(contents.keys.len(), 24);
    assert!(10 * (opening + reading) <= 13 * (1 + 24), "{opening} and {reading} commands");
    let (again, same) = reader.count(|| card.contents().unwrap());
    assert!(Arc::ptr_eq(&contents, &same));
    assert_eq!(again, 2);
}

#[test]
fn nothing_is_read_again_while_nobody_else_uses_the_card() {
    for (kind, short) in [(Kind::YubiKey57, false), (Kind::YubiKey57, true), (Kind::Standard, false)] {
        let test_card = issued(kind);
        let reader = if short { SharedReader::short(&test_card) } else { SharedReader::new(&test_card) };
        let mut card = reader.connect();
        let first = card.contents().unwrap();
        for _ in 0..3 {
            let (commands, contents) = reader.count(|| card.contents().unwrap());
            assert_eq!(commands, 2);
            assert!(Arc::ptr_eq(&contents, &first));
        }
        // Our own use of a key is none of somebody else.
        let public_key = first.key(KeyReference::Authentication).unwrap().public_key.clone().unwrap();
        let ecdsa = SignatureScheme::Ecdsa(middleware::DigestAlgorithm::Sha256);
        let mut transaction = card.transaction().unwrap();
        let fresh =
            transaction.verify_pin(&pin("123456"), LastTry::Refuse).unwrap_or_else(|_| panic!("the PIN"));
        fresh.sign(KeyReference::Authentication, &public_key, ecdsa, &sha256(b"text")).unwrap();
        drop(transaction);
        assert_eq!(reader.count(|| card.contents().unwrap()).0, 2);
    }
}

#[test]
fn what_another_process_of_ours_writes_is_seen_at_once() {
    let test_card = issued(Kind::YubiKey57);
    let reader = SharedReader::new(&test_card);
    let (mut reading, mut writing) = (reader.connect(), reader.connect());
    for _ in 0..3 {
        let before = reading.contents().unwrap();
        let public_key = test_card
            .administer(&mut writing, |administration| {
                administration.generate(KeyReference::Authentication, KeyAlgorithm::P256)
            })
            .unwrap();
        let certificate = certificate_for(test_card.folder(), &public_key);
        test_card
            .administer(&mut writing, |administration| {
                administration.write_certificate(KeyReference::Authentication, &certificate)
            })
            .unwrap();
        let after = reading.contents().unwrap();
        let entry = after.key(KeyReference::Authentication).unwrap();
        assert_eq!(entry.certificate.as_deref(), Some(certificate.as_slice()));
        assert_eq!(entry.public_key.as_ref(), Some(&public_key));
        // What did not change was not parsed again.
        let untouched = |contents: &middleware::CardContents| {
            Arc::clone(contents.keys.iter().find(|key| key.reference == KeyReference::KeyManagement).unwrap())
        };
        assert!(Arc::ptr_eq(&untouched(&before), &untouched(&after)));
    }
}

/// No reset, no logout, no word to anybody: a program that leaves the card open after it wrote.
#[test]
fn what_a_foreign_program_writes_without_a_reset_is_seen_at_once() {
    let test_card = issued(Kind::YubiKey54);
    let reader = SharedReader::new(&test_card);
    let (mut first, mut second) = (reader.connect(), reader.connect());
    first.contents().unwrap();
    // The management key is the factory's, triple DES: one block, answered as any client does.
    let challenge = reader.foreign("00 87 03 9B 04 7C 02 81 00 00");
    let response = triple_des(&challenge[4..12]);
    assert_eq!(reader.foreign(&format!("00 87 03 9B 0C 7C 0A 82 08 {response}")), [0x90, 0x00]);
    assert_eq!(reader.foreign("00 DB 3F FF 07 5C 03 5F C1 0A 53 00"), [0x90, 0x00]);
    // Another program of ours comes in between, and seals the card too.
    assert!(second.contents().unwrap().key(KeyReference::DigitalSignature).unwrap().certificate.is_none());
    let contents = first.contents().unwrap();
    assert!(contents.key(KeyReference::DigitalSignature).unwrap().certificate.is_none());
}

fn triple_des(block: &[u8]) -> String {
    use cipher::{BlockCipherEncrypt as _, KeyInit as _};
    let key: Vec<u8> = (1..=8).cycle().take(24).collect();
    let mut block = cipher::Block::<des::TdesEde3>::try_from(block).unwrap();
    des::TdesEde3::new_from_slice(&key).unwrap().encrypt_block(&mut block);
    hex::encode(block)
}

#[test]
fn a_reading_or_resetting_neighbour_costs_a_reading_and_changes_nothing() {
    let test_card = issued(Kind::Standard);
    let reader = SharedReader::new(&test_card);
    let mut card = reader.connect();
    let first = card.contents().unwrap();
    reader.foreign("00 CB 3F FF 05 5C 03 5F C1 02 00");
    let (commands, contents) = reader.count(|| card.contents().unwrap());
    assert!(commands > 4);
    assert!(Arc::ptr_eq(&contents, &first));
    reader.card.lock().unwrap().reset();
    assert!(Arc::ptr_eq(&card.contents().unwrap(), &first));
}

#[test]
fn a_new_chuid_written_elsewhere_is_the_cards_new_identity() {
    let test_card = issued(Kind::YubiKey57);
    let reader = SharedReader::new(&test_card);
    let (mut reading, mut writing) = (reader.connect(), reader.connect());
    reading.contents().unwrap();
    let chuid = middleware::piv::objects::Chuid { guid: [0xC0; 16], expiration: *b"20301231" };
    test_card
        .administer(&mut writing, |administration| {
            administration.write_object(DataObject::CHUID, &chuid.to_bytes())
        })
        .unwrap();
    assert_eq!(reading.contents().unwrap().identity.guid, Some([0xC0; 16]));
    assert_eq!(reading.identity().unwrap().guid, Some([0xC0; 16]));
}

#[test]
fn a_broken_certificate_hides_no_other() {
    let test_card = issued(Kind::YubiKey57);
    let mut card = test_card.open();
    let object = KeyReference::DigitalSignature.certificate_object();
    for rubbish in [&[0x70, 0x20, 0x30][..], &[0x70, 0x02, 0x30, 0x00, 0x71, 1, 0, 0xFE, 0]] {
        test_card
            .administer(&mut card, |administration| administration.write_object(object, rubbish))
            .unwrap();
        let contents = card.contents().unwrap();
        assert_eq!(contents.keys.len(), 4);
        let broken = contents.key(KeyReference::DigitalSignature).unwrap();
        assert!(broken.problem.is_some() && broken.public_key.is_none());
    }
}

#[test]
fn a_key_without_certificate_is_known_where_the_card_tells_of_it() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let public_key = test_card
        .administer(&mut card, |administration| {
            administration.generate(KeyReference::Authentication, KeyAlgorithm::P256)
        })
        .unwrap();
    let contents = card.contents().unwrap();
    let [entry] = contents.keys.as_slice() else { panic!("{} keys", contents.keys.len()) };
    assert_eq!((entry.public_key.as_ref(), entry.certificate.as_ref()), (Some(&public_key), None));
    let metadata = card.transaction().unwrap().key_metadata(KeyReference::Authentication).unwrap().unwrap();
    assert_eq!(metadata.origin, Some(middleware::KeyOrigin::Generated));
    assert_eq!(metadata.public_key, Some(public_key));
}

/// The rest of an answer that waits on the card is public, and in nobody's way.
#[test]
fn the_seal_disturbs_no_other_program() {
    let test_card = issued(Kind::Standard);
    let reader = SharedReader::new(&test_card);
    let mut card = reader.connect();
    card.contents().unwrap();
    let chuid = reader.foreign("00 CB 3F FF 05 5C 03 5F C1 02 00");
    assert!(chuid.starts_with(&[0x53, 0x3B]) && chuid.ends_with(&[0x90, 0x00]));
    card.contents().unwrap();
    assert_eq!(reader.foreign("00 20 00 80"), [0x63, 0xC3]);
    card.contents().unwrap();
    assert_eq!(reader.foreign("00 A4 04 00 05 A0 00 00 03 08 00").last_chunk(), Some(&[0x90, 0x00]));
}
