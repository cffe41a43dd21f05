//! The recipient infos that name one of our certificates (RFC 5652 section 6.2). They are looked at one by one, so that
//! ten thousand of them take no memory.
use super::ber_reader::{ReadError, Reader, whole};
use super::decrypt::DecryptError;
use super::key_agreement::KeyAgreeRecipientInfo;
use super::key_transport::KeyTransRecipientInfo;
use crate::certificate::Certificate;
use crate::certificate::tlv::{Element, Malformed, element, tag};
use crate::keys::{KeyError, KeyRing, KeysError};
use zeroize::Zeroizing;

/// The most recipients that are looked at.
const MOST_RECIPIENTS: usize = 10_000;
/// The most private-key operations that one message may cause, and the most with one key: each that does not yield the
/// content key costs a pass over the content.
const MOST_KEY_OPERATIONS: usize = 4;
const MOST_OF_ONE_KEY: usize = 2;
/// One recipient info. One of key agreement may name all the recipients.
const LONGEST_RECIPIENT_INFO: usize = 4 * 1024 * 1024;
/// One of key transport, or of key agreement for one recipient: what is kept of those that name us.
const LONGEST_KEPT: usize = 64 * 1024;

const KEY_AGREEMENT: u8 = tag::context_constructed(1);

/// One key operation that may yield the content key.
pub(super) struct Attempt {
    /// Which certificate of the ring.
    index: usize,
    /// The recipient info in DER; of one of key agreement, the part for this recipient.
    info: Vec<u8>,
}

/// Every pair of a recipient info and a key of ours whose certificate it names, in the order of the ring.
#[derive(Default)]
pub(super) struct RecipientMatches {
    attempts: Vec<Attempt>,
    /// What an info for us asks for that we cannot do.
    unsupported: Option<String>,
    recipients: usize,
}

impl RecipientMatches {
    /// Reads `RecipientInfos ::= SET SIZE (1..MAX) OF RecipientInfo`. Infos of other kinds (password, key-encryption key,
    /// key encapsulation) and those that cannot be read are passed over.
    pub(super) fn read(reader: &mut Reader<'_>, certificates: &[Certificate]) -> Result<Self, DecryptError> {
        let mut matches = Self::default();
        reader.enter(tag::SET)?;
        while let Some(found) = reader.peek()? {
            matches.count()?;
            if !matches!(found, tag::SEQUENCE | KEY_AGREEMENT) || certificates.is_empty() {
                reader.skip()?;
                continue;
            }
            let info = reader.take_apart(LONGEST_RECIPIENT_INFO)?;
            match found {
                tag::SEQUENCE => matches.transport(info, certificates),
                _ => matches.agreement(whole(&info)?, certificates)?,
            }
        }
        reader.leave()?;
        Ok(matches)
    }

    /// The attempts that can be made.
    ///
    /// # Errors
    /// What is not supported, if that is so for every one of them.
    pub(super) fn usable(&self) -> Result<&[Attempt], DecryptError> {
        match &self.unsupported {
            Some(what) if self.attempts.is_empty() => Err(DecryptError::Unsupported(what.clone())),
            _ => Ok(&self.attempts),
        }
    }

    fn count(&mut self) -> Result<(), DecryptError> {
        self.recipients += 1;
        if self.recipients > MOST_RECIPIENTS {
            return Err(DecryptError::Malformed(format!("it has more than {MOST_RECIPIENTS} recipients")));
        }
        Ok(())
    }

    fn transport(&mut self, info: Vec<u8>, certificates: &[Certificate]) {
        let named = whole(&info).ok().and_then(|element| {
            let info = KeyTransRecipientInfo::read(element).ok()?;
            certificates.iter().position(|certificate| info.recipient.names(certificate))
        });
        if let Some(index) = named {
            self.keep(index, info);
        }
    }

