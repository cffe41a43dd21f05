//! Damaged and hostile files: each is refused with a code, a place and a reason, and soon.
use mailer::documents::pdf::{Document, PdfError};

use super::maker::{self, Maker, PAGES, ROOT};
use super::{objects, open, page_count};

/// Everything that a reader of the whole file does.
fn read_all(octets: &[u8]) -> Result<(), PdfError> {
    let document = open(octets)?;
    document.check_offsets()?;
    for (_, object) in objects(&document)? {
        if let Some(stream) = object.as_stream() {
            document.decoded(stream, 1 << 20)?;
        }
    }
    page_count(&document)?;
    for revision in document.revisions() {
        document.at_revision(revision.end)?;
    }
    Ok(())
}

/// A file with one thing replaced by another of any length; offsets are those of the new file.
fn with(change: impl FnOnce(&mut Maker)) -> Vec<u8> {
    let mut maker = maker::pages("\n");
    change(&mut maker);
    if !maker.pending.is_empty() {
        maker.table(ROOT);
    }
    maker.octets
}

/// A change that keeps all offsets.
fn patched(mut octets: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = memchr::memmem::rfind(&octets, from.as_bytes()).unwrap_or_else(|| panic!("{from}"));
    octets[at..at + to.len()].copy_from_slice(to.as_bytes());
    octets
}

