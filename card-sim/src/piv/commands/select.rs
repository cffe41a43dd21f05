//! SELECT (SP 800-73-5 Part 2 section 3.1.1).

use crate::iso7816::aid;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::{encode, encode_constructed};
use crate::piv::algorithm::{asymmetric_algorithms, asymmetric_identifier, symmetric_identifier};
use crate::piv::state::CardState;

/// The application property template, tag 61 (Part 2 tables 4 to 6).
///
/// The standard card gives its complete AID and lists its algorithms, all of them: hosts that find one listed offer
/// nothing else. A YubiKey gives the identifier extension alone.
#[must_use]
pub fn application_property_template(state: &CardState) -> ResponseData {
    let authority = encode_constructed(0x79, &[&encode(0x4F, &aid::NIST_PROVIDER)]);
    if state.personality.is_yubikey() {
        return encode_constructed(0x61, &[&encode(0x4F, &aid::PIV_EXTENSION), &authority]);
    }
    encode_constructed(0x61, &[&encode(0x4F, &aid::PIV), &authority, &algorithms(state)])
}

/// The cryptographic algorithm identifier template, tag AC: `80 01 identifier` for each, and `06 01 00`.
fn algorithms(state: &CardState) -> ResponseData {
    let asymmetric = asymmetric_algorithms(state.personality).iter().copied().map(asymmetric_identifier);
    let identifiers = asymmetric.chain([symmetric_identifier(state.management_key.algorithm)]);
    let mut list: Vec<u8> = identifiers.flat_map(|identifier| [0x80, 0x01, identifier]).collect();
    list.extend([0x06, 0x01, 0x00]);
    encode(0xAC, &list)
}
