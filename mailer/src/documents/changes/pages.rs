//! What changed of the pages and their annotations.
use super::{Change, Comparison, keys};
use crate::documents::pdf::{Dictionary, Document, Object, PdfError, Reference};

impl Comparison<'_> {
    /// `same_root`: the catalog refers to the same page tree.
    pub(super) fn pages(&mut self, same_root: bool) -> Result<(), PdfError> {
        // Signature fields have explained their own objects by now; pages that are not among the others are as they were.
        let before = self.signed.pages().collect::<Result<Vec<_>, _>>()?;
        let now = self.now.pages().collect::<Result<Vec<_>, _>>()?;
        if before != now || !same_root {
            self.report(Change::Pages { from: before.len(), to: now.len() });
            return Ok(());
        }
        for (index, reference) in now.iter().enumerate() {
            if self.may_differ(*reference)? {
                self.page(index + 1, *reference)?;
            }
        }
        Ok(())
    }

    /// Whether the page's dictionary, or its array of annotations, is among what differs.
    fn may_differ(&self, page: Reference) -> Result<bool, PdfError> {
        if self.difference.contains(page) {
            return Ok(true);
        }
        let object = self.now.object(page)?;
        let dictionary = object.as_dictionary().cloned().unwrap_or_default();
        let annotations = dictionary.get("Annots");
        let array = annotations.and_then(Object::as_reference);
        if array.is_some_and(|array| self.difference.contains(array)) {
            return Ok(true);
        }
        Ok(array_of(self.now, annotations)?
            .iter()
            .any(|annotation| annotation.as_reference().is_some_and(|found| self.difference.contains(found))))
    }

    fn page(&mut self, number: usize, reference: Reference) -> Result<(), PdfError> {
        let (before, now) = (self.signed.object(reference)?, self.now.object(reference)?);
        let (Some(before), Some(now)) = (before.as_dictionary(), now.as_dictionary()) else {
            self.report(Change::Page { page: number, what: "the page itself".to_owned() });
            return Ok(());
        };
        for key in keys(before, now) {
            let (old, new) = (before.get(&key), now.get(&key));
            if key == "Annots" {
                self.annotations(number, old, new)?;
            } else if old != new {
                self.report(Change::Page { page: number, what: key });
            }
        }
        self.difference.explain(reference);
        Ok(())
    }

    fn annotations(
        &mut self,
        page: usize,
        before: Option<&Object>,
        now: Option<&Object>,
    ) -> Result<(), PdfError> {
        let (old, new) = (array_of(self.signed, before)?, array_of(self.now, now)?);
        self.explain_value(now);
        for added in new.iter().filter(|annotation| !old.contains(annotation)) {
            let object = self.now.resolve(added)?;
            let dictionary = object.as_dictionary().cloned().unwrap_or_default();
            let is_expected =
                added.as_reference().is_some_and(|found| self.signature_widgets.contains(&found));
            if !is_expected {
                self.explain_new_below(added)?;
                self.report(Change::Annotation { page, what: format!("{} was added", kind(&dictionary)) });
            }
        }
        for gone in old.iter().filter(|annotation| !new.contains(annotation)) {
            let object = self.signed.resolve(gone)?;
            let dictionary = object.as_dictionary().cloned().unwrap_or_default();
            self.report(Change::Annotation { page, what: format!("{} was removed", kind(&dictionary)) });
        }
        for kept in new.iter().filter(|annotation| old.contains(annotation)) {
            let Some(reference) = kept.as_reference().filter(|found| self.difference.contains(*found)) else {
                continue;
            };
            let object = self.now.object(reference)?;
            let dictionary = object.as_dictionary().cloned().unwrap_or_default();
            // Fields and their widgets were looked at with the form.
            if !dictionary.name("Subtype").is_some_and(|kind| kind.is("Widget")) {
                self.difference.explain(reference);
                self.explain_new_below(&object)?;
                self.report(Change::Annotation { page, what: format!("{} was changed", kind(&dictionary)) });
            }
        }
        Ok(())
    }
}

fn array_of(document: &Document, array: Option<&Object>) -> Result<Vec<Object>, PdfError> {
    Ok(match array.map(|array| document.resolve(array)).transpose()? {
        Some(Object::Array(elements)) => elements,
        _ => Vec::new(),
    })
}

/// What kind of annotation it is, in words.
fn kind(annotation: &Dictionary) -> String {
    match annotation.name("Subtype") {
        Some(name) => format!("an annotation ({})", name.text()),
        None => "an annotation".to_owned(),
    }
}
