//! RFC 8551 over CMS (RFC 5652): sign, verify, encrypt, decrypt. No trust decision is made here.
//!
//! Structures are read with their bytes kept ([`crate::certificate`]'s element reader) and written by hand, the standard's
//! ASN.1 beside each; BER of other programs is turned into DER first.
mod algorithm_choice;
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
mod key_agreement;
mod key_transport;
mod object_identifiers;
mod recipient_match;
pub mod sign;
mod signed_data;
mod signer_info;
pub(crate) mod vectors;
pub mod verify;

pub use algorithm_choice::AlgorithmChoice;
pub use capabilities::{Capabilities, LONGEST_CAPABILITIES};
pub use decompress::{DecompressError, decompress};
pub use decrypt::{DecryptError, Decrypted, decrypt};
pub use encrypt::{EncryptError, Encrypted, Enveloping, Recipient, encrypt};
pub use sign::{Form, PreparedSignature, RsaPadding, SignError, SigningAlgorithm, SigningIdentity, sign};
pub(crate) use verify::verify_object;
pub use verify::{Signature, SignatureFault, SignedMessage, SignerReport, VerifyError, verify};
