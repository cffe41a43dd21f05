//! What comes after the ceremony: renewal, new keys, cross-certificates. Whoever reads what is published agrees: openssl and
//! GnuTLS.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod authority_support;
mod desk_support;

use std::path::Path;
use std::process::Command;

use authority_support::{card, field, keys, partner, verifies};
use desk_support::{Desk, extract_certificates, openssl, openssl_verify};

/// GnuTLS, with the anchor alone trusted and everything else from the published files.
fn certtool_verifies(desk: &Desk, public: &Path, certificate: &Path, issuer_ca: &str) {
    let chain = std::fs::read_to_string(public.join("ca-chain.pem")).unwrap();
    let blocks: Vec<_> = chain.split_inclusive("-----END CERTIFICATE-----\n").collect();
    let wanted = blocks.iter().find(|block| {
        std::fs::write(desk.path("block.pem"), block).unwrap();
        field(&desk.path("block.pem"), "-subject").ends_with(issuer_ca)
    });
    let leaf = std::fs::read_to_string(certificate).unwrap();
    std::fs::write(desk.path("bundle.pem"), leaf + wanted.unwrap()).unwrap();
    let done = Command::new("certtool")
        .args(["--verify", "--infile", &desk.text("bundle.pem")])
        .arg("--load-ca-certificate")
        .arg(public.join("anchor.pem"))
        .arg("--load-crl")
        .arg(public.join("crl.pem"))
        .output()
        .expect("gnutls-bin is installed");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("Chain verification output: Verified"), "{said}");
}

#[test]
fn a_renewed_authority_keeps_its_name_and_key() {
    let desk = Desk::new();
    let alice = card(&desk, "alice@example.org", "alice");
    let before = desk.publish();
    verifies(&before, &alice);
    let key = desk.json(&["ca", "list"])[1].clone();
    assert_eq!(key["authority"], "people");

    desk.issuer(&["ca", "renew", "people"]).expect(0);
    desk.issuer(&["ca", "renew", "root"]).expect(0);
    let public = desk.publish();
    let renewed = desk.json(&["ca", "list"])[1].clone();
    assert_eq!((&renewed["subject"], &renewed["certificates"]), (&key["subject"], &2.into()));
    assert_ne!(renewed["serial"], key["serial"]);
    let chain = std::fs::read_to_string(public.join("ca-chain.pem")).unwrap();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 5, "both of each that was renewed");
    // What was certified before is as good as what is certified now, and one CRL speaks of both.
    verifies(&public, &alice);
    verifies(&public, &card(&desk, "bob@example.org", "bob"));
    assert_eq!(std::fs::read_dir(public.join("crl")).unwrap().count(), 3);
}

#[test]
fn after_a_roll_over_each_key_speaks_of_its_own() {
    let desk = Desk::new();
    let alice = card(&desk, "alice@example.org", "alice");
    desk.publish();
    desk.issuer(&["ca", "rollover", "people"]).expect(0);
    let bob = card(&desk, "bob@example.org", "bob");
    assert!(field(&alice, "-issuer").ends_with("People CA"), "{}", field(&alice, "-issuer"));
    assert!(field(&bob, "-issuer").ends_with("People CA G2"), "{}", field(&bob, "-issuer"));
    let people: Vec<_> = keys(&desk).into_iter().filter(|(name, ..)| name == "people").collect();
    assert_eq!(people, [("people".to_owned(), 1, false), ("people".to_owned(), 2, true)]);

    let public = desk.publish();
    for (certificate, authority) in [(&alice, "People CA"), (&bob, "People CA G2")] {
        verifies(&public, certificate);
        certtool_verifies(&desk, &public, certificate, authority);
    }
    // A key that signs no certificates any more still revokes.
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let public = desk.publish();
    let (accepted, said) = openssl_verify(&public, &alice, &[]);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");
    verifies(&public, &bob);
    // And so it does after the next one.
    desk.issuer(&["ca", "rollover", "people"]).expect(0);
    let public = desk.publish();
    let (accepted, _) = openssl_verify(&public, &alice, &[]);
    assert!(!accepted);
    verifies(&public, &bob);
    assert_eq!(std::fs::read_dir(public.join("crl")).unwrap().count(), 5);
    assert_eq!(desk.json(&["publish", "--pending"])["targets"][0]["written"], 0);
}

