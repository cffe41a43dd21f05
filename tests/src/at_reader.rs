//! One card in a real reader, for stories between it and other people's programs; no desk, no servers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::card::CardFile;
use crate::pcscd::{Inserted, Pcscd};
use crate::privilege::Root;
use crate::process::{Outcome, Run};
use crate::programs::program;
use crate::world::World;

/// The management key that every YubiKey comes with.
pub const YUBIKEY_MANAGEMENT_KEY: &str = "010203040506070801020304050607080102030405060708";

/// A blank card in the first reader of a pcscd of its own; dropping it pulls the card and ends the daemon.
#[derive(Debug)]
pub struct AtReader {
    // Dropped in this order.
    _inserted: Inserted,
    pcscd: Pcscd,
    card: CardFile,
    firmware: String,
    world: World,
}

impl AtReader {
    /// A yubikey5 of this firmware (`5.4`, `5.7`), touched as `--touch` says.
    pub fn yubikey(root: Root, firmware: &str, touch: &str) -> Result<Self> {
        let mut world = World::empty()?;
        let card = CardFile::yubikey(world.folder(), "card", firmware, 12_345_678)?;
        let pcscd = world.pcscd(root, 2)?;
        let run = pcscd.in_network(program("card-sim")?).arg("run").arg(&card.state);
        let run = run.args(["--touch", touch, "--vpcd", &Pcscd::vpcd_address(0)?, "--trace"]);
        let inserted = pcscd.insert_program(0, run.arg(world.path("trace")))?;
        Ok(Self { _inserted: inserted, pcscd, card, firmware: firmware.to_owned(), world })
    }

    /// A program that finds the reader, in the folder of this story.
    pub fn tool(&self, name: impl AsRef<std::ffi::OsStr>) -> Run {
        let home = self.world.folder();
        Run::new(name).envs([&self.pcscd.environment()]).env("HOME", home).folder(home)
    }

    /// The variable by which PC/SC clients find the reader.
    pub fn environment(&self) -> (String, std::ffi::OsString) {
        self.pcscd.environment()
    }

    /// The reader's name.
    pub fn reader(&self) -> String {
        self.pcscd.reader_name(0)
    }

    /// A file in the folder of this story.
    pub fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    /// Reads such a file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        fs::read(self.path(name)).with_context(|| name.to_owned())
    }

    /// Writes such a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        fs::write(self.path(name), content).with_context(|| name.to_owned())
    }

    /// The state file.
    pub fn card(&self) -> &CardFile {
        &self.card
    }

    /// What `card-sim inspect --json` says.
    pub fn inspect(&self) -> Result<serde_json::Value> {
        let shown = Run::new(program("card-sim")?).arg("inspect").arg(&self.card.state).arg("--json").ok()?;
        Ok(serde_json::from_slice(&shown.stdout)?)
    }

    /// How many lines the trace has, and the lines after that many: what the card was asked since.
    pub fn trace_after(&self, lines: usize) -> Result<Vec<String>> {
        let trace = fs::read_to_string(self.path("trace"))?;
        Ok(trace.lines().skip(lines).map(str::to_owned).collect())
    }

    /// Runs openssl with words from one line; it must succeed.
    pub fn openssl(&self, line: &str) -> Result<Outcome> {
        self.tool("openssl").args(line.split_whitespace()).ok()
    }

    /// A throw-away CA in `ca.pem` and `ca.key`.
    pub fn make_ca(&self) -> Result<()> {
        self.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj /CN=throw-away -keyout ca.key -out ca.pem",
        )?;
        Ok(())
    }

    /// A certificate by that CA for a public key, both PEM files.
    pub fn certify(&self, public_key: &str, subject: &str, certificate: &str) -> Result<()> {
        self.openssl(&format!(
            "x509 -new -subj /CN={subject} -set_serial 5 -days 3 -force_pubkey {public_key} -CA ca.pem -CAkey ca.key -out {certificate}"
        ))?;
        Ok(())
    }

    /// Makes a key in the card and writes a certificate of the throw-away CA for it; the public key is in `SLOT.pub`,
    /// the certificate in `SLOT.pem`. `algorithm` is Yubico's word for it, `RSA2048` or `ECCP256`.
    pub fn make_key_and_certificate(&self, slot: &str, algorithm: &str) -> Result<()> {
        let (key, certificate) = (format!("{slot}.pub"), format!("{slot}.pem"));
        let is_old = self.firmware == "5.4";
        // Debian's yubico-piv-tool knows no management key of AES, ykman is slow to start.
        let (generate, import) = if is_old {
            let tool = || self.tool("yubico-piv-tool").args(["-r", &self.reader(), "-s", slot]);
            (
                tool().args(["-a", "generate", "-A", algorithm, "-o", &key]),
                tool().args(["-a", "import-certificate", "-i", &certificate]),
            )
        } else {
            let tool = |what| self.ykman().args(["piv", what]);
            let authority = ["-m", YUBIKEY_MANAGEMENT_KEY];
            (
                tool("keys").arg("generate").args(authority).args(["-a", algorithm, slot, &key]),
                tool("certificates").arg("import").args(authority).args([slot, &certificate]),
            )
        };
        generate.ok()?;
        self.certify(&key, slot, &certificate)?;
        import.ok()?;
        Ok(())
    }

    /// Yubico's current tool, on this reader.
    pub fn ykman(&self) -> Run {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/ykman");
        self.tool(program).args(["-r", &self.reader()])
    }

    /// Verifies an attestation with the root that the card's maker exports and F9's certificate, PEM files; the
    /// attested key must be the one in `public_key`.
    pub fn verify_attestation(&self, attestation: &str, f9: &str, public_key: &str) -> Result<()> {
        let root =
            Run::new(program("card-sim")?).arg("inspect").arg(&self.card.state).arg("--attestation-root");
        self.write("attestation-root.pem", root.ok()?.stdout)?;
        let verified =
            self.openssl(&format!("verify -CAfile attestation-root.pem -untrusted {f9} {attestation}"))?;
        ensure!(verified.out().contains(": OK"), "{verified}");
        let attested = self.openssl(&format!("x509 -in {attestation} -noout -pubkey"))?;
        let key = self.openssl(&format!("pkey -pubin -in {public_key}"))?;
        ensure!(attested.out() == key.out(), "{attestation} attests another key than {public_key}");
        Ok(())
    }
}
