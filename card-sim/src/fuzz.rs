//! Plain functions over bytes of strangers, for fuzzing; no command calls them.
//!
//! Each takes whatever it is given: bad input ends in an answer, never in a panic. What they panic about is a fault of
//! this crate. The whole applet has a model of its own in `tests/fuzz/`.

use std::io::{self, Read};
use std::path::Path;

use crate::Card;
use crate::iso7816::CommandApdu;
use crate::iso7816::ber_tlv::{Tlv, encode};
use crate::piv::state::CardState;
use crate::store::image;
use crate::store::memory::MemoryStore;
use crate::transcript::{self, Line, SecretValues, Word};
use crate::transport::vpcd;

/// A command APDU; whether its lengths agree.
///
/// # Panics
/// When the data field is not a part of the bytes.
pub fn command_apdu(input: &[u8]) -> bool {
    let Ok(apdu) = CommandApdu::parse(input) else { return false };
    let is_inside = |data: &[u8]| data.is_empty() || input.windows(data.len()).any(|part| part == data);
    assert!(is_inside(&apdu.data), "a data field that was not sent");
    assert!(
        apdu.expected_length.is_none_or(|length| (1..=65_536).contains(&length)),
        "an Le that no host can mean"
    );
    true
}

/// A sequence of data objects, and those inside; whether it is one.
///
/// # Panics
/// When an object that was read is not the same after it was written and read again.
pub fn ber_tlv(input: &[u8]) -> bool {
    nested_ber_tlv(input, DEEPEST)
}

/// How deep [`ber_tlv`] looks into constructed objects.
const DEEPEST: usize = 16;

fn nested_ber_tlv(input: &[u8], depth: usize) -> bool {
    let Ok(objects) = Tlv::parse_all(input) else { return false };
    // Nothing is ever written with the tag 00, which stands for no tag.
    for object in objects.into_iter().filter(|object| object.tag != 0) {
        let written = encode(object.tag, object.value);
        assert!(Tlv::parse_only(&written) == Ok(object), "written and read, it is another");
        assert!(written.len() <= input.len(), "longer than it was sent");
        if depth > 0 {
            nested_ber_tlv(object.value, depth - 1);
        }
    }
    true
}

/// The image of a state file; whether it is a card.
///
/// # Panics
/// When a card that was read is not the same after it was written and read again.
pub fn state_image(input: &[u8]) -> bool {
    let path = Path::new("a state file");
    let Ok(state) = image::decode::<CardState>(input, path) else { return false };
    let written = image::encode(&state, path).expect("what was read can be written");
    let again = image::decode::<CardState>(&written, path).expect("what was written can be read");
    assert!(
        image::encode(&again, path).is_ok_and(|second| second == written),
        "written and read, it is another"
    );
    true
}

/// The contents of an image, whose checksum is right: a card that remembers this. Whether it is one.
///
/// # Panics
/// When such a card does not answer.
pub fn state_contents(input: &[u8]) -> bool {
    let Ok(state) = ciborium::from_reader::<CardState, _>(input) else { return false };
    let path = Path::new("a state file");
    let image = image::encode(&state, path).expect("what was read can be written");
    let Ok(mut card) = Card::with_store(Box::new(MemoryStore::new(image)), path) else { return false };
    card.power_on();
    for command in COMMANDS {
        assert!(card.transmit(command).len() >= 2, "{command:02X?} is not answered");
    }
    true
}

/// What shows most of a card's memory: SELECT, VERIFY, GET DATA, GET METADATA, GENERAL AUTHENTICATE, ATTEST, READ CONFIG.
const COMMANDS: [&[u8]; 12] = [
    &[0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00],
    &[0x00, 0x20, 0x00, 0x80],
    &[0x00, 0x20, 0x00, 0x80, 0x08, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0xFF, 0xFF],
    &[0x00, 0xCB, 0x3F, 0xFF, 0x05, 0x5C, 0x03, 0x5F, 0xC1, 0x02, 0x00],
    &[0x00, 0xCB, 0x3F, 0xFF, 0x05, 0x5C, 0x03, 0x5F, 0xC1, 0x0C, 0x00],
    &[0x00, 0xCB, 0x3F, 0xFF, 0x03, 0x5C, 0x01, 0x7E, 0x00],
    &[0x00, 0xF7, 0x00, 0x80, 0x00],
    &[0x00, 0xF7, 0x00, 0x9A, 0x00],
    &[0x00, 0x87, 0x11, 0x9A, 0x07, 0x7C, 0x05, 0x82, 0x00, 0x81, 0x01, 0x01, 0x00],
    &[0x00, 0x87, 0x0A, 0x9B, 0x04, 0x7C, 0x02, 0x81, 0x00, 0x00],
    &[0x00, 0xF9, 0x9A, 0x00, 0x00],
    &[0x00, 0xA4, 0x04, 0x00, 0x08, 0xA0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17, 0x00],
];

/// Frames of vpcd, as they come in pieces; whether the stream ends between two.
///
/// # Panics
/// When the pieces make a difference, or a payload is longer than its stream.
pub fn vpcd_frames(input: &[u8]) -> bool {
    let whole = frames_of(Pieces { rest: input, size: usize::MAX });
    for size in [1, 3, 64] {
        assert!(frames_of(Pieces { rest: input, size }) == whole, "pieces of {size} bytes make a difference");
    }
    assert!(
        whole.0.iter().map(|payload| payload.len() + 2).sum::<usize>() <= input.len(),
        "more than was sent"
    );
    whole.1
}

/// The payloads, and whether the stream ended between two frames.
fn frames_of(pieces: Pieces<'_>) -> (Vec<Vec<u8>>, bool) {
    let mut frames = vpcd::Frames::new(pieces, |_| {});
    let mut payloads = Vec::new();
    loop {
        match frames.next() {
            Ok(Some(payload)) => payloads.push(payload.to_vec()),
            Ok(None) => return (payloads, true),
            Err(_) => return (payloads, false),
        }
    }
}

/// Bytes that come in pieces of a size.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.size.min(buffer.len());
        let (mut now, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, &[]));
        self.rest = rest;
        now.read(buffer)
    }
}

/// A transcript, and values for one; whether it is one.
///
/// # Panics
/// When a word that was read is not the same after it was written and read again.
pub fn transcript(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let _ = SecretValues::default().read(text);
    let Ok(lines) = transcript::parse(text) else { return false };
    for numbered in &lines {
        let (sign, words) = match &numbered.line {
            Line::Event(_) => continue,
            Line::Command(words) => ('>', words),
            Line::Answer(words) => ('<', words),
        };
        let shown: Vec<String> = words.iter().map(Word::to_string).collect();
        // A command needs an answer, and an answer a command.
        let before = if sign == '<' { "> 00\n" } else { "" };
        let after = if sign == '>' { "\n<" } else { "" };
        let again = transcript::parse(&format!("{before}{sign} {}{after}", shown.join(" ")));
        let again = again.expect("what was read and written can be read");
        assert!(
            again.iter().any(|line| line.line == numbered.line),
            "written and read, it is another: {shown:?}"
        );
    }
    let _ = transcript::at_reader(lines, None);
    true
}
