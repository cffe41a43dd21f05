//! A small model of a PIV card, written from the standard and from Yubico's descriptions, not from the card: what each
//! command must answer, and what must be there afterwards.
//!
//! It knows PIN and PUK with their counters, what is verified and proven, which keys there are with their PIN policies,
//! and the contents of data objects. It computes no cryptography but the management key's.

use std::collections::BTreeMap;

use card_sim::crypto::SymmetricAlgorithm;
use card_sim::piv::state::CardState;
use card_sim::secret::SecretBytes;

use super::password::{Counted, is_well_formed};

/// The kinds of card there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Standard,
    YubiKey57,
    YubiKey54,
}

/// When a key asks for the PIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Policy {
    Never,
    Once,
    Always,
}

/// What must come back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// A status word alone.
    Status(u16),
    /// These data and 9000, in parts of at most 256 bytes.
    Data(Vec<u8>),
    /// Data with this tag, of a length in this range, and 9000.
    Tagged(u8, std::ops::RangeInclusive<usize>),
}

pub(crate) const DONE: Expected = Expected::Status(0x9000);

/// What a card is and remembers, and what it forgets without power.
pub(crate) struct Model {
    pub(crate) kind: Kind,
    pub(crate) pin: Counted,
    pub(crate) puk: Counted,
    pub(crate) management_key: (u8, Vec<u8>),
    pub(crate) keys: BTreeMap<u8, Policy>,
    pub(crate) objects: BTreeMap<u32, Vec<u8>>,
    is_verified: bool,
    is_fresh: bool,
    is_administrator: bool,
    is_selected: bool,
    /// The challenge that the command just before asked for.
    pub(crate) challenge: Option<Vec<u8>>,
    /// The rest of an answer.
    waiting: Option<Vec<u8>>,
}

const FACTORY_KEY: [u8; 24] = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];

impl Model {
    /// A model of a blank card; what is random on each card is taken from its state.
    pub(crate) fn of_blank(kind: Kind, state: &CardState) -> Self {
        let (algorithm, key, puk) = match kind {
            Kind::Standard => (0x0C, state.management_key.key.expose().to_vec(), state.puk.value.expose()),
            Kind::YubiKey57 => (0x0A, FACTORY_KEY.to_vec(), &b"12345678"[..]),
            Kind::YubiKey54 => (0x03, FACTORY_KEY.to_vec(), &b"12345678"[..]),
        };
        let objects =
            state.objects.iter().map(|(tag, contents)| (*tag, contents.expose().to_vec())).collect();
        let counted = |value: &[u8]| Counted { value: value.try_into().unwrap(), left: 3, total: 3 };
        Self {
            kind,
            pin: counted(b"123456\xFF\xFF"),
            puk: counted(puk),
            management_key: (algorithm, key),
            keys: BTreeMap::new(),
            objects,
            is_verified: false,
            is_fresh: false,
            is_administrator: false,
            is_selected: true,
            challenge: None,
            waiting: None,
        }
    }

    fn is_yubikey(&self) -> bool {
        self.kind != Kind::Standard
    }

    /// A reset, or power off and on.
    pub(crate) fn lose_power(&mut self) {
        self.is_selected = true;
        self.forget();
    }

    fn forget(&mut self) {
        (self.is_verified, self.is_fresh, self.is_administrator) = (false, false, false);
        (self.challenge, self.waiting) = (None, None);
    }

    /// What a command other than SELECT and GET RESPONSE must answer when another application is selected.
    pub(crate) fn elsewhere(&mut self, is_fragment: bool) -> Option<Expected> {
        if self.is_selected {
            return None;
        }
        self.begin();
        Some(Expected::Status(if is_fragment { 0x6884 } else { 0x6D00 }))
    }

    /// Any command uses up what only the next one may use; says whether the PIN was fresh, and the challenge.
    fn begin(&mut self) -> (bool, Option<Vec<u8>>) {
        self.waiting = None;
        (std::mem::take(&mut self.is_fresh), self.challenge.take())
    }

    /// A command that the card cannot take at all, with its status word.
    pub(crate) fn refused(&mut self, status: u16) -> Expected {
        self.begin();
        Expected::Status(status)
    }

