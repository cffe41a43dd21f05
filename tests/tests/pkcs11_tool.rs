//! OpenSC's and GnuTLS's tools use a card through our PKCS#11 module and pcscd.

use std::fs;

use anyhow::Result;
use sealwright_tests::at_reader::YUBIKEY_MANAGEMENT_KEY;
use sealwright_tests::card::{CardFile, FACTORY_PIN};
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::pkcs11::{Clients, FACTORY_MANAGEMENT_KEY, FACTORY_PUK};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;
use sealwright_tests::{foreign_card, openssl};

#[test]
fn pkcs11_tool_lists_tests_and_uses_an_issued_p256_card() -> Result<()> {
    lists_tests_and_uses_an_issued_card("p256")
}

#[test]
fn pkcs11_tool_lists_tests_and_uses_an_issued_rsa_card() -> Result<()> {
    lists_tests_and_uses_an_issued_card("rsa2048")
}

fn lists_tests_and_uses_an_issued_card(algorithm: &str) -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", algorithm)?;
    let clients = Clients::new(&pcscd, world.folder())?;

    let slots = clients.pkcs11_tool().arg("--list-slots").ok()?;
    for part in
        ["token label        : PIV card", "login required", "PIN initialized", "pin min/max        : 6/8"]
    {
        assert!(slots.out().contains(part), "{part}: {slots}");
    }
    assert!(!slots.out().contains("PIN count low"), "{slots}");
    let mechanisms = clients.pkcs11_tool().arg("--list-mechanisms").ok()?;
    for part in
        ["SHA256-RSA-PKCS-PSS", "RSA-PKCS-OAEP", "ECDSA-SHA384", "ECDH1-COFACTOR-DERIVE", "EDDSA", "SHA512"]
    {
        assert!(mechanisms.out().contains(part), "{part}: {mechanisms}");
    }
    // Without login: everything public, and the key that asks for no PIN.
    let public = clients.pkcs11_tool().arg("--list-objects").ok()?;
    let counts = ["Certificate Object", "Public Key Object", "Private Key Object"];
    assert_eq!(counts.map(|what| public.out().matches(what).count()), [4, 4, 1], "{public}");
    let all = clients.logged_in(&alice.pin).arg("--list-objects").ok()?;
    assert_eq!(counts.map(|what| all.out().matches(what).count()), [4, 4, 4], "{all}");
    assert_eq!(all.out().matches("always authenticate").count(), 1, "{all}");
    for words in ["Private key for Digital Signature", "Certificate for PIV Authentication"] {
        assert!(all.out().contains(words), "{all}");
    }
    let tested = clients.logged_in(&alice.pin).arg("--test").ok()?;
    assert!(tested.out().contains("No errors"), "{tested}");
    let forked = clients.pkcs11_tool().arg("--test-fork").ok()?;
    assert!(forked.text().contains("forked child process"), "{forked}");

    let is_rsa = algorithm == "rsa2048";
    for id in ["01", "02", "04"] {
        signs(&clients, id, &alice.pin, is_rsa)?;
    }
    if is_rsa {
        decrypts(&clients, "03", &alice.pin)
    } else {
        derives(&clients, "03", "prime256v1", &alice.pin)
    }
}

/// OpenSC's tool signs through our module, hashing there and here; OpenSSL checks.
fn signs(clients: &Clients<'_>, id: &str, pin: &str, is_rsa: bool) -> Result<()> {
    fs::write(clients.path("data"), "what is signed")?;
    clients.export_public_key(id, "signer.pub")?;
    let hashed =
        if is_rsa { &["SHA256-RSA-PKCS", "SHA384-RSA-PKCS"][..] } else { &["ECDSA-SHA256", "ECDSA-SHA384"] };
    for (mechanism, hash) in hashed.iter().zip(["-sha256", "-sha384"]) {
        let sign = clients.logged_in(pin).args(["--sign", "--id", id, "--mechanism", mechanism]);
        let sign = sign.args(["--signature-format", "openssl", "--input-file", "data"]);
        sign.args(["--output-file", "signature"]).ok()?;
        let verify = || {
            clients.run("openssl").args(["dgst", hash, "-verify", "signer.pub", "-signature", "signature"])
        };
        assert!(verify().arg("data").ok()?.out().contains("Verified OK"), "{mechanism}");
        verify().arg("signer.pub").fails_with(1)?;
    }
    if is_rsa {
        let sign = clients.logged_in(pin).args(["--sign", "--id", id, "--mechanism", "SHA256-RSA-PKCS-PSS"]);
        sign.args(["--input-file", "data", "--output-file", "signature"]).ok()?;
        let verify = clients.run("openssl").args(["dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss"]);
        let verified = verify.args(["-verify", "signer.pub", "-signature", "signature", "data"]).ok()?;
        assert!(verified.out().contains("Verified OK"), "{verified}");
    }
    Ok(())
}

