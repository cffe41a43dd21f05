//! Signed files that are built to show something else to other programs, or that wait for an object; and their untouched twins.
use mailer::content::Content;
use mailer::documents::Permission;
use mailer::documents::pdf::{Dictionary, Document, Name, Object, PdfError, Reference, Update};
use mailer::documents::preparation::{Placement, SigningRequest};
use mailer::documents::seal::{Frame, Seal, SealFont};
use mailer::documents::sign::TimeStamper;
use mailer::documents::signature::signatures;
use mailer::documents::verify::Standing;

use crate::attacks::{
    add_signature_field, catalog, changed, codes, edit, form_object, number, over_the_page, show_on_page,
    signature_field, stream,
};
use crate::material::{Notary, Stamper, assemble, pdf, pdf_with_form};
use crate::openssl_pki::Key;

/// Of the package fonts-dejavu-core.
const DEJAVU: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

const OTHER_TEXT: &str = "BT /F 18 Tf 72 720 Td (The fee is 900.) Tj ET";
const OTHER_CONTENT: &str =
    "5 0 obj\n<</Length 45>>\nstream\nBT /F 18 Tf 72 720 Td (The fee is 900.) Tj ET\nendstream\nendobj\n";

fn certifying(certify: Option<Permission>) -> SigningRequest {
    SigningRequest { certify, ..SigningRequest::default() }
}

/// No certification, and each that may forbid something.
const CERTIFICATIONS: [Option<Permission>; 4] =
    [None, Some(Permission::NoChanges), Some(Permission::FillIn), Some(Permission::Annotate)];

fn opened(file: &[u8]) -> Result<Document, PdfError> {
    Document::open(&Content::from_vec(file.to_vec()))
}

/// The file can be opened, and the change is found.
fn assert_found(notary: &Notary, what: &str, file: &[u8], code: &str) {
    let report = notary.verify(file);
    assert_eq!(report.standing(), Standing::Tampered, "{what}: {report:?}");
    let found = codes(&report);
    assert!(found.contains(&code), "{what}: {found:?} instead of {code}");
}

fn assert_trusted(notary: &Notary, what: &str, file: &[u8]) {
    let report = notary.verify(file);
    assert_eq!(report.standing(), Standing::Trusted, "{what}: {report:?}");
}

/// A revision that sets the catalog to what it is.
fn with_empty_revision(file: &[u8]) -> Vec<u8> {
    changed(file, |document, update| edit(document, update, catalog(document), |_| ()))
}

fn last(file: &[u8], text: &str) -> usize {
    file.windows(text.len()).rposition(|window| window == text.as_bytes()).unwrap()
}

fn inserted(file: &[u8], at: usize, text: &str) -> Vec<u8> {
    [&file[..at], text.as_bytes(), &file[at..]].concat()
}

fn with_symbols() -> Dictionary {
    Dictionary::new()
        .with("Type", Name::new("Font"))
        .with("Subtype", Name::new("Type1"))
        .with("BaseFont", Name::new("ZapfDingbats"))
}

/// The number of the stream that an annotation looks like.
fn look_of(document: &Document, annotation: Reference) -> Reference {
    let object = document.object(annotation).unwrap();
    let look = document.get(object.as_dictionary().unwrap(), "AP").unwrap().unwrap();
    look.as_dictionary().unwrap().get("N").unwrap().as_reference().unwrap()
}

