//! Bytes as people read them: TLV as a tree where it is TLV, else hex with its letters; status words in words.
//!
//! True BER is taken apart by the crate `iso7816-tlv`. What only looks like BER (PIV's inner tags, see
//! `middleware/src/apdu/ber_tlv.rs`) it refuses; that is shown by one level of tags at a time.
use std::fmt::Write as _;

use iso7816_tlv::ber::{Tlv, Value};

/// Longer values are cut.
const LONGEST_SHOWN: usize = 1024;

/// `00 A4 04 00`
pub(super) fn bytes(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(" ")
}

/// As a tree if it is TLV from end to end, else as a dump.
pub(super) fn data(data: &[u8]) -> String {
    let mut text = String::new();
    if let Some(objects) = true_ber(data) {
        for object in &objects {
            tree(&mut text, object, 0);
        }
    } else if !flat(&mut text, data, 0) {
        dump(&mut text, data, 0);
    }
    text
}

/// Only what the crate writes again byte for byte has it understood.
fn true_ber(data: &[u8]) -> Option<Vec<Tlv>> {
    let objects = Tlv::parse_all(data);
    let again: Vec<u8> = objects.iter().flat_map(Tlv::to_vec).collect();
    (!objects.is_empty() && again == data).then_some(objects)
}

fn tree(text: &mut String, object: &Tlv, depth: usize) {
    let tag = object.tag().to_bytes().iter().fold(String::new(), |mut tag, byte| {
        let _ = write!(tag, "{byte:02X}");
        tag
    });
    match object.value() {
        Value::Constructed(inner) => {
            let _ = writeln!(text, "{:1$}{tag}", "", 2 * depth);
            for object in inner {
                tree(text, object, depth + 1);
            }
        }
        Value::Primitive(value) => leaf(text, &tag, value, depth),
    }
}

/// One-byte tags with BER lengths, as inside PIV's data objects; nothing is written unless all of it is.
fn flat(text: &mut String, data: &[u8], depth: usize) -> bool {
    let mut lines = String::new();
    let mut rest = data;
    while let Some((object, after)) = split_object(rest) {
        let (tag, value) = object;
        leaf(&mut lines, &tag, value, depth);
        rest = after;
    }
    let is_whole = rest.is_empty() && !data.is_empty();
    if is_whole {
        text.push_str(&lines);
    }
    is_whole
}

type Object<'a> = (String, &'a [u8]);

fn split_object(bytes: &[u8]) -> Option<(Object<'_>, &[u8])> {
    // Two- and three-byte tags occur at the outside only: 7F49, 5FC102.
    let tag_length = match bytes {
        [0x5F, _, third, ..] if third & 0x80 != 0 || bytes.get(1).is_some_and(|byte| byte & 0x80 != 0) => 3,
        [0x5F | 0x7F, ..] => 2,
        [_, ..] => 1,
        [] => return None,
    };
    let (tag, rest) = bytes.split_at_checked(tag_length)?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0x00..=0x7F => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0F))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some(((bytes_without_spaces(tag), value), rest))
}

fn bytes_without_spaces(bytes: &[u8]) -> String {
    hex::encode_upper(bytes)
}

/// A short value beside its tag, a long one below it.
fn leaf(text: &mut String, tag: &str, value: &[u8], depth: usize) {
    let _ = write!(text, "{:1$}{tag} ({2})", "", 2 * depth, value.len());
    // What GET DATA answers: within are tags of PIV's own.
    let mut inside = String::new();
    if tag == "53" && flat(&mut inside, value, depth + 1) {
        text.push('\n');
        text.push_str(&inside);
        return;
    }
    match value {
        [] => text.push('\n'),
        value if value.len() <= 16 => {
            let _ = writeln!(text, "  {}{}", bytes(value), letters_if_text(value));
        }
        value => {
            text.push('\n');
            dump(text, value, depth + 1);
        }
    }
}

