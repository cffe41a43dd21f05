//! The key of an authority, wherever it lives: in an encrypted file, behind a PKCS#11 module, or on a PIV card.
mod card;
mod location;

use jiff::Timestamp;
use middleware::{FileKey, KeyAlgorithm, Pkcs11Key, Signer};

use super::failure::Failure;
use super::init::write_secret;
use super::key_file;
use super::office::{Passphrase, Surroundings, read_passphrase};
use std::path::{Path, PathBuf};

use crate::ca::Certificate;
use crate::ca::algorithm::KeyKind;
use crate::ca::certificate::key_identifier;
use crate::config::{Home, write_new};
use crate::domain::AuthorityName;
use crate::registry::EmulatedCards;
use card::SignerOnCard;
pub use location::KeyLocation;
use middleware::secret_source::SecretSource;
use spki::SubjectPublicKeyInfoOwned;

/// A new authority's key: made in a file, or found where it was made before. The home remembers where it is.
///
/// # Errors
/// No such key, a wrong PIN, or a file that cannot be written.
pub(super) fn establish(
    home: &Home,
    name: AuthorityName,
    location: &KeyLocation,
    (algorithm, emulated): (KeyAlgorithm, EmulatedCards),
    passphrase: &Passphrase,
    pin: &SecretSource,
) -> Result<Box<dyn Signer>, Failure> {
    if *location == KeyLocation::File {
        let key = FileKey::generate(algorithm)?;
        write_secret(&home.key_file(name), &key.to_encrypted_pkcs8_pem(passphrase.as_str())?)?;
        return Ok(Box::new(key));
    }
    let signer = open_elsewhere(name, location, None, emulated, pin)?;
    let path = home.key_location_file(name);
    write_new(&path, 0o644, format!("{location}\n").as_bytes())
        .map_err(|error| Failure::file(&path, &error))?;
    Ok(signer)
}

/// Opens the key of an authority of an existing home.
///
/// # Errors
/// Wrong passphrase or PIN, no key file, no card or token.
pub(super) fn open(
    home: &Home,
    name: AuthorityName,
    certificate: &Certificate,
    passphrase: &Passphrase,
    pin: &SecretSource,
) -> Result<Box<dyn Signer>, Failure> {
    match location(home, name, certificate)? {
        KeyLocation::File => Ok(Box::new(open_path(&own_file(home, name, certificate), passphrase)?)),
        // Whether its card may be an emulated one was decided when the authority was made.
        elsewhere => {
            let known = Some(certificate.public_key());
            open_elsewhere(name, &elsewhere, known, EmulatedCards::Allowed, pin)
        }
    }
}

/// Opens the key of an authority of an existing home where it is in a file, for several to sign with; nothing where it is
/// elsewhere.
///
/// # Errors
/// As [`open`].
pub(super) fn open_if_in_file(
    home: &Home,
    name: AuthorityName,
    certificate: &Certificate,
    passphrase: &Passphrase,
) -> Result<Option<FileKey>, Failure> {
    match location(home, name, certificate)? {
        KeyLocation::File => open_path(&own_file(home, name, certificate), passphrase).map(Some),
        _ => Ok(None),
    }
}

fn open_path(path: &Path, passphrase: &Passphrase) -> Result<FileKey, Failure> {
    key_file::open(path, passphrase.as_str())
}

/// The key that follows another of the authority's: made in a file, or found where it was made before.
///
/// # Errors
/// As [`establish`].
pub(super) fn establish_successor(
    home: &Home,
    name: AuthorityName,
    location: &KeyLocation,
    (algorithm, emulated): (KeyAlgorithm, EmulatedCards),
    passphrase: &Passphrase,
    pin: &SecretSource,
) -> Result<Box<dyn Signer>, Failure> {
    if *location == KeyLocation::File {
        let key = FileKey::generate(algorithm)?;
        let path = home.key_file_of(name, key_identifier(Signer::public_key(&key)).as_bytes());
        write_secret(&path, &key.to_encrypted_pkcs8_pem(passphrase.as_str())?)?;
        return Ok(Box::new(key));
    }
    let signer = open_elsewhere(name, location, None, emulated, pin)?;
    let path = home.key_location_file_of(name, key_identifier(signer.public_key()).as_bytes());
    match write_new(&path, 0o644, format!("{location}\n").as_bytes()) {
        // A run that was killed remembered it.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(signer),
        written => written.map(|()| signer).map_err(|error| Failure::file(&path, &error)),
    }
}

