//! A card in a slot: its objects, who is logged in, and every use of its keys.
//!
//! Nothing verified stays on the card outside a transaction of ours: the PIN is held here, wiped at its end, and a use
//! of a key is a transaction that verifies it and logs out (the middleware's [`Transaction`] does, also on error and
//! panic). After a use that the login covers the transaction is kept for a moment ([`Line`]) for the next one; anything
//! but a use and what is known already ends it first. A process that dies within a transaction leaves a card that the
//! PC/SC service resets.
use std::collections::BTreeMap;
use std::ffi::c_ulong;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use der::Decode;
use middleware::{
    Administration, Card, CardContents, CardError, CardIdentity, KeyAlgorithm, KeyEntry, KeyError,
    KeyReference, LastTry, Locator, ManagementKey, Pin, PinStatus, Puk, Transaction,
};
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use crate::certificate;
use crate::line::Line;
use crate::object::Object;
use crate::public_key::PublicKey;
use crate::return_value::ReturnValue;

/// `CK_OBJECT_HANDLE` and `CK_SESSION_HANDLE`; never 0, never given twice.
pub(crate) type Handle = c_ulong;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Next handle of anything.
pub(crate) fn new_handle() -> Handle {
    Handle::try_from(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap_or(Handle::MAX)
}

/// What the next handle will be.
#[cfg(all(test, feature = "sim"))]
pub(crate) fn coming_handle() -> Handle {
    Handle::try_from(NEXT.load(Ordering::Relaxed)).unwrap_or(Handle::MAX)
}

/// A card in use.
pub(crate) struct Token {
    line: Line,
    locator: Locator,
    guid: Option<[u8; 16]>,
    login: Login,
    contents: Option<Arc<CardContents>>,
    objects: BTreeMap<Handle, Arc<Object>>,
    session_objects: BTreeMap<Handle, SessionObject>,
    /// Public keys of pairs that were generated here and have no certificate yet.
    generated: BTreeMap<KeyReference, SubjectPublicKeyInfoOwned>,
    pin: Option<PinState>,
    /// The PIN that the card refused last, with the tries that were left.
    refused: Option<(Pin, u8)>,
    consents: Arc<()>,
    is_lost: bool,
}

/// What C_GetTokenInfo tells about PIN and PUK.
#[derive(Clone, Copy)]
pub(crate) struct PinState {
    pub(crate) status: PinStatus,
    pub(crate) in_total: Option<u8>,
    pub(crate) puk_tries_left: Option<u8>,
}

/// Who is logged in, with what proves it.
pub(crate) enum Login {
    Nobody,
    User(Pin),
    /// The security officer by the PUK.
    Puk(Puk),
    /// The security officer by the management key.
    Management(ManagementKey),
}

struct SessionObject {
    session: Handle,
    object: Arc<Object>,
}

/// The user's agreement to one use of a key that asks each time. While it lives, C_GetTokenInfo leaves the card alone.
pub(crate) struct Consent {
    pin: Pin,
    _pending: Arc<()>,
}

/// What a private key does.
pub(crate) enum Operation<'a> {
    /// RSA exponentiation, ECDSA or Ed25519.
    Use(&'a [u8]),
    /// Diffie-Hellman with a point.
    Agree(&'a [u8]),
}

impl Operation<'_> {
    fn on(
        &self,
        transaction: &mut Transaction<'_>,
        key: KeyReference,
        algorithm: KeyAlgorithm,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self {
            Self::Use(input) => Ok(transaction.use_private_key(key, algorithm, input)?),
            Self::Agree(peer) => transaction.agree(key, peer),
        }
    }

    /// With the PIN verified immediately before.
    fn with_pin(
        &self,
        transaction: &mut Transaction<'_>,
        pin: &Pin,
        key: KeyReference,
        algorithm: KeyAlgorithm,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let fresh = transaction.verify_pin(pin, LastTry::Refuse)?;
        match self {
            Self::Use(input) => Ok(fresh.use_private_key(key, algorithm, input)?),
            Self::Agree(peer) => fresh.agree(key, peer),
        }
    }
}

impl Token {
    pub(crate) fn open(locator: Locator) -> Result<Self, ReturnValue> {
        Ok(Self {
            line: Line::open(Card::connect(&locator)?)?,
            locator,
            guid: None,
            login: Login::Nobody,
            contents: None,
            objects: BTreeMap::new(),
            session_objects: BTreeMap::new(),
            generated: BTreeMap::new(),
            pin: None,
            refused: None,
            consents: Arc::new(()),
            is_lost: false,
        })
    }

    /// Whether the card has been taken out.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(crate) fn login(&self) -> &Login {
        &self.login
    }

    pub(crate) fn is_user(&self) -> bool {
        matches!(self.login, Login::User(_))
    }

    pub(crate) fn is_officer(&self) -> bool {
        matches!(self.login, Login::Puk(_) | Login::Management(_))
    }

    /// One transaction.
    fn with_card<T>(
        &mut self,
        mut act: impl FnMut(&mut Transaction<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        self.attempt(|line| line.once(&mut act))
    }

    /// One that only reads, in the transaction that is kept if one is.
    fn with_card_as_it_is<T>(
        &mut self,
        mut act: impl FnMut(&mut Transaction<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        match self.line.again(&mut act) {
            Some(Ok(done)) => Ok(done),
            _ => self.with_card(act),
        }
    }

    /// Where another program reset the card in the middle, or the PC/SC service was started anew, it is done again,
    /// once: nothing that is done here does harm twice.
    fn attempt<T>(&mut self, mut act: impl FnMut(&mut Line) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let result = match act(&mut self.line) {
            Err(KeyError::Card(CardError::CardReset)) => act(&mut self.line),
            Err(KeyError::Card(CardError::Transport(_))) => {
                self.reopen().map_err(KeyError::from).and_then(|()| act(&mut self.line))
            }
            result => result,
        };
        self.is_lost |= matches!(result, Err(KeyError::Card(CardError::CardRemoved)));
        result
    }

    /// Whether a transaction is kept open; with the PIN verified, if the user is logged in.
    pub(crate) fn keeps_a_transaction(&self) -> bool {
        self.line.is_kept()
    }

    /// Ends the transaction that is kept, if one is.
    pub(crate) fn end_transaction(&mut self) {
        self.line.end();
    }

    /// How long the transaction that is kept may stay; `None` where none is kept.
    pub(crate) fn transaction_may_stay(&self) -> Option<Duration> {
        self.line.may_stay()
    }

    /// Takes up a new line to the same card.
    fn reopen(&mut self) -> Result<(), CardError> {
        let mut card = Card::open(&self.locator)?;
        // Of cards without GUID nobody knows whether they are the same, and the PIN is another's.
        let guid = card.identity()?.guid;
        if guid.is_none() || guid != self.guid {
            return Err(CardError::CardRemoved);
        }
        self.line = Line::new(card);
        Ok(())
    }

    /// What the card shows; asked again where others used the card meanwhile.
    pub(crate) fn contents(&mut self) -> Result<Arc<CardContents>, ReturnValue> {
        let contents = self.with_card_as_it_is(|transaction| Ok(transaction.contents()?))?;
        if self.contents.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &contents)) {
            self.guid = contents.identity.guid;
            self.objects = self.make_objects(&contents);
            self.contents = Some(Arc::clone(&contents));
        }
        Ok(contents)
    }

    /// Who the card is; what it was when it was read last.
    pub(crate) fn identity(&mut self) -> Result<CardIdentity, ReturnValue> {
        match &self.contents {
            Some(contents) => Ok(contents.identity.clone()),
            None => Ok(self.with_card_as_it_is(|transaction| Ok(transaction.identity()?))?),
        }
    }

    /// Objects that are the same as before keep their handles.
    fn make_objects(&self, contents: &CardContents) -> BTreeMap<Handle, Arc<Object>> {
        let mut objects: Vec<Object> = contents.keys.iter().flat_map(|entry| objects_of(entry)).collect();
        for (reference, public_key) in &self.generated {
            if contents.key(*reference).is_none()
                && let Some(algorithm) = KeyAlgorithm::of(public_key)
            {
                objects.extend(key_objects(*reference, algorithm, public_key, None));
            }
        }
        let handle_of = |object: &Object| {
            let before = self.objects.iter().find(|(_, known)| known.as_ref() == object);
            before.map_or_else(new_handle, |(handle, _)| *handle)
        };
        objects.into_iter().map(|object| (handle_of(&object), Arc::new(object))).collect()
    }

    /// Every object that whoever is logged in may find, the card asked whether it still has its own.
    pub(crate) fn find(
        &mut self,
        template: &crate::attribute::Attributes,
    ) -> Result<Vec<Handle>, ReturnValue> {
        self.contents()?;
        // Whoever has the management key may replace and erase private keys, so they are shown too.
        let sees_private = self.is_user() || matches!(self.login, Login::Management(_));
        let in_session = self.session_objects.iter().map(|(handle, known)| (handle, &known.object));
        Ok(self
            .objects
            .iter()
            .chain(in_session)
            .filter(|(_, object)| sees_private || !object.is_private())
            .filter(|(_, object)| object.attributes.match_template(template))
            .map(|(handle, _)| *handle)
            .collect())
    }

    /// The object of a handle, as whoever is logged in may see it. Private keys show nothing secret: whoever has their
    /// handle may look at them, but not use them.
    pub(crate) fn object(&mut self, handle: Handle) -> Result<Arc<Object>, ReturnValue> {
        if self.contents.is_none() {
            self.contents()?;
        }
        let of_session = self.session_objects.get(&handle).map(|known| &known.object);
        let object = self.objects.get(&handle).or(of_session).ok_or(ReturnValue::OBJECT_HANDLE_INVALID)?;
        if object.is_private() && !object.is_of_token() && !self.is_user() {
            return Err(ReturnValue::OBJECT_HANDLE_INVALID);
        }
        Ok(Arc::clone(object))
    }

    /// Adds an object of a session.
    pub(crate) fn add(&mut self, session: Handle, object: Object) -> Result<Handle, ReturnValue> {
        if object.is_private() && !self.is_user() {
            return Err(ReturnValue::USER_NOT_LOGGED_IN);
        }
        let handle = new_handle();
        self.session_objects.insert(handle, SessionObject { session, object: Arc::new(object) });
        Ok(handle)
    }

    /// Puts a changed object in the place of one of a session.
    pub(crate) fn replace(&mut self, handle: Handle, object: Object) -> Result<(), ReturnValue> {
        let known = self.session_objects.get_mut(&handle).ok_or(ReturnValue::ACTION_PROHIBITED)?;
        known.object = Arc::new(object);
        Ok(())
    }

    /// Removes an object of a session; whether there was one.
    pub(crate) fn remove(&mut self, handle: Handle) -> bool {
        self.session_objects.remove(&handle).is_some()
    }

    /// A session has ended, and its objects with it.
    pub(crate) fn forget_session(&mut self, session: Handle) {
        self.session_objects.retain(|_, known| known.session != session);
    }

    /// Every session has ended.
    pub(crate) fn forget_sessions(&mut self) {
        self.session_objects.clear();
    }

    /// PIN and PUK; from the card, but from memory while an agreement to a signature waits for its signature.
    pub(crate) fn pin_state(&mut self) -> Result<PinState, ReturnValue> {
        let known = self.pin;
        if let Some(known) = known.filter(|_| Arc::strong_count(&self.consents) > 1) {
            return Ok(known);
        }
        if let Some(known) = known.filter(|_| self.line.is_kept() && self.is_user()) {
            return Ok(PinState { status: PinStatus::Verified, ..known });
        }
        let state = self.with_card_as_it_is(|transaction| {
            let status = transaction.pin_status()?;
            let (in_total, puk_tries_left) = match known {
                Some(known) => (known.in_total, known.puk_tries_left),
                None => (transaction.pin_tries_in_total()?, transaction.puk_tries_left()?),
            };
            Ok(PinState { status, in_total, puk_tries_left })
        })?;
        self.pin = Some(state);
        Ok(state)
    }

    /// Verifies the PIN and forgets it again on the card. A PIN that the card has just refused is not tried again.
    fn verify(&mut self, pin: &Pin) -> Result<(), ReturnValue> {
        let refused = self.refused.clone();
        let result = self.with_card(|transaction| {
            if let Some((refused, tries_left)) = &refused
                && refused.is_same_as(pin)
                && transaction.pin_status()? == (PinStatus::NotVerified { tries_left: *tries_left })
            {
                return Err(CardError::WrongPin { tries_left: *tries_left }.into());
            }
            // The user was told by CKF_USER_PIN_FINAL_TRY, and has typed it.
            let _fresh = transaction.verify_pin(pin, LastTry::Spend)?;
            Ok(())
        });
        self.refused = match &result {
            Err(KeyError::Card(CardError::WrongPin { tries_left })) => Some((pin.clone(), *tries_left)),
            _ => None,
        };
        Ok(result?)
    }

    /// C_Login(CKU_USER).
    pub(crate) fn login_user(&mut self, pin: Pin) -> Result<(), ReturnValue> {
        self.verify(&pin)?;
        self.login = Login::User(pin);
        Ok(())
    }

    /// C_Login(CKU_SO) with the PUK. A card whose PUK cannot be changed by its holder checks it only when it is used.
    pub(crate) fn login_puk(&mut self, puk: Puk) -> Result<(), ReturnValue> {
        // PIV has no VERIFY for the PUK; changing it to itself proves it.
        match self.with_card(|transaction| Ok(transaction.change_puk(&puk, &puk)?)) {
            Ok(()) | Err(KeyError::Card(CardError::Unsupported(_))) => {}
            Err(error) => {
                self.pin = None;
                return Err(error.into());
            }
        }
        self.login = Login::Puk(puk);
        Ok(())
    }

    /// C_Login(CKU_SO) with the management key, whose algorithm the card tells.
    pub(crate) fn login_management(&mut self, key: &[u8]) -> Result<(), ReturnValue> {
        let key = self.with_card(|transaction| {
            let algorithm = transaction.management_key_algorithm()?;
            let key = ManagementKey::new(algorithm, key).map_err(|_| CardError::WrongManagementKey)?;
            let _administration = transaction.authenticate(&key)?;
            Ok(key)
        })?;
        self.login = Login::Management(key);
        Ok(())
    }

    /// C_Logout, and the end of the last session.
    pub(crate) fn logout(&mut self) {
        self.line.end();
        self.login = Login::Nobody;
        self.session_objects.retain(|_, known| !known.object.is_private());
    }

    /// C_Login(CKU_CONTEXT_SPECIFIC): the PIN is proven now, so that the user hears of a wrong one, and verified again
    /// immediately before the signature.
    pub(crate) fn consent(&mut self, pin: Pin) -> Result<Consent, ReturnValue> {
        // Known beforehand: afterwards C_GetTokenInfo must not ask.
        self.pin_state()?;
        self.verify(&pin)?;
        Ok(Consent { pin, _pending: Arc::clone(&self.consents) })
    }

    /// C_SetPIN for the user.
    pub(crate) fn change_pin(&mut self, old: &Pin, new: Pin) -> Result<(), ReturnValue> {
        self.with_card(|transaction| Ok(transaction.change_pin(old, &new, LastTry::Spend)?))?;
        self.refused = None;
        if self.is_user() {
            self.login = Login::User(new);
        }
        Ok(())
    }

    /// C_SetPIN for the security officer.
    pub(crate) fn change_puk(&mut self, old: &Puk, new: Puk) -> Result<(), ReturnValue> {
        self.with_card(|transaction| Ok(transaction.change_puk(old, &new)?))?;
        self.login = Login::Puk(new);
        Ok(())
    }

    /// C_InitPIN: unblocks the PIN.
    pub(crate) fn unblock(&mut self, new: &Pin) -> Result<(), ReturnValue> {
        let Login::Puk(puk) = &self.login else { return Err(ReturnValue::USER_NOT_LOGGED_IN) };
        let puk = puk.clone();
        self.refused = None;
        Ok(self.with_card(|transaction| Ok(transaction.unblock(&puk, new)?))?)
    }

    /// One use of a private key: the PIN, if the key wants it, verified immediately before.
    ///
    /// # Errors
    /// `CKR_USER_NOT_LOGGED_IN` also when the PIN was changed or blocked by another program since the login.
    pub(crate) fn operate(
        &mut self,
        key: KeyReference,
        algorithm: KeyAlgorithm,
        consent: Option<&Consent>,
        operation: &Operation<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
        let held = match &self.login {
            Login::User(pin) => Some(pin.clone()),
            _ => None,
        };
        let pin = match key {
            KeyReference::DigitalSignature => {
                Some(consent.ok_or(ReturnValue::USER_NOT_LOGGED_IN)?.pin.clone())
            }
            KeyReference::CardAuthentication => None,
            _ => Some(held.clone().ok_or(ReturnValue::USER_NOT_LOGGED_IN)?),
        };
        let mut result = self.operate_with(key, algorithm, pin.as_ref(), operation);
        if pin.is_none() && held.is_some() && matches!(result, Err(KeyError::Card(CardError::PinRequired))) {
            // A vendor's card may have been told to want the PIN even for 9E.
            result = self.operate_with(key, algorithm, held.as_ref(), operation);
        }
        match result {
            Err(KeyError::Card(
                CardError::WrongPin { .. } | CardError::PinBlocked | CardError::LastPinTry,
            )) => {
                self.logout();
                self.pin = None;
                Err(ReturnValue::USER_NOT_LOGGED_IN)
            }
            result => Ok(result?),
        }
    }

    /// In the transaction that is kept the key works at once: the PIN is verified. 9C has a PIN of its own each time, and
    /// nothing is kept after it.
    fn operate_with(
        &mut self,
        key: KeyReference,
        algorithm: KeyAlgorithm,
        pin: Option<&Pin>,
        operation: &Operation<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let Some(pin) = pin else {
            return self.with_card(|transaction| operation.on(transaction, key, algorithm));
        };
        if key == KeyReference::DigitalSignature {
            return self.with_card(|transaction| operation.with_pin(transaction, pin, key, algorithm));
        }
        match self.line.again(|transaction| operation.on(transaction, key, algorithm)) {
            // It was reset or is gone, or this key wants the PIN each time.
            None
            | Some(Err(KeyError::Card(
                CardError::CardReset | CardError::PinRequired | CardError::Transport(_),
            ))) => {}
            Some(result) => {
                self.is_lost |= matches!(result, Err(KeyError::Card(CardError::CardRemoved)));
                return result;
            }
        }
        self.attempt(|line| line.keep(|transaction| operation.with_pin(transaction, pin, key, algorithm)))
    }

    /// What only the management key may do. The card is reset afterwards.
    pub(crate) fn administer<T>(
        &mut self,
        mut act: impl FnMut(&mut Administration<'_, '_>) -> Result<T, CardError>,
    ) -> Result<T, ReturnValue> {
        let Login::Management(key) = &self.login else { return Err(ReturnValue::USER_NOT_LOGGED_IN) };
        let key = key.clone();
        Ok(self.with_card(|transaction| Ok(act(&mut transaction.authenticate(&key)?)?))?)
    }

    /// The key that has this public key.
    pub(crate) fn key_with(
        &mut self,
        public_key: &SubjectPublicKeyInfoOwned,
    ) -> Result<Option<KeyReference>, ReturnValue> {
        let contents = self.contents()?;
        let shown = contents.keys.iter().find(|entry| entry.public_key.as_ref() == Some(public_key));
        let generated = self.generated.iter().find(|(_, generated)| *generated == public_key);
        Ok(generated.map(|(key, _)| *key).or(shown.map(|entry| entry.reference)))
    }

    /// What the card shows has changed, by our own doing.
    pub(crate) fn forget_contents(&mut self) {
        self.contents = None;
    }

    /// A pair that was generated here has its certificate now, or is gone.
    pub(crate) fn forget_generated(&mut self, key: KeyReference) {
        self.generated.remove(&key);
        self.contents = None;
    }

    /// Remembers a pair that was generated here.
    pub(crate) fn remember_generated(&mut self, key: KeyReference, public_key: SubjectPublicKeyInfoOwned) {
        self.generated.insert(key, public_key);
        self.contents = None;
    }

    /// The handles of a key's objects of that class.
    pub(crate) fn handle_of(&mut self, is_it: impl Fn(&Object) -> bool) -> Result<Handle, ReturnValue> {
        self.contents()?;
        let found = self.objects.iter().find(|(_, object)| is_it(object));
        found.map(|(handle, _)| *handle).ok_or(ReturnValue::DEVICE_ERROR)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.logout();
    }
}

/// Certificate, public and private key, as far as the card shows them.
fn objects_of(entry: &KeyEntry) -> Vec<Object> {
    let certificate = entry.certificate.as_deref();
    let mut objects: Vec<Object> =
        certificate.and_then(|der| Object::certificate(entry.reference, der)).into_iter().collect();
    let subject = certificate.and_then(certificate::subject);
    if let (Some(public_key), Some(algorithm)) = (&entry.public_key, entry.algorithm) {
        objects.extend(key_objects(entry.reference, algorithm, public_key, subject));
    }
    objects
}

fn key_objects(
    reference: KeyReference,
    algorithm: KeyAlgorithm,
    public_key: &SubjectPublicKeyInfoOwned,
    subject: Option<&[u8]>,
) -> Vec<Object> {
    let Some(key) = PublicKey::of(public_key) else { return Vec::new() };
    vec![
        Object::public_key(reference, &key, subject),
        Object::private_key(reference, algorithm, &key, subject),
    ]
}

/// The public key in a certificate that is to be written.
pub(crate) fn public_key_of_certificate(der: &[u8]) -> Option<SubjectPublicKeyInfoOwned> {
    SubjectPublicKeyInfoOwned::from_der(certificate::public_key(der)?).ok()
}
