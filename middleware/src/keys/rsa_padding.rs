//! RSA padding on the host: the card only raises to its private exponent (RFC 8017 sections 7 and 9).
use getrandom::SysRng;
use rand_core::TryRng;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::public_key::pkcs1_v15;
use super::{DigestAlgorithm, KeyError, OaepDigest, RsaEncryption};

/// Bytes of PKCS #1 v1.5 padding around a message: 00 02, at least eight, 00.
const PKCS1_OVERHEAD: usize = 11;

/// EMSA-PKCS1-v1_5: `00 01 FF.. 00 DigestInfo` (section 9.2).
pub(crate) fn sign_block(hash: DigestAlgorithm, digest: &[u8], length: usize) -> Vec<u8> {
    let prefix = pkcs1_v15(hash).prefix;
    let mut block = vec![0xFF; length.saturating_sub(prefix.len() + digest.len() + 1)];
    if let Some(start) = block.first_chunk_mut() {
        *start = [0x00, 0x01];
    }
    block.push(0x00);
    block.extend_from_slice(&prefix);
    block.extend_from_slice(digest);
    block
}

/// EMSA-PSS with a salt as long as the digest (section 9.1.1): `maskedDB H BC`.
pub(crate) fn pss_block(hash: DigestAlgorithm, digest: &[u8], length: usize) -> Result<Vec<u8>, KeyError> {
    let mut salt = vec![0; hash.length()];
    SysRng.try_fill_bytes(&mut salt).map_err(|error| std::io::Error::other(error.to_string()))?;
    match hash {
        DigestAlgorithm::Sha256 => pss_block_with::<Sha256>(digest, &salt, length),
        DigestAlgorithm::Sha384 => pss_block_with::<Sha384>(digest, &salt, length),
        DigestAlgorithm::Sha512 => pss_block_with::<Sha512>(digest, &salt, length),
    }
    .ok_or_else(|| KeyError::Unsupported(format!("RSASSA-PSS with {hash} and {} bits", length * 8)))
}

fn pss_block_with<D: Digest>(digest: &[u8], salt: &[u8], length: usize) -> Option<Vec<u8>> {
    let hash = D::new().chain_update([0; 8]).chain_update(digest).chain_update(salt).finalize();
    let zeros = length.checked_sub(hash.len() + salt.len() + 2)?;
    let mut block = vec![0; zeros];
    block.push(0x01);
    block.extend_from_slice(salt);
    mask::<D>(&mut block, &hash);
    // The modulus fills its octets, so the encoded message has one bit less.
    *block.first_mut()? &= 0x7F;
    block.extend_from_slice(&hash);
    block.push(0xBC);
    Some(block)
}

/// Whether a key of that modulus length can have encrypted so.
pub(crate) fn check(encryption: RsaEncryption, modulus_length: usize) -> Result<(), KeyError> {
    match encryption {
        RsaEncryption::Pkcs1v15 { length } if length + PKCS1_OVERHEAD > modulus_length => {
            Err(KeyError::Unsupported(format!("encrypt {length} bytes with {} bits", modulus_length * 8)))
        }
        RsaEncryption::Oaep { digest, .. } if 2 * digest.length() + 2 > modulus_length => {
            Err(KeyError::Unsupported(format!("OAEP with {digest} and {} bits", modulus_length * 8)))
        }
        _ => Ok(()),
    }
}

/// Takes the padding off a decrypted block as long as the modulus.
pub(crate) fn open(encryption: RsaEncryption, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    check(encryption, block.len())?;
    match encryption {
        RsaEncryption::Pkcs1v15 { length } => open_pkcs1_v15(block, length),
        RsaEncryption::Oaep { digest: OaepDigest::Sha1, mask } => open_oaep::<Sha1>(block, mask),
        RsaEncryption::Oaep { digest: OaepDigest::Sha224, mask } => open_oaep::<Sha224>(block, mask),
        RsaEncryption::Oaep { digest: OaepDigest::Sha256, mask } => open_oaep::<Sha256>(block, mask),
        RsaEncryption::Oaep { digest: OaepDigest::Sha384, mask } => open_oaep::<Sha384>(block, mask),
        RsaEncryption::Oaep { digest: OaepDigest::Sha512, mask } => open_oaep::<Sha512>(block, mask),
    }
}

/// EME-PKCS1-v1_5 with a known message length, without a branch on the block's content: where the padding does not
/// fit, the caller gets a random key and finds out by the content's integrity check (RFC 3218 section 2.3.2).
fn open_pkcs1_v15(block: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut key = Zeroizing::new(vec![0; length]);
    SysRng.try_fill_bytes(&mut key).map_err(|error| std::io::Error::other(error.to_string()))?;
    let (padding, message) = block.split_at(block.len() - length);
    let last = padding.len() - 1;
    let mut fits = Choice::from(1);
    for (position, byte) in padding.iter().enumerate() {
        // Positions are public; only the bytes are secret.
        fits &= match position {
            0 => byte.ct_eq(&0x00),
            1 => byte.ct_eq(&0x02),
            _ if position == last => byte.ct_eq(&0x00),
            _ => !byte.ct_eq(&0x00),
        };
    }
    for (to, from) in key.iter_mut().zip(message) {
        to.conditional_assign(from, fits);
    }
    Ok(key)
}

