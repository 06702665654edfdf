//! Takes reports in, each once.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{
    StoreId,
    manifest::{Encoding, Form},
};
use sqlx::Row;
use uuid::Uuid;

use super::words::{Outcome, Platform, Reason, Stage};
use crate::catalog::database::{
    Catalog, CatalogError, count, elapsed, list_of, millis, sql, stored,
};

/// The time over which the reports of a store are counted.
const WINDOW: TimeDelta = TimeDelta::hours(1);

/// The columns of a report, in the order in which they are bound.
const COLUMNS: [&str; 18] = [
    "store_id",
    "launch",
    "received_at",
    "platform",
    "outcome",
    "reason",
    "form",
    "encoding",
    "byte_count",
    "resumes",
    "waiting_ms",
    "downloading_ms",
    "unpacking_ms",
    "finishing_ms",
    "total_ms",
    "sdk",
    "package",
    "core",
];

/// How one first launch went.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchReport {
    /// A random UUID for this launch alone.
    pub launch: Uuid,
    /// Which package reports.
    pub platform: Platform,
    /// What came of it.
    pub outcome: Outcome,
    /// Why no snapshot was installed.
    pub reason: Option<Reason>,
    /// The form that was asked for or installed.
    pub form: Option<Form>,
    /// Its encoding.
    pub encoding: Option<Encoding>,
    /// Bytes that arrived.
    pub bytes: u64,
    /// How often the download was resumed.
    pub resumes: u32,
    /// How long each stage took that the launch came to.
    pub stages: BTreeMap<Stage, Duration>,
    /// The SDK's version.
    pub sdk: Option<String>,
    /// The package's version.
    pub package: Option<String>,
    /// The core extension's version.
    pub core: Option<String>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is counted now.
    New,
    /// It was counted before, or the store is forgotten.
    Known,
    /// The store has sent as many as it may.
    TooMany {
        /// When it may send the next.
        wait: Duration,
    },
}

impl Catalog {
    /// Records a report of `store_id`, unless it is known, or the store has sent `limit` in the last hour. Servers that
    /// do so at once may let in a few more.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn record_report(
        &self,
        store_id: &StoreId,
        report: &LaunchReport,
        limit: u32,
    ) -> Result<Received, CatalogError> {
        let now = self.now().await?;
        let before = sqlx::query(
            "SELECT COUNT(*) AS n, MIN(received_at) AS oldest, \
                 (SELECT COUNT(*) FROM reports WHERE store_id = $1 AND launch = $2) \
                     + (SELECT COUNT(*) FROM forgotten WHERE store_id = $1 AND allowed_at IS NULL) AS known \
             FROM reports WHERE store_id = $1 AND received_at > $3",
        )
        .bind(store_id.to_string())
        .bind(report.launch.to_string())
        .bind(millis(now - WINDOW))
        .fetch_one(&self.readers)
        .await?;
        if count(&before, "known")? > 0 {
            return Ok(Received::Known);
        }
        if count(&before, "n")? >= u64::from(limit) {
            let oldest: Option<i64> = before.try_get("oldest")?;
            let passed = oldest.map_or(Duration::ZERO, |oldest| elapsed(oldest, now));
            let wait = WINDOW.to_std().unwrap_or_default().saturating_sub(passed);
            return Ok(Received::TooMany { wait });
        }
        self.insert_report(store_id, report, now).await
    }

    async fn insert_report(
        &self,
        store_id: &StoreId,
        report: &LaunchReport,
        now: DateTime<Utc>,
    ) -> Result<Received, CatalogError> {
        let millis_of =
            |duration: &Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let stage = |stage| report.stages.get(&stage).map(millis_of);
        let total: Duration = report.stages.values().sum();
        let done = sqlx::query(sql!(
            "INSERT INTO reports ({}) VALUES ({}) ON CONFLICT DO NOTHING",
            COLUMNS.join(", "),
            list_of(1, COLUMNS.len())
        ))
        .bind(store_id.to_string())
        .bind(report.launch.to_string())
        .bind(millis(now))
        .bind(report.platform.name())
        .bind(report.outcome.name())
        .bind(report.reason.map(Reason::name))
        .bind(report.form.map(Form::name))
        .bind(report.encoding.map(Encoding::name))
        .bind(stored(report.bytes))
        .bind(i64::from(report.resumes))
        .bind(stage(Stage::Waiting))
        .bind(stage(Stage::Downloading))
        .bind(stage(Stage::Unpacking))
        .bind(stage(Stage::Finishing))
        .bind(millis_of(&total))
        .bind(report.sdk.clone())
        .bind(report.package.clone())
        .bind(report.core.clone())
        .execute(&self.pool)
        .await?;
        Ok(match done.rows_affected() {
            0 => Received::Known,
            _ => Received::New,
        })
    }
}
