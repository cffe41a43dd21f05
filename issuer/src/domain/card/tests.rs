use proptest::prelude::*;

use super::*;
use crate::domain::certificate::RevocationReason;

const ALICE: CardholderId = CardholderId(1);
const BOB: CardholderId = CardholderId(2);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn begin(holder: CardholderId, guid: u8) -> CardCommand {
    CardCommand::BeginPersonalisation { holder, fresh_guid: Guid::new([guid; 16]) }
}

fn complete(attempt: u32) -> CardCommand {
    CardCommand::CompletePersonalisation { attempt, pin: InitialPin::Transport }
}

fn card_after(commands: &[CardCommand]) -> Card {
    commands.iter().enumerate().fold(Card::default(), |card, (second, command)| {
        let event = card.decide(*command, at(i64::try_from(second).unwrap())).unwrap();
        card.apply(event)
    })
}

#[test]
fn a_card_goes_from_stock_to_its_holder_to_its_end() {
    let card = card_after(&[CardCommand::Receive, begin(ALICE, 7), complete(1)]);
    assert_eq!(
        card.state(),
        &CardState::Issued { holder: ALICE, since: at(2), usability: Usability::AwaitingActivation }
    );
    assert_eq!(card.guid(), Some(Guid::new([7; 16])));
    let reason = RevocationReason::KeyCompromise;
    let event = card.decide(CardCommand::Revoke { reason }, at(9)).unwrap();
    let card = card.apply(event);
    assert_eq!(card.state(), &CardState::Revoked { holder: ALICE, since: at(9), reason });
    let again = card.decide(CardCommand::Revoke { reason: RevocationReason::Superseded }, at(10));
    assert_eq!(again, Err(CardRefusal::Revoked { since: at(9), reason }));
}

#[test]
fn a_card_that_is_not_in_stock_is_not_personalised() {
    assert_eq!(Card::default().decide(begin(ALICE, 1), at(0)), Err(CardRefusal::Unknown));
}

#[test]
fn starting_over_keeps_the_guid_and_counts_the_attempt() {
    let card = card_after(&[CardCommand::Receive, begin(ALICE, 1), begin(ALICE, 2)]);
    assert_eq!((card.guid(), card.attempts()), (Some(Guid::new([1; 16])), 2));
}

#[test]
fn an_interrupted_personalisation_goes_on_for_the_same_holder_only() {
    let resume = |holder| CardCommand::ResumePersonalisation { holder };
    let half_made = card_after(&[CardCommand::Receive, begin(ALICE, 1)]);
    let resumed = half_made.decide(resume(ALICE), at(7)).unwrap();
    assert_eq!(resumed.consequence(), None, "what was certified may be kept");
    let card = half_made.clone().apply(resumed);
    assert_eq!((card.guid(), card.attempts()), (Some(Guid::new([1; 16])), 2));
    assert_eq!(card.decide(complete(1), at(8)), Err(CardRefusal::Overtaken { attempt: 1, present: 2 }));
    assert_eq!(
        half_made.decide(resume(BOB), at(7)),
        Err(CardRefusal::BeingPersonalisedFor { holder: ALICE, since: at(1) })
    );
    let in_stock = card_after(&[CardCommand::Receive]);
    assert_eq!(in_stock.decide(resume(ALICE), at(7)), Err(CardRefusal::NotBeingPersonalised("in stock")));
}

#[test]
fn a_half_made_card_is_nobody_elses_until_it_is_abandoned() {
    let card = card_after(&[CardCommand::Receive, begin(ALICE, 1)]);
    assert_eq!(
        card.decide(begin(BOB, 2), at(5)),
        Err(CardRefusal::BeingPersonalisedFor { holder: ALICE, since: at(1) })
    );
    let card = card_after(&[
        CardCommand::Receive,
        begin(ALICE, 1),
        CardCommand::AbandonPersonalisation,
        begin(BOB, 2),
    ]);
    assert_eq!(card.state().holder(), Some(BOB));
    // The card's present secrets derive from the GUID of the first attempt.
    assert_eq!((card.guid(), card.attempts()), (Some(Guid::new([1; 16])), 2));
}

