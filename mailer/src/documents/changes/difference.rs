//! Which objects of two revisions differ.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::shown::Shown;
use crate::content::Content;
use crate::documents::pdf::{Document, Location, Object, PdfError, Reference};

/// Objects that are not what they were, by number.
pub(super) struct Difference {
    /// Numbers, and whether the signed document had such an object.
    differing: BTreeMap<u32, bool>,
    explained: BTreeSet<u32>,
    /// Streams that a form field looks like, and nothing else.
    own_appearances: BTreeSet<u32>,
}

impl Difference {
    /// Objects at the same place are the same octets: only those that moved are compared.
    pub(super) fn between(signed: &Document, now: &Document) -> Result<Self, PdfError> {
        let mut differing = BTreeMap::new();
        for (number, location) in now.locations() {
            let before = signed.location(number);
            // An object in a stream stands elsewhere when the stream was replaced.
            let moved = before != Some(location) || is_in_moved_stream(location, signed, now);
            // References name the generation too: under another one the object is gone for them.
            let same_name = before.is_none_or(|before| generation(before) == generation(location));
            if moved && !(same_name && same_object(number, signed, now)?) {
                differing.insert(number, before.is_some());
            }
        }
        let gone = signed.locations().filter(|(number, _)| now.location(*number).is_none());
        differing.extend(gone.map(|(number, _)| (number, true)));
        Ok(Self { differing, explained: BTreeSet::new(), own_appearances: BTreeSet::new() })
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

    /// Explains a stream that a form field alone looks like.
    pub(super) fn explain_appearance(&mut self, reference: Reference) {
        self.explained.insert(reference.number);
        self.own_appearances.insert(reference.number);
    }

    /// Explains an object only if the signed document did not have it.
    pub(super) fn explain_new(&mut self, reference: Reference) {
        if self.is_new(reference) {
            self.explain(reference);
        }
    }

    /// Objects that differ and that no rule explains, or that a rule explains although the signed document shows them. Also
    /// new ones to which the signed document refers: what was nothing when it was signed would be something now.
    ///
    /// Containers of cross-references and of other objects are judged by what they contain.
    pub(super) fn unexplained(
        &self,
        shown: &Shown,
        signed: &Document,
        now: &Document,
    ) -> Result<Vec<u32>, PdfError> {
        let mut found = Vec::new();
        for (number, was_there) in &self.differing {
            let is_harmless = match (was_there, self.explained.contains(number)) {
                (false, _) => !shown.refers_to(*number),
                (true, true) => !shown.shows(*number) || self.own_appearances.contains(number),
                (true, false) => {
                    !shown.refers_to(*number) && is_container(signed, *number)? && is_container(now, *number)?
                }
            };
            if !is_harmless {
                found.push(*number);
            }
        }
        Ok(found)
    }
}

fn is_container(document: &Document, number: u32) -> Result<bool, PdfError> {
    let object = object(document, number)?;
    let dictionary = object.as_dictionary();
    Ok(dictionary.is_some_and(|found| found.is_type("XRef") || found.is_type("ObjStm")))
}

fn generation(location: Location) -> u16 {
    match location {
        Location::Offset { generation, .. } => generation,
        Location::InStream { .. } => 0,
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
