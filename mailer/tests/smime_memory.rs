//! Long content passes through little memory (Linux tells the most that a process ever had).
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use mailer::content::Content;
use mailer::smime::{
    Enveloping, Form, Recipient, RsaPadding, SigningIdentity, decrypt, encrypt, sign, verify,
};
use middleware::FileKey;
use openssl_pki::{Key, Pki, now};

/// Eight pieces of a mebibyte.
const LENGTH: u64 = 8 << 20;
/// How much more memory than before any of it, in kilobytes.
const MOST: u64 = 6 * 1024;

fn most_memory_so_far() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// One test, because the tests of a program may share its memory.
#[test]
fn long_messages_pass_through_little_memory() {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.reader("bob", Key::P256));
    let piece = Content::from_vec(b"sixteen letters.".repeat(1 << 16));
    let content = Content::concat(std::iter::repeat_n(piece, 8));
    assert_eq!(content.len(), LENGTH);
    let before = most_memory_so_far();

    let mut key = FileKey::from_pkcs8_der(&alice.pkcs8()).unwrap();
    let certificate = alice.certificate();
    let mut signed = |form| {
        let identity = SigningIdentity {
            signer: &mut key,
            certificate: &certificate,
            intermediates: &[],
            rsa_padding: RsaPadding::Pkcs1v15,
        };
        sign(&content, form, identity, now()).unwrap()
    };
    let opaque = verify(&signed(Form::Opaque), None, &[]).unwrap();
    assert!(opaque.signers[0].outcome.is_ok());
    assert_eq!(opaque.content.unwrap().len(), LENGTH);
    let detached = verify(&signed(Form::Detached), Some(&content), &[]).unwrap();
    assert!(detached.signers[0].outcome.is_ok());

    let recipients = [Recipient::unchecked(bob.certificate(), true)];
    let encrypted = encrypt(&content, &recipients, Enveloping::Authenticated).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    encrypted.write_to(&mut file).unwrap();
    let opened = decrypt(&Content::from_file(file).unwrap(), &mut bob.ring()).unwrap();
    assert_eq!(opened.content.len(), LENGTH);
    assert_eq!(**opened.content.slice(LENGTH - 8..LENGTH).head(8).unwrap(), *b"letters.");
    let more = most_memory_so_far() - before;
    assert!(more < MOST, "{more} KB");
    // The figure does move when the content is held.
    let held = content.to_vec(1 << 30).unwrap().unwrap();
    assert!(held.len() as u64 == LENGTH && most_memory_so_far() - before > MOST);
}
