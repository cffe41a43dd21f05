//! Discovery object (SP 800-73-5 Part 1 section 3.3.2).
use crate::apdu::ber_tlv::{append, encode};

/// The whole AID of the application, with its version.
const PIV_AID: [u8; 11] = [0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00];

/// The whole `7E` of a card that has its application PIN and nothing else: `4F AID, 5F2F 40 00`.
pub fn discovery_object() -> Vec<u8> {
    let mut contents = Vec::with_capacity(18);
    append(&mut contents, 0x4F, &PIV_AID);
    append(&mut contents, 0x5F2F, &[0x40, 0x00]);
    encode(0x7E, &contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_the_standards_example() {
        assert_eq!(hex::encode(discovery_object()), "7e124f0ba0000003080000100001005f2f024000");
    }
}
