//! The catalog's handle: its connections, and the locks that make writers wait for each other.

use chrono::{DateTime, Utc};
use sqlx::{Any, AnyPool, Transaction};

use super::{error::CatalogError, sql::time};

/// A transaction on either database.
pub(in crate::catalog) type Tx = Transaction<'static, Any>;

/// What makes writers wait for each other; see the table `locks`.
#[derive(Debug, Clone, Copy)]
pub(in crate::catalog) enum Lock {
    /// Whoever changes jobs or snapshots that exist.
    Writer,
    /// Whoever adds jobs.
    Listing,
}

/// The catalog of one installation.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub(in crate::catalog) pool: AnyPool,
    /// For queries that only read, and need not wait for those that write.
    pub(in crate::catalog) readers: AnyPool,
    pub(super) is_sqlite: bool,
}

impl Catalog {
    /// Whether the database answers.
    ///
    /// # Errors
    /// [`CatalogError::Database`] when it does not.
    pub async fn ping(&self) -> Result<(), CatalogError> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Closes the catalog; what was committed is safe.
    pub async fn close(&self) {
        self.readers.close().await;
        self.pool.close().await;
    }

    /// The time by the catalog's own clock; `None` for SQLite, which has none but this machine's.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn clock(&self) -> Result<Option<DateTime<Utc>>, CatalogError> {
        if self.is_sqlite {
            return Ok(None);
        }
        let now: i64 = sqlx::query_scalar(
            "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        )
        .fetch_one(&self.readers)
        .await?;
        time(now).map(Some)
    }

    /// Its `db.system.name` in spans.
    pub(crate) fn db_system(&self) -> &'static str {
        if self.is_sqlite {
            "sqlite"
        } else {
            "postgresql"
        }
    }

    /// A transaction that holds `lock` to its end. Taken as the first thing, it also is SQLite's only write
    /// lock, which a transaction that has read before might not get.
    pub(in crate::catalog) async fn locked(&self, lock: Lock) -> Result<Tx, CatalogError> {
        let mut transaction = self.pool.begin().await?;
        take(&mut transaction, lock).await?;
        Ok(transaction)
    }
}

/// Waits for `lock`. Who takes both takes the listing's first.
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