#[test]
fn a_seal_keeps_its_look() {
    let notary = Notary::new(Key::P256);
    for certify in CERTIFICATIONS {
        let seal = Seal {
            lines: vec!["Notary".to_owned()],
            image: None,
            frame: Frame::Thin,
            width: 200.0,
            height: 72.0,
            font: Some(SealFont::read(std::fs::read(DEJAVU).unwrap(), 0).unwrap()),
        };
        let placement = Some(Placement { page: 1, corner: [300.0, 60.0], seal });
        let signed =
            notary.sign(&pdf(2), &SigningRequest { certify, placement, ..SigningRequest::default() });
        let same = changed(&signed, |document, update| {
            let look = look_of(document, signature_field(document));
            update.set(look, document.object(look).unwrap());
        });
        assert_trusted(&notary, "the same look", &same);
        let attacked = changed(&signed, |document, update| {
            update.set(look_of(document, signature_field(document)), form_object("Signed by the minister"));
        });
        assert_found(&notary, "another look", &attacked, "object-changed");
        // A second signature does not make it its own.
        let request = SigningRequest::default();
        if certify != Some(Permission::NoChanges) {
            assert_trusted(&notary, "signed twice", &notary.sign(&signed, &request));
            let second = notary.sign(&attacked, &request);
            assert_found(&notary, "another look, signed", &second, "object-changed");
        }
    }
}

#[test]
fn octets_between_revisions_are_flagged() {
    let notary = Notary::new(Key::P256);
    for certify in CERTIFICATIONS {
        let signed = notary.sign(&pdf(1), &certifying(certify));
        let honest = with_empty_revision(&signed);
        assert_trusted(&notary, "nothing between", &honest);
        let apart = with_empty_revision(&[&signed[..], b"\n% another program\n\n"].concat());
        assert_trusted(&notary, "a comment between", &apart);
        let before = with_empty_revision(&[&signed[..], OTHER_CONTENT.as_bytes()].concat());
        assert_found(&notary, "before the revision", &before, "octets-after-the-end");
        let after = [&honest[..], OTHER_CONTENT.as_bytes()].concat();
        assert_found(&notary, "after the revision", &after, "octets-after-the-end");
        let hidden = with_empty_revision(&[&signed[..], b"%\n", OTHER_CONTENT.as_bytes()].concat());
        assert_found(&notary, "behind a comment", &hidden, "octets-after-the-end");
        // What belongs to no object stays what it is when somebody signs again.
        if certify != Some(Permission::NoChanges) {
            let again = notary.sign(&before, &SigningRequest::default());
            assert_found(&notary, "signed again", &again, "octets-after-the-end");
        }
    }
}

#[test]
fn octets_between_a_trailer_and_its_startxref_are_flagged() {
    let notary = Notary::new(Key::P256);
    let honest = with_empty_revision(&notary.sign(&pdf(1), &SigningRequest::default()));
    let closing = inserted(&honest, last(&honest, "startxref"), OTHER_CONTENT);
    assert_found(&notary, "before startxref", &closing, "octets-after-the-end");
}

#[test]
fn an_object_that_was_listed_for_a_while_is_flagged() {
    let notary = Notary::new(Key::P256);
    let signed = notary.sign(&pdf(1), &SigningRequest::default());
    let text = stream(OTHER_TEXT);
    let between = changed(&signed, |_, update| update.set(number(5), text));
    assert_found(&notary, "the newest content", &between, "object-changed");
    // The next revision leads to the signed content again; who looks for the last object finds the other.
    let content = signed.windows(8).position(|window| window == b"\n5 0 obj").unwrap() + 1;
    let document = opened(&between).unwrap();
    let previous = document.revisions().last().unwrap().start_cross_reference;
    let (start, size) = (between.len(), document.trailer().get("Size").unwrap().as_integer().unwrap());
    let section = format!(
        "xref\n5 1\n{content:010} 00000 n \ntrailer\n<</Size {size} /Root 1 0 R /Prev {previous}>>\nstartxref\n{start}\n%%EOF\n"
    );
    let hidden = [&between[..], section.as_bytes()].concat();
    let report = notary.verify(&hidden);
    assert_eq!(report.standing(), Standing::Tampered, "{report:?}");
}

#[test]
fn encryption_cannot_come_later() {
    let notary = Notary::new(Key::P256);
    for certify in CERTIFICATIONS {
        let signed = notary.sign(&pdf(1), &certifying(certify));
        let honest = with_empty_revision(&signed);
        let trailer = last(&honest, "trailer\n<<") + "trailer\n<<".len();
        // Nothing is encrypted for readers who know the filter Identity.
        let identity = inserted(&honest, trailer, "/Encrypt <</Filter /Standard /V 4 /R 4>> ");
        assert_found(&notary, "Identity", &identity, "document-changed");
        let password = "/Encrypt <</Filter /Standard /V 1 /R 2 /O (0) /U (0) /P -4>> ";
        assert_found(&notary, "a password", &inserted(&honest, trailer, password), "document-changed");
    }
}

