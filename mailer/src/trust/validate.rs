//! Path validation (RFC 5280 section 6.1): one path, every rule. Revocation is judged separately.
use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use jiff::Timestamp;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlDistributionPoints, SubjectKeyIdentifier};

use super::anchors::Anchor;
use super::name_constraints::PermittedNames;
use super::policies::{PolicyInputs, PolicyRequired, PolicyState};
use super::problem::{CertificateProblem, Whose};
use super::usage;
pub(crate) use super::usage::Purpose;
use crate::certificate::extensions::{ANY_POLICY, id};
use crate::certificate::signature::SignatureProblem;
use crate::certificate::{Acceptance, Certificate, CertificateError};

/// Extensions that are processed, here or by the CRL check, or that have no bearing on validity.
const PROCESSED: [ObjectIdentifier; 13] = [
    id::SUBJECT_KEY_IDENTIFIER,
    id::KEY_USAGE,
    id::SUBJECT_ALTERNATIVE_NAME,
    id::ISSUER_ALTERNATIVE_NAME,
    id::BASIC_CONSTRAINTS,
    id::NAME_CONSTRAINTS,
    id::CRL_DISTRIBUTION_POINTS,
    id::CERTIFICATE_POLICIES,
    id::POLICY_MAPPINGS,
    id::AUTHORITY_KEY_IDENTIFIER,
    id::POLICY_CONSTRAINTS,
    id::EXTENDED_KEY_USAGE,
    id::INHIBIT_ANY_POLICY,
];

/// What a path is validated for (the inputs of RFC 5280 section 6.1.1, but the path and the anchor).
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// What the certificate shall be used for.
    pub(crate) purpose: Purpose,
    /// The moment for which is judged.
    pub(crate) at: Timestamp,
    /// Which algorithms count.
    pub(crate) acceptance: Acceptance,
    /// What is demanded of policies.
    pub(crate) policies: PolicyInputs,
}

impl Rules {
    /// Today's algorithms, any policy.
    pub(crate) fn new(purpose: Purpose, at: Timestamp) -> Self {
        Self { purpose, at, acceptance: Acceptance::Current, policies: PolicyInputs::default() }
    }
}

/// Proof that a path was validated; made by [`validate`] only. Revocation is judged separately.
#[derive(Clone, Debug)]
pub(crate) struct ValidPath {
    certificates: Vec<Certificate>,
    anchor: Anchor,
    policies: BTreeSet<ObjectIdentifier>,
    historic: Vec<(Whose, String)>,
}

impl ValidPath {
    /// The judged certificate first, the one that the anchor issued last. Keys that inherit parameters have them.
    pub(crate) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The CA certificates between the judged certificate and the anchor.
    pub(crate) fn intermediates(&self) -> &[Certificate] {
        self.certificates.get(1..).unwrap_or_default()
    }

    pub(crate) fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// The user-constrained policy set (section 6.1.6), in the words of the CA at the top.
    pub(crate) fn policies(&self) -> &BTreeSet<ObjectIdentifier> {
        &self.policies
    }

    /// Which certificates were signed by algorithms that are no longer believed, and by which.
    pub(crate) fn historic(&self) -> &[(Whose, String)] {
        &self.historic
    }

    /// Every certificate but the anchor, with its issuer.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Certificate, &Certificate)> {
        let issuers = self.certificates.iter().skip(1).chain([&self.anchor.certificate]);
        self.certificates.iter().zip(issuers)
    }
}

/// Validates a path: the judged certificate first, the one that the anchor issued last.
pub(crate) fn validate(
    path: &[Certificate],
    anchor: &Anchor,
    rules: &Rules,
) -> Result<ValidPath, CertificateProblem> {
    let mut state = State::new(path.len(), anchor, rules)?;
    let mut certificates = Vec::with_capacity(path.len());
    for (position, certificate) in path.iter().enumerate().rev() {
        let whose = if position == 0 { Whose::EndEntity } else { Whose::Authority(certificate.subject()) };
        let certificate = certificate.with_inherited_parameters(&state.key);
        state.step(&certificate, &whose, position == 0)?;
        certificates.insert(0, certificate);
    }
    let last = path.first().map(Certificate::policy_constraints).transpose();
    let require_explicit = extension(&Whose::EndEntity, last)?.flatten();
    let require_explicit = require_explicit.and_then(|found| found.require_explicit_policy);
    let policies = state.policies.wrap_up(require_explicit).map_err(policy_required(&Whose::EndEntity))?;
    Ok(ValidPath { certificates, anchor: anchor.clone(), policies, historic: state.historic })
}

