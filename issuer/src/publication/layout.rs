//! Where things lie in the published directory, and what they are called.
//!
//! ```text
//! anchor.pem  ca-chain.pem  crl.pem                              for openssl and its kind
//! ca/<subjectKeyIdentifier>.cer                                  CA certificates, the root included
//! crl/<issuing CA's subjectKeyIdentifier>.crl                    its newest CRL, of all its certificates
//! crl/<key identifier>-<count>-<index>.crl                       the newest of one of its partitions
//! crl/<key identifier>[-<count>-<index>]-delta.crl               what has changed since
//! ocsp/<issuing CA's subjectKeyIdentifier>.answers               prepared OCSP answers, for `issuer serve`
//! audit/checkpoint.txt  audit/keys.pem                           the newest signed checkpoint of the issuer's log, its keys
//! classes.p7m                                                    classes of readers, a signed list
//! certificates/by-email/<address>/<serial number>.cer            certificates of 9C and 9D
//! .revision                                                      a number that changes with every publication, the names of
//!                                                                its CRLs, and the digests of its files; absent during one
//! ```
use std::path::{Path, PathBuf};

use crate::ca::SerialNumber;
use crate::ca::crl::name::FOLDER;
pub(crate) use crate::ca::crl::name::{CrlKind, CrlName, is_hexadecimal};

/// Root certificates, PEM.
pub const ANCHOR: &str = "anchor.pem";
/// All CA certificates, PEM.
pub const CA_CHAIN: &str = "ca-chain.pem";
/// All CRLs, PEM.
pub const CRLS: &str = "crl.pem";
/// Classes of readers, CMS SignedData.
pub const CLASSES: &str = "classes.p7m";
/// The newest signed checkpoint of the issuer's log.
pub const CHECKPOINT: &str = "audit/checkpoint.txt";
/// The public keys that sign checkpoints, PEM.
pub const AUDIT_KEYS: &str = "audit/keys.pem";
/// Folder of CA certificates.
pub const AUTHORITIES: &str = "ca";
/// Folder of CRLs.
pub const REVOCATIONS: &str = FOLDER;
/// Folder of certificates by mail address.
pub const BY_EMAIL: &str = "certificates/by-email";
/// Changes after every publication, so that servers notice.
pub(crate) const REVISION: &str = ".revision";
/// Locked while something is published.
pub(crate) const LOCK: &str = ".lock";
/// Begin of the names of files that are still being written.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// Whether something was published, or began to be, in this folder.
pub fn is_published(root: &Path) -> bool {
    [LOCK, REVISION, ANCHOR].iter().any(|mark| root.join(mark).is_file())
}

/// The folder name of a mail address: lower case, octets other than `A-Z a-z 0-9 @ . _ + -` percent-encoded.
///
/// It can be neither empty nor `.` nor `..` nor hold a slash, because a mail address holds an `@`.
pub fn address_folder(address: &str) -> String {
    let mut folder = String::new();
    for octet in address.to_lowercase().bytes() {
        if is_plain(octet) {
            folder.push(char::from(octet));
        } else {
            folder.push_str(&format!("%{octet:02X}"));
        }
    }
    folder
}

/// Whether an octet stands for itself in a folder name.
pub(crate) fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"@._+-".contains(&octet)
}

pub(crate) fn authority_file(subject_key_identifier: &[u8]) -> PathBuf {
    Path::new(AUTHORITIES).join(format!("{}.cer", hex::encode(subject_key_identifier)))
}

pub(crate) fn certificate_file(address: &str, serial_number: &SerialNumber) -> PathBuf {
    Path::new(BY_EMAIL).join(address_folder(address)).join(format!("{serial_number}.cer"))
}

#[cfg(test)]
mod tests {
    use super::address_folder;

    #[test]
    fn a_plain_address_stands_for_itself_in_lower_case() {
        assert_eq!(address_folder("Alice.B+c_d-e@Example.org"), "alice.b+c_d-e@example.org");
    }

    #[test]
    fn everything_else_is_encoded_octet_by_octet() {
        assert_eq!(address_folder("Jürgen@xn--bcher-kva.example"), "j%C3%BCrgen@xn--bcher-kva.example");
        assert_eq!(address_folder("a/../%2e@example.org"), "a%2F..%2F%252e@example.org");
    }
}
