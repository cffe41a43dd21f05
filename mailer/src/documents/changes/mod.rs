//! What later revisions changed of a signed document: object by object, in words, and whether it was allowed.
//!
//! - this file: the kinds of change, and the comparison from the catalog down;
//! - `difference`: which objects differ at all; `fields`: the form; `pages`: pages and annotations;
//! - `shown`: what the signed document shows; `leftovers`: octets that belong to no object.
//!
//! Only changes on a list are explained; an object that differs and that nothing on the list explains counts as tampering.
mod difference;
mod fields;
mod leftovers;
mod pages;
mod shown;

use std::rc::Rc;

use self::difference::Difference;
use self::shown::Shown;
use super::form;
use super::pdf::{Dictionary, Document, Object, PdfError, Reference};
use super::permission::Permission;
use super::validation_data;

/// One change of a document since it was signed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Certificates, CRLs or OCSP answers were added to prove signatures for longer.
    ValidationData,
    /// A version of PDF was named.
    Version,
    /// A signature was added.
    Signature {
        /// Its field.
        field: String,
    },
    /// A time stamp of the whole document was added.
    TimeStamp {
        /// Its field.
        field: String,
    },
    /// A form field was filled in.
    Filled {
        /// The field.
        field: String,
        /// Its value before.
        from: String,
        /// Its value now.
        to: String,
    },
    /// A form field looks different, though its value is the same; or something else of it changed.
    Field {
        /// The field.
        field: String,
        /// What of it.
        what: String,
    },
    /// An annotation was added, changed or removed.
    Annotation {
        /// The page, from 1.
        page: usize,
        /// What happened.
        what: String,
    },
    /// Title, author and the like.
    Metadata,
    /// A page is new, gone or at another place.
    Pages {
        /// How many there were.
        from: usize,
        /// How many there are.
        to: usize,
    },
    /// What a page shows was changed.
    Page {
        /// The page, from 1.
        page: usize,
        /// What of it, as the standard calls it.
        what: String,
    },
    /// Something of the whole document.
    Document {
        /// What, as the standard calls it.
        what: String,
    },
    /// Octets behind the end of the document, which other programs may read.
    Beyond,
    /// An object that was there differs, and nothing above explains it.
    Object {
        /// Its number.
        number: u32,
    },
}

impl Change {
    /// The permission that the change needs; `None` for what nothing allows.
    fn needs(&self) -> Option<Permission> {
        match self {
            Self::ValidationData | Self::Version | Self::TimeStamp { .. } => Some(Permission::NoChanges),
            Self::Signature { .. } | Self::Filled { .. } | Self::Metadata => Some(Permission::FillIn),
            Self::Annotation { .. } => Some(Permission::Annotate),
            _ => None,
        }
    }

    /// Whether it is allowed where this much is.
    pub fn is_allowed(&self, permission: Permission) -> bool {
        self.needs().is_some_and(|needed| needed <= permission)
    }

    /// The form field that it concerns.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Filled { field, .. } | Self::Field { field, .. } => Some(field),
            _ => None,
        }
    }

    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ValidationData => "validation-data-added",
            Self::Version => "version-named",
            Self::Signature { .. } => "signature-added",
            Self::TimeStamp { .. } => "time-stamp-added",
            Self::Filled { .. } => "field-filled",
            Self::Field { .. } => "field-changed",
            Self::Annotation { .. } => "annotation-changed",
            Self::Metadata => "metadata-changed",
            Self::Pages { .. } => "pages-changed",
            Self::Page { .. } => "page-changed",
            Self::Document { .. } => "document-changed",
            Self::Beyond => "octets-after-the-end",
            Self::Object { .. } => "object-changed",
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ValidationData => formatter.write_str("proofs for signatures were added"),
            Self::Version => formatter.write_str("another version of PDF was named"),
            Self::Signature { field } => write!(formatter, "a signature was added ({field})"),
            Self::TimeStamp { field } => write!(formatter, "a time stamp was added ({field})"),
            Self::Filled { field, from, to } => {
                write!(formatter, "the form field {field} was filled in: \"{from}\" became \"{to}\"")
            }
            Self::Field { field, what } => write!(formatter, "the form field {field}: {what}"),
            Self::Annotation { page, what } => write!(formatter, "page {page}: {what}"),
            Self::Metadata => formatter.write_str("title, author or other metadata were changed"),
            Self::Pages { from, to } if from == to => formatter.write_str("pages were exchanged or moved"),
            Self::Pages { from, to } => write!(formatter, "the document had {from} pages and now has {to}"),
            Self::Page { page, what } => {
                write!(formatter, "page {page} shows something else ({what} changed)")
            }
            Self::Document { what } => write!(formatter, "{what} of the document changed"),
            Self::Beyond => formatter
                .write_str("octets were added that belong to no object, and that some programs may show"),
            Self::Object { number } => {
                write!(formatter, "object {number}, which the signed document uses, was replaced")
            }
        }
    }
}

