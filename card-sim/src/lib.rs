//! A PIV smart card in software, with durable state (SP 800-73-5).
//!
//! [`Card`] is the way in: power it, send APDUs, and it answers as a card would. Map of the code:
//!
//! | to change | open |
//! |---|---|
//! | what a command does | `piv/commands/COMMAND.rs`, or `piv/extension/` for a vendor's |
//! | which commands there are, and their syntax | `piv/command.rs` |
//! | who may do what over which interface, and status words | `piv/access_rule.rs`, the one table |
//! | PIN and PUK format and counters | `piv/pin.rs` |
//! | touch, and who touches | `piv/touch.rs`; the values of `--touch`: `cli/touch.rs` |
//! | what a personality says differently | `piv/personality.rs` |
//! | what the card remembers | `piv/state.rs`; its form on disk `store/image.rs` |
//! | how changes become durable | `store/file.rs`; the form of its journal `store/journal.rs` |
//! | encryption of a state file | `store/seal.rs` |
//! | algorithms | `crypto/` |
//! | APDUs, chaining, TLV, ATR | `iso7816/` |
//! | how it reaches a reader | `transport/vpcd.rs` |
//! | traces, and playing them again | `transcript/`, whose header is the format |
//! | the program's commands | `cli/` |
//!
//! In a test:
//!
//! ```
//! # use std::collections::BTreeMap;
//! # use card_sim::crypto::Randomness;
//! # use card_sim::piv::blank::{BlankCard, BlankKind};
//! # use card_sim::store::image;
//! use std::path::Path;
//!
//! use card_sim::Card;
//! use card_sim::store::file::FileStore;
//! use card_sim::store::memory::MemoryStore;
//!
//! # let folder = tempfile::tempdir()?;
//! # std::env::set_current_dir(folder.path())?;
//! # let blank = BlankCard { kind: BlankKind::Standard, keys: BTreeMap::new(), seed: None };
//! # let (state, _) = blank.manufacture(&mut Randomness::from_system()?);
//! # FileStore::create(Path::new("test.card"), &image::encode(&state, Path::new("test.card"))?)?;
//! let path = Path::new("test.card");
//! let copy = MemoryStore::new(FileStore::peek(path)?);
//! let mut card = Card::with_store(Box::new(copy), path)?;
//! card.power_on();
//! let answer = card.transmit(&[0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00]);
//! assert!(answer.ends_with(&[0x90, 0x00]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants:
//! - A change of state is durable before the card answers, and all or nothing ([`store`]).
//! - A PIN or PUK try is spent durably before the comparison.
//! - The management key never encrypts what the host chose, before the host has proven it.
//! - Nothing in `piv`, `iso7816` and `crypto` knows a file, a socket or a clock; randomness is
//!   handed in.
//! - Secrets are [`secret::SecretBytes`]: wiped, never shown, compared in constant time.
//! - Every emulated card shows the data object 5FFF53, and nothing can remove it.
//! - This crate shares no code with `middleware`, not even tags: both follow the standard alone.

pub mod card;
pub mod cli;
pub mod crypto;
pub mod fuzz;
pub mod iso7816;
pub mod piv;
pub mod secret;
pub mod store;
pub mod transcript;
pub mod transport;

pub use card::Card;
pub use store::StoreError;
