//! Every key, padding, curve and cipher: what we write openssl opens, where it can, and what openssl writes we open.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;
mod soft_keys;

use mailer::smime::{
    AlgorithmChoice, Enveloping, Form, Recipient, RsaPadding, SignatureFault, SigningIdentity, decrypt,
    encrypt, sign, verify,
};
use openssl_pki::{Identity, Key, Pki, bytes, content, envelope, now, openssl};
use soft_keys::{SoftKey, SoftKeyRing};

const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nFor your eyes only.\r\n";

fn ring(identity: &Identity) -> SoftKeyRing {
    SoftKeyRing::of(SoftKey::from_pkcs8_der(&identity.pkcs8()), identity.certificate())
}

fn opened_by_openssl(pki: &Pki, person: &Identity) -> Vec<u8> {
    let (certificate, key) = (person.pem(), person.key());
    let options = ["-inform", "DER", "-in", "mail.der", "-recip", &certificate, "-inkey", &key];
    openssl(pki.path(), &[&["cms", "-decrypt", "-binary"][..], &options].concat())
}

#[test]
fn every_kind_of_key_opens_what_we_write() {
    let pki = Pki::new();
    for key in [Key::Rsa2048, Key::Rsa3072, Key::Rsa4096, Key::P256, Key::P384, Key::X25519] {
        let person = pki.reader(&format!("{key:?}"), key);
        let recipient = Recipient::unchecked(person.certificate(), true);
        for enveloping in [Enveloping::Authenticated, Enveloping::Compatible] {
            let mail = envelope(CONTENT, std::slice::from_ref(&recipient), enveloping);
            let opened = decrypt(&mail, &mut ring(&person)).unwrap();
            assert_eq!(bytes(&opened.content), CONTENT, "{key:?} {enveloping:?}");
            // OpenSSL 3.0 knows no X25519 recipients.
            if key != Key::X25519 {
                pki.write("mail.der", &mail);
                assert_eq!(opened_by_openssl(&pki, &person), CONTENT, "{key:?} {enveloping:?}");
            }
        }
    }
}

#[test]
fn every_key_encryption_of_openssl_is_read() {
    let pki = Pki::new();
    let (rsa, p256, p384) =
        (pki.reader("rsa", Key::Rsa2048), pki.reader("p256", Key::P256), pki.reader("p384", Key::P384));
    let oaep = |digest: &str, mask: &str| {
        vec![
            "rsa_padding_mode:oaep".to_owned(),
            format!("rsa_oaep_md:{digest}"),
            format!("rsa_mgf1_md:{mask}"),
        ]
    };
    let mut cases: Vec<(&Identity, Vec<String>)> = vec![
        (&rsa, Vec::new()),
        (&rsa, vec!["rsa_padding_mode:oaep".to_owned()]),
        (&p256, Vec::new()),
        (&p256, vec!["ecdh_cofactor_mode:1".to_owned()]),
    ];
    for digest in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
        cases.push((&rsa, oaep(digest, digest)));
        cases.push((&rsa, oaep(digest, "sha1")));
        cases.push((&rsa, oaep("sha256", digest)));
        cases.push((&p256, vec![format!("ecdh_kdf_md:{digest}")]));
        cases.push((&p384, vec![format!("ecdh_kdf_md:{digest}")]));
        cases.push((&p384, vec![format!("ecdh_kdf_md:{digest}"), "ecdh_cofactor_mode:1".to_owned()]));
    }
    pki.write("content", CONTENT);
    for (person, options) in cases {
        for (cipher, by_key_identifier) in
            [("-aes-128-cbc", false), ("-aes-192-cbc", true), ("-aes-256-gcm", true)]
        {
            let pem = person.pem();
            let mut arguments =
                vec!["cms", "-encrypt", "-binary", cipher, "-in", "content", "-outform", "DER", "-out", "m"];
            if by_key_identifier {
                arguments.push("-keyid");
            }
            arguments.extend(["-recip", &pem]);
            arguments.extend(options.iter().flat_map(|option| ["-keyopt", option.as_str()]));
            openssl(pki.path(), &arguments);
            let opened = decrypt(&pki.read("m"), &mut ring(person));
            let opened =
                opened.unwrap_or_else(|error| panic!("{} {options:?} {cipher}: {error}", person.name));
            assert_eq!(bytes(&opened.content), CONTENT);
            assert_eq!(opened.authenticated, cipher.ends_with("gcm"));
        }
    }
}

