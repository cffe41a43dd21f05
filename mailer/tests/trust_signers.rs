//! Verdicts about signers: who, why, when. Chains, CRLs and signatures are openssl's.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::collections::HashMap;

use mailer::smime::{SignedMessage, SignerReport, verify};
use mailer::trust::verdict::RevocationAnswer;
use mailer::trust::{
    Anchor, Anchors, Certificate, CertificateList, Judge, Source, UnknownRevocation, Verdict,
};
use openssl_pki::{Authority, CA, Identity, Key, Pki, VALID, mail, now, openssl, signing};

/// CA certificates and CRLs by key identifier, and what was asked.
#[derive(Default)]
struct Published {
    authorities: HashMap<Vec<u8>, Vec<Certificate>>,
    lists: HashMap<Vec<u8>, Vec<CertificateList>>,
    asked_for_lists: usize,
    asked_at_hand: usize,
    asked_directory_for_issuers: usize,
}

impl Published {
    /// Both CRLs of a fresh hierarchy; no CA certificates, which travel with messages.
    fn of(pki: &Pki) -> Self {
        let mut published = Self::default();
        published.list(&pki.root, pki.root.crl());
        published.list(&pki.people, pki.people.crl());
        published
    }

    fn list(&mut self, authority: &Authority, list: CertificateList) {
        self.lists.insert(identifier(authority), vec![list]);
    }
}

fn identifier(authority: &Authority) -> Vec<u8> {
    authority.certificate().subject_key_identifier().unwrap()
}

impl Source for Published {
    fn issuers_at_hand(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        self.asked_at_hand += 1;
        self.authorities.get(key_identifier).cloned().unwrap_or_default()
    }
    fn issuers(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        self.asked_directory_for_issuers += 1;
        self.issuers_at_hand(key_identifier)
    }
    fn revocation_lists(&mut self, key_identifier: &[u8]) -> Vec<CertificateList> {
        self.asked_for_lists += 1;
        self.lists.get(key_identifier).cloned().unwrap_or_default()
    }
}

fn anchors(pki: &Pki) -> Anchors {
    Anchors(vec![Anchor { certificate: pki.root.certificate(), domains: vec!["example.test".to_owned()] }])
}

fn signed_by(pki: &Pki, signer: &Identity, options: &[&str]) -> SignedMessage {
    pki.write("content", b"Content-Type: text/plain\r\n\r\nHello.\r\n");
    let (certificate, key) = (signer.pem(), signer.key());
    let arguments = [
        "cms",
        "-sign",
        "-binary",
        "-nodetach",
        "-in",
        "content",
        "-outform",
        "DER",
        "-out",
        "signed.der",
        "-signer",
        &certificate,
        "-inkey",
        &key,
    ];
    openssl(pki.path(), &[&arguments[..], options].concat());
    verify(&pki.read("signed.der"), None, &[]).unwrap()
}

fn judge(pki: &Pki, published: &mut Published, message: &SignedMessage, from: &str) -> Verdict {
    judge_at(&anchors(pki), published, message, from, now(), UnknownRevocation::Reject)
}

fn judge_at(
    anchors: &Anchors,
    published: &mut Published,
    message: &SignedMessage,
    from: &str,
    at: jiff::Timestamp,
    unknown_revocation: UnknownRevocation,
) -> Verdict {
    let from: Vec<String> = from.split_whitespace().map(str::to_owned).collect();
    Judge { anchors, source: published, at, unknown_revocation }.signed_message(message, &from)
}

/// The verdict about a mail from alice with her certificate and the people CA's.
fn verdict_about(pki: &Pki, published: &mut Published, alice: &Identity) -> Verdict {
    let message = signed_by(pki, alice, &["-certfile", "People.pem"]);
    judge(pki, published, &message, "alice@example.test")
}

