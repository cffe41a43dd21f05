//! Commands and status words in words. Nothing secret is in them.

use super::masking::{data_field, named_object};

/// A command in words, such as `VERIFY, card application PIN`.
#[must_use]
pub fn command(command: &[u8]) -> String {
    let Some((&[class, instruction, p1, p2], body)) = command.split_first_chunk::<4>() else {
        return "no command: shorter than four bytes".to_owned();
    };
    let field = data_field(body).unwrap_or_default();
    let name = match instruction {
        0x01 | 0x1C => "WRITE CONFIG".to_owned(),
        0x1D => "READ CONFIG".to_owned(),
        0x20 => verify(p1, p2, body),
        0x24 => format!("CHANGE REFERENCE DATA, {}", reference(p2)),
        0x2C => format!("RESET RETRY COUNTER, {}", reference(p2)),
        0x47 => format!("GENERATE ASYMMETRIC KEY PAIR, {}", reference(p2)),
        0x87 => format!("GENERAL AUTHENTICATE, {}", reference(p2)),
        0xA4 => format!("SELECT {}", hex::encode_upper(field)).trim_end().to_owned(),
        0xC0 => "GET RESPONSE".to_owned(),
        0xCB => format!("GET DATA{}", object(field)),
        0xDB => format!("PUT DATA{}", object(field)),
        0xF6 if p1 == 0xFF => format!("DELETE KEY, {}", reference(p2)),
        0xF6 => format!("MOVE KEY, {} to {}", reference(p2), reference(p1)),
        0xF7 => format!("GET METADATA, {}", reference(p2)),
        0xF8 => "GET SERIAL".to_owned(),
        0xF9 => format!("ATTEST, {}", reference(p1)),
        0xFA => "SET PIN RETRIES".to_owned(),
        0xFB => "RESET".to_owned(),
        0xFD => "GET VERSION".to_owned(),
        0xFE => format!("IMPORT ASYMMETRIC KEY, {}", reference(p2)),
        0xFF => "SET MANAGEMENT KEY".to_owned(),
        other => format!("instruction {other:02X}"),
    };
    match class {
        0x00 => name,
        0x10 => format!("{name}, a fragment"),
        other => format!("{name}, class {other:02X}"),
    }
}

fn verify(p1: u8, p2: u8, body: &[u8]) -> String {
    let what = match (p1, body) {
        (0xFF, _) => "log out",
        (_, [] | [_]) => "tries left?",
        _ => return format!("VERIFY, {}", reference(p2)),
    };
    format!("VERIFY, {}, {what}", reference(p2))
}

/// A key reference (SP 800-73-5 Part 1 tables 4 and 5).
fn reference(byte: u8) -> String {
    let name = match byte {
        0x00 => "Global PIN",
        0x80 => "PIN",
        0x81 => "PUK",
        0x96 => "primary finger",
        0x97 => "secondary finger",
        0x98 => "pairing code",
        0x9A => "PIV authentication key 9A",
        0x9B => "management key 9B",
        0x9C => "digital signature key 9C",
        0x9D => "key management key 9D",
        0x9E => "card authentication key 9E",
        0xF9 => "attestation key F9",
        0x82..=0x95 => return format!("retired key {byte:02X}"),
        _ => return format!("reference {byte:02X}"),
    };
    name.to_owned()
}

/// The data object that a field of GET DATA or PUT DATA names (SP 800-73-5 Part 1 table 3).
fn object(field: &[u8]) -> String {
    let tag = match (field, named_object(field)) {
        (_, Some((tag, _))) => tag,
        ([0x7E, ..], _) => &[0x7E],
        ([0x7F, 0x61, ..], _) => &[0x7F, 0x61],
        _ => return String::new(),
    };
    let name = match tag {
        [0x7E] => "discovery object",
        [0x7F, 0x61] => "biometric group template",
        [0x5F, 0xC1, number] => match number {
            0x01 => "certificate 9E",
            0x02 => "CHUID",
            0x03 => "fingerprints",
            0x05 => "certificate 9A",
            0x06 => "security object",
            0x07 => "capability container",
            0x08 => "facial image",
            0x09 => "printed information",
            0x0A => "certificate 9C",
            0x0B => "certificate 9D",
            0x0C => "key history",
            0x0D..=0x20 => {
                return format!(" {}, certificate {:02X}", hex::encode_upper(tag), number + 0x75);
            }
            0x21 => "iris images",
            0x22 => "certificate of the secure messaging signer",
            0x23 => "pairing code",
            _ => "",
        },
        [0x5F, 0xFF, 0x53] => "mark of an emulated card",
        _ => "",
    };
    let comma = if name.is_empty() { "" } else { ", " };
    format!(" {}{comma}{name}", hex::encode_upper(tag))
}