/// OpenSSL encrypts, OpenSC's tool decrypts through our module.
fn decrypts(clients: &Clients<'_>, id: &str, pin: &str) -> Result<()> {
    clients.export_public_key(id, "reader.pub")?;
    fs::write(clients.path("secret"), "a content key")?;
    let paddings: [(&str, &[&str], &[&str]); 2] = [
        ("RSA-PKCS", &["-pkeyopt", "rsa_padding_mode:pkcs1"], &[]),
        (
            "RSA-PKCS-OAEP",
            &[
                "-pkeyopt",
                "rsa_padding_mode:oaep",
                "-pkeyopt",
                "rsa_oaep_md:sha256",
                "-pkeyopt",
                "rsa_mgf1_md:sha256",
            ],
            &["--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256"],
        ),
    ];
    for (mechanism, padding, options) in paddings {
        let encrypt = clients.run("openssl").args(["pkeyutl", "-encrypt", "-pubin", "-inkey", "reader.pub"]);
        encrypt.args(padding).args(["-in", "secret", "-out", "encrypted"]).ok()?;
        let decrypt =
            clients.logged_in(pin).args(["--decrypt", "--id", id, "--mechanism", mechanism]).args(options);
        decrypt.args(["--input-file", "encrypted", "--output-file", "decrypted"]).ok()?;
        assert_eq!(fs::read_to_string(clients.path("decrypted"))?, "a content key", "{mechanism}");
    }
    Ok(())
}

/// OpenSC's tool agrees with a key of OpenSSL's through our module; OpenSSL agrees from the other side.
fn derives(clients: &Clients<'_>, id: &str, curve: &str, pin: &str) -> Result<()> {
    clients.export_public_key(id, "reader.pub")?;
    let generate =
        clients.run("openssl").args(["ecparam", "-name", curve, "-genkey", "-noout", "-out", "peer.key"]);
    generate.ok()?;
    let public = clients.run("openssl").args(["pkey", "-in", "peer.key", "-pubout", "-outform", "DER"]);
    public.args(["-out", "peer.der"]).ok()?;
    let derive = clients.logged_in(pin).args(["--derive", "--id", id, "--mechanism", "ECDH1-DERIVE"]);
    derive.args(["--input-file", "peer.der", "--output-file", "derived"]).ok()?;
    let other =
        clients.run("openssl").args(["pkeyutl", "-derive", "-inkey", "peer.key", "-peerkey", "reader.pub"]);
    other.args(["-out", "expected"]).ok()?;
    assert_eq!(fs::read(clients.path("derived"))?, fs::read(clients.path("expected"))?);
    Ok(())
}

