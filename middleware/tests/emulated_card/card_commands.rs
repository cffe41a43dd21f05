//! The commands of `card` that make and use keys; openssl judges what they write.
use std::path::{Path, PathBuf};
use std::process::Output;

use card_sim::store::image;
use middleware::{KeyAlgorithm, KeyReference, LastTry};
use serde_json::Value;

use crate::card_tool::{Tool, stderr, stdout};
use crate::openssl::openssl;
use crate::support::{FACTORY_PIN, Kind, TestCard, verify};

/// A card, and files with its secrets beside it.
struct Desk {
    test_card: TestCard,
}

impl Desk {
    fn new(kind: Kind) -> Self {
        let test_card = TestCard::new(kind);
        let write = |name: &str, text: &str| std::fs::write(test_card.folder().join(name), text).unwrap();
        let management_key = test_card.management_key_hex();
        write("management-key", &format!("{management_key}\n"));
        write("pin", &format!("{FACTORY_PIN}\n"));
        Self { test_card }
    }

    fn folder(&self) -> &Path {
        self.test_card.folder()
    }

    fn file(&self, name: &str) -> String {
        self.folder().join(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Tool(&self.test_card).command(arguments).current_dir(self.folder()).output().unwrap()
    }

    /// With the management key.
    fn manage(&self, arguments: &[&str]) -> Output {
        self.run(&[arguments, &["--management-key-file", "management-key"]].concat())
    }

    /// With the PIN.
    fn identified(&self, arguments: &[&str]) -> Output {
        self.run(&[arguments, &["--pin-file", "pin"]].concat())
    }

    fn generate(&self, key: &str, algorithm: &str) -> PathBuf {
        let name = format!("{key}.pub");
        done(&self.manage(&["generate", key, "--algorithm", algorithm, "--output", &name]));
        self.folder().join(name)
    }

    fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        openssl(self.folder(), arguments)
    }

    fn activated(self) -> Self {
        done(&self.run(&["change-pin", "--already-changed"]));
        self
    }
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    stdout(output)
}

fn refused(output: &Output, word: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
    let text = stderr(output);
    assert!(text.contains(word) && text.lines().count() <= 2, "{word} is not in:\n{text}");
}

/// RFC 2986; the whole way of a certificate, on any card: key, request, certificate, use.
#[test]
fn a_key_is_made_requested_certified_and_used() {
    for (kind, algorithm, digest) in [
        (Kind::YubiKey57, "rsa3072", "-sha256"),
        (Kind::YubiKey57, "p384", "-sha384"),
        (Kind::Standard, "p256", "-sha256"),
        (Kind::Standard, "rsa2048", "-sha256"),
    ] {
        let desk = Desk::new(kind).activated();
        desk.generate("9C", algorithm);
        let request =
            ["request", "9C", "--subject", "CN=Alice Archer,O=Example", "--mail", "alice@example.org"];
        let more = ["--dns", "alice.example.org", "--public-key", "9C.pub", "--output", "alice.csr"];
        done(&desk.identified(&[&request[..], &more].concat()));
        let shown = desk.openssl(&["req", "-in", "alice.csr", "-noout", "-text", "-verify"]);
        let shown = String::from_utf8(shown).unwrap();
        for word in ["CN = Alice Archer", "email:alice@example.org", "DNS:alice.example.org"] {
            assert!(shown.contains(word), "{word} is not in {shown}");
        }
        certify(&desk, "alice.csr", "alice.pem");
        done(&desk.manage(&["import", "9C", "alice.pem"]));
        let listed = done(&desk.run(&["certificates", "9C"]));
        assert!(listed.contains("Alice Archer"), "{listed}");

        std::fs::write(desk.folder().join("notice"), "what is signed".repeat(1000)).unwrap();
        done(&desk.identified(&["sign", "9C", "notice", "--output", "signature"]));
        desk.openssl(&["dgst", digest, "-verify", "9C.pub", "-signature", "signature", "notice"]);
        // Standard output takes the signature as it is, and --json takes it in hex.
        let bare = desk.identified(&["sign", "9C", "notice", "--hash", "sha512"]);
        std::fs::write(desk.folder().join("signature"), &bare.stdout).unwrap();
        desk.openssl(&["dgst", "-sha512", "-verify", "9C.pub", "-signature", "signature", "notice"]);
        let json: Value =
            serde_json::from_str(&done(&desk.identified(&["sign", "9C", "notice", "--json"]))).unwrap();
        let signature = hex::decode(json["signature"].as_str().unwrap()).unwrap();
        std::fs::write(desk.folder().join("signature"), signature).unwrap();
        desk.openssl(&["dgst", digest, "-verify", "9C.pub", "-signature", "signature", "notice"]);
    }
}

