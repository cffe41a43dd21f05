//! Updates: the original stays as it is, and every reader finds what was added.
use mailer::content::Content;
use mailer::documents::pdf::{
    Appended, Dictionary, Document, Object, PdfError, Reference, SectionKind, Stream, Update,
};
use proptest::prelude::*;

use super::foreign::{self, Desk, complaint, page_counts};
use super::judge::difference;
use super::maker::{self, Maker, PAGES, ROOT};
use super::{content, octets, open, page_count, reference};

const IDENTIFIER: [u8; 16] = *b"sixteen letters.";
const DATA: &[u8] = b"data of a stream, with endstream\nendobj inside";

/// Every shape of file that can be appended to, with the kind of its newest section.
fn shapes() -> Vec<(String, Vec<u8>, SectionKind)> {
    let mut cr_only = maker::pages("\r");
    let mut no_end = maker::plain();
    no_end.truncate(no_end.len() - 1);
    let shapes = [
        ("a table", maker::plain(), SectionKind::Table),
        ("object streams", maker::packed(), SectionKind::Stream),
        ("hybrid", maker::hybrid(), SectionKind::Hybrid),
        ("CR alone", cr_only.table(ROOT).octets.clone(), SectionKind::Table),
        ("CR LF", maker::pages("\r\n").table(ROOT).octets.clone(), SectionKind::Table),
        ("no line end after %%EOF", no_end, SectionKind::Table),
        ("no /ID", maker::pages("\n").table("/Root 1 0 R").octets.clone(), SectionKind::Table),
        ("an update that is a table", maker::updated(2).octets, SectionKind::Table),
        ("an update that is a stream", maker::updated(3).octets, SectionKind::Stream),
        ("comments at the end", [maker::plain(), b"% the end\n".repeat(102)].concat(), SectionKind::Table),
    ];
    let foreign = foreign::written().into_iter().map(|(name, octets)| {
        let has_stream = memchr::memmem::find(&octets, b"/XRef").is_some();
        (name, octets, if has_stream { SectionKind::Stream } else { SectionKind::Table })
    });
    shapes.into_iter().map(|(name, octets, kind)| (name.to_owned(), octets, kind)).chain(foreign).collect()
}

/// A note in the catalog, a stream, and room for a signature.
fn append(document: &Document, with_signature: bool) -> Appended {
    let mut update = Update::new(document).unwrap();
    let (note, stream, signature) = (update.allocate(), update.allocate(), update.allocate());
    let (root, mut catalog) = document.catalog().unwrap();
    catalog.set("SWNotes", vec![Object::Reference(note), Object::Reference(stream)]);
    update.set(root, catalog);
    update.set(note, Object::text("a note \u{5370}"));
    update.set(stream, Stream { dictionary: Dictionary::new().with("Length", 7_i64), data: content(DATA) });
    if with_signature {
        update.set_signature(signature, Dictionary::new().with("Type", Object::name("Sig")), 100);
    }
    update.finish(IDENTIFIER).unwrap()
}

#[test]
fn every_shape_of_file_can_be_appended_to_again_and_again() {
    let desk = Desk::new();
    for (name, original, kind) in shapes() {
        let document = open(&original).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let pages = page_count(&document).unwrap();
        assert_eq!(document.revisions().last().unwrap().kind, kind, "{name}");
        let mut whole = original.clone();
        for round in 0..3 {
            let before = open(&whole).unwrap();
            let appended = append(&before, round == 1);
            let octets = octets(&appended.whole);
            assert!(octets.starts_with(&whole), "{name}: the original is kept");
            assert_eq!(appended.added, whole.len() as u64..octets.len() as u64);
            let file = desk.write("appended.pdf", &octets);
            assert_eq!(complaint(&file), None, "{name}, round {round}");
            assert_eq!(page_counts(&file), Ok([pages; 3]), "{name}, round {round}");
            let after = open(&octets).unwrap();
            assert_eq!(difference(&octets, &after), None, "{name}, round {round}");
            assert_eq!(after.revisions().len(), before.revisions().len() + 1, "{name}");
            let kept = if kind == SectionKind::Hybrid { SectionKind::Table } else { kind };
            assert_eq!(after.revisions().last().unwrap().kind, kept, "{name}");
            the_old_state_is_still_there(&before, &after);
            the_new_state_is_right(&before, &after);
            whole = octets;
        }
    }
}

fn the_old_state_is_still_there(before: &Document, after: &Document) {
    let [.., old, new] = after.revisions() else { panic!("two revisions") };
    assert_eq!(new.end, after.content().len());
    let old = after.at_revision(old.end).unwrap();
    assert_eq!((old.catalog().unwrap(), old.trailer()), (before.catalog().unwrap(), before.trailer()));
    assert!(old.locations().eq(before.locations()));
}

