//! What the log keeps of a certificate: enough that nobody can change its row afterwards without being told so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::card::CardId;
use crate::domain::cardholder::CardholderId;

/// What was stored under a serial number before it was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedCertificate {
    /// Who will sign.
    pub authority: String,
    /// With which of its keys, counted from 1.
    pub generation: u32,
    /// The profile's name.
    pub profile: String,
    /// The subject, in words.
    pub subject: String,
    /// The `rfc822Name`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// For a card's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_card: Option<OnCard>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// SHA-256 of the bytes to be signed, hex.
    pub to_be_signed: String,
}

/// Where a card's certificate belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnCard {
    /// Whose card.
    pub holder: CardholderId,
    /// Which card.
    pub card: CardId,
    /// In which attempt.
    pub attempt: u32,
    /// Which key: `9A`, `9C`, `9D` or `9E`.
    pub key: String,
}
