//! A card that is pulled out of the reader at any command of its personalisation is finished by a later run.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/troubled.rs"]
mod troubled;

use std::cell::Cell;
use std::rc::Rc;

use desk_support::{Desk, PASSPHRASE};
use issuer::ca::{Authority, Certificate};
use issuer::clock::SystemClock;
use issuer::config::{Config, Home};
use issuer::domain::{AuthorityName, CardKey, CardState, CertificateState};
use issuer::personalization::PersonalizationError;
use issuer::personalization::attestation::{AttestationRefusal, AttestationRoots};
use issuer::personalization::objects::ContentSigner;
use issuer::personalization::plan::{KeyChoice, KeyOrigin};
use issuer::personalization::renewal::{RenewalOrder, Renewed};
use issuer::personalization::run::Personalized;
use issuer::registry::{JournalPhase, Registry};
use middleware::{Card, FileKey, KeyAlgorithm, KeyReference};
use rand_core::UnwrapErr;
use troubled::{Last, Troubled, is_removed, pulled_card};

/// The parts of a desk, opened once.
struct Opened {
    registry: Registry,
    authority: Authority,
    content_signer: ContentSigner,
    attestation_roots: AttestationRoots,
    config: Config,
    master_key: issuer::personalization::custody::MasterKey,
}

async fn opened(desk: &Desk) -> Opened {
    let home = Home::new(desk.home());
    let registry =
        Registry::open(&home.default_registry(), issuer::domain::Actor::unrecorded()).await.unwrap();
    let authorities = registry.authorities().await.unwrap();
    let people = authorities.into_iter().find(|authority| authority.name == AuthorityName::People).unwrap();
    let pem = std::fs::read_to_string(home.key_file(AuthorityName::People)).unwrap();
    let key = FileKey::from_encrypted_pkcs8_pem(&pem, PASSPHRASE).unwrap();
    let mut authority =
        Authority::open(Certificate::from_der(people.certificate).unwrap(), Box::new(key)).unwrap();
    let config = Config::read(&home.config_file()).unwrap();
    let content_signer = desk_support::content_signer(&registry, &mut authority, &config.organization).await;
    let attestation_roots = AttestationRoots::default();
    Opened { registry, authority, content_signer, attestation_roots, config, master_key: desk.master_key() }
}

async fn attempt(opened: &mut Opened, card: Troubled) -> Result<Personalized, PersonalizationError> {
    let mut card = Card::over(Box::new(card))?;
    let holder = opened.registry.cardholder_named("alice@example.org").await.unwrap().unwrap();
    let handed_over = Rc::new(Cell::new(0));
    let counter = Rc::clone(&handed_over);
    let mut desk = issuer::personalization::run::Desk {
        registry: &opened.registry,
        authority: &mut opened.authority,
        organization: &opened.config.organization,
        content_signer: &mut opened.content_signer,
        attestation_roots: &opened.attestation_roots,
        master_key: &opened.master_key,
        clock: &SystemClock,
        random: &mut UnwrapErr(getrandom::SysRng),
        progress: &mut |_| {},
        hand_over_pin: &mut |_| {
            counter.set(counter.get() + 1);
            Ok(())
        },
        stop: &|| false,
    };
    let keys = KeyChoice { algorithm: KeyAlgorithm::P256, origin: KeyOrigin::GeneratedOnCard };
    let made = desk.personalize(&mut card, &holder, keys).await;
    assert_eq!(
        handed_over.get(),
        usize::from(made.is_ok()),
        "a PIN was handed over for a card that is not finished"
    );
    made
}

/// Pulls the card at its first command, then at its second, and so on, until a run gets through; each time once before
/// the card had the command, and once before the desk had the answer.
async fn pulled_at_every_command(standard: bool) {
    let desk = Desk::new();
    if standard {
        desk.standard("alice.card")
    } else {
        desk.yubikey("alice.card", &[])
    };
    let mut opened = opened(&desk).await;
    let state = desk.path("alice.card");
    let mut pulled = 0;
    let made = loop {
        let last = if pulled % 2 == 0 { Last::Lost } else { Last::CarriedOut };
        match attempt(&mut opened, pulled_card(&state, pulled / 2, last)).await {
            Ok(made) => break made,
            Err(error) => assert!(is_removed(&error), "pulled at command {pulled} / 2: {error}"),
        }
        let card = &opened.registry.cards().await.unwrap()[0].card;
        let in_stock_or_half_made =
            matches!(card.state(), CardState::InStock { .. } | CardState::BeingPersonalised { .. });
        assert!(in_stock_or_half_made, "pulled at command {pulled} / 2: {:?}", card.state());
        pulled += 1;
        assert!(pulled < 2000, "no run gets through");
    };
    assert!(pulled > 100, "only {pulled} / 2 commands were needed: does the test count?");
    let card = &opened.registry.cards().await.unwrap()[0].card;
    assert!(matches!(card.state(), CardState::Issued { .. }));
    for serial in &made.serials {
        let certificate = opened.registry.certificate(serial).await.unwrap().unwrap();
        assert!(matches!(certificate.state.state(), CertificateState::Delivered { .. }));
    }
    // Nothing that an earlier attempt had signed is left valid.
    let all = opened
        .registry
        .search("alice@example.org", issuer::registry::SearchFor::Beginnings)
        .await
        .unwrap()
        .certificates;
    let valid = all
        .iter()
        .filter(|certificate| !matches!(certificate.state.state(), CertificateState::Revoked { .. }));
    assert_eq!(valid.count(), 4);
}

