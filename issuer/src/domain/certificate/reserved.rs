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
    /// What was known of a card's key; earlier programs did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ToldKey>,
}

/// A card's key, as it was known when a certificate was made for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldKey {
    /// SHA-256 of the SubjectPublicKeyInfo, hex.
    pub public_key: String,
    /// Where it came from; none where an earlier program made it and did not record that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<ToldKeyOrigin>,
}

/// Where a card's key came from, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldKeyOrigin {
    /// Of which card it was.
    pub card: CardId,
    /// Which key it was there: `9A`, `9C`, `9D` or `9E`.
    pub card_key: String,
    /// In a word.
    pub origin: String,
    /// SHA-256 of what the card said, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The same of the card's own certificate, which signed that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The same of the root above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// When it was recorded.
    pub at: Timestamp,
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
