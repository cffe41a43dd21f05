//! `init` as a declared ceremony, with the CA keys in files, behind SoftHSM2 and on cards: the same results.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use desk_support::{Desk, Run, files_below, open, openssl, openssl_verify, run};
use middleware::{KeyAlgorithm, KeyReference, ManagementKey, ManagementKeyAlgorithm};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "123456";

/// What the three ceremonies have in common.
const DECLARATION: &str = r#"
organization = "Example Org"
domains = ["example.org"]
base_url = "http://pki.example.org"
allow_emulated = true
crl_partitions = 2
delta_crls = true
witnesses = ["Ada Ames", "Ben Bell"]
"#;

/// Runs the issuer with a token of this folder.
fn issuer(desk: &Desk, arguments: &[&str]) -> Run {
    let mut command = desk.command(arguments);
    command.env("SOFTHSM2_CONF", desk.path("softhsm.conf")).arg("--key-pin-file").arg(desk.path("pin"));
    run(&mut command)
}

fn desk() -> Desk {
    let desk = Desk::empty();
    std::fs::write(desk.path("pin"), format!("{PIN}\n")).unwrap();
    desk
}

/// Shows the declaration, confirms it, publishes.
fn hold(desk: &Desk, keys: &str) {
    std::fs::write(desk.path("ceremony.toml"), format!("{DECLARATION}{keys}")).unwrap();
    let shown = issuer(desk, &["init", "--ceremony", "ceremony.toml"]);
    shown.refuses(1, &["nothing was made yet", "--confirm", "authority root:", "Ada Ames, Ben Bell"]);
    assert!(!desk.home().exists());
    let digest = shown.stderr.split("--confirm ").nth(1).unwrap().trim().to_owned();
    issuer(desk, &["init", "--ceremony", "ceremony.toml", "--confirm", &digest]).expect(0);
    issuer(desk, &["publish", "--to", "public"]).expect(0);
}

/// A token with a P-256 key for each authority.
fn token(desk: &Desk) -> String {
    std::fs::create_dir(desk.path("tokens")).unwrap();
    std::fs::write(desk.path("softhsm.conf"), format!("directories.tokendir = {}\n", desk.text("tokens")))
        .unwrap();
    let with_token = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", desk.path("softhsm.conf")).args(arguments);
        run(&mut command).expect(0);
    };
    let pins = ["--pin", PIN, "--so-pin", "12345678"];
    with_token("softhsm2-util", &[&["--init-token", "--free", "--label", "CA"][..], &pins].concat());
    for (label, id) in [("root", "01"), ("people", "02"), ("servers", "03")] {
        let key = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", label, "--id", id];
        let login = ["--module", MODULE, "--token-label", "CA", "--login", "--pin", PIN];
        with_token("pkcs11-tool", &[&login[..], &key].concat());
    }
    let line = |name: &str| format!("{name} = \"pkcs11:token=CA;object={name}?module-path={MODULE}\"\n");
    format!("[keys]\n{}{}{}", line("root"), line("people"), line("servers"))
}

/// Three cards, each with a P-256 key in 9C.
fn cards(desk: &Desk) -> String {
    let mut lines = "[keys]\n".to_owned();
    for name in ["root", "people", "servers"] {
        let locator = desk.blank(&format!("{name}.card"), &[]);
        let mut card = open(&locator);
        let mut transaction = card.transaction().unwrap();
        let mut administration = transaction
            .authenticate(&ManagementKey::factory_default(ManagementKeyAlgorithm::Aes192))
            .unwrap();
        administration.generate(KeyReference::DigitalSignature, KeyAlgorithm::P256).unwrap();
        lines += &format!("{name} = \"card:{locator}\"\n");
    }
    lines
}

