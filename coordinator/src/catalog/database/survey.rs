//! Looks at a catalog without changing it: no file, no table and no migration is made.

use chrono::{DateTime, Utc};
use sqlx::{AnyConnection, Connection, Row, SqlSafeStr, any::AnyRow};

use super::{
    error::CatalogError,
    handle::Catalog,
    migrations::MIGRATIONS,
    open::{POSTGRES_CONNECTIONS, Place, connect, has_code, sqlite_url},
    sql::sql,
};
use crate::catalog::state::SnapshotState::Live;

/// The SQLSTATE of a query for a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

/// What there is at the URL of a catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// The time by the server's clock; `None` for SQLite, which has only this machine's.
    pub clock: Option<DateTime<Utc>>,
    /// The tables; `None` if they are not made yet.
    pub tables: Option<Tables>,
    /// The connections of the server; `None` for SQLite.
    pub connections: Option<Connections>,
    /// Whether missing tables may be made.
    pub may_make_tables: bool,
}

/// What the tables hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Tables {
    /// When the newest run began, and its state.
    pub last_run: Option<(DateTime<Utc>, String)>,
    /// The bytes of the largest live snapshot.
    pub largest_snapshot: Option<u64>,
    /// Migrations that the next program that opens it makes.
    pub migrations: usize,
}

/// The connections of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// How many the server, or this user's own limit, allows.
    pub allowed: i64,
    /// How many there are, without the one that asked.
    pub used: i64,
    /// How many one process takes at most.
    pub of_a_process: u32,
}

impl Catalog {
    /// Looks at what is at `url`; `None` if it is a file that does not exist.
    ///
    /// # Errors
    /// [`CatalogError`] when it could not be opened by a program that needs it.
    pub async fn survey(url: &str) -> Result<Option<Survey>, CatalogError> {
        let place = Place::of(url);
        let url = match &place {
            Place::Postgres(url) => url.clone(),
            Place::Sqlite(path) if !path.exists() => return Ok(None),
            Place::Sqlite(path) => sqlite_url(path, "ro").map_err(|reason| CatalogError::Open {
                catalog: place.name(),
                reason,
            })?,
        };
        sqlx::any::install_default_drivers();
        let cannot_open = |error: sqlx::Error| place.cannot_open(&error);
        let mut connection = connect(&url).await.map_err(cannot_open)?;
        let tables = tables(&mut connection).await;
        if matches!(&tables, Ok(Some((_, newest))) if *newest > newest_known()) {
            let catalog = place.name();
            return Err(CatalogError::Newer { catalog });
        }
        let tables = tables.map_err(cannot_open)?.map(|(tables, _)| tables);
        let mut survey = Survey {
            clock: None,
            tables,
            connections: None,
            may_make_tables: true,
        };
        if let Place::Postgres(_) = place {
            survey_server(&mut connection, &mut survey)
                .await
                .map_err(cannot_open)?;
        }
        connection.close().await.map_err(cannot_open)?;
        Ok(Some(survey))
    }
}

fn newest_known() -> i64 {
    MIGRATIONS
        .iter()
        .map(|m| m.version)
        .max()
        .unwrap_or_default()
}

/// Reads the tables, and the newest migration that made them; `None` if there are none.
async fn tables(connection: &mut AnyConnection) -> sqlx::Result<Option<(Tables, i64)>> {
    let newest = ask(connection, "SELECT MAX(version) FROM _sqlx_migrations").await;
    let newest: Option<i64> = match newest {
        Err(error) if is_missing_table(&error) => return Ok(None),
        newest => newest?.map(|row| row.try_get(0)).transpose()?.flatten(),
    };
    let Some(newest) = newest else {
        return Ok(None);
    };
    let run = "SELECT started_at, state FROM runs ORDER BY started_at DESC LIMIT 1";
    let last_run = match ask(connection, run).await? {
        Some(row) => {
            let (at, state) = (row.try_get(0)?, row.try_get(1)?);
            DateTime::from_timestamp_millis(at).map(|at| (at, state))
        }
        None => None,
    };
    let largest = sql!("SELECT MAX(byte_count) FROM snapshots WHERE state = '{Live}'");
    let largest = ask(connection, largest).await?;
    let largest: Option<i64> = largest.map(|row| row.try_get(0)).transpose()?.flatten();
    let tables = Tables {
        last_run,
        largest_snapshot: largest.and_then(|bytes| u64::try_from(bytes).ok()),
        migrations: MIGRATIONS.iter().filter(|m| m.version > newest).count(),
    };
    Ok(Some((tables, newest)))
}

/// The first row of an answer. Asked in one message, since PgBouncer may give the next to another connection.
async fn ask(
    connection: &mut AnyConnection,
    statement: impl SqlSafeStr,
) -> sqlx::Result<Option<AnyRow>> {
    let answer = sqlx::raw_sql(statement);
    answer.fetch_optional(connection).await
}

fn is_missing_table(error: &sqlx::Error) -> bool {
    has_code(error, UNDEFINED_TABLE) || error.to_string().contains("no such table")
}

async fn survey_server(connection: &mut AnyConnection, survey: &mut Survey) -> sqlx::Result<()> {
    let asked = "SELECT \
         CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), \
         CAST(current_setting('max_connections') AS BIGINT) \
             - CAST(current_setting('superuser_reserved_connections') AS BIGINT), \
         (SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
             AND pid <> pg_backend_pid()), \
         (SELECT CAST(rolconnlimit AS BIGINT) FROM pg_roles WHERE rolname = current_user), \
         (SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
             AND usename = current_user AND pid <> pg_backend_pid()), \
         CASE WHEN has_schema_privilege(current_user, current_schema(), 'CREATE') THEN 1 ELSE 0 END";
    let Some(row) = ask(connection, asked).await? else {
        return Ok(());
    };
    let number = |column: usize| row.try_get::<i64, _>(column);
    let of_server = (number(1)?, number(2)?);
    let of_user = (number(3)?, number(4)?);
    // A limit below zero is none.
    let (allowed, used) = match of_user {
        (limit, used) if limit >= 0 && limit - used < of_server.0 - of_server.1 => of_user,
        _ => of_server,
    };
    survey.clock = DateTime::from_timestamp_millis(number(0)?);
    survey.may_make_tables = row.try_get::<i32, _>(5)? == 1;
    survey.connections = Some(Connections {
        allowed,
        used,
        of_a_process: POSTGRES_CONNECTIONS,
    });
    Ok(())
}
