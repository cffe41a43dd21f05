//! The registry in one SQLite file: mode 0600, WAL, every commit synchronous.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::AnyPool;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AnyConnection, ConnectOptions, Connection, Executor, Row, SqliteConnection};

use super::error::RegistryError;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/registry/migrations/sqlite");

/// Makes the file and its tables.
pub(super) async fn create(path: &Path) -> Result<AnyPool, RegistryError> {
    // SQLite gives its -wal and -shm files the mode of the database.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created {
        Ok(_) => connect(path).await,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(RegistryError::AlreadyExists(path.display().to_string()))
        }
        Err(error) => Err(RegistryError::File { path: path.to_owned(), error }),
    }
}

/// Makes the file for a restore; one that an earlier restore left unfinished is taken away before.
pub(super) async fn create_for_restore(path: &Path) -> Result<AnyPool, RegistryError> {
    if path.is_file() && is_left_over(path).await {
        discard(path)?;
    }
    create(path).await
}

/// Takes the file away.
pub(super) fn discard(path: &Path) -> Result<(), RegistryError> {
    for end in ["-wal", "-shm", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let path = PathBuf::from(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(RegistryError::File { path, error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a file is a registry that a restore began and did not finish.
async fn is_left_over(path: &Path) -> bool {
    match refuse_other_tables(path).await {
        Err(RegistryError::Unfinished(_)) => return true,
        Err(_) => return false,
        Ok(()) => {}
    }
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(PATIENCE);
    let Ok(mut connection) = SqliteConnection::connect_with(&options).await else { return false };
    let found = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'restoring'");
    let found = found.fetch_optional(&mut connection).await;
    // What was read is known, whether or not the connection ends well.
    let _ = connection.close().await;
    found.is_ok_and(|row| row.is_some())
}

/// Opens a file that holds a finished registry.
pub(super) async fn open(path: &Path) -> Result<AnyPool, RegistryError> {
    let place = || path.display().to_string();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(RegistryError::Missing(place()));
        }
        Err(error) => return Err(RegistryError::File { path: path.to_owned(), error }),
        Ok(file) if !file.is_file() => return Err(RegistryError::Foreign(place())),
        Ok(file) if file.len() == 0 => return Err(RegistryError::Unfinished(place())),
        Ok(_) => {}
    }
    refuse_other_tables(path).await?;
    connect(path).await
}

/// How long a change waits for another process's.
const PATIENCE: Duration = Duration::from_secs(10);

async fn connect(path: &Path) -> Result<AnyPool, RegistryError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE);
    let mut connection = options.connect().await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;

    sqlx::any::install_default_drivers();
    // One writes, and what it wrote may wait for its commit (`writers`); another reads meanwhile.
    let pool = AnyPoolOptions::new().max_connections(2).after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute("PRAGMA busy_timeout = 10000").await?;
            connection.execute("PRAGMA synchronous = FULL").await?;
            connection.execute("PRAGMA foreign_keys = ON").await?;
            // What is deleted is overwritten: sealed secrets do not linger in free pages.
            connection.execute("PRAGMA secure_delete = ON").await?;
            Ok(())
        })
    });
    Ok(pool.connect_with(options_of(path)?).await?)
}

/// Whether what is deleted is overwritten, on this connection.
pub(super) async fn overwrite_deleted(
    connection: &mut AnyConnection,
    shall: bool,
) -> Result<(), RegistryError> {
    let statement = if shall { "PRAGMA secure_delete = ON" } else { "PRAGMA secure_delete = FAST" };
    connection.execute(statement).await?;
    Ok(())
}

/// What could mean something in a URL.
const BUT_SLASHES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/');

fn options_of(path: &Path) -> Result<AnyConnectOptions, RegistryError> {
    use std::os::unix::ffi::OsStrExt;
    let unusable =
        |error: &dyn std::fmt::Display| RegistryError::Database(format!("{}: {error}", path.display()));
    let absolute = std::path::absolute(path).map_err(|error| unusable(&error))?;
    let encoded = percent_encode(absolute.as_os_str().as_bytes(), BUT_SLASHES);
    format!("sqlite://{encoded}?mode=rw").parse().map_err(|error: sqlx::Error| unusable(&error))
}

/// Looks at a file before anything is written into it: its tables must be ours, and `create` must have come to its end.
async fn refuse_other_tables(path: &Path) -> Result<(), RegistryError> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(PATIENCE);
    let place = || path.display().to_string();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let row = sqlx::query(
        "SELECT count(*) AS tables, coalesce(sum(name IN ('registry', 'people', 'events', '_sqlx_migrations')), 0) AS ours \
         FROM sqlite_master WHERE type = 'table'",
    )
    .fetch_one(&mut connection)
    .await?;
    match (row.try_get::<i64, _>("tables")?, row.try_get::<i64, _>("ours")?) {
        (0, _) => return Err(RegistryError::Unfinished(place())),
        (_, 4) => {}
        _ => return Err(RegistryError::Foreign(place())),
    }
    // What is asked of a table may be done to another one.
    let strange = sqlx::query_scalar(
        "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY type, name LIMIT 1",
    );
    if let Some(what) = strange.fetch_optional(&mut connection).await? {
        return Err(RegistryError::Meddled { place: place(), what });
    }
    let finished =
        sqlx::query("SELECT 1 FROM registry WHERE only_row = 1").fetch_optional(&mut connection).await?;
    connection.close().await?;
    finished.map(drop).ok_or_else(|| RegistryError::Unfinished(place()))
}
