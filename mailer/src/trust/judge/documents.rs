//! Judges signatures of documents: now, or with what a document brings along, as of the moment that a time stamp proves
//! (in the spirit of EN 319 102-1 section 5.6: validation in the past).
use jiff::Timestamp;

use super::{Along, Approval, Judge, Reach, Source, about_document};
use crate::certificate::tlv::{element, tag};
use crate::certificate::{Certificate, DigestAlgorithm, RunningDigest};
use crate::content::Content;
use crate::smime::Signature;
use crate::trust::ocsp::{self, Nonce, OcspAnswer};
use crate::trust::problem::CertificateProblem;
use crate::trust::revocation::CLOCK_TOLERANCE;
use crate::trust::time_stamp::TimeStampError;
use crate::trust::validate::Purpose;
use crate::trust::{CertificateList, UnknownRevocation, Verdict, time_stamp};

/// What a document brings along to be judged by (the DSS of a PDF file, EN 319 142-1 section 5.4).
#[derive(Clone, Debug, Default)]
pub struct Enclosed {
    /// Certificates, of the signature and of the document.
    pub certificates: Vec<Certificate>,
    /// CRLs.
    pub lists: Vec<CertificateList>,
    /// OCSP answers (DER of the OCSPResponse).
    pub answers: Vec<Vec<u8>>,
}

/// The judgement about one signature of a document.
#[derive(Clone, Debug)]
pub struct DocumentVerdict {
    /// Who signed, and whether to believe it.
    pub verdict: Verdict,
    /// The past moment for which was judged, with what the document brings along; `None`: now.
    pub as_of: Option<Timestamp>,
    /// Whether what the document brings along suffices, as of its time stamp: nobody needs to be asked, ever.
    pub is_proven_by_enclosed: bool,
    /// A time stamp that was made for something else, or was changed: somebody put it there.
    pub forged_time_stamp: Option<TimeStampError>,
}

impl DocumentVerdict {
    /// A verdict that needed no judge.
    pub fn plain(verdict: Verdict) -> Self {
        Self { verdict, as_of: None, is_proven_by_enclosed: false, forged_time_stamp: None }
    }
}

