//! The files that `mailer certificate verify` is given: DER or PEM.
use std::path::{Path, PathBuf};

use super::report::Failure;
use crate::trust::{Certificate, CertificateList};

/// The largest file that is read: CRLs of a million entries take 50 MB.
const LARGEST: u64 = 256 << 20;

/// Everything but the judged certificate and the anchors.
#[derive(Default)]
pub(super) struct Files {
    pub(super) intermediates: Vec<Certificate>,
    pub(super) lists: Vec<CertificateList>,
    pub(super) responses: Vec<Vec<u8>>,
}

impl Files {
    /// Reads them all; `intermediates` were found with the judged certificate.
    pub(super) fn read(
        intermediates: Vec<Certificate>,
        more: &[PathBuf],
        lists: &[PathBuf],
        responses: &[PathBuf],
    ) -> Result<Self, Failure> {
        let mut files = Self { intermediates, ..Self::default() };
        for path in more {
            files.intermediates.extend(certificates(path)?);
        }
        for path in lists {
            for file in list_files(path)? {
                for der in objects(&file, "X509 CRL")? {
                    let list = CertificateList::from_vec(der);
                    files.lists.push(list.map_err(|problem| malformed("crl-malformed", &file, &problem))?);
                }
            }
        }
        for path in responses {
            files.responses.extend(objects(path, "OCSP RESPONSE")?);
        }
        Ok(files)
    }
}

/// The certificates in a file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let contents = contents(path)?;
    let found = Certificate::from_file_contents(&contents)
        .map_err(|problem| malformed("certificate-malformed", path, &problem))?;
    if found.is_empty() {
        return Err(malformed("certificate-malformed", path, &"there is no certificate in it"));
    }
    Ok(found)
}

/// The file itself, or every file of a folder that ends in `.crl`, in the order of their names.
fn list_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |problem: std::io::Error| Failure::file(path, &problem);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("crl")) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// One DER object, or every PEM block with this label.
fn objects(path: &Path, label: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let contents = contents(path)?;
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    if !contents.starts_with(b"-----") && memchr::memmem::find(&contents, begin.as_bytes()).is_none() {
        return Ok(vec![contents]);
    }
    let broken = |problem: &dyn std::fmt::Display| malformed("pem-malformed", path, problem);
    let text = std::str::from_utf8(&contents).map_err(|_| broken(&"it is not text"))?;
    let mut found = Vec::new();
    for rest in text.split(&begin).skip(1) {
        let (body, _) = rest.split_once(&end).ok_or_else(|| broken(&"an end line is missing"))?;
        let pem = format!("{begin}{body}{end}\n");
        let (_, der) = der::pem::decode_vec(pem.as_bytes()).map_err(|problem| broken(&problem))?;
        found.push(der);
    }
    if found.is_empty() { Err(broken(&format!("there is no {label} in it"))) } else { Ok(found) }
}

fn contents(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |problem: std::io::Error| Failure::file(path, &problem);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() > LARGEST {
        return Err(malformed("file", path, &"it is too large"));
    }
    let mut contents = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST), &mut contents).map_err(unreadable)?;
    Ok(contents)
}

fn malformed(code: &'static str, path: &Path, problem: &dyn std::fmt::Display) -> Failure {
    Failure::new(code, format!("{}: {problem}", path.display()))
}