fn certify(desk: &Desk, request: &str, certificate: &str) {
    let authority = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    desk.openssl(
        &[&authority[..], &["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA"]].concat(),
    );
    desk.openssl(&["x509", "-req", "-in", request, "-CA", "ca.pem", "-CAkey", "ca.key", "-out", certificate]);
}

#[test]
fn pss_and_ed25519_signatures_are_those_of_openssl() {
    let desk = Desk::new(Kind::YubiKey57).activated();
    std::fs::write(desk.folder().join("notice"), "what is signed").unwrap();
    desk.generate("9A", "rsa2048");
    done(&desk.identified(&["sign", "9A", "notice", "--pss", "--output", "signature"]));
    let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"];
    let verify = ["dgst", "-sha256", "-verify", "9A.pub", "-signature", "signature"];
    desk.openssl(&[&verify[..], &pss, &["notice"]].concat());

    desk.generate("9E", "ed25519");
    // 9E wants no PIN, so none is asked for.
    done(&desk.run(&["sign", "9E", "notice", "--output", "signature"]));
    let verify = ["pkeyutl", "-verify", "-pubin", "-inkey", "9E.pub", "-rawin", "-in", "notice"];
    desk.openssl(&[&verify[..], &["-sigfile", "signature"]].concat());
    refused(&desk.run(&["sign", "9E", "notice", "--pss"]), "--pss is for RSA keys");
    // An empty challenge is a question to the card.
    std::fs::write(desk.folder().join("notice"), "").unwrap();
    refused(&desk.run(&["sign", "9E", "notice"]), "sign nothing at all");
    std::fs::write(desk.folder().join("long"), vec![0; 5000]).unwrap();
    refused(&desk.run(&["sign", "9E", "long", "--output", "signature"]), "at most");
}

#[test]
fn ciphertexts_are_decrypted_and_secrets_agreed() {
    let desk = Desk::new(Kind::YubiKey57);
    std::fs::write(desk.folder().join("key"), "a content-encryption key").unwrap();
    desk.generate("9D", "rsa2048");
    let encrypt = ["pkeyutl", "-encrypt", "-pubin", "-inkey", "9D.pub", "-in", "key", "-out", "encrypted"];
    let oaep = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"];
    desk.openssl(&encrypt);
    assert_eq!(desk.identified(&["decrypt", "9D", "encrypted"]).stdout, b"a content-encryption key");
    desk.openssl(&[&encrypt[..], &oaep].concat());
    let decrypt = ["decrypt", "9D", "encrypted", "--oaep", "sha256", "--output", "decrypted"];
    done(&desk.identified(&decrypt));
    assert_eq!(std::fs::read(desk.folder().join("decrypted")).unwrap(), b"a content-encryption key");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(desk.folder().join("decrypted")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    refused(&desk.identified(&["decrypt", "9D", "encrypted"]), "decryption failed");
    refused(&desk.identified(&["decrypt", "9D", "key"]), "24 bytes");

    for (key, algorithm, options) in [
        ("82", "p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"][..]),
        ("83", "x25519", &["-algorithm", "X25519"]),
    ] {
        let public_key = desk.generate(key, algorithm).display().to_string();
        desk.openssl(&[&["genpkey"], options, &["-out", "peer.key"]].concat());
        desk.openssl(&["pkey", "-in", "peer.key", "-pubout", "-out", "peer.pub"]);
        let expected = desk.openssl(&["pkeyutl", "-derive", "-inkey", "peer.key", "-peerkey", &public_key]);
        assert_eq!(desk.identified(&["decrypt", key, "--peer", "peer.pub"]).stdout, expected, "{algorithm}");
    }
    refused(&desk.identified(&["decrypt", "82", "--peer", "9D.pub"]), "no good point");
}