/// The status word at the end of some bytes, in words (ISO 7816-4 section 5.6; SP 800-73-5 Part 1 table 7).
#[must_use]
pub fn status_of(bytes: &[u8]) -> Option<String> {
    let [.., high, low] = bytes else { return None };
    let name = match (high, low) {
        (0x90, 0x00) => "success",
        (0x61, 0x00) => return Some("256 bytes or more wait".to_owned()),
        (0x61, count) => return Some(format!("{count} bytes wait")),
        (0x63, 0x00) => "verification failed",
        (0x63, 0xC0..=0xCF) => return Some(format!("{} tries left", low & 0x0F)),
        (0x65, 0x81) => "memory failure",
        (0x67, 0x00) => "wrong length",
        (0x68, 0x81) => "logical channel not supported",
        (0x68, 0x82) => "secure messaging not supported",
        (0x68, 0x83) => "last fragment expected",
        (0x68, 0x84) => "command chaining not supported",
        (0x69, 0x82) => "security status not satisfied",
        (0x69, 0x83) => "authentication method blocked",
        (0x69, 0x85) => "conditions of use not satisfied",
        (0x69, 0x86) => "command not allowed",
        (0x69, 0x87) => "secure messaging data objects missing",
        (0x69, 0x88) => "secure messaging data objects incorrect",
        (0x6A, 0x80) => "incorrect data",
        (0x6A, 0x81) => "function not supported",
        (0x6A, 0x82) => "not found",
        (0x6A, 0x84) => "not enough memory",
        (0x6A, 0x86) => "incorrect P1 or P2",
        (0x6A, 0x88) => "referenced data not found",
        (0x6B, 0x00) => "wrong P1 or P2",
        (0x6C, right) => return Some(format!("wrong Le; {right} is right")),
        (0x6D, 0x00) => "instruction not supported",
        (0x6E, 0x00) => "class not supported",
        (0x6F, 0x00) => "no precise diagnosis",
        _ => return Some(format!("status {high:02X}{low:02X}")),
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(command_bytes: &str) -> String {
        command(&hex::decode(command_bytes.replace(' ', "")).unwrap())
    }

    #[test]
    fn commands_have_the_names_of_the_standard() {
        for (bytes, words) in [
            ("00 A4 04 00 05 A0 00 00 03 08", "SELECT A000000308"),
            ("00 20 00 80", "VERIFY, PIN, tries left?"),
            ("00 20 FF 80", "VERIFY, PIN, log out"),
            ("00 20 00 80 08 31 32 33 34 35 36 FF FF", "VERIFY, PIN"),
            ("00 CB 3F FF 05 5C 03 5F C1 02 00", "GET DATA 5FC102, CHUID"),
            ("00 CB 3F FF 05 5C 03 5F C1 20 00", "GET DATA 5FC120, certificate 95"),
            ("00 CB 3F FF 05 5C 03 5F FF 00 00", "GET DATA 5FFF00"),
            ("10 DB 3F FF 01 70", "PUT DATA, a fragment"),
            ("00 87 07 82 00", "GENERAL AUTHENTICATE, retired key 82"),
            ("00 F6 82 9A", "MOVE KEY, PIV authentication key 9A to retired key 82"),
            ("00 F9 9C 00 00", "ATTEST, digital signature key 9C"),
            ("0C 03 00 00", "instruction 03, class 0C"),
            ("00 20 00", "no command: shorter than four bytes"),
        ] {
            assert_eq!(told(bytes), words);
        }
    }

    #[test]
    fn status_words_are_told() {
        assert_eq!(status_of(&[1, 2, 0x63, 0xC2]).unwrap(), "2 tries left");
        assert_eq!(status_of(&[0x61, 0x08]).unwrap(), "8 bytes wait");
        assert_eq!(status_of(&[0x12, 0x34]).unwrap(), "status 1234");
        assert_eq!(status_of(&[0x90]), None);
    }
}
