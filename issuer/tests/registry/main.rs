//! One suite of the registry's promises, run on both databases.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)] // a test may panic

mod after_issuance;
mod contract;
mod database;
mod life_cycle;
mod log;
mod model;
mod outbox;
mod people;
#[allow(dead_code)]
mod postgres_server;
mod sqlite_file;
#[path = "../support/mod.rs"]
mod support;
mod two_desks;
mod verification;
mod writers;

/// Runs each of these promises on SQLite, and on PostgreSQL: there one after the other, on one server.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(&crate::database::Place::sqlite()).await })*
        }
        #[tokio::test]
        async fn the_same_on_postgres() {
            let place = crate::database::Place::postgres();
            $(
                println!("{}", stringify!($name));
                place.empty();
                $name(&place).await;
            )*
        }
    };
}
use on_both;
