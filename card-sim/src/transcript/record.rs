//! Recording: what passes between reader and card, as a transcript with everything secret hidden.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::masking::{Hidden, bytes};
use super::naming::Names;
use super::wording;
use crate::transport::CardInReader;

const GET_RESPONSE: u8 = 0xC0;
const CHAINING_BIT: u8 = 0x10;
const SUCCESS: [u8; 2] = [0x90, 0x00];

/// Whether secrets are in a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrets {
    /// Hidden: PIN, PUK and management key, private keys on their way in, what private keys compute unless it is a
    /// signature, and data objects unless they are known to be public.
    Hidden,
    /// Shown, every byte.
    Shown,
}

/// Where a transcript is written; several cards may share one.
pub struct Trace {
    output: Box<dyn Write + Send>,
    secrets: Secrets,
    /// Whose lines were written last, where several cards share the trace.
    reader: Option<String>,
}

/// A trace that several cards may write to.
pub type SharedTrace = Arc<Mutex<Trace>>;

impl Trace {
    /// A trace into `output`, which begins with a comment.
    pub fn new(output: Box<dyn Write + Send>, secrets: Secrets) -> SharedTrace {
        let mut trace = Self { output, secrets, reader: None };
        trace.write(match secrets {
            Secrets::Hidden => concat!("# card-sim ", env!("CARGO_PKG_VERSION"), "; secrets are hidden\n"),
            Secrets::Shown => concat!(
                "# card-sim ",
                env!("CARGO_PKG_VERSION"),
                "; WITH ALL SECRETS: PINs, keys and decrypted data stand in this file\n"
            ),
        });
        Arc::new(Mutex::new(trace))
    }

    fn write(&mut self, lines: &str) {
        if let Err(error) = self.output.write_all(lines.as_bytes()).and_then(|()| self.output.flush()) {
            tracing::warn!("cannot write the trace: {error}");
        }
    }

    fn write_of(&mut self, reader: Option<&str>, lines: &str) {
        match reader {
            Some(name) if self.reader.as_deref() != Some(name) => {
                self.reader = Some(name.to_owned());
                self.write(&format!("@ reader {name}\n{lines}"));
            }
            _ => self.write(lines),
        }
    }
}

/// A card whose traffic is recorded, an exchange at a time.
///
/// Power events are written when the next command comes, and then only what they mean for it: when and how often a
/// reader switches an idle card off and on is an accident.
pub struct TracedCard<C> {
    card: C,
    /// Where several cards share a trace: the reader of this one.
    reader: Option<String>,
    trace: SharedTrace,
    secrets: Secrets,
    power: Power,
    /// The response to the previous command was hidden, so its continuation is too.
    hides_response: bool,
    /// INS, P1 and P2 of a command that is coming in fragments, and what the first of them made hidden.
    chain: Option<([u8; 3], Hidden)>,
    names: Names,
}

/// What happened since the last command.
#[derive(Default)]
struct Power {
    is_on: bool,
    was_on: bool,
    went_off: bool,
    was_reset: bool,
}

impl<C: CardInReader> TracedCard<C> {
    /// Records what passes to and from `card`; `reader` tells it from others in the same trace.
    pub fn new(card: C, reader: Option<String>, trace: SharedTrace) -> Self {
        let secrets = trace.lock().unwrap_or_else(PoisonError::into_inner).secrets;
        Self {
            card,
            reader,
            trace,
            secrets,
            power: Power::default(),
            hides_response: false,
            chain: None,
            names: Names::default(),
        }
    }

    /// A fragment is as secret as the one that began its command; anything else is judged by itself.
    fn hidden(&self, command: &[u8]) -> Hidden {
        match self.chain {
            _ if self.secrets == Secrets::Shown => Hidden::default(),
            Some((begun, hidden)) if command.get(1..4) == Some(&begun) => hidden,
            _ if command.get(1) == Some(&GET_RESPONSE) => {
                Hidden { data: false, response: self.hides_response }
            }
            _ => Hidden::of(command),
        }
    }

    /// What the events since the last command mean for the next one.
    fn events(&mut self) -> String {
        let power = &mut self.power;
        let lines = match (power.was_on, power.is_on) {
            (true, true) if power.went_off => "@ power off\n",
            (true, true) if power.was_reset => "@ reset\n",
            (true, false) => "@ power off\n",
            _ => "",
        };
        let mut lines = lines.to_owned();
        if power.is_on && (power.went_off || !power.was_on) {
            lines += &format!("@ power on  # ATR {}\n", bytes(&self.card.answer_to_reset()));
        }
        *power = Power { is_on: power.is_on, was_on: power.is_on, went_off: false, was_reset: false };
        lines
    }

    fn exchange(&mut self, command: &[u8], response: &[u8], hidden: Hidden) -> String {
        let is_first = self.chain.is_none() && command.first().is_some_and(|class| class & CHAINING_BIT == 0);
        let (sent, got) = match (hidden.data && is_first).then(|| self.names.named(command, response)) {
            Some(Some(named)) => named,
            _ => (hidden.command(command), hidden.response(response)),
        };
        let status = wording::status_of(response).unwrap_or_else(|| "no answer".to_owned());
        format!(
            "> {sent}  # {}\n< {}\n",
            wording::command(command),
            format!("{got}  # {status}").trim_start()
        )
    }
}

impl<C: CardInReader> CardInReader for TracedCard<C> {
    fn answer_to_reset(&self) -> Vec<u8> {
        self.card.answer_to_reset()
    }

