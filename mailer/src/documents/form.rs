//! The interactive form of a document and its signature fields (ISO 32000-2 sections 12.7 and 12.8).
use std::collections::HashSet;

use super::pdf::{Dictionary, Document, Object, PdfError, Reference};

/// How deep fields may nest, and how many there may be.
const DEEPEST: usize = 32;
const MOST_FIELDS: usize = 20_000;

/// A terminal field of the form (section 12.7.4).
#[derive(Clone, Debug)]
pub struct Field {
    /// The field's dictionary, often its widget's too; `None` for one that stands in the array itself.
    pub reference: Option<Reference>,
    /// The fully qualified name (section 12.7.4.2), in words.
    pub name: String,
    /// `/FT`, inherited where it is: `Tx`, `Btn`, `Ch`, `Sig`.
    pub kind: String,
    /// `/V`, inherited where it is, as it stands: perhaps a reference.
    pub value: Option<Object>,
    /// The dictionary.
    pub dictionary: Dictionary,
}

impl Field {
    /// Whether it is a signature field.
    pub fn is_signature(&self) -> bool {
        self.kind == "Sig"
    }
}

/// The form's dictionary, and where it stands when it is an object of its own.
///
/// # Errors
/// The document is damaged.
pub fn form(document: &Document) -> Result<Option<(Option<Reference>, Dictionary)>, PdfError> {
    let (_, catalog) = document.catalog()?;
    let Some(entry) = catalog.get("AcroForm") else { return Ok(None) };
    let reference = entry.as_reference();
    match document.resolve(entry)? {
        Object::Dictionary(form) => Ok(Some((reference, form))),
        Object::Null => Ok(None),
        _ => Err(PdfError::Senseless("the form is no dictionary")),
    }
}

/// All terminal fields, in the order of the form.
///
/// # Errors
/// The document is damaged, or has more fields than are looked at.
pub fn fields(document: &Document) -> Result<Vec<Field>, PdfError> {
    let Some((_, form)) = form(document)? else { return Ok(Vec::new()) };
    let mut walk = Walk { document, found: Vec::new(), visited: HashSet::new() };
    if let Some(Object::Array(roots)) = document.get(&form, "Fields")? {
        for root in &roots {
            walk.visit(root, &Inherited::default(), 0)?;
        }
    }
    Ok(walk.found)
}

#[derive(Clone, Default)]
struct Inherited {
    name: String,
    kind: String,
    value: Option<Object>,
}

struct Walk<'d> {
    document: &'d Document,
    found: Vec<Field>,
    visited: HashSet<Reference>,
}

impl Walk<'_> {
    fn visit(&mut self, node: &Object, inherited: &Inherited, depth: usize) -> Result<(), PdfError> {
        if depth > DEEPEST || self.visited.len() + self.found.len() > MOST_FIELDS {
            return Err(PdfError::Senseless("the form's fields are nested too deeply, or too many"));
        }
        let reference = node.as_reference();
        if reference.is_some_and(|reference| !self.visited.insert(reference)) {
            return Err(PdfError::Senseless("a field of the form stands below itself, or twice"));
        }
        let Object::Dictionary(dictionary) = self.document.resolve(node)? else { return Ok(()) };
        let own = self.inherit(&dictionary, inherited)?;
        let kids = match self.document.get(&dictionary, "Kids")? {
            Some(Object::Array(kids)) => kids,
            _ => Vec::new(),
        };
        let mut has_fields_below = false;
        for kid in &kids {
            // A kid without a name of its own is a widget of this field (section 12.7.4.1).
            let is_field =
                matches!(self.document.resolve(kid)?, Object::Dictionary(kid) if kid.get("T").is_some());
            if is_field {
                has_fields_below = true;
                self.visit(kid, &own, depth + 1)?;
            }
        }
        if !has_fields_below {
            let Inherited { name, kind, value } = own;
            self.found.push(Field { reference, name, kind, value, dictionary });
        }
        Ok(())
    }

    fn inherit(&self, dictionary: &Dictionary, above: &Inherited) -> Result<Inherited, PdfError> {
        let partial = match self.document.get(dictionary, "T")? {
            Some(Object::String(octets)) => Some(text(&octets)),
            _ => None,
        };
        let name = match (above.name.as_str(), partial) {
            (_, None) => above.name.clone(),
            ("", Some(own)) => own,
            (above, Some(own)) => format!("{above}.{own}"),
        };
        let kind = match self.document.get(dictionary, "FT")? {
            Some(Object::Name(kind)) => kind.text(),
            _ => above.kind.clone(),
        };
        let value = dictionary.get("V").cloned().or_else(|| above.value.clone());
        Ok(Inherited { name, kind, value })
    }
}

/// A text string in words: UTF-16 or UTF-8 with their marks, otherwise Latin-1 for PDFDocEncoding (section 7.9.2.2).
pub fn text(octets: &[u8]) -> String {
    match octets {
        [0xFE, 0xFF, units @ ..] => {
            let units: Vec<u16> = units
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |unit, octet| (unit << 8) | u16::from(*octet)))
                .collect();
            String::from_utf16_lossy(&units)
        }
        [0xEF, 0xBB, 0xBF, utf8 @ ..] => String::from_utf8_lossy(utf8).into_owned(),
        latin => latin.iter().map(|octet| char::from(*octet)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn text_strings_are_read_in_their_encodings() {
        assert_eq!(text(b"\xFE\xFF\x53\x70\x00A"), "印A");
        assert_eq!(text(b"\xEF\xBB\xBF\xE5\x8D\xB0"), "印");
        assert_eq!(text(b"caf\xE9"), "café");
    }
}
