//! What the client sends, and how it takes bad luck: resets by others, pulled cards, odd cards.
use middleware::transport::transcript::{Progress, Transcript};
use middleware::{
    Card, CardError, DataObject, DigestAlgorithm, FileKey, KeyAlgorithm, KeyError, KeyReference, LastTry,
    Pin, PinStatus, RsaEncryption, SignatureScheme, Signer,
};

/// SELECT by full AID, as every transaction begins.
const SELECT: &str = "> 00 A4 04 00 0B A0 00 00 03 08 00 00 10 00 01 00 00\n< 61 11 4F 06 00 00 10 00 01 00 79 07 4F 05 A0 00 00 03 08 90 00\n";
const ASK: &str = "> 00 20 00 80\n";
const VERIFY: &str = "> 00 20 00 80 08 31 32 33 34 35 36 FF FF\n";
const LOGOUT: &str = "> 00 20 FF 80\n";
const READ: &str = "> 00 CB 3F FF 05 5C 03 5F C1 06 00\n";
const ECDSA: SignatureScheme = SignatureScheme::Ecdsa(DigestAlgorithm::Sha256);

/// Opens a card that then plays the script, and lets one transaction act on it.
fn play<T>(script: &str, act: impl FnOnce(&mut Card) -> T) -> T {
    let (mut card, progress) = open(script).map_err(|error| error.to_string()).unwrap();
    let result = act(&mut card);
    drop(card);
    progress.finish().unwrap();
    result
}

fn open(script: &str) -> Result<(Card, Progress), CardError> {
    let transcript = Transcript::parse(&format!("{SELECT}{script}")).unwrap();
    let progress = transcript.progress();
    Ok((Card::over(Box::new(transcript))?, progress))
}

fn pin() -> Pin {
    Pin::new("123456").unwrap_or_else(|error| panic!("{error}"))
}

fn read(card: &mut Card) -> Result<Vec<u8>, CardError> {
    Ok(card.transaction()?.read_object(DataObject::SECURITY_OBJECT)?.to_vec())
}

fn verify(card: &mut Card) -> Result<(), CardError> {
    card.transaction()?.verify_pin(&pin(), LastTry::Refuse).map(drop)
}

/// SP 800-73-5 Part 1 section 3.2.1: nothing between VERIFY and the signature with 9C, and the PIN out at the end.
#[test]
fn between_the_pin_and_the_signature_there_is_nothing() {
    let mut file_key = FileKey::generate(KeyAlgorithm::P256).unwrap();
    let public_key = Signer::public_key(&file_key).clone();
    let digest = [0x11; 32];
    let signature = file_key.sign(ECDSA, &digest).unwrap();
    let length = signature.len();
    let answer = format!("7C {:02X} 82 {length:02X} {}", length + 2, hex::encode(&signature));
    let script = format!(
        "{SELECT}{ASK}< 63 C3\n{VERIFY}< 90 00\n> 00 87 11 9C 26 7C 24 82 00 81 20 {} 00\n< {answer} 90 00\n{LOGOUT}< 90 00",
        "11".repeat(32)
    );
    let signed = play(&script, |card| {
        card.transaction()?.verify_pin(&pin(), LastTry::Refuse)?.sign(
            KeyReference::DigitalSignature,
            &public_key,
            ECDSA,
            &digest,
        )
    });
    assert_eq!(signed.unwrap(), signature);
}

#[test]
fn a_reset_by_another_program_is_healed_where_nothing_was_verified() {
    let script = format!("{SELECT}{READ}! reset\n{SELECT}{READ}< 53 02 AB CD 90 00");
    assert_eq!(play(&script, read).unwrap(), [0xAB, 0xCD]);
    // Also when the card was reset before the transaction had begun.
    let again = SELECT.lines().next().unwrap();
    let script = format!("{again}\n! reset\n{SELECT}{SELECT}{READ}< 53 01 AB 90 00");
    assert_eq!(play(&script, read).unwrap(), [0xAB]);
}

#[test]
fn a_card_that_is_reset_over_and_over_is_given_up() {
    let script = format!("{SELECT}{READ}! reset\n{SELECT}{READ}! reset");
    assert!(matches!(play(&script, read), Err(CardError::CardReset)));
}

#[test]
fn a_pin_is_never_sent_twice() {
    let script = format!("{SELECT}{ASK}< 63 C3\n{VERIFY}! reset\n{SELECT}{LOGOUT}< 90 00");
    assert!(matches!(play(&script, verify), Err(CardError::CardReset)));
}

