//! SELECT (SP 800-73-5 Part 2 section 3.1.1).

use crate::crypto::AsymmetricAlgorithm;
use crate::iso7816::aid;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::{encode, encode_constructed};
use crate::piv::algorithm::asymmetric_identifier;
use crate::piv::personality::Personality;

/// The application property template, tag 61 (Part 2 tables 4 to 6).
///
/// The standard card gives its complete AID and lists its algorithms, so that hosts offer nothing
/// else. A YubiKey gives the identifier extension alone.
#[must_use]
pub fn application_property_template(personality: Personality) -> ResponseData {
    let authority = encode_constructed(0x79, &[&encode(0x4F, &aid::NIST_PROVIDER)]);
    match personality {
        Personality::YubiKey5 { .. } => {
            encode_constructed(0x61, &[&encode(0x4F, &aid::PIV_EXTENSION), &authority])
        }
        Personality::Standard => {
            let identifier = |algorithm| encode(0x80, &[asymmetric_identifier(algorithm)]);
            let algorithms = encode_constructed(
                0xAC,
                &[
                    &identifier(AsymmetricAlgorithm::Rsa2048),
                    &identifier(AsymmetricAlgorithm::P256),
                    &encode(0x06, &[0x00]),
                ],
            );
            encode_constructed(0x61, &[&encode(0x4F, &aid::PIV), &authority, &algorithms])
        }
    }
}
