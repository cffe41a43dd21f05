//! Names in place of secrets, so that a trace that hides them can be played again.

use std::collections::BTreeMap;

use super::masking::{Hidden, bytes, data_field};
use crate::secret::SecretBytes;

const SUCCESS: [u8; 2] = [0x90, 0x00];

/// What is hidden of an exchange with the management key.
const ALL: Hidden = Hidden { data: true, response: true };

/// Names for secret values: equal ones have the same name, so that a trace can be played again with other values.
#[derive(Default)]
pub(super) struct Names(BTreeMap<&'static str, Vec<SecretBytes>>);

impl Names {
    /// A whole command and its answer with names in place of secrets, where their places are known.
    pub(super) fn named(&mut self, command: &[u8], response: &[u8]) -> Option<(String, String)> {
        let (header, body) = command.split_first_chunk::<4>()?;
        let field = data_field(body)?;
        let (begin, end) = around(command, body, field)?;
        let answer = Hidden { data: true, response: header.get(1) == Some(&0x87) }.response(response);
        let told = |data: String| format!("{} {data} {}", bytes(begin), bytes(end)).trim_end().to_owned();
        let mut name = |family, value: &[u8]| self.name(family, value);
        match (header, field) {
            ([_, 0x20, 0x00, reference], value) if value.len() == 8 => {
                Some((told(name(family(*reference)?, value)), answer))
            }
            ([_, 0x24, 0x00, reference], values) if values.len() == 16 => {
                let (old, new) = values.split_at_checked(8)?;
                let family = family(*reference)?;
                Some((told(format!("{} {}", name(family, old), name(family, new))), answer))
            }
            ([_, 0x2C, 0x00, 0x80], values) if values.len() == 16 => {
                let (puk, pin) = values.split_at_checked(8)?;
                Some((told(format!("{} {}", name("PUK", puk), name("PIN", pin))), answer))
            }
            ([_, 0xFF, 0xFF, _], [algorithm, 0x9B, length, key @ ..])
                if key.len() == usize::from(*length) =>
            {
                let key = name("management key", key);
                Some((told(format!("{} {key}", bytes(&[*algorithm, 0x9B, *length]))), answer))
            }
            ([_, 0x87, _, 0x9B], field) => {
                let (data, answer) = administration(field, response)?;
                Some((told(data), answer))
            }
            _ => None,
        }
    }

    /// `[PIN]`, `[PIN 2]`: the place of a value among those of its family. The management key that a card begins with
    /// is never seen: the first one that is set is the second.
    fn name(&mut self, family: &'static str, value: &[u8]) -> String {
        let values = self.0.entry(family).or_default();
        let place = values.iter().position(|known| known.matches(value)).unwrap_or_else(|| {
            values.push(value.into());
            values.len() - 1
        });
        match place + 1 + usize::from(family == "management key") {
            1 => format!("[{family}]"),
            number => format!("[{family} {number}]"),
        }
    }
}

/// The family of values that a reference of VERIFY and CHANGE REFERENCE DATA belongs to.
fn family(reference: u8) -> Option<&'static str> {
    match reference {
        0x00 => Some("Global PIN"),
        0x80 => Some("PIN"),
        0x81 => Some("PUK"),
        0x98 => Some("pairing code"),
        _ => None,
    }
}

/// What stands before the data field, Lc included, and behind it.
fn around<'a>(command: &'a [u8], body: &[u8], field: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let lc = if body.first() == Some(&0) { 3 } else { 1 };
    let begin = command.get(..4 + lc)?;
    Some((begin, command.get(4 + lc + field.len()..)?))
}

/// A step of authentication with the management key: what the card asks is kept, and what the host answers is said by
/// how it comes about. Asking again, the card asks something else.
fn administration(field: &[u8], response: &[u8]) -> Option<(String, String)> {
    let is_right = response.ends_with(&SUCCESS);
    let right = |count: usize, function: &str| match is_right {
        true => function.to_owned(),
        false => format!("[{count} wrong bytes]"),
    };
    match field {
        [0x7C, 2, part @ (0x80 | 0x81), 0] => {
            let name = if *part == 0x80 { "witness" } else { "challenge" };
            let answer = match response {
                [0x7C, outer, tag, inner, value @ .., high, low] if value.len() == usize::from(*inner) => {
                    let begin = bytes(&[0x7C, *outer, *tag, *inner]);
                    format!("{begin} {name}={inner} {}", bytes(&[*high, *low]))
                }
                _ => ALL.response(response),
            };
            Some((bytes(field), answer))
        }
        [0x7C, outer, 0x82, count, value @ ..] if value.len() == usize::from(*count) => {
            let begin = bytes(&[0x7C, *outer, 0x82, *count]);
            let data = format!("{begin} {}", right(value.len(), "encrypt(challenge)"));
            Some((data, ALL.response(response)))
        }
        [0x7C, outer, 0x80, count, rest @ ..] => {
            let (value, rest) = rest.split_at_checked(usize::from(*count))?;
            let begin = bytes(&[0x7C, *outer, 0x80, *count]);
            let data = format!("{begin} {} {}", right(value.len(), "decrypt(witness)"), bytes(rest));
            Some((data, ALL.response(response)))
        }
        _ => None,
    }
}
