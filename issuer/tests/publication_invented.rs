//! A revocation that somebody wrote into the table, or wrote otherwise, is published nowhere: not in a complete CRL, not in a
//! delta, not as an OCSP answer. On both databases.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;

use std::collections::BTreeMap;
use std::path::Path;

use desk_support::{Desk, Run, files_below, run};
use issuer::domain::ChainHash;
use postgres_server::Server;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

/// A desk, and whoever holds its database.
struct Holder {
    desk: Desk,
    server: Option<Server>,
}

impl Holder {
    /// A desk with partitions, deltas and OCSP; Alice and Bob have cards, and nothing is published yet.
    fn new(server: Option<Server>) -> Self {
        let holder = Self { desk: Desk::empty(), server };
        let init = ["init", "--allow-emulated", "--organization", "Example Org", "--domain", "example.org"];
        let services =
            ["--base-url", "http://pki.example.org", "--crl-partitions", "3", "--delta-crls", "--ocsp"];
        holder.issuer(&[&init[..], &services].concat()).expect(0);
        let people = "name,mail\nAlice Ng,alice@example.org\nBob Ruiz,bob@example.org\n";
        std::fs::write(holder.desk.path("staff.csv"), people).unwrap();
        holder.issuer(&["staff", "import", "staff.csv"]).expect(0);
        for (person, serial) in [("alice", "71000001"), ("bob", "71000002")] {
            let card = holder.desk.blank(&format!("{person}.card"), &["--serial", serial]);
            holder.issuer(&["stock", "add", "--card", &card]).expect(0);
            let (mail, pin) = (format!("{person}@example.org"), format!("{person}.pin"));
            holder.issuer(&["issue", &mail, "--card", &card, "--transport-pin-file", &pin]).expect(0);
        }
        holder
    }

    fn issuer(&self, arguments: &[&str]) -> Run {
        let mut command = self.desk.command(arguments);
        if let Some(server) = &self.server {
            command.env("ISSUER_REGISTRY", server.url());
        }
        run(&mut command)
    }

    async fn sqlite(&self) -> SqliteConnection {
        let url = format!("sqlite:{}", self.desk.home().join("registry.db").display());
        SqliteConnection::connect(&url).await.unwrap()
    }

    async fn edit(&self, statement: &str) {
        match &self.server {
            Some(server) => drop(server.psql(statement)),
            None => {
                let statement = AssertSqlSafe(statement.to_owned());
                sqlx::raw_sql(statement).execute(&mut self.sqlite().await).await.unwrap();
            }
        }
    }

    /// The first certificate of somebody.
    async fn serial_of(&self, mail: &str) -> String {
        let wanted = format!("FROM certificates WHERE mail = '{mail}' ORDER BY serial LIMIT 1");
        match &self.server {
            Some(server) => server.psql(&format!("SELECT encode(serial, 'hex') {wanted}")).trim().to_owned(),
            None => {
                let statement = AssertSqlSafe(format!("SELECT lower(hex(serial)) {wanted}"));
                sqlx::query_scalar(statement).fetch_one(&mut self.sqlite().await).await.unwrap()
            }
        }
    }

    /// The certificate with this number, as SQL.
    fn is(&self, serial: &str) -> String {
        let number = if self.server.is_some() { format!("'\\x{serial}'") } else { format!("x'{serial}'") };
        format!("WHERE serial = {number}")
    }

    /// What readers have, as hashes.
    fn readers_have(&self) -> BTreeMap<String, ChainHash> {
        let folders = ["crl", "ocsp"].map(|folder| self.desk.path("public").join(folder));
        let files = folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| files_below(folder));
        let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
        files.map(|file| (name(&file), ChainHash::of(&std::fs::read(&file).unwrap()))).collect()
    }

    /// Every way of publishing says why not, and readers have what they had.
    fn refuses(&self, words: &[&str]) {
        let before = self.readers_have();
        for way in [&["publish"][..], &["publish", "--delta"]] {
            self.issuer(way).refuses(1, &[words, &["nothing was published", "audit verify"]].concat());
        }
        assert_eq!(self.readers_have(), before);
        // What was signed of others is theirs; of people, who have deltas, nothing was.
        self.issuer(&["publish", "--pending"]);
        let after = self.readers_have();
        let delta = before.keys().find_map(|name| name.strip_suffix("-delta.crl")).unwrap();
        let of_people = |(name, _): &(&String, &ChainHash)| name.starts_with(&delta[..40]);
        assert!(before.iter().filter(of_people).eq(after.iter().filter(of_people)));
    }
}

async fn an_invented_revocation_is_published_nowhere(holder: Holder) {
    let (alice, bob) =
        (holder.serial_of("alice@example.org").await, holder.serial_of("bob@example.org").await);
    let invent = format!(
        "INSERT INTO revocations (serial, authority, generation, revoked_at, reason) \
         SELECT serial, authority, generation, not_before, 'key-compromise' FROM certificates {}",
        holder.is(&bob)
    );
    let take_back = format!("DELETE FROM revocations {}", holder.is(&bob));
    // Before anything was published.
    holder.edit(&invent).await;
    let untold = [&bob, "key-compromise", "the log tells of none"];
    holder.issuer(&["publish", "--to", "public"]).refuses(1, &untold);
    holder.edit(&take_back).await;
    holder.issuer(&["publish", "--to", "public"]).expect(0);
    // Beside one that the log tells, and that waits for nobody else once the row is gone.
    holder.issuer(&["revoke", "alice@example.org", "--reason", "superseded"]).expect(0);
    holder.edit(&invent).await;
    holder.refuses(&untold);
    holder.edit(&take_back).await;
    holder.issuer(&["publish"]).expect(0);
    // One that was published is not published otherwise.
    holder.edit("CREATE TABLE kept AS SELECT * FROM revocations").await;
    for change in [
        "reason = 'key-compromise'",
        "revoked_at = '2026-01-01T00:00:00Z'",
        "invalid_since = '2026-01-01T00:00:00Z'",
        "reason = 'certificate-hold'",
    ] {
        holder.edit(&format!("UPDATE revocations SET {change} {}", holder.is(&alice))).await;
        holder.refuses(&[&alice, "superseded", "holds another revocation of it"]);
        holder.edit("DELETE FROM revocations; INSERT INTO revocations SELECT * FROM kept").await;
    }
    holder.edit(&format!("UPDATE revocations SET authority = 'servers' {}", holder.is(&alice))).await;
    holder.refuses(&[&alice, "superseded", "holds no revocation of it"]);
    holder.edit("DELETE FROM revocations; INSERT INTO revocations SELECT * FROM kept; DROP TABLE kept").await;
    for way in [&["publish", "--delta"][..], &["publish"], &["audit", "verify", "--published", "public"]] {
        holder.issuer(way).expect(0);
    }
}

#[tokio::test]
async fn an_invented_revocation_in_sqlite_is_published_nowhere() {
    an_invented_revocation_is_published_nowhere(Holder::new(None)).await;
}

#[tokio::test]
async fn an_invented_revocation_in_postgresql_is_published_nowhere() {
    an_invented_revocation_is_published_nowhere(Holder::new(Some(Server::start()))).await;
}
