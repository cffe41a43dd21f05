//! Private key files for `card-sim new --key`.

use std::path::Path;

use anyhow::{Context as _, bail};
use p256::SecretKey;
use pkcs8::DecodePrivateKey as _;
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use zeroize::Zeroizing;

use crate::crypto::{CryptoProvider as _, PrivateKeyMaterial, RSA_PUBLIC_EXPONENT, RustCrypto};
use crate::secret::SecretBytes;

const RSA_PRIME: usize = 128;

/// Reads an RSA-2048 or P-256 key from an unencrypted file, PEM or DER: PKCS#8, PKCS#1 or SEC 1.
pub(super) fn read(path: &Path) -> anyhow::Result<PrivateKeyMaterial> {
    let content = std::fs::read(path).with_context(|| format!("{}: cannot read it", path.display()))?;
    let content = Zeroizing::new(content);
    let material = rsa_key(&content).or_else(|| p256_key(&content));
    let Some(material) = material else {
        bail!(
            "{}: not an unencrypted private key of RSA-2048 (exponent 65537) or P-256; \
             convert it with `openssl pkcs8 -topk8 -nocrypt`",
            path.display()
        );
    };
    RustCrypto.load(&material).with_context(|| format!("{}", path.display()))?;
    Ok(material)
}

fn rsa_key(content: &[u8]) -> Option<PrivateKeyMaterial> {
    let key = match std::str::from_utf8(content) {
        Ok(pem) => {
            RsaPrivateKey::from_pkcs8_pem(pem).ok().or_else(|| RsaPrivateKey::from_pkcs1_pem(pem).ok())
        }
        Err(_) => RsaPrivateKey::from_pkcs8_der(content)
            .ok()
            .or_else(|| RsaPrivateKey::from_pkcs1_der(content).ok()),
    }?;
    let [p, q] = key.primes() else { return None };
    let has_right_form = key.n_bytes().len() == 2 * RSA_PRIME && *key.e_bytes() == RSA_PUBLIC_EXPONENT;
    let prime = |number: &rsa::BoxedUint| {
        let bytes = Zeroizing::new(number.to_be_bytes().into_vec());
        let skip = bytes.len().checked_sub(RSA_PRIME)?;
        bytes.get(skip..).map(SecretBytes::from)
    };
    has_right_form.then_some(PrivateKeyMaterial::Rsa { p: prime(p)?, q: prime(q)? })
}

fn p256_key(content: &[u8]) -> Option<PrivateKeyMaterial> {
    let key = match std::str::from_utf8(content) {
        Ok(pem) => SecretKey::from_pkcs8_pem(pem).ok().or_else(|| SecretKey::from_sec1_pem(pem).ok()),
        Err(_) => SecretKey::from_pkcs8_der(content).ok().or_else(|| SecretKey::from_sec1_der(content).ok()),
    }?;
    Some(PrivateKeyMaterial::P256 { scalar: SecretBytes::new(key.to_bytes().to_vec()) })
}