/// The state variables of RFC 5280 section 6.1.2.
struct State<'r> {
    rules: &'r Rules,
    issuer: Certificate,
    key: SubjectPublicKeyInfoOwned,
    permitted: PermittedNames,
    policies: PolicyState<'r>,
    remaining_depth: u32,
    historic: Vec<(Whose, String)>,
}

impl<'r> State<'r> {
    /// At the anchor. What its certificate constrains counts, too (RFC 5937 section 3.2), and so does its validity.
    fn new(length: usize, anchor: &Anchor, rules: &'r Rules) -> Result<Self, CertificateProblem> {
        let mut state = Self {
            rules,
            issuer: anchor.certificate.clone(),
            key: anchor.certificate.public_key().clone(),
            permitted: PermittedNames::default(),
            policies: PolicyState::new(&rules.policies, length),
            remaining_depth: u32::MAX,
            historic: Vec::new(),
        };
        let whose = Whose::Authority(anchor.certificate.subject());
        check_validity(&anchor.certificate, &whose, rules.at)?;
        state.apply_constraints(&anchor.certificate, &whose)?;
        Ok(state)
    }

    /// Section 6.1.3, and for all but the last certificate 6.1.4.
    fn step(
        &mut self,
        certificate: &Certificate,
        whose: &Whose,
        last: bool,
    ) -> Result<(), CertificateProblem> {
        self.check_signature(certificate, whose)?;
        check_validity(certificate, whose, self.rules.at)?;
        if certificate.canonical_issuer() != self.issuer.canonical_subject() {
            return Err(CertificateProblem::UnknownIssuer { issuer: certificate.issuer() });
        }
        check_extensions(certificate, whose)?;
        let self_issued = certificate.is_self_issued();
        if (last || !self_issued)
            && let Some(name) = extension(whose, self.permitted.offender(certificate))?
        {
            return Err(CertificateProblem::NameNotPermitted { name });
        }
        let policies = extension(whose, certificate.policies())?;
        self.policies.certificate(policies.as_deref(), last, self_issued).map_err(policy_required(whose))?;
        if last {
            return usage::check(certificate, whose, self.rules.purpose);
        }
        self.prepare_next(certificate, whose)
    }

    /// Section 6.1.3 (a)(1). Algorithms of the past are noted, where they are accepted.
    fn check_signature(
        &mut self,
        certificate: &Certificate,
        whose: &Whose,
    ) -> Result<(), CertificateProblem> {
        let verified = match certificate.verify_signature(&self.key, Acceptance::Current) {
            Err(SignatureProblem::Unsupported(what)) if self.rules.acceptance == Acceptance::Historic => {
                let verified = certificate.verify_signature(&self.key, Acceptance::Historic);
                self.historic.push((whose.clone(), what));
                verified
            }
            verified => verified,
        };
        verified.map_err(|problem| match problem {
            SignatureProblem::Invalid => CertificateProblem::BadSignature { whose: whose.clone() },
            SignatureProblem::Unsupported(what) => {
                CertificateProblem::Unsupported { whose: whose.clone(), what }
            }
        })
    }

