//! Search in a registry of 10,000 to 1,000,000 cards, on SQLite and on PostgreSQL.
//!
//! The rows are written by SQL, as the program would have written them; what is measured is the program's own search.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use issuer::domain::Actor;
use issuer::registry::{EmulatedCards, Registry, RegistryUrl, SearchFor};
use sealwright_tests::measure::Row;
use sealwright_tests::postgres::Postgres;
use sqlx::{AssertSqlSafe, Connection};

use crate::milliseconds;

/// Each size, and its name in the table.
const SIZES: [(u32, &str); 3] = [(10_000, "10^4"), (100_000, "10^5"), (1_000_000, "10^6")];
const ROUNDS: usize = 21;

/// What is looked for, and the most that it may take; a part in the middle is reported, and its peer reads every row.
const SEARCHES: [(&str, &str, SearchFor, f64); 6] = [
    ("exact mail address", "p4711@example.org", SearchFor::Beginnings, 5.0),
    ("exact serial number", "10004711", SearchFor::Beginnings, 5.0),
    ("beginning of a name, some hits", "kalomi ", SearchFor::Beginnings, 5.0),
    ("beginning of a name, many hits", "ka", SearchFor::Beginnings, 5.0),
    ("beginning of a GUID", "00000000000000000000000000001267", SearchFor::Beginnings, 5.0),
    ("part in the middle", "alomi", SearchFor::Parts, f64::INFINITY),
];

/// Both databases at each size; `small` leaves out the largest.
pub(crate) fn rows(small: bool) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for (cards, size) in SIZES {
        if small && cards > 100_000 {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let sqlite = RegistryUrl::Sqlite(folder.path().join("registry.db"));
        rows.extend(runtime.block_on(measure(&sqlite, cards, size, "SQLite"))?);
        let server = Postgres::start()?;
        let postgres: RegistryUrl = server.url().parse()?;
        rows.extend(runtime.block_on(measure(&postgres, cards, size, "PostgreSQL"))?);
    }
    Ok(rows)
}

async fn measure(
    url: &RegistryUrl,
    cards: u32,
    size: &'static str,
    database: &'static str,
) -> Result<Vec<Row>> {
    let registry =
        Registry::create(url, EmulatedCards::Allowed, Actor::unrecorded(), jiff::Timestamp::UNIX_EPOCH)
            .await?;
    let before = bytes(url).await?;
    fill(url, cards).await?;
    let each = (bytes(url).await? - before) / f64::from(cards);
    let mut rows = vec![Row {
        area: "issuer",
        name: named(database, "a person and a card, no log"),
        size,
        ours: each,
        peer: f64::NAN,
        peer_name: "-",
        limit: f64::INFINITY,
        unit: "bytes",
    }];
    for (name, text, how, limit) in SEARCHES {
        let mut times = Vec::new();
        for _ in 0..=ROUNDS {
            let start = Instant::now();
            let hits = registry.search(text, how).await?;
            times.push(start.elapsed());
            anyhow::ensure!(!hits.people.is_empty() || !hits.cards.is_empty(), "{text:?} was not found");
        }
        let peer = scan(url, text).await?;
        times.sort();
        let ours = times.get(times.len() / 2).copied().unwrap_or_default();
        rows.push(Row {
            area: "issuer",
            name: named(database, name),
            size,
            ours: milliseconds(ours),
            peer: milliseconds(peer),
            peer_name: "reading every name, LIKE '%...%'",
            limit,
            unit: "ms",
        });
    }
    registry.close().await;
    Ok(rows)
}

fn named(database: &str, search: &str) -> &'static str {
    Box::leak(format!("{database}: {search}").into_boxed_str())
}

