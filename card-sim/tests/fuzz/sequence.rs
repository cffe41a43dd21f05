//! Bytes as a sequence of what hosts do, done to a card and to its model, which must agree after every step.

use super::model::{Expected, Kind, Model, Policy, tlv};
use super::subject::Subject;
use crate::support::apdu;

/// How long a sequence may be: longer ones find nothing more and take long.
const LONGEST: usize = 120;

/// Tags of the standard with and without PIN, of a YubiKey, of the card itself, of nobody.
const TAGS: [u32; 10] =
    [0x5F_C102, 0x5F_C105, 0x5F_C109, 0x5F_C103, 0x5F_C10A, 0x5F_FF00, 0x5F_FF53, 0x5F_C104, 0x7E, 0x60_0001];

const REFERENCES: [u8; 8] = [0x9A, 0x9C, 0x9D, 0x9E, 0x82, 0x95, 0x81, 0x9B];

const PINS: [&[u8; 8]; 4] = [b"123456\xFF\xFF", b"654321\xFF\xFF", b"00000000", b"9999999\xFF"];

/// A value that no PIN has: not one of those above.
const WRONG: &[u8; 8] = b"135790\xFF\xFF";

/// Too short for any card, and of letters, which only a YubiKey takes.
const SHORT: &[u8; 8] = b"12345\xFF\xFF\xFF";
const LETTERS: &[u8; 8] = b"abcdef\xFF\xFF";

/// Plays a sequence on a card and its model; how many commands the card took (status 9000).
///
/// # Errors
/// The first step after which they disagree.
pub(crate) fn play(input: &[u8], model: &mut Model, card: &mut dyn Subject) -> Result<usize, String> {
    let mut bytes = input.iter().copied();
    let mut taken = 0;
    for step in 0..LONGEST {
        let Some(action) = bytes.next() else { break };
        let mut next = || bytes.next().unwrap_or_default();
        let disagreement = |what: String| format!("step {step}, action {}: {what}", action % ACTIONS);
        let done = Step { model, card }.act(action % ACTIONS, &mut next).map_err(disagreement)?;
        taken += usize::from(done);
        let difference = model.difference(&card.durable_state());
        if let Some(difference) = difference {
            return Err(disagreement(difference));
        }
    }
    Ok(taken)
}

/// How many actions there are.
const ACTIONS: u8 = 42;

struct Step<'a> {
    model: &'a mut Model,
    card: &'a mut dyn Subject,
}

