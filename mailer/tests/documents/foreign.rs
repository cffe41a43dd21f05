//! What pyHanko signs, judged by us; and what it changes afterwards.
use mailer::documents::Permission;
use mailer::documents::verify::{Judgement, Level, Standing};

use crate::judges::python_tool;
use crate::material::{CRL_VALID, HOUR, Notary, Stamper, pdf, pdf_with_form, tool};
use crate::openssl_pki::{Key, openssl};

/// A notary whose keys pyHanko can read.
fn notary(key: Key) -> Notary {
    let notary = Notary::new(key);
    // The time stamper that pyHanko brings along signs with RSA only.
    Stamper::with(&notary, Key::Rsa2048);
    for name in ["notary", "Stamper"] {
        let (key, file) = (format!("{name}.key"), format!("{name}.p8"));
        openssl(notary.pki.path(), &["pkcs8", "-topk8", "-nocrypt", "-in", &key, "-out", &file]);
    }
    for authority in [&notary.pki.root, &notary.pki.people] {
        authority.crl_with("", CRL_VALID);
    }
    notary
}

fn pyhanko(notary: &Notary, arguments: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/documents/pyhanko_signs.py");
    let (code, said) = tool(notary.pki.path(), &python_tool("python3"), &[&[script], arguments].concat());
    assert_eq!(code, 0, "{arguments:?}: {said}");
}

#[test]
fn what_pyhanko_signs_is_trusted_at_its_level() {
    for key in [Key::P256, Key::Rsa2048] {
        let notary = notary(key);
        notary.pki.write("in.pdf", &pdf(2));
        for (level, reached) in [
            ("bb", Some(Level::BB)),
            ("bt", Some(Level::BT)),
            ("blt", Some(Level::BLT)),
            ("blta", Some(Level::BLT)),
            ("cms", None),
        ] {
            pyhanko(&notary, &["sign", level, "in.pdf", "out.pdf"]);
            let report = notary.verify(&notary.pki.read("out.pdf"));
            assert_eq!(report.standing(), Standing::Trusted, "{level}: {report:?}");
            let first = &report.signatures[0];
            assert_eq!(
                (first.level, first.reason.as_deref()),
                (reached, Some("Signed elsewhere")),
                "{level}"
            );
            if level == "blta" {
                let stamp = report.signatures.iter().find_map(|found| match &found.judgement {
                    Judgement::TimeStamp(outcome) => Some(outcome),
                    _ => None,
                });
                assert!(stamp.is_some_and(Result::is_ok), "{report:?}");
            }
        }
    }
}

#[test]
fn what_pyhanko_proves_for_long_needs_nobody_later() {
    let notary = notary(Key::P256);
    notary.pki.write("in.pdf", &pdf(1));
    pyhanko(&notary, &["sign", "blta", "in.pdf", "out.pdf"]);
    let later = notary.at + 720 * HOUR;
    let report = notary.verify_at(&notary.pki.read("out.pdf"), later, &[]);
    assert_eq!(report.standing(), Standing::Trusted, "{report:?}");
}

#[test]
fn what_pyhanko_changes_is_told_and_judged_by_the_certification() {
    let notary = notary(Key::P256);
    notary.pki.write("in.pdf", &pdf_with_form());
    pyhanko(&notary, &["sign", "bb", "in.pdf", "signed.pdf", "certify"]);
    let report = notary.verify(&notary.pki.read("signed.pdf"));
    assert_eq!((report.standing(), report.certified), (Standing::Trusted, Some(Permission::FillIn)));
    for (kind, code, standing) in [
        ("fill", "field-filled", Standing::Trusted),
        ("metadata", "metadata-changed", Standing::Trusted),
        ("content", "page-changed", Standing::Tampered),
        ("annotation", "annotation-changed", Standing::Tampered),
    ] {
        pyhanko(&notary, &["change", kind, "signed.pdf", "changed.pdf"]);
        let report = notary.verify(&notary.pki.read("changed.pdf"));
        let codes: Vec<&str> = report.signatures[0].changes.iter().map(|(change, _)| change.code()).collect();
        assert_eq!((report.standing(), codes.contains(&code)), (standing, true), "{kind}: {report:?}");
    }
}

#[test]
fn our_signatures_stand_beside_those_of_pyhanko() {
    let notary = notary(Key::P256);
    notary.pki.write("in.pdf", &pdf(1));
    pyhanko(&notary, &["sign", "bt", "in.pdf", "theirs.pdf"]);
    let both = notary
        .sign(&notary.pki.read("theirs.pdf"), &mailer::documents::preparation::SigningRequest::default());
    crate::judges::all_accept(&notary, "both", &both);
    assert_eq!(notary.verify(&both).standing(), Standing::Trusted);
    notary
        .pki
        .write("ours.pdf", &notary.sign(&pdf(1), &mailer::documents::preparation::SigningRequest::default()));
    pyhanko(&notary, &["sign", "bb", "ours.pdf", "both.pdf"]);
    let report = notary.verify(&notary.pki.read("both.pdf"));
    assert_eq!((report.standing(), report.signatures.len()), (Standing::Trusted, 2), "{report:?}");
}