/// People, cards and a certificate each, with names of syllables.
async fn fill(url: &RegistryUrl, cards: u32) -> Result<()> {
    let is_sqlite = matches!(url, RegistryUrl::Sqlite(_));
    let (numbers, hex, octets, words, text) = if is_sqlite {
        (
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {cards})"),
            "printf('%032x', i)",
            "unhex(printf('%032x', i))",
            "instr(name_key, ' ')",
            "people_text (rowid, text)",
        )
    } else {
        (
            format!("WITH n(i) AS (SELECT generate_series(1::bigint, {cards}))"),
            "lpad(to_hex(i), 32, '0')",
            "decode(lpad(to_hex(i), 32, '0'), 'hex')",
            "strpos(name_key, ' ')",
            "people_text (person, text)",
        )
    };
    let syllables =
        ["ka", "lo", "mi", "te", "ra", "su", "ne", "vo", "pi", "da", "ho", "xe", "yu", "ga", "bo", "fi"];
    let listed: Vec<_> =
        syllables.iter().enumerate().map(|(place, text)| format!("({place}, '{text}')")).collect();
    let name = "a.t || b.t || c.t || ' ' || d.t || e.t || f.t || CAST(i AS TEXT)";
    let statements = [
        format!(
            "{numbers}, s(k, t) AS (VALUES {}) \
             INSERT INTO people (id, name, mail, staff_id, added_at, name_key, mail_key, staff_id_key) \
             SELECT i, {name}, 'p' || CAST(i AS TEXT) || '@example.org', 'E' || CAST(i AS TEXT), '2027-01-15T08:00:00Z', \
             {name}, 'p' || CAST(i AS TEXT) || '@example.org', 'e' || CAST(i AS TEXT) FROM n \
             JOIN s a ON a.k = i % 16 JOIN s b ON b.k = (i / 16) % 16 JOIN s c ON c.k = (i / 256) % 16 \
             JOIN s d ON d.k = (i / 7) % 16 JOIN s e ON e.k = (i / 113) % 16 JOIN s f ON f.k = (i / 1801) % 16",
            listed.join(", ")
        ),
        "INSERT INTO authorities (name, certificate) VALUES ('people', 'x')"
            .replace("'x'", if is_sqlite { "x'00'" } else { "'\\x00'" }),
        format!(
            "INSERT INTO {text} SELECT id, name_key || '\n' || mail_key || '\n' || staff_id_key FROM people"
        ),
        format!(
            "INSERT INTO people_words (word, person) SELECT substr(name_key, {words} + 1), id FROM people"
        ),
        format!(
            "{numbers} INSERT INTO cards (id, vendor_serial, guid, holder, secrets_version, state, since, live, snapshot) \
             SELECT i, 10000000 + i, {octets}, i, 1, 'active', '2027-01-15T08:00:00Z', 1, \
             '{{\"state\":\"issued\",\"holder\":' || CAST(i AS TEXT) || ',\"since\":\"2027-01-15T08:00:00Z\",\"usability\":\"active\",\"guid\":\"' || {hex} || '\",\"attempts\":1}}' FROM n"
        ),
        format!(
            "{numbers} INSERT INTO certificates (serial, authority, profile, subject, holder, card, attempt, card_key, not_before, not_after, \
             to_be_signed, state, snapshot, subject_key) \
             SELECT {octets}, 'people', 'digital-signature', 'x', i, i, 1, '9C', '2027-01-15T08:00:00Z', '2029-01-15T08:00:00Z', {octets}, 'delivered', \
             '{{\"state\":\"delivered\",\"since\":\"2027-01-15T08:00:00Z\"}}', 'x' FROM n"
        ),
        "ANALYZE".to_owned(),
    ];
    match url {
        RegistryUrl::Sqlite(path) => {
            let url = format!("sqlite:{}", path.display());
            let mut connection = sqlx::SqliteConnection::connect(&url).await?;
            for statement in statements {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
            }
        }
        RegistryUrl::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url.to_connect().as_str()).await?;
            for statement in statements {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
            }
        }
    }
    Ok(())
}

/// What the database takes on its disk.
async fn bytes(url: &RegistryUrl) -> Result<f64> {
    match url {
        RegistryUrl::Sqlite(path) => {
            let mut connection =
                sqlx::SqliteConnection::connect(&format!("sqlite:{}", path.display())).await?;
            // The pages are counted where they are in the end.
            sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
            Ok(std::fs::metadata(path)?.len() as f64)
        }
        RegistryUrl::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url.to_connect().as_str()).await?;
            let size: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
                .fetch_one(&mut connection)
                .await?;
            Ok(size as f64)
        }
    }
}

/// How long it takes without an index: the median of three.
async fn scan(url: &RegistryUrl, text: &str) -> Result<Duration> {
    let statement = format!(
        "SELECT count(*) FROM people WHERE name_key LIKE '%{text}%' OR mail_key LIKE '%{text}%' OR staff_id_key LIKE '%{text}%'"
    );
    let mut times = Vec::new();
    for _ in 0..3 {
        match url {
            RegistryUrl::Sqlite(path) => {
                let url = format!("sqlite:{}", path.display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await?;
                let begin = Instant::now();
                sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut connection).await?;
                times.push(begin.elapsed());
            }
            RegistryUrl::Postgres(url) => {
                let mut connection = sqlx::PgConnection::connect(url.to_connect().as_str()).await?;
                let begin = Instant::now();
                sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut connection).await?;
                times.push(begin.elapsed());
            }
        }
    }
    times.sort();
    times.get(1).copied().context("three turns have a middle")
}
