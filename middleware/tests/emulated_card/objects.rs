//! Data objects, identity and certificates.
use std::io::Write as _;

use middleware::piv::objects::{Chuid, capability_container};
use middleware::{Card, CardError, DataObject, EmulatedMark, KeyAlgorithm, KeyReference, Locator};

use crate::support::{Kind, TestCard, certificate_for};

#[test]
fn a_card_says_who_it_is() {
    let test_card = TestCard::yubikey();
    let identity = test_card.open().identity().unwrap();
    assert_eq!(identity.serial, Some(12_345_678));
    assert_eq!(identity.version.map(|(major, minor, _)| (major, minor)), Some((5, 7)));
    assert_eq!(identity.emulated, Some(EmulatedMark { seeded: false, cloned: false }));
    let guid = identity.guid.unwrap();
    assert!(identity.is_named("12345678") && identity.is_named(&hex::encode(guid)));
    assert!(!identity.is_named("12345679") && !identity.is_named("") && !identity.is_named("00"));

    let standard = TestCard::new(Kind::Standard);
    let identity = standard.open().identity().unwrap();
    assert_eq!((identity.serial, identity.version), (None, None));
    assert!(identity.guid.is_some() && identity.emulated.is_some());
}

#[test]
fn a_new_chuid_is_the_cards_new_identity() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let before = card.identity().unwrap();
    let chuid = Chuid { guid: [0xC0; 16], expiration: *b"20301231" };
    test_card.administer(&mut card, |administration| {
        administration.write_object(DataObject::CHUID, &chuid.to_bytes()).unwrap();
        administration
            .write_object(DataObject::CARD_CAPABILITY_CONTAINER, &capability_container(&[7; 14]))
            .unwrap();
    });
    let after = card.identity().unwrap();
    assert_ne!(before.guid, after.guid);
    assert_eq!(after.guid, Some([0xC0; 16]));
    let mut transaction = card.transaction().unwrap();
    let read = transaction.read_object(DataObject::CHUID).unwrap();
    assert_eq!(Chuid::from_bytes(&read).unwrap(), chuid);
    let container = transaction.read_object(DataObject::CARD_CAPABILITY_CONTAINER).unwrap();
    assert_eq!(*container, capability_container(&[7; 14]));
}

/// SP 800-73-5 Part 2 section 3.1.2: the discovery object has no 53 around it.
#[test]
fn the_discovery_object_stands_alone() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        let discovery = test_card.open().transaction().unwrap().read_object(DataObject::DISCOVERY).unwrap();
        assert_eq!(discovery[..15], [0x7E, 0x12, 0x4F, 0x0B, 0xA0, 0, 0, 3, 8, 0, 0, 0x10, 0, 1, 0]);
    }
}

/// SP 800-73-5 Part 1 table 2: printed information wants the PIN, whether it is there or not.
#[test]
fn the_holders_own_objects_want_the_pin() {
    let test_card = TestCard::new(Kind::Standard);
    let mut card = test_card.open();
    let error = card.transaction().unwrap().read_object(DataObject::PRINTED_INFORMATION).unwrap_err();
    assert!(matches!(error, CardError::PinRequired), "{error}");
    let mut transaction = card.transaction().unwrap();
    transaction.verify_pin(&crate::support::pin("123456"), middleware::LastTry::Refuse).map(drop).unwrap();
    let error = transaction.read_object(DataObject::PRINTED_INFORMATION).unwrap_err();
    assert!(matches!(error, CardError::ObjectNotFound(_)), "{error}");
}

#[test]
fn certificates_are_read_in_order_and_unpacked() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    assert!(card.certificates().unwrap().is_empty());
    assert_eq!(card.certificate(KeyReference::Authentication).unwrap(), None);
    for key in [KeyReference::KeyManagement, KeyReference::Authentication] {
        test_card.issue(&mut card, key, KeyAlgorithm::P256);
    }
    let keys: Vec<KeyReference> = card.certificates().unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [KeyReference::Authentication, KeyReference::KeyManagement]);

    let certificate = card.certificate(KeyReference::KeyManagement).unwrap().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&certificate).unwrap();
    let packed = gzip.finish().unwrap();
    let length = u16::try_from(packed.len()).unwrap().to_be_bytes();
    let contents = [&[0x70, 0x82][..], &length, &packed, &[0x71, 1, 1, 0xFE, 0]].concat();
    let object = KeyReference::DigitalSignature.certificate_object();
    test_card.administer(&mut card, |administration| administration.write_object(object, &contents)).unwrap();
    assert_eq!(card.certificate(KeyReference::DigitalSignature).unwrap(), Some(certificate));
}

