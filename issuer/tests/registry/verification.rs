//! Whatever is changed past the program is found and named: every column of every table, one after the other. A column that
//! nobody has decided about fails here, until it is compared or listed with a reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use der::{Decode, Encode};
use issuer::domain::{
    Act, AuthorityName, CardCommand, CardId, CardKey, CardholderId, ChainHash, ClassName, Clearance,
    GuardedAct, InitialPin, Notary, Party, PersonCommand, RevocationReason, SignedCheckpoint,
};
use issuer::registry::{
    AttemptProgress, AttestationRecord, ClassChange, CrossDirection, Difference, EmulatedCards,
    KeyOriginRecord, NOT_COMPARED, NewAuthorityKey, NewCertificate, Registry, RegistryError, SignedCrls,
};
use jiff::civil::date;

use crate::database::{Place, at, begin, certificate, person, stock, with_card};
use crate::support::World;
use crate::support::test_key::TestKey;

crate::on_both! {
    every_column_is_compared_or_listed_with_a_reason
    rows_that_are_added_or_taken_out_are_named
}

/// Signs by repeating the key.
struct Stamp;

impl Notary for Stamp {
    fn public_key(&self) -> Vec<u8> {
        vec![7; 40]
    }

    fn log(&self) -> String {
        "0102".to_owned()
    }

    fn sign(&self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.public_key())
    }

    fn committed(&self, _: &SignedCheckpoint) {}
}

/// A registry with something in every table that the log tells of.
async fn lived(place: &Place) -> Registry {
    place.registry().await.close().await;
    let mut registry = place.open("alice").await.unwrap();
    assert_eq!(registry.emulated_cards().await.unwrap(), EmulatedCards::Allowed);
    registry.set_notary(Arc::new(Stamp), at(0)).await.unwrap();
    let mut described = person("Carol Wu", Some("C-3"));
    described.employed_until = Some(date(2030, 1, 1));
    let carol = registry.add_cardholder(&described, at(1)).await.unwrap();
    let (alice, card) = with_card(&registry, "Alice", 1).await;
    let (bob, _) = with_card(&registry, "Bob", 3).await;
    // An interrupted attempt, gone on with.
    let third = stock(&registry, 77).await;
    registry.command_card(third, begin(carol), at(3)).await.unwrap();
    let new = certificate(9, Some((carol, third, 1, CardKey::Authentication)));
    registry.reserve_certificate(&new, at(3)).await.unwrap();
    registry.record_signature(&new.serial, b"nine", at(3)).await.unwrap();
    registry.command_card(third, CardCommand::ResumePersonalisation { holder: carol }, at(4)).await.unwrap();
    let mut progress = AttemptProgress { adopted: vec![new.serial.clone()], ..AttemptProgress::default() };
    with_attested_key(&mut progress, (carol, third));
    registry.record_progress(third, 2, &progress, at(4)).await.unwrap();
    let delivered = [new.serial.clone()];
    registry
        .complete_personalisation(
            (third, 2),
            (InitialPin::Transport, &("hand-over".to_owned(), None)),
            None,
            &delivered,
            at(4),
        )
        .await
        .unwrap();
    registry.command_card(third, CardCommand::Hold, at(5)).await.unwrap();
    let reason = RevocationReason::KeyCompromise;
    registry.command_card_since(card, CardCommand::Revoke { reason }, Some(at(2)), at(5)).await.unwrap();
    // Who leaves is proposed for revocation.
    registry.command_person(bob, &PersonCommand::Leave, at(6)).await.unwrap();
    classes(&registry, carol, alice).await;
    operators(&registry, carol, bob).await;
    authorities(&registry).await;
    registry
}

/// A key of which a card has said where it was made, and what will be signed for it.
fn with_attested_key(progress: &mut AttemptProgress, (holder, card): (CardholderId, CardId)) {
    let key = CardKey::DigitalSignature;
    let world = World::new(TestKey::p256);
    let made = x509_cert::Certificate::from_der(world.root.certificate().as_der()).unwrap();
    let made = made.tbs_certificate();
    let evidence = |name: &str| name.as_bytes().to_vec();
    let (statement, issuer) = (evidence("statement"), evidence("issuer"));
    let origin =
        KeyOriginRecord::Attested(AttestationRecord { statement, issuer, root: Some(evidence("root")) });
    let public_key = ChainHash::of(&made.subject_public_key_info().to_der().unwrap());
    progress.key_origins.push((*public_key.as_bytes(), key, origin));
    let to_be_signed = made.to_der().unwrap();
    progress.reserved.push(NewCertificate { to_be_signed, ..certificate(10, Some((holder, card, 2, key))) });
}

async fn classes(registry: &Registry, carol: CardholderId, alice: CardholderId) {
    let change = ClassChange {
        name: ClassName::new("board").unwrap(),
        description: None,
        policy: None,
        default_policy: "1.2.3".to_owned(),
        members: vec![carol, alice],
        clearance: Clearance::new(3),
    };
    registry.add_to_class(&change, at(7)).await.unwrap();
    let name = ClassName::new("crew").unwrap();
    registry.add_to_class(&ClassChange { name: name.clone(), ..change.clone() }, at(7)).await.unwrap();
    registry.remove_from_class(&change.name, Some(&[alice]), at(7)).await.unwrap();
    registry.remove_from_class(&name, None, at(7)).await.unwrap();
    registry.reserve_class_list_number(at(7), at(70)).await.unwrap();
}

