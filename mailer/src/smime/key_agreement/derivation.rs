//! From a shared secret to a wrapped content key: X9.63 (RFC 5753 section 7.2), HKDF (RFC 8418 section 2.2), and AES key
//! wrap (RFC 3394).
use aes::{Aes128, Aes192, Aes256};
use aes_kw::{AesKw, KeyInit};
use const_oid::ObjectIdentifier;
use hkdf::Hkdf;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::certificate::tlv::{element, tag};
use crate::certificate::{DigestAlgorithm, RunningDigest};
use crate::smime::object_identifiers::{
    AES_128_WRAP, AES_192_WRAP, AES_256_WRAP, COFACTOR_DH_SHA1_KDF, COFACTOR_DH_SHA224_KDF,
    COFACTOR_DH_SHA256_KDF, COFACTOR_DH_SHA384_KDF, COFACTOR_DH_SHA512_KDF, STD_DH_HKDF_SHA256,
    STD_DH_HKDF_SHA384, STD_DH_HKDF_SHA512, STD_DH_SHA1_KDF, STD_DH_SHA224_KDF, STD_DH_SHA256_KDF,
    STD_DH_SHA384_KDF, STD_DH_SHA512_KDF,
};

/// A key wrap adds one block of eight bytes (RFC 3394).
const WRAP_OVERHEAD: usize = 8;
/// The shortest key that can be wrapped, in octets.
const SHORTEST_WRAPPED: usize = 16;

/// How a key-encryption key comes from a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyDerivation {
    /// ANSI X9.63 (SEC 1 section 3.6.1).
    X963(DigestAlgorithm),
    /// RFC 5869.
    Hkdf(DigestAlgorithm),
}

impl KeyDerivation {
    /// The scheme with this identifier. All our curves have the cofactor 1 (or, X25519, clear it), so cofactor
    /// Diffie-Hellman is the same.
    pub(super) fn from_identifier(identifier: ObjectIdentifier) -> Option<Self> {
        Some(match identifier {
            STD_DH_SHA1_KDF | COFACTOR_DH_SHA1_KDF => Self::X963(DigestAlgorithm::Sha1),
            STD_DH_SHA224_KDF | COFACTOR_DH_SHA224_KDF => Self::X963(DigestAlgorithm::Sha224),
            STD_DH_SHA256_KDF | COFACTOR_DH_SHA256_KDF => Self::X963(DigestAlgorithm::Sha256),
            STD_DH_SHA384_KDF | COFACTOR_DH_SHA384_KDF => Self::X963(DigestAlgorithm::Sha384),
            STD_DH_SHA512_KDF | COFACTOR_DH_SHA512_KDF => Self::X963(DigestAlgorithm::Sha512),
            STD_DH_HKDF_SHA256 => Self::Hkdf(DigestAlgorithm::Sha256),
            STD_DH_HKDF_SHA384 => Self::Hkdf(DigestAlgorithm::Sha384),
            STD_DH_HKDF_SHA512 => Self::Hkdf(DigestAlgorithm::Sha512),
            _ => return None,
        })
    }

    /// The identifier that we write.
    pub(super) fn identifier(self) -> ObjectIdentifier {
        match self {
            Self::X963(DigestAlgorithm::Sha1) => STD_DH_SHA1_KDF,
            Self::X963(DigestAlgorithm::Sha224) => STD_DH_SHA224_KDF,
            Self::X963(DigestAlgorithm::Sha256) => STD_DH_SHA256_KDF,
            Self::X963(DigestAlgorithm::Sha384) => STD_DH_SHA384_KDF,
            Self::X963(DigestAlgorithm::Sha512) => STD_DH_SHA512_KDF,
            Self::Hkdf(DigestAlgorithm::Sha384) => STD_DH_HKDF_SHA384,
            Self::Hkdf(DigestAlgorithm::Sha512) => STD_DH_HKDF_SHA512,
            Self::Hkdf(_) => STD_DH_HKDF_SHA256,
        }
    }

