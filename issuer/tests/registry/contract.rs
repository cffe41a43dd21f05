//! The registry as it is used: durable, consistent whatever is asked of it.

use issuer::domain::{
    AuthorityName, CardCommand, CardKey, CardRefusal, CardState, CertificateRefusal, Guid, MailAddress,
    RevocationReason, StockIdentity,
};
use issuer::registry::{
    EmulatedCards, IssuedCrl, JournalLine, JournalPhase, NewStockCard, PresentedIdentity, RegistryError,
    SearchFor, SignedCrls, Standing,
};

use crate::database::{Place, at, begin, certificate, complete, person, stock};

crate::on_both! {
    what_was_written_is_there_after_reopening
    people_and_cards_are_there_once
    a_card_is_found_by_what_it_shows
    nobody_has_two_live_cards
    a_serial_number_is_stored_first_and_used_once
    starting_over_revokes_what_the_attempt_before_certified
    revoking_a_person_is_one_act
    crl_numbers_are_taken_once_even_by_two_desks
    a_search_takes_every_character_literally
}

async fn what_was_written_is_there_after_reopening(place: &Place) {
    let first = place.registry().await;
    let alice = first.add_cardholder(&person("alice", Some("7")), at(1)).await.unwrap();
    let card = stock(&first, 5).await;
    let plan_of = |attempt| format!("plan of {attempt}");
    let first_steps = ["PUK".to_owned(), "9A key".to_owned()];
    let begin = (begin(alice), Some("mail"));
    first.begin_attempt((card, None), begin, plan_of, &first_steps, at(2)).await.unwrap();
    let line =
        JournalLine { card, attempt: 1, step: "PUK", phase: JournalPhase::Confirmed, detail: Some("x") };
    first.write_journal(&[line], at(2)).await.unwrap();
    first.write_journal(&[line], at(3)).await.unwrap();
    first.close().await;

    let again = place.open("bob").await.unwrap();
    assert_eq!(again.emulated_cards().await.unwrap(), EmulatedCards::Allowed);
    assert_eq!(again.cardholder_named("ALICE@example.org").await.unwrap().unwrap().id, alice);
    assert_eq!(again.cardholder_named("7").await.unwrap().unwrap().id, alice);
    let record = again.card_of(alice).await.unwrap().unwrap();
    assert_eq!(record.card.state(), &CardState::BeingPersonalised { holder: alice, since: at(2) });
    assert_eq!(record.card.profile(), Some("mail"));
    let journal = again.journal(card).await.unwrap();
    let lines: Vec<_> =
        journal.iter().map(|line| (line.step.as_str(), line.phase, line.detail.as_deref())).collect();
    let (intended, confirmed) = (JournalPhase::Intended, JournalPhase::Confirmed);
    assert_eq!(lines, [("PUK", intended, None), ("9A key", intended, None), ("PUK", confirmed, Some("x"))]);
    assert_eq!(again.plan(card, 1).await.unwrap().as_deref(), Some("plan of 1"));
    assert_eq!(again.newest_event().await.unwrap(), Some(at(2)));
}

async fn people_and_cards_are_there_once(place: &Place) {
    let registry = place.registry().await;
    registry.add_cardholder(&person("alice", Some("7")), at(1)).await.unwrap();
    let mut same_mail = person("Alice", None);
    same_mail.mail = MailAddress::new("ALICE@example.org").unwrap();
    assert!(
        matches!(registry.add_cardholder(&same_mail, at(1)).await, Err(RegistryError::MailTaken { name }) if name == "alice")
    );
    let same_id = registry.add_cardholder(&person("bob", Some("7")), at(1)).await;
    assert!(matches!(same_id, Err(RegistryError::StaffIdTaken { name }) if name == "alice"));
    stock(&registry, 5).await;
    let again = NewStockCard { identity: StockIdentity::VendorSerial(5), sealed_secrets: None };
    assert!(matches!(registry.add_card(&again, at(1)).await, Err(RegistryError::CardTaken(_))));
}

