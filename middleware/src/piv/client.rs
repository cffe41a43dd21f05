//! An open card, and what it answers to anybody.
use std::collections::BTreeSet;

use super::objects;
use super::transaction::Memory;
use super::{CardError, CardKey, DataObject, KeyReference, LastTry, Pin, Transaction};
use crate::apdu::Framing;
use crate::transport::{self, Connection, Locator};

/// Who a card is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardIdentity {
    /// From the CHUID, tag 34; absent on a blank card without CHUID.
    pub guid: Option<[u8; 16]>,
    /// Vendor serial number, where the card has one.
    pub serial: Option<u32>,
    /// Vendor firmware version, where the card has one (its presence means the `yubikey5` command set).
    pub version: Option<(u8, u8, u8)>,
    /// Set on every emulated card of this project.
    pub emulated: Option<EmulatedMark>,
}

impl CardIdentity {
    /// Whether the text (a decimal serial number, or a GUID in hex with or without dashes) names this card.
    pub fn is_named(&self, text: &str) -> bool {
        let hexadecimal: String = text.chars().filter(|&character| character != '-').collect();
        let guid = hex::decode(hexadecimal).ok();
        self.serial.is_some_and(|serial| text.parse() == Ok(serial))
            || self.guid.is_some_and(|own| guid.as_deref() == Some(own.as_slice()))
    }
}

/// How an emulated card came to be; see [`DataObject::EMULATED_MARK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmulatedMark {
    /// Its keys and identifiers follow from a seed.
    pub seeded: bool,
    /// Its state file was snapshotted or copied by our own tools.
    pub cloned: bool,
}

impl EmulatedMark {
    /// `80 "card-sim" [81 01 flags]`.
    pub(super) fn from_bytes(contents: &[u8]) -> Option<Self> {
        let name = crate::apdu::ber_tlv::find(contents, 0x80).ok()??;
        if name != b"card-sim" {
            return None;
        }
        let flags =
            crate::apdu::ber_tlv::find(contents, 0x81).ok().flatten().and_then(<[u8]>::first).copied();
        let flags = flags.unwrap_or(0);
        Some(Self { seeded: flags & 0x01 != 0, cloned: flags & 0x02 != 0 })
    }
}

/// An open connection to one PIV card. Dropping it leaves the card as it is.
pub struct Card {
    connection: Box<dyn Connection>,
    framing: Framing,
    memory: Memory,
}

impl Card {
    /// Connects (shared) and selects PIV; does not change anything on the card.
    ///
    /// # Errors
    /// [`CardError::NoCard`], [`CardError::SeveralCards`], [`CardError::NoSuchReader`], [`CardError::NoSuchCard`]
    /// when the locator does not lead to one card; [`CardError::NotPiv`] when it is none of ours;
    /// [`CardError::StateFile`] for an emulated card that cannot be opened.
    pub fn open(locator: &Locator) -> Result<Self, CardError> {
        let mut card = Self::connect(locator)?;
        card.transaction()?;
        Ok(card)
    }

    /// Connects (shared) and sends nothing: whether it is a PIV card shows at the first [`Self::transaction`]. For those
    /// who use it at once, and want no transaction more.
    ///
    /// # Errors
    /// As [`Self::open`], but for [`CardError::NotPiv`].
    pub fn connect(locator: &Locator) -> Result<Self, CardError> {
        match locator {
            Locator::Serial(serial) => Self::open_named(serial),
            locator => Ok(Self::unasked(transport::connect(locator)?)),
        }
    }

    /// Takes a connection of the caller's own, and selects PIV.
    ///
    /// # Errors
    /// [`CardError::NotPiv`] when the card does not know the application; those of the line.
    pub fn over(connection: Box<dyn Connection>) -> Result<Self, CardError> {
        let mut card = Self::unasked(connection);
        card.transaction()?;
        Ok(card)
    }

    fn unasked(connection: Box<dyn Connection>) -> Self {
        let framing = Framing::of(connection.atr(), connection.longest_command(), connection.is_t0());
        Self { connection, framing, memory: Memory::default() }
    }

