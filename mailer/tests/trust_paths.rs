//! One chain for each rule of RFC 5280 section 6.1 that is broken, with `openssl verify` as second opinion.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use mailer::trust::{
    Anchor, Anchors, Certificate, CertificateList, Judge, RecipientProblem, Source, UnknownRevocation,
};
use openssl_pki::{Authority, CA, Identity, Key, Pki, VALID, encryption, mail, now, try_openssl};

/// Only CA certificates; revocation is not the question here.
struct Authorities(Vec<Certificate>);

impl Source for Authorities {
    fn issuers_at_hand(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        self.issuers(key_identifier)
    }
    fn issuers(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        let wanted =
            |authority: &&Certificate| authority.subject_key_identifier().as_deref() == Some(key_identifier);
        self.0.iter().filter(wanted).cloned().collect()
    }
    fn revocation_lists(&mut self, _: &[u8]) -> Vec<CertificateList> {
        Vec::new()
    }
}

/// Our answer ("good", or the code of the problem) and whether openssl accepts the chain.
fn opinions(
    root: &Authority,
    intermediates: &[Certificate],
    leaf: &Identity,
    address: &str,
) -> (&'static str, bool) {
    let anchors =
        Anchors(vec![Anchor { certificate: root.certificate(), domains: vec![".test".to_owned()] }]);
    let mut source = Authorities(intermediates.to_vec());
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut source,
        at: now(),
        unknown_revocation: UnknownRevocation::Accept,
    };
    let ours = match judge.check_recipient(&leaf.certificate(), address) {
        Ok(recipient) => {
            assert!(recipient.note().is_some(), "unknown revocation must be told");
            "good"
        }
        Err(problem) => problem.code(),
    };
    let pem: String = intermediates
        .iter()
        .map(|certificate| {
            der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, certificate.der()).unwrap()
        })
        .collect();
    std::fs::write(root.folder.join("untrusted.pem"), pem).unwrap();
    let time = now().as_second().to_string();
    let (anchor, certificate) = (format!("{}.pem", root.name), leaf.pem());
    let arguments = [
        "verify",
        "-attime",
        &time,
        "-x509_strict",
        "-CAfile",
        &anchor,
        "-untrusted",
        "untrusted.pem",
        &certificate,
    ];
    (ours, try_openssl(&root.folder, &arguments).status.success())
}

const ADDRESS: &str = "bob@example.test";

fn bob(authority: &Authority) -> Identity {
    authority.issue("bob", Key::P256, &encryption(ADDRESS, Key::P256))
}

/// Issues bob under a CA made with these extensions and validity.
fn under(extensions: &str, validity: (&str, &str)) -> (&'static str, bool) {
    let pki = Pki::new();
    let ca = pki.root.subordinate_with("Middle", extensions, validity);
    let bob = bob(&ca);
    opinions(&pki.root, &[ca.certificate()], &bob, ADDRESS)
}

#[test]
fn a_good_path_is_good() {
    assert_eq!(under(CA, VALID), ("good", true));
    assert_eq!(under(&format!("{CA}\nextendedKeyUsage=emailProtection"), VALID), ("good", true));
    assert_eq!(
        under(&format!("{CA}\ncertificatePolicies=1.2.3.4\ninhibitAnyPolicy=0"), VALID),
        ("good", true)
    );
}

#[test]
fn authorities_must_be_authorities_for_this() {
    let cases = [
        (CA.replace("CA:TRUE", "CA:FALSE"), "not-an-authority"),
        (CA.replace("keyCertSign,", ""), "not-an-authority"),
        (CA.replace("basicConstraints=critical,CA:TRUE\n", ""), "not-an-authority"),
        (format!("{CA}\n1.2.3.4=critical,DER:0500"), "unknown-critical-extension"),
    ];
    for (extensions, code) in cases {
        assert_eq!(under(&extensions, VALID), (code, false), "{extensions}");
    }
    // openssl judges extended key usage of CAs only for a purpose, which is not asked here.
    assert_eq!(under(&format!("{CA}\nextendedKeyUsage=serverAuth"), VALID).0, "wrong-usage");
    // A demand for policies is one that we cannot meet yet; openssl looks at policies only when told to.
    assert_eq!(
        under(&format!("{CA}\npolicyConstraints=critical,requireExplicitPolicy:0"), VALID).0,
        "policy-required"
    );
}