impl Step<'_> {
    /// Does one thing; whether the card took it.
    fn act(&mut self, action: u8, next: &mut dyn FnMut() -> u8) -> Result<bool, String> {
        match action {
            0..=13 => self.password(action, next),
            14..=20 => self.object(action, next),
            21..=27 => self.key(action, next),
            28..=34 => self.card_itself(action, next),
            _ => self.yubikey(action, next),
        }
    }

    fn password(&mut self, action: u8, next: &mut dyn FnMut() -> u8) -> Result<bool, String> {
        let (pin, puk) = (self.model.pin.value, self.model.puk.value);
        let mut new = || *PINS[usize::from(next()) % PINS.len()];
        match action {
            0 | 1 => self.verify(&pin),
            2 => self.verify(WRONG),
            3 => self.verify(&pin[..7]),
            4 => self.verify(LETTERS),
            5 => self.expect(&apdu(0x20, 0, 0x80, &[]), Model::verify_status),
            6 => self.expect(&apdu(0x20, 0xFF, 0x80, &[]), Model::log_out),
            7 => {
                let new = new();
                self.two(0x24, 0x80, pin, new, Model::change_pin)
            }
            8 => self.two(0x24, 0x80, *WRONG, pin, Model::change_pin),
            9 => self.two(0x24, 0x80, pin, *SHORT, Model::change_pin),
            10 => {
                let new = if self.model.kind == Kind::Standard { *SHORT } else { new() };
                self.two(0x24, 0x81, puk, new, Model::change_puk)
            }
            11 => self.two(0x24, 0x81, *WRONG, puk, Model::change_puk),
            12 => {
                let new = new();
                self.two(0x2C, 0x80, puk, new, Model::reset_retry_counter)
            }
            _ => self.two(0x2C, 0x80, *WRONG, pin, Model::reset_retry_counter),
        }
    }

    fn verify(&mut self, value: &[u8]) -> Result<bool, String> {
        self.expect(&apdu(0x20, 0, 0x80, value), |model| model.verify(value))
    }

    fn two(
        &mut self,
        instruction: u8,
        reference: u8,
        old: [u8; 8],
        new: [u8; 8],
        model: impl FnOnce(&mut Model, [u8; 8], [u8; 8]) -> Expected,
    ) -> Result<bool, String> {
        let command = apdu(instruction, 0, reference, &[old, new].concat());
        self.expect(&command, |state| model(state, old, new))
    }

    fn object(&mut self, action: u8, next: &mut dyn FnMut() -> u8) -> Result<bool, String> {
        let tag = TAGS[usize::from(next()) % TAGS.len()];
        let list = tlv(0x5C, &tag_bytes(tag));
        match action {
            14 | 15 => self.expect(&apdu(0xCB, 0x3F, 0xFF, &list), |model| model.get_data(tag)),
            16..=18 => {
                let contents = vec![next(); usize::from(next()) * 16];
                let field = match tag {
                    // Written without a tag list; here always refused, for its contents are no discovery object.
                    0x7E => return self.get_response(),
                    _ => [&list[..], &tlv(0x53, &contents)].concat(),
                };
                if action == 18 {
                    return self.put_in_fragments(tag, &contents, &field);
                }
                self.expect(&apdu(0xDB, 0x3F, 0xFF, &field), |model| model.put_data(tag, &contents))
            }
            19 => self.expect(&apdu(0xDB, 0x3F, 0xFF, &list), |model| model.refused(0x6A80)),
            _ => self.get_response(),
        }
    }

    /// The fragments of one command are one command; each but the last is answered 9000.
    fn put_in_fragments(&mut self, tag: u32, contents: &[u8], field: &[u8]) -> Result<bool, String> {
        let mut parts = field.chunks(200).peekable();
        while let Some(part) = parts.next() {
            let mut command = apdu(0xDB, 0x3F, 0xFF, part);
            if parts.peek().is_none() {
                return self.expect(&command, |model| model.put_data(tag, contents));
            }
            command[0] = 0x10;
            if !self.fragment(&command)? {
                return Ok(false);
            }
        }
        Ok(false)
    }

    fn fragment(&mut self, command: &[u8]) -> Result<bool, String> {
        if let Some(expected) = self.model.elsewhere(true) {
            return self.check(command, expected);
        }
        self.model.refused(0x9000);
        self.check(command, Expected::Status(0x9000))
    }

    fn get_response(&mut self) -> Result<bool, String> {
        let expected = self.model.get_response();
        self.check(&[0, 0xC0, 0, 0, 0], expected)
    }

    fn key(&mut self, action: u8, next: &mut dyn FnMut() -> u8) -> Result<bool, String> {
        match action {
            21 => self.ask_challenge(),
            22 => {
                let right = self.model.challenge.clone().map(|challenge| self.model.encrypt(&challenge));
                self.answer_challenge(&right.unwrap_or_else(|| vec![0; 16]))
            }
            23 => self.answer_challenge(&[0x5A; 16][..if next().is_multiple_of(2) { 16 } else { 8 }]),
            24 => {
                self.ask_challenge()?;
                let Some(challenge) = self.model.challenge.clone() else { return Ok(false) };
                self.answer_challenge(&self.model.encrypt(&challenge))
            }
            25 => {
                let reference = REFERENCES[usize::from(next()) % REFERENCES.len()];
                let policy = [None, Some(Policy::Never), Some(Policy::Once), Some(Policy::Always)];
                let number = next() % 4;
                let mut parts = vec![0x80, 1, 0x11];
                if number > 0 {
                    parts.extend([0xAA, 1, number]);
                }
                let command = apdu(0x47, 0, reference, &tlv(0xAC, &parts));
                self.expect(&command, |model| model.generate(reference, policy[usize::from(number)]))
            }
            _ => {
                let reference = REFERENCES[usize::from(next()) % (REFERENCES.len() - 1)];
                let algorithm = if action == 27 { 0x07 } else { 0x11 };
                let template = tlv(0x7C, &[&[0x82, 0][..], &tlv(0x81, &[next(); 32])].concat());
                let command = apdu(0x87, algorithm, reference, &template);
                self.expect(&command, |model| model.sign(algorithm, reference))
            }
        }
    }

    fn ask_challenge(&mut self) -> Result<bool, String> {
        let algorithm = self.model.management_key.0;
        let command = apdu(0x87, algorithm, 0x9B, &[0x7C, 2, 0x81, 0]);
        let expected = match self.model.elsewhere(false) {
            Some(expected) => return self.check(&command, expected),
            None => self.model.ask_challenge(),
        };
        let answer = self.card.transmit(&command);
        self.compare(&answer, expected)?;
        self.model.challenge = answer.get(4..answer.len() - 2).map(<[u8]>::to_vec);
        Ok(true)
    }

    fn answer_challenge(&mut self, response: &[u8]) -> Result<bool, String> {
        let algorithm = self.model.management_key.0;
        let command = apdu(0x87, algorithm, 0x9B, &tlv(0x7C, &tlv(0x82, response)));
        self.expect(&command, |model| model.answer_challenge(response))
    }

    fn card_itself(&mut self, action: u8, next: &mut dyn FnMut() -> u8) -> Result<bool, String> {
        match action {
            28 => {
                self.card.reset();
                self.model.lose_power();
                Ok(false)
            }
            29 => {
                self.card.power_cycle();
                self.model.lose_power();
                Ok(false)
            }
            30 => {
                let aid = [0xA0, 0, 0, 3, 8, 0, 0, 0x10, 0, 1, 0];
                let length = [5, 9, 11][usize::from(next()) % 3];
                let expected = self.model.select_piv();
                self.check(&apdu(0xA4, 4, 0, &aid[..length]), expected)
            }
            31 => {
                let expected = self.model.refused(0x6A82);
                self.check(&apdu(0xA4, 4, 0, &[0xA0, 0, 0, 1, 0x51, 0, 0, 0]), expected)
            }
            32 => {
                let expected = self.model.select_management();
                self.check(&apdu(0xA4, 4, 0, &[0xA0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17]), expected)
            }
            33 => {
                // No instruction of any personality.
                let instruction = [0x00, 0x02, 0x21, 0x84, 0xB0, 0xD6, 0xE0][usize::from(next()) % 7];
                let data = vec![next(); usize::from(next())];
                self.expect(&apdu(instruction, next(), next(), &data), |model| model.refused(0x6D00))
            }
            _ => self.malformed(next),
        }
    }

    /// Commands of which no part may have an effect.
    fn malformed(&mut self, next: &mut dyn FnMut() -> u8) -> Result<bool, String> {
        let (command, status) = match next() % 5 {
            0 => (vec![0x00, 0x20, 0x00], 0x6700),
            1 => (vec![0x00, 0x20, 0x00, 0x80, 0x08, 0x31], 0x6700),
            2 => (vec![0x0C, 0x20, 0x00, 0x80], 0x6882),
            3 => (vec![0x01, 0x20, 0x00, 0x80], 0x6881),
            _ => (vec![0x80, 0x20, 0x00, 0x80], 0x6E00),
        };
        let expected = self.model.refused(status);
        self.check(&command, expected)
    }

    fn yubikey(&mut self, action: u8, next: &mut dyn FnMut() -> u8) -> Result<bool, String> {
        match action {
            35 | 36 => {
                let reference = 0x80 + action - 35;
                self.expect(&apdu(0xF7, 0, reference, &[]), |model| model.metadata(reference))
            }
            37 => {
                let (pin, puk) = (next() % 20, next() % 20);
                self.expect(&apdu(0xFA, pin, puk, &[]), |model| model.set_retries(pin, puk))
            }
            38 => {
                let was_reset = self.expect(&apdu(0xFB, 0, 0, &[]), Model::reset)?;
                if was_reset {
                    self.model.learn(&self.card.durable_state());
                }
                Ok(was_reset)
            }
            39 | 40 => {
                let keys = &REFERENCES[..6];
                let from = keys[usize::from(next()) % keys.len()];
                let to = if action == 39 { 0xFF } else { keys[usize::from(next()) % keys.len()] };
                self.expect(&apdu(0xF6, to, from, &[]), |model| model.move_key(to, from))
            }
            _ => {
                let (algorithm, length) =
                    [(0x08, 16), (0x0A, 24), (0x03, 24), (0x0C, 32)][usize::from(next()) % 4];
                let key: Vec<u8> = (0..length).map(|at| next() ^ (at * 8)).collect();
                let data = [&[algorithm, 0x9B, length][..], &key].concat();
                self.expect(&apdu(0xFF, 0xFF, 0xFF, &data), |model| model.set_management_key(algorithm, &key))
            }
        }
    }

    /// Sends a command that goes to PIV, if that is selected.
    fn expect(&mut self, command: &[u8], model: impl FnOnce(&mut Model) -> Expected) -> Result<bool, String> {
        let expected = self.model.elsewhere(false).unwrap_or_else(|| model(self.model));
        self.check(command, expected)
    }

    fn check(&mut self, command: &[u8], expected: Expected) -> Result<bool, String> {
        let answer = self.card.transmit(command);
        self.compare(&answer, expected).map_err(|what| format!("{command:02X?}: {what}"))
    }

    fn compare(&mut self, answer: &[u8], expected: Expected) -> Result<bool, String> {
        let split = answer.len().checked_sub(2).ok_or("an answer without a status word")?;
        let (data, status) = answer.split_at(split);
        let status = u16::from_be_bytes([status[0], status[1]]);
        let agrees = match &expected {
            Expected::Status(expected) => data.is_empty() && status == *expected,
            Expected::Tagged(tag, lengths) => {
                status == 0x9000 && data.first() == Some(tag) && lengths.contains(&data.len())
            }
            Expected::Data(all) if all.len() <= 256 => status == 0x9000 && data == all,
            Expected::Data(all) => {
                let (now, rest) = all.split_at(256);
                self.model.keep_waiting(rest);
                let waits = 0x6100 | u16::from(u8::try_from(rest.len()).unwrap_or(0));
                data == now && status == waits
            }
        };
        if !agrees {
            return Err(format!("answered {data:02X?} {status:04X}, the model says {expected:02X?}"));
        }
        Ok(status == 0x9000)
    }
}

fn tag_bytes(tag: u32) -> Vec<u8> {
    tag.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}
