//! A certificate judged by itself, with everything that is needed at hand (RFC 5280 section 6).
use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use jiff::Timestamp;

use super::inquiry::{Inquiry, RevocationKnowledge};
use super::judge::{Reach, Source};
use super::ocsp::{Nonce, OcspAnswer};
use super::path::{Builder, Effort};
use super::problem::CertificateProblem;
use super::revocation::{Evidence, UnknownRevocation};
use super::validate::{Rules, ValidPath};
use super::{Acceptance, Anchors, Certificate, CertificateList, PolicyInputs, Purpose, Whose};
use crate::certificate::tlv::{element, tag};

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
    /// On what it rests that nothing of the path is revoked; `None` when nothing was given that could tell.
    pub revocation: Option<Evidence>,
    /// What is valid but should not be relied on for long.
    pub warnings: Vec<String>,
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
        let (mut effort, mut asking) = (Effort::default(), Effort::default());
        let mut builder = Builder {
            anchors: self.anchors,
            found: self.intermediates,
            issuers: &mut |_| Vec::new(),
            rules: &rules,
            effort: &mut effort,
        };
        let mut revocation = |path: &ValidPath| self.revocation(path, &mut asking);
        let (path, revocation) = builder.find(certificate, &mut revocation)?;
        let historic = path.historic().iter();
        Ok(Finding {
            chain: path.certificates().to_vec(),
            anchor: path.anchor().certificate.clone(),
            policies: path.policies().clone(),
            revocation,
            warnings: historic.map(|(whose, what)| historic_in_words(whose, what)).collect(),
        })
    }

    /// Every certificate of the path must be known not to be revoked, if anything was given that could tell.
    fn revocation(
        &self,
        path: &ValidPath,
        effort: &mut Effort,
    ) -> Result<Option<Evidence>, CertificateProblem> {
        if self.lists.is_empty() && self.responses.is_empty() {
            return Ok(None);
        }
        let mut source = Given(self.responses);
        let (along, unknown) = ((self.intermediates, self.lists), UnknownRevocation::Reject);
        let mut inquiry = Inquiry::new(&mut source, along, effort, self.at, unknown, Reach::AtHand);
        inquiry.acceptance = self.acceptance;
        match inquiry.path(path, &|_| false)? {
            RevocationKnowledge::Good(evidence) | RevocationKnowledge::RevokedLater { evidence, .. } => {
                Ok(Some(evidence))
            }
            RevocationKnowledge::Unknown { why } => {
                Err(CertificateProblem::RevocationUnknown { whose: Whose::EndEntity, why })
            }
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

    /// Those that hold the certificate's serial number, for only so many are read.
    fn ocsp_answers(&mut self, certificate: &Certificate, _issuer: &Certificate) -> Vec<OcspAnswer> {
        let serial = element(tag::INTEGER, &[certificate.serial_octets()]);
        let is_about = |der: &&Vec<u8>| memchr::memmem::find(der, &serial).is_some();
        let answer = |der: &Vec<u8>| OcspAnswer { der: der.clone(), nonce: Nonce::NotSent };
        self.0.iter().filter(is_about).map(answer).collect()
    }
}

fn historic_in_words(whose: &Whose, what: &str) -> String {
    let whose = match whose {
        Whose::EndEntity => "the certificate",
        Whose::Authority(name) => &format!("the CA certificate of {name}"),
    };
    format!("{whose} was signed with {}", what.trim_end_matches(','))
}