fn the_new_state_is_right(before: &Document, after: &Document) {
    let (_, catalog) = after.catalog().unwrap();
    let notes = after.get(&catalog, "SWNotes").unwrap().unwrap();
    let [note, stream] = notes.as_array().unwrap() else { panic!("two notes") };
    assert_eq!(after.resolve(note).unwrap(), Object::text("a note \u{5370}"));
    let stream = after.resolve(stream).unwrap();
    assert_eq!(after.decoded(stream.as_stream().unwrap(), 100).unwrap(), DATA);
    let [first, second] = after.file_identifier().unwrap();
    assert_eq!(second, IDENTIFIER);
    assert_eq!(first, before.file_identifier().map_or(IDENTIFIER.to_vec(), |[first, _]| first));
    for key in ["Root", "Info", "Encrypt"] {
        assert_eq!(after.trailer().get(key), before.trailer().get(key));
    }
    assert_eq!(after.trailer().get("XRefStm"), None);
}

#[test]
fn a_place_for_a_signature_is_exactly_what_the_byte_range_leaves_out() {
    for original in [maker::plain(), maker::packed(), maker::hybrid()] {
        let document = open(&original).unwrap();
        let mut update = Update::new(&document).unwrap();
        let signature = update.allocate();
        let keys = Dictionary::new()
            .with("ByteRange", 1_i64)
            .with("M", Object::text("D:2030"))
            .with("Contents", 2_i64);
        update.set_signature(signature, keys, 5);
        let appended = update.finish(IDENTIFIER).unwrap();
        let gap = appended.signature.clone().unwrap();
        let whole = octets(&appended.whole);
        let contents =
            usize::try_from(gap.contents.start).unwrap()..usize::try_from(gap.contents.end).unwrap();
        assert_eq!(&whole[contents], b"<0000000000>");
        let [zero, before, after, rest] = gap.byte_range;
        assert_eq!((zero, before, after), (0, gap.contents.start, gap.contents.end));
        assert_eq!(after + rest, whole.len() as u64);

        let read = Document::open(&appended.whole).unwrap();
        assert_eq!(read.value_span(signature, "Contents").unwrap(), Some(gap.contents.clone()));
        let dictionary = read.object(signature).unwrap();
        let numbers = dictionary.as_dictionary().unwrap().get("ByteRange").unwrap().clone();
        let wanted = gap.byte_range.map(|number| Object::Integer(i64::try_from(number).unwrap()));
        assert_eq!(numbers, Object::Array(wanted.to_vec()));
        let span = read.value_span(signature, "ByteRange").unwrap().unwrap();
        assert!(span.end - span.start >= 4 * 10, "there is room for any offset");

        match appended.clone().with_contents(&[7; 6]) {
            Err(PdfError::NoRoom { octets: 6, room: 5 }) => {}
            other => panic!("{other:?}"),
        }
        let signed = appended.with_contents(&[0xAB, 0xCD]).unwrap();
        assert_eq!(signed.len(), whole.len() as u64);
        let value = Document::open(&signed).unwrap().object(signature).unwrap();
        let value = value.as_dictionary().unwrap().get("Contents").cloned();
        assert_eq!(value, Some(Object::String(vec![0xAB, 0xCD, 0, 0, 0])));
    }
}

#[test]
fn a_new_number_is_above_all_others() {
    let document = open(&maker::plain()).unwrap();
    let mut update = Update::new(&document).unwrap();
    assert_eq!((update.allocate(), update.allocate()), (reference(10), reference(11)));
    update.set(reference(40), 1_i64);
    let whole = update.finish(IDENTIFIER).unwrap().whole;
    let document = Document::open(&whole).unwrap();
    assert_eq!(document.trailer().get("Size"), Some(&Object::Integer(41)));
    assert_eq!(Update::new(&document).unwrap().allocate(), reference(41));
}

#[test]
fn an_update_of_nothing_is_a_revision_too() {
    let desk = Desk::new();
    for original in [maker::plain(), maker::packed()] {
        let document = open(&original).unwrap();
        let whole = Update::new(&document).unwrap().finish(IDENTIFIER).unwrap().whole;
        assert_eq!(Document::open(&whole).unwrap().revisions().len(), 2);
        let file = desk.write("empty.pdf", &octets(&whole));
        assert_eq!(complaint(&file), None);
        assert_eq!(page_counts(&file), Ok([3; 3]));
    }
}

#[test]
fn generations_are_kept() {
    let mut maker = Maker::new();
    for (number, body) in PAGES {
        maker.object(number, body);
    }
    maker.stream(7, "", maker::TEXT).generation(10, 3, "(old)").table(ROOT);
    let document = open(&maker.octets).unwrap();
    let note = Reference { number: 10, generation: 3 };
    assert_eq!(document.object(reference(10)).unwrap(), Object::Null);
    let mut update = Update::new(&document).unwrap();
    update.set(note, Object::text("new"));
    let whole = octets(&update.finish(IDENTIFIER).unwrap().whole);
    let after = open(&whole).unwrap();
    assert_eq!(after.object(note).unwrap(), Object::text("new"));
    assert_eq!(difference(&whole, &after), None);
}

