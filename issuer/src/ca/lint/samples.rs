//! Good samples of every profile, and the means to spoil them.
use std::convert::Infallible;
use std::io::Write;
use std::process::{Command, Stdio};

use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::OctetString;
use der::{Decode, Encode};
use getrandom::SysRng;
use jiff::Timestamp;
use rand_core::UnwrapErr;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::crl::CertificateList;
use x509_cert::ext::Extension;
use x509_cert::name::Name;

use super::{CertificateRule, CrlRule, Sample};
use crate::ca::certificate::TbsCertificate;
use crate::ca::crl::view::CrlView;
use crate::ca::crl::{CrlHeader, CrlScope, RevocationReason, RevokedCertificate};
use crate::ca::possession::ProvenKey;
use crate::ca::profile::{
    Assurance, Branch, CardHolder, CardUuid, MailServer, Organization, PersonName, PivExtensions,
    StatusServices, Validity,
};
use crate::ca::test_key::TestKey;
use crate::ca::{Authority, Profile, SerialNumber};

/// Every profile; people with ordinary and internationalized addresses.
pub(super) fn profiles() -> Vec<Profile> {
    vec![
        Profile::Root,
        Profile::IssuingAuthority(Branch::People),
        Profile::IssuingAuthority(Branch::Servers),
        Profile::IssuingAuthority(Branch::Documents),
        Profile::PivAuthentication(holder("alice@example.org")),
        Profile::DigitalSignature(holder("alice@example.org")),
        Profile::DigitalSignature(holder("jürgen@bücher.example")),
        Profile::KeyManagement(holder("alice@example.org")),
        Profile::CardAuthentication(CardUuid([0x5A; 16])),
        mail_server(),
        Profile::TimeStamping,
        Profile::DocumentSigning,
        Profile::ContentSigning,
        Profile::OcspResponder,
    ]
}

pub(super) fn mail_server() -> Profile {
    Profile::MailServer(MailServer {
        dns_names: vec!["mail.example.org".into()],
        ip_addresses: vec!["127.0.0.1".parse().unwrap()],
    })
}

pub(super) fn card_authentication() -> TbsCertificate {
    good(&Profile::CardAuthentication(CardUuid([0x5A; 16])))
}

/// What we would sign.
pub(super) fn good(profile: &Profile) -> TbsCertificate {
    let authority = authority();
    if matches!(profile, Profile::Root) {
        return authority.certificate().tbs().clone();
    }
    let mut key = TestKey::p256();
    let key = ProvenKey::of_signer(&mut key, &mut UnwrapErr(SysRng)).unwrap();
    let validity = Validity::for_days(now(), 10_000);
    let unsigned = authority
        .prepare(&organization(), profile, Assurance::Production, &key, serial_number(), validity)
        .unwrap();
    unsigned.tbs().clone()
}

/// A signature certificate of Alice's, changed.
pub(super) fn changed(change: impl FnOnce(&mut TbsCertificate)) -> TbsCertificate {
    let mut tbs = good(&Profile::DigitalSignature(holder("alice@example.org")));
    change(&mut tbs);
    tbs
}

/// The same without an extension.
pub(super) fn without<T: AssociatedOid>() -> TbsCertificate {
    changed(|tbs| tbs.extensions.as_mut().unwrap().retain(|extension| extension.extn_id != T::OID))
}

pub(super) fn extension_mut<T: AssociatedOid>(tbs: &mut TbsCertificate) -> &mut Extension {
    let extensions = tbs.extensions.as_mut().unwrap();
    extensions.iter_mut().find(|extension| extension.extn_id == T::OID).unwrap()
}