#[tokio::test]
async fn a_yubikey_pulled_at_every_command_is_finished_in_the_end() {
    pulled_at_every_command(false).await;
}

#[tokio::test]
async fn a_standard_card_pulled_at_every_command_is_finished_in_the_end() {
    pulled_at_every_command(true).await;
}

/// Nothing of what the card made and attested is mixed with keys from the desk: the second run begins anew.
#[tokio::test]
async fn a_half_made_card_that_gets_other_keys_gets_four_of_them_and_what_was_certified_is_revoked() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let mut opened = opened(&desk).await;
    let card = opened.registry.cards().await.unwrap()[0].id;
    let (mut commands, mut was_begun) = (0, false);
    while opened.registry.certificates_of_card(card).await.unwrap().is_empty() {
        commands += 10;
        let pulled = pulled_card(&desk.path("alice.card"), commands, Last::CarriedOut);
        assert!(is_removed(&attempt(&mut opened, pulled).await.unwrap_err()));
        // A blank card is looked through first; a half-made one needs fewer commands.
        let state = opened.registry.card(card).await.unwrap().card.state().name();
        if state == "being personalised" && !was_begun {
            (commands, was_begun) = (0, true);
        }
    }
    let before = opened.registry.certificates_of_card(card).await.unwrap();
    desk.issue("alice@example.org", &locator, &["--inject"]);
    let shown = desk.json(&["show", "alice@example.org"]);
    assert!(shown["keys"].as_array().unwrap().iter().all(|key| key["origin"] == "injected"), "{shown}");
    for certificate in before {
        let now = opened.registry.certificate(&certificate.serial).await.unwrap().unwrap();
        assert!(matches!(now.state.state(), CertificateState::Revoked { .. }), "{:?}", now.serial);
    }
    desk.issuer(&["check", "--card", &locator]).expect(0);
}

#[tokio::test]
async fn a_card_that_is_not_emulated_gets_the_staff_policy_and_an_emulated_one_nothing() {
    let desk = Desk::empty();
    let arc = "1.3.6.1.4.1.99999.1";
    let init = ["init", "--policy-arc", arc, "--organization", "Example Org", "--domain", "example.org"];
    desk.issuer(&[init.as_slice(), &["--base-url", "http://pki.example.org"]].concat()).expect(0);
    desk.import_staff("name,mail\nAlice Ng,alice@example.org\n").expect(0);
    // A card without attestation: one with it says in each that it is emulated.
    desk.blank("alice.card", &["--personality", "standard"]);
    desk.issuer(&["stock", "add", "--file", "alice.card.stock.toml"]).expect(0);
    let mut opened = opened(&desk).await;
    let state = desk.path("alice.card");
    let refused = attempt(&mut opened, pulled_card(&state, usize::MAX, Last::Lost)).await;
    assert!(matches!(refused, Err(PersonalizationError::EmulatedCard)));
    let real = pulled_card(&state, usize::MAX, Last::Lost).without_mark();
    attempt(&mut opened, real).await.unwrap();
    desk_support::extract_certificates(&format!("sim:{}", state.display()), &desk.path("alice"));
    for (name, _) in desk_support::KEYS {
        let output = desk_support::openssl(&[
            "x509",
            "-in",
            &desk.text(&format!("alice/{name}.pem")),
            "-noout",
            "-text",
        ]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!("Policy: {arc}.1\n")), "{name}: {text}");
        assert!(!text.contains(&format!("Policy: {arc}.3")), "{name}: {text}");
    }
}

