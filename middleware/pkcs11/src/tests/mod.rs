//! The module with a card in-process: what stories through a reader would take too long for.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail this way")]
mod buffers;
pub(crate) mod card;
mod fuzz;
mod import;
mod uses;
mod wycheproof;