#[test]
fn pkcs11_tool_makes_and_uses_keys_of_every_algorithm() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 2)?;
    let card = CardFile::yubikey(world.folder(), "blank", "5.7", 5_700_002)?;
    let _inserted = pcscd.insert(0, &card.state)?;
    let clients = Clients::new(&pcscd, world.folder())?;

    clients.personalise("01", "EC:secp384r1", "p384")?;
    signs(&clients, "01", FACTORY_PIN, false)?;
    derives(&clients, "01", "secp384r1", FACTORY_PIN)?;
    clients.personalise("03", "rsa:3072", "rsa3072")?;
    signs(&clients, "03", FACTORY_PIN, true)?;
    decrypts(&clients, "03", FACTORY_PIN)?;

    // A key from outside, in a retired key's place, where no certificate tells of it.
    let outside = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"];
    clients.run("openssl").args(outside).args(["-out", "outside.key"]).ok()?;
    let import =
        |login: Run| login.args(["--write-object", "outside.key", "--type", "privkey", "--id", "05"]);
    import(clients.logged_in(FACTORY_PIN)).fails_with(1)?;
    import(clients.officer(FACTORY_MANAGEMENT_KEY)).ok()?;
    signs(&clients, "05", FACTORY_PIN, true)?;
    decrypts(&clients, "05", FACTORY_PIN)?;

    // OpenSSL 3.0 has no Ed25519 in its engine, which from now on finds no public key at all (libp11: "Unable to enumerate
    // public keys"); it verifies with the key that OpenSC's tool shows.
    let generated = clients
        .officer(FACTORY_MANAGEMENT_KEY)
        .args(["--keypairgen", "--key-type", "EC:edwards25519", "--id", "02"])
        .ok()?;
    let shown = generated.out();
    // The key's 32 bytes in an OCTET STRING.
    let key =
        shown.lines().find_map(|line| line.trim().strip_prefix("EC_POINT:")?.trim().strip_prefix("0420"));
    let key = hex::decode(key.unwrap_or_default())?;
    assert_eq!(key.len(), 32, "{generated}");
    let information = [hex::decode("302a300506032b6570032100")?, key].concat();
    fs::write(clients.path("ed25519.pub.der"), information)?;
    fs::write(clients.path("data"), "what is signed")?;
    let sign = clients.logged_in(FACTORY_PIN).args(["--sign", "--id", "02", "--mechanism", "EDDSA"]);
    sign.args(["--input-file", "data", "--output-file", "signature"]).ok()?;
    let verify = clients.run("openssl").args(["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER"]);
    let verify = verify.args(["-inkey", "ed25519.pub.der", "-sigfile", "signature", "-in", "data"]);
    assert!(verify.ok()?.text().contains("Signature Verified Successfully"));

    // What was made is taken away again, and only whoever has the management key may do that.
    let delete = |login: Run| login.args(["--delete-object", "--type", "cert", "--id", "01"]);
    delete(clients.logged_in(FACTORY_PIN)).fails_with(1)?;
    delete(clients.officer(FACTORY_PUK)).fails_with(1)?;
    delete(clients.officer(FACTORY_MANAGEMENT_KEY)).ok()?;
    let certificates = clients.pkcs11_tool().args(["--list-objects", "--type", "cert"]).ok()?;
    assert_eq!(certificates.out().matches("Certificate Object").count(), 1, "{certificates}");
    Ok(())
}

#[test]
fn pkcs11_tool_changes_blocks_and_unblocks_the_pin() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 2)?;
    let card = CardFile::yubikey(world.folder(), "blank", "5.7", 5_700_001)?;
    let _inserted = pcscd.insert(0, &card.state)?;
    let clients = Clients::new(&pcscd, world.folder())?;

    let flags = || -> Result<String> {
        let listed = clients.pkcs11_tool().arg("--list-slots").ok()?.out();
        Ok(listed.lines().find(|line| line.contains("token flags")).unwrap_or_default().to_owned())
    };
    clients.logged_in(FACTORY_PIN).args(["--change-pin", "--new-pin", "271828"]).ok()?;
    let list = |pin: &str| clients.logged_in(pin).arg("--list-objects");
    list("271828").ok()?;
    assert!(!flags()?.contains("PIN count low"), "{}", flags()?);
    for expected in ["user PIN count low", "final user PIN try", "user PIN locked"] {
        let refused = list("999999").fails_with(1)?;
        let code = if expected == "user PIN locked" { "CKR_PIN_LOCKED" } else { "CKR_PIN_INCORRECT" };
        assert!(refused.text().contains(code), "{refused}");
        assert!(flags()?.contains(expected), "{expected}: {}", flags()?);
    }
    assert!(list("271828").fails_with(1)?.text().contains("CKR_PIN_LOCKED"));

    let wrong = clients.officer("00000000").args(["--init-pin", "--new-pin", "161803"]).fails_with(1)?;
    assert!(wrong.text().contains("CKR_PIN_INCORRECT"), "{wrong}");
    clients.officer(FACTORY_PUK).args(["--init-pin", "--new-pin", "161803"]).ok()?;
    list("161803").ok()?;
    assert!(!flags()?.contains("locked"), "{}", flags()?);
    clients.officer(FACTORY_PUK).args(["--change-pin", "--new-pin", "87654321"]).ok()?;
    clients.officer("87654321").args(["--init-pin", "--new-pin", "141421"]).ok()?;
    list("141421").ok()?;
    // The management key is no PUK.
    clients.officer(FACTORY_MANAGEMENT_KEY).args(["--init-pin", "--new-pin", "333333"]).fails_with(1)?;
    list("141421").ok()?;
    Ok(())
}

