//! What the management key opens: SP 800-73-5 Part 2 section 3.3, and what vendor cards add.
use middleware::{
    Card, CardError, DataObject, Decryptor as _, DigestAlgorithm, FileKey, KeyAgreement as _, KeyAlgorithm,
    KeyOrigin, KeyPolicies, KeyReference, LastTry, ManagementKey, ManagementKeyAlgorithm, PinPolicy,
    RetiredNumber, RsaEncryption, SignatureScheme, Signer as _, TouchPolicy,
};

use crate::openssl::{openssl, openssl_verifies, point_of, write_public_key};
use crate::support::{FACTORY_PIN, Kind, TestCard, certificate_for, pin, sha256};

fn retired(number: u8) -> KeyReference {
    KeyReference::Retired(RetiredNumber::new(number).unwrap())
}

#[test]
fn each_cards_own_management_key_opens_it_and_no_other() {
    for (kind, algorithm) in [
        (Kind::YubiKey57, ManagementKeyAlgorithm::Aes192),
        (Kind::YubiKey54, ManagementKeyAlgorithm::TripleDes),
        (Kind::Standard, ManagementKeyAlgorithm::Aes256),
    ] {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        assert_eq!(card.transaction().unwrap().management_key_algorithm().unwrap(), algorithm);
        assert_eq!(test_card.management_key.algorithm(), algorithm);
        test_card.administer(&mut card, |_| ());

        let wrong_value = ManagementKey::new(algorithm, &vec![0x42; algorithm.key_length()])
            .unwrap_or_else(|error| panic!("{error}"));
        let wrong_algorithm = ManagementKey::factory_default(match algorithm {
            ManagementKeyAlgorithm::Aes192 => ManagementKeyAlgorithm::TripleDes,
            _ => ManagementKeyAlgorithm::Aes192,
        });
        for wrong in [wrong_value, wrong_algorithm] {
            let mut transaction = card.transaction().unwrap();
            let error = transaction.authenticate(&wrong).err().unwrap();
            assert!(matches!(error, CardError::WrongManagementKey), "{error}");
        }
    }
}

#[test]
fn the_management_key_is_not_left_open() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    test_card.administer(&mut card, |_| ());
    drop(card);
    // Below the client: the card itself, after what the client did with it.
    let mut bare = card_sim::Card::open(&test_card.path()).unwrap();
    bare.power_on();
    let put_data = hex::decode("00DB3FFF0A5C035FC10D5303010203").unwrap();
    assert_eq!(bare.transmit(&put_data), [0x69, 0x82]);
}

#[test]
fn objects_of_every_size_read_back_as_written() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        let object = DataObject::from_tag(0x5F_C106);
        for length in [1, 240, 250, 256, 1000, 2900] {
            let contents: Vec<u8> =
                (0..length).map(|position| u8::try_from(position % 251).unwrap()).collect();
            test_card.administer(&mut card, |administration| {
                administration.write_object(object, &contents).unwrap();
                assert_eq!(*administration.transaction().read_object(object).unwrap(), contents);
            });
            assert_eq!(*card.transaction().unwrap().read_object(object).unwrap(), contents, "{length}");
        }
        test_card.administer(&mut card, |administration| administration.write_object(object, &[])).unwrap();
        let error = card.transaction().unwrap().read_object(object).unwrap_err();
        assert!(matches!(error, CardError::ObjectNotFound(missing) if missing == object), "{error}");
    }
}

#[test]
fn a_new_management_key_replaces_the_old_one() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let new = ManagementKey::new(ManagementKeyAlgorithm::Aes256, &[0x17; 32])
        .unwrap_or_else(|error| panic!("{error}"));
    test_card.administer(&mut card, |administration| administration.set_management_key(&new)).unwrap();
    let mut transaction = card.transaction().unwrap();
    assert_eq!(transaction.management_key_algorithm().unwrap(), ManagementKeyAlgorithm::Aes256);
    let error = transaction.authenticate(&test_card.management_key).err().unwrap();
    assert!(matches!(error, CardError::WrongManagementKey), "{error}");
    assert!(transaction.authenticate(&new).is_ok());
}

#[test]
fn an_imported_p256_key_signs_and_agrees_as_in_its_file() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let mut file_key = FileKey::generate(KeyAlgorithm::P256).unwrap();
    let public_key = middleware::Signer::public_key(&file_key).clone();
    for key in [KeyReference::KeyManagement, retired(1), retired(20)] {
        import(&test_card, &mut card, key, &file_key);
        let pin = pin(FACTORY_PIN);
        let mut card_key = card.key(key, &pin, LastTry::Refuse).unwrap();
        let digest = sha256(b"text");
        let signature = card_key.sign(SignatureScheme::Ecdsa(DigestAlgorithm::Sha256), &digest).unwrap();
        assert!(openssl_verifies(test_card.folder(), &public_key, &digest, &signature));
        openssl(
            test_card.folder(),
            &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "peer.key"],
        );
        let peer = openssl(test_card.folder(), &["ec", "-in", "peer.key", "-pubout", "-outform", "DER"]);
        let peer = point_of(&peer);
        assert_eq!(card_key.agree(&peer).unwrap(), file_key.agree(&peer).unwrap());
    }
}

