//! What the management key opens (SP 800-73-5 Part 2 section 3.3): key pairs and data objects.
use spki::SubjectPublicKeyInfoOwned;

use super::objects;
use super::transaction::Repeat;
use super::{
    CardError, DataObject, KeyAlgorithm, KeyReference, PinPolicy, PrivateKey, TouchPolicy, Transaction,
};
use crate::apdu::{CommandApdu, ResponseApdu, StatusWord, ber_tlv};

/// When the card shall want PIN and touch for a new key; `None` leaves it at what is usual for the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyPolicies {
    /// When it wants the PIN.
    pub pin: Option<PinPolicy>,
    /// When it wants a touch.
    pub touch: Option<TouchPolicy>,
}

/// Proof that the management key was accepted in this transaction.
#[must_use]
pub struct Administration<'tx, 'card>(&'tx mut Transaction<'card>);

impl<'tx, 'card> Administration<'tx, 'card> {
    /// Only for who has authenticated.
    pub(super) fn new(transaction: &'tx mut Transaction<'card>) -> Self {
        Self(transaction)
    }

    /// Generates a key pair on the card; a key that was there before is gone.
    ///
    /// # Errors
    /// [`CardError::Unsupported`] when the card has no such algorithm or generates none for that reference.
    pub fn generate(
        &mut self,
        key: KeyReference,
        algorithm: KeyAlgorithm,
    ) -> Result<SubjectPublicKeyInfoOwned, CardError> {
        self.generate_with(key, algorithm, KeyPolicies::default())
    }

    /// As [`Self::generate`], saying when the card shall want PIN and touch for the key (a vendor's extension).
    ///
    /// # Errors
    /// As there; [`CardError::Unsupported`], by name, for policies on a card without that extension.
    pub fn generate_with(
        &mut self,
        key: KeyReference,
        algorithm: KeyAlgorithm,
        policies: KeyPolicies,
    ) -> Result<SubjectPublicKeyInfoOwned, CardError> {
        let mut contents = ber_tlv::encode(0x80, &[algorithm.to_byte()]);
        self.append_policies(&mut contents, policies)?;
        let template = ber_tlv::encode(0xAC, &contents);
        let command = CommandApdu::new("GENERATE ASYMMETRIC KEY PAIR", 0x47, 0x00, key.to_byte())
            .with_data(template)
            .expecting_data();
        self.0.forget_contents();
        let response = self.0.send(&command, Repeat::Never)?;
        done(&command, &response, || format!("generate a {algorithm} key in {key}"))?;
        let template = ber_tlv::find(&response.data, 0x7F49)?
            .ok_or_else(|| CardError::MalformedAnswer("no public key template 7F49".to_owned()))?;
        algorithm.public_key_from_template(template)
    }

    /// Writes a private key from outside into the card (vendor command IMPORT ASYMMETRIC KEY).
    ///
    /// # Errors
    /// [`CardError::Unsupported`], by name, on a card that has no such command: SP 800-73-5 defines none.
    pub fn import(&mut self, key: KeyReference, private_key: &PrivateKey) -> Result<(), CardError> {
        self.import_with(key, private_key, KeyPolicies::default())
    }

    /// As [`Self::import`], saying when the card shall want PIN and touch for the key.
    ///
    /// # Errors
    /// As there.
    pub fn import_with(
        &mut self,
        key: KeyReference,
        private_key: &PrivateKey,
        policies: KeyPolicies,
    ) -> Result<(), CardError> {
        let algorithm = private_key.algorithm();
        if self.0.version()?.is_none() {
            return Err(CardError::Unsupported(
                "import a private key (SP 800-73-5 has no command for it)".to_owned(),
            ));
        }
        let mut template = private_key.import_template();
        self.append_policies(&mut template, policies)?;
        let command = CommandApdu::new("IMPORT ASYMMETRIC KEY", 0xFE, algorithm.to_byte(), key.to_byte())
            .with_data(template);
        self.0.forget_contents();
        let response = self.0.send(&command, Repeat::Never)?;
        done(&command, &response, || format!("import a {algorithm} key into {key}"))
    }

    /// `AA 01 pin AB 01 touch`, the vendor's.
    fn append_policies(&mut self, template: &mut Vec<u8>, policies: KeyPolicies) -> Result<(), CardError> {
        if policies == KeyPolicies::default() {
            return Ok(());
        }
        if self.0.version()?.is_none() {
            return Err(CardError::Unsupported(
                "set a PIN or touch policy of a key (SP 800-73-5 fixes it by key)".to_owned(),
            ));
        }
        if let Some(policy) = policies.pin {
            ber_tlv::append(template, 0xAA, &[policy.to_byte()]);
        }
        if let Some(policy) = policies.touch {
            ber_tlv::append(template, 0xAB, &[policy.to_byte()]);
        }
        Ok(())
    }

    /// Writes a data object; `contents` goes inside `53` ([`DataObject::DISCOVERY`]: the whole `7E`). What was there
    /// before is replaced; no contents delete it.
    ///
    /// # Errors
    /// [`CardError::CardFull`]; [`CardError::Unsupported`] for a tag that the card does not store.
    pub fn write_object(&mut self, object: DataObject, contents: &[u8]) -> Result<(), CardError> {
        let data = if object.stands_alone() {
            contents.to_vec()
        } else {
            let mut data = object.tag_list();
            ber_tlv::append(&mut data, 0x53, contents);
            data
        };
        let command = CommandApdu::new("PUT DATA", 0xDB, 0x3F, 0xFF).with_data(data);
        self.0.forget_contents();
        let response = self.0.send(&command, Repeat::Never)?;
        if response.status == StatusWord::NOT_ENOUGH_MEMORY {
            return Err(CardError::CardFull(object));
        }
        done(&command, &response, || format!("store data object {object}"))
    }

    /// Writes a DER certificate where the key's certificate belongs: as it is, or packed with gzip (SP 800-73-5 Part 1
    /// appendix A) where only that fits the card.
    ///
    /// # Errors
    /// As [`Self::write_object`].
    pub fn write_certificate(&mut self, key: KeyReference, certificate: &[u8]) -> Result<(), CardError> {
        let object = key.certificate_object();
        match self.write_object(object, &objects::certificate_to_bytes(certificate)) {
            Err(CardError::CardFull(_)) => {
                let packed = objects::packed_certificate_to_bytes(certificate);
                if packed.len() < certificate.len() {
                    self.write_object(object, &packed)
                } else {
                    Err(CardError::CardFull(object))
                }
            }
            result => result,
        }
    }

    /// The transaction underneath, for PIN, signature and read-back while 9B stays authenticated.
    pub fn transaction(&mut self) -> &mut Transaction<'card> {
        self.0
    }
}

/// Success, or a refusal by the name of what the card cannot do.
pub(super) fn done(
    command: &CommandApdu,
    response: &ResponseApdu,
    what: impl FnOnce() -> String,
) -> Result<(), CardError> {
    match response.status {
        StatusWord::OK => Ok(()),
        StatusWord::INCORRECT_PARAMETER
        | StatusWord::FUNCTION_NOT_SUPPORTED
        | StatusWord::INCORRECT_P1_P2
        | StatusWord::FILE_NOT_FOUND
        | StatusWord::REFERENCED_DATA_NOT_FOUND
        | StatusWord::INSTRUCTION_NOT_SUPPORTED => Err(CardError::Unsupported(what())),
        status => Err(CardError::Refused { command: command.name, status: status.0 }),
    }
}