async fn operators(registry: &Registry, carol: CardholderId, bob: CardholderId) {
    let key = |octet: u8| ChainHash::of(&[octet]);
    let roles = "registrar,administrator".parse().unwrap();
    let serial = |number| certificate(number, None).serial;
    registry.add_operator(carol, (&serial(9), &key(1)), &roles, at(8)).await.unwrap();
    let second = registry.add_operator(bob, (&serial(3), &key(2)), &roles, at(8)).await.unwrap();
    let party = Party { operator: second, person: bob, certificate: "4f03".to_owned(), key: "02".to_owned() };
    let act = GuardedAct::new(Act::Export, "backup");
    registry.ask_approval(&act, "to move", &party, at(8)).await.unwrap();
    registry.remove_operator(second, None, at(9)).await.unwrap();
    registry.set_dual_control(&BTreeSet::from([Act::Export, Act::Restore]), at(9)).await.unwrap();
    registry.accept_clock(at(9), "it was set", at(9)).await.unwrap();
}

async fn authorities(registry: &Registry) {
    let name = AuthorityName::People;
    for number in 1..=2 {
        assert_eq!(registry.reserve_crl_number(name, at(10), at(20)).await.unwrap(), number);
        let file = format!("aa-2-{number}.crl");
        let signed = SignedCrls {
            number,
            key: "aa".to_owned(),
            is_complete: true,
            complete: Some(&[1; 50]),
            parts: vec![(&file, &[2; 50])],
            told: None,
        };
        registry.store_crls(name, &signed, at(10)).await.unwrap();
    }
    registry.renew_authority(name, b"renewed", at(11)).await.unwrap();
    let key = NewAuthorityKey { name, certificate: b"second", key_identifier: &[0xBB], predecessor: &[0xAA] };
    assert_eq!(registry.roll_over_authority(&key, at(12)).await.unwrap(), 2);
    registry.renew_authority(name, b"renewed again", at(12)).await.unwrap();
    registry.add_cross_certificate(name, 2, CrossDirection::Given, b"cross", at(13)).await.unwrap();
    registry.import_crl(AuthorityName::Root, 4, (at(13), at(30)), &[3; 50], None, at(13)).await.unwrap();
    registry.skip_crl_numbers(AuthorityName::Servers, 40, at(13)).await.unwrap();
    let target = registry.add_target("/srv/pki", "{}", at(14)).await.unwrap();
    registry.target_has_checkpoint(&target, 3, at(14)).await.unwrap();
}

/// What is wrong with it, in words; and with which values and rows.
async fn judged(registry: &Registry) -> Option<(String, Vec<Difference>)> {
    let is_signed = |key: &[u8], _: &str, signature: &[u8]| key == signature;
    let verdict = match registry.verify_log().await {
        Ok(_) => registry.verify_checkpoints(&is_signed).await.map(drop),
        Err(error) => Err(error),
    };
    let error = verdict.err()?;
    let text = error.to_string();
    match error {
        RegistryError::TablesDiffer { differences, .. } => Some((text, differences)),
        _ => Some((text, Vec::new())),
    }
}

/// Every column there is: table, column, and a value of its type that nothing has.
async fn columns(place: &Place) -> Vec<(String, String, String)> {
    let question = match place {
        Place::Sqlite(_) => {
            "SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' \
             AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\'"
        }
        _ => {
            "SELECT table_name, column_name, data_type FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'"
        }
    };
    let foreign = |kind: &str| match kind {
        "INTEGER" | "bigint" | "integer" => "987654".to_owned(),
        "BLOB" => format!("x'{}'", "DE".repeat(32)),
        "bytea" => format!("'\\x{}'", "de".repeat(32)),
        _ => "'changed'".to_owned(),
    };
    let found = place.ask(question).await;
    found.iter().map(|row| (row[0].clone(), row[1].clone(), foreign(&row[2]))).collect()
}

/// Why a column is not compared, where that was decided.
fn reason(table: &str, column: &str) -> Option<&'static str> {
    let decided = |(listed, of, _): &&(&str, &str, &str)| {
        // Full-text search keeps its index in tables of its own.
        (*listed == table || (*listed == "people_text" && table.starts_with("people_text")))
            && (*of == "*" || *of == column)
    };
    NOT_COMPARED.iter().find(decided).map(|(.., why)| *why)
}

/// Nothing holds anybody back who changes the database itself.
async fn unbind(place: &Place) {
    if matches!(place, Place::Postgres(_)) {
        place
            .tamper(
                "DO $$ DECLARE r record; BEGIN FOR r IN SELECT conrelid::regclass AS t, conname FROM pg_constraint \
                 WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace ORDER BY contype DESC LOOP \
                 EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.t, r.conname); END LOOP; END $$",
            )
            .await;
    }
}