#[test]
fn a_transport_pin_does_not_sign() {
    let desk = Desk::new(Kind::YubiKey57);
    desk.generate("9C", "p256");
    refused(&desk.identified(&["sign", "9C", "pin"]), "card change-pin --already-changed");
    let desk = desk.activated();
    done(&desk.identified(&["sign", "9C", "pin", "--output", "signature"]));
}

#[test]
fn keys_are_not_destroyed_unasked() {
    let desk = Desk::new(Kind::YubiKey57);
    let first = std::fs::read(desk.generate("9A", "p256")).unwrap();
    refused(&desk.manage(&["generate", "9A"]), "--replace");
    done(&desk.manage(&["generate", "9A", "--replace", "--output", "again.pub"]));
    assert_ne!(std::fs::read(desk.folder().join("again.pub")).unwrap(), first);
    desk.openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "file.key"]);
    refused(&desk.manage(&["import", "9A", "file.key"]), "--replace");
    done(&desk.manage(&["import", "9A", "file.key", "--replace"]));
}

/// PKCS#8, plain and encrypted, with and without its certificate.
/// What a card of the standard has generated it shows once.
#[test]
fn a_key_is_not_generated_where_its_public_half_cannot_be_written() {
    let desk = Desk::new(Kind::Standard);
    let before = desk.generate("9A", "p256");
    let before = std::fs::read(before).unwrap();
    std::fs::write(desk.folder().join("notice"), "what is signed").unwrap();
    for (output, word) in [("nowhere/9A.pub", "nowhere/9A.pub: "), ("9A.pub/x", "9A.pub/x: "), (".", ".: ")] {
        refused(&desk.manage(&["generate", "9A", "--replace", "--output", output]), word);
    }
    assert_eq!(std::fs::read(desk.folder().join("9A.pub")).unwrap(), before);
    let desk = desk.activated();
    let sign = ["sign", "9A", "notice", "--public-key", "9A.pub", "--output", "signature"];
    done(&desk.identified(&sign));
    desk.openssl(&["dgst", "-sha256", "-verify", "9A.pub", "-signature", "signature", "notice"]);
    refused(&desk.identified(&["sign", "9A", ".", "--public-key", "9A.pub"]), ".: ");
}

/// `--output /dev/stdout` writes there; it does not put a file in its place.
#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_written_to_and_stays() {
    let desk = Desk::new(Kind::YubiKey57);
    let (link, pipe) = (desk.folder().join("link"), desk.folder().join("pipe"));
    std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let shown = done(&desk.manage(&["generate", "9A", "--output", "link"]));
    assert!(shown.starts_with("-----BEGIN PUBLIC KEY-----"), "{shown}");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap())
    };
    done(&desk.manage(&["generate", "9C", "--output", "pipe"]));
    assert!(reader.join().unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
    assert!(!std::fs::symlink_metadata(&pipe).unwrap().is_file());
}

