//! A certificate judged by itself, with everything that is needed at hand (RFC 5280 section 6).
use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use jiff::Timestamp;

use super::in_words;
use super::path::{Builder, Effort};
use super::problem::CertificateProblem;
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

    fn revocation(&self, _path: &ValidPath) -> Result<Option<RevocationFinding>, CertificateProblem> {
        if self.lists.is_empty() && self.responses.is_empty() {
            return Ok(None);
        }
        let why = "CRLs and OCSP answers are not read here yet".to_owned();
        Err(CertificateProblem::RevocationUnknown { whose: super::Whose::EndEntity, why })
    }
}

fn historic_in_words(whose: &super::Whose, what: &str) -> String {
    let whose = match whose {
        super::Whose::EndEntity => "the certificate",
        super::Whose::Authority(name) => &format!("the CA certificate of {name}"),
    };
    format!("{whose} was signed with {}", what.trim_end_matches(','))
}
