//! A registry that an earlier version made opens, with everything that was in it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

use issuer::domain::{AuthorityName, RevocationReason, SerialNumber};
use issuer::registry::{Authority, IssuedCrl, Registry, RegistryUrl};
use jiff::Timestamp;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A registry of before there was an authority for documents: three authorities, and rows that refer to each.
async fn earlier(directory: &tempfile::TempDir) -> RegistryUrl {
    let migrations = directory.path().join("migrations");
    std::fs::create_dir(&migrations).unwrap();
    let first = "0001_initial.sql";
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/registry/migrations/sqlite");
    std::fs::copy(format!("{source}/{first}"), migrations.join(first)).unwrap();
    let path = directory.path().join("registry.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    Migrator::new(migrations).await.unwrap().run(&pool).await.unwrap();
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
    RegistryUrl::Sqlite(path)
}

#[tokio::test]
async fn a_registry_without_an_authority_for_documents_gets_room_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let url = earlier(&directory).await;
    let registry = Registry::open(&url).await.unwrap();
    let names = [AuthorityName::Root, AuthorityName::People, AuthorityName::Servers];
    let kept: Vec<_> = registry.authorities().await.unwrap();
    assert_eq!(kept.iter().map(|authority| authority.name).collect::<Vec<_>>(), names);
    assert_eq!(
        kept.iter().map(|authority| authority.certificate.clone()).collect::<Vec<_>>(),
        [[1], [2], [3]]
    );
    let serial = SerialNumber::from_bytes(&[0x4F, 1]).unwrap();
    let revoked = registry.revoked_certificates(AuthorityName::Root).await.unwrap();
    assert_eq!((&revoked[0].serial, revoked[0].reason), (&serial, RevocationReason::Superseded));
    let crl = registry.newest_crl(AuthorityName::Servers).await.unwrap();
    assert_eq!(crl, Some(IssuedCrl { number: 7, crl: vec![10] }));

    let documents = Authority { name: AuthorityName::Documents, certificate: vec![4] };
    registry.add_authority(&documents).await.unwrap();
    registry.reserve_crl_number(AuthorityName::Documents, at(0), at(1)).await.unwrap();
    registry.close().await;
    let again = Registry::open(&url).await.unwrap();
    assert_eq!(again.authorities().await.unwrap().last(), Some(&documents));

    // What refers to an authority still must refer to one that is there.
    let RegistryUrl::Sqlite(path) = &url;
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