    /// The key-encryption key; the user keying material is HKDF's salt.
    pub(super) fn derive(
        self,
        shared: &[u8],
        user_keying_material: Option<&[u8]>,
        info: &[u8],
        wrap: KeyWrap,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut key = Zeroizing::new(vec![0; wrap.key_length()]);
        match self {
            Self::X963(digest) => x963(digest, shared, info, &mut key),
            Self::Hkdf(DigestAlgorithm::Sha384) => {
                Hkdf::<Sha384>::new(user_keying_material, shared).expand(info, &mut key).ok()?;
            }
            Self::Hkdf(DigestAlgorithm::Sha512) => {
                Hkdf::<Sha512>::new(user_keying_material, shared).expand(info, &mut key).ok()?;
            }
            Self::Hkdf(_) => {
                Hkdf::<Sha256>::new(user_keying_material, shared).expand(info, &mut key).ok()?;
            }
        }
        Some(key)
    }
}

fn x963(digest: DigestAlgorithm, shared: &[u8], info: &[u8], key: &mut [u8]) {
    for (counter, chunk) in (1_u32..).zip(key.chunks_mut(digest.length())) {
        let mut running = RunningDigest::new(digest);
        running.update(shared);
        running.update(&counter.to_be_bytes());
        running.update(info);
        let block = Zeroizing::new(running.finish());
        for (octet, derived) in chunk.iter_mut().zip(block.iter()) {
            *octet = *derived;
        }
    }
}

/// ```text
/// ECC-CMS-SharedInfo ::= SEQUENCE { keyInfo AlgorithmIdentifier, entityUInfo [0] EXPLICIT OCTET STRING OPTIONAL,
///     suppPubInfo [2] EXPLICIT OCTET STRING } -- the length of the key-encryption key in bits, four bytes
/// ```
pub(super) fn shared_info(
    wrap_algorithm: &[u8],
    user_keying_material: Option<&[u8]>,
    wrap: KeyWrap,
) -> Vec<u8> {
    let entity = user_keying_material
        .map(|material| element(tag::context_constructed(0), &[&element(tag::OCTET_STRING, &[material])]));
    let bits = u32::try_from(wrap.key_length() * 8).unwrap_or_default().to_be_bytes();
    let supplement = element(tag::context_constructed(2), &[&element(tag::OCTET_STRING, &[&bits])]);
    element(tag::SEQUENCE, &[wrap_algorithm, entity.as_deref().unwrap_or_default(), &supplement])
}

/// AES key wrap (RFC 3394).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::smime) enum KeyWrap {
    Aes128,
    Aes192,
    Aes256,
}

impl KeyWrap {
    pub(in crate::smime) fn from_identifier(identifier: ObjectIdentifier) -> Option<Self> {
        match identifier {
            AES_128_WRAP => Some(Self::Aes128),
            AES_192_WRAP => Some(Self::Aes192),
            AES_256_WRAP => Some(Self::Aes256),
            _ => None,
        }
    }

    pub(super) fn identifier(self) -> ObjectIdentifier {
        match self {
            Self::Aes128 => AES_128_WRAP,
            Self::Aes192 => AES_192_WRAP,
            Self::Aes256 => AES_256_WRAP,
        }
    }

    fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    pub(super) fn wrap(self, key: &[u8], content_key: &[u8]) -> Option<Vec<u8>> {
        let mut wrapped = vec![0; content_key.len() + WRAP_OVERHEAD];
        match self {
            Self::Aes128 => {
                AesKw::<Aes128>::new_from_slice(key).ok()?.wrap_key(content_key, &mut wrapped).ok()?
            }
            Self::Aes192 => {
                AesKw::<Aes192>::new_from_slice(key).ok()?.wrap_key(content_key, &mut wrapped).ok()?
            }
            Self::Aes256 => {
                AesKw::<Aes256>::new_from_slice(key).ok()?.wrap_key(content_key, &mut wrapped).ok()?
            }
        };
        Some(wrapped)
    }