#[test]
fn a_good_signature_is_one_clear_sentence() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let mut published = Published::of(&pki);
    let verdict = verdict_about(&pki, &mut published, &alice);
    assert!(verdict.is_trusted() && verdict.is_signed() && !verdict.integrity_failed(), "{verdict}");
    assert_eq!(verdict.code(), "trusted");
    assert_eq!(verdict.revocation(), RevocationAnswer::Good);
    assert_eq!(verdict.address(), Some("alice@example.test"));
    assert_eq!(verdict.certificate(), Some(&alice.certificate()));
    let sentence = verdict.to_string();
    assert!(sentence.starts_with("Signed by alice <alice@example.test> on 20"), "{sentence}");
    assert!(
        sentence.ends_with(
            "certificate valid, issued by People; not revoked as of the CRL of 2026-05-25 00:00 UTC (7 days old)."
        ),
        "{sentence}"
    );
    assert_eq!(published.asked_directory_for_issuers, 0, "reading must not ask for CA certificates");
}

#[test]
fn the_chain_can_come_from_what_is_at_hand() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let message = signed_by(&pki, &alice, &[]);
    let mut published = Published::of(&pki);
    let verdict = judge(&pki, &mut published, &message, "alice@example.test");
    assert_eq!(verdict.code(), "unknown-issuer", "{verdict}");
    assert!(verdict.to_string().contains("issued by People"), "{verdict}");
    assert_eq!(published.asked_for_lists, 0, "a stranger's message must not cause a question about CRLs");
    published.authorities.insert(identifier(&pki.people), vec![pki.people.certificate()]);
    assert!(judge(&pki, &mut published, &message, "alice@example.test").is_trusted());
}

#[test]
fn an_unknown_authority_is_not_trusted_even_under_the_same_names() {
    let (ours, theirs) = (Pki::new(), Pki::new());
    let mallory = theirs.people.issue("alice", Key::P256, &signing("alice@example.test"));
    let message = signed_by(&theirs, &mallory, &["-certfile", "chain.pem"]);
    let verdict = judge(&ours, &mut Published::of(&ours), &message, "alice@example.test");
    assert!(!verdict.is_trusted());
    assert_eq!(verdict.code(), "unknown-issuer", "{verdict}");
    assert_eq!(verdict.address(), None);
}

#[test]
fn a_revoked_signer_is_named_with_reason_and_time() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    pki.people.revoke("alice", &["-crl_compromise", "20260420083000Z"]);
    let verdict = verdict_about(&pki, &mut Published::of(&pki), &alice);
    assert_eq!((verdict.code(), verdict.revocation()), ("revoked", RevocationAnswer::Revoked), "{verdict}");
    let sentence = verdict.to_string();
    assert!(sentence.contains("the signer's certificate was revoked on 2"), "{sentence}");
    assert!(sentence.contains("(key compromise, invalid since 2026-04-20 08:30 UTC)"), "{sentence}");
    assert!(!verdict.integrity_failed(), "the content itself is what was signed");
}

#[test]
fn a_revoked_authority_takes_its_people_along() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    pki.root.revoke("People", &["-crl_reason", "cessationOfOperation"]);
    let verdict = verdict_about(&pki, &mut Published::of(&pki), &alice);
    assert_eq!(verdict.code(), "revoked");
    assert!(verdict.to_string().contains("the CA certificate of People was revoked"), "{verdict}");
    assert!(verdict.to_string().contains("(cessation of operation)"), "{verdict}");
}

#[test]
fn validity_is_judged_for_the_moment_that_is_handed_in() {
    let pki = Pki::new();
    let alice = pki.people.issue_with(
        "alice",
        Key::P256,
        &signing("alice@example.test"),
        ("20260101000000Z", "20260501000000Z"),
    );
    let message = signed_by(&pki, &alice, &["-certfile", "People.pem"]);
    let mut published = Published::of(&pki);
    let verdict = judge(&pki, &mut published, &message, "alice@example.test");
    assert_eq!(verdict.code(), "expired");
    assert!(verdict.to_string().contains("expired on 2026-05-01 00:00 UTC"), "{verdict}");
    let before = "2025-12-31T00:00:00Z".parse().unwrap();
    let verdict = judge_at(
        &anchors(&pki),
        &mut published,
        &message,
        "alice@example.test",
        before,
        UnknownRevocation::Reject,
    );
    assert_eq!(verdict.code(), "not-yet-valid");
}

