//! Signing and opening with the keys of a card: an emulated one, in-process, made by `card-sim new`.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use mailer::keys::{
    CardError, CardKeys, KeyError, KeyReference, KeyRing, KeysError, LastTry, Locator, PinProvider,
};
use mailer::smime::{
    DecryptError, Enveloping, Form, Recipient, RsaPadding, SignError, SigningIdentity, decrypt, sign,
};
use middleware::{Card, ManagementKey, ManagementKeyAlgorithm, holder_state};
use openssl_pki::{Identity, Key, Pki, bytes, content, envelope, now, openssl};
use zeroize::Zeroizing;

const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nHello.\r\n";

/// The program that makes cards; built if need be, for it belongs to another package of the workspace.
fn card_sim() -> PathBuf {
    if let Some(folder) = std::env::var_os("SEALWRIGHT_BINARIES") {
        return Path::new(&folder).join("card-sim");
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "card-sim", "--bin", "card-sim"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let own = std::env::current_exe().unwrap();
    own.ancestors().find(|folder| folder.join("card-sim").is_file()).unwrap().join("card-sim")
}

/// Makes a card with these keys and certificates.
fn card(pki: &Pki, keys: &[(&str, &Identity)]) -> Locator {
    card_with_certificates(pki, keys, keys)
}

fn card_with_certificates(
    pki: &Pki,
    keys: &[(&str, &Identity)],
    certificates: &[(&str, &Identity)],
) -> Locator {
    let state = pki.path().join("a.card");
    let mut new = Command::new(card_sim());
    new.current_dir(pki.path()).arg("new").arg(&state).args(["--firmware", "5.4"]);
    for (reference, identity) in keys {
        new.arg("--key").arg(format!("{reference}={}", identity.key()));
    }
    let made = new.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let locator = Locator::Emulated(state);
    let mut card = Card::open(&locator).unwrap();
    let mut transaction = card.transaction().unwrap();
    let management_key = ManagementKey::factory_default(ManagementKeyAlgorithm::TripleDes);
    let mut administration = transaction.authenticate(&management_key).unwrap();
    for (reference, identity) in certificates {
        let key: KeyReference = reference.parse().unwrap();
        administration.write_certificate(key, identity.certificate().der()).unwrap();
    }
    locator
}

/// Types the same PIN whenever asked, and counts.
struct Typed {
    pin: &'static str,
    asked: Rc<Cell<usize>>,
}

impl PinProvider for Typed {
    fn pin(&mut self, _: &str) -> std::io::Result<Zeroizing<String>> {
        self.asked.set(self.asked.get() + 1);
        Ok(Zeroizing::new(self.pin.to_owned()))
    }
}

fn open(locator: &Locator, pin: &'static str) -> (CardKeys, Rc<Cell<usize>>) {
    let asked = Rc::new(Cell::new(0));
    let provider = Typed { pin, asked: Rc::clone(&asked) };
    (CardKeys::open(locator, Box::new(provider), LastTry::Refuse).unwrap(), asked)
}

fn sign_with(keys: &mut CardKeys) -> Result<Vec<u8>, SignError> {
    let mut signer = keys.signer().unwrap();
    let certificate = signer.certificate().clone();
    let identity = SigningIdentity {
        signer: &mut signer,
        certificate: &certificate,
        intermediates: &[],
        rsa_padding: RsaPadding::default(),
    };
    sign(&content(CONTENT), Form::Opaque, identity, now()).map(|signed| bytes(&signed))
}

/// Runs the rest of a test in a process of its own, whose user has changed no PIN yet; false in the outer process.
fn in_own_state_home(test: &str) -> bool {
    const INNER: &str = "SEALWRIGHT_INNER_TEST";
    if std::env::var_os(INNER).is_some() {
        return true;
    }
    let home = tempfile::tempdir().unwrap();
    let inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INNER, "1")
        .env("XDG_STATE_HOME", home.path())
        .output()
        .unwrap();
    let said = [inner.stdout, inner.stderr].concat();
    assert!(inner.status.success(), "{}", String::from_utf8_lossy(&said));
    assert!(String::from_utf8_lossy(&said).contains("1 passed"), "the inner test did not run");
    false
}

/// Records that the card's PIN was changed, as `card change-pin` does.
fn activate(locator: &Locator) {
    let guid = Card::open(locator).unwrap().identity().unwrap().guid.unwrap();
    holder_state::activate(&guid).unwrap();
}

#[test]
fn the_card_signs_after_the_transport_pin_was_changed() {
    if !in_own_state_home("the_card_signs_after_the_transport_pin_was_changed") {
        return;
    }
    for key in [Key::P256, Key::Rsa2048] {
        let pki = Pki::new();
        let alice = pki.signer("alice", key);
        let locator = card(&pki, &[("9C", &alice)]);
        let (mut keys, asked) = open(&locator, "123456");
        let refused = keys.signer().err().unwrap();
        assert!(matches!(refused, KeysError::TransportPin), "{refused}");
        assert!(refused.to_string().contains("card change-pin --already-changed"), "{refused}");
        drop(keys);
        activate(&locator);
        let (mut keys, _) = open(&locator, "123456");
        pki.write("signed.der", &sign_with(&mut keys).unwrap());
        let verify = [
            "cms",
            "-verify",
            "-cades",
            "-binary",
            "-inform",
            "DER",
            "-in",
            "signed.der",
            "-CAfile",
            "chain.pem",
        ];
        assert_eq!(openssl(pki.path(), &verify), CONTENT);
        assert_eq!(asked.get(), 0, "a refused signer must not ask for the PIN");
    }
}

