//! Judges signers and recipients: path, revocation, purpose and address put together.
mod documents;

use std::cell::RefCell;

use jiff::Timestamp;

pub use self::documents::{DocumentVerdict, Enclosed};
use super::inquiry::{Inquiry, RevocationKnowledge};
use super::path::{self, Builder, Effort};
use super::problem::CertificateProblem;
use super::revocation::{CLOCK_TOLERANCE, UnknownRevocation};
use super::time_stamp::{self, TimeStampError};
use super::validate::{Purpose, Rules, ValidPath};
use super::{
    Anchors, CertificateList, CheckedRecipient, OcspAnswer, RecipientProblem, Revocation, RevocationReason,
    Verdict,
};
use crate::certificate::Certificate;
use crate::certificate::mail_address::{self, MailAddress};
use crate::smime::{Signature, SignedMessage, SignerReport};

/// The most CRLs in a message that are looked at; those of the directory stand before them.
const MOST_LISTS_ALONG: usize = 64;
/// The most time stamps of one signature that are looked at.
const MOST_TIME_STAMPS: usize = 4;

/// Where CA certificates and CRLs come from.
pub trait Source {
    /// CA certificates with this subject key identifier; never asks a network.
    fn issuers_at_hand(&mut self, key_identifier: &[u8]) -> Vec<Certificate>;
    /// CA certificates with this subject key identifier; may ask the configured directory.
    fn issuers(&mut self, key_identifier: &[u8]) -> Vec<Certificate>;
    /// CRLs of the CA with this key identifier; asked only when the path to it ends in an anchor.
    fn revocation_lists(&mut self, key_identifier: &[u8]) -> Vec<CertificateList>;
    /// A CRL of that CA was found genuine, so that an older one need not be believed later.
    fn remember(&mut self, _key_identifier: &[u8], _list: &CertificateList) {}
    /// CRLs from where the certificate says that they are; asked only when its path ends in an anchor.
    fn revocation_lists_of(&mut self, _certificate: &Certificate) -> Vec<CertificateList> {
        Vec::new()
    }
    /// OCSP answers about the certificate; asked only when its path ends in an anchor.
    fn ocsp_answers(&mut self, _certificate: &Certificate, _issuer: &Certificate) -> Vec<OcspAnswer> {
        Vec::new()
    }
    /// An OCSP answer was found genuine.
    fn remember_answer(&mut self, _certificate: &Certificate, _issuer: &Certificate, _answer: &OcspAnswer) {}
}

/// Judges certificates by the configured anchors, the directory and the time.
pub struct Judge<'a> {
    /// The configured anchors.
    pub anchors: &'a Anchors,
    /// CA certificates and CRLs.
    pub source: &'a mut dyn Source,
    /// The time for which is judged.
    pub at: Timestamp,
    /// What to think of unknown revocation.
    pub unknown_revocation: UnknownRevocation,
}

/// How far CA certificates are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// For messages: a stranger's message must not cause a question to any network.
    AtHand,
    /// For recipients whom our own user names.
    Directory,
}

/// A certificate that was found good.
pub(super) struct Approval {
    pub(super) path: ValidPath,
    pub(super) revocation: RevocationKnowledge,
    /// What time stamps say about the age of the signature.
    pub(super) stamped: Stamped,
    /// The moment for which was judged.
    pub(super) at: Timestamp,
}

/// What time stamps say about the age of a signature.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamped {
    /// The signature existed at this moment.
    pub(super) proven: Option<Timestamp>,
    /// Why a time stamp proves nothing.
    pub(super) problem: Option<TimeStampError>,
}

/// What came along with the judged certificate, and what was spent on it.
#[derive(Default)]
struct Along<'m> {
    certificates: &'m [Certificate],
    lists: &'m [CertificateList],
    effort: Effort,
    /// Spent on the paths of those who sign CRLs.
    effort_for_lists: Effort,
}