pub(super) fn replace<T: AssociatedOid + Encode>(tbs: &mut TbsCertificate, value: &T) {
    extension_mut::<T>(tbs).extn_value = OctetString::new(value.to_der().unwrap()).unwrap();
}

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A key that openssl made.
pub(super) fn openssl_public_key(options: &[&str]) -> SubjectPublicKeyInfoOwned {
    let private = Command::new("openssl").args(["genpkey", "-algorithm"]).args(options).output().unwrap();
    assert!(private.status.success(), "{}", String::from_utf8_lossy(&private.stderr));
    let mut public = Command::new("openssl")
        .args(["pkey", "-pubout", "-outform", "DER"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    public.stdin.take().unwrap().write_all(&private.stdout).unwrap();
    SubjectPublicKeyInfoOwned::from_der(&public.wait_with_output().unwrap().stdout).unwrap()
}

pub(super) fn messages(rule: &CertificateRule, sample: &Sample<'_>) -> Vec<String> {
    let mut messages = Vec::new();
    (rule.check)(sample, &mut messages);
    messages
}

fn crl_messages(rule: &CrlRule, crl: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    (rule.check)(&CrlView::from_der(crl).unwrap(), &mut messages);
    messages
}

/// The rule has nothing to say about any of our profiles.
pub(super) fn assert_clean(rule: &CertificateRule) {
    for profile in profiles() {
        let tbs = good(&profile);
        let found = messages(rule, &Sample { tbs: &tbs, outer_algorithm: Some(&tbs.signature) });
        assert_eq!(found, [""; 0], "{}", profile.name());
    }
}

pub(super) fn assert_finding(rule: &CertificateRule, expected: &str, tbs: &TbsCertificate) {
    let found = messages(rule, &Sample { tbs, outer_algorithm: None });
    assert!(found.iter().any(|message| message.contains(expected)), "{found:?} lacks {expected:?}");
}

/// A CRL of ours with entries, changed and encoded again; the lint does not look at its signature.
pub(super) fn changed_crl(change: impl FnOnce(&mut CertificateList)) -> Vec<u8> {
    let mut crl = CertificateList::from_der(&good_crl(2, &CrlScope::default())).unwrap();
    change(&mut crl);
    crl.to_der().unwrap()
}

/// The rule has nothing to say about complete CRLs, partitions and deltas of ours.
pub(super) fn assert_clean_crl(rule: &CrlRule) {
    for entries in [0, 1, 8] {
        for scope in [CrlScope::default(), partition(), delta()] {
            let crl = good_crl(entries, &scope);
            assert_eq!(crl_messages(rule, &crl), [""; 0], "{scope:?}");
        }
    }
}

/// The scope of a partition that has deltas and keeps the expired.
pub(super) fn partition() -> CrlScope {
    CrlScope {
        distribution_point: Some("http://pki.example.org/crl/00-16-3.crl".into()),
        base_number: None,
        freshest: Some("http://pki.example.org/crl/00-16-3-delta.crl".into()),
        keeps_expired_since: Some(now()),
    }
}

/// The scope of a delta.
pub(super) fn delta() -> CrlScope {
    CrlScope { base_number: Some(6), ..CrlScope::default() }
}

/// A CRL of ours of this scope, with extensions changed.
pub(super) fn changed_extensions(scope: &CrlScope, change: impl FnOnce(&mut Vec<Extension>)) -> Vec<u8> {
    let mut crl: CertificateList = CertificateList::from_der(&good_crl(2, scope)).unwrap();
    change(crl.tbs_cert_list.crl_extensions.as_mut().unwrap());
    crl.to_der().unwrap()
}

/// The same with another value of one extension.
pub(super) fn changed_extension(
    scope: &CrlScope,
    oid: ObjectIdentifier,
    change: impl FnOnce(&mut Extension),
) -> Vec<u8> {
    changed_extensions(scope, |extensions| {
        change(extensions.iter_mut().find(|extension| extension.extn_id == oid).unwrap());
    })
}

pub(super) fn assert_crl_finding(rule: &CrlRule, expected: &str, crl: &[u8]) {
    let found = crl_messages(rule, crl);
    assert!(found.iter().any(|message| message.contains(expected)), "{found:?} lacks {expected:?}");
}

fn good_crl(entries: u8, scope: &CrlScope) -> Vec<u8> {
    let header = CrlHeader {
        number: 7,
        this_update: now(),
        next_update: now() + jiff::SignedDuration::from_hours(24 * 7),
    };
    let revoked = (1..=entries).zip(RevocationReason::ALL).map(|(number, reason)| {
        Ok::<_, Infallible>(RevokedCertificate {
            serial_number: SerialNumber::from_bytes(&[0x40, number]).unwrap(),
            revocation_date: now(),
            reason,
            invalidity_date: (number % 2 == 0).then(now),
        })
    });
    let mut crl = Vec::new();
    authority().sign_scoped_crl(header, scope, revoked, &mut crl).unwrap();
    crl
}

fn authority() -> Authority {
    let validity = Validity::for_days(now(), 10_000);
    Authority::create_root(&organization(), Box::new(TestKey::p256()), serial_number(), validity).unwrap()
}

fn organization() -> Organization {
    Organization {
        name: "Example Works".into(),
        identifier: None,
        base_url: "http://pki.example.org".into(),
        policies: "1.3.6.1.4.1.32473.1".parse().unwrap(),
        piv_extensions: PivExtensions::Included,
        status_services: StatusServices::default(),
    }
}

fn holder(mail: &str) -> CardHolder {
    CardHolder {
        name: PersonName::whole("Alice Example"),
        identifier: Some("1001".into()),
        mail: vec![mail.parse().unwrap()],
        card: CardUuid([0x5A; 16]),
    }
}

fn serial_number() -> SerialNumber {
    SerialNumber::random(&mut UnwrapErr(SysRng))
}

fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}
