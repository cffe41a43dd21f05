//! PIN and PUK: SP 800-73-5 Part 2 sections 3.2.1 to 3.2.3.
use middleware::{CardError, LastTry, PinStatus};

use crate::support::{FACTORY_PIN, Kind, TestCard, pin, verify};

const KINDS: [Kind; 3] = [Kind::YubiKey57, Kind::YubiKey54, Kind::Standard];

#[test]
fn a_wrong_pin_costs_one_try_and_asking_costs_none() {
    for kind in KINDS {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        assert_eq!(
            card.transaction().unwrap().pin_status().unwrap(),
            PinStatus::NotVerified { tries_left: 3 }
        );
        let error = verify(&mut card, "999999", LastTry::Refuse).unwrap_err();
        assert!(matches!(error, CardError::WrongPin { tries_left: 2 }), "{error}");
        assert_eq!(error.to_string(), "wrong PIN, 2 tries left");
        for _ in 0..3 {
            assert_eq!(
                card.transaction().unwrap().pin_status().unwrap(),
                PinStatus::NotVerified { tries_left: 2 }
            );
        }
        verify(&mut card, FACTORY_PIN, LastTry::Refuse).unwrap();
        assert_eq!(
            card.transaction().unwrap().pin_status().unwrap(),
            PinStatus::NotVerified { tries_left: 3 }
        );
    }
}

#[test]
fn the_last_try_is_spent_only_when_told() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    for _ in 0..2 {
        verify(&mut card, "999999", LastTry::Refuse).unwrap_err();
    }
    let error = verify(&mut card, FACTORY_PIN, LastTry::Refuse).unwrap_err();
    assert!(matches!(error, CardError::LastPinTry), "{error}");
    let error = card
        .transaction()
        .unwrap()
        .change_pin(&pin(FACTORY_PIN), &pin("654321"), LastTry::Refuse)
        .unwrap_err();
    assert!(matches!(error, CardError::LastPinTry), "{error}");
    assert_eq!(card.transaction().unwrap().pin_status().unwrap(), PinStatus::NotVerified { tries_left: 1 });

    verify(&mut card, FACTORY_PIN, LastTry::Spend).unwrap();
    assert_eq!(card.transaction().unwrap().pin_status().unwrap(), PinStatus::NotVerified { tries_left: 3 });
}

#[test]
fn a_blocked_pin_is_called_blocked_and_the_puk_opens_it() {
    for kind in KINDS {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        verify(&mut card, "999999", LastTry::Spend).unwrap_err();
        verify(&mut card, "999999", LastTry::Spend).unwrap_err();
        let error = verify(&mut card, "999999", LastTry::Spend).unwrap_err();
        assert!(matches!(error, CardError::PinBlocked), "{error}");
        let error = verify(&mut card, FACTORY_PIN, LastTry::Spend).unwrap_err();
        assert!(matches!(error, CardError::PinBlocked), "{error}");
        assert_eq!(card.transaction().unwrap().pin_status().unwrap(), PinStatus::Blocked);

        card.transaction().unwrap().unblock(&test_card.puk(), &pin("246810")).unwrap();
        verify(&mut card, "246810", LastTry::Refuse).unwrap();
    }
}

#[test]
fn a_wrong_puk_costs_tries_until_it_is_blocked() {
    for kind in KINDS {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        let tells = !matches!(kind, Kind::Standard);
        let wrong = middleware::Puk::new(b"00000009").unwrap_or_else(|error| panic!("{error}"));
        let mut unblock = |puk| {
            let mut transaction = card.transaction().unwrap();
            let result = transaction.unblock(puk, &pin("246810"));
            // Only vendor cards can be asked (metadata); SP 800-73-5 has no command for it.
            (result, transaction.puk_tries_left().unwrap())
        };
        let (result, left) = unblock(&wrong);
        // SP 800-73-5 has cards of ours that take an arbitrary number of PUK tries; this one takes three.
        assert!(matches!(result, Err(CardError::WrongPuk { tries_left: 2 })), "{result:?}");
        assert_eq!(left, tells.then_some(2));
        let (result, _) = unblock(&wrong);
        assert!(matches!(result, Err(CardError::WrongPuk { tries_left: 1 })), "{result:?}");
        let (result, left) = unblock(&wrong);
        assert!(matches!(result, Err(CardError::PukBlocked)), "{result:?}");
        assert_eq!(left, tells.then_some(0));
        let (result, _) = unblock(&test_card.puk());
        assert!(matches!(result, Err(CardError::PukBlocked)), "{result:?}");
    }
}

#[test]
fn a_changed_pin_replaces_the_old_one_and_is_not_left_verified() {
    for kind in KINDS {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        let error = card
            .transaction()
            .unwrap()
            .change_pin(&pin("999999"), &pin("654321"), LastTry::Refuse)
            .unwrap_err();
        assert!(matches!(error, CardError::WrongPin { tries_left: 2 }), "{error}");
        card.transaction().unwrap().change_pin(&pin(FACTORY_PIN), &pin("654321"), LastTry::Refuse).unwrap();
        assert_eq!(
            card.transaction().unwrap().pin_status().unwrap(),
            PinStatus::NotVerified { tries_left: 3 }
        );
        verify(&mut card, FACTORY_PIN, LastTry::Refuse).unwrap_err();
        verify(&mut card, "654321", LastTry::Refuse).unwrap();
    }
}

#[test]
fn a_changed_puk_replaces_the_old_one() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let new = middleware::Puk::new(b"87654321").unwrap_or_else(|error| panic!("{error}"));
    card.transaction().unwrap().change_puk(&test_card.puk(), &new).unwrap();
    let error = card.transaction().unwrap().change_puk(&test_card.puk(), &new).unwrap_err();
    assert!(matches!(error, CardError::WrongPuk { tries_left: 2 }), "{error}");
    card.transaction().unwrap().unblock(&new, &pin("246810")).unwrap();
}