/// A signer's certificate with what was found out about it, whoever the author is.
struct JudgedSigner {
    certificate: Certificate,
    /// The signature's value, where it has a time stamp and so an age of its own.
    stamped_value: Option<Vec<u8>>,
    outcome: Result<Approval, CertificateProblem>,
    addresses: Vec<(MailAddress, String)>,
}

/// Whose signature is looked for.
struct Author<'a> {
    text: &'a str,
    address: Option<MailAddress>,
}

impl JudgedSigner {
    fn is_about(&self, signature: &Signature) -> bool {
        self.certificate == signature.certificate && self.stamped_value == stamped_value(signature)
    }

    /// The certified address that is the author's (without one: the first), under an anchor that may speak for it.
    fn speaks_for(&self, author: Option<&Author<'_>>) -> Result<(&str, &Approval), CertificateProblem> {
        let approval = self.outcome.as_ref().map_err(Clone::clone)?;
        let is_authors = |own: &MailAddress| {
            author
                .is_none_or(|author| author.address.as_ref().is_some_and(|address| own.same_mailbox(address)))
        };
        let Some((_, address)) = self.addresses.iter().find(|(own, _)| is_authors(own)) else {
            return Err(CertificateProblem::AddressMismatch {
                address: author.map(|author| author.text.to_owned()).unwrap_or_default(),
                certified: self.certificate.mail_addresses(),
            });
        };
        check_domain(&approval.path, address)?;
        Ok((address, approval))
    }
}

