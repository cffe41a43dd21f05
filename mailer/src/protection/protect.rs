//! An entity becomes a signed, then an encrypted one (RFC 8551 sections 3.3 to 3.5).
use std::io::{self, Write};

use jiff::Timestamp;

use crate::content::{Content, Spool};
use crate::message::base64::Base64Writer;
use crate::message::canonical::LineScan;
use crate::message::secured::{multipart_signed, pkcs7_mime_header};
use crate::smime::{
    self, EncryptError, Encrypted, Enveloping, MadeSignature, Recipient, SignError, SignedAttributesPlan,
    SigningAlgorithm, SigningIdentity,
};

/// An entity that was protected. Its body is put together only while it is written.
#[derive(Debug)]
pub struct ProtectedEntity {
    header: Vec<u8>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// `multipart/signed`: what was signed stands there as it is.
    AsItIs(Content),
    /// A CMS object.
    Object(Content),
    /// A CMS object whose content is encrypted while it is written.
    Envelope(Encrypted),
}

impl ProtectedEntity {
    /// The `Content-*` fields and an empty line.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Writes the body. Whatever can be refused was refused before.
    ///
    /// # Errors
    /// Those of the content and of `out`.
    pub fn write_body(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.body {
            Body::AsItIs(content) => content.write_to(out),
            Body::Object(object) => {
                let mut lines = Base64Writer::new(out);
                object.write_to(&mut lines)?;
                lines.finish().map(drop)
            }
            Body::Envelope(envelope) => {
                let mut lines = Base64Writer::new(out);
                envelope.write_to(&mut lines)?;
                lines.finish().map(drop)
            }
        }
    }

    /// The whole entity, to be protected once more or kept: a rope where nothing is encoded, else spooled.
    ///
    /// # Errors
    /// Those of the content and of the temporary file.
    pub fn into_content(self) -> io::Result<Content> {
        let body = match self.body {
            Body::AsItIs(content) => content,
            Body::Object(_) | Body::Envelope(_) => {
                let mut spool = Spool::new();
                self.write_body(&mut spool)?;
                spool.finish()?
            }
        };
        Ok(Content::concat([Content::from_vec(self.header), body]))
    }
}

/// Signs a canonical entity. Seven-bit content stays readable for everybody (`multipart/signed`); anything else would be
/// changed on the way (RFC 8551 section 3.1.3) and goes inside the signature object.
///
/// # Errors
/// See [`SignError`].
pub fn sign(
    entity: &Content,
    identity: SigningIdentity<'_>,
    at: Timestamp,
    boundary: &str,
) -> Result<ProtectedEntity, SignError> {
    sign_planned(entity, identity, &SignedAttributesPlan::mail(at), boundary).map(|(entity, _)| entity)
}

/// The same with attributes of the caller's choice, a request for receipts or a security label; answers the signature too,
/// from which a sender keeps what receipts are matched with.
///
/// # Errors
/// See [`SignError`].
pub fn sign_planned(
    entity: &Content,
    identity: SigningIdentity<'_>,
    plan: &SignedAttributesPlan,
    boundary: &str,
) -> Result<(ProtectedEntity, MadeSignature), SignError> {
    let algorithm = SigningAlgorithm::of(identity.certificate.public_key(), identity.rsa_padding)?;
    let intermediates = identity.intermediates;
    let mut lines = LineScan::default();
    let digest = smime::sign::digest(entity, algorithm, &mut |octets| lines.update(octets))?;
    let made = smime::sign::make(&digest, identity, plan)?;
    let protected = if lines.finish().is_seven_bit() {
        let signature = made.detached(intermediates, &[])?;
        let (header, body) = multipart_signed(entity, &signature, algorithm.micalg(), boundary);
        ProtectedEntity { header, body: Body::AsItIs(body) }
    } else {
        let object = made.signed_data(Some(entity), intermediates, &[])?;
        ProtectedEntity { header: pkcs7_mime_header("signed-data"), body: Body::Object(object) }
    };
    Ok((protected, made))
}

/// Encrypts a canonical entity to every recipient: the keys are wrapped now, the content while it is written.
///
/// # Errors
/// See [`EncryptError`].
pub fn encrypt(
    entity: &Content,
    recipients: &[Recipient],
    enveloping: Enveloping,
) -> Result<ProtectedEntity, EncryptError> {
    let envelope = smime::encrypt(entity, recipients, enveloping)?;
    Ok(ProtectedEntity { header: pkcs7_mime_header(envelope.smime_type), body: Body::Envelope(envelope) })
}
