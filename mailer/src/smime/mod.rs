//! RFC 8551 over CMS (RFC 5652): sign, verify, encrypt, decrypt. No trust decision is made here.
//!
//! Structures are read with their bytes kept ([`crate::certificate`]'s element reader) and written by hand, the standard's
//! ASN.1 beside each. Content of any length passes by once.
//!
//! - BER: `ber_reader` (a stream, element by element), `ber` (small structures to DER), `der_rope` (DER around content that is
//!   not in memory), `content_info`, `object_identifiers`.
//! - [`mod@sign`] and [`mod@verify`]: `signed_data` (the stream), `signer_info`, `attributes` (read), `attribute_plan` (chosen and written),
//!   `content_digest`.
//! - [`mod@encrypt`] and [`mod@decrypt`]: `envelope` (the stream), `recipient_match` (which recipient infos are ours),
//!   `key_transport` (RSA), `key_agreement` (ECDH, X25519), `content_cipher` (AES-CBC, AES-GCM, ChaCha20-Poly1305).
//! - `stamped`: a time stamp put into a signature that stands already.
//! - `capabilities` and `algorithm_choice`: what readers can read, and what is written for them.
//! - [`receipt_request`], [`receipt`], [`receipt_check`]: signed receipts asked for, given, matched with what was sent;
//!   [`security_label`]: who may see a message; [`ess`]: what these share (RFC 2634).
//! - [`mod@decompress`]: CompressedData, read only.
//! - `vectors`: ciphers by name for published test vectors.
mod algorithm_choice;
mod attribute_plan;
mod attributes;
mod ber;
mod ber_reader;
mod capabilities;
mod content_cipher;
mod content_digest;
mod content_info;
pub mod decompress;
pub mod decrypt;
mod der_rope;
pub mod encrypt;
mod envelope;
pub mod ess;
mod key_agreement;
mod key_transport;
mod object_identifiers;
pub mod receipt;
pub mod receipt_check;
pub mod receipt_request;
mod recipient_match;
pub mod security_label;
pub mod sign;
mod signed_data;
mod signer_info;
mod stamped;
pub(crate) mod vectors;
pub mod verify;

pub use algorithm_choice::AlgorithmChoice;
pub use attribute_plan::{SignedAttributesPlan, unsigned_time_stamp};
pub use capabilities::{Capabilities, LONGEST_CAPABILITIES};
pub(crate) use content_cipher::{ContentEncryption, Opening, Sealing};
pub use decompress::{DecompressError, decompress};
pub use decrypt::{DecryptError, Decrypted, decrypt};
pub use encrypt::{EncryptError, Encrypted, Enveloping, Recipient, encrypt};
pub use ess::{ContentIdentifier, Entity, EssError};
pub use receipt::{NoReceipt, Receipt, ReceiptToSign, SignedReceipt, receipt_entity};
pub use receipt_check::{ReceiptProblem, ReceivedReceipt, SentRecord};
pub use receipt_request::{Delivery, ReceiptRequest, ReceiptsFrom};
pub use security_label::{SecurityCategory, SecurityClassification, SecurityLabel};
pub use sign::{
    Form, MadeSignature, PreparedSignature, RsaPadding, SignError, SigningAlgorithm, SigningIdentity, sign,
};
pub use stamped::{signature_value, signed_data_with_time_stamp};
pub(crate) use verify::verify_object;
pub use verify::{Signature, SignatureFault, SignedMessage, SignerReport, VerifyError, verify};