fn letters_if_text(value: &[u8]) -> String {
    let is_text = value.len() > 3 && value.iter().all(|byte| (0x20..0x7F).contains(byte));
    if is_text { format!("  {:?}", String::from_utf8_lossy(value)) } else { String::new() }
}

fn dump(text: &mut String, data: &[u8], depth: usize) {
    for (row, chunk) in data.chunks(16).enumerate().take(LONGEST_SHOWN / 16) {
        let letters: String = chunk
            .iter()
            .map(|&byte| if (0x20..0x7F).contains(&byte) { char::from(byte) } else { '.' })
            .collect();
        let _ = writeln!(text, "{:1$}{2:04X}  {3:<47}  {letters}", "", 2 * depth, 16 * row, bytes(chunk));
    }
    if data.len() > LONGEST_SHOWN {
        let _ = writeln!(text, "{:1$}... and {2} bytes more", "", 2 * depth, data.len() - LONGEST_SHOWN);
    }
}

/// SW1 SW2 in words (ISO 7816-4 section 5.6; SP 800-73-5 Part 1 section 5.6).
pub(super) fn status(status: u16) -> String {
    match status {
        0x9000 => "done".to_owned(),
        0x6300 => "the comparison failed".to_owned(),
        0x63C0..=0x63CF => format!("wrong, {} tries left", status & 0x0F),
        0x6100..=0x61FF => "more of the answer waits: > 00 C0 00 00 00".to_owned(),
        0x6C00..=0x6CFF => format!("repeat with Le {:02X}", status & 0xFF),
        0x6700 => "wrong length".to_owned(),
        0x6882 => "secure messaging is not supported".to_owned(),
        0x6982 => "not allowed: PIN, management key or touch is missing".to_owned(),
        0x6983 => "blocked: no tries are left".to_owned(),
        0x6985 => "the conditions of use are not met".to_owned(),
        0x6A80 => "wrong data".to_owned(),
        0x6A81 => "function not supported".to_owned(),
        0x6A82 => "not there".to_owned(),
        0x6A84 => "no room".to_owned(),
        0x6A86 => "wrong P1 or P2".to_owned(),
        0x6A88 => "no such reference".to_owned(),
        0x6B00 => "wrong P1 or P2".to_owned(),
        0x6D00 => "unknown command".to_owned(),
        0x6E00 => "unknown class".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_ber_is_a_tree() {
        let answer = hex::decode("61114F0600001000010079074F05A000000308").unwrap();
        let text = data(&answer);
        assert_eq!(text, "61\n  4F (6)  00 00 10 00 01 00\n  79\n    4F (5)  A0 00 00 03 08\n");
    }

    #[test]
    fn what_only_looks_like_ber_is_shown_by_its_tags() {
        let chuid = hex::decode("3019D4E739DA739CED39CE739D836858210842108421C84210C3EB341000112233445566778899AABBCCDDEEFF350832303330313233313E00FE00").unwrap();
        let text = data(&chuid);
        assert!(text.starts_with("30 (25)\n  0000  D4 E7"), "{text}");
        assert!(text.contains("35 (8)  32 30 33 30 31 32 33 31  \"20301231\"\n3E (0)\nFE (0)\n"), "{text}");
    }

    #[test]
    fn a_whole_answer_is_taken_apart_too() {
        let history = hex::decode("5308C10102C20100FE00").unwrap();
        assert_eq!(data(&history), "53 (8)\n  C1 (1)  02\n  C2 (1)  00\n  FE (0)\n");
    }

    #[test]
    fn anything_else_is_a_dump() {
        assert_eq!(data(&[0x01, 0x05, 0x02]), "0000  01 05 02                                         ...\n");
        assert_eq!(data(&[]), "");
        assert!(data(&[0xAA; 5000]).ends_with("... and 3976 bytes more\n"));
    }

    #[test]
    fn status_words_are_told_in_words() {
        assert_eq!(status(0x63C2), "wrong, 2 tries left");
        assert_eq!(status(0x9000), "done");
        assert_eq!(status(0x6F00), "");
    }
}