#[test]
fn every_kind_of_key_signs() {
    let pki = Pki::new();
    let kinds = [
        (Key::Rsa2048, RsaPadding::Pkcs1v15),
        (Key::Rsa2048, RsaPadding::Pss),
        (Key::Rsa4096, RsaPadding::Pss),
        (Key::P256, RsaPadding::Pkcs1v15),
        (Key::P384, RsaPadding::Pkcs1v15),
        (Key::Ed25519, RsaPadding::Pkcs1v15),
    ];
    for (key, rsa_padding) in kinds {
        let person = pki.signer(&format!("{key:?}-{rsa_padding:?}"), key);
        let certificate = person.certificate();
        for form in [Form::Opaque, Form::Detached] {
            let mut ring = ring(&person);
            let intermediates = [pki.people.certificate()];
            let identity = SigningIdentity {
                signer: ring.signer(0),
                certificate: &certificate,
                intermediates: &intermediates,
                rsa_padding,
            };
            let signed = bytes(&sign(&content(CONTENT), form, identity, now()).unwrap());
            let plain = content(CONTENT);
            let beside = (form == Form::Detached).then_some(&plain);
            let read = verify(&signed, beside, &[]).unwrap();
            let signature = read.signers[0].outcome.as_ref().unwrap();
            assert_eq!(signature.certificate, certificate);
            // OpenSSL 3.0 verifies no Ed25519 signer.
            if key != Key::Ed25519 {
                pki.write("signed.der", &signed);
                pki.write("content", CONTENT);
                let verify = ["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-CAfile", "Root.pem"];
                let place: &[&str] = match form {
                    Form::Opaque => &["-in", "signed.der"],
                    Form::Detached => &["-in", "signed.der", "-content", "content"],
                };
                assert_eq!(openssl(pki.path(), &[&verify[..], place].concat()), CONTENT, "{key:?}");
            }
        }
    }
}

#[test]
fn every_signature_of_openssl_is_verified() {
    let pki = Pki::new();
    let pss = |mask: &str, salt: &str| {
        vec![
            "rsa_padding_mode:pss".to_owned(),
            format!("rsa_pss_saltlen:{salt}"),
            format!("rsa_mgf1_md:{mask}"),
        ]
    };
    let (rsa, p521) = (pki.signer("rsa", Key::Rsa2048), pki.signer("p521", Key::P521));
    let (p256, p384) = (pki.signer("p256", Key::P256), pki.signer("p384", Key::P384));
    let mut cases: Vec<(&Identity, &str, Vec<String>)> = Vec::new();
    for digest in ["sha256", "sha384", "sha512"] {
        for salt in ["0", "20", "max", "digest"] {
            cases.push((&rsa, digest, pss(digest, salt)));
        }
        cases.push((&rsa, digest, pss("sha512", "digest")));
        for person in [&rsa, &p256, &p384, &p521] {
            cases.push((person, digest, Vec::new()));
        }
    }
    pki.write("content", CONTENT);
    for (person, digest, options) in cases {
        let (pem, key) = (person.pem(), person.key());
        let mut arguments = vec!["cms", "-sign", "-binary", "-nodetach", "-md", digest, "-in", "content"];
        arguments.extend(["-outform", "DER", "-out", "signed", "-signer", &pem, "-inkey", &key]);
        arguments.extend(options.iter().flat_map(|option| ["-keyopt", option.as_str()]));
        openssl(pki.path(), &arguments);
        let signed = pki.read("signed");
        let read = verify(&signed, None, &[]).unwrap();
        assert!(read.signers[0].outcome.is_ok(), "{} {digest} {options:?}: {:?}", person.name, read.signers);
        let mut changed = signed;
        *changed.last_mut().unwrap() ^= 1;
        assert!(verify(&changed, None, &[]).unwrap().signers[0].outcome.is_err());
    }
}

