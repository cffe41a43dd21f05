//! What of a header stays readable outside an encrypted message (RFC 9788 section 3: header confidentiality policies).
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use mail_parser::DateTime;
use serde::{Deserialize, Serialize};

use super::address::parse_mailboxes;
use super::header::Field;
use super::header_protection::Revealed;

/// What stands outside instead of a subject that is hidden.
pub const HIDDEN_SUBJECT: &str = "[...]";

/// The policies of RFC 9788 section 3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfidentialityLevel {
    /// `hcp_no_confidentiality`: everything stays readable.
    NoConfidentiality,
    /// `hcp_baseline`: Subject is replaced, Comments and Keywords are removed.
    #[default]
    Baseline,
    /// `hcp_shy`: as baseline; besides no names beside addresses, and Date without a time zone.
    Shy,
}

/// A policy for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfidentialityPolicy {
    level: ConfidentialityLevel,
    /// Names in lower case of further fields that are removed outside.
    removed: BTreeSet<String>,
    hides_subject: bool,
    hides_names: bool,
}

impl Default for ConfidentialityPolicy {
    fn default() -> Self {
        ConfidentialityLevel::default().into()
    }
}

impl From<ConfidentialityLevel> for ConfidentialityPolicy {
    fn from(level: ConfidentialityLevel) -> Self {
        Self {
            level,
            removed: BTreeSet::new(),
            hides_subject: level != ConfidentialityLevel::NoConfidentiality,
            hides_names: level == ConfidentialityLevel::Shy,
        }
    }
}

impl ConfidentialityPolicy {
    /// The policy for a reply: what was confidential in the message that is replied to stays so (RFC 9788 section 6.1).
    pub fn for_reply_to(mut self, message: &Revealed) -> Self {
        for field in message.fields.iter().filter(|field| field.protection.is_confidential()) {
            match field.name.to_ascii_lowercase().as_str() {
                "subject" => self.hides_subject = true,
                // The people of one message are the people of the other, in other places.
                "from" | "sender" | "reply-to" | "to" | "cc" | "mail-followup-to" => self.hides_names = true,
                "message-id" | "references" | "in-reply-to" => {
                    self.removed.extend(["references".to_owned(), "in-reply-to".to_owned()]);
                }
                "date" => {}
                other => {
                    self.removed.insert(other.to_owned());
                }
            }
        }
        self
    }

    /// The field as it stands outside; `None` where it does not.
    pub(super) fn outer_field<'f>(&self, field: &Field<'f>) -> Option<Cow<'f, [u8]>> {
        let hides_words = self.level != ConfidentialityLevel::NoConfidentiality;
        let name = field.name().to_ascii_lowercase();
        match name.as_str() {
            _ if self.removed.contains(&name) => None,
            "subject" if self.hides_subject => {
                Some(Cow::Owned(format!("{}: {HIDDEN_SUBJECT}\r\n", field.name()).into_bytes()))
            }
            "keywords" | "comments" if hides_words => None,
            "from" | "sender" | "reply-to" | "to" | "cc" if self.hides_names => addresses_alone(field),
            "date" if self.level == ConfidentialityLevel::Shy => Some(in_universal_time(field)),
            _ => Some(Cow::Borrowed(field.raw())),
        }
    }
}

/// The addresses without names and comments. What is no list of addresses may contain anything, so it is removed, but for
/// From, which must stand, and groups without members.
fn addresses_alone<'f>(field: &Field<'f>) -> Option<Cow<'f, [u8]>> {
    let value = field.unfolded();
    match parse_mailboxes(&value) {
        Ok(mailboxes) => {
            let addresses: Vec<String> =
                mailboxes.iter().map(|mailbox| mailbox.address.to_string()).collect();
            let line = format!("{}: {}\r\n", field.name(), addresses.join(",\r\n "));
            Some(Cow::Owned(line.into_bytes()))
        }
        Err(_) if field.is("From") || value.ends_with(":;") => Some(Cow::Borrowed(field.raw())),
        Err(_) => None,
    }
}

/// RFC 5322 section 3.3, in UTC, so that nobody learns where the author is.
fn in_universal_time<'f>(field: &Field<'f>) -> Cow<'f, [u8]> {
    let date = DateTime::parse_rfc822(&field.unfolded())
        .filter(DateTime::is_valid)
        .and_then(|date| Timestamp::from_second(date.to_timestamp()).ok());
    match date {
        Some(date) => Cow::Owned(
            format!("{}: {}\r\n", field.name(), date.strftime("%a, %d %b %Y %H:%M:%S +0000")).into_bytes(),
        ),
        None => Cow::Borrowed(field.raw()),
    }
}