#[test]
fn unknown_revocation_follows_the_policy() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let message = signed_by(&pki, &alice, &["-certfile", "People.pem"]);
    let from = "alice@example.test";
    let mut published = Published::of(&pki);
    published.lists.remove(&identifier(&pki.people));
    let verdict = judge(&pki, &mut published, &message, from);
    assert_eq!(verdict.code(), "revocation-unknown");
    assert!(verdict.to_string().contains("there is no CRL of People"), "{verdict}");
    let verdict = judge_at(&anchors(&pki), &mut published, &message, from, now(), UnknownRevocation::Accept);
    assert!(verdict.is_trusted());
    assert_eq!(verdict.revocation(), RevocationAnswer::Unknown);
    assert!(verdict.to_string().contains("revocation not checked (there is no CRL of People)"), "{verdict}");
}

#[test]
fn a_crl_counts_only_while_it_is_good_and_from_the_right_hand() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let other = pki.root.subordinate("Other", CA);
    // The same name and database as People, another key.
    let forger = Pki::new();
    let cases = [
        (pki.people.crl_with("", ("20260101000000Z", "20260531000000Z")), "was good until 2026-05-31"),
        (pki.people.crl_with("", ("20260701000000Z", "20260801000000Z")), "comes from the future"),
        (other.crl(), "there is no CRL of People"),
        (forger.people.crl(), "was signed with another key"),
        (
            pki.people.crl_with("2.5.29.99=critical,DER:0500", ("20260525000000Z", "20260610000000Z")),
            "2.5.29.99",
        ),
        (
            pki.people.crl_with(
                "deltaCRL=critical,ASN1:INTEGER:1\n2.5.29.27=critical,DER:020101",
                ("20260525000000Z", "20260610000000Z"),
            ),
            "only a difference",
        ),
        (idp(&pki, "onlyCA=TRUE"), "is for other certificates"),
        (idp(&pki, "onlyAA=TRUE"), "is for other certificates"),
        (idp(&pki, "onlysomereasons=keyCompromise"), "speak only about some reasons"),
        (idp(&pki, "fullname=URI:http://elsewhere.test/x.crl"), "is for other certificates"),
    ];
    for (list, problem) in cases {
        let mut published = Published::of(&pki);
        published.list(&pki.people, list);
        let verdict = verdict_about(&pki, &mut published, &alice);
        assert_eq!(verdict.code(), "revocation-unknown", "{problem}: {verdict}");
        assert!(verdict.to_string().contains(problem), "{problem}: {verdict}");
    }
    // A list that may also speak for other issuers speaks for its own (RFC 5280 section 6.3.3 (b)).
    for scope in ["onlyuser=TRUE", "indirectCRL=TRUE"] {
        let mut published = Published::of(&pki);
        published.list(&pki.people, idp(&pki, scope));
        assert!(verdict_about(&pki, &mut published, &alice).is_trusted());
    }
}

/// A CRL of People with an issuingDistributionPoint.
fn idp(pki: &Pki, scope: &str) -> CertificateList {
    let extensions = format!("issuingDistributionPoint=critical,@scope\n[scope]\n{scope}");
    pki.people.crl_with(&extensions, ("20260525000000Z", "20260610000000Z"))
}

#[test]
fn a_crl_names_one_signature_algorithm() {
    let pki = Pki::new();
    let der = pki.people.crl().der().to_vec();
    // The last octet of ecdsa-with-SHA256, first inside and then outside (RFC 5280 section 5.1.1.2).
    let ecdsa_with_sha256 = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
    let places: Vec<usize> = (0..der.len()).filter(|at| der[*at..].starts_with(&ecdsa_with_sha256)).collect();
    assert_eq!(places.len(), 2);
    for place in places {
        let mut changed = der.clone();
        changed[place + 7] = 0x03;
        let error = CertificateList::from_der(&changed).unwrap_err();
        assert!(error.to_string().contains("two different signature algorithms"), "{error}");
    }
}

