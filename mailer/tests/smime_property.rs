//! Whatever arrives, the readers answer: no panic, and nothing that was changed passes as what it was.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::sync::LazyLock;

use mailer::content::Content;
use mailer::keys::KeyRing;
use mailer::smime::{Enveloping, Form, Recipient, RsaPadding, SigningIdentity, decrypt, sign, verify};
use mailer::trust::{Certificate, CertificateList};
use openssl_pki::{FileKeyRing, Key, Pki, bytes, content, envelope, now, openssl};
use proptest::prelude::*;

const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nHello, hello, hello.\r\n";

/// Objects of every kind, ours and openssl's streamed ones, with the keys that open them.
struct Samples {
    objects: Vec<Vec<u8>>,
    certificate: Vec<u8>,
    crl: Vec<u8>,
    keys: Vec<(Vec<u8>, Certificate)>,
}

impl Samples {
    fn ring(&self) -> FileKeyRing {
        let mut ring = FileKeyRing::default();
        self.keys.iter().for_each(|(key, certificate)| ring.add(key, certificate.clone()).unwrap());
        ring
    }
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let pki = Pki::new();
    let (alice, bob, rita) =
        (pki.signer("alice", Key::P256), pki.reader("bob", Key::P256), pki.reader("rita", Key::Rsa2048));
    let certificate = alice.certificate();
    let mut ring = alice.ring();
    let intermediates = [pki.people.certificate()];
    let identity = SigningIdentity {
        signer: ring.signer(0).unwrap(),
        certificate: &certificate,
        intermediates: &intermediates,
        rsa_padding: RsaPadding::default(),
    };
    let mut objects = vec![bytes(&sign(&content(CONTENT), Form::Opaque, identity, now()).unwrap())];
    let recipients =
        [Recipient::unchecked(bob.certificate(), true), Recipient::unchecked(rita.certificate(), true)];
    for enveloping in [Enveloping::Authenticated, Enveloping::Compatible] {
        objects.push(envelope(CONTENT, &recipients, enveloping));
    }
    pki.write("content", CONTENT);
    openssl(
        pki.path(),
        &[
            "cms",
            "-sign",
            "-binary",
            "-nodetach",
            "-stream",
            "-in",
            "content",
            "-outform",
            "DER",
            "-out",
            "s.der",
            "-signer",
            "alice.pem",
            "-inkey",
            "alice.key",
        ],
    );
    openssl(
        pki.path(),
        &[
            "cms",
            "-encrypt",
            "-binary",
            "-stream",
            "-aes-256-gcm",
            "-in",
            "content",
            "-outform",
            "DER",
            "-out",
            "e.der",
            "bob.pem",
            "rita.pem",
        ],
    );
    objects.extend([pki.read("s.der"), pki.read("e.der")]);
    pki.people.revoke("rita", &["-crl_compromise", "20260420083000Z"]);
    Samples {
        objects,
        certificate: certificate.der().to_vec(),
        crl: pki.people.crl().der().to_vec(),
        keys: vec![(bob.pkcs8(), bob.certificate()), (rita.pkcs8(), rita.certificate())],
    }
});

/// Ways to damage bytes.
fn damaged(original: &[u8], edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for (place, kind, value) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        match kind % 5 {
            0 => bytes[at] = *value,
            1 => bytes[at] ^= 1 << (value % 8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, *value),
            _ => drop(bytes.drain(at..(at + usize::from(*value)).min(bytes.len()))),
        }
    }
    bytes
}

/// Reads with every reader; answers the content if something was believed.
fn read_all(bytes: &[u8], ring: &mut dyn KeyRing) {
    if let Ok(message) = verify(&bytes, None, &[])
        && message.signers.iter().any(|signer| signer.outcome.is_ok())
    {
        let content = message.content.unwrap().to_vec(usize::MAX).unwrap().unwrap();
        assert_eq!(*content, CONTENT, "changed content passed as signed");
    }
    let _ = verify(&bytes, Some(&Content::from_vec(CONTENT.to_vec())), &[]);
    if let Ok(opened) = decrypt(&bytes, ring)
        && opened.authenticated
    {
        assert_eq!(
            opened.content.to_vec(usize::MAX).unwrap().unwrap().as_slice(),
            CONTENT,
            "changed content passed as authenticated"
        );
    }
    let _ = Certificate::from_der(bytes);
    let _ = Certificate::from_file_contents(bytes);
    let _ = CertificateList::from_der(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(512), // PROPTEST_CASES asks for more.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_objects_are_answered(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..6),
    ) {
        let object = which.get(&SAMPLES.objects);
        read_all(&damaged(object, &edits), &mut SAMPLES.ring());
    }

    #[test]
    fn damaged_certificates_and_lists_are_answered(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..6),
    ) {
        if let Ok(certificate) = Certificate::from_der(&damaged(&SAMPLES.certificate, &edits)) {
            let _ = (certificate.subject(), certificate.issuer(), certificate.mail_addresses(), certificate.not_after());
            let _ = (certificate.subject_key_identifier(), certificate.authority_key_identifier(), certificate.serial_number());
        }
        if let Ok(list) = CertificateList::from_der(&damaged(&SAMPLES.crl, &edits)) {
            let _ = (list.this_update(), list.next_update());
        }
    }

    #[test]
    fn garbage_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes, &mut FileKeyRing::default());
    }

    #[test]
    fn garbage_that_nests_is_answered(depth in 0_usize..5000, tag in prop::sample::select(vec![0x30_u8, 0x31, 0xA0, 0x24])) {
        let bytes: Vec<u8> = [tag, 0x80].repeat(depth);
        read_all(&bytes, &mut FileKeyRing::default());
    }
}
