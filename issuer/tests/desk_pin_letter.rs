//! PIN letters: a page that poppler reads, and nothing of the PIN beside it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use desk_support::Desk;

fn poppler(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("poppler-utils is installed");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_transport_pin_becomes_a_letter_and_its_file_goes() {
    let desk = Desk::new();
    desk.import_staff("name,mail\n李小龍,li@example.org\n").expect(0);
    let mut pins = Vec::new();
    for (person, card) in [("alice@example.org", "alice.card"), ("li@example.org", "li.card")] {
        let locator = desk.yubikey(card, &["--serial", if card == "li.card" { "4712" } else { "4711" }]);
        let file = desk.text(&format!("{person}.pin"));
        desk.issuer(&["issue", person, "--card", &locator, "--transport-pin-file", &file]).expect(0);
        pins.push(std::fs::read_to_string(&file).unwrap().trim().to_owned());
    }
    let (alice, li) = (desk.text("alice@example.org.pin"), desk.text("li@example.org.pin"));
    let nobody = desk.text("nobody@example.org.pin");
    std::fs::write(&nobody, "12345678\n").unwrap();
    let done = desk.issuer(&["pin-letter", &alice, &li, &nobody, "--to", "letters"]);
    done.expect(3);
    assert!(done.stderr.contains("nobody@example.org"), "{}", done.stderr);
    assert!(!done.stdout.contains(&pins[0]) && !done.stderr.contains(&pins[0]));
    assert!(!desk.path("alice@example.org.pin").exists() && !desk.path("li@example.org.pin").exists());
    assert!(desk.path("nobody@example.org.pin").exists());
    assert_eq!(desk.path("letters").metadata().unwrap().permissions().mode() & 0o777, 0o700);

    for (person, name, serial, pin) in
        [("alice", "Alice Ng", "4711", &pins[0]), ("li", "李小龍", "4712", &pins[1])]
    {
        let letter = desk.path(&format!("letters/{person}@example.org.pdf"));
        assert_eq!(letter.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let letter = letter.to_str().unwrap();
        assert!(poppler("pdfinfo", &[letter]).contains("Pages:           1"));
        let text = poppler("pdftotext", &["-layout", letter, "-"]);
        let grouped = format!("{} {}", &pin[..4], &pin[4..]);
        for words in [name, serial, &grouped, "Example Org", "card change-pin", "初始密码"] {
            assert!(text.contains(words), "{words:?} is not in: {text}");
        }
    }
    let again = desk.issuer(&["pin-letter", &alice, "--to", "letters"]);
    again.expect(1);
    assert!(!again.stderr.contains("os error"), "{}", again.stderr);
    // A letter that is there is not written over, and what to do is said.
    std::fs::write(&alice, "12345678\n").unwrap();
    let letter = std::fs::read(desk.path("letters/alice@example.org.pdf")).unwrap();
    let again = desk.issuer(&["pin-letter", &alice, "--to", "letters"]);
    again.expect(1);
    for words in ["there is a letter already", "print or delete it", "--to"] {
        assert!(again.stderr.contains(words), "{words:?} is not in: {}", again.stderr);
    }
    assert_eq!(std::fs::read(desk.path("letters/alice@example.org.pdf")).unwrap(), letter);
    assert!(desk.path("alice@example.org.pin").exists());
    let to_a_file = desk.issuer(&["pin-letter", &alice, "--to", "passphrase"]);
    to_a_file.refuses(1, &["passphrase is a file", "name a folder"]);
}

#[test]
fn what_is_no_pin_becomes_no_letter() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let file = desk.text("pin of somebody");
    std::fs::write(&file, "not a PIN\n").unwrap();
    let without_card =
        desk.issuer(&["pin-letter", &file, "--person", "alice@example.org", "--to", "letters"]);
    without_card.expect(1);
    assert!(without_card.stderr.contains("no issued card"), "{}", without_card.stderr);
    desk.issue("alice@example.org", &locator, &[]);
    let refused = desk.issuer(&["pin-letter", &file, "--person", "alice@example.org", "--to", "letters"]);
    refused.expect(1);
    assert!(refused.stderr.contains("no PIN"), "{}", refused.stderr);
    assert!(std::fs::read_dir(desk.path("letters")).unwrap().next().is_none());
    desk.issuer(&["pin-letter", &file, &file, "--person", "alice@example.org", "--to", "letters"]).expect(2);
}
