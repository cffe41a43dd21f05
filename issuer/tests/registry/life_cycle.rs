//! What happens to a card happens to its certificates, to requests and to the log, or nothing happens.

use issuer::domain::{
    AuthorityName, CardCommand, CardId, CardRefusal, CardState, CertificateRefusal, Loss, PersonCommand,
    PersonRefusal, RequestCommand, RequestKind, RevocationReason, SerialNumber, Usability,
};
use issuer::registry::{Registry, RegistryError, Standing};

use crate::database::{Place, at, begin, complete, stock, with_card};

crate::on_both! {
    a_hold_is_on_the_crl_until_it_is_released
    each_end_of_a_card_revokes_with_its_own_reason
    a_hold_that_becomes_a_loss_keeps_its_date
    a_returned_card_begins_a_new_life
    a_destroyed_card_is_over
    who_left_gets_no_card
    a_request_is_fulfilled_by_the_card_that_was_asked_for
}

async fn listed(registry: &Registry) -> Vec<(String, Standing)> {
    let revoked = registry.revoked_certificates(AuthorityName::People).await.unwrap();
    revoked.iter().map(|entry| (entry.serial.to_string(), entry.standing)).collect()
}

async fn state(registry: &Registry, card: CardId) -> CardState {
    registry.card(card).await.unwrap().card.state().clone()
}

async fn a_hold_is_on_the_crl_until_it_is_released(place: &Place) {
    let registry = place.registry().await;
    let (alice, card) = with_card(&registry, "Alice", 1).await;
    registry.command_card(card, CardCommand::Activate, at(4)).await.unwrap();
    registry.command_card(card, CardCommand::Hold, at(5)).await.unwrap();
    let held = |serial: &str| (serial.to_owned(), Standing::OnHold);
    assert_eq!(listed(&registry).await, [held("4f01"), held("4f02")]);
    let on_hold = CardState::OnHold { holder: alice, since: at(5), usability: Usability::Active };
    assert_eq!(state(&registry, card).await, on_hold);
    let again = registry.command_card(card, CardCommand::Hold, at(6)).await;
    assert!(matches!(again, Err(RegistryError::CardRefused(CardRefusal::NotNow { state: "on hold", .. }))));
    // The holder still has it: there is no second one.
    let second = stock(&registry, 9).await;
    let refused = registry.command_card(second, begin(alice), at(6)).await;
    assert!(matches!(refused, Err(RegistryError::HasCard { card: has }) if has == card));

    registry.command_card(card, CardCommand::Release, at(7)).await.unwrap();
    assert_eq!(listed(&registry).await, []);
    let active = CardState::Issued { holder: alice, since: at(7), usability: Usability::Active };
    assert_eq!(state(&registry, card).await, active);
    registry.verify_log().await.unwrap();
}

async fn each_end_of_a_card_revokes_with_its_own_reason(place: &Place) {
    let registry = place.registry().await;
    let (other, _) = with_card(&registry, "Zoe", 101).await;
    let ends = [
        (CardCommand::ReportLoss { loss: Loss::Lost }, "lost", RevocationReason::KeyCompromise),
        (CardCommand::ReportLoss { loss: Loss::Stolen }, "stolen", RevocationReason::KeyCompromise),
        (CardCommand::ReportDamage, "damaged", RevocationReason::CessationOfOperation),
        (CardCommand::Return, "returned", RevocationReason::CessationOfOperation),
        (CardCommand::Replace { by: CardId(1) }, "replaced", RevocationReason::Superseded),
        (
            CardCommand::Revoke { reason: RevocationReason::AffiliationChanged },
            "revoked",
            RevocationReason::AffiliationChanged,
        ),
    ];
    for (number, (command, name, reason)) in (0_u8..).zip(ends) {
        let serial = 10 * (number + 1);
        let (holder, card) = with_card(&registry, &format!("Person {name}"), serial).await;
        registry.command_card(card, command, at(4)).await.unwrap();
        let ended = state(&registry, card).await;
        assert_eq!((ended.name(), ended.holder()), (name, Some(holder)));
        let entries = listed(&registry).await;
        let theirs = SerialNumber::from_bytes(&[0x4F, serial]).unwrap().to_string();
        assert!(entries.contains(&(theirs, Standing::Revoked(reason))), "{name}: {entries:?}");
        assert_eq!(registry.card_of(holder).await.unwrap(), None, "{name}: still counts as a card in use");
    }
    assert_eq!(listed(&registry).await.len(), 2 * ends.len(), "somebody else's were revoked too");
    assert!(registry.card_of(other).await.unwrap().is_some());
    registry.verify_log().await.unwrap();
}

async fn a_hold_that_becomes_a_loss_keeps_its_date(place: &Place) {
    let registry = place.registry().await;
    let (_, card) = with_card(&registry, "Alice", 1).await;
    registry.command_card(card, CardCommand::Hold, at(5)).await.unwrap();
    let loss = CardCommand::ReportLoss { loss: Loss::Stolen };
    let future = registry.command_card_since(card, loss, Some(at(99)), at(8)).await;
    assert!(matches!(
        future,
        Err(RegistryError::CertificateRefused(CertificateRefusal::InvalidSinceInTheFuture { .. }))
    ));
    assert_eq!(state(&registry, card).await.name(), "on hold", "half of it was done");
    registry.command_card_since(card, loss, Some(at(4)), at(8)).await.unwrap();
    let entries = registry.revoked_certificates(AuthorityName::People).await.unwrap();
    let reason = Standing::Revoked(RevocationReason::KeyCompromise);
    assert!(entries.iter().all(|entry| {
        (entry.revoked_at, entry.standing, entry.invalid_since) == (at(5), reason, Some(at(4)))
    }));
    registry.verify_log().await.unwrap();
}

