//! Whether a certificate was revoked, as far as CRLs say (RFC 5280 section 6.3.3): complete and delta lists, lists of some
//! certificates or some reasons, lists of another issuer.
use jiff::{SignedDuration, Timestamp};
use spki::SubjectPublicKeyInfoOwned;

use super::crl::{CertificateList, Revocation};
use super::crl_entry::Listing;
use super::crl_scope::{Mismatch, Point, Reasons};
use super::in_words;
use crate::certificate::{Acceptance, Certificate, names};

/// How far another computer's clock may be ahead of ours.
pub(super) const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// The most lists that may speak about one certificate.
const MOST_LISTS: usize = 512;

/// What to think of a certificate about whose revocation nothing current is known, as when nobody can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownRevocation {
    /// It is not trusted.
    Reject,
    /// A CRL or OCSP answer counts for this long after a newer one was due; the sentence says how old it is.
    AcceptStale {
        /// How long after nextUpdate.
        at_most: SignedDuration,
    },
    /// It is trusted, and the sentence says that revocation is unknown.
    Accept,
}

impl UnknownRevocation {
    /// Whether something that was good until `next_update` may still be used at `at`.
    pub(super) fn allows(self, next_update: Timestamp, at: Timestamp) -> bool {
        next_update > at
            || matches!(self, Self::AcceptStale { at_most } if at.duration_since(next_update) <= at_most)
    }
}

/// What kind of statement says that a certificate is not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceKind {
    /// CRLs.
    Crl,
    /// An OCSP answer.
    Ocsp,
}

impl EvidenceKind {
    /// Stable code for JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Crl => "crl",
            Self::Ocsp => "ocsp",
        }
    }
}

/// On what a "not revoked" rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// CRL or OCSP.
    pub kind: EvidenceKind,
    /// Of which moment the statement is (thisUpdate; of several lists the oldest).
    pub as_of: Timestamp,
    /// Since when a newer one is due, if it is.
    pub stale_since: Option<Timestamp>,
}

impl Evidence {
    /// In words, with its age at `at`: "not revoked as of the CRL of ... (3 hours old)".
    pub fn in_words(&self, at: Timestamp) -> String {
        let kind = match self.kind {
            EvidenceKind::Crl => "CRL",
            EvidenceKind::Ocsp => "OCSP answer",
        };
        let age = super::age_in_words(at.duration_since(self.as_of));
        let overdue = self.stale_since.map(|since| {
            format!(", a newer one has been due for {}", super::age_in_words(at.duration_since(since)))
        });
        let (moment, overdue) = (in_words(self.as_of), overdue.unwrap_or_default());
        format!("not revoked as of the {kind} of {moment} ({age} old{overdue})")
    }

    /// Both together are as good as the worse one.
    pub(super) fn and(self, other: Self) -> Self {
        let older = if self.as_of <= other.as_of { self } else { other };
        Self { stale_since: self.stale_since.or(other.stale_since), ..older }
    }
}

/// What is known about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RevocationStatus {
    Good(Evidence),
    /// Revoked, with the moment of the statement that says so.
    Revoked(Revocation, Timestamp),
    Unknown(String),
}

/// About whom, and when, is asked.
pub(super) struct Question<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) issuer: &'a Certificate,
    pub(super) at: Timestamp,
    pub(super) unknown: UnknownRevocation,
    pub(super) acceptance: Acceptance,
}

/// Finds the key that signed a list and had the right to.
pub(super) trait ListSigners {
    /// The key with which the list's signature verifies; its holder was checked (section 6.3.3 (f) and (g)).
    ///
    /// # Errors
    /// There is none: why, in words.
    fn key_of(&mut self, list: &CertificateList) -> Result<SubjectPublicKeyInfoOwned, String>;
}