impl Judge<'_> {
    /// Judges a signed message. `authors` are the addresses of its From field: for each of them there must be a trusted
    /// signer. With none of them (a bare MIME entity) the signer is judged by the certificate's own addresses.
    ///
    /// With several signers, one trusted signer suffices; a signature that shows a change of the content outweighs all.
    /// Each signer's certificate is judged once.
    pub fn signed_message(&mut self, message: &SignedMessage, authors: &[String]) -> Verdict {
        let judged = self.judge_signers(message, authors);
        let about = |author: Option<&String>| {
            let author = author.map(|text| Author { text, address: MailAddress::parse(text) });
            let verdict = |report| about_signer(report, &judged, author.as_ref());
            Verdict::of_signers(message.signers.iter().map(verdict).collect())
        };
        let (first, others) = match authors.split_first() {
            None => return about(None),
            Some((first, others)) => (about(Some(first)), others),
        };
        if !first.is_trusted() {
            return first;
        }
        others.iter().map(|author| about(Some(author))).find(|verdict| !verdict.is_trusted()).unwrap_or(first)
    }

    /// Path and revocation of every certificate with which a signature verified.
    fn judge_signers(&mut self, message: &SignedMessage, authors: &[String]) -> Vec<JudgedSigner> {
        let lists = message.revocation_lists.iter().take(MOST_LISTS_ALONG);
        let lists: Vec<CertificateList> =
            lists.filter_map(|der| CertificateList::from_der(der).ok()).collect();
        let mut along = Along { certificates: &message.certificates, lists: &lists, ..Along::default() };
        let mut judged: Vec<JudgedSigner> = Vec::new();
        for signature in message.signers.iter().filter_map(|report| report.outcome.as_ref().ok()) {
            if judged.iter().any(|known| known.is_about(signature)) {
                continue;
            }
            let certificate = &signature.certificate;
            let wanted = wanted_addresses(certificate, authors);
            let outcome = self.approve_signature(signature, (Purpose::Signing, &wanted), &mut along);
            let addresses = certificate.mail_addresses().into_iter();
            judged.push(JudgedSigner {
                certificate: certificate.clone(),
                stamped_value: stamped_value(signature),
                outcome,
                addresses: addresses.filter_map(|text| Some((MailAddress::parse(&text)?, text))).collect(),
            });
        }
        judged
    }

    /// Path and revocation of the certificate of a signature. A time stamp that proves the signature older than the end of
    /// the certificate, or than the day from which its key was in other hands, lets it stay good; what the signer says about
    /// the time does not. Nobody is asked anything before the signer's path ends in an anchor that may speak for every
    /// address in `wanted`.
    fn approve_signature(
        &mut self,
        signature: &Signature,
        (purpose, wanted): (Purpose, &[String]),
        along: &mut Along<'_>,
    ) -> Result<Approval, CertificateProblem> {
        let certificate = &signature.certificate;
        if signature.time_stamp_tokens.is_empty() {
            return self.approve(certificate, along, (purpose, wanted), Reach::AtHand);
        }
        let now = self.build_path(certificate, along, purpose, Reach::AtHand, self.at);
        if !matches!(now, Ok(_) | Err(CertificateProblem::Expired { .. })) {
            now.as_ref().map_err(Clone::clone)?;
        }
        let (stamped, at) = match now {
            Ok(_) => (self.stamped(signature, wanted, along), self.at),
            // The path is looked for at the last moment of the certificate, so that it is known whose it is.
            Err(expired) => {
                let last = certificate.not_after().min(self.at);
                self.build_path(certificate, along, purpose, Reach::AtHand, last)?;
                let stamped = self.stamped(signature, wanted, along);
                let proven = stamped.proven.ok_or(expired)?;
                (stamped, proven)
            }
        };
        let proven = stamped.proven;
        let is_older =
            |revocation: &Revocation| proven.is_some_and(|proven| proven < revocation.takes_effect());
        let (path, revocation) =
            self.believed_path(certificate, along, (purpose, at, wanted), Reach::AtHand, &is_older)?;
        Ok(Approval { path, revocation, stamped, at: self.at })
    }

    /// The earliest moment that a trusted time stamp proves.
    fn stamped(&mut self, signature: &Signature, wanted: &[String], along: &mut Along<'_>) -> Stamped {
        let mut stamped = Stamped::default();
        for token in signature.time_stamp_tokens.iter().take(MOST_TIME_STAMPS) {
            match self.believe(token, &signature.value, wanted, along) {
                Ok(moment) => {
                    stamped.proven = Some(stamped.proven.map_or(moment, |earlier| earlier.min(moment)));
                }
                Err(problem) => stamped.problem = stamped.problem.or(Some(problem)),
            }
        }
        stamped
    }

    /// RFC 3161 section 2.3 and 4: the authority's certificate is for nothing else, good now, and was good then. Its anchor
    /// may speak for the addresses in `wanted`, or for nobody's: the anchor of one organisation does not keep the
    /// signatures of another alive.
    fn believe(
        &mut self,
        token: &[u8],
        value: &[u8],
        wanted: &[String],
        along: &mut Along<'_>,
    ) -> Result<Timestamp, TimeStampError> {
        let token = time_stamp::read(token, value, along.certificates)?;
        self.believe_token(&token, wanted, along)
    }

    /// The same for a token that was read.
    fn believe_token(
        &mut self,
        token: &time_stamp::Stamp,
        wanted: &[String],
        along: &mut Along<'_>,
    ) -> Result<Timestamp, TimeStampError> {
        let untrusted = |problem: CertificateProblem| {
            TimeStampError::Untrusted(problem.in_words("the certificate of the time-stamping authority"))
        };
        if token.at_latest > self.at.saturating_add(CLOCK_TOLERANCE).unwrap_or(self.at) {
            return Err(TimeStampError::Untrusted("it comes from the future".to_owned()));
        }
        let authority = &token.authority;
        if token.at_latest < authority.not_before() {
            return Err(TimeStampError::Untrusted("it is older than its authority".to_owned()));
        }
        let certificates: Vec<Certificate> =
            along.certificates.iter().chain(&token.certificates).cloned().collect();
        let mut own = Along {
            certificates: &certificates,
            lists: along.lists,
            effort: std::mem::take(&mut along.effort),
            effort_for_lists: std::mem::take(&mut along.effort_for_lists),
        };
        let is_harmless = |revocation: &Revocation| {
            let reason = matches!(
                revocation.reason,
                Some(
                    RevocationReason::AffiliationChanged
                        | RevocationReason::Superseded
                        | RevocationReason::CessationOfOperation
                )
            );
            reason && token.at_latest < revocation.takes_effect()
        };
        let wanted = (Purpose::TimeStamping, self.at, wanted);
        let believed = self.believed_path(authority, &mut own, wanted, Reach::AtHand, &is_harmless);
        (along.effort, along.effort_for_lists) = (own.effort, own.effort_for_lists);
        believed.map(|_| token.at_latest).map_err(untrusted)
    }

    /// Checks one's own certificate before it signs, as a reader will: path and revocation.
    ///
    /// # Errors
    /// Why readers would not believe it.
    pub fn check_signer(&mut self, certificate: &Certificate) -> Result<(), CertificateProblem> {
        self.approve(certificate, &mut Along::default(), (Purpose::Signing, &[]), Reach::Directory).map(drop)
    }

    /// Checks one certificate for encrypting to `address`.
    ///
    /// # Errors
    /// See [`RecipientProblem`].
    pub fn check_recipient(
        &mut self,
        certificate: &Certificate,
        address: &str,
    ) -> Result<CheckedRecipient, RecipientProblem> {
        let problem = |problem| RecipientProblem::Certificate { address: address.to_owned(), problem };
        let certified = certificate.mail_addresses();
        if !certified.iter().any(|own| mail_address::same_mailbox(own, address)) {
            return Err(problem(CertificateProblem::AddressMismatch {
                address: address.to_owned(),
                certified,
            }));
        }
        let wanted = [address.to_owned()];
        let approval = self
            .approve(certificate, &mut Along::default(), (Purpose::Encryption, &wanted), Reach::Directory)
            .map_err(problem)?;
        check_domain(&approval.path, address).map_err(problem)?;
        Ok(CheckedRecipient::new(certificate.clone(), &approval))
    }

    /// The best of the certificates that the directory holds for `address`: the newest that passes every check.
    ///
    /// # Errors
    /// See [`RecipientProblem`]: the problem of the newest candidate made for encryption, if there is one.
    pub fn choose_recipient(
        &mut self,
        address: &str,
        candidates: &[Certificate],
    ) -> Result<CheckedRecipient, RecipientProblem> {
        let mut candidates: Vec<&Certificate> = candidates.iter().collect();
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.not_before()));
        let mut first_problem = None;
        for candidate in candidates {
            match self.check_recipient(candidate, address) {
                Ok(recipient) => return Ok(recipient),
                // The directory holds signature certificates too: that one of them is not for encryption is no news.
                Err(problem) if problem.is_wrong_usage() => first_problem = first_problem.or(Some(problem)),
                Err(problem) => match &first_problem {
                    Some(earlier) if !RecipientProblem::is_wrong_usage(earlier) => {}
                    _ => first_problem = Some(problem),
                },
            }
        }
        Err(first_problem.unwrap_or_else(|| RecipientProblem::NoCertificate { address: address.to_owned() }))
    }

    /// The CA certificates between this certificate and its anchor (without the anchor), to send along.
    pub fn intermediates(&mut self, certificate: &Certificate) -> Vec<Certificate> {
        let built =
            self.build_path(certificate, &mut Along::default(), Purpose::Signing, Reach::Directory, self.at);
        built.map(|path| path.intermediates().to_vec()).unwrap_or_default()
    }

    fn build_path(
        &mut self,
        certificate: &Certificate,
        along: &mut Along<'_>,
        purpose: Purpose,
        reach: Reach,
        at: Timestamp,
    ) -> Result<ValidPath, CertificateProblem> {
        let source = &mut *self.source;
        let mut issuers = |identifier: &[u8]| match reach {
            Reach::AtHand => source.issuers_at_hand(identifier),
            Reach::Directory => source.issuers(identifier),
        };
        let (found, effort) = (along.certificates, &mut along.effort);
        path::build(certificate, self.anchors, found, &mut issuers, purpose, at, effort)
    }

    /// Path and revocation of a certificate and of every CA certificate above it.
    fn approve(
        &mut self,
        certificate: &Certificate,
        along: &mut Along<'_>,
        (purpose, wanted): (Purpose, &[String]),
        reach: Reach,
    ) -> Result<Approval, CertificateProblem> {
        let (path, revocation) =
            self.believed_path(certificate, along, (purpose, self.at, wanted), reach, &|_| false)?;
        Ok(Approval { path, revocation, stamped: Stamped::default(), at: self.at })
    }

    /// A path that is valid at a moment, whose anchor may speak for every address in `wanted`, and on which nothing is
    /// revoked: where one is not, another may be.
    fn believed_path(
        &mut self,
        certificate: &Certificate,
        along: &mut Along<'_>,
        (purpose, at, wanted): (Purpose, Timestamp, &[String]),
        reach: Reach,
        tolerates: &dyn Fn(&Revocation) -> bool,
    ) -> Result<(ValidPath, RevocationKnowledge), CertificateProblem> {
        let (now, unknown, rules) = (self.at, self.unknown_revocation, Rules::new(purpose, at));
        let Along { certificates, lists, effort, effort_for_lists } = along;
        let source = RefCell::new(&mut *self.source);
        let mut issuers = |identifier: &[u8]| match reach {
            Reach::AtHand => source.borrow_mut().issuers_at_hand(identifier),
            Reach::Directory => source.borrow_mut().issuers(identifier),
        };
        let mut inquire = |path: &ValidPath| {
            let speaks_for_time = purpose == Purpose::TimeStamping && path.anchor().domains.is_empty();
            if !speaks_for_time {
                wanted.iter().try_for_each(|address| check_domain(path, address))?;
            }
            let mut source = source.borrow_mut();
            let came = (*certificates, *lists);
            Inquiry::new(&mut **source, came, effort_for_lists, now, unknown, reach).path(path, tolerates)
        };
        let mut builder = Builder {
            anchors: self.anchors,
            found: certificates,
            issuers: &mut issuers,
            rules: &rules,
            effort,
        };
        builder.find(certificate, &mut inquire)
    }
}

