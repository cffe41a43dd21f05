//! CMS objects in every encoding that is legal, cut short, bloated and nested: read, or refused in words.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "a test may fail this way")]
mod forgery;
mod openssl_pki;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use forgery::{
    CONTENT_TYPE, Hand, ID_AUTH_ENVELOPED_DATA, ID_DATA, ID_ENVELOPED_DATA, ID_SIGNED_DATA, MESSAGE_DIGEST,
    SHA256, Shape, SignedData, algorithm, attribute, content_info, contents, element, elements,
    issuer_and_serial, object_identifier, octets, sequence, set,
};
use mailer::content::Replay;
use mailer::keys::{KeyRing, KeysError, RsaEncryption};
use mailer::smime::{DecryptError, Decrypted, SignatureFault, VerifyError, decrypt, verify};
use mailer::trust::Certificate;
use openssl_pki::{Identity, Key, Pki, bytes, content, openssl};
use zeroize::Zeroizing;

const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nHello.\r\n";
const KEY: [u8; 32] = [7; 32];
const AES_256_CBC: &str = "2.16.840.1.101.3.4.1.42";
const AES_256_GCM: &str = "2.16.840.1.101.3.4.1.46";
const CHACHA20_POLY1305: &str = "1.2.840.113549.1.9.16.3.18";
const RSA_ENCRYPTION: &str = "1.2.840.113549.1.1.1";

/// The same object as a stream writes it: no length known beforehand, OCTET STRINGs in pieces within pieces.
fn as_ber(der: &[u8]) -> Vec<u8> {
    let tag = der[0];
    if tag & 0x20 != 0 {
        let inside: Vec<u8> = elements(der).iter().flat_map(|element| as_ber(element)).collect();
        return [&[tag, 0x80], &inside[..], &[0, 0]].concat();
    }
    if tag == 0x04 && !contents(der).is_empty() {
        let pieces: Vec<u8> = contents(der).chunks(7).flat_map(octets).collect();
        let nested = [&[0x24, 0x80], &pieces[..], &[0, 0]].concat();
        return [&[0x24, 0x80], &nested[..], &[0x04, 0x00, 0, 0]].concat();
    }
    // A length in more octets than it needs.
    let length = u32::try_from(contents(der).len()).unwrap().to_be_bytes();
    [&[tag, 0x84], &length[..], contents(der)].concat()
}

fn alice(pki: &Pki) -> Hand {
    Hand::of(&pki.signer("alice", Key::P256))
}

fn honest(alice: &Hand) -> Vec<u8> {
    SignedData::new(Some(TEXT), &[&alice.certificate], &[alice.signer_info(TEXT)]).der()
}

fn fault(cms: &dyn Replay) -> SignatureFault {
    let message = verify(cms, None, &[]).unwrap();
    assert_eq!(message.signers.len(), 1);
    message.signers[0].outcome.clone().expect_err("the signature must not count")
}

#[test]
fn a_signed_message_verifies_in_every_encoding() {
    let pki = Pki::new();
    let alice = alice(&pki);
    let der = honest(&alice);
    for encoded in [der.clone(), as_ber(&der)] {
        let message = verify(&encoded, None, &[]).unwrap();
        assert_eq!(bytes(message.content.as_ref().unwrap()), TEXT);
        assert_eq!(message.signers[0].outcome.as_ref().unwrap().certificate, alice.certificate);
    }
    let detached = SignedData::new(None, &[&alice.certificate], &[alice.signer_info(TEXT)]).der();
    for encoded in [detached.clone(), as_ber(&detached)] {
        let message = verify(&encoded, Some(&content(TEXT)), &[]).unwrap();
        assert!(message.signers[0].outcome.is_ok() && message.content.is_none());
    }
}

#[test]
fn attributes_in_any_order_are_the_same_set() {
    // RFC 5652 section 5.4: what is signed is the DER, in which a set has one order only.
    let pki = Pki::new();
    let alice = alice(&pki);
    let mut shape = Shape::new(&alice.certificate, TEXT);
    shape.attributes.sort_by(|left, right| right.cmp(left));
    shape.sorted = false;
    let reordered = SignedData::new(Some(TEXT), &[&alice.certificate], &[shape.sign(&alice)]).der();
    assert_ne!(reordered, honest(&alice));
    assert!(verify(&reordered, None, &[]).unwrap().signers[0].outcome.is_ok());
}

