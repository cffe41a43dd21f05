//! Our engine as the matrix drives it: bytes in, bytes or a stable code out.
use mailer::certificate::Certificate;
use mailer::clock::{Clock, SystemClock};
use mailer::content::Content;
use mailer::keys::KeyRing;
use mailer::smime::{self, Enveloping, Form, Recipient, RsaPadding, SigningIdentity};

use crate::material::CONTENT;
use crate::openssl_pki::Identity;
use crate::soft_keys::{SoftKey, SoftKeyRing};

/// What a signed message holds if every one of its signatures is good; otherwise the code of the first problem.
pub(crate) fn verify(cms: &[u8], detached: Option<&[u8]>, known: &[Certificate]) -> Result<Signed, String> {
    let detached = detached.map(|content| Content::from_vec(content.to_vec()));
    let message = smime::verify(&cms, detached.as_ref(), known).map_err(|error| error.code().to_owned())?;
    let mut signers = Vec::new();
    for report in message.signers {
        let signature = report.outcome.map_err(|fault| fault.code().to_owned())?;
        signers.push(signature.certificate);
    }
    Ok(Signed { content: message.content.map(bytes), signers, certificates: message.certificates.len() })
}

/// What a signed message holds and how many signatures it has, good or not.
pub(crate) fn contents(cms: &[u8], detached: Option<&[u8]>) -> (Option<Vec<u8>>, usize) {
    let detached = detached.map(|content| Content::from_vec(content.to_vec()));
    let message = smime::verify(&cms, detached.as_ref(), &[]).unwrap();
    (message.content.map(bytes), message.signers.len())
}

/// A message whose signatures are all good.
#[derive(Debug, PartialEq)]
pub(crate) struct Signed {
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) signers: Vec<Certificate>,
    pub(crate) certificates: usize,
}

/// What is in an envelope, and whether the envelope proves it; otherwise the code of the refusal.
pub(crate) fn decrypt(cms: &[u8], ring: &mut dyn KeyRing) -> Result<(Vec<u8>, bool), String> {
    match smime::decrypt(&cms, ring) {
        Ok(opened) => Ok((bytes(opened.content), opened.authenticated)),
        Err(error) => Err(error.code().to_owned()),
    }
}

/// What was compressed; otherwise the code of the refusal.
pub(crate) fn decompress(cms: &[u8]) -> Result<Vec<u8>, String> {
    smime::decompress(&cms).map(bytes).map_err(|error| error.code().to_owned())
}

/// The kinds of keys that we sign with, and how.
pub(crate) const SIGNING: &[(&str, RsaPadding)] = &[
    ("rsa2048", RsaPadding::Pkcs1v15),
    ("rsa3072", RsaPadding::Pkcs1v15),
    ("rsa2048", RsaPadding::Pss),
    ("p256", RsaPadding::Pkcs1v15),
    ("p384", RsaPadding::Pkcs1v15),
    ("ed25519", RsaPadding::Pkcs1v15),
];

/// The kinds of keys that we encrypt to and that openssl reads.
pub(crate) const READING_KINDS: &[&str] = &["rsa2048", "rsa3072", "p256", "p384"];

/// A person's key as a key ring.
pub(crate) fn ring(person: &Identity) -> SoftKeyRing {
    SoftKeyRing::of(SoftKey::from_pkcs8_der(&person.pkcs8()), person.certificate())
}

/// Signs the usual content with a key made by openssl.
pub(crate) fn sign(person: &Identity, form: Form, rsa_padding: RsaPadding) -> Vec<u8> {
    let (mut ring, certificate) = (ring(person), person.certificate());
    let signer = ring.signer(0);
    let identity = SigningIdentity { signer, certificate: &certificate, intermediates: &[], rsa_padding };
    let content = Content::from_vec(CONTENT.to_vec());
    bytes(smime::sign(&content, form, identity, SystemClock.now()).unwrap())
}

/// The same, as every program reads it.
pub(crate) fn sign_as(person: &Identity, form: Form) -> Vec<u8> {
    sign(person, form, RsaPadding::Pkcs1v15)
}

/// Encrypts to everybody.
pub(crate) fn encrypt(content: &[u8], people: &[&Identity], enveloping: Enveloping) -> Vec<u8> {
    let recipients: Vec<Recipient> =
        people.iter().map(|person| Recipient::unchecked(person.certificate(), true)).collect();
    let content = Content::from_vec(content.to_vec());
    bytes(smime::encrypt(&content, &recipients, enveloping).unwrap().into_content().unwrap())
}

fn bytes(content: Content) -> Vec<u8> {
    content.to_vec(1 << 24).unwrap().unwrap().to_vec()
}
