//! An authority: its certificate, and its key wherever that lives.
pub mod succession;

use std::borrow::Borrow;
use std::io::Write;

use middleware::{SignatureScheme, Signer};
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

use super::algorithm::{self, Digester, KeyKind};
use super::certificate::{Certificate, UnsignedCertificate, key_identifier, timestamp};
use super::crl::encode::{CrlIssuer, UnsignedCrl};
use super::crl::{CrlHeader, CrlScope, RevokedCertificate};
use super::error::CaError;
use super::lint::external::{self, ExternalLint};
use super::lint::{self, LintedCertificate};
use super::possession::{ProvenKey, verify_signature};
use super::profile::assemble::{Issuer, assemble};
use super::profile::{Assurance, Organization, Profile, Validity, policy};
use super::serial_number::SerialNumber;

/// A certification authority that can sign.
pub struct Authority {
    certificate: Certificate,
    key: KeyKind,
    signer: Box<dyn Signer>,
    external: Option<Box<dyn ExternalLint>>,
}

impl Authority {
    /// Opens an authority with its certificate and key.
    ///
    /// # Errors
    /// [`CaError::KeyMismatch`], or a certificate that is not a CA's.
    pub fn open(certificate: Certificate, signer: Box<dyn Signer>) -> Result<Self, CaError> {
        if !certificate.is_authority() {
            return Err(CaError::malformed("CA certificate", "basicConstraints do not say that it is one"));
        }
        if signer.public_key() != certificate.public_key() {
            return Err(CaError::KeyMismatch { subject: certificate.subject() });
        }
        let key = KeyKind::of(signer.public_key())?;
        Ok(Self { certificate, key, signer, external: None })
    }

    /// Makes a root: certifies the signer's own key, linted and self-signed. The signature is the proof of
    /// possession.
    ///
    /// # Errors
    /// As [`Authority::prepare`], [`super::lint::lint`] and [`Authority::sign`].
    pub fn create_root(
        organization: &Organization,
        mut signer: Box<dyn Signer>,
        serial_number: SerialNumber,
        validity: Validity,
    ) -> Result<Self, CaError> {
        let own_key = ProvenKey::of_self_signed(signer.public_key().clone());
        let profile = Profile::Root;
        let key = KeyKind::of(signer.public_key())?;
        let issuer = Issuer { subject: None, key_identifier: &key_identifier(signer.public_key()), key };
        let validity = validity.cut(profile.maximum_days(), None)?;
        let unsigned = assemble(
            &issuer,
            organization,
            &profile,
            Assurance::Production,
            &own_key,
            &serial_number,
            validity,
        )?;
        let certificate = sign_certificate(signer.as_mut(), key, &lint::lint(unsigned)?)?;
        Self::open(certificate, signer)
    }

