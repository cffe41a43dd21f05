//! What the tests of the card share: blank cards, and a hand that drives one.
#![allow(dead_code, reason = "each test file uses its own part")]

#[cfg(unix)]
pub(crate) mod desk;
pub(crate) mod openssl;

use std::collections::BTreeMap;
use std::path::Path;

use aes::{Aes128, Aes192, Aes256};
use card_sim::Card;
use card_sim::crypto::{Randomness, SymmetricAlgorithm};
use card_sim::iso7816::Interface;
use card_sim::piv::blank::{BlankCard, BlankKind};
use card_sim::piv::personality::Firmware;
use card_sim::piv::state::CardState;
use card_sim::secret::SecretBytes;
use card_sim::store::image;
use card_sim::store::memory::MemoryStore;
use cipher::{Block, BlockCipherDecrypt, KeyInit};
use des::TdesEde3;

/// The seed of every test card: the same run twice gives the same bytes.
pub(crate) const SEED: &[u8] = b"test card";

pub(crate) const PIN: &[u8; 8] = b"123456\xFF\xFF";
pub(crate) const WRONG_PIN: &[u8; 8] = b"999999\xFF\xFF";

/// The kinds of card there are.
pub(crate) const KINDS: [&str; 3] = ["standard", "yubikey5 5.7", "yubikey5 5.4"];

/// A blank seeded card of a kind.
pub(crate) fn blank(kind: &str) -> CardState {
    let yubikey = |firmware| BlankKind::YubiKey5 { firmware, serial: Some(12_345_678) };
    let kind = match kind {
        "standard" => BlankKind::Standard,
        "yubikey5 5.7" => yubikey(Firmware::V5_7),
        "yubikey5 5.4" => yubikey(Firmware::V5_4),
        other => panic!("no such kind of card: {other}"),
    };
    let seed = Some(SecretBytes::from(SEED));
    BlankCard { kind, keys: BTreeMap::new(), seed }.manufacture(&mut Randomness::from_seed(SEED, u64::MAX)).0
}

/// The same card without a seed: it draws on the system's randomness and computes with the fastest implementation.
pub(crate) fn unseeded(kind: &str) -> CardState {
    CardState { seed: None, ..blank(kind) }
}

/// A powered card in memory, and the management key it begins with.
pub(crate) struct Hand {
    pub(crate) card: Card,
    algorithm: SymmetricAlgorithm,
    key: SecretBytes,
}

impl Hand {
    pub(crate) fn blank(kind: &str) -> Self {
        Self::holding(&blank(kind))
    }

    /// One card for each implementation of the cryptography: a seeded card has another than others.
    pub(crate) fn blank_with_each_implementation(kind: &str) -> [Self; 2] {
        [Self::blank(kind), Self::holding(&unseeded(kind))]
    }

    pub(crate) fn holding(state: &CardState) -> Self {
        let path = Path::new("memory");
        let store = MemoryStore::new(image::encode(state, path).unwrap());
        let card = Card::with_store(Box::new(store), path).unwrap();
        Self::with_card(card, state)
    }

    pub(crate) fn with_card(mut card: Card, state: &CardState) -> Self {
        assert!(!card.power_on().is_empty());
        Self { card, algorithm: state.management_key.algorithm, key: state.management_key.key.clone() }
    }

    /// The same card in a reader of this interface.
    pub(crate) fn over(self, interface: Interface) -> Self {
        let mut card = self.card.over(interface);
        assert!(!card.power_on().is_empty());
        Self { card, ..self }
    }

    /// Sends a command and returns data and status word; answers longer than one APDU are fetched.
    pub(crate) fn send(&mut self, command: &[u8]) -> (Vec<u8>, u16) {
        let mut answer = self.card.transmit(command);
        let mut data = Vec::new();
        loop {
            let status = answer.split_off(answer.len() - 2);
            data.append(&mut answer);
            if status[0] != 0x61 {
                return (data, u16::from_be_bytes([status[0], status[1]]));
            }
            answer = self.card.transmit(&[0x00, 0xC0, 0x00, 0x00, 0x00]);
        }
    }

    /// Sends a command with data of any length: short when it fits, else extended.
    pub(crate) fn command(&mut self, ins: u8, p1: u8, p2: u8, data: &[u8]) -> (Vec<u8>, u16) {
        self.send(&apdu(ins, p1, p2, data))
    }

    /// The same, and the status must be 9000.
    pub(crate) fn succeed(&mut self, ins: u8, p1: u8, p2: u8, data: &[u8]) -> Vec<u8> {
        let (answer, status) = self.command(ins, p1, p2, data);
        assert_eq!(status, 0x9000, "{ins:02X} {p1:02X} {p2:02X}");
        answer
    }

    pub(crate) fn verify(&mut self, pin: &[u8]) -> u16 {
        self.command(0x20, 0x00, 0x80, pin).1
    }

