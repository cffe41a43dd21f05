//! The pinned roots of cards' makers: every certificate in the folder `attestation-roots` of the home.

use std::path::Path;

use der::{Decode, Encode};
use x509_cert::Certificate;

use super::failure::Failure;
use super::office::{Office, read_file};
use crate::personalization::attestation::AttestationRoots;

/// No file of roots is longer.
const LONGEST: u64 = 256 * 1024;

/// Reads the folder: files ending in `.pem`, `.crt` or `.cer`, PEM (one certificate or more) or DER. A folder that is not
/// there holds none.
///
/// # Errors
/// A file that cannot be read, or holds something else: a root that was silently left out would refuse good cards.
pub(super) fn read(office: &Office) -> Result<AttestationRoots, Failure> {
    let folder = office.home.attestation_roots();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(AttestationRoots::default()),
        Err(error) => return Err(Failure::file(&folder, &error)),
    };
    let mut certificates = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Failure::file(&folder, &error))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if matches!(extension, "pem" | "crt" | "cer") {
            certificates.extend(certificates_in(&path)?);
        }
    }
    Ok(AttestationRoots::new(certificates))
}

fn certificates_in(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = read_file(path, LONGEST)?;
    if Certificate::from_der(&bytes).is_ok() {
        return Ok(vec![bytes]);
    }
    let read = || -> der::Result<Vec<Vec<u8>>> {
        Certificate::load_pem_chain(&bytes)?.iter().map(Encode::to_der).collect()
    };
    match read() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => {
            let message = format!(
                "{}: no certificates, PEM or DER; the folder holds the roots of cards' makers and nothing else",
                path.display()
            );
            Err(Failure::new("malformed", message))
        }
    }
}
