//! The outbox of publication: written with the change, worked off once, and never forgotten.

use issuer::domain::{AuthorityName, RevocationReason, SerialNumber};
use issuer::registry::{Due, OutboxSubject, Registry, SignedCrls};

use crate::database::{Place, at, certificate};

crate::on_both! {
    a_change_waits_for_every_target_in_its_own_transaction
    what_changed_again_meanwhile_keeps_waiting
    a_failure_is_tried_again_when_its_time_has_come
    what_expired_is_to_be_taken_out_once
    what_was_withdrawn_is_looked_for_until_it_expires
    a_forgotten_target_takes_its_rows_along
    what_is_on_no_crl_is_due_until_it_is
}

/// A signed certificate of an address that was delivered.
async fn delivered(registry: &Registry, number: u8, mail: &str) -> SerialNumber {
    let mut new = certificate(number, None);
    new.mail = Some(mail.to_owned());
    registry.reserve_certificate(&new, at(1)).await.unwrap();
    registry.record_signature(&new.serial, &[number], at(1)).await.unwrap();
    registry.confirm_delivery(&new.serial, at(1)).await.unwrap();
    new.serial
}

fn address(text: &str) -> OutboxSubject {
    OutboxSubject::Address(text.to_owned())
}

async fn waiting(registry: &Registry, target: i64) -> Vec<OutboxSubject> {
    registry.waiting(target).await.unwrap().into_iter().map(|item| item.subject).collect()
}

/// Works everything off.
async fn settle(registry: &Registry, target: i64) {
    let items = registry.waiting(target).await.unwrap();
    registry.outbox_done(&items.iter().collect::<Vec<_>>()).await.unwrap();
    assert!(waiting(registry, target).await.is_empty());
}

async fn a_change_waits_for_every_target_in_its_own_transaction(place: &Place) {
    let registry = place.registry().await;
    let serial = delivered(&registry, 1, "Alice@example.org").await;
    let files = registry.add_target("/srv/pki", "{}", at(2)).await.unwrap();
    let ldap = registry.add_target("ldap://h/dc=x", "{\"a\":1}", at(2)).await.unwrap();
    // Everything that is there is news to a new target.
    let everything: Vec<_> = AuthorityName::ALL.into_iter().map(OutboxSubject::Authority).collect();
    for target in [&files, &ldap] {
        let mut found = waiting(&registry, target.id).await;
        assert_eq!(found.pop(), Some(address("alice@example.org")));
        found.sort();
        assert_eq!(found, everything);
        settle(&registry, target.id).await;
    }
    let known = registry.add_target("/srv/pki", "{\"b\":2}", at(3)).await.unwrap();
    assert_eq!((known.id, known.settings.as_str(), known.waiting), (files.id, "{\"b\":2}", 0));

    registry.revoke_certificate(&serial, RevocationReason::Superseded, None, at(4)).await.unwrap();
    let number = registry.reserve_crl_number(AuthorityName::People, at(4), at(9)).await.unwrap();
    let signed = SignedCrls {
        number,
        key: "ab".to_owned(),
        is_complete: true,
        complete: Some(&[1]),
        parts: vec![("ab-2-0.crl", &[2])],
        told: None,
    };
    registry.store_crls(AuthorityName::People, &signed, at(2)).await.unwrap();
    for target in [files.id, ldap.id] {
        let expected = [address("alice@example.org"), OutboxSubject::Authority(AuthorityName::People)];
        assert_eq!(waiting(&registry, target).await, expected);
    }
    let parts = [("ab-2-0.crl".to_owned(), vec![2])];
    assert_eq!(registry.crl_parts(AuthorityName::People).await.unwrap(), parts);
    // Revoked: nobody shall find it any more.
    let (items, _) = registry.waiting_addresses(ldap.id, Due::All, at(5), 0, 9).await.unwrap();
    assert!(items[0].certificates.is_empty());
    // A refused change leaves nothing behind.
    settle(&registry, ldap.id).await;
    assert!(registry.revoke_certificate(&serial, RevocationReason::Superseded, None, at(6)).await.is_err());
    assert!(registry.store_crls(AuthorityName::People, &signed, at(2)).await.is_err());
    assert!(waiting(&registry, ldap.id).await.is_empty());
}

