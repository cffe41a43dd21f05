//! Who signed, may it be believed, and why: one clear sentence.
use jiff::Timestamp;

use super::in_words;
use super::inquiry::RevocationKnowledge;
use super::judge::Approval;
use super::problem::CertificateProblem;
use super::revocation::Evidence;
use crate::certificate::Certificate;
use crate::certificate::mail_address;
use crate::certificate::names::harmless;
use crate::smime::{Signature, SignatureFault, VerifyError};

/// How much a message may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// A signature shows that the content was changed, or cannot be read at all.
    Broken,
    /// Signed, but the signer is not believed.
    Untrusted,
    /// Not signed, and encrypted in a way that lets anybody change the content.
    Unauthenticated,
    /// Not signed.
    Unsigned,
    /// Signed by a believed signer.
    Trusted,
}

/// What CRLs said about the signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationAnswer {
    /// A current CRL does not list the certificate.
    Good,
    /// A CRL lists it.
    Revoked,
    /// Nothing is known, or it was not reached.
    Unknown,
}

impl RevocationAnswer {
    /// Stable code for JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether the signer is who the message says that it is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthorComparison {
    /// There was no author to compare with, or no believed signer.
    #[default]
    NotCompared,
    /// The signer is the author in From.
    SignerIsAuthor,
    /// The signer is the author in From, but the message was sent by somebody else (Sender).
    SentByAnother,
    /// The signer is somebody else than the author, or the author is not clear.
    SignerIsAnother,
}

impl AuthorComparison {
    /// Stable code for JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotCompared => "not-compared",
            Self::SignerIsAuthor => "signer-is-author",
            Self::SentByAnother => "sent-by-another",
            Self::SignerIsAnother => "signer-is-another",
        }
    }
}

/// The judgement about one message, in a sentence.
#[derive(Clone, Debug)]
pub struct Verdict {
    standing: Standing,
    code: &'static str,
    sentence: String,
    revocation: RevocationAnswer,
    address: Option<String>,
    certificate: Option<Certificate>,
    signing_time: Option<Timestamp>,
    capabilities: Option<Vec<u8>>,
    more: Box<More>,
}

/// What stands in a verdict beside the signer.
#[derive(Clone, Debug, Default)]
struct More {
    evidence: Option<Evidence>,
    proven_time: Option<Timestamp>,
    author: AuthorComparison,
    not_covered: Option<String>,
    others: Vec<Verdict>,
}

impl Verdict {
    /// The verdict about a message without signature.
    pub fn unsigned() -> Self {
        Self::plain(Standing::Unsigned, "unsigned", "This message is not signed.".to_owned())
    }

    /// The verdict about an encrypted message without signature whose encryption does not prove that its content is what
    /// the sender wrote: AES-CBC content can be changed without the key (RFC 8551 section 6).
    pub fn unauthenticated() -> Self {
        let text = "Not trusted: this message is not signed, and its encryption (without authentication) does not protect it \
                    from changes, so anybody on the way may have changed it.";
        Self::plain(Standing::Unauthenticated, "unauthenticated", text.to_owned())
    }

    /// The same verdict, but for a message that does not say clearly who its author is: nobody can be believed then.
    pub fn without_clear_author(self, problem: &impl std::fmt::Display) -> Self {
        let (Standing::Trusted, Some(certificate)) = (self.standing, &self.certificate) else { return self };
        let text = format!(
            "Not trusted: {problem}, so it cannot be compared with the signer, {}",
            claimed_identity(certificate)
        );
        Self {
            standing: Standing::Untrusted,
            code: "author-unclear",
            more: Box::new(More { author: AuthorComparison::SignerIsAnother, ..*self.more }),
            sentence: sentence(&text),
            address: None,
            ..self
        }
    }

    /// The same verdict for a message that was sent for its author: says so if the signer is none of the `senders`.
    pub fn with_sender(self, senders: &[String]) -> Self {
        let own = self.certificate.as_ref().map(Certificate::mail_addresses).unwrap_or_default();
        let is_own = |sender: &&String| !own.iter().any(|own| mail_address::same_mailbox(own, sender));
        let others: Vec<&str> = senders.iter().filter(is_own).map(String::as_str).collect();
        if !self.is_trusted() || others.is_empty() {
            return self;
        }
        let remark = format!("Its Sender field names {}, who did not sign it", harmless(&others.join(", ")));
        let author = AuthorComparison::SentByAnother;
        Self {
            sentence: format!("{} {}", self.sentence, sentence(&remark)),
            more: Box::new(More { author, ..*self.more }),
            ..self
        }
    }

