//! RSA padding (RFC 8017 sections 7 and 9): the card and the public operation only exponentiate.
//!
//! The middleware has what mail needs; PKCS#11 asks for any hash, salt length and label, and for encryption.
use getrandom::SysRng;
use rand_core::TryRng;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::hash::Hash;
use crate::return_value::ReturnValue;

/// Bytes of PKCS #1 v1.5 padding around a message: 00 01 or 02, at least eight, 00.
pub(crate) const PKCS1_OVERHEAD: usize = 11;

/// `CK_RSA_PKCS_PSS_PARAMS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pss {
    pub(crate) hash: Hash,
    pub(crate) mask: Hash,
    pub(crate) salt_length: usize,
}

/// `CK_RSA_PKCS_OAEP_PARAMS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Oaep {
    pub(crate) hash: Hash,
    pub(crate) mask: Hash,
    pub(crate) label: Vec<u8>,
}

/// Random bytes of the system.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), ReturnValue> {
    SysRng.try_fill_bytes(bytes).map_err(|_| ReturnValue::FUNCTION_FAILED)
}

/// `00 01 FF.. 00 data` (section 9.2, where the data are a DigestInfo).
pub(crate) fn pkcs1_signature_block(data: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    if data.len() + PKCS1_OVERHEAD > length {
        return Err(ReturnValue::DATA_LEN_RANGE);
    }
    let mut block = Zeroizing::new(Vec::with_capacity(length));
    block.extend_from_slice(&[0x00, 0x01]);
    block.resize(length - data.len() - 1, 0xFF);
    block.push(0x00);
    block.extend_from_slice(data);
    Ok(block)
}

/// `00 02 random 00 message` (section 7.2.1).
pub(crate) fn pkcs1_encryption_block(
    message: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    if message.len() + PKCS1_OVERHEAD > length {
        return Err(ReturnValue::DATA_LEN_RANGE);
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
/// PKCS#11 demands, but by nothing else.
pub(crate) fn open_pkcs1(block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
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
pub(crate) fn open_pkcs1_key(block: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    let padding = block.len().checked_sub(length).filter(|&padding| padding >= PKCS1_OVERHEAD);
    let (padding, message) =
        padding.and_then(|at| block.split_at_checked(at)).ok_or(ReturnValue::TEMPLATE_INCONSISTENT)?;
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
pub(crate) fn pss_block(
    pss: Pss,
    digest: &[u8],
    modulus_bits: usize,
) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    if digest.len() != pss.hash.length() {
        return Err(ReturnValue::DATA_LEN_RANGE);
    }
    let mut salt = vec![0; pss.salt_length];
    fill_random(&mut salt)?;
    let bits = modulus_bits - 1;
    let length = bits.div_ceil(8);
    let zeros = length.checked_sub(digest.len() + pss.salt_length + 2).ok_or(ReturnValue::KEY_SIZE_RANGE)?;
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
pub(crate) fn is_pss_block(pss: Pss, digest: &[u8], block: &[u8], modulus_bits: usize) -> bool {
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
pub(crate) fn oaep_block(
    oaep: &Oaep,
    message: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    let hash_length = oaep.hash.length();
    let zeros = length.checked_sub(message.len() + 2 * hash_length + 2).ok_or(ReturnValue::DATA_LEN_RANGE)?;
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
pub(crate) fn open_oaep(oaep: &Oaep, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
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
        assert_eq!(pkcs1_encryption_block(&[0; 246], 256), Err(ReturnValue::DATA_LEN_RANGE));
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
        assert_eq!(pss_block(pss, &[1; 64], 1024).unwrap_err(), ReturnValue::KEY_SIZE_RANGE);
        assert!(!is_pss_block(pss, &[1; 64], &[], 1024));
    }
}