#[test]
fn no_cut_and_no_changed_octet_passes() {
    let pki = Pki::new();
    let alice = alice(&pki);
    let der = honest(&alice);
    let ber = as_ber(&der);
    for encoded in [&der, &ber] {
        for end in 0..encoded.len() {
            assert!(matches!(verify(&&encoded[..end], None, &[]), Err(VerifyError::Malformed(_))), "{end}");
        }
        assert!(matches!(verify(&[&encoded[..], &[0]].concat(), None, &[]), Err(VerifyError::Malformed(_))));
    }
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 0x04;
        if let Ok(message) = verify(&changed, None, &[])
            && message.signers.iter().any(|signer| signer.outcome.is_ok())
        {
            assert_eq!(bytes(message.content.as_ref().unwrap()), TEXT, "{at}");
        }
    }
}

#[test]
fn the_signers_digest_must_be_announced() {
    let pki = Pki::new();
    let alice = alice(&pki);
    let der = honest(&alice);
    // id-sha256 and id-sha384 differ in the last octet; the first one is in digestAlgorithms.
    let sha256 = object_identifier(SHA256);
    let at = der.windows(sha256.len()).position(|window| window == sha256).unwrap() + sha256.len() - 1;
    let mut changed = der;
    changed[at] = 2;
    assert!(matches!(fault(&changed), SignatureFault::Malformed(problem) if problem.contains("names")));
}

#[test]
fn signers_with_different_digests_are_checked_in_one_pass() {
    let pki = Pki::new();
    let (first, second) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::Rsa2048));
    pki.write("content", TEXT);
    for (form, detached) in [(&["-nodetach"][..], false), (&[], true)] {
        let signed = |signer: &Identity, digest: &str| {
            let sign = ["cms", "-sign", "-binary", "-in", "content", "-outform", "DER", "-out", "signed.der"];
            let keys = ["-md", digest, "-signer", &signer.pem(), "-inkey", &signer.key()];
            openssl(pki.path(), &[&sign[..], &keys, form].concat());
            elements(&elements(&elements(&pki.read("signed.der"))[1])[0])
        };
        let (one, two) = (signed(&first, "sha256"), signed(&second, "sha512"));
        let both = |field: usize| element(one[field][0], &[contents(&one[field]), contents(&two[field])]);
        let merged = sequence(&[&one[0], &both(1), &one[2], &both(3), &both(4)]);
        let merged = content_info(ID_SIGNED_DATA, &merged);
        let beside = content(TEXT);
        let message = verify(&merged, detached.then_some(&beside), &[]).unwrap();
        let mut digests: Vec<String> = message
            .signers
            .iter()
            .map(|signer| signer.outcome.as_ref().unwrap().digest.to_string())
            .collect();
        digests.sort();
        assert_eq!(digests, ["SHA-256", "SHA-512"]);
    }
}

#[test]
fn what_nobody_needs_is_passed_over_and_time_stamps_are_kept() {
    let pki = Pki::new();
    let alice = alice(&pki);
    let mut shape = Shape::new(&alice.certificate, TEXT);
    let token = content_info(ID_SIGNED_DATA, &sequence(&[&[2, 1, 3]]));
    shape.unsigned = vec![
        attribute("1.2.840.113549.1.9.16.2.14", std::slice::from_ref(&token)),
        // A counter-signature, and something that is no attribute.
        attribute("1.2.840.113549.1.9.6", &[sequence(&[&[2, 1, 1]])]),
        octets(b"no attribute"),
    ];
    let der = SignedData::new(Some(TEXT), &[&alice.certificate], &[shape.sign(&alice)]).der();
    let mut fields = elements(&elements(&elements(&der)[1])[0]);
    // An attribute certificate, another kind of certificate, another kind of revocation information.
    let more = [element(0xA1, &[&[5, 0]]), element(0xA3, &[&object_identifier(ID_DATA)])];
    fields[3] = element(0xA0, &[contents(&fields[3]), &more.concat()]);
    fields.insert(4, element(0xA1, &[&element(0xA1, &[&object_identifier(ID_DATA), &[5, 0]])]));
    let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
    let der = content_info(ID_SIGNED_DATA, &sequence(&fields));
    for encoded in [der.clone(), as_ber(&der)] {
        let message = verify(&encoded, None, &[]).unwrap();
        assert_eq!((message.certificates.len(), message.revocation_lists.len()), (1, 0));
        let signature = message.signers[0].outcome.as_ref().unwrap();
        assert_eq!(signature.time_stamp_tokens, std::slice::from_ref(&token));
        assert!(!signature.value.is_empty());
    }
}

