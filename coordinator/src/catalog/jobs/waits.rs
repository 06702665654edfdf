//! Jobs that wait until the service has a stream for them (429): in their queue, or for a moment in a worker's slot.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;

use crate::catalog::{
    database::{Catalog, CatalogError, count, millis, sql, time},
    state::{JobState::Queued, PUBLISHED},
};

/// What a worker reports when the service has as many streams open as it allows.
const TOO_MANY_STREAMS: &str = " answered 429 ";

/// Stores that wait for the service's limit of streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceWait {
    /// Stores whose job waits for its next try.
    pub stores: u64,
    /// When the first of them is tried again; null if none waits.
    pub next_at: Option<DateTime<Utc>>,
    /// Jobs that are worked on, and wait for up to 15 seconds, as workers said last.
    pub running: u64,
}

/// Returns whether a failed attempt says that the service had no stream for it.
pub(super) fn is_too_many_streams(message: &str) -> bool {
    message.contains(TOO_MANY_STREAMS)
}

impl Catalog {
    /// Returns how many stores wait since the service answered 429, and for how long.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn waiting_for_service(
        &self,
        now: DateTime<Utc>,
    ) -> Result<ServiceWait, CatalogError> {
        // The list of states has the query use the index of jobs in flight.
        let row = sqlx::query(sql!(
            "SELECT COUNT(*) AS n, MIN(retry_at) AS next_at FROM jobs \
             WHERE state IN ({PUBLISHED}) AND state = '{Queued}' AND retry_at > $1 \
                 AND failure_message LIKE '%{TOO_MANY_STREAMS}%'"
        ))
        .bind(millis(now))
        .fetch_one(&self.readers)
        .await?;
        let next_at: Option<i64> = row.try_get("next_at")?;
        let workers = sqlx::query(
            "SELECT CAST(COALESCE(SUM(waiting), 0) AS BIGINT) AS n FROM workers WHERE expires_at > $1",
        )
        .bind(millis(now))
        .fetch_one(&self.readers)
        .await?;
        Ok(ServiceWait {
            stores: count(&row, "n")?,
            next_at: next_at.map(time).transpose()?,
            running: count(&workers, "n")?,
        })
    }
}
