//! The signatures of a document as they stand in it: which octets each covers (ISO 32000-2 section 12.8.1).
use std::ops::Range;

use jiff::Timestamp;

use super::date;
use super::form::{self, Field};
use super::pdf::{Dictionary, Document, Object, PdfError, Reference};
use super::permission::Permission;
use crate::content::Content;

/// What kind of object stands in the contents (`/SubFilter`, table 260).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKind {
    /// `ETSI.CAdES.detached`: a PAdES signature.
    Pades,
    /// `adbe.pkcs7.detached`: a CMS signature of the kind before.
    Cms,
    /// `ETSI.RFC3161`: a time stamp of the whole document.
    DocumentTimeStamp,
}

/// A signature of a document.
#[derive(Clone, Debug)]
pub struct DocumentSignature {
    /// The field's name.
    pub field: String,
    /// Where the signature dictionary stands.
    pub reference: Reference,
    /// The signature dictionary.
    pub dictionary: Dictionary,
    /// What it holds.
    pub kind: SignatureKind,
    /// The DER of the signature, without the filling behind it.
    pub object: Vec<u8>,
    /// The octets of `/Contents`, filling included.
    pub contents: Vec<u8>,
    /// The gap between what is signed: the contents with their angle brackets.
    pub gap: Range<u64>,
    /// The end of what is signed.
    pub end: u64,
    /// When it was signed by the signer's clock (`/M`).
    pub claimed: Option<Timestamp>,
    /// What it certifies, if it does.
    pub certifies: Option<Permission>,
    /// Which fields it locks.
    pub locks: Vec<Lock>,
}

/// Fields that may not change once the signature stands (FieldMDP, section 12.8.2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// All fields.
    All,
    /// These.
    Include(Vec<String>),
    /// All but these.
    Exclude(Vec<String>),
}

impl Lock {
    /// Whether the field is locked.
    pub fn covers(&self, field: &str) -> bool {
        let names = |names: &[String]| {
            names.iter().any(|name| {
                field == name || field.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        match self {
            Self::All => true,
            Self::Include(listed) => names(listed),
            Self::Exclude(listed) => !names(listed),
        }
    }
}

/// Why a signature cannot be judged, or shows by itself that the file was tampered with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureDefect {
    /// A key is missing or not what it must be.
    #[error("its dictionary is malformed: {0}")]
    Malformed(String),
    /// A way of signing that is not supported.
    #[error("it is of the kind {0}, which is not supported")]
    Unsupported(String),
    /// The byte range leaves out something else than the signature itself.
    #[error("it leaves out more of the file than itself, so part of the document is not protected")]
    ByteRange,
    /// The signed octets end in the middle of a revision.
    #[error("the octets that it signs are no whole document")]
    NoRevision,
    /// In the document that was signed the signature does not stand in this field.
    #[error("it did not stand in this field when it was made")]
    Moved,
}

impl SignatureDefect {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "signature-malformed",
            Self::Unsupported(_) => "signature-kind-unsupported",
            Self::ByteRange => "byte-range-wrong",
            Self::NoRevision => "signed-part-is-no-document",
            Self::Moved => "signature-moved",
        }
    }
}

/// A signature field with what stands in it, or what is wrong with that.
#[derive(Clone, Debug)]
pub struct FieldSignature {
    /// The field's name.
    pub field: String,
    /// The signature.
    pub signature: Result<DocumentSignature, SignatureDefect>,
}

/// All signatures of a document, in the order in which they were made as far as that can be told.
///
/// # Errors
/// The document is damaged.
pub fn signatures(document: &Document) -> Result<Vec<FieldSignature>, PdfError> {
    let mut found = Vec::new();
    for field in form::fields(document)? {
        if !field.is_signature() || field.value.is_none() {
            continue;
        }
        let signature = read(document, &field)?;
        found.push(FieldSignature { field: field.name, signature });
    }
    found.sort_by_key(|found| found.signature.as_ref().map_or(u64::MAX, |signature| signature.end));
    Ok(found)
}

