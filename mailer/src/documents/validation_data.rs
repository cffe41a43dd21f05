//! The document security store: certificates, CRLs and OCSP answers that prove signatures without a network (EN 319 142-1
//! section 5.4, ISO 32000-2 section 12.8.4.3).
use super::pdf::{Dictionary, Document, Name, Object, PdfError, Reference, Stream, Update};
use crate::content::Content;
use crate::trust::{Certificate, CertificateList, Enclosed};

/// DER of everything that belongs into the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationData {
    /// Certificates.
    pub certificates: Vec<Vec<u8>>,
    /// CRLs.
    pub lists: Vec<Vec<u8>>,
    /// OCSP answers.
    pub answers: Vec<Vec<u8>>,
}

/// How many of each are read, and how large one may be.
const MOST: usize = 1024;
const LARGEST: usize = 32 * 1024 * 1024;

const KINDS: [&str; 3] = ["Certs", "CRLs", "OCSPs"];

impl ValidationData {
    /// What the store of a document has; what cannot be read is left out.
    ///
    /// # Errors
    /// The document is damaged.
    pub fn of_document(document: &Document) -> Result<Self, PdfError> {
        let (_, catalog) = document.catalog()?;
        let Some(Object::Dictionary(store)) = document.get(&catalog, "DSS")? else {
            return Ok(Self::default());
        };
        let mut read = KINDS.map(|_| Vec::new());
        for (kind, read) in KINDS.iter().zip(&mut read) {
            let Some(Object::Array(elements)) = document.get(&store, kind)? else { continue };
            for element in elements.iter().take(MOST) {
                if let Object::Stream(stream) = document.resolve(element)? {
                    read.extend(document.decoded(&stream, LARGEST).ok());
                }
            }
        }
        let [certificates, lists, answers] = read;
        Ok(Self { certificates, lists, answers })
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.lists.is_empty() && self.answers.is_empty()
    }

    /// Adds what is not there yet.
    pub fn merge(&mut self, more: Self) {
        let sides = [
            (&mut self.certificates, more.certificates),
            (&mut self.lists, more.lists),
            (&mut self.answers, more.answers),
        ];
        for (own, more) in sides {
            for der in more {
                if !own.contains(&der) {
                    own.push(der);
                }
            }
        }
    }

    /// What `other` does not have.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let missing = |own: &[Vec<u8>], other: &[Vec<u8>]| {
            own.iter().filter(|der| !other.contains(der)).cloned().collect()
        };
        Self {
            certificates: missing(&self.certificates, &other.certificates),
            lists: missing(&self.lists, &other.lists),
            answers: missing(&self.answers, &other.answers),
        }
    }

    /// What the judge relied on.
    pub fn from_enclosed(enclosed: &Enclosed) -> Self {
        let mut data = Self::default();
        data.merge(Self {
            certificates: enclosed.certificates.iter().map(|found| found.der().to_vec()).collect(),
            lists: enclosed.lists.iter().map(|list| list.der().to_vec()).collect(),
            answers: enclosed.answers.clone(),
        });
        data
    }

    /// For the judge; what cannot be read is left out.
    pub fn enclosed(&self) -> Enclosed {
        Enclosed {
            certificates: self
                .certificates
                .iter()
                .filter_map(|der| Certificate::from_der(der).ok())
                .collect(),
            lists: self.lists.iter().filter_map(|der| CertificateList::from_der(der).ok()).collect(),
            answers: self.answers.clone(),
        }
    }

    /// Writes what the document does not have yet into its store; `catalog` is that of the update.
    ///
    /// # Errors
    /// The document is damaged.
    pub fn append_to(
        &self,
        document: &Document,
        update: &mut Update<'_>,
        catalog: &mut Dictionary,
    ) -> Result<(), PdfError> {
        let present = Self::of_document(document)?;
        let missing = self.without(&present);
        let entry = catalog.get("DSS").cloned();
        let mut store = match entry.as_ref().map(|entry| document.resolve(entry)).transpose()? {
            Some(Object::Dictionary(store)) => store,
            _ => Dictionary::new().with("Type", Object::name("DSS")),
        };
        for (kind, more) in KINDS.iter().zip([missing.certificates, missing.lists, missing.answers]) {
            if more.is_empty() {
                continue;
            }
            let mut elements = match document.get(&store, kind)? {
                Some(Object::Array(elements)) => elements,
                _ => Vec::new(),
            };
            for der in more {
                let reference = update.allocate();
                update.set(reference, Stream { dictionary: Dictionary::new(), data: Content::from_vec(der) });
                elements.push(reference.into());
            }
            store.set(kind, elements);
        }
        let reference = match entry.as_ref().and_then(Object::as_reference) {
            Some(reference) => reference,
            None => update.allocate(),
        };
        update.set(reference, store);
        catalog.set("DSS", reference);
        declare_extension(document, catalog)
    }
}

/// Before PDF 2.0 the store is an extension (EN 319 142-1 section 5.6).
fn declare_extension(document: &Document, catalog: &mut Dictionary) -> Result<(), PdfError> {
    if document.version() >= (2, 0) {
        return Ok(());
    }
    let mut extensions = match document.get(catalog, "Extensions")? {
        Some(Object::Dictionary(extensions)) => extensions,
        _ => Dictionary::new(),
    };
    if extensions.get("ESIC").is_none() {
        let version = Dictionary::new().with("BaseVersion", Name::new("1.7")).with("ExtensionLevel", 1_i64);
        extensions.set("ESIC", version);
        catalog.set("Extensions", extensions);
    }
    Ok(())
}

/// The references of the store and of all that stands below it, which a later revision may change.
///
/// # Errors
/// The document is damaged.
pub fn objects_of_store(document: &Document) -> Result<Vec<Reference>, PdfError> {
    let (_, catalog) = document.catalog()?;
    let mut found = Vec::new();
    if let Some(entry) = catalog.get("DSS") {
        collect(document, entry, &mut found, 0)?;
    }
    Ok(found)
}

fn collect(
    document: &Document,
    object: &Object,
    found: &mut Vec<Reference>,
    depth: usize,
) -> Result<(), PdfError> {
    const DEEPEST: usize = 6;
    const MOST_OBJECTS: usize = 16 * MOST;
    if depth > DEEPEST || found.len() > MOST_OBJECTS {
        return Ok(());
    }
    match object {
        Object::Reference(reference) if found.contains(reference) => Ok(()),
        Object::Reference(reference) => {
            found.push(*reference);
            collect(document, &document.object(*reference)?, found, depth + 1)
        }
        Object::Array(elements) => {
            elements.iter().try_for_each(|element| collect(document, element, found, depth + 1))
        }
        Object::Dictionary(dictionary) => {
            dictionary.iter().try_for_each(|(_, value)| collect(document, value, found, depth + 1))
        }
        _ => Ok(()),
    }
}
