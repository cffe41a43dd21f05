//! What of a message may be quoted in a reply: only what was shown, and of what was decrypted only to those who wrote or got it.
//!
//! Whoever gets hold of an encrypted message can send it on under another name, hide it among other parts, or change it; a
//! reply that quotes it would decrypt it for them. So a [`Quotation`] is made only from the text that [`Shown`] showed, and
//! [`Quotation::for_recipients`] hands it out only for recipients whom a trusted signature names as author, or whom the
//! protected header names. What was not shown (encrypted parts, attachments, hidden HTML) is not in it.
use super::open::{Opened, ReleasePolicy};
use crate::message::address::Address;
use crate::message::header_protection::FieldProtection;
use crate::message::mime::MimeError;
use crate::message::parse::{Correspondent, Readable, read};

/// A message that is shown to its reader.
#[derive(Debug)]
pub struct Shown {
    readable: Readable,
    permission: Result<Readers, NotQuotable>,
}

/// Who may read a quotation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Readers {
    /// It was never encrypted.
    Everybody,
    /// Those who wrote or got it, as [`Address::key`]s.
    These(Vec<String>),
}

/// Why nothing is quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotQuotable {
    /// Shown only because its reader asked for what is not trusted.
    #[error("the message is not trusted, so nothing of it is quoted")]
    NotTrusted,
    /// Anybody may have sent on what somebody else encrypted.
    #[error("the message was encrypted and no signature proves who wrote it, so nothing of it is quoted")]
    NobodyProven,
    /// Somebody who did not get the message.
    #[error("{0} neither wrote nor got the encrypted message, so nothing of it is quoted to them")]
    Stranger(String),
}

impl NotQuotable {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotTrusted => "quotes-untrusted",
            Self::NobodyProven => "quotes-unproven",
            Self::Stranger(_) => "quotes-to-stranger",
        }
    }
}

impl Shown {
    /// Shows an opened message as the policy allows; `None` where it is withheld.
    ///
    /// # Errors
    /// The content is beyond the limits, or cannot be read.
    pub fn new(opened: Opened, policy: ReleasePolicy) -> Result<Option<Self>, MimeError> {
        let strict = ReleasePolicy { show_untrusted: false, ..policy };
        let is_acceptable = opened.is_acceptable(strict);
        let was_encrypted = opened.was_encrypted();
        let author = opened.verdict().address().map(str::to_owned);
        let is_protected = |name: &str| {
            let protection = opened.header().and_then(|header| header.protection_of(name));
            matches!(protection, Some(FieldProtection::SignedOnly | FieldProtection::SignedAndEncrypted))
        };
        let (to, cc) = (is_protected("To"), is_protected("Cc"));
        let reading = opened.reading();
        let Some(content) = opened.release(policy) else { return Ok(None) };
        let readable = read(&content, reading)?;
        let permission = match (is_acceptable, was_encrypted, author) {
            (false, _, _) => Err(NotQuotable::NotTrusted),
            (true, false, _) => Ok(Readers::Everybody),
            (true, true, None) => Err(NotQuotable::NobodyProven),
            (true, true, Some(author)) => {
                let known = [(to, &readable.to), (cc, &readable.cc)];
                let known = known.into_iter().filter(|(is_known, _)| *is_known).flat_map(|(_, list)| list);
                let known = known.map(|Correspondent { address, .. }| address.as_str());
                Ok(Readers::These(known.chain([author.as_str()]).filter_map(key).collect()))
            }
        };
        Ok(Some(Self { readable, permission }))
    }

    /// What is shown.
    pub fn readable(&self) -> &Readable {
        &self.readable
    }

    /// What may be quoted of it.
    ///
    /// # Errors
    /// Nothing; see [`NotQuotable`].
    pub fn quotation(&self) -> Result<Quotation, NotQuotable> {
        let readers = self.permission.clone()?;
        Ok(Quotation { text: quoted(&self.readable.text), readers })
    }
}

/// Text out of a message that was shown; only [`Shown::quotation`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotation {
    text: String,
    readers: Readers,
}

impl Quotation {
    /// The quoted lines, for a reply to these recipients.
    ///
    /// # Errors
    /// The first of them who may not read it.
    pub fn for_recipients(&self, recipients: &[Address]) -> Result<&str, NotQuotable> {
        let stranger = match &self.readers {
            Readers::Everybody => None,
            Readers::These(keys) => recipients.iter().find(|recipient| !keys.contains(&recipient.key())),
        };
        match stranger {
            Some(stranger) => Err(NotQuotable::Stranger(stranger.to_string())),
            None => Ok(&self.text),
        }
    }
}

fn key(address: &str) -> Option<String> {
    address.parse::<Address>().ok().map(|address| address.key())
}

/// RFC 3676 section 4.5: each line with a mark before it.
fn quoted(text: &str) -> String {
    text.trim_end_matches('\n')
        .split('\n')
        .map(|line| match line.starts_with('>') || line.is_empty() {
            true => format!(">{line}\n"),
            false => format!("> {line}\n"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<Address> {
        text.split(' ').map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn what_was_decrypted_is_quoted_only_to_those_who_know_it() {
        let readers = Readers::These(vec!["alice@x.test".to_owned(), "bob@x.test".to_owned()]);
        let quotation = Quotation { text: quoted("one\n\n> two\n"), readers };
        assert_eq!(quotation.for_recipients(&addresses("Alice@X.test bob@x.test")), Ok("> one\n>\n>> two\n"));
        let refusal = quotation.for_recipients(&addresses("alice@x.test eve@y.test"));
        assert_eq!(refusal, Err(NotQuotable::Stranger("eve@y.test".to_owned())));
        let open = Quotation { readers: Readers::Everybody, ..quotation };
        assert!(open.for_recipients(&addresses("eve@y.test")).is_ok());
    }
}
