//! People: found by what they are and were called, changed only from what was known.

use issuer::domain::{PersonCommand, PersonRefusal, RequestKind};
use issuer::registry::{Registry, RegistryError, SearchFor};

use crate::database::{Place, at, person, with_card};

crate::on_both! {
    a_change_is_found_under_both_names
    two_changes_of_one_person_do_not_mix
    a_new_name_asks_for_new_certificates
    people_are_found_by_beginnings_and_by_parts
    what_ends_soon_is_listed
}

async fn found(registry: &Registry, text: &str, how: SearchFor) -> Vec<String> {
    let hits = registry.search(text, how).await.unwrap();
    hits.people.iter().map(|person| person.name.as_str().to_owned()).collect()
}

async fn a_change_is_found_under_both_names(place: &Place) {
    let registry = place.registry().await;
    let from = person("Alice Ng", Some("7"));
    let alice = registry.add_cardholder(&from, at(1)).await.unwrap();
    let to = person("Alice Müller", Some("7"));
    let change = PersonCommand::Change { from, to: to.clone() };
    registry.command_person(alice, &change, at(2)).await.unwrap();
    for text in ["alice m", "Müller", "MU\u{308}LLER", "alice ng", "alice.ng@", "ng"] {
        assert_eq!(found(&registry, text, SearchFor::Beginnings).await, ["Alice Müller"], "{text}");
    }
    assert_eq!(registry.cardholder(alice).await.unwrap().details(), to);
    assert!(registry.cardholder_named("alice.ng@example.org").await.unwrap().is_none());
}

async fn two_changes_of_one_person_do_not_mix(place: &Place) {
    let registry = place.registry().await;
    let from = person("Alice Ng", None);
    let alice = registry.add_cardholder(&from, at(1)).await.unwrap();
    registry.add_cardholder(&person("Bob", Some("8")), at(1)).await.unwrap();
    let change = |to| PersonCommand::Change { from: from.clone(), to };
    let taken = registry.command_person(alice, &change(person("Alice Ng", Some("8"))), at(2)).await;
    assert!(matches!(taken, Err(RegistryError::StaffIdTaken { name }) if name == "Bob"));
    registry.command_person(alice, &change(person("Alice Li", None)), at(2)).await.unwrap();
    let late = registry.command_person(alice, &change(person("Alice Wu", None)), at(3)).await;
    assert!(matches!(late, Err(RegistryError::PersonRefused(PersonRefusal::ChangedMeanwhile))));
    assert_eq!(registry.cardholder(alice).await.unwrap().name.as_str(), "Alice Li");
    registry.verify_log().await.unwrap();
}

async fn a_new_name_asks_for_new_certificates(place: &Place) {
    let registry = place.registry().await;
    let (alice, card) = with_card(&registry, "Alice", 1).await;
    let change = PersonCommand::Change { from: person("Alice", None), to: person("Alice Li", None) };
    registry.command_person(alice, &change, at(5)).await.unwrap();
    let waiting = registry.pending_requests().await.unwrap();
    assert_eq!((waiting.len(), waiting[0].kind, waiting[0].card), (1, RequestKind::Renewal, Some(card)));
}

async fn people_are_found_by_beginnings_and_by_parts(place: &Place) {
    let registry = place.registry().await;
    for (name, id) in [
        ("Alice O'Neil-Ng", "A-100"),
        ("Natalie Ek", "A-200"),
        ("王小明", "B-1"),
        ("100% \"Real\" _x", "C-1"),
    ] {
        let mut person = person("x", Some(id));
        person.name = issuer::domain::Name::new(name).unwrap();
        person.mail =
            issuer::domain::MailAddress::new(&format!("{}@example.org", id.to_lowercase())).unwrap();
        registry.add_cardholder(&person, at(1)).await.unwrap();
    }
    for (text, how, names) in [
        ("ALI", SearchFor::Beginnings, &["Alice O'Neil-Ng"][..]),
        ("ali", SearchFor::Parts, &["Alice O'Neil-Ng", "Natalie Ek"]),
        ("tali", SearchFor::Beginnings, &["Natalie Ek"]),
        ("neil", SearchFor::Beginnings, &["Alice O'Neil-Ng"]),
        ("ng", SearchFor::Beginnings, &["Alice O'Neil-Ng"]),
        ("王", SearchFor::Beginnings, &["王小明"]),
        ("小明", SearchFor::Beginnings, &["王小明"]),
        ("a-", SearchFor::Beginnings, &["Alice O'Neil-Ng", "Natalie Ek"]),
        ("b-1@example.org", SearchFor::Beginnings, &["王小明"]),
        ("% \"r", SearchFor::Parts, &["100% \"Real\" _x"]),
        ("l_", SearchFor::Parts, &[]),
        ("e\" AND \"x", SearchFor::Parts, &[]),
        ("zzz", SearchFor::Beginnings, &[]),
    ] {
        assert_eq!(found(&registry, text, how).await, names, "{text} {how:?}");
    }
}

async fn what_ends_soon_is_listed(place: &Place) {
    let registry = place.registry().await;
    let (alice, card) = with_card(&registry, "Alice", 1).await;
    assert_eq!(registry.expiring_cards(at(999)).await.unwrap(), []);
    let soon = registry.expiring_cards(at(1000)).await.unwrap();
    assert_eq!(soon.len(), 1);
    assert_eq!(
        (soon[0].holder, soon[0].card, soon[0].not_after, soon[0].renewal),
        (alice, card, at(1000), None)
    );
    assert_eq!(registry.expiring_cards(at(2000)).await.unwrap(), soon, "what has ended is due all the more");
    let (_, other) = with_card(&registry, "Bob", 5).await;
    for (one, found) in [(card, Some(soon[0])), (issuer::domain::CardId(other.0 + 1), None)] {
        assert_eq!(registry.expiring_card(one, at(1000)).await.unwrap(), found, "of one card alone");
    }
    assert_eq!(registry.expiring_card(other, at(1000)).await.unwrap().unwrap().card, other);
    assert_eq!(registry.expiring_card(card, at(999)).await.unwrap(), None);
    registry.command_card(card, issuer::domain::CardCommand::ReportDamage, at(5)).await.unwrap();
    assert_eq!(registry.expiring_card(card, at(1000)).await.unwrap(), None, "nobody uses it any more");
    let left = registry.expiring_cards(at(1000)).await.unwrap();
    assert_eq!(left.iter().map(|due| due.card).collect::<Vec<_>>(), [other]);
}
