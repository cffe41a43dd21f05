//! An authority with keys in memory.
use anyhow::Result;
use getrandom::SysRng;
use issuer::ca::crl::{CrlHeader, RevocationReason, RevokedCertificate};
use issuer::ca::lint::lint;
use issuer::ca::profile::{Assurance, Branch, PivExtensions, PolicyArc, StatusServices, Validity};
use issuer::ca::{Authority, Certificate, Organization, Profile, ProvenKey, SerialNumber};
use issuer::clock::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};
use middleware::{FileKey, KeyAlgorithm};
use rand_core::UnwrapErr;

/// Root and the authority for people, P-256.
pub(crate) struct Office {
    pub(crate) organization: Organization,
    pub(crate) root: Certificate,
    pub(crate) people: Authority,
    pub(crate) now: Timestamp,
}

impl Office {
    pub(crate) fn new() -> Result<Self> {
        let organization = Organization {
            name: "Example".into(),
            identifier: None,
            base_url: "http://pki.example.org".into(),
            policies: PolicyArc::default(),
            piv_extensions: PivExtensions::Omitted,
            status_services: StatusServices::default(),
        };
        let now = Timestamp::from_second(SystemClock.now().as_second())?;
        let validity = Validity::for_days(now, 3650);
        let random = &mut UnwrapErr(SysRng);
        let key = Box::new(FileKey::generate(KeyAlgorithm::P256)?);
        let mut root = Authority::create_root(&organization, key, SerialNumber::random(random), validity)?;
        let mut key = FileKey::generate(KeyAlgorithm::P256)?;
        let proven = ProvenKey::of_signer(&mut key, random)?;
        let profile = Profile::IssuingAuthority(Branch::People);
        let serial_number = SerialNumber::random(random);
        let unsigned =
            root.prepare(&organization, &profile, Assurance::Production, &proven, serial_number, validity)?;
        let certificate = root.sign(lint(unsigned)?)?;
        let people = Authority::open(certificate, Box::new(key))?;
        Ok(Self { organization, root: root.certificate().clone(), people, now })
    }

    pub(crate) fn header(&self, number: u64) -> CrlHeader {
        CrlHeader {
            number,
            this_update: self.now,
            next_update: self.now.saturating_add(SignedDuration::from_hours(7 * 24)).unwrap_or(self.now),
        }
    }
}

/// Revocations with serial numbers of 16 octets, a reason, and times that differ.
pub(crate) fn revocations(count: u64, now: Timestamp) -> impl Iterator<Item = RevokedCertificate> {
    (0..count).filter_map(move |number| {
        let octets =
            (0x4000_0000_0000_0000_0000_0000_0000_0000_u128 + (u128::from(number) << 64)).to_be_bytes();
        let seconds = i64::try_from(number % 10_000_000).ok()?;
        Some(RevokedCertificate {
            serial_number: SerialNumber::from_bytes(&octets).ok()?,
            revocation_date: now.saturating_sub(SignedDuration::from_secs(seconds)).ok()?,
            reason: RevocationReason::KeyCompromise,
            invalidity_date: None,
        })
    })
}