impl fmt::Display for ConfidentialityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConfidentiality => "no-confidentiality",
            Self::Baseline => "baseline",
            Self::Shy => "shy",
        })
    }
}

impl FromStr for ConfidentialityLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::NoConfidentiality, Self::Baseline, Self::Shy]
            .into_iter()
            .find(|level| level.to_string() == text)
            .ok_or_else(|| format!("{text:?} is none of baseline, shy, no-confidentiality"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::header::Fields;
    use crate::message::header_protection::{Around, Payload, reveal};

    fn outside(policy: &ConfidentialityPolicy, header: &str) -> String {
        let (fields, _) = Fields::split(header.as_bytes());
        let left: Vec<u8> = fields
            .iter()
            .filter_map(|field| policy.outer_field(field))
            .flat_map(|field| field.into_owned())
            .collect();
        String::from_utf8(left).unwrap()
    }

    const HEADER: &str = "Date: Sat, 21 Nov 2026 22:15:00 -0500\r\nFrom: Alice Archer <alice@x.test>\r\n\
        To: =?utf-8?Q?B=C3=B6b?= <bob@x.test>,\r\n carol@x.test (the boss)\r\nSubject: Crane\r\nKeywords: secret\r\nComments: more\r\nX-Other: kept\r\n";

    #[test]
    fn each_policy_leaves_what_rfc_9788_says() {
        assert_eq!(outside(&ConfidentialityLevel::NoConfidentiality.into(), HEADER), HEADER);
        assert_eq!(
            outside(&ConfidentialityLevel::Baseline.into(), HEADER),
            "Date: Sat, 21 Nov 2026 22:15:00 -0500\r\nFrom: Alice Archer <alice@x.test>\r\n\
             To: =?utf-8?Q?B=C3=B6b?= <bob@x.test>,\r\n carol@x.test (the boss)\r\nSubject: [...]\r\nX-Other: kept\r\n"
        );
        assert_eq!(
            outside(&ConfidentialityLevel::Shy.into(), HEADER),
            "Date: Sun, 22 Nov 2026 03:15:00 +0000\r\nFrom: alice@x.test\r\nTo: bob@x.test,\r\n carol@x.test\r\nSubject: [...]\r\nX-Other: kept\r\n"
        );
    }

    #[test]
    fn what_is_no_address_list_is_not_shown_by_the_shy() {
        let shy = ConfidentialityLevel::Shy.into();
        assert_eq!(outside(&shy, "To: Secret group: a@x.test;\r\n"), "");
        assert_eq!(
            outside(&shy, "To: undisclosed-recipients:;\r\nDate: never\r\n"),
            "To: undisclosed-recipients:;\r\nDate: never\r\n"
        );
    }

    #[test]
    fn a_reply_keeps_hidden_what_was_hidden() {
        let payload = "From: Alice Archer <alice@x.test>\r\nSubject: Crane\r\nX-Project: Heron\r\nMessage-ID: <1@x.test>\r\n\
            HP-Outer: From: alice@x.test\r\nHP-Outer: Subject: [...]\r\nContent-Type: text/plain; hp=\"cipher\"\r\n";
        let revealed = reveal(
            b"From: alice@x.test\r\nSubject: [...]\r\n",
            Payload::Header(payload.as_bytes()),
            Around { was_encrypted: true, was_signed: true },
        );
        let policy =
            ConfidentialityPolicy::from(ConfidentialityLevel::NoConfidentiality).for_reply_to(&revealed);
        let reply = "From: Bob <bob@x.test>\r\nTo: Alice Archer <alice@x.test>\r\nSubject: Re: Crane\r\nX-Project: Heron\r\n\
            In-Reply-To: <1@x.test>\r\nReferences: <1@x.test>\r\nX-Mine: open\r\n";
        assert_eq!(
            outside(&policy, reply),
            "From: bob@x.test\r\nTo: alice@x.test\r\nSubject: [...]\r\nX-Mine: open\r\n"
        );
    }

    #[test]
    fn levels_are_named_as_they_are_written() {
        for level in [
            ConfidentialityLevel::NoConfidentiality,
            ConfidentialityLevel::Baseline,
            ConfidentialityLevel::Shy,
        ] {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert!("loud".parse::<ConfidentialityLevel>().is_err());
    }
}
