//! OpenSC knows the `standard` card for a plain PIV card: it switches no work-around on, and it shows and uses retired
//! keys with their certificates.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sealwright_tests::card::{CardFile, FACTORY_PIN};
use sealwright_tests::openssl::OPENSC_MODULE;
use sealwright_tests::pcscd::{Inserted, Pcscd};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Outcome, Run};
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

/// A standard card in a reader, and OpenSC's tools for its issuer and its holder.
struct Bench {
    world: World,
    pcscd: Pcscd,
    card: CardFile,
}

impl Bench {
    /// The manufacturer puts a key in 9A, 9E and the retired keys 82 (RSA) and 83 (P-256).
    fn new(root: Root) -> Result<Self> {
        let mut world = World::empty()?;
        let pcscd = world.pcscd(root, 2)?;
        for (name, algorithm) in [
            ("9a", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
            ("9e", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
            ("82", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
            ("83", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ] {
            key_and_certificate(world.folder(), name, algorithm)?;
        }
        let keys = ["9a", "9e", "82", "83"].map(|name| {
            let file = world.path(&format!("{name}.key"));
            format!("{}={}", name.to_uppercase(), file.display())
        });
        let arguments: Vec<&str> = keys.iter().flat_map(|key| ["--key", key]).collect();
        let card = CardFile::standard_with(world.folder(), "standard", &arguments)?;
        // What piv-tool reads: bytes with colons between them.
        let digits = card.stock_value("management_key")?.into_bytes();
        let bytes: Vec<_> = digits.chunks(2).map(String::from_utf8_lossy).collect();
        fs::write(world.path("management-key"), bytes.join(":"))?;
        Ok(Self { world, pcscd, card })
    }

    fn tool(&self, name: &str) -> Run {
        let run = Run::new(name).envs([&self.pcscd.environment()]).folder(self.world.folder());
        run.env("PIV_EXT_AUTH_KEY", self.world.path("management-key"))
    }

    fn pkcs11(&self) -> Run {
        self.tool("pkcs11-tool").args(["--module", OPENSC_MODULE])
    }

    /// Writes the certificates, those of the retired keys as whole objects, and the key history of both.
    fn personalise(&self) -> Result<()> {
        self.administer(&["-C", "9A", "-i", "9a.pem"])?;
        self.administer(&["-C", "9E", "-i", "9e.pem"])?;
        for (name, container) in [("82", "1001"), ("83", "1002")] {
            fs::write(self.world.path("object"), certificate_object(self.world.folder(), name)?)?;
            self.administer(&["-O", container, "-i", "object"])?;
        }
        fs::write(self.world.path("object"), [0x53, 8, 0xC1, 1, 2, 0xC2, 1, 0, 0xFE, 0])?;
        self.administer(&["-O", "6060", "-i", "object"])
    }

    /// Debian's piv-tool 0.23 ends with the number of bytes that it wrote, modulo 256, for its exit code. When the card
    /// refuses something it says so.
    fn administer(&self, arguments: &[&str]) -> Result<()> {
        let done = self.tool("piv-tool").args(["-A", "M:9B:0C"]).args(arguments).outcome()?;
        let said = done.err();
        let says_only_the_reader = said.lines().all(|line| line.starts_with("Using reader"));
        ensure!(done.code.is_some() && done.out().is_empty() && says_only_the_reader, "{done}");
        Ok(())
    }

    fn insert(&self) -> Result<Inserted> {
        self.pcscd.insert(0, &self.card.state)
    }

    fn insert_contactless(&self) -> Result<Inserted> {
        let run = self.pcscd.in_network(program("card-sim")?).arg("run").arg(&self.card.state);
        let address = Pcscd::vpcd_address(0)?;
        self.pcscd.insert_program(0, run.args(["--interface", "contactless", "--vpcd", &address]))
    }
}

/// Files `NAME.key` and `NAME.pem`.
fn key_and_certificate(folder: &Path, name: &str, algorithm: &[&str]) -> Result<()> {
    let key = format!("{name}.key");
    Run::new("openssl")
        .args(["genpkey", "-algorithm"])
        .args(algorithm)
        .args(["-out", &key])
        .folder(folder)
        .ok()?;
    let request = Run::new("openssl").args(["req", "-x509", "-new", "-key", &key, "-days", "30"]);
    request
        .args(["-subj", &format!("/CN=key {name}"), "-out", &format!("{name}.pem")])
        .folder(folder)
        .ok()?;
    Ok(())
}

/// `53 { 70 certificate, 71 01 00, FE 00 }` (SP 800-73-5 Part 1 appendix A).
fn certificate_object(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let pem = format!("{name}.pem");
    let der = Run::new("openssl").args(["x509", "-in", &pem, "-outform", "DER"]).folder(folder).ok()?.stdout;
    let contents = [tlv(0x70, &der)?, vec![0x71, 1, 0, 0xFE, 0]].concat();
    tlv(0x53, &contents)
}

fn tlv(tag: u8, value: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(value.len())?.to_be_bytes();
    Ok([&[tag, 0x82], &length[..], value].concat())
}

/// OpenSC says in its debug log which work-arounds it has switched on: none may be, at any point.
fn needs_no_work_around(debugged: &Outcome) -> Result<()> {
    let log = debugged.text();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("card_issues")).collect();
    ensure!(!said.is_empty(), "OpenSC's debug log says nothing of card_issues: {log}");
    for line in said {
        let (_, flags) = line.split_once("card_issues").context("just found")?;
        let flags = flags.trim_start_matches([' ', '=', ':']);
        ensure!(flags.starts_with("0x00000000"), "a work-around was switched on: {line}");
    }
    for hint in ["setting CI_", "leaks", "AID may be lost", "loses"] {
        ensure!(!log.contains(hint), "the log says {hint:?}: {log}");
    }
    Ok(())
}

#[test]
fn no_work_around_is_shown_in_opensc_s_debug_log() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = Bench::new(root)?;
    let _inserted = bench.insert()?;
    let atr = bench.tool("opensc-tool").arg("--atr").ok()?;
    assert!(atr.out().starts_with("3b:8f:81:31:fe:45:80:f9:a0:00:00:03:08:00:00:10:00:"), "{atr}");
    let debugged = |run: Run| run.env("OPENSC_DEBUG", "9").ok();

    // A blank card, then a personalised one.
    needs_no_work_around(&debugged(bench.tool("pkcs15-tool").arg("--dump"))?)?;
    bench.personalise()?;
    needs_no_work_around(&debugged(bench.tool("pkcs15-tool").arg("--dump"))?)?;
    needs_no_work_around(&debugged(bench.pkcs11().arg("--list-objects"))?)?;
    // Logged in, with keys used, and with a wrong PIN.
    let login = ["--login", "--pin", FACTORY_PIN];
    let tested = debugged(bench.pkcs11().args(login).arg("--test"))?;
    assert!(tested.out().contains("No errors"), "{tested}");
    needs_no_work_around(&tested)?;
    let verify = bench.tool("pkcs15-tool").args(["--verify-pin", "--auth-id", "01", "--pin", "999999"]);
    needs_no_work_around(&verify.env("OPENSC_DEBUG", "9").outcome()?)?;
    needs_no_work_around(&debugged(bench.pkcs11().args(["--generate-random", "24"]))?)
}

#[test]
fn retired_keys_are_visible_with_their_certificates_and_work() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = Bench::new(root)?;
    let _inserted = bench.insert()?;
    let folder = bench.world.folder();
    // Without a key history nobody looks for them.
    let before = bench.pkcs11().arg("--list-objects").ok()?;
    assert!(!before.out().contains("Retired KEY MAN 1"), "{before}");
    bench.personalise()?;

    let objects = bench.pkcs11().arg("--list-objects").ok()?;
    let dump = bench.tool("pkcs15-tool").arg("--dump").ok()?;
    for (number, reference) in [(1, "0x82"), (2, "0x83")] {
        assert!(
            objects.out().contains(&format!("Retired Certificate for Key Management {number}")),
            "{objects}"
        );
        assert!(dump.out().contains(&format!("[Retired KEY MAN {number}]")), "{dump}");
        assert!(dump.out().contains(&format!("({reference})")), "{dump}");
    }
    let listed = objects.out().matches("Certificate Object").count();
    assert_eq!(listed, 4, "9A, 9E and the two retired ones: {objects}");
    for (id, name) in [("05", "82"), ("06", "83")] {
        bench.tool("pkcs15-tool").args(["--read-certificate", id, "--output", "read.pem"]).ok()?;
        assert_eq!(fs::read(folder.join("read.pem"))?, fs::read(folder.join(format!("{name}.pem")))?);
    }

    // 82 opens what was sealed to its certificate, 83 agrees with a peer.
    let openssl = |line: &str| Run::new("openssl").args(line.split_whitespace()).folder(folder).ok();
    fs::write(folder.join("message"), "kept for years")?;
    openssl("pkeyutl -encrypt -certin -inkey 82.pem -in message -out sealed")?;
    let login = || bench.pkcs11().args(["--login", "--pin", FACTORY_PIN]);
    let decrypt = login().args(["--decrypt", "--id", "05", "--mechanism", "RSA-PKCS"]);
    decrypt.args(["--input-file", "sealed", "--output-file", "opened"]).ok()?;
    assert_eq!(fs::read_to_string(folder.join("opened"))?, "kept for years");
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out peer.key")?;
    openssl("pkey -in peer.key -pubout -outform DER -out peer.der")?;
    openssl("x509 -in 83.pem -noout -pubkey -out 83.pub")?;
    openssl("pkeyutl -derive -inkey peer.key -peerkey 83.pub -out expected")?;
    let derive = login().args(["--derive", "--id", "06", "--mechanism", "ECDH1-DERIVE"]);
    derive.args(["--input-file", "peer.der", "--output-file", "agreed"]).ok()?;
    assert_eq!(fs::read(folder.join("agreed"))?, fs::read(folder.join("expected"))?);
    Ok(())
}

/// SP 800-73-5 Part 1 table 2: without contact a host sees the CHUID and the card authentication certificate, and can
/// use its key alone.
#[test]
fn without_contact_opensc_sees_the_card_authentication_key_alone() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = Bench::new(root)?;
    let inserted = bench.insert()?;
    bench.personalise()?;
    inserted.remove()?;
    bench.pcscd.wait_until_empty(0)?;
    let _inserted = bench.insert_contactless()?;
    let atr = bench.tool("opensc-tool").arg("--atr").ok()?;
    assert!(atr.out().starts_with("3b:8f:80:01:"), "{atr}");
    let dumped = bench.tool("pkcs15-tool").arg("--dump").env("OPENSC_DEBUG", "9").ok()?;
    needs_no_work_around(&dumped)?;
    let certificates = bench.tool("pkcs15-tool").arg("--list-certificates").ok()?;
    assert!(certificates.out().contains("Certificate for Card Authentication"), "{certificates}");
    assert!(!certificates.out().contains("Certificate for PIV Authentication"), "{certificates}");
    assert!(!certificates.out().contains("Retired"), "{certificates}");
    let refused = bench.pkcs11().args(["--login", "--pin", FACTORY_PIN, "--list-objects"]).outcome()?;
    assert_ne!(refused.code, Some(0), "{refused}");
    Ok(())
}

