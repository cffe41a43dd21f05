//! Sound files made of damaged ones.
use mailer::documents::pdf::{Document, Object, PdfError, normalise};

use super::foreign::{self, Desk, complaint, page_counts};
use super::judge::difference;
use super::maker::{self, ROOT, TEXT};
use super::{content, octets, open, page_count};

/// A file that was damaged, its pages, and how many there are.
fn damaged() -> Vec<(String, Vec<u8>)> {
    let plain = maker::plain();
    let moved = |octets: &[u8]| [b"HTTP/1.1 200 OK\r\n\r\n", octets].concat();
    let replaced = |from: &str, to: &str| {
        let at = memchr::memmem::rfind(&plain, from.as_bytes()).unwrap();
        [&plain[..at], to.as_bytes(), &plain[at + from.len()..]].concat()
    };
    let mut files = vec![
        ("nothing wrong".to_owned(), plain.clone()),
        ("moved".to_owned(), moved(&plain)),
        ("object streams, moved".to_owned(), moved(&maker::packed())),
        ("hybrid, moved".to_owned(), moved(&maker::hybrid())),
        ("updates, moved".to_owned(), moved(&maker::updated(4).octets)),
        ("cut in the table".to_owned(), plain[..plain.len() - 150].to_vec()),
        ("no table at all".to_owned(), plain[..memchr::memmem::find(&plain, b"xref").unwrap()].to_vec()),
        ("/Length too short".to_owned(), replaced("\n46\n", "\n5\n")),
        ("/Length too long".to_owned(), replaced("\n46\n", "\n460\n")),
        ("/Length lost".to_owned(), replaced("8 0 obj", "8 0 bject")),
        ("no endobj".to_owned(), replaced("endobj\n9", "9")),
        ("no endobj before the table".to_owned(), replaced("endobj\nxref", "xref")),
        ("pdfunite".to_owned(), foreign::united()),
        ("CR alone".to_owned(), moved(&maker::pages("\r").table(ROOT).octets)),
    ];
    files.extend(foreign::written().into_iter().map(|(name, octets)| (name, moved(&octets))));
    files
}

#[test]
fn a_damaged_file_becomes_a_sound_one_with_the_same_pages() {
    let desk = Desk::new();
    for (name, octets_before) in damaged() {
        let sound = normalise(&content(&octets_before)).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let sound = octets(&sound);
        let file = desk.write("sound.pdf", &sound);
        assert_eq!(complaint(&file), None, "{name}");
        let pages = if name.starts_with("pdfunite") { 6 } else { 3 };
        assert_eq!(page_counts(&file), Ok([pages; 3]), "{name}");
        let document = open(&sound).unwrap();
        document.check_offsets().unwrap();
        assert_eq!(difference(&sound, &document), None, "{name}");
        assert_eq!(document.revisions().len(), 1, "{name}");
        if !name.starts_with("gs ") {
            let shown: Vec<_> = document.pages().map(|page| shown(&document, page.unwrap())).collect();
            assert!(shown.iter().all(|octets| octets.trim_ascii_end() == TEXT), "{name}: {shown:?}");
        }
        // It is stable.
        assert_eq!(octets(&normalise(&content(&sound)).unwrap()).len(), sound.len(), "{name}");
    }
}

fn shown(document: &Document, page: mailer::documents::pdf::Reference) -> Vec<u8> {
    let page = document.object(page).unwrap();
    let contents = document.get(page.as_dictionary().unwrap(), "Contents").unwrap().unwrap();
    let stream = match contents.as_array() {
        Some(parts) => document.resolve(&parts[0]).unwrap(),
        None => contents,
    };
    document.decoded(stream.as_stream().unwrap(), 10_000).unwrap()
}

