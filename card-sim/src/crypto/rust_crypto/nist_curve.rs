//! The NIST curves: ECDSA (FIPS 186-5) with the nonces of RFC 6979, and ECDH (SP 800-56A).

use elliptic_curve::Generate;
use signature::hazmat::PrehashSigner;
use zeroize::Zeroizing;

use crate::crypto::{CryptoError, PrivateKey, PrivateKeyMaterial, PublicKey, Randomness};
use crate::secret::SecretBytes;

/// The digest as a big-endian number of `N` bytes, not shorter: the crates refuse short ones.
fn padded<const N: usize>(digest: &[u8]) -> Result<[u8; N], CryptoError> {
    let mut number = [0; N];
    let start = N.checked_sub(digest.len()).filter(|start| *start < N).ok_or(CryptoError::InvalidInput)?;
    number.get_mut(start..).ok_or(CryptoError::InvalidInput)?.copy_from_slice(digest);
    Ok(number)
}

macro_rules! nist_curve {
    ($name:ident, $curve:ident, $variant:ident, $field:literal) => {
        /// A key on the curve.
        pub(super) struct $name($curve::SecretKey);

        impl $name {
            pub(super) fn generate(randomness: &mut Randomness) -> PrivateKeyMaterial {
                let key = $curve::SecretKey::generate_from_rng(randomness);
                let bytes = Zeroizing::new(key.to_bytes());
                PrivateKeyMaterial::$variant { scalar: SecretBytes::from(bytes.as_slice()) }
            }

            /// A scalar from 1 to the order of the curve less 1.
            pub(super) fn load(scalar: &[u8]) -> Result<Self, CryptoError> {
                if scalar.len() != $field {
                    return Err(CryptoError::InvalidKey);
                }
                $curve::SecretKey::from_slice(scalar).map(Self).map_err(|_| CryptoError::InvalidKey)
            }
        }

        impl PrivateKey for $name {
            fn public_key(&self) -> PublicKey {
                PublicKey::$variant { point: self.0.public_key().to_sec1_bytes().into_vec() }
            }

            fn ecdsa_sign(&self, digest: &[u8]) -> Result<Vec<u8>, CryptoError> {
                let key = $curve::ecdsa::SigningKey::from(&self.0);
                let signature: $curve::ecdsa::DerSignature =
                    key.sign_prehash(&padded::<$field>(digest)?).map_err(|_| CryptoError::Failed)?;
                Ok(signature.as_bytes().to_vec())
            }

            fn ecdh(&self, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
                if point.len() != 1 + 2 * $field || point.first() != Some(&0x04) {
                    return Err(CryptoError::InvalidInput);
                }
                let point =
                    $curve::PublicKey::from_sec1_bytes(point).map_err(|_| CryptoError::InvalidInput)?;
                let shared = self.0.diffie_hellman(&point);
                Ok(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
            }
        }
    };
}

nist_curve!(P256Key, p256, P256, 32);
nist_curve!(P384Key, p384, P384, 48);
