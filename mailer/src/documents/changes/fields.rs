//! What changed of the form.
use super::{Change, Comparison, in_words, keys};
use crate::documents::form::{self, Field};
use crate::documents::pdf::{Dictionary, Document, Object, PdfError, Reference};

/// What filling in a field changes of its dictionary and its widget's.
const FILLED: [&str; 3] = ["V", "AP", "AS"];
/// What a new field changes of the form.
const FORM_GROWS: [&str; 2] = ["Fields", "SigFlags"];

impl Comparison<'_> {
    pub(super) fn form(&mut self) -> Result<(), PdfError> {
        let (before, now) = (form::form(self.signed)?, form::form(self.now)?);
        let Some((reference, now)) = now else {
            if before.is_some() {
                self.report_document("the form (AcroForm)");
            }
            return Ok(());
        };
        if let Some(reference) = reference {
            self.difference.explain(reference);
        }
        let had_form = before.is_some();
        let before = before.map(|(_, form)| form).unwrap_or_default();
        for key in keys(&before, &now) {
            let (old, new) = (before.get(&key), now.get(&key));
            if FORM_GROWS.contains(&key.as_str()) {
                self.explain_value(new);
            } else if had_form && self.differs(old, new) {
                self.report_document(&format!("the form's {key}"));
            }
        }
        let (before, now) = (form::fields(self.signed)?, form::fields(self.now)?);
        for field in &now {
            match before.iter().find(|known| known.name == field.name) {
                None => self.new_field(field)?,
                Some(known) => self.known_field(known, field)?,
            }
        }
        for gone in before.iter().filter(|known| now.iter().all(|field| field.name != known.name)) {
            let (field, what) = (gone.name.clone(), "it was removed".to_owned());
            self.report(Change::Field { field, what });
        }
        Ok(())
    }

    fn new_field(&mut self, field: &Field) -> Result<(), PdfError> {
        if !field.is_signature() {
            let (field, what) = (field.name.clone(), "it is new".to_owned());
            self.report(Change::Field { field, what });
            return Ok(());
        }
        if let Some(reference) = field.reference {
            self.explain_new_below(&reference.into())?;
        }
        self.report_signature(field)
    }

    /// A signature or time stamp that was added; an empty field waits for one.
    fn report_signature(&mut self, field: &Field) -> Result<(), PdfError> {
        let name = field.name.clone();
        let value = field.value.as_ref().map(|value| self.now.resolve(value)).transpose()?;
        let is_time_stamp = value
            .as_ref()
            .and_then(Object::as_dictionary)
            .is_some_and(|value| value.name("SubFilter").is_some_and(|kind| kind.is("ETSI.RFC3161")));
        self.report(if is_time_stamp {
            Change::TimeStamp { field: name }
        } else {
            Change::Signature { field: name }
        });
        Ok(())
    }

    fn known_field(&mut self, before: &Field, now: &Field) -> Result<(), PdfError> {
        let name = now.name.clone();
        if before.reference != now.reference || before.kind != now.kind {
            self.report(Change::Field { field: name, what: "another field stands in its place".to_owned() });
            return Ok(());
        }
        self.known_dictionary(&name, before.reference, &before.dictionary, &now.dictionary)?;
        let was_signed = before.is_signature() && before.value.is_some();
        let same_value = self.same_value(before.value.as_ref(), now.value.as_ref())?;
        if was_signed && !same_value {
            self.report(Change::Field { field: name, what: "its signature was replaced".to_owned() });
        } else if now.is_signature() && before.value.is_none() && now.value.is_some() {
            self.report_signature(now)?;
        } else if !same_value {
            let from = in_words(self.signed, before.value.as_ref())?;
            let to = in_words(self.now, now.value.as_ref())?;
            self.report(Change::Filled { field: name, from, to });
        }
        self.widgets(before, now)
    }

    fn same_value(&self, before: Option<&Object>, now: Option<&Object>) -> Result<bool, PdfError> {
        Ok(!self.differs(before, now) || {
            let resolved = |document: &Document, value: Option<&Object>| {
                value.map(|value| document.resolve(value)).transpose()
            };
            let (before, now) = (resolved(self.signed, before)?, resolved(self.now, now)?);
            before == now && before.as_ref().and_then(Object::as_stream).is_none()
        })
    }

    /// Widgets of a field that are objects of their own.
    fn widgets(&mut self, before: &Field, now: &Field) -> Result<(), PdfError> {
        let kids = |document: &Document, field: &Field| {
            Ok::<_, PdfError>(match document.get(&field.dictionary, "Kids")? {
                Some(Object::Array(kids)) => kids.iter().filter_map(Object::as_reference).collect(),
                _ => Vec::new(),
            })
        };
        let (old, new): (Vec<Reference>, Vec<Reference>) = (kids(self.signed, before)?, kids(self.now, now)?);
        if old != new {
            let what = "its places on the pages changed".to_owned();
            self.report(Change::Field { field: now.name.clone(), what });
        }
        for widget in new.into_iter().filter(|widget| old.contains(widget)) {
            let (before, after) = (self.signed.object(widget)?, self.now.object(widget)?);
            if let (Some(before), Some(after)) = (before.as_dictionary(), after.as_dictionary()) {
                self.known_dictionary(&now.name, Some(widget), before, after)?;
            }
        }
        Ok(())
    }

    /// A field's or widget's dictionary: what filling in changes is explained, anything else is told.
    fn known_dictionary(
        &mut self,
        name: &str,
        reference: Option<Reference>,
        before: &Dictionary,
        now: &Dictionary,
    ) -> Result<(), PdfError> {
        let is_signed = before.name("FT").is_some_and(|kind| kind.is("Sig")) && before.get("V").is_some();
        let mut is_clean = true;
        for key in keys(before, now) {
            let (old, new) = (before.get(&key), now.get(&key));
            if !FILLED.contains(&key.as_str()) {
                if old != new {
                    is_clean = false;
                    self.report(Change::Field { field: name.to_owned(), what: format!("its {key} changed") });
                }
                continue;
            }
            if is_signed && self.differs(old, new) {
                is_clean = false;
                self.report(Change::Field {
                    field: name.to_owned(),
                    what: format!("{key} of its signature changed"),
                });
                continue;
            }
            if let Some(new) = new {
                self.explain_new_below(new)?;
                self.explain_own_appearance(old, new)?;
            }
        }
        if let (true, Some(reference)) = (is_clean, reference) {
            self.difference.explain(reference);
        }
        Ok(())
    }

    /// The streams that a field looked like before may be rewritten in place, unless pages show them too.
    fn explain_own_appearance(&mut self, before: Option<&Object>, now: &Object) -> Result<(), PdfError> {
        let own = references_of(self.signed, before)?;
        let mut shown_elsewhere = None;
        for reference in references_of(self.now, Some(now))? {
            if !own.contains(&reference) || !self.difference.contains(reference) {
                continue;
            }
            let elsewhere = match &shown_elsewhere {
                Some(found) => found,
                None => shown_elsewhere.insert(self.shown_by_pages()?),
            };
            if !elsewhere.contains(&reference.number) {
                self.difference.explain(reference);
            }
        }
        Ok(())
    }
}

/// The references in an appearance dictionary, two levels deep (section 12.5.5), and a value's own.
fn references_of(document: &Document, value: Option<&Object>) -> Result<Vec<Reference>, PdfError> {
    let mut found = Vec::new();
    let mut open: Vec<(Object, usize)> = value.map(|value| (value.clone(), 0)).into_iter().collect();
    while let Some((value, depth)) = open.pop() {
        if let Some(reference) = value.as_reference() {
            found.push(reference);
        }
        if depth < 3
            && let Object::Dictionary(dictionary) = document.resolve(&value)?
        {
            open.extend(dictionary.iter().map(|(_, value)| (value.clone(), depth + 1)));
        }
    }
    Ok(found)
}
