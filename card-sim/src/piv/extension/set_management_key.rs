//! SET MANAGEMENT KEY, instruction FF.

use crate::crypto::SymmetricAlgorithm;
use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::access_rule;
use crate::piv::algorithm;
use crate::piv::applet::PivApplet;
use crate::piv::key_reference::ADMINISTRATION_KEY;
use crate::piv::state::{ManagementKey, TouchPolicy};
use crate::secret::SecretBytes;

/// A new management key, with its algorithm and touch policy.
pub struct SetManagementKey {
    algorithm: SymmetricAlgorithm,
    key: SecretBytes,
    touch_policy: TouchPolicy,
}

impl SetManagementKey {
    /// Parses `algorithm 9B length key`; P2 is FF without touch, FE with touch, FD with a cached touch.
    pub(super) fn parse(p2: u8, data: &[u8]) -> Result<Self, StatusWord> {
        let touch_policy = match p2 {
            0xFF => TouchPolicy::Never,
            0xFE => TouchPolicy::Always,
            0xFD => TouchPolicy::Cached,
            _ => return Err(StatusWord::INCORRECT_P1_P2),
        };
        let [identifier, ADMINISTRATION_KEY, length, key @ ..] = data else {
            return Err(StatusWord::INCORRECT_DATA);
        };
        let algorithm = algorithm::symmetric(*identifier).ok_or(StatusWord::INCORRECT_DATA)?;
        if usize::from(*length) != key.len() || key.len() != algorithm.key_length() {
            return Err(StatusWord::INCORRECT_DATA);
        }
        Ok(Self { algorithm, key: SecretBytes::from(key), touch_policy })
    }

    /// Replaces the management key; the host stays authenticated.
    pub(super) fn handle(self, applet: &mut PivApplet) -> Result<ResponseData, StatusWord> {
        access_rule::ADMINISTRATION.require(&applet.status)?;
        let Self { algorithm, key, touch_policy } = self;
        applet
            .persistent
            .transaction(|state| state.management_key = ManagementKey { algorithm, key, touch_policy })?;
        Ok(ResponseData::default())
    }
}