/// A check box with a widget of its own, 7, and its looks 8 (no) and 9 (yes); a text field that is read-only, 10.
fn pdf_with_check_box() -> Vec<u8> {
    let text = "BT /F 18 Tf 72 720 Td (I agree to pay) Tj ET";
    let look = |text: &str| {
        format!(
            "<</Type /XObject /Subtype /Form /BBox [0 0 200 40] /Length {}>>\nstream\n{text}\nendstream",
            text.len()
        )
    };
    let objects = [
        "<</Type /Catalog /Pages 2 0 R /AcroForm <</Fields [6 0 R 10 0 R]>>>>".to_owned(),
        "<</Type /Pages /Count 1 /Kids [4 0 R]>>".to_owned(),
        "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>".to_owned(),
        "<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources <</Font <</F 3 0 R>>>> /Annots [7 0 R 10 0 R]>>".to_owned(),
        format!("<</Length {}>>\nstream\n{text}\nendstream", text.len()),
        "<</FT /Btn /T (agree) /V /Off /Kids [7 0 R]>>".to_owned(),
        "<</Type /Annot /Subtype /Widget /Parent 6 0 R /AS /Off /F 4 /Rect [300 700 320 720] /AP <</N <</Off 8 0 R /Yes 9 0 R>>>>>>".to_owned(),
        look("0 0 20 20 re S"),
        look("0 0 20 20 re f"),
        "<</Type /Annot /Subtype /Widget /FT /Tx /Ff 1 /T (fee) /V (100) /F 4 /Rect [300 600 500 640] /AP <</N 11 0 R>>>>".to_owned(),
        look("BT /F 18 Tf (100) Tj ET"),
    ];
    assemble(&objects, "")
}

