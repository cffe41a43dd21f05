//! Certificates of every profile, judged by OpenSSL and pkilint.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;

use issuer::ca::profile::{
    Assurance, CardUuid, MailServer, Organization, PersonName, PivExtensions, Validity,
};
use issuer::ca::{CaError, Certificate, Profile};
use jiff::SignedDuration;
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;

/// What pkilint 0.13.3 says of the PIV extensions: it takes only URLs for URIs. RFC 5280 section 4.2.1.6 asks for
/// an absolute URI, which a URN is (RFC 3986 section 1.1.3).
const URN_IS_A_URI: &str = concat!(
    "pkix.invalid_uri_syntax: Invalid URI syntax: ",
    "\"urn:uuid:11111111-1111-1111-1111-111111111111\""
);

/// What a certificate of a profile must pass.
struct Judgement {
    profile: Profile,
    purpose: Option<&'static str>,
    smime: bool,
}

fn judgements(rsa: bool) -> Vec<Judgement> {
    let judgement = |profile, purpose, smime| Judgement { profile, purpose, smime };
    vec![
        judgement(Profile::PivAuthentication(alice()), Some("sslclient"), false),
        judgement(Profile::DigitalSignature(alice()), Some("smimesign"), true),
        // OpenSSL 3.0 demands keyEncipherment of an encryption certificate, which an elliptic-curve key
        // cannot have.
        judgement(Profile::KeyManagement(alice()), rsa.then_some("smimeencrypt"), true),
        judgement(Profile::CardAuthentication(CardUuid([0x11; 16])), None, false),
        judgement(mail_server(), Some("sslserver"), false),
        judgement(Profile::TimeStamping, Some("timestampsign"), false),
        judgement(Profile::DocumentSigning, None, false),
        judgement(Profile::ContentSigning, None, false),
        judgement(
            Profile::DigitalSignature(holder("Jürgen Groß", "jürgen@bücher.example.com")),
            Some("smimesign"),
            true,
        ),
        judgement(
            Profile::DigitalSignature(holder("李小龍", "li@例子.example.com")),
            Some("smimesign"),
            true,
        ),
    ]
}

fn judge_all(world: &mut World, new_key: fn() -> TestKey, rsa: bool, smime_type: &str) {
    let directory = TempDir::new().unwrap();
    world.write_chain(directory.path(), &[]);
    let key = new_key();
    for (number, judgement) in judgements(rsa).into_iter().enumerate() {
        let certificate = world.certify(&judgement.profile, &mut key.clone());
        let file = write(directory.path(), &format!("{number}.pem"), certificate.to_pem());
        judge(directory.path(), &file, &judgement, smime_type);
    }
    for name in ["root.pem", "people.pem", "servers.pem", "documents.pem"] {
        assert_pkilint_clean("lint_pkix_cert", &[], &directory.path().join(name));
    }
}

fn judge(directory: &Path, file: &Path, judgement: &Judgement, smime_type: &str) {
    let name = judgement.profile.name();
    let purpose: Vec<&str> = judgement.purpose.iter().flat_map(|purpose| ["-purpose", purpose]).collect();
    let output = openssl_verify(directory, file, &purpose);
    assert!(output.status.success(), "{name}: {}", text(&output));
    assert_pkilint_clean("lint_pkix_cert", &[], file);
    if judgement.smime {
        assert_pkilint_clean("lint_cabf_smime_cert", &["-d"], file);
        assert_pkilint_clean("lint_cabf_smime_cert", &["-t", smime_type], file);
    }
    assert_eq!(issuer::ca::lint::lint_certificate(&std::fs::read(file).unwrap()).unwrap(), []);
}

#[test]
fn p256_certificates_pass_openssl_and_pkilint() {
    judge_all(&mut World::new(TestKey::p256), TestKey::p256, false, "INDIVIDUAL-MULTIPURPOSE");
}

#[test]
fn rsa_certificates_pass_openssl_and_pkilint() {
    judge_all(&mut World::new(TestKey::rsa2048), TestKey::rsa2048, true, "INDIVIDUAL-MULTIPURPOSE");
}

#[test]
fn p384_authorities_and_a_registered_organization_pass_too() {
    let organization = Organization { identifier: Some("NTRGB-12345678".into()), ..organization() };
    let mut world = World::of(organization, TestKey::p384, Assurance::Production, today());
    judge_all(&mut world, TestKey::p256, false, "SPONSORED-MULTIPURPOSE");
}

