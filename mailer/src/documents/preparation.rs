//! A document made ready for a signature: everything that is signed stands, and a gap waits for the signature.
use jiff::Timestamp;

use super::form::{self, Field};
use super::pdf::{Appended, Dictionary, Document, Object, Reference, Update};
use super::permission::Permission;
use super::seal::{Seal, appearance};
use super::validation_data::ValidationData;
use super::{SignDocumentError, date, permission};

/// How a document is signed (EN 319 142-1 section 6, ISO 32000-2 section 12.8).
#[derive(Default)]
pub struct SigningRequest {
    /// The signature field: an empty one of the document, or the name of a new one; `None`: the next free name.
    pub field: Option<String>,
    /// Certifies the document, with what may be done to it later; only the first signature can.
    pub certify: Option<Permission>,
    /// Who signs, in words.
    pub name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Where.
    pub location: Option<String>,
    /// Where the seal is shown; `None`: nowhere.
    pub placement: Option<Placement>,
    /// What proves the certificates good for a long time: goes into the same revision.
    pub validation_data: Option<ValidationData>,
}

/// Where a seal is shown.
pub struct Placement {
    /// The page, from 1.
    pub page: u32,
    /// The lower left corner, in points from the lower left of the page.
    pub corner: [f64; 2],
    /// What is shown, with its size.
    pub seal: Seal,
}

/// A document with a gap for its signature.
pub struct Preparation {
    /// The whole file, the gap filled with zeros.
    pub appended: Appended,
    /// The field's name.
    pub field: String,
}

/// Printed, and not to be moved (ISO 32000-2 table 167).
const PRINT_AND_LOCKED: i64 = 4 | 128;
/// There are signatures, and changes must be appended (table 225).
const SIGNATURES_EXIST_APPEND_ONLY: i64 = 1 | 2;
const MOST_PAGES: u32 = 1_000_000;

impl Preparation {
    /// Appends everything that a signature needs but the signature, for which `contents_octets` stay free.
    ///
    /// # Errors
    /// The document cannot be signed: see [`SignDocumentError`].
    pub fn new(
        document: &Document,
        request: &SigningRequest,
        contents_octets: usize,
        at: Timestamp,
        new_identifier: [u8; 16],
    ) -> Result<Self, SignDocumentError> {
        let fields = form::fields(document)?;
        check(document, &fields, request.certify)?;
        let target = Target::find(&fields, request.field.as_deref())?;
        let mut work = Work { document, update: Update::new(document)?, catalog: document.catalog()? };
        let signature = work.update.allocate();
        let lock = match &target {
            Target::Existing(field) => document.get(&field.dictionary, "Lock")?,
            Target::New(_) => None,
        };
        let dictionary = signature_dictionary(request, at, lock.as_ref());
        work.update.set_signature(signature, dictionary, contents_octets);
        work.set_field(&target, signature, request.placement.as_ref())?;
        if request.certify.is_some() {
            work.set_permission(signature)?;
        }
        if let Some(data) = &request.validation_data {
            data.append_to(document, &mut work.update, &mut work.catalog.1)?;
        }
        let Work { mut update, catalog: (reference, catalog), .. } = work;
        update.set(reference, catalog);
        Ok(Self { appended: update.finish(new_identifier)?, field: target.name().to_owned() })
    }
}

/// Whether the document may be signed (again), and certified.
fn check(
    document: &Document,
    fields: &[Field],
    certify: Option<Permission>,
) -> Result<(), SignDocumentError> {
    if document.is_encrypted() {
        return Err(SignDocumentError::Encrypted);
    }
    if let Some(permission) = permission::of_document(document)?
        && permission == Permission::NoChanges
    {
        return Err(SignDocumentError::Certified);
    }
    let is_signed = fields.iter().any(|field| field.is_signature() && field.value.is_some());
    if certify.is_some() && is_signed {
        return Err(SignDocumentError::NotFirst);
    }
    Ok(())
}

/// The field that takes the signature.
enum Target<'f> {
    Existing(&'f Field),
    New(String),
}

