//! At a terminal: what is typed, completed, and kept out of sight.

use std::os::unix::fs::PermissionsExt;

use super::desk_support::{Desk, PASSPHRASE, open, pin};
use super::{state_of, typed};
use middleware::LastTry;

/// The umask belongs to the whole process, and rustyline changes it while it writes the history.
#[test]
fn folders_that_a_typed_command_makes_can_be_entered() {
    let desk = Desk::new();
    let folders: Vec<_> = (0..8).map(|number| format!("published{number}")).collect();
    let lines: Vec<_> = folders.iter().map(|folder| format!("publish --to {folder}\\r")).collect();
    let talk: Vec<_> = lines.iter().map(|line| ("desk> ", line.as_str())).collect();
    let passphrase = desk.text("passphrase");
    typed(&desk, "sim:none.card", &["--passphrase-file", &passphrase], &talk);
    for folder in folders {
        let mode = std::fs::metadata(desk.path(&folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o700, "{folder}: {mode:o}");
    }
}

/// The desk's passphrase is asked for once; what is typed in the wrong place stays out of the history.
#[test]
fn at_a_terminal_words_are_completed_and_secrets_are_not_remembered() {
    let desk = Desk::new();
    let locator = desk.blank("blank.card", &[]);
    let secret = "0000-typed-in-the-wrong-place";
    let shown = typed(
        &desk,
        &locator,
        &[],
        &[
            ("desk> ", "\\r"),
            ("Number", "1\\r"),
            ("Number", "\\r"),
            ("desk> ", &format!("{secret}\\r")),
            ("unrecognized", "iss\\tali\\t--transport-pin-file a.pin\\r"),
            ("Passphrase", &format!("{PASSPHRASE}\\r")),
            ("has card", "mark al\\tact\\t\\r"),
            ("is active now", "revoke alice@example.org --reason super\\t\\r"),
            ("is ended", "publish --to public\\r"),
            ("Published", "lock\\r"),
            ("forgotten", ""),
        ],
    );
    assert_eq!(shown.matches("Passphrase of").count(), 1, "{shown}");
    assert!(!shown.contains(PASSPHRASE));
    let history = desk.path(".local/state/sealwright/desk-history");
    assert_eq!(history.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(history).unwrap();
    assert!(text.contains("issue alice@example.org --transport-pin-file a.pin"), "{text}");
    for kept_out in [secret, PASSPHRASE] {
        assert!(!text.contains(kept_out), "{text}");
    }
}

/// The holder types the PIN twice where nobody sees it; the two differ at first, and then it is one that anybody would guess.
#[test]
fn a_holder_chooses_the_pin_at_the_desk_and_it_is_shown_and_kept_nowhere() {
    let desk = Desk::new();
    let locator = desk.blank("blank.card", &[]);
    let shown = typed(
        &desk,
        &locator,
        &[],
        &[
            ("desk> ", "\\r"),
            ("Number", "1\\r"),
            ("Number", "1\\r"),
            ("For whom", "alice@example.org\\r"),
            ("the holder chooses it now", "*\\r"),
            ("Passphrase", &format!("{PASSPHRASE}\\r")),
            ("typed by Alice Ng", "860413\\r"),
            ("The same again", "860314\\r"),
            ("the two PINs differ", ""),
            ("typed by Alice Ng", "246803\\r"),
            ("counts up or down", ""),
            ("typed by Alice Ng", "12345\\r"),
            ("6 to 8 digits", ""),
            // Three times: then the desk asks what shall be done.
            ("Number", "1\\r"),
            ("For whom", "alice@example.org\\r"),
            ("the holder chooses it now", "*\\r"),
            ("typed by Alice Ng", "224466\\r"),
            ("repeats itself", ""),
            ("typed by Alice Ng", "271828\\r"),
            ("The same again", "271828\\r"),
            ("with the PIN that was chosen", ""),
            ("Number", "\\r"),
        ],
    );
    for digits in ["860413", "860314", "246803", "224466", "271828"] {
        assert!(!shown.contains(digits), "{shown}");
    }
    assert_eq!(state_of(&desk, "alice@example.org"), "active");
    assert!(open(&locator).transaction().unwrap().verify_pin(&pin("271828"), LastTry::Refuse).is_ok());
    let history =
        std::fs::read_to_string(desk.path(".local/state/sealwright/desk-history")).unwrap_or_default();
    assert!(!history.contains("271828"), "{history}");
}

/// A passphrase was typed before, and Ctrl-C still means what it should: the batch stops after the step in hand, says so, and
/// the shell goes on.
#[test]
fn ctrl_c_stops_a_batch_after_the_step_in_hand_and_the_shell_goes_on() {
    let desk = Desk::new();
    let people: String = (1..=6).map(|number| format!("Person,p{number}@example.org\n")).collect();
    desk.import_staff(&format!("name,mail\n{people}")).expect(0);
    let cards: Vec<_> = (1..=6).map(|number| desk.yubikey(&format!("{number}.card"), &[])).collect();
    let rows: String = (1..=6).map(|number| format!("p{number}@example.org\n")).collect();
    std::fs::write(desk.path("list.csv"), format!("person\n{rows}")).unwrap();
    let batch = format!("batch list.csv --pin-folder pins --at-once 1 --card {}\\r", cards.join(" "));
    let shown = typed(
        &desk,
        &cards[0],
        &[],
        &[
            ("desk> ", &batch),
            ("Passphrase", &format!("{PASSPHRASE}\\r")),
            (" 1/6 ", "\\x03"),
            ("Stopping after the step in hand", ""),
            ("Go on with the same command", ""),
            ("desk> ", "stock list\\r"),
            ("in stock", ""),
        ],
    );
    let states = desk.issuer(&["report", "states", "--csv"]).stdout;
    assert!(states.contains("in stock,"), "{states}{shown}");
    desk.issuer(&["audit", "verify"]).expect(0);
}
