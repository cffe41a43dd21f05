//! Signed documents that were changed, in every way that an attacker might hope to pass; and their untouched twins.
use mailer::content::Content;
use mailer::documents::Permission;
use mailer::documents::pdf::{Dictionary, Document, Name, Object, Reference, Stream, Update};
use mailer::documents::preparation::SigningRequest;
use mailer::documents::signature::signatures;
use mailer::documents::verify::{DocumentReport, Standing};

use crate::material::{Notary, Stamper, pdf, pdf_with_form};
use crate::openssl_pki::Key;

pub(crate) fn number(number: u32) -> Reference {
    Reference { number, generation: 0 }
}

/// Appends a revision to a signed document.
pub(crate) fn changed(signed: &[u8], change: impl FnOnce(&Document, &mut Update<'_>)) -> Vec<u8> {
    let document = Document::open(&Content::from_vec(signed.to_vec())).unwrap();
    let mut update = Update::new(&document).unwrap();
    change(&document, &mut update);
    update.finish([9; 16]).unwrap().whole.to_vec(usize::MAX).unwrap().unwrap().to_vec()
}

pub(crate) fn edit(
    document: &Document,
    update: &mut Update<'_>,
    reference: Reference,
    change: impl FnOnce(&mut Dictionary),
) {
    let mut dictionary = document.object(reference).unwrap().as_dictionary().unwrap().clone();
    change(&mut dictionary);
    update.set(reference, dictionary);
}

pub(crate) fn stream(text: &str) -> Stream {
    Stream { dictionary: Dictionary::new(), data: Content::from_vec(text.as_bytes().to_vec()) }
}

pub(crate) fn catalog(document: &Document) -> Reference {
    document.catalog().unwrap().0
}

fn assert_flagged(notary: &Notary, what: &str, file: &[u8], code: &str) {
    assert!(Document::open(&Content::from_vec(file.to_vec())).is_ok(), "{what}: it cannot even be opened");
    let report = notary.verify(file);
    assert_eq!(report.standing(), Standing::Tampered, "{what}: {report:?}");
    let found: Vec<&str> = codes(&report);
    assert!(found.contains(&code), "{what}: {found:?} instead of {code}");
}

/// The codes of everything that is not allowed.
pub(crate) fn codes(report: &DocumentReport) -> Vec<&'static str> {
    use mailer::documents::verify::Judgement;
    let mut codes = Vec::new();
    for signature in &report.signatures {
        codes.extend(
            signature.changes.iter().filter(|(_, allowed)| !allowed).map(|(change, _)| change.code()),
        );
        match &signature.judgement {
            Judgement::Defective(defect) => codes.push(defect.code()),
            Judgement::Signer(found) => {
                codes.push(found.verdict.code());
                codes.extend(found.forged_time_stamp.as_ref().map(|problem| problem.code()));
            }
            Judgement::TimeStamp(outcome) => {
                codes.extend(outcome.as_ref().err().map(|problem| problem.code()))
            }
        }
    }
    codes
}

