//! Two desks at one registry: of two that want the same, one gets it, and the other is told.

use issuer::domain::{CardCommand, CardRefusal, RevocationReason};
use issuer::registry::{Registry, RegistryError};

use crate::database::{Place, at, begin, certificate, complete, person, stock, with_card};

crate::on_both! {
    one_card_goes_to_one_person
    one_person_gets_one_card
    an_attempt_that_was_overtaken_does_not_go_on
    two_desks_at_once_keep_the_log_whole
    of_two_who_end_a_card_one_does
}

async fn one_card_goes_to_one_person(place: &Place) {
    let registry = place.registry().await;
    let other = place.open("bob").await.unwrap();
    let card = stock(&registry, 1).await;
    let alice = registry.add_cardholder(&person("Alice", None), at(1)).await.unwrap();
    let dora = registry.add_cardholder(&person("Dora", None), at(1)).await.unwrap();
    let (one, two) = tokio::join!(
        registry.command_card(card, begin(alice), at(2)),
        other.command_card(card, begin(dora), at(2))
    );
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    let winner = won.unwrap().state().holder().unwrap();
    assert!(matches!(
        lost,
        Err(RegistryError::CardRefused(CardRefusal::BeingPersonalisedFor { holder, .. })) if holder == winner
    ));
}

async fn one_person_gets_one_card(place: &Place) {
    let registry = place.registry().await;
    let other = place.open("bob").await.unwrap();
    let (first, second) = (stock(&registry, 1).await, stock(&registry, 2).await);
    let alice = registry.add_cardholder(&person("Alice", None), at(1)).await.unwrap();
    let (one, two) = tokio::join!(
        registry.command_card(first, begin(alice), at(2)),
        other.command_card(second, begin(alice), at(2))
    );
    let lost = if one.is_ok() { two } else { one };
    let has = registry.card_of(alice).await.unwrap().unwrap().id;
    assert!(matches!(lost, Err(RegistryError::HasCard { card }) if card == has));
}

async fn an_attempt_that_was_overtaken_does_not_go_on(place: &Place) {
    let registry = place.registry().await;
    let other = place.open("bob").await.unwrap();
    let card = stock(&registry, 1).await;
    let alice = registry.add_cardholder(&person("Alice", None), at(1)).await.unwrap();
    registry.command_card(card, begin(alice), at(2)).await.unwrap();
    other.command_card(card, begin(alice), at(3)).await.unwrap();
    let overtaken = |result: Result<_, RegistryError>| {
        matches!(result, Err(RegistryError::CardRefused(CardRefusal::Overtaken { attempt: 1, present: 2 })))
    };
    let late = certificate(1, Some((alice, card, 1, issuer::domain::CardKey::Authentication)));
    assert!(overtaken(registry.reserve_certificate(&late, at(4)).await));
    assert!(overtaken(registry.command_card(card, complete(1), at(4)).await.map(drop)));
    other.command_card(card, complete(2), at(5)).await.unwrap();
}

async fn two_desks_at_once_keep_the_log_whole(place: &Place) {
    let made = place.registry().await;
    let before = made.log_end().await.unwrap().sequence;
    made.close().await;
    let (one, two) = (place.open("desk 0").await.unwrap(), place.open("desk 1").await.unwrap());
    let issue_many = async |desk: &Registry, first: u32| {
        for number in first..first + 20 {
            issue(desk, number).await;
        }
    };
    tokio::join!(issue_many(&one, 1), issue_many(&two, 101));
    let registry = place.open("auditor").await.unwrap();
    let counts = registry.card_counts().await.unwrap();
    assert_eq!(counts, [("awaiting activation".to_owned(), 40)], "none is lost");
    let verdict = registry.verify_log().await.unwrap();
    assert_eq!(verdict.end.sequence, before + 40 * 4);
    let mut actors: Vec<_> =
        registry.log_after(before).await.unwrap().into_iter().map(|entry| entry.record.actor).collect();
    actors.sort();
    actors.dedup();
    assert_eq!(actors, ["desk 0", "desk 1"]);
}

async fn issue(registry: &Registry, number: u32) {
    let holder = registry.add_cardholder(&person(&format!("Person {number}"), None), at(1)).await.unwrap();
    let card = stock(registry, number).await;
    registry.command_card(card, begin(holder), at(2)).await.unwrap();
    registry.command_card(card, complete(1), at(3)).await.unwrap();
}

async fn of_two_who_end_a_card_one_does(place: &Place) {
    let registry = place.registry().await;
    let other = place.open("bob").await.unwrap();
    let (_, card) = with_card(&registry, "Alice", 1).await;
    let revoke = |reason| CardCommand::Revoke { reason };
    let (one, two) = tokio::join!(
        registry.command_card(card, revoke(RevocationReason::KeyCompromise), at(4)),
        other.command_card(card, revoke(RevocationReason::Superseded), at(4))
    );
    let lost = if one.is_ok() { two } else { one };
    assert!(matches!(lost, Err(RegistryError::CardRefused(CardRefusal::Revoked { .. }))));
    registry.verify_log().await.unwrap();
}
