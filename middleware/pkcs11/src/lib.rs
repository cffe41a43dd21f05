//! PKCS#11 2.40 module over the middleware: `libmiddleware_pkcs11.so`.
//!
//! For now it tells what slots and tokens there are; every other function is present and answers
//! `CKR_FUNCTION_NOT_SUPPORTED`.
//!
//! | file | what it is |
//! |---|---|
//! | `ffi` | the C boundary: the function list, pointers, panics; all `unsafe` code |
//! | `functions` | what a function does, grouped as the chapters of the standard: `general`, `slot` |
//! | `module` | what lives between C_Initialize and C_Finalize: the table of slots |
//! | `structures` | the structures that functions fill in |
//! | `return_value` | the only maker of a `CK_RV` |
//!
//! A slot is a PC/SC reader and keeps its number as long as the module is initialised. With the feature `sim`, the
//! files named in `MIDDLEWARE_PKCS11_EMULATED` (separated as in PATH) are slots too, each holding that emulated card.

mod ffi;
mod functions;
mod module;
mod return_value;
mod structures;
