//! A log of what passes between reader and card, with everything secret hidden.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::CardInReader;

const GET_RESPONSE: u8 = 0xC0;
const CHAINING_BIT: u8 = 0x10;
const SUCCESS: [u8; 2] = [0x90, 0x00];

/// Where traces go; several cards may share one.
pub type TraceSink = Arc<Mutex<dyn Write + Send>>;

/// A card whose traffic is logged: `NAME > command`, `NAME < response`, one APDU a line.
///
/// Hidden are PIN, PUK and management key, private keys on their way in, what private keys compute,
/// and data objects unless they are known to be public.
pub struct TracedCard<C> {
    card: C,
    name: String,
    sink: TraceSink,
    /// The response to the previous command was hidden, so its continuation is too.
    hides_response: bool,
    /// INS, P1 and P2 of a command that is coming in fragments, and what the first of them made hidden.
    chain: Option<([u8; 3], Hidden)>,
}

/// What of a command is not shown.
#[derive(Clone, Copy, Default)]
struct Hidden {
    data: bool,
    response: bool,
}

impl<C: CardInReader> TracedCard<C> {
    /// Logs what passes to and from `card` under a name.
    pub fn new(card: C, name: String, sink: TraceSink) -> Self {
        Self { card, name, sink, hides_response: false, chain: None }
    }

    fn log(&self, text: &str) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let written = writeln!(sink, "{} {text}", self.name).and_then(|()| sink.flush());
        if let Err(error) = written {
            tracing::warn!("cannot write the trace: {error}");
        }
    }

    /// A fragment is as secret as the one that began its command; anything else is judged by itself.
    fn hidden(&self, command: &[u8]) -> Hidden {
        match self.chain {
            Some((begun, hidden)) if command.get(1..4) == Some(&begun) => hidden,
            _ if command.get(1) == Some(&GET_RESPONSE) => {
                Hidden { data: false, response: self.hides_response }
            }
            _ => Hidden::of(command),
        }
    }
}

impl<C: CardInReader> CardInReader for TracedCard<C> {
    fn answer_to_reset(&self) -> Vec<u8> {
        self.card.answer_to_reset()
    }

    fn power_on(&mut self) {
        self.card.power_on();
        self.chain = None;
        self.log(&format!("power on, ATR {}", shown(&self.card.answer_to_reset(), 0, &[])));
    }

    fn power_off(&mut self) {
        self.card.power_off();
        self.chain = None;
        self.log("power off");
    }

    fn reset(&mut self) {
        self.card.reset();
        self.chain = None;
        self.log("reset");
    }

    fn transmit(&mut self, command: &[u8]) -> Zeroizing<Vec<u8>> {
        let hidden = self.hidden(command);
        self.log(&format!("> {}", show_command(command, hidden)));
        let response = self.card.transmit(command);
        self.log(&format!("< {}", show_response(&response, hidden)));
        self.hides_response = hidden.response;
        self.chain = match command {
            // A fragment that the card refuses ends the chain.
            [class, ins, p1, p2, ..] if class & CHAINING_BIT != 0 && response.as_slice() == SUCCESS => {
                Some(([*ins, *p1, *p2], hidden))
            }
            _ => None,
        };
        response
    }
}

