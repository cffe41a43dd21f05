//! A CRL the whole way, by the program itself: read from the registry, compared with the log and with the one before, signed,
//! checked, kept, and written where everybody reads it.
//!
//! The rows and events of as many revocations are written by SQL, as the program would have written them, and the first CRL
//! is made from them by the program; what is measured is the next one, after some more were revoked.
use std::fmt::Write;
use std::ops::Range;

use anyhow::{Context, Result};
use issuer::domain::{AuditRecord, ChainHash, SerialNumber, Subject};
use jiff::Timestamp;
use sealwright_tests::desk::{Desk, PASSPHRASE};
use sealwright_tests::programs::program;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use crate::issuing::disk;
use crate::usage::{self, Usage};

/// Revoked between two CRLs.
const NEWS: u64 = 100;
/// Rows of one statement.
const AT_ONCE: usize = 500;

/// A desk with so many revocations, of which the first CRL was published.
pub(super) struct WholeWay {
    folder: tempfile::TempDir,
    desk: Desk,
    revoked: u64,
}

impl WholeWay {
    pub(super) fn new(count: u64) -> Result<Self> {
        let folder = tempfile::tempdir_in(disk()?)?;
        let desk = Desk::at(&folder.path().join("desk"))?;
        desk.init("example.org", "http://pki.example.org")?.ok()?;
        std::fs::write(folder.path().join("passphrase"), PASSPHRASE)?;
        let mut way = Self { folder, desk, revoked: 0 };
        way.revoke(count.saturating_sub(NEWS))?;
        way.publish()?;
        Ok(way)
    }

    /// The next CRL.
    pub(super) fn again(&mut self) -> Result<Usage> {
        self.revoke(NEWS)?;
        self.publish()
    }

    fn publish(&self) -> Result<Usage> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let (home, passphrase, to) =
            (self.desk.home().display().to_string(), path("passphrase"), path("published"));
        let arguments = ["--home", &home, "--passphrase-file", &passphrase, "publish", "--to", &to];
        usage::of_program(&program("issuer")?, &arguments, |run| run)
    }

    fn revoke(&mut self, more: u64) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let url = format!("sqlite:{}", self.desk.home().join("registry.db").display());
        let which = self.revoked..self.revoked + more;
        self.revoked += more;
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&url).await?;
            write(&mut connection, which).await?;
            connection.close().await?;
            Ok(())
        })
    }
}

/// Certificates with what the log tells of them: reserved and revoked, in one transaction.
async fn write(connection: &mut SqliteConnection, which: Range<u64>) -> Result<()> {
    let row = sqlx::query("SELECT sequence, hash FROM event_chain").fetch_one(&mut *connection).await?;
    let last: i64 = row.try_get("sequence")?;
    let hash = ChainHash::from_bytes(row.try_get("hash")?).context("32 octets")?;
    // No later than the last event, or the clock would be behind the log.
    let at: String = sqlx::query_scalar("SELECT max(at) FROM events").fetch_one(&mut *connection).await?;
    let mut log = Log { at: at.parse()?, sequence: last.unsigned_abs(), hash };
    let mut transaction = connection.begin().await?;
    for many in Vec::from_iter(which).chunks(AT_ONCE) {
        let mut rows = Rows::default();
        for number in many {
            rows.add(*number, &mut log)?;
        }
        let statement = AssertSqlSafe(rows.statement());
        sqlx::raw_sql(statement).execute(&mut *transaction).await?;
    }
    let end = format!("UPDATE event_chain SET sequence = {}, hash = x'{}'", log.sequence, log.hash);
    sqlx::raw_sql(AssertSqlSafe(end)).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Where the log ends.
struct Log {
    at: Timestamp,
    sequence: u64,
    hash: ChainHash,
}

/// Rows of three tables, as SQL lists them.
#[derive(Default)]
struct Rows {
    certificates: Vec<String>,
    events: Vec<String>,
    revocations: Vec<String>,
}

impl Rows {
    fn add(&mut self, number: u64, log: &mut Log) -> Result<()> {
        // Serial numbers as a CA draws them: sixteen octets, in no order.
        let scattered = u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let octets = (scattered >> 1 | 1 << 126).to_be_bytes();
        let serial = SerialNumber::from_bytes(&octets).context("a serial number")?;
        let at = log.at;
        self.certificates.push(format!(
            "(x'{serial}', 'people', 'digital-signature', 'x', '2026-01-01T00:00:00Z', '2039-01-01T00:00:00Z', x'{serial}', \
             'revoked', '{{}}', 'x')"
        ));
        self.revocations.push(format!("(x'{serial}', 'people', '{at}', 'key-compromise')"));
        let reserved = format!(
            r#"{{"event":"certificate-reserved","at":"{at}","certificate":{{"authority":"people","generation":1,"profile":"digital-signature","subject":"x","not_before":"2026-01-01T00:00:00Z","not_after":"2039-01-01T00:00:00Z","to_be_signed":"{}"}}}}"#,
            ChainHash::of(serial.as_bytes())
        );
        let revoked = format!(r#"{{"event":"certificate-revoked","at":"{at}","reason":"key-compromise"}}"#);
        for (kind, detail) in [("certificate-reserved", reserved), ("certificate-revoked", revoked)] {
            let record = AuditRecord {
                sequence: log.sequence + 1,
                at,
                actor: "bench".to_owned(),
                subject: Subject::Certificate(serial.clone()),
                kind: kind.to_owned(),
                detail,
            };
            let hash = record.hash(&log.hash);
            let mut row = String::new();
            write!(
                row,
                "({}, '{at}', 'bench', x'{serial}', '{kind}', '{}', x'{}', x'{hash}')",
                record.sequence, record.detail, log.hash
            )?;
            self.events.push(row);
            (log.sequence, log.hash) = (record.sequence, hash);
        }
        Ok(())
    }

    fn statement(&self) -> String {
        format!(
            "INSERT INTO certificates (serial, authority, profile, subject, not_before, not_after, to_be_signed, state, snapshot, \
             subject_key) VALUES {}; INSERT INTO events (sequence, at, actor, serial, kind, detail, previous, hash) VALUES {}; \
             INSERT INTO revocations (serial, authority, revoked_at, reason) VALUES {}",
            self.certificates.join(", "),
            self.events.join(", "),
            self.revocations.join(", ")
        )
    }
}