#[allow(clippy::too_many_lines)]
fn bad_files() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let plain = maker::plain();
    let nested = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let keys: String = (0..100_000).map(|key| format!("/K{key} 0")).collect();
    let bomb = maker::deflated(&vec![b' '; 40 << 20]);
    vec![
        ("nothing", vec![], "not-pdf", "does not begin"),
        ("text", b"hello".to_vec(), "not-pdf", "does not begin"),
        ("header alone", b"%PDF-1.7\n".to_vec(), "pdf-damaged", "no startxref"),
        ("no version", b"%PDF-x".to_vec(), "not-pdf", "no version"),
        ("cut", plain[..plain.len() - 60].to_vec(), "pdf-damaged", "no startxref"),
        ("no %%EOF", plain[..plain.len() - 6].to_vec(), "pdf-damaged", "not followed by"),
        ("startxref outside", start_at("999999"), "pdf-damaged", "section"),
        ("startxref negative", start_at("-5"), "pdf-damaged", "startxref"),
        ("no /Root", patched(plain.clone(), "/Root", "/Toor"), "pdf-damaged", "no catalog"),
        ("/Root no catalog", patched(plain.clone(), "/Root 1", "/Root 9"), "pdf-damaged", "no catalog"),
        ("/Root absent", patched(plain.clone(), "/Root 1", "/Root 0"), "pdf-damaged", "no catalog"),
        ("/Size small", patched(plain.clone(), "/Size 10", "/Size  9"), "pdf-damaged", "/Size is 9"),
        ("/Size negative", patched(plain.clone(), "/Size 10", "/Size -1"), "pdf-damaged", "/Size"),
        (
            "entry of letters",
            patched(plain.clone(), " 00000 n\r\n2 1", " 0000x n\r\n2 1"),
            "pdf-damaged",
            "object 1",
        ),
        (
            "subsection too long",
            patched(plain.clone(), "\n0 1\n", "\n0 8\n"),
            "pdf-damaged",
            "entry of object 1",
        ),
        (
            "wrong offset",
            patched(plain.clone(), "9 0 obj", "8 0 obj"),
            "pdf-damaged",
            "object 8 0 stands where",
        ),
        (
            "wrong generation",
            patched(plain.clone(), "9 0 obj", "9 1 obj"),
            "pdf-damaged",
            "object 9 1 stands where",
        ),
        ("no endobj", patched(plain.clone(), "endobj\n9", "endpbj\n9"), "pdf-damaged", "has no endobj"),
        (
            "/Length too short",
            patched(plain.clone(), "46\n", "45\n"),
            "pdf-damaged",
            "where its /Length says",
        ),
        ("/Length too long", patched(plain.clone(), "46\n", "99\n"), "pdf-damaged", "where its /Length says"),
        ("/Length negative", patched(plain.clone(), "46\n", "-6\n"), "pdf-damaged", "/Length that cannot be"),
        (
            "a comment after the data",
            with(|m| {
                m.stream(7, "/Length 3", b"abc%more");
            }),
            "pdf-damaged",
            "where its /Length says",
        ),
        (
            "a key twice",
            with(|m| {
                m.object(10, "<</A 1/B 2/#41 3>>");
            }),
            "pdf-damaged",
            "/A twice",
        ),
        (
            "many keys",
            with(|m| {
                m.object(10, &format!("<<{keys}/K1 1>>"));
            }),
            "pdf-damaged",
            "/K1 twice",
        ),
        (
            "nested",
            with(|m| {
                m.object(10, &nested);
            }),
            "pdf-too-deep",
            "levels",
        ),
        (
            "many values",
            with(|m| {
                m.object(10, &format!("[{}]", "0 ".repeat(600_000)));
            }),
            "pdf-too-many",
            "values",
        ),
        (
            "a length that is its own",
            with(|m| {
                m.stream(7, "/Length 7 0 R", b"");
            }),
            "pdf-too-deep",
            "length",
        ),
        (
            "lengths in a loop",
            with(|m| {
                m.stream(10, "/Length 11 0 R", b"").stream(11, "/Length 10 0 R", b"");
            }),
            "pdf-too-deep",
            "length",
        ),
        (
            "a length that is no number",
            with(|m| {
                m.object(8, "(46)");
            }),
            "pdf-damaged",
            "/Length that cannot be",
        ),
        (
            "pages in a loop",
            with(|m| {
                m.object(3, "<</Type/Pages/Kids[2 0 R]/Count 1>>");
            }),
            "pdf-damaged",
            "twice in the page tree",
        ),
        (
            "a page that is none",
            with(|m| {
                m.object(4, "(page)");
            }),
            "pdf-damaged",
            "should be a page",
        ),
        (
            "kids that are none",
            with(|m| {
                m.object(3, "<</Type/Pages/Kids[4]/Count 1>>");
            }),
            "pdf-damaged",
            "no reference",
        ),
        (
            "an object twice in a table",
            with(|m| {
                let start = m.octets.len();
                let entry = format!("{:010} 00000 n\r\n", m.pending[&1].0);
                m.raw(format!("xref\n1 1\n{entry}1 1\n{entry}trailer<<{ROOT}/Size 10>>\n")).end(start);
                m.pending.clear();
            }),
            "pdf-damaged",
            "twice where object 1 is",
        ),
        (
            "sections in a loop",
            {
                let mut maker = maker::pages("\n");
                let at = maker.octets.len();
                maker.previous = Some(at);
                maker.table(ROOT).octets.clone()
            },
            "pdf-damaged",
            "loop",
        ),
        (
            "a previous section that is none",
            {
                let mut maker = maker::pages("\n");
                maker.previous = Some(9);
                maker.table(ROOT).octets.clone()
            },
            "pdf-damaged",
            "section",
        ),
        (
            "an older section without its end",
            {
                let octets = maker::updated(1).octets;
                let at = memchr::memmem::find(&octets, b"startxref").unwrap();
                let mut octets = octets;
                octets[at] = b'S';
                octets
            },
            "pdf-damaged",
            "not closed by a startxref",
        ),
        (
            "encryption that changes",
            {
                let mut maker = maker::pages("\n");
                maker.object(10, "<</V 5>>").table(&format!("{ROOT}/Encrypt 10 0 R"));
                maker.object(11, "0").table(ROOT).octets.clone()
            },
            "pdf-damaged",
            "/Encrypt",
        ),
        ("/W of two", patched_stream("/W[1 4 2]", "/W[1 4  ]"), "pdf-damaged", "/W"),
        ("/W negative", patched_stream("/W[1 4 2]", "/W[-1 42]"), "pdf-damaged", "/W"),
        ("/W too wide", patched_stream("/W[1 4 2]", "/W[1 9 2]"), "pdf-damaged", "/W"),
        (
            "/W wider than the rows",
            patched_stream("/W[1 4 2]", "/W[1 8 2]"),
            "pdf-damaged",
            "number that cannot be for object 1",
        ),
        (
            "/W narrower than the rows",
            patched_stream("/W[1 4 2]", "/W[1 3 2]"),
            "pdf-damaged",
            "longer than its /Index",
        ),
        ("/Index of three", patched_stream("/Index[1 1 2 1", "/Index[1 1 2  "), "pdf-damaged", "/Index"),
        ("/Index past all", patched_stream("/Index[1 1 2 1", "/Index[1 1 2 9"), "pdf-damaged", ""),
        ("/Index negative", patched_stream("/Index[1 1 2 1", "/Index[1 1 -2 "), "pdf-damaged", "/Index"),
        (
            "a stream that is no section",
            patched_stream("/Type/XRef", "/Type/Fref"),
            "pdf-damaged",
            "no cross-reference stream",
        ),
        (
            "a hybrid that disagrees with itself",
            hybrid_that_disagrees(),
            "pdf-damaged",
            "object 9 is, so it can be read",
        ),
        (
            "an object stream that has another",
            packed(&[(10, 20, 0)], "(a)", 11),
            "pdf-damaged",
            "does not have object 10",
        ),
        (
            "a position past the end",
            packed(&[(10, 20, 7)], "(a)", 10),
            "pdf-damaged",
            "does not have object 10",
        ),
        ("an object stream inside itself", packed(&[(10, 10, 0)], "(a)", 10), "pdf-damaged", "object stream"),
        (
            "an object stream that is absent",
            packed(&[(10, 33, 0)], "(a)", 10),
            "pdf-damaged",
            "object stream",
        ),
        (
            "an object stream that is none",
            packed(&[(10, 7, 0)], "(a)", 10),
            "pdf-damaged",
            "no object stream",
        ),
        ("a stream in an object stream", packed(&[(10, 20, 0)], "<<>> stream", 10), "ok", ""),
        (
            "damage in an object stream",
            packed(&[(10, 20, 0)], "<</A>>", 10),
            "pdf-damaged",
            "object stream 20, decoded",
        ),
        (
            "an object stream that bursts",
            with(|m| {
                m.stream(20, "/Type/ObjStm/N 1/First 4/Filter/FlateDecode", &bomb);
                m.cross_reference_stream(21, ROOT, &[(10, 20, 0)]);
            }),
            "pdf-too-large",
            "decoded stream",
        ),
        (
            "many entries in few octets",
            with(|m| {
                let rows = maker::deflated(&vec![0; 7 * 4_000_000]);
                m.pending.clear();
                let start = m.octets.len();
                m.stream(21, &format!("/Type/XRef/W[1 4 2]/Size 4000000{ROOT}/Filter/FlateDecode"), &rows)
                    .end(start);
                m.pending.clear();
            }),
            "pdf-too-many",
            "entries",
        ),
    ]
}

