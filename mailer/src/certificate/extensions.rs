//! The extensions on which paths depend, read strictly (RFC 5280 section 4.2.1).
use const_oid::ObjectIdentifier;

use super::general_name::GeneralName;
use super::tlv::{Element, Elements, Malformed, tag};
use super::{Certificate, CertificateError};

/// Object identifiers of the extensions.
pub(crate) mod id {
    use const_oid::ObjectIdentifier;

    pub(crate) const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
    pub(crate) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
    pub(crate) const SUBJECT_ALTERNATIVE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
    pub(crate) const ISSUER_ALTERNATIVE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.18");
    pub(crate) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
    pub(crate) const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
    pub(crate) const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
    pub(crate) const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
    pub(crate) const POLICY_MAPPINGS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.33");
    pub(crate) const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
    pub(crate) const POLICY_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.36");
    pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
    pub(crate) const INHIBIT_ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.54");
}

/// The policy that stands for every other (RFC 5280 section 4.2.1.4).
pub const ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");

/// `BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER (0..MAX) OPTIONAL }`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) is_authority: bool,
    pub(crate) path_length: Option<u32>,
}

/// The bits of a keyUsage extension (section 4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyUsage(u16);

impl KeyUsage {
    const fn has(self, bit: u16) -> bool {
        self.0 & (0x8000 >> bit) != 0
    }

    pub(crate) const fn digital_signature(self) -> bool {
        self.has(0)
    }

    pub(crate) const fn non_repudiation(self) -> bool {
        self.has(1)
    }

    pub(crate) const fn key_encipherment(self) -> bool {
        self.has(2)
    }

    pub(crate) const fn key_agreement(self) -> bool {
        self.has(4)
    }

    pub(crate) const fn key_cert_sign(self) -> bool {
        self.has(5)
    }

    pub(crate) const fn crl_sign(self) -> bool {
        self.has(6)
    }

    /// `KeyUsage ::= BIT STRING`, without zero bits at its end (X.690 section 11.2.2); at least one bit is set.
    fn parse(value: &[u8]) -> Result<Self, Malformed> {
        let contents = Element::only(value, tag::BIT_STRING)?.contents;
        let (unused, bits) = contents.split_first().ok_or(Malformed::Truncated)?;
        let last = *bits.last().ok_or(Malformed::Bits)?;
        if last == 0 || u32::from(*unused) != last.trailing_zeros() {
            return Err(Malformed::Bits);
        }
        let octet = |index| u16::from(bits.get(index).copied().unwrap_or_default());
        Ok(Self(octet(0) << 8 | octet(1)))
    }
}

/// `PolicyConstraints ::= SEQUENCE { requireExplicitPolicy [0] INTEGER OPTIONAL, inhibitPolicyMapping [1] INTEGER OPTIONAL }`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyConstraints {
    pub(crate) require_explicit_policy: Option<u32>,
    pub(crate) inhibit_policy_mapping: Option<u32>,
}

/// `NameConstraints ::= SEQUENCE { permittedSubtrees [0] GeneralSubtrees OPTIONAL, excludedSubtrees [1] OPTIONAL }`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameConstraints {
    pub(crate) permitted: Vec<GeneralName>,
    pub(crate) excluded: Vec<GeneralName>,
}

/// `PolicyMappings ::= SEQUENCE SIZE (1..MAX) OF SEQUENCE { issuerDomainPolicy, subjectDomainPolicy }`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PolicyMapping {
    pub(crate) issuer_domain: ObjectIdentifier,
    pub(crate) subject_domain: ObjectIdentifier,
}

impl Certificate {
    /// Whether the subject is a CA, and how deep it may go (section 4.2.1.9).
    pub(crate) fn basic_constraints(&self) -> Result<Option<BasicConstraints>, CertificateError> {
        self.read(id::BASIC_CONSTRAINTS, |value| {
            let mut parts = sequence(value)?;
            let is_authority = match parts.optional(tag::BOOLEAN)? {
                None => false,
                Some(found) if found.contents == [0xFF] => true,
                Some(_) => return Err(Malformed::Boolean),
            };
            let path_length = parts.optional(tag::INTEGER)?.map(|found| count(&found)).transpose()?;
            parts.finish()?;
            Ok(BasicConstraints { is_authority, path_length })
        })
    }

    /// What the key may be used for.
    pub(crate) fn key_usage(&self) -> Result<Option<KeyUsage>, CertificateError> {
        self.read(id::KEY_USAGE, KeyUsage::parse)
    }

    /// The purposes of the key (section 4.2.1.12).
    pub(crate) fn extended_key_usages(&self) -> Result<Option<Vec<ObjectIdentifier>>, CertificateError> {
        self.read(id::EXTENDED_KEY_USAGE, |value| list(value, |usage| identifier(&usage)))
    }

    /// Every name of the subjectAltName extension.
    pub(crate) fn alternative_names(&self) -> Result<Option<Vec<GeneralName>>, CertificateError> {
        self.read(id::SUBJECT_ALTERNATIVE_NAME, |value| list(value, |name| GeneralName::parse(&name)))
    }

