//! Readable transcripts of card commands, one file a command, each citing its clause.
//!
//! ```text
//! # Comment: what is shown, and where it is written.
//! @ card yubikey5 5.7        a fresh blank seeded card; also: reset, power off, power on, authenticate
//! @ card standard, contactless                  in a reader without contacts; `, Global PIN` gives it one
//! @ contactless              the same card, moved to a reader without contacts; also: contact
//! > 00 87 0A 9B 04 7C 02 80 00 00
//! < 7C 12 80 10 witness=16 90 00
//! > 00 87 0A 9B 16 7C 14 80 10 decrypt(witness) 81 00
//! < .. 90 00                 ".." any bytes, "??" one byte, name=N keeps N bytes
//! ```
//!
//! In commands `name`, `encrypt(name)` and `decrypt(name)` insert kept bytes, the latter two through the
//! block cipher with the card's first management key.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use card_sim::iso7816::Interface;
use card_sim::piv::blank::add_global_pin;
use support::{Hand, blank};

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn every_transcript_is_run() {
            let mut files: Vec<String> = std::fs::read_dir(folder()).unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            files.sort();
            assert_eq!(files, [$(stringify!($name)),*]);
        }
    };
}

transcripts! {
    biometric_group_template
    change_reference_data
    command_chaining
    contactless
    discovery_object
    emulated_mark
    extended_length
    general_authenticate_administration
    general_authenticate_private_key
    generate_asymmetric_key_pair
    get_data
    get_metadata
    get_response
    get_serial
    get_version
    global_pin
    import_asymmetric_key
    instructions_and_classes
    key_history
    management_application
    pairing_code
    pin_always
    power_and_reset
    put_data
    reset_retry_counter
    select
    set_management_key
    verify
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn run(name: &str) {
    let text = std::fs::read_to_string(folder().join(format!("{name}.apdu"))).unwrap();
    assert!(
        text.contains("SP 800-7") || text.contains("YubiKey") || text.contains("ISO 7816"),
        "{name} cites nothing"
    );
    let mut player = Player::default();
    for (number, line) in (1..).zip(text.lines()) {
        let place = format!("{name}.apdu:{number}: {line}");
        match line.split_once(' ').unwrap_or((line, "")) {
            ("" | "#", _) => {}
            ("@", directive) => player.direct(directive, &place),
            (">", command) => player.send(command, &place),
            ("<", pattern) => player.expect(pattern, &place),
            _ => panic!("{place}: not a line of a transcript"),
        }
    }
    assert!(player.answer.is_none(), "{name}.apdu: the last answer is not looked at");
}

/// A card as its directive describes it.
fn new_card(description: &str, place: &str) -> Hand {
    let mut words = description.split(", ");
    let mut state = blank(words.next().expect(place));
    let mut over = Interface::Contact;
    for word in words {
        match word {
            "Global PIN" => add_global_pin(&mut state),
            "contactless" => over = interface(word),
            _ => panic!("{place}: no such card"),
        }
    }
    Hand::holding(&state).over(over)
}

fn interface(name: &str) -> Interface {
    if name == "contactless" { Interface::Contactless } else { Interface::Contact }
}

#[derive(Default)]
struct Player {
    hand: Option<Hand>,
    kept: BTreeMap<String, Vec<u8>>,
    answer: Option<Vec<u8>>,
}

impl Player {
    fn direct(&mut self, directive: &str, place: &str) {
        assert!(self.answer.is_none(), "{place}: an answer was not looked at");
        if let Some(kind) = directive.strip_prefix("card ") {
            self.hand = Some(new_card(kind, place));
            return;
        }
        if let "contact" | "contactless" = directive {
            let hand = self.hand.take().expect(place);
            self.hand = Some(hand.over(interface(directive)));
            return;
        }
        let hand = self.hand.as_mut().expect(place);
        match directive {
            "reset" => hand.card.reset(),
            "power off" => hand.card.power_off(),
            "power on" => drop(hand.card.power_on()),
            "authenticate" => hand.authenticate(),
            _ => panic!("{place}: no such directive"),
        }
    }

    fn send(&mut self, command: &str, place: &str) {
        assert!(self.answer.is_none(), "{place}: an answer was not looked at");
        let bytes: Vec<u8> = command.split_whitespace().flat_map(|word| self.bytes(word, place)).collect();
        self.answer = Some(self.hand.as_mut().expect(place).card.transmit(&bytes));
    }

    fn bytes(&self, word: &str, place: &str) -> Vec<u8> {
        if let Ok(bytes) = hex::decode(word) {
            return bytes;
        }
        let kept = |name: &str| self.kept.get(name).unwrap_or_else(|| panic!("{place}: {name} was not kept"));
        let hand = self.hand.as_ref().expect(place);
        match word.strip_suffix(')').and_then(|word| word.split_once('(')) {
            Some(("encrypt", name)) => hand.encrypt(kept(name)),
            Some(("decrypt", name)) => hand.decrypt(kept(name)),
            Some((other, _)) => panic!("{place}: no such function: {other}"),
            None => kept(word).clone(),
        }
    }

    fn expect(&mut self, pattern: &str, place: &str) {
        let answer = self.answer.take().expect(place);
        let words: Vec<&str> = pattern.split_whitespace().collect();
        let mut found = Vec::new();
        assert!(self.matches(&words, &answer, &mut found, place), "{place}\n  answered: {answer:02X?}");
        self.kept.extend(found);
    }

    fn matches(&self, words: &[&str], bytes: &[u8], found: &mut Vec<(String, Vec<u8>)>, place: &str) -> bool {
        let Some((word, words)) = words.split_first() else { return bytes.is_empty() };
        if *word == ".." {
            return (0..=bytes.len()).any(|skip| self.matches(words, &bytes[skip..], found, place));
        }
        if *word == "??" {
            return !bytes.is_empty() && self.matches(words, &bytes[1..], found, place);
        }
        if let Some((name, count)) = word.split_once('=') {
            let Some((value, rest)) = bytes.split_at_checked(count.parse().expect(place)) else {
                return false;
            };
            found.push((name.to_owned(), value.to_vec()));
            return self.matches(words, rest, found, place);
        }
        let expected = self.bytes(word, place);
        bytes.strip_prefix(&expected[..]).is_some_and(|rest| self.matches(words, rest, found, place))
    }
}
