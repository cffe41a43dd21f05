//! Our PKCS#11 module as foreign programs load it, with a card in a reader.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::openssl;
use crate::pcscd::Pcscd;
use crate::process::Run;
use crate::programs;

/// PUK and management key of a blank card of the personality `yubikey5` (AES-192).
pub const FACTORY_PUK: &str = "12345678";
/// See [`FACTORY_PUK`].
pub const FACTORY_MANAGEMENT_KEY: &str = "010203040506070801020304050607080102030405060708";

/// The module by its real path, which agents compare with what they allow.
pub fn module() -> Result<PathBuf> {
    Ok(programs::folder()?.join("libmiddleware_pkcs11.so").canonicalize()?)
}

/// Foreign programs that use the cards of one pcscd through our module, in one folder.
#[derive(Debug)]
pub struct Clients<'a> {
    pcscd: &'a Pcscd,
    folder: PathBuf,
    module: PathBuf,
}

impl<'a> Clients<'a> {
    /// For the cards of this pcscd.
    pub fn new(pcscd: &'a Pcscd, folder: &Path) -> Result<Self> {
        Ok(Self { pcscd, folder: folder.to_owned(), module: module()? })
    }

    /// The module.
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Any program, where it finds the cards.
    pub fn run(&self, program: &str) -> Run {
        Run::new(program).envs([&self.pcscd.environment()]).folder(&self.folder)
    }

    /// OpenSC's tool.
    pub fn pkcs11_tool(&self) -> Run {
        self.run("pkcs11-tool").arg("--module").arg(&self.module)
    }

    /// OpenSC's tool, its user logged in.
    pub fn logged_in(&self, pin: &str) -> Run {
        self.pkcs11_tool().args(["--login", "--pin", pin])
    }

    /// OpenSC's tool, the security officer logged in by PUK or management key.
    pub fn officer(&self, secret: &str) -> Run {
        self.pkcs11_tool().args(["--login", "--login-type", "so", "--so-pin", secret])
    }

    /// OpenSSL with its engine for PKCS#11; the first argument is the command.
    pub fn openssl(&self, arguments: &[&str]) -> Run {
        let (command, rest) =
            arguments.split_first().map_or(("help", &[][..]), |(first, rest)| (*first, rest));
        self.run("openssl")
            .env("PKCS11_MODULE_PATH", &self.module)
            .args([command, "-engine", "pkcs11"])
            .args(rest)
    }

    /// The token's label, as OpenSC's tool shows it.
    pub fn label(&self) -> Result<String> {
        let listed = self.pkcs11_tool().arg("--list-slots").ok()?.out();
        let label =
            listed.lines().find_map(|line| line.trim().strip_prefix("token label")?.trim().strip_prefix(':'));
        Ok(label.context("no token is listed")?.trim().to_owned())
    }

    /// Makes a key of the card by OpenSC's tool, and writes a certificate of a throw-away CA for it: `NAME.pem`.
    pub fn personalise(&self, id: &str, key_type: &str, name: &str) -> Result<()> {
        self.officer(FACTORY_MANAGEMENT_KEY)
            .args(["--keypairgen", "--key-type", key_type, "--id", id])
            .ok()?;
        self.export_public_key(id, &format!("{name}.pub"))?;
        openssl::certify_public_key(&self.folder, &format!("{name}.pub"), &format!("{name}.pem"))?;
        let to_der = self.run("openssl").args(["x509", "-in", &format!("{name}.pem"), "-outform", "DER"]);
        to_der.args(["-out", &format!("{name}.der")]).ok()?;
        let write = self.officer(FACTORY_MANAGEMENT_KEY).args(["--write-object", &format!("{name}.der")]);
        write.args(["--type", "cert", "--id", id]).ok()?;
        Ok(())
    }

    /// The public key of that CKA_ID, read by OpenSSL's engine, as PEM.
    pub fn export_public_key(&self, id: &str, file: &str) -> Result<()> {
        let uri = format!("pkcs11:id=%{id};type=public");
        self.openssl(&["pkey", "-inform", "engine", "-pubin", "-in", &uri, "-pubout", "-out", file]).ok()?;
        Ok(())
    }

    /// A program that answers every question with this PIN, for those that ask by SSH_ASKPASS.
    pub fn asking_program(&self, pin: &str) -> Result<PathBuf> {
        let path = self.path("askpass");
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(true).write(true).mode(0o700).open(&path)?;
        std::io::Write::write_all(&mut &file, format!("#!/bin/sh\necho {pin}\n").as_bytes())?;
        Ok(path)
    }
}
