//! GET DATA (SP 800-73-5 Part 2 section 3.1.2).

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::ber_tlv::{Tlv, encode};
use crate::piv::access_rule;
use crate::piv::data_object::{BIOMETRIC_GROUP, DISCOVERY};
use crate::piv::security_status::SecurityStatus;
use crate::piv::state::CardState;

/// A request for one data object.
pub struct GetData {
    tag: u32,
}

impl GetData {
    /// Parses the tag list `5C L tag`, L from 1 to 3.
    pub(in crate::piv) fn parse(data: &[u8]) -> Result<Self, StatusWord> {
        let list = Tlv::parse_only(data).map_err(|_| StatusWord::INCORRECT_DATA)?;
        if list.tag != 0x5C {
            return Err(StatusWord::INCORRECT_DATA);
        }
        Ok(Self { tag: parse_tag(list.value)? })
    }

    /// Reads the object. The access rule comes first: a protected object that does not exist gives
    /// 6982 as well, so that its absence is not leaked.
    pub(in crate::piv) fn handle(
        &self,
        state: &CardState,
        status: &SecurityStatus,
    ) -> Result<ResponseData, StatusWord> {
        let rule = access_rule::object(state.personality, self.tag).ok_or(StatusWord::NOT_FOUND)?;
        rule.read.require(status)?;
        let contents = state.object(self.tag).ok_or(StatusWord::NOT_FOUND)?;
        Ok(match self.tag {
            DISCOVERY | BIOMETRIC_GROUP => encode(self.tag, contents.expose()),
            _ => encode(0x53, contents.expose()),
        })
    }
}

/// A tag of one to three bytes.
pub(super) fn parse_tag(bytes: &[u8]) -> Result<u32, StatusWord> {
    match bytes {
        [a] => Ok(u32::from(*a)),
        [a, b] => Ok(u32::from_be_bytes([0, 0, *a, *b])),
        [a, b, c] => Ok(u32::from_be_bytes([0, *a, *b, *c])),
        _ => Err(StatusWord::INCORRECT_DATA),
    }
}
