//! The openssl command as an independent judge.
use std::path::{Path, PathBuf};
use std::process::Command;

use der::Encode;
use der::pem::LineEnding;
use spki::SubjectPublicKeyInfoOwned;

/// Runs openssl in a folder; its standard output.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output =
        Command::new("openssl").current_dir(folder).args(arguments).output().expect("openssl is installed");
    assert!(
        output.status.success(),
        "openssl {}:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Whether openssl finds the signature good.
pub(crate) fn openssl_verifies(
    folder: &Path,
    public_key: &SubjectPublicKeyInfoOwned,
    digest: &[u8],
    signature: &[u8],
) -> bool {
    std::fs::write(folder.join("digest"), digest).unwrap();
    std::fs::write(folder.join("signature"), signature).unwrap();
    write_public_key(folder, "signer.pem", public_key);
    let hash = format!("digest:sha{}", digest.len() * 8);
    let output = Command::new("openssl")
        .current_dir(folder)
        .args([
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "signer.pem",
            "-in",
            "digest",
            "-sigfile",
            "signature",
        ])
        .args(["-pkeyopt", &hash])
        .output()
        .unwrap();
    output.status.success()
}

/// Whether openssl finds the RSASSA-PSS signature good, its salt being as long as the digest.
pub(crate) fn openssl_verifies_pss(
    folder: &Path,
    public_key: &SubjectPublicKeyInfoOwned,
    digest: &[u8],
    signature: &[u8],
) -> bool {
    std::fs::write(folder.join("digest"), digest).unwrap();
    std::fs::write(folder.join("signature"), signature).unwrap();
    write_public_key(folder, "signer.pem", public_key);
    let hash = format!("digest:sha{}", digest.len() * 8);
    let salt = format!("rsa_pss_saltlen:{}", digest.len());
    let key =
        ["pkeyutl", "-verify", "-pubin", "-inkey", "signer.pem", "-in", "digest", "-sigfile", "signature"];
    let options = ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", &salt, "-pkeyopt", &hash];
    let output = Command::new("openssl").current_dir(folder).args(key).args(options).output().unwrap();
    output.status.success()
}

pub(crate) fn write_public_key(folder: &Path, name: &str, public_key: &SubjectPublicKeyInfoOwned) -> PathBuf {
    let path = folder.join(name);
    let pem = der::pem::encode_string("PUBLIC KEY", LineEnding::LF, &public_key.to_der().unwrap()).unwrap();
    std::fs::write(&path, pem).unwrap();
    path
}

/// An uncompressed point from openssl's DER public key: it ends with it.
pub(crate) fn point_of(der: &[u8]) -> Vec<u8> {
    der[der.len() - 65..].to_vec()
}
