//! What an attestation says and who vouches for it, read by OpenSSL (Yubico's PIV attestation page).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use card_sim::piv::state::CardState;
use support::openssl::OpenSsl;
use support::{Hand, blank};

const ATTEST: u8 = 0xF9;
const GENERATE: u8 = 0x47;

/// A card with its root in `root.pem` and its F9 certificate in `f9.pem`.
fn card(openssl: &OpenSsl, state: &CardState) -> Hand {
    openssl.write("root.der", state.attestation_root.as_ref().unwrap());
    openssl.run("x509 -inform DER -in root.der -out root.pem");
    let mut hand = Hand::holding(state);
    let object = hand.succeed(0xCB, 0x3F, 0xFF, &[0x5C, 0x03, 0x5F, 0xFF, 0x01]);
    // 53 82 LL LL 70 82 LL LL certificate 71 01 00 FE 00
    openssl.write("f9.der", &object[8..object.len() - 5]);
    openssl.run("x509 -inform DER -in f9.der -out f9.pem");
    hand
}

/// Attests into `attestation.pem` and returns what openssl reads there.
fn attest(openssl: &OpenSsl, hand: &mut Hand, reference: u8) -> String {
    openssl.write("attestation.der", &hand.succeed(ATTEST, reference, 0x00, &[]));
    openssl.run("x509 -inform DER -in attestation.der -out attestation.pem");
    String::from_utf8(openssl.run("x509 -in attestation.pem -noout -text")).unwrap()
}

/// The value of an extension, as `openssl asn1parse` finds it.
fn extension(openssl: &OpenSsl, oid: &str) -> String {
    let parsed = String::from_utf8(openssl.run("asn1parse -inform DER -in attestation.der")).unwrap();
    let mut lines = parsed.lines().skip_while(|line| !line.ends_with(&format!(":{oid}"))).skip(1);
    lines.next().unwrap().rsplit_once(':').unwrap().1.to_owned()
}

fn generate(hand: &mut Hand, reference: u8, algorithm: u8, policies: &[u8]) {
    hand.authenticate();
    let template =
        [&[0xAC, u8::try_from(3 + policies.len()).unwrap(), 0x80, 0x01, algorithm], policies].concat();
    hand.succeed(GENERATE, 0x00, reference, &template);
}

#[test]
fn the_chain_from_every_key_to_the_card_s_root_verifies() {
    for (kind, algorithms) in [("yubikey5 5.4", &[0x07, 0x11][..]), ("yubikey5 5.7", &[0x07, 0x11])] {
        let openssl = OpenSsl::new();
        let mut hand = card(&openssl, &blank(kind));
        openssl.run("verify -x509_strict -CAfile root.pem f9.pem");
        for (algorithm, reference) in algorithms.iter().cycle().zip([0x9A, 0x9C, 0x9D, 0x9E, 0x82, 0x95]) {
            generate(&mut hand, reference, *algorithm, &[]);
            let text = attest(&openssl, &mut hand, reference);
            openssl.run("verify -CAfile root.pem -untrusted f9.pem attestation.pem");
            assert!(
                text.contains(&format!("Subject: CN = YubiKey PIV Attestation {reference:02x}\n")),
                "{text}"
            );
            assert!(text.contains("Not Before: Jan  1 00:00:00 2020 GMT"), "{text}");
        }
        // Another card's root does not do.
        let other = OpenSsl::new();
        let mut state = blank("yubikey5 5.7");
        state.attestation_root = card_of_another_seed().attestation_root;
        card(&other, &state);
        assert!(!other.try_run("verify -CAfile root.pem f9.pem").status.success());
    }
}

fn card_of_another_seed() -> CardState {
    use card_sim::crypto::Randomness;
    use card_sim::piv::blank::{BlankCard, BlankKind};
    use card_sim::piv::personality::Firmware;
    let kind = BlankKind::YubiKey5 { firmware: Firmware::V5_7, serial: Some(12_345_678) };
    let blank = BlankCard { kind, keys: Default::default(), seed: None };
    blank.manufacture(&mut Randomness::from_seed(b"another", 0)).0
}