    /// The certificate's policies, without their qualifiers; none stands there twice.
    pub(crate) fn policies(&self) -> Result<Option<Vec<ObjectIdentifier>>, CertificateError> {
        self.read(id::CERTIFICATE_POLICIES, |value| {
            let policies = list(value, |policy| {
                let mut parts = inner(&policy)?;
                let identifier = parts.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
                parts.optional(tag::SEQUENCE)?;
                parts.finish()?;
                Ok(identifier)
            })?;
            let distinct: std::collections::BTreeSet<_> = policies.iter().collect();
            if distinct.len() == policies.len() { Ok(policies) } else { Err(Malformed::Twice) }
        })
    }

    /// Which of the issuer's policies are equal to which of the subject's.
    pub(crate) fn policy_mappings(&self) -> Result<Option<Vec<PolicyMapping>>, CertificateError> {
        self.read(id::POLICY_MAPPINGS, |value| {
            list(value, |mapping| {
                let mut parts = inner(&mapping)?;
                let issuer_domain = parts.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
                let subject_domain = parts.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
                parts.finish()?;
                Ok(PolicyMapping { issuer_domain, subject_domain })
            })
        })
    }

    /// From where on policies are required, and mappings forbidden; one of both must be said.
    pub(crate) fn policy_constraints(&self) -> Result<Option<PolicyConstraints>, CertificateError> {
        self.read(id::POLICY_CONSTRAINTS, |value| {
            let mut parts = sequence(value)?;
            let mut number = |tag| parts.optional(tag)?.map(|found| count(&found)).transpose();
            let (require_explicit_policy, inhibit_policy_mapping) =
                (number(tag::context(0))?, number(tag::context(1))?);
            parts.finish()?;
            if require_explicit_policy.is_none() && inhibit_policy_mapping.is_none() {
                return Err(Malformed::Empty);
            }
            Ok(PolicyConstraints { require_explicit_policy, inhibit_policy_mapping })
        })
    }

    /// From where on anyPolicy counts for nothing.
    pub(crate) fn inhibit_any_policy(&self) -> Result<Option<u32>, CertificateError> {
        self.read(id::INHIBIT_ANY_POLICY, |value| count(&Element::only(value, tag::INTEGER)?))
    }

    /// Which names a CA may certify. A minimum other than 0 and a maximum have no meaning (section 4.2.1.10): refused.
    pub(crate) fn name_constraints(&self) -> Result<Option<NameConstraints>, CertificateError> {
        self.read(id::NAME_CONSTRAINTS, |value| {
            let mut parts = sequence(value)?;
            let mut subtrees = |tag| match parts.optional(tag)? {
                Some(found) => elements_of(found.elements(), |subtree| {
                    let mut parts = inner(&subtree)?;
                    let base = GeneralName::parse(&parts.next()?.ok_or(Malformed::Truncated)?)?;
                    parts.finish().map_err(|_| Malformed::Distance)?;
                    Ok(base)
                }),
                None => Ok(Vec::new()),
            };
            let permitted = subtrees(tag::context_constructed(0))?;
            let excluded = subtrees(tag::context_constructed(1))?;
            parts.finish()?;
            if permitted.is_empty() && excluded.is_empty() {
                return Err(Malformed::Empty);
            }
            Ok(NameConstraints { permitted, excluded })
        })
    }

    /// Reads one extension; `None` when absent.
    fn read<T>(
        &self,
        identifier: ObjectIdentifier,
        parse: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, CertificateError> {
        let found = self.extensions().iter().find(|extension| extension.extn_id == identifier);
        let parsed = found.map(|extension| parse(extension.extn_value.as_bytes())).transpose();
        parsed.map_err(|problem| {
            CertificateError(format!("the extension {identifier} of the certificate is malformed: {problem}"))
        })
    }
}

fn sequence(value: &[u8]) -> Result<Elements<'_>, Malformed> {
    Ok(Element::only(value, tag::SEQUENCE)?.elements())
}

fn inner<'a>(element: &Element<'a>) -> Result<Elements<'a>, Malformed> {
    match element.tag {
        tag::SEQUENCE => Ok(element.elements()),
        other => Err(Malformed::Unexpected(other, tag::SEQUENCE)),
    }
}

/// `SEQUENCE SIZE (1..MAX) OF`.
fn list<'a, T>(
    value: &'a [u8],
    parse: impl FnMut(Element<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    elements_of(sequence(value)?, parse)
}

fn elements_of<'a, T>(
    mut elements: Elements<'a>,
    mut parse: impl FnMut(Element<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut found = Vec::new();
    while let Some(element) = elements.next()? {
        found.push(parse(element)?);
    }
    if found.is_empty() { Err(Malformed::Empty) } else { Ok(found) }
}

fn identifier(element: &Element<'_>) -> Result<ObjectIdentifier, Malformed> {
    match element.tag {
        tag::OBJECT_IDENTIFIER => element.object_identifier(),
        other => Err(Malformed::Unexpected(other, tag::OBJECT_IDENTIFIER)),
    }
}

/// `INTEGER (0..MAX)`; what is too large for any path is as large as can be.
fn count(element: &Element<'_>) -> Result<u32, Malformed> {
    let octets = element.integer()?;
    if octets.first().is_some_and(|first| *first >= 0x80) {
        return Err(Malformed::Integer);
    }
    let digits = octets.iter().skip_while(|octet| **octet == 0);
    Ok(digits
        .clone()
        .try_fold(0_u32, |number, octet| (number <= u32::MAX >> 8).then_some(number << 8 | u32::from(*octet)))
        .unwrap_or(u32::MAX))
}
