//! RSASSA-PSS: its parameters (RFC 4055 section 3.1) and its verification (RFC 8017 section 9.1.2).
use const_oid::ObjectIdentifier;
use der::Encode;
use rsa::BoxedUint;
use rsa::hazmat::rsa_encrypt;
use rsa::traits::PublicKeyParts;

use super::digest::{DigestAlgorithm, RunningDigest};
use super::public_key::unsigned;
use super::signature::SignatureProblem;
use super::tlv::{Element, Malformed, element, tag};

const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const NULL: [u8; 2] = [0x05, 0x00];
/// RFC 8017 appendix A.2.3.
const DEFAULT_SALT_LENGTH: usize = 20;

/// RSASSA-PSS-params without the trailer, which is always BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PssParameters {
    pub(crate) digest: DigestAlgorithm,
    /// The digest of MGF1.
    pub(crate) mask: DigestAlgorithm,
    pub(crate) salt_length: usize,
}

impl PssParameters {
    /// One digest for everything, and a salt as long as it (RFC 4056 section 2.2).
    pub(crate) fn with(digest: DigestAlgorithm) -> Self {
        Self { digest, mask: digest, salt_length: digest.length() }
    }

    /// ```text
    /// RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] HashAlgorithm DEFAULT sha1Identifier,
    ///     maskGenAlgorithm [1] MaskGenAlgorithm DEFAULT mgf1SHA1Identifier, saltLength [2] INTEGER DEFAULT 20,
    ///     trailerField [3] INTEGER DEFAULT 1 }
    /// ```
    pub(crate) fn read(parameters: &[u8]) -> Result<Self, SignatureProblem> {
        let malformed =
            |_: Malformed| SignatureProblem::Unsupported("malformed RSASSA-PSS parameters".to_owned());
        let mut fields = Element::only(parameters, tag::SEQUENCE).map_err(malformed)?.elements();
        let [hash, mask, salt, trailer] = [0, 1, 2, 3].map(|number| {
            fields.optional(tag::context_constructed(number)).map(|field| field.map(|field| field.contents))
        });
        fields.finish().map_err(malformed)?;
        let digest = hash.map_err(malformed)?.map_or(Ok(DigestAlgorithm::Sha1), read_digest)?;
        let mask = mask.map_err(malformed)?.map_or(Ok(DigestAlgorithm::Sha1), read_mask)?;
        let salt_length =
            salt.map_err(malformed)?.map_or(Ok(DEFAULT_SALT_LENGTH), read_number).map_err(malformed)?;
        let trailer = trailer.map_err(malformed)?.map_or(Ok(1), read_number).map_err(malformed)?;
        if trailer != 1 {
            return Err(SignatureProblem::Unsupported(format!("the RSASSA-PSS trailer {trailer}")));
        }
        Ok(Self { digest, mask, salt_length })
    }

    /// The parameters in DER.
    pub(crate) fn write(self) -> der::Result<Vec<u8>> {
        let algorithm = |digest: DigestAlgorithm| -> der::Result<Vec<u8>> {
            Ok(element(tag::SEQUENCE, &[&digest.identifier().to_der()?, &NULL]))
        };
        let mask = element(tag::SEQUENCE, &[&MGF1.to_der()?, &algorithm(self.mask)?]);
        let salt = u8::try_from(self.salt_length).unwrap_or(u8::MAX).to_der()?;
        Ok(element(
            tag::SEQUENCE,
            &[
                &element(tag::context_constructed(0), &[&algorithm(self.digest)?]),
                &element(tag::context_constructed(1), &[&mask]),
                &element(tag::context_constructed(2), &[&salt]),
            ],
        ))
    }
}

/// Identifier and encoded parameters of an AlgorithmIdentifier.
fn read_algorithm(der: &[u8]) -> Result<(ObjectIdentifier, &[u8]), Malformed> {
    use der::Decode;
    let mut fields = Element::only(der, tag::SEQUENCE)?.elements();
    let identifier = fields.expect(tag::OBJECT_IDENTIFIER)?;
    let identifier = ObjectIdentifier::from_der(identifier.bytes).map_err(|_| Malformed::Tag)?;
    let parameters = fields.next()?.map(|parameters| parameters.bytes).unwrap_or_default();
    fields.finish()?;
    Ok((identifier, parameters))
}

