//! Asks about revocation along a whole path, and finds out who may sign CRLs (RFC 5280 section 6.3.3 (f)).
//!
//! The holder of a CRL's key is the CA itself, or somebody whose own path ends in the same anchor; that path is checked for
//! revocation too. A certificate never vouches for itself on the way, except where its own distribution point says that its
//! holder issues the CRLs about it.
use jiff::Timestamp;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::ext::pkix::KeyUsage;

use super::Purpose;
use super::anchors::{Anchor, Anchors};
use super::crl::CertificateList;
use super::crl_scope::Point;
use super::judge::{Reach, Source};
use super::ocsp::{self, OcspAnswer};
use super::path::{Builder, Effort};
use super::problem::{CertificateProblem, Whose};
use super::revocation::{self, Evidence, ListSigners, Question, RevocationStatus, UnknownRevocation};
use super::validate::{Rules, ValidPath};
use crate::certificate::{Acceptance, Certificate, names};

/// How deep the question "was the signer of this list revoked?" may lead to another such question.
const DEEPEST: usize = 4;
/// The most other holders of a CRL issuer's name that are tried for one list.
const MOST_SIGNERS: usize = 8;
/// The most OCSP answers about one certificate that are read.
const MOST_ANSWERS: usize = 8;
/// The most signers' paths that are built for one path.
const MOST_SIGNER_PATHS: usize = 64;

/// What is known about revocation of a certificate that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RevocationKnowledge {
    /// It is not revoked.
    Good(Evidence),
    /// It is revoked, but what is judged is proven to be older.
    RevokedLater {
        /// What is said about it.
        revocation: super::Revocation,
        /// On what that rests.
        evidence: Evidence,
    },
    /// Nothing, and the policy accepts that.
    Unknown {
        /// Why nothing is known.
        why: String,
    },
}

/// Everything that is needed to answer.
pub(super) struct Inquiry<'j> {
    pub(super) source: &'j mut dyn Source,
    /// CA certificates and lists that came along.
    pub(super) certificates: &'j [Certificate],
    pub(super) lists: &'j [CertificateList],
    pub(super) effort: &'j mut Effort,
    /// The moment for which is asked.
    pub(super) at: Timestamp,
    pub(super) unknown: UnknownRevocation,
    pub(super) reach: Reach,
    pub(super) acceptance: Acceptance,
    /// The certificates about which is being asked, the first question first.
    open: Vec<Certificate>,
    answered: Vec<(Certificate, Certificate, RevocationStatus)>,
    signer_paths: usize,
}

impl<'j> Inquiry<'j> {
    pub(super) fn new(
        source: &'j mut dyn Source,
        (certificates, lists): (&'j [Certificate], &'j [CertificateList]),
        effort: &'j mut Effort,
        at: Timestamp,
        unknown: UnknownRevocation,
        reach: Reach,
    ) -> Self {
        let (open, answered) = (Vec::new(), Vec::new());
        let acceptance = Acceptance::Current;
        Self {
            source,
            certificates,
            lists,
            effort,
            at,
            unknown,
            reach,
            acceptance,
            open,
            answered,
            signer_paths: 0,
        }
    }

    /// Asks about every certificate of a path but the anchor. `tolerates` says of a revocation of the judged certificate
    /// whether it does no harm, because the signature is proven older.
    ///
    /// # Errors
    /// The first certificate that was revoked, or of which that is unknown and must not be.
    pub(super) fn path(
        &mut self,
        path: &ValidPath,
        tolerates: &dyn Fn(&super::Revocation) -> bool,
    ) -> Result<RevocationKnowledge, CertificateProblem> {
        let mut knowledge = None;
        for (position, (checked, issuer)) in path.pairs().enumerate() {
            let whose = if position == 0 { Whose::EndEntity } else { Whose::Authority(checked.subject()) };
            let known = match self.certificate(checked, issuer, path.anchor()) {
                RevocationStatus::Good(evidence) => RevocationKnowledge::Good(evidence),
                RevocationStatus::Revoked(revocation, as_of) if position == 0 && tolerates(&revocation) => {
                    let kind = revocation::EvidenceKind::Crl;
                    let evidence = Evidence { kind, as_of, stale_since: None };
                    RevocationKnowledge::RevokedLater { revocation, evidence }
                }
                RevocationStatus::Revoked(revocation, _) => {
                    return Err(CertificateProblem::Revoked { whose, revocation });
                }
                RevocationStatus::Unknown(why) if self.unknown == UnknownRevocation::Accept => {
                    RevocationKnowledge::Unknown { why }
                }
                RevocationStatus::Unknown(why) => {
                    return Err(CertificateProblem::RevocationUnknown { whose, why });
                }
            };
            // What is not known about one CA is told; otherwise the signer's own list speaks.
            knowledge = match (knowledge, known) {
                (Some(_), unknown @ RevocationKnowledge::Unknown { .. }) => Some(unknown),
                (Some(signers), _) => Some(signers),
                (None, known) => Some(known),
            };
        }
        Ok(knowledge.unwrap_or(RevocationKnowledge::Unknown { why: "nothing was checked".to_owned() }))
    }

