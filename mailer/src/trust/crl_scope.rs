//! For which certificates and which reasons a CRL speaks (RFC 5280 sections 4.2.1.13, 5.2.5 and 6.3.3 (b), (d), (e)).
use std::ops::{BitAnd, BitOr};

use der::Decode;
use x509_cert::ext::pkix::crl::dp::{DistributionPoint, IssuingDistributionPoint, ReasonFlags};
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{BasicConstraints, CrlDistributionPoints};
use x509_cert::name::{Name, RdnSequence};

use super::crl::{CertificateList, encoded};
use crate::certificate::{Certificate, CertificateError, names};

/// The most distribution points of a certificate that are looked at.
const MOST_POINTS: usize = 32;

/// A set of reasons for revocation, by the bits of ReasonFlags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reasons(u16);

impl Reasons {
    /// keyCompromise (1) to aACompromise (8).
    pub(super) const ALL: Self = Self(0b1_1111_1110);

    fn of(flags: Option<ReasonFlags>) -> Self {
        flags.map_or(Self::ALL, |flags| Self(flags.bits() & Self::ALL.0))
    }

    /// Whether there is a reason here that is not among `known`.
    pub(super) fn adds_to(self, known: Self) -> bool {
        self.0 & !known.0 != 0
    }
}

impl BitAnd for Reasons {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Reasons {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A place where a certificate says that its CRLs are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    /// Every form of its name; empty where it has none.
    names: Vec<GeneralName>,
    has_name: bool,
    reasons: Option<ReasonFlags>,
    crl_issuers: Vec<Name>,
    has_crl_issuer: bool,
}

impl Point {
    /// The distribution points of a certificate, and the one that every certificate has: lists of its issuer.
    pub(super) fn of(certificate: &Certificate) -> Result<Vec<Self>, CertificateError> {
        let extension = certificate.extension::<CrlDistributionPoints>()?;
        let listed = extension.map(|points| points.0).unwrap_or_default();
        if listed.len() > MOST_POINTS {
            return Err(CertificateError("it has too many CRL distribution points".to_owned()));
        }
        let named = listed.iter().map(|point| Self::named(point, certificate.issuer_name()));
        Ok(named.chain([Self::default()]).collect())
    }

    fn named(point: &DistributionPoint, issuer: &Name) -> Self {
        let crl_issuers: Vec<Name> = point
            .crl_issuer
            .iter()
            .flatten()
            .filter_map(|name| match name {
                GeneralName::DirectoryName(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        // A name relative to the CRL issuer: to the one that the point names, else to the certificate's issuer.
        let base = crl_issuers.first().unwrap_or(issuer);
        Self {
            names: point.distribution_point.as_ref().map(|name| full_names(name, base)).unwrap_or_default(),
            has_name: point.distribution_point.is_some(),
            reasons: point.reasons,
            has_crl_issuer: point.crl_issuer.is_some(),
            crl_issuers,
        }
    }

    /// Whether this point leaves revocation to somebody with this name.
    pub(super) fn names_crl_issuer(&self, name: &Name) -> bool {
        self.crl_issuers.iter().any(|issuer| names::same_name(issuer, name))
    }

    /// Whether a list is one that this point of the certificate means, and for which reasons; otherwise why not.
    /// Section 6.3.3 (b) and (d).
    pub(super) fn admits(
        &self,
        list: &CertificateList,
        certificate: &Certificate,
    ) -> Result<Reasons, Mismatch> {
        if self.has_crl_issuer {
            if !self.names_crl_issuer(list.issuer_name()) || !list.is_indirect() {
                return Err(Mismatch::Issuer);
            }
        } else if !names::same_name(list.issuer_name(), certificate.issuer_name()) {
            return Err(Mismatch::Issuer);
        }
        let own = Reasons::of(self.reasons);
        let Some(scope) = &list.header().scope else { return Ok(own) };
        if !covers_kind(scope, certificate) || !self.meets(scope, list.issuer_name()) {
            return Err(Mismatch::Scope);
        }
        Ok(own & Reasons::of(scope.only_some_reasons))
    }

    /// Section 6.3.3 (b) (2) (i): a name of the list's point is one of this point's.
    fn meets(&self, scope: &IssuingDistributionPoint, list_issuer: &Name) -> bool {
        let Some(name) = &scope.distribution_point else { return true };
        let list_names = full_names(name, list_issuer);
        if self.has_name {
            return list_names.iter().any(|one| self.names.iter().any(|other| same_general_name(one, other)));
        }
        list_names.iter().any(|name| match name {
            GeneralName::DirectoryName(name) => self.names_crl_issuer(name),
            _ => false,
        })
    }
}

/// Why a list is not the one that a distribution point means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// It is somebody else's.
    Issuer,
    /// It is the right issuer's, but for other certificates.
    Scope,
}

/// Section 6.3.3 (b) (2) (ii) to (iv).
fn covers_kind(scope: &IssuingDistributionPoint, certificate: &Certificate) -> bool {
    let is_ca =
        matches!(certificate.extension::<BasicConstraints>(), Ok(Some(constraints)) if constraints.ca);
    !(scope.only_contains_user_certs && is_ca
        || scope.only_contains_ca_certs && !is_ca
        || scope.only_contains_attribute_certs)
}

/// The names of a point; one that is relative to the CRL issuer becomes a whole one.
fn full_names(name: &DistributionPointName, issuer: &Name) -> Vec<GeneralName> {
    match name {
        DistributionPointName::FullName(names) => names.clone(),
        DistributionPointName::NameRelativeToCRLIssuer(relative) => {
            let relative_names = issuer.iter_rdn().cloned().chain([relative.clone()]);
            let sequence = RdnSequence::from(relative_names.collect::<Vec<_>>());
            let name = encoded(&sequence).and_then(|der| Name::from_der(&der).ok());
            name.map(GeneralName::DirectoryName).into_iter().collect()
        }
    }
}

/// Directory names as names are compared, everything else octet by octet.
fn same_general_name(one: &GeneralName, other: &GeneralName) -> bool {
    match (one, other) {
        (GeneralName::DirectoryName(one), GeneralName::DirectoryName(other)) => names::same_name(one, other),
        _ => encoded(one).is_some() && encoded(one) == encoded(other),
    }
}
