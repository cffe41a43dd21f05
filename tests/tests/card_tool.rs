//! The tool `card` at real readers: cards that come and go, other programs at the same card, and a card that nobody here
//! wrote.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use sealwright_tests::at_reader::{AtReader, YUBIKEY_MANAGEMENT_KEY};
use sealwright_tests::card::CardFile;
use sealwright_tests::foreign_card;
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;
use serde_json::Value;

/// A program to talk with, line by line; it is killed at the end whatever happens.
struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Talk {
    fn with(arguments: &[&str], environment: &(String, std::ffi::OsString)) -> Result<Self> {
        let mut child = Command::new(program("card")?)
            .args(arguments)
            .env(&environment.0, &environment.1)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self { input: child.stdin.take(), output, child })
    }

    fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.input.as_mut().context("its input is open")?, "{line}")?;
        Ok(())
    }

    /// The next line, which must be one JSON value.
    fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "it ended");
        Ok(serde_json::from_str(&line)?)
    }

    fn ask(&mut self, line: &str) -> Result<Value> {
        self.say(line)?;
        self.hear()
    }

    fn end(mut self) -> Result<()> {
        self.input = None;
        ensure!(self.child.wait()?.success(), "it failed");
        Ok(())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SCardGetStatusChange, PC/SC Part 5.
#[test]
fn cards_are_told_of_as_they_come_and_go() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::empty()?;
    let alice = CardFile::yubikey(world.folder(), "alice", "5.7", 1001)?;
    let standard = CardFile::standard(world.folder(), "standard")?;
    let pcscd = world.pcscd(root, 2)?;
    let mut watch = Talk::with(&["list", "--watch", "--json"], &pcscd.environment())?;
    for reader in 0..2 {
        let event = watch.hear()?;
        assert_eq!(
            (event["event"].as_str(), event["reader"].as_str()),
            (Some("reader-added"), Some(pcscd.reader_name(reader).as_str()))
        );
    }
    let inserted = pcscd.insert(0, &alice.state)?;
    let event = watch.hear()?;
    assert_eq!((&event["event"], &event["serial"]), (&"card-inserted".into(), &1001.into()), "{event}");
    let second = pcscd.insert(1, &standard.state)?;
    let event = watch.hear()?;
    assert_eq!(event["reader"], pcscd.reader_name(1).as_str());
    assert!(event["serial"].is_null() && event["guid"].is_string(), "{event}");
    inserted.remove()?;
    assert_eq!(watch.hear()?["event"], "card-removed");
    pcscd.wait_until_empty(0)?;
    let again = pcscd.insert(0, &alice.state)?;
    assert_eq!(watch.hear()?["serial"], 1001);
    again.remove()?;
    second.remove()?;
    let events = [watch.hear()?, watch.hear()?];
    assert!(events.iter().all(|event| event["event"] == "card-removed"), "{events:?}");
    Ok(())
}

/// A shell that stays open shows what a foreign tool has just written, and asks the card no more than it must.
#[test]
fn what_a_foreign_program_writes_is_seen_by_who_has_read_before() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let reader = AtReader::yubikey(root, "5.4", "yes")?;
    let environment = reader.environment();
    let mut shell =
        Talk::with(&["shell", "--json", "--card", &format!("pcsc:{}", reader.reader())], &environment)?;
    assert_eq!(shell.ask("keys")?, serde_json::json!([]));
    for common_name in ["First", "Second"] {
        let tool = |arguments: &[&str]| {
            let key = format!("--key={YUBIKEY_MANAGEMENT_KEY}");
            let tool = reader.tool("yubico-piv-tool").args([&key, "--slot", "9a"]);
            tool.args(arguments).ok()
        };
        tool(&["--action", "generate", "--algorithm", "ECCP256", "--output", "9a.pub"])?;
        let before = shell.ask("keys")?;
        assert_eq!(before[0]["key"], "9A", "{before}");
        // Debian's own signing of certificates fails with every card; openssl's does not.
        let openssl = |arguments: &[&str]| reader.tool("openssl").args(arguments).ok();
        let authority = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        openssl(&[&authority[..], &["-keyout", "ca.key", "-subj", "/CN=CA", "-out", "ca.pem"]].concat())?;
        openssl(&[
            "req",
            "-new",
            "-key",
            "ca.key",
            "-subj",
            &format!("/CN={common_name}"),
            "-out",
            "9a.csr",
        ])?;
        let certify =
            ["x509", "-req", "-in", "9a.csr", "-force_pubkey", "9a.pub", "-CA", "ca.pem", "-CAkey", "ca.key"];
        openssl(&[&certify[..], &["-out", "9a.crt"]].concat())?;
        tool(&["--action", "import-certificate", "--input", "9a.crt"])?;
        let certificates = shell.ask("certificates")?;
        assert_eq!(certificates[0]["subject"], format!("CN={common_name}"), "{certificates}");
        let keys = shell.ask("keys")?;
        assert!(
            keys[0]["certificate"].as_str().is_some_and(|text| text.starts_with("certificate of")),
            "{keys}"
        );
    }
    shell.end()
}

