//! The program as its users meet it: commands, messages, exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

mod support;

use std::fs;

use card_sim::iso7816::atr;
use support::desk::{Desk, text};
use support::openssl::OpenSsl;

#[test]
fn a_yubikey_is_made_with_its_factory_values() {
    let desk = Desk::new();
    let said = desk.succeed("new alice.card --serial 12345678");
    assert_eq!(said, "alice.card: blank yubikey5 card, serial 12345678\n");
    assert_eq!(desk.mode("alice.card"), 0o600);
    assert!(!desk.path("alice.card.stock.toml").exists());
    let card = desk.inspect("alice.card");
    assert_eq!(card["personality"], "yubikey5");
    assert_eq!(card["firmware"], "5.7.2");
    assert_eq!(card["serial"], 12_345_678);
    assert_eq!(card["management_key_algorithm"], "AES-192");
    assert_eq!(card["atr"], hex::encode(atr::YUBIKEY5));
    assert_eq!(card["pin"]["tries_left"], 3);
    assert_eq!(card["guid"].as_str().unwrap().len(), 32);
    assert_eq!(card["seeded"], false);
    desk.succeed("new old.card --firmware 5.4");
    let old = desk.inspect("old.card");
    assert_eq!(old["management_key_algorithm"], "3DES");
    assert_eq!(old["firmware"], "5.4.3");
    assert_ne!(old["guid"], card["guid"]);
}

