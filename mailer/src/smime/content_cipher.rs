//! Content encryption, a piece at a time: AES-CBC and triple DES (RFC 3565, RFC 3370), AES-GCM (RFC 5084) and
//! ChaCha20-Poly1305 (RFC 8103).
//!
//! Pieces may have any length; large ones are fast. What [`Opening`] hands out before [`Opening::finish`] said yes is
//! not yet believed: it goes into a [`crate::content::Spool`] and nowhere else.
mod authenticated;
mod block_chaining;

use const_oid::ObjectIdentifier;
use zeroize::Zeroizing;

use self::authenticated::Authenticated;
use self::block_chaining::{Decrypting, Encrypting};
use super::object_identifiers::{
    AES_128_CBC, AES_128_GCM, AES_192_CBC, AES_192_GCM, AES_256_CBC, AES_256_GCM, CHACHA20_POLY1305,
    DES_EDE3_CBC,
};
use crate::certificate::tlv::{Element, Malformed, element, tag};

/// The nonce length of ChaCha20-Poly1305, and the one that RFC 5084 recommends for AES-GCM: no other is used.
pub(crate) const NONCE_LENGTH: usize = 12;
/// The initialization vector of AES-CBC: one block.
pub(crate) const IV_LENGTH: usize = 16;
/// The tags that we write, and the longest that are read.
pub(crate) const TAG_LENGTH: usize = 16;
/// The shortest tag of AES-GCM that is read (RFC 5084 section 3.2).
pub(crate) const SHORTEST_TAG: usize = 12;

/// A content encryption algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentEncryption {
    Aes128Cbc,
    Aes192Cbc,
    Aes256Cbc,
    /// Read only: nobody should write it any more.
    TripleDesCbc,
    Aes128Gcm,
    Aes192Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

/// The content did not decrypt: wrong key, or not the content that was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotDecrypted;

/// The content is longer than the algorithm allows under one key and nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentTooLong;

impl ContentEncryption {
    /// The algorithm that the identifier names.
    pub(crate) fn from_identifier(identifier: ObjectIdentifier) -> Option<Self> {
        Some(match identifier {
            AES_128_CBC => Self::Aes128Cbc,
            AES_192_CBC => Self::Aes192Cbc,
            AES_256_CBC => Self::Aes256Cbc,
            DES_EDE3_CBC => Self::TripleDesCbc,
            AES_128_GCM => Self::Aes128Gcm,
            AES_192_GCM => Self::Aes192Gcm,
            AES_256_GCM => Self::Aes256Gcm,
            CHACHA20_POLY1305 => Self::ChaCha20Poly1305,
            _ => return None,
        })
    }

    /// Its identifier.
    pub(crate) fn identifier(self) -> ObjectIdentifier {
        match self {
            Self::Aes128Cbc => AES_128_CBC,
            Self::Aes192Cbc => AES_192_CBC,
            Self::Aes256Cbc => AES_256_CBC,
            Self::TripleDesCbc => DES_EDE3_CBC,
            Self::Aes128Gcm => AES_128_GCM,
            Self::Aes192Gcm => AES_192_GCM,
            Self::Aes256Gcm => AES_256_GCM,
            Self::ChaCha20Poly1305 => CHACHA20_POLY1305,
        }
    }

