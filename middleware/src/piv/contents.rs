//! What a card shows to anybody, read once and kept as long as it is certain to hold.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use spki::SubjectPublicKeyInfoOwned;

use super::objects;
use super::{Card, CardError, CardIdentity, DataObject, KeyAlgorithm, KeyReference, Transaction};

/// How many cards are remembered at the most.
const CARDS: usize = 32;

/// What was read last of each card, by GUID: what has the same digest is not unpacked and parsed again.
static CACHE: Mutex<BTreeMap<[u8; 16], Arc<CardContents>>> = Mutex::new(BTreeMap::new());

/// What a card shows to anybody; see [`Card::contents`].
#[derive(Debug, PartialEq, Eq)]
pub struct CardContents {
    /// Who it is.
    pub identity: CardIdentity,
    /// The keys that have a certificate, or of which the card tells the public half; 9A 9C 9D 9E, then 82 to 95.
    pub keys: Vec<Arc<KeyEntry>>,
    /// An object with the whole answer to GET DATA, to seal the card with.
    sealing: Option<(DataObject, Vec<u8>)>,
}

/// A key as the card shows it.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Which.
    pub reference: KeyReference,
    /// The certificate in DER, unpacked.
    pub certificate: Option<Vec<u8>>,
    /// From the certificate, or else as the card tells it.
    pub public_key: Option<SubjectPublicKeyInfoOwned>,
    /// `None` where the public key is of a kind that PIV does not have.
    pub algorithm: Option<KeyAlgorithm>,
    /// Why the certificate, though there, cannot be used.
    pub problem: Option<String>,
    /// SHA-256 of the data object's contents.
    digest: [u8; 32],
}

impl CardContents {
    /// The entry of that key.
    pub fn key(&self, reference: KeyReference) -> Option<&KeyEntry> {
        self.keys.iter().find(|key| key.reference == reference).map(Arc::as_ref)
    }

    pub(super) fn sealing(&self) -> Option<(DataObject, &[u8])> {
        self.sealing.as_ref().map(|(object, answer)| (*object, answer.as_slice()))
    }
}

impl KeyEntry {
    fn of_certificate_object(reference: KeyReference, contents: &[u8], digest: [u8; 32]) -> Option<Self> {
        let nothing =
            Self { reference, certificate: None, public_key: None, algorithm: None, problem: None, digest };
        let certificate = match objects::certificate_from_bytes(contents) {
            Ok(certificate) => certificate?,
            Err(error) => return Some(Self { problem: Some(error.to_string()), ..nothing }),
        };
        Some(match objects::public_key_of_certificate(&certificate) {
            Ok(public_key) => Self {
                algorithm: KeyAlgorithm::of(&public_key),
                public_key: Some(public_key),
                certificate: Some(certificate),
                ..nothing
            },
            Err(error) => {
                Self { certificate: Some(certificate), problem: Some(error.to_string()), ..nothing }
            }
        })
    }
}

impl Card {
    /// Identity, certificates and public keys, all of them at once.
    ///
    /// The first time everything is read. Later answers cost at most two short commands while nobody else has used the
    /// card (`seal` says how that is known); otherwise everything is read again, so that what another program wrote
    /// is never missed. Where nothing has changed, the same `Arc` comes back.
    ///
    /// An object that holds no readable certificate does not hide the others: see [`KeyEntry::problem`].
    ///
    /// # Errors
    /// Those of the line.
    pub fn contents(&mut self) -> Result<Arc<CardContents>, CardError> {
        self.transaction()?.contents()
    }
}

impl Transaction<'_> {
    /// See [`Card::contents`].
    ///
    /// # Errors
    /// As there.
    pub fn contents(&mut self) -> Result<Arc<CardContents>, CardError> {
        if let Some(contents) = self.remembered_contents() {
            return Ok(contents);
        }
        let identity = self.identity()?;
        let before = identity.guid.and_then(|guid| lock().get(&guid).cloned());
        let mut keys = Vec::new();
        let mut sealing = None;
        for key in self.keys_to_look_for(identity.version.is_some())? {
            if let Some(entry) = self.read_key(key, before.as_deref(), &mut sealing)? {
                keys.push(entry);
            }
        }
        let contents = CardContents { identity, keys, sealing };
        let contents = match before {
            Some(before) if *before == contents => before,
            _ => Arc::new(contents),
        };
        remember(&contents);
        self.remember_contents(Arc::clone(&contents));
        Ok(contents)
    }

    /// Every key reference that may have a certificate: the four, and the retired ones that the key history counts.
    ///
    /// A vendor's card without key history is asked for all twenty, for its tools write certificates there and no
    /// history; any other card (SP 800-73-5 Part 1 section 3.3.3: it has a history if it has retired keys) until one
    /// is missing.
    fn keys_to_look_for(&mut self, is_vendors: bool) -> Result<Vec<KeyReference>, CardError> {
        let mut keys = KeyReference::PRIMARY.to_vec();
        match self.read_if_present(DataObject::KEY_HISTORY)? {
            Some(history) => match objects::key_history(&history) {
                Ok(retired) => keys.extend(retired),
                // What cannot be read hides nothing.
                Err(_) => keys.extend(KeyReference::retired()),
            },
            None if is_vendors => keys.extend(KeyReference::retired()),
            None => {
                for key in KeyReference::retired() {
                    if self.read_if_present(key.certificate_object())?.is_none() {
                        break;
                    }
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }

    /// One key; `None` where there is nothing to see of it.
    fn read_key(
        &mut self,
        key: KeyReference,
        before: Option<&CardContents>,
        sealing: &mut Option<(DataObject, Vec<u8>)>,
    ) -> Result<Option<Arc<KeyEntry>>, CardError> {
        let object = key.certificate_object();
        if let Some(contents) = self.read_if_present(object)? {
            let digest = Sha256::digest(&*contents).into();
            *sealing = Some((object, super::data_object::wrapped(&contents)));
            let known = before.into_iter().flat_map(|before| &before.keys);
            let known = known.clone().find(|entry| entry.reference == key && entry.digest == digest);
            if let Some(entry) = known {
                return Ok(Some(Arc::clone(entry)));
            }
            if let Some(entry) = KeyEntry::of_certificate_object(key, &contents, digest) {
                return Ok(Some(Arc::new(entry)));
            }
        }
        let Some(metadata) = self.key_metadata(key)? else { return Ok(None) };
        let Some(public_key) = metadata.public_key else { return Ok(None) };
        Ok(Some(Arc::new(KeyEntry {
            reference: key,
            certificate: None,
            algorithm: metadata.algorithm,
            public_key: Some(public_key),
            problem: None,
            digest: [0; 32],
        })))
    }
}

fn remember(contents: &Arc<CardContents>) {
    let Some(guid) = contents.identity.guid else { return };
    let mut cache = lock();
    if cache.len() >= CARDS && !cache.contains_key(&guid) {
        cache.pop_first();
    }
    cache.insert(guid, Arc::clone(contents));
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<[u8; 16], Arc<CardContents>>> {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner)
}