    pub(crate) fn verify(&mut self, value: &[u8]) -> Expected {
        self.begin();
        if self.pin.left == 0 {
            return Expected::Status(0x6983);
        }
        // A YubiKey compares any eight bytes.
        let is_compared =
            if self.is_yubikey() { value.len() == 8 } else { is_well_formed(self.kind, false, value) };
        if !is_compared {
            return Expected::Status(0x6A80);
        }
        self.is_verified = value == self.pin.value;
        self.is_fresh = self.is_verified;
        match self.is_verified {
            true => {
                self.pin.left = self.pin.total;
                DONE
            }
            false => self.pin.wrong(),
        }
    }

    pub(crate) fn verify_status(&mut self) -> Expected {
        self.begin();
        Expected::Status(match (self.is_verified, self.pin.left) {
            (true, _) => 0x9000,
            (false, 0) => 0x6983,
            (false, left) => 0x63C0 | u16::from(left.min(15)),
        })
    }

    pub(crate) fn log_out(&mut self) -> Expected {
        self.begin();
        self.is_verified = false;
        DONE
    }

    pub(crate) fn change_pin(&mut self, old: [u8; 8], new: [u8; 8]) -> Expected {
        self.begin();
        let (kind, is_yubikey) = (self.kind, self.is_yubikey());
        let answer = self.pin.change(kind, false, old, new);
        match answer {
            Expected::Status(0x9000) if !is_yubikey => self.is_verified = true,
            Expected::Status(0x63C0..=0x63CF) => self.is_verified = false,
            _ => {}
        }
        answer
    }

    pub(crate) fn change_puk(&mut self, old: [u8; 8], new: [u8; 8]) -> Expected {
        self.begin();
        let kind = self.kind;
        self.puk.change(kind, true, old, new)
    }

    pub(crate) fn reset_retry_counter(&mut self, puk: [u8; 8], new: [u8; 8]) -> Expected {
        self.begin();
        let is_well_formed = is_well_formed(self.kind, false, &new);
        if self.puk.left == 0 {
            return Expected::Status(0x6983);
        }
        if !self.is_yubikey() && !is_well_formed {
            return Expected::Status(0x6A80);
        }
        if puk != self.puk.value {
            self.is_verified = false;
            return self.puk.wrong();
        }
        if !is_well_formed {
            return Expected::Status(0x6985);
        }
        self.puk.left = self.puk.total;
        self.pin = Counted { value: new, left: self.pin.total, total: self.pin.total };
        DONE
    }

    pub(crate) fn get_data(&mut self, tag: u32) -> Expected {
        self.begin();
        match tag {
            0x5F_FF53 => {
                return Expected::Data(tlv(
                    0x53,
                    &[0x80, 8, b'c', b'a', b'r', b'd', b'-', b's', b'i', b'm', 0x81, 1, 1],
                ));
            }
            0x7E => {
                let discovery = "7E124F0BA0000003080000100001005F2F024000";
                return Expected::Data(hex::decode(discovery).unwrap());
            }
            0x5F_C103 | 0x5F_C108 | 0x5F_C109 | 0x5F_C121 if !self.is_verified => {
                return Expected::Status(0x6982);
            }
            _ => {}
        }
        match self.objects.get(&tag) {
            Some(contents) => Expected::Data(tlv(0x53, contents)),
            None => Expected::Status(0x6A82),
        }
    }

    pub(crate) fn put_data(&mut self, tag: u32, contents: &[u8]) -> Expected {
        self.begin();
        if !self.is_administrator {
            return Expected::Status(0x6982);
        }
        let is_of_the_standard = matches!(tag, 0x5F_C101..=0x5F_C103 | 0x5F_C105..=0x5F_C123);
        let is_of_a_yubikey = self.is_yubikey() && tag >> 16 == 0x5F;
        if tag == 0x5F_FF53 {
            return Expected::Status(0x6982);
        }
        if !is_of_the_standard && !is_of_a_yubikey {
            return Expected::Status(0x6A80);
        }
        let capacity = if self.is_yubikey() { 3063 } else { 13_000 };
        if contents.len() > capacity {
            return Expected::Status(0x6A84);
        }
        match contents {
            [] => drop(self.objects.remove(&tag)),
            contents => drop(self.objects.insert(tag, contents.to_vec())),
        }
        DONE
    }

    /// A challenge of the management key; the answer's last bytes are the challenge.
    pub(crate) fn ask_challenge(&mut self) -> Expected {
        self.begin();
        let block = if self.management_key.0 == 0x03 { 8 } else { 16 };
        Expected::Tagged(0x7C, block + 4..=block + 4)
    }

