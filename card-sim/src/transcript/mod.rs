//! Transcripts: what passed between a reader and a card, readable and replayable.
//!
//! ```text
//! # A comment, also behind a command or an answer.
//! @ power on                         an event; the list is below
//! > 00 20 00 80 08 [PIN]             a command: bytes and insertions
//! < 90 00                            the answer it must get: a pattern
//! > 00 87 0A 9B 04 7C 02 80 00 00
//! < 7C 12 80 10 witness=16 90 00
//! > 00 87 0A 9B 16 7C 14 80 10 decrypt(witness) 81 00
//! < .. 90 00
//! ```
//!
//! | in a command | what is sent |
//! |---|---|
//! | `00 A4`, `00A4` | these bytes |
//! | `[PIN]`, `[PUK 2]` | a secret value that is not in the file |
//! | `[16 wrong bytes]` | so many bytes that are not what the card waits for |
//! | `[16 bytes hidden]` | nothing: what stood there was hidden, and the command cannot be sent again |
//! | `name`, `encrypt(name)`, `decrypt(name)` | kept bytes; through the block cipher with the card's management key |
//!
//! | in an answer | what it matches |
//! |---|---|
//! | `90 00` | these bytes |
//! | `..` | any bytes, also none |
//! | `??` | any one byte |
//! | `name=16` | sixteen bytes, which are kept under the name |
//! | `[16 bytes hidden]` | any sixteen bytes |
//! | what a command may hold, save the last but one | these bytes |
//!
//! | event | what happens |
//! |---|---|
//! | `@ power on`, `@ power off`, `@ reset` | what it says |
//! | `@ authenticate` | single authentication with the management key |
//! | `@ contact`, `@ contactless` | the card is moved to a reader of this interface and powered |
//! | `@ touch no`, `@ touch yes` | the finger stays away, or comes whenever a key waits for it, as at first |
//! | `@ seconds 15` | so much time passes for the card |
//! | `@ card KIND` | a fresh blank seeded card: `standard`, `yubikey5 5.7` or `yubikey5 5.4`; behind it `, Global PIN` and `, contactless` |
//! | `@ reader NAME` | what follows passed at this reader |
//!
//! [`TracedCard`] writes transcripts, [`parse`] reads them, [`Player`] plays them against a [`Bench`], [`wording`] says
//! commands and status words in words.

mod bench;
mod caution;
mod finger;
mod likeness;
mod line;
mod management;
mod masking;
mod matching;
mod naming;
#[cfg(feature = "pcsc")]
mod pcsc;
mod player;
mod record;
pub mod wording;

pub use bench::{Bench, BenchError, EmulatedCards};
pub use caution::{TryGuard, first_change};
pub use line::{Event, Line, Malformed, Numbered, Word, at_reader, parse};
pub use management::{ManagementKey, SecretValues, ValueError};
#[cfg(feature = "pcsc")]
pub use pcsc::PcscCard;
pub use player::{Comparison, Difference, PlayError, Played, Player};
pub use record::{Secrets, SharedTrace, Trace, TracedCard};
