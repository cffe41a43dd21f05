//! A certificate linted and signed, on one thread, beside the bare builder of x509-cert.
use std::time::Duration;

use anyhow::{Context, Result};
use der::Decode;
use getrandom::SysRng;
use issuer::ca::lint::lint;
use issuer::ca::profile::{Assurance, CardHolder, CardUuid, PersonName, Validity};
use issuer::ca::{Profile, ProvenKey, SerialNumber};
use middleware::{FileKey, KeyAlgorithm};
use p256::ecdsa::{DerSignature, SigningKey};
use rand_core::UnwrapErr;
use sealwright_tests::measure::{Row, by_turns};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::Extension;
use x509_cert::name::Name;

use super::office::Office;
use crate::microseconds;

const CERTIFICATES: [(u32, &str); 2] = [(1_000, "1,000"), (5_000, "5,000")];
const ROUNDS: usize = 3;

/// The limit, 200 us, is 5,000 certificates a second.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let mut office = Office::new()?;
    let random = &mut UnwrapErr(SysRng);
    let mut holder_key = FileKey::generate(KeyAlgorithm::P256)?;
    let proven = ProvenKey::of_signer(&mut holder_key, random)?;
    let profile = Profile::DigitalSignature(CardHolder {
        name: PersonName::whole("Alice Archer"),
        identifier: Some("1001".into()),
        mail: vec!["alice@example.org".parse()?],
        card: CardUuid([0x5A; 16]),
    });
    let validity = Validity::for_days(office.now, 700);
    let mut certify = || {
        let serial_number = SerialNumber::random(random);
        let people = &mut office.people;
        let assurance = Assurance::Production;
        let unsigned =
            people.prepare(&office.organization, &profile, assurance, &proven, serial_number, validity)?;
        anyhow::Ok(people.sign(lint(unsigned)?)?)
    };
    let peer = Peer::new(&certify()?)?;
    let mut rows = Vec::new();
    for (count, size) in CERTIFICATES {
        let ours = || (0..count).try_for_each(|_| certify().map(drop));
        let (ours, theirs) = by_turns(ROUNDS, ours, || peer.certify(count))?;
        let each = |time: Duration| microseconds(time) / f64::from(count);
        rows.push(Row {
            area: "issuer",
            name: "a certificate linted and signed, P-256",
            size,
            ours: each(ours),
            peer: each(theirs),
            peer_name: "x509-cert builder and p256, no lint, no check of the signature",
            limit: 200.0,
            unit: "us",
        });
    }
    Ok(rows)
}

/// The loop that anybody would write with the same crates: the same names and extensions, built and signed.
struct Peer {
    signer: SigningKey,
    sample: x509_cert::Certificate,
}

impl Peer {
    fn new(sample: &issuer::ca::Certificate) -> Result<Self> {
        let signer = SigningKey::from_slice(&[0x42; 32]).ok().context("a P-256 key")?;
        Ok(Self { signer, sample: x509_cert::Certificate::from_der(sample.as_der())? })
    }

    fn certify(&self, count: u32) -> Result<()> {
        let tbs = self.sample.tbs_certificate();
        for number in 0..count {
            let serial = (0x4000_0000_0000_0000_0000_0000_0000_0000_u128 + u128::from(number)).to_be_bytes();
            let key = tbs.subject_public_key_info().clone();
            let serial = x509_cert::serial_number::SerialNumber::new(&serial)?;
            let builder = CertificateBuilder::new(Same(tbs), serial, *tbs.validity(), key)?;
            builder.build::<_, DerSignature>(&self.signer)?;
        }
        Ok(())
    }
}

/// Another certificate of the same names and extensions.
struct Same<'a>(&'a TbsCertificate);

impl BuilderProfile for Same<'_> {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.0.issuer().clone()
    }

    fn get_subject(&self) -> Name {
        self.0.subject().clone()
    }

    fn build_extensions(
        &self,
        _key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        _tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        Ok(self.0.extensions().cloned().unwrap_or_default())
    }
}