async fn a_card_is_found_by_what_it_shows(place: &Place) {
    let registry = place.registry().await;
    let alice = registry.add_cardholder(&person("alice", None), at(1)).await.unwrap();
    let factory = Guid::new([0xFA; 16]);
    let new = NewStockCard { identity: StockIdentity::Guid(factory), sealed_secrets: Some(vec![1, 2, 3]) };
    let card = registry.add_card(&new, at(1)).await.unwrap();
    let shown = |guid| PresentedIdentity { vendor_serial: None, guid: Some(guid) };
    assert_eq!(registry.card_presented(shown(factory)).await.unwrap().unwrap().id, card);
    let given = registry.command_card(card, begin(alice), at(2)).await.unwrap().guid().unwrap();
    // A card that was cut off in between shows the one or the other.
    assert_eq!(registry.card_presented(shown(factory)).await.unwrap().unwrap().id, card);
    assert_eq!(registry.card_presented(shown(given)).await.unwrap().unwrap().id, card);
    assert!(registry.card_presented(shown(Guid::new([1; 16]))).await.unwrap().is_none());
    let with_serial = PresentedIdentity { vendor_serial: Some(9), guid: Some(given) };
    assert!(
        registry.card_presented(with_serial).await.unwrap().is_none(),
        "a card with a serial number passed for another"
    );
    assert_eq!(registry.sealed_secrets(card).await.unwrap(), Some(vec![1, 2, 3]));
    registry.replace_sealed_secrets(card, None).await.unwrap();
    assert_eq!(registry.sealed_secrets(card).await.unwrap(), None);
}

async fn nobody_has_two_live_cards(place: &Place) {
    let registry = place.registry().await;
    let alice = registry.add_cardholder(&person("alice", None), at(1)).await.unwrap();
    let (first, second) = (stock(&registry, 1).await, stock(&registry, 2).await);
    registry.command_card(first, begin(alice), at(2)).await.unwrap();
    let refused = registry.command_card(second, begin(alice), at(3)).await;
    assert!(matches!(refused, Err(RegistryError::HasCard { card }) if card == first));
    assert!(matches!(registry.card(second).await.unwrap().card.state(), CardState::InStock { .. }));
    registry.command_card(first, CardCommand::AbandonPersonalisation, at(4)).await.unwrap();
    registry.command_card(second, begin(alice), at(5)).await.unwrap();
}

async fn a_serial_number_is_stored_first_and_used_once(place: &Place) {
    let registry = place.registry().await;
    let new = certificate(1, None);
    let early = registry.record_signature(&new.serial, b"signed", at(1)).await;
    assert!(matches!(early, Err(RegistryError::CertificateRefused(CertificateRefusal::Unknown))));
    registry.reserve_certificate(&new, at(1)).await.unwrap();
    let taken = registry.reserve_certificate(&new, at(1)).await;
    assert!(matches!(taken, Err(RegistryError::CertificateRefused(CertificateRefusal::SerialNumberTaken))));
    registry.record_signature(&new.serial, b"signed", at(2)).await.unwrap();
    assert!(registry.record_signature(&new.serial, b"again", at(2)).await.is_err());
    let stored = registry.certificate(&new.serial).await.unwrap().unwrap();
    assert_eq!(stored.certificate.as_deref(), Some(b"signed".as_slice()));
    assert_eq!(registry.certificates_to_publish(at(1000)).await.unwrap().len(), 1);
    assert!(
        registry.certificates_to_publish(at(1001)).await.unwrap().is_empty(),
        "an expired certificate is published"
    );
}

async fn starting_over_revokes_what_the_attempt_before_certified(place: &Place) {
    let registry = place.registry().await;
    let alice = registry.add_cardholder(&person("alice", None), at(1)).await.unwrap();
    let card = stock(&registry, 1).await;
    registry.command_card(card, begin(alice), at(2)).await.unwrap();
    let on_card = |attempt| Some((alice, card, attempt, CardKey::DigitalSignature));
    // One was signed; of the other it is not known.
    registry.reserve_certificate(&certificate(2, on_card(1)), at(2)).await.unwrap();
    registry.reserve_certificate(&certificate(1, on_card(1)), at(2)).await.unwrap();
    registry.record_signature(&certificate(1, None).serial, b"signed", at(2)).await.unwrap();
    assert!(registry.revoked_certificates(AuthorityName::People).await.unwrap().is_empty());
    registry.command_card(card, begin(alice), at(3)).await.unwrap();
    let revoked = registry.revoked_certificates(AuthorityName::People).await.unwrap();
    let serials: Vec<_> = revoked.iter().map(|entry| entry.serial.to_string()).collect();
    assert_eq!(serials, ["4f01", "4f02"], "ascending, as a CRL wants them");
    assert!(revoked.iter().all(|entry| entry.standing == Standing::Revoked(RevocationReason::Superseded)
        && entry.revoked_at == at(3)));
    assert!(registry.revoked_certificates(AuthorityName::Servers).await.unwrap().is_empty());
}

