//! A registry that an earlier version made opens, with everything that was in it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test may panic

use issuer::domain::{
    Actor, AuthorityName, CardCommand, CardId, CardState, CardholderId, RevocationReason, SerialNumber,
    Usability,
};
use issuer::registry::{Authority, IssuedCrl, Registry, RegistryUrl, SearchFor};
use jiff::Timestamp;
use sqlx::SqlitePool;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A file with the tables of the version that had these migrations.
async fn with_tables(directory: &tempfile::TempDir, migrations: &[&str]) -> (RegistryUrl, SqlitePool) {
    let folder = directory.path().join("migrations");
    std::fs::create_dir(&folder).unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/registry/migrations/sqlite");
    for file in migrations {
        std::fs::copy(format!("{source}/{file}"), folder.join(file)).unwrap();
    }
    let path = directory.path().join("registry.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    Migrator::new(folder).await.unwrap().run(&pool).await.unwrap();
    (RegistryUrl::Sqlite(path), pool)
}

/// A registry of before there was an authority for documents: three authorities, and rows that refer to each.
async fn earlier(directory: &tempfile::TempDir) -> RegistryUrl {
    let (url, pool) = with_tables(directory, &["0001_initial.sql"]).await;
    for statement in [
        "INSERT INTO registry (only_row, emulated_cards, created_at) VALUES (1, 'refused', '2027-01-15T08:00:00Z')",
        "INSERT INTO authorities (name, certificate) VALUES ('root', x'01'), ('people', x'02'), ('servers', x'03')",
        "INSERT INTO certificates (serial, authority, profile, subject, not_before, not_after, to_be_signed, certificate) \
         VALUES (x'4F01', 'root', 'issuing-authority-people', 'People', '2027-01-15T08:00:00Z', '2037-01-15T08:00:00Z', x'01', x'02')",
        "INSERT INTO revocations (serial, authority, revoked_at, reason) VALUES (x'4F01', 'root', '2027-01-15T08:00:00Z', 'superseded')",
        "INSERT INTO crls (authority, number, this_update, next_update, crl) \
         VALUES ('servers', 7, '2027-01-15T08:00:00Z', '2027-01-22T08:00:00Z', x'0A')",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let refused = sqlx::query("INSERT INTO authorities (name, certificate) VALUES ('documents', x'04')");
    assert!(refused.execute(&pool).await.is_err(), "an earlier registry takes the authority already");
    pool.close().await;
    url
}

#[tokio::test]
async fn a_registry_without_an_authority_for_documents_gets_room_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let url = earlier(&directory).await;
    let registry = Registry::open(&url, Actor::unrecorded()).await.unwrap();
    let names = [AuthorityName::Root, AuthorityName::People, AuthorityName::Servers];
    let kept: Vec<_> = registry.authorities().await.unwrap();
    assert_eq!(kept.iter().map(|authority| authority.name).collect::<Vec<_>>(), names);
    assert_eq!(
        kept.iter().map(|authority| authority.certificate.clone()).collect::<Vec<_>>(),
        [[1], [2], [3]]
    );
    let serial = SerialNumber::from_bytes(&[0x4F, 1]).unwrap();
    let revoked = registry.revoked_certificates(AuthorityName::Root).await.unwrap();
    assert_eq!(
        (&revoked[0].serial, revoked[0].standing),
        (&serial, issuer::registry::Standing::Revoked(RevocationReason::Superseded))
    );
    let crl = registry.newest_crl(AuthorityName::Servers).await.unwrap();
    assert_eq!(crl, Some(IssuedCrl { number: 7, crl: vec![10] }));

    let documents = Authority { name: AuthorityName::Documents, certificate: vec![4] };
    registry.add_authority(&documents, at(0)).await.unwrap();
    registry.reserve_crl_number(AuthorityName::Documents, at(0), at(1)).await.unwrap();
    registry.close().await;
    let again = Registry::open(&url, Actor::unrecorded()).await.unwrap();
    assert_eq!(again.authorities().await.unwrap().last(), Some(&documents));

    // What refers to an authority still must refer to one that is there.
    let RegistryUrl::Sqlite(path) = &url else { panic!("a file was wanted") };
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(true);
    let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
    let broken = sqlx::query("PRAGMA foreign_key_check").fetch_all(&pool).await.unwrap();
    assert!(broken.is_empty());
    for statement in [
        "DELETE FROM authorities WHERE name = 'servers'",
        "INSERT INTO crls (authority, number, this_update, next_update) VALUES ('nobody', 1, '2027', '2027')",
        "INSERT INTO authorities (name, certificate) VALUES ('nobody', x'05')",
    ] {
        assert!(sqlx::query(statement).execute(&pool).await.is_err(), "{statement}");
    }
}

/// Whom each event is about, and what it says.
fn events_of_before() -> Vec<(i64, &'static str, String)> {
    let guid = "0a".repeat(16);
    vec![
        (
            1,
            "person",
            r#"{"event":"person-added","name":"Alice Ng","mail":"Alice@example.org","staff_id":"A-7"}"#
                .to_owned(),
        ),
        (
            2,
            "person",
            r#"{"event":"person-added","name":"Bob Ruiz","mail":"bob@example.org","staff_id":null}"#
                .to_owned(),
        ),
        (1, "person", r#"{"event":"class-joined","class":"board","clearance":3}"#.to_owned()),
        (1, "card", r#"{"event":"card-received","at":"2027-01-15T08:00:00Z"}"#.to_owned()),
        (
            1,
            "card",
            format!(
                r#"{{"event":"personalisation-begun","at":"2027-01-15T08:00:01Z","holder":1,"guid":"{guid}","attempt":1}}"#
            ),
        ),
        (1, "card", r#"{"event":"personalisation-completed","at":"2027-01-15T08:00:02Z"}"#.to_owned()),
        (2, "card", r#"{"event":"card-received","at":"2027-01-15T08:00:00Z"}"#.to_owned()),
        (
            2,
            "card",
            format!(
                r#"{{"event":"personalisation-begun","at":"2027-01-15T08:00:03Z","holder":2,"guid":"{}","attempt":1}}"#,
                "0b".repeat(16)
            ),
        ),
        (3, "card", r#"{"event":"card-received","at":"2027-01-15T08:00:00Z"}"#.to_owned()),
        (
            3,
            "card",
            format!(
                r#"{{"event":"personalisation-begun","at":"2027-01-15T08:00:01Z","holder":2,"guid":"{}","attempt":1}}"#,
                "0c".repeat(16)
            ),
        ),
        (3, "card", r#"{"event":"personalisation-completed","at":"2027-01-15T08:00:01Z"}"#.to_owned()),
        (
            3,
            "card",
            r#"{"event":"card-revoked","at":"2027-01-15T08:00:02Z","reason":"superseded"}"#.to_owned(),
        ),
    ]
}

/// A registry of before there was a life cycle beyond "issued": two people, a card in use, one half-made, one revoked.
async fn before_the_life_cycle(directory: &tempfile::TempDir) -> RegistryUrl {
    let migrations = ["0001_initial.sql", "0002_documents_authority.sql", "0003_reader_classes.sql"];
    let (url, pool) = with_tables(directory, &migrations).await;
    for statement in [
        "INSERT INTO registry (only_row, emulated_cards, created_at) VALUES (1, 'refused', '2027-01-15T08:00:00Z')",
        "INSERT INTO authorities (name, certificate) VALUES ('people', x'02')",
        "INSERT INTO people (name, mail, staff_id, added_at) VALUES ('Alice Ng', 'Alice@example.org', 'A-7', '2027-01-15T08:00:00Z'), \
         ('Bob Ruiz', 'bob@example.org', NULL, '2027-01-15T08:00:00Z')",
        "INSERT INTO reader_classes (name, description, policy) VALUES ('board', '', '1.2.3')",
        "INSERT INTO reader_class_members (class, person, clearance) VALUES (1, 1, 3)",
        "INSERT INTO cards (vendor_serial, guid, holder, secrets_version) VALUES \
         (11, x'0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A', 1, 1), (12, x'0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B', 2, 1), \
         (13, x'0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C', NULL, 1)",
        "INSERT INTO certificates (serial, authority, profile, subject, holder, card, attempt, card_key, not_before, not_after, to_be_signed, certificate) \
         VALUES (x'4F01', 'people', 'digital-signature', 'Bob Ruiz', 2, 3, 1, '9C', '2027-01-15T08:00:00Z', '2037-01-15T08:00:00Z', x'01', x'02')",
        "INSERT INTO events (at, serial, detail) VALUES \
         ('2027-01-15T08:00:00Z', x'4F01', '{\"event\":\"certificate-reserved\",\"at\":\"2027-01-15T08:00:00Z\"}'), \
         ('2027-01-15T08:00:00Z', x'4F01', '{\"event\":\"certificate-signed\",\"at\":\"2027-01-15T08:00:00Z\"}'), \
         ('2027-01-15T08:00:02Z', x'4F01', '{\"event\":\"certificate-revoked\",\"at\":\"2027-01-15T08:00:02Z\",\"reason\":\"superseded\"}')",
        "INSERT INTO revocations (serial, authority, revoked_at, reason) VALUES (x'4F01', 'people', '2027-01-15T08:00:02Z', 'superseded')",
        "INSERT INTO journal (card, attempt, step, phase, at) VALUES (2, 1, 'PUK', 'intended', '2027-01-15T08:00:03Z'), \
         (2, 1, 'PUK', 'confirmed', '2027-01-15T08:00:03Z')",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    for (id, column, detail) in events_of_before() {
        let statement = format!(
            "INSERT INTO events (at, {column}, detail) VALUES ('2027-01-15T08:00:00Z', {id}, '{detail}')"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    pool.close().await;
    url
}

#[tokio::test]
async fn a_registry_without_a_life_cycle_gets_one_with_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let url = before_the_life_cycle(&directory).await;
    let registry = Registry::open(&url, Actor::unrecorded()).await.unwrap();
    let (alice, bob) = (CardholderId(1), CardholderId(2));
    let since = |second| {
        "2027-01-15T08:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(second)
    };
    let states: Vec<_> =
        registry.cards().await.unwrap().iter().map(|card| card.card.state().clone()).collect();
    assert_eq!(
        states,
        [
            CardState::Issued { holder: alice, since: since(2), usability: Usability::Active },
            CardState::BeingPersonalised { holder: bob, since: since(3) },
            CardState::Revoked { holder: bob, since: since(2), reason: RevocationReason::Superseded },
        ]
    );
    assert_eq!(registry.journal(CardId(2)).await.unwrap().len(), 2);
    assert_eq!(registry.revoked_certificates(AuthorityName::People).await.unwrap().len(), 1);
    let hits = registry.search("ali", SearchFor::Beginnings).await.unwrap();
    assert_eq!((hits.people.len(), hits.cards.len()), (1, 1));
    assert_eq!(registry.search("lice", SearchFor::Beginnings).await.unwrap().people.len(), 1);
    assert_eq!(registry.search("bob", SearchFor::Beginnings).await.unwrap().cards.len(), 2);

    let verdict = registry.verify_log().await.unwrap();
    assert_eq!(verdict.end.sequence, 15);
    assert!(verdict.untold > 0, "an earlier log says less, and that is counted");
    registry.command_card(CardId(1), CardCommand::Hold, since(9)).await.unwrap();
    registry.close().await;
    let again = Registry::open(&url, Actor::unrecorded()).await.unwrap();
    assert_eq!(again.verify_log().await.unwrap().end.sequence, 16);
}

/// Tables of before rows of two certificates lay apart from the tree: where each key came from is kept.
#[tokio::test]
async fn where_keys_came_from_is_kept_in_less_room() {
    let directory = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/registry/migrations/sqlite");
    let files =
        std::fs::read_dir(source).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let before: Vec<_> = files.filter(|file| file.as_str() < "0030").collect();
    let before: Vec<_> = before.iter().map(String::as_str).collect();
    let (url, pool) = with_tables(&directory, &before).await;
    for statement in [
        "INSERT INTO registry (only_row, emulated_cards, created_at) VALUES (1, 'refused', '2027-01-15T08:00:00Z')",
        "INSERT INTO cards (vendor_serial, secrets_version) VALUES (11, 1)",
        "INSERT INTO key_origins (public_key, card, card_key, origin, statement, issuer, root, at) \
         SELECT randomblob(32), 1, '9A', 'attested', zeroblob(500), zeroblob(600), x'07', '2027-01-15T08:00:00Z' \
         FROM (WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 400) SELECT n FROM many)",
        "INSERT INTO key_origins (public_key, card, card_key, origin, at) \
         VALUES (zeroblob(32), 1, '9C', 'generated', '2027-01-15T08:00:00Z')",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let pages = async |pool: &SqlitePool| {
        sqlx::raw_sql("VACUUM").execute(pool).await.unwrap();
        sqlx::query_scalar::<_, i64>("PRAGMA page_count").fetch_one(pool).await.unwrap()
    };
    let large = pages(&pool).await;
    pool.close().await;
    let registry = Registry::open(&url, Actor::unrecorded()).await.unwrap();
    let kept = registry.key_origin(&[0; 32]).await.unwrap();
    assert_eq!(kept.map(|origin| origin.as_str()), Some("generated"));
    registry.close().await;
    let RegistryUrl::Sqlite(path) = &url else { panic!("{url}") };
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(path)).await.unwrap();
    let attested = "SELECT count(*) FROM key_origins WHERE origin = 'attested' AND length(statement) = 500 AND root = x'07'";
    assert_eq!(sqlx::query_scalar::<_, i64>(attested).fetch_one(&pool).await.unwrap(), 400);
    let small = pages(&pool).await;
    assert!(small < large / 2, "{small} pages of {large}");
}
