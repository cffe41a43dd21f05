//! The model's PIN and PUK: their form and their counters (SP 800-73-5 Part 2 section 2.4.3).

use super::model::{DONE, Expected, Kind};

/// A PIN or PUK.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) value: [u8; 8],
    pub(crate) left: u8,
    pub(crate) total: u8,
}

impl Counted {
    pub(crate) fn wrong(&mut self) -> Expected {
        self.left -= 1;
        Expected::Status(0x63C0 | u16::from(self.left.min(15)))
    }

    pub(crate) fn change(&mut self, kind: Kind, is_puk: bool, old: [u8; 8], new: [u8; 8]) -> Expected {
        let is_well_formed = |value: &[u8]| is_well_formed(kind, is_puk, value);
        if self.left == 0 {
            return Expected::Status(0x6983);
        }
        if kind == Kind::Standard && !(is_well_formed(&old) && is_well_formed(&new)) {
            return Expected::Status(0x6A80);
        }
        if old != self.value {
            return self.wrong();
        }
        if !is_well_formed(&new) {
            return Expected::Status(0x6985);
        }
        *self = Self { value: new, left: self.total, total: self.total };
        DONE
    }
}

/// Part 2 section 2.4.3: a PIN is six to eight digits padded with FF, a PUK eight bytes. A YubiKey takes six to eight
/// characters for both.
pub(crate) fn is_well_formed(kind: Kind, is_puk: bool, value: &[u8]) -> bool {
    let characters: Vec<u8> = value.iter().copied().take_while(|byte| *byte != 0xFF).collect();
    let is_padded = value[characters.len()..].iter().all(|byte| *byte == 0xFF);
    let is_allowed = |byte: &u8| match kind {
        Kind::Standard => byte.is_ascii_digit(),
        Kind::YubiKey57 => byte.is_ascii(),
        Kind::YubiKey54 => true,
    };
    let is_any = kind == Kind::Standard && is_puk;
    value.len() == 8 && (is_any || (characters.len() >= 6 && is_padded && characters.iter().all(is_allowed)))
}
