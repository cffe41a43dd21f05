//! A sound file made of a damaged one: objects found by looking for them, written anew with a cross-reference that fits.
//!
//! - `scan`: every place where an object may begin.
//! - `salvage`: the newest state of each object.
mod salvage;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use sha2::{Digest, Sha256};

use super::cross_reference::MOST_TABLE_OFFSET;
use super::error::PdfError;
use super::object::{Dictionary, Object, Reference};
use crate::content::{Content, Spool};
use salvage::Salvage;

/// Writes a file anew that is not signed: of each object the state that stands last in the file (ISO 32000-2 section 7.5.6).
/// What nothing refers to is left out; objects get new numbers.
///
/// # Errors
/// The file is signed or encrypted; it has no catalog; an object that is needed cannot be read and would be lost.
pub fn normalise(content: &Content) -> Result<Content, PdfError> {
    let (_, version) = super::document::header(content)?;
    let mut salvage = Salvage::of(content)?;
    if salvage.is_encrypted() {
        return Err(PdfError::Encrypted);
    }
    let trailer = trailer(&mut salvage)?;
    let numbers = numbers(&mut salvage, &trailer)?;
    write(&mut salvage, &trailer, &numbers, version)
}

/// The last trailer whose catalog is one; without any, the last catalog of the file.
fn trailer(salvage: &mut Salvage<'_>) -> Result<Dictionary, PdfError> {
    let trailers = salvage.trailers.clone();
    for trailer in trailers.iter().rev() {
        let Some(root) = trailer.get("Root").and_then(Object::as_reference) else { continue };
        if is_catalog(&salvage.object(root)?) {
            let mut kept = Dictionary::new().with("Root", root);
            for key in ["Info", "ID"] {
                let value = trailers.iter().rev().find_map(|trailer| trailer.get(key));
                value.into_iter().for_each(|value| kept.set(key, value.clone()));
            }
            return Ok(kept);
        }
    }
    for (number, generation) in salvage.references().into_iter().rev() {
        let reference = Reference { number, generation };
        if salvage.object(reference).is_ok_and(|object| is_catalog(&object)) {
            return Ok(Dictionary::new().with("Root", reference));
        }
    }
    Err(PdfError::damaged(0, "there is no catalog in the file: nothing tells what its pages are"))
}

fn is_catalog(object: &Object) -> bool {
    matches!(object, Object::Dictionary(catalog) if catalog.get("Pages").is_some() && (catalog.get("Type").is_none() || catalog.is_type("Catalog")))
}

/// New numbers, without gaps, for whatever can be reached.
fn numbers(salvage: &mut Salvage<'_>, trailer: &Dictionary) -> Result<BTreeMap<Reference, u32>, PdfError> {
    let there = salvage.references();
    let exists = |reference: &Reference| there.get(&reference.number) == Some(&reference.generation);
    let mut reached = BTreeSet::new();
    let mut open: Vec<Reference> = Vec::new();
    references(&Object::Dictionary(trailer.clone()), &mut open);
    while let Some(next) = open.pop() {
        if exists(&next) && reached.insert(next) {
            references(&salvage.object(next)?, &mut open);
        }
    }
    Ok(reached.into_iter().zip(1..).collect())
}

/// What a value refers to. A stream's length is written as a number.
fn references(object: &Object, found: &mut Vec<Reference>) {
    let mut of_dictionary = |dictionary: &Dictionary, skipped: &str| {
        let values = dictionary.iter().filter(|(key, _)| !key.is(skipped));
        values.for_each(|(_, value)| references(value, found));
    };
    match object {
        Object::Reference(reference) => found.push(*reference),
        Object::Array(elements) => elements.iter().for_each(|element| references(element, found)),
        Object::Dictionary(dictionary) => of_dictionary(dictionary, ""),
        Object::Stream(stream) => of_dictionary(&stream.dictionary, "Length"),
        _ => {}
    }
}

/// The same value with new numbers; a reference to nothing is null.
fn renumbered(object: &Object, numbers: &BTreeMap<Reference, u32>) -> Object {
    match object {
        Object::Reference(reference) => match numbers.get(reference) {
            Some(number) => Object::Reference(Reference { number: *number, generation: 0 }),
            None => Object::Null,
        },
        Object::Array(elements) => {
            Object::Array(elements.iter().map(|element| renumbered(element, numbers)).collect())
        }
        Object::Dictionary(dictionary) => {
            Object::Dictionary(dictionary.map(|value| renumbered(value, numbers)))
        }
        other => other.clone(),
    }
}

fn write(
    salvage: &mut Salvage<'_>,
    trailer: &Dictionary,
    numbers: &BTreeMap<Reference, u32>,
    (major, minor): (u8, u8),
) -> Result<Content, PdfError> {
    let mut out = Out { spool: Spool::new(), offset: 0, digest: Sha256::new() };
    // Octets above 127 tell transport programs that the file is binary (section 7.5.2).
    out.text(format!("%PDF-{major}.{minor}\n%").as_bytes())?;
    out.text(b"\xE2\xE3\xCF\xD3\n")?;
    let mut table = String::from("0000000000 65535 f\r\n");
    for (reference, number) in numbers {
        if out.offset > MOST_TABLE_OFFSET {
            return Err(PdfError::TooLarge {
                at: 0,
                what: "the file that would be written",
                most: MOST_TABLE_OFFSET,
            });
        }
        table.push_str(&format!("{:010} 00000 n\r\n", out.offset));
        let mut text = format!("{number} 0 obj\n").into_bytes();
        match salvage.object(*reference)? {
            Object::Stream(stream) => {
                let length = i64::try_from(stream.data.len()).unwrap_or(i64::MAX);
                let dictionary = stream.dictionary.with("Length", length);
                renumbered(&Object::Dictionary(dictionary), numbers).write(&mut text);
                text.extend(b"\nstream\n");
                out.text(&text)?;
                stream.data.write_to(&mut out)?;
                out.text(b"\nendstream\nendobj\n")?;
            }
            object => {
                renumbered(&object, numbers).write(&mut text);
                text.extend(b"\nendobj\n");
                out.text(&text)?;
            }
        }
    }
    let start = out.offset;
    let size = numbers.len() + 1;
    let new = Object::String(out.digest.clone().finalize().iter().take(16).copied().collect());
    let first = match trailer.get("ID").and_then(Object::as_array) {
        Some([Object::String(first), ..]) => Object::String(first.clone()),
        _ => new.clone(),
    };
    let trailer =
        trailer.clone().with("Size", i64::try_from(size).unwrap_or(i64::MAX)).with("ID", vec![first, new]);
    let mut text = format!("xref\n0 {size}\n{table}trailer\n").into_bytes();
    renumbered(&Object::Dictionary(trailer), numbers).write(&mut text);
    text.extend(format!("\nstartxref\n{start}\n%%EOF\n").as_bytes());
    out.text(&text)?;
    Ok(out.spool.finish()?)
}

/// A spool that knows where it is, and what went by.
struct Out {
    spool: Spool,
    offset: u64,
    /// For the second file identifier, which tells versions of a file apart (section 14.4).
    digest: Sha256,
}

impl Out {
    fn text(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.write_all(octets)
    }
}

impl Write for Out {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        let written = self.spool.write(octets)?;
        self.offset += written as u64;
        self.digest.update(octets.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.spool.flush()
    }
}
