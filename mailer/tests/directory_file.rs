//! The directory as files, in the layout that the issuer publishes.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use mailer::directory::{Directory, DirectoryError, Location};
use mailer::trust::Source;
use openssl_pki::{Key, Pki, encryption, now};

fn open(pki: &Pki) -> Directory {
    Directory::open(&Location::File(pki.path().join("published")), &pki.path().join("cache"), now()).unwrap()
}

#[test]
fn certificates_authorities_and_crls_are_found() {
    let pki = Pki::new();
    let address = "o!neill+pki@example.test";
    let person = pki.people.issue("oneill", Key::P256, &encryption(address, Key::P256));
    let root = pki.path().join("published");
    let folder = root.join("certificates/by-email/o%21neill+pki@example.test");
    for folder in [folder.clone(), root.join("ca"), root.join("crl")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let certificate = person.certificate();
    std::fs::write(folder.join(format!("{}.cer", certificate.serial_number())), certificate.der()).unwrap();
    std::fs::write(folder.join("broken.cer"), b"garbage").unwrap();
    std::fs::write(folder.join("note.txt"), b"not a certificate").unwrap();
    let identifier = pki.people.certificate().subject_key_identifier().unwrap();
    let name = hex::encode(&identifier);
    std::fs::write(root.join(format!("ca/{name}.cer")), pki.people.certificate().der()).unwrap();
    std::fs::write(root.join(format!("crl/{name}.crl")), pki.people.crl().der()).unwrap();

    let mut directory = open(&pki);
    assert_eq!(directory.certificates_for("O!Neill+PKI@Example.Test").unwrap(), [certificate]);
    assert!(directory.certificates_for("../../ca@example.test").unwrap().is_empty());
    assert_eq!(directory.issuers_at_hand(&identifier), [pki.people.certificate()]);
    assert_eq!(directory.revocation_lists(&identifier).len(), 1);
    assert!(directory.revocation_lists(b"other").is_empty());
    assert!(directory.take_problems().is_empty());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let pki = Pki::new();
    let mut directory =
        Directory::open(&Location::File(pki.path().join("nowhere")), pki.path(), now()).unwrap();
    assert!(directory.issuers_at_hand(b"key").is_empty() && directory.revocation_lists(b"key").is_empty());
    assert_eq!(directory.take_problems().len(), 2);
    let error = directory.certificates_for("bob@example.test").unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Unreachable { location, .. } if location.ends_with("nowhere")),
        "{error}"
    );
}

#[test]
fn oversized_files_are_refused() {
    let pki = Pki::new();
    let folder = pki.path().join("published/certificates/by-email/bob@example.test");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("01.cer"), vec![0x30; 70_000]).unwrap();
    let error = open(&pki).certificates_for("bob@example.test").unwrap_err();
    assert_eq!(error.code(), "directory-answer-too-large");
}
