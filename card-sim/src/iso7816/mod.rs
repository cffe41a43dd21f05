//! What every ISO 7816-4 card has: APDUs, chaining, status words, BER-TLV, AIDs, the ATR.
//!
//! Nothing here knows PIV.

pub mod aid;
pub mod apdu;
pub mod atr;
pub mod ber_tlv;
pub mod chaining;
pub mod interface;
pub mod status_word;

pub use apdu::{CommandApdu, ResponseApdu};
pub use interface::Interface;
pub use status_word::StatusWord;