impl Judge<'_> {
    /// Judges the signer of a document. Nobody is asked anything before the signer's path ends in an anchor.
    ///
    /// What the document brings along counts beside the directory. Where nothing current is known, or the signer's
    /// certificate has ended, a trusted time stamp lets the signature be judged as of that moment by what is enclosed.
    pub fn document_signature(&mut self, signature: &Signature, enclosed: &Enclosed) -> DocumentVerdict {
        let now = self.now(enclosed, |judge| judge.approve_with(signature, enclosed));
        let past = self.in_the_past(signature, enclosed);
        let is_proven_by_enclosed = past.is_some();
        let forged_time_stamp = forged(signature, enclosed);
        let undecided = matches!(
            now,
            Err(CertificateProblem::RevocationUnknown { .. } | CertificateProblem::Expired { .. })
                | Ok(Approval { revocation: super::RevocationKnowledge::Unknown { .. }, .. })
        );
        if undecided && let Some((moment, approval)) = past {
            let verdict = about_document(signature, &Ok(approval)).judged_as_of(moment);
            return DocumentVerdict {
                verdict,
                as_of: Some(moment),
                is_proven_by_enclosed,
                forged_time_stamp,
            };
        }
        let verdict = about_document(signature, &now);
        DocumentVerdict { verdict, as_of: None, is_proven_by_enclosed, forged_time_stamp }
    }

    /// Judges a time stamp of a document: the last moment at which it can have been made.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn document_time_stamp(
        &mut self,
        token: &[u8],
        octets: &Content,
        enclosed: &Enclosed,
    ) -> Result<Timestamp, TimeStampError> {
        let token =
            time_stamp::read_over(token, &|algorithm| digest(octets, algorithm), &enclosed.certificates)?;
        let believe = |judge: &mut Judge<'_>| {
            let mut along =
                Along { certificates: &enclosed.certificates, lists: &enclosed.lists, ..Along::default() };
            judge.believe_token(&token, &[], &mut along)
        };
        let now = self.now(enclosed, believe);
        if now.is_ok() || token.authority.not_after() < self.at {
            return now;
        }
        let moment =
            enclosed.newest_statement().map_or(token.at_latest, |newest| newest.max(token.at_latest));
        self.as_of(moment, enclosed, believe).or(now)
    }

    /// Judges now, by what is enclosed beside the directory.
    fn now<T>(&mut self, enclosed: &Enclosed, judge: impl FnOnce(&mut Judge<'_>) -> T) -> T {
        let mut source = WithAnswers::new(&mut *self.source, &enclosed.answers);
        judge(&mut Judge {
            anchors: self.anchors,
            source: &mut source,
            at: self.at,
            unknown_revocation: self.unknown_revocation,
        })
    }

    /// Judges as of a moment, which is not in the future, by what is enclosed or at hand; nobody is asked.
    fn as_of<T>(
        &mut self,
        moment: Timestamp,
        enclosed: &Enclosed,
        judge: impl FnOnce(&mut Judge<'_>) -> T,
    ) -> T {
        let mut at_hand = AtHand(&mut *self.source);
        let mut source = WithAnswers::new(&mut at_hand, &enclosed.answers);
        judge(&mut Judge {
            anchors: self.anchors,
            source: &mut source,
            at: moment.min(self.at),
            unknown_revocation: UnknownRevocation::Reject,
        })
    }

    /// What proves that a certificate is good, for as long as its signatures shall be provable: its path and every genuine
    /// CRL and OCSP answer that speaks about it.
    ///
    /// # Errors
    /// Why it is not believed now.
    pub fn proof_of(
        &mut self,
        certificate: &Certificate,
        purpose: Purpose,
        along: &[Certificate],
    ) -> Result<Enclosed, CertificateProblem> {
        let mut source = WithAnswers::new(&mut *self.source, &[]);
        let mut judge = Judge {
            anchors: self.anchors,
            source: &mut source,
            at: self.at,
            unknown_revocation: self.unknown_revocation,
        };
        let mut found = Along { certificates: along, ..Along::default() };
        let approval = judge.approve(certificate, &mut found, (purpose, &[]), Reach::Directory)?;
        let mut certificates = approval.path.certificates().to_vec();
        certificates.push(approval.path.anchor().certificate.clone());
        Ok(Enclosed { certificates, lists: source.genuine_lists, answers: source.genuine_answers })
    }

    fn is_future(&self, moment: Timestamp) -> bool {
        moment > self.at.saturating_add(CLOCK_TOLERANCE).unwrap_or(self.at)
    }

    fn approve_with(
        &mut self,
        signature: &Signature,
        enclosed: &Enclosed,
    ) -> Result<Approval, CertificateProblem> {
        let mut along =
            Along { certificates: &enclosed.certificates, lists: &enclosed.lists, ..Along::default() };
        let mut wanted = signature.certificate.mail_addresses();
        wanted.truncate(1);
        self.approve_signature(signature, (Purpose::SigningDocuments, &wanted), &mut along)
    }

    /// As of the moments that the time stamps name, the earliest first: what is enclosed must suffice, and the time-stamping
    /// authority's certificate must not have ended since, for then nobody would notice misuse of its key.
    fn in_the_past(&mut self, signature: &Signature, enclosed: &Enclosed) -> Option<(Timestamp, Approval)> {
        let mut moments: Vec<Timestamp> = signature
            .time_stamp_tokens
            .iter()
            .filter_map(|token| time_stamp::read(token, &signature.value, &enclosed.certificates).ok())
            .filter(|token| token.authority.not_after() >= self.at && !self.is_future(token.at_latest))
            .map(|token| token.at_latest)
            .collect();
        moments.sort();
        moments.dedup();
        moments.into_iter().take(super::MOST_TIME_STAMPS).find_map(|stamped| {
            let moment = enclosed.newest_statement().map_or(stamped, |newest| newest.max(stamped));
            let approval =
                self.as_of(moment, enclosed, |judge| judge.approve_with(signature, enclosed)).ok()?;
            // Without a time that is proven, the past is only claimed.
            approval.stamped.proven?;
            Some((moment.min(self.at), approval))
        })
    }
}

/// The first time stamp of the signature that does not belong to it.
fn forged(signature: &Signature, enclosed: &Enclosed) -> Option<TimeStampError> {
    let read = |token: &Vec<u8>| time_stamp::read(token, &signature.value, &enclosed.certificates).err();
    let is_forged = |problem: &TimeStampError| {
        matches!(problem, TimeStampError::OtherImprint | TimeStampError::BadSignature(_))
    };
    signature.time_stamp_tokens.iter().take(super::MOST_TIME_STAMPS).filter_map(read).find(is_forged)
}

impl Enclosed {
    /// The moment of the newest statement about revocation: later statements about the same signature say more.
    fn newest_statement(&self) -> Option<Timestamp> {
        let lists = self.lists.iter().map(CertificateList::this_update);
        let answers = self.answers.iter().filter_map(|answer| ocsp::produced_at(answer));
        lists.chain(answers).max()
    }
}

/// A source, OCSP answers that came along, and every genuine statement about revocation, written down.
struct WithAnswers<'a> {
    inner: &'a mut dyn Source,
    answers: &'a [Vec<u8>],
    genuine_lists: Vec<CertificateList>,
    genuine_answers: Vec<Vec<u8>>,
}