#[test]
fn the_newest_crl_decides() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let before = pki.people.crl_with("", ("20260501000000Z", "20260610000000Z"));
    pki.people.revoke("alice", &["-crl_reason", "superseded"]);
    let after = pki.people.crl();
    let mut published = Published::of(&pki);
    for lists in [vec![before.clone(), after.clone()], vec![after, before]] {
        published.lists.insert(identifier(&pki.people), lists);
        assert_eq!(verdict_about(&pki, &mut published, &alice).code(), "revoked");
    }
}

#[test]
fn the_signer_must_be_the_sender() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let message = signed_by(&pki, &alice, &["-certfile", "People.pem"]);
    let mut published = Published::of(&pki);
    let verdict = judge(&pki, &mut published, &message, "boss@example.test");
    assert_eq!(verdict.code(), "address-mismatch");
    assert!(verdict.to_string().contains("for alice@example.test, not for boss@example.test"), "{verdict}");
    for from in ["Alice@EXAMPLE.test", ""] {
        assert!(judge(&pki, &mut published, &message, from).is_trusted(), "{from}");
    }
    for from in ["other@example.test alice@example.test", "alice@example.test other@example.test", "alice"] {
        assert_eq!(judge(&pki, &mut published, &message, from).code(), "address-mismatch", "{from}");
    }
}

#[test]
fn a_long_address_is_compared_whole_and_shown_whole() {
    let pki = Pki::new();
    let wanted = format!("{}@partner.test", "x".repeat(187));
    let certified = format!("{wanted}.attacker.test");
    let mallory = pki.people.issue("mallory", Key::P256, &signing(&certified));
    let message = signed_by(&pki, &mallory, &["-certfile", "People.pem"]);
    let mut both = anchors(&pki);
    both.0[0].domains = vec!["partner.test".to_owned(), "partner.test.attacker.test".to_owned()];
    let verdict = |from: &str| {
        judge_at(&both, &mut Published::of(&pki), &message, from, now(), UnknownRevocation::Reject)
    };
    assert_eq!(verdict(&wanted).code(), "address-mismatch");
    assert!(verdict(&certified).to_string().contains(&format!("<{certified}>")));
    let endless = format!("{}@partner.test", "x".repeat(254));
    let endless = pki.people.issue("endless", Key::P256, &signing(&endless));
    assert!(endless.certificate().mail_addresses().is_empty());
}

#[test]
fn every_signer_is_judged_once_however_many_authors_and_signatures() {
    let pki = Pki::new();
    let alice = pki.people.issue("alice", Key::P256, &signing("alice@example.test,email:a@example.test"));
    let mut message = signed_by(&pki, &alice, &["-certfile", "People.pem"]);
    let again = message.signers[0].outcome.clone();
    message.signers.push(SignerReport { identifier: "alice again".to_owned(), outcome: again });
    let mut published = Published::of(&pki);
    assert!(judge(&pki, &mut published, &message, "alice@example.test a@example.test").is_trusted());
    assert_eq!(published.asked_for_lists, 2, "once for each certificate of the path");
}

#[test]
fn strangers_certificates_cost_little() {
    let pki = Pki::new();
    // Each may have issued each other, as far as names and key identifiers tell.
    let extensions = "[e]\n2.5.29.35=DER:3006800401020304\nsubjectKeyIdentifier=none\nkeyUsage=digitalSignature,keyCertSign";
    pki.write("loop.cnf", format!("[req]\ndistinguished_name=dn\n[dn]\n{extensions}\n").as_bytes());
    let mut all = Vec::new();
    for number in (0..=20).rev() {
        let (key, certificate) = (format!("{number}.key"), format!("{number}.pem"));
        openssl(pki.path(), &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &key]);
        let arguments =
            ["req", "-x509", "-new", "-config", "loop.cnf", "-extensions", "e", "-subj", "/CN=Loop"];
        // Not one of them is self-signed, but the last, which is not sent.
        let (above, its_key) = (format!("{}.pem", number + 1), format!("{}.key", number + 1));
        let by: &[&str] = if number == 20 { &[] } else { &["-CA", &above, "-CAkey", &its_key] };
        openssl(pki.path(), &[&arguments[..], by, &["-key", &key, "-out", &certificate]].concat());
        if (1..20).contains(&number) {
            all.extend(pki.read(&certificate));
        }
    }
    pki.write("all.pem", &all);
    let mallory = Identity { folder: pki.path().to_owned(), name: "0".to_owned() };
    let message = signed_by(&pki, &mallory, &["-certfile", "all.pem"]);
    let mut published = Published::of(&pki);
    assert_eq!(judge(&pki, &mut published, &message, "alice@example.test").code(), "too-many-paths");
    assert!(published.asked_at_hand <= 256, "{} steps", published.asked_at_hand);
}

