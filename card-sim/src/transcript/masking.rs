//! What of an exchange is secret.

use super::wording;
use crate::iso7816::ber_tlv::Tlv;

const TEMPLATE: u32 = 0x7C;
const CHALLENGE: u32 = 0x81;
const EXPONENTIATION: u32 = 0x85;

/// What of a command and its answer is not shown.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Hidden {
    pub(super) data: bool,
    pub(super) response: bool,
}

impl Hidden {
    /// What is hidden of a command that no fragment came before.
    pub(super) fn of(command: &[u8]) -> Self {
        let Some((&[class, instruction, algorithm, p2], body)) = command.split_first_chunk::<4>() else {
            return Self::default();
        };
        let field = data_field(body).unwrap_or_default();
        match (instruction, p2) {
            // VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER, a YubiKey's import and key change, and the lock code
            // that may stand in its configuration.
            (0x20 | 0x24 | 0x2C | 0xFE | 0xFF | 0x1C, _) => Self { data: true, response: false },
            // An exchange with the management key; and whatever a private key computed, unless it is a signature.
            (0x87, 0x9B) => Self { data: true, response: true },
            (0x87, _) => Self { data: false, response: class != 0 || !is_signature(algorithm, field) },
            // GET DATA: the tag list alone is no secret.
            (0xCB, _) => Self {
                data: !matches!(named_object(field), Some((_, []))),
                response: !is_of_public_object(field),
            },
            // PUT DATA.
            (0xDB, _) => Self { data: !is_of_public_object(field), response: false },
            _ => Self::default(),
        }
    }

    /// A command with what is hidden of it counted.
    pub(super) fn command(self, command: &[u8]) -> String {
        let (header, body) = command.split_at_checked(4).unwrap_or((command, &[]));
        // One byte after the header is Le.
        match self.data && body.len() > 1 {
            true => format!("{} [{} bytes hidden]", bytes(header), body.len()),
            false => bytes(command),
        }
    }

    /// An answer with what is hidden of it counted.
    pub(super) fn response(self, response: &[u8]) -> String {
        let (data, status) = response.split_at_checked(response.len().saturating_sub(2)).unwrap_or_default();
        match self.response && !data.is_empty() {
            true => format!("[{} bytes hidden] {}", data.len(), bytes(status)),
            false => bytes(response),
        }
    }

    /// The same with its status word in words.
    pub(super) fn response_in_words(self, response: &[u8]) -> String {
        match wording::status_of(response) {
            Some(status) => format!("{}  ({status})", self.response(response)),
            None => "nothing".to_owned(),
        }
    }
}

/// Bytes in hexadecimal digits with spaces between.
pub(super) fn bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

/// Whether GENERAL AUTHENTICATE with this algorithm and template signs: what RSA computes may be a decrypted key.
fn is_signature(algorithm: u8, field: &[u8]) -> bool {
    let is_of_a_curve = matches!(algorithm, 0x11 | 0x14 | 0xE0);
    let template = Tlv::parse_only(field).ok().filter(|template| template.tag == TEMPLATE);
    let parts = template.and_then(|template| Tlv::parse_all(template.value).ok()).unwrap_or_default();
    is_of_a_curve
        && parts.iter().any(|part| part.tag == CHALLENGE)
        && parts.iter().all(|part| part.tag != EXPONENTIATION)
}

/// The data field of a command whose lengths agree, short or extended.
pub(super) fn data_field(body: &[u8]) -> Option<&[u8]> {
    let (length, rest) = match body {
        [0, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [length, rest @ ..] => (usize::from(*length), rest),
        [] => return None,
    };
    let (field, expected_length) = rest.split_at_checked(length)?;
    (expected_length.len() <= 2).then_some(field)
}

/// The tag in a tag list at the beginning of a data field, when all of it is there; and what follows.
pub(super) fn named_object(field: &[u8]) -> Option<(&[u8], &[u8])> {
    match field {
        [0x5C, length @ 1..=3, rest @ ..] => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

/// Whether a data field of GET DATA or PUT DATA is certainly about an object that anyone may read (SP 800-73-5
/// Part 1 table 2). The discovery object and the group template are written without a tag list.
fn is_of_public_object(field: &[u8]) -> bool {
    match (field, named_object(field)) {
        ([0x7E, ..] | [0x7F, 0x61, ..], _) => true,
        // Contents follow in 53, in this fragment or in the next one.
        (_, Some((tag, [] | [0x53, ..]))) => match tag {
            [0x7E] | [0x7F, 0x61] | [0x5F, 0xFF, 0x01 | 0x53] => true,
            // Not 03, 08, 09, 21 and 23, which need the PIN.
            [0x5F, 0xC1, number] => matches!(number, 0x01 | 0x02 | 0x05..=0x07 | 0x0A..=0x20 | 0x22),
            _ => false,
        },
        _ => false,
    }
}
