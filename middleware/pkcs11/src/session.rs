//! Sessions (PKCS#11 Base 3.0 section 5.6) and the operations that go on in them.
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use sha2::digest::DynDigest;
use zeroize::Zeroizing;

use crate::mechanism::{Encryption, Scheme, SignatureMechanism};
use crate::object::Object;
use crate::public_key::PublicKey;
use crate::return_value::ReturnValue;
use crate::slot::Slot;
use crate::token::{Consent, Handle, new_handle};
use middleware::Hash;

/// The most that is collected of data that are not hashed as they come: Ed25519 signs a message whole.
const LONGEST_DATA: usize = 1 << 20;

/// A session. There may be any number.
pub(crate) struct Session {
    pub(crate) handle: Handle,
    pub(crate) slot: Arc<Slot>,
    pub(crate) read_write: bool,
    pub(crate) operations: Mutex<Operations>,
}

/// What is going on in a session; at most one of each kind.
#[derive(Default)]
pub(crate) struct Operations {
    pub(crate) find: Option<VecDeque<Handle>>,
    pub(crate) digest: Option<Digesting>,
    pub(crate) sign: Option<Signing>,
    pub(crate) verify: Option<Verifying>,
    pub(crate) encrypt: Option<Encrypting>,
    pub(crate) decrypt: Option<Decrypting>,
}

/// C_DigestInit.
pub(crate) struct Digesting {
    pub(crate) digest: Box<dyn DynDigest + Send>,
    pub(crate) has_begun: bool,
}

/// C_SignInit.
pub(crate) struct Signing {
    pub(crate) key: Arc<Object>,
    pub(crate) public_key: PublicKey,
    pub(crate) scheme: Scheme,
    pub(crate) data: Data,
    pub(crate) consent: Option<Consent>,
}

/// C_VerifyInit.
pub(crate) struct Verifying {
    pub(crate) key: PublicKey,
    pub(crate) scheme: Scheme,
    pub(crate) data: Data,
}

/// C_EncryptInit.
pub(crate) struct Encrypting {
    pub(crate) key: PublicKey,
    pub(crate) encryption: Encryption,
    pub(crate) data: Data,
}

/// C_DecryptInit.
pub(crate) struct Decrypting {
    pub(crate) key: Arc<Object>,
    pub(crate) encryption: Encryption,
    pub(crate) data: Data,
    pub(crate) consent: Option<Consent>,
    /// What came out, while the application makes room for it.
    pub(crate) plaintext: Option<Zeroizing<Vec<u8>>>,
}

/// Data that come in parts: hashed at once, or collected.
pub(crate) struct Data {
    digest: Option<Box<dyn DynDigest + Send>>,
    collected: Zeroizing<Vec<u8>>,
    pub(crate) has_begun: bool,
}

impl Data {
    pub(crate) fn new(hash: Option<Hash>) -> Self {
        let digest = hash.map(Hash::start);
        Self { digest, collected: Zeroizing::new(Vec::new()), has_begun: false }
    }

    pub(crate) fn add(&mut self, part: &[u8]) -> Result<(), ReturnValue> {
        match &mut self.digest {
            Some(digest) => digest.update(part),
            None if self.collected.len() + part.len() > LONGEST_DATA => {
                return Err(ReturnValue::DATA_LEN_RANGE);
            }
            None => self.collected.extend_from_slice(part),
        }
        Ok(())
    }

    /// What is left after hashing.
    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        match self.digest {
            Some(digest) => Zeroizing::new(digest.finalize().into_vec()),
            None => self.collected,
        }
    }
}

impl Signing {
    pub(crate) fn new(key: Arc<Object>, public_key: PublicKey, mechanism: &SignatureMechanism) -> Self {
        Self { key, public_key, scheme: mechanism.scheme, data: Data::new(mechanism.hash), consent: None }
    }
}

/// The open sessions of the module.
#[derive(Default)]
pub(crate) struct Sessions(BTreeMap<Handle, Arc<Session>>);

impl Sessions {
    pub(crate) fn open(&mut self, slot: Arc<Slot>, read_write: bool) -> Handle {
        let handle = new_handle();
        let operations = Mutex::new(Operations::default());
        self.0.insert(handle, Arc::new(Session { handle, slot, read_write, operations }));
        handle
    }

    pub(crate) fn get(&self, handle: Handle) -> Result<Arc<Session>, ReturnValue> {
        self.0.get(&handle).cloned().ok_or(ReturnValue::SESSION_HANDLE_INVALID)
    }

    pub(crate) fn close(&mut self, handle: Handle) -> Result<Arc<Session>, ReturnValue> {
        self.0.remove(&handle).ok_or(ReturnValue::SESSION_HANDLE_INVALID)
    }

    pub(crate) fn close_all(&mut self, slot: &Slot) {
        self.0.retain(|_, session| session.slot.number != slot.number);
    }

    /// The sessions of a slot: how many, and how many of them may write.
    pub(crate) fn count(&self, slot: &Slot) -> (usize, usize) {
        let of_slot = self.0.values().filter(|session| session.slot.number == slot.number);
        of_slot.fold((0, 0), |(all, writing), session| (all + 1, writing + usize::from(session.read_write)))
    }
}