#[test]
fn two_roots_vouch_for_each_other() {
    let desk = Desk::new();
    let alice = card(&desk, "alice@example.org", "alice");
    let public = desk.publish();
    std::fs::copy(public.join("anchor.pem"), desk.path("old-root.pem")).unwrap();

    desk.issuer(&["ca", "rollover", "root"]).expect(0);
    desk.issuer(&["ca", "rollover", "people"]).expect(0);
    let bob = card(&desk, "bob@example.org", "bob");
    let public = desk.publish();
    let anchors = std::fs::read_to_string(public.join("anchor.pem")).unwrap();
    let new_root = anchors.split_inclusive("-----END CERTIFICATE-----\n").find(|block| {
        std::fs::write(desk.path("new-root.pem"), block).unwrap();
        field(&desk.path("new-root.pem"), "-subject").ends_with("Root CA G2")
    });
    std::fs::write(desk.path("new-root.pem"), new_root.unwrap()).unwrap();

    let (chain, crls) = (public.join("ca-chain.pem"), public.join("crl.pem"));
    for anchor in ["old-root.pem", "new-root.pem"] {
        for leaf in [&alice, &bob] {
            let judged = openssl(&[
                "verify",
                "-x509_strict",
                "-crl_check_all",
                "-CAfile",
                &desk.text(anchor),
                "-untrusted",
                chain.to_str().unwrap(),
                "-CRLfile",
                crls.to_str().unwrap(),
                leaf.to_str().unwrap(),
            ]);
            let said = String::from_utf8_lossy(&judged.stderr).into_owned();
            assert!(judged.status.success(), "{} under {anchor}: {said}", leaf.display());
        }
    }
    desk.issuer(&["lint", chain.to_str().unwrap()]).expect(0);
}