#[test]
fn an_anchor_speaks_only_for_its_domains() {
    let pki = Pki::new();
    let alice = pki.people.issue("alice", Key::P256, &signing("alice@bank.test"));
    let message = signed_by(&pki, &alice, &["-certfile", "People.pem"]);
    let verdict = judge(&pki, &mut Published::of(&pki), &message, "alice@bank.test");
    assert_eq!(verdict.code(), "outside-domain", "{verdict}");
    let mut wider = anchors(&pki);
    wider.0[0].domains.push(".test".to_owned());
    let verdict = judge_at(
        &wider,
        &mut Published::of(&pki),
        &message,
        "alice@bank.test",
        now(),
        UnknownRevocation::Reject,
    );
    assert!(verdict.is_trusted(), "{verdict}");
}

#[test]
fn usage_and_critical_extensions_are_respected() {
    let pki = Pki::new();
    let base = mail("alice@example.test");
    let cases = [
        (format!("{base}\nkeyUsage=critical,keyAgreement"), "wrong-usage"),
        (base.replace("emailProtection", "clientAuth") + "\nkeyUsage=digitalSignature", "wrong-usage"),
        (format!("{base}\n1.2.3.4=critical,DER:0500"), "unknown-critical-extension"),
        (format!("{base}\npolicyConstraints=requireExplicitPolicy:0"), "policy-required"),
        (format!("{base}\nkeyUsage=critical,nonRepudiation"), "trusted"),
        (format!("{base}\n1.2.3.4=DER:0500"), "trusted"),
        (format!("{base}\ncertificatePolicies=1.2.3.4\nkeyUsage=digitalSignature"), "trusted"),
    ];
    for (number, (extensions, code)) in cases.iter().enumerate() {
        let alice = pki.people.issue(&format!("alice{number}"), Key::P256, extensions);
        let verdict = verdict_about(&pki, &mut Published::of(&pki), &alice);
        assert_eq!(verdict.code(), *code, "{extensions}: {verdict}");
    }
}

#[test]
fn several_signers_are_all_told() {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::P256));
    pki.people.revoke("bob", &[]);
    let message =
        signed_by(&pki, &alice, &["-certfile", "People.pem", "-signer", &bob.pem(), "-inkey", &bob.key()]);
    let verdict = judge(&pki, &mut Published::of(&pki), &message, "alice@example.test");
    assert!(verdict.is_trusted());
    let sentence = verdict.to_string();
    assert!(
        sentence.contains("Signed by alice") && sentence.contains("another signature: Not trusted"),
        "{sentence}"
    );
}

#[test]
fn a_changed_message_outweighs_everything() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    signed_by(&pki, &alice, &["-certfile", "People.pem"]);
    let mut der = pki.read("signed.der");
    let at = der.windows(6).position(|window| window == b"Hello.").unwrap();
    der[at] ^= 1;
    let verdict =
        judge(&pki, &mut Published::of(&pki), &verify(&der, None, &[]).unwrap(), "alice@example.test");
    assert!(verdict.integrity_failed() && !verdict.is_trusted());
    assert_eq!(verdict.code(), "content-changed");
    let unsigned = Verdict::unsigned();
    assert!(!unsigned.is_signed() && !unsigned.is_trusted() && !unsigned.integrity_failed());
}

