//! A response APDU: data field and status word (ISO 7816-4 section 5.2).
use zeroize::Zeroizing;

use super::StatusWord;

/// The bytes are not what ISO 7816-4 lets a card answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct MalformedResponse(pub(crate) String);

/// What a card answered. The data may be a decrypted key, so it is zeroised.
pub(crate) struct ResponseApdu {
    pub(crate) data: Zeroizing<Vec<u8>>,
    pub(crate) status: StatusWord,
}

impl ResponseApdu {
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, MalformedResponse> {
        let mut data = Zeroizing::new(bytes);
        let Some((_, &status)) = data.split_last_chunk::<2>() else {
            return Err(MalformedResponse(format!("{} bytes are no response APDU", data.len())));
        };
        let length = data.len() - 2;
        data.truncate(length);
        Ok(Self { data, status: StatusWord(u16::from_be_bytes(status)) })
    }
}
