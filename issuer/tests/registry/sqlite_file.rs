//! What is promised of the file of SQLite.

use issuer::registry::{EmulatedCards, Registry, RegistryError};

use crate::database::{Place, actor, at, person};

#[tokio::test]
async fn the_files_are_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::sqlite();
    let Place::Sqlite(directory) = &place else { panic!("a file was wanted") };
    let open = place.registry().await;
    open.add_cardholder(&person("alice", None), at(1)).await.unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    let exists = Registry::create(&place.url(), EmulatedCards::Refused, actor("bob"), at(0)).await;
    assert!(matches!(exists, Err(RegistryError::AlreadyExists(_))));
}

#[tokio::test]
async fn what_is_not_a_registry_is_refused() {
    let place = Place::sqlite();
    let Place::Sqlite(directory) = &place else { panic!("a file was wanted") };
    assert!(matches!(place.open("bob").await, Err(RegistryError::Missing(_))));
    std::fs::write(directory.path().join("registry.db"), [7; 8192]).unwrap();
    assert!(place.open("bob").await.is_err());
}

#[tokio::test]
async fn every_table_is_strict() {
    let place = Place::sqlite();
    let Place::Sqlite(directory) = &place else { panic!("a file was wanted") };
    place.registry().await.close().await;
    let pool =
        sqlx::SqlitePool::connect(&format!("sqlite:{}", directory.path().join("registry.db").display()))
            .await
            .unwrap();
    let loose: Vec<(String,)> =
        sqlx::query_as("SELECT name FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite%' AND name NOT LIKE '_sqlx%'")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(loose, []);
    let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&pool).await.unwrap();
    assert_eq!(mode, "wal");
}
