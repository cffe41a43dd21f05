//! Whoever holds the database and the key that signs the log, but not the witness: what is added to the log so that everything
//! fits is known to the witness, too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;
mod operator_support;
mod witness_support;

use std::sync::Arc;

use issuer::clock::{Clock, SystemClock};
use issuer::config::Home;
use issuer::desk::audit::notary;
use issuer::domain::{Actor, ApprovalCommand, ChainHash, Party, Role, Roles};
use issuer::registry::{Registry, RegistryUrl};
use operator_support::Staffed;
use witness_support::{name_witness, seen};

/// The registry, with the stolen key.
async fn stolen(desk: &Staffed) -> Registry {
    let home = Home::new(desk.desk.home());
    let url = RegistryUrl::Sqlite(desk.desk.home().join("registry.db"));
    let mut registry =
        Registry::open(&url, Actor::new("operator 1 Adam Administrator").unwrap()).await.unwrap();
    let log = registry.newest_checkpoint().await.unwrap().unwrap().checkpoint.log;
    let notary = notary::of_home(&home, log, notary::FirstKey::Lost).unwrap();
    registry.set_known_notary(Arc::clone(&notary) as _).await.unwrap();
    registry
}

/// A desk that needs two for what leaves it, with a witness that is told of every change.
fn desk() -> Staffed {
    let desk = Staffed::new();
    name_witness(&desk.desk, Some(&desk.desk.text("witness")));
    let shown = desk.as_operator("adam", &["--json", "config", "show"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    let digest = shown["digest"].as_str().unwrap().to_owned();
    desk.as_operator("adam", &["config", "accept", &digest]).expect(0);
    desk.as_operator("adam", &["approval", "demand", "export"]).expect(0);
    let told = desk.plain(&["audit", "verify"]);
    told.expect(0);
    assert!(!told.stderr.contains("was not told"), "{}", told.stderr);
    desk
}

/// What `audit verify` says that the witness missed.
fn missed(desk: &Staffed) -> Vec<String> {
    let verified = desk.plain(&["--json", "audit", "verify"]);
    verified.expect(0);
    let verified: serde_json::Value = serde_json::from_str(&verified.stdout).unwrap();
    let untold = verified["untold_changes"].as_array().unwrap();
    untold
        .iter()
        .map(|one| format!("{} {}", one["kind"].as_str().unwrap(), one["about"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn an_operator_who_was_forged_into_the_log_is_named() {
    let desk = desk();
    let registry = stolen(&desk).await;
    let now = SystemClock.now();
    let zoe =
        registry.cardholders().await.unwrap().into_iter().find(|one| one.name.as_str() == "Zoe Xu").unwrap();
    let certificates = registry.certificates_of(zoe.id).await.unwrap();
    let serial = certificates.first().unwrap().serial.clone();
    let roles = Roles::new([Role::Administrator]).unwrap();
    registry.add_operator(zoe.id, (&serial, &ChainHash::of(b"her key")), &roles, now).await.unwrap();
    registry.close().await;
    assert_eq!(missed(&desk), ["operator-added operator 5"]);
    // Also after the witness was told of what came later, and for good.
    desk.as_operator("rita", &["hold", "zoe@example.org"]).expect(0);
    assert_eq!(missed(&desk), ["operator-added operator 5"]);
    let told = desk.plain(&["audit", "verify"]);
    for word in ["operator-added", "by operator 1 Adam Administrator", "was not told of it at once"] {
        assert!(told.stderr.contains(word), "{word}: {}", told.stderr);
    }
}

#[tokio::test]
async fn an_approval_that_was_forged_into_the_log_is_named() {
    let desk = desk();
    desk.as_operator("adam", &["approval", "waive", "export"]).refuses(1, &["needs a second operator"]);
    let registry = stolen(&desk).await;
    let operators = registry.operators().await.unwrap();
    let vera = Party::of(operators.iter().find(|one| one.name.as_str() == "Vera Approver").unwrap());
    let waiting = registry.pending_approvals().await.unwrap();
    let grant = ApprovalCommand::Grant { by: vera };
    registry.command_approval(waiting[0].id, grant, SystemClock.now()).await.unwrap();
    registry.close().await;
    // It is done: nothing in the registry tells it from what Vera granted.
    desk.as_operator("adam", &["approval", "waive", "export"]).expect(0);
    assert_eq!(missed(&desk), ["approval-granted approval 1"]);
}

/// That it could not be written is no secret either.
#[test]
fn what_a_witness_missed_that_could_not_be_written_is_named() {
    let desk = desk();
    let witness = desk.path("witness");
    let count = seen(&witness).len();
    std::fs::rename(&witness, desk.path("away")).unwrap();
    std::fs::create_dir(&witness).unwrap();
    let done = desk.as_two("adam", "vera", &["operator", "remove", "otto@example.org"]);
    done.expect(0);
    assert!(done.stderr.contains("witness"), "{}", done.stderr);
    std::fs::remove_dir(&witness).unwrap();
    std::fs::rename(desk.path("away"), &witness).unwrap();
    assert!(missed(&desk).contains(&"operator-removed operator 3".to_owned()));
    desk.as_operator("rita", &["hold", "zoe@example.org"]).expect(0);
    assert!(seen(&witness).len() > count);
}