#[test]
fn it_names_the_key_the_firmware_the_serial_number_and_the_policies() {
    let openssl = OpenSsl::new();
    let mut hand = card(&openssl, &blank("yubikey5 5.7"));
    // PIN once, touch cached.
    generate(&mut hand, 0x9A, 0x11, &[0xAA, 0x01, 0x02, 0xAB, 0x01, 0x03]);
    attest(&openssl, &mut hand, 0x9A);
    let arc = "1.3.6.1.4.1.41482.3";
    assert_eq!(extension(&openssl, &format!("{arc}.3")), "050702");
    assert_eq!(extension(&openssl, &format!("{arc}.7")), "020400BC614E", "DER INTEGER 12345678");
    assert_eq!(extension(&openssl, &format!("{arc}.8")), "0203");
    assert_eq!(extension(&openssl, &format!("{arc}.9")), "01");
    // The attested key is the one that signs.
    openssl.run("x509 -in attestation.pem -noout -pubkey -out attested.pem");
    openssl.write("message", b"who made this key?");
    let digest = openssl.run("dgst -sha256 -binary message");
    assert_eq!(hand.verify(support::PIN), 0x9000);
    openssl.write("signature", &hand.use_key(0x11, 0x9A, 0x81, &digest));
    openssl.run("dgst -sha256 -verify attested.pem -signature signature message");
    // The default policies are resolved: 9C always, 9E never.
    for (reference, policies) in [(0x9C, "0301"), (0x9E, "0101"), (0x82, "0201")] {
        generate(&mut hand, reference, 0x11, &[]);
        attest(&openssl, &mut hand, reference);
        assert_eq!(extension(&openssl, &format!("{arc}.8")), policies, "{reference:02X}");
    }
}

#[test]
fn nobody_can_take_it_for_hardware() {
    let text_of = |state: &CardState| {
        let openssl = OpenSsl::new();
        let mut hand = card(&openssl, state);
        generate(&mut hand, 0x9A, 0x11, &[]);
        attest(&openssl, &mut hand, 0x9A);
        extension(&openssl, "1.3.6.1.4.1.32473.2.1")
    };
    let utf8 = |text: &str| format!("0C{:02X}{}", text.len(), hex::encode_upper(text));
    let mut state = card_of_another_seed();
    assert_eq!(text_of(&state), utf8("card-sim"));
    state.cloned = true;
    assert_eq!(text_of(&state), utf8("card-sim, cloned"));
    let mut seeded = blank("yubikey5 5.7");
    assert_eq!(text_of(&seeded), utf8("card-sim, seeded"));
    seeded.cloned = true;
    assert_eq!(text_of(&seeded), utf8("card-sim, seeded, cloned"));
    // The root and the certificate of F9 say so in their names.
    let openssl = OpenSsl::new();
    card(&openssl, &state);
    for name in ["root", "f9"] {
        let subject =
            String::from_utf8(openssl.run(&format!("x509 -in {name}.pem -noout -subject"))).unwrap();
        assert!(subject.starts_with("subject=O = card-sim, OU = Emulated, CN = card-sim PIV"), "{subject}");
    }
}

#[test]
fn another_attestation_key_signs_under_its_own_certificate() {
    for algorithm in [0x07, 0x11] {
        let openssl = OpenSsl::new();
        let mut hand = card(&openssl, &blank("yubikey5 5.7"));
        let public_key = hand.generate(0xF9, algorithm);
        openssl.write_public_key("own.pub", &public_key);
        // The organisation certifies the card's new attestation key.
        openssl.run("ecparam -name prime256v1 -genkey -noout -out ca.key");
        openssl.run("req -x509 -new -key ca.key -subj /CN=Organisation -days 3 -out ca.pem");
        openssl.write("ca.cnf", b"basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n");
        openssl.run("x509 -new -subj /O=Organisation/CN=Cards -set_serial 7 -days 2 -force_pubkey own.pub -CA ca.pem -CAkey ca.key -extfile ca.cnf -outform DER -out own.der");
        openssl.run("x509 -inform DER -in own.der -out own.pem");
        let object =
            [support::tlv(0x70, &openssl.read("own.der")), vec![0x71, 0x01, 0x00, 0xFE, 0x00]].concat();
        hand.succeed(
            0xDB,
            0x3F,
            0xFF,
            &[&[0x5C, 0x03, 0x5F, 0xFF, 0x01][..], &support::tlv(0x53, &object)].concat(),
        );
        generate(&mut hand, 0x9C, 0x11, &[]);
        let text = attest(&openssl, &mut hand, 0x9C);
        openssl.run("verify -CAfile ca.pem -untrusted own.pem attestation.pem");
        assert!(text.contains("Issuer: O = Organisation, CN = Cards"), "{text}");
        let expected = if algorithm == 0x07 { "sha256WithRSAEncryption" } else { "ecdsa-with-SHA256" };
        assert!(text.contains(&format!("Signature Algorithm: {expected}")), "{text}");
    }
}

#[test]
fn no_two_attestations_share_a_serial_number() {
    let openssl = OpenSsl::new();
    let mut hand = card(&openssl, &blank("yubikey5 5.7"));
    generate(&mut hand, 0x9A, 0x11, &[]);
    let mut serials = Vec::new();
    for _ in 0..3 {
        attest(&openssl, &mut hand, 0x9A);
        serials.push(openssl.run("x509 -in attestation.pem -noout -serial"));
    }
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), 3);
    assert!(serials.iter().all(|serial| serial.len() == "serial=".len() + 32 + 1), "sixteen bytes");
}
