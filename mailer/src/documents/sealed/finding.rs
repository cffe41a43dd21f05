//! The embedded file that is meant (ISO 32000-2 sections 7.7.4, 7.9.6 and 7.11).
use super::error::SealedError;
use crate::documents::pdf::{Dictionary, Document, Object, Reference, Stream};

/// The most nodes of the name tree, the deepest, and the most files in it.
const MOST_NODES: usize = 1_000;
const DEEPEST: usize = 16;
const MOST_FILES: usize = 1_000;

/// An embedded file: its key in the name tree as it stands there, and its file specification.
pub(super) struct Embedded {
    pub(super) key: Vec<u8>,
    pub(super) specification: Dictionary,
}

/// Every embedded file of the name tree.
pub(super) fn embedded_files(file: &Document, catalog: &Dictionary) -> Result<Vec<Embedded>, SealedError> {
    let Some(Object::Dictionary(names)) = file.get(catalog, "Names")? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut waiting: Vec<(Object, usize)> =
        file.get(&names, "EmbeddedFiles")?.into_iter().map(|root| (root, 0)).collect();
    let mut nodes = 0;
    while let Some((node, depth)) = waiting.pop() {
        nodes += 1;
        if nodes > MOST_NODES || depth > DEEPEST {
            return Err(SealedError::Malformed("its list of embedded files is too large".to_owned()));
        }
        let Object::Dictionary(node) = file.resolve(&node)? else {
            return Err(SealedError::Malformed("its list of embedded files".to_owned()));
        };
        if let Some(Object::Array(kids)) = file.get(&node, "Kids")? {
            waiting.extend(kids.into_iter().take(MOST_NODES).map(|kid| (kid, depth + 1)));
        }
        let Some(Object::Array(names)) = file.get(&node, "Names")? else { continue };
        for pair in names.chunks(2) {
            let [key, specification] = pair else { continue };
            let (key, specification) = (file.resolve(key)?, file.resolve(specification)?);
            if let (Object::String(key), Object::Dictionary(specification)) = (key, specification) {
                found.push(Embedded { key, specification });
            }
            if found.len() > MOST_FILES {
                return Err(SealedError::Malformed("it has too many embedded files".to_owned()));
            }
        }
    }
    Ok(found)
}

impl Embedded {
    /// Whether `/AFRelationship` is this.
    pub(super) fn is_related_as(&self, relationship: &str) -> bool {
        self.specification.name("AFRelationship").is_some_and(|name| name.is(relationship))
    }

    /// The embedded file stream.
    pub(super) fn stream(&self, file: &Document) -> Result<Stream, SealedError> {
        let missing = || SealedError::Malformed("an embedded file that is not there".to_owned());
        let Some(Object::Dictionary(files)) = file.get(&self.specification, "EF")? else {
            return Err(missing());
        };
        let of = |key| files.get(key).and_then(Object::as_reference);
        let reference: Reference = of("UF").or_else(|| of("F")).ok_or_else(missing)?;
        match file.object(reference)? {
            Object::Stream(stream) => Ok(stream),
            _ => Err(missing()),
        }
    }
}

/// The filters of a stream with their parameters (section 7.4.1).
pub(super) fn filters(file: &Document, stream: &Stream) -> Result<Vec<(String, Dictionary)>, SealedError> {
    let list = |key| {
        Ok::<_, SealedError>(match file.get(&stream.dictionary, key)? {
            None => Vec::new(),
            Some(Object::Array(elements)) => elements,
            Some(one) => vec![one],
        })
    };
    let (names, parameters) = (list("Filter")?, list("DecodeParms")?);
    if names.len() > 4 {
        return Err(SealedError::Unsupported("a document in so many filters".to_owned()));
    }
    let mut filters = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let Object::Name(name) = file.resolve(name)? else {
            return Err(SealedError::Malformed("the filters of an embedded file".to_owned()));
        };
        let parameters = match parameters.get(at).map(|parameters| file.resolve(parameters)).transpose()? {
            Some(Object::Dictionary(parameters)) => parameters,
            _ => Dictionary::new(),
        };
        filters.push((name.text(), parameters));
    }
    Ok(filters)
}

/// A text string (section 7.9.2.2); what cannot be read is replaced.
pub(super) fn text(octets: &[u8]) -> String {
    if let Some(units) = octets.strip_prefix(b"\xFE\xFF") {
        let units: Vec<u16> = units
            .chunks_exact(2)
            .filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)))
            .collect();
        return String::from_utf16_lossy(&units);
    }
    let utf8 = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    match std::str::from_utf8(utf8) {
        Ok(text) => text.to_owned(),
        // PDFDocEncoding is Latin-1 where it matters for names.
        Err(_) => octets.iter().map(|octet| char::from(*octet)).collect(),
    }
}