/// Even where somebody has pinned the root of an emulated card: its attestations say what it is.
#[tokio::test]
async fn an_emulated_card_that_hides_it_is_betrayed_by_its_attestation() {
    let desk = Desk::empty();
    let init = ["init", "--organization", "Example Org", "--domain", "example.org"];
    desk.issuer(&[init.as_slice(), &["--base-url", "http://pki.example.org"]].concat()).expect(0);
    desk.import_staff("name,mail\nAlice Ng,alice@example.org\n").expect(0);
    desk.blank("alice.card", &["--serial", "31"]);
    desk.issuer(&["stock", "add", "--serial", "31"]).expect(0);
    let mut opened = opened(&desk).await;
    let state = desk.path("alice.card");
    let hidden = pulled_card(&state, usize::MAX, Last::Lost).without_mark();
    let refused = attempt(&mut opened, hidden).await.unwrap_err();
    let PersonalizationError::Interrupted { source, .. } = refused else { panic!("{refused}") };
    assert!(matches!(*source, PersonalizationError::Attestation(AttestationRefusal::HiddenEmulation)));
    assert!(opened.registry.certificates_to_publish(jiff::Timestamp::UNIX_EPOCH).await.unwrap().is_empty());
}

/// One run of a renewal with new keys on a card that may be pulled.
async fn renewal(opened: &mut Opened, card: Troubled, digits: &str) -> Result<Renewed, PersonalizationError> {
    renewal_with(opened, card, digits, KeyOrigin::GeneratedOnCard).await
}

/// Likewise, with keys that are made where it is said.
async fn renewal_with(
    opened: &mut Opened,
    card: Troubled,
    digits: &str,
    origin: KeyOrigin,
) -> Result<Renewed, PersonalizationError> {
    let mut card = Card::over(Box::new(card))?;
    let holder = opened.registry.cardholder_named("alice@example.org").await.unwrap().unwrap();
    let record = opened.registry.card_of(holder.id).await.unwrap().unwrap();
    let mut desk = issuer::personalization::run::Desk {
        registry: &opened.registry,
        authority: &mut opened.authority,
        organization: &opened.config.organization,
        content_signer: &mut opened.content_signer,
        attestation_roots: &opened.attestation_roots,
        master_key: &opened.master_key,
        clock: &SystemClock,
        random: &mut UnwrapErr(getrandom::SysRng),
        progress: &mut |_| {},
        hand_over_pin: &mut |_| Ok(()),
        stop: &|| false,
    };
    let new_keys = KeyChoice { algorithm: KeyAlgorithm::P256, origin };
    let new_keys = Some(new_keys.into());
    let order = RenewalOrder { keys: CardKey::ALL.to_vec(), new_keys, profile: None, days: None };
    desk.renew(&mut card, &record, &holder, &order, &desk_support::pin(digits)).await
}

/// Each run gets a command further than the one before, on top of what that one has confirmed. Whatever is lost, the old key 9D lies at its retired reference in the end, and every certificate that was made is on
/// the card or revoked (but for the old one of 9C, which stays good).
#[tokio::test]
async fn a_card_pulled_again_and_again_during_its_renewal_is_renewed_in_the_end() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let digits = desk.issue("alice@example.org", &locator, &[]);
    let old = desk_support::open(&locator).certificate(KeyReference::KeyManagement).unwrap().unwrap();
    let mut opened = opened(&desk).await;
    let state = desk.path("alice.card");
    let mut pulled = 0;
    let renewed = loop {
        let last = if pulled % 2 == 0 { Last::Lost } else { Last::CarriedOut };
        match renewal(&mut opened, pulled_card(&state, pulled / 2, last), &digits).await {
            Ok(renewed) => break renewed,
            Err(error) => assert!(is_removed(&error), "pulled at command {pulled} / 2: {error}"),
        }
        pulled += 1;
        assert!(pulled < 2000, "no run gets through");
    };
    assert!(pulled > 60, "only {pulled} / 2 commands were needed: does the test count?");
    assert_eq!(renewed.retired.map(|reference| reference.to_string()).as_deref(), Some("82"));
    let mut card = desk_support::open(&locator);
    assert_eq!(card.certificate(renewed.retired.unwrap()).unwrap(), Some(old));
    let on_card: Vec<_> =
        card.certificates().unwrap().into_iter().map(|(_, certificate)| certificate).collect();
    assert_eq!(on_card.len(), 5);
    let record = opened.registry.cards().await.unwrap().swap_remove(0);
    assert_eq!(opened.registry.open_operation(record.id).await.unwrap(), None);
    let mut beside = 0;
    for certificate in opened.registry.certificates_of_card(record.id).await.unwrap() {
        let is_revoked = matches!(certificate.state.state(), CertificateState::Revoked { .. });
        let is_on_card = certificate.certificate.as_ref().is_some_and(|der| on_card.contains(der));
        beside += usize::from(!is_revoked && !is_on_card);
    }
    assert_eq!(beside, 1, "only the old certificate of 9C is neither on the card nor revoked");
}

