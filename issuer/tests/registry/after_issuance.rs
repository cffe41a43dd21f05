//! What is done to cards after they were issued: one at a time, by one run, and written down.

use issuer::domain::{
    CardCommand, CardKey, CardRefusal, CardState, CertificateState, InitialPin, Loss, RevocationReason,
};
use issuer::registry::{AttestationRecord, JournalPhase, KeyOriginRecord, OperationKind, RegistryError};

use crate::database::{Place, at, begin, certificate, stock, with_card};

crate::on_both! {
    an_operation_is_gone_on_with_by_one_run_at_a_time
    a_renewed_certificate_is_stored_first_and_revoked_if_it_never_arrived
    where_a_key_came_from_is_kept_by_the_key
    a_revealed_puk_is_exposed_until_it_is_confirmed
    a_card_takes_anothers_place_in_the_commit_that_makes_it_its_holders
    confirmed_steps_are_told_with_when_their_operations_were_begun
}

async fn an_operation_is_gone_on_with_by_one_run_at_a_time(place: &Place) {
    let registry = place.registry().await;
    let (_, card) = with_card(&registry, "alice", 1).await;
    let first = registry.begin_operation(card, OperationKind::Renewal, "{\"a\":1}", at(5)).await.unwrap();
    registry.note_step(&first, "9D key", JournalPhase::Intended, None, at(5)).await.unwrap();
    registry.note_step(&first, "9D key", JournalPhase::Intended, Some("again"), at(6)).await.unwrap();
    let other = registry.begin_operation(card, OperationKind::Wipe, "{}", at(6)).await;
    assert!(matches!(other, Err(RegistryError::OperationOpen(OperationKind::Renewal))));

    let again = place.open("bob").await.unwrap();
    let second = again.begin_operation(card, OperationKind::Renewal, "another", at(7)).await.unwrap();
    assert_eq!((second.plan.as_str(), second.is_resumed()), ("{\"a\":1}", true));
    let steps = again.steps(&second).await.unwrap();
    assert_eq!((steps.len(), steps[0].step.as_str(), steps[0].detail.as_deref()), (1, "9D key", None));
    let late = registry.note_step(&first, "9D key", JournalPhase::Confirmed, None, at(8)).await;
    assert!(matches!(late, Err(RegistryError::OperationOvertaken(OperationKind::Renewal))));
    assert!(registry.end_operation(&first, at(8)).await.is_err());
    again.end_operation(&second, at(9)).await.unwrap();
    assert_eq!(again.open_operation(card).await.unwrap(), None);
    registry.begin_operation(card, OperationKind::Wipe, "{}", at(10)).await.unwrap();
}

async fn a_renewed_certificate_is_stored_first_and_revoked_if_it_never_arrived(place: &Place) {
    let registry = place.registry().await;
    let (alice, card) = with_card(&registry, "alice", 1).await;
    let on_card = Some((alice, card, 1, CardKey::KeyManagement));
    let refused = registry.reserve_certificate(&certificate(8, on_card), at(5)).await;
    assert!(matches!(refused, Err(RegistryError::CardRefused(CardRefusal::NotBeingPersonalised(_)))));
    let renewal = registry.begin_operation(card, OperationKind::Renewal, "{}", at(5)).await.unwrap();
    let new = certificate(9, on_card);
    registry.reserve_renewal(&renewal, &new, at(5)).await.unwrap();
    registry.record_signature(&new.serial, &[9], at(5)).await.unwrap();
    let published = registry.certificates_to_publish(at(6)).await.unwrap();
    assert!(!published.contains(&vec![9]), "it did not reach the card yet");
    assert_eq!(registry.revoke_undelivered(&renewal, at(6)).await.unwrap(), vec![new.serial.clone()]);
    let stored = registry.certificate(&new.serial).await.unwrap().unwrap();
    assert!(matches!(
        stored.state.state(),
        CertificateState::Revoked { reason: RevocationReason::Superseded, .. }
    ));
    let newer = certificate(10, on_card);
    registry.reserve_renewal(&renewal, &newer, at(7)).await.unwrap();
    registry.record_signature(&newer.serial, &[10], at(7)).await.unwrap();
    registry.confirm_delivery(&newer.serial, at(7)).await.unwrap();
    assert!(registry.certificates_to_publish(at(8)).await.unwrap().contains(&vec![10]));
    assert!(registry.revoke_undelivered(&renewal, at(8)).await.unwrap().is_empty());
    registry.supersede(&renewal, &certificate(2, None).serial, at(8)).await.unwrap();
    registry.supersede(&renewal, &certificate(2, None).serial, at(9)).await.unwrap();
    assert_eq!(registry.certificates_of_card(card).await.unwrap().len(), 4);

    registry.command_card(card, CardCommand::ReportLoss { loss: Loss::Lost }, at(9)).await.unwrap();
    let refused = registry.reserve_renewal(&renewal, &certificate(11, on_card), at(10)).await;
    assert!(matches!(refused, Err(RegistryError::CardRefused(CardRefusal::NotIssued("lost")))));
    registry.verify_log().await.unwrap();
}