    fn power_on(&mut self) {
        self.card.power_on();
        self.chain = None;
        self.power.went_off |= self.power.was_on && !self.power.is_on;
        self.power.was_reset |= self.power.is_on;
        self.power.is_on = true;
    }

    fn power_off(&mut self) {
        self.card.power_off();
        self.chain = None;
        self.power.went_off |= self.power.is_on;
        self.power.is_on = false;
    }

    fn reset(&mut self) {
        self.card.reset();
        self.chain = None;
        self.power.was_reset = true;
    }

    fn transmit(&mut self, command: &[u8]) -> Zeroizing<Vec<u8>> {
        let hidden = self.hidden(command);
        let response = self.card.transmit(command);
        let lines = self.events() + &self.exchange(command, &response, hidden);
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace.write_of(self.reader.as_deref(), &lines);
        drop(trace);
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

    /// What was written, for the test to read.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn trace_of(secrets: Secrets, play: impl FnOnce(&mut TracedCard<Echo>)) -> String {
        let written = Written::default();
        play(&mut TracedCard::new(Echo, None, Trace::new(Box::new(written.clone()), secrets)));
        let bytes = written.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        super::super::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        text
    }

    fn send(card: &mut TracedCard<Echo>, command: &str) {
        card.transmit(&hex::decode(command.replace(' ', "")).unwrap());
    }

    fn trace(commands: &[&str]) -> String {
        trace_of(Secrets::Hidden, |card| commands.iter().for_each(|command| send(card, command)))
    }

    #[test]
    fn public_traffic_is_shown_whole_and_told() {
        let text = trace(&["00 CB 3F FF 05 5C 03 5F C1 02 00"]);
        let (_, text) = text.split_once('\n').unwrap();
        assert_eq!(
            text,
            "> 00 CB 3F FF 05 5C 03 5F C1 02 00  # GET DATA 5FC102, CHUID\n< 5E C2 90 00  # success\n"
        );
    }

    #[test]
    fn power_events_are_what_they_mean_for_the_next_command() {
        let text = trace_of(Secrets::Hidden, |card| {
            card.power_on();
            card.power_off();
            card.power_on();
            card.reset();
            send(card, "00 FD 00 00");
            card.reset();
            card.reset();
            send(card, "00 FD 00 00");
            card.power_off();
            card.power_off();
            card.power_on();
            send(card, "00 FD 00 00");
            card.power_off();
            send(card, "00 FD 00 00");
        });
        let events: Vec<&str> = text.lines().filter(|line| line.starts_with('@')).collect();
        let on = "@ power on  # ATR 3B 00";
        assert_eq!(events, [on, "@ reset", "@ power off", on, "@ power off"]);
    }

    #[test]
    fn equal_secrets_have_the_same_name() {
        let text = trace(&[
            "00 20 00 80 08 31 32 33 34 35 36 FF FF",
            "00 20 00 80 08 39 39 39 39 39 39 FF FF 00",
            "00 24 00 80 10 31 32 33 34 35 36 FF FF 39 39 39 39 39 39 FF FF",
            "00 2C 00 80 10 31 32 33 34 35 36 37 38 31 32 33 34 35 36 FF FF",
            "00 FF FF FF 0B 08 9B 08 31 32 33 34 35 36 37 38",
        ]);
        for shown in [
            "> 00 20 00 80 08 [PIN]  # VERIFY, PIN",
            "> 00 20 00 80 08 [PIN 2] 00  #",
            "> 00 24 00 80 10 [PIN] [PIN 2]  #",
            "> 00 2C 00 80 10 [PUK] [PIN]  #",
            "> 00 FF FF FF 0B 08 9B 08 [management key 2]  #",
        ] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
    }

    #[test]
    fn all_is_shown_where_that_is_asked_for() {
        let text = trace_of(Secrets::Shown, |card| send(card, "00 20 00 80 08 31 32 33 34 35 36 FF FF"));
        assert!(text.contains("31 32 33 34 35 36") && text.contains("WITH ALL SECRETS"), "{text}");
    }

    #[test]
    fn pins_and_keys_on_their_way_in_are_hidden() {
        for command in [
            "00 20 00 80 08 31 32 33 34 35 36 FF FF",
            "00 20 00 80 09 31 32 33 34 35 36 FF FF FF",
            "00 20 00 82 08 31 32 33 34 35 36 FF FF",
            "00 20 00 80 09 31 32 33 34 35 36 FF FF",
            "00 24 00 80 10 31 32 33 34 35 36 FF FF 31 32 33 34 35 36 FF FF",
            "00 2C 00 80 10 31 32 33 34 35 36 FF FF 31 32 33 34 35 36 FF FF",
            "00 FF FF FF 1B 03 9B 18 31 32 33 34 35 36 31 32 33 34 35 36",
            "10 FE 07 9A 08 01 06 31 32 33 34 35 36",
            "00 87 03 9B 0A 7C 08 82 06 31 32 33 34 35 36",
            "00 87 03 9B 0A 7C 08 80 06 31 32 33 34 35 36",
            "00 DB 3F FF 0D 5C 03 5F C1 09 53 06 31 32 33 34 35 36",
            "00 DB 3F FF 00 00 0D 5C 03 5F C1 09 53 06 31 32 33 34 35 36",
        ] {
            let text = trace(&[command]);
            assert!(!text.contains("31 32 33") && text.contains("> ") && text.contains('['), "{text}");
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
        let text = trace(&["00 87 11 9C 05 7C 03 81 01 05 00", "00 87 11 9D 05 7C 03 85 01 05 00"]);
        assert_eq!(text.matches("5E C2").count(), 1, "a signature is no secret, an agreed key is: {text}");
    }
}
