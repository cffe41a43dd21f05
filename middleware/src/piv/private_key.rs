//! A private key on its way into a card.
use zeroize::Zeroizing;

use super::KeyAlgorithm;
use crate::apdu::ber_tlv;

/// A private key on its way into a card (import). No `Debug`, zeroised on drop.
///
/// Made by [`FileKey::to_private_key`](crate::FileKey::to_private_key).
pub struct PrivateKey {
    algorithm: KeyAlgorithm,
    parts: Parts,
}

enum Parts {
    /// p, q, dP, dQ, qInv, each half as long as the modulus.
    Rsa([Zeroizing<Vec<u8>>; 5]),
    /// The scalar, as long as a coordinate.
    EllipticCurve(Zeroizing<Vec<u8>>),
}

impl PrivateKey {
    pub(crate) fn rsa(algorithm: KeyAlgorithm, parts: [Zeroizing<Vec<u8>>; 5]) -> Self {
        Self { algorithm, parts: Parts::Rsa(parts) }
    }

    pub(crate) fn elliptic_curve(algorithm: KeyAlgorithm, scalar: Zeroizing<Vec<u8>>) -> Self {
        Self { algorithm, parts: Parts::EllipticCurve(scalar) }
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The data field of the vendor command IMPORT ASYMMETRIC KEY: `01 p 02 q 03 dP 04 dQ 05 qInv`, or `06 d`,
    /// each padded on the left to its full length.
    pub(super) fn import_template(&self) -> Zeroizing<Vec<u8>> {
        // Room for all of it at once, and for policies after it: a buffer that grows leaves copies behind.
        let mut template = Zeroizing::new(Vec::with_capacity(5 * (self.algorithm.length() + 8) + 6));
        match &self.parts {
            Parts::Rsa(parts) => {
                for (tag, part) in (0x01..).zip(parts) {
                    append_padded(&mut template, tag, part, self.algorithm.length() / 2);
                }
            }
            Parts::EllipticCurve(scalar) => {
                // The vendor has tags of its own for the keys of Curve25519.
                let tag = match self.algorithm {
                    KeyAlgorithm::Ed25519 => 0x07,
                    KeyAlgorithm::X25519 => 0x08,
                    _ => 0x06,
                };
                append_padded(&mut template, tag, scalar, self.algorithm.length());
            }
        }
        template
    }
}

fn append_padded(template: &mut Vec<u8>, tag: u32, part: &[u8], length: usize) {
    let excess = part.len().saturating_sub(length);
    let part = part.get(excess..).unwrap_or_default();
    let mut padded = Zeroizing::new(vec![0; length - part.len()]);
    padded.reserve_exact(part.len());
    padded.extend_from_slice(part);
    ber_tlv::append(template, tag, &padded);
}
