//! Envelopes that openssl writes, opened by us; and those that must stay closed.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use mailer::content::Replay;
use mailer::keys::{KeyRing, KeysError, RsaEncryption};
use mailer::smime::{DecryptError, Enveloping, Recipient, decrypt};
use mailer::trust::Certificate;
use openssl_pki::{FileKeyRing, Identity, Key, Pki, envelope, openssl};
use zeroize::Zeroizing;

const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nFor your eyes only, and nobody else's.\r\n";

/// Encrypts with openssl to everybody in `people`; `options` of a recipient follow it.
fn encrypted(pki: &Pki, cipher: &str, options: &[&str], people: &[(&Identity, &[&str])]) -> Vec<u8> {
    pki.write("content", CONTENT);
    let mut arguments =
        vec!["cms", "-encrypt", "-binary", cipher, "-in", "content", "-outform", "DER", "-out", "mail.der"];
    arguments.extend(options);
    let files: Vec<String> = people.iter().map(|(person, _)| person.pem()).collect();
    for (file, (_, options)) in files.iter().zip(people) {
        arguments.extend(["-recip", file.as_str()]);
        arguments.extend(*options);
    }
    openssl(pki.path(), &arguments);
    pki.read("mail.der")
}

fn failure(message: &dyn Replay, ring: &mut dyn KeyRing) -> DecryptError {
    decrypt(message, ring).err().expect("the envelope must stay closed")
}

#[test]
fn every_cipher_and_form_of_openssl_is_read() {
    let pki = Pki::new();
    let (rsa, elliptic) = (pki.reader("rsa", Key::Rsa2048), pki.reader("elliptic", Key::P256));
    for cipher in
        ["-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc", "-aes-128-gcm", "-aes-192-gcm", "-aes-256-gcm"]
    {
        for options in [&[][..], &["-stream"], &["-keyid"]] {
            let message = encrypted(&pki, cipher, options, &[(&rsa, &[]), (&elliptic, &[])]);
            for person in [&rsa, &elliptic] {
                let opened = decrypt(&message, &mut person.ring())
                    .unwrap_or_else(|error| panic!("{cipher} {options:?} {}: {error}", person.name));
                assert_eq!(opened.content.to_vec(usize::MAX).unwrap().unwrap().as_slice(), CONTENT);
                assert_eq!(opened.authenticated, cipher.ends_with("gcm"));
            }
        }
    }
}

#[test]
fn key_encryption_of_other_programs_is_read() {
    let pki = Pki::new();
    let (rsa, elliptic) = (pki.reader("rsa", Key::Rsa2048), pki.reader("elliptic", Key::P256));
    let oaep = [
        "-keyopt",
        "rsa_padding_mode:oaep",
        "-keyopt",
        "rsa_oaep_md:sha256",
        "-keyopt",
        "rsa_mgf1_md:sha256",
    ];
    let oaep512 = [
        "-keyopt",
        "rsa_padding_mode:oaep",
        "-keyopt",
        "rsa_oaep_md:sha512",
        "-keyopt",
        "rsa_mgf1_md:sha512",
    ];
    for options in [&oaep, &oaep512] {
        let message = encrypted(&pki, "-aes-256-gcm", &[], &[(&rsa, options)]);
        assert_eq!(
            decrypt(&message, &mut rsa.ring())
                .unwrap()
                .content
                .to_vec(usize::MAX)
                .unwrap()
                .unwrap()
                .as_slice(),
            CONTENT
        );
    }
    for digest in ["sha1", "sha256", "sha384", "sha512"] {
        for cipher in ["-aes-128-cbc", "-aes-256-cbc"] {
            let option = format!("ecdh_kdf_md:{digest}");
            let message = encrypted(&pki, cipher, &[], &[(&elliptic, &["-keyopt", &option])]);
            assert_eq!(
                decrypt(&message, &mut elliptic.ring())
                    .unwrap()
                    .content
                    .to_vec(usize::MAX)
                    .unwrap()
                    .unwrap()
                    .as_slice(),
                CONTENT
            );
        }
    }
}

#[test]
fn large_streamed_mail_in_many_pieces_is_read() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    pki.write("large", &content);
    for cipher in ["-aes-256-cbc", "-aes-256-gcm"] {
        openssl(
            pki.path(),
            &[
                "cms",
                "-encrypt",
                "-binary",
                "-stream",
                cipher,
                "-in",
                "large",
                "-outform",
                "DER",
                "-out",
                "large.der",
                "reader.pem",
            ],
        );
        assert_eq!(
            decrypt(&pki.read("large.der"), &mut reader.ring())
                .unwrap()
                .content
                .to_vec(usize::MAX)
                .unwrap()
                .unwrap()
                .as_slice(),
            content
        );
    }
}

