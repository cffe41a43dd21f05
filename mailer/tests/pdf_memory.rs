//! Files of any length are read and appended to in little memory (Linux tells the most that a process ever had).
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
use std::fs::File;
use std::os::unix::fs::FileExt;

use mailer::content::Content;
use mailer::documents::pdf::{Document, Object, Reference, SectionKind, Update};

/// How much more memory than before, in kilobytes.
const MOST: u64 = 6 * 1024;

fn most_memory_so_far() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A file whose only page has a stream of so many zeros, most of them a hole; its cross-reference comes after it.
fn with_hole(octets: u64, as_table: bool) -> File {
    let file = tempfile::tempfile().unwrap();
    let head = format!(
        "%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n\
         3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>\nendobj\n4 0 obj\n<</Length {octets}>>\nstream\n"
    );
    file.write_all_at(head.as_bytes(), 0).unwrap();
    let end = head.len() as u64 + octets;
    file.set_len(end).unwrap();
    let tail = "\nendstream\nendobj\n5 0 obj\n(after it)\nendobj\n";
    file.write_all_at(tail.as_bytes(), end).unwrap();
    let start = end + tail.len() as u64;
    let offset = |number: u32| match number {
        5 => end + "\nendstream\nendobj\n".len() as u64,
        number => head.find(&format!("{number} 0 obj")).unwrap() as u64,
    };
    let section = if as_table {
        let entries: String = (1..6).map(|number| format!("{:010} 00000 n\r\n", offset(number))).collect();
        format!("xref\n0 6\n0000000000 65535 f\r\n{entries}trailer\n<</Size 6/Root 1 0 R>>\n")
    } else {
        let rows: String = (1..6).map(|number| format!("{:016X}", offset(number))).collect();
        format!(
            "6 0 obj\n<</Type/XRef/W[0 8 0]/Index[1 5]/Size 7/Root 1 0 R/Filter/ASCIIHexDecode/Length {}>>\nstream\n{rows}>\nendstream\nendobj\n",
            rows.len() + 1
        )
    };
    let section = format!("{section}startxref\n{start}\n%%EOF\n");
    file.write_all_at(section.as_bytes(), start).unwrap();
    file
}

fn append(content: &Content, before: &str) -> Content {
    let document = Document::open(content).unwrap();
    assert_eq!(document.pages().count(), 1);
    let five = Reference { number: 5, generation: 0 };
    assert_eq!(document.object(five).unwrap(), Object::text(before));
    let mut update = Update::new(&document).unwrap();
    let signature = update.allocate();
    update.set(five, Object::text("changed"));
    update.set_signature(signature, mailer::documents::pdf::Dictionary::new(), 8_000);
    let appended = update.finish([1; 16]).unwrap();
    let gap = appended.signature.clone().unwrap();
    assert_eq!(gap.byte_range[1], gap.contents.start);
    assert_eq!(gap.byte_range[2] + gap.byte_range[3], appended.whole.len());
    let whole = appended.with_contents(b"signature").unwrap();
    let after = Document::open(&whole).unwrap();
    assert_eq!(after.value_span(signature, "Contents").unwrap(), Some(gap.contents));
    assert_eq!(after.object(five).unwrap(), Object::text("changed"));
    whole
}

fn kind(content: &Content) -> SectionKind {
    Document::open(content).unwrap().revisions().last().unwrap().kind
}

/// One test, because the tests of a program may share its memory.
#[test]
fn huge_files_are_read_and_appended_to_in_little_memory() {
    let before = most_memory_so_far();
    for (gibibytes, as_table, wanted) in [
        (5, true, SectionKind::Table),
        (5, false, SectionKind::Stream),
        // Beyond octet 9,999,999,999 a table has no digits.
        (12, false, SectionKind::Stream),
    ] {
        let file = with_hole(gibibytes << 30, as_table);
        let content = Content::from_file(file.try_clone().unwrap()).unwrap();
        let whole = append(&content, "after it");
        assert_eq!(kind(&whole), wanted);
        // As a file of its own, again.
        let added = whole.slice(content.len()..u64::MAX).to_vec(100_000).unwrap().unwrap();
        file.write_all_at(&added, content.len()).unwrap();
        let again = append(&Content::from_file(file).unwrap(), "changed");
        assert_eq!(Document::open(&again).unwrap().revisions().len(), 3);
    }
    let more = most_memory_so_far() - before;
    assert!(more < MOST, "{more} KB");
    // The figure does move when octets are held.
    let held = vec![1_u8; 16 << 20];
    assert!(most_memory_so_far() - before > MOST, "{}", held.len());
}
