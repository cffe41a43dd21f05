//! The PDF files of the world (`scripts/test --data DIR`): what becomes of each, when it is read, appended to, and made
//! sound.
use std::path::Path;

use mailer::content::Content;
use mailer::documents::pdf::{Document, Object, PdfError, Update, normalise};

use super::foreign::{Desk, complaint, page_counts};
use super::judge::difference;
use super::{objects, octets, page_count};

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// It is read and appended to.
    Appended,
    /// It is read, and left as it is, because it is encrypted.
    Encrypted,
    /// It is refused, and why; normalised, it has so many pages.
    Normalised(&'static str, usize),
}
use Outcome::{Appended, Encrypted, Normalised};

/// Every file, with what foreign programs say of it where they say more than we do.
const FILES: [(&str, Outcome); 17] = [
    ("11-pages.pdf", Appended),
    ("20-pages.pdf", Encrypted),
    ("V4-aes.pdf", Encrypted),
    ("append-xref-loop.pdf", Normalised("refer to one another in a loop", 30)),
    ("bad-xref.pdf", Normalised("entry of object 0 is not written as it must be", 1)),
    ("big-ostream.pdf", Appended),
    ("form-bad-fields-array.pdf", Appended),
    ("good13.pdf", Appended),
    ("hybrid-xref.pdf", Appended),
    ("inline-images.pdf", Appended),
    ("lin-special.pdf", Appended),
    ("lin1.pdf", Appended),
    ("lin5.pdf", Appended),
    ("minimal-linearize-pass1.pdf", Normalised("no cross-reference section begins here", 1)),
    ("minimal.pdf", Appended),
    ("outlines-with-actions.pdf", Appended),
    ("xref-with-short-size.pdf", Normalised("longer than its /Index says", 1)),
];

/// What lopdf reads otherwise, and which of the two is right.
const LOPDF_OTHERWISE: [(&str, &str); 0] = [];

#[test]
fn outside_data_pdf_files_are_appended_to_or_refused_with_reason() {
    let Some(folder) = std::env::var_os("SEALWRIGHT_DATA") else {
        println!("SKIPPED: no outside data; scripts/test --data DIR brings DIR/data/pdf");
        return;
    };
    let folder = Path::new(&folder).join("data/pdf");
    let found = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(found, FILES.len(), "the collection is complete");
    let desk = Desk::new();
    let mut problems = Vec::new();
    for (name, wanted) in FILES {
        let outcome = outcome(&desk, &folder.join(name), name);
        println!("{name}: {}", outcome.as_ref().map_or_else(Clone::clone, |(_, words)| words.clone()));
        match outcome {
            Ok((outcome, _)) if outcome == wanted => {}
            other => problems.push(format!("{name}: {other:?}, not {wanted:?}")),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn outcome(desk: &Desk, file: &Path, name: &str) -> Result<(Outcome, String), String> {
    let content = Content::from_file(std::fs::File::open(file).unwrap()).unwrap();
    let opened = Document::open(&content).and_then(|document| {
        objects(&document)?;
        document.check_offsets()?;
        Ok(document)
    });
    let document = match opened {
        Ok(document) => document,
        Err(problem) => return normalised(desk, &content, &problem),
    };
    let pages = page_count(&document).map_err(|problem| problem.to_string())?;
    let update = Update::new(&document);
    if matches!(update, Err(PdfError::Encrypted)) {
        return Ok((Encrypted, format!("{pages} pages, encrypted")));
    }
    let mut update = update.map_err(|problem| problem.to_string())?;
    let note = update.allocate();
    update.set(note, Object::text("appended"));
    let whole = update.finish([7; 16]).map_err(|problem| problem.to_string())?.whole;
    assert_eq!(octets(&whole.slice(0..content.len())), octets(&content));
    let appended = octets(&whole);
    let path = desk.write("appended.pdf", &appended);
    // Whatever qpdf had against the file it still has.
    if let (Some(new), None) = (complaint(&path), complaint(file)) {
        return Err(new);
    }
    let counts = page_counts(&path)?;
    if counts != [pages; 3] {
        return Err(format!("{pages} pages, but {counts:?}"));
    }
    let after = Document::open(&whole).map_err(|problem| problem.to_string())?;
    let known = LOPDF_OTHERWISE.iter().any(|(other, _)| *other == name);
    match difference(&appended, &after) {
        Some(difference) if !known => return Err(difference),
        None if known => return Err("lopdf reads it as we do now".to_owned()),
        _ => {}
    }
    let kind = document.revisions().last().unwrap().kind;
    Ok((Appended, format!("{pages} pages, {} revisions, {kind:?}, appended to", document.revisions().len())))
}

fn normalised(desk: &Desk, content: &Content, problem: &PdfError) -> Result<(Outcome, String), String> {
    let sound = normalise(content).map_err(|second| format!("{problem}; normalise: {second}"))?;
    let document = Document::open(&sound).map_err(|second| format!("{problem}; then: {second}"))?;
    let pages = page_count(&document).map_err(|second| format!("{problem}; then: {second}"))?;
    let path = desk.write("sound.pdf", &octets(&sound));
    if let Some(complaint) = complaint(&path) {
        return Err(complaint);
    }
    assert_eq!(page_counts(&path)?, [pages; 3]);
    let reason = FILES.iter().find_map(|(_, outcome)| match outcome {
        Normalised(reason, count) if *count == pages && problem.to_string().contains(reason) => Some(*reason),
        _ => None,
    });
    let words = format!("refused ({problem}); {pages} pages when normalised");
    Ok((Normalised(reason.unwrap_or("another reason"), pages), words))
}
