//! Signing with a key of the card, for the commands that need a signature.
use std::io::Read;

use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, SHA_256_WITH_RSA_ENCRYPTION,
    SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
};
use const_oid::db::rfc8410::ID_ED_25519;
use der::Decode as _;
use middleware::{Card, DigestAlgorithm, KeyAlgorithm, KeyReference, SignatureScheme};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::failure::ToolError;
use super::files;
use super::options::PinOptions;

/// The public half of a key: from a file, or as the card shows it.
pub(super) fn public_key(
    card: &mut Card,
    key: KeyReference,
    file: Option<&std::path::Path>,
) -> anyhow::Result<SubjectPublicKeyInfoOwned> {
    if let Some(file) = file {
        let bytes = files::read(Some(file))?;
        let not_a_key = || ToolError::NotAPublicKey(file.display().to_string());
        let text = std::str::from_utf8(&bytes).map_err(|_| not_a_key())?;
        let (label, der) = der::pem::decode_vec(text.trim().as_bytes()).map_err(|_| not_a_key())?;
        return match label {
            "PUBLIC KEY" => Ok(SubjectPublicKeyInfoOwned::from_der(&der).map_err(|_| not_a_key())?),
            _ => Err(not_a_key().into()),
        };
    }
    let contents = card.contents()?;
    let public_key = contents.key(key).and_then(|entry| entry.public_key.clone());
    match public_key {
        Some(public_key) => Ok(public_key),
        // Of retired keys without certificate the card tells when asked.
        None => match card.transaction()?.key_metadata(key)?.and_then(|metadata| metadata.public_key) {
            Some(public_key) => Ok(public_key),
            None => Err(ToolError::NoPublicKey(key).into()),
        },
    }
}

/// One signature, with the PIN right before it where the key wants it.
pub(super) fn sign(
    card: &mut Card,
    key: KeyReference,
    public_key: &SubjectPublicKeyInfoOwned,
    pin: &PinOptions,
    scheme: SignatureScheme,
    digest: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let entered = pin.pin_for(card, key)?;
    let mut transaction = card.transaction()?;
    Ok(match entered {
        Some(entered) => {
            transaction.verify_pin(&entered, pin.last_try())?.sign(key, public_key, scheme, digest)?
        }
        None => transaction.sign(key, public_key, scheme, digest)?,
    })
}

/// The digest that goes with a key where nobody asks for another: as strong as the key.
pub(super) fn usual_digest(algorithm: KeyAlgorithm) -> DigestAlgorithm {
    if algorithm == KeyAlgorithm::P384 { DigestAlgorithm::Sha384 } else { DigestAlgorithm::Sha256 }
}

/// How a key signs with that digest, and what X.509 calls it.
pub(super) fn scheme(
    algorithm: KeyAlgorithm,
    digest: DigestAlgorithm,
) -> Result<(SignatureScheme, AlgorithmIdentifierOwned), ToolError> {
    let with_null = |oid| AlgorithmIdentifierOwned { oid, parameters: Some(der::asn1::AnyRef::NULL.into()) };
    let bare = |oid| AlgorithmIdentifierOwned { oid, parameters: None };
    match algorithm {
        KeyAlgorithm::X25519 => Err(ToolError::DoesNotSign(algorithm)),
        KeyAlgorithm::Ed25519 => Ok((SignatureScheme::Ed25519, bare(ID_ED_25519))),
        _ if algorithm.is_rsa() => {
            let oid = match digest {
                DigestAlgorithm::Sha384 => SHA_384_WITH_RSA_ENCRYPTION,
                DigestAlgorithm::Sha512 => SHA_512_WITH_RSA_ENCRYPTION,
                _ => SHA_256_WITH_RSA_ENCRYPTION,
            };
            Ok((SignatureScheme::RsaPkcs1(digest), with_null(oid)))
        }
        _ => {
            let oid = match digest {
                DigestAlgorithm::Sha384 => ECDSA_WITH_SHA_384,
                DigestAlgorithm::Sha512 => ECDSA_WITH_SHA_512,
                _ => ECDSA_WITH_SHA_256,
            };
            Ok((SignatureScheme::Ecdsa(digest), bare(oid)))
        }
    }
}

/// What is signed: the digest of what is read, or, where the scheme takes the message itself, all of it.
pub(super) fn digested(scheme: SignatureScheme, input: &mut dyn Read) -> anyhow::Result<Vec<u8>> {
    Ok(match scheme.digest() {
        Some(DigestAlgorithm::Sha384) => digest::<sha2::Sha384>(input)?,
        Some(DigestAlgorithm::Sha512) => digest::<sha2::Sha512>(input)?,
        Some(_) => digest::<sha2::Sha256>(input)?,
        None => {
            let mut message = Vec::new();
            input.take(LONGEST_MESSAGE + 1).read_to_end(&mut message)?;
            if message.len() as u64 > LONGEST_MESSAGE {
                return Err(ToolError::MessageTooLong(LONGEST_MESSAGE).into());
            }
            message
        }
    })
}

fn digest<D: sha2::Digest>(input: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut digest = D::new();
    let mut buffer = vec![0; 0x1_0000];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(digest.finalize().to_vec()),
            Ok(length) => digest.update(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The card takes the whole message for Ed25519.
const LONGEST_MESSAGE: u64 = 2048;
