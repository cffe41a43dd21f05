//! Whom we encrypt to: the right certificate is chosen, every wrong one refused for a reason.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use mailer::directory::{Directory, Location};
use mailer::smime::{Enveloping, decrypt};
use mailer::trust::{Anchor, Anchors, CheckedRecipient, Judge, RecipientProblem, UnknownRevocation};
use openssl_pki::{Identity, Key, Pki, VALID, bytes, encryption, envelope, now, signing};

/// Publishes CA certificates and CRLs as an issuer does.
fn publish(pki: &Pki) -> Directory {
    let root = pki.path().join("published");
    for folder in ["ca", "crl"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for authority in [&pki.root, &pki.people] {
        let name = hex::encode(authority.certificate().subject_key_identifier().unwrap());
        std::fs::write(root.join(format!("ca/{name}.cer")), authority.certificate().der()).unwrap();
        std::fs::write(root.join(format!("crl/{name}.crl")), authority.crl().der()).unwrap();
    }
    Directory::open(&Location::File(root), &pki.path().join("cache"), now()).unwrap()
}

fn choose(pki: &Pki, candidates: &[&Identity], address: &str) -> Result<CheckedRecipient, RecipientProblem> {
    let anchors = Anchors(vec![Anchor {
        certificate: pki.root.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let mut directory = publish(pki);
    let candidates: Vec<_> = candidates.iter().map(|candidate| candidate.certificate()).collect();
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut directory,
        at: now(),
        unknown_revocation: UnknownRevocation::Reject,
    };
    judge.choose_recipient(address, &candidates)
}

const BOB: &str = "bob@example.test";

#[test]
fn the_encryption_certificate_is_chosen_among_all_of_a_persons() {
    let pki = Pki::new();
    for key in [Key::Rsa2048, Key::P256] {
        let signs = pki.people.issue("bob-signs", Key::P256, &signing(BOB));
        let reads = pki.people.issue("bob-reads", key, &encryption(BOB, key));
        let chosen = choose(&pki, &[&signs, &reads], "Bob@Example.TEST").unwrap();
        assert_eq!(chosen.recipient().certificate(), &reads.certificate());
        assert_eq!(chosen.note(), None);
        let mail = envelope(b"x", &[chosen.recipient().clone()], Enveloping::Automatic);
        let opened = decrypt(&mail, &mut reads.ring()).unwrap();
        assert!(opened.authenticated);
        assert_eq!(bytes(&opened.content), b"x");
    }
}

#[test]
fn an_expired_or_revoked_certificate_beside_a_good_one_does_no_harm() {
    let pki = Pki::new();
    let extensions = encryption(BOB, Key::P256);
    let expired =
        pki.people.issue_with("expired", Key::P256, &extensions, ("20240101000000Z", "20250101000000Z"));
    let revoked =
        pki.people.issue_with("revoked", Key::P256, &extensions, ("20260301000000Z", "20480101000000Z"));
    let good = pki.people.issue_with("good", Key::P256, &extensions, ("20250101000000Z", "20480101000000Z"));
    pki.people.revoke("revoked", &["-crl_reason", "superseded"]);
    let chosen = choose(&pki, &[&expired, &revoked, &good], BOB).unwrap();
    assert_eq!(chosen.recipient().certificate(), &good.certificate());
}

#[test]
fn each_refusal_has_a_reason() {
    let pki = Pki::new();
    let extensions = encryption(BOB, Key::P256);
    let issue =
        |name: &str, extensions: &str, validity| pki.people.issue_with(name, Key::P256, extensions, validity);
    let expired = issue("expired", &extensions, ("20240101000000Z", "20260501000000Z"));
    let revoked = issue("revoked", &extensions, VALID);
    pki.people.revoke("revoked", &["-crl_reason", "keyCompromise"]);
    let signs = issue("signs", &signing(BOB), VALID);
    let other = issue("other", &encryption("alice@example.test", Key::P256), VALID);
    let outside = issue("outside", &encryption("bob@elsewhere.test", Key::P256), VALID);
    let stranger = Pki::new().people.issue("stranger", Key::P256, &extensions).certificate();
    for (candidate, address, code, words) in [
        (&expired, BOB, "expired", "bob@example.test: the certificate expired on 2026-05-01 00:00 UTC"),
        (&revoked, BOB, "revoked", "(key compromise)"),
        (&signs, BOB, "wrong-usage", "is not for receiving encrypted mail"),
        (&other, BOB, "address-mismatch", "is for alice@example.test, not for bob@example.test"),
        (
            &outside,
            "bob@elsewhere.test",
            "outside-domain",
            "Root is not trusted for addresses like bob@elsewhere.test",
        ),
    ] {
        let problem = choose(&pki, &[candidate], address).unwrap_err();
        assert_eq!(problem.code(), code, "{problem}");
        assert!(problem.to_string().contains(words), "{problem}");
        assert_eq!(problem.address(), address);
    }
    assert!(matches!(choose(&pki, &[], BOB), Err(RecipientProblem::NoCertificate { .. })));
    let anchors = Anchors(vec![Anchor {
        certificate: pki.root.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let mut directory = publish(&pki);
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut directory,
        at: now(),
        unknown_revocation: UnknownRevocation::Reject,
    };
    assert_eq!(judge.check_recipient(&stranger, BOB).unwrap_err().code(), "unknown-issuer");
}

#[test]
fn of_several_problems_the_one_of_the_encryption_certificate_is_told() {
    let pki = Pki::new();
    let revoked = pki.people.issue("revoked", Key::P256, &encryption(BOB, Key::P256));
    let signs = pki.people.issue("signs", Key::P256, &signing(BOB));
    pki.people.revoke("revoked", &[]);
    for candidates in [[&revoked, &signs], [&signs, &revoked]] {
        assert_eq!(choose(&pki, &candidates, BOB).unwrap_err().code(), "revoked");
    }
}

#[test]
fn the_intermediates_to_send_along_are_found_in_the_directory() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let anchors = Anchors(vec![Anchor {
        certificate: pki.root.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let mut directory = publish(&pki);
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut directory,
        at: now(),
        unknown_revocation: UnknownRevocation::Reject,
    };
    assert_eq!(judge.intermediates(&alice.certificate()), [pki.people.certificate()]);
}
