//! A new PDF file, written from its beginning to its end, whose last object is a stream of any length (ISO 32000-2 section 7.5).
use super::error::SealedError;
use crate::documents::pdf::{Dictionary, Object, Reference};

/// A stream that is written with the other objects is small.
const LARGEST_SMALL_STREAM: usize = 16 * 1024 * 1024;

/// Objects one after another; the numbers are without gaps.
pub(super) struct Draft {
    octets: Vec<u8>,
    /// Of each object number, beginning with 1.
    offsets: Vec<u64>,
}

impl Draft {
    /// The header; its second line says that the file is not text (section 7.5.2).
    pub(super) fn new() -> Self {
        Self { octets: b"%PDF-2.0\n%\xE2\xE3\xCF\xD3\n".to_vec(), offsets: Vec::new() }
    }

    /// The next object number.
    pub(super) fn allocate(&mut self) -> Reference {
        self.offsets.push(0);
        Reference { number: u32::try_from(self.offsets.len()).unwrap_or(u32::MAX), generation: 0 }
    }

    /// Writes an object, its stream with it.
    pub(super) fn set(&mut self, reference: Reference, object: impl Into<Object>) -> Result<(), SealedError> {
        let object = object.into();
        self.begin(reference);
        match &object {
            Object::Stream(stream) => {
                let data = stream.data.to_vec(LARGEST_SMALL_STREAM)?;
                let data = data.ok_or_else(|| SealedError::Malformed("a stream is too long".to_owned()))?;
                self.stream(stream.dictionary.clone(), data.len() as u64);
                self.octets.extend_from_slice(&data);
                self.octets.extend(b"\nendstream");
            }
            other => other.write(&mut self.octets),
        }
        self.octets.extend(b"\nendobj\n");
        Ok(())
    }

    /// The same with a number of its own.
    pub(super) fn add(&mut self, object: impl Into<Object>) -> Result<Reference, SealedError> {
        let reference = self.allocate();
        self.set(reference, object)?;
        Ok(reference)
    }

    /// Ends with a stream of so many octets, which are not written here, and the cross-reference up to its trailer.
    pub(super) fn end(mut self, reference: Reference, dictionary: Dictionary, length: u64) -> Ending {
        self.begin(reference);
        self.stream(dictionary, length);
        let mut after = b"\nendstream\nendobj\n".to_vec();
        let start = self.octets.len() as u64 + length + after.len() as u64;
        let size = self.offsets.len() + 1;
        after.extend(format!("xref\n0 {size}\n0000000000 65535 f \n").into_bytes());
        // All objects stand before the long stream: ten digits are enough.
        for offset in &self.offsets {
            after.extend(format!("{offset:010} 00000 n \n").into_bytes());
        }
        after.extend(b"trailer\n");
        Ending { before: self.octets, after, start, size: i64::try_from(size).unwrap_or(i64::MAX) }
    }

    fn begin(&mut self, reference: Reference) {
        let at = self.octets.len() as u64;
        let index = usize::try_from(reference.number).unwrap_or_default().wrapping_sub(1);
        if let Some(offset) = self.offsets.get_mut(index) {
            *offset = at;
        }
        self.octets.extend(format!("{} {} obj\n", reference.number, reference.generation).into_bytes());
    }

    fn stream(&mut self, dictionary: Dictionary, length: u64) {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        dictionary.with("Length", length).write(&mut self.octets);
        self.octets.extend(b"\nstream\n");
    }
}

/// What stands before and after the last stream.
pub(super) struct Ending {
    pub(super) before: Vec<u8>,
    /// Up to the keyword `trailer`.
    pub(super) after: Vec<u8>,
    start: u64,
    size: i64,
}

impl Ending {
    /// The trailer's own entries (section 7.5.5), with an identifier of its own for the file.
    pub(super) fn trailer(&self, root: Reference, identifier: [u8; 16]) -> Dictionary {
        let identifier = Object::String(identifier.to_vec());
        Dictionary::new()
            .with("Size", self.size)
            .with("Root", root)
            .with("ID", vec![identifier.clone(), identifier])
    }

    /// What follows the trailer.
    pub(super) fn last_lines(&self) -> Vec<u8> {
        format!("\nstartxref\n{}\n%%EOF\n", self.start).into_bytes()
    }
}

/// A file specification with its embedded file, named in the name tree of the catalog (sections 7.7.4 and 7.11).
pub(super) fn embedded_files(name: &Object, specification: Reference) -> Dictionary {
    Dictionary::new()
        .with("EmbeddedFiles", Dictionary::new().with("Names", vec![name.clone(), specification.into()]))
}

/// Opens the embedded file instead of showing the page, in readers that can (section 12.3.5).
pub(super) fn collection(name: &Object) -> Dictionary {
    Dictionary::new()
        .with("Type", Object::name("Collection"))
        .with("D", name.clone())
        .with("View", Object::name("H"))
}

/// The dictionary of an embedded file of this length (section 7.11.4).
pub(super) fn embedded_file(length: u64) -> Dictionary {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    Dictionary::new()
        .with("Type", Object::name("EmbeddedFile"))
        .with("Subtype", Object::name("application/pdf"))
        .with("Params", Dictionary::new().with("Size", length))
}