    /// The length of the content key in bytes.
    pub(crate) fn key_length(self) -> usize {
        match self {
            Self::Aes128Cbc | Self::Aes128Gcm => 16,
            Self::Aes192Cbc | Self::Aes192Gcm | Self::TripleDesCbc => 24,
            Self::Aes256Cbc | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// The length of initialization vector or nonce in bytes.
    pub(crate) fn iv_length(self) -> usize {
        match self {
            Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc => IV_LENGTH,
            Self::TripleDesCbc => 8,
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => NONCE_LENGTH,
        }
    }

    /// Whether a tag proves that the content was not changed.
    pub(crate) fn is_authenticated(self) -> bool {
        matches!(self, Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305)
    }

    /// The length of the encrypted content, without the tag.
    pub(crate) fn encrypted_length(self, content: u64) -> u64 {
        if self.is_authenticated() {
            return content;
        }
        let block = self.iv_length() as u64;
        content.saturating_add(block - content % block)
    }

    /// The parameters of the AlgorithmIdentifier for this initialization vector or nonce, the tag being 16 bytes long.
    pub(crate) fn parameters(self, iv: &[u8]) -> Vec<u8> {
        let octets = element(tag::OCTET_STRING, &[iv]);
        match self {
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm => {
                element(tag::SEQUENCE, &[&octets, &[tag::INTEGER, 1, 16]])
            }
            _ => octets,
        }
    }

    /// Initialization vector or nonce, and the length of the tag (0 if there is none), from the encoded parameters.
    ///
    /// ```text
    /// GCMParameters ::= SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen INTEGER DEFAULT 12 }
    /// AEADChaCha20Poly1305Nonce ::= OCTET STRING (SIZE(12))
    /// ```
    pub(crate) fn read_parameters(self, parameters: &[u8]) -> Result<(&[u8], usize), Malformed> {
        match self {
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm => {
                let mut fields = Element::only(parameters, tag::SEQUENCE)?.elements();
                let nonce = fields.expect(tag::OCTET_STRING)?.contents;
                let length = match fields.optional(tag::INTEGER)?.map(|length| length.contents) {
                    None => 12,
                    Some([length]) => usize::from(*length),
                    Some(_) => return Err(Malformed::Length),
                };
                fields.finish()?;
                Ok((nonce, length))
            }
            other => {
                let iv = Element::only(parameters, tag::OCTET_STRING)?.contents;
                Ok((iv, if other.is_authenticated() { TAG_LENGTH } else { 0 }))
            }
        }
    }
}

impl std::fmt::Display for ContentEncryption {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Aes128Cbc => "AES-128-CBC",
            Self::Aes192Cbc => "AES-192-CBC",
            Self::Aes256Cbc => "AES-256-CBC",
            Self::TripleDesCbc => "triple DES",
            Self::Aes128Gcm => "AES-128-GCM",
            Self::Aes192Gcm => "AES-192-GCM",
            Self::Aes256Gcm => "AES-256-GCM",
            Self::ChaCha20Poly1305 => "ChaCha20-Poly1305",
        })
    }
}

/// Encrypts content as it comes.
pub(crate) struct Sealing(SealingCipher);

enum SealingCipher {
    Chained(Encrypting),
    Authenticated(Box<Authenticated>),
}

impl Sealing {
    /// Begins; `None` if key or initialization vector (nonce) have not the length that belongs to the algorithm, or if it
    /// is one that is only read. `associated_data` counts for authenticated encryption only.
    pub(crate) fn new(
        encryption: ContentEncryption,
        key: &[u8],
        iv: &[u8],
        associated_data: &[u8],
    ) -> Option<Self> {
        Some(Self(if encryption.is_authenticated() {
            SealingCipher::Authenticated(Box::new(Authenticated::new(encryption, key, iv, associated_data)?))
        } else {
            SealingCipher::Chained(Encrypting::new(encryption, key, iv)?)
        }))
    }

    /// Appends the next encrypted octets to `out`.
    pub(crate) fn update(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), ContentTooLong> {
        match &mut self.0 {
            SealingCipher::Chained(cipher) => cipher.update(content, out),
            SealingCipher::Authenticated(cipher) => {
                return cipher.seal(content, out).map_err(|NotDecrypted| ContentTooLong);
            }
        }
        Ok(())
    }

    /// Appends what is still to come (the padding) to `out`; answers the tag, which is empty for CBC.
    pub(crate) fn finish(self, out: &mut Vec<u8>) -> Vec<u8> {
        match self.0 {
            SealingCipher::Chained(cipher) => {
                cipher.finish(out);
                Vec::new()
            }
            SealingCipher::Authenticated(cipher) => cipher.tag().to_vec(),
        }
    }
}

/// Decrypts content as it comes.
pub(crate) struct Opening(OpeningCipher);

