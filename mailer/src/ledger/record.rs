//! What was sent, to whom, and what receipts for it are matched with.
use const_oid::ObjectIdentifier;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::smime::ess::ContentIdentifier;
use crate::smime::receipt_check::SentRecord;
use crate::smime::receipt_request::ReceiptsFrom;

/// What was sent; written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub(super) version: u8,
    /// Names the case in commands.
    pub id: String,
    /// When the message was signed.
    pub signed: Timestamp,
    /// The sender's address.
    pub sender: String,
    /// The subject.
    pub subject: String,
    /// The document that was sent; `None` for a letter.
    pub document: Option<DocumentFacts>,
    /// Who shall have it, in the order of the list.
    pub recipients: Vec<String>,
    /// Until when a receipt counts; `None`: always.
    pub receipts_until: Option<Timestamp>,
    /// The type of the signed content.
    content_type: String,
    /// The identifier of the request for receipts, in hexadecimal digits.
    content_identifier: String,
    /// The value of the message's signature, likewise.
    signature_value: String,
    /// The digest of its signed attributes, likewise.
    message_signature_digest: String,
}

/// A document, by what nobody can exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentFacts {
    /// The file's name.
    pub name: String,
    /// Its length in octets.
    pub octets: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Names the document in a request for receipts; whoever signs a receipt signs this too.
const DOCUMENT_MARK: &str = "sha256:";

impl DocumentFacts {
    /// An identifier of signed content (RFC 2634 section 2.7) that names the document, so that a receipt is bound to it.
    pub fn content_identifier(
        &self,
        who: &str,
        at: Timestamp,
        random: [u8; 16],
    ) -> Option<ContentIdentifier> {
        let plain = ContentIdentifier::new(who, at, random);
        let octets = [format!("{DOCUMENT_MARK}{} ", self.sha256).as_bytes(), plain.octets()].concat();
        ContentIdentifier::from_octets(octets)
    }
}

/// The SHA-256 of the document that an identifier names, in hexadecimal digits; `None` when it names none.
pub fn document_of(identifier: &ContentIdentifier) -> Option<String> {
    let text = std::str::from_utf8(identifier.octets()).ok()?;
    let digits = text.strip_prefix(DOCUMENT_MARK)?.split(' ').next()?;
    (digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .then(|| digits.to_ascii_lowercase())
}

impl Record {
    pub(super) const VERSION: u8 = 1;

    /// The record of a message that was just signed; everybody is asked for a receipt.
    pub fn new(
        id: String,
        (sender, subject): (String, String),
        document: Option<DocumentFacts>,
        sent: &SentRecord,
        receipts_until: Option<Timestamp>,
    ) -> Self {
        Self {
            version: Self::VERSION,
            id,
            signed: sent.signed,
            sender,
            subject,
            document,
            recipients: sent.recipients.clone(),
            receipts_until,
            content_type: sent.content_type.to_string(),
            content_identifier: hex::encode(sent.signed_content_identifier.octets()),
            signature_value: hex::encode(&sent.signature_value),
            message_signature_digest: hex::encode(&sent.message_signature_digest),
        }
    }

    /// What receipts are matched with; `None` when the record was tampered with.
    pub fn sent(&self) -> Option<SentRecord> {
        Some(SentRecord {
            content_type: ObjectIdentifier::new(&self.content_type).ok()?,
            signed_content_identifier: ContentIdentifier::from_octets(
                hex::decode(&self.content_identifier).ok()?,
            )?,
            signature_value: hex::decode(&self.signature_value).ok()?,
            message_signature_digest: hex::decode(&self.message_signature_digest).ok()?,
            receipts_from: ReceiptsFrom::AllReceipts,
            recipients: self.recipients.clone(),
            signed: self.signed,
        })
    }

    /// Whether the identifier of a receipt is that of this case.
    pub fn is_named_by(&self, identifier: &ContentIdentifier) -> bool {
        self.content_identifier == hex::encode(identifier.octets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_names_its_document() {
        let facts = DocumentFacts { name: "a.pdf".to_owned(), octets: 1, sha256: "ab".repeat(32) };
        let identifier = facts.content_identifier("alice@x.test", Timestamp::UNIX_EPOCH, [7; 16]).unwrap();
        assert_eq!(document_of(&identifier), Some(facts.sha256));
        for text in ["", "sha256:", "sha256:ab x", "alice 2026"] {
            let identifier = ContentIdentifier::from_octets(text.as_bytes().to_vec());
            assert_eq!(identifier.and_then(|identifier| document_of(&identifier)), None, "{text}");
        }
    }
}