impl<'f> Target<'f> {
    fn find(fields: &'f [Field], wanted: Option<&str>) -> Result<Self, SignDocumentError> {
        let Some(wanted) = wanted else {
            let is_free = |name: &String| fields.iter().all(|field| field.name != *name);
            let name = (1..=fields.len() + 1).map(|number| format!("Signature{number}")).find(is_free);
            return Ok(Self::New(name.unwrap_or_else(|| "Signature".to_owned())));
        };
        if wanted.is_empty() || wanted.contains('.') {
            return Err(SignDocumentError::FieldName(wanted.to_owned()));
        }
        match fields.iter().find(|field| field.name == wanted) {
            None => Ok(Self::New(wanted.to_owned())),
            Some(field) if !field.is_signature() => {
                Err(SignDocumentError::NotASignatureField(wanted.to_owned()))
            }
            Some(field) if field.value.is_some() => Err(SignDocumentError::FieldTaken(wanted.to_owned())),
            Some(field) => Ok(Self::Existing(field)),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Existing(field) => &field.name,
            Self::New(name) => name,
        }
    }
}

/// ISO 32000-2 table 255; EN 319 142-1 section 6.3: no /Cert, the claimed time is /M.
fn signature_dictionary(request: &SigningRequest, at: Timestamp, lock: Option<&Object>) -> Dictionary {
    let mut dictionary = Dictionary::new()
        .with("Type", Object::name("Sig"))
        .with("Filter", Object::name("Adobe.PPKLite"))
        .with("SubFilter", Object::name("ETSI.CAdES.detached"))
        .with("M", Object::text(&date::write(at)));
    for (key, text) in [("Name", &request.name), ("Reason", &request.reason), ("Location", &request.location)]
    {
        if let Some(text) = text {
            dictionary.set(key, Object::text(text));
        }
    }
    let mut references = Vec::new();
    if let Some(permission) = request.certify {
        references.push(transform("DocMDP", permission.transform_parameters()));
    }
    if let Some(lock) = lock.and_then(Object::as_dictionary) {
        let mut parameters = Dictionary::new().with("Type", Object::name("TransformParams"));
        for key in ["Action", "Fields"] {
            if let Some(value) = lock.get(key) {
                parameters.set(key, value.clone());
            }
        }
        references.push(transform("FieldMDP", parameters.with("V", Object::name("1.2"))));
    }
    if !references.is_empty() {
        dictionary.set("Reference", references);
    }
    let program = Dictionary::new().with("Name", Object::name("Sealwright"));
    dictionary.with("Prop_Build", Dictionary::new().with("App", program))
}

fn transform(method: &str, parameters: Dictionary) -> Object {
    let reference = Dictionary::new()
        .with("Type", Object::name("SigRef"))
        .with("TransformMethod", Object::name(method))
        .with("TransformParams", parameters);
    Object::Dictionary(reference)
}

/// The update while it is written.
struct Work<'d> {
    document: &'d Document,
    update: Update<'d>,
    catalog: (Reference, Dictionary),
}