async fn a_returned_card_begins_a_new_life(place: &Place) {
    let registry = place.registry().await;
    let (alice, card) = with_card(&registry, "Alice", 1).await;
    let first = registry.card(card).await.unwrap().card.guid();
    let early = registry.command_card(card, CardCommand::Restock, at(4)).await;
    assert!(matches!(early, Err(RegistryError::CardRefused(CardRefusal::NotNow { .. }))));
    registry.command_card(card, CardCommand::Return, at(4)).await.unwrap();
    let early = registry.command_card(card, begin(alice), at(5)).await;
    assert!(matches!(early, Err(RegistryError::CardRefused(CardRefusal::NotNow { state: "returned", .. }))));
    registry.command_card(card, CardCommand::Restock, at(5)).await.unwrap();
    assert_eq!(registry.cards_of(alice).await.unwrap(), [], "a blank card is nobody's");
    let again = registry.command_card(card, begin(alice), at(6)).await.unwrap();
    assert_eq!(again.attempts(), 2, "journal and certificates of the first life are told apart by attempt");
    assert!(again.guid().is_some() && again.guid() != first, "the secrets of the first life would come back");
    registry.command_card(card, complete(2), at(7)).await.unwrap();
    registry.verify_log().await.unwrap();
}

async fn a_destroyed_card_is_over(place: &Place) {
    let registry = place.registry().await;
    let (_, card) = with_card(&registry, "Alice", 1).await;
    let early = registry.command_card(card, CardCommand::Destroy, at(4)).await;
    assert!(matches!(early, Err(RegistryError::CardRefused(_))), "somebody has it");
    registry.command_card(card, CardCommand::ReportDamage, at(4)).await.unwrap();
    registry.command_card(card, CardCommand::Destroy, at(5)).await.unwrap();
    for command in [CardCommand::Receive, CardCommand::Return, CardCommand::Restock, CardCommand::Activate] {
        assert!(registry.command_card(card, command, at(6)).await.is_err(), "{command:?}");
    }
    registry.verify_log().await.unwrap();
}

async fn who_left_gets_no_card(place: &Place) {
    let registry = place.registry().await;
    let (alice, card) = with_card(&registry, "Alice", 1).await;
    registry.command_person(alice, &PersonCommand::Leave, at(4)).await.unwrap();
    let waiting = registry.pending_requests().await.unwrap();
    assert_eq!((waiting.len(), waiting[0].kind, waiting[0].holder), (1, RequestKind::Revocation, alice));
    assert_eq!(listed(&registry).await, [], "a list of staff alone revoked something");

    let done =
        registry.revoke_cardholder(alice, RevocationReason::CessationOfOperation, None, at(5)).await.unwrap();
    assert_eq!((done.cards, done.certificates.len()), (vec![card], 2));
    assert_eq!(registry.pending_requests().await.unwrap(), []);
    let next = stock(&registry, 9).await;
    let refused = registry.command_card(next, begin(alice), at(6)).await;
    assert!(matches!(refused, Err(RegistryError::PersonRefused(PersonRefusal::HasLeft(_)))));
    registry.command_person(alice, &PersonCommand::Rejoin, at(7)).await.unwrap();
    registry.command_card(next, begin(alice), at(8)).await.unwrap();
    registry.verify_log().await.unwrap();
}

async fn a_request_is_fulfilled_by_the_card_that_was_asked_for(place: &Place) {
    let registry = place.registry().await;
    let (alice, card) = with_card(&registry, "Alice", 1).await;
    let ask = || RequestCommand::Open {
        kind: RequestKind::Replacement,
        holder: alice,
        card: Some(card),
        why: "bent".to_owned(),
    };
    let id = registry.open_request(ask(), at(4)).await.unwrap();
    let twice = registry.open_request(ask(), at(4)).await;
    assert!(matches!(twice, Err(RegistryError::AlreadyRequested(before)) if before == id));
    registry.command_request(id, RequestCommand::Approve, at(5)).await.unwrap();
    registry.command_card(card, CardCommand::ReportDamage, at(6)).await.unwrap();
    let next = stock(&registry, 9).await;
    registry.command_card(next, begin(alice), at(7)).await.unwrap();
    assert!(registry.request(id).await.unwrap().request.state().is_pending());
    registry.command_card(next, complete(1), at(8)).await.unwrap();
    let request = registry.request(id).await.unwrap();
    assert_eq!(request.request.state().name(), "fulfilled");
    let late = registry.command_request(id, RequestCommand::Withdraw, at(9)).await;
    assert!(matches!(late, Err(RegistryError::RequestRefused(_))));
    registry.verify_log().await.unwrap();
}