async fn what_changed_again_meanwhile_keeps_waiting(place: &Place) {
    let registry = place.registry().await;
    let target = registry.add_target("ldap://h/dc=x", "{}", at(1)).await.unwrap().id;
    settle(&registry, target).await;
    let serial = delivered(&registry, 1, "alice@example.org").await;
    let (items, _) = registry.waiting_addresses(target, Due::All, at(2), 0, 9).await.unwrap();
    assert_eq!(items[0].certificates, [[1]]);
    registry.revoke_certificate(&serial, RevocationReason::KeyCompromise, None, at(2)).await.unwrap();
    // Whoever wrote the certificate into the directory did not write the revocation.
    registry.outbox_done(&[&items[0]]).await.unwrap();
    assert_eq!(waiting(&registry, target).await, [address("alice@example.org")]);
    // Not even when another process has done the newer one in between.
    settle(&registry, target).await;
    delivered(&registry, 2, "alice@example.org").await;
    registry.outbox_done(&[&items[0]]).await.unwrap();
    assert_eq!(waiting(&registry, target).await, [address("alice@example.org")]);
    let (items, end) = registry.waiting_addresses(target, Due::All, at(3), 0, 1).await.unwrap();
    assert_eq!(items[0].certificates, [[2]]);
    assert!(registry.waiting_addresses(target, Due::All, at(3), end, 1).await.unwrap().0.is_empty());
}

async fn a_failure_is_tried_again_when_its_time_has_come(place: &Place) {
    let registry = place.registry().await;
    let target = registry.add_target("ldap://h/dc=x", "{}", at(1)).await.unwrap().id;
    settle(&registry, target).await;
    let serial = delivered(&registry, 1, "alice@example.org").await;
    let due = async |time| registry.waiting_addresses(target, Due::At(time), time, 0, 9).await.unwrap().0;
    let item = due(at(2)).await.remove(0);
    registry.outbox_failed(&item, "no entry", at(60)).await.unwrap();
    assert!(due(at(59)).await.is_empty());
    let again = due(at(60)).await.remove(0);
    assert_eq!((again.failures, again.trouble.as_deref()), (1, Some("no entry")));
    registry.target_failed(target, "it is down", at(86_400)).await.unwrap();
    registry.target_failed(target, "it is still down", at(86_460)).await.unwrap();
    let found = registry.target("ldap://h/dc=x").await.unwrap().unwrap();
    assert_eq!((found.failures, found.retry_at, found.waiting), (2, Some(at(86_460)), 1));
    assert_eq!(found.trouble.as_deref(), Some("it is still down"));
    // A change is news, whatever was tried before.
    registry.revoke_certificate(&serial, RevocationReason::Superseded, None, at(3)).await.unwrap();
    assert_eq!(due(at(3)).await.remove(0).failures, 0);
    registry.target_reached(target, at(90_000)).await.unwrap();
    let found = registry.target("ldap://h/dc=x").await.unwrap().unwrap();
    assert_eq!((found.failures, found.retry_at, found.trouble), (0, None, None));
    assert_eq!(found.reached_at, Some(at(90_000)));
}

async fn what_expired_is_to_be_taken_out_once(place: &Place) {
    let registry = place.registry().await;
    let target = registry.add_target("ldap://h/dc=x", "{}", at(1)).await.unwrap().id;
    settle(&registry, target).await;
    let serial = delivered(&registry, 1, "alice@example.org").await;
    settle(&registry, target).await;
    let end = registry.certificate(&serial).await.unwrap().unwrap().not_after;
    let later = end.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap();
    registry.mark_expired(target, end).await.unwrap();
    assert!(waiting(&registry, target).await.is_empty(), "its last second has not passed");
    registry.mark_expired(target, later).await.unwrap();
    assert_eq!(waiting(&registry, target).await, [address("alice@example.org")]);
    let (items, _) = registry.waiting_addresses(target, Due::All, later, 0, 9).await.unwrap();
    assert!(items[0].certificates.is_empty());
    settle(&registry, target).await;
    registry.mark_expired(target, later).await.unwrap();
    assert!(waiting(&registry, target).await.is_empty());
}

