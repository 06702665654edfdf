//! What clients ask for: when they last did is kept of each store, and its job goes out before others.

use chrono::{DateTime, Utc};
use seedbed_protocol::StoreId;

use super::pending::CLASS_SHIFT;
use crate::catalog::{
    database::{Catalog, CatalogError, Lock, ids, millis, sql},
    state::{IN_FLIGHT, JobState::Listed},
};

impl Catalog {
    /// Records that clients asked for the snapshots of these stores, at most 100 of them. Those of their jobs that were never
    /// published come next in their runs.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn asked_for(
        &self,
        stores: &[StoreId],
        at: DateTime<Utc>,
    ) -> Result<(), CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        // A listing locks what it has listed for as long as it takes. It is no reason to keep all writers waiting, for what
        // only decides about an order.
        let skipping = match transaction.dialect().is_sqlite() {
            true => "",
            false => "FOR UPDATE SKIP LOCKED",
        };
        sqlx::query(sql!(
            "UPDATE stores SET asked_at = $1 WHERE store_id IN ( \
                 SELECT store_id FROM stores WHERE store_id {} {skipping})",
            self.dialect.among(2)
        ))
        .bind(millis(at))
        .bind(ids(stores))
        .execute(&mut *transaction)
        .await?;
        // Both conditions on the state, so that the index of jobs in flight is used.
        sqlx::query(sql!(
            "UPDATE jobs SET turn = turn % $1 \
             WHERE state IN ({IN_FLIGHT}) AND state = '{Listed}' AND turn >= $1 AND store_id {}",
            self.dialect.among(2)
        ))
        .bind(1_i64 << CLASS_SHIFT)
        .bind(ids(stores))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}