impl Work<'_> {
    /// The field with its widget: on a page, in the form, with an appearance.
    fn set_field(
        &mut self,
        target: &Target<'_>,
        signature: Reference,
        placement: Option<&Placement>,
    ) -> Result<(), SignDocumentError> {
        if let Target::Existing(field) = target {
            let reference = field.reference.ok_or(SignDocumentError::FieldInPlace)?;
            let mut dictionary = field.dictionary.clone().with("V", signature);
            if let Some(placement) = placement {
                self.set_appearance(&mut dictionary, &placement.seal)?;
            }
            self.update.set(reference, dictionary);
            return self.set_form(None);
        }
        let page = self.page(placement.map_or(1, |placement| placement.page))?;
        let rectangle = placement.map_or([0.0; 4], |Placement { corner: [x, y], seal, .. }| {
            [*x, *y, x + seal.width, y + seal.height]
        });
        let mut widget = Dictionary::new()
            .with("Type", Object::name("Annot"))
            .with("Subtype", Object::name("Widget"))
            .with("FT", Object::name("Sig"))
            .with("T", Object::text(target.name()))
            .with("V", signature)
            .with("F", PRINT_AND_LOCKED)
            .with("P", page)
            .with("Rect", rectangle.map(number).to_vec());
        if let Some(placement) = placement {
            self.set_appearance(&mut widget, &placement.seal)?;
        }
        let field = self.update.allocate();
        self.update.set(field, widget);
        self.add_annotation(page, field)?;
        self.set_form(Some(field))
    }

    fn set_appearance(&mut self, widget: &mut Dictionary, seal: &Seal) -> Result<(), SignDocumentError> {
        let made = appearance(seal, &mut || self.update.allocate())?;
        for (reference, object) in made.objects {
            self.update.set(reference, object);
        }
        widget.set("AP", Dictionary::new().with("N", made.form));
        Ok(())
    }

    fn page(&self, number: u32) -> Result<Reference, SignDocumentError> {
        let missing = || SignDocumentError::NoSuchPage(number);
        let index = number.checked_sub(1).filter(|index| *index < MOST_PAGES).ok_or_else(missing)?;
        let page = self.document.pages().nth(index as usize).ok_or_else(missing)?;
        Ok(page?)
    }

    /// The annotations of a page may be an array of their own.
    fn add_annotation(&mut self, page: Reference, widget: Reference) -> Result<(), SignDocumentError> {
        let object = self.document.object(page)?;
        let mut dictionary = object.as_dictionary().cloned().unwrap_or_default();
        match self.appended(dictionary.get("Annots"), widget)? {
            (Some(reference), array) => self.update.set(reference, array),
            (None, array) => {
                dictionary.set("Annots", array);
                self.update.set(page, dictionary);
            }
        }
        Ok(())
    }

    /// An array with one more element, and where it stands when it is an object of its own.
    fn appended(
        &self,
        array: Option<&Object>,
        more: Reference,
    ) -> Result<(Option<Reference>, Vec<Object>), SignDocumentError> {
        let reference = array.and_then(Object::as_reference);
        let mut elements = match array.map(|array| self.document.resolve(array)).transpose()? {
            Some(Object::Array(elements)) => elements,
            _ => Vec::new(),
        };
        elements.push(more.into());
        Ok((reference, elements))
    }

    /// The form knows the field, and that there are signatures.
    fn set_form(&mut self, new_field: Option<Reference>) -> Result<(), SignDocumentError> {
        let (reference, mut form) = form::form(self.document)?.unwrap_or_default();
        let flags = form.get("SigFlags").and_then(Object::as_integer).unwrap_or(0);
        form.set("SigFlags", flags | SIGNATURES_EXIST_APPEND_ONLY);
        if let Some(field) = new_field {
            match self.appended(form.get("Fields"), field)? {
                (Some(reference), array) => self.update.set(reference, array),
                (None, array) => form.set("Fields", array),
            }
        }
        match reference {
            Some(reference) => self.update.set(reference, form),
            None => self.catalog.1.set("AcroForm", form),
        }
        Ok(())
    }

    /// ISO 32000-2 section 12.8.6.
    fn set_permission(&mut self, signature: Reference) -> Result<(), SignDocumentError> {
        let permissions = self.document.get(&self.catalog.1, "Perms")?;
        let permissions = permissions.as_ref().and_then(Object::as_dictionary).cloned().unwrap_or_default();
        self.catalog.1.set("Perms", permissions.with("DocMDP", signature));
        Ok(())
    }
}

/// A coordinate, to the hundredth of a point.
fn number(points: f64) -> Object {
    #[allow(clippy::cast_possible_truncation)] // a float saturates, and pages are small
    let hundredths = (points * 100.0).round() as i64;
    match hundredths % 100 {
        0 => Object::Integer(hundredths / 100),
        _ => Object::Real(super::pdf::object::Real::from_hundredths(hundredths)),
    }
}
