//! Who may do what is believed only as this program wrote it: tables and the log edited together by whoever holds the database
//! let nobody in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;
mod operator_support;

use std::path::{Path, PathBuf};

use issuer::domain::{AuditRecord, ChainHash, Subject};
use operator_support::Staffed;
use sqlx::{ConnectOptions, Row, SqliteConnection};

/// The database as its holder has it.
struct Holder<'d> {
    desk: &'d Staffed,
    connection: SqliteConnection,
}

impl<'d> Holder<'d> {
    async fn of(desk: &'d Staffed) -> Self {
        let file = desk.desk.home().join("registry.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).foreign_keys(false);
        Self { desk, connection: options.connect().await.unwrap() }
    }

    async fn edit(&mut self, statement: &str) {
        let query = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()));
        let done = query.execute(&mut self.connection).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
    }

    /// The event of this number with the hash before it, as the log has them now.
    async fn event(&mut self, sequence: i64) -> (AuditRecord, ChainHash) {
        let row = sqlx::query("SELECT * FROM events WHERE sequence = ?1")
            .bind(sequence)
            .fetch_one(&mut self.connection)
            .await
            .unwrap();
        let record = AuditRecord {
            sequence: sequence.cast_unsigned(),
            at: row.get::<String, _>("at").parse().unwrap(),
            actor: row.get("actor"),
            subject: Subject::from_topic(row.get("topic")).unwrap(),
            kind: row.get("kind"),
            detail: row.get("detail"),
        };
        (record, ChainHash::from_bytes(row.get("previous")).unwrap())
    }

    /// Gives an event the hash that its content has.
    async fn hash_anew(&mut self, sequence: i64) -> ChainHash {
        let (record, previous) = self.event(sequence).await;
        let hash = record.hash(&previous);
        self.edit(&format!("UPDATE events SET hash = x'{hash}' WHERE sequence = {sequence}")).await;
        hash
    }

    /// A copy of the database as it is now.
    async fn keep(&mut self, name: &str) -> PathBuf {
        let kept = self.desk.path(name);
        let copy = format!("VACUUM INTO '{}'", kept.display());
        sqlx::query(sqlx::AssertSqlSafe(copy)).execute(&mut self.connection).await.unwrap();
        kept
    }

    async fn number(&mut self, query: &str) -> i64 {
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(query.to_owned()));
        query.fetch_one(&mut self.connection).await.unwrap()
    }

    /// Nobody is let in, whoever it is; the message says `why`.
    fn refused(&self, person: &str, why: &str) {
        for arguments in [&["find", "alice"][..], &["operator", "list"]] {
            self.desk
                .as_operator(person, arguments)
                .refuses(1, &["changed past the program", why, "issuer audit verify"]);
        }
    }
}

/// A copy in the place of the database.
fn put_back(desk: &Staffed, kept: &Path) {
    let file = desk.desk.home().join("registry.db");
    for end in ["-wal", "-shm", ""] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
    std::fs::copy(kept, &file).unwrap();
}

const PROMOTED: &str = "UPDATE operators SET roles = 'registrar,administrator' WHERE id = 2";
const PROMOTION: &str = "UPDATE events SET detail = replace(detail, '\"registrar\"', '\"registrar,administrator\"') \
    WHERE topic = 'operator 2' AND kind = 'operator-added'";

#[tokio::test]
async fn an_event_that_was_edited_with_its_row_lets_nobody_in() {
    let desk = Staffed::new();
    desk.as_operator("rita", &["find", "alice"]).expect(0);
    let mut holder = Holder::of(&desk).await;
    holder.edit(PROMOTED).await;
    holder.edit(PROMOTION).await;
    holder.refused("rita", "was changed after it was written");
    // With a hash that fits it, the next one does not follow it.
    let added = holder
        .number("SELECT sequence FROM events WHERE topic = 'operator 2' AND kind = 'operator-added'")
        .await;
    holder.hash_anew(added).await;
    holder.refused("rita", "does not follow the event before it");
    desk.plain(&["audit", "verify"]).expect(4);
}

