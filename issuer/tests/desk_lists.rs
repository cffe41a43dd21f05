//! Partitions and delta CRLs from the desk, judged by OpenSSL with what was published.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::path::{Path, PathBuf};

use desk_support::{Desk, extract_certificates, files_below, openssl};

/// Alice and Bob with cards, of an issuer with four partitions and deltas.
fn desk() -> Desk {
    let desk = Desk::empty();
    let init = ["init", "--allow-emulated", "--organization", "Example Org", "--domain", "example.org"];
    let more = ["--base-url", "http://pki.example.org", "--crl-partitions", "4", "--delta-crls"];
    desk.issuer(&[&init[..], &more].concat()).expect(0);
    desk.import_staff("name,mail,id\nAlice Ng,alice@example.org,1001\nBob Ruiz,bob@example.org,\n").expect(0);
    for person in ["alice", "bob"] {
        let locator = desk.yubikey(&format!("{person}.card"), &[]);
        desk.issue(&format!("{person}@example.org"), &locator, &[]);
        extract_certificates(&locator, &desk.path(person));
    }
    desk
}

/// The names of the published CRLs without the key identifiers of their authorities, sorted.
fn published(desk: &Desk) -> Vec<String> {
    let mut names: Vec<_> = files_below(&desk.path("public/crl"))
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap()[40..].to_owned())
        .collect();
    names.sort();
    names
}

/// What openssl says of a certificate, with only the CRLs whose names end so, the root's among them.
fn verify(desk: &Desk, certificate: &Path, wanted: impl Fn(&str) -> bool) -> (bool, String) {
    let public = desk.path("public");
    let mut pem = String::new();
    for file in files_below(&public.join("crl")) {
        let suffix = &file.file_name().unwrap().to_str().unwrap()[40..];
        let shown = openssl(&["crl", "-inform", "DER", "-in", file.to_str().unwrap()]);
        assert!(shown.status.success());
        let text = String::from_utf8(shown.stdout).unwrap();
        let issuer = openssl(&["crl", "-inform", "DER", "-noout", "-issuer", "-in", file.to_str().unwrap()]);
        if wanted(suffix) || String::from_utf8(issuer.stdout).unwrap().contains("Root CA") {
            pem += &text;
        }
    }
    std::fs::write(public.join("../some.pem"), pem).unwrap();
    let at = |name: &str| public.join(name).to_str().unwrap().to_owned();
    let (anchor, chain, crl) = (at("anchor.pem"), at("ca-chain.pem"), at("../some.pem"));
    let output = openssl(&[
        "verify",
        "-x509_strict",
        "-crl_check_all",
        "-extended_crl",
        "-use_deltas",
        "-CAfile",
        &anchor,
        "-untrusted",
        &chain,
        "-CRLfile",
        &crl,
        certificate.to_str().unwrap(),
    ]);
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn key_9c(desk: &Desk, person: &str) -> PathBuf {
    desk.path(&format!("{person}/9C.pem"))
}

#[test]
fn a_lost_card_is_on_its_partition_and_first_on_the_delta() {
    let desk = desk();
    desk.publish();
    let parts = (0..4).flat_map(|index| [format!("-4-{index}-delta.crl"), format!("-4-{index}.crl")]);
    let mut expected: Vec<String> = parts.chain(["-delta.crl".to_owned()]).collect();
    expected.extend(vec![".crl".to_owned(); 3]);
    expected.sort();
    assert_eq!(published(&desk), expected);

    let alice = key_9c(&desk, "alice");
    let shown = openssl(&["x509", "-noout", "-ext", "crlDistributionPoints", "-in", alice.to_str().unwrap()]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let own = shown.split("-4-").nth(1).unwrap()[..5].to_owned();
    assert!(own.ends_with(".crl"), "{shown}");
    let of_partition = format!("-4-{own}");
    let delta_of_partition = of_partition.replace(".crl", "-delta.crl");
    let both = |suffix: &str| suffix == of_partition || suffix == delta_of_partition;
    assert!(verify(&desk, &alice, both).0);

    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let done = desk.issuer(&["publish", "--to", "public", "--delta"]);
    done.expect(0);
    // The base alone does not know it yet; with the delta openssl does.
    assert!(verify(&desk, &alice, |suffix| suffix == of_partition).0);
    let (accepted, said) = verify(&desk, &alice, both);
    assert!(!accepted && said.contains("revoked"), "{said}");
    let (accepted, said) = verify(&desk, &alice, |suffix| suffix == ".crl" || suffix == "-delta.crl");
    assert!(!accepted && said.contains("revoked"), "{said}");
    assert!(verify(&desk, &key_9c(&desk, "bob"), |suffix| suffix.contains("-4-")).0);

    desk.publish();
    for wanted in [&of_partition[..], ".crl"] {
        let (accepted, said) = verify(&desk, &alice, |suffix| suffix == wanted);
        assert!(!accepted && said.contains("revoked"), "{said}");
    }
    // Readers who still have the first base learn the rest from the newest delta, which starts from it or later.
    assert!(verify(&desk, &key_9c(&desk, "bob"), |suffix| suffix.contains("-4-")).0);
}

#[test]
fn a_delta_needs_a_base_and_an_issuer_that_has_deltas() {
    let desk = desk();
    desk.issuer(&["publish", "--to", "public", "--delta"]).refuses(1, &["publish without --delta"]);
    desk.publish();
    let plain = Desk::new();
    plain.issuer(&["publish", "--to", "public", "--delta"]).refuses(2, &["delta_crls", "without --delta"]);
}

#[test]
fn another_number_of_partitions_is_noticed_before_anything_is_published() {
    let desk = desk();
    desk.publish();
    let config = desk.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("crl_partitions = 4", "crl_partitions = 8")).unwrap();
    let revision = std::fs::read(desk.path("public/.revision")).unwrap();
    desk.issuer(&["publish", "--to", "public"])
        .refuses(1, &["-4-", "the number of partitions stays as it was"]);
    assert_eq!(std::fs::read(desk.path("public/.revision")).unwrap(), revision);
    std::fs::write(&config, text.replace("crl_partitions = 4", "crl_partitions = 1")).unwrap();
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["CRL partitions", "2 to 1024"]);
}