    /// Section 6.1.4: what a CA certificate must be, and what it passes on.
    fn prepare_next(&mut self, certificate: &Certificate, whose: &Whose) -> Result<(), CertificateProblem> {
        let refuse = |problem| CertificateProblem::NotAnAuthority { whose: whose.clone(), problem };
        if let Some(mappings) = extension(whose, certificate.policy_mappings())? {
            if mappings.iter().any(|found| [found.issuer_domain, found.subject_domain].contains(&ANY_POLICY))
            {
                return Err(malformed(whose)(CertificateError("it maps anyPolicy".to_owned())));
            }
            self.policies.mappings(&mappings);
        }
        let constraints = extension(whose, certificate.basic_constraints())?;
        if !constraints.is_some_and(|constraints| constraints.is_authority) {
            return Err(refuse("may not issue certificates"));
        }
        if !extension(whose, certificate.key_usage())?.is_none_or(|usage| usage.key_cert_sign()) {
            return Err(refuse("may not sign certificates"));
        }
        usage::check_authority(certificate, whose, self.rules.purpose)?;
        if !certificate.is_self_issued() {
            self.policies.count_down();
            self.remaining_depth = self
                .remaining_depth
                .checked_sub(1)
                .ok_or_else(|| refuse("stands deeper than the CA above it allows"))?;
        }
        self.apply_constraints(certificate, whose)?;
        self.issuer = certificate.clone();
        self.key = certificate.public_key().clone();
        Ok(())
    }

    /// Section 6.1.4 (g), (i), (j), (m): the constraints of a CA certificate or anchor.
    fn apply_constraints(
        &mut self,
        certificate: &Certificate,
        whose: &Whose,
    ) -> Result<(), CertificateProblem> {
        if let Some(constraints) = extension(whose, certificate.name_constraints())? {
            self.permitted.constrain(&constraints);
        }
        if let Some(found) = extension(whose, certificate.policy_constraints())? {
            self.policies.constrain(found.require_explicit_policy, found.inhibit_policy_mapping);
        }
        if let Some(skip) = extension(whose, certificate.inhibit_any_policy())? {
            self.policies.inhibit_any(skip);
        }
        let constraints = extension(whose, certificate.basic_constraints())?;
        if let Some(length) = constraints.and_then(|constraints| constraints.path_length) {
            self.remaining_depth = self.remaining_depth.min(length);
        }
        Ok(())
    }
}

/// What an extension says, or that the certificate cannot be read.
pub(super) fn extension<T>(
    whose: &Whose,
    found: Result<T, CertificateError>,
) -> Result<T, CertificateProblem> {
    found.map_err(malformed(whose))
}

fn malformed(whose: &Whose) -> impl FnOnce(CertificateError) -> CertificateProblem {
    |error| CertificateProblem::Malformed { whose: whose.clone(), problem: error.0 }
}

fn policy_required(whose: &Whose) -> impl FnOnce(PolicyRequired) -> CertificateProblem {
    |PolicyRequired| CertificateProblem::PolicyRequired { whose: whose.clone() }
}

fn check_validity(certificate: &Certificate, whose: &Whose, at: Timestamp) -> Result<(), CertificateProblem> {
    let whose = whose.clone();
    if at < certificate.not_before() {
        return Err(CertificateProblem::NotYetValid { whose, not_before: certificate.not_before() });
    }
    if at > certificate.not_after() {
        return Err(CertificateProblem::Expired { whose, not_after: certificate.not_after() });
    }
    Ok(())
}

/// Unknown critical extensions are refused (section 6.1.4 (o), 6.1.5 (f)); what is known must be well-formed, critical or
/// not (section 4.2).
fn check_extensions(certificate: &Certificate, whose: &Whose) -> Result<(), CertificateProblem> {
    for found in certificate.extensions().iter().filter(|found| found.critical) {
        if !PROCESSED.contains(&found.extn_id) {
            return Err(CertificateProblem::UnknownCriticalExtension {
                whose: whose.clone(),
                extension: found.extn_id.to_string(),
            });
        }
    }
    let names = extension(whose, certificate.alternative_names())?;
    if certificate.subject_name().is_empty() && names.is_none() {
        return Err(malformed(whose)(CertificateError("it names no subject".to_owned())));
    }
    extension(whose, certificate.basic_constraints())?;
    extension(whose, certificate.key_usage())?;
    extension(whose, certificate.extended_key_usages())?;
    extension(whose, certificate.policy_mappings())?;
    extension(whose, certificate.policy_constraints())?;
    extension(whose, certificate.inhibit_any_policy())?;
    extension(whose, certificate.name_constraints())?;
    extension(whose, certificate.extension::<AuthorityKeyIdentifier>())?;
    extension(whose, certificate.extension::<SubjectKeyIdentifier>())?;
    extension(whose, certificate.extension::<CrlDistributionPoints>())?;
    Ok(())
}
