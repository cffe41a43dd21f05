//! PDF files read, appended to and made sound: hard ones written by hand and by foreign programs, all judged by foreign ones.
//!
//! - [`maker`]: files written by hand, octet by octet. [`foreign`]: qpdf, poppler, MuPDF and Ghostscript. [`judge`]: lopdf.
//! - [`reading`], [`appending`], [`normalising`]: what works. [`refused`]: what is refused, and why.
//! - [`outside_data`]: files of the world, by `scripts/test --data DIR`.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::missing_panics_doc,
    reason = "a test may fail this way"
)]
mod appending;
mod foreign;
mod judge;
mod maker;
mod normalising;
mod outside_data;
mod reading;
mod refused;

use mailer::content::Content;
use mailer::documents::pdf::{Document, Location, Object, PdfError, Reference};

fn content(octets: &[u8]) -> Content {
    Content::from_vec(octets.to_vec())
}

fn open(octets: &[u8]) -> Result<Document, PdfError> {
    Document::open(&content(octets))
}

fn reference(number: u32) -> Reference {
    Reference { number, generation: 0 }
}

fn octets(content: &Content) -> Vec<u8> {
    content.to_vec(1 << 30).unwrap().unwrap().to_vec()
}

fn page_count(document: &Document) -> Result<usize, PdfError> {
    document.pages().try_fold(0, |count, page| page.map(|_| count + 1))
}

/// Every object in use.
fn objects(document: &Document) -> Result<Vec<(Reference, Object)>, PdfError> {
    document
        .locations()
        .map(|(number, location)| {
            let generation = match location {
                Location::Offset { generation, .. } => generation,
                Location::InStream { .. } => 0,
            };
            let reference = Reference { number, generation };
            Ok((reference, document.object(reference)?))
        })
        .collect()
}
