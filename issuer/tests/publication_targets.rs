//! Several targets and several runs: each target fails alone, with its own words, and runs do not get in each other's way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use desk_support::{Desk, files_below, openssl};
use issuer::ca::Certificate;

/// A desk that publishes in two directories.
fn two_targets(deltas: bool) -> Desk {
    let desk = Desk::new();
    if deltas {
        let path = desk.home().join("config.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("delta_crls = true\n{text}")).unwrap();
    }
    for target in ["one", "other"] {
        desk.issuer(&["publish", "--to", target]).expect(0);
    }
    desk
}

/// The complete CRL of the authority for people in a directory.
fn a_crl(desk: &Desk, target: &str) -> PathBuf {
    let authorities = files_below(&desk.path(target).join("ca"));
    let mut authorities =
        authorities.iter().map(|file| Certificate::from_der(std::fs::read(file).unwrap()).unwrap());
    let people = authorities.find(|authority| authority.subject().contains("People CA")).unwrap();
    desk.path(target).join(format!("crl/{}.crl", hex::encode(people.subject_key_identifier())))
}

fn number(crl: &Path) -> u64 {
    let shown = openssl(&["crl", "-inform", "DER", "-noout", "-crlnumber", "-in", crl.to_str().unwrap()]);
    let text = String::from_utf8(shown.stdout).unwrap();
    u64::from_str_radix(text.trim().trim_start_matches("crlNumber=0x"), 16).unwrap()
}

/// Obeying what the run says is enough: a complete publication heals what is damaged, as it does what is missing.
#[test]
fn a_damaged_crl_at_one_target_is_replaced_and_named() {
    for deltas in [false, true] {
        let desk = two_targets(deltas);
        let (damaged, whole) = (a_crl(&desk, "one"), a_crl(&desk, "other"));
        let good = std::fs::read(&damaged).unwrap();
        let file = damaged.file_name().unwrap().to_str().unwrap();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for bytes in [&good[..good.len() / 2], b"nothing of the kind", &flipped] {
            std::fs::write(&damaged, bytes).unwrap();
            let run = desk.issuer(&["publish"]);
            run.expect(0);
            for word in [desk.text("one").as_str(), file, "was damaged, and is replaced"] {
                assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
            }
            assert_eq!(number(&damaged), number(&whole));
            assert!(!desk.issuer(&["publish"]).stderr.contains("damaged"));
        }
    }
}

#[test]
fn a_damaged_crl_is_replaced_by_the_one_that_a_delta_is_added_to() {
    let desk = two_targets(true);
    let (damaged, whole) = (a_crl(&desk, "one"), a_crl(&desk, "other"));
    let delta = |crl: &Path| {
        crl.with_file_name(crl.file_name().unwrap().to_str().unwrap().replace(".crl", "-delta.crl"))
    };
    let file = damaged.file_name().unwrap().to_str().unwrap();
    let good = std::fs::read(&damaged).unwrap();
    for bytes in [&good[..good.len() / 2], b"nothing of the kind"] {
        std::fs::write(&damaged, bytes).unwrap();
        let before = number(&delta(&whole));
        let run = desk.issuer(&["publish", "--delta"]);
        run.expect(0);
        for word in [desk.text("one").as_str(), file, "was damaged, and is replaced"] {
            assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
        }
        assert_eq!(number(&damaged), number(&whole));
        for crl in [&damaged, &whole] {
            assert!(number(&delta(crl)) > before, "{} has no new delta", crl.display());
        }
    }
    // One that is behind, with all that it has whole, is brought up to date too.
    desk.issuer(&["publish", "--to", "other"]).expect(0);
    std::fs::write(&damaged, &good).unwrap();
    desk.issuer(&["publish", "--delta"]).expect(0);
    assert_eq!(number(&damaged), number(&whole));
    desk.issuer(&["publish", "--pending"]).expect(0);
}

#[test]
fn a_checkpoint_that_cannot_be_read_stops_its_directory_alone() {
    let desk = two_targets(false);
    let (checkpoint, whole) = (desk.path("one").join("audit/checkpoint.txt"), a_crl(&desk, "other"));
    let (good, before) = (std::fs::read(&checkpoint).unwrap(), number(&whole));
    std::fs::write(&checkpoint, "nothing of the kind").unwrap();
    let run = desk.issuer(&["publish"]);
    run.expect(3);
    assert!(run.stderr.contains("one/audit/checkpoint.txt"), "{}", run.stderr);
    assert!(number(&whole) > before, "the other target got no new CRL");
    std::fs::write(&checkpoint, good).unwrap();
    desk.issuer(&["publish"]).expect(0);
}

#[test]
fn runs_at_the_same_time_take_turns_and_no_target_is_said_to_have_failed() {
    let desk = two_targets(true);
    let spawn = |_| {
        let mut command = desk.command(&["publish"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..4).map(spawn).collect();
    for run in running {
        let done = run.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    for target in desk.json(&["target", "list"]).as_array().unwrap() {
        assert_eq!((&target["failures"], &target["waiting"]), (&0.into(), &0.into()), "{target}");
    }
    // Two runs before, and these four.
    assert_eq!(number(&a_crl(&desk, "one")), 6);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_url_is_no_directory() {
    let desk = Desk::new();
    for url in ["http://pki.example.org", "https://pki.example.org/x", "ftp://x", "file:///srv/pki"] {
        desk.issuer(&["publish", "--to", url]).refuses(2, &[url, "issuer serve"]);
    }
    for name in ["http:", "https:", "ftp:", "file:"] {
        assert!(!desk.path(name).exists(), "{name} was made");
    }
    assert_eq!(desk.json(&["target", "list"]).as_array().map(Vec::len), Some(0));
}
