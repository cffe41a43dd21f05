//! Signatures on the card (SP 800-73-5 Part 2 section 3.2.4, GENERAL AUTHENTICATE; appendix A.4).
use der::Encode;
use der::asn1::UintRef;
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::transaction::Repeat;
use super::{CardError, KeyAlgorithm, KeyReference, Transaction};
use crate::apdu::{CommandApdu, ResponseApdu, StatusWord, ber_tlv};
use crate::keys::SignatureScheme;
use crate::keys::public_key::PublicKey;
use crate::keys::rsa_padding::{self, PaddingError};

/// Tags of the dynamic authentication template `7C` (Part 2 table 7).
pub(super) const TEMPLATE: u32 = 0x7C;
pub(super) const WITNESS: u32 = 0x80;
pub(super) const CHALLENGE: u32 = 0x81;
pub(super) const RESPONSE: u32 = 0x82;
pub(super) const EXPONENTIATION: u32 = 0x85;

impl Transaction<'_> {
    /// Signs a digest with a key whose PIN, if it needs one, was verified in this transaction; `public_key` decides
    /// the algorithm, and the signature is checked with it. The answer stands as it is in X.509 and CMS.
    ///
    /// # Errors
    /// [`CardError::PinRequired`] for 9C, which wants [`FreshPin::sign`](super::FreshPin::sign), and where the card
    /// says so; [`CardError::KeyNotFound`]; [`CardError::KeyMismatch`] when the public key is not this key's;
    /// [`CardError::Unsupported`] when algorithm, scheme and digest do not fit together.
    pub fn sign(
        &mut self,
        key: KeyReference,
        public_key: &SubjectPublicKeyInfoOwned,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        if key == KeyReference::DigitalSignature {
            return Err(CardError::PinRequired);
        }
        self.sign_digest(key, public_key, scheme, digest)
    }

    pub(super) fn sign_digest(
        &mut self,
        key: KeyReference,
        public_key: &SubjectPublicKeyInfoOwned,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        let verifier = PublicKey::try_from(public_key)
            .map_err(|_| CardError::Unsupported("sign with a key of this algorithm".to_owned()))?;
        let algorithm = verifier
            .algorithm()
            .filter(|&algorithm| algorithm != KeyAlgorithm::Rsa1024)
            .ok_or_else(|| CardError::Unsupported("sign with a key of this size".to_owned()))?;
        let challenge = challenge(algorithm, scheme, digest)?;
        let signature = self.private_key_operation(key, algorithm, &challenge)?.to_vec();
        if verifier.verifies(scheme, digest, &signature) {
            Ok(signature)
        } else {
            Err(CardError::KeyMismatch(key))
        }
    }

    /// What the card itself does with a private key, for callers that do padding and hashing on their own (PKCS#11).
    ///
    /// RSA: `input` is as long as the modulus and is raised to the private exponent. ECDSA: `input` is a digest, cut
    /// or filled to the field's length; the answer is a DER `Ecdsa-Sig-Value`. Ed25519: `input` is the message.
    /// Nothing is checked against a public key.
    ///
    /// # Errors
    /// [`CardError::PinRequired`] for 9C, which wants [`FreshPin::use_private_key`](super::FreshPin::use_private_key),
    /// and where the card says so; [`CardError::KeyNotFound`]; [`CardError::InputRejected`] for an RSA block that is
    /// not below the modulus; [`CardError::Unsupported`] for an input of the wrong length, and for X25519.
    pub fn use_private_key(
        &mut self,
        key: KeyReference,
        algorithm: KeyAlgorithm,
        input: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardError> {
        if key == KeyReference::DigitalSignature {
            return Err(CardError::PinRequired);
        }
        self.raw_operation(key, algorithm, input)
    }

    pub(super) fn raw_operation(
        &mut self,
        key: KeyReference,
        algorithm: KeyAlgorithm,
        input: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardError> {
        let length = algorithm.length();
        match algorithm {
            KeyAlgorithm::X25519 => Err(CardError::Unsupported("sign with X25519".to_owned())),
            KeyAlgorithm::Ed25519 => self.private_key_operation(key, algorithm, input),
            _ if algorithm.is_weierstrass() => {
                self.private_key_operation(key, algorithm, &field_element(input, length))
            }
            _ if input.len() == length => {
                self.private_key_operation(key, algorithm, input).map_err(|error| match error {
                    // The card refuses the block or the key and does not say which; an odd modulus starts with a high
                    // bit, so a block below 2^(bits - 1) is below it.
                    CardError::KeyNotFound(_) if input.first().is_some_and(|&byte| byte & 0x80 != 0) => {
                        CardError::InputRejected
                    }
                    error => error,
                })
            }
            _ => Err(CardError::Unsupported(format!("use {algorithm} on {} bytes", input.len()))),
        }
    }

    /// GENERAL AUTHENTICATE with a challenge of the form that the algorithm wants.
    fn private_key_operation(
        &mut self,
        key: KeyReference,
        algorithm: KeyAlgorithm,
        challenge: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardError> {
        if challenge.is_empty() {
            // Part 2 section 3.2.4 table 7: an empty challenge asks the card for one of its own.
            return Err(CardError::Unsupported("sign nothing at all".to_owned()));
        }
        let response = self.general_authenticate(algorithm.to_byte(), key.to_byte(), CHALLENGE, challenge)?;
        match response.status {
            StatusWord::OK => {}
            // The challenge is well formed, so the card means the key (6A80: vendor cards without that key).
            StatusWord::INCORRECT_PARAMETER => return Err(CardError::KeyNotFound(key)),
            status => return Err(use_error(key, status)),
        }
        let answer = response_value(&response, RESPONSE)?;
        if algorithm.is_rsa() && answer.len() != algorithm.length() {
            let what = format!("an RSA block of {} bytes", answer.len());
            return Err(CardError::MalformedAnswer(what));
        }
        if algorithm.is_weierstrass() && answer.len() == 2 * algorithm.length() {
            return Ok(Zeroizing::new(ecdsa_sig_value(answer)));
        }
        Ok(Zeroizing::new(answer.to_vec()))
    }

    /// `7C { 82 00, tag value }`: asks for the response to a challenge or an exponentiation.
    pub(super) fn general_authenticate(
        &mut self,
        algorithm: u8,
        reference: u8,
        tag: u32,
        value: &[u8],
    ) -> Result<ResponseApdu, CardError> {
        let mut contents = Zeroizing::new(Vec::with_capacity(value.len() + 8));
        ber_tlv::append(&mut contents, RESPONSE, &[]);
        ber_tlv::append(&mut contents, tag, value);
        let template = Zeroizing::new(ber_tlv::encode(TEMPLATE, &contents));
        let command = CommandApdu::new("GENERAL AUTHENTICATE", 0x87, algorithm, reference)
            .with_data(template)
            .expecting_data();
        self.send(&command, Repeat::Never)
    }
}

/// The value of one tag inside the `7C` of an answer.
pub(super) fn response_value(response: &ResponseApdu, tag: u32) -> Result<&[u8], CardError> {
    let missing = || CardError::MalformedAnswer(format!("GENERAL AUTHENTICATE answers without tag {tag:X}"));
    let contents = ber_tlv::find(&response.data, TEMPLATE)?.ok_or_else(missing)?;
    ber_tlv::find(contents, tag)?.ok_or_else(missing)
}

/// What a refusal of GENERAL AUTHENTICATE means for the key.
pub(super) fn use_error(key: KeyReference, status: StatusWord) -> CardError {
    match status {
        StatusWord::SECURITY_STATUS_NOT_SATISFIED => CardError::PinRequired,
        // NIST says 6A86; other cards answer the rest for an empty key reference.
        StatusWord::INCORRECT_P1_P2
        | StatusWord::REFERENCED_DATA_NOT_FOUND
        | StatusWord::FILE_NOT_FOUND
        | StatusWord::CONDITIONS_NOT_SATISFIED
        | StatusWord::WRONG_P1_P2 => CardError::KeyNotFound(key),
        status => CardError::Refused { command: "GENERAL AUTHENTICATE", status: status.0 },
    }
}

/// What the card raises to its private exponent, or signs: PKCS#1 padding is the host's part; an ECDSA digest is cut
/// or filled to the field's length (FIPS 186-5 section 6.4.1); Ed25519 takes the message.
fn challenge(
    algorithm: KeyAlgorithm,
    scheme: SignatureScheme,
    digest: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CardError> {
    let length = algorithm.length();
    if let Some(hash) = scheme.digest()
        && digest.len() != hash.length()
    {
        return Err(CardError::Unsupported(format!("sign {} bytes as a digest of {hash}", digest.len())));
    }
    match scheme {
        SignatureScheme::RsaPkcs1(hash) if algorithm.is_rsa() => {
            rsa_padding::sign_block(hash, digest, length).map_err(of_padding)
        }
        SignatureScheme::RsaPss(hash) if algorithm.is_rsa() => {
            rsa_padding::usual_pss_block(hash, digest, length).map_err(of_padding)
        }
        // The message itself: the card hashes it (RFC 8032 section 5.1.6).
        SignatureScheme::Ed25519 if algorithm == KeyAlgorithm::Ed25519 => Ok(Zeroizing::new(digest.to_vec())),
        SignatureScheme::Ecdsa(_) if algorithm.is_weierstrass() => {
            Ok(Zeroizing::new(field_element(digest, length)))
        }
        _ => Err(CardError::Unsupported(format!("sign with {algorithm} in this scheme"))),
    }
}

/// A digest as long as the field: longer ones are cut on the right, shorter ones filled with zeros on the left
/// (FIPS 186-5 section 6.4.1).
fn field_element(digest: &[u8], length: usize) -> Vec<u8> {
    let cut = digest.get(..length).unwrap_or(digest);
    let mut element = vec![0; length - cut.len()];
    element.extend_from_slice(cut);
    element
}

/// `Ecdsa-Sig-Value`, which some cards do not write: they give r and s one after the other. An answer that happens to be
/// as long and is DER already stays as it is.
fn ecdsa_sig_value(answer: &[u8]) -> Vec<u8> {
    let (r, s) = answer.split_at(answer.len() / 2);
    let is_sequence = matches!(answer, [0x30, length, 0x02, ..] if usize::from(*length) == answer.len() - 2);
    let encoded = || -> der::Result<Vec<u8>> {
        let mut contents = UintRef::new(r)?.to_der()?;
        contents.extend(UintRef::new(s)?.to_der()?);
        Ok(ber_tlv::encode(0x30, &contents))
    };
    match encoded() {
        Ok(encoded) if !is_sequence => encoded,
        _ => answer.to_vec(),
    }
}

fn of_padding(error: PaddingError) -> CardError {
    match error {
        PaddingError::Randomness(_) => CardError::Transport(error.to_string()),
        error => CardError::Unsupported(error.to_string()),
    }
}