#[test]
fn what_is_no_longer_believed_is_named() {
    let pki = Pki::new();
    let short = pki.signer("short", Key::Rsa1024);
    let old = pki.signer("old", Key::Dsa1024);
    let rsa = pki.signer("rsa", Key::Rsa2048);
    pki.write("content", CONTENT);
    let sha1_mask = ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha1"];
    let cases: [(&Identity, &[&str], &str); 4] = [
        (&short, &["-md", "sha256"], "1024 bits"),
        (&old, &["-md", "sha256"], "DSA"),
        (&rsa, &["-md", "sha1"], "SHA-1"),
        (&rsa, &[&["-md", "sha256"][..], &sha1_mask].concat(), "SHA-1"),
    ];
    for (person, options, words) in cases {
        let (pem, key) = (person.pem(), person.key());
        let arguments =
            ["cms", "-sign", "-binary", "-nodetach", "-in", "content", "-outform", "DER", "-out", "s"];
        openssl(pki.path(), &[&arguments[..], &["-signer", &pem, "-inkey", &key], options].concat());
        let read = verify(&pki.read("s"), None, &[]).unwrap();
        let fault = read.signers[0].outcome.as_ref().unwrap_err();
        assert!(matches!(fault, SignatureFault::Unsupported(_)), "{words}: {fault}");
        assert!(fault.to_string().contains(words), "{words}: {fault}");
    }
    let error =
        encrypt(&content(CONTENT), &[Recipient::unchecked(short.certificate(), true)], Enveloping::Automatic);
    assert!(error.unwrap_err().to_string().contains("short"));
}

/// Thousands of keys around one copy of the content, and each of them opens it.
#[test]
fn a_thousand_recipients_share_one_content() {
    let pki = Pki::new();
    let people =
        [pki.reader("rsa", Key::Rsa2048), pki.reader("p256", Key::P256), pki.reader("x25519", Key::X25519)];
    let all: Vec<Recipient> = people
        .iter()
        .cycle()
        .take(1000)
        .map(|person| Recipient::unchecked(person.certificate(), true))
        .collect();
    let plain = vec![0x5A; 300_000];
    let mail = envelope(&plain, &all, Enveloping::Automatic);
    assert!(mail.len() < plain.len() + 1000 * 600, "{} octets", mail.len());
    for person in &people {
        let opened = decrypt(&mail, &mut ring(person)).unwrap();
        assert!(bytes(&opened.content) == plain, "{}", person.name);
    }
    let choice = AlgorithmChoice::of(&all, Enveloping::Automatic).unwrap();
    assert_eq!(choice.key_encryption(), ["ecdh-p256-sha256", "rsa-oaep-sha256", "x25519-hkdf-sha256"]);
}

/// RFC 7748 section 6.1: a key of small order makes the same secret with everybody.
#[test]
fn a_key_of_small_order_gets_no_mail_and_opens_none() {
    let pki = Pki::new();
    let person = pki.reader("x25519", Key::X25519);
    let mut zero = hex::decode("302a300506032b656e032100").unwrap();
    zero.extend([0; 32]);
    let mail =
        envelope(CONTENT, &[Recipient::unchecked(person.certificate(), true)], Enveloping::Authenticated);
    // The ephemeral key in the message replaced by zero.
    let start = zero[2..11].to_vec();
    let at = mail.windows(start.len()).position(|window| window == start).unwrap() + 10;
    let mut changed = mail;
    changed[at..at + 32].fill(0);
    assert!(decrypt(&changed, &mut ring(&person)).is_err());
    pki.people.certify_key_instead(&person, &zero);
    let error = encrypt(
        &content(CONTENT),
        &[Recipient::unchecked(person.certificate(), true)],
        Enveloping::Authenticated,
    );
    assert!(error.unwrap_err().to_string().contains("unusable X25519 key"));
}
