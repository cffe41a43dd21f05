//! Official documents: PDF files read, signed, checked and sealed. Map of the module:
//!
//! - [`pdf`]: ISO 32000-2 files: objects, a lazy reader, an appender; no cryptography.
//! - [`seal`]: what a signature field shows: text and pictures, fonts embedded.
//! - [`sealed`]: documents encrypted to their readers, in a wrapper that every PDF reader opens.
pub mod pdf;
pub mod seal;
pub mod sealed;
