//! What a responder needs: a folder.
use std::path::{Path, PathBuf};

use middleware::secret_source::SecretSource;
use middleware::{FileKey, Signer};

use super::super::failure::Failure;
use super::super::office::{Passphrase, read_passphrase};
use crate::ca::Certificate;
use crate::ca::certificate::pem_blocks;
use crate::ca::ocsp::Responder;
use crate::publication::OnDemand;

/// A responder's folder:
///
/// ```text
/// key.pem              its key, encrypted PKCS#8 under a passphrase of its own
/// certificates.pem     for each authority the responder's certificate, and the authority's after it
/// ```
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    pub(super) fn certificates_file(&self) -> PathBuf {
        self.0.join("certificates.pem")
    }

    pub(super) fn key(&self, passphrase: &Passphrase) -> Result<FileKey, Failure> {
        let path = self.key_file();
        let pem = std::fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
        FileKey::from_encrypted_pkcs8_pem(&pem, passphrase.as_str()).map_err(|error| Failure {
            message: format!("{}: {error}", path.display()),
            ..Failure::from(error)
        })
    }

    /// The responder's certificates, by the authorities' key identifiers.
    fn responders(&self) -> Result<Vec<(Vec<u8>, Responder)>, Failure> {
        let path = self.certificates_file();
        let text = std::fs::read(&path).map_err(|error| Failure::file(&path, &error))?;
        let certificates = pem_blocks(&text)
            .iter()
            .map(|block| Certificate::from_pem(&block.text))
            .collect::<Result<Vec<_>, _>>()?;
        let responders = certificates.chunks(2).map(|pair| match pair {
            [own, authority] => {
                Ok((authority.subject_key_identifier().to_vec(), Responder::new(authority, own.clone())?))
            }
            _ => Err(Failure::new("malformed", format!("{}: a certificate is missing", path.display()))),
        });
        responders.collect()
    }
}

/// Opens a responder's folder for the server.
///
/// # Errors
/// Not such a folder, a wrong passphrase, or a key that is not that of the certificates.
pub(in crate::desk) fn open_on_demand(path: &Path, source: &SecretSource) -> Result<OnDemand, Failure> {
    let folder = Folder::new(path);
    if !folder.key_file().is_file() {
        let message = format!(
            "{} is no folder of an OCSP responder; make one with: issuer --home DIR ocsp init --folder {0}",
            path.display()
        );
        return Err(Failure::new("no-responder", message));
    }
    let responders = folder.responders()?;
    let prompt = format!("Passphrase of the OCSP responder in {}", path.display());
    let key = folder.key(&read_passphrase(source, &prompt)?)?;
    let is_its_key = |responder: &Responder| responder.certificate().public_key() == key.public_key();
    if !responders.iter().all(|(_, responder)| is_its_key(responder)) {
        let message = format!("{}: the certificates are not those of key.pem", path.display());
        return Err(Failure::new("key-mismatch", message));
    }
    let secret = key.to_pkcs8_der()?;
    let copies = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let copy = |_| Ok::<_, Failure>(Box::new(FileKey::from_pkcs8_der(&secret)?) as Box<dyn Signer + Send>);
    Ok(OnDemand::new(responders, (0..copies).map(copy).collect::<Result<_, _>>()?))
}