/// With all hashes computed anew the log is one of its own: but not the one that was signed.
#[tokio::test]
async fn a_log_that_was_written_anew_lets_nobody_in() {
    let desk = Staffed::alone();
    let (card, pin) = (desk.card("rita"), desk.pin_file("rita"));
    let add = [
        "operator",
        "add",
        "rita@example.org",
        "--role",
        "administrator",
        "--card",
        &card,
        "--pin-file",
        &pin,
    ];
    desk.plain(&add).expect(0);
    desk.as_operator("rita", &["operator", "add", "zoe@example.org", "--role", "auditor"]).expect(0);
    let mut holder = Holder::of(&desk).await;
    holder.edit("UPDATE operators SET roles = 'auditor,administrator' WHERE id = 2").await;
    holder
        .edit("UPDATE events SET detail = replace(detail, '\"auditor\"', '\"auditor,administrator\"') WHERE topic = 'operator 2'")
        .await;
    // It is the last one, or all behind it are about topics, too.
    let first = holder.number("SELECT min(sequence) FROM events WHERE topic = 'operator 2'").await;
    let last = holder.number("SELECT max(sequence) FROM events").await;
    for sequence in first..=last {
        let hash = holder.hash_anew(sequence).await;
        let next = sequence + 1;
        if sequence < last {
            holder.edit(&format!("UPDATE events SET previous = x'{hash}' WHERE sequence = {next}")).await;
        } else {
            holder.edit(&format!("UPDATE event_chain SET hash = x'{hash}'")).await;
        }
    }
    holder.refused("zoe", "was written anew since it was signed");
}

#[tokio::test]
async fn what_was_taken_out_of_the_log_or_put_behind_its_end_lets_nobody_in() {
    let desk = Staffed::new();
    desk.as_operator("adam", &["operator", "remove", "otto@example.org"]).expect(0);
    desk.as_operator("rita", &["find", "alice"]).expect(0);
    desk.as_operator("adam", &["backup", "pki.backup"]).expect(0);
    let kept = Holder::of(&desk).await.keep("kept.db").await;
    // That somebody is an operator no longer becomes something that nobody looks at.
    let mut holder = Holder::of(&desk).await;
    holder.edit("UPDATE operators SET removed_at = NULL WHERE id = 3").await;
    holder.edit("UPDATE events SET topic = NULL, card = 1 WHERE kind = 'operator-removed'").await;
    holder.refused("otto", "was changed after it was written");
    drop(holder);
    put_back(&desk, &kept);

    // Behind the end, with hashes that fit: nobody signed it, and the program does not either.
    let mut holder = Holder::of(&desk).await;
    let end = holder.number("SELECT max(sequence) FROM events").await;
    let added = holder
        .number("SELECT max(sequence) FROM events WHERE topic = 'operator 4' AND kind = 'operator-added'")
        .await;
    holder
        .edit(&format!(
            "INSERT INTO events (sequence, at, actor, topic, kind, detail, previous, hash) \
             SELECT {end} + 1, at, actor, topic, 'operator-removed', '{{\"event\":\"operator-removed\"}}', \
             (SELECT hash FROM events WHERE sequence = {end}), hash FROM events WHERE sequence = {added}"
        ))
        .await;
    let hash = holder.hash_anew(end + 1).await;
    holder.edit(&format!("UPDATE event_chain SET sequence = {end} + 1, hash = x'{hash}'")).await;
    let (forged, _) = holder.event(end + 1).await;
    holder.edit(&format!("UPDATE operators SET removed_at = '{}' WHERE id = 4", forged.at)).await;
    desk.plain(&["publish", "--to", "public"])
        .refuses(1, &["is covered by no checkpoint", "issuer audit verify", "issuer restore"]);
    holder.refused("adam", "is covered by no checkpoint");
    drop(holder);
    // The way on that the message names.
    std::fs::rename(desk.desk.home(), desk.path("lost")).unwrap();
    desk.as_operator("adam", &["restore", "pki.backup"]).expect(0);
    desk.as_operator("adam", &["operator", "list"]).expect(0);
    desk.plain(&["audit", "verify"]).expect(0);
}

