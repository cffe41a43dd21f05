//! ATTEST, instruction F9: a certificate by which the card says that it made a key itself.

use der::asn1::UintRef;
use der::oid::ObjectIdentifier;
use der::{Decode as _, Encode as _};
use x509_cert::Certificate;

use super::attestation_certificate::{Extension, Statement, unencodable};
use super::policy;
use crate::crypto::CryptoError;
use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::Tlv;
use crate::piv::applet::PivApplet;
use crate::piv::key_reference::AsymmetricKeyReference;
use crate::piv::personality::Firmware;
use crate::piv::state::{CardState, Key, KeyOrigin};

const FIRMWARE_VERSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.3");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.7");
const POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.8");
const FORM_FACTOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.9");
/// Ours, below the arc for documentation (RFC 5612): a UTF8String, how this card is emulated.
const EMULATED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.2.1");

/// The form factor "keychain, USB-A", as the management application says.
pub(super) const KEYCHAIN_USB_A: u8 = 0x01;

const CERTIFICATE: u32 = 0x70;
const CERTIFICATE_INFO: u32 = 0x71;

/// A request for an attestation of the key that P1 names.
pub struct Attest(AsymmetricKeyReference);

impl Attest {
    /// Parses P1; 6A86 when it names no key that can be attested. F9 does not attest itself.
    pub(super) fn parse(p1: u8) -> Result<Self, StatusWord> {
        AsymmetricKeyReference::from_byte(p1).map(Self).ok_or(StatusWord::INCORRECT_P1_P2)
    }

    /// Signs an attestation with the key F9: its issuer and validity are the subject and validity of F9's certificate.
    /// 6A88 without a key, 6A80 when the key was brought from outside, 6A82 without F9's certificate.
    pub(super) fn handle(
        self,
        applet: &mut PivApplet,
        firmware: Firmware,
        serial: u32,
    ) -> Result<ResponseData, StatusWord> {
        let (loaded, _) = applet.loaded_key(self.0)?;
        let public_key = loaded.public_key();
        let state = applet.persistent.state();
        let key = state.key(self.0).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
        if key.origin != KeyOrigin::Generated {
            return Err(StatusWord::INCORRECT_DATA);
        }
        let authority = attestation_certificate(state).ok_or(StatusWord::NOT_FOUND)?;
        let authority = authority.tbs_certificate();
        let statement = Statement {
            issuer: authority.subject().clone(),
            validity: *authority.validity(),
            subject: format!("CN=YubiKey PIV Attestation {:02x}", self.0.byte())
                .parse()
                .map_err(|_| StatusWord::UNKNOWN)?,
            public_key,
            extensions: extensions(key, state.emulated_flags(), firmware, serial)
                .map_err(|_| StatusWord::UNKNOWN)?,
        };
        let (signer, randomness) = applet.loaded_key(AsymmetricKeyReference::Attestation)?;
        statement.sign(signer, randomness).map(ResponseData::new).map_err(|_| StatusWord::UNKNOWN)
    }
}

/// The certificate in the object 5FFF01. A compressed one is not read.
fn attestation_certificate(state: &CardState) -> Option<Certificate> {
    let contents = state.objects.get(&AsymmetricKeyReference::Attestation.certificate_tag())?;
    let parts = Tlv::parse_all(contents.expose()).ok()?;
    let part = |tag| parts.iter().find(|part| part.tag == tag).map(|part| part.value);
    if part(CERTIFICATE_INFO).is_some_and(|info| info != [0x00]) {
        return None;
    }
    Certificate::from_der(part(CERTIFICATE)?).ok()
}

/// What Yubico's verifiers read, and whether the card's keys are its own. Firmware, policies and form factor are bare
/// bytes in the extension's value, only the serial number is DER.
fn extensions(
    key: &Key,
    emulated_flags: u8,
    firmware: Firmware,
    serial: u32,
) -> Result<Vec<Extension>, CryptoError> {
    let serial = serial.to_be_bytes();
    let serial = UintRef::new(&serial).and_then(|number| number.to_der()).map_err(unencodable)?;
    let policies = vec![policy::pin_number(key.pin_policy), policy::touch_number(key.touch_policy)];
    let emulated = match emulated_flags {
        0 => "card-sim",
        1 => "card-sim, seeded",
        2 => "card-sim, cloned",
        _ => "card-sim, seeded, cloned",
    };
    Ok(vec![
        Extension::new(FIRMWARE_VERSION, firmware.version().to_vec())?,
        Extension::new(SERIAL_NUMBER, serial)?,
        Extension::new(POLICIES, policies)?,
        Extension::new(FORM_FACTOR, vec![KEYCHAIN_USB_A])?,
        Extension::new(EMULATED, emulated.to_der().map_err(unencodable)?)?,
    ])
}
