//! Hash functions (FIPS 180-4), also those that sign nothing new any more.
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::DigestAlgorithm;

/// A hash function. SHA-1 is still sound in OAEP and in masks (RFC 8017 section 7.1), and what others wrote with it is
/// read; new signatures of ours take a [`DigestAlgorithm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-224, 28 bytes.
    Sha224,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// DigestInfo up to the digest (RFC 8017 section 9.2 note 1): `30 n { 30 n { OID, NULL }, 04 n`.
const SHA1_INFO: &[u8] = &[0x30, 0x21, 0x30, 9, 6, 5, 0x2B, 0x0E, 3, 2, 0x1A, 5, 0, 4, 20];

impl Hash {
    /// Bytes of a digest.
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// A computation that has seen nothing yet.
    pub fn start(self) -> Box<dyn DynDigest + Send> {
        match self {
            Self::Sha1 => Box::new(Sha1::new()),
            Self::Sha224 => Box::new(Sha224::new()),
            Self::Sha256 => Box::new(Sha256::new()),
            Self::Sha384 => Box::new(Sha384::new()),
            Self::Sha512 => Box::new(Sha512::new()),
        }
    }

    /// The digest of these parts, one after the other.
    pub fn of(self, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        let mut digest = self.start();
        for part in parts {
            digest.update(part);
        }
        Zeroizing::new(digest.finalize().into_vec())
    }

    /// DigestInfo (RFC 8017 appendix A.2.4) of a digest.
    pub fn digest_info(self, digest: &[u8]) -> Vec<u8> {
        let last_arc = match self {
            Self::Sha1 => return [SHA1_INFO, digest].concat(),
            Self::Sha256 => 1,
            Self::Sha384 => 2,
            Self::Sha512 => 3,
            Self::Sha224 => 4,
        };
        let length = u8::try_from(self.length()).expect("no digest is longer than 64 bytes");
        let mut info = vec![0x30, 17 + length, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, last_arc];
        info.extend_from_slice(&[5, 0, 4, length]);
        info.extend_from_slice(digest);
        info
    }
}

impl From<DigestAlgorithm> for Hash {
    fn from(digest: DigestAlgorithm) -> Self {
        match digest {
            DigestAlgorithm::Sha256 => Self::Sha256,
            DigestAlgorithm::Sha384 => Self::Sha384,
            DigestAlgorithm::Sha512 => Self::Sha512,
        }
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SHA-{}", if *self == Self::Sha1 { 1 } else { self.length() * 8 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8017 section 9.2 note 1.
    #[test]
    fn digest_infos_are_those_of_the_standard() {
        let start = |hash: Hash| hex::encode(hash.digest_info(&[]));
        assert_eq!(start(Hash::Sha1), "3021300906052b0e03021a05000414");
        assert_eq!(start(Hash::Sha224), "302d300d06096086480165030402040500041c");
        assert_eq!(start(Hash::Sha256), "3031300d060960864801650304020105000420");
        assert_eq!(start(Hash::Sha384), "3041300d060960864801650304020205000430");
        assert_eq!(start(Hash::Sha512), "3051300d060960864801650304020305000440");
    }

    #[test]
    fn a_digest_has_its_length() {
        for hash in [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            assert_eq!(hash.of(&[b"a", b"bc"]).len(), hash.length());
            assert_eq!(hash.of(&[b"a", b"bc"]), hash.of(&[b"abc"]));
        }
    }
}
