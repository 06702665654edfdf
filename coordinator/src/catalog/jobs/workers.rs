//! The table `workers`: who takes jobs, from the heartbeats of workers.
//!
//! In: heartbeats, taken by any coordinator. Out: the workers that are there, for all of them. A worker that sends none
//! any more expires by itself.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::message::Heartbeat;
use serde::Serialize;
use sqlx::{Row, any::AnyRow};

use crate::catalog::database::{Catalog, CatalogError, count, json, millis, printable, sql, time};

/// How long a worker that is gone stays in the table, also one that said so: jobs that it left are found by it.
const FORGET_AFTER: TimeDelta = TimeDelta::hours(1);

/// The longest lifetime that a heartbeat may ask for: no worker may stay for ever.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How much of a name is kept, in characters.
const MAX_NAME: usize = 255;

/// Workers that are listed, at most.
const MAX_WORKERS: i64 = 1_000;

/// A worker that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerRecord {
    /// Its name, as in events.
    pub name: String,
    /// Its machine's name.
    pub host: String,
    /// Its version.
    pub version: String,
    /// Jobs that it works on at a time.
    pub slots: u64,
    /// Jobs that it worked on when it said so last.
    pub busy: u64,
    /// Those of them that waited for PowerSync's limit of streams (429).
    pub waiting: u64,
    /// When it started, by its own clock.
    pub started_at: DateTime<Utc>,
    /// When its last heartbeat came.
    pub seen_at: DateTime<Utc>,
}

impl Catalog {
    /// Records `heartbeats`, in the order of their arrival. Takes no lock: it must not wait for events, nor they for it.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn record_heartbeats(&self, heartbeats: &[Heartbeat]) -> Result<(), CatalogError> {
        // Sorted by name: two coordinators that write the same rows take them in the same order.
        let newest: BTreeMap<&str, &Heartbeat> = heartbeats
            .iter()
            .map(|heartbeat| (heartbeat.worker.as_str(), heartbeat))
            .collect();
        let now = self.now().await?;
        self.upsert_workers(newest.into_values(), now).await?;
        sqlx::query("DELETE FROM workers WHERE expires_at < $1")
            .bind(millis(now - FORGET_AFTER))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn upsert_workers(
        &self,
        workers: impl ExactSizeIterator<Item = &Heartbeat>,
        now: DateTime<Utc>,
    ) -> Result<(), CatalogError> {
        if workers.len() == 0 {
            return Ok(());
        }
        let columns = "name TEXT, host TEXT, version TEXT, slots BIGINT, busy BIGINT, started_at BIGINT, \
             expires_at BIGINT, waiting BIGINT";
        let statement = sql!(
            "INSERT INTO workers (name, host, version, slots, busy, started_at, seen_at, expires_at, waiting) \
             SELECT name, host, version, slots, busy, started_at, CAST($2 AS BIGINT), expires_at, waiting \
             FROM ({}) beating WHERE true \
             ON CONFLICT (name) DO UPDATE SET host = excluded.host, version = excluded.version, \
                 slots = excluded.slots, busy = excluded.busy, started_at = excluded.started_at, \
                 seen_at = excluded.seen_at, expires_at = excluded.expires_at, waiting = excluded.waiting",
            self.dialect.rows_in(columns)
        );
        let workers = workers.map(|worker| {
            let lifetime = TimeDelta::from_std(worker.lifetime().min(LONGEST)).unwrap_or_default();
            (
                name(&worker.worker),
                name(&worker.host),
                name(&worker.version),
                worker.slots,
                worker.busy,
                millis(worker.started_at),
                millis(now + lifetime),
                worker.waiting,
            )
        });
        sqlx::query(statement)
            .bind(json(workers))
            .bind(millis(now))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Returns the workers that are there, by name; at most 1,000.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, CatalogError> {
        let now = self.now().await?;
        let rows = sqlx::query(
            "SELECT name, host, version, slots, busy, COALESCE(waiting, 0) AS waiting, started_at, seen_at FROM workers \
             WHERE expires_at > $1 ORDER BY name LIMIT $2",
        )
        .bind(millis(now))
        .bind(MAX_WORKERS)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(worker).collect()
    }
}

fn worker(row: &AnyRow) -> Result<WorkerRecord, CatalogError> {
    Ok(WorkerRecord {
        name: row.try_get("name")?,
        host: row.try_get("host")?,
        version: row.try_get("version")?,
        slots: count(row, "slots")?,
        busy: count(row, "busy")?,
        waiting: count(row, "waiting")?,
        started_at: time(row.try_get("started_at")?)?,
        seen_at: time(row.try_get("seen_at")?)?,
    })
}

fn name(text: &str) -> String {
    printable(text).chars().take(MAX_NAME).collect()
}