#[test]
fn gnutls_lists_signs_and_verifies() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    for (reader, (name, algorithm)) in [("alice", "p256"), ("bob", "rsa2048")].into_iter().enumerate() {
        let (person, _, inserted) = world.person_at_reader(&pcscd, reader, name, algorithm)?;
        let clients = Clients::new(&pcscd, world.folder())?;
        let p11tool =
            || clients.run("p11tool").arg("--provider").arg(clients.module()).env("GNUTLS_PIN", &person.pin);
        let urls = p11tool().arg("--list-token-urls").ok()?.out();
        let url = urls.lines().find(|line| line.contains("token=PIV")).unwrap_or_default().to_owned();
        let certificates = p11tool().args(["--list-all-certs", &url]).ok()?;
        assert_eq!(certificates.out().matches("Type: X.509 Certificate").count(), 4, "{certificates}");
        let all = p11tool().args(["--login", "--list-all", &url]).ok()?;
        assert_eq!(all.out().matches("Object ").count(), 12, "{all}");
        for id in ["01", "02", "04"] {
            let key = format!("{url};id=%{id};type=private");
            let tested = p11tool().args(["--login", "--test-sign", &key]).ok()?;
            assert!(tested.text().contains("Verifying against public key in the token... ok"), "{tested}");
        }
        fs::write(clients.path("template"), "cn = \"Alice\"\n")?;
        let request =
            clients.run("certtool").arg("--provider").arg(clients.module()).env("GNUTLS_PIN", &person.pin);
        let key = format!("{url};id=%01;type=private");
        let request = request.args(["--generate-request", "--load-privkey", &key, "--template", "template"]);
        request.args(["--outfile", "request.pem"]).ok()?;
        clients.run("openssl").args(["req", "-in", "request.pem", "-verify", "-noout"]).ok()?;
        inserted.remove()?;
        pcscd.wait_until_empty(reader)?;
    }
    Ok(())
}

