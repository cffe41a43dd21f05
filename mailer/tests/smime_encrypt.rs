//! Envelopes that we write, opened by openssl and by ourselves.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use mailer::smime::{EncryptError, Enveloping, Recipient, decrypt, encrypt};
use openssl_pki::{Identity, Key, Pki, bytes, content, envelope, openssl, try_openssl};

const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nFor your eyes only.\r\n";

fn recipients(identities: &[&Identity], ours: bool) -> Vec<Recipient> {
    identities.iter().map(|identity| Recipient::unchecked(identity.certificate(), ours)).collect()
}

#[test]
fn openssl_opens_every_kind_with_each_recipients_key() {
    let pki = Pki::new();
    let (rsa, elliptic) = (pki.reader("rsa", Key::Rsa2048), pki.reader("elliptic", Key::P256));
    for enveloping in [Enveloping::Authenticated, Enveloping::Compatible] {
        for people in [vec![&rsa], vec![&elliptic], vec![&rsa, &elliptic]] {
            let encrypted = envelope(CONTENT, &recipients(&people, true), enveloping);
            pki.write("mail.der", &encrypted);
            for person in people {
                let (certificate, key) = (person.pem(), person.key());
                let read = openssl(
                    pki.path(),
                    &[
                        "cms",
                        "-decrypt",
                        "-binary",
                        "-inform",
                        "DER",
                        "-in",
                        "mail.der",
                        "-recip",
                        &certificate,
                        "-inkey",
                        &key,
                    ],
                );
                assert_eq!(read, CONTENT, "{enveloping:?} {}", person.name);
                let own = decrypt(&encrypted, &mut person.ring()).unwrap();
                assert_eq!(own.content.to_vec(usize::MAX).unwrap().unwrap().as_slice(), CONTENT);
                assert_eq!(own.authenticated, enveloping == Enveloping::Authenticated);
            }
        }
    }
}

#[test]
fn contents_of_every_length_come_back() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let mut ring = reader.ring();
    for length in (0..50).chain([1 << 20]) {
        let plain = vec![0xA5; length];
        for enveloping in [Enveloping::Authenticated, Enveloping::Compatible] {
            let encrypted = envelope(&plain, &recipients(&[&reader], true), enveloping);
            assert_eq!(
                decrypt(&encrypted, &mut ring)
                    .unwrap()
                    .content
                    .to_vec(usize::MAX)
                    .unwrap()
                    .unwrap()
                    .as_slice(),
                plain
            );
        }
    }
}

#[test]
fn the_policy_is_by_recipients() {
    let pki = Pki::new();
    let (ours, theirs) = (pki.reader("ours", Key::P256), pki.reader("theirs", Key::Rsa2048));
    let only_ours = encrypt(&content(CONTENT), &recipients(&[&ours], true), Enveloping::Automatic).unwrap();
    assert_eq!(only_ours.smime_type, "authEnveloped-data");
    let mixed = [recipients(&[&ours], true), recipients(&[&theirs], false)].concat();
    let mixed = encrypt(&content(CONTENT), &mixed, Enveloping::Automatic).unwrap();
    assert_eq!(mixed.smime_type, "enveloped-data");
    pki.write("mixed.der", &bytes(&mixed.into_content().unwrap()));
    let printed = openssl(pki.path(), &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "mixed.der"]);
    let printed = String::from_utf8(printed).unwrap();
    for algorithm in ["aes-256-cbc", "rsaEncryption", "dhSinglePass-stdDH-sha256kdf-scheme", "id-aes256-wrap"]
    {
        assert!(printed.contains(algorithm), "{algorithm} is missing in {printed}");
    }
}

#[test]
fn nobody_else_opens_it() {
    let pki = Pki::new();
    let (alice, eve) = (pki.reader("alice", Key::Rsa2048), pki.reader("eve", Key::Rsa2048));
    let encrypted = envelope(CONTENT, &recipients(&[&alice], true), Enveloping::Authenticated);
    pki.write("mail.der", &encrypted);
    let refused = try_openssl(
        pki.path(),
        &["cms", "-decrypt", "-inform", "DER", "-in", "mail.der", "-recip", "eve.pem", "-inkey", "eve.key"],
    );
    assert!(!refused.status.success());
    let error = decrypt(&encrypted, &mut eve.ring()).err().unwrap();
    assert_eq!(error.code(), "not-for-us");
    assert!(!encrypted.windows(9).any(|window| window == b"your eyes"));
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let pki = Pki::new();
    assert!(matches!(encrypt(&content(CONTENT), &[], Enveloping::Automatic), Err(EncryptError::NoRecipient)));
    let carol = pki.reader("carol", Key::P521);
    let error = encrypt(&content(CONTENT), &recipients(&[&carol], true), Enveloping::Automatic).unwrap_err();
    assert!(error.to_string().contains("carol") && error.to_string().contains("P-521"), "{error}");
}
