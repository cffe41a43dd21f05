//! Signed receipts read, and matched with what the sender kept (RFC 2634 section 2.6).
use const_oid::ObjectIdentifier;
use jiff::{SignedDuration, Timestamp};

use super::ess::{ContentIdentifier, EssError};
use super::object_identifiers::{
    ID_CT_RECEIPT, ID_DATA, MESSAGE_SIGNATURE_DIGEST, ML_EXPANSION_HISTORY, RECEIPT_REQUEST,
};
use super::receipt::Receipt;
use super::receipt_request::{Delivery, ReceiptRequest, ReceiptsFrom};
use super::sign::MadeSignature;
use super::verify::{Signature, SignatureFault, SignedMessage, VerifyError, verify_object};
use crate::certificate::tlv::{Element, tag};
use crate::certificate::{Certificate, mail_address, names};
use crate::content::Replay;

/// The largest Receipt that is read, in octets.
const LARGEST_RECEIPT: usize = 64 * 1024;
/// How far a recipient's clock may be behind the sender's.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Why something is no receipt, or none for this message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptProblem {
    /// It is something else.
    #[error("this is no receipt but of the CMS content type {0}")]
    NotAReceipt(ObjectIdentifier),
    /// It cannot be read.
    #[error("the receipt cannot be read: {0}")]
    Unreadable(VerifyError),
    /// It breaks a rule.
    #[error("the receipt is malformed: {0}")]
    Malformed(String),
    /// Its signature does not count.
    #[error("the signature of the receipt does not count: {0}")]
    Signature(SignatureFault),
    /// It is for a message with another identifier.
    #[error("the receipt is for another message")]
    OtherIdentifier,
    /// It is for content of another type.
    #[error("the receipt is for content of the type {found}, not {sent}")]
    OtherContentType {
        /// What was sent.
        sent: ObjectIdentifier,
        /// What it says.
        found: ObjectIdentifier,
    },
    /// It names this message, but not its signature.
    #[error("the receipt names this message, but the signature in it is not that of the message")]
    OtherSignatureValue,
    /// Its signer saw other signed attributes, and so other content.
    #[error("the receipt is for a message of the same name with other content")]
    OtherContent,
    /// Its signer is nobody whom the message was sent to.
    #[error("the receipt is signed by {0}, to whom the message was not sent")]
    NotARecipient(String),
    /// Its signer was not asked for a receipt.
    #[error("the receipt is signed by {0}, who was not asked for one")]
    NotAsked(String),
    /// There is one from this recipient already.
    #[error("{0} has given a receipt for this message already")]
    Second(String),
    /// It says that it was signed before the message.
    #[error("the receipt says that it was signed at {claimed}, before the message was at {sent}")]
    BeforeMessage {
        /// What it says.
        claimed: Timestamp,
        /// When the message was signed.
        sent: Timestamp,
    },
}

impl ReceiptProblem {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAReceipt(_) => "not-a-receipt",
            Self::Unreadable(problem) => problem.code(),
            Self::Malformed(_) => "receipt-malformed",
            Self::Signature(_) => "receipt-signature-wrong",
            Self::OtherIdentifier => "receipt-for-other-message",
            Self::OtherContentType { .. } => "receipt-for-other-content-type",
            Self::OtherSignatureValue => "receipt-for-other-signature",
            Self::OtherContent => "receipt-for-other-content",
            Self::NotARecipient(_) => "receipt-from-no-recipient",
            Self::NotAsked(_) => "receipt-from-one-not-asked",
            Self::Second(_) => "receipt-second",
            Self::BeforeMessage { .. } => "receipt-before-message",
        }
    }
}

