//! What the stories ask of the OpenSSL program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::{Outcome, Run};

/// A new P-256 key and a request for a server certificate with these names (RFC 2986); files `NAME.key`, `NAME.csr`.
pub fn server_request(folder: &Path, name: &str, host: &str) -> Result<(PathBuf, PathBuf)> {
    let (key, request) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.csr")));
    let names = format!("subjectAltName=DNS:{host},IP:127.0.0.1");
    Run::new("openssl")
        .args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-subj", &format!("/CN={host}"), "-addext", &names])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&request)
        .ok()?;
    Ok((key, request))
}

/// A certificate that signs itself, of a server that is not ours; files `NAME.key`, `NAME.pem`.
pub fn stranger_certificate(folder: &Path, name: &str, host: &str) -> Result<(PathBuf, PathBuf)> {
    let (key, certificate) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pem")));
    let names = format!("subjectAltName=DNS:{host},IP:127.0.0.1");
    Run::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={host}"), "-addext", &names])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .ok()?;
    Ok((key, certificate))
}

/// A certificate for a public key by a throw-away CA, for cards that another tool personalises; files in `folder`.
pub fn certify_public_key(folder: &Path, public_key: &str, certificate: &str) -> Result<()> {
    let (key, ca) = stranger_certificate(folder, "throw-away", "throw-away.test")?;
    Run::new("openssl")
        .args([
            "x509",
            "-new",
            "-subj",
            "/CN=own",
            "-set_serial",
            "5",
            "-days",
            "3",
            "-force_pubkey",
            public_key,
        ])
        .arg("-CA")
        .arg(ca)
        .arg("-CAkey")
        .arg(key)
        .args(["-out", certificate])
        .folder(folder)
        .ok()?;
    Ok(())
}

/// A certificate's or CRL's PEM form beside its DER file.
pub fn to_pem(kind: &str, der: &Path) -> Result<PathBuf> {
    let pem = der.with_extension("pem");
    Run::new("openssl").args([kind, "-inform", "DER", "-in"]).arg(der).arg("-out").arg(&pem).ok()?;
    Ok(pem)
}

/// `openssl verify` with every strictness: chain, CRLs, RFC 5280 syntax, and the purpose where one is named.
pub fn verify(published: &Path, certificate: &Path, purpose: Option<&str>) -> Result<Outcome> {
    let mut run = Run::new("openssl").args(["verify", "-x509_strict", "-crl_check_all"]);
    if let Some(purpose) = purpose {
        run = run.args(["-purpose", purpose]);
    }
    run.arg("-CAfile")
        .arg(published.join("anchor.pem"))
        .arg("-untrusted")
        .arg(published.join("ca-chain.pem"))
        .arg("-CRLfile")
        .arg(published.join("crl.pem"))
        .arg(certificate)
        .outcome()
}

/// The engine `pkcs11` with OpenSC's module: a configuration file that holds the PIN, as OpenSSL wants it.
#[derive(Debug)]
pub struct CardEngine {
    configuration: PathBuf,
    pcscd: (String, std::ffi::OsString),
}

impl CardEngine {
    /// For the cards of this pcscd; the configuration file is written into `folder`, mode 0600.
    pub fn new(folder: &Path, pcscd: (String, std::ffi::OsString), pin: &str) -> Result<Self> {
        let configuration = folder.join("openssl-card.cnf");
        crate::world::write_secret(
            &configuration,
            &format!(
                "openssl_conf = start\n[start]\nengines = engines\n[engines]\npkcs11 = card\n[card]\nengine_id = pkcs11\n\
                 MODULE_PATH = {OPENSC_MODULE}\nPIN = {pin}\ninit = 0\n"
            ),
        )?;
        Ok(Self { configuration, pcscd })
    }

    /// The command that decrypts a whole message file with key 9D of a card, which OpenSC names by its holder.
    pub fn decrypt(&self, holder: &str, message: &Path, certificate: &Path, out: &Path) -> Run {
        // OpenSC numbers the keys 9A, 9C, 9D, 9E: CKA_ID 01 to 04.
        let key = format!("pkcs11:token={};id=%03;type=private", holder.replace(' ', "%20"));
        Run::new("openssl")
            .env("OPENSSL_CONF", &self.configuration)
            .envs([&self.pcscd])
            .args(["cms", "-decrypt", "-engine", "pkcs11", "-keyform", "engine", "-inkey", &key, "-recip"])
            .arg(certificate)
            .arg("-in")
            .arg(message)
            .arg("-out")
            .arg(out)
    }

    /// The configuration file.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }
}

/// OpenSC's PKCS#11 module, where Debian installs it.
pub const OPENSC_MODULE: &str = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so";
/// `openssl cms -verify` of a signed message against the published CA and CRLs.
pub fn verify_signed(published: &Path, message: &Path, out: &Path) -> Result<Run> {
    let run = Run::new("openssl")
        .args(["cms", "-verify", "-purpose", "smimesign", "-crl_check_all", "-CAfile"])
        .arg(trust_file(published)?)
        .arg("-in")
        .arg(message)
        .arg("-out")
        .arg(out);
    Ok(run)
}

/// CA certificates and CRLs in one file, as `cms` takes them.
fn trust_file(published: &Path) -> Result<PathBuf> {
    let file = published.with_file_name("trust.pem");
    let parts = ["anchor.pem", "ca-chain.pem", "crl.pem"].map(|name| fs::read(published.join(name)));
    let parts: Vec<Vec<u8>> = parts.into_iter().collect::<Result<_, _>>()?;
    fs::write(&file, parts.concat())?;
    Ok(file)
}
