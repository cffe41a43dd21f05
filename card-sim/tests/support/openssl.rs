//! OpenSSL's command line as the judge of the card's cryptography.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder in which openssl works.
pub(crate) struct OpenSsl(TempDir);

impl OpenSsl {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs openssl with words from one line.
    pub(crate) fn try_run(&self, line: &str) -> Output {
        Command::new("openssl").args(line.split_whitespace()).current_dir(self.0.path()).output().unwrap()
    }

    /// The same, and it must succeed; returns what it printed.
    pub(crate) fn run(&self, line: &str) -> Vec<u8> {
        let output = self.try_run(line);
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Writes a public key as the card returned it (contents of 7F49) into a PEM file.
    pub(crate) fn write_public_key(&self, name: &str, parts: &[u8]) {
        let der = match parts[0] {
            0x86 => point_spki(&super::parse_tlv(parts).1),
            _ => rsa_spki(parts),
        };
        self.write("public.der", &der);
        self.run(&format!("pkey -pubin -inform DER -in public.der -out {name}"));
    }

    /// One number of a private key, as `openssl pkey -text` shows it.
    pub(crate) fn number(&self, key: &Path, label: &str) -> Vec<u8> {
        let text = self.run(&format!("pkey -in {} -noout -text", key.display()));
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().skip_while(|line| *line != format!("{label}:")).skip(1);
        let digits: String = lines.take_while(|line| line.starts_with("    ")).collect();
        hex::decode(digits.replace([':', ' '], "")).unwrap()
    }
}

/// SubjectPublicKeyInfo of a point on P-256 or P-384 (RFC 5480) or of an Ed25519 key (RFC 8410); a card's answer does
/// not tell the latter from an X25519 key.
fn point_spki(point: &[u8]) -> Vec<u8> {
    let header = match point.len() {
        65 => "3059301306072a8648ce3d020106082a8648ce3d030107034200",
        97 => "3076301006072a8648ce3d020106052b81040022036200",
        32 => "302a300506032b6570032100",
        other => panic!("no public key has {other} bytes"),
    };
    [hex::decode(header).unwrap(), point.to_vec()].concat()
}

/// SubjectPublicKeyInfo of `81 L modulus 82 L exponent` (RFC 8017 appendix A.1.1).
fn rsa_spki(parts: &[u8]) -> Vec<u8> {
    let (_, modulus, rest) = super::parse_tlv(parts);
    let (_, exponent, _) = super::parse_tlv(&rest);
    let integer = |bytes: &[u8]| super::tlv(0x02, &[&[0], bytes].concat());
    let key = super::tlv(0x30, &[integer(&modulus), super::tlv(0x02, &exponent)].concat());
    let algorithm = hex::decode("300d06092a864886f70d0101010500").unwrap();
    super::tlv(0x30, &[algorithm, super::tlv(0x03, &[&[0], &key[..]].concat())].concat())
}