/// Asks the lists; answers also which of them were decisive, so that they can be kept.
pub(super) fn status(
    question: &Question<'_>,
    lists: &[CertificateList],
    signers: &mut dyn ListSigners,
) -> (RevocationStatus, Vec<CertificateList>) {
    let points = match Point::of(question.certificate) {
        Ok(points) => points,
        Err(error) => return (RevocationStatus::Unknown(error.0), Vec::new()),
    };
    let issuer = question.certificate.issuer_name();
    let may_speak = |list: &&CertificateList| {
        names::same_name(list.issuer_name(), issuer)
            || points.iter().any(|point| point.names_crl_issuer(list.issuer_name()))
    };
    let mut sorted: Vec<&CertificateList> = lists.iter().filter(may_speak).collect();
    // None is left out in silence: it could be the one that says "revoked".
    if sorted.len() > MOST_LISTS {
        let why = format!("there are more than {MOST_LISTS} CRLs of {}", names::in_words(issuer));
        return (RevocationStatus::Unknown(why), Vec::new());
    }
    sorted.sort_by(|one, other| {
        let rank = |list: &CertificateList| (list.this_update(), list.header().number.clone());
        rank(other).cmp(&rank(one))
    });
    let (deltas, complete): (Vec<_>, Vec<_>) = sorted.into_iter().partition(|list| list.is_delta());
    let mut search = Search {
        question,
        deltas,
        signers,
        known: Reasons::default(),
        evidence: None,
        decisive: Vec::new(),
        problem: None,
    };
    for point in &points {
        for list in &complete {
            match search.consult(point, list) {
                Ok(None) => {}
                Ok(Some(revoked)) => return (revoked, search.decisive),
                Err(why) => search.problem = search.problem.take().or(Some(why)),
            }
            if !Reasons::ALL.adds_to(search.known) {
                return (search.good(), search.decisive);
            }
        }
    }
    (RevocationStatus::Unknown(search.why_unknown(&complete)), search.decisive)
}

struct Search<'a> {
    question: &'a Question<'a>,
    deltas: Vec<&'a CertificateList>,
    signers: &'a mut dyn ListSigners,
    /// The reasons about which something is known: reasons_mask.
    known: Reasons,
    evidence: Option<Evidence>,
    decisive: Vec<CertificateList>,
    problem: Option<String>,
}

