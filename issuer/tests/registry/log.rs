//! The log holds together, and tells who did what.

use issuer::domain::{BrokenChain, CardCommand, Subject};
use issuer::registry::RegistryError;

use crate::database::{Place, at, with_card};

crate::on_both! {
    every_change_is_told_with_its_author
    what_is_changed_past_the_program_is_noticed
    what_stands_between_the_program_and_its_tables_is_refused
}

async fn every_change_is_told_with_its_author(place: &Place) {
    let registry = place.registry().await;
    let (alice, card) = with_card(&registry, "Alice", 1).await;
    let bob = place.open("bob").await.unwrap();
    bob.command_card(card, CardCommand::Hold, at(4)).await.unwrap();
    let told: Vec<_> = bob.history(&Subject::Card(card)).await.unwrap();
    let lines: Vec<_> =
        told.iter().map(|entry| (entry.record.actor.as_str(), entry.record.kind.as_str())).collect();
    assert_eq!(
        lines,
        [
            ("alice", "card-received"),
            ("alice", "personalisation-begun"),
            ("alice", "personalisation-completed"),
            ("bob", "card-held"),
        ]
    );
    assert_eq!(bob.history(&Subject::Person(alice)).await.unwrap().len(), 1);
    let verdict = registry.verify_log().await.unwrap();
    let all = registry.log_after(0).await.unwrap();
    assert_eq!(verdict.end.sequence, u64::try_from(all.len()).unwrap());
    assert_eq!(verdict.end.hash, all[all.len() - 1].hash);
    // The registry, four authorities, a person, a card, two certificates and what a CRL says of them.
    assert_eq!(verdict.rows, 11);
    assert_eq!(verdict.untold, 0);
    // A change that is refused leaves no line.
    assert!(bob.command_card(card, CardCommand::Hold, at(5)).await.is_err());
    assert_eq!(registry.log_end().await.unwrap(), verdict.end);
}

async fn what_is_changed_past_the_program_is_noticed(place: &Place) {
    let registry = place.registry().await;
    let (_, card) = with_card(&registry, "Alice", 1).await;
    registry.verify_log().await.unwrap();
    let end = registry.log_end().await.unwrap().sequence;

    place.tamper("UPDATE events SET actor = 'mallory' WHERE sequence = 3").await;
    let found = registry.verify_log().await;
    assert!(matches!(found, Err(RegistryError::LogBroken(BrokenChain::Changed(3)))), "{found:?}");
    place.tamper("UPDATE events SET actor = 'alice' WHERE sequence = 3").await;
    registry.verify_log().await.unwrap();

    place.tamper("UPDATE cards SET state = 'active'").await;
    let found = registry.verify_log().await;
    let Err(RegistryError::TablesDiffer { differences, .. }) = found else { panic!("{found:?}") };
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(
        differences[0].to_string(),
        format!("table cards, row {}: state is \"active\", and the log says \"awaiting activation\"", card.0)
    );
    place.tamper("UPDATE cards SET state = 'awaiting activation'").await;
    place.tamper("DELETE FROM revocations").await;
    registry.verify_log().await.unwrap();

    // A revocation that is taken out of the table, so that no CRL would name it.
    registry.command_card(card, CardCommand::ReportDamage, at(9)).await.unwrap();
    place.tamper("DELETE FROM revocations").await;
    let found = registry.verify_log().await;
    let Err(RegistryError::TablesDiffer { differences, .. }) = found else { panic!("{found:?}") };
    assert_eq!(differences.len(), 2, "{differences:?}");
    assert_eq!(
        differences[0].to_string(),
        "table revocations, row 4f01: it is missing, and the log tells of it"
    );

    place.tamper(&format!("DELETE FROM events WHERE sequence > {end}")).await;
    let found = registry.verify_log().await;
    assert!(matches!(found, Err(RegistryError::LogBroken(BrokenChain::WrongEnd { .. }))), "{found:?}");
}

/// Who writes through a view, or a rule, or is followed by a trigger, writes something else than was recorded.
async fn what_stands_between_the_program_and_its_tables_is_refused(place: &Place) {
    place.registry().await.close().await;
    let follow = match place {
        Place::Sqlite(_) => (
            "CREATE TRIGGER follow AFTER INSERT ON revocations BEGIN DELETE FROM revocations; END",
            "trigger follow",
        ),
        _ => ("CREATE RULE follow AS ON INSERT TO revocations DO INSTEAD NOTHING", "rule follow"),
    };
    let instead = ("CREATE VIEW instead AS SELECT * FROM revocations", "view instead");
    for (statement, expected) in [follow, instead] {
        place.tamper(statement).await;
        let Err(RegistryError::Meddled { what, .. }) = place.open("bob").await else { panic!("{statement}") };
        assert_eq!(what, expected);
        let on = if expected.starts_with("rule") { " ON revocations" } else { "" };
        place.tamper(&format!("DROP {expected}{on}")).await;
        place.open("bob").await.unwrap().close().await;
    }
}