#[test]
fn cross_certificates_in_circles_end() {
    let pki = Pki::new();
    // People certifies Root's key and name, and Root certifies People: a circle, with the anchor missing.
    let alice = pki.signer("alice", Key::P256);
    pki.people.certify_again("Root", "Cross", CA, VALID);
    let message = signed_by(&pki, &alice, &["-certfile", "People.pem", "-certfile", "Cross.pem"]);
    let nobody = Anchors::default();
    let verdict = judge_at(
        &nobody,
        &mut Published::of(&pki),
        &message,
        "alice@example.test",
        now(),
        UnknownRevocation::Reject,
    );
    assert_eq!(verdict.code(), "unknown-issuer", "{verdict}");
}

#[test]
fn a_good_path_is_found_beside_a_revoked_one() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    // The same CA, certified twice by the root; one of the certificates is revoked, whichever is found first.
    let again = pki.root.certify_again("People", "Again", CA, VALID);
    let message = signed_by(&pki, &alice, &["-certfile", "People.pem"]);
    for revoked in ["People", "Again"] {
        let mut published = Published::of(&pki);
        published
            .authorities
            .insert(identifier(&pki.people), vec![again.certificate(), pki.people.certificate()]);
        pki.root.revoke(revoked, &[]);
        published.list(&pki.root, pki.root.crl());
        let verdict = judge(&pki, &mut published, &message, "alice@example.test");
        let wanted = if revoked == "People" { "trusted" } else { "revoked" };
        assert_eq!(verdict.code(), wanted, "{revoked}: {verdict}");
    }
}

#[test]
fn another_anchor_is_tried_when_the_nearest_may_not_speak_for_the_address() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let other = Authority::root(pki.path(), "Other", CA);
    let cross = other.certify_again("People", "Cross", CA, VALID);
    let message = signed_by(&pki, &alice, &["-certfile", "Cross.pem", "-certfile", "People.pem"]);
    let mut published = Published::of(&pki);
    published.list(&other, other.crl());
    published
        .authorities
        .insert(identifier(&pki.people), vec![cross.certificate(), pki.people.certificate()]);
    let anchor = |authority: &Authority, domain: &str| Anchor {
        certificate: authority.certificate(),
        domains: vec![domain.to_owned()],
    };
    let at = |anchors: Vec<Anchor>, published: &mut Published| {
        let (anchors, policy) = (Anchors(anchors), UnknownRevocation::Reject);
        judge_at(&anchors, published, &message, "alice@example.test", now(), policy)
    };
    let (near, own) = (anchor(&other, "other.test"), anchor(&pki.root, "example.test"));
    for anchors in [vec![near.clone(), own.clone()], vec![own.clone(), near.clone()]] {
        let verdict = at(anchors, &mut published);
        assert!(verdict.is_trusted(), "{verdict}");
    }
    // Alone it may not speak for her, and then nobody is asked anything about revocation.
    published.asked_for_lists = 0;
    assert_eq!(at(vec![near], &mut published).code(), "outside-domain");
    assert_eq!(published.asked_for_lists, 0);
}

#[test]
fn lists_in_a_message_do_not_displace_the_newer_one_of_the_directory() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let older = pki.people.crl().der().to_vec();
    let mut message = signed_by(&pki, &alice, &["-certfile", "People.pem"]);
    message.revocation_lists = vec![older; 600];
    pki.people.revoke("alice", &["-crl_reason", "keyCompromise"]);
    let mut published = Published::of(&pki);
    published.list(&pki.people, pki.people.crl_with("", ("20260526000000Z", "20260610000000Z")));
    let verdict = judge(&pki, &mut published, &message, "alice@example.test");
    assert_eq!(verdict.code(), "revoked", "{verdict}");
    // Too many of the directory itself: none is left out in silence.
    let newest = published.lists[&identifier(&pki.people)][0].clone();
    published.lists.insert(identifier(&pki.people), vec![newest; 600]);
    let verdict = judge(&pki, &mut published, &message, "alice@example.test");
    assert_eq!(verdict.code(), "revocation-unknown", "{verdict}");
}