    /// The same verdict, with a sentence about what the signature does not cover.
    pub fn with_not_covered(self, what: &str) -> Self {
        let remark = sentence(&harmless(what));
        Self {
            sentence: format!("{} {remark}", self.sentence),
            more: Box::new(More { not_covered: Some(what.to_owned()), ..*self.more }),
            ..self
        }
    }

    /// The same verdict, judged as of a moment in the past by what came along.
    pub(super) fn judged_as_of(self, moment: Timestamp) -> Self {
        let remark = format!("This was judged as of {} by what the document brings along.", in_words(moment));
        Self { sentence: format!("{} {remark}", self.sentence), ..self }
    }

    /// The verdict about a signature that could not be read at all.
    pub fn unreadable(error: &VerifyError) -> Self {
        Self::plain(Standing::Broken, error.code(), sentence(&format!("Not trusted: {error}")))
    }

    /// The verdict about one signature with a fault.
    pub fn faulty(signer: &str, fault: &SignatureFault) -> Self {
        let standing = if fault.breaks_integrity() { Standing::Broken } else { Standing::Untrusted };
        Self::plain(
            standing,
            fault.code(),
            sentence(&format!("Not trusted: {fault} (signature of {signer})")),
        )
    }

    /// The verdict about a signature whose signer is believed.
    pub(super) fn trusted(signature: &Signature, address: Option<&str>, approval: &Approval) -> Self {
        let certificate = &signature.certificate;
        let claimed =
            signature.signing_time.map(|time| format!(" on {} by the signer's clock", in_words(time)));
        let proven = approval.stamped.proven;
        let stamp = match (proven, &approval.stamped.problem) {
            (Some(proven), _) => format!(", before {} by a trusted time stamp", in_words(proven)),
            (None, Some(problem)) => format!(" ({problem})"),
            (None, None) => String::new(),
        };
        let valid = match certificate.not_after() {
            end if end < approval.at => format!("certificate valid until {}", in_words(end)),
            _ => "certificate valid".to_owned(),
        };
        let (evidence, revocation, checked) = match &approval.revocation {
            RevocationKnowledge::Good(evidence) => {
                (Some(*evidence), RevocationAnswer::Good, evidence.in_words(approval.at))
            }
            RevocationKnowledge::RevokedLater { revocation, evidence } => {
                let when = in_words(revocation.takes_effect());
                let words = format!("revoked, but only for what is signed from {when} on");
                (Some(*evidence), RevocationAnswer::Revoked, words)
            }
            RevocationKnowledge::Unknown { why } => {
                (None, RevocationAnswer::Unknown, format!("revocation not checked ({why})"))
            }
        };
        let text = format!(
            "Signed by {}{}{}{stamp}; {valid}, issued by {}; {checked}",
            certificate.subject(),
            address.map(|address| format!(" <{}>", harmless(address))).unwrap_or_default(),
            claimed.unwrap_or_default(),
            certificate.issuer(),
        );
        Self {
            revocation,
            address: address.map(str::to_owned),
            more: Box::new(More {
                evidence,
                proven_time: proven,
                author: AuthorComparison::SignerIsAuthor,
                ..More::default()
            }),
            ..Self::with_signature(Standing::Trusted, "trusted", sentence(&text), signature)
        }
    }

    /// The verdict about a good signature whose signer is not believed.
    pub(super) fn untrusted(signature: &Signature, problem: &CertificateProblem) -> Self {
        let certificate = &signature.certificate;
        let text = format!(
            "Not trusted: {}. The signer claims to be {}",
            problem.in_words("the signer's certificate"),
            claimed_identity(certificate)
        );
        let revocation = match problem {
            CertificateProblem::Revoked { .. } => RevocationAnswer::Revoked,
            _ => RevocationAnswer::Unknown,
        };
        let author = match problem {
            CertificateProblem::AddressMismatch { .. } => AuthorComparison::SignerIsAnother,
            _ => AuthorComparison::NotCompared,
        };
        Self {
            revocation,
            more: Box::new(More { author, ..More::default() }),
            ..Self::with_signature(Standing::Untrusted, problem.code(), sentence(&text), signature)
        }
    }

