//! Which algorithms protect a message: the options of `send` and `protect`, what is remembered of correspondents, and what
//! was used.
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::context::Context;
use super::report::Failure;
use crate::correspondents::{Announcement, Correspondents, CorrespondentsError};
use crate::message::address::Address;
use crate::protection::open::{Layer, Opened};
use crate::smime::{AlgorithmChoice, Enveloping, RsaPadding, SigningAlgorithm};

/// How to encrypt and sign.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct AlgorithmOptions {
    /// How to encrypt. automatic: the best that every recipient can read, by their last signed mail, their certificate, and
    /// whether they are one of us; authenticated: AES-GCM and RSA-OAEP whatever is known; compatible: AES-CBC and RSA v1.5,
    /// only for signed mail; chacha20-poly1305: few programs read it
    #[arg(long, value_name = "CIPHER", value_enum, default_value_t = Cipher::Automatic, conflicts_with = "no_encrypt")]
    cipher: Cipher,
    /// Sign with RSASSA-PSS if the key is RSA; not every program verifies it
    #[arg(long, conflicts_with = "no_sign")]
    rsa_pss: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cipher {
    Automatic,
    Authenticated,
    Compatible,
    #[value(name = "chacha20-poly1305")]
    ChaCha20Poly1305,
}

impl AlgorithmOptions {
    /// For signing alone.
    pub(super) fn signing(rsa_pss: bool) -> Self {
        Self { cipher: Cipher::Automatic, rsa_pss }
    }

    /// Encrypted content without a signature must at least prove its own integrity.
    ///
    /// # Errors
    /// `compatible` for content that is not signed.
    pub(super) fn enveloping(self, is_signed: bool) -> Result<Enveloping, Failure> {
        match self.cipher {
            Cipher::Automatic if is_signed => Ok(Enveloping::Automatic),
            Cipher::Automatic | Cipher::Authenticated => Ok(Enveloping::Authenticated),
            Cipher::ChaCha20Poly1305 => Ok(Enveloping::ChaCha20Poly1305),
            Cipher::Compatible if is_signed => Ok(Enveloping::Compatible),
            Cipher::Compatible => Err(Failure::usage(
                "--cipher compatible does not protect a message from changes, so it needs a signature: leave out --no-sign",
            )),
        }
    }

    pub(super) fn rsa_padding(self) -> RsaPadding {
        if self.rsa_pss { RsaPadding::Pss } else { RsaPadding::Pkcs1v15 }
    }
}

/// What was used, for JSON.
pub(super) fn algorithms_json(
    signature: Option<SigningAlgorithm>,
    encryption: Option<&AlgorithmChoice>,
) -> Value {
    json!({
        "signature": signature.map(SigningAlgorithm::name),
        "content_encryption": encryption.map(AlgorithmChoice::content_encryption),
        "key_encryption": encryption.map(AlgorithmChoice::key_encryption),
    })
}

/// Remembers what the programs of the authors can read, if their signatures are trusted.
///
/// # Errors
/// The memory cannot be read or written.
pub(super) fn remember(context: &Context, opened: &Opened) -> Result<(), CorrespondentsError> {
    let own = context.address().map(|own| own.key()).ok();
    let mut found = Vec::new();
    for layer in opened.layers() {
        let Layer::Signed(verdict) = layer else { continue };
        let address = verdict.address().and_then(|address| address.parse::<Address>().ok());
        let (Some(address), Some(time), Some(capabilities), true) =
            (address, verdict.signing_time(), verdict.capabilities(), verdict.is_trusted())
        else {
            continue;
        };
        // What our own program can read is known.
        if Some(address.key()) != own {
            found.push((address.key(), time, capabilities));
        }
    }
    let announcements: Vec<Announcement<'_>> = found
        .iter()
        .map(|(address, signing_time, capabilities)| Announcement {
            address,
            signing_time: *signing_time,
            capabilities,
        })
        .collect();
    Correspondents::remember(&context.home.correspondents_file(), &announcements, context.now)
}
