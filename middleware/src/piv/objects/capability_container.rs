//! Card capability container (SP 800-73-5 Part 1 section 3.1.1, table 9).
use crate::apdu::ber_tlv::append;

/// GSC-RID, manufacturer unknown, card type JavaCard: the first 7 bytes of the card identifier.
const CARD_IDENTIFIER_PREFIX: [u8; 7] = [0xA0, 0x00, 0x00, 0x01, 0x16, 0xFF, 0x02];

/// Contents of a card capability container; `random` fills the card identifier.
pub fn capability_container(random: &[u8; 14]) -> Vec<u8> {
    let mut identifier = CARD_IDENTIFIER_PREFIX.to_vec();
    identifier.extend_from_slice(random);
    let mut contents = Vec::with_capacity(64);
    append(&mut contents, 0xF0, &identifier);
    // Versions of container and grammar, 2.1.
    append(&mut contents, 0xF1, &[0x21]);
    append(&mut contents, 0xF2, &[0x21]);
    append(&mut contents, 0xF3, &[]);
    append(&mut contents, 0xF4, &[0x00]);
    // Registered data model number: the only value that means PIV.
    append(&mut contents, 0xF5, &[0x10]);
    for empty in [0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE] {
        append(&mut contents, empty, &[]);
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_is_51_bytes_in_the_standards_order() {
        let contents = capability_container(&[0xAB; 14]);
        assert_eq!(contents[..9], [0xF0, 0x15, 0xA0, 0x00, 0x00, 0x01, 0x16, 0xFF, 0x02]);
        assert_eq!(contents[9..23], [0xAB; 14]);
        let tags: Vec<u32> =
            crate::apdu::ber_tlv::elements(&contents).map(|element| element.unwrap().tag).collect();
        assert_eq!(tags, [0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE]);
        assert_eq!(contents.len(), 51);
    }
}
