//! RSA padding (RFC 8017 sections 7 and 9) on the host: the card and the public operation only exponentiate.
use getrandom::SysRng;
use rand_core::TryRng;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::{DigestAlgorithm, Hash, KeyError, RsaEncryption};

/// Bytes of PKCS #1 v1.5 padding around a message: 00 01 or 02, at least eight, 00.
pub const PKCS1_OVERHEAD: usize = 11;

/// How RSASSA-PSS is done (section 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pss {
    /// The hash of the message.
    pub hash: Hash,
    /// The hash of MGF1.
    pub mask: Hash,
    /// Bytes of salt.
    pub salt_length: usize,
}

/// How RSAES-OAEP is done (section 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oaep {
    /// The hash of the label.
    pub hash: Hash,
    /// The hash of MGF1.
    pub mask: Hash,
    /// The label; usually empty.
    pub label: Vec<u8>,
}

/// Why no padding could be put on or taken off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PaddingError {
    /// What is to be signed or encrypted leaves no room for the padding, or is no digest of the hash.
    #[error("{message} bytes do not fit into {modulus} bits so")]
    WrongLength {
        /// Bytes of the message.
        message: usize,
        /// Bits of the modulus.
        modulus: usize,
    },
    /// Hash and salt are too long for the key.
    #[error("a key of {modulus} bits is too short for this hash and salt")]
    KeyTooShort {
        /// Bits of the modulus.
        modulus: usize,
    },
    /// The system has no random bytes.
    #[error("no randomness: {0}")]
    Randomness(String),
}

impl From<PaddingError> for KeyError {
    fn from(error: PaddingError) -> Self {
        match error {
            PaddingError::Randomness(why) => Self::Io(std::io::Error::other(why)),
            error => Self::Unsupported(error.to_string()),
        }
    }
}

fn fill_random(bytes: &mut [u8]) -> Result<(), PaddingError> {
    SysRng.try_fill_bytes(bytes).map_err(|error| PaddingError::Randomness(error.to_string()))
}

/// EMSA-PKCS1-v1_5 of a digest (section 9.2).
pub(crate) fn sign_block(
    hash: DigestAlgorithm,
    digest: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    pkcs1_signature_block(&Hash::from(hash).digest_info(digest), length)
}

/// EMSA-PSS with a salt as long as the digest and its hash for the mask; the modulus fills its octets.
pub(crate) fn usual_pss_block(
    hash: DigestAlgorithm,
    digest: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    let pss = Pss { hash: hash.into(), mask: hash.into(), salt_length: hash.length() };
    pss_block(pss, digest, length * 8)
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
        RsaEncryption::Pkcs1v15 { length } => Ok(open_pkcs1_key(block, length)?),
        RsaEncryption::Oaep { digest, mask } => {
            let oaep = Oaep { hash: digest, mask, label: Vec::new() };
            open_oaep(&oaep, block).ok_or(KeyError::DecryptionFailed)
        }
    }
}

/// `00 01 FF.. 00 data` (section 9.2, where the data are a DigestInfo).
///
/// # Errors
/// [`PaddingError::WrongLength`].
pub fn pkcs1_signature_block(data: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    if data.len() + PKCS1_OVERHEAD > length {
        return Err(PaddingError::WrongLength { message: data.len(), modulus: length * 8 });
    }
    let mut block = Zeroizing::new(Vec::with_capacity(length));
    block.extend_from_slice(&[0x00, 0x01]);
    block.resize(length - data.len() - 1, 0xFF);
    block.push(0x00);
    block.extend_from_slice(data);
    Ok(block)
}

/// `00 02 random 00 message` (section 7.2.1).
///
/// # Errors
/// [`PaddingError::WrongLength`], [`PaddingError::Randomness`].
pub fn pkcs1_encryption_block(message: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    if message.len() + PKCS1_OVERHEAD > length {
        return Err(PaddingError::WrongLength { message: message.len(), modulus: length * 8 });
    }
    let mut random = Zeroizing::new(vec![0; length - message.len() - 3]);
    fill_random(&mut random)?;
    for byte in random.iter_mut() {
        while *byte == 0 {
            fill_random(std::slice::from_mut(byte))?;
        }
    }
    let mut block = Zeroizing::new(Vec::with_capacity(length));
    block.extend_from_slice(&[0x00, 0x02]);
    block.extend_from_slice(&random);
    block.push(0x00);
    block.extend_from_slice(message);
    Ok(block)
}

/// Takes the padding of section 7.2.2 off; whether it fits and how long the message is are told by the answer, which
/// PKCS#11 demands, but by nothing else. Whoever knows the length takes [`open_pkcs1_key`].
pub fn open_pkcs1(block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut fits = Choice::from(1);
    let mut looking = Choice::from(1);
    let mut start = 0_u32;
    for (position, byte) in (0_u32..).zip(block) {
        match position {
            0 => fits &= byte.ct_eq(&0x00),
            1 => fits &= byte.ct_eq(&0x02),
            _ => {
                let zero = byte.ct_eq(&0x00);
                start.conditional_assign(&(position + 1), looking & zero);
                looking &= !zero;
            }
        }
    }
    let start = usize::try_from(start).ok()?;
    if bool::from(fits & !looking) && start >= PKCS1_OVERHEAD {
        block.get(start..).map(|message| Zeroizing::new(message.to_vec()))
    } else {
        None
    }
}

