//! pkcs11-tool with any module, on the card of a story; OpenSSL judges what it computes.

use anyhow::{Result, ensure};

use crate::at_reader::AtReader;
use crate::process::Run;

/// Yubico's module, where Debian installs it.
pub const YKCS11_MODULE: &str = "/usr/lib/x86_64-linux-gnu/libykcs11.so";

/// What was made, in which file the public key is and which digest goes with it.
#[derive(Clone, Copy, Debug)]
pub struct PublicKey<'a> {
    /// A PEM file in the folder of the story.
    pub file: &'a str,
    /// `RSA2048`, `ECCP256`...
    pub algorithm: &'a str,
}

impl PublicKey<'_> {
    fn is_rsa(self) -> bool {
        self.algorithm.starts_with("RSA")
    }

    fn digest(self) -> &'static str {
        if self.algorithm == "ECCP384" { "sha384" } else { "sha256" }
    }
}

/// One module, and the card it finds.
#[derive(Clone, Copy, Debug)]
pub struct Pkcs11Tool<'a> {
    /// The card.
    pub bench: &'a AtReader,
    /// The path of the module.
    pub module: &'a str,
}

impl Pkcs11Tool<'_> {
    /// A command without log-in, words from one line.
    pub fn run(&self, line: &str) -> Run {
        self.bench.tool("pkcs11-tool").args(["--module", self.module]).args(line.split_whitespace())
    }

    /// A command after log-in with the factory's PIN.
    pub fn logged_in(&self, line: &str) -> Run {
        self.run("--login --pin 123456").args(line.split_whitespace())
    }

    /// `--test` finds nothing wrong.
    pub fn tests_clean(&self) -> Result<()> {
        let tested = self.logged_in("--test").ok()?;
        ensure!(tested.text().contains("No errors") && !tested.text().contains("ERR"), "{tested}");
        Ok(())
    }

    /// Signs with a key (CKA_ID); for RSA with both paddings. Another text does not verify.
    pub fn signs(&self, id: &str, key: PublicKey<'_>) -> Result<()> {
        self.bench.write("data", "what is signed")?;
        let (file, digest) = (key.file, key.digest());
        if !key.is_rsa() {
            let mechanism = format!("ECDSA-{}", digest.to_uppercase());
            self.logged_in(&format!(
                "--sign --id {id} --mechanism {mechanism} --signature-format openssl -i data -o signature"
            ))
            .ok()?;
            return self.verifies(&format!("-{digest} -verify {file}"));
        }
        self.logged_in(&format!("--sign --id {id} --mechanism SHA256-RSA-PKCS -i data -o signature")).ok()?;
        self.verifies(&format!("-sha256 -verify {file}"))?;
        let pss = "--mechanism SHA256-RSA-PKCS-PSS --mgf MGF1-SHA256 --salt-len 32";
        self.logged_in(&format!("--sign --id {id} {pss} -i data -o signature")).ok()?;
        self.verifies(&format!(
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -verify {file}"
        ))
    }

    fn verifies(&self, how: &str) -> Result<()> {
        let verified = self.bench.openssl(&format!("dgst {how} -signature signature data"))?;
        ensure!(verified.out().contains("Verified OK"), "{verified}");
        let other = format!("dgst {how} -signature signature signature");
        self.bench.tool("openssl").args(other.split_whitespace()).fails_with(1)?;
        Ok(())
    }

    /// Decrypts (RSA, both paddings) or agrees on a secret (curves) with a key, as OpenSSL does at the other end.
    pub fn decrypts_or_derives(&self, id: &str, key: PublicKey<'_>) -> Result<()> {
        let file = key.file;
        self.bench.write("plain", "sixteen bytes it")?;
        if !key.is_rsa() {
            return self.derives(id, key);
        }
        for (padding, options) in [
            ("rsa_padding_mode:pkcs1", "--mechanism RSA-PKCS"),
            (
                "rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1",
                "--mechanism RSA-PKCS-OAEP --hash-algorithm SHA-1",
            ),
            (
                "rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256",
                "--mechanism RSA-PKCS-OAEP --hash-algorithm SHA256",
            ),
        ] {
            self.bench.openssl(&format!(
                "pkeyutl -encrypt -pubin -inkey {file} -pkeyopt {padding} -in plain -out encrypted"
            ))?;
            self.logged_in(&format!("--decrypt --id {id} {options} -i encrypted -o decrypted")).ok()?;
            ensure!(
                self.bench.read("decrypted")? == self.bench.read("plain")?,
                "{padding}: another text came out"
            );
        }
        Ok(())
    }

    fn derives(&self, id: &str, key: PublicKey<'_>) -> Result<()> {
        let curve = if key.algorithm == "ECCP384" { "P-384" } else { "P-256" };
        self.bench
            .openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out peer.key"))?;
        self.bench.openssl("pkey -in peer.key -pubout -outform DER -out peer.der")?;
        self.logged_in(&format!("--derive --id {id} --mechanism ECDH1-DERIVE -i peer.der -o ours")).ok()?;
        self.bench.openssl(&format!("pkeyutl -derive -inkey peer.key -peerkey {} -out theirs", key.file))?;
        ensure!(self.bench.read("ours")? == self.bench.read("theirs")?, "two secrets");
        Ok(())
    }
}