/// What changed from the signed document to the one that begins with the same octets.
///
/// # Errors
/// One of them is damaged.
pub fn between(signed: &Document, now: &Document) -> Result<Vec<Change>, PdfError> {
    let mut shown = None;
    let mut comparison = Comparison::new(signed, now, &mut shown)?;
    comparison.beyond()?;
    comparison.run()
}

/// The most revisions after a signature that are looked at.
const MOST_REVISIONS: usize = 256;

/// What was changed in a revision between the two, and is gone again: programs that repair what they read may find it.
///
/// # Errors
/// One of them is damaged, or there are too many.
pub fn for_a_while(signed: &Document, now: &Document) -> Result<Vec<Change>, PdfError> {
    let (start, end) = (signed.content().len(), now.content().len());
    let between = now.revisions().iter().filter(|mark| start < mark.end && mark.end < end);
    let (mut shown, mut changes) = (None, Vec::new());
    for (number, mark) in between.enumerate() {
        if number == MOST_REVISIONS {
            let (what, most) = ("revisions after a signature", MOST_REVISIONS as u64);
            return Err(PdfError::TooMany { at: mark.end, what, most });
        }
        let then = Document::open(&now.content().slice(0..mark.end))?;
        changes.extend(Comparison::new(signed, &then, &mut shown)?.run()?);
    }
    changes.sort();
    changes.dedup();
    Ok(changes)
}

struct Comparison<'d> {
    signed: &'d Document,
    now: &'d Document,
    difference: Difference,
    /// What the signed document shows, once it was asked for.
    shown: &'d mut Option<Rc<Shown>>,
    /// Widgets of signature fields that got their signature since.
    signature_widgets: Vec<Reference>,
    changes: Vec<Change>,
}

impl<'d> Comparison<'d> {
    fn new(
        signed: &'d Document,
        now: &'d Document,
        shown: &'d mut Option<Rc<Shown>>,
    ) -> Result<Self, PdfError> {
        let difference = Difference::between(signed, now)?;
        Ok(Self { signed, now, difference, shown, signature_widgets: Vec::new(), changes: Vec::new() })
    }

    fn run(mut self) -> Result<Vec<Change>, PdfError> {
        let (before, now) = (self.signed.trailer(), self.now.trailer());
        if before.get("Encrypt") != now.get("Encrypt") {
            self.report_document("the encryption (Encrypt)");
        }
        if self.difference.is_empty() && self.changes.is_empty() && before.get("Root") == now.get("Root") {
            return Ok(Vec::new());
        }
        self.catalog()?;
        self.information()?;
        self.rest()?;
        self.changes.sort();
        self.changes.dedup();
        Ok(self.changes)
    }
}

