//! How a client notices that somebody else used the card meanwhile.
//!
//! PIV has no counter of changes, and a shared reader tells nobody who sent what. But a card keeps the rest of a long
//! answer for GET RESPONSE until the next command of anybody discards it, as do reset and loss of power (ISO 7816-4
//! section 5.3.4; SP 800-73-5 Part 2 section 3.1.3). So a transaction ends by asking for a data object and fetching
//! only its beginning. Where the next transaction finds exactly the rest of it waiting, no command was sent in
//! between: PIV is still selected and what was read before still holds, although only one command was spent. Anything
//! else, and everything is read again. Programs that come between notice nothing: their first command discards the rest.
//!
//! How much is fetched is drawn anew each time, so that another process that seals the same card leaves another rest.
//! A card that does not cut its answers as asked is never sealed, and read again each time.
use getrandom::SysRng;
use rand_core::TryRng as _;
use zeroize::Zeroizing;

use super::DataObject;
use crate::transport::{Exclusive, TransportError};

/// GET RESPONSE for as much as fits in a short answer.
const GET_RESPONSE: [u8; 5] = [0x00, 0xC0, 0x00, 0x00, 0x00];
const SHORT_ANSWER: usize = 256;

/// What waits on the card if nobody has used it.
pub(super) struct Seal {
    rest: Vec<u8>,
}

impl Seal {
    /// Asks for `object`, whose whole answer is `answer`, and leaves a part of it on the card. `None` where the card
    /// answers in another way.
    pub(super) fn put_on(line: &mut dyn Exclusive, object: DataObject, answer: &[u8]) -> Option<Self> {
        let most = u8::try_from(answer.len().checked_sub(1)?).unwrap_or(u8::MAX);
        let fetched = 1 + u8::try_from(SysRng.try_next_u64().ok()? % u64::from(most)).ok()?;
        let tag_list = object.tag_list();
        let mut command = vec![0x00, 0xCB, 0x3F, 0xFF, u8::try_from(tag_list.len()).ok()?];
        command.extend_from_slice(&tag_list);
        command.push(fetched);
        let response = line.transmit(&command).ok()?;
        let (start, rest) = answer.split_at_checked(usize::from(fetched))?;
        match response.split_last_chunk::<2>() {
            Some((data, [0x61, _])) if data == start => Some(Self { rest: rest.to_vec() }),
            _ => None,
        }
    }

    /// Whether the rest still waits. Afterwards it does not, in any case.
    pub(super) fn is_intact(&self, line: &mut dyn Exclusive) -> Result<bool, TransportError> {
        let response = Zeroizing::new(line.transmit(&GET_RESPONSE)?);
        let expected = self.rest.get(..SHORT_ANSWER).unwrap_or(&self.rest);
        Ok(match response.split_last_chunk::<2>() {
            Some((data, [0x90, 0x00] | [0x61, _])) => data == expected,
            _ => false,
        })
    }
}
