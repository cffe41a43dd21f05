//! PUT DATA (SP 800-73-5 Part 2 section 3.3.1).

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::Tlv;
use crate::piv::access_rule;
use crate::piv::commands::get_data::parse_tag;
use crate::piv::data_object::{BIOMETRIC_GROUP, DISCOVERY, PAIRING_CODE};
use crate::piv::key_reference::PasswordReference;
use crate::piv::persistent::Persistent;
use crate::piv::pin_usage_policy::PinUsagePolicy;
use crate::piv::security_status::SecurityStatus;
use crate::piv::state::CardState;
use crate::secret::SecretBytes;

/// New contents for one data object. Empty contents remove it.
pub struct PutData {
    tag: u32,
    contents: SecretBytes,
}

impl PutData {
    /// Parses `5C L tag 53 L contents`, or a discovery object or group template as it is.
    pub(in crate::piv) fn parse(data: &[u8]) -> Result<Self, StatusWord> {
        let objects = Tlv::parse_all(data).map_err(|_| StatusWord::INCORRECT_DATA)?;
        let (tag, contents) = match objects.as_slice() {
            [Tlv { tag: 0x5C, value: tag }, Tlv { tag: 0x53, value }] => match parse_tag(tag)? {
                DISCOVERY | BIOMETRIC_GROUP => return Err(StatusWord::INCORRECT_DATA),
                tag => (tag, *value),
            },
            [Tlv { tag: tag @ (DISCOVERY | BIOMETRIC_GROUP), value }] => (*tag, *value),
            _ => return Err(StatusWord::INCORRECT_DATA),
        };
        Ok(Self { tag, contents: SecretBytes::from(contents) })
    }

    /// Replaces the object in one durable step.
    pub(in crate::piv) fn handle(
        self,
        persistent: &mut Persistent,
        status: &mut SecurityStatus,
    ) -> Result<ResponseData, StatusWord> {
        let personality = persistent.state().personality;
        access_rule::ADMINISTRATION.require(status)?;
        let rule = access_rule::object(personality, self.tag).ok_or(StatusWord::INCORRECT_DATA)?;
        rule.write.require(status)?;
        // A YubiKey's discovery object is fixed, and it has no group template.
        let is_fixed = personality.is_yubikey() && matches!(self.tag, DISCOVERY | BIOMETRIC_GROUP);
        if is_fixed || (self.tag == DISCOVERY && !self.is_true_discovery(persistent.state())) {
            return Err(StatusWord::INCORRECT_DATA);
        }
        if !self.has_room(persistent.state()) {
            return Err(StatusWord::NOT_ENOUGH_MEMORY);
        }
        let tag = self.tag;
        persistent.transaction(|state| {
            if self.contents.expose().is_empty() && tag != DISCOVERY {
                state.objects.remove(&tag);
            } else {
                state.objects.insert(tag, self.contents);
            }
        })?;
        forget_what_changed(persistent.state(), status, tag);
        Ok(ResponseData::default())
    }

    /// Whether the object has room, alone and beside the others. Removing always has.
    fn has_room(&self, state: &CardState) -> bool {
        let length = self.contents.expose().len();
        let others = state.objects.iter().filter(|(tag, _)| **tag != self.tag);
        let beside: usize = others.map(|(_, contents)| contents.expose().len()).sum();
        length == 0
            || length <= state.personality.object_capacity()
                && beside.saturating_add(length) <= state.personality.total_object_capacity()
    }

    /// A discovery object may promise only what the card has: no on-card comparison, and a Global PIN only if the
    /// platform has one. Without contents, it is removed.
    fn is_true_discovery(&self, state: &CardState) -> bool {
        let contents = self.contents.expose();
        contents.is_empty()
            || PinUsagePolicy::of_discovery(contents).is_some_and(|policy| {
                !policy.has_on_card_comparison() && (!policy.has_global_pin() || state.global_pin.is_some())
            })
    }
}

/// Nothing stays verified that no longer counts, or is no longer what was verified.
fn forget_what_changed(state: &CardState, status: &mut SecurityStatus, tag: u32) {
    if tag == DISCOVERY && state.password(PasswordReference::GlobalPin).is_none() {
        status.lost(PasswordReference::GlobalPin);
    }
    if matches!(tag, DISCOVERY | PAIRING_CODE) {
        status.set_pairing_code_verified(false);
    }
}