#[test]
fn keys_and_certificates_come_from_pem_files() {
    let desk = Desk::new(Kind::YubiKey57).activated();
    for (key, options) in [
        ("82", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
        ("83", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("84", &["-algorithm", "ED25519"]),
        ("85", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"]),
    ] {
        desk.openssl(&[&["genpkey"], options, &["-out", "file.key"]].concat());
        desk.openssl(&["pkey", "-in", "file.key", "-pubout", "-out", "file.pub"]);
        let self_signed =
            ["req", "-x509", "-new", "-key", "file.key", "-subj", "/CN=Bob", "-out", "file.crt"];
        desk.openssl(&self_signed);
        let encrypt =
            ["pkcs8", "-topk8", "-in", "file.key", "-passout", "pass:secret", "-out", "encrypted.key"];
        desk.openssl(&encrypt);
        let both = ["encrypted.key", "file.crt", "file.crt"]
            .map(|name| std::fs::read(desk.folder().join(name)).unwrap());
        std::fs::write(desk.folder().join("both.pem"), both.concat()).unwrap();
        std::fs::write(desk.folder().join("passphrase"), "wrong\n").unwrap();
        let import = ["import", key, "both.pem", "--passphrase-file", "passphrase"];
        refused(&desk.manage(&import), "wrong passphrase");
        std::fs::write(desk.folder().join("passphrase"), "secret\n").unwrap();
        let said = done(&desk.manage(&import));
        assert!(said.contains("private key and its certificate"), "{said}");
        std::fs::write(desk.folder().join("text"), "what is signed").unwrap();
        let signed = desk.identified(&["sign", key, "text", "--output", "signature"]);
        done(&signed);
        let public_key = done(&desk.run(&["certificates", key, "--pem"]));
        std::fs::write(desk.folder().join("read.crt"), public_key).unwrap();
        assert_eq!(
            desk.openssl(&["x509", "-in", "read.crt", "-noout", "-pubkey"]),
            std::fs::read(desk.file("file.pub")).unwrap()
        );
    }
}

#[test]
fn files_that_do_not_fit_are_named_and_change_nothing() {
    let desk = Desk::new(Kind::YubiKey57);
    desk.generate("9A", "p256");
    desk.openssl(&[
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "a.key", "-subj", "/CN=A", "-out",
        "a.crt",
    ]);
    desk.openssl(&["genpkey", "-algorithm", "ED25519", "-out", "b.key"]);
    desk.openssl(&[
        "pkcs12", "-export", "-in", "a.crt", "-inkey", "a.key", "-passout", "pass:x", "-out", "a.p12",
    ]);
    desk.openssl(&["rsa", "-in", "a.key", "-traditional", "-out", "old.key"]);
    let both = ["a.crt", "b.key"].map(|name| std::fs::read(desk.folder().join(name)).unwrap());
    std::fs::write(desk.folder().join("mixed.pem"), both.concat()).unwrap();
    std::fs::write(desk.folder().join("empty"), "").unwrap();
    refused(&desk.manage(&["import", "9A", "a.crt"]), "another key");
    refused(&desk.manage(&["import", "9C", "mixed.pem"]), "does not belong");
    refused(&desk.manage(&["import", "9C", "a.p12"]), "openssl pkcs12");
    refused(&desk.manage(&["import", "9C", "old.key"]), "openssl pkcs8");
    refused(&desk.manage(&["import", "9C", "empty"]), "neither a certificate");
    refused(&desk.manage(&["import", "9C", "missing"]), "missing");
    let keys = done(&desk.run(&["status", "--json"]));
    let keys: Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    // The right certificate for the key that is there.
    let request = ["request", "9A", "--subject", "CN=A", "--output", "a.csr"];
    done(&desk.identified(&request));
    certify(&desk, "a.csr", "a.crt");
    done(&desk.manage(&["import", "9A", "a.crt"]));
}

#[test]
fn an_attestation_leads_to_the_makers_root_or_is_not_trusted() {
    let desk = Desk::new(Kind::YubiKey57);
    desk.generate("9C", "p384");
    let path = desk.test_card.path();
    let state: card_sim::piv::state::CardState =
        image::decode(&std::fs::read(&path).unwrap(), &path).unwrap();
    let root =
        der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, &state.attestation_root.unwrap());
    std::fs::write(desk.folder().join("root.pem"), root.unwrap()).unwrap();
    let said = done(&desk.run(&["attest", "9C", "--root", "root.pem"]));
    for word in ["9C was generated on the card.", "P-384", "12345678", "5.7", "always", "leads to a root"] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    let said = done(&desk.run(&["attest", "9C"]));
    assert!(said.contains("--root FILE"), "{said}");

    // openssl follows the same chain.
    std::fs::write(desk.folder().join("chain.pem"), done(&desk.run(&["attest", "9C", "--pem"]))).unwrap();
    desk.openssl(&["verify", "-CAfile", "root.pem", "-untrusted", "chain.pem", "chain.pem"]);

    let authority = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    desk.openssl(&[&authority[..], &["-keyout", "x.key", "-out", "x.pem", "-subj", "/CN=Somebody"]].concat());
    let output = desk.run(&["attest", "9C", "--root", "x.pem", "--json"]);
    assert_eq!(output.status.code(), Some(4));
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "not-trusted");

    desk.openssl(&["genpkey", "-algorithm", "ED25519", "-out", "file.key"]);
    done(&desk.manage(&["import", "82", "file.key"]));
    refused(&desk.run(&["attest", "82"]), "imported");
    refused(&desk.run(&["attest", "9A"]), "no key 9A");
}

#[test]
fn keys_move_and_go_with_their_certificates() {
    let desk = Desk::new(Kind::YubiKey57);
    desk.generate("9D", "p256");
    done(&desk.identified(&["request", "9D", "--subject", "CN=A", "--output", "a.csr"]));
    certify(&desk, "a.csr", "a.crt");
    done(&desk.manage(&["import", "9D", "a.crt"]));
    done(&desk.manage(&["move", "9D", "82"]));
    let keys = |desk: &Desk| -> Vec<String> {
        let list: Value = serde_json::from_str(&done(&desk.run(&["status", "--json"]))).unwrap();
        list["keys"].as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&desk), ["82"]);
    desk.generate("9D", "p256");
    refused(&desk.manage(&["move", "9D", "82"]), "there is a key at 82");
    refused(&desk.manage(&["move", "9A", "83"]), "no key 9A");
    done(&desk.manage(&["delete", "82"]));
    assert_eq!(keys(&desk), ["9D"]);
    refused(&desk.manage(&["delete", "82"]), "no key 82");
}

