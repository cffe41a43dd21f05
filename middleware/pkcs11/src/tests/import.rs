//! Private keys written into a card by C_CreateObject.
use der::Encode as _;
use middleware::{FileKey, KeyAgreement, KeyAlgorithm, KeyReference};
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};

use super::card::{PIN, SO, TestCard, USER, find, login, open, private_key, public_key};
use super::uses::{ECDSA, bytes, request};
use crate::attribute::{self, Attributes};
use crate::functions::{key, object, session, sign, verify};
use crate::mechanism::{Parameter, Request};
use crate::object::{class, key_type};
use crate::return_value::ReturnValue;

const P256: &str = "06082a8648ce3d030107";
const P384: &str = "06052b81040022";
const ED25519: &str = "06032b6570";
const X25519: &str = "06032b656e";

fn template(id: u8, kind: std::ffi::c_ulong) -> Attributes {
    let mut template = Attributes::default();
    template.set_flag(attribute::TOKEN, true);
    template.set_number(attribute::CLASS, class::PRIVATE_KEY);
    template.set_number(attribute::KEY_TYPE, kind);
    template.set(attribute::ID, &[id]);
    template
}

fn curve(id: u8, kind: std::ffi::c_ulong, parameters: &str, value: &[u8]) -> Attributes {
    let mut template = template(id, kind);
    template.set(attribute::EC_PARAMS, &hex::decode(parameters).unwrap());
    template.set(attribute::VALUE, value);
    template
}

fn rsa(id: u8) -> Attributes {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let made = rsa::RsaPrivateKey::new(&mut rng, 2048).unwrap();
    let mut template = template(id, key_type::RSA);
    let numbers = [
        (attribute::MODULUS, made.n_bytes()),
        (attribute::PUBLIC_EXPONENT, made.e_bytes()),
        (attribute::PRIME_1, made.primes()[0].to_be_bytes_trimmed_vartime()),
        (attribute::PRIME_2, made.primes()[1].to_be_bytes_trimmed_vartime()),
    ];
    for (kind, number) in numbers {
        template.set(kind, &number);
    }
    template
}

/// Signs as the user and verifies with the public key that the module shows.
fn signs(session: crate::token::Handle, id: u8, mechanism: std::ffi::c_ulong) {
    let (private, public) = (private_key(session, id), public_key(session, id));
    sign::init(session, Some(&request(mechanism)), private).unwrap();
    let signature = bytes(sign::sign(session, &[1; 32], Some(512)).unwrap());
    verify::init(session, Some(&request(mechanism)), public).unwrap();
    assert_eq!(verify::verify(session, &[1; 32], &signature), Ok(()));
}

#[test]
fn the_management_key_imports_keys_of_every_kind() {
    let card = TestCard::yubikey();
    let _inserted = card.insert();
    let session = open();
    let montgomery = curve(3, key_type::EC_MONTGOMERY, X25519, &[9; 32]);
    let keys = [
        rsa(1),
        montgomery,
        curve(4, key_type::EC, P256, &[7; 32]),
        // Retired keys, which have no certificates. A big integer loses its zeros.
        curve(5, key_type::EC, P384, &[7; 40]),
        curve(24, key_type::EC_EDWARDS, ED25519, &[8; 32]),
    ];
    login(session, SO, card.management_key_hex.as_bytes()).unwrap();
    for template in &keys {
        let handle = object::create(session, template).unwrap();
        assert_eq!(find(session, class::PRIVATE_KEY, template.get(attribute::ID).unwrap()[0]), Some(handle));
    }
    session::logout(session).unwrap();
    login(session, USER, PIN).unwrap();
    for (id, mechanism) in [(1, 0x0001), (4, ECDSA), (5, ECDSA), (24, 0x1057)] {
        signs(session, id, mechanism);
    }
    let mut peer = FileKey::generate(KeyAlgorithm::X25519).unwrap();
    let own = object::object(session, public_key(session, 3)).unwrap();
    let point = own.attributes.get(attribute::EC_POINT).unwrap()[2..].to_vec();
    let public = peer_point(&peer);
    let parameter = Parameter::Ecdh { function: 1, shared: Vec::new(), public };
    let request = Request { kind: 0x1050, parameter };
    let derived = key::derive(session, &request, private_key(session, 3), &Attributes::default()).unwrap();
    let secret = object::object(session, derived).unwrap().secret().unwrap().to_vec();
    assert_eq!(secret, *peer.agree(&point).unwrap());
    // Another process sees them as well: the card tells their public halves.
    session::close_all(super::card::slot()).unwrap();
    crate::module::Module::finalize().unwrap();
    crate::module::Module::initialize(true).unwrap();
    let session = open();
    for id in [1, 3, 4, 5, 24] {
        public_key(session, id);
    }
}

fn peer_point(key: &FileKey) -> Vec<u8> {
    KeyAgreement::public_key(key).subject_public_key.raw_bytes().to_vec()
}