#[test]
fn a_standard_card_comes_with_a_stock_file() {
    let desk = Desk::new();
    let said = desk.succeed("new bob.card --personality standard");
    let stock: Vec<(String, String)> = fs::read_to_string(desk.path("bob.card.stock.toml"))
        .unwrap()
        .lines()
        .map(|line| line.split_once(" = ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect();
    let names: Vec<&str> = stock.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["guid", "puk", "management_key", "management_key_algorithm", "personality"]);
    let [(_, guid), (_, puk), (_, key), (_, algorithm), (_, personality)] = &stock[..] else { panic!() };
    assert_eq!(desk.mode("bob.card.stock.toml"), 0o600);
    assert!(puk.len() == 8 && puk.bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!((key.len(), algorithm.as_str(), personality.as_str()), (64, "aes256", "standard"));
    assert!(said.contains(guid) && !said.contains(puk) && !said.contains(key));
    let card = desk.inspect("bob.card");
    assert_eq!(card["guid"], guid.as_str());
    assert_eq!(card["serial"], serde_json::Value::Null);
    desk.succeed("new carol.card --personality standard --stock carol.toml");
    assert!(desk.path("carol.toml").exists() && !desk.path("carol.card.stock.toml").exists());
}

#[test]
fn nothing_is_overwritten_and_nothing_half_made() {
    let desk = Desk::new();
    fs::write(desk.path("taken"), "letters").unwrap();
    for line in
        ["new taken", "new taken --personality standard", "new x --personality standard --stock taken"]
    {
        let message = desk.fail(line, 1);
        assert!(message.contains("taken: the file exists") && message.lines().count() == 1, "{message}");
    }
    let message = desk.fail("new missing/x", 1);
    assert!(message.starts_with("card-sim: missing/x: cannot write it: "), "{message}");
    assert_eq!(
        (message.matches("not found").count(), message.contains(".card-sim-")),
        (1, false),
        "{message}"
    );
    assert!(desk.fail("new missing/x --personality standard --stock s", 1).contains("missing/x"));
    assert_eq!(fs::read_dir(desk.0.path()).unwrap().count(), 1, "only the letters are there");
}

#[test]
fn options_that_do_not_fit_are_refused_by_name() {
    let desk = Desk::new();
    for (line, code, words) in [
        ("new x --personality standard --serial 7", 2, "--serial"),
        ("new x --personality standard --firmware 5.4", 2, "--firmware"),
        ("new x --stock s", 2, "--stock"),
        ("new x --firmware 4.3", 2, "4.3"),
        ("new x --seed xyz", 2, "hexadecimal"),
        ("new x --serial abc", 2, "a serial number is a number from 0 to 4294967295"),
        ("new x --serial 4294967296", 2, "a serial number is a number from 0 to 4294967295"),
        ("run x --ready-fd y", 2, "a file descriptor is a number"),
        ("new x --key 9B=k", 2, "9A 9C 9D 9E"),
        ("new x --key 9A", 2, "REF=FILE"),
        ("new x --key 9A=absent.pem", 1, "absent.pem"),
        ("run", 2, "STATES"),
        ("run x --touch perhaps", 2, "--touch"),
        ("run x --interface radio", 2, "--interface"),
        ("new x --global-pin", 2, "--global-pin is for standard cards"),
        ("new x --management-key-algorithm aes128", 2, "--management-key-algorithm is for standard cards"),
        ("new x --personality standard --management-key-algorithm des", 2, "des"),
        ("run x --vpcd nowhere", 2, "HOST:PORT"),
        ("run x y --vpcd 127.0.0.1:65535", 2, "not enough ports"),
        ("man nowhere", 1, "nowhere: cannot write"),
        ("run absent.card", 1, "absent.card: no such card; make one with `card-sim new`"),
        ("frobnicate", 2, "frobnicate"),
    ] {
        let message = desk.fail(line, code);
        assert!(message.contains(words), "{line}: {message}");
    }
    assert_eq!(fs::read_dir(desk.0.path()).unwrap().count(), 0);
}

#[test]
fn keys_are_put_in_from_files_that_openssl_made() {
    let desk = Desk::new();
    let openssl = OpenSsl::new();
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem");
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out ec.der");
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out small.pem");
    openssl.run("genpkey -algorithm ED448 -out other.pem");
    let file = |name| openssl.path(name).display().to_string();
    // OpenSSL writes DER in the older forms of PKCS#1 and SEC 1, PEM in that of PKCS#8.
    desk.succeed(&format!("new a.card --key 9D={} --key 82={}", file("rsa.pem"), file("ec.der")));
    openssl.run("rsa -in rsa.pem -traditional -out rsa1.pem");
    openssl.run("pkcs8 -topk8 -nocrypt -inform DER -in ec.der -out ec8.pem");
    desk.succeed(&format!("new a1.card --key 9D={} --key 82={}", file("rsa1.pem"), file("ec8.pem")));
    // F9 is made with each card.
    let described = |name| desk.inspect(name)["keys"].as_array().unwrap()[..2].to_vec();
    assert_eq!(described("a1.card"), described("a.card"));
    let keys = desk.inspect("a.card")["keys"].clone();
    let described: Vec<_> =
        keys.as_array().unwrap().iter().map(|key| (&key["reference"], &key["algorithm"])).collect();
    assert_eq!(
        described,
        [
            (&"9D".into(), &"RSA-2048".into()),
            (&"82".into(), &"P-256".into()),
            (&"F9".into(), &"P-256".into())
        ]
    );
    assert_eq!(keys[0]["origin"], "imported");
    for name in ["small.pem", "other.pem"] {
        let message = desk.fail(&format!("new b.card --key 9A={}", file(name)), 1);
        assert!(message.contains(name) && message.contains("openssl pkcs8"), "{message}");
    }
    let twice = desk.fail(&format!("new b.card --key 9A={0} --key 9A={0}", file("rsa.pem")), 2);
    assert!(twice.contains("9A twice"), "{twice}");
}

#[test]
fn a_card_takes_keys_of_its_algorithms_and_no_others() {
    let desk = Desk::new();
    let openssl = OpenSsl::new();
    for (name, algorithm) in [
        ("RSA-2048", "RSA -pkeyopt rsa_keygen_bits:2048"),
        ("RSA-3072", "RSA -pkeyopt rsa_keygen_bits:3072"),
        ("RSA-4096", "RSA -pkeyopt rsa_keygen_bits:4096"),
        ("P-256", "EC -pkeyopt ec_paramgen_curve:P-256"),
        ("P-384", "EC -pkeyopt ec_paramgen_curve:P-384"),
        ("Ed25519", "ED25519"),
        ("X25519", "X25519"),
    ] {
        openssl.run(&format!("genpkey -algorithm {algorithm} -out {name}.pem"));
        openssl.run(&format!("pkey -in {name}.pem -outform DER -out {name}.der"));
        for form in ["pem", "der"] {
            let file = openssl.path(&format!("{name}.{form}")).display().to_string();
            let card = format!("{name}.{form}.card");
            desk.succeed(&format!("new {card} --key 9D={file}"));
            assert_eq!(desk.inspect(&card)["keys"][0]["algorithm"], name);
        }
        let file = openssl.path(&format!("{name}.pem")).display().to_string();
        for (kind, lacks) in [
            ("--personality standard", &["RSA-4096", "Ed25519", "X25519"][..]),
            ("--firmware 5.4", &["RSA-3072", "RSA-4096", "Ed25519", "X25519"]),
        ] {
            let line = format!("new other{}.card {kind} --key 82={file}", &kind[2..4]);
            if lacks.contains(&name) {
                let message = desk.fail(&line, 1);
                assert!(message.contains(&format!("no keys of {name}; it has RSA-")), "{message}");
            } else {
                desk.succeed(&line);
                fs::remove_file(desk.path(&format!("other{}.card", &kind[2..4]))).unwrap();
                let _ = fs::remove_file(desk.path("otherpe.card.stock.toml"));
            }
        }
    }
}

#[test]
fn a_standard_card_has_the_management_key_and_the_global_pin_that_were_ordered() {
    let desk = Desk::new();
    for (name, shown, digits) in [
        ("3des", "3DES", 48),
        ("aes128", "AES-128", 32),
        ("aes192", "AES-192", 48),
        ("aes256", "AES-256", 64),
    ] {
        desk.succeed(&format!("new {name} --personality standard --management-key-algorithm {name}"));
        assert_eq!(desk.inspect(name)["management_key_algorithm"], shown);
        let stock = fs::read_to_string(desk.path(&format!("{name}.stock.toml"))).unwrap();
        assert!(stock.contains(&format!("management_key_algorithm = \"{name}\"")), "{name}");
        let key = stock.lines().find_map(|line| line.strip_prefix("management_key = ")).unwrap();
        assert_eq!(key.trim_matches('"').len(), digits, "{name}");
    }
    assert_eq!(desk.inspect("aes256")["global_pin"], serde_json::Value::Null);
    desk.succeed("new global --personality standard --global-pin");
    assert_eq!(desk.inspect("global")["global_pin"], serde_json::json!({ "tries_left": 3, "tries": 3 }));
    assert!(desk.succeed("inspect global").contains("Global PIN      3 of 3 tries left"));
}

#[test]
fn the_root_of_a_card_s_attestations_is_printed_for_who_verifies_them() {
    let desk = Desk::new();
    let openssl = OpenSsl::new();
    desk.succeed("new a.card --serial 4711");
    desk.succeed("new b.card");
    let root = |name| desk.succeed(&format!("inspect {name} --attestation-root"));
    openssl.write("root.pem", root("a.card").as_bytes());
    openssl.run("verify -x509_strict -CAfile root.pem root.pem");
    let subject = text(&openssl.run("x509 -in root.pem -noout -subject -nameopt RFC2253"));
    let described = desk.inspect("a.card");
    assert_eq!(
        subject.trim(),
        format!("subject={}", described["attestation_root"]["subject"].as_str().unwrap())
    );
    assert!(subject.contains("4711") && subject.contains("Emulated"), "{subject}");
    let f9 = &described["certificates"][0];
    assert_eq!((&f9["reference"], &f9["compressed"]), (&"F9".into(), &false.into()));
    assert!(desk.succeed("inspect a.card").contains("Root of F9"));
    assert_ne!(root("a.card"), root("b.card"), "every card has an authority of its own");
    desk.succeed("new s.card --personality standard");
    let message = desk.fail("inspect s.card --attestation-root", 1);
    assert!(message.contains("s.card") && message.contains("attests nothing"), "{message}");
    assert!(desk.inspect("s.card")["attestation_root"].is_null());
    desk.fail("inspect a.card --attestation-root --json", 2);
}

#[test]
fn a_seeded_card_is_the_same_card_and_says_so() {
    let desk = Desk::new();
    for name in ["a", "b"] {
        let said = desk.succeed(&format!("new {name} --personality standard --seed 00ff"));
        assert!(said.contains("repeatable"), "{said}");
    }
    let (a, b) = (fs::read(desk.path("a")).unwrap(), fs::read(desk.path("b")).unwrap());
    assert_eq!(a, b);
    assert_eq!(desk.inspect("a")["seeded"], true);
    assert!(desk.succeed("inspect a").contains("seeded"));
    desk.succeed("new c --personality standard --seed 00fe");
    assert_ne!(desk.inspect("c")["guid"], desk.inspect("a")["guid"]);
}

#[test]
fn inspect_says_what_is_wrong_with_a_file_and_shows_no_secret() {
    let desk = Desk::new();
    desk.succeed("new card --personality standard");
    let good = fs::read(desk.path("card")).unwrap();
    fs::write(desk.path("cut"), &good[..100]).unwrap();
    let error: serde_json::Value = serde_json::from_str(&desk.fail("inspect cut --json", 1)).unwrap();
    assert_eq!(error["error"]["code"], "state-truncated");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("cut: the state file is truncated: 100 bytes instead of"), "{message}");
    let usage = desk.fail("inspect --json", 2);
    let error: serde_json::Value = serde_json::from_str(&usage).unwrap();
    assert_eq!((&error["error"]["code"], usage.lines().count()), (&"usage".into(), 1));
    assert!(error["error"]["message"].as_str().unwrap().contains("<STATE>"), "{usage}");
    assert!(desk.fail("inspect nothing", 1).starts_with("card-sim: nothing: no such card"));
    let stock = fs::read_to_string(desk.path("card.stock.toml")).unwrap();
    let shown = desk.succeed("inspect card") + &desk.succeed("inspect card --json");
    for line in stock.lines().filter(|line| line.starts_with("puk") || line.starts_with("management_key =")) {
        let value = line.split('"').nth(1).unwrap();
        assert!(!shown.contains(value), "{line}");
    }
    assert!(!shown.contains("123456"));
}

#[test]
fn completions_and_manual_pages_are_written() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.succeed(&format!("completions {shell}")).contains("card-sim"));
    }
    fs::create_dir(desk.path("man")).unwrap();
    desk.succeed("man man");
    assert!(fs::read_to_string(desk.path("man/card-sim-run.1")).unwrap().contains("vpcd"));
    for command in ["new", "run", "inspect", "completions", "man"] {
        assert!(desk.succeed(&format!("{command} --help")).contains("Example"), "{command}");
    }
}

#[test]
fn a_reader_of_the_output_that_goes_away_is_no_error_and_a_full_device_is_one() {
    let desk = Desk::new();
    desk.succeed("new card");
    for line in ["completions bash", "inspect card", "inspect card --json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = desk.command(line).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{line}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = desk.command(line).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(text(&output.stderr).contains("cannot write to standard output"), "{line}");
    }
}
