//! How statements reach the database: pools and transactions that prepare statements by name, or do not.
//!
//! PgBouncer in transaction mode gives a client another connection to the server for each transaction. So nothing may
//! outlive a transaction: no statement prepared by name, no `SET` of a session, no advisory lock of a session. Each
//! statement outside of a transaction gets one of its own, since it takes two messages.

use chrono::{DateTime, Utc};
use futures::{
    SinkExt, StreamExt, TryStreamExt,
    channel::mpsc,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Any, AnyConnection, AnyPool, Either, Execute, Executor, SqlStr, Transaction,
    any::{AnyArguments, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo},
    error::BoxDynError,
};

use super::{
    error::CatalogError,
    sql::{sql, time},
};

/// Begins a transaction on Postgres. A coordinator whose machine has vanished must not keep a lock until TCP gives up,
/// hours later. Set for the transaction alone: the connection may be another program's next.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '2min'; \
     SET LOCAL idle_in_transaction_session_timeout = '5min'; \
     SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; \
     SET LOCAL tcp_keepalives_count = 3;";

/// What one statement or one row of an [`Executor`] is.
type Step = sqlx::Result<Either<AnyQueryResult, AnyRow>>;

/// Which database it is, and how it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) enum Dialect {
    Sqlite,
    /// On connections that are this program's alone: statements are prepared once and kept.
    Postgres,
    /// On connections that may be shared: nothing outlives a transaction.
    SharedPostgres,
}

impl Dialect {
    /// The time by the database's clock in Unix milliseconds, as an expression. Coordinators compare times by no other
    /// clock: theirs differ.
    pub(in crate::catalog) fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            Self::Postgres | Self::SharedPostgres => {
                "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
            }
        }
    }

    pub(in crate::catalog) fn is_sqlite(self) -> bool {
        self == Self::Sqlite
    }

    async fn begin(self, pool: &AnyPool) -> sqlx::Result<Transaction<'static, Any>> {
        let pool = pool.clone();
        let begin = async move {
            match self {
                Self::Sqlite => pool.begin().await,
                Self::Postgres | Self::SharedPostgres => pool.begin_with(BEGIN).await,
            }
        };
        unbroken(begin).await
    }
}

/// Runs `work` to its end, also if the caller is dropped: a connection that goes back to its pool in between would not
/// know whether it is in a transaction.
async fn unbroken<T: Send + 'static>(
    work: impl Future<Output = sqlx::Result<T>> + Send + 'static,
) -> sqlx::Result<T> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed))
}

/// A statement that is not prepared by name.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Any>> Execute<'q, Any> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&AnyStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<AnyArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

/// A pool of connections, for statements outside of a transaction.
#[derive(Debug, Clone)]
pub(in crate::catalog) struct Connections {
    pool: AnyPool,
    dialect: Dialect,
}

impl Connections {
    pub(super) fn new(pool: AnyPool, dialect: Dialect) -> Self {
        Self { pool, dialect }
    }

    pub(in crate::catalog) async fn begin(&self) -> sqlx::Result<Tx> {
        Ok(Tx(Session {
            transaction: self.dialect.begin(&self.pool).await?,
            dialect: self.dialect,
        }))
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

impl<'c> Executor<'c> for &'c Connections {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        if self.dialect != Dialect::SharedPostgres {
            return self.pool.fetch_many(query);
        }
        // A stream cannot hold a transaction and borrow from it: this one is driven next to its receiving end.
        let (mut sender, receiver) = mpsc::channel(0);
        let driving = async move {
            let mut failed = sender.clone();
            let steps = async {
                let mut transaction = self.dialect.begin(&self.pool).await?;
                let mut steps = transaction.fetch_many(Unnamed(query));
                while let Some(step) = steps.try_next().await? {
                    if sender.send(Ok(step)).await.is_err() {
                        break;
                    }
                }
                drop(steps);
                unbroken(transaction.commit()).await
            };
            if let Err(error) = steps.await {
                // Nobody listens any more if this fails.
                let _ = failed.send(Err(error)).await;
            }
        };
        let driving = stream::once(driving).filter_map(|()| std::future::ready(None));
        stream::select(receiver, driving).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        if self.dialect != Dialect::SharedPostgres {
            return self.pool.fetch_optional(query);
        }
        Box::pin(async move {
            let mut transaction = self.dialect.begin(&self.pool).await?;
            let row = transaction.fetch_optional(Unnamed(query)).await?;
            unbroken(transaction.commit()).await?;
            Ok(row)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'c: 'e,
    {
        self.pool.prepare_with(sql, parameters)
    }
}

/// A transaction on either database. Dropped before [`Tx::commit`], it leaves nothing.
#[derive(Debug)]
pub(in crate::catalog) struct Tx(Session);

/// What executes the statements of a [`Tx`].
#[derive(Debug)]
pub(in crate::catalog) struct Session {
    transaction: Transaction<'static, Any>,
    dialect: Dialect,
}

impl Tx {
    pub(in crate::catalog) async fn commit(self) -> sqlx::Result<()> {
        unbroken(self.0.transaction.commit()).await
    }
}

impl Session {
    /// Which database it is.
    pub(in crate::catalog) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns the time by the database's clock.
    pub(in crate::catalog) async fn now(&mut self) -> Result<DateTime<Utc>, CatalogError> {
        let now = sql!("SELECT {}", self.dialect.now());
        time(sqlx::query_scalar(now).fetch_one(self).await?)
    }
}

impl std::ops::Deref for Tx {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl std::ops::DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.0
    }
}

impl<'c> Executor<'c> for &'c mut Session {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let connection: &mut AnyConnection = &mut self.transaction;
        match self.dialect {
            Dialect::SharedPostgres => connection.fetch_many(Unnamed(query)),
            Dialect::Sqlite | Dialect::Postgres => connection.fetch_many(query),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let connection: &mut AnyConnection = &mut self.transaction;
        match self.dialect {
            Dialect::SharedPostgres => connection.fetch_optional(Unnamed(query)),
            Dialect::Sqlite | Dialect::Postgres => connection.fetch_optional(query),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'c: 'e,
    {
        let connection: &mut AnyConnection = &mut self.transaction;
        connection.prepare_with(sql, parameters)
    }
}