    /// Asks about one certificate.
    pub(super) fn certificate(
        &mut self,
        certificate: &Certificate,
        issuer: &Certificate,
        anchor: &Anchor,
    ) -> RevocationStatus {
        let known = self.answered.iter().find(|(one, by, _)| one == certificate && by == issuer);
        if let Some((_, _, status)) = known {
            return status.clone();
        }
        if self.open.len() >= DEEPEST {
            return RevocationStatus::Unknown("too many issuers of CRLs depend on one another".to_owned());
        }
        self.open.push(certificate.clone());
        let status = self.ask(certificate, issuer, anchor);
        self.open.pop();
        if self.open.is_empty() {
            self.answered.push((certificate.clone(), issuer.clone(), status.clone()));
        }
        status
    }

    fn ask(&mut self, certificate: &Certificate, issuer: &Certificate, anchor: &Anchor) -> RevocationStatus {
        let question =
            Question { certificate, issuer, at: self.at, unknown: self.unknown, acceptance: self.acceptance };
        // Whether somebody on the way was revoked is asked of CRLs only, so that no circle begins.
        let answer = if self.open.len() == 1 { self.ask_responder(&question, anchor) } else { None };
        let identifier = issuer.subject_key_identifier().or_else(|| certificate.authority_key_identifier());
        let mut lists = Vec::new();
        if !matches!(answer, Some(RevocationStatus::Good(Evidence { stale_since: None, .. }))) {
            if let Some(identifier) = &identifier {
                lists.extend(self.source.revocation_lists(identifier));
            }
            lists.extend(self.source.revocation_lists_of(certificate));
        }
        lists.extend_from_slice(self.lists);
        let mut signers = Signers { inquiry: self, question: &question, anchor };
        let (status, decisive) = revocation::status(&question, &lists, &mut signers);
        if let Some(identifier) = &identifier {
            decisive.iter().for_each(|list| self.source.remember(identifier, list));
        }
        ocsp::newest(answer, status)
    }

    /// What OCSP answers say, the worst of them; `None` when there is none.
    fn ask_responder(&mut self, question: &Question<'_>, anchor: &Anchor) -> Option<RevocationStatus> {
        let mut problem = None;
        let mut believed: Vec<(OcspAnswer, RevocationStatus)> = Vec::new();
        let answers = self.source.ocsp_answers(question.certificate, question.issuer);
        for answer in answers.into_iter().take(MOST_ANSWERS) {
            let statement = match ocsp::read(question, &answer) {
                Ok(statement) => statement,
                Err(error) => {
                    problem = problem.or(Some(RevocationStatus::Unknown(error.to_string())));
                    continue;
                }
            };
            if let Some(delegate) = &statement.to_check
                && !matches!(self.certificate(delegate, question.issuer, anchor), RevocationStatus::Good(_))
            {
                let why = "whether the OCSP responder was revoked is unknown".to_owned();
                problem = problem.or(Some(RevocationStatus::Unknown(why)));
                continue;
            }
            believed.push((answer, statement.status));
        }
        let statuses = believed.iter().map(|(_, status)| status.clone());
        let Some(worst) = statuses.reduce(|one, other| ocsp::newest(Some(one), other)) else {
            return problem;
        };
        // One that says less is not kept: it would stand alone the next time.
        for (answer, _) in believed.iter().filter(|(_, status)| *status == worst) {
            self.source.remember_answer(question.certificate, question.issuer, answer);
        }
        Some(worst)
    }
}

struct Signers<'i, 'j> {
    inquiry: &'i mut Inquiry<'j>,
    question: &'i Question<'i>,
    anchor: &'i Anchor,
}