/// EME-OAEP (section 7.1.2 step 3) with an empty label: one outcome for every way it can fail, found without a branch
/// on the block's content.
fn open_oaep<D: Digest>(block: &[u8], mask_digest: OaepDigest) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let hash_length = <D as Digest>::output_size();
    let (first, rest) = block.split_first().ok_or(KeyError::DecryptionFailed)?;
    let (masked_seed, masked_data) = rest.split_at_checked(hash_length).ok_or(KeyError::DecryptionFailed)?;
    let mut seed = Zeroizing::new(masked_seed.to_vec());
    mask_with(mask_digest, &mut seed, masked_data);
    let mut data = Zeroizing::new(masked_data.to_vec());
    mask_with(mask_digest, &mut data, &seed);

    let (label, padded) = data.split_at_checked(hash_length).ok_or(KeyError::DecryptionFailed)?;
    let mut fits = first.ct_eq(&0) & label.ct_eq(D::digest([]).as_slice());
    let mut looking = Choice::from(1);
    let mut start = 0_u32;
    for (after, byte) in (1..).zip(padded) {
        let one = byte.ct_eq(&0x01);
        start.conditional_assign(&after, looking & one);
        fits &= !looking | one | byte.ct_eq(&0x00);
        looking &= !one;
    }
    fits &= !looking;
    if bool::from(fits) {
        let message = padded.get(start as usize..).unwrap_or_default();
        Ok(Zeroizing::new(message.to_vec()))
    } else {
        Err(KeyError::DecryptionFailed)
    }
}

fn mask_with(digest: OaepDigest, data: &mut [u8], seed: &[u8]) {
    match digest {
        OaepDigest::Sha1 => mask::<Sha1>(data, seed),
        OaepDigest::Sha224 => mask::<Sha224>(data, seed),
        OaepDigest::Sha256 => mask::<Sha256>(data, seed),
        OaepDigest::Sha384 => mask::<Sha384>(data, seed),
        OaepDigest::Sha512 => mask::<Sha512>(data, seed),
    }
}

/// MGF1 (appendix B.2.1), applied to what it masks.
fn mask<D: Digest>(data: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0_u32..).zip(data.chunks_mut(<D as Digest>::output_size())) {
        let block = D::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        for (byte, mask) in chunk.iter_mut().zip(block) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pkcs1_block(message: &[u8]) -> Vec<u8> {
        let mut block = vec![0xA5; 256 - message.len()];
        block[0] = 0;
        block[1] = 2;
        *block.last_mut().unwrap() = 0;
        block.extend_from_slice(message);
        block
    }

    #[test]
    fn well_padded_pkcs1_gives_the_message() {
        let message = [7; 32];
        let opened = open(RsaEncryption::Pkcs1v15 { length: 32 }, &pkcs1_block(&message)).unwrap();
        assert_eq!(*opened, message);
    }

    /// RFC 3218 section 2.3.2: no error, a key of the right length, and another one each time.
    #[test]
    fn badly_padded_pkcs1_gives_a_random_key() {
        let message = [7; 32];
        let good = pkcs1_block(&message);
        for (position, value) in [(0, 1), (1, 1), (2, 0), (100, 0), (222, 0), (223, 1)] {
            let mut bad = good.clone();
            bad[position] = value;
            let once = open(RsaEncryption::Pkcs1v15 { length: 32 }, &bad).unwrap();
            let again = open(RsaEncryption::Pkcs1v15 { length: 32 }, &bad).unwrap();
            assert_eq!(once.len(), 32);
            assert!(*once != message && once != again, "position {position}");
        }
    }

    #[test]
    fn impossible_lengths_are_refused_by_name() {
        let error = open(RsaEncryption::Pkcs1v15 { length: 246 }, &[0; 256]).unwrap_err();
        assert!(matches!(error, KeyError::Unsupported(_)));
        let error = open(RsaEncryption::oaep(DigestAlgorithm::Sha512), &[0; 128]).unwrap_err();
        assert!(matches!(error, KeyError::Unsupported(_)));
    }

    #[test]
    fn changed_oaep_is_one_failure_whatever_was_changed() {
        // EME-OAEP of the empty message with a zero seed, made by the inverse operations.
        let mut data = Sha256::digest([]).to_vec();
        data.resize(256 - 33 - 1, 0);
        data.push(1);
        let mut seed = vec![9; 32];
        mask::<Sha256>(&mut data, &seed);
        mask::<Sha256>(&mut seed, &data);
        let good = [vec![0], seed, data].concat();
        assert!(open(RsaEncryption::oaep(DigestAlgorithm::Sha256), &good).unwrap().is_empty());
        for position in [0, 1, 40, 80, 255] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            let error = open(RsaEncryption::oaep(DigestAlgorithm::Sha256), &bad).unwrap_err();
            assert!(matches!(error, KeyError::DecryptionFailed), "position {position}");
        }
    }
}
