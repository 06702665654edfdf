//! What was done for a store lately.

use chrono::{DateTime, Utc};
use seedbed_protocol::StoreId;
use sqlx::Row;

use super::{Catalog, CatalogError, time};

/// The newest job of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestAttempt {
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
    /// Whether it has not ended yet.
    pub in_flight: bool,
}

impl Catalog {
    /// The newest job of a store, if it has ever had one.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn newest_attempt(
        &self,
        store_id: &StoreId,
    ) -> Result<Option<NewestAttempt>, CatalogError> {
        let row = sqlx::query(
            "SELECT state, listed_at FROM jobs WHERE store_id = $1 ORDER BY id DESC LIMIT 1",
        )
        .bind(store_id.to_string())
        .fetch_optional(&self.readers)
        .await?;
        let newest = row.map(|row| {
            let state: String = row.try_get("state")?;
            Ok(NewestAttempt {
                listed_at: time(row.try_get("listed_at")?)?,
                in_flight: matches!(state.as_str(), "listed" | "queued" | "running"),
            })
        });
        newest.transpose()
    }
}