    /// Single authentication with the management key (Part 2 appendix A.1).
    pub(crate) fn authenticate(&mut self) {
        let algorithm = match self.algorithm {
            SymmetricAlgorithm::TripleDes => 0x03,
            SymmetricAlgorithm::Aes128 => 0x08,
            SymmetricAlgorithm::Aes192 => 0x0A,
            SymmetricAlgorithm::Aes256 => 0x0C,
        };
        let challenge = self.succeed(0x87, algorithm, 0x9B, &[0x7C, 0x02, 0x81, 0x00]);
        let response = self.encrypt(&challenge[4..]);
        let block = u8::try_from(response.len()).unwrap();
        let data = [&[0x7C, block + 2, 0x82, block], &response[..]].concat();
        assert!(self.succeed(0x87, algorithm, 0x9B, &data).is_empty());
    }

    pub(crate) fn encrypt(&self, block: &[u8]) -> Vec<u8> {
        self.algorithm.encrypt_block(&self.key, block).unwrap().to_vec()
    }

    pub(crate) fn decrypt(&self, block: &[u8]) -> Vec<u8> {
        let key = self.key.expose();
        match self.algorithm {
            SymmetricAlgorithm::TripleDes => decrypt::<TdesEde3>(key, block),
            SymmetricAlgorithm::Aes128 => decrypt::<Aes128>(key, block),
            SymmetricAlgorithm::Aes192 => decrypt::<Aes192>(key, block),
            SymmetricAlgorithm::Aes256 => decrypt::<Aes256>(key, block),
        }
    }

    /// GENERATE ASYMMETRIC KEY PAIR; returns the contents of the 7F49 template.
    pub(crate) fn generate(&mut self, reference: u8, algorithm: u8) -> Vec<u8> {
        self.authenticate();
        let answer = self.succeed(0x47, 0x00, reference, &[0xAC, 0x03, 0x80, 0x01, algorithm]);
        assert_eq!(answer[..2], [0x7F, 0x49]);
        let header = if answer[2] == 0x82 { 5 } else { 3 };
        answer[header..].to_vec()
    }

    /// GENERAL AUTHENTICATE with `82 00 tag L input`; returns the value of 82.
    pub(crate) fn use_key(&mut self, algorithm: u8, reference: u8, tag: u8, input: &[u8]) -> Vec<u8> {
        let (answer, status) = self.try_key(algorithm, reference, tag, input);
        assert_eq!(status, 0x9000);
        answer
    }

    /// The same when it may fail; returns the value of 82, if any, and the status word.
    pub(crate) fn try_key(&mut self, algorithm: u8, reference: u8, tag: u8, input: &[u8]) -> (Vec<u8>, u16) {
        let parts = [&[0x82, 0x00, tag], &length(input.len())[..], input].concat();
        let template = [&[0x7C], &length(parts.len())[..], &parts].concat();
        let (answer, status) = self.command(0x87, algorithm, reference, &template);
        let value = |bytes: &[u8]| bytes[1 + length_of_length(bytes[1])..].to_vec();
        (if answer.is_empty() { answer } else { value(&value(&answer)) }, status)
    }
}

fn decrypt<C: KeyInit + BlockCipherDecrypt>(key: &[u8], block: &[u8]) -> Vec<u8> {
    let mut block = Block::<C>::try_from(block).unwrap();
    C::new_from_slice(key).unwrap().decrypt_block(&mut block);
    block.to_vec()
}

/// A case-4 command, short or extended.
pub(crate) fn apdu(ins: u8, p1: u8, p2: u8, data: &[u8]) -> Vec<u8> {
    let mut command = vec![0x00, ins, p1, p2];
    match u8::try_from(data.len()) {
        Ok(0) => {}
        Ok(short) => command.push(short),
        Err(_) => {
            command.push(0);
            command.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        }
    }
    command.extend(data);
    command.extend(if data.len() > 255 { &[0, 0][..] } else { &[0] });
    command
}

/// A BER length field.
pub(crate) fn length(length: usize) -> Vec<u8> {
    match length {
        0..=0x7F => vec![u8::try_from(length).unwrap()],
        0x80..=0xFF => vec![0x81, u8::try_from(length).unwrap()],
        _ => [&[0x82], &u16::try_from(length).unwrap().to_be_bytes()[..]].concat(),
    }
}

fn length_of_length(first: u8) -> usize {
    if first < 0x80 { 1 } else { 1 + usize::from(first & 0x7F) }
}

/// The first TLV of these bytes, with a one-byte tag: its tag, its value, and what follows it.
pub(crate) fn parse_tlv(bytes: &[u8]) -> (u8, Vec<u8>, Vec<u8>) {
    let header = 1 + length_of_length(bytes[1]);
    let length = match &bytes[1..header] {
        [short] => usize::from(*short),
        [_, long @ ..] => long.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)),
        [] => panic!("no length"),
    };
    (bytes[0], bytes[header..header + length].to_vec(), bytes[header + length..].to_vec())
}

/// One TLV with a one-byte tag.
pub(crate) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    [&[tag], &length(value.len())[..], value].concat()
}

/// EMSA-PKCS1-v1_5 of a SHA-256 digest (RFC 8017 section 9.2), as long as the modulus.
pub(crate) fn padded_digest(digest: &[u8], block: usize) -> Vec<u8> {
    let info = hex::decode("3031300d060960864801650304020105000420").unwrap();
    let fill = vec![0xFF; block - 3 - info.len() - digest.len()];
    [&[0, 1], &fill[..], &[0], &info, digest].concat()
}
