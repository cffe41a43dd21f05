//! The YubiKey management application: enough for tools that ask the device what it is.

use super::attest::KEYCHAIN_USB_A;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::encode;
use crate::iso7816::{CommandApdu, StatusWord};
use crate::piv::personality::Firmware;

const READ_CONFIG: u8 = 0x1D;

/// The capability bit of the PIV application.
const PIV_CAPABILITY: [u8; 2] = [0x00, 0x10];

/// The answer to SELECT: a line with the firmware version.
#[must_use]
pub fn select(firmware: Firmware) -> ResponseData {
    let [major, minor, patch] = firmware.version();
    ResponseData::new(format!("Virtual mgr - FW version {major}.{minor}.{patch}").into_bytes())
}

/// Answers a command to this application; READ CONFIG is the only one.
///
/// # Errors
/// 6D00 for others, 6A86 for a page that is not there.
pub fn process(apdu: &CommandApdu, firmware: Firmware, serial: u32) -> Result<ResponseData, StatusWord> {
    match (apdu.instruction, apdu.p1) {
        (READ_CONFIG, 0x00) => Ok(read_config(firmware, serial)),
        (READ_CONFIG, _) => Err(StatusWord::INCORRECT_P1_P2),
        _ => Err(StatusWord::INSTRUCTION_NOT_SUPPORTED),
    }
}

fn read_config(firmware: Firmware, serial: u32) -> ResponseData {
    let objects = [
        encode(0x01, &PIV_CAPABILITY),
        encode(0x02, &serial.to_be_bytes()),
        encode(0x03, &PIV_CAPABILITY),
        encode(0x04, &[KEYCHAIN_USB_A]),
        encode(0x05, &firmware.version()),
        encode(0x0A, &[0x00]),
    ];
    let list: Vec<u8> = objects.iter().flat_map(|object| object.iter().copied()).collect();
    let mut data = ResponseData::default();
    data.push(u8::try_from(list.len()).unwrap_or(u8::MAX));
    data.extend(list);
    data
}
