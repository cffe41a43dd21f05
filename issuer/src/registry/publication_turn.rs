//! One publication after the other, among all desks that share a registry.
//!
//! PostgreSQL keeps the turn (an advisory lock of the session) for homes on several computers; it ends with its connection,
//! also when the program is killed or the network is gone. Of an SQLite file the desks are on one computer, and the home keeps it.

use sqlx::AnyConnection;
#[cfg(feature = "postgres")]
use sqlx::Row;

use super::database::{Kind, Registry};
use super::error::RegistryError;

/// The turn of a run; dropped, it is the next one's.
pub struct PublicationTurn {
    _connection: Option<AnyConnection>,
}

/// What the lock is known by in its database: "publish" as a number, which no other lock of ours has.
#[cfg(feature = "postgres")]
const LOCK: i64 = 0x0070_7562_6C69_7368;

impl Registry {
    /// Waits for the turn; `waits` is told once if somebody else has it.
    ///
    /// # Errors
    /// The database.
    pub async fn publication_turn(&self, waits: impl FnOnce()) -> Result<PublicationTurn, RegistryError> {
        match self.kind() {
            Kind::Sqlite => {
                // The home keeps the turn, and whoever had to wait was told there.
                drop(waits);
                Ok(PublicationTurn { _connection: None })
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                // Not one of the pool's: the turn would stay with it.
                let mut connection = self.pool.acquire().await?.detach();
                let taken = sqlx::query("SELECT pg_try_advisory_lock($1) AS taken")
                    .bind(LOCK)
                    .fetch_one(&mut connection)
                    .await?;
                if !taken.try_get::<bool, _>("taken")? {
                    waits();
                    // Another publication may take minutes.
                    sqlx::query("SET lock_timeout = 0").execute(&mut connection).await?;
                    sqlx::query("SELECT pg_advisory_lock($1) IS NULL AS waited")
                        .bind(LOCK)
                        .execute(&mut connection)
                        .await?;
                }
                Ok(PublicationTurn { _connection: Some(connection) })
            }
        }
    }
}