#[test]
fn a_certificate_object_with_rubbish_is_a_malformed_answer() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let object = KeyReference::DigitalSignature.certificate_object();
    let write = |card: &mut Card, contents: &[u8]| {
        test_card.administer(card, |administration| administration.write_object(object, contents)).unwrap();
    };
    write(&mut card, &[0x70, 0x20, 0x30]);
    let error = card.certificate(KeyReference::DigitalSignature).unwrap_err();
    assert!(matches!(error, CardError::MalformedAnswer(_)), "{error}");
    write(&mut card, &[0x70, 0x02, 0x30, 0x00, 0x71, 1, 0, 0xFE, 0]);
    let pin = crate::support::pin("123456");
    let error = card.key(KeyReference::DigitalSignature, &pin, middleware::LastTry::Refuse).err().unwrap();
    assert!(matches!(error, CardError::MalformedAnswer(_)), "{error}");
}

#[test]
fn a_second_opener_of_the_state_file_is_told_so() {
    let test_card = TestCard::yubikey();
    let first = test_card.open();
    let error = Card::open(&test_card.locator()).err().unwrap();
    assert!(matches!(&error, CardError::InUse(_)), "{error}");
    assert!(error.to_string().contains("card"), "{error}");
    drop(first);
    test_card.open();
}

#[test]
fn a_state_file_that_is_none_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, b"not a card").unwrap();
    for path in [missing, garbage] {
        let error = Card::open(&Locator::Emulated(path.clone())).err().unwrap();
        assert!(matches!(&error, CardError::StateFile(_)), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn a_certificate_made_by_openssl_survives_the_card_byte_for_byte() {
    let test_card = TestCard::new(Kind::Standard);
    let mut card = test_card.open();
    let public_key = test_card.issue(&mut card, KeyReference::CardAuthentication, KeyAlgorithm::Rsa2048);
    let certificate = certificate_for(test_card.folder(), &public_key);
    test_card
        .administer(&mut card, |administration| {
            administration.write_certificate(KeyReference::CardAuthentication, &certificate)
        })
        .unwrap();
    drop(card);
    assert_eq!(test_card.open().certificate(KeyReference::CardAuthentication).unwrap(), Some(certificate));
}

/// A certificate that only fits when packed is packed, and reads back whole; one that never fits is refused.
#[test]
fn long_certificates_are_packed_where_the_card_has_no_room() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        let public_key = test_card.issue(&mut card, KeyReference::CardAuthentication, KeyAlgorithm::P256);
        let mut length = 1000;
        let packed = loop {
            let certificate = long_certificate(&test_card, &public_key, length);
            test_card
                .administer(&mut card, |administration| {
                    administration.write_certificate(KeyReference::CardAuthentication, &certificate)
                })
                .unwrap();
            let read = card.certificate(KeyReference::CardAuthentication).unwrap();
            assert_eq!(read, Some(certificate), "{length}");
            let object = KeyReference::CardAuthentication.certificate_object();
            let contents = card.transaction().unwrap().read_object(object).unwrap();
            if contents.ends_with(&[0x71, 1, 1, 0xFE, 0]) {
                break true;
            }
            if length > 32_000 {
                break false;
            }
            length *= 2;
        };
        assert!(packed, "no card takes everything");
        let contents: Vec<u8> = (0_u32..20_000).flat_map(sha256_of).collect();
        let error = test_card
            .administer(&mut card, |administration| {
                administration.write_certificate(KeyReference::CardAuthentication, &contents)
            })
            .unwrap_err();
        assert!(matches!(error, CardError::CardFull(_)), "{error}");
    }
}

fn sha256_of(number: u32) -> Vec<u8> {
    crate::support::sha256(&number.to_be_bytes())
}

/// With a comment as long as that, which packs well.
fn long_certificate(
    test_card: &TestCard,
    public_key: &spki::SubjectPublicKeyInfoOwned,
    length: usize,
) -> Vec<u8> {
    use crate::openssl::{openssl, write_public_key};
    let folder = test_card.folder();
    write_public_key(folder, "long.pub", public_key);
    let comment = format!("nsComment={}\n", "long ".repeat(length / 5));
    std::fs::write(folder.join("long.ext"), comment).unwrap();
    openssl(folder, &["req", "-new", "-key", "ca.key", "-subj", "/CN=Long", "-out", "long.csr"]);
    let request = ["x509", "-req", "-in", "long.csr", "-force_pubkey", "long.pub", "-CA", "ca.pem"];
    openssl(
        folder,
        &[&request[..], &["-CAkey", "ca.key", "-extfile", "long.ext", "-outform", "DER"]].concat(),
    )
}
