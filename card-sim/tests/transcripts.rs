//! Readable transcripts of card commands, one file a command, each citing its clause.
//!
//! The format is that of `card_sim::transcript`, whose player plays them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use card_sim::transcript::{Comparison, EmulatedCards, Player, SecretValues, parse};

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn every_transcript_is_run() {
            let mut files: Vec<String> = std::fs::read_dir(folder()).unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            files.sort();
            assert_eq!(files, [$(stringify!($name)),*]);
        }
    };
}

transcripts! {
    attest
    biometric_group_template
    card_commands
    change_reference_data
    clients_that_disagree
    command_chaining
    contactless
    data_fields
    discovery_object
    emulated_mark
    extended_length
    general_authenticate_administration
    general_authenticate_private_key
    generate_asymmetric_key_pair
    get_data
    get_metadata
    get_response
    get_serial
    get_version
    global_pin
    import_asymmetric_key
    instructions_and_classes
    key_history
    management_application
    move_key
    pairing_code
    pin_always
    power_and_reset
    put_data
    references
    reset
    reset_retry_counter
    security_status
    select
    set_management_key
    set_pin_retries
    status_words
    touch
    verify
    what_matters_most
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn run(name: &str) {
    let text = std::fs::read_to_string(folder().join(format!("{name}.apdu"))).unwrap();
    assert!(
        text.contains("SP 800-7") || text.contains("YubiKey") || text.contains("ISO 7816"),
        "{name} cites nothing"
    );
    let lines = parse(&text).unwrap_or_else(|fault| panic!("{name}.apdu: {fault}"));
    let mut cards = EmulatedCards::blank_ones();
    let played = Player::new(&mut cards, SecretValues::default(), Comparison::Exact).play(&lines);
    let played = played.unwrap_or_else(|fault| panic!("{name}.apdu: {fault}"));
    assert_eq!(played.commands, text.lines().filter(|line| line.starts_with('>')).count());
    assert!(played.commands > 0, "{name}.apdu holds no command");
}
