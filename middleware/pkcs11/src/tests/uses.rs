//! Login, objects and every use of a key, in both personalities.
use middleware::{KeyAlgorithm, KeyReference};

use super::card::{
    CONTEXT_SPECIFIC, PIN, PUK, SO, TestCard, USER, find, is_kept, login, open, open_and_login, private_key,
    public_key, slot,
};
use crate::attribute::{self, Attributes};
use crate::functions::{decrypt, encrypt, key, object, session, sign, verify};
use crate::mechanism::{Parameter, Request, all};
use crate::module::Module;
use crate::object::class;
use crate::output::Output;
use crate::return_value::ReturnValue;
use crate::token::Handle;

pub(super) const ECDSA: u64 = 0x1041;
const RSA_PKCS: u64 = 0x0001;

pub(super) fn request(kind: u64) -> Request {
    let parameter = match kind {
        0x0009 => Parameter::Oaep { hash: 0x250, mask: 2, source: 1, label: b"label".to_vec() },
        0x000D | 0x0043 => Parameter::Pss([0x250, 2, 32]),
        0x000E => Parameter::Pss([0x220, 1, 20]),
        0x0044 => Parameter::Pss([0x260, 3, 48]),
        0x0045 => Parameter::Pss([0x270, 4, 64]),
        0x0047 => Parameter::Pss([0x255, 5, 28]),
        _ => Parameter::None,
    };
    Request { kind, parameter }
}

pub(super) fn bytes(output: Output) -> Vec<u8> {
    match output {
        Output::Bytes(bytes) => bytes.to_vec(),
        Output::Needs(length) => panic!("{length} bytes are needed"),
    }
}

fn signature(session: Handle, kind: u64, key: Handle, data: &[u8]) -> Result<Vec<u8>, ReturnValue> {
    sign::init(session, Some(&request(kind)), key)?;
    sign::sign(session, data, Some(1024)).map(bytes)
}

#[test]
fn every_signature_mechanism_signs_what_it_verifies() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::Authentication, KeyAlgorithm::Rsa2048);
    card.generate(KeyReference::KeyManagement, KeyAlgorithm::P384);
    card.generate(KeyReference::CardAuthentication, KeyAlgorithm::P256);
    card.generate(KeyReference::DigitalSignature, KeyAlgorithm::Ed25519);
    let _inserted = card.insert();
    let session = open_and_login();
    let mut used = 0;
    for (kind, _) in all() {
        for id in [1, 3, 4] {
            // Mechanisms that take a digest of one length take this one.
            let data = [7; 32];
            match sign::init(session, Some(&request(kind)), private_key(session, id)) {
                Ok(()) => {}
                Err(ReturnValue::MECHANISM_INVALID | ReturnValue::KEY_TYPE_INCONSISTENT) => continue,
                Err(error) => panic!("{kind:04X} with {id}: {error:?}"),
            }
            let signature = bytes(sign::sign(session, &data, Some(1024)).unwrap());
            let public = public_key(session, id);
            verify::init(session, Some(&request(kind)), public).unwrap();
            assert_eq!(verify::verify(session, &data, &signature), Ok(()), "{kind:04X} with {id}");
            verify::init(session, Some(&request(kind)), public).unwrap();
            let other = verify::verify(session, &[8; 32], &signature);
            assert_eq!(other, Err(ReturnValue::SIGNATURE_INVALID), "{kind:04X} with {id}");
            used += 1;
        }
    }
    // RSA: 13 mechanisms; ECDSA: 6 for each of two keys.
    assert_eq!(used, 13 + 12);
    // Ed25519 in parts, with the login that each use of 9C needs.
    let key = private_key(session, 2);
    sign::init(session, Some(&request(0x1057)), key).unwrap();
    login(session, CONTEXT_SPECIFIC, PIN).unwrap();
    sign::update(session, b"in ").unwrap();
    sign::update(session, b"parts").unwrap();
    let signature = bytes(sign::last(session, Some(64)).unwrap());
    verify::init(session, Some(&request(0x1057)), public_key(session, 2)).unwrap();
    assert_eq!(verify::verify(session, b"in parts", &signature), Ok(()));
    // A PIV card cannot be given an empty message; the key is not to blame.
    sign::init(session, Some(&request(0x1057)), key).unwrap();
    login(session, CONTEXT_SPECIFIC, PIN).unwrap();
    assert_eq!(sign::sign(session, b"", Some(64)).err(), Some(ReturnValue::DATA_LEN_RANGE));
}

