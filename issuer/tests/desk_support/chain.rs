//! The log with other words in it, as if they had been written so.
#![allow(dead_code, unreachable_pub)]

use issuer::domain::{Actor, ChainHash};
use issuer::registry::{LogEntry, Registry, RegistryUrl};
use sqlx::SqlitePool;

use super::Desk;

/// Computes every hash of the log anew, after its events were changed in the database.
pub async fn hash_anew(desk: &Desk) {
    let file = desk.home().join("registry.db");
    let registry = Registry::open(&RegistryUrl::Sqlite(file.clone()), Actor::unrecorded()).await.unwrap();
    let mut entries: Vec<LogEntry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.record.sequence);
        let more = registry.log_after(after).await.unwrap();
        if more.is_empty() {
            break;
        }
        entries.extend(more);
    }
    registry.close().await;
    let pool = SqlitePool::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let mut previous = ChainHash::START;
    for entry in &entries {
        let hash = entry.record.hash(&previous);
        sqlx::query("UPDATE events SET previous = ?, hash = ? WHERE sequence = ?")
            .bind(previous.as_bytes().to_vec())
            .bind(hash.as_bytes().to_vec())
            .bind(i64::try_from(entry.record.sequence).unwrap())
            .execute(&pool)
            .await
            .unwrap();
        previous = hash;
    }
    sqlx::query("UPDATE event_chain SET hash = ?")
        .bind(previous.as_bytes().to_vec())
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}
