//! MOVE KEY and DELETE KEY, instruction F6, from firmware 5.7.

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::access_rule;
use crate::piv::applet::PivApplet;
use crate::piv::key_reference::AsymmetricKeyReference;

/// P1 of DELETE KEY.
const NOWHERE: u8 = 0xFF;

/// A key on its way to another reference.
pub struct MoveKey {
    source: AsymmetricKeyReference,
    /// `None` deletes the key.
    destination: Option<AsymmetricKeyReference>,
}

impl MoveKey {
    /// Parses P1 destination, or FF to delete, and P2 source. The attestation key can be deleted, and never moves.
    pub(super) fn parse(p1: u8, p2: u8) -> Result<Self, StatusWord> {
        let (source, destination) = if p1 == NOWHERE {
            (AsymmetricKeyReference::from_yubikey_byte(p2), None)
        } else {
            let destination = AsymmetricKeyReference::from_byte(p1).ok_or(StatusWord::INCORRECT_P1_P2)?;
            (AsymmetricKeyReference::from_byte(p2), Some(destination))
        };
        Ok(Self { source: source.ok_or(StatusWord::INCORRECT_P1_P2)?, destination })
    }

    /// Moves the key with its origin and policies in one durable step; certificates stay where they are. 6A88 when
    /// there is no key to move, 6A80 when another one is in the way.
    pub(super) fn handle(self, applet: &mut PivApplet) -> Result<ResponseData, StatusWord> {
        access_rule::ADMINISTRATION.require(&applet.status)?;
        let state = applet.persistent.state();
        if state.key(self.source).is_none() {
            return Err(StatusWord::REFERENCE_NOT_FOUND);
        }
        if self.destination.is_some_and(|destination| state.key(destination).is_some()) {
            return Err(StatusWord::INCORRECT_DATA);
        }
        applet.change_keys(|state| {
            let key = state.keys.remove(&self.source.byte());
            if let (Some(key), Some(destination)) = (key, self.destination) {
                state.keys.insert(destination.byte(), key);
            }
        })?;
        Ok(ResponseData::default())
    }
}
