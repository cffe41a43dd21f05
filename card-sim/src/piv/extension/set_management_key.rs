//! SET MANAGEMENT KEY, instruction FF.

use crate::crypto::SymmetricAlgorithm;
use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::access_rule;
use crate::piv::algorithm;
use crate::piv::applet::PivApplet;
use crate::piv::key_reference::ADMINISTRATION_KEY;
use crate::piv::state::ManagementKey;
use crate::secret::SecretBytes;

/// A new management key, with its algorithm and touch policy.
pub struct SetManagementKey {
    algorithm: SymmetricAlgorithm,
    key: SecretBytes,
    needs_touch: bool,
}

impl SetManagementKey {
    /// Parses `algorithm 9B length key`; P2 is FF without touch, FE with touch.
    pub(super) fn parse(p2: u8, data: &[u8]) -> Result<Self, StatusWord> {
        let needs_touch = match p2 {
            0xFF => false,
            0xFE => true,
            _ => return Err(StatusWord::INCORRECT_P1_P2),
        };
        let [identifier, ADMINISTRATION_KEY, length, key @ ..] = data else {
            return Err(StatusWord::INCORRECT_DATA);
        };
        let algorithm = algorithm::symmetric(*identifier).ok_or(StatusWord::INCORRECT_DATA)?;
        if usize::from(*length) != key.len() || key.len() != algorithm.key_length() {
            return Err(StatusWord::INCORRECT_DATA);
        }
        Ok(Self { algorithm, key: SecretBytes::from(key), needs_touch })
    }

    /// Replaces the management key; the host stays authenticated.
    pub(super) fn handle(self, applet: &mut PivApplet) -> Result<ResponseData, StatusWord> {
        access_rule::ADMINISTRATION.require(&applet.status)?;
        let Self { algorithm, key, needs_touch } = self;
        applet
            .persistent
            .transaction(|state| state.management_key = ManagementKey { algorithm, key, needs_touch })?;
        Ok(ResponseData::default())
    }
}