#[test]
fn the_signature_key_asks_each_time() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::DigitalSignature, KeyAlgorithm::P256);
    let _inserted = card.insert();
    let session = open_and_login();
    let key = private_key(session, 2);
    assert_eq!(signature(session, ECDSA, key, &[1; 32]), Err(ReturnValue::USER_NOT_LOGGED_IN));
    assert_eq!(login(session, CONTEXT_SPECIFIC, PIN), Err(ReturnValue::OPERATION_NOT_INITIALIZED));
    sign::init(session, Some(&request(ECDSA)), key).unwrap();
    assert_eq!(login(session, CONTEXT_SPECIFIC, b"999999"), Err(ReturnValue::PIN_INCORRECT));
    assert_eq!(login(session, CONTEXT_SPECIFIC, b"99999"), Err(ReturnValue::PIN_INCORRECT));
    // Nothing is no wrong PIN.
    assert_eq!(login(session, CONTEXT_SPECIFIC, b""), Err(ReturnValue::ARGUMENTS_BAD));
    login(session, CONTEXT_SPECIFIC, PIN).unwrap();
    // Asking for the length spends nothing.
    assert!(matches!(sign::sign(session, &[1; 32], None), Ok(Output::Needs(64))));
    assert!(matches!(sign::sign(session, &[1; 32], Some(63)), Ok(Output::Needs(64))));
    bytes(sign::sign(session, &[1; 32], Some(64)).unwrap());
    assert_eq!(signature(session, ECDSA, key, &[1; 32]), Err(ReturnValue::USER_NOT_LOGGED_IN));
}

#[test]
fn a_transaction_is_kept_for_the_next_use_and_ended_by_itself_or_by_what_ends_the_login() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::Authentication, KeyAlgorithm::P256);
    card.generate(KeyReference::DigitalSignature, KeyAlgorithm::P256);
    let _inserted = card.insert();
    let session = open_and_login();
    let key = private_key(session, 1);
    signature(session, ECDSA, key, &[1; 32]).unwrap();
    // The thread ends it; the test ends when it has.
    while is_kept() {
        std::thread::yield_now();
    }
    signature(session, ECDSA, key, &[1; 32]).unwrap();
    let other = private_key(session, 2);
    sign::init(session, Some(&request(ECDSA)), other).unwrap();
    login(session, CONTEXT_SPECIFIC, PIN).unwrap();
    assert!(!is_kept(), "9C's PIN is verified in a transaction of its own");
    bytes(sign::sign(session, &[1; 32], Some(64)).unwrap());
    assert!(!is_kept(), "nothing is kept after 9C");
    signature(session, ECDSA, key, &[1; 32]).unwrap();
    session::logout(session).unwrap();
    assert!(!is_kept(), "C_Logout");
    login(session, USER, PIN).unwrap();
    signature(session, ECDSA, key, &[1; 32]).unwrap();
    session::close_all(slot()).unwrap();
    assert!(!is_kept(), "C_CloseAllSessions");
    let session = open_and_login();
    signature(session, ECDSA, private_key(session, 1), &[1; 32]).unwrap();
    session::close(session).unwrap();
    assert!(!is_kept(), "the last session");
}

/// CKF_LIBRARY_CANT_CREATE_OS_THREADS.
#[test]
fn without_threads_nothing_is_kept() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::Authentication, KeyAlgorithm::P256);
    let _inserted = card.insert();
    Module::finalize().unwrap();
    Module::initialize(false).unwrap();
    let session = open_and_login();
    signature(session, ECDSA, private_key(session, 1), &[1; 32]).unwrap();
    assert!(!is_kept());
}

#[test]
fn private_keys_are_for_whoever_is_logged_in() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::Authentication, KeyAlgorithm::P256);
    card.generate(KeyReference::CardAuthentication, KeyAlgorithm::P256);
    let _inserted = card.insert();
    let session = open();
    assert_eq!(find(session, class::PRIVATE_KEY, 1), None);
    let free = private_key(session, 4);
    signature(session, ECDSA, free, &[1; 32]).unwrap();
    login(session, USER, PIN).unwrap();
    assert_eq!(login(session, USER, PIN), Err(ReturnValue::USER_ALREADY_LOGGED_IN));
    assert_eq!(login(session, SO, PUK), Err(ReturnValue::USER_ANOTHER_ALREADY_LOGGED_IN));
    let key = private_key(session, 1);
    signature(session, ECDSA, key, &[1; 32]).unwrap();
    session::logout(session).unwrap();
    assert_eq!(session::logout(session), Err(ReturnValue::USER_NOT_LOGGED_IN));
    assert_eq!(signature(session, ECDSA, key, &[1; 32]), Err(ReturnValue::USER_NOT_LOGGED_IN));
    // Closing all sessions ends the login as well.
    login(session, USER, PIN).unwrap();
    session::close_all(slot()).unwrap();
    assert_eq!(session::info(session).err(), Some(ReturnValue::SESSION_HANDLE_INVALID));
    let session = open();
    assert_eq!(find(session, class::PRIVATE_KEY, 1), None);
    Module::finalize().unwrap();
    assert_eq!(session::info(session).err(), Some(ReturnValue::CRYPTOKI_NOT_INITIALIZED));
}

