//! What the reader makes of odd but honest files.
use mailer::documents::pdf::{Location, Object, SectionKind};

use super::maker::{self, Maker, PAGES, ROOT, TEXT};
use super::{foreign, judge, open, page_count, reference};

#[test]
fn foreign_files_are_read_as_their_writers_and_lopdf_read_them() {
    for (name, octets) in foreign::written() {
        let document = open(&octets).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        assert_eq!(page_count(&document).unwrap(), 3, "{name}");
        assert_eq!(judge::difference(&octets, &document), None, "{name}");
        let linearized = name.contains("--linearize") || name.contains("clean -l");
        assert_eq!((document.is_linearized(), document.revisions().len()), (linearized, 1), "{name}");
        assert_eq!(document.revisions()[0].end, octets.len() as u64, "{name}");
        document.check_offsets().unwrap();
    }
}

#[test]
fn every_way_to_write_the_same_file_reads_the_same() {
    let plain = maker::plain();
    let wanted = open(&plain).unwrap();
    let cr_only = maker::pages("\r").table(ROOT).octets.clone();
    for octets in [maker::packed(), maker::hybrid(), cr_only, maker::updated(5).octets] {
        let document = open(&octets).unwrap();
        for (number, _) in PAGES.iter().chain(&[(7, "")]) {
            let object = document.object(reference(*number)).unwrap();
            assert_eq!(object, wanted.object(reference(*number)).unwrap());
            if let Some(stream) = object.as_stream() {
                assert_eq!(document.decoded(stream, 100).unwrap(), TEXT);
            }
        }
        assert_eq!(document.file_identifier().unwrap()[0], [0, 0x11, 0x22, 0x33]);
        assert_eq!(page_count(&document).unwrap(), 3);
    }
}

#[test]
fn hidden_objects_of_hybrid_files_are_found() {
    let document = open(&maker::hybrid()).unwrap();
    assert_eq!(document.object(reference(10)).unwrap(), Object::text("hidden"));
    assert_eq!(document.location(11), Some(Location::InStream { stream: 20, index: 1 }));
    assert_eq!(document.revisions()[0].kind, SectionKind::Hybrid);
}

#[test]
fn objects_that_are_absent_free_or_of_another_generation_are_null() {
    let mut maker = maker::updated(0);
    let start = maker.octets.len();
    maker.raw(format!(
        "xref\n10 1\n0000000000 00001 f\r\ntrailer\n<<{ROOT}/Size 11/Prev {}>>\n",
        maker.previous.unwrap()
    ));
    maker.end(start);
    let document = open(&maker.octets).unwrap();
    for number in [0, 10, 11, u32::MAX] {
        assert_eq!(document.object(reference(number)).unwrap(), Object::Null);
        assert_eq!(document.span(reference(number)).unwrap(), None);
    }
    let other = mailer::documents::pdf::Reference { number: 9, generation: 1 };
    assert_eq!(document.object(other).unwrap(), Object::Null);
    let old = document.at_revision(document.revisions()[0].end).unwrap();
    assert_eq!(old.object(reference(10)).unwrap(), Object::text("state 0"));
}

#[test]
fn each_of_many_revisions_is_as_it_was() {
    let octets = maker::updated(200).octets;
    let document = open(&octets).unwrap();
    let revisions = document.revisions();
    assert_eq!((revisions.len(), revisions[200].end), (201, octets.len() as u64));
    assert!(revisions.is_sorted_by_key(|revision| revision.end));
    for (state, revision) in revisions.iter().enumerate() {
        let then = document.at_revision(revision.end).unwrap();
        assert_eq!(then.object(reference(10)).unwrap(), Object::text(&format!("state {state}")));
        assert_eq!(then.revisions(), &revisions[..=state]);
        let kind = if state % 2 == 0 { SectionKind::Table } else { SectionKind::Stream };
        assert_eq!(revision.kind, kind);
    }
}

/// A cross-reference stream may stand anywhere in its revision.
#[test]
fn objects_may_follow_the_section_that_has_them() {
    let mut maker = Maker::new();
    for (number, body) in PAGES {
        maker.object(number, body);
    }
    maker.stream(7, "", TEXT);
    let start = maker.octets.len();
    // Its own length does not depend on the offset, which has the same width whatever it is.
    let note = |maker: &mut Maker, at: usize| {
        maker.pending.insert(10, (at, 0));
        maker.hidden_section(21, &format!("{ROOT}/Filler({:0300})", 0), &[]);
        let at = maker.octets.len();
        maker.object(10, "(behind it)");
        maker.pending.clear();
        at
    };
    let mut at = 0;
    for _ in 0..3 {
        let mut trial = maker.clone();
        at = note(&mut trial, at);
    }
    note(&mut maker, at);
    maker.end(start).object(9, "(updated)").table(ROOT);
    let document = open(&maker.octets).unwrap();
    document.check_offsets().unwrap();
    assert_eq!(document.object(reference(10)).unwrap(), Object::text("behind it"));
    let [first, _] = document.revisions() else { panic!("two revisions") };
    assert_eq!(first.end, document.span(reference(9)).unwrap().unwrap().start);
    assert_eq!(document.at_revision(first.end).unwrap().catalog().unwrap(), document.catalog().unwrap());
}

