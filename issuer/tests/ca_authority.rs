//! What an authority refuses to sign, and with which key it opens.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use issuer::ca::crl::RevokedCertificate;
use issuer::ca::lint::lint;
use issuer::ca::profile::{Assurance, Validity};
use issuer::ca::{Authority, CaError, Profile, ProvenKey, SerialNumber, UnsignedCertificate};
use middleware::{KeyError, SignatureScheme, Signer};
use support::test_key::TestKey;
use support::*;

fn prepared(world: &World) -> UnsignedCertificate {
    let proof = ProvenKey::of_signer(&mut TestKey::p256(), &mut random()).unwrap();
    let profile = Profile::DigitalSignature(alice());
    let serial_number = SerialNumber::random(&mut random());
    let validity = Validity::for_days(world.now, 30);
    let people = &world.people;
    people
        .prepare(&world.organization, &profile, Assurance::Production, &proof, serial_number, validity)
        .unwrap()
}

#[test]
fn a_stored_certificate_is_taken_back_and_signed_as_it_was() {
    let mut world = World::new(TestKey::p256);
    let unsigned = prepared(&world);
    let stored = lint(unsigned.clone()).unwrap().as_der().to_vec();
    assert_eq!(stored, unsigned.as_der());
    let signed =
        world.people.sign(lint(UnsignedCertificate::from_der(stored.clone()).unwrap()).unwrap()).unwrap();
    assert!(signed.as_der().windows(stored.len()).any(|octets| octets == stored));
    signed.verify_issuer(world.people.certificate()).unwrap();
    assert!(matches!(signed.verify_issuer(world.root.certificate()), Err(CaError::NotProven(_))));
}

#[test]
fn another_authority_does_not_sign_it() {
    let mut world = World::new(TestKey::p256);
    let unsigned = prepared(&world);
    let refused = world.servers.sign(lint(unsigned.clone()).unwrap());
    assert!(matches!(refused, Err(CaError::NotOurs(_))), "{refused:?}");
    // The same name, another key.
    let mut twin = World::new(TestKey::p256);
    let refused = twin.people.sign(lint(unsigned.clone()).unwrap());
    assert!(matches!(refused, Err(CaError::NotOurs(_))), "{refused:?}");
    let mut other_algorithm = World::new(TestKey::p384);
    let refused = other_algorithm.people.sign(lint(unsigned).unwrap());
    assert!(matches!(refused, Err(CaError::NotOurs(_))), "{refused:?}");
}

#[test]
fn what_the_lint_refuses_is_not_signed() {
    let world = World::new(TestKey::p256);
    let mut der = prepared(&world).as_der().to_vec();
    // cA stays absent, but keyUsage 03 02 06 C0 (signing) becomes 03 02 02 04 (keyCertSign).
    let place = der.windows(4).position(|octets| octets == [0x03, 0x02, 0x06, 0xC0]).unwrap();
    der[place..place + 4].copy_from_slice(&[0x03, 0x02, 0x02, 0x04]);
    let refused = lint(UnsignedCertificate::from_der(der).unwrap()).map(drop);
    let Err(CaError::Lint(findings)) = refused else { panic!("{refused:?}") };
    let rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    assert!(rules.contains(&"key-usage") && rules.contains(&"basic-constraints"), "{findings:?}");
}

#[test]
fn an_authority_opens_only_with_its_own_key_and_a_ca_certificate() {
    let mut world = World::new(TestKey::p256);
    let refused = Authority::open(world.root.certificate().clone(), Box::new(TestKey::p256())).map(drop);
    assert!(matches!(refused, Err(CaError::KeyMismatch { .. })), "{refused:?}");
    let mut key = TestKey::p256();
    let leaf = world.certify(&Profile::DigitalSignature(alice()), &mut key);
    let refused = Authority::open(leaf, Box::new(key)).map(drop);
    assert!(matches!(refused, Err(CaError::Malformed { .. })), "{refused:?}");
}

#[test]
fn a_signature_with_a_fault_never_leaves() {
    /// Flips a bit of every signature after the first, which proves the key.
    struct Faulty(TestKey, usize);
    impl Signer for Faulty {
        fn public_key(&self) -> &spki::SubjectPublicKeyInfoOwned {
            self.0.public_key()
        }
        fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
            let mut signature = self.0.sign(scheme, digest)?;
            self.1 += 1;
            if self.1 > 1 {
                *signature.last_mut().unwrap() ^= 1;
            }
            Ok(signature)
        }
    }
    for new_key in [TestKey::p256, TestKey::rsa2048] {
        let mut world = World::new(new_key);
        let key = Faulty(new_key(), 0);
        let validity = Validity::for_days(world.now, 100);
        let serial_number = SerialNumber::random(&mut random());
        let root = Authority::create_root(&world.organization, Box::new(key), serial_number, validity);
        let mut root = root.unwrap();
        let refused = root.sign_crl(
            world.crl_header(1),
            std::iter::empty::<Result<RevokedCertificate, KeyError>>(),
            &mut Vec::new(),
        );
        assert!(matches!(refused, Err(CaError::NotProven(_))), "{refused:?}");
        world.crl(1, &[]);
    }
}
