//! What reports add up to: launches that are alike, and launches a day.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};
use utoipa::ToSchema;

use super::words::Outcome;
use crate::catalog::database::{Catalog, CatalogError, count, millis, optional_count, sql, time};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Launches that are alike in everything but numbers. The words are those of reports, also of newer versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaunchGroup {
    /// Which package reported.
    pub platform: String,
    /// What came of them.
    pub outcome: String,
    /// Why no snapshot was installed.
    pub reason: Option<String>,
    /// The form of the snapshot.
    pub form: Option<String>,
    /// Its encoding.
    pub encoding: Option<String>,
    /// How many launches.
    pub launches: u64,
    /// Launches whose download was resumed.
    pub resumed: u64,
    /// Bytes that arrived, of all of them.
    pub bytes: u64,
    /// Half of them took no longer, from the first stage to the end of the last. Milliseconds.
    pub p50_millis: u64,
    /// 95 % of them took no longer.
    pub p95_millis: u64,
}

/// The launches of a day, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LaunchDay {
    /// When it began.
    pub day: DateTime<Utc>,
    /// Launches that were reported.
    pub launches: u64,
    /// Those that used a snapshot.
    pub installed: u64,
}

impl Catalog {
    /// Returns the launches that were reported since `since`, those that are alike together, the most frequent first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn launch_groups(
        &self,
        since: DateTime<Utc>,
    ) -> Result<Vec<LaunchGroup>, CatalogError> {
        let alike = "platform, outcome, reason, form, encoding";
        // A percentile is the least time that so many launches do not exceed (nearest rank).
        let rows = sqlx::query(sql!(
            "SELECT {alike}, COUNT(*) AS n, CAST(SUM(byte_count) AS BIGINT) AS bytes, \
                 COUNT(CASE WHEN resumes > 0 THEN 1 END) AS resumed, \
                 MIN(CASE WHEN nth * 100 >= total * 50 THEN total_ms END) AS p50, \
                 MIN(CASE WHEN nth * 100 >= total * 95 THEN total_ms END) AS p95 \
             FROM (SELECT {alike}, byte_count, resumes, total_ms, \
                       ROW_NUMBER() OVER (PARTITION BY {alike} ORDER BY total_ms) AS nth, \
                       COUNT(*) OVER (PARTITION BY {alike}) AS total \
                   FROM reports WHERE received_at >= $1) ranked \
             GROUP BY {alike} ORDER BY n DESC, {alike}"
        ))
        .bind(millis(since))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(group).collect()
    }

    /// Returns the launches of each day since `since` that had any, the oldest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn launch_days(&self, since: DateTime<Utc>) -> Result<Vec<LaunchDay>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT received_at / {DAY} AS day, COUNT(*) AS n, \
                 COUNT(CASE WHEN outcome = '{}' THEN 1 END) AS installed \
             FROM reports WHERE received_at >= $1 GROUP BY received_at / {DAY} ORDER BY day",
            Outcome::Installed.name()
        ))
        .bind(millis(since))
        .fetch_all(&self.readers)
        .await?;
        let day = |row: &AnyRow| {
            Ok(LaunchDay {
                day: time(row.try_get::<i64, _>("day")? * DAY)?,
                launches: count(row, "n")?,
                installed: count(row, "installed")?,
            })
        };
        rows.iter().map(day).collect()
    }
}

fn group(row: &AnyRow) -> Result<LaunchGroup, CatalogError> {
    let milliseconds = |column| Ok::<_, CatalogError>(optional_count(row, column)?.unwrap_or(0));
    Ok(LaunchGroup {
        platform: row.try_get("platform")?,
        outcome: row.try_get("outcome")?,
        reason: row.try_get("reason")?,
        form: row.try_get("form")?,
        encoding: row.try_get("encoding")?,
        launches: count(row, "n")?,
        resumed: count(row, "resumed")?,
        bytes: count(row, "bytes")?,
        p50_millis: milliseconds("p50")?,
        p95_millis: milliseconds("p95")?,
    })
}
