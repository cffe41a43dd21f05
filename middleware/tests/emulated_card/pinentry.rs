//! PINs asked for through pinentry: the Assuan protocol against a scripted program, and Debian's own at a terminal.
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use middleware::LastTry;
use middleware::secret_source::SecretSource;
use serde_json::Value;

use crate::support::{FACTORY_PIN, TestCard, verify};

/// A program that greets and then answers by the script, a shell `case` on each line it reads.
fn scripted(folder: &std::path::Path, cases: &str) -> PathBuf {
    let file = folder.join("pinentry");
    let script = format!(
        "#!/bin/sh\necho 'OK Pleased to meet you'\nwhile read -r line; do\n  echo \"$line\" >> {}/said\n  case \"$line\" in\n{cases}\n  *) echo OK ;;\n  esac\ndone\n",
        folder.display()
    );
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    file
}

fn ask(cases: &str) -> (std::io::Result<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let program = scripted(folder.path(), cases);
    let source: SecretSource = format!("pinentry:{}", program.display()).parse().unwrap();
    let answer = source.read("Current PIN (100% yours,\n3 tries left)").map(|answer| answer.to_string());
    (answer, std::fs::read_to_string(folder.path().join("said")).unwrap_or_default())
}

#[test]
fn what_is_typed_there_is_the_answer() {
    let (answer, said) =
        ask("  GETPIN) echo '# a remark'; echo 'S BUTTON_INFO ok'; echo 'D 12%2534%0A%c3%a4'; echo OK ;;");
    assert_eq!(answer.unwrap(), "12%34\n\u{e4}");
    assert!(said.contains("SETDESC Current PIN (100%25 yours,%0A3 tries left)\n"), "{said}");
    assert!(said.contains("SETPROMPT PIN:\n"), "{said}");
}

/// A long answer comes in several lines of data; an empty one without any.
#[test]
fn answers_come_in_any_number_of_lines() {
    assert_eq!(ask("  GETPIN) echo 'D 123'; echo 'D 456'; echo OK ;;").0.unwrap(), "123456");
    assert_eq!(ask("  GETPIN) echo OK ;;").0.unwrap(), "");
}

/// An old or simple pinentry knows few options.
#[test]
fn refused_options_do_no_harm() {
    let cases = "  OPTION*) echo 'ERR 83886254 Unknown option' ;;\n  GETPIN) echo 'D 123456'; echo OK ;;";
    assert_eq!(ask(cases).0.unwrap(), "123456");
}

#[test]
fn a_cancelled_question_is_no_answer() {
    let error = ask("  GETPIN) echo 'ERR 83886179 Operation cancelled <Pinentry>' ;;").0.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
    assert!(error.to_string().starts_with("no answer was given to \"Current PIN"), "{error}");
}

#[test]
fn a_program_that_is_no_pinentry_is_named() {
    for cases in
        ["  GETPIN) exit 0 ;;", "  GETPIN) echo 'D 1%'; echo OK ;;", "  SETDESC*) echo 'ERR 1 no window' ;;"]
    {
        let error = ask(cases).0.unwrap_err();
        assert!(error.to_string().contains("pinentry: "), "{error}");
    }
    // Data without end is cut off.
    let endless = "  GETPIN) while :; do echo \"D $(printf '%0900d' 0)\"; done ;;";
    assert!(ask(endless).0.unwrap_err().to_string().contains("does not end"));
    for program in ["/nonexistent/pinentry", "/bin/true"] {
        let error = SecretSource::Pinentry(program.into()).read("PIN").unwrap_err();
        assert!(error.to_string().contains(program), "{error}");
    }
}

/// The real ones, with the tool, at a terminal of their own.
#[test]
fn debians_pinentry_asks_at_the_terminal() {
    for program in ["pinentry-tty", "pinentry-curses"] {
        let test_card = TestCard::yubikey();
        let answers = [FACTORY_PIN, "654321", "654321"].map(|pin| format!("{pin}\\r"));
        let waits = ["Current PIN (3 tries left)", "New PIN (6 to 8 digits)", "New PIN again"];
        let script: Vec<&str> =
            waits.iter().zip(&answers).flat_map(|(wait, answer)| [*wait, answer.as_str()]).collect();
        let output = Command::new("python3")
            .args(["-c", include_str!("typed.py")])
            .args(script)
            .args([
                "--",
                env!("CARGO_BIN_EXE_card"),
                "change-pin",
                "--card",
                &test_card.locator().to_string(),
            ])
            .env("SEALWRIGHT_PINENTRY", program)
            .env("TERM", "xterm")
            .env("XDG_STATE_HOME", test_card.folder().join("state"))
            .env_remove("GPG_TTY")
            .env_remove("DISPLAY")
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        let end: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(end["ended"], 0, "{program}: {end}");
        assert!(!end["shown"].as_str().unwrap().contains("654321"), "{program}: {end}");
        verify(&mut test_card.open(), "654321", LastTry::Refuse).unwrap();
    }
}