#[test]
fn claims_of_length_depth_and_number_cost_nothing() {
    let pki = Pki::new();
    let alice = alice(&pki);
    let signed_data = object_identifier(ID_SIGNED_DATA);
    let claims = [
        [0x30, 0x80].repeat(1_000_000),
        [&[0x30, 0x80], &signed_data[..], &[0xA0, 0x80].repeat(1_000_000)].concat(),
        [0x30, 0x88, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF].to_vec(),
        [&[0x30, 0x80, 0x06, 0x84, 0xFF, 0xFF, 0xFF, 0xFF][..], &[0; 100]].concat(),
        [&[0x30, 0xFF][..], &[0xFF; 127]].concat(),
        content_info(
            ID_SIGNED_DATA,
            &sequence(&[&[2, 1, 1], &element(0x31, &[&[0x05, 0x00].repeat(100_000)])]),
        ),
    ];
    for claim in &claims {
        assert!(matches!(verify(claim, None, &[]), Err(VerifyError::Malformed(_))));
        assert!(matches!(
            failure(claim, &mut Known::new(&alice.certificate)),
            DecryptError::Malformed(_) | DecryptError::NotEnveloped(_)
        ));
    }
    let many = vec![alice.signer_info(TEXT); 17];
    let der = SignedData::new(Some(TEXT), &[&alice.certificate], &many).der();
    assert!(matches!(verify(&der, None, &[]), Err(VerifyError::TooMany("signers"))));
    // Pieces within pieces within pieces.
    let depth = 60;
    let deep = [[0x24, 0x80].repeat(depth), octets(TEXT), vec![0; 2 * depth]].concat();
    let inside = sequence(&[&object_identifier(ID_DATA), &element(0xA0, &[&deep])]);
    let der =
        content_info(ID_SIGNED_DATA, &sequence(&[&[2, 1, 1], &set(0x31, &[algorithm(SHA256)]), &inside]));
    assert!(
        matches!(verify(&der, None, &[]), Err(VerifyError::Malformed(problem)) if problem.contains("deep"))
    );
}

/// A ring whose only key gives a content key that the test knows.
struct Known {
    certificates: [Certificate; 1],
    content_key: Vec<u8>,
}

impl Known {
    fn new(certificate: &Certificate) -> Self {
        Self { certificates: [certificate.clone()], content_key: KEY.to_vec() }
    }
}

impl KeyRing for Known {
    fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
    fn decrypt(&mut self, _: usize, _: RsaEncryption, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        Ok(Zeroizing::new(self.content_key.clone()))
    }
    fn agree(&mut self, _: usize, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        Err(KeysError::NoSuchKey)
    }
}

fn failure(message: &dyn Replay, ring: &mut dyn KeyRing) -> DecryptError {
    decrypt(message, ring).err().expect("the envelope must stay closed")
}

/// An envelope around octets that the test encrypted.
struct Envelope {
    infos: Vec<Vec<u8>>,
    algorithm: Vec<u8>,
    encrypted: Vec<u8>,
    /// Attributes and tag of an AuthEnvelopedData.
    authentication: Option<(Vec<Vec<u8>>, Vec<u8>)>,
}

/// A KeyTransRecipientInfo for the certificate.
fn transport(certificate: &Certificate) -> Vec<u8> {
    let algorithm = sequence(&[&object_identifier(RSA_ENCRYPTION), &[5, 0]]);
    sequence(&[&[2, 1, 0], &issuer_and_serial(certificate), &algorithm, &octets(&[1; 32])])
}

fn gcm(certificate: &Certificate, attributes: &[Vec<u8>]) -> Envelope {
    let associated = if attributes.is_empty() { Vec::new() } else { set(0x31, attributes) };
    let sealed = aes_gcm::Aes256Gcm::new(&KEY.into())
        .encrypt(&[9; 12].into(), Payload { msg: TEXT, aad: &associated })
        .unwrap();
    let (encrypted, tag) = sealed.split_at(TEXT.len());
    let parameters = sequence(&[&octets(&[9; 12]), &[2, 1, 16]]);
    Envelope {
        infos: vec![transport(certificate)],
        algorithm: sequence(&[&object_identifier(AES_256_GCM), &parameters]),
        encrypted: encrypted.to_vec(),
        authentication: Some((attributes.to_vec(), tag.to_vec())),
    }
}