#[test]
fn pages_inherit_what_they_do_not_say() {
    let document = open(&maker::plain()).unwrap();
    let pages: Vec<_> = document.pages().map(|page| page.unwrap().number).collect();
    assert_eq!(pages, [4, 5, 6]);
    let attribute = |page, key| document.page_attribute(reference(page), key).unwrap();
    for (page, rotate) in [(4, Some(90)), (5, Some(0)), (6, None)] {
        assert_eq!(attribute(page, "Rotate").map(|value| value.as_integer().unwrap()), rotate);
        assert!(attribute(page, "Resources").unwrap().as_dictionary().unwrap().get("Font").is_some());
    }
    let width = |page| attribute(page, "MediaBox").unwrap().as_array().unwrap()[2].as_number().unwrap();
    assert!((width(4) - 595.5).abs() < 1e-9 && (width(5) - 100.0).abs() < 1e-9);
}

#[test]
fn spans_are_the_octets_of_objects_and_values() {
    let octets = maker::plain();
    let document = open(&octets).unwrap();
    let text = |span: std::ops::Range<u64>| {
        let (start, end) = (usize::try_from(span.start).unwrap(), usize::try_from(span.end).unwrap());
        String::from_utf8_lossy(&octets[start..end]).into_owned()
    };
    let page = document.span(reference(4)).unwrap().unwrap();
    assert_eq!(text(page), format!("4 0 obj\n{}\nendobj", PAGES[3].1));
    let contents = document.span(reference(7)).unwrap().unwrap();
    assert!(text(contents).ends_with("endstream\nendobj"));
    let value = |number, key| document.value_span(reference(number), key).unwrap().map(text);
    assert_eq!(value(2, "MediaBox").unwrap(), "[0 0 595.5 842]");
    assert_eq!(value(2, "Resources").unwrap(), "<</Font<</F1 9 0 R>>>>");
    assert_eq!(value(2, "Font"), None, "only keys of the dictionary itself");
    assert_eq!(value(4, "Parent"), None, "a reference is no direct value");
    assert_eq!(value(8, "Type"), None);
    let packed = open(&maker::packed()).unwrap();
    assert_eq!(packed.span(reference(4)).unwrap(), None);
}

#[test]
fn ends_of_files_are_forgiven_as_much_as_the_standard_forgives() {
    let plain = maker::plain();
    let junk = |octets: usize| [&plain[..], &vec![b'x'; octets]].concat();
    assert_eq!(open(&junk(1024)).unwrap().revisions()[0].end, plain.len() as u64);
    assert_eq!(open(&junk(1025)).unwrap_err().code(), "pdf-damaged");

    let mut maker = maker::pages("\n");
    maker.raw("\n \r\n");
    let before = maker.octets.len();
    let octets = maker.table(ROOT).octets.clone();
    let at = memchr::memmem::rfind(&octets, before.to_string().as_bytes()).unwrap();
    let mut moved = octets.clone();
    moved[at..at + before.to_string().len()].copy_from_slice((before - 3).to_string().as_bytes());
    let document = open(&moved).unwrap();
    assert_eq!(document.revisions()[0].start_cross_reference, before as u64);
}

#[test]
fn octets_before_the_header_are_tolerated_where_offsets_fit() {
    let mut maker = Maker::new();
    let header = std::mem::take(&mut maker.octets);
    maker.raw("junk before it\n").raw(&header);
    for (number, body) in PAGES {
        maker.object(number, body);
    }
    let octets = maker.stream(7, "", TEXT).table(ROOT).octets.clone();
    assert_eq!(page_count(&open(&octets).unwrap()).unwrap(), 3);
    // Offsets that count from %PDF- lead elsewhere.
    let moved = [b"junk\n".as_slice(), &maker::plain()].concat();
    assert_eq!(open(&moved).unwrap_err().code(), "pdf-damaged");
    let far = [vec![b' '; 1025], maker::plain()].concat();
    assert_eq!(open(&far).unwrap_err().code(), "not-pdf");
}

#[test]
fn the_version_is_the_later_of_header_and_catalog() {
    let mut maker = maker::pages("\n");
    assert_eq!(open(&maker::plain()).unwrap().version(), (1, 5));
    maker.object(1, "<</Type/Catalog/Pages 2 0 R/Version/2.0>>").table(ROOT);
    assert_eq!(open(&maker.octets).unwrap().version(), (2, 0));
    maker.object(1, "<</Type/Catalog/Pages 2 0 R/Version/1.4>>").table(ROOT);
    assert_eq!(open(&maker.octets).unwrap().version(), (1, 5));
}
