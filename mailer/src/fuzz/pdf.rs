//! PDF files: values, the reader, the appender.
use crate::content::Content;
use crate::documents::pdf::{Dictionary, Document, Location, Object, PdfError, Reference, Update, normalise};

/// The most objects, pages and revisions of one PDF file that are looked at.
const MOST_OF_A_DOCUMENT: usize = 200;

/// A value of a PDF file, written and read again. Whether it could be read.
pub fn value(input: &[u8]) -> bool {
    let Ok(object) = Object::parse(input) else { return false };
    let mut written = Vec::new();
    object.write(&mut written);
    assert_eq!(Object::parse(&written).ok(), Some(object), "it is written as it was read");
    true
}

/// A PDF file, with everything that can be asked of it; a damaged one is made sound first. Whether it could be read.
pub fn reader(input: &[u8]) -> bool {
    let content = Content::from_vec(input.to_vec());
    let Some(document) = document(&content) else { return false };
    for (reference, object) in objects(&document) {
        let _ = (document.span(reference), document.value_span(reference, "Contents"));
        if let Ok(Object::Stream(stream)) = object {
            let _ = document.decoded(&stream, 1 << 16);
        }
    }
    for page in document.pages().take(MOST_OF_A_DOCUMENT) {
        let _ = page.and_then(|page| document.page_attribute(page, "MediaBox"));
    }
    let _ = (document.version(), document.is_linearized(), document.file_identifier());
    for revision in document.revisions().iter().take(MOST_OF_A_DOCUMENT) {
        let _ = document.at_revision(revision.end).map(|then| then.locations().count());
    }
    true
}

/// A PDF file that is appended to: it opens again, and what was not changed reads as before. Whether it could be appended to.
pub fn update(input: &[u8]) -> bool {
    let content = Content::from_vec(input.to_vec());
    let Some(document) = document(&content) else { return false };
    let Ok(mut update) = Update::new(&document) else { return false };
    let (note, signature) = (update.allocate(), update.allocate());
    update.set(note, Object::text("note"));
    update.set_signature(signature, Dictionary::new(), 4);
    let Ok(appended) = update.finish([0; 16]) else { return false };
    let after = Document::open(&appended.whole);
    let after = after.expect("a file that was appended to is as sound as before");
    assert_eq!(after.object(note).ok(), Some(Object::text("note")));
    let gap = appended.signature.map(|gap| gap.contents);
    assert_eq!(after.value_span(signature, "Contents").ok().flatten(), gap);
    for (reference, before) in objects(&document) {
        assert_eq!(after.object(reference).ok(), before.ok(), "{reference}");
    }
    true
}

fn document(content: &Content) -> Option<Document> {
    Document::open(content).ok().or_else(|| {
        let sound = normalise(content).ok()?;
        Document::open(&sound).ok()
    })
}

fn objects(document: &Document) -> Vec<(Reference, Result<Object, PdfError>)> {
    let references = document.locations().map(|(number, location)| match location {
        Location::Offset { generation, .. } => Reference { number, generation },
        Location::InStream { .. } => Reference { number, generation: 0 },
    });
    references.take(MOST_OF_A_DOCUMENT).map(|reference| (reference, document.object(reference))).collect()
}
