//! What the issuer does with the management key 9B (SP 800-73-5 Part 2 sections 3.2.4 and 3.3).
use aes::{Aes128, Aes192, Aes256};
use cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::TdesEde3;
use getrandom::SysRng;
use rand_core::TryRng;
use spki::SubjectPublicKeyInfoOwned;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::objects;
use super::signing::{CHALLENGE, RESPONSE, TEMPLATE, WITNESS, response_value};
use super::transaction::Repeat;
use super::{
    CardError, DataObject, KeyAlgorithm, KeyReference, PinPolicy, PrivateKey, TouchPolicy, Transaction,
};
use crate::apdu::{CommandApdu, ResponseApdu, StatusWord, ber_tlv};

const MANAGEMENT_KEY: u8 = 0x9B;

/// The cipher of the management key (SP 800-78 table 6-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagementKeyAlgorithm {
    /// Three-key triple DES, 24 bytes; deprecated.
    TripleDes,
    /// AES with 16 bytes.
    Aes128,
    /// AES with 24 bytes.
    Aes192,
    /// AES with 32 bytes.
    Aes256,
}

impl ManagementKeyAlgorithm {
    const ALL: [Self; 4] = [Self::Aes256, Self::Aes192, Self::Aes128, Self::TripleDes];

    /// Bytes of a key.
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::TripleDes => 0x03,
            Self::Aes128 => 0x08,
            Self::Aes192 => 0x0A,
            Self::Aes256 => 0x0C,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.to_byte() == byte)
    }

    fn block_length(self) -> usize {
        if self == Self::TripleDes { 8 } else { 16 }
    }
}

/// The management key, 9B.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ManagementKey {
    #[zeroize(skip)]
    algorithm: ManagementKeyAlgorithm,
    bytes: Vec<u8>,
}

impl ManagementKey {
    /// Checks the length for the algorithm (24, 16, 24, 32 bytes).
    ///
    /// # Errors
    /// [`CardError::MalformedManagementKey`].
    pub fn new(algorithm: ManagementKeyAlgorithm, bytes: &[u8]) -> Result<Self, CardError> {
        let expected = algorithm.key_length();
        if bytes.len() != expected {
            return Err(CardError::MalformedManagementKey { expected, length: bytes.len() });
        }
        Ok(Self { algorithm, bytes: bytes.to_vec() })
    }

    /// The cipher it is for.
    pub fn algorithm(&self) -> ManagementKeyAlgorithm {
        self.algorithm
    }

    /// The factory value of vendor cards: 01 to 08 over and over, to the algorithm's length.
    pub fn factory_default(algorithm: ManagementKeyAlgorithm) -> Self {
        let bytes = (1..=8).cycle().take(algorithm.key_length()).collect();
        Self { algorithm, bytes }
    }