type Attack = (&'static str, &'static str, fn(&Document, &mut Update<'_>));

/// Against a document with pages 4 and 6, their contents 5 and 7, and the font 3.
const ATTACKS: &[Attack] = &[
    ("a page was added", "pages-changed", |document, update| {
        let page = update.allocate();
        let mut copy = document.object(number(4)).unwrap().as_dictionary().unwrap().clone();
        copy.set("Rotate", 0_i64);
        update.set(page, copy);
        edit(document, update, number(2), |tree| {
            tree.set("Count", 3_i64);
            let mut kids = tree.get("Kids").unwrap().as_array().unwrap().to_vec();
            kids.push(page.into());
            tree.set("Kids", kids);
        });
    }),
    ("pages were exchanged", "pages-changed", |document, update| {
        edit(document, update, number(2), |tree| {
            tree.set("Kids", vec![number(6).into(), number(4).into()]);
        });
    }),
    ("a page was removed", "pages-changed", |document, update| {
        edit(document, update, number(2), |tree| {
            tree.set("Count", 1_i64);
            tree.set("Kids", vec![number(4).into()]);
        });
    }),
    ("the content was replaced", "object-changed", |_, update| {
        update.set(number(5), stream("BT /F 18 Tf 72 720 Td (The fee is 900.) Tj ET"));
    }),
    ("a page shows other content", "page-changed", |document, update| {
        let content = update.allocate();
        update.set(content, stream("BT /F 18 Tf 72 720 Td (The fee is 900.) Tj ET"));
        edit(document, update, number(4), |page| page.set("Contents", content));
    }),
    ("the font was replaced", "object-changed", |document, update| {
        edit(document, update, number(3), |font| font.set("BaseFont", Name::new("Symbol")));
    }),
    ("the page was cropped", "page-changed", |document, update| {
        edit(document, update, number(4), |page| {
            page.set("CropBox", [0_i64, 0, 100, 100].map(Object::Integer).to_vec());
        });
    }),
    ("the catalog leads to other pages", "pages-changed", |document, update| {
        let tree = update.allocate();
        let mut copy = document.object(number(2)).unwrap().as_dictionary().unwrap().clone();
        copy.set("Kids", vec![number(6).into(), number(4).into()]);
        update.set(tree, copy);
        edit(document, update, catalog(document), |root| root.set("Pages", tree));
    }),
    ("layers were put over it", "document-changed", |document, update| {
        edit(document, update, catalog(document), |root| {
            root.set("OCProperties", Dictionary::new().with("OCGs", Vec::new()));
        });
    }),
    ("something runs when it is opened", "document-changed", |document, update| {
        edit(document, update, catalog(document), |root| {
            let action = Dictionary::new().with("S", Name::new("JavaScript")).with("JS", Object::text("1"));
            root.set("OpenAction", action);
        });
    }),
    ("a note lies over it", "annotation-changed", |document, update| {
        let note = update.allocate();
        let rectangle = [70_i64, 700, 300, 740].map(Object::Integer).to_vec();
        let annotation = Dictionary::new()
            .with("Type", Name::new("Annot"))
            .with("Subtype", Name::new("FreeText"))
            .with("Contents", Object::text("900"))
            .with("Rect", rectangle);
        update.set(note, annotation);
        edit(document, update, number(6), |page| page.set("Annots", vec![note.into()]));
    }),
    ("the signature's look was replaced", "field-changed", |document, update| {
        let field = mailer::documents::form::fields(document).unwrap()[0].reference.unwrap();
        let look = update.allocate();
        update.set(look, stream("0 0 100 100 re f"));
        edit(document, update, field, |widget| widget.set("AP", Dictionary::new().with("N", look)));
    }),
    ("the signature was moved over the text", "field-changed", |document, update| {
        let field = mailer::documents::form::fields(document).unwrap()[0].reference.unwrap();
        edit(document, update, field, |widget| {
            widget.set("Rect", [70_i64, 700, 300, 740].map(Object::Integer).to_vec());
        });
    }),
    ("a widget says that it belongs to the signature", "annotation-changed", |document, update| {
        let look = update.allocate();
        update.set(look, form_object("The fee is 900."));
        let widget = update.allocate();
        update.set(widget, over_the_page(look).with("Parent", signature_field(document)));
        show_on_page(document, update, widget);
    }),
    ("the signature has one more widget", "field-changed", |document, update| {
        let look = update.allocate();
        update.set(look, form_object("The fee is 900."));
        let (widget, field) = (update.allocate(), signature_field(document));
        update.set(widget, over_the_page(look).with("Parent", field));
        show_on_page(document, update, widget);
        edit(document, update, field, |signature| signature.set("Kids", vec![widget.into()]));
    }),
    ("an empty signature field covers the page", "field-changed", |document, update| {
        add_signature_field(document, update, None);
    }),
    ("a signature field with nothing as its signature", "signature-malformed", |document, update| {
        add_signature_field(document, update, Some(number(5)));
    }),
    ("a signature field whose signature is missing", "signature-malformed", |document, update| {
        add_signature_field(document, update, Some(number(90)));
    }),
    ("the content has another generation", "object-changed", |document, update| {
        let content = document.object(number(5)).unwrap();
        update.set(Reference { number: 5, generation: 1 }, content);
    }),
    ("the font has another generation", "object-changed", |document, update| {
        let font = document.object(number(3)).unwrap();
        update.set(Reference { number: 3, generation: 1 }, font);
    }),
];

/// What an appearance shows in place of the text.
pub(crate) fn form_object(text: &str) -> Stream {
    let mut look =
        stream(&format!("1 1 1 rg 0 0 595 842 re f 0 0 0 rg BT /F 18 Tf 72 720 Td ({text}) Tj ET"));
    look.dictionary = Dictionary::new()
        .with("Type", Name::new("XObject"))
        .with("Subtype", Name::new("Form"))
        .with("BBox", [0_i64, 0, 595, 842].map(Object::Integer).to_vec())
        .with("Resources", Dictionary::new().with("Font", Dictionary::new().with("F", number(3))));
    look
}

/// A widget as large as the page.
pub(crate) fn over_the_page(look: Reference) -> Dictionary {
    Dictionary::new()
        .with("Type", Name::new("Annot"))
        .with("Subtype", Name::new("Widget"))
        .with("F", 4_i64)
        .with("Rect", [0_i64, 0, 595, 842].map(Object::Integer).to_vec())
        .with("AP", Dictionary::new().with("N", look))
}

pub(crate) fn signature_field(document: &Document) -> Reference {
    mailer::documents::form::fields(document).unwrap()[0].reference.unwrap()
}

pub(crate) fn show_on_page(document: &Document, update: &mut Update<'_>, widget: Reference) {
    edit(document, update, number(4), |page| {
        let mut shown = page.get("Annots").and_then(Object::as_array).unwrap_or_default().to_vec();
        shown.push(widget.into());
        page.set("Annots", shown);
    });
}

/// A field on the first page that covers it.
pub(crate) fn add_signature_field(document: &Document, update: &mut Update<'_>, value: Option<Reference>) {
    let look = update.allocate();
    update.set(look, form_object("The fee is 900."));
    let field = update.allocate();
    let mut widget = over_the_page(look).with("FT", Name::new("Sig")).with("T", Object::text("Other"));
    if let Some(value) = value {
        widget.set("V", value);
    }
    update.set(field, widget);
    show_on_page(document, update, field);
    edit(document, update, catalog(document), |root| {
        let mut form = root.get("AcroForm").and_then(Object::as_dictionary).cloned().unwrap_or_default();
        let mut fields = form.get("Fields").and_then(Object::as_array).unwrap_or_default().to_vec();
        fields.push(field.into());
        form.set("Fields", fields);
        root.set("AcroForm", form);
    });
}

#[test]
fn later_changes_are_flagged_and_untouched_twins_are_not() {
    let notary = Notary::new(Key::P256);
    for certify in [None, Some(Permission::NoChanges), Some(Permission::FillIn)] {
        let request = SigningRequest { certify, ..SigningRequest::default() };
        let signed = notary.sign(&pdf(2), &request);
        assert_eq!(notary.verify(&signed).standing(), Standing::Trusted);
        // A revision that changes nothing is no change.
        let same = changed(&signed, |document, update| edit(document, update, number(4), |_| ()));
        assert_eq!(notary.verify(&same).standing(), Standing::Trusted);
        for (what, code, attack) in ATTACKS {
            assert_flagged(&notary, what, &changed(&signed, attack), code);
        }
    }
}

#[test]
fn forms_are_filled_in_where_that_is_allowed() {
    let notary = Notary::new(Key::P256);
    let fill = |document: &Document, update: &mut Update<'_>| {
        let look = update.allocate();
        update.set(look, stream("/Tx BMC EMC"));
        edit(document, update, number(6), |field| {
            field.set("V", Object::text("Bob"));
            field.set("AP", Dictionary::new().with("N", look));
        });
    };
    for (certify, standing) in [
        (None, Standing::Trusted),
        (Some(Permission::FillIn), Standing::Trusted),
        (Some(Permission::Annotate), Standing::Trusted),
        (Some(Permission::NoChanges), Standing::Tampered),
    ] {
        let request = SigningRequest { certify, ..SigningRequest::default() };
        let signed = notary.sign(&pdf_with_form(), &request);
        let filled = changed(&signed, fill);
        let report = notary.verify(&filled);
        assert_eq!(report.standing(), standing, "{certify:?}: {report:?}");
        let words = report.signatures[0].changes[0].0.to_string();
        assert_eq!(words, "the form field Name was filled in: \"nobody\" became \"Bob\"");
        // What the field looks like may not be borrowed from a page.
        let shadow = changed(&signed, |document, update| {
            fill(document, update);
            update.set(number(5), stream("BT /F 18 Tf 72 720 Td (Owner:) Tj ET"));
        });
        assert_flagged(&notary, "shadow", &shadow, "object-changed");
    }
}

#[test]
fn an_appearance_that_a_page_shows_too_cannot_be_rewritten() {
    // Prepared before it is signed: the content of the page is the look of the field.
    let prepared = changed(&pdf_with_form(), |document, update| {
        edit(document, update, number(6), |field| field.set("AP", Dictionary::new().with("N", number(5))));
    });
    let notary = Notary::new(Key::P256);
    let signed = notary.sign(&prepared, &SigningRequest::default());
    assert_eq!(notary.verify(&signed).standing(), Standing::Trusted);
    let attacked = changed(&signed, |document, update| {
        update.set(number(5), stream("BT /F 18 Tf 72 720 Td (Owner:) Tj ET"));
        edit(document, update, number(6), |field| field.set("V", Object::text("Bob")));
    });
    assert_flagged(&notary, "shadow", &attacked, "object-changed");
}

#[test]
fn a_time_stamp_of_another_signature_is_flagged() {
    let notary = Notary::new(Key::P256);
    let mut stamper = Stamper::new(&notary);
    let mut copying = Copying { stamper: &mut stamper };
    let forged = notary.sign_with(&pdf(1), &SigningRequest::default(), Some((&mut copying, 4000)));
    let forged = forged.content.to_vec(usize::MAX).unwrap().unwrap().to_vec();
    assert_flagged(&notary, "copied time stamp", &forged, "time-stamp-of-other-signature");
    let honest = notary.sign_with(&pdf(1), &SigningRequest::default(), Some((&mut stamper, 4000)));
    let honest = honest.content.to_vec(usize::MAX).unwrap().unwrap().to_vec();
    assert_eq!(notary.verify(&honest).standing(), Standing::Trusted);
}

/// Gives the time stamp of something else.
struct Copying<'s, 'n> {
    stamper: &'s mut Stamper<'n>,
}

impl mailer::documents::sign::TimeStamper for Copying<'_, '_> {
    fn stamp(&mut self, _octets: &[u8]) -> Result<Vec<u8>, mailer::time_stamping::NoTimeStamp> {
        self.stamper.stamp(b"another signature")
    }
}

/// The file with the first occurrence of one text exchanged for another of the same length.
fn overwritten(file: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = file.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
    [&file[..at], new.as_bytes(), &file[at + old.len()..]].concat()
}

#[test]
fn octets_and_byte_ranges_that_were_changed_are_flagged() {
    let notary = Notary::new(Key::P256);
    let signed = notary.sign(&pdf(1), &SigningRequest::default());
    let document = Document::open(&Content::from_vec(signed.clone())).unwrap();
    let signature = signatures(&document).unwrap().remove(0).signature.unwrap();
    let at = signed.windows(10).position(|window| window == b"/ByteRange").unwrap();
    let end = at + signed[at..].iter().position(|octet| *octet == b']').unwrap() + 1;
    let range = String::from_utf8(signed[at..end].to_vec()).unwrap();
    let with_range = |numbers: [u64; 4]| {
        let text = format!("/ByteRange [{} {} {} {}", numbers[0], numbers[1], numbers[2], numbers[3]);
        overwritten(&signed, &range, &format!("{text:<width$}]", width = range.len() - 1))
    };
    let (before, after) = (signature.gap.start, signature.gap.end);
    let length = signed.len() as u64 - after;
    assert_eq!(with_range([0, before, after, length]).len(), signed.len());
    for (what, range) in [
        ("it begins later", [1, before - 1, after, length]),
        ("the gap is larger in front", [0, before - 8, after, length]),
        ("the gap is larger behind", [0, before, after + 8, length - 8]),
        ("the parts overlap", [0, after, before, length]),
        ("nothing is signed", [0, 0, 0, 0]),
        ("it ends earlier", [0, before, after, length - 40]),
        ("it ends beyond the file", [0, before, after, length + 1]),
        ("it wraps around", [0, before, after, u64::MAX >> 1]),
    ] {
        let report = notary.verify(&with_range(range));
        assert_eq!(report.standing(), Standing::Tampered, "{what}: {report:?}");
    }
    assert_flagged(&notary, "text", &overwritten(&signed, "fee is 100", "fee is 900"), "content-changed");
    assert_flagged(
        &notary,
        "range gone",
        &overwritten(&signed, "/ByteRange", "/ByteRangX"),
        "signature-malformed",
    );
    assert_flagged(
        &notary,
        "contents gone",
        &overwritten(&signed, "/Contents <", "/Contentz <"),
        "signature-malformed",
    );
    let junk = [&signed[..], b"5 0 obj\n<</Length 3>>\nstream\nabc\nendstream\nendobj\n"].concat();
    assert_flagged(&notary, "octets behind the end", &junk, "octets-after-the-end");
    let blank = [&signed[..], b"\n \n"].concat();
    assert_eq!(notary.verify(&blank).standing(), Standing::Trusted);
}

#[test]
fn a_signature_cannot_be_moved_into_another_document() {
    let notary = Notary::new(Key::P256);
    let signed = notary.sign(&pdf(1), &SigningRequest::default());
    let other = notary.sign(&pdf(2), &SigningRequest::default());
    let take = |file: &[u8]| {
        let document = Document::open(&Content::from_vec(file.to_vec())).unwrap();
        signatures(&document).unwrap().remove(0).signature.unwrap()
    };
    let (from, to) = (take(&signed), take(&other));
    let mut moved = other.clone();
    let target = usize::try_from(to.gap.start).unwrap() + 1;
    let contents = hex::encode(&from.contents);
    moved[target..target + contents.len()].copy_from_slice(contents.as_bytes());
    assert_flagged(&notary, "moved", &moved, "content-changed");
}

#[test]
fn a_later_signature_cannot_allow_changes() {
    let notary = Notary::new(Key::P256);
    let first = notary.sign(&pdf(1), &SigningRequest::default());
    let second = notary.sign(&first, &SigningRequest::default());
    // The second signature claims to certify: its dictionary is rewritten before it is signed, as an attacker would.
    let document = Document::open(&Content::from_vec(second.clone())).unwrap();
    let certified = mailer::documents::permission::of_document(&document).unwrap();
    assert_eq!(certified, None);
    let request = SigningRequest { certify: Some(Permission::Annotate), ..SigningRequest::default() };
    assert!(notary.try_sign(&first, &request).unwrap_err().contains("only the first signature can certify"));
}

#[test]
fn a_card_that_fails_leaves_no_document_and_no_time_stamp() {
    let notary = Notary::new(Key::P256);
    let mut asked = Asked(0);
    let problem = notary.sign_with_failing_key(&pdf(1), &mut asked);
    assert_eq!((problem, asked.0), ("card-removed", 0));
}

/// Counts how often a time stamp was asked for.
struct Asked(usize);

impl mailer::documents::sign::TimeStamper for Asked {
    fn stamp(&mut self, _octets: &[u8]) -> Result<Vec<u8>, mailer::time_stamping::NoTimeStamp> {
        self.0 += 1;
        Err(mailer::time_stamping::NoTimeStamp::NoServer)
    }
}