/// A digest's AlgorithmIdentifier, whose parameters are NULL or absent (RFC 4055 section 2.1).
pub(crate) fn read_digest(der: &[u8]) -> Result<DigestAlgorithm, SignatureProblem> {
    match read_algorithm(der) {
        Ok((identifier, parameters)) if parameters.is_empty() || parameters == NULL => {
            DigestAlgorithm::from_identifier(identifier)
                .ok_or_else(|| SignatureProblem::Unsupported(format!("the digest {identifier}")))
        }
        _ => Err(SignatureProblem::Unsupported("a malformed digest algorithm".to_owned())),
    }
}

/// The digest of MGF1, the only mask generation function (RFC 4055 section 2.2).
pub(crate) fn read_mask(der: &[u8]) -> Result<DigestAlgorithm, SignatureProblem> {
    match read_algorithm(der) {
        Ok((MGF1, digest)) => read_digest(digest),
        Ok((other, _)) => Err(SignatureProblem::Unsupported(format!("the mask generation function {other}"))),
        Err(_) => Err(SignatureProblem::Unsupported("a malformed mask generation function".to_owned())),
    }
}

fn read_number(der: &[u8]) -> Result<usize, Malformed> {
    let number = unsigned(Element::only(der, tag::INTEGER)?)?;
    // A salt is shorter than the longest modulus.
    if number.len() > 2 {
        return Err(Malformed::Length);
    }
    Ok(number.iter().fold(0, |value, octet| (value << 8) | usize::from(*octet)))
}

/// RSASSA-PSS-VERIFY over a digest.
pub(super) fn verify(
    key: &rsa::RsaPublicKey,
    parameters: PssParameters,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), SignatureProblem> {
    let bits = key.n().as_ref().bits_vartime();
    let number = BoxedUint::from_be_slice(signature, bits.next_multiple_of(8))
        .map_err(|_| SignatureProblem::Invalid)?;
    if signature.len() != key.size() || number >= *key.n().as_ref() {
        return Err(SignatureProblem::Invalid);
    }
    let message = rsa_encrypt(key, &number).map_err(|_| SignatureProblem::Invalid)?;
    let message = message.to_be_bytes();
    // The encoded message has one bit less than the modulus, and perhaps so one octet less.
    let encoded_bits = usize::try_from(bits).unwrap_or_default().saturating_sub(1);
    let excess = message.len().saturating_sub(encoded_bits.div_ceil(8));
    let (zeros, encoded) = message.split_at(excess);
    let fits = zeros.iter().all(|octet| *octet == 0)
        && is_encoding_of(digest, encoded, encoded_bits, parameters).unwrap_or(false);
    if fits { Ok(()) } else { Err(SignatureProblem::Invalid) }
}

/// EMSA-PSS-VERIFY (RFC 8017 section 9.1.2); everything here is public, so it need not be constant in time.
fn is_encoding_of(digest: &[u8], encoded: &[u8], bits: usize, parameters: PssParameters) -> Option<bool> {
    let hash_length = parameters.digest.length();
    let (0xBC, rest) = encoded.split_last().map(|(trailer, rest)| (*trailer, rest))? else {
        return Some(false);
    };
    let (masked, hash) = rest.split_at_checked(rest.len().checked_sub(hash_length)?)?;
    let unused = u32::try_from(encoded.len() * 8 - bits).ok()?;
    let keep = 0xFF_u8.checked_shr(unused)?;
    let mut block = masked.to_vec();
    if block.first()? & !keep != 0 {
        return Some(false);
    }
    apply_mask(parameters.mask, hash, &mut block);
    *block.first_mut()? &= keep;
    let (padding, salt) = block.split_at_checked(block.len().checked_sub(parameters.salt_length)?)?;
    let (one, zeros) = padding.split_last()?;
    let mut running = RunningDigest::new(parameters.digest);
    running.update(&[0; 8]);
    running.update(digest);
    running.update(salt);
    Some(*one == 1 && zeros.iter().all(|octet| *octet == 0) && running.finish() == hash)
}

/// MGF1 (RFC 8017 appendix B.2.1), applied to what it masks.
fn apply_mask(algorithm: DigestAlgorithm, seed: &[u8], data: &mut [u8]) {
    let mut seeded = RunningDigest::new(algorithm);
    seeded.update(seed);
    for (counter, chunk) in (0_u32..).zip(data.chunks_mut(algorithm.length())) {
        let mut block = seeded.clone();
        block.update(&counter.to_be_bytes());
        for (octet, mask) in chunk.iter_mut().zip(block.finish()) {
            *octet ^= mask;
        }
    }
}
