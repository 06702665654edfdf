//! What was decided and is easily forgotten: numbers for metrics.

use super::delivery::Delivery;
use crate::catalog::{
    database::{Catalog, CatalogError, count, sql},
    state::SUCCEEDED,
};

/// What is not as it is by itself, since a person has decided so.
#[derive(Debug, Clone, Copy)]
pub struct Decided {
    /// Which stores get snapshots.
    pub delivery: Delivery,
    /// Stores of which a snapshot was withdrawn, and which no job has brought up to date since.
    pub withdrawn: u64,
    /// Withdrawn snapshots that the copies below `latest/` may still be of.
    pub stale_latest: u64,
    /// Stores that are forgotten, and not allowed again.
    pub forgotten: u64,
    /// Forgotten stores of which objects are left.
    pub left: u64,
}

impl Catalog {
    /// Returns what was decided.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn decided(&self) -> Result<Decided, CatalogError> {
        let row = sqlx::query(sql!(
            "SELECT (SELECT COUNT(*) FROM forgotten WHERE allowed_at IS NULL) AS forgotten, \
                 (SELECT COUNT(*) FROM forgotten WHERE cleaned_at IS NULL) AS remaining, \
                 (SELECT COUNT(*) FROM snapshots WHERE latest_stale = 1) AS stale, \
                 (SELECT COUNT(DISTINCT w.store_id) FROM snapshots w \
                  JOIN stores ON stores.store_id = w.store_id AND stores.retired_at IS NULL \
                  WHERE w.withdrawn_at IS NOT NULL AND NOT EXISTS ( \
                      SELECT 1 FROM jobs j WHERE j.store_id = w.store_id AND j.state IN ({SUCCEEDED}) \
                      AND j.finished_at > w.withdrawn_at)) AS withdrawn"
        ))
        .fetch_one(&self.readers)
        .await?;
        Ok(Decided {
            delivery: self.delivery().await?,
            withdrawn: count(&row, "withdrawn")?,
            stale_latest: count(&row, "stale")?,
            forgotten: count(&row, "forgotten")?,
            left: count(&row, "remaining")?,
        })
    }
}
