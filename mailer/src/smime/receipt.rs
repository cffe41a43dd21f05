//! Signed receipts: proof that a recipient had a message and verified its signature (RFC 2634 sections 2.4 and 2.8).
use const_oid::ObjectIdentifier;
use der::Encode;
use jiff::Timestamp;

use super::attribute_plan::{SignedAttributesPlan, attribute};
use super::content_info::object_identifier;
use super::ess::{ContentIdentifier, EssError};
use super::object_identifiers::{ID_CT_RECEIPT, MESSAGE_SIGNATURE_DIGEST};
use super::receipt_request::ReceiptRequest;
use super::sign::{MadeSignature, SignError, SigningAlgorithm, SigningIdentity, make};
use super::verify::SignedMessage;
use crate::certificate::Certificate;
use crate::certificate::tlv::{Element, Malformed, element, tag};
use crate::content::Content;
use crate::message::secured::pkcs7_mime;

/// What a recipient signs.
///
/// ```text
/// Receipt ::= SEQUENCE { version ESSVersion, contentType ContentType, signedContentIdentifier ContentIdentifier,
///     originatorSignatureValue OCTET STRING }
/// ESSVersion ::= INTEGER { v1(1) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The type of the content that was received.
    pub content_type: ObjectIdentifier,
    /// Its identifier, from the request.
    pub signed_content_identifier: ContentIdentifier,
    /// The value of the signature that asked.
    pub originator_signature_value: Vec<u8>,
}

impl Receipt {
    /// In DER.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn to_der(&self) -> der::Result<Vec<u8>> {
        let parts: [&[u8]; 4] = [
            &[tag::INTEGER, 1, 1],
            &self.content_type.to_der()?,
            &self.signed_content_identifier.to_der(),
            &element(tag::OCTET_STRING, &[&self.originator_signature_value]),
        ];
        Ok(element(tag::SEQUENCE, &parts))
    }

    /// Reads one in DER.
    ///
    /// # Errors
    /// It is malformed.
    pub fn from_der(der: &[u8]) -> Result<Self, EssError> {
        Self::read(der).map_err(EssError::malformed("receipt"))
    }

    fn read(der: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Element::only(der, tag::SEQUENCE)?.elements();
        if fields.expect(tag::INTEGER)?.contents != [1] {
            return Err(Malformed::Integer);
        }
        let content_type = object_identifier(fields.expect(tag::OBJECT_IDENTIFIER)?)?;
        let signed_content_identifier = ContentIdentifier::read(&fields.expect(tag::OCTET_STRING)?)?;
        let originator_signature_value = fields.expect(tag::OCTET_STRING)?.contents.to_vec();
        fields.finish()?;
        Ok(Self { content_type, signed_content_identifier, originator_signature_value })
    }
}

/// Why no receipt is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoReceipt {
    /// The message asks for none, or none of its signatures that do could be verified.
    #[error("the message asks for no receipt, or the signature that asks for one could not be verified")]
    NotAsked,
    /// It is a receipt itself (section 2.2).
    #[error("there is no receipt for a receipt")]
    IsReceipt,
    /// The request cannot be read, or signers ask for different things.
    #[error(transparent)]
    Request(#[from] EssError),
    /// The receipt cannot be written.
    #[error("the receipt could not be encoded: {0}")]
    Encoding(String),
}

impl NoReceipt {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAsked => "receipt-not-asked",
            Self::IsReceipt => "receipt-for-receipt",
            Self::Request(problem) => problem.code(),
            Self::Encoding(_) => "not-encodable",
        }
    }
}

/// A receipt that is ready to be signed.
#[derive(Clone, Debug)]
pub struct ReceiptToSign {
    request: ReceiptRequest,
    content: Vec<u8>,
    plan: SignedAttributesPlan,
}

