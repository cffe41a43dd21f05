//! What comes after a CA certificate: a new one of the same key, a new key, and certificates between authorities.
//!
//! A new key gets a name of its own (`... G2`): whose CRL and whose signature something is, is then told by names alone,
//! for every reader, also for those that look at nothing else.
use const_oid::AssociatedOid;
use der::Decode;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::name::Name;

use middleware::Signer;

use super::{Authority, sign_certificate};
use crate::ca::algorithm::KeyKind;
use crate::ca::certificate::{Certificate, UnsignedCertificate, key_identifier};
use crate::ca::error::CaError;
use crate::ca::lint;
use crate::ca::possession::ProvenKey;
use crate::ca::profile::assemble::{Issuer, assemble};
use crate::ca::profile::{Assurance, Organization, Profile, Validity, extension, name};
use crate::ca::serial_number::SerialNumber;

/// For whom an authority of somebody else speaks.
#[derive(Clone, Debug)]
pub enum CrossScope {
    /// Another key of ours: for everything.
    Ourselves,
    /// Another organisation's: for mail addresses in these domains, and nothing else.
    Domains {
        /// Those, and what lies below them.
        domains: Vec<String>,
        /// How many authorities may follow below it (pathLenConstraint, RFC 5280 section 4.2.1.9), if it allows as many.
        path_length: u8,
    },
}

/// What an authority that follows is called.
pub enum Succession<'a> {
    /// As before: the key is the same.
    SameName(&'a Certificate),
    /// By the number of its key.
    Generation(u32),
}

impl Authority {
    /// Builds the certificate of an authority below this one that follows another.
    ///
    /// # Errors
    /// As [`Authority::prepare`].
    pub fn prepare_successor(
        &self,
        organization: &Organization,
        (profile, assurance): (&Profile, Assurance),
        succession: &Succession<'_>,
        key: &ProvenKey,
        serial_number: SerialNumber,
        validity: Validity,
    ) -> Result<UnsignedCertificate, CaError> {
        let unsigned = self.prepare(organization, profile, assurance, key, serial_number, validity)?;
        named(&unsigned, &succession.name(organization, profile)?)
    }

    /// Makes the root that follows: a new certificate of the same key, or one of a new key.
    ///
    /// # Errors
    /// As [`Authority::create_root`].
    pub fn succeed_root(
        organization: &Organization,
        succession: &Succession<'_>,
        mut signer: Box<dyn Signer>,
        serial_number: SerialNumber,
        validity: Validity,
    ) -> Result<Self, CaError> {
        let own_key = ProvenKey::of_self_signed(signer.public_key().clone());
        let (profile, key) = (Profile::Root, KeyKind::of(signer.public_key())?);
        let issuer = Issuer { subject: None, key_identifier: &key_identifier(signer.public_key()), key };
        let validity = validity.cut(profile.maximum_days(), None)?;
        let assurance = Assurance::Production;
        let unsigned =
            assemble(&issuer, organization, &profile, assurance, &own_key, &serial_number, validity)?;
        let unsigned = named(&unsigned, &succession.name(organization, &profile)?)?;
        let certificate = sign_certificate(signer.as_mut(), key, &lint::lint(unsigned)?)?;
        Self::open(certificate, signer)
    }

    /// Builds a cross-certificate: this authority says of another's key and name that they are good.
    ///
    /// # Errors
    /// The other is not a CA certificate, has a key that is not supported, or did not sign itself and is not known to hold
    /// its key.
    pub fn prepare_cross_certificate(
        &self,
        organization: &Organization,
        other: &Certificate,
        scope: &CrossScope,
        serial_number: SerialNumber,
        validity: Validity,
    ) -> Result<UnsignedCertificate, CaError> {
        if !other.is_authority() {
            return Err(CaError::malformed("CA certificate", "basicConstraints do not say that it is one"));
        }
        // Its own signature is the proof that the key is somebody's who calls himself so.
        other.verify_issuer(other)?;
        let key = ProvenKey::of_self_signed(other.public_key().clone());
        KeyKind::of(key.public_key())?;
        let own =
            Validity { not_before: self.certificate.not_before(), not_after: self.certificate.not_after() };
        let validity = validity
            .cut(Profile::IssuingAuthority(crate::ca::profile::Branch::People).maximum_days(), Some(own))?;
        let validity = Validity { not_after: validity.not_after.min(other.not_after()), ..validity };
        let identifier = key_identifier(self.certificate.public_key());
        let issuer = Issuer {
            subject: Some(&self.certificate.tbs().subject),
            key_identifier: &identifier,
            key: self.key,
        };
        let assurance = Assurance::Production;
        let unsigned =
            assemble(&issuer, organization, &Profile::Root, assurance, &key, &serial_number, validity)?;
        let mut tbs = unsigned.tbs().clone();
        tbs.subject = other.tbs().subject.clone();
        let mut extensions = tbs.extensions.take().unwrap_or_default();
        extensions.extend(of_scope(scope)?);
        // The other's certificates name their issuer's key as it names it.
        replace_key_identifier(&mut extensions, other)?;
        if let CrossScope::Domains { path_length, .. } = scope {
            let length = path_length_of(other).map_or(*path_length, |own| own.min(*path_length));
            replace(&mut extensions, &extension::basic_constraints(Some(length))?);
        }
        tbs.extensions = Some(extensions);
        UnsignedCertificate::from_tbs(&tbs)
    }
}

impl Succession<'_> {
    fn name(&self, organization: &Organization, profile: &Profile) -> Result<Name, CaError> {
        match self {
            Self::SameName(certificate) => Ok(certificate.tbs().subject.clone()),
            Self::Generation(number) => name::of_generation(organization, profile, *number),
        }
    }
}

fn named(unsigned: &UnsignedCertificate, name: &Name) -> Result<UnsignedCertificate, CaError> {
    let mut tbs = unsigned.tbs().clone();
    if tbs.is_self_issued() {
        tbs.issuer = name.clone();
    }
    tbs.subject = name.clone();
    UnsignedCertificate::from_tbs(&tbs)
}

fn of_scope(scope: &CrossScope) -> Result<Vec<Extension>, CaError> {
    let mut extensions = vec![extension::certificate_policies(&[extension::ANY_POLICY])?];
    if let CrossScope::Domains { domains, .. } = scope {
        extensions
            .push(extension::extended_key_usage(extension::Criticality::No, &[extension::EMAIL_PROTECTION])?);
        extensions.push(extension::permitted_mail_domains(domains)?);
    }
    Ok(extensions)
}

fn replace_key_identifier(extensions: &mut [Extension], other: &Certificate) -> Result<(), CaError> {
    if other.subject_key_identifier().is_empty() {
        return Ok(());
    }
    let identifier = der::asn1::OctetString::new(other.subject_key_identifier())
        .map_err(|error| CaError::malformed("key identifier", error))?;
    replace(extensions, &extension::subject_key_identifier(&identifier)?);
    Ok(())
}

fn replace(extensions: &mut [Extension], new: &Extension) {
    for extension in extensions.iter_mut().filter(|extension| extension.extn_id == new.extn_id) {
        *extension = new.clone();
    }
}

/// How many authorities a CA allows below itself; none where it does not say.
fn path_length_of(authority: &Certificate) -> Option<u8> {
    let extensions = authority.tbs().extensions.as_ref()?;
    let constraints = extensions.iter().find(|extension| extension.extn_id == BasicConstraints::OID)?;
    BasicConstraints::from_der(constraints.extn_value.as_bytes()).ok()?.path_len_constraint
}
