//! Documents sealed to their readers: an encrypted payload in an unencrypted wrapper (ISO 32000-2 sections 7.6.5 to 7.6.7).
//!
//! ```text
//! wrapper     any PDF reader opens it and shows a page that says how to read the document
//!   payload   a PDF file encrypted to certificates: Adobe.PubSec, adbe.pkcs7.s5, AES-256 (V 5, AESV3), with the code that
//!             proves that nobody without the key changed it (ISO/TS 32004)
//!     document   octet by octet as it was signed
//! ```
//!
//! - `draft`: a new PDF file written from its beginning to its end; `page`: the page that explains.
//! - `wrapper`, `payload`: the two files; `cipher`: AES-256-CBC as PDF has it.
//! - `file_key`: from the seed in the recipients' envelopes to the key; `authentication`: the code.
//! - `finding`: the embedded file that is meant; `open`: the reader, which also opens what other programs wrote so.
//!
//! **What is not hidden**: how long the document is, and issuer and serial number of every reader's certificate. Its name is.
mod authentication;
mod cipher;
mod draft;
mod error;
mod file_key;
mod file_name;
mod finding;
mod open;
mod page;
mod payload;
mod wrapper;

use std::io::{self, Write};

pub use error::SealedError;
pub use file_name::FileName;
pub use open::{Integrity, Opened, is_wrapper, open};
pub use page::Explanation;

use self::payload::Payload;
use self::wrapper::Wrapper;
use crate::content::{Content, Spool};
use crate::smime::Recipient;

/// A wrapper whose keys are wrapped, and whose payload is encrypted while it is written.
pub struct Sealed {
    wrapper: Wrapper,
    payload: Payload,
}

/// Seals a document to its readers.
///
/// Recipients must be the checked ones. Everybody who gets the file sees issuer and serial number of each.
///
/// # Errors
/// See [`SealedError`].
pub fn seal(
    document: &Content,
    file_name: &FileName,
    recipients: &[Recipient],
    explanation: &Explanation,
) -> Result<Sealed, SealedError> {
    let payload = Payload::new(document, file_name, recipients)?;
    let wrapper = Wrapper::new(payload.len(), explanation)?;
    Ok(Sealed { wrapper, payload })
}

impl Sealed {
    /// How many octets [`Self::write_to`] writes.
    pub fn len(&self) -> u64 {
        self.wrapper.before.len() as u64 + self.payload.len() + self.wrapper.after.len() as u64
    }

    /// Never: a wrapper has a page.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Encrypts the document in one pass and writes the wrapper.
    ///
    /// # Errors
    /// Those of the document and of `out`.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.wrapper.before)?;
        self.payload.write_to(out)?;
        out.write_all(&self.wrapper.after)
    }

    /// The whole wrapper, spooled.
    ///
    /// # Errors
    /// Those of the document and of the temporary file.
    pub fn into_content(self) -> io::Result<Content> {
        let mut spool = Spool::new();
        self.write_to(&mut spool)?;
        spool.finish()
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sealed({} octets)", self.len())
    }
}
