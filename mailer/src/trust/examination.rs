//! A certificate judged by itself, with everything that is needed at hand (RFC 5280 section 6).
use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use jiff::Timestamp;

use super::in_words;
use super::inquiry::{Inquiry, RevocationKnowledge};
use super::judge::{Reach, Source};
use super::ocsp::{Nonce, OcspAnswer};
use super::path::{Builder, Effort};
use super::problem::CertificateProblem;
use super::revocation::{Evidence, UnknownRevocation};
use super::validate::{Rules, ValidPath};
use super::{Acceptance, Anchors, Certificate, CertificateList, PolicyInputs, Purpose};

/// What a certificate is judged by.
#[derive(Clone, Debug)]
pub struct Examination<'a> {
    /// Where paths may end; their mail domains do not matter here.
    pub anchors: &'a Anchors,
    /// CA certificates, and certificates of others who sign CRLs.
    pub intermediates: &'a [Certificate],
    /// CRLs.
    pub lists: &'a [CertificateList],
    /// OCSP answers, as they came.
    pub responses: &'a [Vec<u8>],
    /// What the certificate shall be used for.
    pub purpose: Purpose,
    /// The moment for which is judged.
    pub at: Timestamp,
    /// Which algorithms count.
    pub acceptance: Acceptance,
    /// What is demanded of policies.
    pub policies: PolicyInputs,
}

/// A certificate that was found valid.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The judged certificate first, the one that the anchor issued last.
    pub chain: Vec<Certificate>,
    /// The CA that is trusted.
    pub anchor: Certificate,
    /// The policies for which the path is valid, of those that are acceptable (section 6.1.6).
    pub policies: BTreeSet<ObjectIdentifier>,
    /// What is known about revocation; `None` when nothing was given that could tell.
    pub revocation: Option<RevocationFinding>,
    /// What is valid but should not be relied on for long.
    pub warnings: Vec<String>,
}

/// None of the certificates of the path is revoked, by what was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationFinding {
    as_of: Timestamp,
}

impl RevocationFinding {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        "good"
    }

    /// How old the knowledge about the judged certificate is.
    pub fn as_of(&self) -> Option<Timestamp> {
        Some(self.as_of)
    }

    /// In words.
    pub fn in_words(&self) -> String {
        format!("not revoked as of {}", in_words(self.as_of))
    }
}

impl Examination<'_> {
    /// Judges one certificate.
    ///
    /// # Errors
    /// Why it is not valid.
    pub fn of(&self, certificate: &Certificate) -> Result<Finding, CertificateProblem> {
        let rules = Rules {
            purpose: self.purpose,
            at: self.at,
            acceptance: self.acceptance,
            policies: self.policies.clone(),
        };
        let mut effort = Effort::default();
        let mut builder = Builder {
            anchors: self.anchors,
            found: self.intermediates,
            issuers: &mut |_| Vec::new(),
            rules: &rules,
            effort: &mut effort,
        };
        let (path, revocation) = builder.find(certificate, &mut |path| self.revocation(path))?;
        let historic = path.historic().iter();
        Ok(Finding {
            chain: path.certificates().to_vec(),
            anchor: path.anchor().certificate.clone(),
            policies: path.policies().clone(),
            revocation,
            warnings: historic.map(|(whose, what)| historic_in_words(whose, what)).collect(),
        })
    }

    /// What the given CRLs and OCSP answers say about the path.
    fn revocation(&self, path: &ValidPath) -> Result<Option<RevocationFinding>, CertificateProblem> {
        if self.lists.is_empty() && self.responses.is_empty() {
            return Ok(None);
        }
        let mut source = Given(self.responses);
        let mut effort = Effort::default();
        let mut inquiry = Inquiry::new(
            &mut source,
            (self.intermediates, self.lists),
            &mut effort,
            self.at,
            UnknownRevocation::Reject,
            Reach::AtHand,
        );
        inquiry.acceptance = self.acceptance;
        match inquiry.path(path, &|_| false)? {
            RevocationKnowledge::Good(Evidence { as_of, .. }) => Ok(Some(RevocationFinding { as_of })),
            RevocationKnowledge::Unknown { .. } => Ok(None),
        }
    }
}

/// Nothing but the OCSP answers that were given.
struct Given<'a>(&'a [Vec<u8>]);

impl Source for Given<'_> {
    fn issuers_at_hand(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        Vec::new()
    }

    fn issuers(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        Vec::new()
    }

    fn revocation_lists(&mut self, _key_identifier: &[u8]) -> Vec<CertificateList> {
        Vec::new()
    }

    fn ocsp_answers(&mut self, _certificate: &Certificate, _issuer: &Certificate) -> Vec<OcspAnswer> {
        self.0.iter().map(|der| OcspAnswer { der: der.clone(), nonce: Nonce::NotSent }).collect()
    }
}

fn historic_in_words(whose: &super::Whose, what: &str) -> String {
    let whose = match whose {
        super::Whose::EndEntity => "the certificate",
        super::Whose::Authority(name) => &format!("the CA certificate of {name}"),
    };
    format!("{whose} was signed with {}", what.trim_end_matches(','))
}