/// An event and its checkpoint are one change: a crash leaves both or neither, so that one that is missing was taken out.
#[tokio::test]
async fn a_checkpoint_that_was_taken_out_lets_nobody_in_by_what_it_covered() {
    let desk = Staffed::new();
    let mut holder = Holder::of(&desk).await;
    holder.edit("DELETE FROM checkpoints WHERE size = (SELECT max(size) FROM checkpoints)").await;
    let last = holder.number("SELECT max(sequence) FROM events").await;
    let kind = "SELECT count(*) FROM events WHERE kind = 'operator-added' AND sequence";
    assert_eq!(holder.number(&format!("{kind} = {last}")).await, 1, "the last event is about an operator");
    holder.refused(
        "adam",
        &format!("event {last}, which is about who may do what, is covered by no checkpoint"),
    );
}

/// A genuine copy, with all its signatures; but somebody is in it who is an operator no longer.
#[tokio::test]
async fn an_older_copy_lets_nobody_in_who_was_removed_since() {
    let desk = Staffed::new();
    desk.as_operator("rita", &["find", "alice"]).expect(0);
    let kept = Holder::of(&desk).await.keep("kept.db").await;
    desk.as_operator("adam", &["operator", "remove", "rita@example.org"]).expect(0);
    desk.as_operator("adam", &["operator", "list"]).expect(0);
    put_back(&desk, &kept);
    Holder::of(&desk).await.refused("rita", "is not what this home has seen");
    // Whoever holds the home may know better, and says so.
    std::fs::remove_file(desk.desk.home().join("log.checked")).unwrap();
    desk.as_operator("rita", &["find", "alice"]).expect(0);
}

/// Nobody else may do anything in it: it is gone on with, because a revocation cannot wait, and that is said.
#[tokio::test]
async fn an_older_copy_with_the_same_operators_is_told() {
    let desk = Staffed::new();
    let kept = Holder::of(&desk).await.keep("kept.db").await;
    std::fs::write(desk.path("staff.csv"), "name,mail\nYan Zhu,yan@example.org\n").unwrap();
    desk.as_operator("rita", &["staff", "import", "staff.csv"]).expect(0);
    let words = "is not the one that was worked with here before";
    let look = || desk.as_operator("rita", &["find", "zoe"]);
    let found = look();
    found.expect(0);
    assert!(!found.stderr.contains(words), "{}", found.stderr);
    put_back(&desk, &kept);
    let found = look();
    found.expect(0);
    assert!(found.stderr.contains(words), "{}", found.stderr);
}

#[tokio::test]
async fn an_approval_that_somebody_wrote_into_the_table_allows_nothing() {
    let desk = Staffed::new();
    desk.as_operator("adam", &["approval", "demand", "export"]).expect(0);
    let waive = ["approval", "waive", "export"];
    desk.as_operator("adam", &waive).refuses(1, &["needs a second operator"]);
    let mut holder = Holder::of(&desk).await;
    let text: String =
        sqlx::query_scalar("SELECT snapshot FROM approvals").fetch_one(&mut holder.connection).await.unwrap();
    let asked: serde_json::Value = serde_json::from_str(&text).unwrap();
    let granted = serde_json::json!({
        "state": "granted", "asked_by": asked["by"], "by": asked["by"], "expires_at": asked["expires_at"]
    });
    holder.edit(&format!("UPDATE approvals SET state = 'granted', snapshot = '{granted}'")).await;
    holder.refused("adam", "approvals, row 1");
    desk.as_operator("adam", &waive).refuses(1, &["changed past the program"]);
}
