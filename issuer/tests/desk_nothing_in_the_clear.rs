//! No PIN, PUK, management key or authority's key lies in the clear where a database keeps things: files, write-ahead log,
//! copies, and what the programs log.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;
#[path = "desk_support/secrets.rs"]
mod secrets;

use std::path::Path;

use desk_support::Desk;
use postgres_server::Server;
use secrets::{Secret, derived, found, found_in, of_home, of_stock_file};
use sqlx::Connection;

/// Issues one card of each kind, one with injected keys, and gives another up; everything is logged as loudly as can be.
/// Answers every secret that was handled.
fn busy_desk(desk: &Desk, registry: &str) -> Vec<Secret> {
    let log = |name: &str, arguments: &[&str]| {
        let output = desk
            .command(arguments)
            .env("ISSUER_REGISTRY", registry)
            .env("RUST_LOG", "trace")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stderr.is_empty(), "nothing was logged");
        std::fs::write(desk.path(&format!("logs/{name}")), [output.stdout, output.stderr].concat()).unwrap();
    };
    std::fs::create_dir(desk.path("logs")).unwrap();
    std::fs::write(desk.path("staff.csv"), "name,mail\nA,a@example.org\nB,b@example.org\nC,c@example.org\n")
        .unwrap();
    log("staff", &["staff", "import", "staff.csv"]);
    let yubikeys = ["a.card", "c.card"].map(|name| desk.blank(name, &[]));
    let standard = desk.blank("b.card", &["--personality", "standard"]);
    log("stock-a", &["stock", "add", "--card", &yubikeys[0]]);
    log("stock-c", &["stock", "add", "--card", &yubikeys[1]]);
    log("stock-b", &["stock", "add", "--file", "b.card.stock.toml"]);
    log(
        "issue-a",
        &["issue", "a@example.org", "--card", &yubikeys[0], "--transport-pin-file", "a.pin", "--inject"],
    );
    log("issue-b", &["issue", "b@example.org", "--card", &standard, "--transport-pin-file", "b.pin"]);
    log("issue-c", &["issue", "c@example.org", "--card", &yubikeys[1], "--transport-pin-file", "c.pin"]);
    log("check-b", &["check", "--card", &standard, "--pin-file", "b.pin"]);
    log("revoke-c", &["revoke", "c@example.org", "--reason", "superseded"]);
    let mut secrets = of_home(desk);
    secrets.extend(of_stock_file(desk, "b.card.stock.toml"));
    for locator in [&yubikeys[0], &yubikeys[1], &standard] {
        secrets.extend(derived(desk, locator));
    }
    for name in ["a.pin", "b.pin", "c.pin"] {
        let digits = std::fs::read_to_string(desk.path(name)).unwrap();
        secrets.push((format!("transport PIN {name}"), digits.trim().into()));
    }
    assert_eq!(secrets.len(), 4 + 2 + 3 * 3 + 3);
    secrets
}

/// Nothing is found, and what is planted is.
fn search(folder: &Path, secrets: &[Secret], planted: &Path) {
    assert_eq!(found(folder, secrets), Vec::<String>::new());
    let secret = &secrets.last().unwrap().1;
    std::fs::write(planted, [b"xx".as_slice(), secret, b"yy"].concat()).unwrap();
    assert_eq!(found(folder, secrets).len(), 1, "the search does not find what is there");
    std::fs::remove_file(planted).unwrap();
}

#[tokio::test]
async fn nothing_is_in_the_clear_in_sqlite_its_log_and_its_copy() {
    let desk = Desk::new();
    let file = desk.home().join("registry.db");
    // Somebody who reads all the time keeps the write-ahead log from being emptied.
    let registry = issuer::registry::Registry::open(
        &issuer::registry::RegistryUrl::Sqlite(file.clone()),
        issuer::domain::Actor::unrecorded(),
    )
    .await
    .unwrap();
    assert_eq!(registry.cards().await.unwrap(), []);
    let secrets = busy_desk(&desk, &format!("sqlite:{}", file.display()));
    let log = desk.home().join("registry.db-wal");
    assert!(log.metadata().unwrap().len() > 0, "there is no write-ahead log to search");
    let mut connection =
        sqlx::SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    sqlx::query("VACUUM INTO $1").bind(desk.text("home/copy.db")).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    search(&desk.home(), &secrets, &desk.home().join("planted"));
    search(&desk.path("logs"), &secrets, &desk.path("logs/planted"));
    registry.close().await;
}

#[test]
fn nothing_is_in_the_clear_in_postgres_its_log_and_its_copy() {
    let server = Server::start();
    let desk = Desk::empty();
    let init = ["init", "--allow-emulated", "--organization", "Example Org", "--domain", "example.org"];
    let base = ["--base-url", "http://pki.example.org"];
    let init = [&init[..], &base].concat();
    desk_support::run(desk.command(&init).env("ISSUER_REGISTRY", server.url())).expect(0);
    let secrets = busy_desk(&desk, &server.url());
    server.psql("CHECKPOINT");
    let dump = server.dump();
    assert!(dump.contains("a@example.org"), "the copy is empty");
    std::fs::write(desk.path("logs/dump.sql"), dump).unwrap();
    assert_eq!(found(server.folder(), &secrets), Vec::<String>::new());
    assert_eq!(found_in(&desk.path("logs/dump.sql"), &secrets), Vec::<String>::new());
    search(&desk.path("logs"), &secrets, &desk.path("logs/planted"));
}
