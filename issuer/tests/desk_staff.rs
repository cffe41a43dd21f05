//! People, stock, search and lint on the command line; what is malformed is named and the rest goes on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use desk_support::{Desk, extract_certificates, openssl, run};
use std::process::Command;

#[test]
fn bad_rows_are_named_and_the_others_go_in() {
    let desk = Desk::new();
    let done = desk.import_staff("name,mail,id\nCarol Adams,carol@example.org,1003\n,dora@example.org,\nErin,erin@,\nFinn,finn@elsewhere.example,\nCarol Again,carol@example.org,\nGus,gus@example.org,1001\n");
    done.expect(3);
    for (row, field) in [(3, "name"), (4, "mail"), (5, "mail"), (6, "mail"), (7, "id")] {
        assert!(done.stderr.contains(&format!("row {row}, {field}:")), "row {row}: {}", done.stderr);
    }
    assert!(done.stdout.contains("1 added") && done.stdout.contains("5 refused"), "{}", done.stdout);
    let people = desk.json(&["staff", "list"]);
    let names: Vec<_> =
        people.as_array().unwrap().iter().map(|person| person["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Alice Ng", "Bob Ruiz", "Carol Adams"]);
}

#[test]
fn what_cannot_be_seen_does_not_get_in() {
    let desk = Desk::new();
    let done = desk.import_staff(
        "name,mail\nDora\u{202E}lE,dora@example.org\nErin,er\u{200B}in@example.org\nFinn,finn@exam\u{AD}ple.org\n\
         gus@example.org,gus@example.org\nHal\u{E0041},hal@example.org\n",
    );
    done.expect(1);
    for (row, field, word) in [
        (2, "name", "U+202E"),
        (3, "mail", "U+200B"),
        (4, "mail", "U+00AD"),
        (5, "name", "'@'"),
        (6, "name", "U+E0041"),
    ] {
        let line = done.stderr.lines().find(|line| line.contains(&format!("row {row}, {field}:")));
        assert!(line.is_some_and(|line| line.contains(word)), "row {row}: {}", done.stderr);
    }
    assert_eq!(desk.json(&["staff", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn a_person_is_one_however_an_accent_is_typed() {
    let desk = Desk::new();
    desk.import_staff("name,mail\nJürgen Groß,jürgen@example.org\n").expect(0);
    let again = desk.import_staff("name,mail\nJu\u{308}rgen Groß,ju\u{308}rgen@example.org\n");
    assert!(again.expect(0).stdout.contains("0 added, 1 known already"), "{}", again.stdout);
    for text in ["ju\u{308}rgen@EXAMPLE.org", "jürgen@example.org"] {
        desk.issuer(&["revoke", text, "--reason", "superseded"]).refuses(1, &["no card"]);
    }
    assert_eq!(desk.json(&["find", "Ju\u{308}r"])["people"].as_array().unwrap().len(), 1);
}

#[test]
fn importing_a_list_twice_changes_nothing() {
    let desk = Desk::new();
    let text = "name,mail,id\nAlice Ng,alice@example.org,1001\nBob Ruiz,bob@example.org,\n";
    let done = desk.import_staff(text);
    assert!(done.expect(0).stdout.contains("0 added, 2 known already"), "{}", done.stdout);
}

#[test]
fn json_names_rows_and_fields_too() {
    let desk = Desk::new();
    std::fs::write(desk.path("list.csv"), "name,mail\nX,not an address\n").unwrap();
    let done = desk.issuer(&["--json", "staff", "import", "list.csv"]);
    done.expect(1);
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&report["errors"][0]["row"], &report["errors"][0]["field"]), (&2.into(), &"mail".into()));
    std::fs::write(
        desk.path("list.csv"),
        b"name,mail\nX,x\nY,y@elsewhere.example\nOther,alice@example.org\nZ\xFF,z@example.org\n",
    )
    .unwrap();
    let done = desk.issuer(&["--json", "staff", "import", "list.csv"]);
    let report: serde_json::Value = serde_json::from_str(&done.expect(1).stdout).unwrap();
    let codes: Vec<_> =
        report["errors"].as_array().unwrap().iter().map(|error| error["code"].clone()).collect();
    assert_eq!(codes, ["malformed", "foreign-domain", "duplicate", "unreadable"]);
    std::fs::write(desk.path("list.csv"), "first,second\n").unwrap();
    let done = desk.issuer(&["--json", "staff", "import", "list.csv"]);
    let error: serde_json::Value = serde_json::from_str(&done.expect(1).stderr).unwrap();
    assert_eq!(error["error"]["code"], "csv");
    desk.issuer(&["staff", "import", "nowhere.csv"]).refuses(1, &["nowhere.csv"]);
}

#[test]
fn stock_is_taken_in_once_and_listed() {
    let desk = Desk::new();
    let done = desk.issuer(&["stock", "add", "--serial", "11", "12", "11"]);
    done.expect(3);
    assert!(
        done.stderr.contains("serial 11") && done.stdout.contains("2 cards"),
        "{} {}",
        done.stderr,
        done.stdout
    );
    desk.issuer(&["stock", "add", "--serial", "12"]).expect(1);
    desk.blank("s.card", &["--personality", "standard"]);
    desk.issuer(&["stock", "add", "--card", &format!("sim:{}", desk.text("s.card"))]).refuses(1, &["--file"]);
    std::fs::write(
        desk.path("bad.toml"),
        "guid = \"00\"\npuk = \"87654321\"\nmanagement_key = \"aa\"\nmanagement_key_algorithm = \"aes256\"\n",
    )
    .unwrap();
    let done = desk.issuer(&["stock", "add", "--file", "bad.toml", "s.card.stock.toml", "none.toml"]);
    done.expect(3);
    assert!(done.stderr.contains("bad.toml: guid") && done.stderr.contains("none.toml"), "{}", done.stderr);
    assert!(!done.stderr.contains("87654321"));
    let listed = desk.json(&["stock", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(listed[2]["state"], "in stock");
    assert!(listed[2]["stock_guid"].is_string());
    desk.issuer(&["stock", "add"]).expect(2);
    desk.issuer(&["stock", "add", "--serial", "1", "--file", "x"]).expect(2);
}

#[test]
fn a_standard_card_without_its_stock_file_is_not_issued() {
    let desk = Desk::new();
    let locator = desk.blank("s.card", &["--personality", "standard"]);
    let refused =
        desk.issuer(&["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "pin"]);
    refused.refuses(1, &["not in stock", "GUID"]);
}

#[test]
fn people_cards_and_certificates_are_found() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &["--serial", "555"]);
    desk.issue("alice@example.org", &locator, &[]);
    let found = desk.json(&["find", "ALICE"]);
    assert_eq!(found["people"][0]["mail"], "alice@example.org");
    assert_eq!(found["cards"][0]["serial"], 555);
    assert_eq!(found["certificates"].as_array().unwrap().len(), 4);
    let serial = found["certificates"][0]["serial"].as_str().unwrap();
    let by_serial = desk.json(&["find", &serial[..8]]);
    assert_eq!(by_serial["certificates"].as_array().unwrap().len(), 1);
    assert_eq!(desk.json(&["find", "555"])["cards"].as_array().unwrap().len(), 1);
    let text = desk.issuer(&["find", "alice"]);
    assert!(text.stdout.contains("Alice Ng") && text.stdout.contains(serial), "{}", text.stdout);
    desk.issuer(&["find", "%"]).expect(1);
    desk.issuer(&["find", "zzz"]).expect(1);
    desk.issuer(&["find", " "]).expect(2);
}

#[test]
fn lint_tells_clean_from_not_clean_from_nothing() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    extract_certificates(&locator, &desk.path("alice"));
    let public = desk.publish();
    for file in desk_support::files_below(&public) {
        let file = file.to_str().unwrap();
        if file.ends_with(".cer") || file.ends_with(".crl") || file.ends_with("anchor.pem") {
            let done = desk.issuer(&["lint", file]);
            assert!(done.status == 0, "{file}: {}{}", done.stdout, done.stderr);
        }
    }
    for key in ["9A", "9C", "9D", "9E"] {
        desk.issuer(&["lint", &format!("alice/{key}.pem")]).expect(0);
    }
    let made = openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-subj",
        "/CN=x",
        "-days",
        "9999",
        "-out",
        &desk.text("foreign.pem"),
    ]);
    assert!(made.status.success());
    let done = desk.issuer(&["lint", "foreign.pem"]);
    assert!(!done.expect(4).stdout.is_empty());
    let report = desk.issuer(&["--json", "lint", "foreign.pem"]);
    let report: serde_json::Value = serde_json::from_str(&report.expect(4).stdout).unwrap();
    assert!(report["findings"][0]["rule"].is_string() && report["findings"][0]["clause"].is_string());

    // Every block counts, not the first alone.
    let text = |name: &str| std::fs::read_to_string(desk.path(name)).unwrap();
    let (good, bad) = (text("alice/9C.pem"), text("foreign.pem"));
    let key = text("home/keys/root.pem");
    let broken = good.replacen("MII", "!II", 1);
    for (contents, status) in [
        (format!("{good}{good}"), 0),
        (format!("{good}{}", text("public/crl.pem")), 0),
        (format!("some words\n{good}{bad}"), 4),
        (format!("{good}{key}"), 3),
        (format!("{good}{broken}"), 3),
        (format!("{key}{good}{bad}"), 4),
        (format!("{key}{broken}"), 1),
    ] {
        std::fs::write(desk.path("several.pem"), contents).unwrap();
        desk.issuer(&["lint", "several.pem"]).expect(status);
    }
    std::fs::write(desk.path("several.pem"), format!("{good}{key}{bad}")).unwrap();
    let done = desk.issuer(&["lint", "several.pem"]);
    assert!(done.stdout.contains("block 1 (") && done.stdout.contains("CN=Alice Ng"), "{}", done.stdout);
    assert!(done.stdout.contains("block 3 (CN=x): certificate with findings"), "{}", done.stdout);
    assert!(
        done.stderr.contains("block 2: not checked: \"ENCRYPTED PRIVATE KEY\" is neither"),
        "{}",
        done.stderr
    );
    let report = desk.issuer(&["--json", "lint", "several.pem"]);
    let report: serde_json::Value = serde_json::from_str(&report.expect(4).stdout).unwrap();
    assert_eq!(
        (&report["blocks"][1]["kind"], &report["findings"][0]["block"]),
        (&"ENCRYPTED PRIVATE KEY".into(), &3.into())
    );
    desk.issuer(&["lint", "staff.csv"]).refuses(1, &["staff.csv", "neither"]);
    desk.issuer(&["lint", "nowhere"]).refuses(1, &["nowhere"]);
}

#[test]
fn init_makes_all_or_nothing() {
    let desk = Desk::empty();
    let init = [
        "init",
        "--organization",
        "Example Org",
        "--domain",
        "example.org",
        "--base-url",
        "http://pki.example.org",
    ];
    std::fs::write(desk.path("passphrase"), "short\n").unwrap();
    desk.issuer(&init).refuses(1, &["8 characters"]);
    assert!(!desk.home().exists());
    std::fs::write(desk.path("passphrase"), "long enough\n").unwrap();
    let done = desk.issuer(&[
        "init",
        "--organization",
        "Example Org",
        "--domain",
        "not a domain",
        "--base-url",
        "http://pki.example.org",
    ]);
    done.refuses(2, &["domain"]);
    let done = desk.issuer(&[
        "init",
        "--organization",
        "Example Org",
        "--domain",
        "example.org",
        "--base-url",
        "https://pki.example.org",
    ]);
    done.refuses(2, &["http://"]);
    desk.issuer(&init).expect(0);
    let key = std::fs::read(desk.home().join("keys/root.pem")).unwrap();
    desk.issuer(&init).refuses(1, &["issuer already", "nothing was changed"]);
    assert_eq!(std::fs::read(desk.home().join("keys/root.pem")).unwrap(), key);
    let left: Vec<_> = std::fs::read_dir(desk.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_registry_elsewhere_is_used() {
    let desk = Desk::empty();
    let registry = format!("sqlite:{}", desk.text("elsewhere.db"));
    desk.issuer(&[
        "--registry",
        &registry,
        "init",
        "--organization",
        "Example Org",
        "--domain",
        "example.org",
        "--base-url",
        "http://pki.example.org",
    ])
    .expect(0);
    assert!(desk.path("elsewhere.db").exists() && !desk.home().join("registry.db").exists());
    std::fs::write(desk.path("staff.csv"), "name,mail\nAlice Ng,alice@example.org\n").unwrap();
    desk.issuer(&["--registry", &registry, "staff", "import", "staff.csv"]).expect(0);
    desk.issuer(&["staff", "list"]).refuses(1, &["registry", "issuer init"]);
    desk.issuer(&["--registry", "mysql://localhost/x", "staff", "list"]).expect(2);
}

#[test]
fn without_a_home_the_message_says_how_to_name_one() {
    let done =
        run(Command::new(env!("CARGO_BIN_EXE_issuer")).env_remove("ISSUER_HOME").args(["staff", "list"]));
    done.refuses(2, &["--home", "ISSUER_HOME"]);
    let desk = Desk::empty();
    desk.issuer(&["staff", "list"]).refuses(1, &["issuer init"]);
    let done = desk.issuer(&["--json", "staff", "list"]);
    let error: serde_json::Value = serde_json::from_str(&done.expect(1).stderr).unwrap();
    assert_eq!(error["error"]["code"], "no-home");
}

/// Whatever was done to the registry: it is named with what to do next, and left as it is.
#[test]
fn what_is_not_a_whole_registry_is_refused_and_left_alone() {
    let desk = Desk::new();
    let file = desk.home().join("registry.db");
    let whole = std::fs::read(&file).unwrap();
    let foreign = desk.path("foreign.db");
    let made = Command::new("python3")
        .args([
            "-c",
            "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE registry (x)')",
        ])
        .arg(&foreign)
        .status();
    assert!(made.unwrap().success());
    let mut scratched = whole.clone();
    let page = whole.len() / 4096 - 1;
    scratched[4096..page * 4096].fill(0xA5);
    for (what, bytes, words) in [
        ("emptied", Vec::new(), "never finished"),
        (
            "text",
            b"this is not a database, whatever its name says; it is long enough to look like one".repeat(9),
            "damaged",
        ),
        ("truncated", whole[..4096 * (page / 2)].to_vec(), "damaged"),
        ("cut short", whole[..300].to_vec(), "damaged"),
        ("scratched", scratched, "damaged"),
        ("of another program", std::fs::read(&foreign).unwrap(), "not the registry of an issuer"),
    ] {
        for extension in ["db-wal", "db-shm"] {
            let _ = std::fs::remove_file(file.with_extension(extension));
        }
        std::fs::write(&file, &bytes).unwrap();
        for command in
            [&["staff", "list"][..], &["stock", "list"], &["find", "a"], &["publish", "--to", "public"]]
        {
            let refused = desk.issuer(command);
            refused.refuses(1, &["registry.db", words, "restore"]);
            assert!(!refused.stderr.contains("code"), "{what}: {}", refused.stderr);
        }
        assert_eq!(std::fs::read(&file).unwrap(), bytes, "{what}: the file was changed");
    }
}

#[test]
fn completions_and_manual_pages_are_generated() {
    let desk = Desk::empty();
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.issuer(&["completions", shell]).expect(0).stdout.contains("issue"));
    }
    std::fs::create_dir(desk.path("man")).unwrap();
    desk.issuer(&["man", "man"]).expect(0);
    let pages = desk_support::files_below(&desk.path("man"));
    assert!(pages.iter().any(|page| page.ends_with("issuer-issue.1")), "{pages:?}");
}