/// What was published, without what differs from key to key.
fn essence(desk: &Desk) -> Vec<String> {
    let mut all = Vec::new();
    for file in files_below(&desk.path("public")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let kind = match file.extension().and_then(|extension| extension.to_str()) {
            Some("cer") => "x509",
            Some("crl") => "crl",
            _ => continue,
        };
        let options = if kind == "x509" {
            &["-certopt", "no_pubkey,no_sigdump,no_serial,no_validity"][..]
        } else {
            &[]
        };
        let mut arguments = vec![kind, "-inform", "DER", "-noout", "-text", "-in", file.to_str().unwrap()];
        arguments.extend(options);
        let text = String::from_utf8(openssl(&arguments).stdout).unwrap();
        let text = text.split("Signature Value").next().unwrap();
        let same = |line: &&str| !line.contains("Update:") && !line.trim_start().starts_with("..20");
        all.push(plain(name) + &text.lines().filter(same).map(plain).collect::<Vec<_>>().join("\n"));
    }
    all.sort();
    all
}

/// Runs of 40 hexadecimal digits, with colons or without, are key identifiers.
fn plain(line: &str) -> String {
    let digits = |text: &str| text.chars().filter(|character| *character != ':').collect::<String>();
    let words = line.split_inclusive(|character: char| !character.is_ascii_hexdigit() && character != ':');
    let one = |word: &str| {
        let end = word.len()
            - word.chars().last().filter(|last| !last.is_ascii_hexdigit()).map_or(0, char::len_utf8);
        if digits(&word[..end]).len() == 40 { format!("ID{}", &word[end..]) } else { word.to_owned() }
    };
    words.map(one).collect()
}

fn judge(desk: &Desk) {
    let public = desk.path("public");
    for file in files_below(&public.join("ca")) {
        let der = std::fs::read(&file).unwrap();
        let pem: PathBuf = desk.path("one.pem");
        std::fs::write(&pem, issuer::ca::Certificate::from_der(der).unwrap().to_pem()).unwrap();
        let (accepted, said) = openssl_verify(&public, &pem, &[]);
        assert!(accepted, "{said}");
        issuer(desk, &["lint", pem.to_str().unwrap()]).expect(0);
    }
    let record: serde_json::Value = read_json(&desk.home().join("ceremony/record.json"));
    assert_eq!(record["witnesses"], serde_json::json!(["Ada Ames", "Ben Bell"]));
    assert_eq!(record["keys"].as_array().unwrap().len(), 3);
    let declared = std::fs::read(desk.home().join("ceremony/declaration.toml")).unwrap();
    assert_eq!(declared, std::fs::read(desk.path("ceremony.toml")).unwrap());
}

fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn file_token_and_card_give_the_same_results() {
    let in_files = desk();
    hold(&in_files, "");
    judge(&in_files);
    let on_token = desk();
    let keys = token(&on_token);
    hold(&on_token, &keys);
    judge(&on_token);
    let on_cards = desk();
    let keys = cards(&on_cards);
    hold(&on_cards, &keys);
    judge(&on_cards);
    let expected = essence(&in_files);
    // Three CA certificates; three complete CRLs, two partitions, and three deltas.
    assert_eq!(expected.len(), 3 + 3 + 2 + 3);
    assert_eq!(essence(&on_token), expected);
    assert_eq!(essence(&on_cards), expected);
    // No CA key is in the home of the other two.
    for desk in [&on_token, &on_cards] {
        for name in ["root", "people", "servers"] {
            assert!(!desk.home().join(format!("keys/{name}.pem")).exists());
        }
    }
}

#[test]
fn a_card_is_issued_by_an_authority_whose_key_is_on_a_token() {
    let desk = desk();
    let keys = token(&desk);
    hold(&desk, &keys);
    std::fs::write(desk.path("staff.csv"), "name,mail\nAlice Ng,alice@example.org\n").unwrap();
    issuer(&desk, &["staff", "import", "staff.csv"]).expect(0);
    let locator = desk.blank("alice.card", &[]);
    issuer(&desk, &["stock", "add", "--card", &locator]).expect(0);
    let issue = ["issue", "alice@example.org", "--card", &locator, "--transport-pin-file", "alice.pin"];
    issuer(&desk, &issue).expect(0);
    issuer(&desk, &["publish", "--to", "public"]).expect(0);
    desk_support::extract_certificates(&locator, &desk.path("alice"));
    let (accepted, said) =
        openssl_verify(&desk.path("public"), &desk.path("alice/9C.pem"), &["-extended_crl"]);
    assert!(accepted, "{said}");
}

