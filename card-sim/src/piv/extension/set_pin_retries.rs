//! SET PIN RETRIES, instruction FA.

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::access_rule;
use crate::piv::applet::PivApplet;
use crate::piv::blank;
use crate::piv::key_reference::PasswordReference;

/// How many tries PIN and PUK have from now on.
pub struct SetPinRetries {
    pin: u8,
    puk: u8,
}

impl SetPinRetries {
    /// Parses P1 tries of the PIN and P2 tries of the PUK, 1 to 255 each.
    pub(super) fn parse(p1: u8, p2: u8) -> Result<Self, StatusWord> {
        match (p1, p2) {
            (0, _) | (_, 0) => Err(StatusWord::INCORRECT_P1_P2),
            (pin, puk) => Ok(Self { pin, puk }),
        }
    }

    /// Needs management key and PIN. PIN and PUK become the factory's, and the PIN must be verified anew.
    pub(super) fn handle(self, applet: &mut PivApplet) -> Result<ResponseData, StatusWord> {
        access_rule::ADMINISTRATION.require(&applet.status)?;
        access_rule::SETTING_PIN_RETRIES.require(&applet.status)?;
        applet.persistent.transaction(|state| {
            state.pin = blank::factory_password(PasswordReference::Pin, self.pin);
            state.puk = blank::factory_password(PasswordReference::Puk, self.puk);
        })?;
        applet.status.pin_lost();
        Ok(ResponseData::default())
    }
}