fn malformed(problem: &str) -> SignatureDefect {
    SignatureDefect::Malformed(problem.to_owned())
}

fn read(document: &Document, field: &Field) -> Result<Result<DocumentSignature, SignatureDefect>, PdfError> {
    let Some(reference) = field.value.as_ref().and_then(Object::as_reference) else {
        return Ok(Err(malformed("it is not an object of its own")));
    };
    let Object::Dictionary(dictionary) = document.object(reference)? else {
        return Ok(Err(malformed("it is no dictionary")));
    };
    let kind = match document.get(&dictionary, "SubFilter")? {
        Some(Object::Name(name)) if name.is("ETSI.CAdES.detached") => SignatureKind::Pades,
        Some(Object::Name(name)) if name.is("adbe.pkcs7.detached") => SignatureKind::Cms,
        Some(Object::Name(name)) if name.is("ETSI.RFC3161") => SignatureKind::DocumentTimeStamp,
        Some(Object::Name(name)) => return Ok(Err(SignatureDefect::Unsupported(name.text()))),
        _ => return Ok(Err(malformed("it does not say of which kind it is (SubFilter)"))),
    };
    let Some(contents) = dictionary.get("Contents").and_then(Object::as_string).map(<[u8]>::to_vec) else {
        return Ok(Err(malformed("it has no Contents")));
    };
    let range = match byte_range(document, reference, &dictionary)? {
        Ok(range) => range,
        Err(defect) => return Ok(Err(defect)),
    };
    let Some(object) = without_filling(&contents) else {
        return Ok(Err(malformed("its Contents are no CMS object, or something is hidden behind it")));
    };
    let claimed = match document.get(&dictionary, "M")? {
        Some(Object::String(date)) => date::read(&form::text(&date)),
        _ => None,
    };
    Ok(Ok(DocumentSignature {
        field: field.name.clone(),
        reference,
        kind,
        object,
        gap: range.gap,
        end: range.end,
        claimed,
        certifies: Permission::of_signature(document, &dictionary)?,
        locks: locks(document, &dictionary)?,
        contents,
        dictionary,
    }))
}

/// The longest place of a signature.
const LARGEST_GAP: usize = 16 * 1024 * 1024;

struct ByteRange {
    gap: Range<u64>,
    end: u64,
}

/// Four numbers: from the first octet to the gap, and from its end on. The gap is the value of `/Contents` and nothing else.
fn byte_range(
    document: &Document,
    reference: Reference,
    dictionary: &Dictionary,
) -> Result<Result<ByteRange, SignatureDefect>, PdfError> {
    let numbers: Vec<u64> = match dictionary.get("ByteRange") {
        Some(Object::Array(numbers)) => numbers
            .iter()
            .filter_map(|number| number.as_integer().and_then(|number| u64::try_from(number).ok()))
            .collect(),
        _ => return Ok(Err(malformed("it has no ByteRange"))),
    };
    let [start, before, after, length] = numbers[..] else {
        return Ok(Err(malformed("its ByteRange has not four numbers")));
    };
    let Some(end) = after.checked_add(length) else { return Ok(Err(SignatureDefect::ByteRange)) };
    let gap = before..after;
    let contents = document.value_span(reference, "Contents")?;
    if start != 0 || before >= after || end > document.content().len() || contents.as_ref() != Some(&gap) {
        return Ok(Err(SignatureDefect::ByteRange));
    }
    // In a string of another kind half of the octets could be anything.
    let octets = document.content().slice(gap.clone()).to_vec(LARGEST_GAP)?;
    let is_hexadecimal = octets.is_some_and(|octets| match octets.as_slice() {
        [b'<', digits @ .., b'>'] => digits.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    });
    if !is_hexadecimal {
        return Ok(Err(malformed("its Contents are not written in hexadecimal digits")));
    }
    Ok(Ok(ByteRange { gap, end }))
}