#[test]
fn a_wrong_pin_costs_one_try_and_the_last_is_not_spent() {
    if !in_own_state_home("a_wrong_pin_costs_one_try_and_the_last_is_not_spent") {
        return;
    }
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let locator = card(&pki, &[("9C", &alice)]);
    activate(&locator);
    let (mut keys, asked) = open(&locator, "999999");
    for left in [2, 1] {
        let error = sign_with(&mut keys).unwrap_err();
        assert_eq!(error.code(), "wrong-pin");
        match error {
            SignError::Key(KeyError::Card(CardError::WrongPin { tries_left })) => {
                assert_eq!(tries_left, left)
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(sign_with(&mut keys), Err(SignError::Key(KeyError::Card(CardError::LastPinTry)))));
    assert_eq!(sign_with(&mut keys).unwrap_err().code(), "last-pin-try");
    assert_eq!(asked.get(), 4, "a refused PIN must not be kept");
    drop(keys);
    let (mut keys, _) = open(&locator, "123456");
    assert!(matches!(sign_with(&mut keys), Err(SignError::Key(KeyError::Card(CardError::LastPinTry)))));
}

#[test]
fn a_key_that_does_not_match_its_certificate_signs_nothing() {
    if !in_own_state_home("a_key_that_does_not_match_its_certificate_signs_nothing") {
        return;
    }
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::P256));
    let locator = card_with_certificates(&pki, &[("9C", &alice)], &[("9C", &bob)]);
    activate(&locator);
    let (mut keys, _) = open(&locator, "123456");
    let error = sign_with(&mut keys).unwrap_err();
    assert!(error.to_string().contains("does not belong to its certificate"), "{error}");
    let empty = Pki::new();
    let locator = card(&empty, &[]);
    activate(&locator);
    let (mut keys, _) = open(&locator, "123456");
    assert!(matches!(keys.signer().err(), Some(KeysError::NoSigningCertificate)));
}

#[test]
fn current_and_retired_keys_open_envelopes_and_the_pin_is_asked_once() {
    let pki = Pki::new();
    let (current, retired) = (pki.reader("current", Key::P256), pki.reader("retired", Key::Rsa2048));
    let alice = pki.signer("alice", Key::P256);
    let locator = card(&pki, &[("9C", &alice), ("82", &retired), ("9D", &current)]);
    let (mut keys, asked) = open(&locator, "123456");
    assert_eq!(keys.certificates(), [current.certificate(), retired.certificate()]);
    assert_eq!(keys.signing_certificate(), Some(&alice.certificate()));
    assert_eq!(keys.encryption_certificate(), Some(&current.certificate()));
    assert_eq!(asked.get(), 0);
    for enveloping in [Enveloping::Authenticated, Enveloping::Compatible] {
        for reader in [&current, &retired] {
            let mail = envelope(CONTENT, &[Recipient::unchecked(reader.certificate(), true)], enveloping);
            assert_eq!(
                decrypt(&mail, &mut keys).unwrap().content.to_vec(usize::MAX).unwrap().unwrap().as_slice(),
                CONTENT
            );
        }
    }
    assert_eq!(asked.get(), 1);
}

#[test]
fn the_keys_for_authentication_and_signatures_open_nothing() {
    let pki = Pki::new();
    let people = ["9A", "9C", "9E"].map(|key| (key, pki.reader(key, Key::P256)));
    let locator = card(&pki, &people.each_ref().map(|(key, person)| (*key, person)));
    let (mut keys, asked) = open(&locator, "123456");
    assert!(keys.certificates().is_empty());
    for (key, person) in &people {
        let recipient = Recipient::unchecked(person.certificate(), true);
        let mail = envelope(CONTENT, &[recipient], Enveloping::Authenticated);
        assert!(matches!(decrypt(&mail, &mut keys), Err(DecryptError::NotForUs)), "{key}");
    }
    assert_eq!(asked.get(), 0);
}

#[test]
fn a_mail_for_somebody_else_does_not_ask_for_the_pin() {
    let pki = Pki::new();
    let (ours, theirs) = (pki.reader("ours", Key::P256), pki.reader("theirs", Key::P256));
    let locator = card(&pki, &[("9D", &ours)]);
    let (mut keys, asked) = open(&locator, "123456");
    let mail =
        envelope(CONTENT, &[Recipient::unchecked(theirs.certificate(), true)], Enveloping::Authenticated);
    assert!(matches!(decrypt(&mail, &mut keys), Err(DecryptError::NotForUs)));
    assert_eq!(asked.get(), 0);
}

#[test]
fn a_wrong_pin_ends_the_opening_at_once() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let locator = card(&pki, &[("9D", &reader)]);
    let (mut keys, asked) = open(&locator, "999999");
    let twice =
        [Recipient::unchecked(reader.certificate(), true), Recipient::unchecked(reader.certificate(), true)];
    let mail = envelope(CONTENT, &twice, Enveloping::Authenticated);
    match decrypt(&mail, &mut keys).err().unwrap() {
        DecryptError::Keys(error) => assert_eq!(error.code(), "wrong-pin"),
        other => panic!("{other}"),
    }
    assert_eq!(asked.get(), 1, "one mail must not cost two tries");
}