/// Whether the key of this certificate can be opened in this home, as far as can be told without its secrets.
pub(super) fn is_at_hand(
    home: &Home,
    name: AuthorityName,
    certificate: &Certificate,
) -> Result<bool, Failure> {
    Ok(match location(home, name, certificate)? {
        KeyLocation::File => own_file(home, name, certificate).exists(),
        _ => true,
    })
}

/// Whether this home made the key of this certificate to follow another.
pub(super) fn is_awaited(home: &Home, name: AuthorityName, certificate: &Certificate) -> bool {
    let key = certificate.subject_key_identifier();
    home.key_file_of(name, key).exists() || home.key_location_file_of(name, key).exists()
}

/// Where a key is, in words.
pub(super) fn whereabouts(
    home: &Home,
    name: AuthorityName,
    certificate: &Certificate,
) -> Result<String, Failure> {
    let location = location(home, name, certificate)?;
    Ok(if is_at_hand(home, name, certificate)? { location.to_string() } else { "not here".to_owned() })
}

fn own_file(home: &Home, name: AuthorityName, certificate: &Certificate) -> PathBuf {
    let of_key = home.key_file_of(name, certificate.subject_key_identifier());
    if of_key.exists() { of_key } else { home.key_file(name) }
}

/// Where the key of an authority of this home is.
///
/// # Errors
/// The file that says so cannot be read.
pub(super) fn location(
    home: &Home,
    name: AuthorityName,
    certificate: &Certificate,
) -> Result<KeyLocation, Failure> {
    let key = certificate.subject_key_identifier();
    if home.key_file_of(name, key).exists() {
        return Ok(KeyLocation::File);
    }
    let of_key = home.key_location_file_of(name, key);
    let path = if of_key.exists() { of_key } else { home.key_location_file(name) };
    match std::fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|reason| Failure::new("config", format!("{}: {reason}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(KeyLocation::File),
        Err(error) => Err(Failure::file(&path, &error)),
    }
}

fn open_elsewhere(
    name: AuthorityName,
    location: &KeyLocation,
    known: Option<&SubjectPublicKeyInfoOwned>,
    emulated: EmulatedCards,
    pin: &SecretSource,
) -> Result<Box<dyn Signer>, Failure> {
    let pin = read_passphrase(pin, &format!("PIN of the key of the authority {name} ({location})"))?;
    let named = |error: middleware::KeyError| Failure {
        message: format!("the key of the authority {name} ({location}): {error}"),
        ..Failure::from(error)
    };
    match location {
        KeyLocation::Pkcs11(uri) => Ok(Box::new(Pkcs11Key::open(uri, pin.as_str()).map_err(named)?)),
        KeyLocation::Card(locator, key) => {
            Ok(Box::new(SignerOnCard::open(locator, *key, pin.as_str(), known, emulated)?))
        }
        KeyLocation::File => Err(Failure::new("config", "a key in a file has no PIN")),
    }
}

/// What a ceremony records of a key.
#[derive(serde::Serialize)]
pub(super) struct KeyRecord {
    authority: &'static str,
    key: String,
    certificate: String,
    sha256: String,
    not_after: String,
}

impl KeyRecord {
    pub(super) fn new(name: AuthorityName, location: &KeyLocation, certificate: &Certificate) -> Self {
        use sha2::Digest;
        let end: Timestamp = certificate.not_after();
        Self {
            authority: name.as_str(),
            key: location.to_string(),
            certificate: certificate.subject(),
            sha256: hex::encode(sha2::Sha256::digest(certificate.as_der())),
            not_after: end.to_string(),
        }
    }
}

/// The algorithm of a new key in a file that is as strong as this one.
pub(super) fn algorithm_like(key: &SubjectPublicKeyInfoOwned) -> KeyAlgorithm {
    match (KeyKind::of(key), key.subject_public_key.raw_bytes().len()) {
        (Ok(KeyKind::P384), _) => KeyAlgorithm::P384,
        (Ok(KeyKind::Rsa), ..=300) => KeyAlgorithm::Rsa2048,
        (Ok(KeyKind::Rsa), _) => KeyAlgorithm::Rsa3072,
        _ => KeyAlgorithm::P256,
    }
}

/// Where PINs of keys on tokens and cards come from.
pub(super) fn pin_source(surroundings: &Surroundings) -> SecretSource {
    surroundings.key_pin.clone().unwrap_or(SecretSource::Terminal)
}