/// Whether the card has a new key 9A, and still the certificate of the old one.
fn is_between_two_keys(locator: &str) -> bool {
    let mut card = desk_support::open(locator);
    let der = card.certificate(KeyReference::Authentication).unwrap().unwrap();
    let metadata = card.transaction().unwrap().key_metadata(KeyReference::Authentication).unwrap().unwrap();
    metadata.public_key.as_ref() != Some(Certificate::from_der(der).unwrap().public_key())
}

#[tokio::test]
async fn a_renewal_that_is_half_done_is_named_and_gone_on_with_by_the_command_that_is_said() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let digits = desk.issue("alice@example.org", &locator, &[]);
    std::fs::write(desk.path("pin"), digits.as_bytes()).unwrap();
    let mut opened = opened(&desk).await;
    let mut commands = 0;
    while !is_between_two_keys(&locator) {
        commands += 1;
        let card = pulled_card(&desk.path("alice.card"), commands, Last::CarriedOut);
        let error = renewal(&mut opened, card, &digits).await.unwrap_err();
        assert!(is_removed(&error), "pulled at command {commands}: {error}");
    }
    let check = ["check", "--card", &locator, "--pin-file", "pin"];
    let said = desk.issuer(&check);
    said.expect(4);
    let first = said.stdout.lines().next().unwrap();
    assert!(first.contains("half done"), "{}", said.stdout);
    let go_on = first.split("issuer ").last().unwrap();
    assert!(go_on.starts_with("renew serial=") && go_on.contains("--new-keys"), "{go_on}");
    assert!(go_on.ends_with(&format!("--card {locator}")), "{go_on}");
    assert!(!said.stdout.contains("key-compromise") && !said.stdout.contains("agree."), "{}", said.stdout);
    let json = desk.issuer(&[&["--json"], &check[..]].concat());
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["agrees"], &json["half_done"]["what"]), (&false.into(), &"renewal".into()));
    let shown = desk.issuer(&["show", "alice@example.org"]).stdout;
    assert!(shown.contains("half done") && shown.contains("--new-keys --card LOCATOR"), "{shown}");

    let other = ["renew", "alice@example.org", "--card", &locator, "--pin-file", "pin"];
    let named = ["half done", "nothing was changed", go_on];
    desk.issuer(&other).refuses(1, &named);
    desk.issuer(&[&other[..], &["--new-keys", "--key", "9C"]].concat()).refuses(1, &named);

    let words: Vec<_> = go_on.split(' ').chain(["--pin-file", "pin"]).collect();
    desk.issuer(&words).expect(0);
    desk.issuer(&check).expect(0);
    assert!(desk.json(&["show", "alice@example.org"])["half_done"].is_null());
}

/// Keys that the card made and attested are not given up for injected ones half-way, nor the other way round.
#[tokio::test]
async fn a_renewal_that_is_half_done_is_not_gone_on_with_by_keys_that_are_made_elsewhere() {
    for origin in [KeyOrigin::GeneratedOnCard, KeyOrigin::Injected] {
        let desk = Desk::new();
        let locator = desk.yubikey("alice.card", &[]);
        let digits = desk.issue("alice@example.org", &locator, &[]);
        std::fs::write(desk.path("pin"), digits.as_bytes()).unwrap();
        let mut opened = opened(&desk).await;
        let old = desk_support::open(&locator).certificate(KeyReference::Authentication).unwrap().unwrap();
        let card = opened.registry.cards().await.unwrap()[0].id;
        let renewed_9a = async |opened: &Opened| {
            let Some(open) = opened.registry.open_operation(card).await.unwrap() else { return false };
            let steps = opened.registry.steps(&open).await.unwrap();
            steps.iter().any(|entry| entry.step == "9A renewed" && entry.phase == JournalPhase::Confirmed)
        };
        let mut commands = 0;
        while !renewed_9a(&opened).await {
            commands += 4;
            let card = pulled_card(&desk.path("alice.card"), commands, Last::CarriedOut);
            let error = renewal_with(&mut opened, card, &digits, origin).await.unwrap_err();
            assert!(is_removed(&error), "pulled at command {commands}: {error}");
        }
        let new = desk_support::open(&locator).certificate(KeyReference::Authentication).unwrap().unwrap();
        assert_ne!(new, old);
        let renew =
            ["renew", "alice@example.org", "--card", &locator, "--pin-file", "pin", "--new-keys", "--inject"];
        let (same, other) = match origin {
            KeyOrigin::GeneratedOnCard => (&renew[..7], &renew[..]),
            KeyOrigin::Injected => (&renew[..], &renew[..7]),
        };
        desk.issuer(other).refuses(1, &["half done", "nothing was changed", "go on with it: issuer renew"]);
        desk.issuer(same).expect(0);
        // Its certificate was delivered before, and is the one that counts in the end.
        let kept = desk_support::open(&locator).certificate(KeyReference::Authentication).unwrap();
        assert_eq!(kept, Some(new), "{origin:?}");
    }
}