#[test]
fn a_card_with_a_fault_does_not_go_back_to_stock() {
    let fault = CardFault::PukBlocked;
    let found = [CardCommand::Receive, begin(ALICE, 1), CardCommand::RecordFault { attempt: 1, fault }];
    let card = card_after(&found);
    assert!(card.decide(begin(ALICE, 2), at(5)).is_ok(), "the holder's own desk may try again");
    let given_up = [&found[..], &[CardCommand::AbandonPersonalisation]].concat();
    let card = card_after(&given_up);
    assert_eq!(card.state(), &CardState::Unusable { since: at(3), fault });
    assert_eq!(card.decide(begin(BOB, 2), at(5)), Err(CardRefusal::Unusable { since: at(3), fault }));
    let again = card_after(&[&given_up[..], &[CardCommand::Receive, begin(BOB, 2)]].concat());
    assert_eq!(again.state().holder(), Some(BOB));
    let tried_again = [&found[..], &[begin(ALICE, 2), CardCommand::AbandonPersonalisation]].concat();
    assert_eq!(card_after(&tried_again).state().name(), "in stock", "the second attempt found no fault");
}

#[test]
fn an_issued_card_is_not_issued_again() {
    let card = card_after(&[CardCommand::Receive, begin(ALICE, 1), complete(1)]);
    assert_eq!(
        card.decide(begin(ALICE, 2), at(5)),
        Err(CardRefusal::AlreadyIssued { holder: ALICE, since: at(2) })
    );
    assert_eq!(
        card.decide(CardCommand::Receive, at(5)),
        Err(CardRefusal::AlreadyReceived("awaiting activation"))
    );
}

#[test]
fn events_read_back_as_they_were_written() {
    let event =
        CardEvent::PersonalisationBegun { at: at(3), holder: BOB, guid: Guid::new([0xAB; 16]), attempt: 2 };
    let text = serde_json::to_string(&event).unwrap();
    assert!(text.contains("\"event\":\"personalisation-begun\""), "{text}");
    assert_eq!(serde_json::from_str::<CardEvent>(&text).unwrap(), event);
}

fn any_command() -> impl Strategy<Value = CardCommand> {
    let reason = prop_oneof![Just(RevocationReason::KeyCompromise), Just(RevocationReason::Superseded)];
    prop_oneof![
        Just(CardCommand::Receive),
        (1..4_i64, any::<[u8; 16]>()).prop_map(|(holder, guid)| CardCommand::BeginPersonalisation {
            holder: CardholderId(holder),
            fresh_guid: Guid::from_random(guid),
        }),
        (1..4_i64).prop_map(|holder| CardCommand::ResumePersonalisation { holder: CardholderId(holder) }),
        (1..5_u32).prop_map(complete),
        (1..5_u32).prop_map(|attempt| CardCommand::RecordFault { attempt, fault: CardFault::PukUnknown }),
        Just(CardCommand::AbandonPersonalisation),
        Just(CardCommand::Activate),
        Just(CardCommand::BlockPin),
        Just(CardCommand::UnblockPin),
        Just(CardCommand::Hold),
        Just(CardCommand::Release),
        Just(CardCommand::ReportLoss { loss: Loss::Stolen }),
        Just(CardCommand::ReportDamage),
        (1..4_i64).prop_map(|by| CardCommand::Replace { by: CardId(by) }),
        reason.prop_map(|reason| CardCommand::Revoke { reason }),
        Just(CardCommand::Return),
        Just(CardCommand::Restock),
        Just(CardCommand::Destroy),
    ]
}

/// One command of each kind, for this card.
fn every_command(card: &Card) -> Vec<CardCommand> {
    let attempt = card.attempts();
    let holder = card.state().holder().unwrap_or(ALICE);
    vec![
        CardCommand::Receive,
        begin(holder, 1),
        complete(attempt),
        CardCommand::RecordFault { attempt, fault: CardFault::PukBlocked },
        CardCommand::AbandonPersonalisation,
        CardCommand::Activate,
        CardCommand::BlockPin,
        CardCommand::UnblockPin,
        CardCommand::Hold,
        CardCommand::Release,
        CardCommand::ReportLoss { loss: Loss::Lost },
        CardCommand::ReportDamage,
        CardCommand::Replace { by: CardId(9) },
        CardCommand::Revoke { reason: RevocationReason::Superseded },
        CardCommand::Return,
        CardCommand::Restock,
        CardCommand::Destroy,
    ]
}

