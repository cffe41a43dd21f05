//! Every signature and time stamp of a document judged, and what was changed since (EN 319 142-1, EN 319 102-1 in spirit).
use jiff::Timestamp;

use super::changes::{self, Change};
use super::pdf::{Document, PdfError};
use super::permission::Permission;
use super::signature::{DocumentSignature, FieldSignature, Lock, SignatureDefect, SignatureKind, signatures};
use super::validation_data::ValidationData;
use crate::content::Content;
use crate::smime::{self, Signature, SignedMessage};
use crate::trust::time_stamp::TimeStampError;
use crate::trust::{CertificateList, DocumentVerdict, Enclosed, Judge, Verdict};

/// The most signatures that are judged.
const MOST_SIGNATURES: usize = 256;
const MOST_LISTS: usize = 64;

/// What was found out about a document.
#[derive(Clone, Debug)]
pub struct DocumentReport {
    /// Each signature and time stamp, the oldest first.
    pub signatures: Vec<SignatureReport>,
    /// Octets at the end that no signature covers.
    pub uncovered: u64,
    /// What the certification allows, if there is one.
    pub certified: Option<Permission>,
}

/// What was found out about one signature.
#[derive(Clone, Debug)]
pub struct SignatureReport {
    /// The field's name.
    pub field: String,
    /// What kind it is; `None` when that cannot be read.
    pub kind: Option<SignatureKind>,
    /// Who signed, whether to believe it, and why.
    pub judgement: Judgement,
    /// The baseline level that the signature reaches (EN 319 142-1 section 6).
    pub level: Option<Level>,
    /// What changed since, each with whether that was allowed.
    pub changes: Vec<(Change, bool)>,
    /// The octets of the file that it covers, from the first one on.
    pub covers: Option<u64>,
    /// Why it was signed, as the signer says.
    pub reason: Option<String>,
    /// Whether the document was certified by it.
    pub certifies: Option<Permission>,
}

/// The judgement about one signature.
#[derive(Clone, Debug)]
pub enum Judgement {
    /// A signature: the verdict about its signer.
    Signer(Box<DocumentVerdict>),
    /// A time stamp of the document: the moment before which it existed, or why it proves nothing.
    TimeStamp(Result<Timestamp, TimeStampError>),
    /// It cannot be judged.
    Defective(SignatureDefect),
}

/// Baseline levels of PAdES.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Signed.
    BB,
    /// With a trusted time stamp.
    BT,
    /// With everything that proves it in the document.
    BLT,
}

impl Level {
    /// As the standard writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BB => "B-B",
            Self::BT => "B-T",
            Self::BLT => "B-LT",
        }
    }
}

/// How a document stands, in one word for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every signature is trusted, and nothing was changed that may not be.
    Trusted,
    /// There is no signature.
    Unsigned,
    /// A signature is not intact, or something was changed that may not be.
    Tampered,
    /// A signer is not believed.
    Untrusted,
}

impl Standing {
    /// Stable code for JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Unsigned => "unsigned",
            Self::Tampered => "tampered",
            Self::Untrusted => "untrusted",
        }
    }
}

impl SignatureReport {
    /// Whether the signature does not fit the document any more, or never did.
    pub fn is_broken(&self) -> bool {
        let broken = match &self.judgement {
            Judgement::Signer(found) => found.verdict.integrity_failed() || found.forged_time_stamp.is_some(),
            Judgement::TimeStamp(Err(problem)) => {
                matches!(problem, TimeStampError::OtherImprint | TimeStampError::BadSignature(_))
            }
            Judgement::TimeStamp(Ok(_)) => false,
            Judgement::Defective(defect) => !matches!(defect, SignatureDefect::Unsupported(_)),
        };
        broken || self.changes.iter().any(|(_, allowed)| !allowed)
    }

    /// Whether it is intact and its signer, or time-stamping authority, believed.
    pub fn is_trusted(&self) -> bool {
        !self.is_broken()
            && match &self.judgement {
                Judgement::Signer(found) => found.verdict.is_trusted(),
                Judgement::TimeStamp(outcome) => outcome.is_ok(),
                Judgement::Defective(_) => false,
            }
    }
}

impl DocumentReport {
    /// How the document stands.
    pub fn standing(&self) -> Standing {
        let is_signer = |report: &&SignatureReport| !matches!(report.judgement, Judgement::TimeStamp(_));
        if self.signatures.iter().any(SignatureReport::is_broken) {
            Standing::Tampered
        } else if !self.signatures.iter().any(|report| is_signer(&report)) {
            Standing::Unsigned
        } else if self.signatures.iter().filter(is_signer).all(SignatureReport::is_trusted) {
            Standing::Trusted
        } else {
            Standing::Untrusted
        }
    }
}

/// Judges every signature of a document.
///
/// # Errors
/// The document is damaged: nothing can be said about it.
pub fn verify(document: &Document, judge: &mut Judge<'_>) -> Result<DocumentReport, PdfError> {
    let mut found = signatures(document)?;
    if found.len() > MOST_SIGNATURES {
        return Err(PdfError::Senseless("the document has too many signatures"));
    }
    let store = ValidationData::of_document(document)?.enclosed();
    let certified = certification(&found);
    let covered = found.iter().filter_map(|found| Some(found.signature.as_ref().ok()?.end)).max();
    let mut reports = Vec::with_capacity(found.len());
    for FieldSignature { field, signature } in found.drain(..) {
        let report = match signature {
            Ok(signature) => Examination { document, store: &store, certified }.of(&signature, judge)?,
            Err(defect) => defective(field, None, defect),
        };
        reports.push(report);
    }
    let length = document.content().len();
    Ok(DocumentReport {
        uncovered: covered.map_or(length, |covered| length - covered),
        certified,
        signatures: reports,
    })
}

