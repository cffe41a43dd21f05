//! RESET, instruction FB: the PIV application as it left the factory.

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::applet::PivApplet;
use crate::piv::blank;
use crate::piv::personality::Firmware;

/// Back to the factory's state.
pub struct Reset;

impl Reset {
    /// Anyone may, once PIN and PUK are both blocked; until then 6985. Everything goes, in one durable step, but the
    /// attestation key with its certificates.
    pub(super) fn handle(
        self,
        applet: &mut PivApplet,
        firmware: Firmware,
    ) -> Result<ResponseData, StatusWord> {
        let state = applet.persistent.state();
        if state.pin.tries_left > 0 || state.puk.tries_left > 0 {
            return Err(StatusWord::CONDITIONS_OF_USE_NOT_SATISFIED);
        }
        let guid = blank::random_guid(&mut applet.randomness);
        let identifier = applet.randomness.array();
        applet.change_keys(|state| blank::reset(state, firmware, guid, identifier))?;
        applet.deselect();
        Ok(ResponseData::default())
    }
}