impl Search<'_> {
    /// One round of section 6.3.3: answers when the certificate is revoked.
    fn consult(&mut self, point: &Point, list: &CertificateList) -> Result<Option<RevocationStatus>, String> {
        let issuer = self.question.issuer.subject();
        let reasons = match point.admits(list, self.question.certificate) {
            Err(Mismatch::Issuer) => return Ok(None),
            Err(Mismatch::Scope) => return Err(format!("the CRL of {issuer} is for other certificates")),
            Ok(reasons) if !reasons.adds_to(self.known) => return Ok(None),
            Ok(reasons) => reasons,
        };
        check_header(list, self.question.at)?;
        let key = match self.next_update_problem(list) {
            // Only with a delta list may it still say something: nobody's signature needs to be checked otherwise.
            Some(problem) if !self.deltas.iter().any(|delta| continues(delta, list)) => return Err(problem),
            _ => self.signers.key_of(list)?,
        };
        let delta = self.delta_of(list, &key);
        if let (None, Some(problem)) = (&delta, self.next_update_problem(list)) {
            return Err(problem);
        }
        let evidence = Evidence {
            kind: EvidenceKind::Crl,
            as_of: delta.as_ref().map_or(list.this_update(), CertificateList::this_update),
            stale_since: list
                .next_update()
                .filter(|next_update| delta.is_none() && *next_update <= self.question.at),
        };
        let listing = self.listing(list, delta.as_ref())?;
        self.decisive.push(list.clone());
        self.decisive.extend(delta);
        if !matches!(listing, Listing::Revoked(_)) && self.may_have_dropped(list, &listing) {
            return Err(format!("the CRL of {issuer} need not name certificates that expired before it"));
        }
        self.known = self.known | reasons;
        self.evidence = Some(self.evidence.map_or(evidence, |earlier| earlier.and(evidence)));
        Ok(match listing {
            Listing::Revoked(revocation) => Some(RevocationStatus::Revoked(revocation, evidence.as_of)),
            Listing::Absent | Listing::Removed => None,
        })
    }

    /// Whether a list may be silent about the certificate because that has expired: after one more list an entry may go
    /// (section 3.3), unless the list says since when it keeps them (expiredCertsOnCRL). A delta list takes entries of
    /// expired certificates back, too (section 5.3.1).
    fn may_have_dropped(&self, list: &CertificateList, listing: &Listing) -> bool {
        let end = self.question.certificate.not_after();
        let is_expired = end < self.question.at;
        let is_kept = list.header().expired_since.is_some_and(|since| since <= end);
        is_expired && !is_kept && (list.this_update() > end || *listing == Listing::Removed)
    }

    /// Section 6.3.3 (i) to (k): the delta list speaks first.
    fn listing(&self, list: &CertificateList, delta: Option<&CertificateList>) -> Result<Listing, String> {
        let certificate = self.question.certificate;
        let find = |list: &CertificateList| {
            list.find(certificate.issuer_name(), certificate.serial_octets()).map_err(|error| error.0)
        };
        match delta.map(find).transpose()? {
            None | Some(Listing::Absent) => find(list),
            // The complete list is read all the same: an entry that is not understood forbids its use.
            Some(said) => find(list).map(|_| said),
        }
    }

    /// The newest delta list that continues a complete one, is current and was signed with the same key (section 6.3.3 (c)
    /// and (h)).
    fn delta_of(&self, list: &CertificateList, key: &SubjectPublicKeyInfoOwned) -> Option<CertificateList> {
        let usable = |delta: &&&CertificateList| {
            continues(delta, list)
                && check_header(delta, self.question.at).is_ok()
                && delta.next_update().is_some_and(|next_update| next_update > self.question.at)
                && delta.verify_signature(key, self.question.acceptance).is_ok()
        };
        let candidates = self.deltas.iter().filter(usable);
        candidates.max_by_key(|delta| delta.header().number.clone()).map(|delta| (*delta).clone())
    }

    fn next_update_problem(&self, list: &CertificateList) -> Option<String> {
        let issuer = self.question.issuer.subject();
        match list.next_update() {
            None => Some(format!("the CRL of {issuer} does not say how long it is good")),
            Some(next_update) if self.question.unknown.allows(next_update, self.question.at) => None,
            Some(next_update) => {
                Some(format!("the newest CRL of {issuer} was good until {}", in_words(next_update)))
            }
        }
    }

    fn good(&self) -> RevocationStatus {
        match self.evidence {
            Some(evidence) => RevocationStatus::Good(evidence),
            None => RevocationStatus::Unknown("nothing was checked".to_owned()),
        }
    }

    fn why_unknown(&mut self, complete: &[&CertificateList]) -> String {
        let issuer = self.question.issuer.subject();
        if let Some(problem) = self.problem.take() {
            return problem;
        }
        if self.evidence.is_some() {
            return format!("the CRLs of {issuer} speak only about some reasons");
        }
        let own = self.question.issuer.subject_name();
        let is_own = |list: &&&CertificateList| names::same_name(list.issuer_name(), own);
        if !complete.iter().any(|list| is_own(&list)) && self.deltas.iter().any(|list| is_own(&list)) {
            return format!("the CRL of {issuer} is only a difference to another");
        }
        format!("there is no CRL of {issuer}")
    }
}

/// Whether a delta list says what changed since the complete one (section 5.2.4 and 6.3.3 (c)).
fn continues(delta: &CertificateList, complete: &CertificateList) -> bool {
    let (own, base) = (delta.header(), complete.header());
    let (Some(from), Some(number), Some(base_number)) = (&own.base, &own.number, &base.number) else {
        return false;
    };
    delta.has_scope_of(complete)
        && own.authority_key == base.authority_key
        && from <= base_number
        && base_number < number
}

/// What makes a list worthless for everybody.
fn check_header(list: &CertificateList, at: Timestamp) -> Result<(), String> {
    let issuer = names::in_words(list.issuer_name());
    if let Some(refusal) = &list.header().refusal {
        return Err(format!("the CRL of {issuer} {refusal}"));
    }
    if list.this_update() > at.saturating_add(CLOCK_TOLERANCE).unwrap_or(at) {
        return Err(format!("the CRL of {issuer} comes from the future"));
    }
    Ok(())
}