#[test]
fn the_newest_state_wins_wherever_it_is_packed() {
    let mut maker = maker::pages("\n");
    maker.object(10, "(plain)").object_stream(20, "", &[(11, "(old)")]);
    maker.cross_reference_stream(21, ROOT, &[(11, 20, 0)]);
    maker.object_stream(22, "", &[(10, "(packed)")]).object(11, "(new)");
    maker.object(1, "<</Type/Catalog/Pages 2 0 R/Notes[10 0 R 11 0 R 12 0 R 11 1 R]>>");
    maker.cross_reference_stream(23, ROOT, &[(10, 22, 0)]);
    let sound = Document::open(&normalise(&content(&maker.octets)).unwrap()).unwrap();
    let (_, catalog) = sound.catalog().unwrap();
    let notes = catalog.get("Notes").unwrap().as_array().unwrap();
    let notes: Vec<Object> = notes.iter().map(|note| sound.resolve(note).unwrap()).collect();
    assert_eq!(notes, [Object::text("packed"), Object::text("new"), Object::Null, Object::Null]);
    assert_eq!(sound.file_identifier().unwrap()[0], [0, 0x11, 0x22, 0x33]);
    // Numbers have no gaps, and what nothing refers to is gone.
    assert!(sound.locations().map(|(number, _)| number).eq(1..=10));
}

#[test]
fn what_would_be_lost_is_named() {
    let lost = |from: &str, to: &str| {
        let plain = maker::plain();
        let at = memchr::memmem::rfind(&plain, from.as_bytes()).unwrap();
        let octets = [&plain[..at], to.as_bytes(), &plain[at + from.len()..]].concat();
        normalise(&content(&octets)).unwrap_err().to_string()
    };
    for (from, to, wanted) in [
        ("/BaseFont/Helvetica>>", "/BaseFont/Helvetica>", "object 9 0 is needed and would be lost"),
        ("/Type/Catalog", "/Type/Vatalog", "no catalog"),
        ("endstream\nendobj\n", "", "a stream has no end; object 7 0 is needed"),
        ("/Type/Font/Subtype", "/Type/Font/Type 1", "object 9 0 is needed"),
    ] {
        let problem = lost(from, to);
        assert!(problem.contains(wanted), "{problem}");
    }
}

#[test]
fn signed_and_encrypted_files_are_left_alone() {
    for body in ["<</Type/Sig/ByteRange[0 1 2 3]/Contents<00>>>", "<</V<</ByteRange[0 1 2 3]>>>>"] {
        let mut maker = maker::pages("\n");
        maker.object(10, body).table(ROOT);
        assert!(matches!(normalise(&content(&maker.octets)), Err(PdfError::Signed)), "{body}");
        let mut maker = maker::pages("\n");
        maker.object_stream(20, "", &[(10, body)]).cross_reference_stream(21, ROOT, &[(10, 20, 0)]);
        assert!(matches!(normalise(&content(&maker.octets)), Err(PdfError::Signed)), "{body}");
    }
    let desk = Desk::new();
    for command in
        ["qpdf --encrypt a b 256 -- IN OUT", "qpdf --encrypt a b 256 -- --object-streams=generate IN OUT"]
    {
        let encrypted = desk.made(&maker::plain(), command);
        assert!(matches!(normalise(&content(&encrypted)), Err(PdfError::Encrypted)), "{command}");
    }
    assert_eq!(normalise(&content(b"hello")).unwrap_err().code(), "not-pdf");
}

#[test]
fn pages_that_stand_inside_an_attachment_are_not_taken_for_the_files_own() {
    let inner = maker::plain();
    for keys in ["", "/Length 99 0 R"] {
        let mut maker = maker::pages("\n");
        maker
            .object(6, "<</Type/Page/Parent 2 0 R/Contents 7 0 R/PieceInfo 11 0 R>>")
            .object(9, "<</Own true>>");
        maker.stream(11, keys, &inner).object(99, &inner.len().to_string()).table(ROOT);
        let octets = [b"moved\n", &maker.octets[..]].concat();
        let sound = Document::open(&normalise(&content(&octets)).unwrap()).unwrap();
        assert_eq!(page_count(&sound).unwrap(), 3);
        let own = sound.locations().filter(|(number, _)| {
            let object = sound.object(super::reference(*number)).unwrap();
            object.as_dictionary().is_some_and(|dictionary| dictionary.get("Own").is_some())
        });
        assert_eq!(own.count(), 1, "the font is the outer file's");
    }
}
