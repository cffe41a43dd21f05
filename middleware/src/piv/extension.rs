//! Vendors' commands beyond SP 800-73-5: management key, moving and deleting keys, retries, reset.
//!
//! A card that does not answer GET VERSION has none of them, and is not asked: it is refused by name.
use zeroize::Zeroizing;

use super::administration::{Administration, done};
use super::management_key::MANAGEMENT_KEY;
use super::transaction::Repeat;
use super::{CardError, KeyReference, LastTry, ManagementKey, Pin, Transaction};
use crate::apdu::{CommandApdu, StatusWord, ber_tlv};

/// Firmware that has MOVE KEY.
const MOVES_KEYS: (u8, u8, u8) = (5, 7, 0);
/// No counter of a card counts further.
const MOST_TRIES: usize = 256;

impl Administration<'_, '_> {
    /// Replaces the management key (vendor command SET MANAGEMENT KEY).
    ///
    /// # Errors
    /// [`CardError::Unsupported`], by name, on a card that has no such command: SP 800-73-5 defines none.
    pub fn set_management_key(&mut self, new: &ManagementKey) -> Result<(), CardError> {
        if self.transaction().version()?.is_none() {
            return Err(CardError::Unsupported(
                "change its management key (SP 800-73-5 has no command for it)".to_owned(),
            ));
        }
        let mut data = Zeroizing::new(Vec::with_capacity(3 + new.bytes().len()));
        data.push(new.algorithm().to_byte());
        ber_tlv::append(&mut data, u32::from(MANAGEMENT_KEY), new.bytes());
        let command = CommandApdu::new("SET MANAGEMENT KEY", 0xFF, 0xFF, 0xFF).with_data(data);
        let response = self.transaction().send(&command, Repeat::Never)?;
        done(&command, &response, || "use a management key of this algorithm".to_owned())
    }

    /// Moves a key to an empty key reference, its policies with it (vendor command MOVE KEY). Certificates stay where
    /// they are.
    ///
    /// # Errors
    /// [`CardError::Unsupported`], by name, on a card without the command; [`CardError::KeyNotFound`] when there is no
    /// key at `from`; [`CardError::KeyInTheWay`] when there is one at `to`.
    pub fn move_key(&mut self, from: KeyReference, to: KeyReference) -> Result<(), CardError> {
        self.transaction().requires(Some(MOVES_KEYS), "move a key")?;
        let response = self.transaction().change_key(from, to.to_byte())?;
        match response {
            StatusWord::OK => Ok(()),
            StatusWord::INCORRECT_PARAMETER => Err(CardError::KeyInTheWay(to)),
            StatusWord::REFERENCED_DATA_NOT_FOUND => Err(CardError::KeyNotFound(from)),
            status => Err(CardError::Refused { command: "MOVE KEY", status: status.0 }),
        }
    }

    /// Deletes a key (vendor command MOVE KEY to nowhere). Its certificate stays.
    ///
    /// # Errors
    /// [`CardError::Unsupported`], by name, on a card without the command; [`CardError::KeyNotFound`].
    pub fn delete_key(&mut self, key: KeyReference) -> Result<(), CardError> {
        self.transaction().requires(Some(MOVES_KEYS), "delete a key")?;
        let response = self.transaction().change_key(key, 0xFF)?;
        match response {
            StatusWord::OK => Ok(()),
            StatusWord::REFERENCED_DATA_NOT_FOUND => Err(CardError::KeyNotFound(key)),
            status => Err(CardError::Refused { command: "DELETE KEY", status: status.0 }),
        }
    }

    /// Sets how many tries PIN and PUK have, 1 to 255 (vendor command SET PIN RETRIES), for which the card wants the
    /// PIN too. **The card sets PIN and PUK back to its factory's values with it**, 123456 and 12345678.
    ///
    /// # Errors
    /// [`CardError::Unsupported`], by name, on a card without the command; those of [`Transaction::verify_pin`].
    pub fn set_retries(
        &mut self,
        pin: &Pin,
        last_try: LastTry,
        of_pin: u8,
        of_puk: u8,
    ) -> Result<(), CardError> {
        if of_pin == 0 || of_puk == 0 {
            return Err(CardError::Unsupported("give PIN or PUK no tries at all".to_owned()));
        }
        self.transaction().requires(None, "set the tries of PIN and PUK")?;
        self.transaction().verify_pin(pin, last_try).map(drop)?;
        let command = CommandApdu::new("SET PIN RETRIES", 0xFA, of_pin, of_puk);
        let response = self.transaction().send(&command, Repeat::Never)?;
        done(&command, &response, || "set the tries of PIN and PUK".to_owned())
    }
}

impl Transaction<'_> {
    /// Makes a blank card of it: every key, certificate and data object is gone, PIN, PUK and management key have
    /// their factory's values (vendor command RESET). The card allows it only when PIN and PUK are blocked, so both
    /// are blocked first, by wrong values.
    ///
    /// # Errors
    /// [`CardError::Unsupported`], by name, on a card without the command; nothing is blocked then.
    pub fn reset_application(&mut self) -> Result<(), CardError> {
        self.requires(None, "reset its PIV application")?;
        self.forget_contents();
        let wrong = Zeroizing::new(vec![0xFF; 16]);
        self.pin_will_be_submitted();
        self.block(|| {
            CommandApdu::new("VERIFY", 0x20, 0x00, 0x80)
                .with_data(wrong.get(..8).unwrap_or_default().to_vec())
        })?;
        self.block(|| CommandApdu::new("RESET RETRY COUNTER", 0x2C, 0x00, 0x80).with_data(wrong.clone()))?;
        let command = CommandApdu::new("RESET", 0xFB, 0x00, 0x00);
        let response = self.send(&command, Repeat::Never)?;
        done(&command, &response, || "reset its PIV application".to_owned())
    }

    /// Sends a wrong value until no try is left.
    fn block(&mut self, attempt: impl Fn() -> CommandApdu) -> Result<(), CardError> {
        for _ in 0..MOST_TRIES {
            let command = attempt();
            let status = self.send(&command, Repeat::Never)?.status;
            match status.tries_left() {
                Some(0) => return Ok(()),
                Some(_) => {}
                None if status == StatusWord::AUTHENTICATION_METHOD_BLOCKED => return Ok(()),
                None => return Err(CardError::Refused { command: command.name, status: status.0 }),
            }
        }
        Err(CardError::MalformedAnswer("a counter of tries that does not count down".to_owned()))
    }

    /// Fails, by name, unless the card has the vendor's commands, and since which firmware.
    pub(super) fn requires(&mut self, since: Option<(u8, u8, u8)>, what: &str) -> Result<(), CardError> {
        match (self.version()?, since) {
            (None, _) => Err(CardError::Unsupported(format!("{what} (SP 800-73-5 has no command for it)"))),
            (Some(version), Some(since)) if version < since => Err(CardError::Unsupported(format!(
                "{what} (it has firmware {}.{}, and {}.{} is needed)",
                version.0, version.1, since.0, since.1
            ))),
            _ => Ok(()),
        }
    }

    /// MOVE KEY: P1 the destination, P2 the source.
    fn change_key(&mut self, from: KeyReference, to: u8) -> Result<StatusWord, CardError> {
        self.forget_contents();
        let command = CommandApdu::new("MOVE KEY", 0xF6, to, from.to_byte());
        let status = self.send(&command, Repeat::Never)?.status;
        if status == StatusWord::INSTRUCTION_NOT_SUPPORTED {
            return Err(CardError::Unsupported("move or delete a key".to_owned()));
        }
        Ok(status)
    }
}
