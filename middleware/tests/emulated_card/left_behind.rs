//! A verified PIN is never left behind: whatever way a transaction ends, the next one finds the PIN unverified.
use std::panic::{AssertUnwindSafe, catch_unwind};

use middleware::{
    Card, CardError, DataObject, Decryptor as _, KeyAlgorithm, KeyError, KeyReference, LastTry, PinStatus,
    RsaEncryption,
};

use crate::openssl::{openssl, write_public_key};
use crate::support::{FACTORY_PIN, Kind, TestCard, pin};

const ENCRYPTION: RsaEncryption = RsaEncryption::Pkcs1v15 { length: 32 };

fn assert_closed(card: &mut Card, ciphertext: &[u8]) {
    let mut transaction = card.transaction().unwrap();
    assert_eq!(transaction.pin_status().unwrap(), PinStatus::NotVerified { tries_left: 3 });
    let error = transaction.decrypt(KeyReference::KeyManagement, ENCRYPTION, ciphertext).unwrap_err();
    assert!(matches!(error, KeyError::Card(CardError::PinRequired)), "{error}");
}

fn with_recipient(kind: Kind) -> (TestCard, Card, Vec<u8>) {
    let test_card = TestCard::new(kind);
    let mut card = test_card.open();
    let public_key = test_card.issue(&mut card, KeyReference::KeyManagement, KeyAlgorithm::Rsa2048);
    write_public_key(test_card.folder(), "recipient.pem", &public_key);
    std::fs::write(test_card.folder().join("key"), [0x5A; 32]).unwrap();
    let ciphertext = openssl(
        test_card.folder(),
        &["pkeyutl", "-encrypt", "-pubin", "-inkey", "recipient.pem", "-in", "key"],
    );
    (test_card, card, ciphertext)
}

#[test]
fn nothing_is_left_after_a_good_use_an_error_or_a_panic() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let (_test_card, mut card, ciphertext) = with_recipient(kind);
        let the_pin = pin(FACTORY_PIN);

        let mut key = card.key(KeyReference::KeyManagement, &the_pin, LastTry::Refuse).unwrap();
        assert_eq!(*key.decrypt(ENCRYPTION, &ciphertext).unwrap(), [0x5A; 32]);
        assert_closed(&mut card, &ciphertext);

        let failed: Result<(), CardError> = (|| {
            let mut transaction = card.transaction()?;
            transaction.verify_pin(&the_pin, LastTry::Refuse).map(drop)?;
            transaction.read_object(DataObject::from_tag(0x5F_C1FF)).map(drop)
        })();
        assert!(failed.is_err());
        assert_closed(&mut card, &ciphertext);

        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut transaction = card.transaction().unwrap();
            transaction.verify_pin(&the_pin, LastTry::Refuse).map(drop).unwrap();
            panic!("in the middle of a transaction");
        }));
        assert!(panicked.is_err());
        assert_closed(&mut card, &ciphertext);

        let mut transaction = card.transaction().unwrap();
        transaction.verify_pin(&the_pin, LastTry::Refuse).map(drop).unwrap();
        transaction.end().unwrap();
        assert_closed(&mut card, &ciphertext);
    }
}

/// 9D wants the PIN once per transaction, not once per use (SP 800-73-5 Part 1 table 4).
#[test]
fn within_a_transaction_the_pin_holds_for_decryption() {
    let (_test_card, mut card, ciphertext) = with_recipient(Kind::Standard);
    let mut transaction = card.transaction().unwrap();
    transaction.verify_pin(&pin(FACTORY_PIN), LastTry::Refuse).map(drop).unwrap();
    for _ in 0..3 {
        let key = transaction.decrypt(KeyReference::KeyManagement, ENCRYPTION, &ciphertext).unwrap();
        assert_eq!(*key, [0x5A; 32]);
    }
    assert_eq!(transaction.pin_status().unwrap(), PinStatus::Verified);
}
