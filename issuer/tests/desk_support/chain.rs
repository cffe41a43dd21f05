//! The log with other words in it, as if they had been written so.
#![allow(dead_code, unreachable_pub)]

use issuer::config::Home;
use issuer::desk::audit::notary;
use issuer::domain::{Actor, AuditRecord, Batch, ChainEnd, ChainHash, Notary, SignedCheckpoint};
use issuer::registry::{LogEntry, Registry, RegistryUrl};
use sqlx::SqlitePool;

use super::Desk;

/// Computes every hash of the log anew, after its events were changed in the database, and signs every checkpoint anew.
pub async fn hash_anew(desk: &Desk) {
    let hashes = write_anew(desk, &AuditRecord::clone).await;
    sign_anew(desk, &hashes).await;
}

/// Signs every checkpoint anew, of a log with these hashes, by the key of the home.
pub async fn sign_anew(desk: &Desk, hashes: &[ChainHash]) {
    let url = RegistryUrl::Sqlite(desk.home().join("registry.db"));
    let registry = Registry::open(&url, Actor::unrecorded()).await.unwrap();
    let checkpoints = registry.checkpoints_after(0).await.unwrap();
    registry.close().await;
    let log = checkpoints[0].checkpoint.log.clone();
    let notary = notary::of_home(&Home::new(desk.home()), log, notary::FirstKey::Lost).unwrap();
    let pool = database(desk).await;
    let (mut covered, mut previous) = (0, ChainHash::START);
    for signed in &checkpoints {
        let mut checkpoint = signed.checkpoint.clone();
        let end = usize::try_from(checkpoint.end.sequence).unwrap();
        let mut batch = Batch::default();
        hashes[covered..end].iter().for_each(|hash| batch.push(hash));
        checkpoint.end = ChainEnd { hash: hashes[end - 1], ..checkpoint.end };
        checkpoint.batch = batch.finish();
        checkpoint.previous = previous;
        let signature = notary.sign(&checkpoint.text()).unwrap();
        let forged = SignedCheckpoint { checkpoint, signature };
        sqlx::query("UPDATE checkpoints SET document = ? WHERE size = ?")
            .bind(forged.document())
            .bind(i64::try_from(end).unwrap())
            .execute(&pool)
            .await
            .unwrap();
        (covered, previous) = (end, forged.digest());
    }
    pool.close().await;
}

async fn database(desk: &Desk) -> SqlitePool {
    let url = format!("sqlite:{}", desk.home().join("registry.db").display());
    SqlitePool::connect(&url).await.unwrap()
}

/// Writes every event as `how` says, with actor and detail of its own, and every hash anew; answers the hashes.
pub async fn write_anew(desk: &Desk, how: &dyn Fn(&AuditRecord) -> AuditRecord) -> Vec<ChainHash> {
    let entries = entries(desk).await;
    let pool = database(desk).await;
    let mut previous = ChainHash::START;
    let mut hashes = Vec::new();
    for entry in &entries {
        let record = how(&entry.record);
        let hash = record.hash(&previous);
        sqlx::query("UPDATE events SET actor = ?, detail = ?, previous = ?, hash = ? WHERE sequence = ?")
            .bind(record.actor.clone())
            .bind(record.detail.clone())
            .bind(previous.as_bytes().to_vec())
            .bind(hash.as_bytes().to_vec())
            .bind(i64::try_from(record.sequence).unwrap())
            .execute(&pool)
            .await
            .unwrap();
        previous = hash;
        hashes.push(hash);
    }
    sqlx::query("UPDATE event_chain SET hash = ?")
        .bind(previous.as_bytes().to_vec())
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    hashes
}

/// The whole log.
async fn entries(desk: &Desk) -> Vec<LogEntry> {
    let file = desk.home().join("registry.db");
    let registry = Registry::open(&RegistryUrl::Sqlite(file), Actor::unrecorded()).await.unwrap();
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
    entries
}