#[test]
fn after_the_pin_no_command_is_repeated() {
    let script = format!("{SELECT}{ASK}< 63 C3\n{VERIFY}< 90 00\n> 00 87 07 9D ..\n< 90 00\n{LOGOUT}< 90 00");
    let script = script.replace("> 00 87 07 9D ..\n< 90 00\n", "> 10 87 07 9D FF ..\n! reset\n");
    let script = script.replace(LOGOUT, &format!("{SELECT}{LOGOUT}"));
    let result = play(&script, |card| {
        let mut transaction = card.transaction()?;
        transaction.verify_pin(&pin(), LastTry::Refuse).map(drop)?;
        transaction.decrypt(KeyReference::KeyManagement, RsaEncryption::Pkcs1v15 { length: 32 }, &[1; 256])
    });
    assert!(matches!(result, Err(KeyError::Card(CardError::CardReset))));
}

/// A logout that the card does not know, refuses or cannot answer is replaced by a reset.
#[test]
fn where_the_pin_cannot_be_logged_out_the_card_is_reset() {
    for answer in ["< 6D 00", "< 6A 86", "! reset"] {
        let script = format!("{SELECT}{ASK}< 63 C3\n{VERIFY}< 90 00\n{LOGOUT}{answer}\n* reset");
        play(&script, verify).unwrap();
    }
}

#[test]
fn a_card_pulled_anywhere_is_called_removed() {
    let places = [
        format!("{}\n! removed", SELECT.lines().next().unwrap()),
        format!("{SELECT}{ASK}! removed"),
        format!("{SELECT}{ASK}< 63 C3\n{VERIFY}! removed\n{LOGOUT}! removed\n* reset"),
    ];
    for script in places {
        let error = play(&script, verify).unwrap_err();
        assert!(matches!(error, CardError::CardRemoved), "{error}");
    }
    let script = format!(
        "{SELECT}{ASK}< 63 C3\n{VERIFY}< 90 00\n> 00 87 11 9D ..\n! removed\n{LOGOUT}! removed\n* reset"
    );
    let peer = Signer::public_key(&FileKey::generate(KeyAlgorithm::P256).unwrap()).clone();
    let result = play(&script, |card| {
        let mut transaction = card.transaction()?;
        let fresh = transaction.verify_pin(&pin(), LastTry::Refuse)?;
        fresh.agree(KeyReference::KeyManagement, peer.subject_public_key.raw_bytes())
    });
    assert!(matches!(result, Err(KeyError::Card(CardError::CardRemoved))));
}

#[test]
fn a_blocked_pin_and_the_last_try_are_found_before_anything_is_sent() {
    for (answer, blocked) in [("69 83", true), ("63 C0", true), ("63 C1", false)] {
        let script = format!("{SELECT}{ASK}< {answer}");
        let error = play(&script, verify).unwrap_err();
        let expected = if blocked {
            matches!(error, CardError::PinBlocked)
        } else {
            matches!(error, CardError::LastPinTry)
        };
        assert!(expected, "{answer}: {error}");
    }
}

/// Cards disagree on the try that reaches zero: 63C0, or 6983 at once.
#[test]
fn the_try_that_reaches_zero_is_a_blocked_pin() {
    for answer in ["63 C0", "69 83"] {
        let script = format!("{SELECT}{ASK}< 63 C2\n{VERIFY}< {answer}\n{LOGOUT}< 90 00");
        assert!(matches!(play(&script, verify), Err(CardError::PinBlocked)), "{answer}");
    }
}

/// Another program has verified the PIN: it has all its tries, and our use ends with a logout all the same.
#[test]
fn a_pin_that_another_program_verified_is_verified_again() {
    let script = format!("{SELECT}{ASK}< 90 00\n{VERIFY}< 90 00\n{LOGOUT}< 90 00");
    play(&script, verify).unwrap();
    let status = play(&format!("{SELECT}{ASK}< 90 00"), |card| card.transaction()?.pin_status());
    assert_eq!(status.unwrap(), PinStatus::Verified);
}

#[test]
fn a_card_of_another_kind_is_called_not_piv() {
    for status in ["6A 82", "6D 00", "6A 81"] {
        let script = format!("{}\n< {status}", SELECT.lines().next().unwrap());
        let transcript = Transcript::parse(&script).unwrap();
        let error = Card::over(Box::new(transcript)).err().unwrap();
        assert!(matches!(error, CardError::NotPiv(_)), "{error}");
    }
}

