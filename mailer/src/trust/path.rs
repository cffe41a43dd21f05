//! Path building: from a certificate to an anchor, several candidates tried (RFC 4158 in spirit, RFC 5280 section 6).
use jiff::Timestamp;

use super::Anchors;
use super::problem::CertificateProblem;
use super::usage::Purpose;
use super::validate::{self, Rules, ValidPath};
use crate::certificate::{Acceptance, Certificate};

/// The most CA certificates between a certificate and its anchor.
const LONGEST_PATH: usize = 8;
/// The most complete paths that are validated, and the most certificates that are looked at on the way, for all signers of
/// a message together.
const MOST_PATHS: usize = 32;
const MOST_STEPS: usize = 256;

/// How much was tried so far. Signatures are checked only on a complete path to an anchor, so this bounds them too.
#[derive(Default)]
pub(crate) struct Effort {
    paths: usize,
    steps: usize,
}

impl Effort {
    fn is_spent(&self) -> bool {
        self.paths >= MOST_PATHS || self.steps >= MOST_STEPS
    }
}

/// Where further CA certificates come from while a path is built: asked with the key identifier that is wanted.
pub(crate) type Issuers<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<Certificate>;

/// What paths are built from.
pub(crate) struct Builder<'a> {
    /// Where paths may end.
    pub(crate) anchors: &'a Anchors,
    /// CA certificates that came along.
    pub(crate) found: &'a [Certificate],
    /// More of them.
    pub(crate) issuers: Issuers<'a>,
    /// What paths are validated for.
    pub(crate) rules: &'a Rules,
    /// What was spent, and will be.
    pub(crate) effort: &'a mut Effort,
}

impl Builder<'_> {
    /// Finds a valid path from `certificate` to one of the anchors that `accept` (revocation, for example) accepts.
    ///
    /// The first such path wins, and what `accept` made of it comes back with it. If there is none, the problem of the first
    /// valid path that was not accepted is told, or else that of the first complete one.
    pub(crate) fn find<T>(
        &mut self,
        certificate: &Certificate,
        accept: &mut dyn FnMut(&ValidPath) -> Result<T, CertificateProblem>,
    ) -> Result<(ValidPath, T), CertificateProblem> {
        let mut search = Search { builder: self, accept, refused: None, invalid: None, last_issuer: None };
        if let Some(found) = search.extend(&mut vec![certificate.clone()]) {
            return Ok(found);
        }
        let Search { refused, invalid, last_issuer, .. } = search;
        match refused.or(invalid) {
            Some(problem) if !self.effort.is_spent() => Err(problem),
            _ if self.effort.is_spent() => Err(CertificateProblem::TooManyPaths),
            _ => Err(CertificateProblem::UnknownIssuer {
                issuer: last_issuer.unwrap_or_else(|| certificate.issuer()),
            }),
        }
    }
}

/// Finds a valid path to one of the anchors for one purpose, with today's algorithms; revocation is the caller's affair.
pub(crate) fn build(
    certificate: &Certificate,
    anchors: &Anchors,
    found: &[Certificate],
    issuers: Issuers<'_>,
    purpose: Purpose,
    at: Timestamp,
    effort: &mut Effort,
) -> Result<ValidPath, CertificateProblem> {
    let rules = Rules::new(purpose, at);
    let mut builder = Builder { anchors, found, issuers, rules: &rules, effort };
    builder.find(certificate, &mut |_| Ok(())).map(|(path, ())| path)
}

struct Search<'s, 'a, T> {
    builder: &'s mut Builder<'a>,
    accept: &'s mut dyn FnMut(&ValidPath) -> Result<T, CertificateProblem>,
    refused: Option<CertificateProblem>,
    invalid: Option<CertificateProblem>,
    last_issuer: Option<String>,
}

