//! GET METADATA, instruction F7: what a key, PIN or PUK is like.

use super::policy;
use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::encode;
use crate::piv::algorithm;
use crate::piv::applet::PivApplet;
use crate::piv::blank;
use crate::piv::commands::generate_asymmetric_key_pair::public_key_parts;
use crate::piv::key_reference::{ADMINISTRATION_KEY, AsymmetricKeyReference, PasswordReference};
use crate::piv::personality::Firmware;
use crate::piv::state::KeyOrigin;

const FINGERPRINT: u8 = 0x96;

/// A question about the reference in P2.
pub struct GetMetadata(Subject);

enum Subject {
    Password(PasswordReference),
    ManagementKey,
    Key(AsymmetricKeyReference),
    /// A reference of other models, which this card has no key for.
    Nothing,
}

impl GetMetadata {
    /// Parses P2; 6A86 when it is no reference at all.
    pub(super) fn parse(p2: u8) -> Result<Self, StatusWord> {
        let key = AsymmetricKeyReference::from_yubikey_byte(p2).map(Subject::Key);
        let password = PasswordReference::from_byte(p2).map(Subject::Password);
        let subject = match p2 {
            ADMINISTRATION_KEY => Some(Subject::ManagementKey),
            FINGERPRINT => Some(Subject::Nothing),
            _ => key.or(password),
        };
        subject.map(Self).ok_or(StatusWord::INCORRECT_P1_P2)
    }

    /// Answers with the list of data objects 01 to 06; 6A88 when there is no such key.
    pub(super) fn handle(
        self,
        applet: &mut PivApplet,
        firmware: Firmware,
    ) -> Result<ResponseData, StatusWord> {
        match self.0 {
            Subject::Password(reference) => password(applet, reference),
            Subject::ManagementKey => Ok(management_key(applet, firmware)),
            Subject::Key(reference) => key(applet, reference),
            Subject::Nothing => Err(StatusWord::REFERENCE_NOT_FOUND),
        }
    }
}

fn password(applet: &PivApplet, reference: PasswordReference) -> Result<ResponseData, StatusWord> {
    let password = applet.persistent.state().password(reference).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    Ok(list(&[
        (0x01, &[0xFF]),
        (0x05, &[u8::from(blank::is_factory_password(reference, password))]),
        (0x06, &[password.tries, password.tries_left]),
    ]))
}

fn management_key(applet: &PivApplet, firmware: Firmware) -> ResponseData {
    let key = &applet.persistent.state().management_key;
    list(&[
        (0x01, &[algorithm::symmetric_identifier(key.algorithm)]),
        (0x02, &[0x00, policy::touch_number(key.touch_policy)]),
        (0x05, &[u8::from(blank::is_factory_management_key(firmware, key))]),
    ])
}

fn key(applet: &mut PivApplet, reference: AsymmetricKeyReference) -> Result<ResponseData, StatusWord> {
    let (loaded, _) = applet.loaded_key(reference)?;
    let public_key = public_key_parts(&loaded.public_key());
    let key = applet.persistent.state().key(reference).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    let origin = match key.origin {
        KeyOrigin::Generated => 0x01,
        KeyOrigin::Imported => 0x02,
    };
    Ok(list(&[
        (0x01, &[algorithm::asymmetric_identifier(key.material.algorithm())]),
        (0x02, &[policy::pin_number(key.pin_policy), policy::touch_number(key.touch_policy)]),
        (0x03, &[origin]),
        (0x04, &public_key),
    ]))
}

fn list(objects: &[(u32, &[u8])]) -> ResponseData {
    ResponseData::new(objects.iter().flat_map(|(tag, value)| encode(*tag, value).to_vec()).collect())
}
