//! Somebody else's lint, asked before anything is signed.
//!
//! Linters read certificates, not what is to become one; so it is shown the certificate as it will be, under a signature
//! that means nothing (as Let's Encrypt's authorities do it).
use der::Encode;
use der::asn1::Uint;

use super::LintedCertificate;
use crate::ca::Certificate;
use crate::ca::algorithm::KeyKind;
use crate::ca::error::CaError;

/// A judge outside this program.
pub trait ExternalLint: Send {
    /// Looks at a certificate, DER, whose signature means nothing.
    ///
    /// # Errors
    /// What is wrong with it, or that the judge cannot be asked: either way nothing is signed.
    fn judge(&self, certificate: &[u8]) -> Result<(), String>;
}

/// The certificate under a signature that means nothing.
pub(crate) fn unsigned_sample(certificate: &LintedCertificate, key: KeyKind) -> Result<Vec<u8>, CaError> {
    let signature = match key {
        KeyKind::Rsa => vec![1; 256],
        KeyKind::P256 | KeyKind::P384 => {
            let one = Uint::new(&[1]).and_then(|one| [one.clone(), one].to_vec().to_der());
            one.map_err(|error| CaError::malformed("signature", error))?
        }
    };
    Ok(Certificate::assemble(certificate.unsigned(), &signature)?.as_der().to_vec())
}
