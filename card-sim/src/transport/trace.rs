//! A log of what passes between reader and card, with everything secret hidden.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::CardInReader;

/// Where traces go; several cards may share one.
pub type TraceSink = Arc<Mutex<dyn Write + Send>>;

/// A card whose traffic is logged: `NAME > command`, `NAME < response`, one APDU a line.
///
/// Hidden are PIN, PUK and management key, private keys on their way in, what private keys compute,
/// and data objects that need the PIN.
pub struct TracedCard<C> {
    card: C,
    name: String,
    sink: TraceSink,
    /// The response to the previous command was hidden, so its continuation is too.
    hides_response: bool,
    /// A hidden command is coming in fragments.
    hides_chain: bool,
}

impl<C: CardInReader> TracedCard<C> {
    /// Logs what passes to and from `card` under a name.
    pub fn new(card: C, name: String, sink: TraceSink) -> Self {
        Self { card, name, sink, hides_response: false, hides_chain: false }
    }

    fn log(&self, text: &str) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let written = writeln!(sink, "{} {text}", self.name).and_then(|()| sink.flush());
        if let Err(error) = written {
            tracing::warn!("cannot write the trace: {error}");
        }
    }

    fn show_command(&mut self, command: &[u8]) -> String {
        let (hides_data, hides_response) = secrecy(command, self.hides_response, self.hides_chain);
        let is_chained = command.first().is_some_and(|class| class & 0x10 != 0);
        self.hides_chain = is_chained && hides_data;
        self.hides_response = hides_response;
        let (header, body) = command.split_at_checked(4).unwrap_or((command, &[]));
        if hides_data { shown(header, body.len(), &[]) } else { shown(command, 0, &[]) }
    }

    fn show_response(&self, response: &[u8]) -> String {
        let status_at = response.len().saturating_sub(2);
        let (data, status) = response.split_at_checked(status_at).unwrap_or((&[], response));
        if self.hides_response { shown(&[], data.len(), status) } else { shown(response, 0, &[]) }
    }
}

impl<C: CardInReader> CardInReader for TracedCard<C> {
    fn answer_to_reset(&self) -> Vec<u8> {
        self.card.answer_to_reset()
    }

    fn power_on(&mut self) {
        self.card.power_on();
        self.log(&format!("power on, ATR {}", shown(&self.card.answer_to_reset(), 0, &[])));
    }

    fn power_off(&mut self) {
        self.card.power_off();
        self.log("power off");
    }

    fn reset(&mut self) {
        self.card.reset();
        self.log("reset");
    }

    fn transmit(&mut self, command: &[u8]) -> Vec<u8> {
        let line = self.show_command(command);
        self.log(&format!("> {line}"));
        let response = self.card.transmit(command);
        self.log(&format!("< {}", self.show_response(&response)));
        response
    }
}

/// Whether the data field of a command, and the response to it, are secret.
fn secrecy(command: &[u8], previous_response: bool, chain: bool) -> (bool, bool) {
    let Some((&[_, instruction, _, p2], body)) = command.split_first_chunk::<4>() else {
        return (false, false);
    };
    match (instruction, p2) {
        // VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER, and a YubiKey's import and key change.
        // A status query (no data, or Le alone) hides nothing.
        (0x20 | 0x24 | 0x2C | 0xFE | 0xFF, _) => (body.len() > 1, false),
        // An exchange with the management key; and whatever a private key computed.
        (0x87, p2) => (p2 == 0x9B, true),
        // GET DATA and PUT DATA of an object that needs the PIN.
        (0xCB, _) => (false, names_protected_object(body)),
        (0xDB, _) => (chain || names_protected_object(body), false),
        (0xC0, _) => (false, previous_response),
        _ => (false, false),
    }
}

/// Whether a tag list for 5FC103, 08, 09, 21 or 23 stands at the beginning of a data field.
fn names_protected_object(body: &[u8]) -> bool {
    let is_tag_list =
        |bytes: &[u8]| matches!(bytes, [0x5C, 0x03, 0x5F, 0xC1, 0x03 | 0x08 | 0x09 | 0x21 | 0x23]);
    // After a short Lc, or an extended one.
    [1, 3].iter().any(|at| body.get(*at..at + 5).is_some_and(is_tag_list))
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

    /// Answers everything with the same bytes.
    struct Echo;

    impl CardInReader for Echo {
        fn answer_to_reset(&self) -> Vec<u8> {
            vec![0x3B, 0x00]
        }
        fn power_on(&mut self) {}
        fn power_off(&mut self) {}
        fn reset(&mut self) {}
        fn transmit(&mut self, _command: &[u8]) -> Vec<u8> {
            vec![0x5E, 0xC2, 0x90, 0x00]
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
        let text =
            trace(&["10 DB 3F FF 05 5C 03 5F C1 09", "00 DB 3F FF 03 31 32 33", "00 DB 3F FF 03 31 32 33"]);
        assert_eq!(text.matches("31 32 33").count(), 1, "{text}");
    }

    #[test]
    fn what_a_private_key_computed_is_hidden_to_its_last_part() {
        let text = trace(&["00 87 07 9D 04 7C 02 82 00 00", "00 C0 00 00 00", "00 FD 00 00 00"]);
        assert_eq!(text.matches("5E C2").count(), 1, "{text}");
        assert_eq!(text.matches("[2 bytes hidden] 90 00").count(), 2, "{text}");
    }
}
