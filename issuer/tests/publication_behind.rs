//! Targets that missed complete CRLs: each is brought what it missed, and nothing is lost. Judged by OpenSSL.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use desk_support::{Desk, files_below, openssl};

/// A desk with everything: partitions, deltas and OCSP; and Alice's card.
fn desk() -> Desk {
    let desk = Desk::with_services(&["--crl-partitions", "3", "--delta-crls", "--ocsp"]);
    desk.issue_and_extract("alice");
    desk
}

fn revoke(desk: &Desk) {
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
}

/// What OpenSSL says of Alice's certificate who has the CRLs of this target, deltas included.
fn standing(desk: &Desk, target: &str) -> String {
    let public = desk.path(target);
    let mut all = Vec::new();
    for crl in files_below(&public.join("crl")) {
        all.extend(openssl(&["crl", "-inform", "DER", "-in", crl.to_str().unwrap()]).stdout);
    }
    let list = desk.path("all-crls.pem");
    std::fs::write(&list, all).unwrap();
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let said = openssl(&[
        "verify",
        "-crl_check_all",
        "-extended_crl",
        "-use_deltas",
        "-CAfile",
        &text(public.join("anchor.pem")),
        "-untrusted",
        &text(public.join("ca-chain.pem")),
        "-CRLfile",
        &text(list),
        &text(desk.path("alice/9C.pem")),
    ]);
    String::from_utf8([said.stdout, said.stderr].concat()).unwrap()
}

fn assert_revoked(desk: &Desk, target: &str) {
    let said = standing(desk, target);
    assert!(said.contains("certificate revoked"), "{target}: {said}");
}

/// Whether two targets have the same files in these folders.
fn are_alike(desk: &Desk, targets: [&str; 2], folders: &[&str]) -> bool {
    let files = |target: &str| -> BTreeMap<PathBuf, Vec<u8>> {
        let root = desk.path(target);
        let files = folders.iter().flat_map(|folder| files_below(&root.join(folder)));
        files
            .map(|file| (file.strip_prefix(&root).unwrap().to_owned(), std::fs::read(&file).unwrap()))
            .collect()
    };
    let [one, other] = targets.map(files);
    !one.is_empty() && one == other
}

/// Something else is where the directory was: it cannot be written.
fn take_away(desk: &Desk, target: &str) {
    std::fs::rename(desk.path(target), desk.path("away")).unwrap();
    std::fs::write(desk.path(target), "in the way").unwrap();
}

fn bring_back(desk: &Desk, target: &str) {
    std::fs::remove_file(desk.path(target)).unwrap();
    std::fs::rename(desk.path("away"), desk.path(target)).unwrap();
}

fn waiting(desk: &Desk) -> Vec<u64> {
    let targets = desk.json(&["target", "list"]);
    targets.as_array().unwrap().iter().map(|target| target["waiting"].as_u64().unwrap()).collect()
}

#[test]
fn a_delta_brings_the_complete_crls_that_a_target_missed() {
    let desk = desk();
    for target in ["one", "other"] {
        desk.issuer(&["publish", "--to", target]).expect(0);
    }
    revoke(&desk);
    desk.issuer(&["publish", "--delta"]).expect(0);
    for target in ["one", "other"] {
        assert_revoked(&desk, target);
    }
    assert!(are_alike(&desk, ["one", "other"], &["crl"]));
    assert_eq!(waiting(&desk), [0, 0]);
    desk.issuer(&["publish"]).expect(0);
}

#[test]
fn what_a_target_missed_is_brought_to_it_without_a_signature() {
    let desk = desk();
    for target in ["one", "other"] {
        desk.issuer(&["publish", "--to", target]).expect(0);
    }
    desk.issuer(&["publish"]).expect(0);
    take_away(&desk, "one");
    revoke(&desk);
    for run in [&["publish"][..], &["publish", "--delta"]] {
        desk.issuer(run).expect(3);
        assert_revoked(&desk, "other");
    }
    bring_back(&desk, "one");
    assert!(standing(&desk, "one").contains("OK"));
    desk.issuer(&["publish", "--pending", "--to", "one"]).expect(0);
    assert_revoked(&desk, "one");
    assert!(are_alike(&desk, ["one", "other"], &["crl", "ocsp"]));
    assert_eq!(waiting(&desk), [0, 0]);
}

#[test]
fn crls_do_not_wait_for_ocsp_answers_that_nobody_has() {
    let desk = desk();
    desk.issuer(&["publish", "--to", "one"]).expect(0);
    take_away(&desk, "one");
    revoke(&desk);
    desk.issuer(&["publish"]).expect(1);
    bring_back(&desk, "one");
    let run = desk.issuer(&["publish", "--pending", "--to", "one"]);
    run.expect(3);
    for word in ["OCSP answers", "people", "issuer publish without --pending"] {
        assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
    }
    assert_revoked(&desk, "one");
    assert!(waiting(&desk)[0] > 0, "the answers are forgotten");
    desk.issuer(&["publish"]).expect(0);
    assert_eq!(waiting(&desk), [0]);
}

#[test]
fn a_target_that_was_away_for_days_is_brought_what_is_still_good() {
    let desk = desk();
    for target in ["one", "other"] {
        desk.issuer(&["publish", "--to", target]).expect(0);
    }
    take_away(&desk, "one");
    revoke(&desk);
    desk.issuer(&["publish"]).expect(3);
    bring_back(&desk, "one");
    // The delta has ended by then, the complete one has not.
    desk.on_another_day("+3d", &["publish", "--pending", "--to", "one"]).expect(0);
    assert!(!files_below(&desk.path("one/crl")).iter().any(|file| is_delta(file)));
    let said = standing(&desk, "one");
    assert!(said.contains("certificate revoked"), "{said}");
    // Nor has anybody a use for one that has.
    let late = desk.on_another_day("+9d", &["publish", "--pending", "--to", "new"]);
    late.expect(3);
    assert!(late.stderr.contains("ended") && late.stderr.contains("issuer publish"), "{}", late.stderr);
}

fn is_delta(file: &Path) -> bool {
    file.to_str().unwrap().ends_with("-delta.crl")
}