/// SP 800-73-5 Part 1 section 3.3.2: 60 20 says that the holder's PIN is the Global PIN, reference 00.
#[test]
fn opensc_asks_for_the_global_pin_where_the_discovery_object_prefers_it() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 2)?;
    let card = CardFile::standard_with(world.folder(), "global", &["--global-pin"])?;
    // The issuer prefers it and makes a key; the holder changes it.
    let personalised = "@ power on\n@ authenticate\n\
        > 00 DB 3F FF 14 7E 12 4F 0B A0 00 00 03 08 00 00 10 00 01 00 5F 2F 02 60 20\n< 90 00\n\
        > 00 47 00 9A 05 AC 03 80 01 11 00\n< 7F 49 43 86 41 04 .. 90 00\n\
        > 00 24 00 00 10 31 32 33 34 35 36 FF FF 36 35 34 33 32 31 FF FF\n< 90 00\n";
    fs::write(world.path("personalise.apdu"), personalised)?;
    fs::write(world.path("values"), format!("management key = {}\n", card.stock_value("management_key")?))?;
    let replay = Run::new(program("card-sim")?).args(["replay", "personalise.apdu", "--values", "values"]);
    let replay = replay.args(["--keep-changes", "--against", &card.locator()]);
    replay.folder(world.folder()).ok()?;

    let _inserted = pcscd.insert(0, &card.state)?;
    let tool = |name: &str| Run::new(name).envs([&pcscd.environment()]).folder(world.folder());
    let listed = tool("pkcs15-tool").arg("--list-pins").env("OPENSC_DEBUG", "9").ok()?;
    assert!(listed.out().contains("PIN [Global PIN]") && !listed.out().contains("PIN [PIN]"), "{listed}");
    needs_no_work_around(&listed)?;
    let verify =
        |pin: &str| tool("pkcs15-tool").args(["--verify-pin", "--auth-id", "01", "--pin", pin]).outcome();
    let accepted = verify("654321")?;
    assert_eq!(accepted.code, Some(0), "{accepted}");
    let refused = verify(FACTORY_PIN)?;
    assert_ne!(refused.code, Some(0), "{refused}");
    let shown = Run::new(program("card-sim")?).arg("inspect").arg(&card.state).ok()?;
    assert!(shown.out().contains("Global PIN      2 of 3 tries left"), "{shown}");
    assert!(shown.out().contains("PIN             3 of 3 tries left"), "{shown}");
    Ok(())
}
