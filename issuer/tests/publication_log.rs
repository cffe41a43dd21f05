//! What is taken out of the registry, or put into it, past the program: the log tells otherwise, and nothing that was made
//! from it is published.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use desk_support::{Desk, files_below};
use sqlx::{AssertSqlSafe, SqlitePool};

/// A desk with partitions, deltas and OCSP whose directory is published, with Alice's and Bob's cards.
fn published() -> Desk {
    let desk = Desk::empty();
    let init = ["init", "--allow-emulated", "--organization", "Example Org", "--domain", "example.org"];
    let services =
        ["--base-url", "http://pki.example.org", "--crl-partitions", "3", "--delta-crls", "--ocsp"];
    desk.issuer(&[&init[..], &services].concat()).expect(0);
    desk.import_staff("name,mail,id\nAlice Ng,alice@example.org,1001\nBob Ruiz,bob@example.org,\n").expect(0);
    for person in ["alice", "bob"] {
        let locator = desk.yubikey(&format!("{person}.card"), &[]);
        desk.issue(&format!("{person}@example.org"), &locator, &[]);
    }
    desk.publish();
    desk
}

/// What readers have.
fn readers_have(desk: &Desk) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = ["crl", "ocsp"].map(|folder| files_below(&desk.path("public").join(folder))).concat();
    files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

async fn behind_the_back(desk: &Desk, statements: &[&str]) {
    let url = format!("sqlite:{}", desk.home().join("registry.db").display());
    let pool = SqlitePool::connect(&url).await.unwrap();
    for statement in statements {
        let changed = sqlx::query(AssertSqlSafe((*statement).to_owned())).execute(&pool).await.unwrap();
        let is_of_rows = !(statement.starts_with("DROP") || statement.starts_with("CREATE"));
        assert!(!is_of_rows || changed.rows_affected() > 0, "{statement}");
    }
    pool.close().await;
}

/// One of the certificates that are revoked.
async fn a_serial(desk: &Desk) -> String {
    let url = format!("sqlite:{}", desk.home().join("registry.db").display());
    let pool = SqlitePool::connect(&url).await.unwrap();
    let found = sqlx::query_scalar("SELECT lower(hex(serial)) FROM revocations ORDER BY serial LIMIT 1");
    let serial = found.fetch_one(&pool).await.unwrap();
    pool.close().await;
    serial
}

const TAKE_OUT: [&str; 2] = ["CREATE TABLE kept AS SELECT * FROM revocations", "DELETE FROM revocations"];
const PUT_BACK: [&str; 2] = ["INSERT INTO revocations SELECT * FROM kept", "DROP TABLE kept"];

/// The rows are back before anybody looks: only while the CRL is made can it be noticed.
#[tokio::test]
async fn a_revocation_that_is_taken_out_while_something_is_published_is_missed() {
    let desk = published();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let (serial, before) = (a_serial(&desk).await, readers_have(&desk));
    behind_the_back(&desk, &TAKE_OUT).await;
    for run in [&["publish"][..], &["publish", "--delta"]] {
        let words = [serial.as_str(), "key-compromise", "holds no revocation of it", "audit verify"];
        desk.issuer(run).refuses(1, &words);
        assert_eq!(readers_have(&desk), before);
    }
    behind_the_back(&desk, &PUT_BACK).await;
    desk.issuer(&["publish"]).expect(0);
    desk.issuer(&["audit", "verify", "--published", "public"]).expect(0);
}

/// An OCSP answer never says good of what a published CRL revokes.
#[tokio::test]
async fn a_published_revocation_that_is_taken_out_is_missed_also_by_a_delta() {
    let desk = published();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "superseded"]).expect(0);
    desk.issuer(&["publish"]).expect(0);
    let (serial, before) = (a_serial(&desk).await, readers_have(&desk));
    behind_the_back(&desk, &TAKE_OUT).await;
    for run in [&["publish", "--delta"][..], &["publish"]] {
        desk.issuer(run).refuses(1, &[&serial, "superseded", "holds no revocation of it"]);
        assert_eq!(readers_have(&desk), before);
    }
}

/// A hold may end, and only as the log tells it.
#[tokio::test]
async fn a_hold_ends_only_with_a_release_that_the_log_tells() {
    let desk = published();
    desk.issuer(&["hold", "bob@example.org"]).expect(0);
    desk.issuer(&["publish"]).expect(0);
    let serial = a_serial(&desk).await;
    behind_the_back(&desk, &TAKE_OUT).await;
    for run in [&["publish"][..], &["publish", "--delta"]] {
        desk.issuer(run).refuses(1, &[&serial, "certificate-hold", "holds no revocation of it"]);
    }
    behind_the_back(&desk, &PUT_BACK).await;
    desk.issuer(&["release", "bob@example.org"]).expect(0);
    for run in [&["publish", "--delta"][..], &["publish"]] {
        desk.issuer(run).expect(0);
    }
}

/// The row says something, but not what was recorded, or it says so of a certificate that was released.
#[tokio::test]
async fn a_revocation_that_was_changed_or_invented_is_named() {
    let desk = published();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let serial = a_serial(&desk).await;
    behind_the_back(&desk, &["UPDATE revocations SET reason = 'superseded'"]).await;
    desk.issuer(&["publish"]).refuses(1, &[&serial, "key-compromise", "another revocation"]);
    behind_the_back(&desk, &["UPDATE revocations SET reason = 'key-compromise'"]).await;
    desk.issuer(&["hold", "bob@example.org"]).expect(0);
    behind_the_back(
        &desk,
        &["CREATE TABLE kept AS SELECT * FROM revocations WHERE reason = 'certificate-hold'"],
    )
    .await;
    desk.issuer(&["release", "bob@example.org"]).expect(0);
    behind_the_back(&desk, &PUT_BACK).await;
    desk.issuer(&["publish"]).refuses(1, &["was released", "holds a revocation of it"]);
}

/// Who takes the event out too breaks the chain.
#[tokio::test]
async fn a_revocation_that_is_taken_out_of_the_log_too_is_missed() {
    let desk = published();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    behind_the_back(
        &desk,
        &["DELETE FROM events WHERE kind = 'certificate-revoked'", "DELETE FROM revocations"],
    )
    .await;
    desk.issuer(&["publish"]).refuses(1, &["missing"]);
}