impl Hidden {
    /// What is hidden of a command that no fragment came before.
    fn of(command: &[u8]) -> Self {
        let Some((&[_, instruction, _, p2], body)) = command.split_first_chunk::<4>() else {
            return Self::default();
        };
        let field = data_field(body).unwrap_or_default();
        match (instruction, p2) {
            // VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER, and a YubiKey's import and key change.
            (0x20 | 0x24 | 0x2C | 0xFE | 0xFF, _) => Self { data: true, response: false },
            // An exchange with the management key; and whatever a private key computed.
            (0x87, p2) => Self { data: p2 == 0x9B, response: true },
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
}

/// The data field of a command whose lengths agree, short or extended.
fn data_field(body: &[u8]) -> Option<&[u8]> {
    let (length, rest) = match body {
        [0, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [length, rest @ ..] => (usize::from(*length), rest),
        [] => return None,
    };
    let (field, expected_length) = rest.split_at_checked(length)?;
    (expected_length.len() <= 2).then_some(field)
}

/// The tag in a tag list at the beginning of a data field, when all of it is there; and what follows.
fn named_object(field: &[u8]) -> Option<(&[u8], &[u8])> {
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
            [0x7E] | [0x7F, 0x61] | [0x5F, 0xFF, 0x53] => true,
            // Not 03, 08, 09, 21 and 23, which need the PIN.
            [0x5F, 0xC1, number] => matches!(number, 0x01 | 0x02 | 0x05..=0x07 | 0x0A..=0x20 | 0x22),
            _ => false,
        },
        _ => false,
    }
}

fn show_command(command: &[u8], hidden: Hidden) -> String {
    let (header, body) = command.split_at_checked(4).unwrap_or((command, &[]));
    // One byte after the header is Le.
    if hidden.data && body.len() > 1 { shown(header, body.len(), &[]) } else { shown(command, 0, &[]) }
}

fn show_response(response: &[u8], hidden: Hidden) -> String {
    let status_at = response.len().saturating_sub(2);
    let (data, status) = response.split_at_checked(status_at).unwrap_or((&[], response));
    if hidden.response { shown(&[], data.len(), status) } else { shown(response, 0, &[]) }
}

fn shown(begin: &[u8], hidden: usize, end: &[u8]) -> String {
    let mut text = String::new();
    for byte in begin {
        let _ = write!(text, "{byte:02X} ");
    }
    if hidden > 0 {
        let _ = write!(text, "[{hidden} bytes hidden] ");
    }
    for byte in end {
        let _ = write!(text, "{byte:02X} ");
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers fragments with 9000, or with 6700 when they end with EE, and everything else with the same bytes.
    struct Echo;

    impl CardInReader for Echo {
        fn answer_to_reset(&self) -> Vec<u8> {
            vec![0x3B, 0x00]
        }
        fn power_on(&mut self) {}
        fn power_off(&mut self) {}
        fn reset(&mut self) {}
        fn transmit(&mut self, command: &[u8]) -> Zeroizing<Vec<u8>> {
            Zeroizing::new(match command {
                [0x10, .., 0xEE] => vec![0x67, 0x00],
                [0x10, ..] => vec![0x90, 0x00],
                _ => vec![0x5E, 0xC2, 0x90, 0x00],
            })
        }
    }

    fn trace(commands: &[&str]) -> String {
        let sink = Arc::new(Mutex::new(Vec::new()));
        let mut card = TracedCard::new(Echo, "card".to_owned(), sink.clone());
        for command in commands {
            card.transmit(&hex::decode(command.replace(' ', "")).unwrap());
        }
        let bytes = sink.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn public_traffic_is_shown_whole() {
        let text = trace(&["00 CB 3F FF 05 5C 03 5F C1 02 00"]);
        assert_eq!(text, "card > 00 CB 3F FF 05 5C 03 5F C1 02 00\ncard < 5E C2 90 00\n");
    }

    #[test]
    fn pins_and_keys_on_their_way_in_are_hidden() {
        for command in [
            "00 20 00 80 08 31 32 33 34 35 36 FF FF",
            "00 24 00 80 10 31 32 33 34 35 36 FF FF 31 32 33 34 35 36 FF FF",
            "00 2C 00 80 10 31 32 33 34 35 36 FF FF 31 32 33 34 35 36 FF FF",
            "00 FF FF FF 1B 03 9B 18 31 32 33 34 35 36 31 32 33 34 35 36",
            "10 FE 07 9A 08 01 06 31 32 33 34 35 36",
            "00 87 03 9B 0A 7C 08 82 06 31 32 33 34 35 36",
            "00 DB 3F FF 0D 5C 03 5F C1 09 53 06 31 32 33 34 35 36",
            "00 DB 3F FF 00 00 0D 5C 03 5F C1 09 53 06 31 32 33 34 35 36",
        ] {
            let text = trace(&[command]);
            assert!(!text.contains("31 32 33") && text.contains("bytes hidden"), "{text}");
        }
    }

    #[test]
    fn later_fragments_of_a_hidden_command_are_hidden() {
        for first in ["05 5C 03 5F C1 09", "02 5C 03", "04 5C 03 5F C1", "", "06 5C 81 03 5F C1 09"] {
            let text = trace(&[
                &format!("10 DB 3F FF {first}"),
                "10 DB 3F FF 08 5F C1 09 53 03 31 32 33",
                "00 DB 3F FF 03 31 32 33",
            ]);
            assert!(!text.contains("31 32 33"), "{first}: {text}");
        }
        let text = trace(&["10 FE 07 9A", "00 FE 07 9A 05 01 03 31 32 33"]);
        assert!(!text.contains("31 32 33"), "{text}");
    }

    #[test]
    fn later_fragments_of_a_public_object_are_shown_until_the_chain_ends() {
        let begin = "10 DB 3F FF 09 5C 03 5F C1 05 53 03 41 42";
        let text = trace(&[begin, "00 DB 3F FF 01 43"]);
        assert!(text.contains("41 42") && text.contains("00 DB 3F FF 01 43"), "{text}");
        let secret = "00 DB 3F FF 0A 5C 03 5F C1 09 53 03 31 32 33";
        for between in [
            "00 CB 3F FF 05 5C 03 5F C1 05 00",
            "00 C0 00 00 00",
            "0C DB 3F FF 01 00",
            "10 DB 3F",
            "10 DB 3F FF 09 EE",
        ] {
            let text = trace(&[begin, between, secret]);
            assert!(!text.contains("31 32 33"), "{between}: {text}");
        }
    }

    #[test]
    fn objects_are_hidden_unless_known_to_be_public() {
        for list in [
            "05 5C 03 5F C1 03",
            "05 5C 03 5F C1 08",
            "05 5C 03 5F C1 09",
            "05 5C 03 5F C1 21",
            "05 5C 03 5F C1 23",
            "05 5C 03 5F FF 00",
            "06 5C 81 03 5F C1 02",
            "00 00 05 5C 03 5F C1 09",
            "05 5C 03 5F C1",
            "",
        ] {
            let text = trace(&[&format!("00 CB 3F FF {list}")]);
            assert!(!text.contains("5E C2"), "{list}: {text}");
        }
        for list in ["03 5C 01 7E", "05 5C 03 5F C1 20 00", "00 00 05 5C 03 5F C1 05 00 00"] {
            let text = trace(&[&format!("00 CB 3F FF {list}")]);
            assert!(text.contains("5E C2") && text.contains(list), "{list}: {text}");
        }
        assert!(
            trace(&["00 CB 3F FF 05 5C 03 5F C1 09 00"]).contains("5F C1 09"),
            "which one was read is shown"
        );
    }

    #[test]
    fn what_a_private_key_computed_is_hidden_to_its_last_part() {
        let text = trace(&["00 87 07 9D 04 7C 02 82 00 00", "00 C0 00 00 00", "00 FD 00 00 00"]);
        assert_eq!(text.matches("5E C2").count(), 1, "{text}");
        assert_eq!(text.matches("[2 bytes hidden] 90 00").count(), 2, "{text}");
    }
}