#[test]
fn odd_answers_are_errors_of_their_own() {
    let odd = [
        ("< 90 00", "object-not-found"),
        ("< 53 00 90 00", "object-not-found"),
        ("< 6A 82", "object-not-found"),
        ("< 69 82", "pin-required"),
        ("< 54 01 00 90 00", "malformed-answer"),
        ("< 53 05 00 90 00", "malformed-answer"),
        ("< 90", "malformed-answer"),
        ("< 6F 00", "refused"),
    ];
    for (answer, code) in odd {
        let error = play(&format!("{SELECT}{READ}{answer}"), read).unwrap_err();
        assert_eq!(error.code(), code, "{answer}: {error}");
    }
}

/// SP 800-73-5 Part 2 appendix A: a card that answers the challenge wrongly does not have the key.
#[test]
fn a_card_that_does_not_prove_the_management_key_is_refused() {
    use middleware::{ManagementKey, ManagementKeyAlgorithm};
    let key = ManagementKey::factory_default(ManagementKeyAlgorithm::Aes192);
    let script = format!(
        "{SELECT}> 00 87 0A 9B 04 7C 02 80 00 00\n< 7C 12 80 10 {0} 90 00\n> 00 87 0A 9B ..\n< 7C 12 82 10 {0} 90 00\n* reset",
        "00".repeat(16)
    );
    let result = play(&script, |card| card.transaction()?.authenticate(&key).map(drop));
    assert!(matches!(result, Err(CardError::WrongManagementKey)));
}

/// A card that fails is not one that lacks the object: it must not pass for a real one because its mark was unreadable.
#[test]
fn only_a_missing_mark_makes_a_card_a_real_one() {
    let up_to_the_mark = format!(
        "{SELECT}> 00 FD 00 00 00\n< 6D 00\n> 00 CB 3F FF 05 5C 03 5F C1 02 00\n< 6A 82\n> 00 CB 3F FF 05 5C 03 5F FF 53 00\n"
    );
    for answer in ["6A 82", "6A 80", "6A 86", "6A 88", "6D 00"] {
        let identity = play(&format!("{up_to_the_mark}< {answer}"), Card::identity);
        assert_eq!(identity.unwrap().emulated, None, "{answer}");
    }
    for (answer, code) in
        [("65 81", "refused"), ("6F 00", "refused"), ("67 00", "refused"), ("69 82", "pin-required")]
    {
        let error = play(&format!("{up_to_the_mark}< {answer}"), Card::identity).unwrap_err();
        assert_eq!(error.code(), code, "{answer}");
    }
}

/// A reset may fail; the PIN is logged out before it all the same.
#[test]
fn the_pin_is_logged_out_before_the_reset_that_ends_the_management_keys_status() {
    use middleware::{ManagementKey, ManagementKeyAlgorithm};
    let key = ManagementKey::factory_default(ManagementKeyAlgorithm::Aes192);
    let script = format!(
        "{SELECT}> 00 87 0A 9B 04 7C 02 80 00 00\n< 7C 12 80 10 {0} 90 00\n> 00 87 0A 9B ..\n< 69 82\n{ASK}< 63 C3\n{VERIFY}< 90 00\n{LOGOUT}< 90 00\n* reset",
        "00".repeat(16)
    );
    play(&script, |card| {
        let mut transaction = card.transaction()?;
        assert!(transaction.authenticate(&key).is_err());
        transaction.verify_pin(&pin(), LastTry::Refuse).map(drop)
    })
    .unwrap();
}

#[test]
fn a_complaint_about_a_command_does_not_tell_its_data() {
    let (mut card, progress) =
        open(&format!("{SELECT}{ASK}< 63 C3\n> 00 20 00 80 08 37 37 37 37 37 37 FF FF"))
            .unwrap_or_else(|error| panic!("{error}"));
    let error = verify(&mut card).unwrap_err();
    let complaints = progress.finish().unwrap_err();
    assert!(complaints.contains("00200080 and 9 bytes"), "{complaints}");
    for text in [error.to_string(), complaints] {
        assert!(!text.contains("313233") && !text.contains("373737"), "{text}");
    }
}

#[test]
fn a_vendor_card_is_asked_what_others_are_not() {
    // No GET SERIAL and no metadata on a card that does not know GET VERSION.
    let script = format!(
        "{SELECT}> 00 FD 00 00 00\n< 6D 00\n> 00 CB 3F FF 05 5C 03 5F C1 02 00\n< 6A 82\n> 00 CB 3F FF 05 5C 03 5F FF 53 00\n< 6A 80\n{SELECT}"
    );
    let (identity, tries) = play(&script, |card| {
        let identity = card.identity().unwrap();
        (identity, card.transaction().unwrap().puk_tries_left().unwrap())
    });
    assert_eq!((identity.guid, identity.serial, identity.version), (None, None, None));
    assert_eq!((identity.emulated, tries), (None, None));
}