#[test]
fn a_partner_is_believed_for_its_own_domains_only() {
    let desk = Desk::new();
    let carol = partner(&desk, "carol@partner.example", "carol.pem");
    let intruder = partner(&desk, "alice@example.org", "intruder.pem");
    let ca = desk.text("partner.pem");
    let certify =
        |domain: &str| desk.issuer(&["ca", "cross-certify", &ca, "--domain", domain, "--out", "cross.pem"]);
    certify("mail.example.org").refuses(2, &["this organisation's own"]);
    for label in ["com", "xn--p1ai"] {
        certify(label).refuses(2, &["single label"]);
    }
    // By the list of the operating system.
    for suffix in ["co.uk", "com.cn", "CO.UK", "公司.cn"] {
        certify(suffix).refuses(2, &["is a public suffix", "the organisation's own domain"]);
    }
    assert!(!desk.path("cross.pem").exists());
    certify("partner.example").expect(0);
    desk.issuer(&["ca", "cross-certify", &carol, "--domain", "partner.example"])
        .refuses(1, &["basicConstraints"]);
    let public = desk.publish();
    let own = desk.json(&["ca", "list"]);
    assert_eq!(own[0]["cross_certificates"], 1);

    let chain = public.join("ca-chain.pem");
    let anchor = public.join("anchor.pem");
    let verify = |leaf: &str| {
        let done = openssl(&[
            "verify",
            "-CAfile",
            anchor.to_str().unwrap(),
            "-untrusted",
            chain.to_str().unwrap(),
            leaf,
        ]);
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (accepted, said) = verify(&carol);
    assert!(accepted, "{said}");
    let (accepted, said) = verify(&intruder);
    assert!(!accepted && said.contains("permitted subtree violation"), "{said}");
    desk.issuer(&["lint", "cross.pem"]).expect(0);
}

/// A partner with many levels of authorities is believed as deep as was said (RFC 5280 section 4.2.1.9).
#[test]
fn a_cross_certificate_ends_the_path_in_time() {
    let desk = Desk::new();
    let below = |issuer: &str, name: &str, length: &str| {
        let (issuer_file, issuer_key) =
            (desk.text(&format!("{issuer}.pem")), desk.text(&format!("{issuer}.key")));
        let (file, key) = (desk.text(&format!("{name}.pem")), desk.text(&format!("{name}.key")));
        let subject = format!("/O=Partner/CN={name}");
        let constraints = format!("basicConstraints=critical,CA:TRUE{length}");
        let mut arguments =
            vec!["req", "-x509", "-days", "900", "-subj", &subject, "-out", &file, "-keyout", &key];
        arguments.extend(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        arguments.extend(["-addext", &constraints, "-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        if !issuer.is_empty() {
            arguments.extend(["-CA", &issuer_file, "-CAkey", &issuer_key]);
        }
        let made = openssl(&arguments);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    below("", "top", "");
    below("top", "second", "");
    below("second", "third", "");
    let anchor = desk.publish().join("anchor.pem");
    // The last one of a path is not counted: "third" stands below "second", which the constraint counts.
    for (length, is_believed) in [("0", false), ("1", true)] {
        let cross = format!("cross-{length}.pem");
        let certify = ["ca", "cross-certify", &desk.text("top.pem"), "--domain", "partner.example"];
        desk.issuer(&[&certify[..], &["--path-length", length, "--out", &cross]].concat()).expect(0);
        let chain = std::fs::read_to_string(desk.path(&cross)).unwrap()
            + &std::fs::read_to_string(desk.path("second.pem")).unwrap();
        std::fs::write(desk.path("chain.pem"), chain).unwrap();
        let judged = openssl(&[
            "verify",
            "-CAfile",
            anchor.to_str().unwrap(),
            "-untrusted",
            &desk.text("chain.pem"),
            &desk.text("third.pem"),
        ]);
        let said = String::from_utf8_lossy(&judged.stderr).into_owned();
        assert_eq!(judged.status.success(), is_believed, "{length}: {said}");
        assert!(is_believed || said.contains("path length constraint exceeded"), "{said}");
    }
    // It never allows more than the other does itself; and something is said where nothing was.
    below("", "narrow", ",pathlen:0");
    let constraints = |certificate: &str, out: &str| {
        let certify = ["ca", "cross-certify", certificate, "--domain", "partner.example", "--out", out];
        desk.issuer(&certify).expect(0);
        let said = openssl(&["x509", "-in", &desk.text(out), "-noout", "-ext", "basicConstraints"]);
        String::from_utf8(said.stdout).unwrap()
    };
    assert!(constraints(&desk.text("narrow.pem"), "narrowed.pem").contains("CA:TRUE, pathlen:0"));
    assert!(constraints(&desk.text("top.pem"), "told.pem").contains("CA:TRUE, pathlen:1"));
}

/// The serial number of an authority's current certificate.
fn serial_of(desk: &Desk, authority: &str) -> String {
    let listed = desk.json(&["ca", "list"]);
    let mut keys = listed.as_array().unwrap().iter();
    let key = keys.find(|key| key["authority"] == authority && key["is_current"] == true).unwrap();
    key["serial"].as_str().unwrap().to_owned()
}

#[test]
fn a_revoked_authority_certifies_nothing_until_it_has_another_key() {
    let desk = Desk::new();
    let alice = card(&desk, "alice@example.org", "alice");
    desk.issuer(&["revoke", &serial_of(&desk, "people"), "--reason", "key-compromise"]).expect(0);

    let refusal = ["people", "revoked (key-compromise)", "issuer ca rollover people"];
    let (bobs, others) = (desk.yubikey("bob.card", &[]), desk.yubikey("other.card", &[]));
    let certificates = || desk.issuer(&["report", "certificates"]).expect(0).stdout.clone();
    let before = certificates();
    let pin = ["--transport-pin-file", "refused.pin"];
    desk.issuer(&[&["issue", "bob@example.org", "--card", &bobs][..], &pin].concat()).refuses(1, &refusal);
    let replace = ["replace", "alice@example.org", "--because", "lost", "--card", &others];
    desk.issuer(&[&replace[..], &pin].concat()).refuses(1, &refusal);
    desk.issuer(&["ca", "renew", "people"]).refuses(1, &refusal);
    std::fs::write(desk.path("list.csv"), "person\nbob@example.org\n").unwrap();
    desk.issuer(&["batch", "list.csv", "--card", &bobs, "--pin-folder", "pins"]).refuses(1, &refusal);
    assert_eq!(certificates(), before, "nothing was signed, and the card to be replaced has not ended");
    let listed = desk.json(&["ca", "list"]);
    assert_eq!(
        (&listed[0]["reason"], &listed[1]["reason"]),
        (&serde_json::Value::Null, &"key-compromise".into())
    );
    let told = desk.issuer(&["ca", "list"]);
    assert!(told.stdout.contains("revoked (key-compromise), signs CRLs only"), "{}", told.stdout);
    let (accepted, said) = openssl_verify(&desk.publish(), &alice, &[]);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");

    desk.issuer(&["ca", "rollover", "people"]).expect(0);
    desk.issue("bob@example.org", &bobs, &[]);
    extract_certificates(&bobs, &desk.path("bob"));
    verifies(&desk.publish(), &desk.path("bob").join("9C.pem"));
    desk.issuer(&["ca", "renew", "people"]).expect(0);
}

#[test]
fn a_superseded_certificate_says_nothing_of_the_renewed_key() {
    let desk = Desk::new();
    let (people, servers) = (serial_of(&desk, "people"), serial_of(&desk, "servers"));
    for authority in ["people", "servers"] {
        desk.issuer(&["ca", "renew", authority]).expect(0);
    }
    desk.issuer(&["revoke", &people, "--reason", "superseded"]).expect(0);
    verifies(&desk.publish(), &card(&desk, "alice@example.org", "alice"));
    // Of a key that somebody else has, no certificate counts.
    desk.issuer(&["revoke", &servers, "--reason", "key-compromise"]).expect(0);
    desk.issuer(&["ca", "renew", "servers"]).refuses(1, &["issuer ca rollover servers"]);
    let request = desk.text("mx.csr");
    let names = ["-subj", "/CN=mx.example.org", "-addext", "subjectAltName=DNS:mx.example.org"];
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    assert!(openssl(&[&["req", "-new", "-out", &request][..], &key, &names].concat()).status.success());
    desk.issuer(&["certify", &request, "--profile", "mail-server"])
        .refuses(1, &["issuer ca rollover servers"]);
}