    pub(crate) fn answer_challenge(&mut self, response: &[u8]) -> Expected {
        let (_, challenge) = self.begin();
        let block = if self.management_key.0 == 0x03 { 8 } else { 16 };
        self.is_administrator = false;
        match challenge {
            None => Expected::Status(0x6982),
            Some(_) if response.len() != block => Expected::Status(0x6A80),
            Some(challenge) => {
                self.is_administrator = response == self.encrypt(&challenge);
                Expected::Status(if self.is_administrator { 0x9000 } else { 0x6982 })
            }
        }
    }

    pub(crate) fn encrypt(&self, block: &[u8]) -> Vec<u8> {
        let algorithm = match self.management_key.0 {
            0x03 => SymmetricAlgorithm::TripleDes,
            0x08 => SymmetricAlgorithm::Aes128,
            0x0A => SymmetricAlgorithm::Aes192,
            _ => SymmetricAlgorithm::Aes256,
        };
        let key = SecretBytes::new(self.management_key.1.clone());
        algorithm.encrypt_block(&key, block).unwrap().to_vec()
    }

    /// GENERATE ASYMMETRIC KEY PAIR on P-256, with a YubiKey's PIN policy or without.
    pub(crate) fn generate(&mut self, reference: u8, policy: Option<Policy>) -> Expected {
        self.begin();
        let is_retired = (0x82..=0x95).contains(&reference);
        let exists = matches!(reference, 0x9A | 0x9C | 0x9D | 0x9E) || (is_retired && self.is_yubikey());
        if !exists {
            return Expected::Status(0x6A86);
        }
        if policy.is_some() && !self.is_yubikey() {
            return Expected::Status(0x6A80);
        }
        if !self.is_administrator {
            return Expected::Status(0x6982);
        }
        let default = match reference {
            0x9C => Policy::Always,
            0x9E => Policy::Never,
            _ => Policy::Once,
        };
        self.keys.insert(reference, policy.unwrap_or(default));
        Expected::Tagged(0x7F, 70..=70)
    }

    /// GENERAL AUTHENTICATE with a digest, for a P-256 key or as if it were RSA.
    pub(crate) fn sign(&mut self, algorithm: u8, reference: u8) -> Expected {
        let (is_fresh, _) = self.begin();
        let is_key = matches!(reference, 0x82..=0x95 | 0x9A | 0x9C | 0x9D | 0x9E);
        let Some(policy) = self.keys.get(&reference).filter(|_| is_key) else {
            let is_told_apart = is_key && self.is_yubikey();
            return Expected::Status(if is_told_apart { 0x6A80 } else { 0x6A86 });
        };
        if algorithm != 0x11 {
            return Expected::Status(0x6A86);
        }
        let may = match policy {
            Policy::Never => true,
            Policy::Once => self.is_verified,
            Policy::Always => is_fresh,
        };
        match (may, self.is_yubikey(), reference) {
            (false, ..) => Expected::Status(0x6982),
            // A key management key of the standard agrees, it does not sign.
            (true, false, 0x82..=0x95 | 0x9D) => Expected::Status(0x6A80),
            (true, ..) => Expected::Tagged(0x7C, 12..=78),
        }
    }

    pub(crate) fn select_piv(&mut self) -> Expected {
        self.begin();
        self.is_selected = true;
        Expected::Tagged(0x61, 10..=256)
    }

    pub(crate) fn select_management(&mut self) -> Expected {
        self.begin();
        if !self.is_yubikey() {
            return Expected::Status(0x6A82);
        }
        self.is_selected = false;
        self.forget();
        Expected::Tagged(b'V', 10..=100)
    }

    pub(crate) fn get_response(&mut self) -> Expected {
        let waiting = self.waiting.take();
        self.begin();
        match waiting {
            Some(rest) => Expected::Data(rest),
            None => Expected::Status(0x6A80),
        }
    }

    /// What did not fit into an answer.
    pub(crate) fn keep_waiting(&mut self, rest: &[u8]) {
        self.waiting = Some(rest.to_vec()).filter(|rest| !rest.is_empty());
    }

    /// GET METADATA of PIN (80) or PUK (81).
    pub(crate) fn metadata(&mut self, reference: u8) -> Expected {
        self.begin();
        if !self.is_yubikey() {
            return Expected::Status(0x6D00);
        }
        let (counted, factory) = match reference {
            0x80 => (&self.pin, *b"123456\xFF\xFF"),
            _ => (&self.puk, *b"12345678"),
        };
        let is_factory = u8::from(counted.value == factory);
        Expected::Data(vec![1, 1, 0xFF, 5, 1, is_factory, 6, 2, counted.total, counted.left])
    }