    /// The card with that serial number or GUID, in whichever reader. Cards that are not PIV or do not answer are
    /// passed over.
    fn open_named(name: &str) -> Result<Self, CardError> {
        for reader in transport::present_readers()? {
            let opened = transport::connect_reader(&reader).and_then(Self::over).and_then(|mut card| {
                let identity = card.identity()?;
                Ok((card, identity))
            });
            match opened {
                Ok((card, identity)) if identity.is_named(name) => return Ok(card),
                Ok(_) => {}
                Err(error) => tracing::debug!(%reader, %error, "passed over"),
            }
        }
        Err(CardError::NoSuchCard(name.to_owned()))
    }

    /// The reader's name, or the state file of an emulated card.
    pub fn reader_name(&self) -> &str {
        self.connection.reader_name()
    }

    /// The card's answer to reset (ISO 7816-3).
    pub fn atr(&self) -> &[u8] {
        self.connection.atr()
    }

    /// GUID, serial number, version and emulated mark; asked once per connection.
    ///
    /// # Errors
    /// Those of the line. What the card does not have is `None`, not an error.
    pub fn identity(&mut self) -> Result<CardIdentity, CardError> {
        if let Some(identity) = &self.memory.identity {
            return Ok(identity.clone());
        }
        self.transaction()?.identity()
    }

    /// One exclusive use of the card, with PIV selected. Dropping it logs the PIN out (VERIFY P1=FF; if refused, a
    /// reset), on error and panic too; a used management key is dropped by a reset.
    ///
    /// # Errors
    /// [`CardError::CardRemoved`]; [`CardError::NotPiv`] when the card does not know the application.
    pub fn transaction(&mut self) -> Result<Transaction<'_>, CardError> {
        let reader = self.connection.reader_name().to_owned();
        Transaction::begin(self.connection.as_mut(), self.framing, &mut self.memory, &reader)
    }

    /// DER certificate of a key, unpacked if compressed; `None` where the card holds none.
    ///
    /// # Errors
    /// [`CardError::MalformedAnswer`] when the object holds no certificate; those of the line.
    pub fn certificate(&mut self, key: KeyReference) -> Result<Option<Vec<u8>>, CardError> {
        self.transaction()?.certificate(key)
    }

    /// Every key reference that has a certificate (9A 9C 9D 9E, then retired), with the DER certificate.
    ///
    /// Retired keys are looked for where the key history object says; a vendor's card without one is asked for all
    /// twenty, any other has none (SP 800-73-5 Part 1 section 3.3.3).
    ///
    /// # Errors
    /// [`CardError::MalformedAnswer`] when an object holds no certificate; those of the line.
    pub fn certificates(&mut self) -> Result<Vec<(KeyReference, Vec<u8>)>, CardError> {
        let vendor = self.identity()?.version.is_some();
        let mut transaction = self.transaction()?;
        let retired: BTreeSet<KeyReference> = match transaction.read_if_present(DataObject::KEY_HISTORY)? {
            Some(history) => objects::key_history(&history)?,
            None if vendor => KeyReference::retired().collect(),
            None => BTreeSet::new(),
        };
        let mut found = Vec::new();
        for key in KeyReference::PRIMARY.into_iter().chain(retired) {
            if let Some(certificate) = transaction.certificate(key)? {
                found.push((key, certificate));
            }
        }
        Ok(found)
    }

    /// A key of the card as a [`Signer`](crate::Signer), [`Decryptor`](crate::Decryptor) or
    /// [`KeyAgreement`](crate::KeyAgreement). Each use is one transaction of its own that verifies `pin` just before
    /// the operation and logs it out after (9E needs none and gets none). The public key is the certificate's.
    ///
    /// # Errors
    /// [`CardError::KeyNotFound`] when the card holds no certificate for the key; [`CardError::MalformedAnswer`]
    /// when the certificate cannot be read.
    pub fn key<'a>(
        &'a mut self,
        key: KeyReference,
        pin: &'a Pin,
        last_try: LastTry,
    ) -> Result<CardKey<'a>, CardError> {
        let certificate = self.certificate(key)?.ok_or(CardError::KeyNotFound(key))?;
        let public_key = objects::public_key_of_certificate(&certificate)?;
        Ok(CardKey::new(self, key, pin, last_try, public_key))
    }
}