#[test]
fn tries_are_set_and_the_factorys_pin_is_back() {
    let desk = Desk::new(Kind::YubiKey57).activated();
    std::fs::write(desk.folder().join("pins"), "123456\n654321\n").unwrap();
    done(&desk.run(&["change-pin", "--pin-file", "pins"]));
    std::fs::write(desk.folder().join("pin"), "654321\n").unwrap();
    let output = desk.manage(&["set-retries", "5", "7", "--pin-file", "pin"]);
    assert!(done(&output).contains("card change-pin and card change-puk"));
    let status: Value = serde_json::from_str(&done(&desk.run(&["status", "--json"]))).unwrap();
    assert_eq!((&status["pin"]["tries_left"], &status["puk"]["tries_left"]), (&5.into(), &7.into()));
    assert_eq!(status["transport_pin_changed"], false);
    verify(&mut desk.test_card.open(), FACTORY_PIN, LastTry::Refuse).unwrap();
    assert_eq!(desk.manage(&["set-retries", "0", "3"]).status.code(), Some(2));
}

#[test]
fn the_puk_and_the_management_key_are_changed() {
    let desk = Desk::new(Kind::YubiKey57);
    std::fs::write(desk.folder().join("puks"), "12345678\n87654321\n").unwrap();
    done(&desk.run(&["change-puk", "--pin-file", "puks"]));
    refused(&desk.run(&["change-puk", "--pin-file", "puks"]), "wrong PUK, 2 tries left");
    std::fs::write(desk.folder().join("unblock"), "87654321\n246810\n").unwrap();
    done(&desk.run(&["unblock", "--pin-file", "unblock"]));
    std::fs::write(desk.folder().join("puks"), "87654321\n87654321\n").unwrap();
    refused(&desk.run(&["change-puk", "--pin-file", "puks"]), "the old one");

    std::fs::write(desk.folder().join("new"), format!("{}\n", "5A".repeat(32))).unwrap();
    let change = ["change-management-key", "--algorithm", "aes256", "--new-management-key-file", "new"];
    done(&desk.manage(&change));
    refused(&desk.manage(&["generate", "9A"]), "32 bytes");
    std::fs::write(desk.folder().join("management-key"), "not hex\n").unwrap();
    refused(&desk.manage(&["generate", "9A"]), "hexadecimal");
    std::fs::rename(desk.folder().join("new"), desk.folder().join("management-key")).unwrap();
    desk.generate("9A", "p256");
}

#[test]
fn a_reset_is_confirmed_and_leaves_a_blank_card() {
    let desk = Desk::new(Kind::YubiKey57).activated();
    desk.generate("9A", "p256");
    refused(&desk.run(&["reset"]), "not confirmed");
    assert!(done(&desk.run(&["reset", "--yes"])).contains("12345678 is blank"));
    let status: Value = serde_json::from_str(&done(&desk.run(&["status", "--json"]))).unwrap();
    assert_eq!(status["keys"].as_array().unwrap().len(), 0);
    assert_eq!(status["pin"]["tries_left"], 3);
    assert_eq!(status["transport_pin_changed"], false);
}

