//! Protected messages, changed at random: never a panic, and never changed content under a trusted verdict.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::sync::OnceLock;

use mailer::content::Content;
use mailer::keys::KeyRing;
use mailer::message::transfer_encoding::encode_base64;
use mailer::protection::open::{Opened, ReleasePolicy, open};
use mailer::trust::{Anchor, Anchors, Certificate, CertificateList, Judge, Source, UnknownRevocation};
use openssl_pki::{FileKeyRing, Key, Pki, now, openssl};
use proptest::prelude::*;

const CONTENT: &str = "pay 100 to carol";
const STRICT: ReleasePolicy = ReleasePolicy { require_signed: false, show_untrusted: false };
const SHOW_ALL: ReleasePolicy = ReleasePolicy { require_signed: false, show_untrusted: true };

/// Messages made by openssl, and what it takes to open them.
struct Samples {
    messages: Vec<Vec<u8>>,
    detached: Vec<u8>,
    /// The envelope without authentication, in DER.
    cbc: Vec<u8>,
    anchors: Anchors,
    bob: (Vec<u8>, Certificate),
    authorities: Authorities,
}

#[derive(Clone)]
struct Authorities {
    certificate: Certificate,
    lists: Vec<CertificateList>,
}

impl Source for Authorities {
    fn issuers_at_hand(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        vec![self.certificate.clone()]
    }
    fn issuers(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        vec![self.certificate.clone()]
    }
    fn revocation_lists(&mut self, _key_identifier: &[u8]) -> Vec<CertificateList> {
        self.lists.clone()
    }
}

fn samples() -> &'static Samples {
    static SAMPLES: OnceLock<Samples> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let pki = Pki::new();
        let (alice, bob) = (pki.signer("alice", Key::P256), pki.reader("bob", Key::P256));
        pki.write("text", format!("Content-Type: text/plain\r\n\r\n{CONTENT}\r\n").as_bytes());
        let header = ["-from", "alice@example.test", "-subject", "x"];
        let sign = |form: &str, file: &str| {
            let (signer, key) = (alice.pem(), alice.key());
            let arguments = [
                "cms", "-sign", form, "-md", "sha256", "-in", "text", "-signer", &signer, "-inkey", &key,
                "-out", file,
            ];
            openssl(pki.path(), &[&arguments[..], &header].concat());
        };
        sign("-binary", "detached");
        sign("-nodetach", "opaque");
        for (cipher, file) in [("-aes-256-cbc", "cbc"), ("-aes-256-gcm", "gcm")] {
            let recipient = bob.pem();
            let arguments = ["cms", "-encrypt", cipher, "-in", "detached", "-out", file];
            openssl(pki.path(), &[&arguments[..], &header, &[&recipient]].concat());
        }
        let arguments = ["cms", "-cmsout", "-in", "cbc", "-outform", "DER", "-out", "cbc.der"];
        openssl(pki.path(), &arguments);
        Samples {
            detached: pki.read("detached"),
            cbc: pki.read("cbc.der"),
            messages: ["detached", "opaque", "cbc", "gcm"].iter().map(|file| pki.read(file)).collect(),
            anchors: Anchors(vec![Anchor {
                certificate: pki.root.certificate(),
                domains: vec!["example.test".to_owned()],
            }]),
            bob: (bob.pkcs8(), bob.certificate()),
            authorities: Authorities {
                certificate: pki.people.certificate(),
                lists: vec![pki.root.crl(), pki.people.crl()],
            },
        }
    })
}

/// Opens; answers whether the verdict is trusted, and the content if any came out.
fn opened(message: &[u8]) -> Option<(bool, Option<String>)> {
    let opened = try_open(message)?;
    let trusted = opened.verdict().is_trusted();
    Some((trusted, opened.release(SHOW_ALL).map(text)))
}

fn text(content: Content) -> String {
    String::from_utf8_lossy(&content.to_vec(1_000_000).unwrap().unwrap()).into_owned()
}

fn try_open(message: &[u8]) -> Option<Opened> {
    let samples = samples();
    let mut source = samples.authorities.clone();
    let mut judge = Judge {
        anchors: &samples.anchors,
        source: &mut source,
        at: now(),
        unknown_revocation: UnknownRevocation::Reject,
    };
    let mut keys = || {
        let mut ring = FileKeyRing::default();
        ring.add(&samples.bob.0, samples.bob.1.clone()).unwrap();
        Ok(Box::new(ring) as Box<dyn KeyRing>)
    };
    open(&Content::from_vec(message.to_vec()), &mut keys, &mut judge).ok()
}

/// The AES-CBC sample with its initialization vector changed, which changes the first 16 bytes of what was encrypted.
fn with_changed_iv(change: [u8; 16]) -> Vec<u8> {
    const CBC: [u8; 13] = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2A, 0x04, 0x10];
    let mut der = samples().cbc.clone();
    let at = der.windows(CBC.len()).position(|window| window == CBC).unwrap() + CBC.len();
    der[at..at + 16].iter_mut().zip(change).for_each(|(byte, change)| *byte ^= change);
    let header = b"From: alice@example.test\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    [&header[..], &encode_base64(&der)].concat()
}

#[test]
fn an_envelope_that_anybody_can_change_is_not_released_without_a_signature() {
    assert!(try_open(&with_changed_iv([0; 16])).unwrap().is_acceptable(STRICT));
    // An empty line where the header began: all that was signed becomes text, and anything can stand before it.
    let mut change = [0; 16];
    for (change, (was, wanted)) in change.iter_mut().zip(samples().detached.iter().zip(b"\r\n<b>FORGED</b>"))
    {
        *change = was ^ wanted;
    }
    let opened = try_open(&with_changed_iv(change)).unwrap();
    assert_eq!(opened.verdict().code(), "unauthenticated");
    assert!(!opened.is_acceptable(STRICT) && opened.was_encrypted());
    assert!(opened.release(STRICT).is_none());
    let shown = try_open(&with_changed_iv(change)).unwrap().release(SHOW_ALL).unwrap();
    assert!(text(shown).contains("FORGED"));
}

#[test]
fn the_samples_themselves_are_trusted() {
    for (number, message) in samples().messages.iter().enumerate() {
        let (trusted, content) = opened(message).unwrap();
        assert!(trusted && content.unwrap().contains(CONTENT), "sample {number}");
    }
}

proptest! {
    // PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1500)))]
    #[test]
    fn changed_content_is_never_trusted(
        sample in 0_usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut message = samples().messages[sample].clone();
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len()));
        }
        if let Some((true, content)) = opened(&message) {
            let content = content.unwrap();
            let body = content.split("\r\n\r\n").last().unwrap();
            prop_assert_eq!(body.trim_end(), CONTENT);
        }
    }
    #[test]
    fn a_changed_initialization_vector_releases_nothing_else(change: [u8; 16], narrow in 0_usize..16, only_one: bool) {
        let mut change = change;
        if only_one {
            change.iter_mut().enumerate().filter(|(at, _)| *at != narrow).for_each(|(_, byte)| *byte = 0);
        }
        if let Some(content) = try_open(&with_changed_iv(change)).and_then(|opened| opened.release(STRICT)) {
            let content = text(content);
            prop_assert_eq!(content.split("\r\n\r\n").last().unwrap().trim_end(), CONTENT);
        }
    }
}
