//! Private key files for `card-sim new --key`.

use std::path::Path;

use anyhow::{Context as _, bail};
use der::asn1::OctetStringRef;
use der::oid::ObjectIdentifier;
use der::{Decode as _, SecretDocument};
use pkcs8::{DecodePrivateKey as _, PrivateKeyInfoRef};
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use zeroize::Zeroizing;

use crate::crypto::{
    AsymmetricAlgorithm, CryptoProvider as _, PrivateKeyMaterial, RSA_PUBLIC_EXPONENT, RustCrypto,
};
use crate::secret::SecretBytes;

/// RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");

/// Reads a key of any algorithm that a card may have from an unencrypted file, PEM or DER: PKCS#8, PKCS#1 or SEC 1.
pub(super) fn read(path: &Path) -> anyhow::Result<PrivateKeyMaterial> {
    let content = std::fs::read(path).with_context(|| format!("{}: cannot read it", path.display()))?;
    let content = Zeroizing::new(content);
    let material = rsa_key(&content)
        .or_else(|| p256_key(&content))
        .or_else(|| p384_key(&content))
        .or_else(|| curve25519_key(&content));
    let Some(material) = material else {
        bail!(
            "{}: not an unencrypted private key of RSA-2048, RSA-3072 or RSA-4096 (exponent 65537), P-256, P-384, \
             Ed25519 or X25519; convert it with `openssl pkcs8 -topk8 -nocrypt`",
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
    let half = AsymmetricAlgorithm::rsa_with_block_length(key.n_bytes().len())?.block_length() / 2;
    let prime = |number: &rsa::BoxedUint| {
        let bytes = Zeroizing::new(number.to_be_bytes().into_vec());
        let skip = bytes.len().checked_sub(half)?;
        bytes.get(skip..).map(SecretBytes::from)
    };
    (*key.e_bytes() == RSA_PUBLIC_EXPONENT).then_some(PrivateKeyMaterial::Rsa { p: prime(p)?, q: prime(q)? })
}

fn p256_key(content: &[u8]) -> Option<PrivateKeyMaterial> {
    use p256::SecretKey;
    let key = match std::str::from_utf8(content) {
        Ok(pem) => SecretKey::from_pkcs8_pem(pem).ok().or_else(|| SecretKey::from_sec1_pem(pem).ok()),
        Err(_) => SecretKey::from_pkcs8_der(content).ok().or_else(|| SecretKey::from_sec1_der(content).ok()),
    }?;
    Some(PrivateKeyMaterial::P256 { scalar: SecretBytes::new(key.to_bytes().to_vec()) })
}

fn p384_key(content: &[u8]) -> Option<PrivateKeyMaterial> {
    use p384::SecretKey;
    let key = match std::str::from_utf8(content) {
        Ok(pem) => SecretKey::from_pkcs8_pem(pem).ok().or_else(|| SecretKey::from_sec1_pem(pem).ok()),
        Err(_) => SecretKey::from_pkcs8_der(content).ok().or_else(|| SecretKey::from_sec1_der(content).ok()),
    }?;
    Some(PrivateKeyMaterial::P384 { scalar: SecretBytes::new(key.to_bytes().to_vec()) })
}

/// `CurvePrivateKey ::= OCTET STRING` in PKCS#8 (RFC 8410 section 7).
fn curve25519_key(content: &[u8]) -> Option<PrivateKeyMaterial> {
    let document = match std::str::from_utf8(content) {
        Ok(pem) => SecretDocument::from_pem(pem).ok()?.1,
        Err(_) => SecretDocument::try_from(content).ok()?,
    };
    let info = PrivateKeyInfoRef::from_der(document.as_bytes()).ok()?;
    let key = SecretBytes::from(<&OctetStringRef>::from_der(info.private_key.as_bytes()).ok()?.as_bytes());
    match info.algorithm.oid {
        ED25519 => Some(PrivateKeyMaterial::Ed25519 { seed: key }),
        X25519 => Some(PrivateKeyMaterial::X25519 { scalar: key }),
        _ => None,
    }
}
