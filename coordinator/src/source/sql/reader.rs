//! Reads stores from a database: runs the configured query, and sends each row on as a store.

use std::{io::ErrorKind, time::Duration};

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, stream::BoxStream};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection,
    mysql::{MySqlConnection, MySqlRow},
    postgres::PgConnection,
    sqlite::{SqliteConnection, SqliteRow},
};
use tokio::sync::mpsc;

use super::{
    database_url::Driver,
    query::Query,
    values::{PostgresRow, mysql_columns, postgres_columns, sqlite_columns},
};
use crate::source::{
    cast::Origin,
    channel::{READ_AHEAD, Read, until_end},
    error::{RecordProblem, SourceError},
    record::{Columns, scope},
    store::Store,
};

/// How long a database may take to let this program in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A query on a database.
#[derive(Debug)]
pub struct SqlSource {
    driver: Driver,
    database: String,
    query: Query,
    store_id: String,
}

impl SqlSource {
    /// Returns whether the query has a `:since`.
    pub(in crate::source) fn knows_changes(&self) -> bool {
        self.query.has_since()
    }

    pub(in crate::source) fn db_system(&self) -> &'static str {
        self.driver.system()
    }

    /// Returns the query `query` on the database at `url`; opens nothing yet.
    ///
    /// # Errors
    /// [`SourceError::Url`] when `url` names no database that this program can ask.
    pub fn new(url: &str, query: &str, store_id: &str) -> Result<Self, SourceError> {
        let (driver, database) = Driver::of(url)?;
        Ok(Self {
            database,
            query: Query::parse(query, driver.dialect())?,
            driver,
            store_id: store_id.to_owned(),
        })
    }

    /// Its host and name, without user and password.
    pub(in crate::source) fn database(&self) -> &str {
        &self.database
    }

    /// The query's rows as stores, fetched as they are taken; `since` is what `:since` stands for.
    pub(in crate::source) fn stores<'a>(
        &self,
        since: DateTime<Utc>,
    ) -> BoxStream<'a, Result<Store, SourceError>> {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let reader = Reader {
            database: self.database.clone(),
            query: self.query.clone(),
            since,
            store_id: self.store_id.clone(),
            origin: self.driver.origin(),
            sender,
        };
        let driver = self.driver.clone();
        tokio::spawn(async move {
            let ended = reader.read(driver).await.map(|()| None);
            // If the receiver is gone, an error is of no interest either.
            let _ = reader.sender.send(ended).await;
        });
        until_end(receiver, self.database.clone())
    }
}

/// Runs one query and sends its stores on.
struct Reader {
    database: String,
    query: Query,
    since: DateTime<Utc>,
    store_id: String,
    origin: Origin,
    sender: mpsc::Sender<Read>,
}

impl Reader {
    async fn read(&self, driver: Driver) -> Result<(), SourceError> {
        match driver {
            Driver::Postgres(options) => {
                let mut connection: PgConnection = self.connected(options.connect()).await?;
                let (query, times) = self.query.with("$1::timestamptz");
                let query = rows_as_json(&query, &self.store_id);
                let mut query = sqlx::query_as::<_, PostgresRow>(AssertSqlSafe(query));
                if times > 0 {
                    query = query.bind(self.since);
                }
                // One transaction, and no statement with a name: PgBouncer in transaction mode keeps neither a
                // connection nor a statement for longer.
                let mut transaction = self.connected(connection.begin()).await?;
                let rows = query.persistent(false).fetch(&mut *transaction);
                let all = self.forward(rows, |row| postgres_columns(row, &self.store_id));
                if all.await? {
                    drop(transaction);
                    self.note(connection.close().await);
                }
            }
            Driver::MySql(options) => {
                let mut connection: MySqlConnection = self.connected(options.connect()).await?;
                let (query, times) = self.query.with("?");
                let mut query = sqlx::query(AssertSqlSafe(query));
                for _ in 0..times {
                    query = query.bind(self.since);
                }
                let rows = query.fetch(&mut connection);
                if self
                    .forward(rows, |row: MySqlRow| mysql_columns(&row, &self.store_id))
                    .await?
                {
                    self.note(connection.close().await);
                }
            }
            Driver::Sqlite(options) => {
                let mut connection: SqliteConnection = self.connected(options.connect()).await?;
                let (query, times) = self.query.with("?");
                let mut query = sqlx::query(AssertSqlSafe(query));
                for _ in 0..times {
                    // As SQLite's own datetime() and CURRENT_TIMESTAMP write it.
                    query = query.bind(self.since.format("%Y-%m-%d %H:%M:%S").to_string());
                }
                let rows = query.fetch(&mut connection);
                if self
                    .forward(rows, |row: SqliteRow| sqlite_columns(&row))
                    .await?
                {
                    self.note(connection.close().await);
                }
            }
        }
        Ok(())
    }