    pub(crate) fn set_retries(&mut self, pin: u8, puk: u8) -> Expected {
        self.begin();
        match (self.is_yubikey(), pin, puk) {
            (false, ..) => return Expected::Status(0x6D00),
            (_, 0, _) | (_, _, 0) => return Expected::Status(0x6A86),
            _ => {}
        }
        if !self.is_administrator || !self.is_verified {
            return Expected::Status(0x6982);
        }
        self.pin = Counted { value: *b"123456\xFF\xFF", left: pin, total: pin };
        self.puk = Counted { value: *b"12345678", left: puk, total: puk };
        self.is_verified = false;
        DONE
    }

    /// RESET: CHUID and capability container are new, and known from the state afterwards.
    pub(crate) fn reset(&mut self) -> Expected {
        self.begin();
        if !self.is_yubikey() {
            return Expected::Status(0x6D00);
        }
        if self.pin.left > 0 || self.puk.left > 0 {
            return Expected::Status(0x6985);
        }
        let algorithm = if self.kind == Kind::YubiKey54 { 0x03 } else { 0x0A };
        self.pin = Counted { value: *b"123456\xFF\xFF", left: 3, total: 3 };
        self.puk = Counted { value: *b"12345678", left: 3, total: 3 };
        self.management_key = (algorithm, FACTORY_KEY.to_vec());
        self.keys.clear();
        self.objects.retain(|tag, _| *tag == 0x5F_FF01);
        self.forget();
        DONE
    }

    /// What a reset made up.
    pub(crate) fn learn(&mut self, state: &CardState) {
        for tag in [0x5F_C102, 0x5F_C107] {
            let contents = state.objects.get(&tag).expect("a card without CHUID or capability container");
            self.objects.insert(tag, contents.expose().to_vec());
        }
    }

    pub(crate) fn move_key(&mut self, to: u8, from: u8) -> Expected {
        self.begin();
        if self.kind != Kind::YubiKey57 {
            return Expected::Status(0x6D00);
        }
        if !self.is_administrator {
            return Expected::Status(0x6982);
        }
        let Some(policy) = self.keys.get(&from).copied() else { return Expected::Status(0x6A88) };
        if to != 0xFF {
            if self.keys.contains_key(&to) {
                return Expected::Status(0x6A80);
            }
            self.keys.insert(to, policy);
        }
        self.keys.remove(&from);
        DONE
    }

    pub(crate) fn set_management_key(&mut self, algorithm: u8, key: &[u8]) -> Expected {
        self.begin();
        if !self.is_yubikey() {
            return Expected::Status(0x6D00);
        }
        if !self.is_administrator {
            return Expected::Status(0x6982);
        }
        self.management_key = (algorithm, key.to_vec());
        DONE
    }

    /// Where the card's memory is another than the model's.
    pub(crate) fn difference(&self, state: &CardState) -> Option<String> {
        for (name, model, card) in [("PIN", &self.pin, &state.pin), ("PUK", &self.puk, &state.puk)] {
            if model.left != card.tries_left || model.total != card.tries {
                return Some(format!("{name}: {} tries left, not {}", card.tries_left, model.left));
            }
            if !card.value.matches(&model.value) {
                return Some(format!("{name}: another value"));
            }
        }
        if !state.management_key.key.matches(&self.management_key.1) {
            return Some("management key: another value".to_owned());
        }
        // F9 is the attestation key, which a YubiKey has from the beginning.
        let keys = state.keys.keys().filter(|reference| **reference != 0xF9);
        if !keys.eq(self.keys.keys()) {
            return Some(format!("keys: {:02X?}, not {:02X?}", state.keys.keys(), self.keys.keys()));
        }
        let tags = state.objects.keys();
        if !tags.clone().eq(self.objects.keys()) {
            return Some(format!("objects: {tags:06X?}, not {:06X?}", self.objects.keys()));
        }
        let another = state.objects.iter().find(|(tag, contents)| self.objects[tag] != contents.expose());
        another.map(|(tag, _)| format!("object {tag:06X}: other contents"))
    }
}

/// A data object with the shortest length.
pub(crate) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    crate::support::tlv(tag, value)
}
