//! What no two cards have in common: keys, signatures, challenges, identities.

use super::matching::Expected;
use crate::piv::data_object::{CAPABILITY_CONTAINER, CHUID};
use crate::piv::key_reference::AsymmetricKeyReference;

/// Whether the data of the answer to this command is the card's own.
pub(super) fn is_individual(command: &[u8]) -> bool {
    match command {
        // GENERAL AUTHENTICATE, GENERATE ASYMMETRIC KEY PAIR, ATTEST, GET SERIAL.
        [_, 0x87 | 0x47 | 0xF9 | 0xF8, ..] => true,
        // GET METADATA of a key holds its public half.
        [_, 0xF7, _, reference, ..] => {
            *reference == 0xF9 || AsymmetricKeyReference::from_byte(*reference).is_some()
        }
        [_, 0xCB, 0x3F, 0xFF, 5, 0x5C, 3, a, b, c, ..] => {
            is_individual_object(u32::from_be_bytes([0, *a, *b, *c]))
        }
        _ => false,
    }
}

/// The CHUID and the capability container hold the card's identifiers, certificates its keys; 5FFF01 is the
/// certificate of a YubiKey's attestation key.
fn is_individual_object(tag: u32) -> bool {
    let is_certificate = |tag| {
        (0x82..=0x9E)
            .filter_map(AsymmetricKeyReference::from_byte)
            .any(|reference| reference.certificate_tag() == tag)
    };
    matches!(tag, CHUID | CAPABILITY_CONTAINER | 0x5F_FF01) || is_certificate(tag)
}

/// Whether an answer of a command of that kind has the status word and the first byte, its tag, of the pattern. The
/// count in a status word 61XX may be another; an answer that has no tag begins with any byte.
pub(super) fn is_alike(pattern: &[Expected], answer: &[u8], has_no_tag: bool) -> bool {
    let Some(Expected::Bytes(end)) = pattern.last() else { return false };
    let ([.., high, low], [data @ .., answered_high, answered_low]) = (end.as_slice(), answer) else {
        return false;
    };
    let has_the_status = high == answered_high && (low == answered_low || *high == 0x61);
    let has_the_tag = match (pattern, data.first()) {
        ([Expected::Bytes(all)], None) => all.len() == 2,
        ([Expected::Bytes(all)], Some(_)) if all.len() == 2 => false,
        ([Expected::Bytes(begin), ..], Some(first)) => has_no_tag || begin.first() == Some(first),
        (_, Some(_)) => true,
        (_, None) => false,
    };
    has_the_status && has_the_tag
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn is(expected: &[u8], answer: &[u8]) -> bool {
        is_alike(&[Expected::Bytes(Zeroizing::new(expected.to_vec()))], answer, false)
    }

    #[test]
    fn status_and_tag_decide() {
        assert!(is(&[0x7C, 1, 1, 0x90, 0], &[0x7C, 2, 9, 9, 0x90, 0]));
        assert!(is(&[0x7C, 1, 0x61, 8], &[0x7C, 2, 9, 9, 0x61, 7]));
        assert!(is(&[0x69, 0x82], &[0x69, 0x82]));
        assert!(!is(&[0x7C, 1, 1, 0x90, 0], &[0x7F, 1, 1, 0x90, 0]));
        assert!(!is(&[0x7C, 1, 1, 0x90, 0], &[0x90, 0]));
        assert!(!is(&[0x90, 0], &[0x7C, 1, 1, 0x90, 0]));
        assert!(!is(&[0x7C, 1, 1, 0x90, 0], &[0x69, 0x82]));
        assert!(!is(&[0x63, 0xC2], &[0x63, 0xC1]));
        let rest = [Expected::Bytes(Zeroizing::new(vec![5, 0x90, 0]))];
        assert!(is_alike(&rest, &[6, 7, 0x90, 0], true) && !is_alike(&rest, &[6, 7, 0x90, 0], false));
    }
}
