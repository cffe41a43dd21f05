//! What a host does with a card: connections, commands in their forms, a key that signs.
use std::ffi::CString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use pcsc::{Protocols, Scope, ShareMode};
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;

pub(super) const SELECT: [u8; 11] = [0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00];
pub(super) const VERIFY: [u8; 13] =
    [0x00, 0x20, 0x00, 0x80, 0x08, b'1', b'2', b'3', b'4', b'5', b'6', 0xFF, 0xFF];
/// VERIFY without data asks for the tries left: the shortest command, and the shortest answer.
pub(super) const ASK_FOR_TRIES: [u8; 4] = [0x00, 0x20, 0x00, 0x80];
const LARGEST_ANSWER: usize = 4096;

/// The algorithms that are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signing {
    Rsa2048,
    P256,
}

impl Signing {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::P256 => "p256",
        }
    }

    pub(super) fn from_word(word: &str) -> Result<Self> {
        [Self::Rsa2048, Self::P256].into_iter().find(|this| this.word() == word).context("rsa2048 or p256")
    }

    pub(super) fn identifier(self) -> u8 {
        match self {
            Self::Rsa2048 => 0x07,
            Self::P256 => 0x11,
        }
    }

    /// What is signed: a padded digest below any modulus, or a digest.
    pub(super) fn input(self) -> Vec<u8> {
        match self {
            Self::Rsa2048 => [&[0x00], &[0x5A; 255][..]].concat(),
            Self::P256 => vec![0x5A; 32],
        }
    }

    /// The data field of GENERAL AUTHENTICATE: `7C { 82 00 81 L input }`.
    pub(super) fn template(self) -> Vec<u8> {
        let input = self.input();
        match self {
            Self::Rsa2048 => {
                [&[0x7C, 0x82, 0x01, 0x06, 0x82, 0x00, 0x81, 0x82, 0x01, 0x00][..], &input].concat()
            }
            Self::P256 => [&[0x7C, 36, 0x82, 0x00, 0x81, 32][..], &input].concat(),
        }
    }

    /// The command in one extended APDU.
    pub(super) fn extended(self) -> Result<Vec<u8>> {
        let template = self.template();
        let length = u16::try_from(template.len())?.to_be_bytes();
        Ok([&[0x00, 0x87, self.identifier(), 0x9A, 0x00], &length[..], &template, &[0x00, 0x00]].concat())
    }

    /// The command in short APDUs.
    pub(super) fn chained(self) -> Result<Vec<Vec<u8>>> {
        let template = self.template();
        let fragments: Vec<&[u8]> = template.chunks(255).collect();
        let last = fragments.len() - 1;
        let apdu = |(number, fragment): (usize, &&[u8])| {
            let class = if number == last { 0x00 } else { 0x10 };
            let length = u8::try_from(fragment.len())?;
            let end: &[u8] = if number == last { &[0x00] } else { &[] };
            Ok([&[class, 0x87, self.identifier(), 0x9A, length], *fragment, end].concat())
        };
        fragments.iter().enumerate().map(apdu).collect()
    }

    /// A card whose 9A holds a key of this algorithm.
    pub(super) fn card(self, folder: &Path, name: &str) -> Result<PathBuf> {
        let key = folder.join(format!("{name}.pem"));
        let state = folder.join(format!("{name}.card"));
        let options: &[&str] = match self {
            Self::Rsa2048 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Self::P256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        };
        Run::new("openssl").arg("genpkey").args(options).arg("-out").arg(&key).ok()?;
        let key = format!("9A={}", key.display());
        Run::new(program("card-sim")?).arg("new").arg(&state).args(["--key", &key]).ok()?;
        Ok(state)
    }
}

/// A card in a reader of pcscd.
pub(super) struct Reader(pcsc::Card);

impl Reader {
    pub(super) fn connect(context: &pcsc::Context, name: &str) -> Result<Self> {
        let card = context.connect(&CString::new(name)?, ShareMode::Shared, Protocols::ANY);
        Ok(Self(card.with_context(|| format!("connecting to the card in {name}"))?))
    }

    pub(super) fn context() -> Result<pcsc::Context> {
        Ok(pcsc::Context::establish(Scope::User)?)
    }

    /// One command; its answer must end in this status word, or in any if there is none.
    pub(super) fn transmit(&self, command: &[u8], status: Option<u16>) -> Result<Vec<u8>> {
        let mut buffer = [0; LARGEST_ANSWER];
        let answer = self.0.transmit(command, &mut buffer)?;
        let found = answer.last_chunk::<2>().map(|status| u16::from_be_bytes(*status));
        ensure!(found.is_some() && (status.is_none() || status == found), "{found:04X?} to {command:02X?}");
        Ok(answer.to_vec())
    }

    /// Commands in a row, and what waits behind the last answer; all must succeed.
    pub(super) fn transmit_chain(&self, commands: &[Vec<u8>]) -> Result<()> {
        let mut answer = Vec::new();
        for command in commands {
            answer = self.transmit(command, None)?;
        }
        while let [.., 0x61, waiting] = answer.as_slice() {
            answer = self.transmit(&[0x00, 0xC0, 0x00, 0x00, *waiting], None)?;
        }
        ensure!(answer.ends_with(&[0x90, 0x00]), "the card refused: {answer:02X?}");
        Ok(())
    }
}
