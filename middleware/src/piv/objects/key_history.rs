//! Key history: which retired keys exist (SP 800-73-5 Part 1 section 3.3.3).
use std::collections::BTreeSet;

use crate::apdu::ber_tlv::{append, find};
use crate::piv::{CardError, KeyReference};

/// The retired keys that a key history object counts. Those whose certificates lie on the card (C1) take the
/// references from 82 upward, those whose certificates lie elsewhere (C2) from 95 downward.
pub(crate) fn key_history(contents: &[u8]) -> Result<BTreeSet<KeyReference>, CardError> {
    let (on_card, off_card) = (count(contents, 0xC1)?, count(contents, 0xC2)?);
    let upward = KeyReference::retired().take(usize::from(on_card));
    let downward = KeyReference::retired().rev().take(usize::from(off_card));
    Ok(upward.chain(downward).collect())
}

/// How many retired keys have their certificates on the card.
pub(crate) fn retired_on_card(contents: &[u8]) -> Result<u8, CardError> {
    count(contents, 0xC1)
}

fn count(contents: &[u8], tag: u32) -> Result<u8, CardError> {
    match find(contents, tag) {
        Ok(Some(&[count])) if count <= 20 => Ok(count),
        _ => Err(CardError::MalformedAnswer("a key history without its counts".to_owned())),
    }
}

/// Contents of a key history: so many retired keys whose certificates lie on the card, from 82 upward, and none whose
/// certificates lie elsewhere.
pub fn key_history_to_bytes(on_card: u8) -> Vec<u8> {
    let mut contents = Vec::with_capacity(8);
    append(&mut contents, 0xC1, &[on_card]);
    append(&mut contents, 0xC2, &[0]);
    append(&mut contents, 0xFE, &[]);
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_from_both_ends() {
        let keys = key_history(&[0xC1, 1, 2, 0xC2, 1, 1, 0xFE, 0]).unwrap();
        let references: Vec<String> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(references, ["82", "83", "95"]);
        assert!(key_history(&[0xC1, 1, 0, 0xC2, 1, 0, 0xFE, 0]).unwrap().is_empty());
        assert!(key_history(&[0xC1, 1, 21, 0xC2, 1, 0]).is_err());
        assert!(key_history(&[]).is_err());
        assert_eq!(key_history(&key_history_to_bytes(3)).unwrap().len(), 3);
    }
}