async fn where_a_key_came_from_is_kept_by_the_key(place: &Place) {
    let registry = place.registry().await;
    let (_, card) = with_card(&registry, "alice", 1).await;
    let on_card = (card, CardKey::KeyManagement);
    let attested = KeyOriginRecord::Attested(AttestationRecord {
        statement: vec![1],
        issuer: vec![2],
        root: Some(vec![3]),
    });
    registry.record_key_origin(&[7; 32], on_card, &attested, at(5)).await.unwrap();
    registry.record_key_origin(&[7; 32], on_card, &KeyOriginRecord::Injected, at(6)).await.unwrap();
    registry.record_key_origin(&[8; 32], on_card, &KeyOriginRecord::Generated, at(6)).await.unwrap();
    assert_eq!(registry.key_origin(&[7; 32]).await.unwrap(), Some(attested));
    assert_eq!(registry.key_origin(&[8; 32]).await.unwrap(), Some(KeyOriginRecord::Generated));
    assert_eq!(registry.key_origin(&[9; 32]).await.unwrap(), None);
}

async fn a_revealed_puk_is_exposed_until_it_is_confirmed(place: &Place) {
    let registry = place.registry().await;
    let (_, card) = with_card(&registry, "alice", 1).await;
    registry.command_card(card, CardCommand::BlockPin, at(4)).await.unwrap();
    let first = registry.reveal_puk(card, &[1; 16], "passport seen", at(5)).await.unwrap();
    assert_eq!(first, (vec![1], 2));
    let again = registry.reveal_puk(card, &[1; 16], "passport seen", at(5)).await;
    assert!(matches!(again, Err(RegistryError::AnsweredBefore)));
    let shown = registry.card(card).await.unwrap().card;
    assert_eq!(shown.puk().exposed_since(), Some(at(5)));
    assert_eq!(registry.reveal_puk(card, &[2; 16], "called back", at(6)).await.unwrap(), (vec![2, 1], 3));
    assert!(matches!(registry.confirm_unblock(&[9; 16], at(7)).await, Err(RegistryError::NotAnswered)));
    let confirmed = registry.confirm_unblock(&[2; 16], at(7)).await.unwrap();
    assert_eq!((confirmed.puk().candidates(), confirmed.puk().exposed_since()), (vec![3], None));
    assert!(matches!(confirmed.state(), CardState::Issued { .. }));
    assert_eq!(confirmed.state().name(), "active");
    let late = registry.confirm_unblock(&[1; 16], at(8)).await;
    assert!(matches!(late, Err(RegistryError::CardRefused(_))), "a later PUK took that one's place");
    registry.confirm_unblock(&[2; 16], at(8)).await.unwrap();
    registry.verify_log().await.unwrap();
}

async fn a_card_takes_anothers_place_in_the_commit_that_makes_it_its_holders(place: &Place) {
    let registry = place.registry().await;
    // What becomes of the old one meanwhile does not keep the new one from its holder.
    for (serial, then, state) in [(1, None, "replaced"), (11, Some(CardCommand::Return), "returned")] {
        let (holder, old) = with_card(&registry, &format!("Person {serial}"), serial).await;
        registry.command_card(old, CardCommand::ReportLoss { loss: Loss::Lost }, at(4)).await.unwrap();
        let new = stock(&registry, 5000 + u32::from(serial)).await;
        registry.command_card(new, begin(holder), at(5)).await.unwrap();
        if let Some(command) = then {
            registry.command_card(old, command, at(6)).await.unwrap();
        }
        let last = ("hand-over".to_owned(), None);
        let pin = (InitialPin::Transport, &last);
        let overtaken = registry.complete_personalisation((new, 2), pin, Some(old), &[], at(7)).await;
        assert!(matches!(overtaken, Err(RegistryError::CardRefused(CardRefusal::Overtaken { .. }))));
        assert_ne!(registry.card(old).await.unwrap().card.state().name(), "replaced", "half of it was done");
        let pin = (InitialPin::ChosenByHolder, &last);
        let made = registry.complete_personalisation((new, 1), pin, Some(old), &[], at(7)).await.unwrap();
        assert_eq!(made.state().name(), "active", "whoever chose the PIN uses the card");
        assert_eq!(registry.card(old).await.unwrap().card.state().name(), state);
    }
    registry.verify_log().await.unwrap();
}

async fn confirmed_steps_are_told_with_when_their_operations_were_begun(place: &Place) {
    let registry = place.registry().await;
    let (_, card) = with_card(&registry, "alice", 1).await;
    for begun in [5, 8] {
        let renewal = registry.begin_operation(card, OperationKind::Renewal, "{}", at(begun)).await.unwrap();
        registry.note_step(&renewal, "9D retired", JournalPhase::Intended, None, at(begun)).await.unwrap();
        registry.note_step(&renewal, "9A renewed", JournalPhase::Confirmed, None, at(begun)).await.unwrap();
        if begun == 8 {
            let detail = Some("82");
            registry.note_step(&renewal, "9D retired", JournalPhase::Confirmed, detail, at(9)).await.unwrap();
        }
        registry.end_operation(&renewal, at(9)).await.unwrap();
    }
    assert_eq!(registry.confirmed_steps(card, "9D retired").await.unwrap(), [at(8)]);
    assert_eq!(registry.confirmed_steps(card, "9A renewed").await.unwrap(), [at(5), at(8)]);
}