/// A plain SP 800-73-5 card: no metadata, no import, a management key and a PUK of its own.
#[test]
fn pkcs11_tool_personalises_and_uses_a_standard_card() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 2)?;
    for (name, algorithm) in [
        ("82", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("83", ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ] {
        let generate = Run::new("openssl").args(["genpkey", "-algorithm"]).args(algorithm);
        generate.arg("-out").arg(world.path(name)).ok()?;
    }
    let retired = ["82", "83"].map(|name| format!("{name}={}", world.path(name).display()));
    let card =
        CardFile::standard_with(world.folder(), "card", &["--key", &retired[0], "--key", &retired[1]])?;
    let (management_key, puk) = (card.stock_value("management_key")?, card.stock_value("puk")?);
    let _inserted = pcscd.insert(0, &card.state)?;
    let clients = Clients::new(&pcscd, world.folder())?;
    let write = |name: &str, id: &str| -> Result<Run> {
        openssl::certify_public_key(&clients.path(""), &format!("{name}.pub"), &format!("{name}.pem"))?;
        let to_der = clients.run("openssl").args(["x509", "-in", &format!("{name}.pem"), "-outform", "DER"]);
        to_der.args(["-out", &format!("{name}.der")]).ok()?;
        let write = clients.officer(&management_key).args(["--write-object", &format!("{name}.der")]);
        Ok(write.args(["--type", "cert", "--id", id]))
    };

    // It has no metadata: who makes a key keeps its public half until its certificate is on the card.
    let reader = format!("pcsc:{}", pcscd.reader_name(0));
    fs::write(clients.path("management-key"), &management_key)?;
    for (key, algorithm, id) in [("9A", "p256", "01"), ("9C", "rsa2048", "02"), ("9D", "p256", "03")] {
        let generate = Run::new(program("card")?).envs([&pcscd.environment()]).folder(world.folder());
        let generate = generate.args(["generate", key, "--algorithm", algorithm, "--card", &reader]);
        let generate = generate.args(["--management-key-file", "management-key", "--output"]);
        generate.arg(format!("{key}.pub")).ok()?;
        write(key, id)?.ok()?;
    }
    signs(&clients, "01", FACTORY_PIN, false)?;
    signs(&clients, "02", FACTORY_PIN, true)?;
    derives(&clients, "03", "prime256v1", FACTORY_PIN)?;

    // Retired keys show with their certificates, and read old mail.
    for (name, id) in [("82", "05"), ("83", "06")] {
        let public = clients.run("openssl").args(["pkey", "-in", name, "-pubout", "-out"]);
        public.arg(format!("{name}.pub")).ok()?;
        write(name, id)?.ok()?;
    }
    let listed = clients.logged_in(FACTORY_PIN).arg("--list-objects").ok()?;
    assert_eq!(listed.out().matches("Private Key Object").count(), 5, "{listed}");
    decrypts(&clients, "05", FACTORY_PIN)?;
    derives(&clients, "06", "secp384r1", FACTORY_PIN)?;

    // What it has no command for is refused by name.
    let delete =
        clients.officer(&management_key).args(["--delete-object", "--type", "privkey", "--id", "01"]);
    // CKR_ACTION_PROHIBITED, which OpenSC's tool does not know by name.
    let refused = delete.fails_with(1)?;
    assert!(refused.text().contains("0x1b"), "{refused}");
    for _ in 0..3 {
        clients.logged_in("999999").arg("--list-objects").fails_with(1)?;
    }
    clients.officer(&puk).args(["--init-pin", "--new-pin", "161803"]).ok()?;
    signs(&clients, "01", "161803", false)
}

/// `ifd-jcecard` 0.2.0, which has no CHUID and uses no RSA keys and agrees on none (see `card_tool.rs`).
#[test]
fn pkcs11_tool_uses_a_card_that_nobody_here_wrote() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let driver = foreign_card::driver()?;
    let world = World::empty()?;
    let pcscd = Pcscd::start_with_driver(root, &world.servers_folder().join("pcscd"), 2, Some(&driver))?;
    let clients = Clients::new(&pcscd, world.folder())?;
    fs::write(clients.path("management-key"), YUBIKEY_MANAGEMENT_KEY)?;
    for (key, algorithm, id) in [("9A", "p256", "01"), ("9C", "p384", "02")] {
        let generate = Run::new(program("card")?).envs([&pcscd.environment()]).folder(world.folder());
        let generate = generate.args(["generate", key, "--algorithm", algorithm, "--management-key-file"]);
        let generate = generate.args(["management-key", "--output", "key.pub", "--card"]);
        generate.arg(format!("pcsc:{}", Pcscd::foreign_reader_name())).ok()?;
        openssl::certify_public_key(world.folder(), "key.pub", "key.pem")?;
        let to_der = clients.run("openssl").args(["x509", "-in", "key.pem", "-outform", "DER"]);
        to_der.args(["-out", "key.der"]).ok()?;
        let write = clients.officer(YUBIKEY_MANAGEMENT_KEY).args(["--write-object", "key.der"]);
        write.args(["--type", "cert", "--id", id]).ok()?;
        signs(&clients, id, FACTORY_PIN, false)?;
    }
    let listed = clients.logged_in(FACTORY_PIN).arg("--list-objects").ok()?;
    let counts = ["Certificate Object", "Public Key Object", "Private Key Object"];
    assert_eq!(counts.map(|what| listed.out().matches(what).count()), [2, 2, 2], "{listed}");

    let wrong = clients.logged_in("999999").arg("--list-objects").fails_with(1)?;
    assert!(wrong.text().contains("CKR_PIN_INCORRECT"), "{wrong}");
    let slots = clients.pkcs11_tool().arg("--list-slots").ok()?;
    assert!(slots.out().contains("user PIN count low"), "{slots}");
    clients.logged_in(FACTORY_PIN).args(["--change-pin", "--new-pin", "271828"]).ok()?;
    signs(&clients, "02", "271828", false)?;
    clients.officer(FACTORY_PUK).args(["--init-pin", "--new-pin", "161803"]).ok()?;
    signs(&clients, "01", "161803", false)
}
