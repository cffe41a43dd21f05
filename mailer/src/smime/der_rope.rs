//! DER with definite lengths around content that is not in memory.
use crate::certificate::tlv::length_octets;

/// Begins an element that holds `head` and then so many octets that the caller writes after it.
pub(super) fn open_element(tag: u8, head: &[u8], octets_after: u64) -> Vec<u8> {
    let length = usize::try_from(octets_after).unwrap_or(usize::MAX).saturating_add(head.len());
    let mut bytes = vec![tag];
    bytes.extend(length_octets(length));
    bytes.extend_from_slice(head);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::tlv::{element, tag};

    #[test]
    fn an_element_begun_and_continued_is_one_that_was_written_at_once() {
        for after in [0, 1, 126, 127, 300, 70_000] {
            let content = vec![7; after];
            let mut begun = open_element(tag::OCTET_STRING, &[1, 2], after as u64);
            begun.extend(&content);
            assert_eq!(begun, element(tag::OCTET_STRING, &[&[1, 2], &content]));
        }
    }
}
