//! What a card and its keys are called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The registry's number for a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CardId(pub i64);

/// The card's globally unique identifier, CHUID tag 34 (SP 800-73-5 Part 1 section 3.1.2): 16 bytes, shown in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// Takes 16 bytes as they are.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A GUID of random bytes, marked as a version 4 UUID (RFC 9562 section 5.4), because certificates name it as `urn:uuid`.
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0F) | 0x40;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        Self(bytes)
    }

    /// Reads 32 hex digits; hyphens between them are ignored.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|character| *character != '-').collect();
        let mut bytes = [0; 16];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl Serialize for Guid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("a GUID is 32 hex digits"))
    }
}

/// What a blank card in stock is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StockIdentity {
    /// A vendor's serial number, which stays for the card's life.
    VendorSerial(u32),
    /// The GUID that the manufacturer wrote, until personalisation writes a new one.
    Guid(Guid),
}

impl fmt::Display for StockIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VendorSerial(serial) => write!(f, "serial {serial}"),
            Self::Guid(guid) => write!(f, "GUID {guid}"),
        }
    }
}

/// The four keys that a staff card gets, SP 800-73-5 Part 1 section 3.1 to 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CardKey {
    /// 9A: the PIN once.
    Authentication,
    /// 9C: the PIN for every signature.
    DigitalSignature,
    /// 9D: the PIN once.
    KeyManagement,
    /// 9E: no PIN.
    CardAuthentication,
}

impl CardKey {
    /// All four, in the order in which they are made.
    pub const ALL: [Self; 4] =
        [Self::Authentication, Self::DigitalSignature, Self::KeyManagement, Self::CardAuthentication];

    /// The key reference in hex.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "9A",
            Self::DigitalSignature => "9C",
            Self::KeyManagement => "9D",
            Self::CardAuthentication => "9E",
        }
    }

    /// Reads `9A`, `9C`, `9D` or `9E`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == text)
    }
}

impl fmt::Display for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