#[test]
fn what_is_encrypted_here_is_decrypted_by_the_card() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::KeyManagement, KeyAlgorithm::Rsa2048);
    let _inserted = card.insert();
    let session = open_and_login();
    let (public, private) = (public_key(session, 3), private_key(session, 3));
    for kind in [RSA_PKCS, 0x0009] {
        encrypt::init(session, Some(&request(kind)), public).unwrap();
        let ciphertext = bytes(encrypt::encrypt(session, b"a key", Some(256)).unwrap());
        decrypt::init(session, Some(&request(kind)), private).unwrap();
        assert!(matches!(decrypt::decrypt(session, &ciphertext, None), Ok(Output::Needs(190..=245))));
        // Too small: the message waits, and its true length is told.
        assert!(matches!(decrypt::decrypt(session, &ciphertext, Some(4)), Ok(Output::Needs(5))));
        assert_eq!(bytes(decrypt::decrypt(session, &ciphertext, Some(5)).unwrap()), b"a key");
        decrypt::init(session, Some(&request(kind)), private).unwrap();
        let damaged: Vec<u8> = ciphertext.iter().rev().copied().collect();
        let refused = decrypt::decrypt(session, &damaged, Some(256)).err();
        assert_eq!(refused, Some(ReturnValue::ENCRYPTED_DATA_INVALID));
        let refused = decrypt::decrypt(session, &ciphertext, Some(256)).err();
        assert_eq!(refused, Some(ReturnValue::OPERATION_NOT_INITIALIZED));
    }
    // As NSS does with a content key.
    let mut template = Attributes::default();
    template.set_number(attribute::CLASS, class::SECRET_KEY);
    template.set_number(attribute::KEY_TYPE, crate::object::key_type::AES);
    template.set(attribute::VALUE, &[9; 32]);
    let secret = object::create(session, &template).unwrap();
    let wrapped = bytes(key::wrap(session, &request(RSA_PKCS), public, secret, Some(256)).unwrap());
    let mut wanted = Attributes::default();
    wanted.set_number(attribute::KEY_TYPE, crate::object::key_type::AES);
    wanted.set_number(attribute::VALUE_LEN, 32);
    let unwrapped = key::unwrap(session, &request(RSA_PKCS), private, &wrapped, &wanted).unwrap();
    let value = |handle| object::object(session, handle).unwrap().secret().unwrap().to_vec();
    assert_eq!(value(unwrapped), [9; 32]);
    // Padding that does not fit gives another key of that length, and no error that would tell.
    let damaged: Vec<u8> = wrapped.iter().rev().copied().collect();
    let other = key::unwrap(session, &request(RSA_PKCS), private, &damaged, &wanted);
    if let Ok(other) = other {
        assert_ne!(value(other), [9; 32]);
    }
}

#[test]
fn the_security_officer_is_whoever_has_the_puk_or_the_management_key() {
    for card in [TestCard::yubikey(), TestCard::standard()] {
        let _inserted = card.insert();
        let session = open();
        login(session, SO, card.management_key_hex.as_bytes()).unwrap();
        assert_eq!(session::init_pin(session, b"654321"), Err(ReturnValue::USER_NOT_LOGGED_IN));
        assert_eq!(session::set_pin(session, PUK, b"11111111"), Err(ReturnValue::USER_NOT_LOGGED_IN));
        let mut public = Attributes::default();
        public.set(attribute::EC_PARAMS, &hex::decode("06082a8648ce3d030107").unwrap());
        let mut private = Attributes::default();
        private.set(attribute::ID, &[1]);
        let made = key::generate_pair(session, &request(0x1040), &public, &private);
        let (public_key, _) = made.unwrap();
        session::logout(session).unwrap();
        let refused = key::generate_pair(session, &request(0x1040), &public, &private);
        assert_eq!(refused, Err(ReturnValue::USER_NOT_LOGGED_IN));
        login(session, USER, PIN).unwrap();
        let key = private_key(session, 1);
        let signature = signature(session, ECDSA, key, &[1; 32]).unwrap();
        verify::init(session, Some(&request(ECDSA)), public_key).unwrap();
        assert_eq!(verify::verify(session, &[1; 32], &signature), Ok(()));
        session::logout(session).unwrap();
        let wrong = "00".repeat(card.management_key_hex.len() / 2);
        assert_eq!(login(session, SO, wrong.as_bytes()), Err(ReturnValue::PIN_INCORRECT));
        assert_eq!(login(session, SO, b"too short"), Err(ReturnValue::PIN_INCORRECT));
    }
}
