//! Which objects of two revisions differ.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use crate::content::Content;
use crate::documents::pdf::{Document, Location, Object, PdfError, Reference};

/// Objects that are not what they were, by number.
pub(super) struct Difference {
    /// Numbers, and whether the signed document had such an object.
    differing: BTreeMap<u32, bool>,
    explained: BTreeSet<u32>,
}

impl Difference {
    /// Objects at the same place are the same octets: only those that moved are compared.
    pub(super) fn between(signed: &Document, now: &Document) -> Result<Self, PdfError> {
        let mut differing = BTreeMap::new();
        for (number, location) in now.locations() {
            let before = signed.location(number);
            // An object in a stream stands elsewhere when the stream was replaced.
            let moved = before != Some(location) || is_in_moved_stream(location, signed, now);
            if moved && !same_object(number, signed, now)? {
                differing.insert(number, before.is_some());
            }
        }
        let gone = signed.locations().filter(|(number, _)| now.location(*number).is_none());
        differing.extend(gone.map(|(number, _)| (number, true)));
        Ok(Self { differing, explained: BTreeSet::new() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.differing.is_empty()
    }

    pub(super) fn contains(&self, reference: Reference) -> bool {
        self.differing.contains_key(&reference.number)
    }

    /// Whether the signed document had no such object.
    pub(super) fn is_new(&self, reference: Reference) -> bool {
        self.differing.get(&reference.number) == Some(&false)
    }

    pub(super) fn explain(&mut self, reference: Reference) {
        self.explained.insert(reference.number);
    }

    /// Explains an object only if the signed document did not have it.
    pub(super) fn explain_new(&mut self, reference: Reference) {
        if self.is_new(reference) {
            self.explain(reference);
        }
    }

    /// Objects of the signed document that differ and were not explained. New ones that nothing refers to do nothing; the
    /// containers of cross-references and of other objects are judged by what they contain.
    pub(super) fn unexplained(&self, signed: &Document, now: &Document) -> Result<Vec<u32>, PdfError> {
        let mut found = Vec::new();
        for (number, was_there) in &self.differing {
            if !was_there || self.explained.contains(number) {
                continue;
            }
            let is_container = |document: &Document| {
                let object = object(document, *number)?;
                let dictionary = object.as_dictionary();
                Ok::<_, PdfError>(
                    dictionary.is_some_and(|found| found.is_type("XRef") || found.is_type("ObjStm")),
                )
            };
            if !(is_container(signed)? && is_container(now)?) {
                found.push(*number);
            }
        }
        Ok(found)
    }
}

fn is_in_moved_stream(location: Location, signed: &Document, now: &Document) -> bool {
    match location {
        Location::InStream { stream, .. } => signed.location(stream) != now.location(stream),
        Location::Offset { .. } => false,
    }
}

fn same_object(number: u32, signed: &Document, now: &Document) -> Result<bool, PdfError> {
    let (before, now) = (object(signed, number)?, object(now, number)?);
    if before != now {
        return Ok(false);
    }
    match (before.as_stream(), now.as_stream()) {
        (Some(before), Some(now)) => Ok(same_octets(&before.data, &now.data)?),
        _ => Ok(true),
    }
}

/// The object under its number, whatever its generation.
fn object(document: &Document, number: u32) -> Result<Object, PdfError> {
    match document.location(number) {
        Some(Location::Offset { generation, .. }) => document.object(Reference { number, generation }),
        Some(Location::InStream { .. }) => document.object(Reference { number, generation: 0 }),
        None => Ok(Object::Null),
    }
}

fn same_octets(one: &Content, other: &Content) -> std::io::Result<bool> {
    const CHUNK: usize = 64 * 1024;
    if one.len() != other.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (one.reader(), other.reader());
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(true);
        }
        other.read_exact(right.get_mut(..read).unwrap_or_default())?;
        if left.get(..read) != right.get(..read) {
            return Ok(false);
        }
    }
}