#[test]
fn every_certificate_of_the_path_must_be_valid_now() {
    assert_eq!(under(CA, ("20240101000000Z", "20260101000000Z")), ("expired", false));
    assert_eq!(under(CA, ("20270101000000Z", "20280101000000Z")), ("not-yet-valid", false));
    let pki = Pki::new();
    let late = pki.people.issue_with(
        "late",
        Key::P256,
        &encryption(ADDRESS, Key::P256),
        ("20240101000000Z", "20260101000000Z"),
    );
    assert_eq!(opinions(&pki.root, &[pki.people.certificate()], &late, ADDRESS), ("expired", false));
}

#[test]
fn path_length_is_counted_without_self_issued_certificates() {
    let pki = Pki::new();
    let short = pki.root.subordinate("Short", &CA.replace("CA:TRUE", "CA:TRUE,pathlen:0"));
    let below = short.subordinate("Below", CA);
    let bob = bob(&below);
    let chain = [below.certificate(), short.certificate()];
    assert_eq!(opinions(&pki.root, &chain, &bob, ADDRESS), ("not-an-authority", false));
    let direct = short.issue("carol", Key::P256, &encryption(ADDRESS, Key::P256));
    assert_eq!(opinions(&pki.root, &chain, &direct, ADDRESS), ("good", true));
}

#[test]
fn a_path_length_of_the_anchor_counts_too() {
    let folder = tempfile::tempdir().unwrap();
    let root = Authority::root(folder.path(), "Narrow", &CA.replace("CA:TRUE", "CA:TRUE,pathlen:0"));
    let ca = root.subordinate("Middle", CA);
    let bob = bob(&ca);
    assert_eq!(opinions(&root, &[ca.certificate()], &bob, ADDRESS), ("not-an-authority", false));
}