impl ReceiptToSign {
    /// Answers a message whose signatures were verified. It must be the innermost SignedData; whether one is asked oneself,
    /// [`ReceiptRequest::receipts_from`] of [`Self::request`] says.
    ///
    /// # Errors
    /// See [`NoReceipt`].
    pub fn answering(original: &SignedMessage, signing_time: Timestamp) -> Result<Self, NoReceipt> {
        if original.content_type == ID_CT_RECEIPT {
            return Err(NoReceipt::IsReceipt);
        }
        let (signature, request) = ReceiptRequest::of(original)?.ok_or(NoReceipt::NotAsked)?;
        let attributes = signature.signed_attributes.as_ref().ok_or(NoReceipt::NotAsked)?;
        let receipt = Receipt {
            content_type: original.content_type,
            signed_content_identifier: request.signed_content_identifier.clone(),
            originator_signature_value: signature.value.clone(),
        };
        // Step 5: the digest that the original's signature was verified with.
        let digest = element(tag::OCTET_STRING, &[&signature.digest.digest(attributes)]);
        let encoding = |error: der::Error| NoReceipt::Encoding(error.to_string());
        let digest = attribute(MESSAGE_SIGNATURE_DIGEST, &digest).map_err(encoding)?;
        let plan = SignedAttributesPlan {
            content_type: ID_CT_RECEIPT,
            ..SignedAttributesPlan::detached_document(signing_time)
        };
        Ok(Self { request, content: receipt.to_der().map_err(encoding)?, plan: plan.with(digest) })
    }

    /// What was asked for, of whom, and where the receipt goes.
    pub fn request(&self) -> &ReceiptRequest {
        &self.request
    }

    /// The Receipt in DER: the content that is signed.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The attributes that are signed with it.
    pub fn plan(&self) -> &SignedAttributesPlan {
        &self.plan
    }

    /// The same with one signed attribute more: the DER of an `Attribute`.
    #[must_use]
    pub fn with_attribute(mut self, attribute: Vec<u8>) -> Self {
        self.plan = self.plan.with(attribute);
        self
    }

    /// Signs it; the key is used once.
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn sign(self, identity: SigningIdentity<'_>) -> Result<SignedReceipt, SignError> {
        let algorithm = SigningAlgorithm::of(identity.certificate.public_key(), identity.rsa_padding)?;
        let made = make(&algorithm.digest().digest(&self.content), identity, &self.plan)?;
        Ok(SignedReceipt { made, content: Content::from_vec(self.content) })
    }
}

/// A signed receipt, to be written with or without a time stamp over its signature value.
pub struct SignedReceipt {
    made: MadeSignature,
    content: Content,
}

impl SignedReceipt {
    /// The signature value: what a time stamp of it stamps.
    pub fn value(&self) -> &[u8] {
        self.made.value()
    }

    /// The DER of the ContentInfo; `certificates` go along beside the signer's own, `unsigned` are unsigned attributes.
    ///
    /// # Errors
    /// An unsigned attribute is malformed.
    pub fn to_der(&self, certificates: &[Certificate], unsigned: &[Vec<u8>]) -> Result<Vec<u8>, SignError> {
        let object = self.made.signed_data(Some(&self.content), certificates, unsigned)?;
        Ok(object.to_vec(usize::MAX)?.map(|octets| octets.to_vec()).unwrap_or_default())
    }
}

/// The MIME entity around a signed receipt (DER of its ContentInfo): `application/pkcs7-mime; smime-type=signed-receipt`
/// (section 2.4, step 10).
pub fn receipt_entity(der: &[u8]) -> Vec<u8> {
    pkcs7_mime(der, "signed-receipt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_read_as_they_were_written_and_malformed_ones_refused() {
        let receipt = Receipt {
            content_type: ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1"),
            signed_content_identifier: ContentIdentifier::from_octets(vec![1, 2]).unwrap(),
            originator_signature_value: vec![3, 4],
        };
        let der = receipt.to_der().unwrap();
        assert_eq!(Receipt::from_der(&der).unwrap(), receipt);
        let inside = &der[2..];
        let (version, rest) = inside.split_at(3);
        for parts in [
            &[inside, &[5, 0]][..],
            &[&[2, 1, 2], rest],
            &[&[2, 1, 0], rest],
            &[rest],
            &[version, &rest[..11]],
            &[version, &rest[..11], &[4, 0, 4, 0]],
            &[],
        ] {
            let der = element(tag::SEQUENCE, parts);
            assert_eq!(Receipt::from_der(&der).unwrap_err().code(), "ess-attribute-malformed", "{der:02X?}");
        }
        assert!(Receipt::from_der(&[der.as_slice(), &[0]].concat()).is_err());
    }
}