/// The last `length` bytes if the padding before them fits, else random ones: whoever unwraps a key of known length
/// never learns which (RFC 3218 section 2.3.2).
///
/// # Errors
/// [`PaddingError::WrongLength`] where no key of that length fits, [`PaddingError::Randomness`].
pub fn open_pkcs1_key(block: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    let padding = block.len().checked_sub(length).filter(|&padding| padding >= PKCS1_OVERHEAD);
    let (padding, message) = padding
        .and_then(|at| block.split_at_checked(at))
        .ok_or(PaddingError::WrongLength { message: length, modulus: block.len() * 8 })?;
    let mut key = Zeroizing::new(vec![0; length]);
    fill_random(&mut key)?;
    let mut fits = Choice::from(1);
    let last = padding.len() - 1;
    for (position, byte) in padding.iter().enumerate() {
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

/// EMSA-PSS-ENCODE (section 9.1.1) for a modulus of that many bits.
///
/// # Errors
/// Those of [`PaddingError`].
pub fn pss_block(pss: Pss, digest: &[u8], modulus_bits: usize) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    if digest.len() != pss.hash.length() {
        return Err(PaddingError::WrongLength { message: digest.len(), modulus: modulus_bits });
    }
    let mut salt = vec![0; pss.salt_length];
    fill_random(&mut salt)?;
    let bits = modulus_bits - 1;
    let length = bits.div_ceil(8);
    let zeros = length
        .checked_sub(digest.len() + pss.salt_length + 2)
        .ok_or(PaddingError::KeyTooShort { modulus: modulus_bits })?;
    let hash = pss.hash.of(&[&[0; 8], digest, &salt]);
    let mut block = Zeroizing::new(Vec::with_capacity(length));
    block.resize(zeros, 0);
    block.push(0x01);
    block.extend_from_slice(&salt);
    mask(pss.mask, &mut block, &hash);
    clear_leading_bits(&mut block, length * 8 - bits);
    block.extend_from_slice(&hash);
    block.push(0xBC);
    Ok(block)
}

/// EMSA-PSS-VERIFY (section 9.1.2); `block` is as long as the encoded message.
pub fn is_pss_block(pss: Pss, digest: &[u8], block: &[u8], modulus_bits: usize) -> bool {
    let unused = (block.len() * 8).saturating_sub(modulus_bits - 1);
    let Some((0xBC, rest)) = block.split_last() else { return false };
    let Some(end) = rest.len().checked_sub(pss.hash.length()) else { return false };
    let (masked, hash) = rest.split_at(end);
    if masked.first().is_some_and(|byte| u32::from(*byte) >> (8 - unused.min(7)) != 0) {
        return false;
    }
    let mut data = masked.to_vec();
    mask(pss.mask, &mut data, hash);
    clear_leading_bits(&mut data, unused);
    let Some(zeros) = data.len().checked_sub(pss.salt_length + 1) else { return false };
    let (padding, salt) = data.split_at(zeros + 1);
    let Some((0x01, zeros)) = padding.split_last() else { return false };
    zeros.iter().all(|byte| *byte == 0) && pss.hash.of(&[&[0; 8], digest, salt]).as_slice() == hash
}

fn clear_leading_bits(block: &mut [u8], count: usize) {
    if let Some(first) = block.first_mut() {
        *first &= 0xFF >> count.min(7);
    }
}

/// EME-OAEP encoding (section 7.1.1 step 2).
///
/// # Errors
/// [`PaddingError::WrongLength`], [`PaddingError::Randomness`].
pub fn oaep_block(oaep: &Oaep, message: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    let hash_length = oaep.hash.length();
    let zeros = length
        .checked_sub(message.len() + 2 * hash_length + 2)
        .ok_or(PaddingError::WrongLength { message: message.len(), modulus: length * 8 })?;
    let mut data = Zeroizing::new(Vec::with_capacity(length));
    data.extend_from_slice(&oaep.hash.of(&[&oaep.label]));
    data.resize(hash_length + zeros, 0);
    data.push(0x01);
    data.extend_from_slice(message);
    let mut seed = Zeroizing::new(vec![0; hash_length]);
    fill_random(&mut seed)?;
    mask(oaep.mask, &mut data, &seed);
    mask(oaep.mask, &mut seed, &data);
    let mut block = Zeroizing::new(Vec::with_capacity(length));
    block.push(0x00);
    block.extend_from_slice(&seed);
    block.extend_from_slice(&data);
    Ok(block)
}

/// EME-OAEP decoding (section 7.1.2 step 3): one outcome for every way it can fail, found without a branch on the
/// block's content.
pub fn open_oaep(oaep: &Oaep, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let hash_length = oaep.hash.length();
    let (first, rest) = block.split_first()?;
    let (masked_seed, masked_data) = rest.split_at_checked(hash_length)?;
    let mut seed = Zeroizing::new(masked_seed.to_vec());
    mask(oaep.mask, &mut seed, masked_data);
    let mut data = Zeroizing::new(masked_data.to_vec());
    mask(oaep.mask, &mut data, &seed);

    let (label, padded) = data.split_at_checked(hash_length)?;
    let mut fits = first.ct_eq(&0x00) & label.ct_eq(oaep.hash.of(&[&oaep.label]).as_slice());
    let mut looking = Choice::from(1);
    let mut start = 0_u32;
    for (after, byte) in (1_u32..).zip(padded) {
        let one = byte.ct_eq(&0x01);
        start.conditional_assign(&after, looking & one);
        fits &= !looking | one | byte.ct_eq(&0x00);
        looking &= !one;
    }
    let start = usize::try_from(start).ok()?;
    if bool::from(fits & !looking) {
        padded.get(start..).map(|message| Zeroizing::new(message.to_vec()))
    } else {
        None
    }
}

/// XORs MGF1 of a seed (appendix B.2.1) onto the bytes.
fn mask(hash: Hash, bytes: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0_u32..).zip(bytes.chunks_mut(hash.length())) {
        let part = hash.of(&[seed, &counter.to_be_bytes()]);
        for (byte, mask) in chunk.iter_mut().zip(part.iter()) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_padded_comes_out_again_and_damage_is_found() {
        let oaep = Oaep { hash: Hash::Sha256, mask: Hash::Sha1, label: b"label".to_vec() };
        for message in [&b""[..], b"a key of some bytes"] {
            let block = oaep_block(&oaep, message, 256).unwrap();
            assert_eq!(open_oaep(&oaep, &block).unwrap().as_slice(), message);
            let other = Oaep { label: Vec::new(), ..oaep.clone() };
            assert_eq!(open_oaep(&other, &block), None);
            let block = pkcs1_encryption_block(message, 256).unwrap();
            assert_eq!(open_pkcs1(&block).unwrap().as_slice(), message);
            for at in [0, 1, 5] {
                let mut damaged = block.clone();
                damaged[at] = 0;
                assert!(at == 0 || open_pkcs1(&damaged).is_none(), "{at}");
            }
        }
        assert!(matches!(
            pkcs1_encryption_block(&[0; 246], 256),
            Err(PaddingError::WrongLength { message: 246, modulus: 2048 })
        ));
        assert_eq!(open_pkcs1(&[0, 2, 1, 1, 1]), None);
    }

    #[test]
    fn a_key_of_known_length_comes_out_or_a_random_one() {
        let block = pkcs1_encryption_block(&[7; 32], 256).unwrap();
        assert_eq!(*open_pkcs1_key(&block, 32).unwrap(), [7; 32]);
        let wrong = open_pkcs1_key(&block, 16).unwrap();
        assert_eq!(wrong.len(), 16);
        assert_ne!(*wrong, [7; 16]);
        assert!(open_pkcs1_key(&block, 250).is_err());
    }

    /// Also for moduli whose bits are one more than whole bytes, where the encoded message is a byte shorter.
    #[test]
    fn a_pss_block_verifies_with_its_own_digest_alone() {
        for (modulus_bits, salt_length) in [(2048, 32), (2048, 0), (2049, 20), (2047, 62)] {
            let pss = Pss { hash: Hash::Sha256, mask: Hash::Sha384, salt_length };
            let block = pss_block(pss, &[1; 32], modulus_bits).unwrap();
            assert!(is_pss_block(pss, &[1; 32], &block, modulus_bits));
            assert!(!is_pss_block(pss, &[2; 32], &block, modulus_bits));
            let other = Pss { salt_length: salt_length + 1, ..pss };
            assert!(!is_pss_block(other, &[1; 32], &block, modulus_bits));
        }
        let pss = Pss { hash: Hash::Sha512, mask: Hash::Sha512, salt_length: 64 };
        assert!(matches!(pss_block(pss, &[1; 64], 1024), Err(PaddingError::KeyTooShort { modulus: 1024 })));
        assert!(!is_pss_block(pss, &[1; 64], &[], 1024));
    }

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
        let sha256 = Hash::Sha256;
        let good = oaep_block(&Oaep { hash: sha256, mask: sha256, label: Vec::new() }, b"", 256).unwrap();
        assert!(open(RsaEncryption::oaep(DigestAlgorithm::Sha256), &good).unwrap().is_empty());
        for position in [0, 1, 40, 80, 255] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            let error = open(RsaEncryption::oaep(DigestAlgorithm::Sha256), &bad).unwrap_err();
            assert!(matches!(error, KeyError::DecryptionFailed), "position {position}");
        }
    }
}
