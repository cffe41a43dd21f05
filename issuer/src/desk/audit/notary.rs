//! The key that signs checkpoints of the log, and where they go beside the registry.
//!
//! The key is in the home, `keys/audit.pem` (mode 0600), and not under the passphrase: every change gets its checkpoint, also
//! a revocation, which asks for no passphrase. What the key is worth against whoever holds the home is nothing; that is what
//! the copies of checkpoints elsewhere are for.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use der::{Decode, Encode};
use middleware::{DigestAlgorithm, FileKey, KeyAlgorithm, SignatureScheme, Signer};
use sha2::{Digest, Sha256};
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::super::failure::Failure;
use super::super::output;
use super::begun;
use super::witness::{self, Added};
use crate::ca::possession::verify_signature;
use crate::config::Home;
use crate::domain::{Notary, SignedCheckpoint};

const SCHEME: SignatureScheme = SignatureScheme::Ecdsa(DigestAlgorithm::Sha256);
const LABEL: &str = "PRIVATE KEY";

/// The audit key of a home, and the witness that is told what it signs.
pub struct KeyInHome {
    key: Mutex<FileKey>,
    public_key: Vec<u8>,
    log: String,
    witness: Mutex<Option<PathBuf>>,
    home: Home,
}

impl KeyInHome {
    /// From now on this witness is told of every checkpoint.
    pub fn tell(&self, witness: Option<PathBuf>) {
        *self.witness.lock().unwrap_or_else(PoisonError::into_inner) = witness;
    }

    fn witness(&self) -> Option<PathBuf> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether a home may have no audit key yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstKey {
    /// Nothing was signed yet, or the home was just restored: a key is made.
    Made,
    /// Its log is signed: a key that is not there was lost or taken away.
    Lost,
}

/// The notary of a home: its audit key, for the log of this name. No witness is told before it was compared.
///
/// # Errors
/// The key file cannot be read or written, or is none; or `audit-key-missing`.
pub fn of_home(home: &Home, log: String, first: FirstKey) -> Result<Arc<KeyInHome>, Failure> {
    let path = home.audit_key_file();
    let key = match std::fs::read(&path).map(Zeroizing::new) {
        Ok(pem) => read_key(&path, &pem)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && first == FirstKey::Lost => {
            return Err(missing(&path));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => new_key(&path)?,
        Err(error) => return Err(Failure::file(&path, &error)),
    };
    let public_key = key.public_key().to_der();
    let public_key = public_key.map_err(|error| Failure::new("key", error.to_string()))?;
    let witness = Mutex::default();
    Ok(Arc::new(KeyInHome { key: Mutex::new(key), public_key, log, witness, home: home.clone() }))
}

/// A new key that nobody decided about would hide that the old one is in other hands.
fn missing(path: &Path) -> Failure {
    let place = path.display();
    Failure::new(
        "audit-key-missing",
        format!(
            "{place} is missing: the key that signs the log of this registry; nothing was done. Put it back from a copy of the home, or restore a backup (issuer restore makes a new key). If it is lost and the registry is good, make a new one knowingly: (umask 077; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {place}); the log tells of it, and the auditor should know"
        ),
    )
}

fn read_key(path: &Path, pem: &[u8]) -> Result<FileKey, Failure> {
    let refused = |reason: &dyn std::fmt::Display| {
        Failure::new("key", format!("{}: {reason}; put the audit key of this home back", path.display()))
    };
    let (label, der) = der::pem::decode_vec(pem).map_err(|error| refused(&error))?;
    let der = Zeroizing::new(der);
    if label != LABEL {
        return Err(refused(&format_args!("it holds a {label}, not a {LABEL}")));
    }
    let key = FileKey::from_pkcs8_der(&der)?;
    if key.algorithm() != KeyAlgorithm::P256 {
        return Err(refused(&"it is not a P-256 key"));
    }
    Ok(key)
}

/// Two desks that share a home may make it at once: the first one's stays.
fn new_key(path: &Path) -> Result<FileKey, Failure> {
    let failed = |error: &std::io::Error| Failure::file(path, error);
    let key = FileKey::generate(KeyAlgorithm::P256)?;
    let der = key.to_pkcs8_der()?;
    let pem = der::pem::encode_string(LABEL, der::pem::LineEnding::LF, &der).map(Zeroizing::new);
    let pem = pem.map_err(|error| Failure::new("key", error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(|error| failed(&error))?;
    file.write_all(pem.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| failed(&error))?;
    match file.persist_noclobber(path) {
        Ok(_) => {
            std::fs::File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|error| failed(&error))?;
            Ok(key)
        }
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            let pem = std::fs::read(path).map(Zeroizing::new).map_err(|error| failed(&error))?;
            read_key(path, &pem)
        }
        Err(error) => Err(failed(&error.error)),
    }
}

impl Notary for KeyInHome {
    fn public_key(&self) -> Vec<u8> {
        self.public_key.clone()
    }

    fn log(&self) -> String {
        self.log.clone()
    }

    fn sign(&self, text: &str) -> Result<Vec<u8>, String> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        key.sign(SCHEME, &Sha256::digest(text.as_bytes())).map_err(|error| error.to_string())
    }

    /// What is recorded is recorded: a witness that cannot be written is said, and nothing waits for it.
    fn committed(&self, checkpoint: &SignedCheckpoint) {
        let Some(path) = &self.witness() else { return };
        let added = witness::append(path, checkpoint);
        if matches!(added, Ok(Added::Begun | Added::Appended | Added::Known))
            && let Err(error) = begun::remember(&self.home, path, Some(checkpoint))
        {
            let mark = self.home.witness_mark_file();
            output::progress(&format!("warning: {} cannot be written ({error})", mark.display()));
        }
        match added {
            Ok(Added::Begun) => output::progress(&format!(
                "note: there was no witness file {}: it begins now, with event {}",
                path.display(),
                checkpoint.checkpoint.end.sequence
            )),
            Ok(Added::Appended | Added::Known) => {}
            Ok(Added::Disagrees) => output::progress(&format!(
                "warning: the witness file {0} has seen another event {1}: the registry was put back or written anew; nothing was added. Look with: issuer audit verify --witness {0}",
                path.display(),
                checkpoint.checkpoint.end.sequence
            )),
            Err(error) => output::progress(&format!(
                "warning: the witness file {} cannot be written ({error}); bring it up to date with: issuer audit verify --witness {}",
                path.display(),
                path.display()
            )),
        }
    }
}

/// Whether a signature under a checkpoint is that of this key.
pub fn is_signed(public_key: &[u8], text: &str, signature: &[u8]) -> bool {
    SubjectPublicKeyInfoOwned::from_der(public_key)
        .is_ok_and(|key| verify_signature(&key, SCHEME, &Sha256::digest(text.as_bytes()), signature).is_ok())
}
