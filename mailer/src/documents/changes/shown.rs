//! What the signed document shows, object by object: an object that pages show cannot change its part later.
use std::collections::{BTreeMap, BTreeSet};

use crate::documents::pdf::{Dictionary, Document, Location, Object, PdfError, Reference};

/// The most objects that are looked at.
const MOST_OBJECTS: usize = 2_000_000;

/// Which objects of the signed document show something, and which it refers to at all.
pub(super) struct Shown {
    /// Everything below the pages but their annotations.
    pages: BTreeSet<u32>,
    /// Everything below the appearance of an annotation, with the annotations.
    appearances: BTreeMap<u32, BTreeSet<u32>>,
    /// Every number that stands in a reference, whether there is such an object or not.
    referenced: BTreeSet<u32>,
}

impl Shown {
    pub(super) fn by(signed: &Document) -> Result<Self, PdfError> {
        let mut shown =
            Self { pages: BTreeSet::new(), appearances: BTreeMap::new(), referenced: referenced(signed)? };
        for page in signed.pages() {
            let object = signed.object(page?)?;
            let mut dictionary = object.as_dictionary().cloned().unwrap_or_default();
            let annotations = signed.get(&dictionary, "Annots")?;
            dictionary.remove("Annots");
            dictionary.remove("Parent");
            below(signed, dictionary.into(), &mut shown.pages)?;
            for annotation in annotations.as_ref().and_then(Object::as_array).unwrap_or_default() {
                let object = signed.resolve(annotation)?;
                let appearance = object.as_dictionary().and_then(|found| found.get("AP")).cloned();
                let mut used = BTreeSet::new();
                below(signed, appearance.unwrap_or_default(), &mut used)?;
                let number = annotation.as_reference().map_or(0, |reference| reference.number);
                for object in used {
                    shown.appearances.entry(object).or_default().insert(number);
                }
            }
        }
        Ok(shown)
    }

    /// Whether a page, or the appearance of any annotation, shows the object.
    pub(super) fn shows(&self, number: u32) -> bool {
        self.pages.contains(&number) || self.appearances.contains_key(&number)
    }

    /// Whether nothing shows the object but the appearances of these annotations.
    pub(super) fn only_by(&self, number: u32, annotations: &[Reference]) -> bool {
        let is_own = |shower: &u32| annotations.iter().any(|annotation| annotation.number == *shower);
        !self.pages.contains(&number)
            && self.appearances.get(&number).is_none_or(|showers| showers.iter().all(is_own))
    }

    /// Whether the signed document refers to the number.
    pub(super) fn refers_to(&self, number: u32) -> bool {
        self.referenced.contains(&number)
    }
}

fn below(document: &Document, value: Object, used: &mut BTreeSet<u32>) -> Result<(), PdfError> {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Object::Reference(reference) => {
                if used.insert(reference.number) {
                    if used.len() > MOST_OBJECTS {
                        return Err(PdfError::Senseless("the pages use too many objects"));
                    }
                    open.push(document.object(reference)?);
                }
            }
            Object::Array(elements) => open.extend(elements),
            other => {
                let values = other.as_dictionary().map(Dictionary::iter).into_iter().flatten();
                open.extend(values.map(|(_, value)| value.clone()));
            }
        }
    }
    Ok(())
}

/// Every number in a reference, in any object and the trailer.
fn referenced(document: &Document) -> Result<BTreeSet<u32>, PdfError> {
    let mut found = BTreeSet::new();
    note(&Object::Dictionary(document.trailer().clone()), &mut found);
    for (number, location) in document.locations() {
        let generation = match location {
            Location::Offset { generation, .. } => generation,
            Location::InStream { .. } => 0,
        };
        note(&document.object(Reference { number, generation })?, &mut found);
    }
    Ok(found)
}

fn note(value: &Object, found: &mut BTreeSet<u32>) {
    match value {
        Object::Reference(reference) => {
            found.insert(reference.number);
        }
        Object::Array(elements) => elements.iter().for_each(|element| note(element, found)),
        other => {
            let values = other.as_dictionary().map(Dictionary::iter).into_iter().flatten();
            values.for_each(|(_, value)| note(value, found));
        }
    }
}
