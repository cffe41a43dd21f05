//! What we sign, judged by everybody.
use mailer::documents::Permission;
use mailer::documents::preparation::SigningRequest;
use mailer::documents::verify::{Level, Standing};

use crate::judges::{all_accept, pyhanko};
use crate::material::{HOUR, Notary, Stamper, pdf, pdf_with_form, tool};
use crate::openssl_pki::Key;

fn plain() -> SigningRequest {
    SigningRequest { reason: Some("Issued".to_owned()), ..SigningRequest::default() }
}

#[test]
fn a_baseline_signature_is_good_for_everybody() {
    for key in [Key::P256, Key::Rsa2048, Key::P384] {
        let notary = Notary::new(key);
        let signed = notary.sign(&pdf(3), &plain());
        all_accept(&notary, "plain", &signed);
        let report = notary.verify(&signed);
        assert_eq!(report.standing(), Standing::Trusted, "{report:?}");
        assert_eq!((report.signatures[0].level, report.uncovered), (Some(Level::BB), 0));
        let (code, said) = pyhanko(&notary, &["adesverify"], "plain.pdf");
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn several_signatures_stand_one_after_another() {
    let notary = Notary::new(Key::P256);
    let once = notary.sign(&pdf(2), &plain());
    let twice = notary.sign(&once, &plain());
    let thrice = notary.sign(&twice, &plain());
    assert!(thrice.starts_with(&once));
    all_accept(&notary, "thrice", &thrice);
    let report = notary.verify(&thrice);
    assert_eq!(report.standing(), Standing::Trusted, "{report:?}");
    let changes: Vec<usize> = report.signatures.iter().map(|signature| signature.changes.len()).collect();
    assert_eq!(changes, [2, 1, 0]);
}

#[test]
fn a_certification_allows_what_it_says() {
    let notary = Notary::new(Key::P256);
    for (permission, number) in
        [(Permission::NoChanges, 1), (Permission::FillIn, 2), (Permission::Annotate, 3)]
    {
        let request = SigningRequest { certify: Some(permission), ..plain() };
        let signed = notary.sign(&pdf_with_form(), &request);
        all_accept(&notary, "certified", &signed);
        let report = notary.verify(&signed);
        assert_eq!((report.standing(), report.certified), (Standing::Trusted, Some(permission)));
        let (_, said) =
            tool(notary.pki.path(), "qpdf", &["--qdf", "--object-streams=disable", "certified.pdf", "-"]);
        assert!(said.contains(&format!("/P {number}")), "{said}");
    }
}

#[test]
fn a_time_stamp_makes_the_signature_b_t() {
    let notary = Notary::new(Key::P256);
    let mut stamper = Stamper::new(&notary);
    let signed = notary.sign_with(&pdf(1), &plain(), Some((&mut stamper, 4000)));
    assert!(matches!(signed.stamped, Some(Ok(()))));
    let signed = signed.content.to_vec(usize::MAX).unwrap().unwrap();
    all_accept(&notary, "stamped", &signed);
    let report = notary.verify(&signed);
    assert_eq!(report.signatures[0].level, Some(Level::BT), "{report:?}");
}

#[test]
fn a_b_lt_signature_is_proven_without_asking_anybody() {
    let notary = Notary::new(Key::P256);
    let mut stamper = Stamper::new(&notary);
    let proof = notary.proof(&stamper);
    assert_eq!((proof.certificates.len(), proof.lists.len()), (4, 2));
    let request =
        SigningRequest { validation_data: Some(proof), certify: Some(Permission::NoChanges), ..plain() };
    let sign = |request: &SigningRequest, stamper: &mut Stamper<'_>| {
        let signed = notary.sign_with(&pdf(1), request, Some((stamper, 4000)));
        signed.content.to_vec(usize::MAX).unwrap().unwrap().to_vec()
    };
    let proven = sign(&request, &mut stamper);
    all_accept(&notary, "proven", &proven);
    let (code, said) = pyhanko(&notary, &["adesverify"], "proven.pdf");
    assert_eq!(code, 0, "{said}");
    let stamped = sign(&plain(), &mut stamper);
    // A month later the CRLs are old, and there are no others.
    let later = notary.at + 720 * HOUR;
    let report = notary.verify_at(&proven, later, &[]);
    assert_eq!(
        (report.standing(), report.signatures[0].level),
        (Standing::Trusted, Some(Level::BLT)),
        "{report:?}"
    );
    assert_eq!(notary.verify_at(&stamped, later, &[]).standing(), Standing::Untrusted);
}
