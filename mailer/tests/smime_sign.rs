//! Signatures that we write, judged by openssl.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use base64ct::{Base64, Encoding};
use mailer::keys::{KeyError, SignatureScheme, Signer};
use mailer::smime::{
    Form, PreparedSignature, RsaPadding, SignError, SigningAlgorithm, SigningIdentity, sign,
};
use openssl_pki::{Identity, Key, Pki, bytes, content, now, openssl, try_openssl};

const CONTENT: &[u8] = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGuten Tag.\r\n";

fn signed(pki: &Pki, identity: &Identity, form: Form) -> Vec<u8> {
    let mut ring = identity.ring();
    let certificate = identity.certificate();
    let intermediates = [pki.people.certificate()];
    let identity = SigningIdentity {
        signer: ring.signer(0).unwrap(),
        certificate: &certificate,
        intermediates: &intermediates,
        rsa_padding: RsaPadding::default(),
    };
    bytes(&sign(&content(CONTENT), form, identity, now()).unwrap())
}

#[test]
fn openssl_verifies_opaque_and_detached_signatures() {
    let pki = Pki::new();
    for key in [Key::Rsa2048, Key::P256] {
        let alice = pki.signer("alice", key);
        pki.write("content", CONTENT);
        // -cades demands the signing-certificate attribute and checks it.
        let verify =
            ["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-CAfile", "Root.pem", "-out", "out"];

        pki.write("opaque.der", &signed(&pki, &alice, Form::Opaque));
        openssl(pki.path(), &[&verify[..], &["-in", "opaque.der"]].concat());
        assert_eq!(pki.read("out"), CONTENT);

        pki.write("detached.der", &signed(&pki, &alice, Form::Detached));
        openssl(pki.path(), &[&verify[..], &["-in", "detached.der", "-content", "content"]].concat());
        assert_eq!(pki.read("out"), CONTENT);

        pki.write("content", b"Content-Type: text/plain\r\n\r\nSomething else.\r\n");
        let changed =
            try_openssl(pki.path(), &[&verify[..], &["-in", "detached.der", "-content", "content"]].concat());
        assert!(!changed.status.success());
    }
}

#[test]
fn openssl_verifies_the_smime_form() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let lines: Vec<String> = Base64::encode_string(&signed(&pki, &alice, Form::Opaque))
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let header = "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    pki.write("mail.eml", format!("{header}{}\r\n", lines.join("\r\n")).as_bytes());
    let read = openssl(pki.path(), &["cms", "-verify", "-binary", "-in", "mail.eml", "-CAfile", "Root.pem"]);
    assert_eq!(read, CONTENT);
}

#[test]
fn every_promised_attribute_is_signed() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    pki.write("opaque.der", &signed(&pki, &alice, Form::Opaque));
    let printed = openssl(pki.path(), &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "opaque.der"]);
    let printed = String::from_utf8(printed).unwrap();
    for attribute in [
        "contentType (1.2.840.113549.1.9.3)",
        "messageDigest (1.2.840.113549.1.9.4)",
        "signingTime (1.2.840.113549.1.9.5)",
        "UTCTIME:Jun  1 12:00:00 2026 GMT",
        "S/MIME Capabilities (1.2.840.113549.1.9.15)",
        "id-smime-aa-signingCertificateV2 (1.2.840.113549.1.9.16.2.47)",
        "undefined (1.2.840.113549.1.9.52)",
    ] {
        assert!(printed.contains(attribute), "{attribute} is missing in {printed}");
    }
}

#[test]
fn the_digest_can_be_signed_elsewhere_and_put_in_later() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::Rsa2048);
    let certificate = alice.certificate();
    let algorithm = SigningAlgorithm::of(certificate.public_key(), RsaPadding::Pkcs1v15).unwrap();
    let prepared =
        PreparedSignature::new(&algorithm.digest().digest(CONTENT), algorithm, &certificate, now()).unwrap();
    let value = alice.ring().signer(0).unwrap().sign(prepared.scheme(), prepared.to_be_signed()).unwrap();
    let signed = prepared.finish(&value, Some(&content(CONTENT)), &[pki.people.certificate()]).unwrap();
    pki.write("later.der", &bytes(&signed));
    openssl(
        pki.path(),
        &[
            "cms",
            "-verify",
            "-binary",
            "-inform",
            "DER",
            "-in",
            "later.der",
            "-CAfile",
            "Root.pem",
            "-out",
            "out",
        ],
    );
}

#[test]
fn a_key_that_is_not_the_certificates_is_noticed() {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::P256));
    let mut ring = bob.ring();
    let certificate = alice.certificate();
    let identity = SigningIdentity {
        signer: ring.signer(0).unwrap(),
        certificate: &certificate,
        intermediates: &[],
        rsa_padding: RsaPadding::default(),
    };
    let error = sign(&content(CONTENT), Form::Opaque, identity, now()).unwrap_err();
    assert!(matches!(error, SignError::WrongKey), "{error}");
}

#[test]
fn a_refusal_of_the_key_is_handed_on() {
    struct Refusing(spki::SubjectPublicKeyInfoOwned);
    impl Signer for Refusing {
        fn public_key(&self) -> &spki::SubjectPublicKeyInfoOwned {
            &self.0
        }
        fn sign(&mut self, _: SignatureScheme, _: &[u8]) -> Result<Vec<u8>, KeyError> {
            Err(KeyError::Unsupported("anything".to_owned()))
        }
    }
    let pki = Pki::new();
    let certificate = pki.signer("alice", Key::P256).certificate();
    let mut signer = Refusing(certificate.public_key().clone());
    let identity = SigningIdentity {
        signer: &mut signer,
        certificate: &certificate,
        intermediates: &[],
        rsa_padding: RsaPadding::default(),
    };
    assert!(matches!(
        sign(&content(CONTENT), Form::Opaque, identity, now()),
        Err(SignError::Key(KeyError::Unsupported(_)))
    ));
}