impl From<EssError> for ReceiptProblem {
    fn from(problem: EssError) -> Self {
        match problem {
            EssError::Malformed { problem, .. } => Self::Malformed(problem),
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// A receipt that came, with the signature of whoever gave it. Trust in the signer, and time stamps, are for
/// [`crate::smime`]'s callers to judge.
#[derive(Debug)]
pub struct ReceivedReceipt {
    /// What it says.
    pub receipt: Receipt,
    /// The digest of the original's signed attributes that its signer computed.
    pub message_signature_digest: Vec<u8>,
    /// Its verified signature.
    pub signature: Signature,
    /// The SignedData, to be judged.
    pub message: SignedMessage,
}

impl ReceivedReceipt {
    /// Reads a SignedData over a Receipt; `known` are certificates among which the signer may be found.
    ///
    /// # Errors
    /// [`ReceiptProblem::NotAReceipt`], [`ReceiptProblem::Unreadable`], [`ReceiptProblem::Malformed`],
    /// [`ReceiptProblem::Signature`].
    pub fn read(cms: &dyn Replay, known: &[Certificate]) -> Result<Self, ReceiptProblem> {
        let malformed = |problem: &str| ReceiptProblem::Malformed(problem.to_owned());
        let message = verify_object(cms, None, known, ID_CT_RECEIPT).map_err(|problem| match problem {
            VerifyError::NotSignedData(content_type) => ReceiptProblem::NotAReceipt(content_type),
            // What stands beside its signature is mail.
            VerifyError::ContentAmbiguous => ReceiptProblem::NotAReceipt(ID_DATA),
            other => ReceiptProblem::Unreadable(other),
        })?;
        if message.content_type != ID_CT_RECEIPT {
            return Err(ReceiptProblem::NotAReceipt(message.content_type));
        }
        let [signer] = message.signers.as_slice() else {
            return Err(malformed("it has not exactly one signer"));
        };
        let signature = signer.outcome.clone().map_err(ReceiptProblem::Signature)?;
        for (attribute_type, problem) in [
            (RECEIPT_REQUEST, "it asks for a receipt itself"),
            (ML_EXPANSION_HISTORY, "a mailing list has put its history into it"),
        ] {
            if !matches!(signature.signed_attribute(attribute_type), Ok(None)) {
                return Err(malformed(problem));
            }
        }
        let value =
            signature.signed_attribute(MESSAGE_SIGNATURE_DIGEST).map_err(ReceiptProblem::Signature)?;
        let value = value.ok_or_else(|| malformed("it does not say what its signer verified"))?;
        let digest = Element::only(&value, tag::OCTET_STRING)
            .map_err(|_| malformed("what its signer verified is no digest"))?;
        let content = message.content.as_ref().ok_or_else(|| malformed("it is empty"))?;
        let content = content
            .to_vec(LARGEST_RECEIPT)
            .map_err(|error| ReceiptProblem::Unreadable(VerifyError::Io(error)))?;
        let content = content.ok_or_else(|| malformed("it is too long"))?;
        Ok(Self {
            receipt: Receipt::from_der(&content)?,
            message_signature_digest: digest.contents.to_vec(),
            signature,
            message,
        })
    }
}

/// The identifier that stands in what came as a receipt, whether its signature counts or not; nobody vouches for it.
pub fn claimed_identifier(cms: &dyn Replay) -> Option<ContentIdentifier> {
    let message = verify_object(cms, None, &[], ID_CT_RECEIPT).ok()?;
    let content = message.content?.to_vec(LARGEST_RECEIPT).ok()??;
    Receipt::from_der(&content).ok().map(|receipt| receipt.signed_content_identifier)
}

/// What a sender keeps of a message for which receipts were asked (section 2.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRecord {
    /// The type of the signed content.
    pub content_type: ObjectIdentifier,
    /// The identifier of the request.
    pub signed_content_identifier: ContentIdentifier,
    /// The value of our signature.
    pub signature_value: Vec<u8>,
    /// The digest of our signed attributes (DER of their SET), by our signature's digest algorithm.
    pub message_signature_digest: Vec<u8>,
    /// Who was asked.
    pub receipts_from: ReceiptsFrom,
    /// The mail addresses to which the message went.
    pub recipients: Vec<String>,
    /// When it was signed.
    pub signed: Timestamp,
}

impl SentRecord {
    /// Of a signature that was just made with the request among its attributes.
    pub fn of(
        made: &MadeSignature,
        request: &ReceiptRequest,
        recipients: Vec<String>,
        signed: Timestamp,
    ) -> Self {
        Self {
            content_type: made.content_type(),
            signed_content_identifier: request.signed_content_identifier.clone(),
            signature_value: made.value().to_vec(),
            message_signature_digest: made.digest_algorithm().digest(made.signed_attributes()),
            receipts_from: request.receipts_from.clone(),
            recipients,
            signed,
        }
    }

    /// Checks that a receipt is one for this message, from a recipient who was asked and has given none before: those who
    /// have are in `already`. Answers the recipient's address, as it stands in [`Self::recipients`].
    ///
    /// # Errors
    /// See [`ReceiptProblem`].
    pub fn check(&self, received: &ReceivedReceipt, already: &[String]) -> Result<String, ReceiptProblem> {
        self.check_message(received)?;
        let certified = received.signature.certificate.mail_addresses();
        let recipient = self.recipient(&certified).ok_or_else(|| {
            ReceiptProblem::NotARecipient(match certified.is_empty() {
                true => received.signature.certificate.subject(),
                false => received.signature.certificate.mail_addresses_in_words(),
            })
        })?;
        let told = names::harmless(&recipient);
        // Whether it came by a list only the recipient knows: whom we sent it to is of the first tier.
        if !self.receipts_from.asks(std::slice::from_ref(&recipient), Delivery::Direct) {
            return Err(ReceiptProblem::NotAsked(told));
        }
        if already.iter().any(|earlier| mail_address::same_mailbox(earlier, &recipient)) {
            return Err(ReceiptProblem::Second(told));
        }
        match received.signature.signing_time {
            Some(claimed) if claimed.saturating_add(CLOCK_TOLERANCE).unwrap_or(claimed) < self.signed => {
                Err(ReceiptProblem::BeforeMessage { claimed, sent: self.signed })
            }
            _ => Ok(recipient),
        }
    }

    /// Whether it is a receipt for this very message, whoever gave it.
    fn check_message(&self, received: &ReceivedReceipt) -> Result<(), ReceiptProblem> {
        let receipt = &received.receipt;
        if receipt.signed_content_identifier != self.signed_content_identifier {
            return Err(ReceiptProblem::OtherIdentifier);
        }
        if receipt.content_type != self.content_type {
            let (sent, found) = (self.content_type, receipt.content_type);
            return Err(ReceiptProblem::OtherContentType { sent, found });
        }
        if receipt.originator_signature_value != self.signature_value {
            return Err(ReceiptProblem::OtherSignatureValue);
        }
        if received.message_signature_digest != self.message_signature_digest {
            return Err(ReceiptProblem::OtherContent);
        }
        Ok(())
    }

    fn recipient(&self, certified: &[String]) -> Option<String> {
        let is_own =
            |recipient: &&String| certified.iter().any(|own| mail_address::same_mailbox(own, recipient));
        self.recipients.iter().find(is_own).cloned()
    }
}