impl ListSigners for Signers<'_, '_> {
    fn key_of(&mut self, list: &CertificateList) -> Result<SubjectPublicKeyInfoOwned, String> {
        let issuer = self.question.issuer;
        let name = issuer.subject();
        let mut problem = format!("the CRL of {name} was signed with another key");
        if names::same_name(list.issuer_name(), issuer.subject_name()) && key_fits(list, issuer) {
            match signs_crls(issuer) {
                false => problem = format!("{name} may not sign CRLs"),
                true if list.verify_signature(issuer.public_key(), self.question.acceptance).is_ok() => {
                    return Ok(issuer.public_key().clone());
                }
                true => problem = format!("the signature of the CRL of {name} is wrong"),
            }
        }
        let candidates = self.other_signers(list);
        for candidate in candidates.into_iter().take(MOST_SIGNERS) {
            if list.verify_signature(candidate.public_key(), self.question.acceptance).is_err() {
                continue;
            }
            match self.may_sign(&candidate) {
                Ok(()) => return Ok(candidate.public_key().clone()),
                Err(why) => problem = why,
            }
        }
        Err(problem)
    }
}

impl Signers<'_, '_> {
    /// Certificates under the name of a list's issuer, other than the CA above the certificate in question.
    fn other_signers(&mut self, list: &CertificateList) -> Vec<Certificate> {
        let mut found: Vec<Certificate> = self.inquiry.certificates.to_vec();
        found.push(self.anchor.certificate.clone());
        if let Some(identifier) = &list.header().authority_key {
            found.extend(match self.inquiry.reach {
                Reach::AtHand => self.inquiry.source.issuers_at_hand(identifier),
                Reach::Directory => self.inquiry.source.issuers(identifier),
            });
        }
        let mut distinct: Vec<Certificate> = Vec::new();
        for candidate in found {
            let fits = names::same_name(candidate.subject_name(), list.issuer_name())
                && candidate != *self.question.issuer
                && key_fits(list, &candidate)
                && signs_crls(&candidate);
            if fits && !distinct.contains(&candidate) {
                distinct.push(candidate);
            }
        }
        distinct
    }

    /// Section 6.3.3 (f): a path to the same anchor, on which nothing is revoked.
    fn may_sign(&mut self, signer: &Certificate) -> Result<(), String> {
        if *signer == self.anchor.certificate {
            return Ok(());
        }
        self.inquiry.signer_paths += 1;
        if self.inquiry.signer_paths > MOST_SIGNER_PATHS {
            return Err("there are too many possible signers of CRLs".to_owned());
        }
        let path = self.path_of(signer).map_err(|problem| problem.in_words("the CRL's signer"))?;
        for (checked, issuer) in path.pairs() {
            if self.inquiry.open.contains(checked) {
                if speaks_about_itself(checked) {
                    continue;
                }
                return Err("the CRL's signer depends on the certificate in question".to_owned());
            }
            match self.inquiry.certificate(checked, issuer, self.anchor) {
                RevocationStatus::Good(_) => {}
                RevocationStatus::Unknown(_) if self.inquiry.unknown == UnknownRevocation::Accept => {}
                RevocationStatus::Unknown(why) => return Err(why),
                RevocationStatus::Revoked(..) => {
                    return Err(format!("the CRL was signed by {}, who was revoked", checked.subject()));
                }
            }
        }
        Ok(())
    }

    fn path_of(&mut self, signer: &Certificate) -> Result<ValidPath, CertificateProblem> {
        let anchors = Anchors(vec![self.anchor.clone()]);
        let inquiry = &mut *self.inquiry;
        let source = &mut *inquiry.source;
        let mut issuers = |identifier: &[u8]| match inquiry.reach {
            Reach::AtHand => source.issuers_at_hand(identifier),
            Reach::Directory => source.issuers(identifier),
        };
        let mut rules = Rules::new(Purpose::CrlSigning, inquiry.at);
        rules.acceptance = inquiry.acceptance;
        let (found, effort) = (inquiry.certificates, &mut *inquiry.effort);
        let mut builder = Builder { anchors: &anchors, found, issuers: &mut issuers, rules: &rules, effort };
        builder.find(signer, &mut |_| Ok(())).map(|(path, ())| path)
    }
}

/// Whether the list may have been signed with the certificate's key, as far as key identifiers tell.
fn key_fits(list: &CertificateList, signer: &Certificate) -> bool {
    match (&list.header().authority_key, signer.subject_key_identifier()) {
        (Some(wanted), Some(found)) => *wanted == found,
        _ => true,
    }
}

fn signs_crls(signer: &Certificate) -> bool {
    matches!(signer.extension::<KeyUsage>(), Ok(usage) if usage.is_none_or(|usage| usage.crl_sign()))
}

/// Whether a certificate names its own holder as the issuer of the CRLs about it.
fn speaks_about_itself(certificate: &Certificate) -> bool {
    Point::of(certificate)
        .is_ok_and(|points| points.iter().any(|point| point.names_crl_issuer(certificate.subject_name())))
}