impl<'a> WithAnswers<'a> {
    fn new(inner: &'a mut dyn Source, answers: &'a [Vec<u8>]) -> Self {
        Self { inner, answers, genuine_lists: Vec::new(), genuine_answers: Vec::new() }
    }
}

impl Source for WithAnswers<'_> {
    fn issuers_at_hand(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        self.inner.issuers_at_hand(key_identifier)
    }

    fn issuers(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        self.inner.issuers(key_identifier)
    }

    fn revocation_lists(&mut self, key_identifier: &[u8]) -> Vec<CertificateList> {
        self.inner.revocation_lists(key_identifier)
    }

    fn remember(&mut self, key_identifier: &[u8], list: &CertificateList) {
        self.genuine_lists.push(list.clone());
        self.inner.remember(key_identifier, list);
    }

    fn revocation_lists_of(&mut self, certificate: &Certificate) -> Vec<CertificateList> {
        self.inner.revocation_lists_of(certificate)
    }

    /// Those of the source first: only so many are read.
    fn ocsp_answers(&mut self, certificate: &Certificate, issuer: &Certificate) -> Vec<OcspAnswer> {
        let serial = element(tag::INTEGER, &[certificate.serial_octets()]);
        let is_about = |der: &&Vec<u8>| memchr::memmem::find(der, &serial).is_some();
        let enclosed = self.answers.iter().filter(is_about);
        let mut answers = self.inner.ocsp_answers(certificate, issuer);
        answers.extend(enclosed.map(|der| OcspAnswer { der: der.clone(), nonce: Nonce::NotSent }));
        answers
    }

    fn remember_answer(&mut self, certificate: &Certificate, issuer: &Certificate, answer: &OcspAnswer) {
        self.genuine_answers.push(answer.der.clone());
        self.inner.remember_answer(certificate, issuer, answer);
    }
}

/// The digest of octets of any length.
fn digest(octets: &Content, algorithm: DigestAlgorithm) -> std::io::Result<Vec<u8>> {
    let mut running = RunningDigest::new(algorithm);
    octets.write_to(&mut Digesting(&mut running))?;
    Ok(running.finish())
}

struct Digesting<'a>(&'a mut RunningDigest);

impl std::io::Write for Digesting<'_> {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.update(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Only the CA certificates at hand: what the directory says about revocation is of today, not of the past.
struct AtHand<'a>(&'a mut dyn Source);

impl Source for AtHand<'_> {
    fn issuers_at_hand(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        self.0.issuers_at_hand(key_identifier)
    }

    fn issuers(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        self.0.issuers_at_hand(key_identifier)
    }

    fn revocation_lists(&mut self, _key_identifier: &[u8]) -> Vec<CertificateList> {
        Vec::new()
    }
}
