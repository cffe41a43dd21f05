//! `card decrypt`: what was encrypted to a key of the card, or the secret agreed with somebody's public key.
use std::path::PathBuf;

use clap::Args;
use middleware::{Card, Hash, KeyAlgorithm, KeyError, KeyReference, RsaEncryption, Transaction};
use zeroize::Zeroizing;

use super::Report;
use super::files::{self, Audience, OutputOption};
use super::options::PinOptions;
use super::signature::public_key;

/// What `card decrypt` wants to know.
#[derive(Args)]
pub(super) struct Decrypt {
    /// Which key: 9D or 82 to 95, and what else the card lets decrypt
    key: KeyReference,
    /// The RSA ciphertext, as long as the modulus; standard input if absent
    #[arg(conflicts_with = "peer")]
    file: Option<PathBuf>,
    /// The padding is RSAES-OAEP with this hash (sha1, sha224, sha256, sha384, sha512), not PKCS #1 v1.5
    #[arg(long, value_parser = hash, value_name = "HASH")]
    oaep: Option<Hash>,
    /// Instead of decrypting, agree on a secret with the public key in this PEM file (P-256, P-384, X25519)
    #[arg(long, value_name = "FILE", conflicts_with = "oaep")]
    peer: Option<PathBuf>,
    #[command(flatten)]
    pin: PinOptions,
    #[command(flatten)]
    output: OutputOption,
}

impl Decrypt {
    pub(super) fn run(&self, card: &mut Card, as_json: bool) -> anyhow::Result<Report> {
        if let Some(peer) = &self.peer {
            let peer = public_key(card, self.key, Some(peer))?;
            let point = peer.subject_public_key.raw_bytes();
            let secret = self.with_pin(card, |transaction| transaction.agree(self.key, point))?;
            return self.output.bytes("Secret", &secret, Audience::Owner, as_json);
        }
        let ciphertext = files::read(self.file.as_deref())?;
        let plaintext = match self.oaep {
            Some(digest) => {
                let encryption = RsaEncryption::oaep(digest);
                self.with_pin(card, |transaction| transaction.decrypt(self.key, encryption, &ciphertext))?
            }
            None => self.with_pin(card, |transaction| decrypt_pkcs1(transaction, self.key, &ciphertext))?,
        };
        self.output.bytes("Plaintext", &plaintext, Audience::Owner, as_json)
    }

    fn with_pin<T>(
        &self,
        card: &mut Card,
        act: impl FnOnce(&mut Transaction<'_>) -> Result<T, KeyError>,
    ) -> anyhow::Result<T> {
        let pin = self.pin.pin_for(card, self.key)?;
        let mut transaction = card.transaction()?;
        if let Some(pin) = pin {
            transaction.verify_pin(&pin, self.pin.last_try()).map(drop)?;
        }
        Ok(act(&mut transaction)?)
    }
}

/// PKCS #1 v1.5 of a message whose length nobody knows beforehand (RFC 8017 section 7.2.2). Who can run this command has
/// the PIN and the card, so it need not hide from them whether the padding fits.
fn decrypt_pkcs1(
    transaction: &mut Transaction<'_>,
    key: KeyReference,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let algorithms =
        [KeyAlgorithm::Rsa1024, KeyAlgorithm::Rsa2048, KeyAlgorithm::Rsa3072, KeyAlgorithm::Rsa4096];
    let algorithm = algorithms.into_iter().find(|algorithm| algorithm.length() == ciphertext.len());
    let algorithm = algorithm.ok_or_else(|| {
        KeyError::Unsupported(format!("decrypt {} bytes with an RSA key of a card", ciphertext.len()))
    })?;
    let block = transaction.use_private_key(key, algorithm, ciphertext)?;
    let [0x00, 0x02, rest @ ..] = block.as_slice() else { return Err(KeyError::DecryptionFailed) };
    match rest.iter().position(|&byte| byte == 0) {
        // At least eight bytes of padding.
        Some(end) if end >= 8 => Ok(Zeroizing::new(rest.get(end + 1..).unwrap_or_default().to_vec())),
        _ => Err(KeyError::DecryptionFailed),
    }
}

fn hash(text: &str) -> Result<Hash, String> {
    match text.to_lowercase().replace('-', "").as_str() {
        "sha1" => Ok(Hash::Sha1),
        "sha224" => Ok(Hash::Sha224),
        "sha256" => Ok(Hash::Sha256),
        "sha384" => Ok(Hash::Sha384),
        "sha512" => Ok(Hash::Sha512),
        _ => Err("write sha1, sha224, sha256, sha384 or sha512".to_owned()),
    }
}
