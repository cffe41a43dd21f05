//! Who carries a message away: a submission server, or a folder of Maildirs.
use std::path::PathBuf;

use jiff::Timestamp;

use super::endpoint::Endpoint;
use super::maildir::{Maildir, UniqueName};
use super::smtp::{RecipientReply, SmtpSession};
use super::tls::TlsAnchors;
use super::{Credentials, TransportError};
use crate::message::address::Address;
use crate::message::build::Unique;

/// Carries protected messages away.
pub trait Courier {
    /// Hands one message over for some recipients; answers for each of them, in their order.
    ///
    /// # Errors
    /// Nobody got it.
    fn deliver(
        &mut self,
        sender: &Address,
        recipients: &[Address],
        message: &[u8],
    ) -> Result<Vec<RecipientReply>, TransportError>;
}

/// Submission by SMTP; one connection for all messages, opened for the first.
pub struct SmtpCourier {
    endpoint: Endpoint,
    anchors: TlsAnchors,
    credentials: Option<Credentials>,
    session: Result<Option<SmtpSession>, TransportError>,
}

impl SmtpCourier {
    /// Does not connect yet.
    pub fn new(endpoint: Endpoint, anchors: TlsAnchors, credentials: Option<Credentials>) -> Self {
        Self { endpoint, anchors, credentials, session: Ok(None) }
    }

    fn session(&mut self) -> Result<&mut SmtpSession, TransportError> {
        if let Ok(None) = self.session {
            self.session =
                SmtpSession::open(&self.endpoint, &self.anchors, self.credentials.as_ref()).map(Some);
        }
        match &mut self.session {
            Ok(Some(session)) => Ok(session),
            Ok(None) => Err(TransportError::Storage("the connection is closed".to_owned())),
            // One failure is enough: the password is not tried again for every message.
            Err(error) => Err(error.clone()),
        }
    }
}

impl Courier for SmtpCourier {
    fn deliver(
        &mut self,
        sender: &Address,
        recipients: &[Address],
        message: &[u8],
    ) -> Result<Vec<RecipientReply>, TransportError> {
        let replies = self.session()?.send(sender, recipients, message);
        if let Err(error) = &replies {
            // After a refused or broken transaction the next message gets a connection of its own, or the same error.
            self.session = match error {
                TransportError::Refused { .. } | TransportError::Unconfirmed { .. } => Ok(None),
                broken => Err(broken.clone()),
            };
        }
        replies
    }
}

/// Delivery into a folder that holds one Maildir for each address, as Postfix's `virtual_mailbox_base` does.
pub struct MaildirCourier {
    folder: PathBuf,
    now: Timestamp,
    unique: Unique,
}

impl MaildirCourier {
    /// Delivers below `folder`; time and randomness make the file names.
    pub fn new(folder: PathBuf, now: Timestamp, unique: Unique) -> Self {
        Self { folder, now, unique }
    }
}

impl Courier for MaildirCourier {
    fn deliver(
        &mut self,
        _sender: &Address,
        recipients: &[Address],
        message: &[u8],
    ) -> Result<Vec<RecipientReply>, TransportError> {
        let replies = recipients.iter().map(|recipient| {
            let name = UniqueName::new(self.now, &self.unique.word().replace('.', "-"));
            let folder = self.folder.join(maildir_name(recipient));
            let delivered = Maildir::create(&folder).and_then(|maildir| maildir.deliver(&name, message));
            match delivered {
                Ok(()) => RecipientReply::Accepted,
                Err(error) => RecipientReply::Refused {
                    reply: format!("the folder {} cannot be used: {error}", folder.display()),
                    is_transient: true,
                },
            }
        });
        Ok(replies.collect())
    }
}

/// The folder name of an address: its key, with everything that has a meaning in a path percent-encoded.
pub fn maildir_name(address: &Address) -> String {
    const PLAIN: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'@').remove(b'.').remove(b'_').remove(b'+').remove(b'-');
    percent_encoding::utf8_percent_encode(&address.key(), PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipient_gets_a_copy_in_a_maildir_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut courier =
            MaildirCourier::new(folder.path().to_owned(), Timestamp::UNIX_EPOCH, Unique::new([1; 16]));
        let recipients: Vec<Address> =
            ["Bob@mail.test", "\"../x\"@mail.test"].iter().map(|a| a.parse().unwrap()).collect();
        for message in [&b"one"[..], b"two"] {
            let replies = courier.deliver(&recipients[0], &recipients, message).unwrap();
            assert_eq!(replies, [RecipientReply::Accepted, RecipientReply::Accepted]);
        }
        let maildir = Maildir::open(&folder.path().join("bob@mail.test")).unwrap();
        let entries = maildir.entries().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(maildir.read(&entries[0]).unwrap(), b"one");
        assert!(Maildir::open(&folder.path().join("..%2Fx@mail.test")).is_ok());
    }
}