    /// Joins the verdicts about each signer: a broken one outweighs all, otherwise the best one speaks and the others are noted.
    pub(super) fn of_signers(mut verdicts: Vec<Self>) -> Self {
        verdicts.sort_by_key(|verdict| match verdict.standing {
            Standing::Broken => 0,
            Standing::Trusted => 1,
            _ => 2,
        });
        let mut verdicts = verdicts.into_iter();
        let Some(mut first) = verdicts.next() else { return Self::unsigned() };
        for other in verdicts {
            first.sentence = format!("{} There is another signature: {}", first.sentence, other.sentence);
            first.more.others.push(other);
        }
        first
    }

    fn plain(standing: Standing, code: &'static str, sentence: String) -> Self {
        let revocation = RevocationAnswer::Unknown;
        Self {
            standing,
            code,
            sentence,
            revocation,
            address: None,
            certificate: None,
            signing_time: None,
            capabilities: None,
            more: Box::default(),
        }
    }

    fn with_signature(
        standing: Standing,
        code: &'static str,
        sentence: String,
        signature: &Signature,
    ) -> Self {
        let certificate = Some(signature.certificate.clone());
        Self {
            certificate,
            signing_time: signature.signing_time,
            capabilities: signature.capabilities.clone(),
            ..Self::plain(standing, code, sentence)
        }
    }

    /// Whether integrity failed: content must not be shown.
    pub fn integrity_failed(&self) -> bool {
        self.standing == Standing::Broken
    }

    /// Whether the message is signed at all.
    pub fn is_signed(&self) -> bool {
        !matches!(self.standing, Standing::Unsigned | Standing::Unauthenticated)
    }

    /// Whether the message bears no signature and needs none to be what it claims to be: anybody may have sent it, but it
    /// came as it was sent, or in the clear.
    pub fn is_plainly_unsigned(&self) -> bool {
        self.standing == Standing::Unsigned
    }

    /// Whether signer and content may be believed.
    pub fn is_trusted(&self) -> bool {
        self.standing == Standing::Trusted
    }

    /// Stable code for JSON: `trusted`, `unsigned`, `unauthenticated`, `author-unclear`, the code of a [`CertificateProblem`] (`revoked`, `expired`,
    /// `unknown-issuer`, `address-mismatch`...) or of a [`SignatureFault`] (`content-changed`, `signature-wrong`...).
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What CRLs said about the signer.
    pub fn revocation(&self) -> RevocationAnswer {
        self.revocation
    }

    /// The signer's mail address; only a trusted verdict has one.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// The signer's certificate, if one was found; believed only when the verdict is trusted.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// The time that the signer claims.
    pub fn signing_time(&self) -> Option<Timestamp> {
        self.signing_time
    }

    /// A moment at which the signature existed, proven by a trusted time stamp.
    pub fn proven_time(&self) -> Option<Timestamp> {
        self.more.proven_time
    }

    /// On what the answer about revocation rests.
    pub fn evidence(&self) -> Option<Evidence> {
        self.more.evidence
    }

    /// Whether the signer is who the message says that it is from.
    pub fn author(&self) -> AuthorComparison {
        self.more.author
    }

    /// What the signature does not cover, in words.
    pub fn not_covered(&self) -> Option<&str> {
        self.more.not_covered.as_deref()
    }

    /// The verdicts about the other signatures of the same content.
    pub fn others(&self) -> &[Self] {
        &self.more.others
    }

    /// What the signer's program can read: the signed SMIMECapabilities (RFC 8551 section 2.5.2), as DER.
    pub fn capabilities(&self) -> Option<&[u8]> {
        self.capabilities.as_deref().filter(|_| self.is_trusted())
    }
}

impl std::fmt::Display for Verdict {
    /// One clear sentence: who, why, when.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.sentence)
    }
}

/// Subject and addresses as the certificate has them.
fn claimed_identity(certificate: &Certificate) -> String {
    match certificate.mail_addresses_in_words() {
        addresses if addresses.is_empty() => certificate.subject(),
        addresses => format!("{} <{addresses}>", certificate.subject()),
    }
}

/// Ends a sentence.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}