#[test]
fn a_wrong_pin_is_tried_once_and_makes_nothing() {
    let desk = desk();
    let keys = cards(&desk);
    std::fs::write(desk.path("pin"), "654321\n").unwrap();
    std::fs::write(desk.path("ceremony.toml"), format!("{DECLARATION}{keys}")).unwrap();
    let shown = issuer(&desk, &["init", "--ceremony", "ceremony.toml"]);
    let digest = shown.stderr.split("--confirm ").nth(1).unwrap().trim().to_owned();
    issuer(&desk, &["init", "--ceremony", "ceremony.toml", "--confirm", &digest]).refuses(1, &["PIN", "2"]);
    assert!(!desk.home().exists());
}

#[test]
fn what_was_not_reviewed_or_is_not_understood_is_not_done() {
    let desk = desk();
    let file = desk.path("ceremony.toml");
    std::fs::write(&file, DECLARATION).unwrap();
    let other = "0".repeat(64);
    issuer(&desk, &["init", "--ceremony", "ceremony.toml", "--confirm", &other])
        .refuses(1, &["review it again"]);
    for (text, word) in [
        ("organisation = \"x\"\n", "organisation"),
        ("key_algorithm = \"dsa\"\n", "dsa"),
        ("crl_partitions = 1\n", "2 to 1024"),
        ("[keys]\nroot = \"usb:1\"\n", "keys.root"),
        ("[keys]\nmiddle = \"file\"\n", "middle"),
        ("witnesses = [\" \"]\n", "witness"),
    ] {
        let base = DECLARATION
            .replace("crl_partitions = 2\n", "")
            .replace("witnesses = [\"Ada Ames\", \"Ben Bell\"]\n", "");
        std::fs::write(&file, format!("{base}{text}")).unwrap();
        issuer(&desk, &["init", "--ceremony", "ceremony.toml"]).refuses(2, &["ceremony.toml", word]);
    }
    issuer(&desk, &["init", "--ceremony", "nowhere.toml"]).refuses(1, &["nowhere.toml"]);
    assert!(!desk.home().exists());
}

#[test]
fn an_emulated_card_keeps_no_key_of_a_production_authority() {
    let desk = desk();
    let keys = cards(&desk);
    let text = format!("{}{keys}", DECLARATION.replace("allow_emulated = true", "allow_emulated = false"));
    std::fs::write(desk.path("ceremony.toml"), text).unwrap();
    let shown = issuer(&desk, &["init", "--ceremony", "ceremony.toml"]);
    let digest = shown.stderr.split("--confirm ").nth(1).unwrap().trim().to_owned();
    issuer(&desk, &["init", "--ceremony", "ceremony.toml", "--confirm", &digest])
        .refuses(1, &["emulated", "--allow-emulated"]);
    assert!(!desk.home().exists());
}

/// A ceremony and the options of `init` take the same algorithms, and the help says which.
#[test]
fn the_help_of_init_names_every_algorithm_that_a_ceremony_takes() {
    let desk = Desk::empty();
    let help = desk.issuer(&["init", "--help"]);
    help.expect(0);
    assert!(
        help.stdout.contains("[possible values: p256, p384, rsa2048, rsa3072, rsa4096]"),
        "{}",
        help.stdout
    );
    let organization = ["--organization", "Example Org", "--domain", "example.org"];
    let base = ["--base-url", "http://pki.example.org", "--key-algorithm", "rsa3072"];
    desk.issuer(&[&["init"][..], &organization, &base].concat()).expect(0);
    desk.publish();
    let anchor = desk.text("public/anchor.pem");
    let said = openssl(&["x509", "-noout", "-text", "-in", &anchor]).stdout;
    assert!(String::from_utf8_lossy(&said).contains("Public-Key: (3072 bit)"));
}
