//! Envelopes taken apart and put together again, and CBC gadgets: ciphertext made without the key from ciphertext whose
//! plaintext is known in one place.
//!
//! AES-CBC decrypts a block to `decrypt(C) xor previous`. Whoever knows the plaintext of one block chooses what it becomes by
//! choosing the block before it; that one turns to noise. In front, where the initialization vector is the block before,
//! there is no noise at all.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test program uses its part"
)]
use crate::forgery::{
    ID_AUTH_ENVELOPED_DATA, ID_DATA, ID_ENVELOPED_DATA, content_info, contents, element, elements,
    object_identifier, octets, sequence,
};

pub(crate) const AES_256_CBC: &str = "2.16.840.1.101.3.4.1.42";
pub(crate) const AES_256_GCM: &str = "2.16.840.1.101.3.4.1.46";
pub(crate) const BLOCK: usize = 16;

/// The parts of an EnvelopedData or AuthEnvelopedData with definite lengths and no attributes.
#[derive(Clone)]
pub(crate) struct Envelope {
    pub(crate) kind: &'static str,
    pub(crate) version: u8,
    pub(crate) recipient_infos: Vec<u8>,
    pub(crate) algorithm: &'static str,
    pub(crate) parameters: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
    /// The tag of an AuthEnvelopedData.
    pub(crate) tag: Option<Vec<u8>>,
}

impl Envelope {
    pub(crate) fn read(der: &[u8]) -> Self {
        let outer = elements(der);
        let authenticated = outer[0] == object_identifier(ID_AUTH_ENVELOPED_DATA);
        let fields = elements(&elements(&outer[1])[0]);
        let encrypted = elements(&fields[2]);
        let algorithm = elements(&encrypted[1]);
        Self {
            kind: if authenticated { ID_AUTH_ENVELOPED_DATA } else { ID_ENVELOPED_DATA },
            version: contents(&fields[0])[0],
            recipient_infos: fields[1].clone(),
            algorithm: if authenticated { AES_256_GCM } else { AES_256_CBC },
            parameters: algorithm[1].clone(),
            ciphertext: contents(&encrypted[2]).to_vec(),
            tag: authenticated.then(|| contents(&fields[3]).to_vec()),
        }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let algorithm = sequence(&[&object_identifier(self.algorithm), &self.parameters]);
        let encrypted =
            sequence(&[&object_identifier(ID_DATA), &algorithm, &element(0x80, &[&self.ciphertext])]);
        let tag = self.tag.as_ref().map(|tag| octets(tag)).unwrap_or_default();
        let version = element(0x02, &[&[self.version]]);
        content_info(self.kind, &sequence(&[&version, &self.recipient_infos, &encrypted, &tag]))
    }

    /// The same envelope around other blocks; the first of them is the initialization vector.
    pub(crate) fn with_blocks(&self, blocks: &[[u8; BLOCK]]) -> Self {
        Self { parameters: octets(&blocks[0]), ciphertext: blocks[1..].concat(), ..self.clone() }
    }

    /// The initialization vector and the blocks of the ciphertext.
    pub(crate) fn blocks(&self) -> Vec<[u8; BLOCK]> {
        let all = [contents(&self.parameters), &self.ciphertext].concat();
        all.chunks(BLOCK).map(|block| block.try_into().unwrap()).collect()
    }
}

/// What an attacker has: blocks, and the beginning of the plaintext, which is the same in every mail.
pub(crate) struct Gadgets {
    pub(crate) blocks: Vec<[u8; BLOCK]>,
    known: [u8; BLOCK],
}

impl Gadgets {
    pub(crate) fn new(envelope: &Envelope, beginning: &str) -> Self {
        Self { blocks: envelope.blocks(), known: beginning.as_bytes()[..BLOCK].try_into().unwrap() }
    }

    /// Two blocks: the first becomes noise, the second `text`, filled with blanks. In front of everything, `[0]` is the vector, without noise.
    pub(crate) fn write(&self, text: &str) -> [[u8; BLOCK]; 2] {
        let padded = format!("{text:<BLOCK$}");
        let wanted: [u8; BLOCK] = padded.as_bytes().try_into().expect("at most a block");
        let mut chosen = self.blocks[0];
        for (octet, (known, wanted)) in chosen.iter_mut().zip(self.known.iter().zip(wanted)) {
            *octet ^= known ^ wanted;
        }
        [chosen, self.blocks[1]]
    }

    /// The original, whole, with the padding that ends it.
    pub(crate) fn original(&self) -> &[[u8; BLOCK]] {
        &self.blocks
    }

    /// The two last blocks: behind anything, they make an end with right padding.
    pub(crate) fn ending(&self) -> &[[u8; BLOCK]] {
        &self.blocks[self.blocks.len() - 2..]
    }
}