impl Envelope {
    fn der(&self) -> Vec<u8> {
        let encrypted =
            sequence(&[&object_identifier(ID_DATA), &self.algorithm, &element(0x80, &[&self.encrypted])]);
        let infos = element(0x31, &[&self.infos.concat()]);
        let (kind, rest) = match &self.authentication {
            None => (ID_ENVELOPED_DATA, Vec::new()),
            Some((attributes, tag)) if attributes.is_empty() => (ID_AUTH_ENVELOPED_DATA, octets(tag)),
            Some((attributes, tag)) => {
                let attributes = element(0xA1, &[&attributes.concat()]);
                (ID_AUTH_ENVELOPED_DATA, [attributes, octets(tag)].concat())
            }
        };
        content_info(kind, &sequence(&[&[2, 1, 0], &infos, &encrypted, &rest]))
    }
}

fn opened(decrypted: Result<Decrypted, DecryptError>) -> (Vec<u8>, bool) {
    let decrypted = decrypted.unwrap_or_else(|error| panic!("{error}"));
    (bytes(&decrypted.content), decrypted.authenticated)
}

/// The encrypted content as a stream writes it: `[0]` in pieces.
fn in_pieces(der: &[u8]) -> Vec<u8> {
    let mut fields = elements(&elements(&elements(der)[1])[0]);
    let mut info = elements(&fields[2]);
    let pieces: Vec<u8> = contents(&info[2]).chunks(5).flat_map(octets).collect();
    info[2] = [&[0xA0, 0x80], &pieces[..], &[0, 0]].concat();
    fields[2] = [&[0x30, 0x80], &info.concat()[..], &[0, 0]].concat();
    let whole = [&[0x30, 0x80], &fields.concat()[..], &[0, 0]].concat();
    let kind = elements(der)[0].clone();
    [&[0x30, 0x80], &kind[..], &[0xA0, 0x80], &whole, &[0, 0, 0, 0]].concat()
}

#[test]
fn authenticated_attributes_are_associated_data() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::Rsa2048).certificate();
    let mut ring = Known::new(&reader);
    let content_type = attribute(CONTENT_TYPE, &[object_identifier(ID_DATA)]);
    let other = attribute("1.2.840.113549.1.9.16.2.4", &[octets(b"hint")]);
    let honest = gcm(&reader, &[content_type.clone(), other.clone()]);
    for encoded in [honest.der(), in_pieces(&honest.der())] {
        assert_eq!(opened(decrypt(&encoded, &mut ring)), (TEXT.to_vec(), true));
    }
    let with = |attributes: &[Vec<u8>]| Envelope {
        authentication: Some((attributes.to_vec(), honest.authentication.clone().unwrap().1)),
        ..gcm(&reader, &[])
    };
    // In another order it is the same set; another set, or none, is not what was sealed.
    let reordered = with(&[other.clone(), content_type.clone()]);
    assert_eq!(opened(decrypt(&reordered.der(), &mut ring)).0, TEXT);
    for wrong in [with(&[]), with(std::slice::from_ref(&content_type))] {
        assert!(matches!(failure(&wrong.der(), &mut ring), DecryptError::Damaged));
    }
    // Attributes put beside content that was sealed without any prove nothing.
    let mut beside = gcm(&reader, &[]);
    beside.authentication.as_mut().unwrap().0 = vec![content_type.clone()];
    assert!(matches!(failure(&beside.der(), &mut ring), DecryptError::Damaged));
    let signed_data = attribute(CONTENT_TYPE, &[object_identifier(ID_SIGNED_DATA)]);
    let digest = attribute(MESSAGE_DIGEST, &[octets(&[0; 32])]);
    for attributes in [vec![other], vec![signed_data.clone()], vec![content_type, signed_data], vec![digest]]
    {
        assert!(matches!(failure(&gcm(&reader, &attributes).der(), &mut ring), DecryptError::Malformed(_)));
    }
}

#[test]
fn chacha20_poly1305_is_read() {
    use cipher::{KeyIvInit, StreamCipher};
    use poly1305::universal_hash::UniversalHash;
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::Rsa2048).certificate();
    // RFC 8439 section 2.8, put together by hand.
    let mut stream = chacha20::ChaCha20::new(&KEY.into(), &[9; 12].into());
    let mut first = [0; 64];
    stream.apply_keystream(&mut first);
    let mut encrypted = TEXT.to_vec();
    stream.apply_keystream(&mut encrypted);
    let mut hash =
        <poly1305::Poly1305 as poly1305::universal_hash::KeyInit>::new_from_slice(&first[..32]).unwrap();
    hash.update_padded(&encrypted);
    hash.update_padded(&[0_u64.to_le_bytes(), (TEXT.len() as u64).to_le_bytes()].concat());
    let tag = hash.finalize().to_vec();
    let mut envelope = Envelope {
        algorithm: sequence(&[&object_identifier(CHACHA20_POLY1305), &octets(&[9; 12])]),
        encrypted,
        authentication: Some((Vec::new(), tag.clone())),
        ..gcm(&reader, &[])
    };
    assert_eq!(opened(decrypt(&envelope.der(), &mut Known::new(&reader))), (TEXT.to_vec(), true));
    envelope.authentication = Some((Vec::new(), tag[..12].to_vec()));
    assert!(matches!(failure(&envelope.der(), &mut Known::new(&reader)), DecryptError::Malformed(_)));
}

