//! The management key 9B and authentication with it (SP 800-73-5 Part 2 section 3.2.4, appendix A.1).
use aes::{Aes128, Aes192, Aes256};
use cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::TdesEde3;
use getrandom::SysRng;
use rand_core::TryRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::administration::Administration;
use super::signing::{CHALLENGE, RESPONSE, TEMPLATE, WITNESS, response_value};
use super::transaction::Repeat;
use super::{CardError, Transaction};
use crate::apdu::{CommandApdu, ber_tlv};

/// Its key reference.
pub(super) const MANAGEMENT_KEY: u8 = 0x9B;

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

    pub(super) fn to_byte(self) -> u8 {
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

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
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
            Ok(Administration::new(self))
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
