//! What changed of the form.
use super::{Change, Comparison, in_words, keys};
use crate::documents::form::{self, Field};
use crate::documents::pdf::{Dictionary, Document, Object, PdfError, Reference};

/// What filling in a field changes of its dictionary and its widgets'.
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
        if !field.is_signature() || field.value.is_none() {
            let (field, what) = (field.name.clone(), "it is new".to_owned());
            self.report(Change::Field { field, what });
            return Ok(());
        }
        if let Some(reference) = field.reference {
            self.explain_new_below(&reference.into())?;
        }
        self.report_signature(field)
    }

    /// A signature or time stamp that was added, with its widgets. A time stamp has nothing to show.
    fn report_signature(&mut self, field: &Field) -> Result<(), PdfError> {
        let name = field.name.clone();
        let value = field.value.as_ref().map(|value| self.now.resolve(value)).transpose()?;
        let is_time_stamp = value
            .as_ref()
            .and_then(Object::as_dictionary)
            .is_some_and(|value| value.name("SubFilter").is_some_and(|kind| kind.is("ETSI.RFC3161")));
        let widgets = self.widgets_of(self.now, field)?;
        if is_time_stamp && self.shows_something(field, &widgets)? {
            let what = "its time stamp covers part of a page".to_owned();
            self.report(Change::Field { field: name.clone(), what });
        }
        self.signature_widgets.extend(widgets);
        self.report(if is_time_stamp {
            Change::TimeStamp { field: name }
        } else {
            Change::Signature { field: name }
        });
        Ok(())
    }

    /// Whether a widget has a place on the page and an appearance.
    fn shows_something(&self, field: &Field, widgets: &[Reference]) -> Result<bool, PdfError> {
        for widget in widgets {
            let object = self.now.object(*widget)?;
            let dictionary = object.as_dictionary().unwrap_or(&field.dictionary);
            let rectangle = self.now.get(dictionary, "Rect")?;
            let numbers: Vec<f64> = rectangle
                .as_ref()
                .and_then(Object::as_array)
                .unwrap_or_default()
                .iter()
                .filter_map(Object::as_number)
                .collect();
            let is_empty =
                matches!(numbers[..], [left, bottom, right, top] if left == right || bottom == top);
            if !is_empty && dictionary.get("AP").is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The field itself, and its widgets that are objects of their own.
    fn widgets_of(&self, document: &Document, field: &Field) -> Result<Vec<Reference>, PdfError> {
        let kids = match document.get(&field.dictionary, "Kids")? {
            Some(Object::Array(kids)) => kids.iter().filter_map(Object::as_reference).collect(),
            _ => Vec::new(),
        };
        Ok(field.reference.into_iter().chain(kids).collect())
    }

    fn known_field(&mut self, before: &Field, now: &Field) -> Result<(), PdfError> {
        let name = now.name.clone();
        if before.reference != now.reference || before.kind != now.kind {
            self.report(Change::Field { field: name, what: "another field stands in its place".to_owned() });
            return Ok(());
        }
        let same_value = self.same_value(before.value.as_ref(), now.value.as_ref())?;
        let was_signed = before.is_signature() && before.value.is_some();
        let filled = if was_signed || same_value { Filling::Nothing } else { Filling::Value };
        let widgets = self.widgets_of(self.signed, before)?;
        if self.widgets_of(self.now, now)? != widgets {
            let what = "its places on the pages changed".to_owned();
            self.report(Change::Field { field: name.clone(), what });
        }
        self.known_dictionary(
            &name,
            before.reference,
            (&before.dictionary, &now.dictionary),
            filled,
            &widgets,
        )?;
        for widget in widgets.iter().filter(|widget| Some(**widget) != before.reference) {
            let (old, new) = (self.signed.object(*widget)?, self.now.object(*widget)?);
            if let (Some(old), Some(new)) = (old.as_dictionary(), new.as_dictionary()) {
                self.known_dictionary(&name, Some(*widget), (old, new), filled, &widgets)?;
            }
        }
        if was_signed && !same_value {
            self.report(Change::Field { field: name, what: "its signature was replaced".to_owned() });
        } else if now.is_signature() && before.value.is_none() && now.value.is_some() {
            self.report_signature(now)?;
        } else if !same_value && is_read_only(&before.dictionary) {
            self.report(Change::Field { field: name, what: "it may not be filled in, and was".to_owned() });
        } else if !same_value {
            let from = in_words(self.signed, before.value.as_ref())?;
            let to = in_words(self.now, now.value.as_ref())?;
            self.report(Change::Filled { field: name, from, to });
        }
        Ok(())
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

    /// A field's or widget's dictionary: what filling in changes is explained if the field was filled in; anything else is told.
    fn known_dictionary(
        &mut self,
        name: &str,
        reference: Option<Reference>,
        (before, now): (&Dictionary, &Dictionary),
        filling: Filling,
        widgets: &[Reference],
    ) -> Result<(), PdfError> {
        let mut is_clean = true;
        for key in keys(before, now) {
            let (old, new) = (before.get(&key), now.get(&key));
            if FILLED.contains(&key.as_str()) && filling == Filling::Value {
                if let Some(new) = new {
                    self.explain_new_below(new)?;
                    self.explain_own_appearance(old, new, widgets)?;
                }
            } else if old != new {
                is_clean = false;
                self.report(Change::Field { field: name.to_owned(), what: format!("its {key} changed") });
            }
        }
        if let (true, Some(reference)) = (is_clean, reference) {
            self.difference.explain(reference);
        }
        Ok(())
    }

    /// The streams that a field looked like before may be rewritten in place, unless something else shows them too.
    fn explain_own_appearance(
        &mut self,
        before: Option<&Object>,
        now: &Object,
        widgets: &[Reference],
    ) -> Result<(), PdfError> {
        let own = references_of(self.signed, before)?;
        for reference in references_of(self.now, Some(now))? {
            if own.contains(&reference)
                && self.difference.contains(reference)
                && self.shown()?.only_by(reference.number, widgets)
            {
                self.difference.explain_appearance(reference);
            }
        }
        Ok(())
    }
}

/// What a later revision did to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    /// It got another value.
    Value,
    /// Nothing that would explain another look.
    Nothing,
}

/// ISO 32000-2 table 227: the first flag.
fn is_read_only(field: &Dictionary) -> bool {
    field.get("Ff").and_then(Object::as_integer).is_some_and(|flags| flags & 1 == 1)
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
