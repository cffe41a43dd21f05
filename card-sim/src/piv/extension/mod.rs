//! Instructions that only one vendor's cards have, kept apart from the standard's.

pub mod attest;
pub(super) mod attestation_authority;
mod attestation_certificate;
pub mod import_asymmetric_key;
pub mod management_application;
pub mod metadata;
pub mod move_key;
pub mod policy;
pub mod reset;
pub mod set_management_key;
pub mod set_pin_retries;

use super::applet::PivApplet;
use super::personality::{Firmware, Personality};
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::{CommandApdu, StatusWord};
use attest::Attest;
use import_asymmetric_key::ImportAsymmetricKey;
use metadata::GetMetadata;
use move_key::MoveKey;
use reset::Reset;
use set_management_key::SetManagementKey;
use set_pin_retries::SetPinRetries;

/// A vendor's instruction whose syntax is right.
pub enum Extension {
    /// FD: the firmware version.
    GetVersion,
    /// F8: the serial number.
    GetSerial,
    /// F7: what a key, PIN or PUK is like.
    GetMetadata(GetMetadata),
    /// F9: a certificate that says how a key came into being.
    Attest(Attest),
    /// F6: a key to another reference, or to nowhere.
    MoveKey(MoveKey),
    /// FA: how many tries PIN and PUK have.
    SetPinRetries(SetPinRetries),
    /// FB: back to the factory's state.
    Reset(Reset),
    /// FE: a private key from outside.
    ImportAsymmetricKey(ImportAsymmetricKey),
    /// FF: a new management key.
    SetManagementKey(SetManagementKey),
}

impl Extension {
    /// Checks the syntax.
    ///
    /// # Errors
    /// 6D00 when this personality has no such instruction; 6A86, 6A80 as the instruction says.
    pub fn parse(apdu: &CommandApdu, personality: Personality) -> Result<Self, StatusWord> {
        let Personality::YubiKey5 { firmware, .. } = personality else {
            return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED);
        };
        Ok(match (apdu.instruction, apdu.p1, apdu.p2) {
            (0xFD, 0x00, 0x00) => Self::GetVersion,
            (0xF8, 0x00, 0x00) => Self::GetSerial,
            (0xF7, 0x00, p2) => Self::GetMetadata(GetMetadata::parse(p2)?),
            (0xF6, p1, p2) if firmware >= Firmware::V5_7 => Self::MoveKey(MoveKey::parse(p1, p2)?),
            (0xF9, p1, 0x00) => Self::Attest(Attest::parse(p1)?),
            (0xFA, p1, p2) => Self::SetPinRetries(SetPinRetries::parse(p1, p2)?),
            (0xFB, 0x00, 0x00) => Self::Reset(Reset),
            (0xFE, p1, p2) => {
                Self::ImportAsymmetricKey(ImportAsymmetricKey::parse(p1, p2, &apdu.data, personality)?)
            }
            (0xFF, 0xFF, p2) => Self::SetManagementKey(SetManagementKey::parse(p2, &apdu.data)?),
            (0xF7 | 0xF8 | 0xF9 | 0xFB | 0xFD | 0xFF, _, _) => return Err(StatusWord::INCORRECT_P1_P2),
            _ => return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED),
        })
    }

    pub(super) fn handle(self, applet: &mut PivApplet) -> Result<ResponseData, StatusWord> {
        let Personality::YubiKey5 { firmware, serial } = applet.personality() else {
            return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED);
        };
        match self {
            Self::GetVersion => Ok(ResponseData::new(firmware.version().to_vec())),
            Self::GetSerial => Ok(ResponseData::new(serial.to_be_bytes().to_vec())),
            Self::GetMetadata(command) => command.handle(applet, firmware),
            Self::Attest(command) => command.handle(applet, firmware, serial),
            Self::MoveKey(command) => command.handle(applet),
            Self::SetPinRetries(command) => command.handle(applet),
            Self::Reset(command) => command.handle(applet, firmware),
            Self::ImportAsymmetricKey(command) => command.handle(applet),
            Self::SetManagementKey(command) => command.handle(applet),
        }
    }
}