type Attack = (&'static str, &'static str, fn(&Document, &mut Update<'_>));

const LOOKS: &[Attack] = &[
    ("another look", "field-changed", |document, update| {
        let look = update.allocate();
        update.set(look, form_object("900"));
        edit(document, update, number(10), |field| field.set("AP", Dictionary::new().with("N", look)));
    }),
    ("the look rewritten", "object-changed", |_, update| update.set(number(11), form_object("900"))),
    ("no look", "field-changed", |document, update| {
        edit(document, update, number(10), |field| {
            field.remove("AP");
        });
    }),
    ("another state", "field-changed", |document, update| {
        edit(document, update, number(7), |widget| widget.set("AS", Name::new("Yes")));
    }),
    ("the states exchanged", "field-changed", |document, update| {
        edit(document, update, number(7), |widget| {
            let looks = Dictionary::new().with("Off", number(9)).with("Yes", number(8));
            widget.set("AP", Dictionary::new().with("N", looks));
        });
    }),
    ("the look of a state rewritten", "object-changed", |_, update| {
        update.set(number(8), stream("0 0 20 20 re f"));
    }),
    ("what may only be read", "field-changed", |document, update| {
        edit(document, update, number(10), |field| field.set("V", Object::text("900")));
    }),
];

#[test]
fn a_field_looks_like_its_value() {
    let notary = Notary::new(Key::P256);
    for certify in CERTIFICATIONS {
        let signed = notary.sign(&pdf_with_check_box(), &certifying(certify));
        assert_trusted(&notary, "untouched", &with_empty_revision(&signed));
        let checked = changed(&signed, |document, update| {
            edit(document, update, number(6), |field| field.set("V", Name::new("Yes")));
            edit(document, update, number(7), |widget| widget.set("AS", Name::new("Yes")));
        });
        if certify == Some(Permission::NoChanges) {
            assert_found(&notary, "filled in", &checked, "field-filled");
        } else {
            assert_trusted(&notary, "filled in", &checked);
        }
        for (what, code, attack) in LOOKS {
            assert_found(&notary, what, &changed(&signed, attack), code);
        }
        // Text fields without a look, too.
        let signed = notary.sign(&pdf_with_form(), &certifying(certify));
        let covered = changed(&signed, |document, update| {
            let look = update.allocate();
            update.set(look, form_object("900"));
            edit(document, update, number(6), |field| field.set("AP", Dictionary::new().with("N", look)));
        });
        assert_found(&notary, "a first look", &covered, "field-changed");
    }
}

#[test]
fn an_empty_signature_field_stands_before_the_first_signature_or_never() {
    let notary = Notary::new(Key::P256);
    for certify in CERTIFICATIONS {
        // Prepared for a second signer before the first one signs.
        let prepared = changed(&pdf(1), |document, update| add_signature_field(document, update, None));
        let signed = notary.sign(&prepared, &certifying(certify));
        assert_trusted(&notary, "prepared", &with_empty_revision(&signed));
        let request = SigningRequest { field: Some("Other".to_owned()), ..SigningRequest::default() };
        if certify != Some(Permission::NoChanges) {
            assert_trusted(&notary, "both signed", &notary.sign(&signed, &request));
        }
        let signed = notary.sign(&pdf(1), &certifying(certify));
        let added = changed(&signed, |document, update| add_signature_field(document, update, None));
        assert_found(&notary, "added", &added, "field-changed");
    }
}

#[test]
fn an_object_that_was_missing_when_it_was_signed_cannot_come_later() {
    let notary = Notary::new(Key::P256);
    let content = |document: &Document, update: &mut Update<'_>| {
        edit(document, update, number(4), |page| {
            page.set("Contents", vec![number(5).into(), number(90).into()])
        });
    };
    let annotation =
        |document: &Document, update: &mut Update<'_>| show_on_page(document, update, number(90));
    let resource = |document: &Document, update: &mut Update<'_>| {
        edit(document, update, number(4), |page| {
            let mut resources = page.get("Resources").unwrap().as_dictionary().unwrap().clone();
            resources.set("XObject", Dictionary::new().with("X", number(90)));
            page.set("Resources", resources);
        });
        update.set(number(5), stream("BT /F 18 Tf 72 720 Td (The fee is 100.) Tj ET /X Do"));
    };
    let layers = |document: &Document, update: &mut Update<'_>| {
        edit(document, update, catalog(document), |root| root.set("OCProperties", number(90)));
    };
    let prepared = [
        ("content", changed(&pdf(1), content), form_object("The fee is 900.").into()),
        ("annotation", changed(&pdf(1), annotation), Object::from(over_the_page(number(91)))),
        ("resource", changed(&pdf(1), resource), form_object("The fee is 900.").into()),
        ("layers", changed(&pdf(1), layers), Dictionary::new().with("OCGs", Vec::new()).into()),
    ];
    for certify in CERTIFICATIONS {
        for (what, file, object) in &prepared {
            let signed = notary.sign(file, &certifying(certify));
            assert_trusted(&notary, what, &with_empty_revision(&signed));
            let attacked = changed(&signed, |_, update| {
                update.set(number(90), object.clone());
                update.set(number(91), form_object("The fee is 900."));
            });
            assert_found(&notary, what, &attacked, "object-changed");
        }
    }
}