#[test]
fn recipients_of_other_kinds_are_passed_over() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let secret_key =
        ["-pwri_password", "x", "-secretkey", "000102030405060708090A0B0C0D0E0F", "-secretkeyid", "01"];
    let message = encrypted(&pki, "-aes-256-cbc", &secret_key, &[(&reader, &[])]);
    assert_eq!(
        decrypt(&message, &mut reader.ring())
            .unwrap()
            .content
            .to_vec(usize::MAX)
            .unwrap()
            .unwrap()
            .as_slice(),
        CONTENT
    );
    let message = encrypted(&pki, "-aes-256-cbc", &secret_key, &[]);
    assert!(matches!(failure(&message, &mut reader.ring()), DecryptError::NotForUs));
}

/// Every key of the ring refuses by noting that it was asked.
struct Counting<'a> {
    certificates: &'a [Certificate],
    asked: Vec<usize>,
}

impl KeyRing for Counting<'_> {
    fn certificates(&self) -> &[Certificate] {
        self.certificates
    }
    fn decrypt(&mut self, index: usize, _: RsaEncryption, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        self.asked.push(index);
        Ok(Zeroizing::new(vec![0; 32]))
    }
    fn agree(&mut self, index: usize, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        self.asked.push(index);
        Ok(Zeroizing::new(vec![0; 32]))
    }
}

#[test]
fn only_keys_that_the_message_names_are_used_and_old_ones_count() {
    let pki = Pki::new();
    let people =
        [pki.reader("new", Key::P256), pki.reader("old", Key::Rsa2048), pki.reader("other", Key::P256)];
    let certificates: Vec<Certificate> = people.iter().map(Identity::certificate).collect();
    let mut ring = FileKeyRing::default();
    people.iter().for_each(|person| ring.add(&person.pkcs8(), person.certificate()).unwrap());
    let message = encrypted(&pki, "-aes-256-cbc", &[], &[(&people[1], &[])]);
    assert_eq!(
        decrypt(&message, &mut ring).unwrap().content.to_vec(usize::MAX).unwrap().unwrap().as_slice(),
        CONTENT
    );
    let mut counting = Counting { certificates: &certificates, asked: Vec::new() };
    assert!(matches!(failure(&message, &mut counting), DecryptError::Damaged));
    assert_eq!(counting.asked, [1]);

    let stranger = pki.reader("stranger", Key::P256);
    let message = encrypted(&pki, "-aes-256-cbc", &[], &[(&stranger, &[])]);
    let mut counting = Counting { certificates: &certificates, asked: Vec::new() };
    assert!(matches!(failure(&message, &mut counting), DecryptError::NotForUs));
    assert!(counting.asked.is_empty(), "the PIN would be asked for nothing");
}

/// Counts how often the message is read from its start.
struct CountingReplay<'a> {
    message: &'a [u8],
    passes: std::cell::Cell<usize>,
}

impl Replay for CountingReplay<'_> {
    fn replay(&self) -> Box<dyn std::io::Read + '_> {
        self.passes.set(self.passes.get() + 1);
        Box::new(self.message)
    }
}

#[test]
fn one_message_cannot_keep_the_card_or_the_processor_busy() {
    let pki = Pki::new();
    let readers: Vec<Identity> = (0..6).map(|n| pki.reader(&format!("reader{n}"), Key::P256)).collect();
    let certificates: Vec<Certificate> = readers.iter().map(Identity::certificate).collect();
    for (named, most) in [(1, 2), (6, 4)] {
        let many: Vec<Recipient> =
            (0..100).map(|n: usize| Recipient::unchecked(certificates[n % named].clone(), true)).collect();
        let message = envelope(CONTENT, &many, Enveloping::Authenticated);
        let message = CountingReplay { message: &message, passes: std::cell::Cell::new(0) };
        let mut counting = Counting { certificates: &certificates, asked: Vec::new() };
        assert!(matches!(failure(&message, &mut counting), DecryptError::Damaged));
        assert_eq!((counting.asked.len(), message.passes.get()), (most, most), "{named} of our keys named");
    }
}

/// Infos that nobody here can use do not crowd out the one that opens the message.
#[test]
fn an_info_that_we_cannot_use_does_not_stand_in_the_way() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::Rsa2048);
    let label = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_label:616263"];
    let people: [(&Identity, &[&str]); 4] =
        [(&reader, &label), (&reader, &label), (&reader, &label), (&reader, &[])];
    let message = encrypted(&pki, "-aes-256-gcm", &[], &people);
    let opened = decrypt(&message, &mut reader.ring()).unwrap();
    assert_eq!(opened.content.to_vec(usize::MAX).unwrap().unwrap().as_slice(), CONTENT);
}

