//! ISO 7816-4 as the host sees it: commands, responses, chaining, status words, BER-TLV.
pub(crate) mod ber_tlv;
mod chaining;
mod command;
mod response;
mod status_word;

pub(crate) use chaining::{Framing, exchange};
pub(crate) use command::CommandApdu;
pub(crate) use response::{MalformedResponse, ResponseApdu};
pub(crate) use status_word::StatusWord;