/// SP 800-73-5 has none of them.
#[test]
fn what_a_standard_card_cannot_do_is_refused_by_name() {
    let desk = Desk::new(Kind::Standard);
    desk.openssl(&["genpkey", "-algorithm", "ED25519", "-out", "file.key"]);
    std::fs::write(desk.folder().join("new"), format!("{}\n", "5A".repeat(32))).unwrap();
    for (arguments, word) in [
        (&["import", "9A", "file.key"][..], "import a private key"),
        (&["move", "9D", "82"], "move a key"),
        (&["delete", "9D"], "delete a key"),
        (&["change-management-key", "--new-management-key-file", "new"], "change its management key"),
        (&["set-retries", "5", "5", "--pin-file", "pin"], "set the tries"),
        (&["generate", "9A", "--touch-policy", "always"], "policy"),
        (&["generate", "9A", "--algorithm", "ed25519"], "Ed25519"),
        (&["generate", "82"], "in 82"),
    ] {
        let output = desk.manage(arguments);
        refused(&output, word);
        assert!(stderr(&output).contains("the card cannot do this"), "{}", stderr(&output));
    }
    refused(&desk.run(&["attest", "9A"]), "attest");
    refused(&desk.run(&["reset", "--yes"]), "reset");
    verify(&mut desk.test_card.open(), FACTORY_PIN, LastTry::Refuse).unwrap();
    refused(&desk.identified(&["request", "9A", "--subject", "CN=A"]), "--public-key FILE");
}

#[test]
fn certificates_alone_are_deleted_from_any_card() {
    let desk = Desk::new(Kind::Standard);
    let mut card = desk.test_card.open();
    desk.test_card.issue(&mut card, KeyReference::CardAuthentication, KeyAlgorithm::P256);
    drop(card);
    done(&desk.manage(&["delete", "9E", "--certificate-only"]));
    refused(&desk.run(&["certificates", "9E"]), "no certificate for key 9E");
}

#[test]
fn configure_prints_lines_with_the_modules_place() {
    let desk = Desk::new(Kind::Standard);
    let module = desk.folder().canonicalize().unwrap().join("module.so");
    std::fs::write(&module, "").unwrap();
    let path = module.display().to_string();
    for (client, word) in [
        ("p11-kit", format!("module: {path}\n")),
        ("openssl", format!("MODULE_PATH = {path}\n")),
        ("nss", format!("-libfile {path} -force")),
        ("firefox", path.clone()),
        ("thunderbird", path.clone()),
        ("chromium", path.clone()),
        ("ssh", format!("PKCS11Provider {path}\n")),
        ("gnutls", format!("--provider {path}")),
    ] {
        let said = done(&desk.run(&["configure", client, "--module", &path]));
        assert!(said.contains(&word), "{word} is not in {said}");
    }
    refused(&desk.run(&["configure", "ssh", "--module", "/nonexistent/module.so"]), "/nonexistent/module.so");
    assert_eq!(desk.run(&["configure", "lynx"]).status.code(), Some(2));
    let json: Value =
        serde_json::from_str(&done(&desk.run(&["configure", "ssh", "--module", &path, "--json"]))).unwrap();
    assert_eq!((json["client"].as_str(), json["module"].as_str()), (Some("ssh"), Some(path.as_str())));
}

#[test]
fn every_command_has_help_with_an_example() {
    let desk = Desk::new(Kind::Standard);
    let nonsense = desk.run(&["request", "9A", "--subject", "nonsense"]);
    assert!(
        nonsense.status.code() == Some(2) && stderr(&nonsense).contains("CN=Alice"),
        "{}",
        stderr(&nonsense)
    );
    let help = done(&desk.run(&["--help"]));
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|word| *word != "help")
        .collect();
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands {
        let help = done(&desk.run(&[command, "--help"]));
        assert!(help.contains("Example"), "{command}: {help}");
    }
}
