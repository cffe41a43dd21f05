//! PKCS#11 3.0 and 2.40 module over the middleware: `libmiddleware_pkcs11.so`.
//!
//! | file | what it is |
//! |---|---|
//! | `ffi` | the C boundary: function lists, interfaces, pointers, panics; all `unsafe` code |
//! | `functions` | what a function does, grouped as the chapters of the standard |
//! | `module` | what lives between C_Initialize and C_Finalize: the tables of slots and sessions |
//! | `slot` | a place for a card; what comes and goes there |
//! | `token` | a card in use: its objects, who is logged in, every use of its keys |
//! | `line`, `keeper` | the transaction that is kept open for a moment between two uses, and what ends it |
//! | `session` | sessions and the operations that go on in them |
//! | `object`, `attribute`, `certificate` | objects and what they show |
//! | `mechanism` | what mechanisms are called and mean |
//! | `public_key` | public keys, and what is computed with them here |
//! | `output`, `structures` | buffers and structures that functions fill in |
//! | `return_value` | the only maker of a `CK_RV` |
//!
//! Invariants:
//!
//! - No verified PIN is left on a card: while somebody is logged in, the PIN is held here, wiped at logout, and verified
//!   on the card only within a transaction of ours, whose end logs out. After a use of a key other than 9C it is kept
//!   open for a moment, so that the next use is one command; nobody else can use the card meanwhile, and the PC/SC
//!   service resets it if we die.
//! - The PIN for 9C is held for one signature, and verified immediately before it.
//! - A PIN that the card has changed or blocked meanwhile ends the login; it is not tried until the card is blocked.
//! - No secret of a card's key is ever here; secret keys of sessions are wiped.
//! - A slot is a PC/SC reader and keeps its number as long as the module is initialised.
//!
//! With the feature `sim`, the files named in `MIDDLEWARE_PKCS11_EMULATED` (separated as in PATH) are slots too, each
//! holding that emulated card. The ordinary build cannot open any.

mod attribute;
mod certificate;
mod ffi;
mod functions;
mod keeper;
mod line;
mod mechanism;
mod module;
mod object;
mod output;
mod public_key;
mod return_value;
mod session;
mod slot;
mod structures;
#[cfg(all(test, feature = "sim"))]
mod tests;
mod token;
