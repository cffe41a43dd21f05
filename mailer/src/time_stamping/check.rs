//! Whether a response is the answer to a request (RFC 3161 section 2.4.2 and 2.3).
use const_oid::ObjectIdentifier;
use jiff::{SignedDuration, Timestamp};

use super::error::AnswerProblem;
use super::request::TimeStampRequest;
use super::response;
use super::token::Token;
use crate::certificate::Certificate;
use crate::certificate::extensions::id;

const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// How far an authority's clock may be from ours, beyond the accuracy that it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockTolerance(pub SignedDuration);

impl Default for ClockTolerance {
    /// Five minutes.
    fn default() -> Self {
        Self(SignedDuration::from_mins(5))
    }
}

/// A time stamp that is the answer to our request. Whether its authority is trusted is another question.
#[derive(Clone, Debug)]
pub struct TimeStamp {
    /// The token: the DER of its ContentInfo.
    pub der: Vec<u8>,
    /// What it says, and who signed it.
    pub token: Token,
}

impl TimeStampRequest {
    /// Checks a response to this request, which came at the moment `now`.
    ///
    /// # Errors
    /// See [`AnswerProblem`].
    pub fn check(
        &self,
        response: &[u8],
        now: Timestamp,
        tolerance: ClockTolerance,
    ) -> Result<TimeStamp, AnswerProblem> {
        let der = response::token(response)?;
        // The certificate was asked for: it must be there.
        let token = Token::read(der, &[])?;
        let info = &token.info;
        if info.imprint != self.imprint {
            return Err(AnswerProblem::OtherImprint);
        }
        if !info.has_nonce() {
            return Err(AnswerProblem::NonceMissing);
        }
        if !info.has_nonce_of(self.nonce.magnitude()) {
            return Err(AnswerProblem::OtherNonce);
        }
        if let Some(asked) = self.policy.filter(|asked| *asked != info.policy) {
            return Err(AnswerProblem::OtherPolicy { asked, found: info.policy });
        }
        if !token.names_certificate {
            return Err(AnswerProblem::CertificateNotNamed);
        }
        check_authority(&token.authority, info.made)?;
        let allowed = tolerance.0 + info.accuracy.unwrap_or_default();
        if now.duration_since(info.made).abs() > allowed {
            return Err(AnswerProblem::WrongTime { made: info.made, now });
        }
        Ok(TimeStamp { der: der.to_vec(), token })
    }
}

/// The certificate is for time stamps alone, by a critical extension, and was valid when the stamp was made.
fn check_authority(authority: &Certificate, made: Timestamp) -> Result<(), AnswerProblem> {
    let usages = authority.extended_key_usages().ok().flatten().unwrap_or_default();
    let is_critical = authority
        .extensions()
        .iter()
        .any(|extension| extension.extn_id == id::EXTENDED_KEY_USAGE && extension.critical);
    if usages != [TIME_STAMPING] || !is_critical {
        return Err(AnswerProblem::WrongUsage(authority.subject()));
    }
    let (not_before, not_after) = (authority.not_before(), authority.not_after());
    if made < not_before || made > not_after {
        let authority = authority.subject();
        return Err(AnswerProblem::CertificateNotValid { authority, made, not_before, not_after });
    }
    Ok(())
}