#[test]
fn free_numbers_do_not_wait_for_objects() {
    let notary = Notary::new(Key::P256);
    let missing = changed(&pdf(1), |document, update| {
        edit(document, update, number(4), |page| {
            page.set("Contents", vec![number(5).into(), number(90).into()])
        });
    });
    let at = last(&missing, "/Size ") + "/Size ".len();
    let digits = missing[at..].iter().take_while(|octet| octet.is_ascii_digit()).count();
    let with_size = |size: &str| [&missing[..at], size.as_bytes(), &missing[at + digits..]].concat();
    let large = with_size("200");
    for certify in CERTIFICATIONS {
        let signed = notary.sign(&large, &certifying(certify));
        assert_trusted(&notary, "numbers to spare", &with_empty_revision(&signed));
        let attacked = changed(&signed, |_, update| update.set(number(90), stream(OTHER_TEXT)));
        assert_found(&notary, "a spare number used", &attacked, "object-changed");
        if certify != Some(Permission::NoChanges) {
            let twice = notary.sign(&signed, &SigningRequest::default());
            assert_trusted(&notary, "signed twice", &twice);
            let attacked = changed(&twice, |_, update| update.set(number(90), stream(OTHER_TEXT)));
            assert_found(&notary, "a spare number used after both", &attacked, "object-changed");
        }
    }
    // More numbers than other programs know: they would repair the file.
    let signed = with_empty_revision(&notary.sign(&pdf(1), &SigningRequest::default()));
    let at = last(&signed, "/Size ") + "/Size ".len();
    let digits = signed[at..].iter().take_while(|octet| octet.is_ascii_digit()).count();
    for size in ["9000000", "4294967295"] {
        let huge = [&signed[..at], size.as_bytes(), &signed[at + digits..]].concat();
        assert_eq!(opened(&huge).map(|_| ()).unwrap_err().code(), "pdf-too-many");
    }
}

#[test]
fn content_that_claims_to_be_a_container_is_content() {
    let notary = Notary::new(Key::P256);
    for kind in ["XRef", "ObjStm"] {
        let typed = |text: &str| {
            let mut stream = stream(text);
            stream.dictionary.set("Type", Name::new(kind));
            stream
        };
        let prepared = changed(&pdf(1), |_, update| {
            update.set(number(5), typed("BT /F 18 Tf 72 720 Td (The fee is 100.) Tj ET"));
        });
        for certify in CERTIFICATIONS {
            let signed = notary.sign(&prepared, &certifying(certify));
            assert_trusted(&notary, kind, &with_empty_revision(&signed));
            let attacked = changed(&signed, |_, update| update.set(number(5), typed(OTHER_TEXT)));
            assert_found(&notary, kind, &attacked, "object-changed");
        }
    }
}

/// A page whose resources are object 6; the catalog and the trailer say more.
fn pdf_with_roles(in_catalog: &str, in_trailer: &str, content: &str) -> Vec<u8> {
    let text = "BT /F 18 Tf 72 720 Td (The fee is 100.) Tj ET";
    let objects = [
        format!("<</Type /Catalog /Pages 2 0 R{in_catalog}>>"),
        "<</Type /Pages /Count 1 /Kids [4 0 R]>>".to_owned(),
        "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>".to_owned(),
        format!("<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {content} /Resources 6 0 R>>"),
        format!("<</Length {}>>\nstream\n{text}\nendstream", text.len()),
        "<</Font <</F 3 0 R>>>>".to_owned(),
        "[5 0 R]".to_owned(),
    ];
    assemble(&objects, in_trailer)
}

#[test]
fn what_a_page_shows_has_no_other_role() {
    let notary = Notary::new(Key::P256);
    for (role, in_catalog, in_trailer, content) in [
        ("Extensions", " /Extensions 6 0 R", "", "5 0 R"),
        ("DSS", " /DSS 6 0 R", "", "5 0 R"),
        ("Metadata", " /Metadata 6 0 R", "", "5 0 R"),
        ("Perms", " /Perms 6 0 R", "", "5 0 R"),
        ("AcroForm", " /AcroForm 6 0 R", "", "5 0 R"),
        ("Info", "", " /Info 6 0 R", "5 0 R"),
        ("Metadata and Contents", " /Metadata 5 0 R", "", "5 0 R"),
        ("Fields", " /AcroForm <</Fields 7 0 R>>", "", "7 0 R"),
        ("certificates", " /DSS <</Certs 7 0 R>>", "", "7 0 R"),
    ] {
        let file = pdf_with_roles(in_catalog, in_trailer, content);
        for certify in CERTIFICATIONS {
            let signed = notary.sign(&file, &certifying(certify));
            assert_trusted(&notary, role, &with_empty_revision(&signed));
            let attacked = changed(&signed, |document, update| match role {
                "Metadata and Contents" => update.set(number(5), stream(OTHER_TEXT)),
                "Fields" | "certificates" => {
                    let added = update.allocate();
                    update.set(added, stream(OTHER_TEXT));
                    let mut array = document.object(number(7)).unwrap().as_array().unwrap().to_vec();
                    array.push(added.into());
                    update.set(number(7), array);
                }
                _ => {
                    let font = update.allocate();
                    update.set(font, with_symbols());
                    edit(document, update, number(6), |resources| {
                        resources.set("Font", Dictionary::new().with("F", font));
                    });
                }
            });
            assert_found(&notary, role, &attacked, "object-changed");
        }
    }
}