#[test]
fn signatures_and_names_must_chain() {
    let pki = Pki::new();
    let bob = bob(&pki.people);
    let other = Pki::new();
    assert_eq!(opinions(&pki.root, &[other.people.certificate()], &bob, ADDRESS), ("unknown-issuer", false));
    assert_eq!(opinions(&pki.root, &[], &bob, ADDRESS), ("unknown-issuer", false));
    // A certificate with one changed byte in its signature.
    let mut der = bob.certificate().der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let forged = Certificate::from_der(&der).unwrap();
    let anchors = Anchors(vec![Anchor {
        certificate: pki.root.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let mut source = Authorities(vec![pki.people.certificate()]);
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut source,
        at: now(),
        unknown_revocation: UnknownRevocation::Accept,
    };
    assert_eq!(judge.check_recipient(&forged, ADDRESS).unwrap_err().code(), "certificate-signature-wrong");
}

#[test]
fn several_candidates_are_tried_until_one_path_is_valid() {
    let pki = Pki::new();
    let bob = bob(&pki.people);
    // The same CA name and key, certified again but expired: whichever comes first, the good one is found.
    let expired =
        pki.root.certify_again("People", "Stale", CA, ("20240101000000Z", "20250101000000Z")).certificate();
    for chain in [[expired.clone(), pki.people.certificate()], [pki.people.certificate(), expired.clone()]] {
        assert_eq!(opinions(&pki.root, &chain, &bob, ADDRESS).0, "good");
    }
}

#[test]
fn name_constraints_bind_every_name() {
    let constraint = |text: &str| format!("{CA}\nnameConstraints=critical,{text}");
    let cases = [
        ("permitted;email:example.test", "good"),
        ("permitted;email:.test", "good"),
        ("permitted;email:bob@example.test", "good"),
        ("permitted;email:other.test", "name-not-permitted"),
        ("permitted;email:.example.test", "name-not-permitted"),
        ("permitted;email:alice@example.test", "name-not-permitted"),
        ("excluded;email:example.test", "name-not-permitted"),
        ("excluded;email:.test", "name-not-permitted"),
        ("excluded;email:other.test", "good"),
        ("permitted;DNS:other.test", "good"),
        ("permitted;email:other.test,permitted;email:example.test", "good"),
    ];
    for (text, code) in cases {
        assert_eq!(under(&constraint(text), VALID), (code, code == "good"), "{text}");
    }
}

#[test]
fn name_constraints_bind_directory_names_and_other_kinds() {
    let directory =
        |sign: &str, name: &str| format!("{CA}\nnameConstraints=critical,{sign};dirName:dn\n[dn]\nCN={name}");
    assert_eq!(under(&directory("permitted", "bob"), VALID), ("good", true));
    assert_eq!(under(&directory("permitted", "alice"), VALID), ("name-not-permitted", false));
    assert_eq!(under(&directory("excluded", "bob"), VALID), ("name-not-permitted", false));
    let names = [
        ("DNS:www.example.test", "permitted;DNS:example.test", "good"),
        ("DNS:www.example.test", "excluded;DNS:example.test", "name-not-permitted"),
        ("DNS:badexample.test", "permitted;DNS:example.test", "name-not-permitted"),
        ("URI:http://host.example.test/x", "permitted;URI:.example.test", "good"),
        ("URI:http://example.test/x", "permitted;URI:.example.test", "name-not-permitted"),
        ("IP:10.1.2.3", "permitted;IP:10.0.0.0/255.0.0.0", "good"),
        ("IP:11.1.2.3", "permitted;IP:10.0.0.0/255.0.0.0", "name-not-permitted"),
    ];
    for (name, constraint, code) in names {
        let pki = Pki::new();
        let ca = pki.root.subordinate("Middle", &format!("{CA}\nnameConstraints=critical,{constraint}"));
        let extensions =
            mail(ADDRESS).replace("email:", &format!("{name},email:")) + "\nkeyUsage=keyAgreement";
        let bob = ca.issue("bob", Key::P256, &extensions);
        assert_eq!(
            opinions(&pki.root, &[ca.certificate()], &bob, ADDRESS),
            (code, code == "good"),
            "{name} {constraint}"
        );
    }
}

#[test]
fn constraints_reach_internationalised_addresses_by_their_domain() {
    let address = "李@example.test";
    let leaf = format!(
        "subjectAltName=@names\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
         keyUsage=keyAgreement\n[names]\notherName=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:{address}"
    );
    for (constraint, code) in
        [("permitted;email:example.test", "good"), ("permitted;email:other.test", "name-not-permitted")]
    {
        let pki = Pki::new();
        let ca = pki.root.subordinate("Middle", &format!("{CA}\nnameConstraints=critical,{constraint}"));
        let person = ca.issue("li", Key::P256, &leaf);
        assert_eq!(person.certificate().mail_addresses(), [address]);
        assert_eq!(opinions(&pki.root, &[ca.certificate()], &person, address).0, code, "{constraint}");
    }
}

#[test]
fn a_certificate_without_address_is_for_nobody() {
    let pki = Pki::new();
    let bob = pki.people.issue("bob", Key::P256, "keyUsage=keyAgreement\nauthorityKeyIdentifier=keyid");
    let anchors = Anchors(vec![Anchor {
        certificate: pki.root.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let mut source = Authorities(vec![pki.people.certificate()]);
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut source,
        at: now(),
        unknown_revocation: UnknownRevocation::Accept,
    };
    let problem = judge.check_recipient(&bob.certificate(), ADDRESS).unwrap_err();
    assert!(
        matches!(problem, RecipientProblem::Certificate { .. }) && problem.code() == "address-mismatch",
        "{problem}"
    );
}