enum OpeningCipher {
    Chained(Decrypting),
    Authenticated(Box<Authenticated>),
}

impl Opening {
    /// Begins; `None` if key or initialization vector (nonce) have not the length that belongs to the algorithm.
    pub(crate) fn new(
        encryption: ContentEncryption,
        key: &[u8],
        iv: &[u8],
        associated_data: &[u8],
    ) -> Option<Self> {
        Some(Self(if encryption.is_authenticated() {
            OpeningCipher::Authenticated(Box::new(Authenticated::new(encryption, key, iv, associated_data)?))
        } else {
            OpeningCipher::Chained(Decrypting::new(encryption, key, iv)?)
        }))
    }

    /// Appends the next decrypted octets, which are not to be believed yet, to `out`.
    pub(crate) fn update(
        &mut self,
        encrypted: &[u8],
        out: &mut Zeroizing<Vec<u8>>,
    ) -> Result<(), NotDecrypted> {
        match &mut self.0 {
            OpeningCipher::Chained(cipher) => cipher.update(encrypted, out),
            OpeningCipher::Authenticated(cipher) => return cipher.open(encrypted, out),
        }
        Ok(())
    }

    /// Appends the last octets to `out`, if padding or tag are right. A tag of authenticated encryption has 12 to 16 bytes
    /// (16 for ChaCha20-Poly1305); one that is given for CBC is not looked at.
    pub(crate) fn finish(self, tag: &[u8], out: &mut Zeroizing<Vec<u8>>) -> Result<(), NotDecrypted> {
        match self.0 {
            OpeningCipher::Chained(cipher) => cipher.finish(out),
            OpeningCipher::Authenticated(cipher) => cipher.check(tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use aes_gcm::aead::{Aead, KeyInit, Payload};
    use proptest::prelude::*;

    use super::*;

    const ALL: [ContentEncryption; 8] = [
        ContentEncryption::Aes128Cbc,
        ContentEncryption::Aes192Cbc,
        ContentEncryption::Aes256Cbc,
        ContentEncryption::TripleDesCbc,
        ContentEncryption::Aes128Gcm,
        ContentEncryption::Aes192Gcm,
        ContentEncryption::Aes256Gcm,
        ContentEncryption::ChaCha20Poly1305,
    ];

    fn seal(encryption: ContentEncryption, pieces: &[&[u8]], associated_data: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (key, iv) = (vec![7; encryption.key_length()], vec![9; encryption.iv_length()]);
        let mut sealing = Sealing::new(encryption, &key, &iv, associated_data).unwrap();
        let mut out = Vec::new();
        pieces.iter().for_each(|piece| sealing.update(piece, &mut out).unwrap());
        let tag = sealing.finish(&mut out);
        (out, tag)
    }

    fn open(
        encryption: ContentEncryption,
        pieces: &[&[u8]],
        associated_data: &[u8],
        tag: &[u8],
    ) -> Result<Vec<u8>, NotDecrypted> {
        let (key, iv) = (vec![7; encryption.key_length()], vec![9; encryption.iv_length()]);
        let mut opening = Opening::new(encryption, &key, &iv, associated_data).unwrap();
        let mut out = Zeroizing::new(Vec::new());
        for piece in pieces {
            opening.update(piece, &mut out)?;
        }
        opening.finish(tag, &mut out)?;
        Ok(out.to_vec())
    }

    proptest! {
        #[test]
        fn pieces_of_any_length_give_what_the_whole_gives(
            content in proptest::collection::vec(any::<u8>(), 0..400),
            cuts in proptest::collection::vec(0_usize..400, 0..6),
            which in 0..ALL.len(),
        ) {
            let encryption = ALL[which];
            let pieces = |bytes: &[u8]| -> Vec<Vec<u8>> {
                let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.min(&bytes.len())).collect();
                cuts.extend([0, bytes.len()]);
                cuts.sort_unstable();
                cuts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
            };
            let (whole, tag) = seal(encryption, &[&content], b"more");
            prop_assert_eq!(whole.len() as u64, encryption.encrypted_length(content.len() as u64));
            let cut = pieces(&content);
            let cut: Vec<&[u8]> = cut.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(seal(encryption, &cut, b"more"), (whole.clone(), tag.clone()));
            let cut = pieces(&whole);
            let cut: Vec<&[u8]> = cut.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(open(encryption, &cut, b"more", &tag).unwrap(), content);
        }
    }

    #[test]
    fn gcm_agrees_with_the_one_shot_crate_and_short_tags_are_read() {
        let content: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let key = [7; 32];
        let cipher = aes_gcm::Aes256Gcm::new(&key.into());
        let payload = Payload { msg: &content, aad: b"attributes" };
        let theirs = cipher.encrypt(&[9; 12].into(), payload).unwrap();
        let (ours, tag) = seal(ContentEncryption::Aes256Gcm, &[&content], b"attributes");
        assert!(theirs == [ours.as_slice(), &tag].concat());
        for length in 12..=16 {
            let opened = open(ContentEncryption::Aes256Gcm, &[&ours], b"attributes", &tag[..length]);
            assert!(opened.unwrap() == content);
        }
        for wrong in [&tag[..11], &[], &[0; 16]] {
            assert_eq!(open(ContentEncryption::Aes256Gcm, &[&ours], b"attributes", wrong), Err(NotDecrypted));
        }
        assert_eq!(open(ContentEncryption::Aes256Gcm, &[&ours], b"attribute", &tag), Err(NotDecrypted));
    }

    /// RFC 8439 section 2.8.2.
    #[test]
    fn chacha20_poly1305_gives_what_the_standard_shows() {
        let key: Vec<u8> = (0x80..0xA0).collect();
        let nonce = hex::decode("070000004041424344454647").unwrap();
        let associated_data = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
        let content =
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it.";
        let mut sealing =
            Sealing::new(ContentEncryption::ChaCha20Poly1305, &key, &nonce, &associated_data).unwrap();
        let mut out = Vec::new();
        sealing.update(content, &mut out).unwrap();
        let tag = sealing.finish(&mut out);
        assert_eq!(hex::encode(&out[..16]), "d31a8d34648e60db7b86afbc53ef7ec2");
        assert_eq!(hex::encode(&out[112..]), "6116");
        assert_eq!(hex::encode(&tag), "1ae10b594f09e26a7e902ecbd0600691");
        assert_eq!(
            open(ContentEncryption::ChaCha20Poly1305, &[&out], &associated_data, &tag[..12]),
            Err(NotDecrypted)
        );
    }

    #[test]
    fn wrong_padding_and_incomplete_blocks_do_not_open() {
        for encryption in &ALL[..4] {
            let (sealed, _) = seal(*encryption, &[b"some longer content"], &[]);
            for cut in 0..sealed.len() {
                assert_eq!(open(*encryption, &[&sealed[..cut]], &[], &[]), Err(NotDecrypted), "{cut}");
            }
            let mut changed = sealed.clone();
            let last = changed.len() - encryption.iv_length() - 1;
            changed[last] ^= 0x55;
            assert_eq!(open(*encryption, &[&changed], &[], &[]), Err(NotDecrypted));
        }
    }

    #[test]
    fn keys_and_nonces_of_other_lengths_are_refused() {
        for encryption in ALL {
            let (key, iv) = (vec![7; encryption.key_length()], vec![9; encryption.iv_length()]);
            assert!(Opening::new(encryption, &key[1..], &iv, &[]).is_none());
            assert!(Opening::new(encryption, &key, &iv[1..], &[]).is_none());
            assert!(Opening::new(encryption, &key, &[&iv[..], &[1]].concat(), &[]).is_none());
            let parameters = encryption.parameters(&iv);
            let tag_length = if encryption.is_authenticated() { 16 } else { 0 };
            assert_eq!(encryption.read_parameters(&parameters), Ok((iv.as_slice(), tag_length)));
            assert_eq!(ContentEncryption::from_identifier(encryption.identifier()), Some(encryption));
        }
    }
}