#[test]
fn what_no_file_can_hold_is_refused() {
    let document = open(&maker::plain()).unwrap();
    let stream = || Object::Stream(Stream { dictionary: Dictionary::new(), data: Content::default() });
    let inside = Dictionary::new().with("A", vec![stream()]);
    for (number, object) in [(0, Object::Null), (10, Object::Dictionary(inside)), (10, vec![stream()].into())]
    {
        let mut update = Update::new(&document).unwrap();
        update.set(reference(number), object);
        let problem = update.finish(IDENTIFIER).unwrap_err();
        assert_eq!(problem.code(), "pdf-bad-update", "{problem}");
    }
    let mut update = Update::new(&document).unwrap();
    update.set_signature(reference(10), Dictionary::new(), 1);
    update.set_signature(reference(11), Dictionary::new(), 1);
    assert_eq!(update.finish(IDENTIFIER).unwrap_err().code(), "pdf-bad-update");
}

/// Offsets of a table are checked before anything is appended to what they lead to.
#[test]
fn files_that_need_repair_are_not_appended_to() {
    let mut octets = maker::plain();
    let at = memchr::memmem::find(&octets, b"9 0 obj").unwrap();
    octets[at] = b'8';
    let document = open(&octets).unwrap();
    let problem = Update::new(&document).err().unwrap();
    let wanted = format!("octet {at}: object 8 0 stands where the cross-reference has object 9 0");
    assert!(problem.to_string().contains(&wanted), "{problem}");
    assert!(problem.to_string().contains("mailer document normalise"));
}

#[test]
fn encrypted_files_are_read_as_far_as_they_are_not_and_never_appended_to() {
    let desk = Desk::new();
    for command in [
        "qpdf --encrypt a b 256 -- IN OUT",
        "qpdf --allow-weak-crypto --encrypt a b 128 --use-aes=y -- --object-streams=generate IN OUT",
    ] {
        let encrypted = desk.made(&maker::plain(), command);
        let document = open(&encrypted).unwrap();
        assert!(document.is_encrypted());
        assert!(matches!(Update::new(&document), Err(PdfError::Encrypted)), "{command}");
    }
    // The crypt filter Identity leaves everything as it is.
    let mut maker = maker::pages("\n");
    maker.object(10, "<</Filter/Standard/V 4/R 4/StmF/Identity/StrF/Identity/P -4/O<00>/U<00>>>");
    let octets = maker.table(&format!("{ROOT}/Encrypt 10 0 R")).octets.clone();
    let document = open(&octets).unwrap();
    assert!(document.is_encrypted());
    let appended = append(&document, true);
    let after = Document::open(&appended.whole).unwrap();
    assert_eq!(after.trailer().get("Encrypt"), Some(&Object::Reference(reference(10))));
}

fn value() -> impl Strategy<Value = Object> {
    let leaf = prop_oneof![
        Just(Object::Null),
        any::<bool>().prop_map(Object::Boolean),
        any::<i64>().prop_map(Object::Integer),
        any::<i32>().prop_map(|hundredths| {
            Object::Real(mailer::documents::pdf::object::Real::from_hundredths(hundredths.into()))
        }),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Object::String),
        "[ -~]{0,20}".prop_map(|text| Object::String(text.into_bytes())),
        name().prop_map(Object::Name),
        (any::<u32>(), any::<u16>())
            .prop_map(|(number, generation)| Object::Reference(Reference { number, generation })),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Object::Array),
            prop::collection::vec((name(), inner), 0..6).prop_map(|entries| {
                let mut dictionary = Dictionary::new();
                for (key, value) in entries {
                    dictionary.insert_new(key, value);
                }
                Object::Dictionary(dictionary)
            }),
        ]
    })
}

/// A name has no NUL (section 7.3.5).
fn name() -> impl Strategy<Value = mailer::documents::pdf::Name> {
    prop::collection::vec(1..=255_u8, 0..8).prop_map(mailer::documents::pdf::Name)
}

proptest! {
    #[test]
    fn what_is_written_is_read(object in value()) {
        let mut written = Vec::new();
        object.write(&mut written);
        prop_assert_eq!(Object::parse(&written).unwrap(), object.clone());

        let document = open(&maker::plain()).unwrap();
        let mut update = Update::new(&document).unwrap();
        let (one, other) = (update.allocate(), update.allocate());
        update.set(one, object.clone());
        update.set(other, vec![object.clone(), object.clone()]);
        let after = Document::open(&update.finish(IDENTIFIER).unwrap().whole).unwrap();
        prop_assert_eq!(after.object(one).unwrap(), object.clone());
        prop_assert_eq!(after.object(other).unwrap(), Object::Array(vec![object.clone(), object]));
    }
}