    /// Sends every row on as a store. Whether all were taken: if not, the connection still has rows on the
    /// way, and is dropped rather than closed.
    async fn forward<R>(
        &self,
        rows: impl Stream<Item = sqlx::Result<R>> + Send,
        columns: impl Fn(R) -> Result<Columns, RecordProblem>,
    ) -> Result<bool, SourceError> {
        let mut rows = std::pin::pin!(rows.enumerate());
        while let Some((index, row)) = rows.next().await {
            let row = row.map_err(|source| SourceError::Query {
                database: self.database.clone(),
                source,
            })?;
            let position = index as u64 + 1;
            let scope = columns(row)
                .and_then(|columns| scope(columns, &self.store_id, self.origin))
                .map_err(|problem| SourceError::Record {
                    origin: format!("source.query on {}", self.database),
                    unit: "row",
                    position,
                    problem,
                })?;
            if self
                .sender
                .send(Ok(Some(Store { scope, position })))
                .await
                .is_err()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The connection, if it comes in time.
    async fn connected<C>(
        &self,
        connecting: impl Future<Output = sqlx::Result<C>>,
    ) -> Result<C, SourceError> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        let connected =
            connected.unwrap_or_else(|_| Err(std::io::Error::from(ErrorKind::TimedOut).into()));
        connected.map_err(|source| SourceError::Connect {
            database: self.database.clone(),
            source,
        })
    }

    /// All rows are there; a bad goodbye costs nothing.
    fn note(&self, closed: sqlx::Result<()>) {
        if let Err(error) = closed {
            tracing::debug!(database = self.database, %error, "the connection did not close cleanly");
        }
    }
}

/// The rows of `query` as Postgres converts them to JSON: every type as Postgres defines it, and the columns keep their order.
/// Then the type of the store's id, a domain's being that below it, and the id as a text; both are null without such a
/// column: `this` is searched for the name first, then `missing`.
fn rows_as_json(query: &str, store_id: &str) -> String {
    let id = format!("\"{}\"", store_id.replace('"', "\"\""));
    format!(
        "SELECT row_to_json(seedbed_row)::text, id.type, id.text \
         FROM (\n{query}\n) seedbed_row CROSS JOIN (SELECT NULL::text AS {id}) missing, \
         LATERAL (SELECT {id}::text AS text, (SELECT coalesce(nullif(t.typbasetype, 0), t.oid)::regtype::text \
         FROM pg_catalog.pg_type t WHERE t.oid = pg_typeof({id})) AS type FROM (SELECT seedbed_row.*) this) id"
    )
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    async fn database(sql: &'static str) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("app.db");
        let mut connection = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        (directory, format!("sqlite:{}", file.display()))
    }

    async fn read(url: &str, query: &str) -> Result<Vec<Store>, SourceError> {
        SqlSource::new(url, query, "store_id")?
            .stores(DateTime::UNIX_EPOCH)
            .try_collect()
            .await
    }

    #[tokio::test]
    async fn sqlite_values_keep_their_own_types_and_columns_their_order() {
        let (_directory, url) = database(
            "CREATE TABLE s (store_id, x); INSERT INTO s VALUES (7, 'a'), ('b', 1.5), (9, NULL);",
        )
        .await;
        let stores = read(&url, "SELECT x, store_id FROM s ORDER BY rowid;\n")
            .await
            .unwrap();
        let claims: Vec<_> = stores
            .iter()
            .map(|s| serde_json::to_string(&s.scope.claims).unwrap())
            .collect();
        assert_eq!(
            claims,
            [
                r#"{"x":"a","store_id":7}"#,
                r#"{"x":1.5,"store_id":"b"}"#,
                r#"{"x":null,"store_id":9}"#
            ]
        );
        assert_eq!(stores[2].position, 3);
    }

    #[tokio::test]
    async fn a_query_without_the_store_id_names_its_columns() {
        let (_directory, url) =
            database("CREATE TABLE s (id, x); INSERT INTO s VALUES (1, 2);").await;
        let error = read(&url, "SELECT * FROM s").await.unwrap_err().to_string();
        assert!(
            error.contains("row 1") && error.contains("\"id\", \"x\""),
            "{error}"
        );
        let error = read(&url, "SELECT nope FROM s")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("source.query") && error.contains("nope"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn two_columns_of_one_name_are_refused() {
        let (_directory, url) = database("CREATE TABLE s (x)").await;
        let query = "SELECT 1 AS store_id, 'eu' AS region, 'us' AS region";
        let error = read(&url, query).await.unwrap_err().to_string();
        assert!(error.contains("\"region\" twice"), "{error}");
    }

    #[tokio::test]
    async fn a_blob_is_refused_by_its_column() {
        let (_directory, url) = database("CREATE TABLE s (x)").await;
        let query = "SELECT 1 AS store_id, x'00' AS logo";
        let error = read(&url, query).await.unwrap_err().to_string();
        assert!(
            error.contains("\"logo\"") && error.contains("BLOB"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_missing_database_is_not_created() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("missing.db");
        let url = format!("sqlite:{}", file.display());
        let error = read(&url, "SELECT 1 AS store_id")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("missing.db"), "{error}");
        assert!(!file.exists());
    }

    #[test]
    fn urls_that_name_no_database_are_refused_and_passwords_are_not_shown() {
        let name = |url| SqlSource::new(url, "SELECT 1", "id").map(|s| s.database().to_owned());
        assert_eq!(
            name("postgres://me:hunter2@db:5433/app").unwrap(),
            "postgres://db:5433/app"
        );
        for url in ["db.example.com/app", "oracle://me:hunter2@db/app"] {
            let error = name(url).unwrap_err().to_string();
            assert!(
                error.contains("source.url") && error.contains("postgres:"),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
        let source = SqlSource::new("mysql://me:hunter2@db/app", "SELECT 1", "id").unwrap();
        assert!(!format!("{source:?}").contains("hunter2"));
        let error = name("postgres://db/app?passwrod=hunter2").unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("passwrod") && !error.contains("hunter2"),
            "{error}"
        );
        assert!(name("postgres://db/app?sslmode=require&options[search_path]=a").is_ok());
    }
}