/// The value of a signature that has a time stamp.
fn stamped_value(signature: &Signature) -> Option<Vec<u8>> {
    (!signature.time_stamp_tokens.is_empty()).then(|| signature.value.clone())
}

fn about_signer(report: &SignerReport, judged: &[JudgedSigner], author: Option<&Author<'_>>) -> Verdict {
    let signature = match &report.outcome {
        Ok(signature) => signature,
        Err(fault) => return Verdict::faulty(&report.identifier, fault),
    };
    let signer = judged.iter().find(|known| known.is_about(signature));
    match signer.expect("every verified signer was judged").speaks_for(author) {
        Ok((address, approval)) => Verdict::trusted(signature, Some(address), approval),
        Err(problem) => Verdict::untrusted(signature, &problem),
    }
}

/// A document names no author: its signer is who the certificate says, with or without a mail address.
fn about_document(signature: &Signature, outcome: &Result<Approval, CertificateProblem>) -> Verdict {
    let address = signature.certificate.mail_addresses().into_iter().next();
    let believed = outcome.as_ref().map_err(Clone::clone).and_then(|approval| {
        address.iter().try_for_each(|address| check_domain(&approval.path, address))?;
        Ok(approval)
    });
    match believed {
        Ok(approval) => Verdict::trusted(signature, address.as_deref(), approval),
        Err(problem) => Verdict::untrusted(signature, &problem),
    }
}

/// The addresses of a certificate for which its holder is asked to be believed: those of the authors (without any: the
/// first).
fn wanted_addresses(certificate: &Certificate, authors: &[String]) -> Vec<String> {
    let mut own = certificate.mail_addresses();
    match authors {
        [] => own.truncate(1),
        _ => own.retain(|own| authors.iter().any(|author| mail_address::same_mailbox(own, author))),
    }
    own
}

fn check_domain(path: &ValidPath, address: &str) -> Result<(), CertificateProblem> {
    let anchor = path.anchor();
    if anchor.covers(address) {
        return Ok(());
    }
    Err(CertificateProblem::OutsideDomain {
        address: address.to_owned(),
        anchor: anchor.certificate.subject(),
    })
}