/// RFC 5084 section 3.2: the parameters name a tag of 12 to 16 octets.
#[test]
fn tags_that_are_too_short_are_refused_before_the_card_is_asked() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let certificates = [reader.certificate()];
    let message =
        envelope(CONTENT, &[Recipient::unchecked(reader.certificate(), true)], Enveloping::Authenticated);
    let named = message.windows(3).rposition(|window| window == [0x02, 0x01, 0x10]).unwrap() + 2;
    for length in [0, 4, 11, 17] {
        let mut short = message.clone();
        short[named] = length;
        let mut counting = Counting { certificates: &certificates, asked: Vec::new() };
        let error = failure(&short, &mut counting);
        assert!(matches!(&error, DecryptError::Unsupported(what) if what.contains("tag")), "{error}");
        assert!(counting.asked.is_empty());
    }
}

#[test]
fn a_changed_authenticated_envelope_stays_closed() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let message =
        envelope(CONTENT, &[Recipient::unchecked(reader.certificate(), true)], Enveloping::Authenticated);
    let mut ring = reader.ring();
    // From the encrypted content on to the end of the tag, every byte counts.
    for back in 1..=CONTENT.len() + 18 {
        let mut changed = message.clone();
        let at = changed.len() - back;
        changed[at] ^= 0x40;
        let error = failure(&changed, &mut ring);
        assert!(
            matches!(
                error,
                DecryptError::Damaged | DecryptError::Malformed(_) | DecryptError::Unsupported(_)
            ),
            "{back}: {error}"
        );
    }
}

#[test]
fn bad_rsa_padding_looks_like_any_damage() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::Rsa2048);
    let message = encrypted(&pki, "-aes-256-gcm", &[], &[(&reader, &[])]);
    let start = message.windows(4).position(|window| window == [0x04, 0x82, 0x01, 0x00]).unwrap() + 4;
    let mut codes = Vec::new();
    for at in [start + 1, start + 100, start + 255] {
        let mut changed = message.clone();
        changed[at] ^= 1;
        let error = failure(&changed, &mut reader.ring());
        codes.push((error.code(), error.to_string()));
    }
    let mut content_changed = message.clone();
    *content_changed.last_mut().unwrap() ^= 1;
    let error = failure(&content_changed, &mut reader.ring());
    assert!(codes.iter().all(|code| *code == (error.code(), error.to_string())), "{codes:?}");
}

#[test]
fn what_is_not_supported_is_named() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::Rsa2048);
    let options = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_label:616263"];
    let labelled = encrypted(&pki, "-aes-256-cbc", &[], &[(&reader, &options)]);
    let error = failure(&labelled, &mut reader.ring());
    assert!(matches!(&error, DecryptError::Unsupported(what) if what.contains("label")), "{error}");
    let camellia = encrypted(&pki, "-camellia-256-cbc", &[], &[(&reader, &[])]);
    assert!(matches!(failure(&camellia, &mut reader.ring()), DecryptError::Unsupported(_)));
    let content_type =
        failure(&b"0\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01".as_slice(), &mut reader.ring());
    assert!(matches!(content_type, DecryptError::NotEnveloped(_)));
}

#[test]
fn only_mail_is_taken_out_of_an_envelope() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let id_data = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01];
    for enveloping in [Enveloping::Compatible, Enveloping::Authenticated] {
        let recipient = Recipient::unchecked(reader.certificate(), true);
        let mut message = envelope(CONTENT, &[recipient], enveloping);
        let at = message.windows(id_data.len()).position(|window| window == id_data).unwrap();
        message[at + 8] = 0x02;
        assert_eq!(failure(&message, &mut reader.ring()).code(), "encrypted-other-content");
    }
}

#[test]
fn gcm_in_a_plain_envelope_is_diagnosed() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::Rsa2048);
    let message =
        envelope(CONTENT, &[Recipient::unchecked(reader.certificate(), true)], Enveloping::Compatible);
    // id-aes256-CBC and id-aes256-GCM differ in the last byte.
    let cbc = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2A];
    let at = message.windows(cbc.len()).position(|window| window == cbc).unwrap() + cbc.len() - 1;
    let mut wrong = message.clone();
    wrong[at] = 0x2E;
    let error = failure(&wrong, &mut reader.ring());
    assert!(
        matches!(&error, DecryptError::Unsupported(what) if what.contains("AuthEnvelopedData")),
        "{error}"
    );
}