    /// One block through the cipher; the block has the algorithm's block length.
    fn cipher_block(&self, direction: Direction, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError> {
        match self.algorithm {
            ManagementKeyAlgorithm::TripleDes => run::<TdesEde3>(&self.bytes, direction, block),
            ManagementKeyAlgorithm::Aes128 => run::<Aes128>(&self.bytes, direction, block),
            ManagementKeyAlgorithm::Aes192 => run::<Aes192>(&self.bytes, direction, block),
            ManagementKeyAlgorithm::Aes256 => run::<Aes256>(&self.bytes, direction, block),
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Encrypt,
    Decrypt,
}

fn run<C>(key: &[u8], direction: Direction, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError>
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt,
{
    let wrong_length =
        || CardError::MalformedAnswer(format!("a witness or response of {} bytes", block.len()));
    let cipher = C::new_from_slice(key)
        .map_err(|_| CardError::MalformedManagementKey { expected: C::key_size(), length: key.len() })?;
    let mut block = Block::<C>::try_from(block).map_err(|_| wrong_length())?;
    match direction {
        Direction::Encrypt => cipher.encrypt_block(&mut block),
        Direction::Decrypt => cipher.decrypt_block(&mut block),
    }
    Ok(Zeroizing::new(block.to_vec()))
}

impl<'card> Transaction<'card> {
    /// Mutual authentication with the management key (SP 800-73-5 Part 2 section 3.2.4 and appendix A): the card
    /// proves that it has the key as well. The transaction then ends with a reset of the card, so that nobody after
    /// us finds it open.
    ///
    /// # Errors
    /// [`CardError::WrongManagementKey`] when either side does not know the key, or it is of another algorithm.
    pub fn authenticate<'tx>(
        &'tx mut self,
        key: &ManagementKey,
    ) -> Result<Administration<'tx, 'card>, CardError> {
        let witness = self.witness(key.algorithm)?.ok_or(CardError::WrongManagementKey)?;
        let witness = key.cipher_block(Direction::Decrypt, &witness)?;
        let mut challenge = vec![0; key.algorithm.block_length()];
        SysRng
            .try_fill_bytes(&mut challenge)
            .map_err(|error| CardError::Transport(format!("the system gives no randomness: {error}")))?;

        self.management_key_will_be_used();
        let mut contents = Zeroizing::new(Vec::with_capacity(64));
        ber_tlv::append(&mut contents, WITNESS, &witness);
        ber_tlv::append(&mut contents, CHALLENGE, &challenge);
        ber_tlv::append(&mut contents, RESPONSE, &[]);
        let response = self.send(&nine_b(key.algorithm, &contents), Repeat::Never)?;
        if !response.status.is_ok() {
            return Err(CardError::WrongManagementKey);
        }
        let expected = key.cipher_block(Direction::Encrypt, &challenge)?;
        if bool::from(expected.ct_eq(response_value(&response, RESPONSE)?)) {
            Ok(Administration(self))
        } else {
            Err(CardError::WrongManagementKey)
        }
    }

    /// The algorithm of key 9B: from metadata where the card has it, else by asking for a witness with each.
    ///
    /// # Errors
    /// [`CardError::Unsupported`] when the card takes none.
    pub fn management_key_algorithm(&mut self) -> Result<ManagementKeyAlgorithm, CardError> {
        if let Some(metadata) = self.metadata(MANAGEMENT_KEY)?
            && let Some(&[byte]) = ber_tlv::find(&metadata, 0x01)?
            && let Some(algorithm) = ManagementKeyAlgorithm::from_byte(byte)
        {
            return Ok(algorithm);
        }
        for algorithm in ManagementKeyAlgorithm::ALL {
            if self.witness(algorithm)?.is_some() {
                return Ok(algorithm);
            }
        }
        Err(CardError::Unsupported("authenticate with a management key of any known algorithm".to_owned()))
    }

    /// `7C { 80 00 }`: a random block under the card's key; `None` when the key is of another algorithm.
    fn witness(&mut self, algorithm: ManagementKeyAlgorithm) -> Result<Option<Vec<u8>>, CardError> {
        let response = self.send(&nine_b(algorithm, &ber_tlv::encode(WITNESS, &[])), Repeat::Safe)?;
        if !response.status.is_ok() {
            return Ok(None);
        }
        let witness = response_value(&response, WITNESS)?;
        Ok((witness.len() == algorithm.block_length()).then(|| witness.to_vec()))
    }
}

fn nine_b(algorithm: ManagementKeyAlgorithm, contents: &[u8]) -> CommandApdu {
    let template = Zeroizing::new(ber_tlv::encode(TEMPLATE, contents));
    CommandApdu::new("GENERAL AUTHENTICATE", 0x87, algorithm.to_byte(), MANAGEMENT_KEY)
        .with_data(template)
        .expecting_data()
}

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

impl<'card> Administration<'_, 'card> {
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

    /// Writes a DER certificate, uncompressed, where the key's certificate belongs.
    ///
    /// # Errors
    /// As [`Self::write_object`].
    pub fn write_certificate(&mut self, key: KeyReference, certificate: &[u8]) -> Result<(), CardError> {
        self.write_object(key.certificate_object(), &objects::certificate_to_bytes(certificate))
    }

    /// Replaces the management key (vendor command SET MANAGEMENT KEY).
    ///
    /// # Errors
    /// [`CardError::Unsupported`], by name, on a card that has no such command: SP 800-73-5 defines none.
    pub fn set_management_key(&mut self, new: &ManagementKey) -> Result<(), CardError> {
        if self.0.version()?.is_none() {
            return Err(CardError::Unsupported(
                "change its management key (SP 800-73-5 has no command for it)".to_owned(),
            ));
        }
        let mut data = Zeroizing::new(Vec::with_capacity(3 + new.bytes.len()));
        data.push(new.algorithm.to_byte());
        ber_tlv::append(&mut data, u32::from(MANAGEMENT_KEY), &new.bytes);
        let command = CommandApdu::new("SET MANAGEMENT KEY", 0xFF, 0xFF, 0xFF).with_data(data);
        let response = self.0.send(&command, Repeat::Never)?;
        done(&command, &response, || "use a management key of this algorithm".to_owned())
    }

    /// The transaction underneath, for PIN, signature and read-back while 9B stays authenticated.
    pub fn transaction(&mut self) -> &mut Transaction<'card> {
        self.0
    }
}

/// Success, or a refusal by the name of what the card cannot do.
fn done(
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