    /// The same with somebody else's lint, which sees every certificate before it is signed.
    #[must_use]
    pub fn with_external_lint(mut self, external: Box<dyn ExternalLint>) -> Self {
        self.external = Some(external);
        self
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Builds the certificate of a proven key after a profile. The validity is cut to the profile's maximum
    /// and to the end of the authority's own certificate.
    ///
    /// # Errors
    /// [`CaError::Field`] for what cannot be encoded, [`CaError::AuthorityExpired`],
    /// [`CaError::PolicyNotAllowed`].
    pub fn prepare(
        &self,
        organization: &Organization,
        profile: &Profile,
        assurance: Assurance,
        key: &ProvenKey,
        serial_number: SerialNumber,
        validity: Validity,
    ) -> Result<UnsignedCertificate, CaError> {
        let allowed = self.certificate.policies();
        let wanted = policy::policies(organization, profile, assurance);
        // A root without policies passes any on (RFC 5280 section 6.1.1); an issuing authority only those it
        // lists.
        if let Some(policy) = wanted.iter().find(|policy| !allowed.is_empty() && !allowed.contains(policy)) {
            return Err(CaError::PolicyNotAllowed { policy: *policy, authority: self.certificate.subject() });
        }
        let own =
            Validity { not_before: self.certificate.not_before(), not_after: self.certificate.not_after() };
        let validity = validity.cut(profile.maximum_days(), Some(own))?;
        let issuer = Issuer {
            subject: Some(&self.certificate.tbs().subject),
            key_identifier: &key_identifier(self.certificate.public_key()),
            key: self.key,
        };
        assemble(&issuer, organization, profile, assurance, key, &serial_number, validity)
    }

    /// Signs a linted certificate, once.
    ///
    /// # Errors
    /// [`CaError::NotOurs`] when it was prepared for another authority, [`CaError::ExternalLint`], or the key's failure.
    pub fn sign(&mut self, certificate: LintedCertificate) -> Result<Certificate, CaError> {
        let tbs = certificate.unsigned().tbs();
        if tbs.issuer != self.certificate.tbs().subject {
            return Err(CaError::NotOurs("the issuer's name is another"));
        }
        let issuer_key = tbs.extension::<AuthorityKeyIdentifier>()?.and_then(|(_, id)| id.key_identifier);
        if issuer_key != Some(key_identifier(self.certificate.public_key())) {
            return Err(CaError::NotOurs("the issuer's key is another"));
        }
        if timestamp(tbs.validity.not_after) > self.certificate.not_after()
            || timestamp(tbs.validity.not_before) < self.certificate.not_before()
        {
            return Err(CaError::NotOurs("it outlives the authority's own certificate"));
        }
        if let Some(external) = &self.external {
            let sample = external::unsigned_sample(&certificate, self.key)?;
            external.judge(&sample).map_err(CaError::ExternalLint)?;
        }
        sign_certificate(self.signer.as_mut(), self.key, &certificate)
    }

    /// Signs a complete CRL while streaming it: entries strictly ascending by serial number, in constant memory.
    ///
    /// # Errors
    /// As [`Authority::sign_scoped_crl`].
    pub fn sign_crl<B, E>(
        &mut self,
        header: CrlHeader,
        entries: impl IntoIterator<Item = Result<B, E>>,
        out: &mut impl Write,
    ) -> Result<(), CaError>
    where
        B: Borrow<RevokedCertificate>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.sign_scoped_crl(header, &CrlScope::default(), entries, out)
    }

    /// The same for a CRL that covers a part, or is a delta, or has one.
    ///
    /// # Errors
    /// The entries' own error, entries twice or out of order, `out`, or the key. What was written to `out`
    /// is then not a CRL.
    pub fn sign_scoped_crl<B, E>(
        &mut self,
        header: CrlHeader,
        scope: &CrlScope,
        entries: impl IntoIterator<Item = Result<B, E>>,
        out: &mut impl Write,
    ) -> Result<(), CaError>
    where
        B: Borrow<RevokedCertificate>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let scheme = self.key.scheme();
        let issuer = CrlIssuer {
            name: &self.certificate.tbs().subject,
            key_identifier: &key_identifier(self.certificate.public_key()),
            algorithm: algorithm::identifier(scheme)?,
        };
        let mut unsigned = UnsignedCrl::collect(&issuer, header, scope, entries)?;
        let mut digester = Digester::new(algorithm::digest_of(scheme)?);
        unsigned.digest(&mut digester)?;
        let signature = checked_signature(self.signer.as_mut(), scheme, &digester.finish())?;
        unsigned.write(&signature, out)
    }
}

fn sign_certificate(
    signer: &mut dyn Signer,
    key: KeyKind,
    certificate: &LintedCertificate,
) -> Result<Certificate, CaError> {
    let scheme = key.scheme();
    if algorithm::scheme(&certificate.unsigned().tbs().signature) != Some(scheme) {
        return Err(CaError::NotOurs("the signature algorithm is another"));
    }
    let digest = Digester::digest(algorithm::digest_of(scheme)?, certificate.as_der());
    let signature = checked_signature(signer, scheme, &digest)?;
    Certificate::assemble(certificate.unsigned(), &signature)
}

/// A signature that does not verify never leaves the authority: a fault in a signing device would give the
/// key away.
pub(super) fn checked_signature(
    signer: &mut dyn Signer,
    scheme: SignatureScheme,
    digest: &[u8],
) -> Result<Vec<u8>, CaError> {
    let signature = signer.sign(scheme, digest)?;
    verify_signature(signer.public_key(), scheme, digest, &signature)?;
    Ok(signature)
}
