//! A time-stamp token: a SignedData over a TSTInfo, with the signature of its authority (RFC 3161 section 2.4.2).
use const_oid::ObjectIdentifier;

use super::error::TokenProblem;
use super::info::TimeStampInfo;
use crate::certificate::Certificate;
use crate::content::Content;
use crate::smime;

const ID_CT_TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// The largest token that is read, and the largest TSTInfo in it.
const LARGEST_TOKEN: usize = 256 * 1024;
const LARGEST_INFO: usize = 64 * 1024;

/// A token whose signature is right. Nothing is said about trust, nor about what was stamped.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it says.
    pub info: TimeStampInfo,
    /// The authority that signed it.
    pub authority: Certificate,
    /// Whether the authority signed which certificate it means; it is the right one then (RFC 5816).
    pub names_certificate: bool,
    /// Every certificate that came along.
    pub certificates: Vec<Certificate>,
}

impl Token {
    /// Reads a token (DER of its ContentInfo) and verifies its signature. It need not hold its authority's certificate: that
    /// may be `known`.
    ///
    /// # Errors
    /// See [`TokenProblem`].
    pub fn read(token: &[u8], known: &[Certificate]) -> Result<Self, TokenProblem> {
        if token.len() > LARGEST_TOKEN {
            return Err(TokenProblem::Malformed("it is too long".to_owned()));
        }
        let malformed = |problem: String| TokenProblem::Malformed(problem);
        let signed = smime::verify_object(&Content::from_vec(token.to_vec()), None, known, ID_CT_TST_INFO)
            .map_err(|error| malformed(error.to_string()))?;
        let content = signed.content.as_ref().ok_or_else(|| malformed("it is empty".to_owned()))?;
        let content = content.to_vec(LARGEST_INFO).map_err(|error| malformed(error.to_string()))?;
        let content = content.ok_or_else(|| malformed("it is too long".to_owned()))?;
        // Nobody but the authority signs.
        let [signer] = signed.signers.as_slice() else {
            return Err(malformed("it has not exactly one signer".to_owned()));
        };
        let signature =
            signer.outcome.as_ref().map_err(|fault| TokenProblem::BadSignature(fault.to_string()))?;
        Ok(Self {
            info: TimeStampInfo::from_der(&content)?,
            authority: signature.certificate.clone(),
            names_certificate: signature.names_certificate,
            certificates: signed.certificates,
        })
    }
}