impl Comparison<'_> {
    fn report(&mut self, change: Change) {
        self.changes.push(change);
    }

    fn report_document(&mut self, what: &str) {
        self.report(Change::Document { what: what.to_owned() });
    }

    /// Whether a value, or the object that it refers to, is another than before.
    fn differs(&self, before: Option<&Object>, now: Option<&Object>) -> bool {
        before != now
            || now.and_then(Object::as_reference).is_some_and(|found| self.difference.contains(found))
    }

    fn catalog(&mut self) -> Result<(), PdfError> {
        let (root_before, before) = self.signed.catalog()?;
        let (root, now) = self.now.catalog()?;
        if root != root_before {
            self.report_document("the catalog (Root)");
        }
        self.difference.explain(root);
        for key in keys(&before, &now) {
            let (old, new) = (before.get(&key), now.get(&key));
            match key.as_str() {
                "AcroForm" => self.form()?,
                "Pages" => self.pages(old == new)?,
                _ if !self.differs(old, new) => {}
                "DSS" if new.is_some() => {
                    for reference in validation_data::objects_of_store(self.now)? {
                        self.difference.explain_new(reference);
                        if old.and_then(Object::as_reference) == Some(reference) {
                            self.difference.explain(reference);
                        }
                    }
                    self.report(Change::ValidationData);
                }
                // What the store of validation data is called before PDF 2.0.
                "Extensions" => self.explain_value(new),
                "Perms" => self.permissions(old, new)?,
                "Metadata" => {
                    self.explain_value(new);
                    self.report(Change::Metadata);
                }
                "Version" => self.report(Change::Version),
                _ => self.report_document(&key),
            }
        }
        Ok(())
    }

    /// A certification that comes with the first signature; nothing else.
    fn permissions(&mut self, before: Option<&Object>, now: Option<&Object>) -> Result<(), PdfError> {
        let certification = |document: &Document, entry: Option<&Object>| {
            let permissions = entry.map(|entry| document.resolve(entry)).transpose()?;
            let permissions = permissions.as_ref().and_then(Object::as_dictionary).cloned();
            Ok::<_, PdfError>(permissions.and_then(|permissions| permissions.get("DocMDP").cloned()))
        };
        let same = certification(self.signed, before)? == certification(self.now, now)?;
        self.explain_value(now);
        if !same {
            self.report_document("the certification (Perms)");
        }
        Ok(())
    }

    fn information(&mut self) -> Result<(), PdfError> {
        let (before, now) = (self.signed.trailer().get("Info"), self.now.trailer().get("Info"));
        let dictionary = |document: &Document, entry: Option<&Object>| {
            entry.map(|entry| document.resolve(entry)).transpose()
        };
        if dictionary(self.signed, before)? != dictionary(self.now, now)? {
            self.report(Change::Metadata);
        }
        self.explain_value(now);
        Ok(())
    }

    /// Octets that belong to nothing may be a document for programs that repair what they read.
    fn beyond(&mut self) -> Result<(), PdfError> {
        if leftovers::are_there(self.signed.content().len(), self.now)? {
            self.report(Change::Beyond);
        }
        Ok(())
    }

    fn shown(&mut self) -> Result<Rc<Shown>, PdfError> {
        match &*self.shown {
            Some(shown) => Ok(Rc::clone(shown)),
            None => {
                let shown = Rc::new(Shown::by(self.signed)?);
                *self.shown = Some(Rc::clone(&shown));
                Ok(shown)
            }
        }
    }

    /// Whatever nothing has explained.
    fn rest(&mut self) -> Result<(), PdfError> {
        let shown = self.shown()?;
        for number in self.difference.unexplained(&shown, self.signed, self.now)? {
            self.report(Change::Object { number });
        }
        Ok(())
    }

    fn explain_value(&mut self, value: Option<&Object>) {
        if let Some(reference) = value.and_then(Object::as_reference) {
            self.difference.explain(reference);
        }
    }

    /// New objects below a value are what an explained change brought along.
    fn explain_new_below(&mut self, value: &Object) -> Result<(), PdfError> {
        let mut open = vec![value.clone()];
        let mut seen: Vec<Reference> = Vec::new();
        while let Some(value) = open.pop() {
            match value {
                Object::Reference(reference) => {
                    if self.difference.is_new(reference) && !seen.contains(&reference) {
                        if seen.len() >= MOST_BELOW {
                            return Err(PdfError::Senseless("a change brings too many objects along"));
                        }
                        seen.push(reference);
                        self.difference.explain(reference);
                        open.push(self.now.object(reference)?);
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
}

const MOST_BELOW: usize = 10_000;

/// The keys of both, each once.
fn keys(before: &Dictionary, now: &Dictionary) -> Vec<String> {
    let mut keys: Vec<String> = before.iter().chain(now.iter()).map(|(key, _)| key.text()).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// A value in a few words, for a person.
fn in_words(document: &Document, value: Option<&Object>) -> Result<String, PdfError> {
    const LONGEST: usize = 60;
    let words = match value.map(|value| document.resolve(value)).transpose()? {
        None | Some(Object::Null) => String::new(),
        Some(Object::String(octets)) => form::text(&octets),
        Some(Object::Name(name)) => name.text(),
        Some(Object::Stream(_)) => "long text".to_owned(),
        Some(other) => {
            let mut octets = Vec::new();
            other.write(&mut octets);
            String::from_utf8_lossy(&octets).into_owned()
        }
    };
    Ok(match words.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", words.get(..end).unwrap_or_default()),
        None => words,
    })
}
