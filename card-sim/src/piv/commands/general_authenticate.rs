//! GENERAL AUTHENTICATE (SP 800-73-5 Part 2 section 3.2.4).
//!
//! The shape of the dynamic authentication template decides what is done; an empty data object asks
//! for its content.

mod administration;
mod private_key;

use zeroize::Zeroizing;

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::{Tlv, encode, encode_constructed};
use crate::piv::applet::PivApplet;
use crate::piv::key_reference::{ADMINISTRATION_KEY, AsymmetricKeyReference};

const TEMPLATE: u32 = 0x7C;
const WITNESS: u32 = 0x80;
const CHALLENGE: u32 = 0x81;
const RESPONSE: u32 = 0x82;
const EXPONENTIATION: u32 = 0x85;

type Bytes = Zeroizing<Vec<u8>>;

/// A request to the key that P2 names.
pub struct GeneralAuthenticate {
    algorithm: u8,
    key: NamedKey,
    request: Request,
}

/// The key that P2 names.
enum NamedKey {
    Administration,
    Asymmetric(AsymmetricKeyReference),
}

/// What the template asks for.
enum Request {
    /// `81 00`: a random challenge.
    Challenge,
    /// `80 00`: an encrypted random witness.
    Witness,
    /// `82 response`: the answer to the challenge.
    Response(Bytes),
    /// `80 witness 81 challenge [82 00]`: the decrypted witness, and a challenge in return.
    MutualResponse { witness: Bytes, challenge: Bytes },
    /// `81 challenge [82 00]`: sign or decrypt this.
    Operation(Bytes),
    /// `85 point [82 00]`: agree on a key with this.
    Exponentiation(Bytes),
}

impl GeneralAuthenticate {
    /// Parses P2 and the template; P1 is judged with the key.
    pub(in crate::piv) fn parse(p1: u8, p2: u8, data: &[u8]) -> Result<Self, StatusWord> {
        let key = match p2 {
            ADMINISTRATION_KEY => NamedKey::Administration,
            _ => NamedKey::Asymmetric(
                AsymmetricKeyReference::from_byte(p2).ok_or(StatusWord::INCORRECT_P1_P2)?,
            ),
        };
        Ok(Self { algorithm: p1, key, request: Request::parse(data)? })
    }

    /// Does what the template asks, with the key that P2 names.
    pub(in crate::piv) fn handle(self, applet: &mut PivApplet) -> Result<ResponseData, StatusWord> {
        match self.key {
            NamedKey::Administration => administration::handle(applet, self.algorithm, self.request),
            NamedKey::Asymmetric(reference) => {
                private_key::handle(applet, reference, self.algorithm, self.request)
            }
        }
    }
}

impl Request {
    fn parse(data: &[u8]) -> Result<Self, StatusWord> {
        let template = Tlv::parse_only(data).map_err(|_| StatusWord::INCORRECT_DATA)?;
        if template.tag != TEMPLATE {
            return Err(StatusWord::INCORRECT_DATA);
        }
        let parts = Tlv::parse_all(template.value).map_err(|_| StatusWord::INCORRECT_DATA)?;
        let has_only_known_parts =
            parts.iter().all(|part| matches!(part.tag, WITNESS | CHALLENGE | RESPONSE | EXPONENTIATION));
        let part = |tag| parts.iter().find(|part| part.tag == tag).map(|part| part.value);
        let present = [part(WITNESS), part(CHALLENGE), part(RESPONSE), part(EXPONENTIATION)];
        // A part of another tag, or a second one of the same.
        if !has_only_known_parts || parts.len() != present.iter().flatten().count() {
            return Err(StatusWord::INCORRECT_DATA);
        }
        let owned = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        // Hosts differ in whether they add the empty response that asks for a result.
        Ok(match present {
            [None, Some([]), None, None] => Self::Challenge,
            [Some([]), None, None, None] => Self::Witness,
            [None, None, Some(response @ [_, ..]), None] => Self::Response(owned(response)),
            [Some(witness @ [_, ..]), Some(challenge @ [_, ..]), None | Some([]), None] => {
                Self::MutualResponse { witness: owned(witness), challenge: owned(challenge) }
            }
            [None, Some(challenge @ [_, ..]), None | Some([]), None] => Self::Operation(owned(challenge)),
            [None, None, None | Some([]), Some(point @ [_, ..])] => Self::Exponentiation(owned(point)),
            _ => return Err(StatusWord::INCORRECT_DATA),
        })
    }
}

/// `7C { tag value }`.
fn answer(tag: u32, value: &[u8]) -> ResponseData {
    encode_constructed(TEMPLATE, &[&encode(tag, value)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_order_of_the_parts_does_not_matter() {
        for data in
            [&[0x7C, 5, 0x82, 0, 0x81, 1, 9][..], &[0x7C, 5, 0x81, 1, 9, 0x82, 0], &[0x7C, 3, 0x81, 1, 9]]
        {
            assert!(matches!(Request::parse(data), Ok(Request::Operation(_))), "{data:02X?}");
        }
    }

    #[test]
    fn shapes_without_a_meaning_are_refused() {
        for data in [
            &[0x7D, 2, 0x81, 0][..],
            &[0x7C, 0],
            &[0x7C, 4, 0x81, 0, 0x82, 0],
            &[0x7C, 4, 0x80, 0, 0x81, 0],
            &[0x7C, 4, 0x81, 0, 0x81, 0],
            &[0x7C, 4, 0x83, 0, 0x81, 0],
            &[0x7C, 3, 0x81, 0],
        ] {
            assert!(Request::parse(data).is_err(), "{data:02X?}");
        }
    }

    proptest! {
        #[test]
        fn no_template_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = GeneralAuthenticate::parse(0x11, 0x9A, &encode(TEMPLATE, &bytes));
        }
    }
}
