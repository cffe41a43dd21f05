//! PUT DATA (SP 800-73-5 Part 2 section 3.3.1).

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::{Tlv, encode};
use crate::piv::access_rule;
use crate::piv::commands::get_data::parse_tag;
use crate::piv::data_object::{self, BIOMETRIC_GROUP, DISCOVERY};
use crate::piv::persistent::Persistent;
use crate::piv::security_status::SecurityStatus;
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
            [Tlv { tag: 0x5C, value: tag }, Tlv { tag: 0x53, value }] => (parse_tag(tag)?, *value),
            [Tlv { tag: tag @ (DISCOVERY | BIOMETRIC_GROUP), value }] => (*tag, *value),
            _ => return Err(StatusWord::INCORRECT_DATA),
        };
        Ok(Self { tag, contents: SecretBytes::from(contents) })
    }

    /// Replaces the object in one durable step.
    pub(in crate::piv) fn handle(
        self,
        persistent: &mut Persistent,
        status: &SecurityStatus,
    ) -> Result<ResponseData, StatusWord> {
        let personality = persistent.state().personality;
        access_rule::ADMINISTRATION.require(status)?;
        let rule = access_rule::object(personality, self.tag).ok_or(StatusWord::INCORRECT_DATA)?;
        rule.write.require(status)?;
        if matches!(self.tag, DISCOVERY | BIOMETRIC_GROUP) {
            return self.handle_constant(personality.is_yubikey());
        }
        if self.contents.expose().len() > personality.object_capacity() {
            return Err(StatusWord::NOT_ENOUGH_MEMORY);
        }
        persistent.transaction(|state| {
            if self.contents.expose().is_empty() {
                state.objects.remove(&self.tag);
            } else {
                state.objects.insert(self.tag, self.contents);
            }
        })?;
        Ok(ResponseData::default())
    }

    /// The discovery object says what the card can do, so only what it says already can be written;
    /// a YubiKey refuses even that.
    fn handle_constant(&self, is_yubikey: bool) -> Result<ResponseData, StatusWord> {
        let written = encode(self.tag, self.contents.expose());
        if !is_yubikey && *written == data_object::discovery() {
            Ok(ResponseData::default())
        } else {
            Err(StatusWord::INCORRECT_DATA)
        }
    }
}
