//! The vpcd protocol against a reader of our own: framing, events, endings.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use card_sim::iso7816::atr;
use card_sim::transport::{CardInReader, vpcd};
use support::{Hand, PIN, apdu, tlv};
use zeroize::Zeroizing;

/// A reader with a card in it, served by a thread.
struct Reader {
    stream: TcpStream,
    seen: Arc<AtomicUsize>,
    card: JoinHandle<(Hand, std::io::Result<()>)>,
}

impl Reader {
    fn with_card(kind: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut hand = Hand::blank(kind);
        hand.card.power_off();
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let card = thread::spawn(move || {
            let stream = TcpStream::connect(address).unwrap();
            let result = vpcd::serve(&stream, &mut hand.card, || {
                counter.fetch_add(1, Ordering::SeqCst);
            });
            (hand, result)
        });
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream, seen, card }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn read(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length).unwrap();
        let mut payload = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut payload).unwrap();
        payload
    }

    fn exchange(&mut self, payload: &[u8]) -> Vec<u8> {
        self.write(&frame(payload));
        self.read()
    }

    /// Removes the card and returns it.
    fn end(self) -> (Hand, std::io::Result<()>) {
        self.stream.shutdown(Shutdown::Both).unwrap();
        self.card.join().unwrap()
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&u16::try_from(payload.len()).unwrap().to_be_bytes()[..], payload].concat()
}

const OFF: &[u8] = &[0];
const ON: &[u8] = &[1];
const RESET: &[u8] = &[2];
const ATR: &[u8] = &[4];

#[test]
fn only_the_atr_event_is_answered() {
    let mut reader = Reader::with_card("standard");
    assert_eq!(reader.exchange(ATR), atr::STANDARD);
    // Power on, reset, an unknown event and an empty frame have no answer: the next one is the ATR's.
    reader.write(&[frame(ON), frame(RESET), frame(&[9]), frame(&[])].concat());
    assert_eq!(reader.exchange(ATR), atr::STANDARD);
    assert_eq!(reader.exchange(&apdu(0x20, 0, 0x80, &[])), [0x63, 0xC3]);
    assert_eq!(reader.seen.load(Ordering::SeqCst), 2);
    assert!(reader.end().1.is_ok());
}

#[test]
fn frames_may_arrive_in_pieces_or_together() {
    let mut reader = Reader::with_card("yubikey5 5.7");
    let select = frame(&apdu(0xA4, 4, 0, &[0xA0, 0, 0, 3, 8]));
    reader.write(&frame(ON));
    for byte in &select {
        reader.write(&[*byte]);
    }
    let template = reader.read();
    assert!(template.ends_with(&[0x90, 0x00]));
    reader.write(&[&select[..], &select, &select[..5]].concat());
    assert_eq!(reader.read(), template);
    assert_eq!(reader.read(), template);
    reader.write(&select[5..]);
    assert_eq!(reader.read(), template);
    assert!(reader.end().1.is_ok());
}

#[test]
fn power_events_do_what_they_say() {
    let mut reader = Reader::with_card("standard");
    let status = apdu(0x20, 0, 0x80, &[]);
    let verify = apdu(0x20, 0, 0x80, PIN);
    reader.write(&frame(ON));
    for event in [&[RESET][..], &[OFF, ON]] {
        assert_eq!(reader.exchange(&verify), [0x90, 0x00]);
        // Being asked for the ATR, which the reader does all the time, changes nothing.
        assert_eq!(reader.exchange(ATR), atr::STANDARD);
        assert_eq!(reader.exchange(&status), [0x90, 0x00]);
        for event in event {
            reader.write(&frame(event));
        }
        assert_eq!(reader.exchange(&status), [0x63, 0xC3]);
    }
    assert_eq!(reader.exchange(&verify), [0x90, 0x00]);
    let (mut hand, _) = reader.end();
    // Pulling the card takes its power.
    hand.card.power_on();
    assert_eq!(hand.command(0x20, 0, 0x80, &[]).1, 0x63C3);
}

#[test]
fn the_largest_frames_pass() {
    let mut reader = Reader::with_card("standard");
    reader.write(&frame(ON));
    let longest = [&[0, 0xCB, 0x3F, 0xFF, 0, 0xFF, 0xF6][..], &vec![0x5C; 0xFFF6], &[0, 0]].concat();
    assert_eq!(longest.len(), 0xFFFF);
    assert_eq!(reader.exchange(&longest), [0x6A, 0x84]);
    let object = [tlv(0x5C, &[0x5F, 0xC1, 0x05]), tlv(0x53, &[1; 13_000])].concat();
    let (mut hand, _) = reader.end();
    hand.card.power_on();
    hand.authenticate();
    assert_eq!(hand.command(0xDB, 0x3F, 0xFF, &object).1, 0x9000);
}

#[test]
fn a_frame_cut_off_is_an_error() {
    let mut reader = Reader::with_card("standard");
    reader.write(&[0, 5, 1]);
    let (_, result) = reader.end();
    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

/// A card that counts how its answers leave: the reader must be able to read each in one go.
#[test]
fn an_answer_leaves_in_one_piece() {
    struct Long;
    impl CardInReader for Long {
        fn answer_to_reset(&self) -> Vec<u8> {
            vec![0x3B; 33]
        }
        fn power_on(&mut self) {}
        fn power_off(&mut self) {}
        fn reset(&mut self) {}
        fn transmit(&mut self, _command: &[u8]) -> Zeroizing<Vec<u8>> {
            Zeroizing::new(vec![7; 1000])
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let card = thread::spawn(move || {
        let stream = TcpStream::connect(address).unwrap();
        vpcd::serve(&stream, &mut Long, || ())
    });
    let (mut stream, _) = listener.accept().unwrap();
    let mut sizes = Vec::new();
    for _ in 0..50 {
        stream.write_all(&frame(&[0, 0xCB, 0, 0])).unwrap();
        let mut buffer = [0; 4096];
        sizes.push(stream.read(&mut buffer).unwrap());
    }
    stream.shutdown(Shutdown::Both).unwrap();
    card.join().unwrap().unwrap();
    assert_eq!(sizes, [1002; 50]);
}