    pub(in crate::smime) fn unwrap(self, key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        // RFC 3394 section 2: what is wrapped has two blocks of 64 bits or more.
        let length = wrapped.len().checked_sub(WRAP_OVERHEAD).filter(|length| *length >= SHORTEST_WRAPPED)?;
        let mut content_key = Zeroizing::new(vec![0; length]);
        match self {
            Self::Aes128 => {
                AesKw::<Aes128>::new_from_slice(key).ok()?.unwrap_key(wrapped, &mut content_key).ok()?
            }
            Self::Aes192 => {
                AesKw::<Aes192>::new_from_slice(key).ok()?.unwrap_key(wrapped, &mut content_key).ok()?
            }
            Self::Aes256 => {
                AesKw::<Aes256>::new_from_slice(key).ok()?.unwrap_key(wrapped, &mut content_key).ok()?
            }
        };
        Some(content_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3394 section 4.1, 4.3 and 4.6.
    #[test]
    fn keys_are_wrapped_as_the_standard_shows() {
        let key: Vec<u8> = (0..32).collect();
        let data = hex::decode("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f").unwrap();
        let cases = [
            (KeyWrap::Aes128, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
            (KeyWrap::Aes256, 16, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
            (
                KeyWrap::Aes256,
                32,
                "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
            ),
        ];
        for (wrap, length, expected) in cases {
            let key = &key[..wrap.key_length()];
            let wrapped = wrap.wrap(key, &data[..length]).unwrap();
            assert_eq!(hex::encode(&wrapped), expected);
            assert_eq!(**wrap.unwrap(key, &wrapped).unwrap(), data[..length]);
            for position in 0..wrapped.len() {
                let mut changed = wrapped.clone();
                changed[position] ^= 1;
                assert_eq!(wrap.unwrap(key, &changed), None);
            }
        }
        assert_eq!(KeyWrap::Aes128.unwrap(&key[..16], &[0; 7]), None);
    }

    /// RFC 5869 appendix A.1, its first 32 of 42 octets.
    #[test]
    fn hkdf_derives_what_the_standard_shows() {
        let salt: Vec<u8> = (0..=0x0C).collect();
        let info: Vec<u8> = (0xF0..=0xF9).collect();
        let key = KeyDerivation::Hkdf(DigestAlgorithm::Sha256)
            .derive(&[0x0B; 22], Some(&salt), &info, KeyWrap::Aes256)
            .unwrap();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf";
        assert_eq!(hex::encode(&*key), expected);
    }

    /// ANSI X9.63 test vectors of NIST's CAVP (ansx963_2001.rsp, SHA-256, no shared info, the first 16 octets).
    #[test]
    fn x963_derives_what_nist_publishes() {
        let shared = hex::decode("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08").unwrap();
        let key =
            KeyDerivation::X963(DigestAlgorithm::Sha256).derive(&shared, None, &[], KeyWrap::Aes128).unwrap();
        assert_eq!(hex::encode(&*key), "443024c3dae66b95e6f5670601558f71");
    }

    /// RFC 5753 section 7.2 gives the form; the octets are those of RFC 8418 section 2 for AES-256.
    #[test]
    fn the_shared_info_names_wrap_material_and_length() {
        let wrap = hex::decode("300b060960864801650304012d").unwrap();
        let bare = shared_info(&wrap, None, KeyWrap::Aes256);
        assert_eq!(hex::encode(bare), "3015300b060960864801650304012da206040400000100");
        let with = shared_info(&wrap, Some(&[7; 2]), KeyWrap::Aes128);
        assert_eq!(hex::encode(with), "301b300b060960864801650304012da00404020707a206040400000080");
    }
}
