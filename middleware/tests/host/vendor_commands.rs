//! Vendors' commands beyond SP 800-73-5, byte by byte: what is sent, and how refusals are told apart.
use middleware::transport::transcript::Transcript;
use middleware::{Card, CardError, KeyReference, RetiredNumber};

const SELECT: &str = "> 00 A4 04 00 0B A0 00 00 03 08 00 00 10 00 01 00 00\n< 61 11 4F 06 00 00 10 00 01 00 79 07 4F 05 A0 00 00 03 08 90 00\n";
const VERSION_5_7: &str = "> 00 FD 00 00 00\n< 05 07 02 90 00\n";
const VERSION_5_4: &str = "> 00 FD 00 00 00\n< 05 04 03 90 00\n";
const NO_VERSION: &str = "> 00 FD 00 00 00\n< 6D 00\n";
const LOGOUT: &str = "> 00 20 FF 80\n< 90 00\n";

/// Opens a card that plays the script in its first transaction, and checks that it was played to its end.
fn play<T>(script: &str, act: impl FnOnce(&mut middleware::Transaction<'_>) -> T) -> T {
    let transcript = Transcript::parse(&format!("{SELECT}{SELECT}{script}")).unwrap();
    let progress = transcript.progress();
    let mut card = Card::over(Box::new(transcript)).unwrap_or_else(|error| panic!("{error}"));
    let mut transaction = card.transaction().unwrap_or_else(|error| panic!("{error}"));
    let result = act(&mut transaction);
    drop(transaction);
    progress.finish().unwrap();
    result
}

fn retired(number: u8) -> KeyReference {
    KeyReference::Retired(RetiredNumber::new(number).unwrap())
}

#[test]
fn an_attestation_is_refused_by_name_where_there_is_none() {
    for (version, word) in
        [(NO_VERSION, "SP 800-73-5 has no command"), ("> 00 FD 00 00 00\n< 04 02 00 90 00\n", "4.3")]
    {
        let error =
            play(version, |transaction| transaction.attest(KeyReference::Authentication)).unwrap_err();
        assert!(matches!(&error, CardError::Unsupported(what) if what.contains(word)), "{error}");
    }
    let script = format!("{VERSION_5_7}> 00 F9 9A 00 00\n< 6D 00");
    let error = play(&script, |transaction| transaction.attest(KeyReference::Authentication)).unwrap_err();
    assert!(matches!(&error, CardError::Unsupported(_)), "{error}");
}

#[test]
fn an_imported_and_a_missing_key_are_told_apart() {
    let refused = format!("{VERSION_5_7}> 00 F9 82 00 00\n< 6A 80\n> 00 F7 00 82 00\n");
    let attest = |answer: &str| {
        play(&format!("{refused}{answer}"), |transaction| transaction.attest(retired(1))).unwrap_err()
    };
    let error = attest("< 01 01 11 02 02 02 01 03 01 02 90 00");
    assert!(matches!(error, CardError::NotAttested(key) if key == retired(1)), "{error}");
    let error = attest("< 6A 88");
    assert!(matches!(error, CardError::KeyNotFound(key) if key == retired(1)), "{error}");
}

#[test]
fn rubbish_for_an_attestation_is_a_malformed_answer() {
    let script = format!(
        "{VERSION_5_7}> 00 F9 9A 00 00\n< 30 00 90 00\n> 00 CB 3F FF 05 5C 03 5F FF 01 00\n< 53 07 70 02 30 00 71 01 00 90 00"
    );
    let error = play(&script, |transaction| transaction.attest(KeyReference::Authentication)).unwrap_err();
    assert!(matches!(error, CardError::MalformedAnswer(_)), "{error}");
}

/// RESET wants PIN and PUK blocked, and gets them blocked; nothing is sent to a card that has no RESET.
#[test]
fn a_reset_blocks_pin_and_puk_first_and_only_on_a_card_that_can_be_reset() {
    let block_pin = "> 00 20 00 80 08 FF FF FF FF FF FF FF FF\n";
    let block_puk = "> 00 2C 00 80 10 FF FF FF FF FF FF FF FF FF FF FF FF FF FF FF FF\n";
    let script = format!(
        "{VERSION_5_7}{block_pin}< 63 C1\n{block_pin}< 63 C0\n{block_puk}< 63 C1\n{block_puk}< 69 83\n> 00 FB 00 00\n< 90 00\n{LOGOUT}"
    );
    play(&script, |transaction| transaction.reset_application()).unwrap();
    let error = play(NO_VERSION, |transaction| transaction.reset_application()).unwrap_err();
    assert!(matches!(&error, CardError::Unsupported(what) if what.contains("reset")), "{error}");
    let script = format!("{VERSION_5_4}{block_pin}< 69 83\n{block_puk}< 6A 80\n{LOGOUT}");
    let error = play(&script, |transaction| transaction.reset_application()).unwrap_err();
    assert!(matches!(error, CardError::Refused { status: 0x6A80, .. }), "{error}");
}