impl<T> Search<'_, '_, T> {
    /// Extends the path (the judged certificate first) until it is valid and accepted, or nothing is left to try.
    fn extend(&mut self, path: &mut Vec<Certificate>) -> Option<(ValidPath, T)> {
        self.builder.effort.steps += 1;
        let last = path.last()?.clone();
        if let Some(found) = self.ends_here(path, &last) {
            return Some(found);
        }
        if path.len() > LONGEST_PATH || self.builder.effort.is_spent() {
            return None;
        }
        let candidates = self.candidates(&last, path);
        if candidates.is_empty() {
            self.last_issuer = Some(last.issuer());
        }
        for candidate in candidates {
            path.push(candidate);
            let found = self.extend(path);
            path.pop();
            if found.is_some() || self.builder.effort.is_spent() {
                return found;
            }
        }
        None
    }

    /// Tries every anchor that may have issued the last certificate of the path.
    fn ends_here(&mut self, path: &[Certificate], last: &Certificate) -> Option<(ValidPath, T)> {
        let anchors = self.builder.anchors;
        for anchor in anchors.0.iter().filter(|anchor| may_issue(&anchor.certificate, last)) {
            if self.builder.effort.is_spent() {
                return None;
            }
            self.builder.effort.paths += 1;
            match validate::validate(path, anchor, self.builder.rules) {
                Ok(valid) => match (self.accept)(&valid) {
                    Ok(made) => return Some((valid, made)),
                    Err(problem) => self.refused = self.refused.take().or(Some(problem)),
                },
                Err(problem) => self.invalid = self.invalid.take().or(Some(problem)),
            }
        }
        None
    }

    /// CA certificates that may have issued `last` and are not on the path yet, nor under the same name and key: the most
    /// promising first.
    fn candidates(&mut self, last: &Certificate, path: &[Certificate]) -> Vec<Certificate> {
        let repeats = |candidate: &Certificate| {
            path.iter().any(|used| {
                used.public_key() == candidate.public_key()
                    && used.canonical_subject() == candidate.canonical_subject()
            })
        };
        let more = match last.authority_key_identifier() {
            Some(identifier) => (self.builder.issuers)(&identifier),
            None => Vec::new(),
        };
        let mut distinct: Vec<Certificate> = Vec::new();
        for candidate in self.builder.found.iter().chain(&more) {
            let fits = may_issue(candidate, last) && !repeats(candidate) && !distinct.contains(candidate);
            // More than can be tried need not be told apart.
            if !fits || distinct.len() >= MOST_STEPS || is_self_signed(candidate, self.builder.effort) {
                continue;
            }
            distinct.push(candidate.clone());
        }
        let at = self.builder.rules.at;
        distinct.sort_by_key(|candidate| {
            let is_current = candidate.not_before() <= at && at <= candidate.not_after();
            let is_named = candidate.subject_key_identifier().is_some();
            (!is_current, !is_named, candidate.is_self_issued())
        });
        distinct
    }
}

/// A self-signed certificate leads nowhere: it is an anchor by configuration, or a stranger. One that is self-issued with
/// another key, for a key rollover, does lead on. Key identifiers tell which it is (RFC 5280 section 4.2.1.1); without
/// them, its own signature.
fn is_self_signed(certificate: &Certificate, effort: &mut Effort) -> bool {
    if !certificate.is_self_issued() {
        return false;
    }
    match (certificate.authority_key_identifier(), certificate.subject_key_identifier()) {
        (Some(issuer), Some(own)) => issuer == own,
        _ if effort.is_spent() => true,
        _ => {
            effort.steps += 1;
            certificate.verify_signature(certificate.public_key(), Acceptance::Historic).is_ok()
        }
    }
}

/// Whether name and key identifiers (where both are there) allow that `issuer` issued `certificate`.
fn may_issue(issuer: &Certificate, certificate: &Certificate) -> bool {
    issuer.canonical_subject() == certificate.canonical_issuer()
        && match (certificate.authority_key_identifier(), issuer.subject_key_identifier()) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => true,
        }
}
