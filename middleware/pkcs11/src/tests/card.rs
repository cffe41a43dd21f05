//! Emulated cards, and the module over one of them.
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use card_sim::crypto::Randomness;
use card_sim::piv::blank::{BlankCard, BlankKind};
use card_sim::piv::personality::Firmware;
use card_sim::store::file::FileStore;
use card_sim::store::image;
use middleware::{Card, FileKey, KeyAlgorithm, KeyReference, Locator, ManagementKey, ManagementKeyAlgorithm};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::attribute::{self, Attributes};
use crate::functions::{object, session, sign};
use crate::mechanism::{Parameter, Request};
use crate::module::{Module, TEST_CARDS, TURN, lock};
use crate::object::class;
use crate::return_value::ReturnValue;
use crate::token::{Handle, Token};

pub(super) const PIN: &[u8] = b"123456";
pub(super) const PUK: &[u8] = b"12345678";
pub(super) const USER: std::ffi::c_ulong = 1;
pub(super) const SO: std::ffi::c_ulong = 0;
pub(super) const CONTEXT_SPECIFIC: std::ffi::c_ulong = 2;
/// CKF_SERIAL_SESSION, CKF_RW_SESSION.
pub(super) const READ_WRITE: std::ffi::c_ulong = 6;

/// A card of either personality in a folder of its own, in memory where the system has such a place: a card is durable at
/// every step.
pub(crate) struct TestCard {
    _folder: TempDir,
    path: PathBuf,
    pub(super) management_key: ManagementKey,
    pub(super) management_key_hex: String,
}

impl TestCard {
    pub(crate) fn yubikey() -> Self {
        Self::new(BlankKind::YubiKey5 { firmware: Firmware::V5_7, serial: Some(12_345_678) })
    }

    pub(super) fn standard() -> Self {
        Self::new(BlankKind::Standard)
    }

    fn new(kind: BlankKind) -> Self {
        let mut randomness = Randomness::from_system().unwrap();
        let (state, stock) =
            BlankCard { kind, keys: Default::default(), seed: None }.manufacture(&mut randomness);
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = folder.path().join("card");
        FileStore::create(&path, &image::encode(&state, &path).unwrap()).unwrap();
        let management_key = match &stock {
            None => ManagementKey::factory_default(ManagementKeyAlgorithm::Aes192),
            Some(stock) => {
                ManagementKey::new(ManagementKeyAlgorithm::Aes256, stock.management_key.expose()).unwrap()
            }
        };
        let management_key_hex = match &stock {
            None => "0102030405060708".repeat(3),
            Some(stock) => hex::encode(stock.management_key.expose()),
        };
        Self { _folder: folder, path, management_key, management_key_hex }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a key into the card.
    pub(super) fn import(&self, reference: KeyReference, key: &FileKey) {
        let mut card = Card::open(&Locator::Emulated(self.path.clone())).unwrap();
        let mut transaction = card.transaction().unwrap();
        let mut administration =
            transaction.authenticate(&self.management_key).unwrap_or_else(|error| panic!("{error}"));
        administration.import(reference, &key.to_private_key()).unwrap();
    }

    /// Lets the card make a key.
    pub(crate) fn generate(&self, reference: KeyReference, algorithm: KeyAlgorithm) {
        let mut card = Card::open(&Locator::Emulated(self.path.clone())).unwrap();
        let mut transaction = card.transaction().unwrap();
        let mut administration =
            transaction.authenticate(&self.management_key).unwrap_or_else(|error| panic!("{error}"));
        administration.generate(reference, algorithm).unwrap();
    }

    /// The module, initialised, with this card in slot 0.
    pub(crate) fn insert(&self) -> Inserted {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        *lock(&TEST_CARDS) = vec![self.path.clone()];
        let _ = Module::finalize();
        Module::initialize(true).unwrap();
        Inserted { _turn: turn }
    }
}

/// While it lives, the module has the card.
pub(crate) struct Inserted {
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Inserted {
    fn drop(&mut self) {
        // A test may have ended it.
        let _ = Module::finalize();
        lock(&TEST_CARDS).clear();
    }
}

pub(super) fn open() -> Handle {
    session::open(slot(), READ_WRITE).unwrap()
}

/// The slot of the inserted card: readers that the machine may have come first.
pub(super) fn slot() -> std::ffi::c_ulong {
    *crate::functions::slot::slot_list(true, true).unwrap().last().unwrap()
}

pub(super) fn login(session: Handle, user: std::ffi::c_ulong, pin: &[u8]) -> Result<(), ReturnValue> {
    session::login(session, user, || Ok(Zeroizing::new(pin.to_vec())))
}

/// A session with the user logged in.
pub(super) fn open_and_login() -> Handle {
    let session = open();
    login(session, USER, PIN).unwrap();
    session
}

/// The object of that class and CKA_ID.
pub(super) fn find(session: Handle, class: std::ffi::c_ulong, id: u8) -> Option<Handle> {
    let mut template = Attributes::default();
    template.set_number(attribute::CLASS, class);
    template.set(attribute::ID, &[id]);
    object::find_init(session, &template).unwrap();
    let found = object::find(session, 10).unwrap();
    object::find_final(session).unwrap();
    found.first().copied()
}

pub(super) fn private_key(session: Handle, id: u8) -> Handle {
    find(session, class::PRIVATE_KEY, id).unwrap()
}

pub(super) fn public_key(session: Handle, id: u8) -> Handle {
    find(session, class::PUBLIC_KEY, id).unwrap()
}

/// Whether the token keeps a transaction open, with the PIN verified.
pub(crate) fn is_kept() -> bool {
    let slot = Module::current().unwrap().slot(slot()).unwrap();
    lock(&slot.token).as_ref().is_some_and(Token::keeps_a_transaction)
}

/// Signs with the P-256 key of 9A.
pub(crate) fn keep_a_transaction() {
    let session = open_and_login();
    let request = Request { kind: 0x1041, parameter: Parameter::None };
    sign::init(session, Some(&request), private_key(session, 1)).unwrap();
    sign::sign(session, &[1; 32], Some(64)).unwrap();
}