#[test]
fn what_is_put_on_hold_comes_back_as_it_was() {
    let issued = [CardCommand::Receive, begin(ALICE, 1), complete(1)];
    for (before, usability) in [
        (vec![], Usability::AwaitingActivation),
        (vec![CardCommand::Activate], Usability::Active),
        (vec![CardCommand::BlockPin], Usability::PinBlocked),
    ] {
        let held = [&issued[..], &before, &[CardCommand::Hold]].concat();
        assert_eq!(card_after(&held).state().name(), "on hold");
        let released = card_after(&[&held[..], &[CardCommand::Release]].concat());
        assert_eq!(released.state().name(), usability.as_str());
    }
}

/// A card of before there were PINs to choose from counts as in use.
#[test]
fn an_event_of_before_reads_back() {
    let event: CardEvent =
        serde_json::from_str(r#"{"event":"personalisation-completed","at":"2027-01-15T08:00:00Z"}"#).unwrap();
    let card = card_after(&[CardCommand::Receive, begin(ALICE, 1)]).apply(event);
    assert_eq!(card.state().name(), "active");
}

#[test]
fn a_refusal_says_what_the_card_is() {
    let card = card_after(&[CardCommand::Receive, begin(ALICE, 1), complete(1), CardCommand::Return]);
    let refused = card.decide(CardCommand::Hold, at(9)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the card is returned since 1970-01-01T00:00:03Z: it cannot be put on hold"
    );
    let overtaken = card_after(&[CardCommand::Receive, begin(ALICE, 1), begin(ALICE, 1)]);
    assert_eq!(overtaken.decide(complete(1), at(9)), Err(CardRefusal::Overtaken { attempt: 1, present: 2 }));
}

proptest! {
    /// Whatever a desk tries, in whatever order: a card reaches its holder only out of stock and through
    /// personalisation for that very holder; its GUID changes only once it was wiped; attempts never go back; what is
    /// destroyed stays so; what is said to be possible is what is possible; and a refusal changes nothing.
    #[test]
    fn random_commands_keep_the_invariants(commands in prop::collection::vec(any_command(), 0..60)) {
        let mut card = Card::default();
        let mut events = Vec::new();
        for (second, command) in commands.into_iter().enumerate() {
            let before = card.clone();
            let now = at(i64::try_from(second).unwrap());
            match card.decide(command, now) {
                Ok(event) => {
                    events.push(event.clone());
                    let changes_state = !matches!(event, CardEvent::CardFaultFound { .. });
                    card = card.apply(event);
                    prop_assert_eq!(card.state().since(), if changes_state { Some(now) } else { before.state().since() });
                }
                Err(_) => prop_assert_eq!(&card, &before),
            }
            for command in every_command(&card) {
                let is_said = card.state().ways().iter().any(|way| way.action == command.action());
                prop_assert_eq!(card.decide(command, now).is_ok(), is_said, "{:?} {:?}", card.state(), command);
            }
            if card.state().is_live() && !before.state().is_live() {
                let was_free = matches!(before.state(), CardState::InStock { .. });
                let is_being_made = matches!(card.state(), CardState::BeingPersonalised { .. });
                prop_assert!(was_free && is_being_made);
            }
            if let (Some(now), Some(then)) = (card.state().holder(), before.state().holder()) {
                prop_assert_eq!(now, then, "a card changed hands without going through stock");
            }
            if before.guid().is_some() && !matches!(command, CardCommand::Restock) {
                prop_assert_eq!(before.guid(), card.guid());
            }
            prop_assert!(card.attempts() >= before.attempts());
            if matches!(before.state(), CardState::Destroyed { .. }) {
                prop_assert_eq!(&card, &before);
            }
            prop_assert!(CardState::NAMES.contains(&card.state().name()) || card.state() == &CardState::Unknown);
        }
        let text = serde_json::to_string(&card).unwrap();
        prop_assert_eq!(serde_json::from_str::<Card>(&text).unwrap(), card.clone());
        prop_assert_eq!(Card::replay(events), card);
    }
}