/// `ifd-jcecard` 0.2.0: a PIV card without CHUID, with triple DES, RSA-2048, P-256 and P-384. It writes r and s of a
/// signature one after the other, not as SP 800-73-5 wants them. It agrees on no keys, and it uses no RSA key: it takes
/// chained commands for PUT DATA alone and templates of up to 127 bytes.
#[test]
fn a_card_that_nobody_here_wrote_is_used_as_far_as_it_goes() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let driver = foreign_card::driver()?;
    let world = World::empty()?;
    let pcscd = Pcscd::start_with_driver(root, &world.servers_folder().join("pcscd"), 2, Some(&driver))?;
    let locator = format!("pcsc:{}", Pcscd::foreign_reader_name());
    let card = |arguments: &[&str]| -> Result<Run> {
        let run = Run::new(program("card")?).envs([&pcscd.environment()]).env("HOME", world.folder());
        Ok(run.args(arguments).args(["--card", &locator]).folder(world.folder()))
    };
    fs::write(world.path("pin"), "123456\n")?;
    fs::write(world.path("management-key"), format!("{YUBIKEY_MANAGEMENT_KEY}\n"))?;
    let manage = ["--management-key-file", "management-key"];
    let openssl = |arguments: &[&str]| Run::new("openssl").args(arguments).folder(world.folder()).ok();

    let status: Value = serde_json::from_slice(&card(&["status", "--json"])?.ok()?.stdout)?;
    assert_eq!((&status["guid"], &status["pin"]["tries_left"]), (&Value::Null, &3.into()), "{status}");
    for (key, algorithm, digest) in [("9A", "p256", "-sha256"), ("9C", "p384", "-sha384")] {
        let public = format!("{key}.pub");
        card(&[&["generate", key, "--algorithm", algorithm, "--output", &public], &manage[..]].concat())?
            .ok()?;
        let request = ["request", key, "--subject", "CN=Alice", "--public-key", &public, "--pin-file", "pin"];
        card(&[&request[..], &["--output", "alice.csr"]].concat())?.ok()?;
        openssl(&["req", "-in", "alice.csr", "-noout", "-verify"])?;
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "ca.key",
            "-subj",
            "/CN=CA",
            "-out",
            "ca.pem",
        ])?;
        openssl(&[
            "x509",
            "-req",
            "-in",
            "alice.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-out",
            "alice.pem",
        ])?;
        card(&[&["import", key, "alice.pem"], &manage[..]].concat())?.ok()?;
        card(&["sign", key, "alice.csr", "--pin-file", "pin", "--output", "signature"])?.ok()?;
        openssl(&["dgst", digest, "-verify", &public, "-signature", "signature", "alice.csr"])?;
    }
    let listed: Value = serde_json::from_slice(&card(&["certificates", "--json"])?.ok()?.stdout)?;
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    fs::write(world.path("pins"), "123456\n654321\n")?;
    card(&["change-pin", "--pin-file", "pins"])?.ok()?;
    let wrong =
        card(&["sign", "9A", "alice.csr", "--pin-file", "pin", "--output", "signature"])?.fails_with(1)?;
    assert!(wrong.err().contains("wrong PIN, 2 tries left"), "{wrong}");
    let rsa = ["generate", "9D", "--algorithm", "rsa2048", "--output", "9D.pub"];
    card(&[&rsa[..], &manage[..]].concat())?.ok()?;
    openssl(&["pkey", "-pubin", "-in", "9D.pub", "-noout"])?;
    let request = ["request", "9D", "--subject", "CN=A", "--public-key", "9D.pub", "--pin-file", "new-pin"];
    fs::write(world.path("new-pin"), "654321\n")?;
    let refused = card(&request)?.fails_with(1)?;
    assert!(refused.err().contains("answered 6D00 to GENERAL AUTHENTICATE"), "{refused}");
    // What it has no command for is refused by name.
    openssl(&["genpkey", "-algorithm", "ED25519", "-out", "file.key"])?;
    for (arguments, word) in
        [(&["attest", "9A"][..], "attest"), (&["move", "9D", "82", manage[0], manage[1]], "move a key")]
    {
        let refused = card(arguments)?.fails_with(1)?;
        assert!(
            refused.err().contains("the card cannot do this") && refused.err().contains(word),
            "{refused}"
        );
    }
    Ok(())
}
