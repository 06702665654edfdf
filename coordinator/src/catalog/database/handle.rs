//! The handle of a catalog: its connections, and the locks that serialize writers.

use chrono::{DateTime, Utc};

use super::{
    error::CatalogError,
    session::{Connections, Dialect, Tx},
    sql::{sql, time},
};

/// What serializes writers: a row of the table `locks`. A transaction that needs both takes `Listing` first.
#[derive(Debug, Clone, Copy)]
pub(in crate::catalog) enum Lock {
    /// Held while jobs or snapshots that exist are changed.
    Writer,
    /// Held while jobs are added.
    Listing,
}

/// The catalog of one installation.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// For writes, and for reads that may wait for a writer.
    pub(in crate::catalog) pool: Connections,
    /// For queries that only read: in SQLite they need not wait for a writer.
    pub(in crate::catalog) readers: Connections,
    pub(in crate::catalog) dialect: Dialect,
}

impl Catalog {
    /// Returns whether the database answers.
    ///
    /// # Errors
    /// [`CatalogError::Database`] when it does not.
    pub async fn ping(&self) -> Result<(), CatalogError> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Closes all connections. What was committed is safe.
    pub async fn close(&self) {
        self.readers.close().await;
        self.pool.close().await;
    }

    /// Returns the time by the database's clock, which is the one that all coordinators share.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn now(&self) -> Result<DateTime<Utc>, CatalogError> {
        let now = sql!("SELECT {}", self.dialect.now());
        time(sqlx::query_scalar(now).fetch_one(&self.readers).await?)
    }

    /// Returns the value of `db.system.name` in spans.
    pub(crate) fn db_system(&self) -> &'static str {
        if self.dialect.is_sqlite() {
            "sqlite"
        } else {
            "postgresql"
        }
    }

    /// Begins a transaction that holds `lock` until it ends. Taking the lock first also takes SQLite's only write
    /// lock, which a transaction that has read before might not get.
    pub(in crate::catalog) async fn locked(&self, lock: Lock) -> Result<Tx, CatalogError> {
        let mut transaction = self.pool.begin().await?;
        take(&mut transaction, lock).await?;
        Ok(transaction)
    }
}

/// Waits for `lock`, for a transaction that holds another one. The order is that of [`Lock`].
pub(in crate::catalog) async fn take(transaction: &mut Tx, lock: Lock) -> Result<(), CatalogError> {
    let name = match lock {
        Lock::Writer => "writer",
        Lock::Listing => "listing",
    };
    sqlx::query("UPDATE locks SET taken = taken + 1 WHERE name = $1")
        .bind(name)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