#[test]
fn pkilint_finds_a_planted_fault() {
    let mut world = World::new(TestKey::p256);
    let directory = TempDir::new().unwrap();
    let certificate = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    // The same certificate with 0x80 set in the first octet of its serial number, which makes that negative.
    let mut der = certificate.as_der().to_vec();
    let serial_number = certificate.serial_number().as_bytes();
    let place = der.windows(16).position(|octets| octets == serial_number).unwrap();
    der[place] |= 0x80;
    let file = write(directory.path(), "negative.der", &der);
    let output = pkilint("lint_pkix_cert", &[], &file);
    assert!(!output.status.success() && text(&output).contains("serial"), "{}", text(&output));
    let findings = issuer::ca::lint::lint_certificate(&der).unwrap();
    assert!(findings.iter().any(|finding| finding.rule == "serial-number"), "{findings:?}");
}

#[test]
fn emulated_cards_carry_the_test_policy_and_only_where_it_is_allowed() {
    let policy = |certificate: &Certificate| openssl_text(certificate);
    let profile = Profile::DigitalSignature(alice());
    let mut allowed = World::of(organization(), TestKey::p256, Assurance::Emulated, today());
    let validity = Validity::for_days(allowed.now, 30);
    let emulated =
        allowed.try_certify(&profile, Assurance::Emulated, &mut TestKey::p256(), validity).unwrap();
    assert!(policy(&emulated).contains("Policy: 1.3.6.1.4.1.32473.1.3\n"), "{}", policy(&emulated));
    assert!(!policy(&emulated).contains("32473.1.1\n"));
    let real = allowed.try_certify(&profile, Assurance::Production, &mut TestKey::p256(), validity).unwrap();
    assert!(policy(&real).contains("Policy: 1.3.6.1.4.1.32473.1.1\n"));
    assert!(!policy(&real).contains("32473.1.3\n"));

    let directory = TempDir::new().unwrap();
    allowed.write_chain(directory.path(), &[]);
    for (certificate, staff_policy) in [(&emulated, false), (&real, true)] {
        let file = write(directory.path(), "leaf.pem", certificate.to_pem());
        let options = ["-policy", "1.3.6.1.4.1.32473.1.1", "-explicit_policy"];
        let output = openssl_verify(directory.path(), &file, &options);
        assert_eq!(output.status.success(), staff_policy, "{}", text(&output));
    }

    let mut strict = World::new(TestKey::p256);
    let refused = strict.try_certify(&profile, Assurance::Emulated, &mut TestKey::p256(), validity);
    assert!(matches!(refused, Err(CaError::PolicyNotAllowed { .. })), "{refused:?}");
}

#[test]
fn a_leaf_never_outlives_824_days_nor_its_issuer() {
    let mut world = World::new(TestKey::p256);
    let profile = Profile::DigitalSignature(alice());
    let mut key = TestKey::p256();
    let endless = Validity::for_days(world.now, 10_000);
    let long = world.try_certify(&profile, Assurance::Production, &mut key, endless).unwrap();
    let end = world.now + SignedDuration::from_secs(824 * 86_400 - 1);
    assert_eq!((long.not_before(), long.not_after()), (world.now, end));

    let authority_end = world.people.certificate().not_after();
    let late = Validity::for_days(authority_end - SignedDuration::from_hours(24), 700);
    let last = world.try_certify(&profile, Assurance::Production, &mut key, late).unwrap();
    assert_eq!(last.not_after(), authority_end);

    let too_late = Validity::for_days(authority_end + SignedDuration::from_secs(1), 10);
    let refused = world.try_certify(&profile, Assurance::Production, &mut key, too_late);
    assert!(matches!(refused, Err(CaError::AuthorityExpired { .. })), "{refused:?}");
}

#[test]
fn certificates_say_where_crl_and_issuer_are() {
    let mut world = World::new(TestKey::p256);
    let certificate = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    let issuer = hex::encode(world.people.certificate().subject_key_identifier());
    let described = openssl_text(&certificate);
    assert!(described.contains(&format!("URI:http://pki.example.com/crl/{issuer}.crl\n")), "{described}");
    assert!(
        described.contains(&format!("CA Issuers - URI:http://pki.example.com/ca/{issuer}.cer\n")),
        "{described}"
    );
}

#[test]
fn piv_extensions_name_the_card_and_9e_names_nobody() {
    let organization = Organization { piv_extensions: PivExtensions::Included, ..organization() };
    let mut world = World::of(organization, TestKey::p256, Assurance::Production, today());
    let directory = TempDir::new().unwrap();
    world.write_chain(directory.path(), &[]);
    let uuid = "urn:uuid:11111111-1111-1111-1111-111111111111";
    for profile in [Profile::PivAuthentication(alice()), Profile::CardAuthentication(CardUuid([0x11; 16]))] {
        let certificate = world.certify(&profile, &mut TestKey::p256());
        let file = write(directory.path(), "card.pem", certificate.to_pem());
        assert!(openssl_verify(directory.path(), &file, &[]).status.success());
        assert_pkilint_finds("lint_pkix_cert", &file, &[URN_IS_A_URI]);
    }
    let authentication =
        openssl_text(&world.certify(&Profile::PivAuthentication(alice()), &mut TestKey::p256()));
    assert!(authentication.contains(&format!("URI:{uuid}")) && authentication.contains("Alice Example"));
    let card = Profile::CardAuthentication(CardUuid([0x11; 16]));
    let card = openssl_text(&world.certify(&card, &mut TestKey::p256()));
    assert!(card.contains(&format!("URI:{uuid}")) && !card.contains("Alice"), "{card}");
    assert!(
        card.contains("X509v3 Extended Key Usage: critical\n                2.16.840.1.101.3.6.8\n"),
        "{card}"
    );
}

