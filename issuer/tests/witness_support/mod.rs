//! A desk whose log somebody else has seen, and what is done behind its back.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::path::Path;

use issuer::domain::SignedCheckpoint;
use sqlx::SqlitePool;

use crate::desk_support::{Desk, Run};

/// A desk with some history, and a witness that has seen it.
pub fn witnessed() -> Desk {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    desk.publish();
    verify(&desk).expect(0);
    desk
}

pub fn verify(desk: &Desk) -> Run {
    desk.issuer(&["audit", "verify", "--witness", "witness"])
}

#[track_caller]
pub fn is_named(run: &Run, words: &[&str]) {
    run.expect(4);
    for word in words {
        assert!(run.stdout.contains(word), "{word:?} is not in: {}", run.stdout);
    }
}

/// The files of the registry, as somebody would copy them.
pub fn copy_registry(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let (source, target) = (from.join(name), to.join(name));
        let _ = std::fs::remove_file(&target);
        if source.exists() {
            std::fs::copy(source, target).unwrap();
        }
    }
}

pub async fn database(desk: &Desk) -> SqlitePool {
    let url = format!("sqlite:{}", desk.home().join("registry.db").display());
    SqlitePool::connect(&url).await.unwrap()
}

/// The checkpoints in a witness file.
pub fn seen(path: &Path) -> Vec<SignedCheckpoint> {
    SignedCheckpoint::parse_all(&std::fs::read_to_string(path).unwrap()).unwrap().0
}

/// `config.toml` with this witness, or without any.
pub fn name_witness(desk: &Desk, witness: Option<&str>) {
    let path = desk.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: String = text
        .lines()
        .filter(|line| !line.starts_with("witness = "))
        .fold(String::new(), |kept, line| kept + line + "\n");
    let line = witness.map_or_else(String::new, |witness| format!("witness = {witness:?}\n"));
    std::fs::write(&path, line + &kept).unwrap();
}