/// SP 800-73-5 Part 1 section 3.3.3: retired keys are looked for only where the key history says.
#[test]
fn empty_retired_keys_are_not_asked_for() {
    let missing = |object: &str| format!("> 00 CB 3F FF 05 5C 03 5F C1 {object} 00\n< 6A 82\n");
    let script = [
        SELECT,
        "> 00 FD 00 00 00\n< 6D 00\n",
        &missing("02"),
        "> 00 CB 3F FF 05 5C 03 5F FF 53 00\n< 6A 82\n",
        SELECT,
        "> 00 CB 3F FF 05 5C 03 5F C1 0C 00\n< 53 08 C1 01 01 C2 01 00 FE 00 90 00\n",
        &missing("05"),
        &missing("0A"),
        &missing("0B"),
        &missing("01"),
        &missing("0D"),
    ]
    .concat();
    assert!(play(&script, Card::certificates).unwrap().is_empty());
}

/// A program may keep its card in another thread.
#[test]
fn a_card_can_be_handed_to_another_thread() {
    let (mut card, progress) =
        open(&format!("{SELECT}{ASK}< 63 C3")).unwrap_or_else(|error| panic!("{error}"));
    let status = std::thread::spawn(move || card.transaction()?.pin_status()).join().unwrap();
    assert_eq!(status.unwrap(), PinStatus::NotVerified { tries_left: 3 });
    progress.finish().unwrap();
}

/// A SubjectPublicKeyInfo of Curve25519 (RFC 8410 section 4).
fn curve_25519(identifier: u8, key: &str) -> spki::SubjectPublicKeyInfoOwned {
    let der = hex::decode(format!("302a300506032b65{identifier:02x}032100{key}")).unwrap();
    spki::der::Decode::from_der(&der).unwrap()
}

/// The vendor's algorithm E0 signs the message itself. The values are those of RFC 8032 section 7.1, TEST 2.
#[test]
fn a_vendor_card_signs_with_ed25519() {
    let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    let public_key = curve_25519(0x70, key);
    assert_eq!(KeyAlgorithm::of(&public_key), Some(KeyAlgorithm::Ed25519));
    let sign = |script: String| {
        play(&script, |card| {
            card.transaction()?.sign(
                KeyReference::CardAuthentication,
                &public_key,
                SignatureScheme::Ed25519,
                &[0x72],
            )
        })
    };
    let command = format!("{SELECT}> 00 87 E0 9E 07 7C 05 82 00 81 01 72 00\n");
    let signed = sign(format!("{command}< 7C 42 82 40 {signature} 90 00"));
    assert_eq!(hex::encode(signed.unwrap()), signature);
    // A signature that is not the key's is noticed.
    let other = signature.replace("92a0", "92a1");
    let error = sign(format!("{command}< 7C 42 82 40 {other} 90 00")).unwrap_err();
    assert!(matches!(error, CardError::KeyMismatch(KeyReference::CardAuthentication)), "{error}");
    // A card that has no such algorithm names the key.
    let error = sign(format!("{command}< 6A 86")).unwrap_err();
    assert!(matches!(error, CardError::KeyNotFound(KeyReference::CardAuthentication)), "{error}");
}

/// The vendor's algorithm E1. The values are those of RFC 7748 section 6.1.
#[test]
fn a_vendor_card_agrees_with_x25519_and_never_on_zero() {
    let peer = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    assert_eq!(KeyAlgorithm::of(&curve_25519(0x6e, peer)), Some(KeyAlgorithm::X25519));
    let agree = |answer: &str| {
        let script = format!("{SELECT}> 00 87 E1 9D 26 7C 24 82 00 85 20 {peer} 00\n< {answer} 90 00");
        play(&script, |card| {
            card.transaction()?.agree(KeyReference::KeyManagement, &hex::decode(peer).unwrap())
        })
    };
    assert_eq!(hex::encode(&*agree(&format!("7C 22 82 20 {shared}")).unwrap()), shared);
    let zero = agree(&format!("7C 22 82 20 {}", "00".repeat(32)));
    assert!(matches!(zero, Err(KeyError::MalformedPeerKey)));
    let short = agree("7C 04 82 02 01 02");
    assert!(matches!(short, Err(KeyError::Card(CardError::MalformedAnswer(_)))));
}
