//! Path building: from a certificate to an anchor, several candidates tried (RFC 4158 in spirit, RFC 5280 section 6).
use super::Anchors;
use super::problem::CertificateProblem;
use super::validate::{self, Purpose, ValidPath};
use crate::certificate::{Certificate, names};

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

/// Where further CA certificates come from while a path is built.
pub(crate) type Issuers<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<Certificate>;

/// Finds a valid path from `certificate` to one of the anchors.
///
/// `found` are CA certificates that came along; `issuers` answers a key identifier with more. The first valid path wins; if
/// none is valid, the problem of the first complete one is told.
pub(crate) fn build(
    certificate: &Certificate,
    anchors: &Anchors,
    found: &[Certificate],
    issuers: Issuers<'_>,
    purpose: Purpose,
    at: jiff::Timestamp,
    effort: &mut Effort,
) -> Result<ValidPath, CertificateProblem> {
    let last_issuer = certificate.issuer();
    let mut search = Search { anchors, found, issuers, purpose, at, effort, problem: None, last_issuer };
    match search.extend(&mut vec![certificate.clone()]) {
        Some(path) => Ok(path),
        None if search.problem.is_some() => Err(search.problem.unwrap_or(CertificateProblem::TooManyPaths)),
        None if search.effort.is_spent() => Err(CertificateProblem::TooManyPaths),
        None => Err(CertificateProblem::UnknownIssuer { issuer: search.last_issuer }),
    }
}

struct Search<'a> {
    anchors: &'a Anchors,
    found: &'a [Certificate],
    issuers: Issuers<'a>,
    purpose: Purpose,
    at: jiff::Timestamp,
    effort: &'a mut Effort,
    problem: Option<CertificateProblem>,
    last_issuer: String,
}

impl Search<'_> {
    /// Extends the path (the judged certificate first) until it is valid, or nothing is left to try.
    fn extend(&mut self, path: &mut Vec<Certificate>) -> Option<ValidPath> {
        self.effort.steps += 1;
        let last = path.last()?.clone();
        let anchors = self.anchors;
        for anchor in anchors.0.iter().filter(|anchor| may_issue(&anchor.certificate, &last)) {
            self.effort.paths += 1;
            match validate::validate(path, anchor, self.purpose, self.at) {
                Ok(valid) => return Some(valid),
                Err(problem) => self.problem = self.problem.take().or(Some(problem)),
            }
            if self.effort.is_spent() {
                return None;
            }
        }
        if path.len() > LONGEST_PATH {
            return None;
        }
        let candidates = self.candidates(&last, path);
        if candidates.is_empty() {
            self.last_issuer = last.issuer();
        }
        for candidate in candidates {
            if self.effort.is_spent() {
                return None;
            }
            path.push(candidate);
            let valid = self.extend(path);
            path.pop();
            if valid.is_some() {
                return valid;
            }
        }
        None
    }

    /// CA certificates that may have issued `last` and are not on the path yet, nor under the same name and key.
    fn candidates(&mut self, last: &Certificate, path: &[Certificate]) -> Vec<Certificate> {
        let fits = |candidate: &Certificate| {
            let repeats = path.iter().any(|used| {
                used.public_key() == candidate.public_key()
                    && names::same_name(used.subject_name(), candidate.subject_name())
            });
            may_issue(candidate, last) && !repeats && !is_self_signed(candidate)
        };
        let mut candidates: Vec<Certificate> =
            self.found.iter().filter(|candidate| fits(candidate)).cloned().collect();
        if let Some(identifier) = last.authority_key_identifier() {
            candidates.extend((self.issuers)(&identifier).into_iter().filter(fits));
        }
        let mut distinct = Vec::new();
        for candidate in candidates {
            if !distinct.contains(&candidate) {
                distinct.push(candidate);
            }
        }
        distinct
    }
}

/// A self-signed certificate leads nowhere: it is an anchor by configuration, or a stranger. One that is self-issued with
/// another key, for a key rollover, does lead on: it names that other key (RFC 5280 section 4.2.1.1). That is told
/// without checking a signature, for strangers can send many.
fn is_self_signed(certificate: &Certificate) -> bool {
    let names_another_key = match certificate.authority_key_identifier() {
        Some(issuer) => certificate.subject_key_identifier() != Some(issuer),
        None => false,
    };
    certificate.is_self_issued() && !names_another_key
}

/// Whether name and key identifiers (where both are there) allow that `issuer` issued `certificate`.
fn may_issue(issuer: &Certificate, certificate: &Certificate) -> bool {
    let identifiers = match (certificate.authority_key_identifier(), issuer.subject_key_identifier()) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    };
    identifiers && names::same_name(issuer.subject_name(), certificate.issuer_name())
}