#[test]
fn a_signature_is_written_in_hexadecimal_digits() {
    let notary = Notary::new(Key::P256);
    let signed = notary.sign(&pdf(1), &SigningRequest::default());
    assert_trusted(&notary, "untouched", &signed);
    let signature = signatures(&opened(&signed).unwrap()).unwrap().remove(0).signature.unwrap();
    let gap = usize::try_from(signature.gap.start).unwrap()..usize::try_from(signature.gap.end).unwrap();
    let mut literal = vec![b'('];
    for octet in &signature.object {
        match octet {
            b'(' | b')' | b'\\' => literal.extend([b'\\', *octet]),
            b'\r' => literal.extend(b"\\r"),
            other => literal.push(*other),
        }
    }
    literal.resize(gap.len() - 1, 0);
    literal.push(b')');
    let file = [&signed[..gap.start], &literal, &signed[gap.end..]].concat();
    assert_found(&notary, "a literal string", &file, "signature-malformed");
    // White space between the digits leaves room for as little.
    let mut spaced = signed.clone();
    spaced[gap.end - 3..gap.end - 1].fill(b' ');
    assert_found(&notary, "white space", &spaced, "signature-malformed");
}

/// A time stamp of the whole document, shown on the first page.
fn time_stamped(file: &[u8], stamper: &mut Stamper<'_>, is_visible: bool) -> Vec<u8> {
    let document = opened(file).unwrap();
    let mut update = Update::new(&document).unwrap();
    let stamp = update.allocate();
    add_signature_field(&document, &mut update, Some(stamp));
    if !is_visible {
        let widget = Dictionary::new()
            .with("Type", Name::new("Annot"))
            .with("Subtype", Name::new("Widget"))
            .with("FT", Name::new("Sig"))
            .with("T", Object::text("Other"))
            .with("V", stamp)
            .with("Rect", [0_i64; 4].map(Object::Integer).to_vec());
        // The look, then the field, follow the stamp.
        update.set(number(stamp.number + 2), widget);
    }
    let dictionary = Dictionary::new()
        .with("Type", Name::new("DocTimeStamp"))
        .with("Filter", Name::new("Adobe.PPKLite"))
        .with("SubFilter", Name::new("ETSI.RFC3161"));
    update.set_signature(stamp, dictionary, 6000);
    let appended = update.finish([8; 16]).unwrap();
    let whole = appended.whole.to_vec(usize::MAX).unwrap().unwrap().to_vec();
    let gap = appended.signature.as_ref().unwrap().contents.clone();
    let (start, end) = (usize::try_from(gap.start).unwrap(), usize::try_from(gap.end).unwrap());
    let token = stamper.stamp(&[&whole[..start], &whole[end..]].concat()).unwrap();
    appended.with_contents(&token).unwrap().to_vec(usize::MAX).unwrap().unwrap().to_vec()
}

#[test]
fn a_time_stamp_shows_nothing() {
    let notary = Notary::new(Key::P256);
    let mut stamper = Stamper::new(&notary);
    for certify in CERTIFICATIONS {
        let signed = notary.sign(&pdf(1), &certifying(certify));
        assert_trusted(&notary, "invisible", &time_stamped(&signed, &mut stamper, false));
        let visible = time_stamped(&signed, &mut stamper, true);
        assert_found(&notary, "visible", &visible, "field-changed");
    }
}