#[test]
fn key_usage_follows_the_kind_of_key() {
    let mut world = World::new(TestKey::p256);
    let mut usage = |profile: &Profile, mut key: TestKey| {
        let described = openssl_text(&world.certify(profile, &mut key));
        let (_, after) = described.split_once("X509v3 Key Usage: critical\n").unwrap();
        after.lines().next().unwrap().trim().to_owned()
    };
    let rsa = TestKey::rsa2048();
    let (nine_c, nine_d) = (Profile::DigitalSignature(alice()), Profile::KeyManagement(alice()));
    assert_eq!(usage(&nine_c, rsa.clone()), "Digital Signature, Non Repudiation");
    assert_eq!(usage(&nine_c, TestKey::p256()), "Digital Signature, Non Repudiation");
    assert_eq!(usage(&nine_d, rsa.clone()), "Key Encipherment");
    assert_eq!(usage(&nine_d, TestKey::p256()), "Key Agreement");
    assert_eq!(usage(&Profile::PivAuthentication(alice()), rsa.clone()), "Digital Signature");
    assert_eq!(usage(&mail_server(), rsa), "Digital Signature, Key Encipherment");
    assert_eq!(usage(&mail_server(), TestKey::p256()), "Digital Signature");
}

#[test]
fn internationalized_addresses_stand_where_rfc_9598_puts_them() {
    let mut world = World::new(TestKey::p256);
    let mut names = |mail: &str| {
        let profile = Profile::DigitalSignature(holder("Somebody", mail));
        let certificate = world.certify(&profile, &mut TestKey::p256());
        assert_eq!(certificate.mail_addresses(), [mail.parse().unwrap()]);
        openssl_text(&certificate)
    };
    assert!(names("alice@bücher.example.com").contains("email:alice@xn--bcher-kva.example.com"));
    let utf8 = names("jürgen@bücher.example.com");
    assert!(utf8.contains("othername:") && utf8.contains("jürgen@xn--bcher-kva.example.com"), "{utf8}");
    assert!(!utf8.contains("email:"), "{utf8}");
}

#[test]
fn what_cannot_be_certified_is_refused_with_its_field() {
    let mut world = World::new(TestKey::p256);
    let with_name = |name: &str| {
        let mut holder = alice();
        holder.name = PersonName::whole(name);
        Profile::DigitalSignature(holder)
    };
    let mut without_mail = alice();
    without_mail.mail.clear();
    let mut odd_id = alice();
    odd_id.identifier = Some("n°7".into());
    let wildcard = MailServer { dns_names: vec!["*.example.com".into()], ip_addresses: Vec::new() };
    for (profile, expected) in [
        (with_name(""), "name"),
        (with_name(&"a".repeat(65)), "name"),
        (with_name(" Alice"), "name"),
        (with_name("Ali\nce"), "name"),
        (Profile::DigitalSignature(without_mail), "mail address"),
        (Profile::DigitalSignature(odd_id), "id"),
        (Profile::MailServer(wildcard), "DNS name"),
        (Profile::MailServer(MailServer::default()), "DNS name"),
    ] {
        let validity = Validity::for_days(world.now, 10);
        match world.try_certify(&profile, Assurance::Production, &mut TestKey::p256(), validity) {
            Err(CaError::Field { field, .. }) => assert_eq!(field, expected, "{profile:?}"),
            other => panic!("{profile:?}: {other:?}"),
        }
    }
    for base_url in
        ["https://pki.example.com", "http://", "http://pki.example.com/", "http://a b", "ldap://x"]
    {
        world.organization.base_url = base_url.into();
        let validity = Validity::for_days(world.now, 10);
        let profile = Profile::DigitalSignature(alice());
        let refused = world.try_certify(&profile, Assurance::Production, &mut TestKey::p256(), validity);
        assert!(matches!(refused, Err(CaError::Field { field: "base URL", .. })), "{base_url}: {refused:?}");
    }
}

fn openssl_text(certificate: &Certificate) -> String {
    let directory = TempDir::new().unwrap();
    let file = write(directory.path(), "certificate.pem", certificate.to_pem());
    let arguments = ["x509", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus", "-in"];
    openssl(arguments.iter().map(|argument| argument.as_ref()).chain([file.as_os_str()]))
}