async fn revoking_a_person_is_one_act(place: &Place) {
    let registry = place.registry().await;
    let alice = registry.add_cardholder(&person("alice", None), at(1)).await.unwrap();
    let card = stock(&registry, 1).await;
    registry.command_card(card, begin(alice), at(2)).await.unwrap();
    for serial in 1..=4 {
        let new = certificate(serial, Some((alice, card, 1, CardKey::KeyManagement)));
        registry.reserve_certificate(&new, at(2)).await.unwrap();
    }
    registry.command_card(card, complete(1), at(3)).await.unwrap();
    let reason = RevocationReason::KeyCompromise;
    let future = registry.revoke_cardholder(alice, reason, Some(at(99)), at(4)).await;
    assert!(matches!(
        future,
        Err(RegistryError::CertificateRefused(CertificateRefusal::InvalidSinceInTheFuture { .. }))
    ));
    assert!(
        registry.revoked_certificates(AuthorityName::People).await.unwrap().is_empty(),
        "half of it was done"
    );
    let done = registry.revoke_cardholder(alice, reason, Some(at(2)), at(4)).await.unwrap();
    assert_eq!((done.cards.as_slice(), done.certificates.len()), ([card].as_slice(), 4));
    let again = registry.revoke_cardholder(alice, RevocationReason::Superseded, None, at(5)).await.unwrap();
    assert_eq!((again.cards.len(), again.earlier), (0, Some((at(4), reason))));
    let refused = registry.command_card(card, begin(alice), at(6)).await;
    assert!(matches!(refused, Err(RegistryError::CardRefused(CardRefusal::Revoked { .. }))));
}

async fn crl_numbers_are_taken_once_even_by_two_desks(place: &Place) {
    let (one, other) = (place.registry().await, place.open("bob").await.unwrap());
    let mut numbers = Vec::new();
    for desk in [&one, &other, &one, &other] {
        numbers.push(desk.reserve_crl_number(AuthorityName::People, at(1), at(9)).await.unwrap());
    }
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(one.reserve_crl_number(AuthorityName::Root, at(1), at(9)).await.unwrap(), 1);
    assert_eq!(one.newest_crl(AuthorityName::People).await.unwrap(), None);
    let crl = SignedCrls {
        number: 3,
        key: "ab".to_owned(),
        is_complete: true,
        complete: Some(&[9]),
        parts: Vec::new(),
        told: None,
    };
    one.store_crls(AuthorityName::People, &crl, at(2)).await.unwrap();
    assert!(one.store_crls(AuthorityName::People, &crl, at(2)).await.is_err());
    assert_eq!(
        other.newest_crl(AuthorityName::People).await.unwrap(),
        Some(IssuedCrl { number: 3, crl: vec![9] })
    );
}

async fn a_search_takes_every_character_literally(place: &Place) {
    let registry = place.registry().await;
    registry.add_cardholder(&person("alice", Some("A-1")), at(1)).await.unwrap();
    registry.reserve_certificate(&certificate(0xAB, None), at(1)).await.unwrap();
    for (text, people, certificates) in [
        ("%", 0, 1),
        ("_", 0, 1),
        ("\\", 0, 1),
        ("100%_\\", 0, 1),
        ("lic", 1, 1),
        ("a-1", 1, 0),
        ("4F:aB", 0, 1),
        ("4f", 0, 1),
        ("fab", 0, 0),
        ("'", 0, 0),
    ] {
        let hits = registry.search(text, SearchFor::Beginnings).await.unwrap();
        assert_eq!((hits.people.len(), hits.certificates.len()), (people, certificates), "{text}");
    }
}
