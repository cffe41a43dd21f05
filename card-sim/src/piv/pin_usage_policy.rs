//! The PIN usage policy in the discovery object (SP 800-73-5 Part 1 section 3.3.2).

use crate::iso7816::aid;
use crate::iso7816::ber_tlv::{Tlv, encode};

const APPLICATION_PIN: u8 = 0x40;
const GLOBAL_PIN: u8 = 0x20;
const ON_CARD_COMPARISON: u8 = 0x10;
const VIRTUAL_CONTACT_INTERFACE: u8 = 0x08;
const NO_PAIRING_CODE: u8 = 0x04;

const APPLICATION_PIN_IS_PRIMARY: u8 = 0x10;
const GLOBAL_PIN_IS_PRIMARY: u8 = 0x20;

/// What satisfies the access rules for the PIN, and which PIN the cardholder prefers.
///
/// ```text
/// 7E 12 { 4F 0B A0 00 00 03 08 00 00 10 00 01 00, 5F2F 02 xx yy }
/// xx  40 application PIN  20 Global PIN  10 on-card comparison  08 virtual contact interface  04 no pairing code
/// yy  10 application PIN is primary  20 Global PIN is primary  00 when xx has no 20
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PinUsagePolicy([u8; 2]);

impl PinUsagePolicy {
    /// The application PIN alone.
    pub const APPLICATION_PIN: Self = Self([APPLICATION_PIN, 0x00]);

    /// Both PINs; hosts are to ask for the application PIN.
    pub const BOTH_PINS: Self = Self([APPLICATION_PIN | GLOBAL_PIN, APPLICATION_PIN_IS_PRIMARY]);

    /// Reads the contents of a discovery object (without `7E 12`). `None` unless it is exactly what the standard
    /// describes: this AID, and a policy of the standard's list with its second byte.
    #[must_use]
    pub fn of_discovery(contents: &[u8]) -> Option<Self> {
        let parts = Tlv::parse_all(contents).ok()?;
        let [Tlv { tag: 0x4F, value: aid }, Tlv { tag: 0x5F2F, value: [first, second] }] = parts.as_slice()
        else {
            return None;
        };
        let policy = Self([*first, *second]);
        // The shortest form of every length, too: hosts compare the object byte by byte.
        let is_exact = *aid == aid::PIV && policy.is_of_the_standard() && policy.discovery() == contents;
        is_exact.then_some(policy)
    }

    /// The contents of the discovery object that says this.
    #[must_use]
    pub fn discovery(self) -> Vec<u8> {
        [encode(0x4F, &aid::PIV), encode(0x5F2F, &self.0)].iter().flat_map(|part| part.to_vec()).collect()
    }

    /// Part 1 section 3.3.2, the table of first bytes; and what the second byte must be then.
    fn is_of_the_standard(self) -> bool {
        let Self([first, second]) = self;
        let is_listed = matches!(first, 0x40 | 0x48 | 0x4C | 0x50 | 0x58 | 0x5C)
            || matches!(first, 0x60 | 0x68 | 0x6C | 0x70 | 0x78 | 0x7C);
        is_listed
            && if self.has_global_pin() {
                matches!(second, APPLICATION_PIN_IS_PRIMARY | GLOBAL_PIN_IS_PRIMARY)
            } else {
                second == 0x00
            }
    }

    /// Whether the Global PIN satisfies the access rules as well.
    #[must_use]
    pub fn has_global_pin(self) -> bool {
        self.has(GLOBAL_PIN)
    }

    /// Whether on-card biometric comparison satisfies them.
    #[must_use]
    pub fn has_on_card_comparison(self) -> bool {
        self.has(ON_CARD_COMPARISON)
    }

    /// Whether there is a virtual contact interface, hence a pairing code to verify.
    #[must_use]
    pub fn has_virtual_contact_interface(self) -> bool {
        self.has(VIRTUAL_CONTACT_INTERFACE)
    }

    /// Whether the virtual contact interface needs no pairing code.
    #[must_use]
    pub fn needs_no_pairing_code(self) -> bool {
        self.has(NO_PAIRING_CODE)
    }

    fn has(self, bit: u8) -> bool {
        let Self([first, _]) = self;
        first & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(policy: [u8; 2]) -> bool {
        PinUsagePolicy::of_discovery(&PinUsagePolicy(policy).discovery()).is_some()
    }

    /// Part 1 section 3.3.2: twelve first bytes; a second byte of 10 or 20 with a Global PIN, of 00 without.
    #[test]
    fn just_the_policies_of_the_standard_are_accepted() {
        let without = [0x40, 0x48, 0x4C, 0x50, 0x58, 0x5C];
        let with = [0x60, 0x68, 0x6C, 0x70, 0x78, 0x7C];
        for first in 0..=255 {
            for second in 0..=255 {
                let expected = without.contains(&first) && second == 0x00
                    || with.contains(&first) && (second == 0x10 || second == 0x20);
                assert_eq!(accepts([first, second]), expected, "{first:02X} {second:02X}");
            }
        }
    }

    #[test]
    fn another_aid_form_or_order_is_no_discovery_object() {
        let good = PinUsagePolicy::BOTH_PINS.discovery();
        assert_eq!(PinUsagePolicy::of_discovery(&good), Some(PinUsagePolicy::BOTH_PINS));
        let mut other_version = good.clone();
        other_version[11] = 2;
        let long_length = [&[0x4F, 0x81, 0x0B][..], &good[2..]].concat();
        let swapped = [&good[13..], &good[..13]].concat();
        for wrong in
            [&other_version[..], &long_length, &swapped, &good[..13], &[&good[..], &[0xFE, 0]].concat()]
        {
            assert_eq!(PinUsagePolicy::of_discovery(wrong), None, "{wrong:02X?}");
        }
    }
}