async fn what_was_withdrawn_is_looked_for_until_it_expires(place: &Place) {
    let registry = place.registry().await;
    let target = registry.add_target("ldap://h/dc=x", "{}", at(1)).await.unwrap().id;
    let revoked = delivered(&registry, 1, "Alice@example.org").await;
    let held = delivered(&registry, 2, "bob@example.org").await;
    delivered(&registry, 3, "carol@example.org").await;
    registry.revoke_certificate(&revoked, RevocationReason::Superseded, None, at(2)).await.unwrap();
    registry.hold_certificate(&held, at(2)).await.unwrap();
    let withdrawn = [address("alice@example.org"), address("bob@example.org")];
    // As often as it is asked for.
    for _ in 0..2 {
        settle(&registry, target).await;
        registry.mark_withdrawn(target, at(3)).await.unwrap();
        let mut found = waiting(&registry, target).await;
        found.sort();
        assert_eq!(found, withdrawn);
    }
    let (items, _) = registry.waiting_addresses(target, Due::All, at(3), 0, 9).await.unwrap();
    assert!(items.iter().all(|item| item.certificates.is_empty()));
    // One that is tried later is not tried sooner for that.
    registry.outbox_failed(&items[0], "no entry", at(60)).await.unwrap();
    registry.mark_withdrawn(target, at(4)).await.unwrap();
    let (due, _) = registry.waiting_addresses(target, Due::At(at(5)), at(5), 0, 9).await.unwrap();
    assert_eq!(due.len(), 1);
    settle(&registry, target).await;
    let end = registry.certificate(&revoked).await.unwrap().unwrap().not_after;
    registry
        .mark_withdrawn(target, end.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap())
        .await
        .unwrap();
    assert!(waiting(&registry, target).await.is_empty());
}

async fn a_forgotten_target_takes_its_rows_along(place: &Place) {
    let registry = place.registry().await;
    registry.add_target("/srv/pki", "{}", at(1)).await.unwrap();
    assert!(registry.forget_target("/srv/pki", at(9)).await.unwrap());
    assert!(!registry.forget_target("/srv/pki", at(9)).await.unwrap());
    delivered(&registry, 1, "alice@example.org").await;
    assert!(registry.targets().await.unwrap().is_empty());
    let again = registry.add_target("/srv/pki", "{}", at(2)).await.unwrap();
    assert!(again.waiting > 0);
}

async fn what_is_on_no_crl_is_due_until_it_is(place: &Place) {
    let registry = place.registry().await;
    let serial = delivered(&registry, 1, "alice@example.org").await;
    assert_eq!(registry.crls_due().await.unwrap(), []);
    let sign = async |told| {
        let name = AuthorityName::People;
        let number = registry.reserve_crl_number(name, at(5), at(9)).await.unwrap();
        let (key, complete) = ("ab".to_owned(), Some(&[1][..]));
        let signed = SignedCrls { number, key, is_complete: true, complete, parts: Vec::new(), told };
        registry.store_crls(name, &signed, at(5)).await.unwrap();
    };
    registry.hold_certificate(&serial, at(3)).await.unwrap();
    let due = registry.crls_due().await.unwrap();
    assert_eq!((due.len(), due[0].authority, due[0].generation), (1, AuthorityName::People, 1));
    assert_eq!(due[0].since, at(3));
    // What came while they were signed is not on them.
    registry.revoke_certificate(&serial, RevocationReason::KeyCompromise, None, at(4)).await.unwrap();
    sign(due.first().cloned()).await;
    let still = registry.crls_due().await.unwrap();
    assert_eq!((still.len(), still[0].since), (1, at(3)));
    sign(still.first().cloned()).await;
    assert_eq!(registry.crls_due().await.unwrap(), []);
}