    /// Cuts the info into one per recipient.
    fn agreement(&mut self, info: Element<'_>, certificates: &[Certificate]) -> Result<(), DecryptError> {
        let Ok((common, keys)) = cut(info) else { return Ok(()) };
        // What all its recipients share is copied for each of them.
        if common.iter().map(|field| field.len()).sum::<usize>() > LONGEST_KEPT {
            return Ok(());
        }
        let mut keys = keys.elements();
        let mut first = true;
        while let Ok(Some(key)) = keys.next() {
            if !first {
                self.count()?;
            }
            first = false;
            let keys = element(tag::SEQUENCE, &[key.bytes]);
            let mut parts: Vec<&[u8]> = common.clone();
            parts.push(&keys);
            let one = element(KEY_AGREEMENT, &parts);
            let named = whole(&one).ok().and_then(|element| {
                let info = KeyAgreeRecipientInfo::read(element).ok()?;
                let (recipient, _) = info.recipients.first()?;
                certificates.iter().position(|certificate| recipient.names(certificate))
            });
            if let Some(index) = named {
                self.keep(index, one);
            }
        }
        Ok(())
    }

    /// Keeps the attempts that can be made, those with the keys that come first in the ring.
    fn keep(&mut self, index: usize, info: Vec<u8>) {
        let with_this_key = self.attempts.iter().filter(|attempt| attempt.index == index).count();
        if info.len() > LONGEST_KEPT || with_this_key == MOST_OF_ONE_KEY {
            return;
        }
        let attempt = Attempt { index, info };
        if let Err(what) = attempt.check() {
            self.unsupported = Some(what);
            return;
        }
        self.attempts.push(attempt);
        self.attempts.sort_by_key(|attempt| attempt.index);
        self.attempts.truncate(MOST_KEY_OPERATIONS);
    }
}

/// The fields before `recipientEncryptedKeys`, and that one.
fn cut(info: Element<'_>) -> Result<(Vec<&[u8]>, Element<'_>), Malformed> {
    let mut fields = info.elements();
    let mut common = Vec::new();
    let mut last = fields.next()?.ok_or(Malformed::Truncated)?;
    while let Some(field) = fields.next()? {
        common.push(last.bytes);
        last = field;
    }
    match last.tag {
        tag::SEQUENCE => Ok((common, last)),
        other => Err(Malformed::Unexpected(other, tag::SEQUENCE)),
    }
}

impl Attempt {
    /// Whether the algorithms are known; an error in words when not.
    fn check(&self) -> Result<(), String> {
        let unreadable = |_| "a recipient info that cannot be read".to_owned();
        let info = whole(&self.info).map_err(|_: ReadError| Malformed::Tag).map_err(unreadable)?;
        match info.tag {
            KEY_AGREEMENT => KeyAgreeRecipientInfo::read(info).map_err(unreadable)?.check_algorithms(),
            _ => {
                let info = KeyTransRecipientInfo::read(info).map_err(unreadable)?;
                info.encryption(0).map(|_| ())
            }
        }
    }

    /// Lets the key do its work; `None` when the content key does not unwrap.
    pub(super) fn content_key(
        &self,
        ring: &mut dyn KeyRing,
        length: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, KeysError> {
        let unsupported = |what: String| KeysError::Key(KeyError::Unsupported(what));
        let unreadable = |_| unsupported("a recipient info that cannot be read".to_owned());
        let info = whole(&self.info).map_err(|_| Malformed::Tag).map_err(unreadable)?;
        if info.tag == KEY_AGREEMENT {
            let info = KeyAgreeRecipientInfo::read(info).map_err(unreadable)?;
            let Some((_, wrapped)) = info.recipients.first() else { return Ok(None) };
            let shared = ring.agree(self.index, &info.originator_key)?;
            return Ok(info.unwrap_key(&shared, wrapped));
        }
        let info = KeyTransRecipientInfo::read(info).map_err(unreadable)?;
        let encryption = info.encryption(length).map_err(unsupported)?;
        ring.decrypt(self.index, encryption, info.encrypted_key).map(Some)
    }
}