/// Runs the desk's shell with these lines.
fn led(desk: &Desk, locator: &str, lines: &str) -> String {
    std::fs::write(desk.path("lines"), lines).unwrap();
    let mut command = desk.command(&["desk", "--card", locator]);
    let run = desk_support::run(command.stdin(std::fs::File::open(desk.path("lines")).unwrap()));
    run.expect(0).stdout.clone()
}

/// The number under which something is offered.
fn offered<'s>(shown: &'s str, what: &str) -> &'s str {
    let line = shown.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {shown}"));
    line.split_whitespace().next().unwrap()
}

/// A card of SP 800-73-5 alone has no command to move its key 9D.
#[test]
fn new_keys_are_offered_only_where_old_mail_stays_readable() {
    for is_standard in [false, true] {
        let desk = Desk::new();
        let locator = if is_standard { desk.standard("alice.card") } else { desk.yubikey("alice.card", &[]) };
        desk.issue("alice@example.org", &locator, &[]);
        let shown = led(&desk, &locator, "\n\n");
        assert!(shown.contains("new certificates for the same keys"), "{shown}");
        assert_eq!(shown.contains("new keys and certificates"), !is_standard, "{shown}");
    }
}

/// Nothing is wiped as if the renewal went on: the card may hold the only key for old mail.
#[tokio::test]
async fn a_renewal_that_is_half_done_is_over_with_its_card_and_what_is_left_to_do_is_said() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    let digits = desk.issue("alice@example.org", &locator, &[]);
    std::fs::write(desk.path("pin"), digits.as_bytes()).unwrap();
    let mut opened = opened(&desk).await;
    let card = opened.registry.cards().await.unwrap()[0].id;
    let mut commands = 0;
    while opened.registry.open_operation(card).await.unwrap().is_none() {
        commands += 2;
        let card = pulled_card(&desk.path("alice.card"), commands, Last::CarriedOut);
        assert!(is_removed(&renewal(&mut opened, card, &digits).await.unwrap_err()));
    }
    let renew = ["renew", "alice@example.org", "--card", &locator, "--pin-file", "pin", "--new-keys"];
    let serial = format!("serial={}", desk.json(&["stock", "list"])[0]["serial"]);
    let wipe = format!("issuer stock return {serial} --card {locator}");
    for (end, first, wiping) in [
        (&["mark", "alice@example.org", "lost"][..], "leave everything on it", "wiped it can be anybody's"),
        (&["stock", "return", "alice@example.org"][..], "check that card", "wipe it and put it into stock"),
    ] {
        desk.issuer(end).expect(0);
        let checked = desk.issuer(&["check", "--card", &locator]);
        for said in ["over with the card", "old mail", "there is nothing to finish", &wipe] {
            assert!(checked.expect(0).stdout.contains(said), "{said}: {}", checked.stdout);
        }
        assert!(!checked.stdout.contains("finished first"), "{}", checked.stdout);
        let refused = desk.issuer(&renew);
        refused.refuses(1, &["is over with the card", "old mail", &wipe]);
        assert!(!refused.stderr.contains("the same command"), "{}", refused.stderr);

        let shown = led(&desk, &locator, "\n\n");
        assert!(!shown.contains("go on with the renewal"), "{shown}");
        assert_eq!(offered(&shown, first), "1", "{shown}");
        let declined = led(&desk, &locator, &format!("\n{}\n\n\n", offered(&shown, wiping)));
        assert!(declined.contains("can be read with it alone"), "{declined}");
        assert!(declined.contains("Nothing was changed."), "{declined}");
        assert!(desk_support::open(&locator).certificate(KeyReference::KeyManagement).unwrap().is_some());
    }
    let words: Vec<_> = wipe.split(' ').skip(1).collect();
    desk.issuer(&words).expect(0);
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "in stock");
}
