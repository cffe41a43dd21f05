//! The registry in a PostgreSQL database that several desks share.

use sqlx::AnyPool;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row};

use super::database::Share;
use super::error::RegistryError;
use super::url::PostgresUrl;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/registry/migrations/postgres");

/// How many connections a process has, as it needs them.
const CONNECTIONS: u32 = 4;
/// How many each of those has who work beside each other in one process: one for a change, and one to read beside it. There
/// may be eight of them at a desk, and several desks at a server that lets a hundred in.
const CONNECTIONS_OF_HAND: u32 = 2;

/// Makes the tables in a database that is there and has none of them.
pub(super) async fn create(url: &PostgresUrl) -> Result<AnyPool, RegistryError> {
    let mut connection = single(url).await?;
    match found(&mut connection).await? {
        Tables::None => {}
        Tables::Unfinished | Tables::Finished => {
            return Err(RegistryError::AlreadyExists(place(url)));
        }
        Tables::Foreign => return Err(RegistryError::Foreign(place(url))),
    }
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    pool(url, CONNECTIONS).await
}

/// Makes the tables for a restore; those that an earlier restore left unfinished are taken away before.
pub(super) async fn create_for_restore(url: &PostgresUrl) -> Result<AnyPool, RegistryError> {
    let mut connection = single(url).await?;
    let is_left_over = match found(&mut connection).await? {
        Tables::None | Tables::Foreign => false,
        Tables::Unfinished => true,
        Tables::Finished => {
            let found = sqlx::query(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'restoring'",
            );
            found.fetch_optional(&mut connection).await?.is_some()
        }
    };
    connection.close().await?;
    if is_left_over {
        discard(url).await?;
    }
    create(url).await
}

/// Takes the tables away, all of them at once, and no others.
pub(super) async fn discard(url: &PostgresUrl) -> Result<(), RegistryError> {
    let mut connection = single(url).await?;
    let made = MIGRATIONS.iter().flat_map(|migration| {
        let lines = migration.sql.as_str().lines().map(str::to_owned).collect::<Vec<_>>();
        lines.into_iter().filter_map(|line| {
            let name = line.strip_prefix("CREATE TABLE ")?;
            Some(name.split([' ', '(']).next().unwrap_or_default().to_owned())
        })
    });
    let own = ["_sqlx_migrations", "restoring"].map(str::to_owned);
    let names: Vec<String> = made.chain(own).collect();
    let statement = format!("DROP TABLE IF EXISTS {} CASCADE", names.join(", "));
    connection.execute("SET client_min_messages = warning").await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(connection.close().await?)
}

/// Opens a database that holds a finished registry.
pub(super) async fn open(url: &PostgresUrl, share: Share) -> Result<AnyPool, RegistryError> {
    let mut connection = single(url).await?;
    match found(&mut connection).await? {
        Tables::None => return Err(RegistryError::Missing(place(url))),
        Tables::Unfinished => return Err(RegistryError::Unfinished(place(url))),
        Tables::Foreign => return Err(RegistryError::Foreign(place(url))),
        Tables::Finished => {}
    }
    refuse_meddling(&mut connection, url).await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    let connections = match share {
        Share::OfProcess => CONNECTIONS,
        Share::OfHand => CONNECTIONS_OF_HAND,
    };
    pool(url, connections).await
}

/// What is asked of a table may be done to another one.
async fn refuse_meddling(connection: &mut PgConnection, url: &PostgresUrl) -> Result<(), RegistryError> {
    let strange = sqlx::query_scalar(
        "SELECT 'trigger ' || tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid \
         WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal \
         UNION ALL SELECT 'rule ' || rulename FROM pg_rules WHERE schemaname = current_schema() \
         UNION ALL SELECT 'view ' || viewname FROM pg_views WHERE schemaname = current_schema() LIMIT 1",
    );
    match strange.fetch_optional(&mut *connection).await? {
        Some(what) => Err(RegistryError::Meddled { place: place(url), what }),
        None => Ok(()),
    }
}

/// What is there.
enum Tables {
    None,
    Foreign,
    Unfinished,
    Finished,
}

async fn found(connection: &mut PgConnection) -> Result<Tables, RegistryError> {
    let row = sqlx::query(
        "SELECT count(*) FILTER (WHERE table_name IN ('registry', 'people', 'events', '_sqlx_migrations')) AS ours, \
         count(*) AS tables FROM information_schema.tables WHERE table_schema = current_schema()",
    )
    .fetch_one(&mut *connection)
    .await?;
    match (row.try_get::<i64, _>("tables")?, row.try_get::<i64, _>("ours")?) {
        (0, _) => Ok(Tables::None),
        (_, 4) => {
            let finished = sqlx::query("SELECT 1 FROM registry WHERE only_row = 1");
            let finished = finished.fetch_optional(&mut *connection).await?;
            Ok(if finished.is_some() { Tables::Finished } else { Tables::Unfinished })
        }
        (1, 1) => Ok(Tables::Unfinished),
        _ => Ok(Tables::Foreign),
    }
}

fn place(url: &PostgresUrl) -> String {
    super::RegistryUrl::Postgres(url.clone()).to_string()
}

async fn single(url: &PostgresUrl) -> Result<PgConnection, RegistryError> {
    let options = PgConnectOptions::from_url(&url.to_connect())?.application_name("issuer");
    options.connect().await.map_err(|error| reached(error, url))
}

async fn pool(url: &PostgresUrl, connections: u32) -> Result<AnyPool, RegistryError> {
    sqlx::any::install_default_drivers();
    let options = AnyConnectOptions::from_url(&url.to_connect())?;
    let pool = AnyPoolOptions::new().max_connections(connections).after_connect(|connection, _| {
        Box::pin(async move {
            // A change waits for another desk's as long as one in SQLite would.
            connection.execute("SET lock_timeout = '10s'").await?;
            // A commit that was answered is on the disk, whatever the server's default is.
            connection.execute("SET synchronous_commit = on").await?;
            connection.execute("SET client_min_messages = warning").await?;
            Ok(())
        })
    });
    pool.connect_with(options).await.map_err(|error| reached(error, url))
}

/// An error of connecting says where to.
fn reached(error: sqlx::Error, url: &PostgresUrl) -> RegistryError {
    match RegistryError::from(error) {
        RegistryError::NoDatabase => RegistryError::Missing(place(url)),
        other => other,
    }
}