/// The DER element at the beginning; only zeros may follow.
fn without_filling(contents: &[u8]) -> Option<Vec<u8>> {
    let mut elements = crate::certificate::tlv::Elements::new(contents);
    let length = match elements.next() {
        Ok(Some(element)) => element.bytes.len(),
        // BER of indefinite length: the CMS reader finds its end.
        _ => contents.len() - contents.iter().rev().take_while(|octet| **octet == 0).count(),
    };
    let (object, filling) = contents.split_at_checked(length)?;
    let is_zero = filling.iter().all(|octet| *octet == 0);
    (is_zero && !object.is_empty()).then(|| object.to_vec())
}

fn locks(document: &Document, dictionary: &Dictionary) -> Result<Vec<Lock>, PdfError> {
    let Some(Object::Array(references)) = document.get(dictionary, "Reference")? else {
        return Ok(Vec::new());
    };
    let mut locks = Vec::new();
    for reference in references.iter().take(16) {
        let Object::Dictionary(reference) = document.resolve(reference)? else { continue };
        if !reference.name("TransformMethod").is_some_and(|method| method.is("FieldMDP")) {
            continue;
        }
        let Some(Object::Dictionary(parameters)) = document.get(&reference, "TransformParams")? else {
            locks.push(Lock::All);
            continue;
        };
        let names = match document.get(&parameters, "Fields")? {
            Some(Object::Array(names)) => {
                names.iter().filter_map(Object::as_string).map(form::text).collect()
            }
            _ => Vec::new(),
        };
        locks.push(match parameters.name("Action") {
            Some(action) if action.is("Include") => Lock::Include(names),
            Some(action) if action.is("Exclude") => Lock::Exclude(names),
            _ => Lock::All,
        });
    }
    Ok(locks)
}

impl DocumentSignature {
    /// The octets that are signed: all before the gap, and what follows it.
    pub fn signed_octets(&self, document: &Document) -> Content {
        let content = document.content();
        Content::concat([content.slice(0..self.gap.start), content.slice(self.gap.end..self.end)])
    }

    /// The document as it was signed.
    ///
    /// # Errors
    /// [`SignatureDefect::NoRevision`] or [`SignatureDefect::Moved`]: what was signed is not a document with this signature.
    pub fn signed_document(&self, document: &Document) -> Result<Document, SignatureDefect> {
        let signed = Document::open(&document.content().slice(0..self.end))
            .map_err(|_| SignatureDefect::NoRevision)?;
        let fields = form::fields(&signed).map_err(|_| SignatureDefect::NoRevision)?;
        let stands = fields.iter().any(|field| {
            field.name == self.field
                && field.value.as_ref().and_then(Object::as_reference) == Some(self.reference)
        });
        let span = signed.value_span(self.reference, "Contents").ok().flatten();
        if stands && span.as_ref() == Some(&self.gap) { Ok(signed) } else { Err(SignatureDefect::Moved) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_zeros_may_follow_the_signature() {
        assert_eq!(without_filling(&[0x30, 1, 5, 0, 0]), Some(vec![0x30, 1, 5]));
        assert_eq!(without_filling(&[0x30, 1, 0, 0, 0]), Some(vec![0x30, 1, 0]));
        assert_eq!(without_filling(&[0x30, 1, 5, 0, 1]), None);
        assert_eq!(without_filling(&[0, 0]), None);
    }

    #[test]
    fn a_lock_covers_fields_and_those_below_them() {
        let names = vec!["a".to_owned()];
        let covered = |lock: &Lock| ["a", "a.b", "ab", "c"].map(|field| lock.covers(field));
        assert_eq!(covered(&Lock::Include(names.clone())), [true, true, false, false]);
        assert_eq!(covered(&Lock::Exclude(names)), [false, false, true, true]);
        assert_eq!(covered(&Lock::All), [true; 4]);
    }
}
