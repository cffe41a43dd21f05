//! Key history: which retired keys exist (SP 800-73-5 Part 1 section 3.3.3).
use std::collections::BTreeSet;

use crate::apdu::ber_tlv::find;
use crate::piv::{CardError, KeyReference};

/// The retired keys that a key history object counts. Those whose certificates lie on the card (C1) take the
/// references from 82 upward, those whose certificates lie elsewhere (C2) from 95 downward.
pub(crate) fn key_history(contents: &[u8]) -> Result<BTreeSet<KeyReference>, CardError> {
    let count = |tag| match find(contents, tag) {
        Ok(Some(&[count])) if count <= 20 => Ok(usize::from(count)),
        _ => Err(CardError::MalformedAnswer("a key history without its counts".to_owned())),
    };
    let (on_card, off_card) = (count(0xC1)?, count(0xC2)?);
    let upward = KeyReference::retired().take(on_card);
    let downward = KeyReference::retired().rev().take(off_card);
    Ok(upward.chain(downward).collect())
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
    }
}