/// Changes one value, in one row that has one.
async fn change(place: &Place, table: &str, column: &str, to: &str) -> (String, String) {
    let row = match place {
        Place::Postgres(_) => "ctid",
        // A table WITHOUT ROWID.
        _ if table == "key_origins" => "public_key",
        _ => "rowid",
    };
    let quoted = if matches!(place, Place::Postgres(_)) {
        format!("quote_nullable({column})")
    } else {
        format!("quote({column})")
    };
    let question = format!("SELECT {quoted} FROM {table} ORDER BY {column} IS NULL, {row} LIMIT 1");
    let before = place.value(&question).await.unwrap_or_else(|| panic!("{table} has no row to change"));
    let bind = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;";
    let bind = if matches!(place, Place::Postgres(_)) { "" } else { bind };
    place
        .tamper(&format!(
            "{bind} UPDATE {table} SET {column} = {to} WHERE {row} = \
             (SELECT {row} FROM {table} ORDER BY {column} IS NULL, {row} LIMIT 1)"
        ))
        .await;
    (before, bind.to_owned())
}

async fn every_column_is_compared_or_listed_with_a_reason(place: &Place) {
    let registry = lived(place).await;
    assert_eq!(judged(&registry).await, None);
    unbind(place).await;
    let columns = columns(place).await;
    let (mut compared, mut listed) = (0, 0);
    for (table, column, foreign) in &columns {
        if let Some(why) = reason(table, column) {
            assert!(why.len() > 7, "{table}.{column} needs a reason");
            listed += 1;
            continue;
        }
        let (before, bind) = change(place, table, column, foreign).await;
        let (told, differences) = judged(&registry).await.unwrap_or_else(|| {
            panic!("{table}.{column} is neither compared with the log nor listed in exempt.rs with a reason")
        });
        let is_log = ["events", "event_chain", "checkpoints"].contains(&table.as_str());
        let is_named = |difference: &Difference| {
            difference.table == table && difference.column.is_none_or(|named| named == column)
        };
        assert!(is_log || differences.iter().any(is_named), "{table}.{column}: {told}");
        let back = format!("{bind} UPDATE {table} SET {column} = {before} WHERE {column} = {foreign}");
        place.tamper(&back).await;
        assert_eq!(judged(&registry).await, None, "{table}.{column} was not put back");
        compared += 1;
    }
    for (table, column, _) in NOT_COMPARED {
        let is_there =
            |(of, one, _): &&(String, String, String)| of == table && (*column == "*" || one == column);
        assert!(columns.iter().any(|row| is_there(&row)), "{table}.{column} is listed and not there");
    }
    assert!(compared > 110 && listed > 30, "{compared} compared, {listed} listed");
}

async fn rows_that_are_added_or_taken_out_are_named(place: &Place) {
    let registry = lived(place).await;
    unbind(place).await;
    let tables: BTreeSet<String> = columns(place)
        .await
        .into_iter()
        .filter(|(table, column, _)| reason(table, column).is_none())
        .map(|(table, ..)| table)
        .collect();
    for table in
        tables.iter().filter(|table| !["events", "event_chain", "checkpoints"].contains(&table.as_str()))
    {
        let free = if matches!(place, Place::Postgres(_)) { "" } else { "PRAGMA foreign_keys = OFF;" };
        place
            .tamper(&format!("CREATE TABLE kept AS SELECT * FROM {table}; {free} DELETE FROM {table}"))
            .await;
        let (told, differences) = judged(&registry).await.unwrap_or_else(|| panic!("{table} was emptied"));
        let is_missing = |difference: &Difference| difference.table == table && difference.column.is_none();
        assert!(differences.iter().any(is_missing), "{table}: {told}");
        place.tamper(&format!("{free} INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept")).await;
        assert_eq!(judged(&registry).await, None, "{table} was not put back");
    }
    for (table, statement) in [
        (
            "operators",
            "INSERT INTO operators (id, person, serial, key_hash, roles, added_at) SELECT 99, 1, serial, key_hash, 'administrator', added_at FROM operators WHERE removed_at IS NULL",
        ),
        ("settings", "INSERT INTO settings (name, value) VALUES ('published-checkpoint', 'any')"),
        (
            "audit_keys",
            "INSERT INTO audit_keys (id, public_key, since) SELECT 'another', public_key, since FROM audit_keys",
        ),
        (
            "crls",
            "INSERT INTO crls (authority, number, this_update, next_update) VALUES ('people', 99, 'x', 'y')",
        ),
    ] {
        let bound = if matches!(place, Place::Postgres(_)) {
            "DROP INDEX one_operator_per_person, one_operator_per_key;"
        } else {
            "DROP INDEX one_operator_per_person; DROP INDEX one_operator_per_key;"
        };
        let bound = if table == "operators" { bound } else { "" };
        place.tamper(&format!("{bound} {statement}")).await;
        let (told, differences) = judged(&registry).await.unwrap_or_else(|| panic!("{table} got a row"));
        let is_strange = |difference: &Difference| difference.table == table && difference.column.is_none();
        assert!(differences.iter().any(is_strange), "{table}: {told}");
    }
}