/// The plain file, whose cross-reference is said to be somewhere else.
fn start_at(offset: &str) -> Vec<u8> {
    let mut octets = maker::plain();
    octets.truncate(memchr::memmem::rfind(&octets, b"startxref").unwrap());
    [&octets[..], b"startxref\n", offset.as_bytes(), b"\n%%EOF\n"].concat()
}

/// Readers of tables find another object 9 than readers of streams.
fn hybrid_that_disagrees() -> Vec<u8> {
    let mut maker = maker::pages("\n");
    let visible = maker.pending.clone();
    maker.object(9, "(another)");
    maker.pending.retain(|number, _| *number == 9);
    let hidden = maker.octets.len();
    maker.hidden_section(21, &format!("{ROOT}/Size 22"), &[]);
    maker.pending = visible;
    maker.table(&format!("{ROOT}/Size 22/XRefStm {hidden}")).octets.clone()
}

/// The pages in object streams, with something changed in the cross-reference stream's dictionary.
fn patched_stream(from: &str, to: &str) -> Vec<u8> {
    patched(maker::packed(), from, to)
}

/// Object 10 is said to be at a place; object stream 20 has one object of a number.
fn packed(places: &[(u32, u32, u32)], body: &str, number: u32) -> Vec<u8> {
    let mut maker = maker::pages("\n");
    maker.object_stream(20, "", &[(number, body)]);
    maker.cross_reference_stream(21, &format!("{ROOT}/Size 34"), places).octets.clone()
}

#[test]
fn bad_files_are_refused_with_place_and_reason() {
    let mut problems = Vec::new();
    for (name, octets, code, reason) in bad_files() {
        match read_all(&octets) {
            Ok(()) if code == "ok" => {}
            Ok(()) => problems.push(format!("{name}: taken")),
            Err(problem) if problem.code() == code && problem.to_string().contains(reason) => {}
            Err(problem) => problems.push(format!("{name}: {} {problem}", problem.code())),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    read_all(&maker::plain()).unwrap();
    read_all(&maker::packed()).unwrap();
}

#[test]
fn a_file_cut_anywhere_is_no_file_unless_it_was_one_then() {
    let octets = maker::updated(3).octets;
    let ends: Vec<u64> = open(&octets).unwrap().revisions().iter().map(|revision| revision.end).collect();
    for end in 0..octets.len() {
        let opened = open(&octets[..end]);
        // A line end more or less, and up to 1024 octets after it, make no difference.
        if let Ok(document) = opened {
            let last = document.revisions().last().unwrap().end;
            assert!(ends.iter().any(|end| last == *end || last + 1 == *end), "cut at {end}");
        }
    }
}

/// The same offset leads to one section if it counts from the beginning of the file, to another from %PDF-.
#[test]
fn offsets_that_fit_in_two_ways_are_refused() {
    const JUNK: usize = 900;
    let mut maker = Maker::new();
    let header = std::mem::take(&mut maker.octets);
    maker.raw(vec![b' '; JUNK]).raw(&header);
    for (number, body) in PAGES {
        maker.object(number, body);
    }
    maker.stream(7, "", maker::TEXT);
    let start = maker.octets.len();
    let mut section = String::from("xref\n");
    for (number, (offset, _)) in std::mem::take(&mut maker.pending) {
        section += &format!("{number} 1\n{offset:010} 00000 n\r\n");
    }
    section += &format!("trailer\n<<{ROOT}/Size 10>>\n");
    let one = maker.raw(&section).raw(vec![b' '; JUNK - section.len()]);
    assert!(open(&one.clone().end(start).octets).is_ok());
    let problem = open(&one.raw(&section).end(start).octets).unwrap_err();
    assert!(problem.to_string().contains("two ways"), "{problem}");
}

#[test]
fn a_document_is_shared_between_threads() {
    let document = open(&maker::packed()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(page_count(&document).unwrap(), 3));
        }
    });
    fn shared<T: Send + Sync>() {}
    shared::<Document>();
}