/// As little of a certificate as is needed: TBSCertificate { [0] 2, 1, ecdsa-with-SHA256, {}, validity, {}, key }.
fn certificate_of(key: &FileKey) -> Vec<u8> {
    let sequence = |parts: &[&[u8]]| tlv(0x30, &parts.concat());
    let algorithm = hex::decode("300a06082a8648ce3d040302").unwrap();
    let time = tlv(0x17, b"300101000000Z");
    let spki = middleware::Signer::public_key(key).to_der().unwrap();
    let (version, serial, name) = ([0xA0, 3, 2, 1, 2], [2, 1, 1], [0x30, 0]);
    let validity = sequence(&[&time, &time]);
    let contents = sequence(&[&version, &serial, &algorithm, &name, &validity, &name, &spki]);
    sequence(&[&contents, &algorithm, &[3, 2, 0, 0]])
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let length = if contents.len() < 128 { vec![length[1]] } else { vec![0x82, length[0], length[1]] };
    // DER: the shortest form.
    let length = if let [0x82, 0, short] = length[..] { vec![0x81, short] } else { length };
    [&[tag], &length[..], contents].concat()
}

#[test]
fn a_key_that_replaces_another_takes_the_old_certificate_with_it() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::Authentication, KeyAlgorithm::P256);
    let _inserted = card.insert();
    let session = open();
    login(session, SO, card.management_key_hex.as_bytes()).unwrap();
    let mut certificate = Attributes::default();
    certificate.set_flag(attribute::TOKEN, true);
    certificate.set_number(attribute::CLASS, class::CERTIFICATE);
    certificate.set(attribute::ID, &[1]);
    certificate.set(attribute::VALUE, &certificate_of(&FileKey::generate(KeyAlgorithm::P256).unwrap()));
    object::create(session, &certificate).unwrap();
    assert!(find(session, class::CERTIFICATE, 1).is_some());
    object::create(session, &curve(1, key_type::EC, P256, &[7; 32])).unwrap();
    assert_eq!(find(session, class::CERTIFICATE, 1), None);
}

#[test]
fn what_makes_no_key_or_has_no_place_is_refused() {
    use ReturnValue as R;
    let card = TestCard::yubikey();
    let _inserted = card.insert();
    let session = open();
    let good = curve(1, key_type::EC, P256, &[7; 32]);
    assert_eq!(object::create(session, &good), Err(R::USER_NOT_LOGGED_IN));
    login(session, SO, super::card::PUK).unwrap();
    assert_eq!(object::create(session, &good), Err(R::USER_NOT_LOGGED_IN));
    session::logout(session).unwrap();
    login(session, SO, card.management_key_hex.as_bytes()).unwrap();

    let changed = |base: &Attributes, kind, value: &[u8]| {
        let mut changed = base.clone();
        changed.set(kind, value);
        object::create(session, &changed).err()
    };
    let without = |base: &Attributes, kind| {
        let mut changed = base.clone();
        changed.remove(kind);
        object::create(session, &changed).err()
    };
    for missing in [attribute::ID, attribute::KEY_TYPE, attribute::EC_PARAMS, attribute::VALUE] {
        assert_eq!(without(&good, missing), Some(R::TEMPLATE_INCOMPLETE), "{missing:X}");
    }
    for (kind, value) in [
        (attribute::ID, &[25][..]),
        (attribute::VALUE, &[]),
        (attribute::VALUE, &[0; 32]),
        (attribute::VALUE, &[0xFF; 32]),
        (attribute::VALUE, &[7; 33]),
        (attribute::EC_PARAMS, &[6, 1, 1]),
    ] {
        assert_eq!(changed(&good, kind, value), Some(R::ATTRIBUTE_VALUE_INVALID), "{kind:X} {value:?}");
    }
    for (kind, value) in [(attribute::EXTRACTABLE, 1), (attribute::SENSITIVE, 0), (attribute::TOKEN, 0)] {
        assert_eq!(changed(&good, kind, &[value]), Some(R::TEMPLATE_INCONSISTENT), "{kind:X}");
    }
    let rsa = rsa(1);
    assert_eq!(without(&rsa, attribute::PRIME_2), Some(R::TEMPLATE_INCOMPLETE));
    let odd = [&[0xC1; 127][..], &[1]].concat();
    for prime in [&[][..], &[0], &[1], &[2], &[4], &[0xFF; 128], &[0x10; 128], &odd, &[0xFF; 600]] {
        assert_eq!(changed(&rsa, attribute::PRIME_1, prime), Some(R::ATTRIBUTE_VALUE_INVALID), "{prime:?}");
    }
    for exponent in [&[][..], &[0], &[1], &[2], &[0xFF; 300]] {
        assert_eq!(changed(&rsa, attribute::PUBLIC_EXPONENT, exponent), Some(R::ATTRIBUTE_VALUE_INVALID));
    }
    assert_eq!(changed(&rsa, attribute::MODULUS, &[3; 256]), Some(R::ATTRIBUTE_VALUE_INVALID));
    object::create(session, &rsa).unwrap();
}

/// SP 800-73-5 has no command for it.
#[test]
fn a_standard_card_takes_no_key_from_outside() {
    let card = TestCard::standard();
    let _inserted = card.insert();
    let session = open();
    login(session, SO, card.management_key_hex.as_bytes()).unwrap();
    let key = curve(1, key_type::EC, P256, &[7; 32]);
    assert_eq!(object::create(session, &key), Err(ReturnValue::TEMPLATE_INCONSISTENT));
}