#[test]
fn no_cut_and_no_changed_octet_of_an_envelope_passes() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::Rsa2048).certificate();
    let mut ring = Known::new(&reader);
    let der = gcm(&reader, &[attribute(CONTENT_TYPE, &[object_identifier(ID_DATA)])]).der();
    for encoded in [der.clone(), in_pieces(&der)] {
        for end in 0..encoded.len() {
            assert!(matches!(failure(&&encoded[..end], &mut ring), DecryptError::Malformed(_)), "{end}");
        }
        for at in 0..encoded.len() {
            let mut changed = encoded.clone();
            changed[at] ^= 0x08;
            if let Ok(opened) = decrypt(&changed, &mut ring) {
                assert_eq!(bytes(&opened.content), TEXT, "{at}");
            }
        }
    }
}

#[test]
fn every_wrong_key_ends_in_the_same_words() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::Rsa2048).certificate();
    let mut said = Vec::new();
    let cbc = Envelope {
        algorithm: sequence(&[&object_identifier(AES_256_CBC), &octets(&[9; 16])]),
        encrypted: vec![0x5A; 64],
        authentication: None,
        ..gcm(&reader, &[])
    };
    for envelope in [gcm(&reader, &[]), cbc] {
        // Of the right length, too short, too long, none at all: what a card may make of a wrong RSA padding.
        for length in [32, 16, 48, 0] {
            let mut ring = Known { content_key: vec![1; length], ..Known::new(&reader) };
            let error = failure(&envelope.der(), &mut ring);
            said.push((error.code(), error.to_string()));
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn ten_thousand_recipients_are_looked_at_and_no_more() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::Rsa2048).certificate();
    let stranger = pki.reader("stranger", Key::Rsa2048).certificate();
    let mut ring = Known::new(&reader);
    let mut envelope = gcm(&reader, &[]);
    envelope.infos = vec![transport(&stranger); 9_999];
    envelope.infos.push(transport(&reader));
    assert_eq!(opened(decrypt(&envelope.der(), &mut ring)).0, TEXT);
    envelope.infos.push(transport(&reader));
    assert!(matches!(failure(&envelope.der(), &mut ring), DecryptError::Malformed(_)));
    // The same number in one info of key agreement, none of them for us.
    let key = sequence(&[&issuer_and_serial(&stranger), &octets(&[0; 40])]);
    let point = element(0x03, &[&[0, 4], &[1; 64]]);
    let originator = element(0xA1, &[&algorithm("1.2.840.10045.2.1"), &point]);
    let wrap = sequence(&[&object_identifier("1.3.132.1.11.1"), &algorithm("2.16.840.1.101.3.4.1.45")]);
    let agreement = |count: usize| {
        element(0xA1, &[&[2, 1, 3], &element(0xA0, &[&originator]), &wrap, &sequence(&[&key.repeat(count)])])
    };
    envelope.infos = vec![agreement(10_000)];
    assert!(matches!(failure(&envelope.der(), &mut ring), DecryptError::NotForUs));
    envelope.infos = vec![agreement(10_001)];
    assert!(matches!(failure(&envelope.der(), &mut ring), DecryptError::Malformed(_)));
}

#[test]
fn triple_des_is_still_read() {
    let pki = Pki::new();
    let reader: Identity = pki.reader("reader", Key::Rsa2048);
    pki.write("content", TEXT);
    for more in [&[][..], &["-stream"]] {
        let encrypt = ["cms", "-encrypt", "-binary", "-des3", "-in", "content", "-outform", "DER"];
        openssl(pki.path(), &[&encrypt[..], more, &["-out", "mail.der", &reader.pem()]].concat());
        assert_eq!(opened(decrypt(&pki.read("mail.der"), &mut reader.ring())), (TEXT.to_vec(), false));
    }
}