#[test]
fn an_imported_rsa_key_decrypts_as_in_its_file() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let mut file_key = FileKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    write_public_key(test_card.folder(), "recipient.pem", middleware::Signer::public_key(&file_key));
    std::fs::write(test_card.folder().join("key"), [0x5A; 32]).unwrap();
    let command = ["pkeyutl", "-encrypt", "-pubin", "-inkey", "recipient.pem", "-in", "key"];
    let ciphertext = openssl(test_card.folder(), &command);
    import(&test_card, &mut card, KeyReference::KeyManagement, &file_key);
    let pin = pin(FACTORY_PIN);
    let mut card_key = card.key(KeyReference::KeyManagement, &pin, LastTry::Refuse).unwrap();
    let encryption = RsaEncryption::Pkcs1v15 { length: 32 };
    assert_eq!(*card_key.decrypt(encryption, &ciphertext).unwrap(), [0x5A; 32]);
    assert_eq!(*file_key.decrypt(encryption, &ciphertext).unwrap(), [0x5A; 32]);
}

fn import(test_card: &TestCard, card: &mut Card, key: KeyReference, file_key: &FileKey) {
    let certificate = certificate_for(test_card.folder(), middleware::Signer::public_key(file_key));
    test_card.administer(card, |administration| {
        administration.import(key, &file_key.to_private_key()).unwrap();
        administration.write_certificate(key, &certificate).unwrap();
    });
}

/// SP 800-73-5 has no import, no management-key change and generates only in 9A 9C 9D 9E.
#[test]
fn what_a_standard_card_cannot_do_is_refused_by_name() {
    let test_card = TestCard::new(Kind::Standard);
    let mut card = test_card.open();
    let private_key = FileKey::generate(KeyAlgorithm::P256).unwrap().to_private_key();
    let new = ManagementKey::new(ManagementKeyAlgorithm::Aes256, &[0x17; 32])
        .unwrap_or_else(|error| panic!("{error}"));
    let refusals = test_card.administer(&mut card, |administration| {
        [
            administration.import(KeyReference::KeyManagement, &private_key).unwrap_err(),
            administration.set_management_key(&new).unwrap_err(),
            administration.generate(retired(1), KeyAlgorithm::P256).unwrap_err(),
        ]
    });
    for (refusal, word) in refusals.iter().zip(["import", "management key", "generate a P-256 key in 82"]) {
        assert!(matches!(refusal, CardError::Unsupported(what) if what.contains(word)), "{refusal}");
    }
    // The refusals left the card and its old key in order.
    test_card.issue(&mut card, KeyReference::Authentication, KeyAlgorithm::P256);
}

#[test]
fn a_yubikey_generates_in_retired_keys_too() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    test_card.issue(&mut card, retired(3), KeyAlgorithm::P256);
    test_card.issue(&mut card, KeyReference::Authentication, KeyAlgorithm::P256);
    let keys: Vec<KeyReference> = card.certificates().unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [KeyReference::Authentication, retired(3)]);
}

#[test]
fn the_emulated_mark_cannot_be_written() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        let refused = test_card.administer(&mut card, |administration| {
            administration.write_object(DataObject::EMULATED_MARK, &[])
        });
        assert!(refused.is_err());
        assert!(card.identity().unwrap().emulated.is_some());
    }
}

/// The vendor's extension of GENERATE and IMPORT; metadata tells what became of it.
#[test]
fn policies_are_set_where_the_card_has_them_and_refused_by_name_elsewhere() {
    let policies = KeyPolicies { pin: Some(PinPolicy::Never), touch: Some(TouchPolicy::Never) };
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let file_key = FileKey::generate(KeyAlgorithm::P256).unwrap();
    test_card.administer(&mut card, |administration| {
        administration.generate_with(KeyReference::Authentication, KeyAlgorithm::P256, policies).unwrap();
        administration.import_with(retired(2), &file_key.to_private_key(), policies).unwrap();
    });
    for (key, origin) in
        [(KeyReference::Authentication, KeyOrigin::Generated), (retired(2), KeyOrigin::Imported)]
    {
        let metadata = card.transaction().unwrap().key_metadata(key).unwrap().unwrap();
        assert_eq!((metadata.pin_policy, metadata.origin), (PinPolicy::Never, Some(origin)));
    }
    let standard = TestCard::new(Kind::Standard);
    let mut card = standard.open();
    let refused = standard.administer(&mut card, |administration| {
        administration.generate_with(KeyReference::Authentication, KeyAlgorithm::P256, policies)
    });
    assert!(matches!(&refused, Err(CardError::Unsupported(what)) if what.contains("policy")));
    assert_eq!(card.transaction().unwrap().key_metadata(KeyReference::Authentication).unwrap(), None);
}
