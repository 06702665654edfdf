//! Pieces of SQL that more than one query needs.

use sqlx::{Any, Transaction};

use crate::catalog::{Catalog, CatalogError};

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

/// The condition on a job that is not in a final state. It must read as in the index of the same name.
macro_rules! in_flight {
    () => {
        "state IN ('listed', 'queued', 'running')"
    };
}
pub(in crate::catalog) use in_flight;

impl Catalog {
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

/// `$3, $4, $5`: `count` placeholders from `first` on.
pub(in crate::catalog) fn list_of(first: usize, count: usize) -> String {
    let placeholders: Vec<String> = (first..first + count).map(|n| format!("${n}")).collect();
    placeholders.join(", ")
}

/// `($1, $2), ($3, $4)`: `rows` lists of `columns` placeholders each.
pub(in crate::catalog) fn rows_of(first: usize, rows: usize, columns: usize) -> String {
    let rows: Vec<String> = (0..rows)
        .map(|row| format!("({})", list_of(first + row * columns, columns)))
        .collect();
    rows.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_on() {
        assert_eq!(list_of(2, 3), "$2, $3, $4");
        assert_eq!(rows_of(1, 2, 2), "($1, $2), ($3, $4)");
    }
}