/// Only the first signature can certify (ISO 32000-2 section 12.8.2.2): who comes later cannot allow what others may change.
fn certification(found: &[FieldSignature]) -> Option<Permission> {
    let signatures = found.iter().map(|found| found.signature.as_ref().ok());
    let mut signers = signatures
        .filter(|found| found.is_none_or(|signature| signature.kind != SignatureKind::DocumentTimeStamp));
    signers.next()??.certifies
}

fn defective(field: String, kind: Option<SignatureKind>, defect: SignatureDefect) -> SignatureReport {
    SignatureReport {
        field,
        kind,
        judgement: Judgement::Defective(defect),
        level: None,
        changes: Vec::new(),
        covers: None,
        reason: None,
        certifies: None,
    }
}

struct Examination<'d> {
    document: &'d Document,
    store: &'d Enclosed,
    certified: Option<Permission>,
}

impl Examination<'_> {
    fn of(&self, signature: &DocumentSignature, judge: &mut Judge<'_>) -> Result<SignatureReport, PdfError> {
        let signed = match signature.signed_document(self.document) {
            Ok(signed) => signed,
            Err(defect) => return Ok(defective(signature.field.clone(), Some(signature.kind), defect)),
        };
        let octets = signature.signed_octets(self.document);
        let (judgement, level) = match signature.kind {
            SignatureKind::DocumentTimeStamp => {
                let outcome = judge.document_time_stamp(&signature.object, &octets, self.store);
                (Judgement::TimeStamp(outcome), None)
            }
            SignatureKind::Pades | SignatureKind::Cms => self.signer(signature, &octets, judge),
        };
        let changes = if signature.end == self.document.content().len() {
            Vec::new()
        } else {
            let mut changes = self.changes(signature, changes::between(&signed, self.document)?);
            // What was allowed and went its way, such as a field that was filled in twice, is nobody's concern.
            let passing = self.changes(signature, changes::for_a_while(&signed, self.document)?);
            changes.extend(passing.into_iter().filter(|(_, allowed)| !allowed));
            changes.sort();
            changes.dedup();
            changes
        };
        let reason = signature.dictionary.get("Reason").map(|reason| self.document.resolve(reason));
        let reason = reason.transpose()?;
        Ok(SignatureReport {
            field: signature.field.clone(),
            kind: Some(signature.kind),
            judgement,
            level,
            changes,
            covers: Some(signature.end),
            reason: reason.as_ref().and_then(|reason| reason.as_string()).map(super::form::text),
            certifies: signature.certifies,
        })
    }

    /// Each change, with whether certification and locks allow it. Without a certification, forms may be filled in and
    /// others may sign.
    fn changes(&self, signature: &DocumentSignature, changes: Vec<Change>) -> Vec<(Change, bool)> {
        let permission = self.certified.unwrap_or(Permission::FillIn);
        let is_locked = |change: &Change| {
            change.field().is_some_and(|field| signature.locks.iter().any(|lock: &Lock| lock.covers(field)))
        };
        let judged = changes.into_iter().map(|change| {
            let allowed = change.is_allowed(permission) && !is_locked(&change);
            (change, allowed)
        });
        judged.collect()
    }

    fn signer(
        &self,
        signature: &DocumentSignature,
        octets: &Content,
        judge: &mut Judge<'_>,
    ) -> (Judgement, Option<Level>) {
        let verified = smime::verify(&signature.object.as_slice(), Some(octets), &self.store.certificates);
        let message = match verified {
            Ok(message) => message,
            Err(problem) => return (judged(Verdict::unreadable(&problem)), None),
        };
        let [report] = message.signers.as_slice() else {
            let defect = SignatureDefect::Malformed("it has not exactly one signer".to_owned());
            return (Judgement::Defective(defect), None);
        };
        let found = match &report.outcome {
            Ok(found) => with_claimed_time(found, signature),
            Err(fault) => return (judged(Verdict::faulty(&report.identifier, fault)), None),
        };
        let verdict = judge.document_signature(&found, &self.enclosed(&message));
        let level = self.level(signature, &verdict);
        (Judgement::Signer(Box::new(verdict)), level)
    }

    /// What the signature and the document bring along.
    fn enclosed(&self, message: &SignedMessage) -> Enclosed {
        let mut enclosed = self.store.clone();
        enclosed.certificates.extend(message.certificates.iter().cloned());
        let lists = message.revocation_lists.iter().take(MOST_LISTS);
        enclosed.lists.extend(lists.filter_map(|der| CertificateList::from_der(der).ok()));
        enclosed
    }

    /// B-LT: nothing but the document was needed.
    fn level(&self, signature: &DocumentSignature, found: &DocumentVerdict) -> Option<Level> {
        if signature.kind != SignatureKind::Pades || !found.verdict.is_trusted() {
            return None;
        }
        Some(match found.verdict.proven_time() {
            None => Level::BB,
            Some(_) if found.is_proven_by_enclosed => Level::BLT,
            Some(_) => Level::BT,
        })
    }
}

fn judged(verdict: Verdict) -> Judgement {
    Judgement::Signer(Box::new(DocumentVerdict::plain(verdict)))
}

/// In a PDF file the signer's clock is in the dictionary (EN 319 142-1 section 6.3).
fn with_claimed_time(found: &Signature, signature: &DocumentSignature) -> Signature {
    Signature { signing_time: found.signing_time.or(signature.claimed), ..found.clone() }
}
